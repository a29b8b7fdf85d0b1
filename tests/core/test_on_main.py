"""A run whose work a forge has landed: it passes, or whether to take it back is asked."""

from __future__ import annotations

from typing import Any

import pytest

from lifeos.core.facts import Attempt, End, Write
from lifeos.core.records import Closed, Held, Topic
from lifeos.core.state import PullRequest, RunStatus
from lifeos.core.table import MAY_PASS_YET, REWORKED_AT_CLOSE, TAKES_BACK, UNVERIFIED
from lifeos.model import Action, CloseOutcome, Decision, FailureClass, ItemKind, Stage
from story import Story, rules

COMMIT, BEFORE = "c" * 40, "b" * 40
PULL = PullRequest(head="h" * 40, commits=2, number=7, landing=True)


def landed(**loop: Any) -> Story:
    """An approver merged the landing PR, and the answer was taken."""
    story = Story(rules(**loop)).open().until(Stage.CLOSE)
    story.hold("stage_review", "autonomy:supervised")
    story.note(Topic.PULL, item="Q", pull=PULL).answer(commit=COMMIT)
    assert story.run.merged == COMMIT
    story.world["unverified"] = {"R": BEFORE}
    return story


def red(failure: FailureClass = FailureClass.TEST_FAILURE) -> Story:
    """What main became by it does not pass."""
    return landed().attempt(failure, message="pytest: 1 failed")


@pytest.mark.parametrize("failure", sorted(REWORKED_AT_CLOSE - MAY_PASS_YET))
def test_it_is_never_sent_back(failure: FailureClass) -> None:
    """No build helps what is on main: the run ends, and its record says what is to be asked."""
    story = red(failure)
    (finished,) = [r for r in story.records if getattr(r, "rule", "") == UNVERIFIED]
    assert finished.kind == "finished"
    assert finished.action is Action.TERMINATE
    assert story.run.status is RunStatus.ENDING
    assert story.run.ask is not None
    assert story.run.ask.kind is ItemKind.PROPOSAL


@pytest.mark.parametrize("failure", sorted(MAY_PASS_YET))
def test_what_may_pass_yet_is_tried_again(failure: FailureClass) -> None:
    """As often as its routing says; then it is asked about, too."""
    assert red(failure).run.status is RunStatus.READY
    assert red(failure).attempt(failure).run.status is RunStatus.ENDING
    routing = rules().loop.routing.model_dump(mode="json")
    routing[failure] = {"retries": 0, "then": "escalate"}
    assert landed(routing=routing).attempt(failure).run.status is RunStatus.ENDING


def test_the_question_comes_before_the_end() -> None:
    """First it is asked, without a run; then the run ends blocked, and its reason names that."""
    story = red()
    (step,) = story.steps()
    assert isinstance(step, Write)
    held = step.record
    assert isinstance(held, Held)
    assert (held.item_kind, held.rule, held.run) == (ItemKind.PROPOSAL, UNVERIFIED, None)
    assert (held.about, held.onto) == (COMMIT, BEFORE)
    assert "pytest: 1 failed" in held.question
    story.add(held)
    (step,) = story.steps()
    assert isinstance(step, End)
    assert (step.outcome, step.landed) == (CloseOutcome.BLOCKED, COMMIT)
    assert held.item in step.reason
    assert "pytest: 1 failed" in step.reason
    story.close(step.outcome, landed=step.landed)
    assert held.item in story.snapshot.items


def test_it_cannot_end_unasked() -> None:
    """However the end was decided."""
    story = red()
    for outcome in (CloseOutcome.BLOCKED, CloseOutcome.CANCELLED):
        record = Closed(at=story.now, run="R", outcome=outcome, landed=COMMIT)
        story.refuses(record, "nobody is asked about it")


def test_nothing_begins_while_it_is_asked() -> None:
    """Another run that is ready waits for the answer; after it, it goes on."""
    story = red().open("T2", "R2")
    story.step().close(CloseOutcome.BLOCKED)
    assert story.steps() == ()
    (item,) = story.snapshot.items.values()
    assert item.rule in TAKES_BACK
    story.resolve(item.id, Decision.REJECT)
    (step,) = story.steps()
    assert isinstance(step, Attempt)
    assert step.run == "R2"


@pytest.mark.parametrize("then", ["hold", "reject"])
def test_time_does_not_answer_it(then: str) -> None:
    """Asked anew, whatever happens to other questions that nobody answers."""
    approvals = {"expiry": {"hours": 1, "then": then}}
    story = Story(rules(approvals=approvals))
    story.hold("proposal", UNVERIFIED, run=None, about=COMMIT, onto=BEFORE, expires_at=story.now)
    (step,) = story.steps()
    assert isinstance(step, Write)
    assert isinstance(step.record, Held)
    assert (step.record.about, step.record.rule) == (COMMIT, UNVERIFIED)


def test_a_person_who_gives_up_is_asked_too() -> None:
    """The checks could not be run, and an approver closes the question about that."""
    story = landed().attempt(FailureClass.UNKNOWN, message="two results").step()
    assert story.item.kind is ItemKind.ESCALATION
    story.answer(Decision.REJECT, comment="never mind")
    (step,) = story.steps()
    assert isinstance(step, Write)
    assert isinstance(step.record, Held)
    assert step.record.rule == UNVERIFIED
    assert "nobody could check it (never mind)" in step.record.question


def test_rework_by_a_persons_word_begins_on_main_as_it_is() -> None:
    """What is on main stays; the run is one like any other again, and has landed nothing."""
    story = landed().attempt(FailureClass.UNKNOWN).step()
    story.answer(Decision.REVISE, comment="mend it")
    assert (story.run.stage, story.run.merged) == (Stage.PLAN, "")


def test_the_runs_of_refused_rules_are_asked_about_too() -> None:
    """They end because a person kept the old rules; what is on main is another question."""
    story = landed()
    story.sets["new"] = rules("new")
    story.note(Topic.GOVERNANCE, digest="new")
    story.hold("governance", "governance:open_runs", item="Q2", run=None, about="new")
    story.resolve("Q2", Decision.REJECT)
    (step,) = story.steps(governance="new", governance_by_approver=True)
    assert isinstance(step, Write)
    assert isinstance(step.record, Held)
    assert step.record.rule == UNVERIFIED


def test_only_what_is_on_main_can_be_asked_about() -> None:
    """The record of an end with such a question, for a run that landed nothing, is refused."""
    story = landed()
    plain = Story().open().until(Stage.CLOSE).claim()
    story.claim()
    record = story.finished(story.facts(FailureClass.TEST_FAILURE))
    told = {"n": plain.run.attempts, "nonce": f"nonce R {plain.run.attempts}", "at": plain.now}
    plain.refuses(record.model_copy(update=told), "nothing on main to ask about")
