"""The board as a page for people: side by side where there is room, else one below the other."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from itertools import zip_longest
from typing import TYPE_CHECKING

from lifeos.cli.cells import cell
from lifeos.cli.moments import ago
from lifeos.cli.status_page import next_step, run_standing, stopped_line
from lifeos.core.board import Card, Column
from lifeos.model import CloseOutcome, Frozen

if TYPE_CHECKING:
    from lifeos.cli.board_command import BoardData
    from lifeos.cli.status_command import StatusData

HEADINGS = {
    Column.WAITS: "BACKLOG",
    Column.READY: "READY",
    Column.RUNS: "RUNNING",
    Column.ASKS: "CEO",
    Column.BLOCKED: "BLOCKED",
    Column.DONE: "DONE",
}
"""Those that are shown with cards; what was dropped is only counted."""
MOST = 8
"""Cards that a column shows."""
_ROOMY = 110  # columns of a terminal in which six stand side by side
_ENDLESS = 200
_GAP = "  "
_TITLE, _LEAST, _NOTE = 48, 16, 32

Lines = tuple[str, str, str]
"""A card as it is shown: names, title, and what else is to be said."""


class Shown(Frozen):
    """One column as it is shown."""

    heading: str
    cards: tuple[Lines, ...] = ()
    more: int = 0


def page(data: BoardData, status: StatusData, now: float) -> str:
    """The whole page. ``now`` in seconds UTC."""
    columns = list(_columns(data, status, now))
    width = shutil.get_terminal_size((80, 24)).columns if sys.stdout.isatty() else _ENDLESS
    beside = sys.stdout.isatty() and width >= _ROOMY
    parts = [
        stopped_line(status),
        _side_by_side(columns, width) if beside else _stacked(columns, width),
        _foot(data, now),
        f"next: {next_step(status)}",
    ]
    return "\n\n".join(part for part in parts if part)


def _columns(data: BoardData, status: StatusData, now: float) -> Iterator[Shown]:
    for column, heading in HEADINGS.items():
        match column:
            case Column.DONE:
                cards = _landed(status)
            case Column.ASKS:
                cards = _asked(data)
            case Column.RUNS:
                cards = _running(data, status, now)
            case _:
                cards = [(_name(card), card.title, card.why) for card in _cards(data, column)]
        count = len(cards) if column is Column.ASKS else data.counts[column]
        shown = tuple(cards[:MOST])
        more = count - len(shown) if shown else 0
        yield Shown(heading=f"{heading} {count}", cards=shown, more=more)


def _cards(data: BoardData, column: Column) -> tuple[Card, ...]:
    return data.board.lane(column).cards


def _name(card: Card) -> str:
    return card.task or f"line {card.line}"


def _running(data: BoardData, status: StatusData, now: float) -> list[Lines]:
    """By stage, and how each stands in the status."""
    stands = {run.run: run_standing(run, now) for run in status.runs}
    return [
        (_name(card), card.title, f"{card.stage}: {stands.get(card.run, card.why)}")
        for card in _cards(data, Column.RUNS)
    ]


def _asked(data: BoardData) -> list[Lines]:
    """The open questions, and the runs that are about to ask one."""
    titles = {card.item: card.title for card in _cards(data, Column.ASKS) if card.item}
    asked = [
        (
            " ".join(filter(None, (one.item, one.task))),
            titles.get(one.item, one.question),
            f"{one.kind} (answered)" if one.answered else one.kind.value,
        )
        for one in data.waiting
    ]
    about_to = [card for card in _cards(data, Column.ASKS) if not card.item]
    return asked + [(_name(card), card.title, "about to ask") for card in about_to]


def _landed(status: StatusData) -> list[Lines]:
    """Those that landed last."""
    landed = (run for run in status.ended if run.outcome is CloseOutcome.PASS)
    return [(run.task, run.title, f"landed {run.landed[:12]}") for run in landed]


def _side_by_side(columns: list[Shown], width: int) -> str:
    each = (width - len(_GAP) * (len(columns) - 1)) // len(columns)
    rows = zip_longest(*(_lines(column, each) for column in columns), fillvalue="")
    return "\n".join(_GAP.join(part.ljust(each) for part in row).rstrip() for row in rows)


def _lines(column: Shown, width: int) -> list[str]:
    found = [column.heading, "-" * width]
    for name, title, note in column.cards:
        found += [cell(name, width), f" {cell(title, width - 1)}"]
        found += [f" {cell(note, width - 1)}", ""] if note else [""]
    return [*found, f"and {column.more} more"] if column.more else found


def _stacked(columns: list[Shown], width: int) -> str:
    cards = [card for column in columns for card in column.cards]
    names = max((len(card[0]) for card in cards), default=0)
    longest = max((len(card[1]) for card in cards), default=0)
    titles = max(_LEAST, min(_TITLE, longest, width - names - _NOTE))
    blocks = []
    for column in columns:
        lines = [column.heading]
        for name, title, note in column.cards:
            line = f"  {name:<{names}}  {cell(title, titles):<{titles}}  {cell(note, _TITLE)}"
            lines.append(line[:width].rstrip())
        lines += [f"  and {column.more} more"] if column.more else []
        blocks.append("\n".join(lines))
    return "\n".join(blocks)


def _foot(data: BoardData, now: float) -> str:
    count = data.counts[Column.DROPPED]
    dropped = f"; {count} cancelled or rejected" if count else ""
    if data.ledger is None:
        return f"{data.branch} at {data.main[:12]}; no ledger yet{dropped}"
    noun = "transition" if data.transitions == 1 else "transitions"
    return (
        f"{data.branch} at {data.main[:12]}, ledger at {data.ledger[:12]}:"
        f" {data.transitions} {noun}, the last {ago(data.at, now)}{dropped}"
    )
