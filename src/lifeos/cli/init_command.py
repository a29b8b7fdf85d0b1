"""``lifeos init``: write the default governance and a first backlog."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lifeos.cli.frame import Json, frame_of, show, show_json
from lifeos.errors import Exit, UsageError
from lifeos.model import Frozen

if TYPE_CHECKING:
    from lifeos.initial import Proposal
    from lifeos.store.repo import Repo

CONFIG = ".lifeos/config.yaml"


class InitData(Frozen):
    """``lifeos.init/v1``: what was written, what was there already, and the commit."""

    written: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()
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
    json: Json = False,
) -> int:
    """Write the default governance and a first backlog; keeps every file that is there."""
    from lifeos.store.person import commit_files, identity

    repo = frame_of(context).repo()
    with repo:
        root = repo.work_tree
        if root is None:
            raise UsageError("this repository has no work tree", "run lifeos init in a clone")
        if repo.refs.read("refs/heads/lifeos"):
            raise UsageError(
                "a branch named lifeos is in the way of lifeos/ledger",
                "git branch -m lifeos something-else",
            )
        name, email = identity(repo)
        proposal = _proposal(repo, root)
        files = _files(repo, name, email, proposal)
        missing = {path: text for path, text in files.items() if not (root / path).exists()}
        made = None
        if not dry_run:
            for path, content in missing.items():
                (root / path).parent.mkdir(parents=True, exist_ok=True)
                (root / path).write_bytes(content)
            if commit:
                made = commit_files(repo, tuple(files), "Let lifeos build what BACKLOG.md asks for")
    data = InitData(
        written=tuple(missing),
        kept=tuple(path for path in files if path not in missing),
        disabled=tuple(check.run for check in proposal.disabled if CONFIG in missing),
        commit=made,
        dry_run=dry_run,
    )
    if json:
        show_json("init", data)
    else:
        show(_text(data))
    return Exit.OK


def _files(repo: Repo, name: str, email: str, proposal: Proposal) -> Mapping[str, bytes]:
    from lifeos.initial import render_init

    head = repo.refs.head() or "refs/heads/main"
    branch = head.removeprefix("refs/heads/")
    return render_init(name, email, branch, proposal.checks, proposal.disabled)


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
    lines += [f"kept {path}" for path in data.kept]
    for run in data.disabled:
        lines.append(f"a check is only a comment in {CONFIG}: {run}")
        lines.append(f"  why: {sys.executable}, with which checks run, has no pytest")
        lines.append(f"  fix: install it there, then take the comment signs off; {CONFIG} says how")
    if data.commit:
        lines.append(f"committed {data.commit[:12]}")
        lines.append("next: write tasks into BACKLOG.md, commit them, then lifeos tick")
    elif not data.dry_run:
        lines.append("next: look at the files, commit them, then lifeos tick")
    return "\n".join(lines)
