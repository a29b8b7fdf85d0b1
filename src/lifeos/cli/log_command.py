"""``lifeos log``: the story of the project, one line a transition."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from datetime import datetime
from itertools import islice
from typing import TYPE_CHECKING, Annotated

import typer

from lifeos.cli.frame import Json, frame_of, progress, show, show_json
from lifeos.cli.paint import paint
from lifeos.model import Frozen

if TYPE_CHECKING:
    from lifeos.core.records import AnyRecord
    from lifeos.store.entries import Entry
    from lifeos.store.ledger import Ledger

DEFAULT = 30
_SHORT = 7


class Transition(Frozen):
    """One transition. ``at`` in seconds UTC; ``details`` are the lines that --verbose shows."""

    commit: str
    seq: int
    at: int
    kind: str
    run: str | None
    subject: str
    details: tuple[str, ...] = ()


class LogData(Frozen):
    """``lifeos.log/v1``: in the order asked for. ``more``: older ones were left out."""

    transitions: tuple[Transition, ...] = ()
    more: bool = False


def command(
    context: typer.Context,
    number: Annotated[
        int, typer.Option("-n", min=0, help="At most so many; 0 for all.", metavar="N")
    ] = DEFAULT,
    run: Annotated[str, typer.Option(help="Only this run.", metavar="RUN")] = "",
    task: Annotated[str, typer.Option(help="Only the runs of this task.", metavar="ID")] = "",
    verbose: Annotated[
        bool, typer.Option("--verbose/--oneline", "-v", help="Rule, message and comment too.")
    ] = False,
    reverse: Annotated[bool, typer.Option("--reverse", help="Oldest first.")] = False,
    json: Json = False,
) -> int:
    """Show the story of the project, newest first: one line a transition."""
    frame = frame_of(context)
    with frame.repo() as repo:
        found = _chosen(frame.ledger(repo), run, task)
        if json or reverse:
            data = _collected(found, number, reverse=reverse)
            if json:
                show_json("log", data)
            else:
                _print(data.transitions, verbose=verbose)
            return 0
        shown = (transition_of(entry) for entry in found)
        _print(islice(shown, number or None), verbose=verbose)
        if number and next(shown, None) is not None:
            progress(f"(there is more: lifeos log -n {number * 4}, or -n 0 for all)")
    return 0


def _chosen(ledger: Ledger, run: str, task: str) -> Iterator[Entry]:
    """The transitions asked for, newest first."""
    from lifeos.cli.find import Missing, find_run, runs_of_task
    from lifeos.store.story import about, newest

    if run:
        return about(ledger.repo, ledger.tip, [find_run(ledger, run)])
    if task:
        runs = runs_of_task(ledger, task)
        found = about(ledger.repo, ledger.tip, runs, task)
        first = next(found, None)
        if first is None:
            raise Missing(task, "task")
        return _with(first, found)
    return newest(ledger.repo, ledger.tip)


def _with(first: Entry, rest: Iterator[Entry]) -> Iterator[Entry]:
    yield first
    yield from rest


def _collected(found: Iterator[Entry], number: int, *, reverse: bool) -> LogData:
    shown = (transition_of(entry) for entry in found)
    transitions = tuple(islice(shown, number or None))
    more = bool(number) and next(shown, None) is not None
    return LogData(transitions=transitions[::-1] if reverse else transitions, more=more)


def _print(transitions: Iterable[Transition], *, verbose: bool) -> None:
    some = False
    for one in transitions:
        some = True
        sys.stdout.write(f"{line_of(one)}\n")
        if verbose:
            for line in one.details:
                sys.stdout.write(f"    {paint(line)}\n")
    if not some:
        show("nothing has happened yet; next: lifeos tick")


def line_of(one: Transition) -> str:
    """One transition in a line, painted."""
    when = datetime.fromtimestamp(one.at).astimezone().strftime("%Y-%m-%d %H:%M:%S")
    head = f"{paint(when, 'dim')}  {paint(one.commit[:_SHORT], 'yellow')}"
    return f"{head}  {paint(one.subject)}"


def transition_of(entry: Entry) -> Transition:
    """One transition for people and programs."""
    from lifeos.core.clean import one_line
    from lifeos.core.records import subject

    record = entry.record
    return Transition(
        commit=entry.commit,
        seq=entry.seq,
        at=record.at,
        kind=record.kind,
        run=getattr(record, "run", None),
        subject=one_line(subject(record)),
        details=tuple(one_line(line, 500) for line in _details(record) if line),
    )


def _details(record: AnyRecord) -> Iterator[str]:
    from lifeos.core.records import Claimed, Closed, Finished, Held, Noted, Opened, Resolved

    match record:
        case Opened():
            yield f"base {record.base}"
            yield f"scope: {', '.join(record.scope)}" if record.scope else ""
        case Claimed():
            yield f"worker {record.worker}"
        case Finished():
            yield f"rule: {record.rule}"
            if record.facts:
                yield record.facts.message
                yield ", ".join(f"{check.name} {check.status}" for check in record.facts.checks)
                yield from (f"{b.kind}: {b.path} {b.message}" for b in record.facts.breaches)
        case Held():
            yield f"asks: {record.question} (rule {record.rule})"
        case Resolved():
            yield f"comment: {record.comment}" if record.comment else ""
            yield f"in commit {record.commit}" if record.commit else ""
        case Closed():
            yield f"landed {record.landed}" if record.landed else ""
            yield f"reason: {record.reason}" if record.reason else ""
        case Noted():
            yield f"commit {record.commit}" if record.commit else ""
            yield f"by {record.who}" if record.who else ""
            yield record.text if record.topic != "genesis" else ""
