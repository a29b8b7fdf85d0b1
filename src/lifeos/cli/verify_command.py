"""``lifeos verify``: replay the ledger and check what it claims."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from lifeos.cli.frame import Json, frame_of, show, show_json
from lifeos.cli.paint import paint
from lifeos.errors import Exit, UsageError
from lifeos.model import Frozen

if TYPE_CHECKING:
    from lifeos.store.repo import Repo
    from lifeos.tick.verify import Verified

_MOST = 50
"""Findings that are shown to people; programs get all of them."""
_EVERY = 97
"""Transitions between two lines of progress; odd, so that people see it move."""


class FindingData(Frozen):
    """One thing that is not as the ledger claims, and the commit where."""

    commit: str
    what: str


class VerifyData(Frozen):
    """``lifeos.verify/v1``: what was checked, found, and could not be checked."""

    good: bool
    tip: str
    main: str | None
    transitions: int
    decisions: int
    artifacts: int
    answers: int
    landings: int
    anchors: int
    proposals: int = 0
    findings: tuple[FindingData, ...] = ()
    unchecked: tuple[str, ...] = ()


def command(
    context: typer.Context,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")] = False,
    json: Json = False,
) -> int:
    """Replay the whole ledger and check what it claims; exit 1 if something is not so.

    Works in any full clone, also a bare one. The files are checked by `lifeos validate`, this
    machine by `lifeos doctor`.
    """
    from lifeos.store.ledger import BRANCH, SEEN
    from lifeos.tick.verify import main_of, verify_ledger

    with frame_of(context).repo() as repo:
        repo.require_complete()
        tip = repo.refs.read(BRANCH)
        if tip is None:
            _none(repo, seen=repo.refs.read(SEEN))
        main = main_of(repo, tip)
        watch = _nothing if quiet or json else _watcher()
        data = _data(tip, main, verify_ledger(repo, tip, main, watch))
        if watch is not _nothing:
            watch(-1)
    if json:
        show_json("verify", data)
    else:
        _print(data)
    return Exit.OK if data.good else Exit.FAILED


def _none(repo: Repo, *, seen: str | None) -> NoReturn:
    if seen is not None:
        from lifeos.errors import LedgerBroken

        raise LedgerBroken(
            f"the branch lifeos/ledger is gone, and this clone has seen it at {seen[:12]}",
            f"git update-ref refs/heads/lifeos/ledger {seen}",
        )
    remote = next((n for n in repo.refs.list("refs/remotes/") if n.endswith("/lifeos/ledger")), "")
    if remote:
        short = remote.removeprefix("refs/remotes/")
        raise UsageError("the ledger is not here yet", f"git branch lifeos/ledger {short}")
    raise UsageError("there is no ledger here yet", "lifeos init --commit, then lifeos tick")


def _data(tip: str, main: str | None, found: Verified) -> VerifyData:
    return VerifyData(
        good=found.good,
        tip=tip,
        main=main,
        transitions=found.transitions,
        decisions=found.decisions,
        artifacts=found.artifacts,
        answers=found.answers,
        landings=found.landings,
        anchors=found.anchors,
        proposals=found.proposals,
        findings=tuple(FindingData(commit=f.commit, what=f.what) for f in found.findings),
        unchecked=found.unchecked,
    )


def _nothing(_count: int) -> None:
    """Show no progress."""


def _watcher() -> Callable[[int], None]:
    """Progress on standard error, on one line, and only on a terminal."""
    if not sys.stderr.isatty():
        return _nothing

    def show_count(count: int) -> None:
        if count < 0:
            sys.stderr.write("\r\x1b[K")
        elif count % _EVERY == 0:
            sys.stderr.write(f"\rtransition {count}")
            sys.stderr.flush()

    return show_count


def _print(data: VerifyData) -> None:
    counts = (
        (data.transitions, "transition", "replayed"),
        (data.decisions, "decision", "taken again, with the same result"),
        (data.artifacts, "artifact", "compared with the digests in the records"),
        (data.answers, "answer", "traced to the person who brought it"),
        (data.landings, "landing", "merged again"),
        (data.anchors, "commit", "of lifeos on main looked at"),
        (data.proposals, "step", "of proposals compared, landed and measured again"),
    )
    for count, noun, what in counts:
        if count or noun == "transition":
            show(f"{count:>7} {noun}{'' if count == 1 else 's'} {what}")
    for line in data.unchecked:
        show(f"not checked: {line}")
    for finding in data.findings[:_MOST]:
        sys.stdout.write(f"{paint('FOUND', 'red', 'bold')} {paint(finding.commit, 'yellow')}\n")
        show(f"      {finding.what}")
    if data.good:
        sys.stdout.write(f"{paint('good', 'green', 'bold')}: the ledger is what it claims\n")
        return
    many = len(data.findings)
    if many > _MOST:
        show(f"      ... and {many - _MOST} more: lifeos verify --json")
    show(
        f"{many} finding{'' if many == 1 else 's'}: do not trust what was recorded from there on\n"
        f"next: git show {data.findings[0].commit[:12]}; then compare with another clone:"
        " git fetch OTHER lifeos/ledger"
    )
