"""``lifeos export``: a file that carries ledger and main to somebody without a network, or back."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lifeos.cli.frame import Json, frame_of, show, show_json
from lifeos.cli.here import look_at
from lifeos.errors import Exit, UsageError
from lifeos.model import Frozen, Trust

if TYPE_CHECKING:
    from lifeos.cli.here import Here
    from lifeos.store.ledger import Ledger
    from lifeos.store.repo import Repo

_PIECE = 1 << 20


class ExportData(Frozen):
    """``lifeos.export/v1``: a bundle of git, and what it brings, by name of the reference.

    ``without`` are commits that whoever reads it must have. ``items`` are the open questions in it,
    or the answered ones if it is of ``answers``. ``sha256`` is of the file.
    """

    file: str
    bytes: int
    sha256: str
    answers: bool
    refs: dict[str, str]
    without: tuple[str, ...] = ()
    items: tuple[str, ...] = ()


def command(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="The bundle to write.", metavar="FILE")],
    since: Annotated[
        str,
        typer.Option(
            "--since",
            help="Leave out what the other side has: up to this commit or time.",
            metavar="COMMIT|WHEN",
        ),
    ] = "",
    answers: Annotated[
        bool, typer.Option("--answers", help="Only your answers, for `lifeos import` over there.")
    ] = False,
    json: Json = False,
) -> int:
    """Write a git bundle that carries the questions to where there is no network, or answers back.

    Without --answers it has the ledger, main and the work of open runs, to be cloned there. With
    it, on that other machine, nothing but your commits that answer.
    """
    with frame_of(context).repo() as repo:
        repo.require_complete()
        here = look_at(repo)
        if here.ledger is None:
            raise UsageError("there is no ledger here yet", "lifeos init, commit, then lifeos tick")
        if answers:
            if since:
                raise UsageError("--since goes without --answers", "lifeos export --answers FILE")
            data = _answers(here, file)
        else:
            data = _state(here, here.ledger, file, since)
    if json:
        show_json("export", data)
    else:
        show(_text(data, here))
    return Exit.OK


# --- the state ----------------------------------------------------------------------------------


def _state(here: Here, ledger: Ledger, file: Path, since: str) -> ExportData:
    from lifeos.store.bundlefile import write_state
    from lifeos.store.ledger import BRANCH

    repo = here.repo
    for ref, counts in ((here.main_ref, here.main.commit), (BRANCH, ledger.tip)):
        if repo.refs.read(ref) != counts:
            short = ref.removeprefix("refs/heads/")
            raise UsageError(
                f"{short} of this clone is not the one that counts",
                f"git pull {here.rules.config.remote} {short}, or lifeos tick; then export again",
            )
    refs = [here.main_ref, BRANCH, *_works(repo, ledger)]
    without = _without(here, since) if since else ()
    if set(without) == {ledger.tip, here.main.commit}:
        raise UsageError("there is nothing new since then", "lifeos export FILE, for all of it")
    write_state(repo, file, refs, without)
    return _written(repo, file, without, tuple(ledger.snapshot.items), answers=False)


def _works(repo: Repo, ledger: Ledger) -> Iterator[str]:
    """The references by which people look at the work of open runs."""
    from lifeos.tick.work import work_ref

    for run in ledger.snapshot.runs:
        if repo.refs.read(work_ref(run)) is not None:
            yield work_ref(run)


def _without(here: Here, since: str) -> tuple[str, ...]:
    from lifeos.cli.then import then_of

    then = then_of(here, since)
    tips = (then.ledger.tip if then.ledger else "", then.main.commit)
    return tuple(dict.fromkeys(filter(None, tips)))


def _written(
    repo: Repo, file: Path, without: tuple[str, ...], items: tuple[str, ...], *, answers: bool
) -> ExportData:
    digest = hashlib.sha256()
    with file.open("rb") as opened:
        while piece := opened.read(_PIECE):
            digest.update(piece)
    heads = repo.git.run("bundle", "list-heads", str(file.absolute())).decode("utf-8", "replace")
    named = (line.partition(" ") for line in heads.splitlines())
    return ExportData(
        file=str(file),
        bytes=file.stat().st_size,
        sha256=digest.hexdigest(),
        answers=answers,
        refs={name: oid for oid, _, name in named},
        without=without,
        items=items,
    )


# --- answers ------------------------------------------------------------------------------------


def _answers(here: Here, file: Path) -> ExportData:
    from lifeos.store.bundlefile import write_answers

    repo = here.repo
    tip = repo.refs.read(here.main_ref) or here.main.commit
    base, items = _own(here, tip)
    if not items:
        raise UsageError(
            f"{here.branch} ends with no answer that is to be taken elsewhere",
            "lifeos queue, then lifeos approve (or revise, reject)",
        )
    write_answers(repo, file, here.main_ref, tip, base)
    return _written(repo, file, (base,), items, answers=True)


def _own(here: Here, tip: str) -> tuple[str, tuple[str, ...]]:
    """What main was before the answers that it ends with, and their items, in that order."""
    from lifeos.core.answers import QUEUE, item_of
    from lifeos.store.history import changed_paths
    from lifeos.store.objects import LIFEOS

    repo, there = here.repo, _elsewhere(here)
    commit, items = repo.objects.commit(tip), []
    while commit.oid not in there and len(commit.parents) == 1:
        if LIFEOS.email in (commit.author.identity.email, commit.committer.identity.email):
            break
        paths = changed_paths(repo, commit.parents[0], commit.oid)
        item = item_of(paths[0].removeprefix(f"{QUEUE}/")) if len(paths) == 1 else None
        if item is None or not paths[0].startswith(f"{QUEUE}/"):
            break
        items.append(item)
        commit = repo.objects.commit(commit.parents[0])
    return commit.oid, tuple(dict.fromkeys(items[::-1]))


def _elsewhere(here: Here) -> set[str]:
    """What this clone has got from others, as far as it remembers."""
    refs = here.repo.refs.list("refs/remotes/")
    return {oid for name, oid in refs.items() if name.endswith(f"/{here.branch}")}


def _text(data: ExportData, here: Here) -> str:
    lines = [f"wrote {data.file}: {data.bytes:,} bytes, sha256 {data.sha256}"]
    lines += [f"  {oid[:12]}  {name}" for name, oid in data.refs.items()]
    if data.without:
        needs = ", ".join(commit[:12] for commit in data.without)
        lines.append(f"whoever reads it must have: {needs}")
    if data.answers:
        lines.append(f"answers: {', '.join(data.items)}")
        lines.append(f"next: take it there; lifeos import {data.file}; lifeos tick")
        return "\n".join(lines)
    lines.append(f"open questions: {', '.join(data.items) or 'none'}")
    if here.rules.approvals.trust is not Trust.SIGNATURE:
        trust = here.rules.approvals.trust
        lines.append(
            f"note: with trust `{trust}` an answer from elsewhere proves nothing, or is none"
        )
    if not data.without:
        lines.append(f"next: there, git clone -b {here.branch} {data.file} FOLDER (docs/airgap.md)")
    return "\n".join(lines)
