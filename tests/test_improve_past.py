"""Self-improvement on the shipped past: what is found there, and two cycles from end to end.

Twenty more runs are lived after its end (``past.onward``). One proposal holds over them, another
does not and is taken back; both were asked, approved by a committed answer, landed and adopted.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from command_line import Project
from lifeos.core.improve.proposal import WEAKENS, Category, Proposal
from lifeos.core.improve.thresholds import MOST_OPEN, SECONDS, THRESHOLDS
from lifeos.core.records import Noted, Resolved, Topic
from lifeos.core.state import Item
from lifeos.model import Decision, ItemKind
from past.onward import Onward, later
from past.plan import BOB
from past_scene import Asked, Run, past, story

LOOP, CONFIG = "policies/loop.yaml", ".lifeos/config.yaml"
STAMP, GREEN = "rubber_stamp:checkpoint:docs-wording", "green_check:format"
RUNS = 20
"""The window of both."""


# --- what is found ------------------------------------------------------------------------------


def answered(rule: str) -> list[Asked]:
    """The questions by a rule that people answered."""
    asked = (one for run in story().closed for one in run.questions if one.rule == rule)
    return [one for one in asked if one.answered_at is not None and one.who]


def stamped() -> Iterable[str]:
    """Checkpoints that were always approved, and nearly always in seconds."""
    need = THRESHOLDS[Category.RUBBER_STAMP]
    for rule in sorted({one.rule for run in story().closed for one in run.questions}):
        found = answered(rule)
        quick = [one for one in found if (one.answered_at or 0) - one.asked_at < SECONDS]
        approved = all(one.decision.startswith("approve") for one in found)
        if approved and len(found) >= need.cases and len(quick) >= need.share * len(found):
            yield rule


def met(run: Run, stage: str, outcome: str) -> bool:
    """Whether an attempt at this stage ended so."""
    return any((each.stage, each.outcome) == (stage, outcome) for each in run.attempts)


def as_the_story_has_it(rows: Sequence[Mapping[str, Any]]) -> None:
    """What is approved unread, never asks, is always green, never objects: all that is found.

    And nothing that stays below its threshold there: the budget, the failures, the answers.
    """
    assert len(rows) == MOST_OPEN  # there is more; the rest is found again when these are answered
    found = {row["pattern"]: row for row in rows}
    assert list(stamped()) == ["checkpoint:docs-wording"]
    assert "checkpoint:infra" not in {one.rule for run in story().runs for one in run.questions}
    assert not any(met(run, "build", "formatting_error") for run in story().runs)
    assert {STAMP, GREEN, "idle_rule:infra", "idle_seat:M1:architect"} <= found.keys()
    assert found[STAMP]["cases"] == len(answered("checkpoint:docs-wording"))
    assert found[STAMP]["metric"]["current"] == found[STAMP]["cases"] / len(story().closed)
    assert found["idle_rule:infra"]["runs"] == len(story().closed)
    hit = [run for run in story().closed if answered_in(run, "budget:tokens_per_run")]
    assert 5 <= len(hit) < THRESHOLDS[Category.HIT_BUDGET].share * len(story().closed)
    categories = {row["category"] for row in rows}
    assert categories.isdisjoint({"hit_budget", "recurring_failure", "unfit_answers"})


def answered_in(run: Run, rule: str) -> bool:
    """Whether it was asked by this rule."""
    return any(one.rule == rule for one in run.questions)


# --- two cycles ---------------------------------------------------------------------------------


class Cycles:
    """The past and what goes on in it, with what is looked at on the way."""

    def __init__(self, scene: Project) -> None:
        self.scene = scene
        self.rules = {path: scene.at_main(path) for path in (LOOP, CONFIG)}
        self.rows = scene.cli("improve", "--json").data["proposals"]
        self.play = Onward.after(scene.folder)

    @property
    def found(self) -> set[str]:
        """The patterns that were asked about at first."""
        return {row["pattern"] for row in self.rows}

    def asked(self, pattern: str) -> Item:
        """The open question about it."""
        items = self.scene.snapshot().items.values()
        (item,) = (i for i in items if i.proposed and i.proposed.pattern == pattern)
        return item

    def proposal(self, item: Item) -> Proposal:
        """What the ledger has of it."""
        text = self.scene.git("show", f"lifeos/ledger:proposals/{item.id}/proposal.json")
        return Proposal.model_validate_json(text)

    def approved(self, pattern: str) -> Item:
        """Bob approves it by a committed answer; the tick lands and adopts it, and nothing else."""
        item = self.asked(pattern)
        category = pattern.partition(":")[0]
        assert (item.kind, item.rule) == (ItemKind.PROPOSAL, f"improve:{category}")
        text = self.scene.at_main(f".lifeos/queue/{item.id}.md")
        assert "What it would have made of the past" in text
        assert self.scene.git("show", f"lifeos/ledger:proposals/{item.id}/backtest.json")
        self.play.answer(item)
        (landed,) = (n for n in self.notes(Topic.LANDED) if n.item == item.id)
        assert landed.digest == self.scene.snapshot().governance
        answers = [r for r in self.scene.records() if isinstance(r, Resolved)]
        (answer,) = (each for each in answers if each.item == item.id)
        assert (answer.decision, answer.who) == (Decision.APPROVE, BOB)
        return item

    def notes(self, topic: Topic) -> list[Noted]:
        """The notes on this topic."""
        return [r for r in self.scene.records() if isinstance(r, Noted) and r.topic is topic]


@pytest.mark.heavy
def test_one_that_holds_and_one_that_is_taken_back(tmp_path: Path) -> None:
    """Pattern, back-test, queue, approval, landing, adoption, runs, measurement; and the revert."""
    cycles = Cycles(past(tmp_path))
    as_the_story_has_it(cycles.rows)
    scene, play = cycles.scene, cycles.play
    play.put_aside()
    assert scene.snapshot().runs == {}
    others = sorted(cycles.found - {STAMP, GREEN})
    play.answer(*(cycles.asked(pattern) for pattern in others), decision="reject")
    stamp = cycles.approved(STAMP)
    green = cycles.approved(GREEN)  # asked anew under the rules that the first one brought
    assert len(cycles.notes(Topic.LANDED)) == 2
    assert "name: docs-wording" not in scene.at_main(LOOP)
    assert "fast: false" in scene.at_main(CONFIG)

    play.bring_and_live(later(RUNS, red=7))
    measured = {note.item: note.measured for note in cycles.notes(Topic.MEASURED)}
    held, failed = measured[stamp.id], measured[green.id]
    assert held is not None
    assert failed is not None
    assert (held.value, held.holds, held.runs) == (0.0, True, RUNS)
    assert (failed.value, failed.holds, failed.runs) == (1 / RUNS, False, RUNS)

    back = cycles.asked(f"revert:{green.id}")
    proposal = cycles.proposal(back)
    assert f"Over {RUNS} runs it was 0.05; at most 0 was needed." in proposal.evidence
    assert not proposal.title.startswith(WEAKENS)
    assert scene.at_main(CONFIG) != cycles.rules[CONFIG]
    play.answer(back)
    assert scene.at_main(CONFIG) == cycles.rules[CONFIG]
    assert "name: docs-wording" not in scene.at_main(LOOP)
    snapshot = scene.snapshot()
    assert (snapshot.trials, snapshot.drafts) == ({}, {})
    assert not any(i.proposed and i.proposed.pattern == GREEN for i in snapshot.items.values())
    data = scene.cli("verify", "--json").data
    assert data["good"], data["findings"]
    (area,) = (one for one in data["areas"] if one["area"] == "proposals")
    assert area["checked"] >= 10
