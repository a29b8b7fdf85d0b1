"""The board as a page for people: side by side where there is room, else one below the other."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from itertools import zip_longest
from typing import TYPE_CHECKING

from lifeos.cli.board_command import BACKLOG, BLOCKED, CANCELLED, CEO, DONE, READY
from lifeos.cli.cells import cell
from lifeos.cli.moments import ago
from lifeos.cli.status_page import next_step, run_standing, stopped_line
from lifeos.model import Frozen, Stage

if TYPE_CHECKING:
    from lifeos.cli.board_command import BoardData, Card
    from lifeos.cli.status_command import StatusData

RUNNING = "running"
ORDER = (BACKLOG, READY, RUNNING, CEO, BLOCKED, DONE)
MOST = 8
"""Cards that a column shows."""
_ROOMY = 110  # columns of a terminal in which six stand side by side
_GAP = "  "
_TITLE = 48


class Shown(Frozen):
    """One column as it is shown: its heading, and two or three lines for each card."""

    heading: str
    cards: tuple[tuple[str, ...], ...] = ()
    more: int = 0


def page(data: BoardData, status: StatusData, now: float) -> str:
    """The whole page."""
    columns = list(_columns(data, status, now))
    width = shutil.get_terminal_size((80, 24)).columns if sys.stdout.isatty() else 0
    parts = [
        stopped_line(status),
        _side_by_side(columns, width) if width >= _ROOMY else _stacked(columns, width or 200),
        _foot(data, now),
        f"next: {next_step(status)}",
    ]
    return "\n\n".join(part for part in parts if part)


def _columns(data: BoardData, status: StatusData, now: float) -> Iterator[Shown]:
    """Six columns; what runs is one, with the stage on each card."""
    named = {column.name: column for column in data.columns}
    stands = {run.run: run_standing(run, now) for run in status.runs}
    running = [
        (card, f"{stage}: {stands[card.run]}") for stage in Stage for card in named[stage].cards
    ]
    for name in ORDER:
        cards = running if name == RUNNING else [(one, one.note) for one in named[name].cards]
        count = len(cards) if name == RUNNING else named[name].count
        shown = tuple(_card(card, note) for card, note in cards[:MOST])
        more = count - len(shown) if shown else 0
        yield Shown(heading=f"{name.upper()} {count}", cards=shown, more=more)


def _card(card: Card, note: str) -> tuple[str, ...]:
    name = " ".join(filter(None, (card.item, card.task))) or "(no id yet)"
    return (name, card.title, note)


def _side_by_side(columns: list[Shown], width: int) -> str:
    each = (width - len(_GAP) * (len(columns) - 1)) // len(columns)
    lines = [_lines(column, each) for column in columns]
    rows = [
        _GAP.join(part.ljust(each) for part in row).rstrip()
        for row in zip_longest(*lines, fillvalue="")
    ]
    return "\n".join(rows)


def _lines(column: Shown, width: int) -> list[str]:
    found = [column.heading, "-" * width]
    for name, title, note in column.cards:
        found += [cell(name, width), f" {cell(title, width - 1)}"]
        found += [f" {cell(note, width - 1)}", ""] if note else [""]
    if column.more:
        found.append(f"and {column.more} more")
    return found


def _stacked(columns: list[Shown], width: int) -> str:
    cards = [card for column in columns for card in column.cards]
    names = max((len(card[0]) for card in cards), default=0)
    titles = min(_TITLE, max((len(card[1]) for card in cards), default=0))
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
    cancelled = next(column.count for column in data.columns if column.name == CANCELLED)
    dropped = f"; {cancelled} cancelled" if cancelled else ""
    if data.ledger is None:
        return f"{data.branch} at {data.main[:12]}; no ledger yet{dropped}"
    noun = "transition" if data.transitions == 1 else "transitions"
    return (
        f"{data.branch} at {data.main[:12]}, ledger at {data.ledger[:12]}:"
        f" {data.transitions} {noun}, the last {ago(data.at, now)}{dropped}"
    )
