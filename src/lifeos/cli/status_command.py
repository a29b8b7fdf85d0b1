"""``lifeos status``: what runs, what waits, and on whom."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated

import typer

from lifeos.cli.at import At
from lifeos.cli.frame import Json, frame_of, show, show_json
from lifeos.cli.tasks import FileProblem
from lifeos.cli.then import look_then
from lifeos.cli.uncommitted import Uncommitted, uncommitted
from lifeos.core.state import RunStatus, Wake
from lifeos.errors import Exit, UsageError
from lifeos.model import CloseOutcome, Frozen, ItemKind, Stage
from lifeos.store.trees import lookup

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lifeos.cli.frame import Frame
    from lifeos.cli.here import Here
    from lifeos.core.state import Run
    from lifeos.store.ledger import Ledger

ENDED = 5
"""Ended runs that are shown."""


class Running(Frozen):
    """An open run. ``estimated``: nobody told some of its cost. ``cut_off``: its worker is gone,
    and the next tick will take it up.
    """

    run: str
    task: str
    title: str
    stage: Stage
    status: RunStatus
    attempts: int
    cost: float
    estimated: bool = False
    item: str | None = None
    wake: Wake | None = None
    cut_off: bool = False


class Question(Frozen):
    """An open item. Times are seconds UTC. ``answered``: an answer's file is on main."""

    item: str
    kind: ItemKind
    task: str | None
    question: str
    opened: int
    expires: int | None
    answered: bool
    pull: str = ""


class EndedRun(Frozen):
    """A run that ended, newest first; ``landed`` is the commit on main."""

    run: str
    task: str
    title: str
    outcome: CloseOutcome
    landed: str
    at: int


class Money(Frozen):
    """US dollars spent in this UTC day and month, reserved by open claims, and the limits.

    ``estimated``: some of this month's is what lifeos thinks, since no price is known.
    """

    today: float = 0.0
    month: float = 0.0
    estimated: bool = False
    reserved: float = 0.0
    today_limit: float
    month_limit: float


class Rules(Frozen):
    """The adopted set, and main's: the same, another one, or broken (with its problems)."""

    adopted: str
    on_main: str
    state: str
    problems: tuple[FileProblem, ...] = ()


class StatusData(Frozen):
    """``lifeos.status/v1``. ``ledger`` is None before the first tick.

    ``main`` is the main that counts; with a remote, its main as this clone last saw it, and
    ``not_pushed`` and ``behind`` are the commits that only this clone's main has, or lacks.
    ``untold`` is why people could not be told by ``notify:`` when it was last tried.
    ``past``: it is as it was after the transition ``ledger``, and what only now is known (workers,
    STOP in a work tree, what is not committed or not pushed) is left out.
    """

    branch: str
    main: str
    remote: str
    not_pushed: int = 0
    behind: int = 0
    ledger: str | None
    transitions: int
    at: int
    waiting: tuple[Question, ...] = ()
    runs: tuple[Running, ...] = ()
    ended: tuple[EndedRun, ...] = ()
    stopped: tuple[str, ...] = ()
    spend: Money
    rules: Rules
    uncommitted: Uncommitted
    untold: tuple[str, ...] = ()
    past: bool = False


def command(
    context: typer.Context,
    exit_code: Annotated[
        bool, typer.Option("--exit-code", help="Exit 8 when a person is waited for, else 0.")
    ] = False,
    watch: Annotated[
        bool, typer.Option("--watch", "-w", help="Follow a running tick, until Ctrl-C.")
    ] = False,
    at: At = "",
    json: Json = False,
) -> int:
    """Show what runs, what waits for the CEO, and what is not committed; nothing is changed."""
    frame = frame_of(context)
    if watch and at:
        raise UsageError("what was at a time does not change", "give --watch or --at")
    if watch:
        return _followed(frame, json=json)
    with look_then(frame, at) as here:
        data = status_data(here)
    if json:
        show_json("status", data)
    else:
        from lifeos.cli.status_page import page

        show(page(data, data.at if data.past else time.time()))
    asked = any(not question.answered for question in data.waiting)
    return Exit.WAITING if exit_code and asked else Exit.OK


def _followed(frame: Frame, *, json: bool) -> int:
    """The page again and again, until Ctrl-C."""
    from lifeos.cli.status_page import page
    from lifeos.cli.watching import Seen, follow

    def seen() -> Seen:
        with look_then(frame, "") as here:
            data = status_data(here)
        return Seen(data, lambda: page(data, time.time()))

    return follow(frame, seen, json=json)


def status_data(here: Here) -> StatusData:
    """What `lifeos status` shows."""
    ledger = here.ledger
    snapshot = ledger.snapshot if ledger else None
    not_pushed, behind = _apart(here)
    return StatusData(
        branch=here.branch,
        main=here.main.commit,
        remote=here.rules.config.remote,
        not_pushed=not_pushed,
        behind=behind,
        ledger=ledger.tip if ledger else None,
        transitions=snapshot.seq if snapshot else 0,
        at=snapshot.at if snapshot else 0,
        waiting=_questions(here),
        runs=tuple(_running(run, here) for run in snapshot.runs.values()) if snapshot else (),
        ended=tuple(_ended(ledger)) if ledger else (),
        stopped=stops(here),
        spend=_spend(here),
        rules=_rules(here),
        uncommitted=Uncommitted(branch=here.branch) if here.past else uncommitted(here),
        untold=() if here.past else _untold(here),
        past=here.past,
    )


def _untold(here: Here) -> tuple[str, ...]:
    """Why the channels of the rules that failed last did so."""
    channels = here.rules.config.notify.channels
    if not channels:
        return ()
    from lifeos.notify import read_note

    note = read_note(here.repo.private_dir)
    told = note.channels if note else {}
    return tuple(told[name].problem for name in channels if name in told and told[name].problem)


def _apart(here: Here) -> tuple[int, int]:
    """How many commits this clone's own main has more, and less, than the one that counts."""
    mine = None if here.past else here.repo.refs.read(here.main_ref)
    if mine is None or mine == here.main.commit:
        return 0, 0
    span = f"{mine}...{here.main.commit}"
    out = here.repo.git.run("rev-list", "--left-right", "--count", "--end-of-options", span)
    more, less = out.split()
    return int(more), int(less)


def _questions(here: Here) -> tuple[Question, ...]:
    from lifeos.core.answers import item_of
    from lifeos.tick.reading import queue_files

    if here.ledger is None or not here.ledger.snapshot.items:
        return ()
    snapshot = here.ledger.snapshot
    answered = {item_of(name) for name in queue_files(here.repo, here.main.tree)}
    found = []
    for item in sorted(snapshot.items.values(), key=lambda item: item.opened_at):
        run = snapshot.runs.get(item.run or "")
        found.append(
            Question(
                item=item.id,
                kind=item.kind,
                task=run.task if run else None,
                question=item.question,
                opened=item.opened_at,
                expires=item.expires_at,
                answered=item.id in answered,
                pull=item.pull.url if item.pull else "",
            )
        )
    return tuple(found)


def _running(run: Run, here: Here) -> Running:
    return Running(
        run=run.id,
        task=run.task,
        title=run.title,
        stage=run.stage,
        status=run.status,
        attempts=run.attempts,
        cost=run.usage.cost,
        estimated=run.usage.estimated,
        item=run.item,
        wake=run.wake,
        cut_off=not here.past and cut_off(run),
    )


def cut_off(run: Run) -> bool:
    """Whether the worker of the attempt under way is provably gone."""
    if run.claim is None:
        return False
    from lifeos.store.lock import Owner, owner_is_dead

    owner = Owner.parse(run.claim.worker)
    return owner is not None and owner_is_dead(owner) is True


def _ended(ledger: Ledger) -> Iterator[EndedRun]:
    """The runs that ended last, found in the last transitions; task and title from their packet."""
    from itertools import islice

    from lifeos.cli.history import recent
    from lifeos.core.records import Closed
    from lifeos.tick.ended import named

    closed = (record for record in recent(ledger) if isinstance(record, Closed))
    for record in islice(closed, ENDED):
        task, title = named(ledger, record.run)
        yield EndedRun(
            run=record.run,
            task=task,
            title=title,
            outcome=record.outcome,
            landed=record.landed,
            at=record.at,
        )


def stops(here: Here) -> tuple[str, ...]:
    """Where the kill switch is set: "main", "ledger", or the path of its file."""
    from lifeos.cli.switch import is_set, stop_files
    from lifeos.tick.reading import STOP

    files = () if here.past else stop_files(here.repo)
    found = [str(path) for path in files if is_set(path)]
    if lookup(here.repo.objects, here.main.tree, STOP):
        found.insert(0, "main")
    if not found and here.ledger is not None and here.ledger.snapshot.stop:
        found.append("ledger")
    return tuple(found)


def _spend(here: Here) -> Money:
    from lifeos.core.spend import add_spend
    from lifeos.core.state import Spend

    budgets = here.rules.loop.budgets
    snapshot = here.ledger.snapshot if here.ledger else None
    now = snapshot.at if snapshot and here.past else int(time.time())
    spend = add_spend(snapshot.spend if snapshot else Spend(), now, 0.0)
    return Money(
        today=spend.day_cost,
        month=spend.month_cost,
        estimated=spend.month_estimated,
        reserved=snapshot.reserved if snapshot else 0.0,
        today_limit=budgets.cost_per_day,
        month_limit=budgets.cost_per_month,
    )


def _rules(here: Here) -> Rules:
    """Main's set against the adopted one; only another one is read, to see whether it is broken."""
    from lifeos.cli.tasks import as_data
    from lifeos.governance import governance_digest, load_set
    from lifeos.tick.reading import governance_files

    adopted = here.rules.digest
    files = governance_files(here.repo, here.main.tree)
    on_main = governance_digest(files)
    if on_main == adopted:
        return Rules(adopted=adopted, on_main=on_main, state="adopted")
    problems = load_set(files).problems
    return Rules(
        adopted=adopted,
        on_main=on_main,
        state="broken" if problems else "differs",
        problems=tuple(as_data(problem) for problem in problems),
    )
