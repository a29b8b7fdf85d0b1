"""The shipped past is what the loop makes of its plan, and its story says what the ledger says.

The first runs are lived again here, all of them with ``-m long``: the same plan gives the same
commits, on every machine.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from lifeos.core.records import Closed, Finished, Held, Opened, Resolved
from past import make
from past.play import Play
from past.stories import make_plan
from past_scene import past, story

FIRST = 15
AGAIN = "the format changed? docs: tests/data/README.md says how to make the past again"


def test_the_first_runs_lived_again_are_the_same_commits(tmp_path: Path) -> None:
    """Nothing of the machine, the time or chance is in the past; and it fits this lifeos."""
    play = Play(tmp_path / "again", make_plan(), FIRST)
    play.live()
    shipped = past(tmp_path)
    for branch in ("main", "lifeos/ledger"):
        tip = play.people.git("rev-parse", branch)
        every = shipped.git("rev-list", branch).split()
        assert tip in every, f"{branch} went another way; {AGAIN}"
    ended = [told.run for told in play.told if told.closed_at is not None]
    assert ended == [run.run for run in story().runs if run.run in ended]
    assert len(ended) >= FIRST


def test_the_story_says_what_the_ledger_says(tmp_path: Path) -> None:
    """Each run, attempt, question and end of the story is a record, and no other is there."""
    records = past(tmp_path).records()
    told = story()
    assert Counter(r.run for r in records if isinstance(r, Opened)) == Counter(
        run.run for run in told.runs
    )
    assert Counter(
        (r.run, r.stage.value, str(r.facts.outcome), r.at)
        for r in records
        if isinstance(r, Finished) and r.facts
    ) == Counter(
        (run.run, each.stage, each.outcome, each.finished_at)
        for run in told.runs
        for each in run.attempts
        if each.finished_at is not None
    )
    assert Counter((r.run, r.item, r.at) for r in records if isinstance(r, Held) and r.run) == (
        Counter(
            (run.run, asked.item, asked.asked_at) for run in told.runs for asked in run.questions
        )
    )
    answered = {r.item: r.at for r in records if isinstance(r, Resolved)}
    for run in told.runs:
        for asked in run.questions:
            assert answered.get(asked.item) == asked.answered_at
    assert {r.run: (r.outcome.value, r.at) for r in records if isinstance(r, Closed)} == {
        run.run: (run.outcome, run.closed_at) for run in told.closed
    }


def test_what_the_past_has() -> None:
    """The variety that looking back is tried on: 200 ends, and everything that can happen."""
    told = story()
    assert len(told.closed) == 200
    ends = Counter(run.outcome for run in told.runs)
    assert 0.75 < ends["pass"] / 200 < 0.87
    assert min(ends[each] for each in ("blocked", "rejected", "cancelled", "open")) >= 4
    failed = Counter(each.outcome for run in told.runs for each in run.attempts)
    wanted = {"test_failure", "test_flake", "lint_error", "validation_error", "no_change", "quota"}
    wanted |= {"envelope_violation", "interrupted", "timeout", "revise", "reject"}
    assert wanted <= failed.keys()
    asked = Counter(each.kind for run in told.runs for each in run.questions)
    assert {"stage_review", "waiver", "budget", "breach", "escalation", "commands"} <= asked.keys()
    answers = Counter(each.decision for run in told.runs for each in run.questions)
    assert {"approve", "revise", "reject", "expire", "cancel", "superseded"} <= answers.keys()
    happened = {event.what for event in told.events}
    assert {"governance", "governance answered", "stopped", "resumed", "retry"} <= happened
    assert sum(run.reverted_at is not None for run in told.runs) >= 4
    assert sum(bool(run.repairs) for run in told.closed) >= 3


@pytest.mark.long
def test_the_whole_past_lived_again_is_the_same(tmp_path: Path) -> None:
    """All 200 runs, and what is open after them: both tips, and the story to the letter."""
    play = Play(tmp_path / "again", make_plan())
    play.live()
    assert make.text_of(make.told_as_json(play)) == make.STORY.read_text(encoding="utf-8"), AGAIN


@pytest.mark.long
def test_the_past_verifies(tmp_path: Path) -> None:
    """Replay, answers, landings and packets of all of it are good."""
    assert "good: the ledger is what it claims" in past(tmp_path).cli("verify").out
