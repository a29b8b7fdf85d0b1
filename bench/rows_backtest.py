"""What looking back under other rules costs, at any age of the ledger."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from clock import once
from lifeos.core.backtest import Departure
from lifeos.core.policy import Autonomy, Governance
from lifeos.core.state import Snapshot
from lifeos.store.entries import read_entries, replay
from lifeos.store.ledger import BRANCH, Ledger
from lifeos.store.repo import Repo
from lifeos.tick.tried import LATELY, tried
from page import Row, ms, times
from scene import Scene


def rows(scene: Scene) -> list[Row]:
    """A back-test of everything, and of what a question about rules looks back at."""
    lengths = sorted(
        {scene.size.short, (scene.size.short * scene.size.long) ** 0.5, scene.size.long}
    )
    return [*(_whole(scene, round(length)) for length in lengths), _lately(scene)]


def _whole(scene: Scene, length: int) -> Row:
    path = scene.ledger(length)
    found = once(lambda: _tried(path, None))
    rebuilt = once(lambda: _rebuild(path))
    return Row(
        f"back-test of all {length:,} transitions",
        "(no figure is promised)",
        f"{ms(found)}, {times(found / rebuilt)} of rebuilding the state",
        None,
        "full autonomy instead of supervised, so that each run goes another way at its end.",
    )


def _lately(scene: Scene) -> Row:
    short, long = (
        once(partial(_tried, scene.ledger(length), LATELY))
        for length in (scene.size.short, scene.size.long)
    )
    return Row(
        f"back-test of the last {LATELY:,} transitions, at {scene.size.long:,}",
        "(no figure is promised)",
        ms(long),
        None,
        f"this is in a question about rules, for whoever answers it; with all of"
        f" {scene.size.short:,} transitions {ms(short)}.",
    )


def _tried(path: Path, last: int | None) -> None:
    with Repo.open(path) as repo:
        ledger = Ledger.open(repo)
        assert ledger is not None
        found = tried(ledger, _full, last=last)
        kinds = {one.departure for one in found.differences}
        assert kinds == {Departure.NOT_ASKED}, found.counts
        assert found.parted == 0


def _full(recorded: Governance) -> Governance:
    loop = recorded.loop.model_copy(update={"autonomy": Autonomy.FULL})
    return recorded.model_copy(update={"digest": "full", "loop": loop})


def _rebuild(path: Path) -> None:
    with Repo.open(path) as repo:
        tip = repo.refs.read(BRANCH)
        assert tip is not None
        replay(Snapshot(), read_entries(repo, tip))
