"""``lifeos board``: every task in the column that it stands in."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated

import typer

from lifeos.cli.frame import Json, frame_of, show, show_json
from lifeos.cli.here import look
from lifeos.cli.status_command import Question, StatusData, status_data
from lifeos.core.board import Board, Column, board
from lifeos.core.state import Snapshot
from lifeos.errors import Exit
from lifeos.model import Frozen, Stage

if TYPE_CHECKING:
    from lifeos.cli.here import Here


class BoardData(Frozen):
    """``lifeos.board/v1``. ``ledger`` is None before the first tick; ``at`` in seconds UTC.

    A task stands in one column. ``counts`` has them all; ``running`` are those of the column
    ``runs`` by stage, and ``waiting`` the open questions, also those that are about no task.
    """

    branch: str
    main: str
    ledger: str | None
    transitions: int
    at: int
    counts: Mapping[Column, int]
    running: Mapping[Stage, int]
    board: Board
    waiting: tuple[Question, ...] = ()
    stopped: tuple[str, ...] = ()


def command(
    context: typer.Context,
    watch: Annotated[
        bool, typer.Option("--watch", "-w", help="Follow a running tick, until Ctrl-C.")
    ] = False,
    json: Json = False,
) -> int:
    """Show the board: what waits, is ready, runs, asks the CEO, is blocked, is done.

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
    """What `lifeos board` shows; ``status`` is of the same look."""
    from lifeos.cli.tasks import judged, tasks_on_main

    snapshot = here.ledger.snapshot if here.ledger else Snapshot()
    found = board(judged(here, tasks_on_main(here)), snapshot)
    stages = Counter(card.stage for card in found.lane(Column.RUNS).cards)
    return BoardData(
        branch=status.branch,
        main=status.main,
        ledger=status.ledger,
        transitions=status.transitions,
        at=status.at,
        counts={lane.column: lane.count for lane in found.lanes},
        running={stage: stages[stage] for stage in Stage},
        board=found,
        waiting=status.waiting,
        stopped=status.stopped,
    )
