"""What looking back under other rules costs, at any age of the ledger."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from clock import calls
from lifeos.core.backtest import Departure
from lifeos.core.policy import Autonomy, Governance
from lifeos.core.state import Snapshot
from lifeos.store.entries import read_entries, replay
from lifeos.store.ledger import BRANCH, Ledger
from lifeos.store.repo import Repo
from lifeos.tick.tried import LATELY, tried
from page import Row, ms, times
from rows_past import NOT_PROMISED, lengths
from scene import Scene

ROUNDS = 2


def rows(scene: Scene) -> list[Row]:
    """A back-test of everything, and of what a question about rules looks back at."""
    counts = lengths(scene)
    wanted = {f"all {count}": partial(_tried, scene.ledger(count), None) for count in counts}
    wanted |= {f"last {count}": partial(_tried, scene.ledger(count), LATELY) for count in counts}
    wanted |= {f"state {count}": partial(_rebuild, scene.ledger(count)) for count in counts}
    best = calls(wanted, ROUNDS)
    state = best[f"state {counts[-1]}"]
    ratio = best[f"all {counts[-1]}"] / state
    return [
        Row(
            f"`backtest` of {', '.join(f'{count:,}' for count in counts)} transitions",
            NOT_PROMISED,
            ", ".join(ms(best[f"all {count}"]) for count in counts),
            None,
            "full autonomy instead of supervised, so that each run goes another way at its end;"
            f" without the start of the process. The longest is {times(ratio)} of rebuilding the"
            f" state from it ({ms(state)}). A question about rules looks at the last {LATELY:,}:"
            f" {', '.join(ms(best[f'last {count}']) for count in counts)}.",
        )
    ]


def _tried(path: Path, last: int | None) -> None:
    with Repo.open(path) as repo:
        ledger = Ledger.open(repo)
        assert ledger is not None
        found = tried(ledger, _full, last=last)
        assert {one.departure for one in found.differences} == {Departure.NOT_ASKED}, found.counts
        assert found.parted == 0


def _full(recorded: Governance) -> Governance:
    loop = recorded.loop.model_copy(update={"autonomy": Autonomy.FULL})
    return recorded.model_copy(update={"digest": "full", "loop": loop})


def _rebuild(path: Path) -> None:
    with Repo.open(path) as repo:
        tip = repo.refs.read(BRANCH)
        assert tip is not None
        replay(Snapshot(), read_entries(repo, tip))
