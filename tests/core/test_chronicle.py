"""The chronicle tells what the state machine says, in every world, and can be continued."""

from __future__ import annotations

import pytest

from lifeos.core.chronicle import Chronicle, Chronicler, chronicle_of
from lifeos.core.machine import apply
from lifeos.core.records import AnyRecord, Closed, Finished, Resolved
from lifeos.core.state import Snapshot
from simulation import World

SEEDS = range(40)


def lived(seed: int) -> list[tuple[str, AnyRecord]]:
    """The ledger of one world, each transition with a commit of its own."""
    world = World(seed)
    world.live(ticks=20)
    return [(f"{number:040x}", record) for number, record in enumerate(world.records, 1)]


@pytest.mark.parametrize("seed", SEEDS)
def test_it_agrees_with_the_state_machine_after_each_transition(seed: int) -> None:
    """The same runs and questions are open, under the same rules, with as many attempts."""
    chronicler, snapshot = Chronicler(), Snapshot()
    for commit, record in lived(seed):
        snapshot = apply(snapshot, record, commit)
        chronicler.add(commit, record)
        told = chronicler.chronicle()
        still = {run.id: run for run in told.runs if run.closed_at is None}
        assert still.keys() == snapshot.runs.keys()
        for run in snapshot.runs.values():
            past = still[run.id]
            assert past.pinned[-1][1] == (run.repin or run.governance)
            assert len(past.attempts) == run.attempts - bool(run.claim)
            assert (past.claim is not None) == (run.claim is not None)
        unanswered = [
            one for one in told.every_question() if one.decision is None and one.over_at is None
        ]
        assert {one.item for one in unanswered} == snapshot.items.keys()
        assert told.adopted[-1].digest == snapshot.governance


@pytest.mark.parametrize("seed", SEEDS)
def test_nothing_is_left_out(seed: int) -> None:
    """Each attempt, answer and end is told once, with its commit."""
    transitions = lived(seed)
    told = chronicle_of(transitions)
    attempts = {one.commit for run in told.runs for one in run.attempts}
    answers = {one.answer for one in told.every_question() if one.decision}
    ends = {run.closed for run in told.runs if run.closed_at is not None}
    for kind, found in ((Finished, attempts), (Resolved, answers), (Closed, ends)):
        assert found == {commit for commit, record in transitions if isinstance(record, kind)}


@pytest.mark.parametrize("seed", SEEDS)
def test_it_can_be_kept_and_continued_anywhere(seed: int) -> None:
    """Cut at a third and at two thirds, through JSON, it is what it would have been."""
    transitions = lived(seed)
    whole = chronicle_of(transitions)
    third = len(transitions) // 3
    kept = chronicle_of(transitions[:third])
    for part in (transitions[third : 2 * third], transitions[2 * third :]):
        kept = chronicle_of(part, Chronicle.model_validate_json(kept.model_dump_json()))
    assert kept == whole
