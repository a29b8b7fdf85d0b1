"""What to do next: the rules of bookkeeping in their order, and the work that may go on."""

from __future__ import annotations

from typing import Any

import pytest

from lifeos.core.decide import next_wake
from lifeos.core.facts import Answer, Attempt, End, Interrupt, OpenRun, Step, TaskFact, Write
from lifeos.core.policy import Approvals
from lifeos.core.questions import item_id, stale
from lifeos.core.readiness import awake
from lifeos.core.records import Held, Noted, Resolved, Topic
from lifeos.core.state import RunStatus
from lifeos.model import (
    CloseOutcome,
    Decision,
    FailureClass,
    ItemKind,
    Risk,
    Stage,
    Trust,
    Usage,
)
from story import MAIN, START, TASK, Story, facts, rules

DAY = 86_400
A, V, J = Decision.APPROVE, Decision.REVISE, Decision.REJECT


def answer(item: str, decision: Decision = A, **more: Any) -> Answer:
    """An answer that was found to count."""
    values = {"item": item, "decision": decision, "who": "ada@example.org", "trust": Trust.COMMIT}
    return Answer.model_validate({**values, "commit": "c1", **more})


def one(steps: tuple[Step, ...]) -> Step:
    """The only step."""
    (step,) = steps
    return step


def noted(steps: tuple[Step, ...]) -> Noted:
    """The only step, which is a note."""
    step = one(steps)
    assert isinstance(step, Write)
    assert isinstance(step.record, Noted)
    return step.record


def held(steps: tuple[Step, ...]) -> Held:
    """The only step, which opens an item."""
    step = one(steps)
    assert isinstance(step, Write)
    assert isinstance(step.record, Held)
    return step.record


def resolved(steps: tuple[Step, ...]) -> Resolved:
    """The only step, which takes an answer."""
    step = one(steps)
    assert isinstance(step, Write)
    assert isinstance(step.record, Resolved)
    return step.record


def adopted(story: Story, digest: str = "new", **loop: Any) -> Story:
    """Another set is adopted on sight."""
    story.sets[digest] = rules(digest, **loop)
    story.world["governance"] = digest
    return story.step(governance_by_approver=True)


# --- the order ------------------------------------------------------------------------------


def test_bookkeeping_comes_in_its_order_and_one_at_a_time() -> None:
    """Everything is there to be done at once; it is done in this order, and then work goes on."""
    story = Story(rules(on_task_change="restart"))
    for task, run in (("L", "landed"), ("W", "lost"), ("E", "ending"), ("C", "gone"), ("T", "R")):
        story.open(task, run)
    story.open("H", "held").attempt(FailureClass.UNKNOWN, "held").step()
    item = story.item.id
    story.until(Stage.CLOSE, "landed").step().answer(run="landed").claim("landed")
    story.note(Topic.LANDING, run="landed", commit="L1", onto=MAIN, tree="t")
    story.claim("lost", lease_until=story.now + 10**6)
    story.attempt(FailureClass.CONFIG_ERROR, "ending")
    del story.tasks["C"]
    story.attempt(FailureClass.UNKNOWN)
    story.sets["new"] = rules("new")
    world: dict[str, Any] = {
        "answers": (answer(item, J),),
        "landed": {"landed": "L1"},
        "lost": frozenset({"lost"}),
        "stop": True,
        "governance": "new",
    }
    seen = []
    for _ in range(9):
        step = one(story.steps(**world))
        match step:
            case End(run=run, outcome=outcome, landed=landed):
                seen.append(f"end {run} {outcome}")
                story.close(outcome, run, landed=landed)
            case Interrupt(run=run):
                seen.append(f"interrupt {run}")
                story.add(story.finished(facts(FailureClass.INTERRUPTED), run))
            case Write(record=record):
                seen.append(getattr(record, "rule", "") or getattr(record, "topic", "answer"))
                story.add(record)
            case _:
                raise AssertionError(step)
    assert seen == [
        "end landed pass",
        "interrupt lost",
        "end ending blocked",
        "stopped",
        "answer",
        "end held blocked",
        "governance:unapproved",
        "end gone cancelled",
        "ends_at_once:unknown",
    ]


def test_work_goes_on_side_by_side_only_when_nothing_is_left_to_book() -> None:
    """All attempts and one opening at once; a single piece of bookkeeping comes alone."""
    story = Story().open().open("U", "R2")
    steps = story.steps(candidates=(TaskFact(id="X", title="x", digest="x"),), may_open=3)
    assert [type(step) for step in steps] == [Attempt, Attempt, OpenRun]
    assert isinstance(one(story.steps(stop=True)), Write)


# --- landed, lost ---------------------------------------------------------------------------


def closing() -> Story:
    """A run whose approved landing is recorded, and whose worker says nothing more."""
    story = Story().open().until(Stage.CLOSE).step().answer().claim()
    return story.note(Topic.LANDING, run="R", commit="L", onto=MAIN, tree="t")


def test_a_landing_found_on_main_ends_the_run() -> None:
    """Before its claim counts as lost, and even while STOP is set."""
    story = closing()
    step = one(story.steps(landed={"R": "L"}, lost=frozenset({"R"}), stop=True))
    assert step == End(run="R", outcome=CloseOutcome.PASS, landed="L")
    assert story.steps() == ()


def test_a_worker_that_is_gone_is_interrupted_at_once_or_after_lease_and_grace() -> None:
    """At the last second of the grace the claim still stands."""
    story = Story().open().claim()
    claim = story.run.claim
    assert claim
    assert story.steps(lost=frozenset({"R"})) == (Interrupt(run="R"),)
    story.now = claim.lease_until + 300
    assert story.steps() == ()
    story.now += 1
    assert story.steps() == (Interrupt(run="R"),)


# --- stop -----------------------------------------------------------------------------------


def test_stop_is_noted_once_and_nothing_is_begun() -> None:
    """Neither attempts nor openings; answers and endings are still booked."""
    story = Story().open().open("U", "R2").attempt(FailureClass.UNKNOWN, "R2").step()
    candidates = {"candidates": (TASK.model_copy(update={"id": "X"}),), "may_open": 1}
    assert noted(story.steps(stop=True)).topic is Topic.STOPPED
    story.step(stop=True)
    assert story.steps(stop=True, **candidates) == ()
    taken = story.steps(stop=True, answers=(answer(story.item.id, J),))
    assert resolved(taken).decision is J
    assert noted(story.steps()).topic is Topic.RESUMED
    assert [type(step) for step in story.step().steps(**candidates)] == [Attempt, OpenRun]


def test_an_attempt_that_was_stopped_wakes_when_stop_is_gone() -> None:
    """Not by time, and not by main."""
    story = Story().open().step(stop=True).claim()
    story.add(story.finished(facts(FailureClass.INTERRUPTED, stopped=True)))
    story.now += 10**6
    assert story.steps(stop=True, main="main9") == ()
    assert isinstance(one(story.step().steps()), Attempt)


# --- governance -----------------------------------------------------------------------------


def test_a_set_brought_by_an_approver_is_adopted_on_sight() -> None:
    """Without a question."""
    story = Story()
    story.sets["new"] = rules("new")
    note = noted(story.steps(governance="new", governance_by_approver=True))
    assert (note.topic, note.digest) == (Topic.GOVERNANCE, "new")


def test_any_other_set_is_asked_once_and_the_old_one_rules_on() -> None:
    """Work goes on under the old rules while the question is open."""
    story = Story().open()
    story.sets["new"] = rules("new")
    story.world["governance"] = "new"
    item = held(story.steps())
    assert (item.item_kind, item.about, item.rule) == (
        ItemKind.GOVERNANCE,
        "new",
        "governance:unapproved",
    )
    assert isinstance(one(story.step().steps()), Attempt)
    assert story.snapshot.governance == "rules"


def test_a_refused_set_is_not_asked_again() -> None:
    """Until main has another one."""
    story = Story().open()
    story.sets |= {"new": rules("new"), "third": rules("third")}
    story.step(governance="new").resolve(story.item.id, J)
    assert isinstance(one(story.steps(governance="new")), Attempt)
    assert held(story.steps(governance="third")).about == "third"


@pytest.mark.parametrize(
    "then",
    [
        {"governance": "rules"},
        {"governance": "third"},
        {"governance": ""},
        {"governance_by_approver": True},
    ],
)
def test_a_question_about_rules_goes_when_it_is_no_longer_the_question(
    then: dict[str, Any],
) -> None:
    """Main went back, or on to another or a broken set, or an approver brought the same one."""
    story = Story()
    story.sets |= {"new": rules("new"), "third": rules("third")}
    story.world["governance"] = "new"
    story.step()
    note = noted(story.steps(**then))
    assert (note.topic, note.item) == (Topic.SUPERSEDED, story.item.id)


def test_a_broken_set_stops_new_work_and_nothing_else() -> None:
    """The adopted one keeps reconciling: answers are taken."""
    story = Story().open().open("U", "R2").attempt(FailureClass.UNKNOWN, "R2").step()
    assert story.steps(governance="") == ()
    taken = story.steps(governance="", answers=(answer(story.item.id, J),))
    assert resolved(taken).item == story.item.id


@pytest.mark.parametrize("policy", ["escalate", "adopt", "finish"])
def test_open_runs_go_on_under_other_rules_as_their_own_say(policy: str) -> None:
    """Asked before anything goes on; taken over; or finished under what they pinned."""
    story = adopted(Story(rules(on_governance_change=policy)).open())
    match policy:
        case "escalate":
            assert held(story.steps()).rule == "governance:open_runs"
            assert story.step().steps() == ()
        case "adopt":
            note = noted(story.steps())
            assert (note.topic, note.run, note.digest) == (Topic.REPINNED, "R", "new")
            assert story.step().run.governance == "new"
        case _:
            assert isinstance(one(story.steps()), Attempt)
            assert story.run.governance == "rules"


@pytest.mark.parametrize("decision", [A, J])
def test_the_answer_about_open_runs(decision: Decision) -> None:
    """Approve takes them over; reject ends those that waited, and no others."""
    story = Story().open()
    story.sets["finishing"] = rules("finishing", on_governance_change="finish")
    story.open("U", "R2", governance="finishing")
    adopted(story).step()
    story.resolve(story.item.id, decision)
    if decision is A:
        assert {run.governance for run in story.snapshot.runs.values()} == {"new"}
        return
    step = one(story.steps())
    assert isinstance(step, End)
    assert (step.run, step.outcome) == ("R", CloseOutcome.BLOCKED)
    story.close(CloseOutcome.BLOCKED)
    assert [step.run for step in story.steps() if isinstance(step, Attempt)] == ["R2"]


def test_the_attempt_under_way_is_not_asked_about() -> None:
    """Its run is, once it has ended."""
    story = adopted(Story().open().claim())
    assert story.steps() == ()
    story.add(story.finished(story.facts(None)))
    assert held(story.steps()).rule == "governance:open_runs"


def test_the_question_about_open_runs_goes_with_the_last_of_them() -> None:
    """Cancelled, say: nothing is left to be asked."""
    story = adopted(Story().open()).step().close(CloseOutcome.CANCELLED)
    assert noted(story.steps()).topic is Topic.SUPERSEDED


ADA = {"name": "Ada", "email": "ada@example.org"}
BOB = {"name": "Bob", "email": "bob@example.org"}
KEYS = [f"ssh-ed25519 AAAA{'x' * 63}{n}" for n in "ab"]


def approvals_alone(story: Story, **approvals: Any) -> Story:
    """Main has a set that differs from the adopted one in who may answer, and in nothing else."""
    adopted = story.sets[story.snapshot.governance]
    changed = Approvals.model_validate({"version": 1, **approvals})
    alone = adopted.model_copy(update={"approvals": changed, "digest": "alone"})
    story.sets["alone"], story.world["governance"] = alone, "alone"
    return story


@pytest.mark.parametrize("policy", ["escalate", "adopt", "finish"])
def test_who_may_answer_is_not_pinned_so_its_change_disturbs_no_run(policy: str) -> None:
    """Adopted on sight like any set of an approver's; open runs and their questions go on."""
    first = rules(approvals={"approvers": [ADA]}, on_governance_change=policy)
    story = Story(first).open().open("U", "R2").attempt(FailureClass.UNKNOWN, "R2").step()
    asked = story.item
    approvals_alone(story, approvers=[ADA, BOB], expiry={"hours": 1})
    note = noted(story.steps(governance_by_approver=True))
    assert (note.topic, note.digest) == (Topic.GOVERNANCE, "alone")
    story.step(governance_by_approver=True)
    assert isinstance(one(story.steps()), Attempt)
    assert story.item == asked
    assert {run.governance for run in story.snapshot.runs.values()} == {first.digest}


def test_approving_who_may_answer_takes_no_run_over() -> None:
    """Not by an approver: it is asked. Approved, it counts; runs keep their set and questions."""
    story = Story(rules(approvals={"approvers": [ADA]})).open()
    approvals_alone(story, approvers=[ADA, BOB])
    assert held(story.steps()).rule == "governance:not_pinned"
    before = story.step().run
    story.resolve(story.item.id, A)
    assert (story.snapshot.governance, story.run) == ("alone", before)
    assert isinstance(one(story.steps()), Attempt)


def test_a_change_of_more_than_who_may_answer_is_asked_as_ever() -> None:
    """The approvers and a setting that runs pin, in one set."""
    story = Story(rules(approvals={"approvers": [ADA]})).open()
    story.sets["new"] = rules("new", approvals={"approvers": [BOB]})
    assert held(story.steps(governance="new")).rule == "governance:unapproved"
    adopted(story, approvals={"approvers": [ADA, BOB]})
    assert held(story.steps()).rule == "governance:open_runs"


@pytest.mark.parametrize(
    ("now", "again"),
    [
        ({"approvers": [ADA, BOB]}, False),
        ({"approvers": [{**ADA, "name": "Ada L.", "email": "ADA@example.org"}]}, False),
        ({"approvers": [BOB]}, True),
        ({"trust": "signature", "approvers": [{**ADA, "key": KEYS[0]}]}, False),
        ({"trust": "signature", "approvers": [{**ADA, "key": KEYS[1]}]}, True),
        ({"approvers": [{**ADA, "key": KEYS[1]}]}, False),
    ],
)
def test_a_question_that_nobody_may_answer_any_more_is_asked_anew(
    now: dict[str, Any], again: bool
) -> None:
    """Only who was an approver then and is one now may answer: else it would wait for ever."""
    story = Story(rules(approvals={"approvers": [{**ADA, "key": KEYS[0]}]}))
    story.open().attempt(FailureClass.UNKNOWN).step()
    asked = story.item
    approvals_alone(story, **now).step(governance_by_approver=True)
    if not again:
        assert story.steps() == ()
        return
    note = noted(story.steps())
    assert (note.topic, note.item, note.reask) == (Topic.SUPERSEDED, asked.id, True)
    anew = story.step().step().item
    assert (anew.question, anew.governance) == (asked.question, "alone")
    assert anew.id != asked.id
    assert story.steps() == ()


# --- tasks ----------------------------------------------------------------------------------


@pytest.mark.parametrize("change", ["ticked", "deleted"])
@pytest.mark.parametrize("waiting", [False, True])
def test_a_task_that_is_ticked_cancelled_or_deleted_cancels_its_run(
    change: str, waiting: bool
) -> None:
    """Whether it is ready or waits for a person; an attempt under way ends first."""
    story = Story().open()
    if waiting:
        story.attempt(FailureClass.UNKNOWN).step()
    tasks = {} if change == "deleted" else {"T": TASK.model_copy(update={"open": False})}
    step = one(story.steps(tasks=tasks))
    assert isinstance(step, End)
    assert step.outcome is CloseOutcome.CANCELLED
    assert step.reason == ("the task is gone" if not tasks else "the task was ticked or cancelled")
    assert Story().open().claim().steps(tasks=tasks) == ()


EDITED = TASK.model_copy(update={"digest": "text2", "title": "New", "risk": Risk.HIGH})


@pytest.mark.parametrize("policy", ["escalate", "restart", "finish"])
def test_an_edited_task_is_handled_as_the_policy_says(policy: str) -> None:
    """Asked, begun again with the new text, or finished with the old."""
    story = Story(rules(on_task_change=policy)).open().attempt()
    steps = story.steps(tasks={"T": EDITED}, main="main9")
    match policy:
        case "escalate":
            item = held(steps)
            assert (item.item_kind, item.rule) == (ItemKind.ESCALATION, "task_changed")
            assert item.edited == EDITED.text
        case "restart":
            note = noted(steps)
            assert (note.topic, note.edited) == (Topic.RESTARTED, EDITED.text)
            assert note.commit == "main9"
        case _:
            step = one(steps)
            assert isinstance(step, Attempt)
            assert story.run.task_digest == "text"


OTHERWISE: dict[str, dict[str, Any]] = {
    "edited": {"tasks": {"T": EDITED}},
    "ticked": {"tasks": {"T": TASK.model_copy(update={"open": False, "done": True})}},
    "gone": {"tasks": {}},
    "rules": {"governance": "new", "governance_by_approver": True},
}


@pytest.mark.parametrize("policy", ["escalate", "restart", "finish"])
@pytest.mark.parametrize("came", OTHERWISE)
def test_a_rejection_wins_over_whatever_else_is_new_on_main(came: str, policy: str) -> None:
    """Only an approval is about the text and the rules of now: a no is taken before them."""
    story = Story(rules(on_task_change=policy, on_governance_change="adopt")).open()
    story.attempt(FailureClass.UNKNOWN).step()
    story.sets["new"] = rules("new")
    said = answer(story.item.id, J)
    assert resolved(story.steps(answers=(said,), **OTHERWISE[came])).decision is J
    if (came, policy) == ("edited", "finish"):
        return
    approval = (answer(story.item.id, A),)
    step = one(story.steps(answers=approval, **OTHERWISE[came]))
    assert not (isinstance(step, Write) and isinstance(step.record, Resolved))


def test_a_task_that_is_edited_again_is_asked_about_as_it_is_now() -> None:
    """The open item is about the first edit: it goes, and the second is asked about."""
    story = Story().open()
    story.tasks["T"] = EDITED
    story.step()
    assert story.steps() == ()
    story.tasks["T"] = EDITED.model_copy(update={"digest": "text3"})
    assert noted(story.steps()).topic is Topic.SUPERSEDED
    assert held(story.step().steps()).about == "text3"


def test_a_task_that_was_edited_back_is_not_asked_about() -> None:
    """There is no change any more; the open question is answered by any answer."""
    story = Story().open()
    story.tasks["T"] = EDITED
    story.step()
    story.resolve(story.item.id, A)
    assert story.run.title == "New"
    story.tasks["T"] = TASK
    assert held(story.steps()).about == "text"


# --- answers and expiry ---------------------------------------------------------------------


def asking(**approvals: Any) -> Story:
    """One open item."""
    story = Story(rules(approvals=approvals)).open()
    return story.attempt(FailureClass.UNKNOWN).step()


def test_an_answer_is_taken_with_who_and_how() -> None:
    """As it was judged, with the commit that brought it and main as it is."""
    story = asking()
    record = resolved(story.steps(answers=(answer(story.item.id, comment="yes", raw="r"),)))
    assert (record.decision, record.who, record.trust) == (A, "ada@example.org", Trust.COMMIT)
    assert (record.commit, record.comment, record.raw, record.main) == ("c1", "yes", "r", MAIN)


@pytest.mark.parametrize("given", [(A, J), (J, A), (A, V, J), (V, J)])
def test_reject_wins_and_then_revise(given: tuple[Decision, ...]) -> None:
    """In whatever order they arrived; and the others count no more."""
    story = asking()
    item = story.item.id
    answers = tuple(answer(item, decision) for decision in given)
    assert resolved(story.steps(answers=answers)).decision is J
    assert resolved(story.steps(answers=(answer(item, A), answer(item, V)))).decision is V
    story.step(answers=answers)
    assert not any(
        isinstance(step, Write) and isinstance(step.record, Resolved)
        for step in story.steps(answers=answers)
    )


def test_an_answer_to_an_item_that_is_not_open_is_nothing() -> None:
    """An old one, or another repository's."""
    assert asking().steps(answers=(answer("Q-other"),)) == ()


def test_an_item_expires_at_its_hour_and_is_rejected_if_the_rules_say_so() -> None:
    """Not a second before; it never approves."""
    story = asking(expiry={"hours": 2, "then": "reject"})
    assert story.item.expires_at == story.item.opened_at + 7200
    story.now = story.item.opened_at + 7199
    assert story.steps() == ()
    story.now += 1
    record = resolved(story.steps())
    assert (record.decision, record.who) == (J, "expiry")


def test_an_item_that_is_held_is_asked_anew_when_it_expires() -> None:
    """A reminder: the run goes on waiting, under a new item with a new date."""
    story = asking(expiry={"hours": 2, "then": "hold"})
    first = story.item
    story.now = first.opened_at + 7200
    note = noted(story.steps())
    assert (note.topic, note.reask) == (Topic.SUPERSEDED, True)
    again = story.step().step().item
    assert again.id != first.id
    assert (again.kind, again.rule, again.question) == (first.kind, first.rule, first.question)
    assert again.expires_at == again.opened_at + 7200


def test_an_answer_that_came_in_time_is_taken_though_the_tick_is_late() -> None:
    """The answer is booked before the expiry."""
    story = asking(expiry={"hours": 2, "then": "reject"})
    story.now += DAY
    assert resolved(story.steps(answers=(answer(story.item.id),))).decision is A


# --- landing checkpoint ---------------------------------------------------------------------


def at_close(autonomy: str, **loop: Any) -> Story:
    """A run that is ready to land."""
    return Story(rules(autonomy=autonomy, **loop)).open().until(Stage.CLOSE)


def test_supervised_asks_before_every_landing() -> None:
    """Once: the approval is for this landing, and the attempt follows it."""
    story = at_close("supervised")
    item = held(story.steps())
    assert (item.item_kind, item.rule, item.stage) == (
        ItemKind.STAGE_REVIEW,
        "autonomy:supervised",
        Stage.CLOSE,
    )
    story.step().answer()
    assert isinstance(one(story.steps()), Attempt)


def test_exceptions_asks_only_about_exceptional_runs() -> None:
    """A run with an escalation behind it, or of high risk."""
    assert isinstance(one(at_close("exceptions").steps()), Attempt)
    story = Story(rules(autonomy="exceptions")).open().attempt(FailureClass.UNKNOWN).step().answer()
    assert held(story.until(Stage.CLOSE).steps()).rule == "autonomy:exceptions"
    risky = Story(rules(autonomy="exceptions"), TASK.model_copy(update={"risk": Risk.HIGH})).open()
    assert held(risky.until(Stage.CLOSE).steps()).rule == "autonomy:exceptions"


def test_full_asks_only_where_a_rule_says_so() -> None:
    """An explicit checkpoint on the packet is asked at every level."""
    rule = {"name": "code", "stage": "packet", "paths": ["src/**"]}
    assert isinstance(one(at_close("full").steps()), Attempt)
    assert held(at_close("full", checkpoints=[rule]).steps()).rule == "checkpoint:code"


def test_an_earlier_checkpoint_is_no_approval_to_land() -> None:
    """Whoever approved the design has not seen the work."""
    story = Story(rules(checkpoints=[{"name": "design", "stage": "design"}])).open()
    story.attempt().step().answer().until(Stage.CLOSE)
    assert held(story.steps()).rule == "autonomy:supervised"


@pytest.mark.parametrize(
    ("policy", "world", "rule"),
    [
        ("overlap", {"moved": frozenset({"R"})}, ""),
        ("overlap", {"moved": frozenset({"R"}), "overlapping": frozenset({"R"})}, "overlap"),
        ("always", {"moved": frozenset({"R"})}, "always"),
        ("always", {}, ""),
    ],
)
def test_an_approval_is_asked_again_when_main_has_moved(
    policy: str, world: dict[str, Any], rule: str
) -> None:
    """Over the paths of the run, or at all, as the rules say."""
    story = at_close("supervised", reapprove=policy).step().answer()
    steps = story.steps(**world)
    if rule:
        assert held(steps).rule == f"reapprove:{rule}"
        assert isinstance(one(story.step(**world).answer().steps()), Attempt)
    else:
        assert isinstance(one(steps), Attempt)


def test_a_run_that_slept_while_closing_is_asked_before_it_lands() -> None:
    """A pause is no way around the question: rules changed, approval void, and then it wakes."""
    story = at_close("supervised", on_governance_change="adopt").step().answer()
    story.attempt(FailureClass.QUOTA)
    adopted(story).step()
    story.now += DAY
    assert (story.run.status, story.run.approved_on) == (RunStatus.PAUSED, "")
    assert held(story.steps()).rule == "autonomy:supervised"


# --- commands -------------------------------------------------------------------------------


def test_commands_that_no_approver_brought_are_asked_before_anything_runs() -> None:
    """Once allowed, the run goes on; what was allowed is bound by the subject."""
    story = Story(task=TASK.model_copy(update={"commands": "c"})).open()
    item = held(story.steps())
    assert (item.item_kind, item.rule) == (ItemKind.COMMANDS, "commands:unapproved")
    story.step().answer()
    assert isinstance(one(story.steps()), Attempt)


def test_edited_commands_are_asked_about_even_if_the_edit_is_approved() -> None:
    """To go on with the new text is not to allow what it runs."""
    story = Story().open()
    story.tasks["T"] = EDITED.model_copy(update={"commands": "c2"})
    story.step().answer()
    assert held(story.steps()).rule == "commands:unapproved"


# --- money ----------------------------------------------------------------------------------

PAID = frozenset(Stage)


def spending(cost: float, **budgets: Any) -> Story:
    """Two open runs; a third has spent this much today, and is gone."""
    limits = {"cost_per_day": 5.0, "cost_per_month": 50.0, "reserve_per_attempt": 1.0}
    story = Story(rules(budgets=limits | budgets)).open("X", "gone")
    story.attempt(run="gone", usage=Usage(cost=cost)).close(CloseOutcome.CANCELLED, "gone")
    story.world["paid"] = PAID
    return story.open().open("U", "R2")


@pytest.mark.parametrize(("cost", "attempts"), [(3.0, 2), (3.01, 1), (4.0, 1)])
def test_reservations_count_before_they_are_spent(cost: float, attempts: int) -> None:
    """Five dollars a day, one reserved for each attempt: so many fit side by side."""
    steps = spending(cost).steps()
    assert [type(step) for step in steps] == [Attempt] * attempts
    assert all(isinstance(step, Attempt) and step.reserved == 1.0 for step in steps)


def test_what_others_have_reserved_is_waited_for_and_not_asked_about() -> None:
    """A claim may cost less than it reserves; only what is spent needs a person."""
    story = spending(3.5).claim("R2", reserved=1.0)
    assert story.steps() == ()
    story.add(story.finished(story.facts(None, "R2", usage=Usage(cost=0.1)), "R2"))
    assert [type(step) for step in story.steps()] == [Attempt]


@pytest.mark.parametrize("name", ["cost_per_day", "cost_per_month"])
def test_a_spent_day_or_month_is_asked_and_a_grant_is_for_that_run(name: str) -> None:
    """The other run asks for itself."""
    story = spending(4.5, **{"cost_per_month": 5.0} if name == "cost_per_month" else {})
    if name == "cost_per_month":
        story.now += DAY
    assert held(story.steps()).rule == f"budget:{name}"
    story.step().answer()
    assert held(story.steps()).run == "R2"
    story.step()
    assert [step.run for step in story.steps() if isinstance(step, Attempt)] == ["R"]
    assert story.run.grants == 0


def test_the_next_day_frees_what_was_asked_for() -> None:
    """Nobody needs to answer; the run goes on by itself. A grant does not outlive its day."""
    story = spending(4.5).step()
    item = story.item.id
    story.step().now = START + DAY - 1
    assert story.steps() == ()
    story.now = START + DAY
    note = noted(story.steps())
    assert (note.topic, note.item) == (Topic.SUPERSEDED, item)
    story.step().step()
    assert [type(step) for step in story.steps()] == [Attempt, Attempt]
    granted = spending(4.5).step().answer()
    granted.now = START + DAY
    granted.attempt(run="R2", usage=Usage(cost=4.5))
    assert held(granted.steps()).rule == "budget:cost_per_day"


def test_a_grant_for_the_run_does_not_lift_the_days_limit() -> None:
    """They are different budgets."""
    story = spending(4.5)
    story.hold("budget", "budget:tokens_per_run").answer()
    assert held(story.steps()).rule == "budget:cost_per_day"


def test_a_grant_lets_the_next_attempt_cost_as_much_again() -> None:
    """What is reserved is all that an attempt may spend: else a grant would change nothing."""
    story = spending(0.0, cost_per_day=50.0)
    story.hold("budget", "budget:cost").answer()
    reserved = {step.run: step.reserved for step in story.steps() if isinstance(step, Attempt)}
    assert reserved == {"R": 2.0, "R2": 1.0}


def test_a_stage_whose_agent_cannot_be_started_waits_and_nothing_new_is_opened() -> None:
    """A missing key is nobody's failure; what needs no such agent goes on."""
    story = Story().open().open("U", "R2").attempt(run="R2")
    story.world["candidates"] = (TaskFact(id="V", title="V", digest="v"),)
    story.world["may_open"] = 1
    assert {type(step) for step in story.steps()} == {Attempt, OpenRun}
    story.world["unready"] = frozenset({Stage.DESIGN})
    assert [step.run for step in story.steps() if isinstance(step, Attempt)] == ["R2"]
    assert not [step for step in story.steps() if isinstance(step, OpenRun)]


def test_a_stage_that_costs_nothing_needs_no_money() -> None:
    """The limits are for paid agents only."""
    story = spending(4.9)
    story.world["paid"] = frozenset({Stage.BUILD})
    steps = story.steps()
    assert [step.reserved for step in steps if isinstance(step, Attempt)] == [0.0, 0.0]


@pytest.mark.parametrize(("spent", "asked"), [(4.99, False), (5.0, True)])
def test_a_limit_holds_without_any_reserve(spent: float, asked: bool) -> None:
    """With nothing set aside, the day still ends when its money is spent."""
    steps = spending(spent, reserve_per_attempt=0.0).steps()
    assert isinstance(steps[0], Write) == asked


def test_a_run_whose_own_budget_is_used_up_does_not_go_on_by_another_way() -> None:
    """New text was approved while the budget's question was pending: the budget is asked again."""
    story = Story().open().attempt(FailureClass.TIMEOUT, usage=Usage(cost=11.0))
    story.tasks["T"] = EDITED
    story.step().answer()
    assert held(story.steps()).rule == "budget:cost_per_run"


# --- pausing and waking ---------------------------------------------------------------------


def test_a_pause_ends_at_its_time() -> None:
    """At the second, not before."""
    story = Story().open().attempt(FailureClass.QUOTA)
    wake = story.run.wake
    assert wake
    assert wake.at
    story.now = wake.at - 1
    assert story.steps(main="main9") == ()
    story.now += 1
    assert isinstance(one(story.steps()), Attempt)


def test_a_red_main_is_looked_at_again_when_main_moves() -> None:
    """Or at the time, whichever is first."""
    story = Story().open().attempt(FailureClass.BASE_RED, main=MAIN)
    assert story.steps() == ()
    assert isinstance(one(story.steps(main="main1")), Attempt)
    story.now += 3600
    assert isinstance(one(story.steps()), Attempt)


def test_only_ready_and_paused_runs_wake() -> None:
    """A held run is never awake, whatever it waited for before."""
    story = asking()
    assert not awake(story.run, story.gather(), story.now + 10**9)


# --- what is begun --------------------------------------------------------------------------


def test_an_attempt_works_on_main_until_something_is_built() -> None:
    """Then on the base of the work; and on main again once it is planned anew."""
    story = Story().open()

    def base() -> str:
        step = one(story.steps(main="main9"))
        assert isinstance(step, Attempt)
        return step.base

    assert base() == "main9"
    assert story.until(Stage.BUILD).run.work == ""
    assert base() == "main9"
    story.attempt()
    assert base() == MAIN
    story.attempt(FailureClass.UNKNOWN).step().answer(V)
    assert story.run.stage is Stage.PLAN
    assert base() == "main9"


def test_runs_are_opened_one_at_a_time_up_to_the_limits() -> None:
    """In the order of the candidates, within ``open_runs`` and what this tick may open."""
    first, second = (TASK.model_copy(update={"id": name}) for name in "AB")
    some = {"candidates": (first, second)}
    story = Story(rules(budgets={"open_runs": 1}))
    assert story.steps(**some, may_open=5) == (OpenRun(task=first),)
    assert story.steps(**some, may_open=0) == ()
    assert story.open().claim().steps(**some, may_open=5) == ()


def test_one_task_alone() -> None:
    """With a task named, only it is opened and worked on."""
    story = Story().open().open("U", "R2")
    candidates = (TASK.model_copy(update={"id": "A"}), TASK.model_copy(update={"id": "B"}))
    steps = story.steps(only_task="U", candidates=candidates, may_open=5)
    assert [step.run for step in steps if isinstance(step, Attempt)] == ["R2"]
    assert len(steps) == 1
    assert OpenRun(task=candidates[1]) in story.steps(
        only_task="B", candidates=candidates, may_open=5
    )


# --- identities and subjects ----------------------------------------------------------------


def test_item_ids_follow_from_the_ledger_alone() -> None:
    """The same on every machine, another at each transition and in each repository."""
    one_story, other = Story().open(), Story().open()
    assert item_id(one_story.snapshot) == item_id(other.snapshot)
    before = item_id(other.snapshot)
    assert item_id(other.claim().snapshot) != before
    elsewhere = one_story.snapshot.model_copy(update={"root": "another"})
    assert item_id(elsewhere) != item_id(one_story.snapshot)


@pytest.mark.parametrize(
    "change",
    [
        {"task_digest": "other"},
        {"design": "other"},
        {"plan": "other"},
        {"work": "other"},
        {"stage": Stage.BUILD},
        {"governance": "other"},
        {"commands": "other"},
        {"id": "other"},
    ],
)
def test_an_item_is_stale_when_anything_it_is_about_has_changed(change: dict[str, Any]) -> None:
    """Task, design, plan, content of the work, stage, rules, commands, run: each is the subject."""
    story = Story().open().until(Stage.CLOSE).step()
    story.snapshot = story.snapshot.model_copy(update={"items": {}})
    asking_again = story.run.model_copy(update={"status": RunStatus.READY, "item": None})
    story.snapshot = story.snapshot.model_copy(update={"runs": {"R": asking_again}})
    contents = {story.run.id: "content", "other": "content"}
    story.step(contents=contents)
    assert not stale(story.snapshot, story.gather(contents=contents), story.item)
    run = story.run.model_copy(update=change)
    if "work" in change:
        contents[run.id] = "another content"
    snapshot = story.snapshot.model_copy(update={"runs": {"R": run}})
    assert stale(snapshot, story.gather(contents=contents), story.item)


def test_the_same_content_is_the_same_subject_and_main_may_move() -> None:
    """Bookkeeping that changes the tree and not its content makes nothing stale."""
    story = Story().open().until(Stage.CLOSE)
    run = story.run.id
    story.step(contents={run: "content"})
    for contents in ({run: "content"}, {run: "content", "x": "y"}):
        now = story.gather(contents=contents, main="main9")
        assert not stale(story.snapshot, now, story.item)
    assert stale(story.snapshot, story.gather(contents={run: "changed"}), story.item)


# --- the next wake-up -----------------------------------------------------------------------


def test_the_next_wake_up_is_the_first_thing_that_time_alone_brings() -> None:
    """A pause, a lease with its grace, an expiry, the next day for a spent budget; else never."""
    story = Story()

    def wake() -> int | None:
        return next_wake(story.snapshot, story.gather(), story.now)

    assert wake() is None
    story.open().claim()
    claim = story.run.claim
    assert claim
    assert wake() == claim.lease_until + 300 + 1
    story.add(story.finished(facts(FailureClass.QUOTA)))
    assert story.run.wake
    assert wake() == story.run.wake.at
    story = asking()
    assert wake() == story.item.expires_at
    story = spending(4.5).step()
    assert wake() == START + DAY


def test_a_wake_up_is_early_enough() -> None:
    """One second before it nothing is to be done; at it, something is."""
    for story in (
        Story().open().claim(),
        Story().open().attempt(FailureClass.QUOTA),
        asking(expiry={"hours": 1, "then": "reject"}),
    ):
        at = next_wake(story.snapshot, story.gather(), story.now)
        assert at
        story.now = at - 1
        assert story.steps() == ()
        story.now = at
        assert story.steps() != ()


def test_nothing_is_begun_on_a_main_that_lifeos_cannot_work_on() -> None:
    """Answers are still booked; neither attempts nor runs are begun."""
    story = Story().open().open("U", "R2").attempt(FailureClass.UNKNOWN, "R2").step()
    candidates = (TASK.model_copy(update={"id": "X"}),)
    assert story.steps(unfit=True, candidates=candidates, may_open=1) == ()
    taken = story.steps(unfit=True, answers=(answer(story.item.id, J),))
    assert resolved(taken).item == story.item.id


def test_what_is_past_is_no_wake_up() -> None:
    """An item whose time has come is dealt with now; one without a time never wakes anybody."""
    story = asking()
    assert story.item.expires_at
    assert next_wake(story.snapshot, story.gather(), story.item.expires_at) is None
    item = story.item.model_copy(update={"expires_at": None})
    snapshot = story.snapshot.model_copy(update={"items": {item.id: item}})
    assert next_wake(snapshot, story.gather(), story.now) is None
