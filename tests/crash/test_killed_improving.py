"""Kill a tick between an approved proposal and its landing: the next one finishes it, once."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterable
from functools import partial
from pathlib import Path

import pytest

from crash_driver import Sequence, Trace, copy, in_child, sample, tick
from improve_scene import LOOP, RULE, Improving, improving
from lifeos.core.records import Topic

LOW = "    risk: medium"


def _approved(folder: Path) -> Improving:
    """A proposal was approved on main, and no tick has seen the answer."""
    scene = improving(folder)
    scene.past(10, RULE)
    scene.propose()
    (item,) = scene.proposals
    scene.commit(scene.answer(item=item))
    return scene


def _failed(folder: Path) -> Improving:
    """It has landed, and its window is over without its metric holding."""
    scene = _approved(folder)
    scene.tick()
    scene.past(20, RULE)
    return scene


def events_of(scene: Improving, place: Path) -> list[str]:
    """The events of a whole tick, which nobody kills."""
    folder = copy(scene.folder, place / "whole")

    def work() -> str:
        trace = Trace()
        tick(folder, trace, Sequence(scene.now + 100, "w"))
        return json.dumps(trace.names)

    status, said = in_child(work, place / "whole.log")
    assert status == 0, said
    found: list[str] = json.loads(said)
    return found


def killed(scene: Improving, place: Path, point: int) -> Improving:
    """A copy in which a tick was killed at this event, and the next one went to its end."""
    place.mkdir()
    folder = copy(scene.folder, place / "repo")
    first = partial(tick, folder, Trace(point), Sequence(scene.now + 100, "k"))
    status, said = in_child(first, place / "killed.log")
    assert status == -signal.SIGKILL, said
    second = partial(tick, folder, Trace(), Sequence(scene.now + 200, "n"))
    status, said = in_child(second, place / "next.log")
    assert status == 0, said
    assert not list((folder / ".git").glob("*.lock"))
    return Improving(folder, scene.now + 1000, 1000)


def landed_once(scene: Improving, place: Path, points: Iterable[int]) -> None:
    """One commit, one note that it landed, its rules adopted, and nothing asked."""
    for point in points:
        left = killed(scene, place / str(point), point)
        assert left.at_main(LOOP).count(LOW) == 1, point
        assert len(left.landings()) == 1, point
        (landed,) = left.notes(Topic.LANDED)
        assert left.snapshot().governance == landed.digest, point
        assert left.snapshot().items == {}, point
        assert left.findings() == [], point


def asked_once(scene: Improving, place: Path, points: Iterable[int]) -> None:
    """Measured once, and one question about taking it back."""
    for point in points:
        left = killed(scene, place / str(point), point)
        assert len(left.notes(Topic.MEASURED)) == 1, point
        assert [item.rule for item in left.proposals] == ["improve:revert"], point
        assert left.findings() == [], point


def test_killed_on_the_way_to_main(tmp_path: Path) -> None:
    """A few points, evenly spaced over the tick."""
    scene = _approved(tmp_path / "scene")
    count = len(events_of(scene, tmp_path))
    landed_once(scene, tmp_path, range(count // 4, count, count // 4))


@pytest.mark.long
def test_killed_on_the_way_to_the_revert(tmp_path: Path) -> None:
    """The same."""
    scene = _failed(tmp_path / "scene")
    count = len(events_of(scene, tmp_path))
    asked_once(scene, tmp_path, range(count // 4, count, count // 4))


@pytest.mark.long
def test_killed_at_each_kind_of_event(tmp_path: Path) -> None:
    """Every object write, move of a reference and start of a process, by its name."""
    first, second = _approved(tmp_path / "first-scene"), _failed(tmp_path / "second-scene")
    (tmp_path / "first").mkdir()
    (tmp_path / "second").mkdir()
    landed_once(first, tmp_path / "first", sample(events_of(first, tmp_path / "first"), 40))
    asked_once(second, tmp_path / "second", sample(events_of(second, tmp_path / "second"), 40))
