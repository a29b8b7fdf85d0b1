"""The rules that are to be tried: of a folder, a commit, or as they are being edited."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lifeos.errors import Place, Problem, UsageError
from lifeos.model import Frozen

if TYPE_CHECKING:
    from lifeos.cli.here import Here
    from lifeos.core.policy import Governance
    from lifeos.store.repo import Repo

_POLICIES = ("loop", "council", "envelope", "approvals")
_CONFIG = ".lifeos/config.yaml"


class Candidate(Frozen):
    """Where the rules are from. ``filled``: what is not there, and is as the adopted set has it."""

    source: str
    filled: tuple[str, ...] = ()


@dataclass(frozen=True)
class Tried:
    """A candidate and its rules."""

    candidate: Candidate
    rules: Governance


def candidate_of(here: Here, text: str) -> Tried:
    """The rules that ``--policies`` names; '' stands for those of the work tree.

    Raises ``UsageError`` for what is neither a folder nor a commit, and for a broken set, with
    every problem of it.
    """
    folder = Path(text)
    if text and folder.is_dir():
        files, filled = _of_folder(here, folder)
        return _loaded(Candidate(source=f"the folder {text}", filled=filled), files)
    if text:
        return _loaded(Candidate(source=f"commit {text}"), _of_commit(here.repo, text))
    if here.repo.work_tree is None:
        from lifeos.tick.reading import governance_files

        source = Candidate(source=f"{here.branch}, as this repository has no work tree")
        return _loaded(source, dict(governance_files(here.repo, here.main.tree)))
    from lifeos.cli.validate_command import edited

    source = Candidate(source="the work tree")
    return _loaded(source, edited(here.repo.work_tree))


def _of_commit(repo: Repo, rev: str) -> dict[str, bytes | Problem]:
    from lifeos.cli.validate_command import committed

    try:
        return committed(repo, rev)
    except UsageError as error:
        raise UsageError(
            f"--policies {rev[:80]!r} is neither a folder nor a commit here",
            "name a folder with policies/ in it, or a commit or branch",
        ) from error


def _of_folder(here: Here, folder: Path) -> tuple[dict[str, bytes | Problem], tuple[str, ...]]:
    """The files of a folder as those of a repository; what it leaves out is as it was adopted.

    The policies may lie in it without `policies/`. Its `.lifeos/` counts as a whole, if it has the
    configuration.
    """
    from lifeos.cli.validate_command import bytes_of, edited
    from lifeos.core.policy import is_governance

    found = {path: data for path, data in edited(folder).items() if is_governance(path)}
    if not (folder / "policies").is_dir():
        loose = sorted(path for path in folder.iterdir() if path.suffix in (".yaml", ".yml"))
        for path in loose:
            name = f"policies/{path.name}"
            linked = Problem(Place(str(path)), "is a link, which lifeos does not follow", "copy it")
            found[name] = linked if path.is_symlink() else bytes_of(path, name)
    if not found:
        raise UsageError(
            f"{folder} has no policies",
            f"put a changed file there, such as {folder / 'loop.yaml'}, or policies/ as a whole",
        )
    adopted = _adopted_files(here)
    whole = _CONFIG in found
    filled = [f"policies/{name}.yaml" for name in _POLICIES if f"policies/{name}.yaml" not in found]
    kept = {path: data for path, data in adopted.items() if path in filled}
    if not whole:
        kept |= {path: data for path, data in adopted.items() if path.startswith(".lifeos/")}
        filled.append(".lifeos/")
    return {**kept, **found}, tuple(filled)


def _adopted_files(here: Here) -> Mapping[str, bytes]:
    if here.ledger is None:
        return {}
    return here.ledger.governance(here.ledger.snapshot.governance)


def _loaded(candidate: Candidate, files: Mapping[str, bytes | Problem]) -> Tried:
    from lifeos.core.policy import is_governance
    from lifeos.governance import load_set

    rules = {
        path: data
        for path, data in files.items()
        if isinstance(data, bytes) and is_governance(path)
    }
    unread = tuple(
        data for path, data in files.items() if isinstance(data, Problem) and is_governance(path)
    )
    loaded = load_set(rules)
    if loaded.governance is None or unread:
        broken = {problem.place.file for problem in unread}
        more = tuple(one for one in loaded.problems if one.place.file not in broken)
        raise UsageError(
            f"the rules of {candidate.source} cannot be used",
            "mend them first; lifeos validate checks those of the work tree or of a commit",
            problems=(*unread, *more),
        )
    return Tried(candidate, loaded.governance)
