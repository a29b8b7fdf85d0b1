"""``lifeos verify``: replay the ledger and check what it claims."""

from __future__ import annotations

import sys
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from lifeos.cli.cells import cell
from lifeos.cli.frame import Json, frame_of, show, show_json, table
from lifeos.cli.paint import paint
from lifeos.errors import Exit, UsageError
from lifeos.model import Frozen

if TYPE_CHECKING:
    from lifeos.store.repo import Repo
    from lifeos.tick.verify import Verified

_MOST = 50
"""Findings that are shown to people; programs get all of them."""
_MOST_OUTSIDE = 10
_NOUNS = {
    "replay": "transitions, each made by lifeos and possible where it stands",
    "stage order": "openings, claims, results and ends, in the order that the table allows",
    "decisions": "decisions, taken again by the rules of the run",
    "evidence": "artifacts, compared with the digests in the records",
    "packets": "packets: as recorded, about this ledger and this run",
    "approvals": "questions and answers, traced to who brought them",
    "rules": "adoptions, and looks at main that no other rules may stand behind",
    "budgets": "claims and openings, against what was spent and set aside",
    "protected paths": "landings, judged again by where they write",
    "landings": "landings, merged again",
    "proposals": "steps of proposals, compared, landed and measured again",
    "redactions": "redactions: ordered by approvers, and the rest proved to be what it was",
    "commits on main": "commits, told apart by what the ledger knows of them",
}
_EVERY = 97
"""Transitions between two lines of progress; odd, so that people see it move."""


class FindingData(Frozen):
    """One thing that is not as the ledger claims, the commit where, and what it is about."""

    commit: str
    what: str
    area: str


class AreaData(Frozen):
    """One area: how many things of it were looked at, findings, and what cannot be checked."""

    area: str
    checked: int
    found: int
    unchecked: tuple[str, ...] = ()


class OutsideData(Frozen):
    """A commit of main that did not come through lifeos. ``at`` in seconds UTC."""

    commit: str
    author: str
    email: str
    at: int
    subject: str


class VerifyData(Frozen):
    """``lifeos.verify/v1``: what was checked, found, and could not be checked.

    ``outside`` are the commits of main since the ledger began that did not come through lifeos,
    newest first; they and the ``notes`` are no findings.
    """

    good: bool
    tip: str
    main: str | None
    transitions: int
    decisions: int
    artifacts: int
    answers: int
    landings: int
    anchors: int
    areas: tuple[AreaData, ...] = ()
    findings: tuple[FindingData, ...] = ()
    unchecked: tuple[str, ...] = ()
    outside: tuple[OutsideData, ...] = ()
    notes: tuple[str, ...] = ()


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
        areas=tuple(
            AreaData(
                area=one.area,
                checked=one.checked,
                found=one.found,
                unchecked=tuple(what for area, what in found.unchecked if area is one.area),
            )
            for one in found.areas
        ),
        findings=tuple(
            FindingData(commit=f.commit, what=f.what, area=f.area) for f in found.findings
        ),
        unchecked=tuple(what for _, what in found.unchecked),
        outside=tuple(
            OutsideData(commit=o.commit, author=o.author, email=o.email, at=o.at, subject=o.subject)
            for o in found.outside
        ),
        notes=found.notes,
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
    rows = [
        (one.area, f"{one.checked:,}", f"{one.found:,}", _NOUNS[one.area]) for one in data.areas
    ]
    show(table(("AREA", "CHECKED", "FOUND", "OF"), rows))
    if data.unchecked:
        show("\ncannot be checked")
        for one in data.areas:
            for line in one.unchecked:
                show(f"  {one.area}: {line}")
    for note in data.notes:
        show(f"\nnote: {note}")
    if data.outside:
        show(f"\n{_outside(data)}")
    sys.stdout.write("\n")
    for finding in data.findings[:_MOST]:
        sys.stdout.write(f"{paint('FOUND', 'red', 'bold')} {paint(finding.commit, 'yellow')}\n")
        show(f"      {finding.area}: {finding.what}")
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


def _outside(data: VerifyData) -> str:
    """What did not come through lifeos: no finding, since people may write on main."""
    many = len(data.outside)
    rows = [
        (
            one.commit[:12],
            datetime.fromtimestamp(one.at, UTC).strftime("%Y-%m-%d"),
            cell(one.email, 40),
            cell(one.subject),
        )
        for one in data.outside[:_MOST_OUTSIDE]
    ]
    noun = "commit" if many == 1 else "commits"
    head = f"{many:,} {noun} on main did not come through lifeos; people may write there:"
    lines = [head, *(f"  {'  '.join(row)}" for row in rows)]
    if many > len(rows):
        lines.append(f"  ... and {many - len(rows):,} more: lifeos verify --json")
    return "\n".join(lines)
