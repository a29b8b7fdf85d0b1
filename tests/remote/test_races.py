"""Many ticks on clones of one remote: nothing twice, nothing lost, and nearly all succeed.

What came of it is read by git and json alone (``Hub.wrong``). Ticks that are killed are among them:
the claims of a worker that is provably dead are ended at once by whichever tick looks next.
"""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import pytest

from clones import LANDS, Hub, begin_hub, end, start, tasks
from command_line import Project

ALL_AT_ONCE = {**LANDS, "loop.budgets.open_runs": 100, "loop.tasks_per_tick": 100}
PATIENT = {
    **ALL_AT_ONCE,
    "loop.routing.interrupted.retries": 100,
    "loop.budgets.attempts_per_stage": 100,
    "loop.budgets.attempts_per_class": 100,
    "loop.budgets.attempts_per_run": 1000,
    "loop.progress.same_error": 100,
}
"""Rules under which no number of kills brings the CEO."""
SURE = 12
"""Records that a task is sure to leave, and some more: by then there is still work to be killed."""
LONG = 3600  # seconds; fifty ticks over a hundred tasks take many minutes on two cores


def race(folder: Path, ticks: int, number: int) -> None:
    """So many ticks at once over so many tasks; then what an independent reader finds."""
    ids, backlog = tasks(number)
    hub, first = begin_hub(folder, ALL_AT_ONCE, backlog)
    first.cli("tick", "--max-tasks", "0")
    clones = [hub.clone(f"clone{n}") for n in range(ticks)]
    ended = [end(process, LONG) for process in [start(clone, "tick", "-q") for clone in clones]]
    require_most([(code, said) for code, said in ended])
    last(first)  # whoever was last may have left what another began
    assert hub.wrong(ids, interrupted=0) == []
    first.cli("verify")


def require_most(ended: list[tuple[int, str]]) -> None:
    """Nine of ten succeeded: a race that all lose proves nothing."""
    failed = [f"{code}: {said}" for code, said in ended if code != 0]
    assert len(failed) <= 0.1 * len(ended), failed


def last(project: Project) -> None:
    """One more tick, alone, for as long as it needs."""
    code, said = end(start(project, "tick", "-q"), LONG)
    assert code == 0, said


def test_two_ticks_at_once(tmp_path: Path) -> None:
    """Two clones share the work of four tasks."""
    race(tmp_path, 2, 4)


@pytest.mark.long
@pytest.mark.parametrize("number", [1, 10, 100])
@pytest.mark.parametrize("ticks", [2, 8, 50])
def test_ticks_over_tasks(tmp_path: Path, ticks: int, number: int) -> None:
    """Two, eight and fifty clones; one task that all want, ten, and a hundred."""
    race(tmp_path, ticks, number)


# --- killed -----------------------------------------------------------------------------------


@dataclass
class Killing:
    """Ticks on clones, some of which are killed at moments that the seed chooses.

    A moment is a length of the ledger, and a fraction of a second after it: so it lies in the
    middle of the work on any machine. Every other time it is one with a claim that dies.
    """

    hub: Hub
    chance: Random
    clones: list[Project]
    ended: list[tuple[int, str]] = field(default_factory=list)  # of those that were not killed
    dead: set[int] = field(default_factory=set)  # the clones in which one was killed
    running: list[tuple[int, subprocess.Popen[str]]] = field(default_factory=list)

    def run(self, ticks: int, moments: Iterable[int]) -> None:
        """So many at once, one of them killed at each of these lengths; the rest to their end."""
        for place in range(ticks):
            self._begin(place)
        for number, moment in enumerate(sorted(moments)):
            self._kill(moment, claiming=number % 2 == 0)
        for _, process in self.running:
            self.ended.append(end(process, LONG))

    def _kill(self, moment: int, *, claiming: bool) -> None:
        """Once the ledger is so long, kill one at work, and let another begin."""
        until = time.monotonic() + LONG
        aside = 0.0 if claiming else self.chance.uniform(0, 0.2)
        while True:
            assert time.monotonic() < until, f"nobody was at work at {moment} records"
            self._follow()
            records = self.hub.ledger()
            time.sleep(aside)
            if len(records) >= moment and self._killed(_workers(records) if claiming else None):
                return
            time.sleep(0.02)

    def _killed(self, workers: set[int] | None) -> bool:
        """Kill one of them (None: any). False: there was none, or it had just ended by itself."""
        mine = [each for each in self.running if workers is None or each[1].pid in workers]
        if not mine:
            return False
        place, process = self.chance.choice(mine)
        process.kill()
        if process.wait() != -signal.SIGKILL:
            return False
        self.running.remove((place, process))
        process.communicate(timeout=LONG)
        self.dead.add(place)
        # The next one in the same clone, among what the dead one left, or in another.
        self._begin(self.chance.choice((place, None)))
        return True

    def _follow(self) -> None:
        """A tick that ended, and left others to their work, is followed by the next one."""
        for place, process in [each for each in self.running if each[1].poll() is not None]:
            self.running.remove((place, process))
            self.ended.append(end(process))
            self._begin(place)

    def _begin(self, place: int | None) -> None:
        """A tick in one of the clones; None: in a new one."""
        if place is None:
            place = len(self.clones)
            self.clones.append(self.hub.clone(f"clone{place}"))
        self.running.append((place, start(self.clones[place], "tick", "-q")))


def _workers(records: list[dict[str, Any]]) -> set[int]:
    """The processes with a claim that has no end yet."""
    claims = {
        (r["run"], r["n"]): int(r["worker"].split(" ")[0])
        for r in records
        if r["kind"] == "claimed"
    }
    over = {(r["run"], r["n"]) for r in records if r["kind"] == "finished"}
    gone = {r["run"] for r in records if r["kind"] == "closed"}
    return {pid for key, pid in claims.items() if key not in over and key[0] not in gone}


def killed_race(folder: Path, seed: int, ticks: int, number: int, kills: int) -> None:
    """A race in which ticks die; the others, and one tick at the end, do all the work, once."""
    ids, backlog = tasks(number)
    hub, first = begin_hub(folder, PATIENT, backlog)
    first.cli("tick", "--max-tasks", "0")
    chance = Random(seed)  # noqa: S311  (no secret: it has to be the same again)
    killing = Killing(hub, chance, [hub.clone(f"clone{n}") for n in range(ticks)])
    killing.run(ticks, chance.sample(range(3, SURE * number), kills))
    require_most(killing.ended)
    last(first)
    assert hub.interrupted(), f"seed {seed}: nobody was killed in an attempt"
    # A tick carries one attempt at a time: each dead one has at most one to lose.
    assert hub.wrong(ids, interrupted=kills) == [], f"seed {seed}"
    first.cli("verify")
    tip = hub.tip()
    for place in killing.dead:  # what the dead left in their clones is no news to anybody
        last(killing.clones[place])
        assert hub.tip() == tip, f"seed {seed}: clone{place}"


def test_ticks_that_are_killed(tmp_path: Path) -> None:
    """Two at a time, two tasks, two ticks die: all is done, once, by whoever lives."""
    killed_race(tmp_path, 1, 2, 2, 2)


@pytest.mark.long
@pytest.mark.parametrize("seed", [11, 12, 13])
def test_ticks_that_are_killed_over_ten_tasks(tmp_path: Path, seed: int) -> None:
    """Four at a time, ten tasks, six die."""
    killed_race(tmp_path, seed, 4, 10, 6)
