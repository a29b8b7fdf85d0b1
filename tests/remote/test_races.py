"""Many ticks on clones of one remote: nothing twice, nothing lost, and nearly all succeed."""

from __future__ import annotations

from pathlib import Path

import pytest

from clones import LANDS, begin_hub, end, start, tasks


def race(folder: Path, ticks: int, number: int) -> None:
    """So many ticks at once over so many tasks; then what an independent reader finds."""
    ids, backlog = tasks(number)
    hub, first = begin_hub(folder, {**LANDS, "loop.budgets.open_runs": 100}, backlog)
    first.cli("tick", "--max-tasks", "0")
    clones = [hub.clone(f"clone{n}") for n in range(ticks)]
    ended = [end(process) for process in [start(clone, "tick", "-q") for clone in clones]]
    good = sum(code == 0 for code, _ in ended)
    assert good >= 0.9 * ticks, [said for code, said in ended if code != 0]
    first.cli("tick")  # whoever was last may have left what another began
    assert hub.wrong(ids) == []
    first.cli("verify")


def test_two_ticks_at_once(tmp_path: Path) -> None:
    """Two clones share the work of four tasks."""
    race(tmp_path, 2, 4)


@pytest.mark.long
@pytest.mark.parametrize("ticks", [2, 8])
def test_ticks_over_ten_tasks(tmp_path: Path, ticks: int) -> None:
    """The same with ten tasks."""
    race(tmp_path, ticks, 10)


@pytest.mark.long
def test_fifty_ticks(tmp_path: Path) -> None:
    """Fifty clones, ten tasks."""
    race(tmp_path, 50, 10)
