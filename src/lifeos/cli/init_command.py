"""``lifeos init``: write the default governance and a first backlog."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lifeos.cli.frame import Json, frame_of, show, show_json
from lifeos.core.policy.config import MainWrites
from lifeos.errors import Exit, UsageError
from lifeos.model import Frozen

if TYPE_CHECKING:
    from lifeos.initial import Hosted, Proposal
    from lifeos.store.repo import Repo

CONFIG = ".lifeos/config.yaml"


class InitData(Frozen):
    """``lifeos.init/v1``: what was written, what was there already, and the commit.

    ``updated`` are files of lifeos's that were there and not edited; ``chosen`` says what was set
    by what was found, and why; ``by_hand`` is left to do.
    """

    written: tuple[str, ...] = ()
    updated: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()
    chosen: tuple[str, ...] = ()
    by_hand: tuple[str, ...] = ()
    disabled: tuple[str, ...] = ()  # checks that cannot run here: written as comments
    commit: str | None = None
    dry_run: bool = False


def command(
    context: typer.Context,
    commit: Annotated[
        bool, typer.Option("--commit", help="Commit the files, as you, on the main branch.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would be written, and write nothing.")
    ] = False,
    github: Annotated[
        bool, typer.Option("--github", help="Write the workflow for GitHub Actions, too.")
    ] = False,
    lifeos_hash: Annotated[
        str, typer.Option(help="SHA-256 of lifeos's wheel, for the lock.", metavar="SHA256")
    ] = "",
    login: Annotated[
        str, typer.Option(help="Your account's name on GitHub.", metavar="LOGIN")
    ] = "",
    forge_id: Annotated[
        int, typer.Option(min=0, help="Your account's number: your merges are answers.")
    ] = 0,
    main_writes: Annotated[
        MainWrites | None,
        typer.Option(help="How lifeos changes main; else as the forge's rules for it say."),
    ] = None,
    json: Json = False,
) -> int:
    """Write the default governance and a first backlog; keeps every file that is there."""
    if not github and (lifeos_hash or login or forge_id or main_writes):
        raise UsageError("that is only for --github", "lifeos init --github")
    asked = OnGitHub(lifeos_hash, login, forge_id, main_writes) if github else None
    with frame_of(context).repo() as repo:
        data = _made(repo, asked, dry_run=dry_run, commit=commit)
    if json:
        show_json("init", data)
    else:
        show(_text(data))
    return Exit.OK


@dataclass(frozen=True)
class OnGitHub:
    """What was said beside ``--github``."""

    lifeos_hash: str
    login: str
    forge_id: int
    main_writes: MainWrites | None


def _made(repo: Repo, asked: OnGitHub | None, *, dry_run: bool, commit: bool) -> InitData:
    """Write what is lacking, unless it is only to be shown."""
    from lifeos.cli import init_github
    from lifeos.store.person import identity

    root = _root(repo)
    proposal = _proposal(repo, root)
    hosted, chosen = _hosted(repo, root, asked) if asked else (None, ())
    files = _files(repo, *identity(repo), proposal, hosted)
    more = init_github.NOTHING
    if asked:
        more = init_github.plan(repo, root, files, asked.lifeos_hash)
    write = {path: text for path, text in files.items() if not (root / path).exists()}
    made = _write(repo, root, {**write, **more.files}, (*files, *more.files), dry_run, commit)
    return InitData(
        written=tuple(path for path in (*write, *more.files) if path not in more.updated),
        updated=more.updated,
        kept=(*(path for path in files if path not in write), *more.kept),
        chosen=chosen,
        by_hand=more.by_hand,
        disabled=tuple(check.run for check in proposal.disabled if CONFIG in write),
        commit=made,
        dry_run=dry_run,
    )


def _hosted(repo: Repo, root: Path, asked: OnGitHub) -> tuple[Hosted, tuple[str, ...]]:
    """What is known of the repository's place; of fresh rules also how main is written, and why."""
    from lifeos.cli import init_github

    hosted = init_github.hosted(repo, asked.login, asked.forge_id)
    if not (root / CONFIG).exists():
        return _how_main_is_written(repo, hosted, asked.main_writes)
    if asked.main_writes:
        fix = f"write main_writes: {asked.main_writes} in it"
        raise UsageError(f"{CONFIG} is there already", fix)
    return hosted, ()


def _how_main_is_written(
    repo: Repo, hosted: Hosted, asked: MainWrites | None
) -> tuple[Hosted, tuple[str, ...]]:
    """The setting of fresh rules, and why: as it was asked for, or as the forge says."""
    from lifeos.cli.init_asked import Choice, main_writes
    from lifeos.model import Trust

    by_merge = hosted.trust is Trust.MERGE
    if asked is MainWrites.PR and not by_merge:
        raise UsageError(
            "`main_writes: pr` needs merges as answers", "give --login and --forge-id, too"
        )
    branch = _branch(repo)
    choice = (
        Choice(asked, "as it was asked for")
        if asked
        else main_writes(hosted.host, hosted.repository, branch, os.environ, by_merge=by_merge)
    )
    filled = replace(hosted, by_pull_request=choice.writes is MainWrites.PR)
    return filled, (f"main_writes: {choice.writes}: {choice.why}",)


def _branch(repo: Repo) -> str:
    return (repo.refs.head() or "refs/heads/main").removeprefix("refs/heads/")


def _root(repo: Repo) -> Path:
    if repo.work_tree is None:
        raise UsageError("this repository has no work tree", "run lifeos init in a clone")
    if repo.refs.read("refs/heads/lifeos"):
        raise UsageError(
            "a branch named lifeos is in the way of lifeos/ledger",
            "git branch -m lifeos something-else",
        )
    return repo.work_tree


def _write(
    repo: Repo,
    root: Path,
    write: Mapping[str, bytes],
    commit_too: tuple[str, ...],
    dry_run: bool,
    commit: bool,
) -> str | None:
    """Write the files, and commit them if that is wanted. The commit."""
    from lifeos.cli.schema_files import write_schemas
    from lifeos.store.person import commit_files

    if dry_run:
        return None
    write_schemas(repo)
    for path, content in write.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(content)
    message = "Let lifeos build what BACKLOG.md asks for"
    return commit_files(repo, commit_too, message) if commit else None


def _files(
    repo: Repo, name: str, email: str, proposal: Proposal, hosted: Hosted | None
) -> Mapping[str, bytes]:
    from lifeos.initial import render_init

    return render_init(name, email, _branch(repo), proposal.checks, proposal.disabled, hosted)


def _proposal(repo: Repo, root: Path) -> Proposal:
    """The checks that fit here. This Python is the one that checks find as `python3`."""
    from importlib.util import find_spec

    from lifeos.initial import detect_checks, detection_reads

    paths = _tracked(repo, root)
    texts = {
        file: (root / file).read_text(encoding="utf-8", errors="replace")
        for file in detection_reads(paths)
        if (root / file).is_file()
    }
    return detect_checks(paths, texts, pytest=find_spec("pytest") is not None)


def _tracked(repo: Repo, root: Path) -> list[str]:
    from lifeos.store.trees import walk

    commit = repo.refs.head_id()
    if commit is None:
        return [path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()]
    return [leaf.path for leaf in walk(repo.objects, repo.objects.commit(commit).tree)]


def _text(data: InitData) -> str:
    verb = "would write" if data.dry_run else "wrote"
    lines = [f"{verb} {path}" for path in data.written]
    verb = "would update" if data.dry_run else "updated"
    lines += [f"{verb} {path}" for path in data.updated]
    lines += [f"kept {path}" for path in data.kept]
    for run in data.disabled:
        lines.append(f"a check is only a comment in {CONFIG}: {run}")
        lines.append(f"  why: {sys.executable}, with which checks run, has no pytest")
        lines.append(f"  fix: install it there, then take the comment signs off; {CONFIG} says how")
    if data.commit:
        lines.append(f"committed {data.commit[:12]}")
    lines += [f"chose {one}" for one in data.chosen]
    if data.by_hand:
        lines += ["by hand:", *(f"  {n}. {one}" for n, one in enumerate(data.by_hand, 1))]
    if not data.dry_run:
        lines.append(f"next: {_next(data)}")
    return "\n".join(lines)


def _next(data: InitData) -> str:
    first = [] if data.commit else ["look at the files", "commit them"]
    if data.by_hand:
        return ", ".join([*first, "push", "do what stands above", "then lifeos doctor"])
    tasks = ["write tasks into BACKLOG.md", "commit them"] if data.commit else first
    return ", ".join([*tasks, "then lifeos tick"])
