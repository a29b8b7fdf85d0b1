"""The backlog as a board: every task in one column, by its run, its mark and how it ended.

The terminal and the report show this and nothing else, so that they cannot disagree.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from enum import StrEnum

from lifeos.core.backlog.entry import Mark, Task
from lifeos.core.backlog.select import Bar, Eligibility
from lifeos.core.state import Run, RunStatus, Snapshot
from lifeos.model import CloseOutcome, Frozen, Stage


class Column(StrEnum):
    """Where a task stands, in the order in which a board shows it."""

    WAITS = "waits"  # for other tasks, or for a person who marked it as started
    READY = "ready"  # a tick may open it now
    RUNS = "runs"  # a run works on it, or is paused
    ASKS = "asks"  # a run waits for the CEO
    DONE = "done"
    BLOCKED = "blocked"  # nothing happens until a person does something about it
    DROPPED = "dropped"  # cancelled, or rejected


class Card(Frozen):
    """One task on the board.

    ``why`` says what keeps it where it is ("" where the column says it all). ``run``, ``stage`` and
    ``status`` are those of its open run, ``item`` the question that it waits for.
    """

    task: str
    title: str
    priority: int | None = None
    line: int = 0
    why: str = ""
    run: str = ""
    stage: Stage | None = None
    status: RunStatus | None = None
    item: str = ""


class Lane(Frozen):
    """One column with its cards, in the order of selection."""

    column: Column
    cards: tuple[Card, ...] = ()

    @property
    def count(self) -> int:
        """How many cards it has."""
        return len(self.cards)


class Board(Frozen):
    """All columns, also the empty ones, in their order."""

    lanes: tuple[Lane, ...] = ()

    @property
    def count(self) -> int:
        """How many tasks there are."""
        return sum(lane.count for lane in self.lanes)

    def lane(self, column: Column) -> Lane:
        """One column."""
        return next(lane for lane in self.lanes if lane.column is column)


def board(judged: Iterable[Eligibility], snapshot: Snapshot) -> Board:
    """The board of the tasks that were judged, in their order.

    A task of an open run that the backlog does not have any more is there, too: its run goes on.
    """
    runs = {run.task: run for run in snapshot.runs.values()}
    lanes: dict[Column, list[Card]] = {column: [] for column in Column}
    listed = set()
    for found in judged:
        run = runs.get(found.task.id)
        if run is not None:
            listed.add(run.task)
            lanes[_column_of_run(run)].append(_card_of_run(run, found.task))
        else:
            lanes[_column(found)].append(_card(found))
    for run in runs.values():
        if run.task not in listed:
            lanes[_column_of_run(run)].append(_card_of_run(run, None))
    return Board(lanes=tuple(Lane(column=column, cards=tuple(lanes[column])) for column in Column))


def _column_of_run(run: Run) -> Column:
    asks = run.status in (RunStatus.HELD, RunStatus.ASKING)
    return Column.ASKS if asks else Column.RUNS


def _card_of_run(run: Run, task: Task | None) -> Card:
    return Card(
        task=run.task,
        title=task.title if task else run.title,
        priority=task.priority if task else None,
        line=task.line if task else 0,
        why="; ".join(_of_run(run, listed=task is not None)),
        run=run.id,
        stage=run.stage,
        status=run.status,
        item=run.item or "",
    )


def _of_run(run: Run, *, listed: bool) -> Iterator[str]:
    if run.item:
        yield f"waits for an answer to {run.item}"
    elif run.status is RunStatus.PAUSED:
        yield f"paused at {run.stage}"
    else:
        yield f"at {run.stage}"
    if not listed:
        yield "not in the backlog any more"


def _column(found: Eligibility) -> Column:
    """Where a task without an open run stands. What may be opened is ready, however it ended."""
    match found.bar:
        case None:
            return Column.READY
        case Bar.ERROR:
            return Column.BLOCKED
        case Bar.MARKED:
            return _OF_MARK[found.task.mark]
        case Bar.ENDED:
            return _OF_END[found.ended]
        case Bar.RUNNING | Bar.DEPENDS | Bar.OVERLAPS:
            return Column.WAITS


_OF_MARK = {
    Mark.OPEN: Column.WAITS,
    Mark.STARTED: Column.WAITS,
    Mark.DONE: Column.DONE,
    Mark.BLOCKED: Column.BLOCKED,
    Mark.CANCELLED: Column.DROPPED,
}
_OF_END = {
    None: Column.BLOCKED,
    CloseOutcome.PASS: Column.BLOCKED,  # taken back since: a person says when it is tried again
    CloseOutcome.BLOCKED: Column.BLOCKED,
    CloseOutcome.REJECTED: Column.DROPPED,
    CloseOutcome.CANCELLED: Column.DROPPED,
}


def _card(found: Eligibility) -> Card:
    task = found.task
    plain = found.eligible or task.mark in (Mark.DONE, Mark.CANCELLED)
    return Card(
        task=task.id,
        title=task.title,
        priority=task.priority,
        line=task.line,
        why="" if plain else found.reason,
    )
