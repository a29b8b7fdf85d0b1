"""``lifeos board``: every task in the column that it stands in."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated

import typer

from lifeos.cli.frame import Json, frame_of, show, show_json
from lifeos.cli.here import look
from lifeos.cli.standing import run_of, standing
from lifeos.cli.status_command import StatusData, status_data
from lifeos.cli.tasks import judged, tasks_on_main
from lifeos.core.state import RunStatus
from lifeos.errors import Exit
from lifeos.model import CloseOutcome, Frozen, Stage

if TYPE_CHECKING:
    from lifeos.cli.here import Here
    from lifeos.cli.status_command import Running

BACKLOG, READY, CEO, BLOCKED = "backlog", "ready", "ceo", "blocked"
DONE, CANCELLED = "done", "cancelled"
_COLUMNS = {"ready": READY, "done": DONE, "cancelled": CANCELLED, "blocked": BLOCKED}


class Card(Frozen):
    """A task in its column. ``note`` is why it waits, how its run stands, or what is asked."""

    task: str
    title: str
    run: str = ""
    item: str = ""
    note: str = ""


class Column(Frozen):
    """A column by name: backlog, ready, a stage, ceo, blocked, done or cancelled.

    ``count`` is how many stand in it. Of those that are done only the last that landed have cards.
    """

    name: str
    count: int
    cards: tuple[Card, ...] = ()


class BoardData(Frozen):
    """``lifeos.board/v1``. ``ledger`` is None before the first tick; ``at`` in seconds UTC.

    A task stands in one column. Those of ``ceo`` are the open questions, also without a task.
    """

    branch: str
    main: str
    ledger: str | None
    transitions: int
    at: int
    columns: tuple[Column, ...]
    stopped: tuple[str, ...] = ()


def command(
    context: typer.Context,
    watch: Annotated[
        bool, typer.Option("--watch", "-w", help="Follow a running tick, until Ctrl-C.")
    ] = False,
    json: Json = False,
) -> int:
    """Show the board: backlog, ready, each stage, what waits for the CEO, blocked, done.

    It says what `lifeos status` and `lifeos backlog list` say, side by side; nothing is changed.
    """
    from lifeos.cli.board_page import page

    frame = frame_of(context)
    if watch:
        from lifeos.cli.watching import Seen, follow

        def seen() -> Seen:
            with look(frame) as here:
                status = status_data(here)
                data = board_data(here, status)
            return Seen(status, lambda: page(data, status, time.time()))

        return follow(frame, seen, json=json)
    with look(frame) as here:
        status = status_data(here)
        data = board_data(here, status)
    if json:
        show_json("board", data)
    else:
        show(page(data, status, time.time()))
    return Exit.OK


def board_data(here: Here, status: StatusData) -> BoardData:
    """What `lifeos board` shows."""
    columns: dict[str, list[Card]] = {
        name: [] for name in (BACKLOG, READY, *Stage, CEO, BLOCKED, DONE, CANCELLED)
    }
    titles = {run.task: run.title for run in status.runs}
    for run in status.runs:
        if run.status is not RunStatus.HELD:
            columns[run.stage].append(_of_run(run))
    for asked in status.waiting:
        task = asked.task or ""
        note = f"{asked.kind} answered" if asked.answered else asked.kind.value
        title = titles.get(task, asked.question)
        columns[CEO].append(Card(task=task, title=title, item=asked.item, note=note))
    tasks = tasks_on_main(here)
    for found in judged(here, tasks):
        task_ = tasks.named(found.task)
        if run_of(here, task_.id) is None:
            word, why = standing(here, found)
            ended = why.startswith("ended ")  # and somebody took its mark away
            name = _COLUMNS.get(word, BLOCKED if ended else BACKLOG)
            columns[name].append(Card(task=task_.id, title=task_.title, note=why))
    return BoardData(
        branch=status.branch,
        main=status.main,
        ledger=status.ledger,
        transitions=status.transitions,
        at=status.at,
        columns=tuple(_column(name, cards, status) for name, cards in columns.items()),
        stopped=status.stopped,
    )


def _of_run(run: Running) -> Card:
    note = "cut off" if run.cut_off else run.status.value
    return Card(task=run.task, title=run.title, run=run.run, note=note)


def _column(name: str, cards: list[Card], status: StatusData) -> Column:
    if name != DONE:
        return Column(name=name, count=len(cards), cards=tuple(cards))
    landed = tuple(
        Card(task=one.task, title=one.title, run=one.run, note=one.landed[:12])
        for one in status.ended
        if one.outcome is CloseOutcome.PASS
    )
    return Column(name=name, count=len(cards), cards=landed)
