"""Kill a tick anywhere: the next one finishes it, with nothing lost, nothing twice, nothing left.

What may differ from a tick that nobody killed are attempts recorded as interrupted, and no more.
"""

from __future__ import annotations

import errno
from dataclasses import dataclass
from pathlib import Path

import pytest

from cli_scene import scene
from conftest import EPOCH
from crash_driver import (
    Left,
    Point,
    Sequence,
    Trace,
    approve,
    build,
    campaign,
    in_child,
    plain,
    sample,
    tick,
    whole_run,
)
from lifeos.model import Stage

pytestmark = pytest.mark.sandbox


@dataclass(frozen=True)
class Stretch:
    """A scene, what one whole tick makes of it, and the events on the way."""

    scene: Path
    left: Left
    events: list[str]

    def point(self, *kills: int) -> Point:
        """A point with the name of its last event, as far as that is known."""
        return Point(kills, self.events[kills[0] - 1])


@dataclass(frozen=True)
class Story:
    """``first``: from nothing to a landing and a question. ``last``: from the answer to the end."""

    first: Stretch
    last: Stretch


_MADE: list[Story] = []


@pytest.fixture
def story(tmp_path_factory: pytest.TempPathFactory) -> Story:
    """Both ticks, without a kill; made once, by the first test, in its sealed environment."""
    if not _MADE:
        _MADE.append(made(tmp_path_factory.mktemp("story")))
    return _MADE[0]


def made(place: Path) -> Story:
    """Live through both ticks."""
    fresh = build(place / "scene")
    (place / "first").mkdir()
    (place / "last").mkdir()
    first = Stretch(fresh, *whole_run(fresh, place / "first"))
    asked = place / "first" / "repo"
    status, said = in_child(lambda: approve(asked), place / "approve.log")
    assert status == 0, said
    last = Stretch(asked, *whole_run(asked, place / "last"))
    assert first.left.wrong == last.left.wrong == []
    assert len(first.left.landings) == 1
    assert (first.left.items, first.left.pending) == (1, 1)
    assert len(last.left.landings) == 2
    assert (last.left.items, last.left.pending) == (0, 0)
    assert last.left.status == " M BACKLOG.md\n M README.md"
    return Story(first, last)


def lived_through(stretch: Stretch, place: Path, points: list[Point]) -> None:
    """All of these points end as if nothing had happened."""
    place.mkdir()
    print(f"{len(points)} of {len(stretch.events)} points")  # noqa: T201 - shown with -s, and on failure
    wrong = campaign(stretch.scene, place, points, stretch.left)
    assert not wrong, "\n".join([f"{len(wrong)} things are wrong; the folders are kept", *wrong])


def test_killed_on_the_way_to_the_question(story: Story, tmp_path: Path) -> None:
    """A sample: what only this tick does (the sandbox, bundles, a first ledger), and some more."""
    events = story.first.events
    known = {plain(event) for event in story.last.events}
    special = {plain(event): number for number, event in enumerate(events, 1)}
    points = {number for name, number in special.items() if name not in known}
    points |= set(range(40, len(events), len(events) // 6))
    lived_through(story.first, tmp_path / "points", [story.first.point(n) for n in sorted(points)])


def test_killed_on_the_way_to_the_landing(story: Story, tmp_path: Path) -> None:
    """A sample with at least one event of each name."""
    points = [story.last.point(number) for number in sample(story.last.events, 10)]
    lived_through(story.last, tmp_path / "points", points)


@pytest.mark.long
def test_killed_and_its_successor_too(story: Story, tmp_path: Path) -> None:
    """Whoever mends what was broken can be killed as well."""
    count = len(story.last.events)
    points = [
        story.last.point(first, second)
        for first in range(count // 2, count, count // 6)
        for second in (3, 25, 60)
    ]
    lived_through(story.last, tmp_path / "points", points)


def test_broken_off_and_tried_again_in_one_process(tmp_path: Path) -> None:
    """A claim of this very process that it no longer carries is nobody's: no lease to wait for."""
    mine = scene(tmp_path / "repo")

    def full(event: str) -> None:
        if event == "bundle:before:index":
            raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        tick(mine.folder, full, Sequence(EPOCH + 2_000, "1"))
    assert tick(mine.folder, Trace(), Sequence(EPOCH + 2_100, "2")) == "nothing to do"
    assert mine.finished(Stage.DESIGN) == ["interrupted retry retries_left", "ok advance success"]
    mine.landed()


@pytest.mark.long
def test_killed_at_each_point_on_the_way_to_the_question(story: Story, tmp_path: Path) -> None:
    """Every event there is, from the creation of lifeos's folder on."""
    points = [story.first.point(n) for n in range(1, len(story.first.events) + 1)]
    lived_through(story.first, tmp_path / "points", points)


@pytest.mark.long
def test_killed_at_each_point_on_the_way_to_the_landing(story: Story, tmp_path: Path) -> None:
    """Every event there is."""
    points = [story.last.point(n) for n in range(1, len(story.last.events) + 1)]
    lived_through(story.last, tmp_path / "points", points)


@pytest.mark.long
def test_killed_twice_at_many_points(story: Story, tmp_path: Path) -> None:
    """Two kills, spread over both ticks."""
    count = len(story.last.events)
    points = [
        story.last.point(first, second)
        for first in range(5, count, 7)
        for second in range(2, count, 17)
    ]
    lived_through(story.last, tmp_path / "last-points", points)
    count = len(story.first.events)
    points = [
        story.first.point(first, second)
        for first in range(7, count, 53)
        for second in range(9, count // 2, 83)
    ]
    lived_through(story.first, tmp_path / "first-points", points)
