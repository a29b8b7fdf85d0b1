"""Each setting, changed alone, changes what a back-test says, as worked out by hand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from lifeos.core.backtest import (
    BackTest,
    Departure,
    Difference,
    Fate,
    ReplacedBy,
    backtest,
    summary_lines,
)
from lifeos.core.backtest.settings import changed_settings, unknown_of
from lifeos.core.machine import NOT_PINNED
from lifeos.core.policy import Governance
from lifeos.core.records import BreachFact, Topic
from lifeos.core.state import PullRequest, Success
from lifeos.errors import LedgerBroken
from lifeos.model import (
    CloseOutcome,
    Decision,
    FailureClass,
    Mode,
    Risk,
    Stage,
    Trust,
    Usage,
    Verdict,
)
from story import TASK, Story, facts, rules

A, V, J = Decision.APPROVE, Decision.REVISE, Decision.REJECT
D = Departure
ADA = {"name": "Ada", "email": "ada@example.org"}
BOB = {"name": "Bob", "email": "bob@example.org"}
MINUTE = 60
SUPERVISED = rules(approvals={"approvers": [ADA, BOB]})
FULL = rules(approvals={"approvers": [ADA, BOB]}, autonomy="full")


def other(rules_: Governance, settings: Mapping[str, Any]) -> Governance:
    """The same rules with these settings: ``{"loop.autonomy": "full"}``."""
    values = rules_.model_dump(mode="json")
    for name, value in settings.items():
        *groups, key = name.split(".")
        place = values
        for group in groups:
            place = place[group]
        assert key in place, name
        place[key] = value
    return Governance.model_validate({**values, "digest": "other"})


def tried(story: Story, settings: Mapping[str, Any], **more: Any) -> BackTest:
    """The story under its rules with these settings; and nothing differs without them."""
    transitions = [(f"{number:040x}", record) for number, record in enumerate(story.records, 1)]
    same = backtest(transitions, story.sets, other(story.governance, {}), **more)
    assert (same.differences, same.parted) == ((), 0)
    return backtest(transitions, story.sets, other(story.governance, settings), **more)


def only(found: BackTest) -> Difference:
    """The one difference."""
    (one,) = found.differences
    return one


def told(found: BackTest) -> list[tuple[Departure, str, str]]:
    """All differences: in which way, by which rules."""
    return [(one.departure, one.old, one.new) for one in found.differences]


def landed(story: Story, run: str = "R") -> Story:
    """The run, which is at close and was let land, has landed."""
    story.claim(run).note(Topic.LANDING, run=run, commit="landed", onto="main0", tree="t")
    return story.close(CloseOutcome.PASS, run, landed="landed")


def rejected(story: Story, run: str = "R", outcome: CloseOutcome = CloseOutcome.REJECTED) -> Story:
    """The run ends by a no."""
    return story.answer(J, run, comment="no").close(outcome, run)


def asked_to_land(governance: Governance = SUPERVISED, **opened: Any) -> Story:
    """A run that waits for the answer to whether it may land."""
    story = Story(governance)
    return story.open(**opened).until(Stage.CLOSE).step()


# --- before landing -------------------------------------------------------------------------


def test_what_was_rejected_would_have_landed() -> None:
    """Autonomy full: the question that was answered with no would not have been asked."""
    found = tried(rejected(asked_to_land()), {"loop.autonomy": "full"})
    one = only(found)
    assert (one.departure, one.old, one.new) == (
        D.LANDED_ALTHOUGH_REJECTED,
        "autonomy:supervised",
        "",
    )
    assert (one.run, one.task, one.stage, one.fate) == ("R", "T", Stage.CLOSE, Fate.REJECTED)
    assert found.weaker == (one,)
    assert (found.same, found.parted, found.balance.questions_less) == (0, 0, 1)


def test_what_was_sent_back_would_have_landed() -> None:
    """The same where the answer was to do it again."""
    story = asked_to_land().answer(V, comment="simpler").until(Stage.CLOSE).step().answer()
    one = only(tried(landed(story), {"loop.autonomy": "full"}))
    assert one.departure is D.LANDED_ALTHOUGH_REVISED
    assert one.weaker


def test_what_was_approved_as_it_was_would_not_have_been_asked_and_the_waiting_is_saved() -> None:
    """The other way round: the answer was yes after a minute; the run goes on the same."""
    found = tried(landed(asked_to_land().answer()), {"loop.autonomy": "full"})
    one = only(found)
    assert (one.departure, one.waiting, one.fate) == (D.NOT_ASKED, MINUTE, Fate.LANDED)
    assert not found.weaker
    assert found.balance.waiting_less == MINUTE
    assert (found.parted, found.unknown) == (0, ())


def test_what_landing_sooner_would_have_come_to_is_not_known_where_landing_failed() -> None:
    """While the question waited main moved, and the work did not merge any more."""
    story = asked_to_land().answer().attempt(FailureClass.CONFLICT)
    found = tried(landed(story.until(Stage.CLOSE).step().answer()), {"loop.autonomy": "full"})
    assert only(found).departure is D.NOT_ASKED
    assert (found.parted, found.unknown[0].what) == (
        1,
        "what would have come of landing sooner, where landing failed",
    )


def test_a_landing_that_was_asked_again_and_rejected_would_have_been_made_the_first_time() -> None:
    """Main changed a path of the run after the yes: asked again, no. Unasked, it landed before."""
    story = asked_to_land().answer().step(overlapping=frozenset({"R"}))
    found = tried(rejected(story), {"loop.autonomy": "full"})
    assert told(found) == [
        (D.LANDED_ALTHOUGH_REJECTED, "reapprove:overlap", ""),
        (D.NOT_ASKED, "autonomy:supervised", ""),
    ]
    assert tried(story, {"loop.checkpoints": [{"name": "x", "stage": "packet", "lines": 99}]}).same


def test_what_nobody_answered_in_time_would_not_have_been_asked() -> None:
    """The rules said no, not a person: nothing weaker, and a question less."""
    hasty = other(SUPERVISED, {"approvals.expiry": {"hours": 1, "then": "reject"}})
    story = asked_to_land(hasty)
    story.now += 3600
    story.answer(J, who="expiry").close(CloseOutcome.REJECTED)
    found = tried(story, {"loop.autonomy": "full"})
    assert only(found).departure is D.NOT_ASKED_UNANSWERED
    assert not found.weaker
    assert found.parted == 0  # it would have landed


def test_a_question_that_an_edit_withdrew_would_have_been_over() -> None:
    """While it waited for a yes to land, the task was edited: it would have landed before."""
    story = asked_to_land()
    story.tasks["T"] = TASK.model_copy(update={"digest": "new text"})
    story.step()
    found = tried(story, {"loop.autonomy": "full"})
    assert (only(found).departure, only(found).told) == (
        D.NOT_ASKED_UNANSWERED,
        "it was withdrawn",
    )


def test_a_question_that_was_asked_anew_waited_from_the_first_time_on() -> None:
    """It expired and was held: two items, one question, and all of the waiting."""
    story = asked_to_land()
    first = story.item.opened_at
    story.note(Topic.SUPERSEDED, item=story.item.id, reask=True).step()
    found = tried(landed(story.answer()), {"loop.autonomy": "full"})
    assert only(found).waiting == story.records[-4].at - first
    assert found.balance.questions_less == 1


def test_an_open_question_would_not_have_been_asked() -> None:
    """Nobody has answered yet. And the other way round: it is about to be asked."""
    story = Story(FULL).open().attempt()
    found = tried(story, {"loop.checkpoints": [{"name": "design", "stage": "design"}]})
    assert told(found) == [(D.ASKED, "", "checkpoint:design")]
    one = only(tried(asked_to_land(), {"loop.autonomy": "full"}))
    assert (one.departure, one.fate, one.waiting) == (D.NOT_ASKED_UNANSWERED, Fate.OPEN, 0)


@pytest.mark.parametrize(
    ("reverted", "departure"), [(False, D.ASKED), (True, D.ASKED_AND_REVERTED)]
)
def test_what_landed_by_itself_would_have_been_asked(reverted: bool, departure: Departure) -> None:
    """Supervised: one question more; that the work was taken back later is said."""
    story = landed(Story(FULL).open().until(Stage.CLOSE))
    if reverted:
        story.note(Topic.REVERTED, run="R", task="T", commit="back")
    found = tried(story, {"loop.autonomy": "supervised"})
    one = only(found)
    assert (one.departure, one.old, one.new) == (departure, "", "autonomy:supervised")
    assert one.fate is (Fate.REVERTED if reverted else Fate.LANDED)
    assert found.balance.questions_more == 1
    assert found.balance.waiting_more_estimate is None  # nobody was ever waited for


def test_an_additional_question_waits_as_long_as_the_median_says_and_that_is_an_estimate() -> None:
    """Two answers took one and three minutes; one question more is estimated at two."""
    governance = rules(
        approvals={"approvers": [ADA]},
        autonomy="full",
        checkpoints=[{"name": "plan", "stage": "plan"}],
    )
    story = Story(governance)
    for run, minutes in (("R", 1), ("S", 3)):
        story.open(f"T{run}", run)
        while not story.run_of(run).item:
            story.attempt(run=run) if story.run_of(run).status == "ready" else story.step()
        story.now += (minutes - 1) * MINUTE
        story.answer(run=run)
        landed(story.until(Stage.CLOSE, run), run)
    point = {"name": "plan", "stage": "plan"}
    more = {"name": "design", "stage": "design", "risk": "low"}
    found = tried(story, {"loop.checkpoints": [point, more]}, since=0)
    assert told(found) == [(D.ASKED, "", "checkpoint:design")] * 2
    assert found.balance.waiting_more_estimate == 2 * 2 * MINUTE


def test_exceptions_ask_only_where_something_was_out_of_the_ordinary() -> None:
    """A plain run is not asked any more; one that had a question about a failure still is."""
    plain = landed(asked_to_land().answer())
    assert told(tried(plain, {"loop.autonomy": "exceptions"})) == [
        (D.NOT_ASKED, "autonomy:supervised", "")
    ]
    story = Story(SUPERVISED).open().until(Stage.BUILD)
    story.attempt(FailureClass.UNKNOWN).step().answer().until(Stage.CLOSE).step().answer()
    found = tried(landed(story), {"loop.autonomy": "exceptions"})
    assert told(found) == [(D.OTHER_RULE, "autonomy:supervised", "autonomy:exceptions")]


def test_a_landing_that_only_pull_requests_may_make_is_always_asked() -> None:
    """`main_writes: pr` asks where autonomy would not."""
    story = landed(Story(FULL).open().until(Stage.CLOSE))
    values = {
        "config.main_writes": "pr",
        "approvals.trust": "merge",
        "approvals.approvers": [{**ADA, "forge_id": 1}],
        "config.remote": "origin",
    }
    assert told(tried(story, values)) == [(D.ASKED, "", "main_writes:pr")]


def test_a_landing_by_pull_request_would_have_been_none() -> None:
    """`main_writes: direct` and full autonomy: what was merged would have landed unasked."""
    by_pull = other(
        FULL,
        {
            "config.main_writes": "pr",
            "approvals.trust": "merge",
            "approvals.approvers": [{**ADA, "forge_id": 1}],
        },
    )
    for decision, departure in ((A, D.NOT_ASKED), (J, D.LANDED_ALTHOUGH_REJECTED)):
        story = asked_to_land(by_pull)
        pull = PullRequest(head="head", number=7, landing=True)
        story.note(Topic.PULL, item=story.item.id, pull=pull)
        story.answer(decision, commit="merged", trust=Trust.MERGE, comment="")
        story = landed(story) if decision is A else story.close(CloseOutcome.REJECTED)
        found = tried(story, {"config.main_writes": "direct"})
        assert told(found) == [(departure, "main_writes:pr", "")]
        assert found.parted == 0


def test_a_landing_that_cannot_be_asked_for_its_conflict_is_not_asked_by_the_same_rules() -> None:
    """With pull requests, what does not merge is tried without a question, to be done anew."""
    values = {
        "config.main_writes": "pr",
        "approvals.trust": "merge",
        "approvals.approvers": [{**ADA, "forge_id": 1}],
    }
    by_pull = other(FULL, values)
    story = Story(by_pull).open().until(Stage.CLOSE).attempt(FailureClass.CONFLICT)
    assert tried(story, {"loop.tasks_per_tick": 3}).same == 1


# --- checkpoints ----------------------------------------------------------------------------


def test_an_explicit_checkpoint_that_was_rejected_would_not_have_been_there() -> None:
    """The design was refused. Without the checkpoint it goes on; landing is asked, or is not."""
    point = {"name": "design", "stage": "design"}
    for autonomy, guarded in (("supervised", True), ("full", False)):
        governance = rules(approvals={"approvers": [ADA]}, autonomy=autonomy, checkpoints=[point])
        story = rejected(Story(governance).open().attempt().step())
        found = tried(story, {"loop.checkpoints": []})
        one = only(found)
        assert (one.departure, one.old) == (D.WENT_ON_ALTHOUGH_REJECTED, "checkpoint:design")
        assert (one.guarded, bool(found.weaker)) == (guarded, not guarded)
        assert found.parted == 1  # what the plan would have been, nobody knows


def test_an_explicit_checkpoint_that_was_sent_back_would_not_have_been_there() -> None:
    """The same with an answer to do it again."""
    point = {"name": "design", "stage": "design"}
    governance = rules(approvals={"approvers": [ADA]}, autonomy="full", checkpoints=[point])
    story = Story(governance).open().attempt().step().answer(V, comment="smaller")
    assert only(tried(story, {"loop.checkpoints": []})).departure is D.WENT_ON_ALTHOUGH_REVISED


def test_a_yes_with_a_comment_is_more_than_a_yes() -> None:
    """The next attempt was given the comment: without the question it would have had none."""
    point = {"name": "design", "stage": "design"}
    governance = rules(approvals={"approvers": [ADA]}, autonomy="full", checkpoints=[point])
    for comment, parted in (("", 0), ("mind the tests", 1)):
        story = Story(governance).open().attempt().step().answer(comment=comment)
        found = tried(landed(story.until(Stage.CLOSE)), {"loop.checkpoints": []})
        assert only(found).departure is D.NOT_ASKED
        assert found.parted == parted


@pytest.mark.parametrize(
    ("condition", "asks"),
    [
        ({}, True),
        ({"risk": "medium"}, True),
        ({"risk": "high"}, False),
        ({"paths": ["src/**"]}, True),
        ({"paths": ["docs/**"]}, False),
        ({"lines": 3}, True),
        ({"lines": 4}, False),
        ({"files": 1}, True),
        ({"files": 2}, False),
    ],
)
@pytest.mark.parametrize("stage", [Stage.BUILD, Stage.PACKET])
def test_each_condition_of_a_checkpoint_counts(
    stage: Stage, condition: dict[str, Any], asks: bool
) -> None:
    """A run of medium risk that changed 3 lines of src/a.py, under one more checkpoint."""
    story = landed(Story(FULL).open(risk=Risk.MEDIUM).until(Stage.CLOSE))
    point = {"name": "more", "stage": stage.value, **condition}
    expected = [(D.ASKED, "", "checkpoint:more")] if asks else []
    assert told(tried(story, {"loop.checkpoints": [point]})) == expected


def test_after_a_question_that_nobody_was_asked_what_follows_is_conditional() -> None:
    """Two more checkpoints: the second is reached only if the first is answered with yes."""
    story = landed(Story(FULL).open().until(Stage.CLOSE))
    points = [{"name": name, "stage": name} for name in ("design", "packet")]
    found = tried(story, {"loop.checkpoints": points})
    assert [(one.new, one.conditional) for one in found.differences] == [
        ("checkpoint:design", False),
        ("checkpoint:packet", True),
    ]
    assert "1 if you say yes before" in "\n".join(summary_lines(found))


def test_a_question_of_money_comes_before_the_one_that_was_asked() -> None:
    """One more, and then the same; and the other way round one less."""
    point = {"name": "design", "stage": "design"}
    wide = rules(approvals={"approvers": [ADA]}, autonomy="full", checkpoints=[point])
    tight = other(wide, {"loop.budgets.cost_per_run": 1.0})
    story = Story(wide).open().attempt(usage=Usage(cost=2.0)).step().answer()
    found = tried(landed(story.until(Stage.CLOSE)), {"loop.budgets.cost_per_run": 1.0})
    assert told(found) == [(D.BUDGET_MET, "", "budget:cost_per_run")]
    assert found.parted == 0
    story = Story(tight).open().attempt(usage=Usage(cost=2.0)).step().answer().step().answer()
    found = tried(landed(story.until(Stage.CLOSE)), {"loop.budgets.cost_per_run": 10.0})
    assert told(found) == [(D.BUDGET_NOT_MET, "budget:cost_per_run", "success")]
    assert found.parted == 0


def test_the_same_question_by_another_rule_is_the_same_question() -> None:
    """The name of the rule is all that differs; the answer is the same, also a no."""
    point = {"name": "mine", "stage": "packet"}
    found = tried(rejected(asked_to_land()), {"loop.checkpoints": [point]})
    assert told(found) == [(D.OTHER_RULE, "autonomy:supervised", "checkpoint:mine")]
    assert not found.weaker


# --- failures -------------------------------------------------------------------------------


def failed_build(governance: Governance, failure: FailureClass, times: int = 1) -> Story:
    """A run whose build failed so many times, each time in another way and on another tree."""
    story = Story(governance).open().until(Stage.BUILD)
    for number in range(times):
        story.attempt(failure, error=f"error {number}", usage=Usage(cost=0.5))
    return story


def route(retries: int, then: str, backoff: int = 0) -> dict[str, Any]:
    return {"retries": retries, "then": then, "backoff": backoff}


ONCE = rules(
    autonomy="full",
    routing={**FULL.loop.routing.model_dump(), "test_failure": route(1, "escalate")},
    approvals={"approvers": [ADA]},
)


def test_a_failure_would_have_been_escalated_instead_of_tried_again() -> None:
    """`retries: 0`. It passed at the second try and landed: what you would have said is unknown."""
    story = landed(failed_build(ONCE, FailureClass.TEST_FAILURE).until(Stage.CLOSE))
    found = tried(story, {"loop.routing.test_failure": route(0, "escalate")})
    one = only(found)
    assert told(found) == [(D.ESCALATED, "retries_left", "ends_at_once:test_failure")]
    assert (one.stage, one.n, one.fate) == (Stage.BUILD, 5, Fate.LANDED)
    assert (found.parted, found.balance.questions_more) == (1, 1)
    assert [each.what for each in found.unknown] == [
        "how a question would have been answered that was never asked"
    ]


def test_a_failure_would_have_ended_the_run_and_what_came_after_is_saved() -> None:
    """`then: terminate`. It landed: that is lost; its later attempts ($0.75) are saved."""
    story = failed_build(ONCE, FailureClass.TEST_FAILURE)
    story.attempt(usage=Usage(cost=0.5, tokens=10)).attempt(usage=Usage(cost=0.25))
    story = landed(story.until(Stage.CLOSE))
    found = tried(story, {"loop.routing.test_failure": route(0, "terminate")})
    one = only(found)
    assert (one.departure, one.cost, one.fate) == (D.ENDED_ALTHOUGH_LANDED, 0.75, Fate.LANDED)
    balance = found.balance
    assert (balance.attempts_less, balance.cost_less, balance.tokens_less) == (3, 0.75, 10)
    assert found.parted == 0


def test_a_run_that_ended_badly_anyway_would_only_have_ended_sooner() -> None:
    """The same, where it was blocked in the end; the question about it would not have come."""
    story = failed_build(ONCE, FailureClass.TEST_FAILURE, times=2).step()
    story = rejected(story, outcome=CloseOutcome.BLOCKED)
    found = tried(story, {"loop.routing.test_failure": route(0, "terminate")})
    one = only(found)
    assert (one.departure, one.fate, one.waiting) == (D.TERMINATED, Fate.BLOCKED, MINUTE)
    assert (found.balance.attempts_less, found.balance.questions_less) == (1, 1)


def test_a_waiver_would_have_been_asked_instead() -> None:
    """`then: waive`, and the class is one that may be waived."""
    story = rejected(
        failed_build(ONCE, FailureClass.TEST_FAILURE, 2).step(), outcome=CloseOutcome.BLOCKED
    )
    found = tried(story, {"loop.routing.test_failure": route(1, "waive")})
    assert told(found) == [(D.WAIVER_ASKED, "exhausted:test_failure", "exhausted:test_failure")]
    both = {"loop.routing.test_failure": route(1, "waive"), "loop.waivers.classes": ["test_flake"]}
    assert told(tried(story, both)) == []


def test_a_failure_would_have_been_tried_again_though_a_person_ended_it() -> None:
    """One try more, that a no followed: it goes on unasked, at the mean cost of a build."""
    story = rejected(
        failed_build(ONCE, FailureClass.TEST_FAILURE, 2).step(), outcome=CloseOutcome.BLOCKED
    )
    found = tried(story, {"loop.routing.test_failure": route(2, "escalate")})
    assert told(found) == [(D.WENT_ON_ALTHOUGH_REJECTED, "exhausted:test_failure", "retries_left")]
    assert (found.balance.attempts_more, found.balance.cost_more_estimate) == (1, 0.5)
    assert len(found.weaker) == 1


def test_a_failure_would_have_been_tried_again_as_a_person_let_it() -> None:
    """The answer was one more attempt: the same attempt, without the waiting; then all is known."""
    story = failed_build(ONCE, FailureClass.TEST_FAILURE, 2).step().answer()
    found = tried(
        landed(story.until(Stage.CLOSE)), {"loop.routing.test_failure": route(2, "escalate")}
    )
    assert told(found) == [(D.RETRIED, "exhausted:test_failure", "retries_left")]
    assert (found.parted, found.balance.waiting_less) == (0, MINUTE)
    assert found.balance.attempts_more == 0


def test_what_is_not_asked_is_no_exception_before_landing() -> None:
    """Under `exceptions` the question about the failure brought the one before landing with it."""
    governance = other(ONCE, {"loop.autonomy": "exceptions"})
    story = failed_build(governance, FailureClass.TEST_FAILURE, 2).step().answer()
    story = landed(story.until(Stage.CLOSE).step().answer())
    found = tried(story, {"loop.routing.test_failure": route(2, "escalate")})
    assert told(found) == [
        (D.RETRIED, "exhausted:test_failure", "retries_left"),
        (D.NOT_ASKED, "autonomy:exceptions", ""),
    ]


def test_a_run_that_ended_would_have_been_tried_again() -> None:
    """`terminate` was the end; one more try would have cost the mean of that stage: an estimate."""
    governance = other(ONCE, {"loop.routing.test_failure": route(0, "terminate")})
    story = failed_build(governance, FailureClass.TEST_FAILURE).close(CloseOutcome.BLOCKED)
    found = tried(story, {"loop.routing.test_failure": route(1, "terminate")})
    assert told(found) == [(D.RETRIED, "ends_at_once:test_failure", "retries_left")]
    assert (found.balance.attempts_more, found.balance.cost_more_estimate) == (1, 0.5)
    assert "an estimate: $0.50, at the mean of their stages" in "\n".join(summary_lines(found))


def test_a_run_that_ended_would_have_paused() -> None:
    """`then: pause` waits instead of ending."""
    governance = other(ONCE, {"loop.routing.test_failure": route(0, "terminate")})
    story = failed_build(governance, FailureClass.TEST_FAILURE).close(CloseOutcome.BLOCKED)
    found = tried(story, {"loop.routing.test_failure": route(0, "pause", 900)})
    assert only(found).departure is D.PAUSED


def test_a_longer_pause_before_the_next_try_is_known_to_the_second() -> None:
    """`backoff`: the same tries, ten minutes later; and the other way round."""
    story = landed(failed_build(ONCE, FailureClass.TEST_FAILURE).until(Stage.CLOSE))
    slow = {"loop.routing.test_failure": route(1, "escalate", 600)}
    found = tried(story, slow)
    assert (only(found).departure, found.balance.pause_more) == (D.WAITED_LONGER, 600)
    assert found.parted == 0
    story = failed_build(other(ONCE, slow), FailureClass.TEST_FAILURE)
    found = tried(story, {"loop.routing.test_failure": route(1, "escalate")})
    assert (only(found).departure, found.balance.pause_more) == (D.WAITED_LESS, -600)


def test_a_pause_that_would_not_have_been_needs_no_waking() -> None:
    """A person woke the run: there would have been nothing to wake."""
    slow = other(ONCE, {"loop.routing.test_failure": route(1, "escalate", 600)})
    story = failed_build(slow, FailureClass.TEST_FAILURE).note(Topic.WOKEN, run="R")
    found = tried(
        landed(story.until(Stage.CLOSE)), {"loop.routing.test_failure": route(1, "escalate")}
    )
    assert told(found) == [(D.WAITED_LESS, "retries_left", "retries_left")]
    assert found.parted == 0


def test_no_progress_ends_the_tries_sooner() -> None:
    """The same tree three times; the same error twice: as many as the rules say are too many."""
    governance = other(
        ONCE,
        {
            "loop.routing.test_failure": route(5, "escalate"),
            "loop.progress": {"same_tree": 4, "oscillation": False, "same_error": 4},
        },
    )
    story = Story(governance).open().until(Stage.BUILD)
    for _ in range(3):
        story.attempt(FailureClass.TEST_FAILURE, tree="t", error="e")
    for name, limit, n in (("same_tree", 3, 7), ("same_error", 2, 6)):
        one = only(tried(story, {f"loop.progress.{name}": limit}))
        assert (one.departure, one.new, one.n) == (D.ESCALATED, f"no_progress:{name}", n)


def test_oscillation_ends_the_tries() -> None:
    """The tree before the last came back."""
    governance = other(
        ONCE,
        {"loop.routing.test_failure": route(5, "escalate"), "loop.progress.oscillation": False},
    )
    story = Story(governance).open().until(Stage.BUILD)
    for tree in ("t1", "t2", "t1"):
        story.attempt(FailureClass.TEST_FAILURE, tree=tree, error=tree)
    one = only(tried(story, {"loop.progress.oscillation": True}))
    assert (one.departure, one.new, one.n) == (D.ESCALATED, "oscillation", 7)


def revised(story: Story, causes: tuple[FailureClass, ...]) -> Story:
    """The review of the build asks for changes."""
    return story.until(Stage.BUILD_REVIEW).attempt(Verdict.REVISE, causes=causes)


def test_rework_without_a_plan_saves_the_planning() -> None:
    """`bypass`: a typo goes back to the build. The plan and its review ($0.30) were not needed."""
    story = revised(Story(FULL).open(), (FailureClass.TIMEOUT,))
    story.attempt(usage=Usage(cost=0.2)).attempt(usage=Usage(cost=0.1))
    story = landed(story.until(Stage.CLOSE))
    found = tried(story, {"loop.bypass.classes": ["timeout"]})
    one = only(found)
    assert (one.departure, one.old, one.new) == (D.REWORKED, "retries_left", "bypass")
    assert (found.balance.attempts_less, round(found.balance.cost_less, 2)) == (2, 0.3)
    assert found.parted == 1


@pytest.mark.parametrize(
    "narrow", [{"classes": ["lint_error"]}, {"lines": 2}, {"files": 0}], ids=str
)
def test_rework_that_needs_a_plan_adds_the_planning(narrow: dict[str, Any]) -> None:
    """Each limit of `bypass`, when it does not hold: two attempts more."""
    story = revised(Story(FULL).open(), (FailureClass.TYPO,))
    story = landed(story.until(Stage.CLOSE))
    found = tried(story, {f"loop.bypass.{name}": value for name, value in narrow.items()})
    one = only(found)
    assert (one.departure, one.old, one.new) == (D.REWORKED, "bypass", "retries_left")
    assert found.balance.attempts_more == 2


# --- money, time and size -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("setting", "value", "usage"),
    [
        ("cost_per_run", 1.0, Usage(cost=1.5)),
        ("seconds_per_run", 100, Usage(seconds=101)),
    ],
)
def test_a_budget_of_a_run(setting: str, value: float, usage: Usage) -> None:
    """It would have been used up, once; and where it was, it would not have been."""
    story = landed(Story(FULL).open().attempt(usage=usage).until(Stage.CLOSE))
    change = {f"loop.budgets.{setting}": value}
    found = tried(story, change)
    assert told(found) == [(D.BUDGET_MET, "", f"budget:{setting}")]
    assert (found.parted, found.balance.questions_more) == (0, 1)
    tight = Story(other(FULL, change)).open().attempt(usage=usage).step().answer()
    wide = {f"loop.budgets.{setting}": value * 10}
    found = tried(landed(tight.until(Stage.CLOSE)), wide)
    assert told(found) == [(D.BUDGET_NOT_MET, f"budget:{setting}", "success")]
    assert (found.parted, found.balance.waiting_less) == (0, MINUTE)


def test_a_budget_that_was_refused_would_not_have_been_used_up() -> None:
    """You said no to more money, and it would have been spent."""
    change = {"loop.budgets.cost_per_run": 1.0}
    story = Story(other(FULL, change)).open().attempt(usage=Usage(cost=2.0)).step()
    story = rejected(story, outcome=CloseOutcome.BLOCKED)
    found = tried(story, {"loop.budgets.cost_per_run": 10.0})
    assert told(found) == [(D.WENT_ON_ALTHOUGH_REJECTED, "budget:cost_per_run", "success")]


@pytest.mark.parametrize(
    "setting", ["attempts_per_stage", "attempts_per_class", "attempts_per_run"]
)
def test_a_budget_of_attempts(setting: str) -> None:
    """The try after the first failure would have been one too many."""
    story = landed(failed_build(ONCE, FailureClass.TEST_FAILURE).until(Stage.CLOSE))
    limit = 5 if setting == "attempts_per_run" else 1
    found = tried(story, {f"loop.budgets.{setting}": limit})
    assert told(found) == [(D.BUDGET_MET, "retries_left", f"budget:{setting}")]


@pytest.mark.parametrize("setting", ["cost_per_day", "cost_per_month"])
def test_a_budget_of_all_runs(setting: str) -> None:
    """Another run has spent $3 today: with a limit of $3.50 this one's $1 is asked for."""
    story = Story(FULL).open("T2", "S").attempt(run="S", usage=Usage(cost=3.0)).open()
    story.claim(reserved=1.0).add(story.finished(story.facts(None)))
    found = tried(story, {f"loop.budgets.{setting}": 3.5})
    assert [(one.run, one.departure, one.new) for one in found.differences] == [
        ("R", D.BUDGET_MET, f"budget:{setting}")
    ]


def test_a_budget_of_all_runs_that_was_asked_would_not_have_been() -> None:
    """The question of the day's money, answered with yes."""
    tight = other(FULL, {"loop.budgets.cost_per_day": 3.5})
    story = Story(tight).open("T2", "S").attempt(run="S", usage=Usage(cost=3.0)).open()
    story.world["paid"] = frozenset({Stage.DESIGN})
    story.step().answer().claim(reserved=1.0).add(story.finished(story.facts(None)))
    found = tried(story, {"loop.budgets.cost_per_day": 50.0})
    assert told(found) == [(D.BUDGET_NOT_MET, "budget:cost_per_day", "")]
    assert found.parted == 0


def test_a_budget_of_all_runs_that_a_new_day_freed_was_waited_for_as_well() -> None:
    """Nobody answered: the next day withdrew the question, after a day."""
    tight = other(FULL, {"loop.budgets.cost_per_day": 3.5})
    story = Story(tight).open("T2", "S").attempt(run="S", usage=Usage(cost=3.0)).open()
    story.world["paid"] = frozenset({Stage.DESIGN})
    story.step()
    story.now += 86_400
    story.step().claim(reserved=1.0).add(story.finished(story.facts(None)))
    found = tried(story, {"loop.budgets.cost_per_day": 50.0})
    assert told(found) == [(D.BUDGET_NOT_MET, "budget:cost_per_day", "")]
    assert (found.balance.waiting_less, found.parted) == (86_400 + MINUTE, 0)


def test_what_others_spend_counts_for_a_run_that_goes_another_way() -> None:
    """The run differs from its second stage on; the day's money is still everybody's."""
    point = {"name": "design", "stage": "design"}
    governance = rules(approvals={"approvers": [ADA]}, autonomy="full", checkpoints=[point])
    story = Story(governance).open().attempt().step().answer()
    story.open("T2", "S").attempt(run="S", usage=Usage(cost=3.0))
    story.claim(reserved=1.0).add(story.finished(story.facts(None)))
    values = {"loop.checkpoints": [], "loop.budgets.cost_per_day": 3.5}
    found = tried(story, values)
    assert [(one.run, one.departure) for one in found.differences] == [
        ("R", D.BUDGET_MET),
        ("R", D.NOT_ASKED),
    ]


@pytest.mark.parametrize(
    ("setting", "value", "usage", "name"),
    [
        ("loop.budgets.tokens_per_run", 100, Usage(tokens=101), "tokens_per_run"),
        ("loop.budgets.reserve_per_attempt", 0.5, Usage(cost=0.7), "reserve_per_attempt"),
        ("envelope.agent.tokens", 100, Usage(tokens=101), "agent.tokens"),
        ("envelope.agent.requests", 3, Usage(requests=4), "agent.requests"),
        ("loop.budgets.seconds_per_attempt", 60, Usage(seconds=61), "seconds_per_attempt"),
        ("envelope.limits.seconds", 60, Usage(seconds=61), "seconds_per_attempt"),
    ],
)
def test_a_limit_of_one_attempt(setting: str, value: float, usage: Usage, name: str) -> None:
    """It used more than it would have been allowed: it would have been ended, nobody knows how."""
    story = landed(Story(FULL).open().attempt(usage=usage).until(Stage.CLOSE))
    found = tried(story, {setting: value})
    assert told(found) == [(D.LIMIT_MET, "", f"limit:{name}")]
    assert found.parted == 1


def test_what_was_granted_once_more_doubles_the_limit_of_an_attempt() -> None:
    """After a grant an attempt may use 200 where the limit is 100."""
    tight = other(FULL, {"loop.budgets.cost_per_run": 1.0})
    story = Story(tight).open().attempt(usage=Usage(cost=1.5)).step().answer()
    story = landed(story.attempt(Verdict.ACCEPT, usage=Usage(tokens=150)).until(Stage.CLOSE))
    assert tried(story, {"envelope.agent.tokens": 100}).differences == ()
    assert only(tried(story, {"envelope.agent.tokens": 70})).departure is D.LIMIT_MET


def test_a_budget_of_tokens_that_was_used_up_would_not_have_been() -> None:
    """What the last attempt used over the limit was let through; with more there is no question."""
    tight = other(FULL, {"loop.budgets.tokens_per_run": 1000})
    story = Story(tight).open().attempt(usage=Usage(tokens=1001)).step().answer()
    found = tried(landed(story.until(Stage.CLOSE)), {"loop.budgets.tokens_per_run": 10_000})
    assert told(found) == [(D.BUDGET_NOT_MET, "budget:tokens_per_run", "success")]


def test_an_attempt_that_met_its_limit_would_have_gone_on_nobody_knows_how() -> None:
    """More tokens for an attempt that ended for want of them: said to be unknown, not guessed."""
    story = Story(FULL).open().attempt(FailureClass.BUDGET_EXCEEDED, usage=Usage(tokens=1_000_000))
    found = tried(story, {"envelope.agent.tokens": 2_000_000})
    assert (found.differences, found.parted) == ((), 1)
    assert "met one of its own limits" in found.unknown[0].what


# --- what a change may touch ----------------------------------------------------------------


def built(paths: tuple[str, ...] = ("src/a.py",), lines: int = 3, **opened: Any) -> Story:
    """A run that changed these paths, and landed by itself."""
    story = Story(FULL).open(**opened).until(Stage.BUILD).attempt(paths=paths, lines=lines)
    return landed(story.until(Stage.CLOSE))


PYTEST = {"name": "test", "run": "pytest", "kind": "test"}


@pytest.mark.parametrize(
    ("setting", "value", "departure"),
    [
        ("envelope.write", ["docs/**"], D.BREACH),
        ("envelope.protect", ["src/a.py"], D.BREACH),
        ("config.checks", [{**PYTEST, "pinned": ["src/**"]}], D.BREACH),
        ("config.prepare", [{"name": "p", "run": "true", "inputs": ["src/a.py"]}], D.BREACH),
        ("loop.budgets.diff_lines", 2, D.BUDGET_MET),
        ("loop.budgets.diff_files", 1, D.BUDGET_MET),
    ],
)
def test_a_change_would_have_left_the_envelope(
    setting: str, value: Any, departure: Departure
) -> None:
    """Each rule about names and size, judged again on the recorded paths."""
    found = tried(built(("src/a.py", "src/b.py")), {setting: value})
    assert [one.departure for one in found.differences] == [departure]
    assert (found.parted, found.balance.questions_more) == (1, 1)


def test_what_was_measured_otherwise_when_it_was_judged_is_left_alone() -> None:
    """A renamed file has two names and was one change: it fitted then, and does still."""
    one_file = other(FULL, {"loop.budgets.diff_files": 1})
    story = Story(one_file).open().until(Stage.BUILD).attempt(paths=("src/a.py", "src/b.py"))
    found = tried(landed(story.until(Stage.CLOSE)), {"envelope.protect": ["other/**"]})
    assert found.differences == ()


def test_a_breach_would_have_been_asked_as_a_change_of_the_environment() -> None:
    """What was protected would be an input of a prepare command: another question."""
    story = rejected(breached("protected", "opencode.json"))
    values = {
        "envelope.protect": [],
        "config.prepare": [{"name": "p", "run": "true", "inputs": ["opencode.json"]}],
    }
    found = tried(story, values)
    (one,) = found.differences
    assert (one.departure, found.parted) == (D.BREACH, 1)
    assert one.told == "asked as environment instead of breach"


def breached(kind: str, path: str, message: str = "bad", **more: Any) -> Story:
    """A run whose build was a breach, and is asked about."""
    story = Story(FULL).open(scope=()).until(Stage.BUILD)
    breach = BreachFact(kind=kind, path=path, message=message)
    values = {"breaches": (breach,), "paths": (path,) if path else ("src/a.py",), **more}
    failure = FailureClass.BUDGET_EXCEEDED if kind == "budget" else FailureClass.ENVELOPE_VIOLATION
    return story.attempt(failure, **values).step()


@pytest.mark.parametrize(
    ("kind", "path", "setting", "value"),
    [
        ("protected", ".mcp.json", "envelope.protect", []),
        ("binary", "a.png", "envelope.binaries", True),
        ("mode", "run.sh", "envelope.modes", True),
        ("secret", "a.txt", "envelope.secrets", False),
        ("budget", "", "loop.budgets.diff_lines", 5000),
    ],
)
def test_a_breach_would_have_been_none(kind: str, path: str, setting: str, value: Any) -> None:
    """Rejected: it would have gone on. Accepted: it would not have been asked."""
    lines: dict[str, Any] = {"lines": 400} if kind == "budget" else {}
    story = rejected(breached(kind, path, **lines), outcome=_end_of(kind))
    found = tried(story, {setting: value})
    assert [one.departure for one in found.differences] == [D.WENT_ON_ALTHOUGH_REJECTED]
    found = tried(breached(kind, path, **lines).answer(), {setting: value})
    assert [one.departure for one in found.differences] == [D.BREACH_LET_THROUGH]
    assert (found.balance.waiting_less, found.parted) == (MINUTE, 1)


def _end_of(kind: str) -> CloseOutcome:
    return CloseOutcome.BLOCKED if kind == "budget" else CloseOutcome.REJECTED


def test_a_new_file_would_have_been_allowed_where_it_was_made() -> None:
    """`new_files`: the breach names its path."""
    narrow = other(FULL, {"envelope.new_files": ["docs/**"]})
    story = Story(narrow).open(scope=()).until(Stage.BUILD)
    breach = BreachFact(kind="new_file", path="src/new.py")
    story.attempt(FailureClass.ENVELOPE_VIOLATION, breaches=(breach,), paths=("src/new.py",)).step()
    found = tried(story.answer(), {"envelope.new_files": ["docs/**", "src/**"]})
    assert [one.departure for one in found.differences] == [D.BREACH_LET_THROUGH]
    assert tried(story, {"envelope.new_files": ["docs/**", "tests/**"]}).differences == ()


def test_whether_other_content_would_still_be_a_breach_is_said_to_be_unknown() -> None:
    """A larger `max_file_bytes`, other `fake_secrets`: the facts have no size and no content."""
    story = rejected(breached("size", "a.bin"))
    found = tried(story, {"envelope.max_file_bytes": 10_000_000})
    assert found.differences == ()
    assert "settings about content" in found.unknown[0].what
    story = rejected(breached("secret", "tests/a.txt"))
    found = tried(story, {"envelope.fake_secrets": ["tests/**"]})
    assert "settings about content" in found.unknown[0].what


def test_a_command_that_ran_would_have_been_allowed() -> None:
    """`*` allows all; another list might or might not have."""
    narrow = other(FULL, {"envelope.agent.commands": ["ls*"]})
    story = Story(narrow).open(scope=()).until(Stage.BUILD)
    breach = BreachFact(kind="command", path="", message="curl")
    story.attempt(FailureClass.ENVELOPE_VIOLATION, breaches=(breach,)).step()
    rejected(story)
    found = tried(story, {"envelope.agent.commands": ["*"]})
    assert [one.departure for one in found.differences] == [D.WENT_ON_ALTHOUGH_REJECTED]
    found = tried(story, {"envelope.agent.commands": ["curl*"]})
    assert (found.differences, len(found.unknown)) == ((), 1)


def test_what_a_person_accepted_is_not_judged_again() -> None:
    """An accepted patch goes past the envelope, also past a narrower one."""
    story = breached("protected", ".mcp.json").answer()
    story.attempt(paths=(".mcp.json", "src/a.py"), tree=story.run.work)
    story = landed(story.until(Stage.CLOSE))
    found = tried(story, {"envelope.protect": [".mcp.json", "src/a.py"]})
    assert found.differences == ()


# --- how many review it ---------------------------------------------------------------------


def reviewed(mode: Mode, *, forced: bool, **opened: Any) -> Story:
    """A run whose build was reviewed in this mode, by rule; it is ready to land, or asked to."""
    story = Story(FULL).open(**opened).until(Stage.BUILD_REVIEW)
    return story.attempt(mode=mode, forced=forced).attempt()


DOCS = {
    "paths": ["src/**"],
    "change_class": "docs",
    "blast_radius": "local",
    "reversibility": "easy",
    "uncertainty": "low",
}


def test_a_smaller_council_takes_away_the_question_that_it_forced() -> None:
    """`classify` calls the path harmless: M0, and not M1, which forced a checkpoint; it was no."""
    story = rejected(reviewed(Mode.M1, forced=True).step())
    found = tried(story, {"council.classify": [DOCS]})
    assert told(found) == [
        (D.LANDED_ALTHOUGH_REJECTED, "council:M1", ""),
        (D.COUNCIL_SMALLER, "council:M1", "council:M0"),
    ]


def test_a_larger_council_forces_a_question() -> None:
    """What was harmless and landed by itself is grave: M2, and a person is asked."""
    quiet = other(FULL, {"council.classify": [DOCS]})
    story = Story(quiet).open().until(Stage.BUILD_REVIEW)
    story = landed(story.attempt(mode=Mode.M0).attempt())
    grave = {"paths": ["src/**"], "safety_critical": True}
    found = tried(story, {"council.classify": [grave]})
    assert told(found) == [
        (D.ASKED, "", "council:M2"),
        (D.COUNCIL_LARGER, "council:M0", "council:M2"),
    ]


@pytest.mark.parametrize(("setting", "value"), [("large_lines", 2), ("large_files", 1)])
def test_the_size_from_which_on_a_change_is_not_local(setting: str, value: int) -> None:
    """A large change of harmless files has the usual council."""
    quiet = other(FULL, {"council.classify": [DOCS]})
    story = Story(quiet).open().until(Stage.BUILD).attempt(paths=("src/a", "src/b"), lines=3)
    story = landed(story.attempt(mode=Mode.M0).attempt())
    found = tried(story, {f"council.{setting}": value})
    assert (D.COUNCIL_LARGER, "council:M0", "council:M1") in told(found)


def test_what_another_council_of_models_would_have_said_is_not_known() -> None:
    """With models the verdict is theirs: the run is told as far as there, and no further."""
    governance = other(
        FULL,
        {
            "config.agents.review": "opencode",
            "config.providers": {"p": {"url": "https://example.org/v1"}},
            "config.models": {"main": {"provider": "p", "id": "m"}},
        },
    )
    story = Story(governance).open().until(Stage.BUILD_REVIEW).attempt(mode=Mode.M1, forced=True)
    found = tried(rejected(story.attempt().step()), {"council.classify": [DOCS]})
    assert told(found) == [(D.COUNCIL_SMALLER, "council:M1", "council:M0")]
    assert found.parted == 1


def test_a_header_that_a_seat_raised_is_not_lowered_again() -> None:
    """M2 was not measured but raised: whether it would have been, the record does not say."""
    story = landed(reviewed(Mode.M2, forced=False))
    found = tried(story, {"council.classify": [DOCS]})
    assert found.differences == ()
    assert "raised" in found.unknown[0].what


# --- answers --------------------------------------------------------------------------------


def approved(who: str = "ada@example.org", after: int = 0, **more: Any) -> Story:
    """A run that landed by this person's yes, so many hours after it was asked."""
    story = asked_to_land()
    story.now += after * 3600
    return landed(story.answer(who=who, trust=Trust.COMMIT, **more))


def test_an_answer_of_somebody_who_is_no_approver_would_not_have_counted() -> None:
    """Bob's yes, and Bob taken off."""
    found = tried(approved("bob@example.org"), {"approvals.approvers": [ADA]})
    one = only(found)
    assert (one.departure, one.old, one.new) == (D.ANSWER_NOT_COUNTED, "trust:commit", "approvers")
    assert (one.item, found.parted) == (one.item, 1)
    assert tried(approved(), {"approvals.approvers": [ADA]}).differences == ()


def test_an_answer_that_came_as_a_commit_would_not_have_counted_with_pull_requests() -> None:
    """Trust `merge`: only what the forge merged counts."""
    values = {
        "approvals.trust": "merge",
        "approvals.approvers": [{**ADA, "forge_id": 1}],
    }
    found = tried(approved(), values)
    assert told(found) == [(D.ANSWER_NOT_COUNTED, "trust:commit", "trust:merge")]


KEYS = [f"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ{digit * 43}" for digit in "01"]


def test_an_answer_by_another_key_would_not_have_counted() -> None:
    """Signed by the key that Ada had then; under the rules that are tried she has another."""
    signed = other(
        SUPERVISED,
        {"approvals.trust": "signature", "approvals.approvers": [{**ADA, "key": KEYS[0]}]},
    )
    story = landed(asked_to_land(signed).answer(trust=Trust.SIGNATURE))
    found = tried(story, {"approvals.approvers": [{**ADA, "key": KEYS[1]}]})
    assert told(found) == [(D.ANSWER_NOT_COUNTED, "trust:signature", "approvers")]


def test_whether_a_commit_was_signed_as_well_is_said_to_be_unknown() -> None:
    """Trust `signature` instead of `commit`: nobody noted a signature that nobody needed."""
    values = {"approvals.trust": "signature", "approvals.approvers": [{**ADA, "key": KEYS[0]}]}
    found = tried(approved(), values)
    assert found.differences == ()
    assert any("in one way" in line for line in summary_lines(found))


CHECK = {"name": "t", "run": "false", "kind": "test"}


@pytest.mark.parametrize(
    ("values", "head"),
    [
        ({}, "all would have gone the same way."),
        ({"loop.autonomy": "full"}, "0 would have gone the same way."),
        ({"config.checks": [CHECK]}, "in what is known, none would have gone another way."),
        (
            {"config.checks": [CHECK], "loop.autonomy": "full"},
            "in what is known, 0 would have gone the same way.",
        ),
    ],
)
def test_what_is_not_known_is_not_said_to_have_gone_the_same_way(
    values: dict[str, Any], head: str
) -> None:
    """A check that is red always: nothing in the record says what it would have done."""
    first, *rest = summary_lines(tried(approved(), values))
    assert first.split(": ", 1)[1] == head
    assert any("what other checks" in line for line in rest) == ("config.checks" in values)


@pytest.mark.parametrize(("then", "end"), [("hold", "asked anew"), ("reject", "rejected")])
def test_an_answer_would_have_come_too_late(then: str, end: str) -> None:
    """It took three hours, and two were given."""
    values = {"approvals.expiry.hours": 2, "approvals.expiry.then": then}
    one = only(tried(approved(after=3), values))
    assert (one.departure, one.new) == (D.ANSWER_TOO_LATE, f"expiry:2h:{then}")
    assert end in one.told
    assert tried(approved(after=1), values).differences == ()


def test_a_question_would_have_waited_on_instead_of_ending_rejected() -> None:
    """Nobody answered in the hour that was given; a day would not have been over."""
    hasty = other(SUPERVISED, {"approvals.expiry": {"hours": 1, "then": "reject"}})
    story = Story(hasty).open().until(Stage.CLOSE).step()
    story.now += 3600
    story.answer(J, who="expiry").close(CloseOutcome.REJECTED)
    found = tried(story, {"approvals.expiry.hours": 24})
    assert told(found) == [(D.WAITED_LONGER, "expiry:1h:reject", "expiry:24h:reject")]
    found = tried(story, {"approvals.expiry.then": "hold"})
    assert told(found) == [(D.WAITED_LONGER, "expiry:1h:reject", "expiry:1h:hold")]
    assert tried(story, {"approvals.expiry.hours": 1}).differences == ()


def test_what_nobody_answered_says_nothing_about_how_long_answers_take() -> None:
    """One answer took a minute, one question ran out after an hour: the estimate is a minute."""
    hasty = other(SUPERVISED, {"approvals.expiry": {"hours": 1, "then": "reject"}})
    story = landed(asked_to_land(hasty).answer())
    story.open("T2", "S").until(Stage.CLOSE, "S").step()
    story.now += 3600
    story.answer(J, "S", who="expiry").close(CloseOutcome.REJECTED, "S")
    found = tried(story, {"loop.checkpoints": [{"name": "x", "stage": "design", "risk": "low"}]})
    assert found.balance.questions_more == 2
    assert found.balance.waiting_more_estimate == 2 * MINUTE


# --- rules that changed -----------------------------------------------------------------------


def no_checkpoints(recorded: Governance) -> Governance:
    """Each set that ruled, without its checkpoints."""
    return other(recorded, {"loop.checkpoints": []})


def changing(story: Story, instead: ReplacedBy) -> BackTest:
    """A story in which rules changed, with something else in the place of each set."""
    transitions = [(f"{number:040x}", record) for number, record in enumerate(story.records, 1)]
    assert backtest(transitions, story.sets, lambda recorded: other(recorded, {})).same
    return backtest(transitions, story.sets, instead)


DESIGN = {"name": "design", "stage": "design"}


def test_a_run_takes_over_the_rules_that_a_person_adopted_for_it() -> None:
    """After a first difference too: the new set does not ask before landing, in either case."""
    old = rules("old", {"approvers": [ADA]}, checkpoints=[DESIGN])
    story = Story(old).open().attempt().step().answer()
    story.sets["new"] = rules("new", {"approvers": [ADA]}, autonomy="full")
    story.hold("governance", "governance:unapproved", run=None, about="new")
    story.resolve("Q")
    assert story.run.governance == "new"
    found = changing(landed(story.until(Stage.CLOSE)), no_checkpoints)
    assert told(found) == [(D.NOT_ASKED, "checkpoint:design", "")]


def test_approvers_that_change_leave_what_was_approved_alone() -> None:
    """A set that runs do not pin: the yes before landing counts in both."""
    old = rules("old", {"approvers": [ADA]}, checkpoints=[DESIGN])
    story = Story(old).open().attempt().step().answer().until(Stage.CLOSE).step().answer()
    story.sets["new"] = other(old, {"approvals.approvers": [ADA, BOB]}).model_copy(
        update={"digest": "new"}
    )
    story.hold("governance", NOT_PINNED, run=None, about="new").resolve("Q")
    found = changing(landed(story), no_checkpoints)
    assert told(found) == [(D.NOT_ASKED, "checkpoint:design", "")]


def test_a_question_that_outlived_its_rules_would_have_been_over() -> None:
    """Under the old set it would have landed unasked, before the new one asked: what then?"""
    old = rules("old", {"approvers": [ADA]})
    story = asked_to_land(old)
    story.sets["new"] = rules("new", {"approvers": [ADA]})
    story.world["governance"] = "new"
    story.hold("governance", "governance:open_runs", item="G", run=None, about="new").resolve("G")
    story.step()

    def open_before(recorded: Governance) -> Governance:
        return other(recorded, {"loop.autonomy": "full"} if recorded.digest == "old" else {})

    found = changing(rejected(story), open_before)
    assert only(found).departure is D.NOT_ASKED_UNANSWERED
    assert found.parted == 1


# --- edited tasks ---------------------------------------------------------------------------


def test_an_edited_task_would_have_been_handled_otherwise() -> None:
    """`on_task_change`: asked about, it would have been begun again; and the other way round."""
    story = Story(FULL).open().attempt()
    story.tasks["T"] = TASK.model_copy(update={"digest": "new text"})
    story.step()
    found = tried(story, {"loop.on_task_change": "restart"})
    assert told(found) == [(D.TASK_CHANGE, "on_task_change:escalate", "on_task_change:restart")]
    story = Story(other(FULL, {"loop.on_task_change": "restart"})).open().attempt()
    story.tasks["T"] = TASK.model_copy(update={"digest": "new text"})
    story.step()
    found = tried(story, {"loop.on_task_change": "escalate"})
    assert told(found) == [(D.TASK_CHANGE, "on_task_change:restart", "on_task_change:escalate")]


def test_a_run_that_begins_again_begins_its_waiting_again() -> None:
    """The task was edited while a question was open that would not have been."""
    governance = rules(
        approvals={"approvers": [ADA]},
        autonomy="full",
        checkpoints=[DESIGN],
        on_task_change="restart",
    )
    story = Story(governance).open().attempt().step()
    story.tasks["T"] = TASK.model_copy(update={"digest": "new text"})
    story.step().attempt().step().answer()
    found = tried(landed(story.until(Stage.CLOSE)), {"loop.checkpoints": []})
    assert [(one.departure, one.waiting) for one in found.differences] == [
        (D.NOT_ASKED_UNANSWERED, 0),
        (D.NOT_ASKED, MINUTE),
    ]
    assert found.parted == 0


# --- the whole ------------------------------------------------------------------------------


def test_the_worst_comes_first_and_the_sum_is_of_all() -> None:
    """A rejected, an approved and a revised run: in the order of gravity, each counted once."""
    story = Story(SUPERVISED)
    for run, decision in (("A", A), ("B", J), ("C", V)):
        story.open(f"T{run}", run).until(Stage.CLOSE, run).step().answer(decision, run, comment="")
        if decision is A:
            landed(story, run)
        elif decision is J:
            story.close(CloseOutcome.REJECTED, run)
    found = tried(story, {"loop.autonomy": "full"})
    assert [(one.departure, one.count, one.runs) for one in found.counts] == [
        (D.LANDED_ALTHOUGH_REJECTED, 1, ("B",)),
        (D.LANDED_ALTHOUGH_REVISED, 1, ("C",)),
        (D.NOT_ASKED, 1, ("A",)),
    ]
    lines = summary_lines(found)
    assert lines[1] == "1 task that you rejected would have landed by itself: TB"
    assert "Saved: 3 questions, 1 min of waiting for you" in lines


def test_runs_opened_before_the_window_are_not_looked_at() -> None:
    """`since`: of two runs, the one opened from then on."""
    story = rejected(asked_to_land())
    begin = story.now
    rejected(story.open("T2", "S").until(Stage.CLOSE, "S").step(), "S")
    found = tried(story, {"loop.autonomy": "full"}, since=begin)
    assert (found.runs, [one.run for one in found.differences]) == (1, ["S"])


def test_decisions_under_a_set_that_cannot_be_read_are_unknown() -> None:
    """Nothing is concluded from rules that are not there."""
    story = rejected(asked_to_land())
    transitions = [(f"{number:040x}", record) for number, record in enumerate(story.records, 1)]
    found = backtest(transitions, {}, FULL)
    assert (found.differences, found.parted) == ((), 1)
    assert "cannot be read" in found.unknown[0].what


def test_what_another_version_decided_otherwise_is_unknown() -> None:
    """The record says something that its own rules do not say here."""
    story = Story(FULL).open().claim()
    done = story.finished(facts(Success.OK, artifact="x"))
    story.add(done.model_copy(update={"rule": "of_old"}))
    transitions = [(f"{number:040x}", record) for number, record in enumerate(story.records, 1)]
    found = backtest(transitions, story.sets, other(FULL, {"loop.autonomy": "supervised"}))
    assert (found.differences, found.parted) == ((), 1)
    assert "another version" in found.unknown[0].what


def test_a_ledger_that_is_not_possible_is_refused_by_its_commit() -> None:
    """A record that may not stand where it does is named."""
    story = Story(FULL).open()
    transitions = [("c1", story.records[0]), ("c2", story.records[1]), ("c3", story.records[1])]
    with pytest.raises(LedgerBroken, match="c3"):
        backtest(transitions, story.sets, FULL)


def test_each_setting_has_its_line_about_what_is_known_of_it() -> None:
    """A setting that nobody thought of here is named; and every line is about a setting."""
    values = FULL.model_dump(mode="json", exclude={"digest"})
    for key in _names("", values):
        unknown_of(key)  # KeyError: say in core/backtest/settings.py what is known of it
    old, new = FULL, other(FULL, {"loop.autonomy": "supervised", "config.checks": []})
    assert [(one.key, bool(one.unknown)) for one in changed_settings(old, new)] == [
        ("loop.autonomy", False),
        ("config.checks", True),
    ]
    with pytest.raises(KeyError):
        unknown_of("unheard.of")


def _names(name: str, value: Any) -> list[str]:
    if isinstance(value, dict) and value:
        return [
            each
            for key, inner in value.items()
            for each in _names(f"{name}.{key}" if name else key, inner)
        ]
    return [name]
