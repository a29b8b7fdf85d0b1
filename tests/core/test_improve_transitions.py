"""What transitions about proposals do, and what ``decide`` does about them between attempts."""

from __future__ import annotations

from typing import Any

import pytest

from lifeos.core.decide import next_wake
from lifeos.core.facts import Answer, Attempt, Draft, Improving, LandProposal, Write
from lifeos.core.improve.trial import Measure, Measured, Proposed, Window
from lifeos.core.records import Held, Noted, Resolved, Topic
from lifeos.core.state import Due, PullRequest, Trial
from lifeos.model import CloseOutcome, Decision, ItemKind, Trust, Usage
from story import MAIN, Story, rules

WINDOW = Window(runs=2)
PATTERN = Proposed(pattern="idle_rule:docs", window=WINDOW, governs=True)
TASK_ONLY = Proposed(pattern="todo:R", window=Window(days=2))
OLD, NEW = "rules", "better"
HELD, FAILED = (
    Measured(measure=Measure.QUESTIONS, value=value, before=1.0, limit=0.5, runs=2, holds=holds)
    for value, holds in ((0.0, True), (1.0, False))
)


def asked(proposed: Proposed = PATTERN, item: str = "Q") -> Story:
    """A proposal waits for its answer."""
    story = Story()
    story.sets[NEW] = rules(NEW)
    return ask(story, proposed, item)


def ask(story: Story, proposed: Proposed = PATTERN, item: str = "Q") -> Story:
    rule = f"improve:{proposed.pattern.partition(':')[0]}"
    return story.hold("proposal", rule, item, None, about=f"digest of {item}", proposed=proposed)


def approved(proposed: Proposed = PATTERN) -> Story:
    """It was approved, and is about to land."""
    return asked(proposed).resolve("Q")


def noted(story: Story, commit: str = "m1", **more: Any) -> Story:
    """Its commit is on the ledger."""
    digest = NEW if story.snapshot.trials["Q"].proposed.governs else ""
    values = {"commit": commit, "onto": MAIN, "tree": "t", "digest": digest} | more
    return story.note(Topic.LANDING, item="Q", **values)


def landed(proposed: Proposed = PATTERN) -> Story:
    """It is on main, and being measured."""
    story = noted(approved(proposed))
    digest = NEW if proposed.governs else ""
    return story.note(Topic.LANDED, item="Q", commit="m1", digest=digest)


def passing_run(story: Story, run: str) -> Story:
    """One more run, from its opening to its end."""
    story.open(task=f"T of {run}", run=run)
    return story.close(CloseOutcome.CANCELLED, run=run)


# --- asking -----------------------------------------------------------------------------------


def test_a_second_question_about_a_pattern_is_refused() -> None:
    """While it is asked, and while it is on trial; another pattern may be asked."""
    twin = {"item_kind": "proposal", "question": "?", "subject": "s", "proposed": PATTERN}
    for story in (asked(), approved(), landed()):
        record = Held.model_validate(
            {"at": story.now, "item": "Q2", "rule": "improve:idle_rule", **twin}
        )
        story.refuses(record, "there is a proposal about idle_rule:docs already")
        ask(story, TASK_ONLY, "Q3")


def test_a_proposal_is_asked_by_its_own_rule_and_nothing_else_is() -> None:
    """So that nobody can pass another question off as one, or a proposal as another question."""
    story = Story()
    base = {"at": story.now, "item": "Q", "question": "?", "subject": "s"}
    kinds = {"item_kind": "proposal", "rule": "landing:unauthorised", "proposed": PATTERN}
    story.refuses(Held.model_validate(base | kinds), "is not asked as proposals are")
    bare = {"item_kind": "proposal", "rule": "improve:idle_rule"}
    story.refuses(Held.model_validate(base | bare), "is not asked as proposals are")
    governance = {"item_kind": "governance", "rule": "improve:idle_rule", "proposed": PATTERN}
    story.refuses(Held.model_validate(base | governance), "is not asked as proposals are")


def test_what_an_agent_was_paid_to_word_it_counts_in_the_day() -> None:
    """The question's own record has it: there is no run whose attempt it could be."""
    spent = Usage(cost=0.25, tokens=10, requests=1, estimated=True)
    story = asked(PATTERN.model_copy(update={"spent": spent}))
    assert story.snapshot.spend.day_cost == story.snapshot.spend.month_cost == 0.25
    assert story.snapshot.spend.day_estimated
    assert asked().snapshot.spend.day_cost == 0


# --- answers ----------------------------------------------------------------------------------


def test_an_approval_makes_a_trial_and_lands_nothing_by_itself() -> None:
    """The rules are the old ones until main has the change."""
    story = approved()
    trial = story.snapshot.trials["Q"]
    assert (trial.about, trial.who, trial.landed) == ("digest of Q", "ada@example.org", "")
    assert story.snapshot.governance == OLD
    assert story.snapshot.items == {}


def test_a_revision_is_to_be_drafted_and_a_rejection_is_the_end() -> None:
    """The comment is kept for whoever drafts it."""
    story = asked().resolve("Q", Decision.REVISE, comment="make it 8")
    due = Due(item="Q", draft=2, comment="make it 8")
    assert story.snapshot.drafts == {"idle_rule:docs": due}
    story = asked().resolve("Q", Decision.REJECT, comment="no")
    assert (story.snapshot.drafts, story.snapshot.trials) == ({}, {})


def test_a_draft_that_is_due_is_asked_or_dropped() -> None:
    """Either takes it off; nothing else does, and what is not due cannot be dropped."""
    story = asked().resolve("Q", Decision.REVISE, comment="8")
    ask(story, PATTERN, "Q2")
    assert story.snapshot.drafts == {}
    story = asked().resolve("Q", Decision.REVISE, comment="8")
    story.note(Topic.DROPPED, item="Q", text="no number")
    assert story.snapshot.drafts == {}
    record = Noted(at=story.now, topic=Topic.DROPPED, item="Q")
    story.refuses(record, "no draft is due for Q")


def test_a_merged_landing_pull_request_is_what_landed() -> None:
    """The commit by which it was merged is on the trial; an approval-only one says nothing."""
    for landing, merged in ((True, "merge"), (False, "")):
        story = asked()
        pull = PullRequest(head="h", landing=landing)
        story.note(Topic.PULL, item="Q", pull=pull)
        story.resolve("Q", commit="merge")
        assert story.snapshot.trials["Q"].merged == merged


# --- landing ----------------------------------------------------------------------------------


def test_landing_needs_an_approval_and_the_noted_commit() -> None:
    """An open question, an unknown one, another commit or other rules: nothing is adopted."""
    story = asked()
    note = {"item": "Q", "commit": "m1", "onto": MAIN, "tree": "t", "digest": NEW}
    for topic in (Topic.LANDING, Topic.LANDED):
        story.refuses(Noted(at=story.now, topic=topic, **note), "no proposal of Q was approved")
    story = approved()
    story.refuses(Noted(at=story.now, topic=Topic.LANDED, **note), "was not noted to land so")
    story = noted(story)
    for wrong in ({"commit": "m2"}, {"digest": "evil"}, {"digest": ""}):
        record = Noted(at=story.now, topic=Topic.LANDED, **{**note, **wrong})
        story.refuses(record, "was not noted to land so")


def test_what_changes_no_rules_adopts_none_and_what_does_must_name_them() -> None:
    """A task in the backlog is no reason to adopt anything."""
    story = approved(TASK_ONLY)
    note = {"item": "Q", "commit": "m1", "onto": MAIN, "tree": "t"}
    record = Noted(at=story.now, topic=Topic.LANDING, digest="evil", **note)
    story.refuses(record, "cannot land so")
    story = approved()
    story.refuses(Noted(at=story.now, topic=Topic.LANDING, **note), "cannot land so")
    assert landed(TASK_ONLY).snapshot.governance == OLD


def test_the_rules_are_adopted_with_it_and_open_runs_go_on_under_their_own() -> None:
    """By reference to the answer; the run is not stopped, and nobody is asked about it."""
    story = noted(approved().open())
    story.note(Topic.LANDED, item="Q", commit="m1", digest=NEW)
    assert (story.snapshot.governance, story.snapshot.adopted_on) == (NEW, "m1")
    assert (story.run.governance, story.run.beside) == (OLD, NEW)
    (attempt,) = story.steps(governance=NEW)
    assert isinstance(attempt, Attempt)
    story.note(Topic.GOVERNANCE, digest="third", commit="m2")
    story.sets["third"] = rules("third")
    (record,) = notes(story, {"governance": "third"})
    assert record.rule == "governance:open_runs"


def test_several_commits_may_be_noted_and_main_takes_one() -> None:
    """Two ticks that did not know of each other: whichever is on main counts."""
    story = noted(noted(approved()), "m2")
    story.note(Topic.LANDED, item="Q", commit="m1", digest=NEW)
    trial = story.snapshot.trials["Q"]
    assert (trial.landed, trial.landed_at) == ("m1", story.snapshot.at)
    record = Noted(at=story.now, topic=Topic.LANDED, item="Q", commit="m2", digest=NEW)
    story.refuses(record, "was not noted to land so")


def test_what_does_not_fit_any_more_is_drafted_anew_but_not_once_it_landed() -> None:
    """An approval is of exactly what was asked."""
    story = approved()
    story.note(Topic.SUPERSEDED, item="Q", reask=True)
    assert story.snapshot.trials == {}
    assert story.snapshot.drafts == {"idle_rule:docs": Due(item="Q")}
    story = landed()
    record = Noted(at=story.now, topic=Topic.SUPERSEDED, item="Q", reask=True)
    story.refuses(record, "has landed already")


# --- measuring --------------------------------------------------------------------------------


def test_runs_that_began_after_it_landed_are_counted() -> None:
    """One that was open before says nothing about it."""
    story = noted(approved().open("early", "early"))
    story.note(Topic.LANDED, item="Q", commit="m1", digest=NEW)
    story.close(CloseOutcome.CANCELLED, run="early")
    assert story.snapshot.trials["Q"].closed == 0
    passing_run(story, "late")
    assert story.snapshot.trials["Q"].closed == 1


def test_what_held_is_done_and_what_did_not_is_to_be_taken_back() -> None:
    """What could not be measured is neither."""
    nothing = HELD.model_copy(update={"value": None, "holds": None})
    for came, drafts in ((HELD, {}), (nothing, {}), (FAILED, {"revert:Q": Due(item="Q")})):
        story = landed().note(Topic.MEASURED, item="Q", measured=came)
        assert (story.snapshot.trials, story.snapshot.drafts) == ({}, drafts)


def test_only_what_landed_is_measured() -> None:
    """And with a result."""
    story = approved()
    record = Noted(at=story.now, topic=Topic.MEASURED, item="Q", measured=HELD)
    story.refuses(record, "is not being measured")
    story = landed()
    story.refuses(record.model_copy(update={"at": story.now, "measured": None}), "is not being")


def test_nothing_is_measured_of_what_takes_another_back() -> None:
    """Else the two would go round in circles."""
    back = Proposed(pattern="revert:Q0", governs=True)
    assert landed(back).snapshot.trials == {}


def test_searches_count_the_runs_since() -> None:
    """From the first one on: before it, an old ledger has no such count."""
    story = passing_run(Story(), "one")
    assert story.snapshot.searched is None
    story.note(Topic.SEARCHED)
    passing_run(passing_run(story, "two"), "three")
    assert story.snapshot.searched is not None
    assert story.snapshot.searched.closed == 2


# --- what is decided --------------------------------------------------------------------------

DRAFT = Draft(rule="improve:idle_rule", question="Well?", about="digest", proposed=PATTERN)


def notes(story: Story, world: dict[str, Any] | None = None, **improving: Any) -> list[Any]:
    """What is recorded next, with these facts about proposals, and these about the world."""
    steps = story.steps(improving=Improving(**improving), **(world or {}))
    return [step.record for step in steps if isinstance(step, Write)]


@pytest.mark.parametrize("autonomy", ["supervised", "exceptions", "full"])
def test_a_proposal_is_asked_at_every_autonomy(autonomy: str) -> None:
    """No level lands one unasked."""
    story = Story(rules(autonomy=autonomy))
    (record,) = notes(story, drafts=(DRAFT,), searched=True)
    assert isinstance(record, Held)
    assert (record.item_kind, record.rule) == (ItemKind.PROPOSAL, "improve:idle_rule")
    assert (record.question, record.about, record.proposed) == ("Well?", "digest", PATTERN)
    story.add(record)
    (record,) = notes(story, drafts=(DRAFT,), searched=True)
    assert record.topic is Topic.SEARCHED
    assert story.steps(improving=Improving(drafts=(DRAFT,))) == ()


def test_an_approved_one_lands_and_an_open_one_does_not() -> None:
    """Work, beside attempts: what is in its way keeps nothing else from going on."""
    assert asked().steps() == ()
    story = approved().open()
    land, attempt = story.steps()
    assert land == LandProposal(item="Q")
    assert isinstance(attempt, Attempt)


@pytest.mark.parametrize(
    "world",
    [{"stop": True}, {"governance": ""}, {"unfit": True}],
    ids=["STOP", "the rules are broken", "main cannot be worked on"],
)
def test_nothing_lands_while_nothing_may_begin(world: dict[str, Any]) -> None:
    """The kill switch holds for proposals too."""
    assert LandProposal(item="Q") not in approved().steps(**world)


def test_nothing_lands_on_rules_that_are_not_adopted() -> None:
    """Else they would be adopted with it."""
    story = approved()
    story.sets["theirs"] = rules("theirs")
    (record,) = notes(story, {"governance": "theirs"})
    assert record.rule == "governance:unapproved"


def test_what_is_on_main_is_taken_in_before_anybody_is_asked_about_it() -> None:
    """It was approved: no second question, though lifeos itself brought it."""
    story = noted(approved())
    story.sets[NEW] = rules(NEW)
    (record,) = notes(story, landed={"Q": "m1"})
    assert (record.topic, record.digest, record.commit) == (Topic.LANDED, NEW, "m1")
    (record,) = notes(story, {"governance": NEW}, landed={"Q": "m1"})
    assert record.topic is Topic.LANDED


def test_a_merge_that_a_forge_reports_is_taken_before_its_rules_are_looked_at() -> None:
    """Else the approver's merge would be adopted as anybody's push, without its proposal."""
    story = asked()
    story.note(Topic.PULL, item="Q", pull=PullRequest(head="h", landing=True, number=1))
    told = Answer(
        item="Q",
        decision=Decision.APPROVE,
        who="a@example.org",
        trust=Trust.MERGE,
        commit="merge",
    )
    world = {"governance": NEW, "governance_by_approver": True}
    (record,) = notes(story, {**world, "answers": (told,)})
    assert isinstance(record, Resolved)
    story.add(record)
    assert story.steps(**world) == (LandProposal(item="Q"),)
    story.note(Topic.LANDING, item="Q", commit="merge", onto=MAIN, tree="t", digest=NEW)
    assert story.steps(**world) == ()
    (record,) = notes(story, world, landed={"Q": "merge"})
    assert record.topic is Topic.LANDED


@pytest.mark.parametrize("make", [asked, approved], ids=["asked", "approved"])
def test_other_rules_or_another_main_make_it_stale(make: Any) -> None:
    """It is withdrawn, and asked anew of what is there."""
    story = make()
    (record,) = notes(story, unfitting={"Q": "main changed"})
    assert (record.topic, record.reask, record.text) == (Topic.SUPERSEDED, True, "main changed")
    story.note(Topic.GOVERNANCE, digest=NEW, commit="m9")
    story.world["governance"] = NEW
    (record,) = notes(story)
    assert record.text == "the rules have changed since it was drafted"


def test_what_changes_no_rules_does_not_mind_other_rules() -> None:
    """Its change is of the backlog alone."""
    story = asked(TASK_ONLY)
    story.note(Topic.GOVERNANCE, digest=NEW, commit="m9")
    story.world["governance"] = NEW
    assert story.steps() == ()


def test_an_expired_one_is_asked_anew() -> None:
    """Time never approves; an old approval can then never be used late."""
    story = Story()
    ask(story)
    item = story.snapshot.items["Q"].model_copy(update={"expires_at": story.now - 1})
    story.snapshot = story.snapshot.model_copy(update={"items": {"Q": item}})
    (record,) = notes(story)
    assert (record.topic, record.reask) == (Topic.SUPERSEDED, True)
    story.add(record)
    assert story.snapshot.drafts == {"idle_rule:docs": Due(item="Q")}


def test_it_is_measured_when_its_window_is_over_and_not_before() -> None:
    """After so many runs; or, with days, at a time that the tick can wait for."""
    story = landed()
    story.world["governance"] = NEW
    passing_run(story, "one")
    assert notes(story, measured={"Q": HELD}) == []
    passing_run(story, "two")
    (record,) = notes(story, measured={"Q": HELD})
    assert (record.topic, record.measured) == (Topic.MEASURED, HELD)
    story = landed(TASK_ONLY)
    assert notes(story, measured={"Q": HELD}) == []
    end = story.snapshot.trials["Q"].landed_at + 2 * 86_400
    assert next_wake(story.snapshot, story.gather(), story.now) == end
    story.now = end
    (record,) = notes(story, measured={"Q": FAILED})
    assert record.topic is Topic.MEASURED


def test_what_cannot_be_drafted_is_said() -> None:
    """With the reason; the comment stays on the record of the answer."""
    story = asked().resolve("Q", Decision.REVISE, comment="nicer")
    (record,) = notes(story, undrafted={"idle_rule:docs": "it has no number"})
    assert (record.topic, record.item, record.text) == (Topic.DROPPED, "Q", "it has no number")


def test_a_trial_is_a_value_that_comes_back_as_it_was() -> None:
    """Through JSON, as state.json has it."""
    trial = landed().snapshot.trials["Q"]
    assert Trial.model_validate_json(trial.model_dump_json()) == trial
