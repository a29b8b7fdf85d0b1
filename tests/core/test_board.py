"""The board: every task is in exactly one column, and the column follows from what is so."""

from __future__ import annotations

import pytest

from lifeos.core.backlog.parse import parse
from lifeos.core.backlog.select import Closed, OpenRun, explain
from lifeos.core.board import Board, Column, board
from lifeos.core.state import Run, RunStatus, Snapshot
from lifeos.model import CloseOutcome, Stage


def run(task: str, status: RunStatus = RunStatus.READY, **more: object) -> Run:
    known: dict[str, object] = {
        "id": f"R-{task}",
        "task": task,
        "title": f"Title of {task}",
        "task_digest": "0" * 64,
        "ordinal": 1,
        "opened_seq": 1,
        "opened_at": 1,
        "base": "0" * 40,
        "governance": "0" * 64,
        "status": status,
    }
    return Run.model_validate(known | more)


def shown(text: str, *runs: Run, **ends: CloseOutcome) -> Board:
    backlog = parse(text.encode())
    closed = {}
    for name, outcome in ends.items():
        task = backlog.task(name.replace("_", "-"))
        assert task is not None
        closed[task.id] = Closed(task.id, outcome, task.digest)
    # Apart from each other, so that only what a test is about keeps a task from being started.
    open_runs = [OpenRun(one.task, ("elsewhere/**",)) for one in runs]
    judged = explain(backlog, closed, open_runs)
    return board(judged, Snapshot(runs={one.id: one for one in runs}))


def column_of(found: Board, title: str) -> Column:
    (column,) = [
        lane.column for lane in found.lanes for card in lane.cards if card.title.startswith(title)
    ]
    return column


@pytest.mark.parametrize(
    ("entry", "column", "why"),
    [
        ("- [ ] **LO-1** a\n  - scope: `a/**`", Column.READY, ""),
        ("- [x] **LO-1** a", Column.DONE, ""),
        ("- [-] **LO-1** a", Column.DROPPED, ""),
        ("- [!] **LO-1** a", Column.BLOCKED, "is marked as blocked [!]"),
        ("- [/] **LO-1** a", Column.WAITS, "is marked as started by a person [/]"),
        ("- [ ] **LO-1** a\n  - depends: LO-2\n- [ ] **LO-2** b", Column.WAITS, "waits for LO-2"),
        ("- [ ] **LO-1** a\n  - risk: perhaps", Column.BLOCKED, "has an error"),
    ],
)
def test_without_a_run_the_entry_decides(entry: str, column: Column, why: str) -> None:
    found = shown(f"{entry}\n")
    assert column_of(found, "a") is column
    assert found.lane(column).cards[0].why.startswith(why)
    assert bool(found.lane(column).cards[0].why) == bool(why)


@pytest.mark.parametrize(
    ("outcome", "column"),
    [
        (CloseOutcome.BLOCKED, Column.BLOCKED),
        (CloseOutcome.REJECTED, Column.DROPPED),
        (CloseOutcome.CANCELLED, Column.DROPPED),
        (CloseOutcome.PASS, Column.BLOCKED),
    ],
)
def test_an_open_box_stands_where_its_last_run_left_it(
    outcome: CloseOutcome, column: Column
) -> None:
    """Also the one that passed: its work was taken back, and nothing goes on by itself."""
    assert column_of(shown("- [ ] **LO-1** a\n", LO_1=outcome), "a") is column


@pytest.mark.parametrize("status", RunStatus)
def test_an_open_run_decides_whatever_the_box_says(status: RunStatus) -> None:
    asks = status in (RunStatus.HELD, RunStatus.ASKING)
    for mark in " x/!-":
        found = shown(f"- [{mark}] **LO-1** a\n", run("LO-1", status, stage=Stage.BUILD))
        column = Column.ASKS if asks else Column.RUNS
        assert column_of(found, "a") is column
        (card,) = found.lane(column).cards
        assert (card.run, card.stage, card.status) == ("R-LO-1", Stage.BUILD, status)
        assert found.count == 1


def test_a_question_is_named_on_its_card() -> None:
    found = shown("- [ ] **LO-1** a\n", run("LO-1", RunStatus.HELD, item="Q-1"))
    (card,) = found.lane(Column.ASKS).cards
    assert (card.item, card.why) == ("Q-1", "waits for an answer to Q-1")


def test_a_run_whose_task_is_gone_is_still_there() -> None:
    found = shown("- [ ] **LO-1** a\n", run("LO-9"))
    (card,) = found.lane(Column.RUNS).cards
    assert (card.task, card.title) == ("LO-9", "Title of LO-9")
    assert "not in the backlog" in card.why


def test_every_task_is_there_once_in_the_order_of_selection() -> None:
    text = "## P1\n- [ ] c\n  - scope: `c`\n- [x] d\n## P0\n- [ ] a\n  - scope: `a`\n- [!] b\n"
    found = shown(text, run("LO-9"))
    assert found.count == 5
    assert [card.title for card in found.lane(Column.READY).cards] == ["a", "c"]
    assert [lane.column for lane in found.lanes] == list(Column)


def test_nothing_gives_empty_columns() -> None:
    found = board((), Snapshot())
    assert [lane.count for lane in found.lanes] == [0] * len(Column)
