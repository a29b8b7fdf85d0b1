"""``lifeos validate``: check the files: governance and backlog."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lifeos.cli.frame import Json, frame_of, show, show_json
from lifeos.core.codeowners import MENDING, NAMING, PLACES, drift, place_of, unknown
from lifeos.errors import Exit, Place, Problem, UsageError
from lifeos.model import Frozen

if TYPE_CHECKING:
    from lifeos.core.policy import Approver
    from lifeos.store.repo import Repo

_BACKLOG = "BACKLOG.md"
_TOPS = ("policies", ".lifeos")
_MOST_BYTES = 16 * 1024 * 1024


class ProblemData(Frozen):
    """One problem. Lines and columns from 1; 0 where there is none."""

    file: str
    line: int
    column: int
    message: str
    fix: str = ""


class ValidateData(Frozen):
    """``lifeos.validate/v1``: what is wrong with the files of ``source``."""

    good: bool
    source: str
    files: tuple[str, ...] = ()
    tasks: int = 0
    errors: tuple[ProblemData, ...] = ()
    warnings: tuple[ProblemData, ...] = ()


def command(
    context: typer.Context,
    work_tree: Annotated[
        bool, typer.Option("--work-tree", help="The files as you are editing them (the default).")
    ] = False,
    commit: Annotated[
        str, typer.Option("--commit", help="The files of a commit or branch.", metavar="REV")
    ] = "",
    json: Json = False,
) -> int:
    """Check governance and backlog: every problem with its place and the fix; exit 2 on errors.

    History is checked by `lifeos verify`, this machine by `lifeos doctor`.
    """
    if work_tree and commit:
        raise UsageError("--work-tree and --commit are two different sources", "give one of them")
    with frame_of(context).repo() as repo:
        if commit:
            source, files = f"commit {commit}", committed(repo, commit)
        elif repo.work_tree is not None:
            source, files = f"the work tree {repo.work_tree}", edited(repo.work_tree)
        else:
            raise UsageError("this repository has no work tree", "lifeos validate --commit REV")
    data = check(source, files)
    if json:
        show_json("validate", data)
    else:
        show(_text(data))
    return Exit.OK if data.good else Exit.USAGE


def check(source: str, files: dict[str, bytes | Problem]) -> ValidateData:
    """Everything that is wrong with these files."""
    from lifeos.core.backlog.parse import parse
    from lifeos.core.policy import is_governance
    from lifeos.governance import load_set

    read = {path: data for path, data in files.items() if isinstance(data, bytes)}
    errors = [problem for problem in files.values() if isinstance(problem, Problem)]
    loaded = load_set({path: data for path, data in read.items() if is_governance(path)})
    broken = {problem.place.file for problem in errors}
    errors += [problem for problem in loaded.problems if problem.place.file not in broken]
    warnings: list[Problem] = []
    tasks = 0
    if _BACKLOG in read:
        prefix = loaded.governance.config.id_prefix if loaded.governance else "LO"
        backlog = parse(read[_BACKLOG], _BACKLOG, prefix)
        errors += backlog.problems
        warnings += backlog.warnings
        tasks = len(backlog.tasks)
    elif _BACKLOG not in files:
        fix = "lifeos init writes one; without it there is nothing to do"
        warnings.append(Problem(Place(_BACKLOG), "is missing", fix))
    if loaded.governance is not None:
        warnings += _unwise(loaded.governance.config.checks, loaded.governance.approvals.approvers)
        warnings += _missing(loaded.governance.config.notify.apprise)
        warnings += _owners(read, loaded.governance.approvals.approvers)
    return ValidateData(
        good=not errors,
        source=source,
        files=tuple(sorted(read)),
        tasks=tasks,
        errors=tuple(_shown(problem) for problem in errors),
        warnings=tuple(_shown(problem) for problem in warnings),
    )


def _unwise(checks: tuple[object, ...], approvers: tuple[object, ...]) -> list[Problem]:
    """What is allowed, and most likely not meant."""
    found = []
    if not checks:
        place = Place(".lifeos/config.yaml")
        found.append(
            Problem(place, "no checks: nothing but the review judges the work", "add some")
        )
    if not approvers:
        place = Place("policies/approvals.yaml")
        found.append(Problem(place, "no approvers: nobody can answer", "name yourself there"))
    return found


def _missing(apprise: tuple[str, ...]) -> list[Problem]:
    """What the files need and this machine lacks; another one, where ticks run, may have it."""
    from lifeos.notify import EXTRA, apprise_is_here

    if not apprise or apprise_is_here():
        return []
    said = "`notify.apprise` needs Apprise, which is not installed here: nobody would be told"
    return [Problem(Place(".lifeos/config.yaml"), said, EXTRA)]


def _owners(files: Mapping[str, bytes], approvers: tuple[Approver, ...]) -> list[Problem]:
    """Whether the code owners that lifeos once wrote are the approvers still, and anybody."""
    place = place_of(files)
    there = files[place].decode("utf-8", "replace") if place in files else None
    found = ((drift(there, approvers, place), MENDING), (unknown(there, approvers), NAMING))
    return [Problem(Place(place), wrong, fix) for wrong, fix in found if wrong]


def _shown(problem: Problem) -> ProblemData:
    place = problem.place
    return ProblemData(
        file=place.file,
        line=place.line,
        column=place.column,
        message=problem.message,
        fix=problem.fix,
    )


def committed(repo: Repo, rev: str) -> dict[str, bytes | Problem]:
    from lifeos.tick.reading import governance_files, read_file

    args = ("rev-parse", "--verify", "--quiet", "--end-of-options", f"{rev}^{{tree}}")
    result = repo.person.call(*args)  # HEAD and its like are the person's
    if result.status != 0:
        raise UsageError(f"{rev[:80]!r} is no commit here", "git log, git branch show the commits")
    tree = result.out.decode().strip()
    files: dict[str, bytes | Problem] = dict(governance_files(repo, tree))
    for path in (_BACKLOG, *PLACES):
        data = read_file(repo, tree, path)
        if data is not None:
            files[path] = data
    return files


def edited(root: Path) -> dict[str, bytes | Problem]:
    """The files as they lie there. A link is named, as lifeos would not read it from a commit."""
    from lifeos.core.policy import is_governance

    found: dict[str, bytes | Problem] = {}
    paths = [path for top in _TOPS for path in sorted((root / top).rglob("*"))]
    others = (_BACKLOG, *PLACES)
    for path in (*paths, *(root / name for name in others)):
        name = path.relative_to(root).as_posix()
        if name not in others and not is_governance(name):
            continue
        if path.is_symlink():
            problem = Problem(Place(name), "is a link, which lifeos does not follow", "copy it")
            found[name] = problem
        elif path.is_file():
            found[name] = bytes_of(path, name)
    return found


def bytes_of(path: Path, name: str) -> bytes | Problem:
    """The content of a file, or why it cannot be read."""
    try:
        if path.stat().st_size > _MOST_BYTES:
            return Problem(Place(name), "is larger than 16 MB", "make it smaller")
        return path.read_bytes()
    except OSError as error:
        return Problem(Place(name), f"cannot be read: {error.strerror}", "look at its permissions")


def _text(data: ValidateData) -> str:
    lines = [f"checked: {data.source}"]
    for kind, problems in (("error", data.errors), ("warning", data.warnings)):
        for one in problems:
            place = Place(one.file, one.line, one.column)
            lines.append(f"{kind}: {Problem(place, one.message, one.fix)}")
    counted = f"{_number(len(data.files), 'file')}, {_number(data.tasks, 'task')}"
    if data.good:
        lines.append(f"good: {counted}; lifeos reads them from commits on main")
    else:
        lines.append(f"{_number(len(data.errors), 'error')} in {counted}")
        lines.append("next: mend them, then lifeos validate again")
    return "\n".join(lines)


def _number(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"
