"""Back-tests of whole worlds: the same rules change nothing; other rules never break it."""

from __future__ import annotations

from collections import Counter
from functools import lru_cache
from random import Random

import pytest

from lifeos.core.backtest import BackTest, Balance, Departure, ReplacedBy, backtest
from lifeos.core.chronicle import RunPast, chronicle_of
from lifeos.core.machine import apply
from lifeos.core.policy import Autonomy, Governance
from lifeos.core.records import AnyRecord, Opened
from lifeos.core.state import Snapshot
from lifeos.model import CloseOutcome, Decision, ItemKind, Stage
from simulation import World, random_loop

QUICK = range(60)
LONG = range(60, 2000)
BLOCK = 20


@lru_cache(maxsize=len(QUICK))
def lived(seed: int) -> tuple[World, list[tuple[str, AnyRecord]]]:
    """A world, and its ledger, each transition with a commit of its own."""
    world = World(seed)
    world.live(ticks=20)
    return world, [(f"{number:040x}", record) for number, record in enumerate(world.records, 1)]


def as_it_was(recorded: Governance) -> Governance:
    """The same rules under another name: everything is decided again."""
    return recorded.model_copy(update={"digest": f"again {recorded.digest}"})


def changes_nothing(seed: int) -> None:
    """The world's own rules, whichever ruled when, give no difference and leave nothing open."""
    world, transitions = lived(seed)
    for instead in (lambda recorded: recorded, as_it_was):
        found = backtest(transitions, world.sets, instead)
        assert found.differences == (), f"seed {seed}"
        assert (found.parted, found.unknown, found.changed) == (0, (), ()), f"seed {seed}"
        assert found.same == found.runs
        assert found.balance == Balance()


@pytest.mark.parametrize("start", QUICK[::BLOCK])
def test_the_same_rules_change_nothing(start: int) -> None:
    """Crashes, late workers, edited tasks, changed rules, expiry, money: nothing is otherwise."""
    for seed in range(start, start + BLOCK):
        changes_nothing(seed)


@pytest.mark.long
@pytest.mark.parametrize("start", LONG[::BLOCK])
def test_the_same_rules_change_nothing_at_length(start: int) -> None:
    """The same in many more worlds."""
    for seed in range(start, start + BLOCK):
        changes_nothing(seed)


def other_loop(seed: int) -> ReplacedBy:
    """Any other loop policy in the place of each that ruled."""
    loop = random_loop(Random(seed))  # noqa: S311 - chance that can be repeated is the point
    return lambda recorded: recorded.model_copy(update={"digest": "other", "loop": loop})


@pytest.mark.parametrize("start", QUICK[::BLOCK])
def test_other_rules_are_told_in_one_order_and_of_what_there_was(start: int) -> None:
    """Differences name transitions of their run; counts and sums follow; JSON keeps all of it."""
    for seed in range(start, start + BLOCK):
        world, transitions = lived(seed)
        found = backtest(transitions, world.sets, other_loop(seed))
        assert found == backtest(iter(transitions), dict(world.sets), other_loop(seed))
        assert BackTest.model_validate_json(found.model_dump_json()) == found
        about = dict(transitions)
        runs = {record.run for record in world.records if isinstance(record, Opened)}
        for one in found.differences:
            assert one.commit in about
            assert one.at <= about[one.commit].at
            assert one.run in runs | {""}
        ranks = [one.departure.rank for one in found.differences]
        assert ranks == sorted(ranks)
        assert Counter(one.departure for one in found.differences) == {
            one.departure: one.count for one in found.counts
        }
        differing = {one.run for one in found.differences if one.run}
        assert found.runs == len(runs)
        assert found.same + len(differing) + found.parted >= found.runs
        assert found.same <= found.runs - len(differing)


@pytest.mark.parametrize("start", QUICK[::BLOCK])
def test_it_can_begin_anywhere(start: int) -> None:
    """From the state in the middle, of the runs opened after it, it tells what the whole does."""
    for seed in range(start, start + BLOCK):
        world, transitions = lived(seed)
        middle = len(transitions) // 2
        begun = _state(transitions[:middle])
        since = begun.at + 1
        late = {
            record.run
            for _, record in transitions
            if isinstance(record, Opened) and record.at >= since
        }
        whole = backtest(transitions, world.sets, other_loop(seed), since=since)
        part = backtest(
            transitions[middle:], world.sets, other_loop(seed), begun=begun, since=since
        )
        assert part.runs == whole.runs == len(late)
        assert part.differences == whole.differences
        assert part.balance == whole.balance


def _state(transitions: list[tuple[str, AnyRecord]]) -> Snapshot:
    snapshot = Snapshot()
    for commit, record in transitions:
        snapshot = apply(snapshot, record, commit)
    return snapshot


def test_without_asking_before_landing_the_answers_alone_say_what_would_differ() -> None:
    """Full autonomy and no checkpoints, counted from what was answered alone.

    Only runs are counted that were asked nothing but whether to land, by autonomy: for these no
    state machine is needed to know the answer.
    """
    counted: Counter[Departure] = Counter()
    for seed in QUICK:
        world, transitions = lived(seed)
        found = backtest(transitions, world.sets, open_door)
        for run in filter(only_asked_to_land, chronicle_of(transitions).runs):
            expected = Counter({Departure.NOT_ASKED: len(run.questions)})
            if not run.passed:
                expected = +(expected - Counter([Departure.NOT_ASKED]))
                expected[Departure.LANDED_ALTHOUGH_REJECTED] = 1
            told = Counter(one.departure for one in found.differences if one.run == run.id)
            assert told == expected, f"seed {seed}, {run.id}"
            counted += told
    assert counted[Departure.LANDED_ALTHOUGH_REJECTED] >= 1
    assert counted[Departure.NOT_ASKED] >= 1


def open_door(recorded: Governance) -> Governance:
    """The same rules, where nobody is asked before landing."""
    loop = recorded.loop.model_copy(update={"autonomy": Autonomy.FULL, "checkpoints": ()})
    return recorded.model_copy(update={"digest": "open", "loop": loop})


def only_asked_to_land(run: RunPast) -> bool:
    """Whether it ended by a yes or a no of a person to that question, and saw nothing unusual."""
    usual = not run.restarts and len(run.pinned) == 1 and bool(run.questions)
    by_answer = run.outcome in (CloseOutcome.PASS, CloseOutcome.REJECTED)
    return (
        usual
        and by_answer
        and all(
            one.kind is ItemKind.STAGE_REVIEW
            and one.stage is Stage.CLOSE
            and one.rule.startswith("autonomy:")
            and one.by_person
            and one.decision is not Decision.REVISE
            for one in run.questions
        )
    )
