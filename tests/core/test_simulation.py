"""The whole loop over the pure core, in worlds where anything may happen.

A failing world names its seed: ``LIFEOS_SEED=7 pytest tests/core/test_simulation.py`` is it alone.
"""

from __future__ import annotations

import os

import pytest

from simulation import World

QUICK = 300
LONG = 10_000
BLOCK = 25
TICKS = 20

#: Read before the environment is sealed.
ALONE = os.environ.get("LIFEOS_SEED", "")


def explore(seeds: range) -> None:
    """Live through these worlds; the first that breaks a rule says how to see it again."""
    for seed in seeds:
        world = World(seed)
        try:
            world.live(ticks=TICKS)
        except Exception as error:
            error.add_note(f"LIFEOS_SEED={seed} pytest tests/core/test_simulation.py")
            error.add_note(f"after {len(world.records)} records; the last: {world.records[-3:]}")
            raise


@pytest.mark.skipif(bool(ALONE), reason="one seed is run alone")
@pytest.mark.parametrize("start", range(0, QUICK, BLOCK))
def test_nothing_that_happens_breaks_a_rule(start: int) -> None:
    """Legal, sound, within budget, approved, replayable, never stuck: in every world."""
    explore(range(start, start + BLOCK))


@pytest.mark.skipif(not ALONE, reason="set LIFEOS_SEED to run one seed alone")
def test_the_one_seed() -> None:
    """The world of LIFEOS_SEED."""
    explore(range(int(ALONE), int(ALONE) + 1))


@pytest.mark.long
@pytest.mark.parametrize("start", range(QUICK, LONG, 100))
def test_nothing_that_happens_breaks_a_rule_at_length(start: int) -> None:
    """The same over thousands of worlds."""
    explore(range(start, start + 100))
