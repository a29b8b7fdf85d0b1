"""The state machine: what may follow what, and what each transition does.

An event that the table does not allow raises, and nothing has changed: ``Story.refuses`` asserts
both, each time.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

import pytest

from lifeos.core.facts import TaskFact
from lifeos.core.machine import apply
from lifeos.core.policy import Progress, Route, Routing
from lifeos.core.records import Closed, Held, Noted, Opened, Resolved, Topic
from lifeos.core.spend import add_spend
from lifeos.core.state import (
    Ask,
    OnApprove,
    Outcome,
    RunStatus,
    Snapshot,
    Spend,
    Success,
    Wake,
)
from lifeos.core.table import (
    ANSWERS,
    KEPT,
    MAKER,
    NOT_OF_THE_TREE,
    NOT_OF_THE_WORK,
    REWORK_TARGETS,
    STAGES,
    TABLE,
    effects,
    next_stage,
)
from lifeos.errors import IllegalTransition
from lifeos.model import (
    Action,
    CloseOutcome,
    Decision,
    FailureClass,
    ItemKind,
    Risk,
    Stage,
    Usage,
    Verdict,
)
from story import MAIN, START, TASK, Story, facts, rules

OUTCOMES: tuple[Outcome, ...] = (*Success, *Verdict, *FailureClass)
REVIEWS = (Stage.DESIGN_REVIEW, Stage.PLAN_REVIEW, Stage.BUILD_REVIEW)
OF_BUILDS = {
    *("test_failure", "test_timeout", "test_flake", "lint_error", "formatting_error", "typo"),
    *("syntax_error", "no_change", "envelope_violation", "governance_violation"),
}


# --- the table ------------------------------------------------------------------------------


@pytest.mark.parametrize(("stage", "outcome"), [*product(Stage, OUTCOMES)])
def test_the_table_speaks_of_every_stage_and_outcome(stage: Stage, outcome: Outcome) -> None:
    """Each pair is either in the table with at least one action, or impossible for a reason."""
    verdict, review = isinstance(outcome, Verdict), stage in REVIEWS
    impossible = (
        (verdict != review and not isinstance(outcome, FailureClass))
        or (outcome is Success.OK and stage is Stage.CLOSE)
        or outcome is FailureClass.REVIEW_REJECTION
        or (outcome is FailureClass.CONFLICT and stage is not Stage.CLOSE)
        or (outcome in OF_BUILDS and stage not in (Stage.BUILD, Stage.CLOSE))
    )
    assert ((stage, outcome) in TABLE) != impossible
    if not impossible:
        assert TABLE[stage, outcome]


@pytest.mark.parametrize(("stage", "outcome"), TABLE)
def test_what_the_table_lets_follow(stage: Stage, outcome: Outcome) -> None:
    """Success goes on, failure never does; everything can be asked, ended and paused."""
    actions = TABLE[stage, outcome]
    assert (Action.ADVANCE in actions) == (outcome in (Success.OK, Verdict.ACCEPT))
    assert {Action.ESCALATE, Action.TERMINATE, Action.PAUSE} <= actions
    if Action.WAIVE in actions:  # a check's failure, or a seat of the council that gave no answer
        seat = outcome is FailureClass.VALIDATION_ERROR and stage in REVIEWS
        assert seat or (stage is Stage.BUILD and outcome in OF_BUILDS)
    if outcome is Verdict.REJECT:
        assert not actions & {Action.RETRY, Action.REWORK}


def test_stages_follow_each_other_and_rework_goes_back() -> None:
    """The pipeline in order; rework never leads forward, and always to a maker."""
    walked = [Stage.DESIGN]
    while walked[-1] is not Stage.CLOSE:
        walked.append(next_stage(walked[-1]))
    assert tuple(walked) == STAGES == tuple(Stage)
    assert next_stage(Stage.CLOSE) is Stage.CLOSE
    for stage, targets in REWORK_TARGETS.items():
        assert MAKER[stage] in targets
        assert all(STAGES.index(target) <= STAGES.index(stage) for target in targets)


@pytest.mark.parametrize(("stage", "outcome"), [*product(Stage, OUTCOMES)])
def test_an_action_outside_the_table_is_refused(stage: Stage, outcome: Outcome) -> None:
    """For every stage and outcome: each action that is not listed raises and changes nothing."""
    story = Story(rules(autonomy="full")).open().until(stage).claim()
    ask = Ask(kind=ItemKind.ESCALATION, rule="r", question="?")
    for action in set(Action) - TABLE.get((stage, outcome), frozenset()):
        to = next_stage(stage) if action is Action.ADVANCE else stage
        values = {"action": action, "rule": "r", "to": to, "ask": ask, "wake": None}
        known = story.finished(facts(FailureClass.UNKNOWN))
        record = known.model_copy(update={**values, "facts": facts(outcome, tree="t")})
        story.refuses(record, f"{action} may not follow {outcome} at {stage}")


# --- the beginning, and time ----------------------------------------------------------------


def test_a_ledger_begins_once_and_with_its_genesis() -> None:
    """The first record names the rules and gives the root; nothing may stand before or again."""
    early = Noted(at=START, topic=Topic.STOPPED)
    story = Story()
    assert (story.snapshot.root, story.snapshot.governance) == ("root", "rules")
    assert (story.snapshot.seq, story.snapshot.at) == (1, START)
    story.refuses(Noted(at=story.now, topic=Topic.GENESIS, digest="x"), "begins once")
    story.snapshot = Snapshot()
    story.refuses(early, "a ledger begins with genesis")


def test_time_never_goes_backwards() -> None:
    """A record may be at the time of the last one, never before it."""
    story = Story()
    at = story.snapshot.at
    story.refuses(Noted(at=at - 1, topic=Topic.STOPPED), f"before {at}")
    assert apply(story.snapshot, Noted(at=at, topic=Topic.STOPPED)).stop


def test_each_transition_counts_one() -> None:
    """``seq`` is how many there were; identities of items and runs follow from it."""
    story = Story().open().claim()
    assert story.snapshot.seq == len(story.records) == 3
    assert story.run.opened_seq == 1


# --- opened ---------------------------------------------------------------------------------


def test_opening_pins_the_task_and_the_rules() -> None:
    """The run begins at design, ready, with what the task said then."""
    run = Story(task=TASK.model_copy(update={"risk": Risk.HIGH, "commands": "c"})).open().run
    assert (run.stage, run.status, run.attempts) == (Stage.DESIGN, RunStatus.READY, 0)
    assert (run.task_digest, run.scope, run.governance) == ("text", ("src/**",), "rules")
    assert (run.risk, run.commands) == (Risk.HIGH, "c")


def test_a_task_has_one_run_at_a_time() -> None:
    """Neither the run's id nor its task may be open already."""
    story = Story().open()
    opened = story.records[-1].model_copy(update={"at": story.now})
    assert isinstance(opened, Opened)
    story.refuses(opened, "run R is open already")
    story.refuses(opened.model_copy(update={"run": "R2"}), "task T has an open run already")


@pytest.mark.parametrize("stage", Stage)
def test_a_run_begins_where_something_is_made(stage: Stage) -> None:
    """A retry may start from the plan or the build, never from a review or later."""
    story = Story()
    if stage in (Stage.DESIGN, Stage.PLAN, Stage.BUILD):
        assert story.open(stage=stage, design="d", plan="p").run.stage is stage
        assert (story.run.design, story.run.plan) == ("d", "p")
        return
    opened = Story().open().records[-1].model_copy(update={"stage": stage})
    story.refuses(opened, f"cannot start at {stage}")


def test_opening_takes_a_retry_off_the_list() -> None:
    """A person's retry is for one run; other tasks' retries stay."""
    story = Story().note(Topic.RETRY, task="T", stage=Stage.PLAN, run="R0")
    story.note(Topic.RETRY, task="U")
    assert story.snapshot.retries["T"].stage is Stage.PLAN
    assert list(story.open().snapshot.retries) == ["U"]


# --- claimed, and fencing -------------------------------------------------------------------


def test_a_claim_counts_and_reserves() -> None:
    """From the claim on, the attempt exists: its number, its stage, and the money set aside."""
    story = Story().open().open("U", "R2").claim(reserved=2.0, base="main1")
    assert (story.run.status, story.run.attempts, story.run.base) == ("claimed", 1, "main1")
    assert story.run.stage_attempts == {Stage.DESIGN: 1}
    assert story.claim("R2", reserved=0.5).snapshot.reserved == 2.5
    story.add(story.finished(story.facts(None)))
    assert story.snapshot.reserved == 0.5


@pytest.mark.parametrize(
    ("change", "because"),
    [
        ({"run": "nobody"}, "run nobody is not open"),
        ({"stage": Stage.PLAN}, "is at design 1"),
        ({"n": 2}, "is at design 1"),
        ({"n": 0}, "is at design 1"),
    ],
)
def test_a_claim_is_for_the_next_attempt(change: dict[str, object], because: str) -> None:
    """Neither another stage, nor another number, nor a run that is not there."""
    story = Story().open()
    story.refuses(story.claimed().model_copy(update=change), because)


def in_status(status: RunStatus) -> Story:
    """A story whose run is in this status."""
    story = Story(rules(checkpoints=[{"name": "design", "stage": "design"}])).open()
    match status:
        case RunStatus.READY:
            return story
        case RunStatus.CLAIMED:
            return story.claim()
        case RunStatus.ASKING:
            return story.attempt()
        case RunStatus.HELD:
            return story.attempt().step()
        case RunStatus.PAUSED:
            return story.attempt(FailureClass.QUOTA)
        case RunStatus.ENDING:
            return story.attempt(FailureClass.CONFIG_ERROR)


@pytest.mark.parametrize("status", RunStatus)
def test_only_a_run_that_may_go_on_is_claimed(status: RunStatus) -> None:
    """Ready or paused; two claims of one attempt never both count."""
    story = in_status(status)
    assert story.run.status is status
    record = story.claimed()
    if status in (RunStatus.READY, RunStatus.PAUSED):
        assert story.add(record).run.wake is None
    else:
        story.refuses(record, f"is {status}: it cannot be claimed")


@pytest.mark.parametrize(
    "change",
    [{"nonce": "another"}, {"n": 2}, {"stage": Stage.PLAN}],
)
def test_a_record_without_its_claim_is_refused(change: dict[str, object]) -> None:
    """Fencing: the nonce, the number and the stage must be those of the claim."""
    story = Story().open().claim()
    record = story.finished(story.facts(None))
    story.refuses(record.model_copy(update=change), "late or superseded")


def test_a_late_record_is_refused_and_so_is_the_same_one_twice() -> None:
    """A worker whose claim was closed as interrupted, and came back, changes nothing."""
    story = Story().open().claim()
    late = story.finished(story.facts(None))
    story.add(story.finished(facts(FailureClass.INTERRUPTED)))
    story.refuses(late.model_copy(update={"at": story.now}), "late or superseded")
    story.claim()
    story.refuses(late.model_copy(update={"at": story.now}), "late or superseded")
    good = story.finished(story.facts(None))
    story.add(good)
    story.refuses(good.model_copy(update={"at": story.now}), "late or superseded")


# --- finished -------------------------------------------------------------------------------

ASK = Ask(kind=ItemKind.ESCALATION, rule="r", question="?")
REVIEW = Ask(kind=ItemKind.STAGE_REVIEW, rule="r", question="?")
MONEY = Ask(kind=ItemKind.BUDGET, rule="r", question="?")


@pytest.mark.parametrize(
    ("outcome", "change", "because"),
    [
        ("ok", {"facts": None}, "has no facts"),
        ("ok", {"to": Stage.BUILD}, "cannot lead to build"),
        ("ok", {"to": Stage.DESIGN}, "cannot lead to design"),
        ("ok", {"ask": ASK}, "cannot ask a escalation"),
        ("ok", {"wake": Wake(at=1)}, "waits for nothing"),
        ("timeout", {"to": Stage.PLAN}, "cannot lead to plan"),
        ("timeout", {"ask": ASK}, "cannot ask a escalation"),
        ("timeout", {"wake": Wake()}, "would never wake"),
        ("timeout", {"action": Action.ESCALATE}, "asks nothing"),
        ("timeout", {"action": Action.ESCALATE, "ask": REVIEW}, "cannot ask a stage_review"),
        ("timeout", {"action": Action.TERMINATE, "ask": ASK}, "cannot ask a escalation"),
        ("timeout", {"action": Action.PAUSE}, "must either ask or wake"),
        ("timeout", {"action": Action.PAUSE, "ask": MONEY, "wake": Wake(at=1)}, "ask or wake"),
        ("timeout", {"action": Action.PAUSE, "ask": ASK}, "cannot ask a escalation"),
    ],
)
def test_a_decision_that_leads_nowhere_is_refused(
    outcome: str, change: dict[str, object], because: str
) -> None:
    """An attempt's record leads to a stage, a question, a time, or the end: never to nothing."""
    story = Story().open().claim()
    known = Success.OK if outcome == "ok" else FailureClass.TIMEOUT
    record = story.finished(story.facts(known))
    story.refuses(record.model_copy(update=change), because)


@pytest.mark.parametrize("outcome", [Success.OK, FailureClass.TEST_FAILURE])
def test_nothing_goes_on_from_a_build_without_a_tree(outcome: Outcome) -> None:
    """Neither by success nor by a waiver: there would be nothing to review and to land."""
    story = Story().open().until(Stage.BUILD).claim()
    ask = Ask(kind=ItemKind.WAIVER, rule="exhausted:test_failure", question="?")
    waive = {"action": Action.WAIVE, "to": Stage.BUILD, "ask": ask}
    values = {} if outcome is Success.OK else waive
    record = story.finished(facts(outcome)).model_copy(update=values)
    story.refuses(record, "left no tree to go on with")


def test_success_leaves_what_was_made() -> None:
    """Design and plan by digest, the tree with its paths and size; the run is ready for more."""
    story = Story().open().attempt(artifact="d1").attempt().attempt(artifact="p1").attempt()
    story.attempt(tree="t", paths=("src/a.py", "src/b.py"), lines=7)
    run = story.run
    assert (run.design, run.plan, run.work) == ("d1", "p1", "t")
    assert (run.paths, run.lines) == (("src/a.py", "src/b.py"), 7)
    assert (run.stage, run.status, run.feedback) == (Stage.BUILD_REVIEW, RunStatus.READY, 0)
    assert run.last_n[Stage.BUILD] == 5


def test_reviews_and_failures_make_no_work() -> None:
    """Only a build's tree is work, and only a design's or plan's artifact is one."""
    story = Story().open().attempt().attempt(artifact="review", tree="sneaky")
    assert (story.run.design, story.run.work) == ("the design", "")


def test_usage_adds_up_and_cost_goes_to_day_and_month() -> None:
    """For the run over all attempts; for the day and month over all runs."""
    usage = Usage(seconds=1.5, tokens=10, cost=0.25)
    story = Story().open().open("U", "R2").attempt(usage=usage).attempt(usage=usage)
    story.attempt(run="R2", usage=usage)
    assert story.run.usage == Usage(seconds=3.0, tokens=20, cost=0.5)
    assert story.snapshot.spend == Spend(
        day="2025-01-01", day_cost=0.75, month="2025-01", month_cost=0.75
    )


def test_a_retry_counts_and_an_advance_forgets() -> None:
    """Retries are counted per class until the stage is done; failures for the whole run."""
    story = Story().open().attempt(FailureClass.TIMEOUT, error="e")
    assert story.run.retries == {FailureClass.TIMEOUT: 1}
    assert (story.run.errors, story.run.feedback) == (("e",), 1)
    story.attempt()
    assert (story.run.retries, story.run.errors) == ({}, ())
    assert story.run.failures == {FailureClass.TIMEOUT: 1}


def test_rework_is_counted_where_it_was_sent_from() -> None:
    """Success of the reworked stage does not make the review forget; its own acceptance does."""
    story = Story().open().attempt().attempt(Verdict.REVISE).attempt()
    assert story.run.reworks == {Stage.DESIGN_REVIEW: {FailureClass.REVIEW_REJECTION: 1}}
    assert (story.run.stage, story.run.retries) == (Stage.DESIGN_REVIEW, {})
    assert story.attempt().run.reworks == {}


@pytest.mark.parametrize("outcome", [FailureClass.QUOTA, FailureClass.BASE_RED])
def test_waiting_is_no_attempt_of_the_task(outcome: FailureClass) -> None:
    """A refusal of the provider, or a red main, does not use up the budget of attempts."""
    story = Story().open().attempt(outcome).attempt(outcome)
    assert (story.run.attempts, story.run.stage_attempts) == (2, {Stage.DESIGN: 0})
    assert story.run.status is RunStatus.PAUSED


def test_being_stopped_is_no_attempt_of_the_task() -> None:
    """The same for an attempt that STOP cut off; it wakes when STOP is gone."""
    story = Story().open().attempt(FailureClass.INTERRUPTED, stopped=True)
    assert story.run.stage_attempts == {Stage.DESIGN: 0}
    assert story.run.wake == Wake(stop=True)


def test_progress_is_measured_by_builds_and_by_what_failed_in_them() -> None:
    """Trees and errors are kept for failures of the work, in order, and for good builds too."""
    story = Story(rules(progress={"oscillation": False})).open().until(Stage.BUILD)
    story.attempt(FailureClass.TEST_FAILURE, tree="t1", error="e1")
    story.attempt(FailureClass.INTERRUPTED, tree="cut off", error="killed")
    story.attempt(FailureClass.ENVIRONMENT_ERROR, tree="t1", error="disk")
    story.attempt(FailureClass.LINT_ERROR, tree="t2", error="e2")
    assert [*story.run.trees] == ["t1", "t2"]
    assert story.run.errors == ("e1", "disk", "e2")
    story.attempt(tree="t3")
    assert [*story.run.trees] == ["t1", "t2", "t3"]
    assert not story.run.errors


def test_as_much_is_remembered_as_a_policy_may_ask_for() -> None:
    """Else a large ``same_tree`` or ``same_error`` could be set, and would never apply."""
    for name in ("same_tree", "same_error"):
        limits = Progress.model_fields[name].metadata
        assert max(getattr(limit, "le", 0) for limit in limits) <= KEPT


def test_what_says_nothing_of_the_work_says_nothing_of_the_tree() -> None:
    """The one list contains the other."""
    assert NOT_OF_THE_WORK < NOT_OF_THE_TREE


def test_risk_and_mode_come_from_what_is_measured() -> None:
    """Risk is only ever raised; the mode is that of the last review."""
    story = Story().open().attempt(risk=Risk.HIGH).attempt(risk=Risk.LOW, mode="M2", forced=True)
    assert (story.run.risk, story.run.mode, story.run.forced) == (Risk.HIGH, "M2", True)


def test_an_ending_decision_ends_blocked() -> None:
    """Terminate does not close by itself: the packet comes first."""
    run = Story().open().attempt(FailureClass.CONFIG_ERROR).run
    assert (run.status, run.end) == (RunStatus.ENDING, CloseOutcome.BLOCKED)


def test_asking_is_two_transitions() -> None:
    """A process that dies in between leaves a run that is asking, with the whole question."""
    story = in_status(RunStatus.ASKING)
    assert story.run.ask
    assert (story.run.ask.kind, story.run.ask.rule) == ("stage_review", "checkpoint:design")
    assert story.step().run.status is RunStatus.HELD
    assert (story.item.kind, story.item.rule) == ("stage_review", "checkpoint:design")


def test_exceptions_are_counted() -> None:
    """Escalations and waivers make a run exceptional; budgets and checkpoints do not."""
    story = in_status(RunStatus.ASKING)
    assert story.run.exceptions == 0
    assert Story().open().attempt(FailureClass.UNKNOWN).run.exceptions == 1
    assert Story().open().attempt(FailureClass.BUDGET_EXCEEDED).run.exceptions == 0


# --- held -----------------------------------------------------------------------------------


@pytest.mark.parametrize("status", RunStatus)
def test_an_item_opens_on_a_run_that_waits_for_nobody_else(status: RunStatus) -> None:
    """Not while an attempt is under way, another item is open, or the run is ending."""
    story = in_status(status)
    held = Held(
        at=story.now,
        item="Q",
        item_kind=ItemKind.ESCALATION,
        run="R",
        stage=story.run.stage,
        question="?",
        rule="task_changed",
        subject="s",
    )
    if status in (RunStatus.READY, RunStatus.PAUSED, RunStatus.ASKING):
        assert story.add(held).run.item == "Q"
    else:
        story.refuses(held, "no item can open on it")


@pytest.mark.parametrize(
    ("change", "because"),
    [
        ({"run": None}, "cannot open on run None"),
        ({"run": "nobody"}, "run nobody is not open"),
        ({"item_kind": ItemKind.GOVERNANCE}, "cannot open on run R"),
        ({"item_kind": ItemKind.WAIVER}, "no attempt of run R asked"),
        ({"item_kind": ItemKind.BREACH}, "no attempt of run R asked"),
        ({"item_kind": ItemKind.ENVIRONMENT}, "no attempt of run R asked"),
        ({"item_kind": ItemKind.STAGE_REVIEW}, "has no design to review"),
        ({"stage": Stage.PLAN}, "is at design, not at plan"),
    ],
)
def test_an_item_that_nothing_asked_for_is_refused(change: dict[str, object], because: str) -> None:
    """Waivers, breaches and reviews come from attempts; the stage must be the run's."""
    story = Story().open()
    held = Held(
        at=story.now,
        item="Q",
        item_kind=ItemKind.ESCALATION,
        run="R",
        stage=Stage.DESIGN,
        question="?",
        rule="r",
        subject="s",
    )
    story.refuses(held.model_copy(update=change), because)


def test_an_item_opens_once() -> None:
    """Its id is not open already."""
    story = Story().open().open("U", "R2").hold("commands", "commands:unapproved")
    record = story.records[-1].model_copy(update={"run": "R2", "at": story.now})
    story.refuses(record, "item Q is open already")


# --- resolved: every kind and decision ------------------------------------------------------


def stage_review() -> Story:
    return in_status(RunStatus.HELD)


def landing_review() -> Story:
    return Story().open().until(Stage.CLOSE).note(Topic.STOPPED).step(stop=True)


def waiver() -> Story:
    story = Story(rules(routing=routes(test_failure=(0, "waive")))).open().until(Stage.BUILD)
    return story.attempt(FailureClass.TEST_FAILURE, tree="t").step()


def budget() -> Story:
    story = Story().open().until(Stage.BUILD)
    return story.attempt(FailureClass.TIMEOUT, usage=Usage(cost=11.0)).step()


def breach() -> Story:
    story = Story().open().until(Stage.BUILD)
    return story.attempt(FailureClass.ENVELOPE_VIOLATION, tree="t").step()


def environment() -> Story:
    story = Story().open().until(Stage.BUILD)
    return story.attempt(FailureClass.ENVELOPE_VIOLATION, tree="t", environment=True).step()


def escalation() -> Story:
    return Story().open().until(Stage.BUILD_REVIEW).attempt(FailureClass.UNKNOWN).step()


def commands() -> Story:
    return Story(task=TASK.model_copy(update={"commands": "c"})).open().step()


def governance() -> Story:
    story = Story().open()
    story.sets["new"] = rules("new")
    return story.step(governance="new")


def proposal() -> Story:
    return Story().open().hold("proposal", "r", run=None)


def routes(**changed: tuple[int, str]) -> dict[str, dict[str, object]]:
    """The default routing with these classes changed to (retries, then)."""
    from lifeos.core.policy import Routing

    table = Routing.defaults().model_dump(mode="json")
    return table | {
        name: {"retries": retries, "then": then} for name, (retries, then) in changed.items()
    }


A, V, J = Decision.APPROVE, Decision.REVISE, Decision.REJECT
READY, ENDING = RunStatus.READY, RunStatus.ENDING

EFFECTS: list[tuple[Callable[[], Story], Decision, dict[str, object]]] = [
    (stage_review, A, {"status": READY, "stage": Stage.DESIGN_REVIEW, "approved_on": ""}),
    (stage_review, V, {"status": READY, "stage": Stage.DESIGN}),
    (stage_review, J, {"status": ENDING, "end": CloseOutcome.REJECTED}),
    (landing_review, A, {"status": READY, "stage": Stage.CLOSE, "approved_on": MAIN}),
    (landing_review, V, {"status": READY, "stage": Stage.BUILD, "approved_on": ""}),
    (landing_review, J, {"status": ENDING, "end": CloseOutcome.REJECTED}),
    (waiver, A, {"status": READY, "stage": Stage.BUILD_REVIEW, "retries": {}}),
    (waiver, V, {"status": READY, "stage": Stage.BUILD, "waivers": ()}),
    (waiver, J, {"status": ENDING, "end": CloseOutcome.BLOCKED}),
    (budget, A, {"status": READY, "stage": Stage.BUILD, "grants": 1}),
    (budget, V, {"status": READY, "stage": Stage.PLAN, "grants": 1}),
    (budget, J, {"status": ENDING, "end": CloseOutcome.BLOCKED, "grants": 0}),
    (breach, A, {"status": READY, "stage": Stage.BUILD, "accepted": "t"}),
    (breach, V, {"status": READY, "stage": Stage.BUILD, "accepted": ""}),
    (breach, J, {"status": ENDING, "end": CloseOutcome.REJECTED}),
    (environment, A, {"status": READY, "stage": Stage.BUILD, "accepted": "t"}),
    (environment, J, {"status": ENDING, "end": CloseOutcome.REJECTED}),
    (escalation, A, {"status": READY, "stage": Stage.BUILD_REVIEW}),
    (escalation, V, {"status": READY, "stage": Stage.PLAN, "trees": (), "errors": ()}),
    (escalation, J, {"status": ENDING, "end": CloseOutcome.BLOCKED}),
    (commands, A, {"status": READY, "stage": Stage.DESIGN, "commands": "", "allowed": "c"}),
    (commands, J, {"status": ENDING, "end": CloseOutcome.REJECTED, "commands": "c"}),
    (governance, A, {"status": READY, "governance": "new"}),
    (governance, J, {"status": READY, "governance": "rules"}),
    (proposal, A, {"status": READY, "governance": "rules"}),
    (proposal, V, {"status": READY, "governance": "rules"}),
    (proposal, J, {"status": READY, "governance": "rules"}),
]


@pytest.mark.parametrize(
    ("begin", "decision", "after"), EFFECTS, ids=[f"{b.__name__}-{d}" for b, d, _ in EFFECTS]
)
def test_what_an_answer_does(
    begin: Callable[[], Story], decision: Decision, after: dict[str, object]
) -> None:
    """Each answer to each kind of item leaves the run exactly so, with its comment, item gone."""
    story = begin()
    item = story.item
    story.resolve(item.id, decision, comment="so be it")
    for name, value in after.items():
        assert getattr(story.run, name) == value, name
    assert not story.snapshot.items
    assert (story.run.item, story.run.ask) == (None, None)
    if item.run:
        assert (story.run.answers, story.run.comment) == (
            sum(isinstance(record, Resolved) for record in story.records),
            "so be it",
        )


def test_every_answer_that_exists_is_tested() -> None:
    """A new kind or decision without an effect above turns this red."""
    tested = {(begin().item.kind, decision) for begin, decision, _ in EFFECTS}
    assert tested == {(kind, decision) for kind, row in ANSWERS.items() for decision in row}


@pytest.mark.parametrize(("begin", "decision"), [(governance, V), (commands, V), (environment, V)])
def test_an_answer_that_the_kind_does_not_know_is_refused(
    begin: Callable[[], Story], decision: Decision
) -> None:
    """Rules, commands and inputs are taken as they are or not at all."""
    story = begin()
    record = Resolved(at=story.now, item=story.item.id, decision=decision, who="a@example.org")
    story.refuses(record, "is no answer to")


def test_an_answer_counts_once_and_only_while_the_item_is_open() -> None:
    """A double approval resumes once; an unknown item resumes nothing."""
    story = stage_review()
    answer = Resolved(at=story.now, item=story.item.id, decision=A, who="a@example.org")
    story.add(answer)
    story.refuses(answer.model_copy(update={"at": story.now}), "is not open")


def test_a_waiver_is_bound_to_its_subject() -> None:
    """What was waived, by which item, for exactly what: the failure class and the subject."""
    story = waiver()
    item = story.item
    story.answer()
    (given,) = story.run.waivers
    assert (given.item, given.subject) == (item.id, item.subject)
    assert given.failure is FailureClass.TEST_FAILURE
    story.attempt(Verdict.REVISE).until(Stage.BUILD)
    story.attempt(FailureClass.TEST_FAILURE, tree="another").step()
    assert story.item.kind is ItemKind.WAIVER
    assert story.item.subject != item.subject


def seat_waiver() -> Story:
    """A review whose seat gave no verdict, and the question about it."""
    routes = Routing.defaults(validation_error=Route(retries=0, then=Action.WAIVE)).model_dump(
        mode="json"
    )
    waivers = {"classes": ["validation_error"]}
    story = Story(rules(routing=routes, waivers=waivers)).open().until(Stage.PLAN_REVIEW)
    return story.attempt(FailureClass.VALIDATION_ERROR, missing=("risk",)).step()


def test_a_seat_that_is_let_go_is_let_go_for_this_review_only() -> None:
    """The council sits again without it: a waiver is no verdict. What comes next needs it again."""
    story = seat_waiver()
    assert story.item.kind is ItemKind.WAIVER
    assert not story.run.excused
    story.answer()
    assert (story.run.stage, story.run.status) == (Stage.PLAN_REVIEW, RunStatus.READY)
    assert story.run.excused == ("risk",)
    story.attempt(Verdict.REVISE)
    assert not story.run.excused
    again = seat_waiver().answer().attempt(Verdict.ACCEPT)
    assert (again.run.stage, again.run.excused) == (Stage.BUILD, ())
    assert seat_waiver().answer(J).run.end is CloseOutcome.BLOCKED


def test_a_waiver_must_name_what_it_waives() -> None:
    """A rule without a failure class at its end opens no waiver."""
    story = waiver_asked("exhausted:everything")
    held = story.held
    story.refuses(held, "names no failure class")


class _Asked(Story):
    held: Held


def waiver_asked(rule: str) -> _Asked:
    story = _Asked().open().until(Stage.BUILD).claim()
    assert isinstance(story, _Asked)
    ask = Ask(kind=ItemKind.WAIVER, rule=rule, question="?", on_approve=OnApprove.ADVANCE)
    record = story.finished(facts(FailureClass.TEST_FAILURE, tree="t"))
    story.add(record.model_copy(update={"action": Action.WAIVE, "ask": ask}))
    story.held = Held(
        at=story.now,
        item="Q",
        item_kind=ItemKind.WAIVER,
        run="R",
        stage=Stage.BUILD,
        question="?",
        rule=rule,
        subject="s",
    )
    return story


def test_an_accepted_patch_counts_for_that_patch_only() -> None:
    """The tree is taken as it is and checked; once it fails a check, it is built anew."""
    story = breach().answer()
    assert (story.run.accepted, story.run.trees) == ("t", ())
    story.attempt(FailureClass.INTERRUPTED, tree="t")
    assert story.run.accepted == "t"
    story.attempt(FailureClass.TEST_FAILURE, tree="t")
    assert story.run.accepted == ""
    assert story.run.status is RunStatus.READY


def test_a_secret_cannot_be_accepted_only_built_again() -> None:
    """A breach whose tree may not be kept leaves nothing to accept."""
    story = Story().open().until(Stage.BUILD)
    story.attempt(FailureClass.ENVELOPE_VIOLATION, tree="").step()
    assert story.item.on_approve is OnApprove.AGAIN
    assert story.answer().run.accepted == ""


def test_a_grant_after_success_does_not_repeat_the_work() -> None:
    """The attempt succeeded and used up the money: granting goes on from there."""
    story = Story().open().until(Stage.BUILD).attempt(usage=Usage(tokens=3_000_000)).step()
    assert story.item.rule == "budget:tokens_per_run"
    assert story.answer().run.stage is Stage.BUILD_REVIEW


def test_a_grant_does_not_stand_in_for_a_checkpoint() -> None:
    """What the policy wants to be asked after the stage is asked after the money is granted."""
    story = Story(rules(checkpoints=[{"name": "design", "stage": "design"}])).open()
    story.attempt(usage=Usage(cost=11.0)).step()
    assert story.item.kind is ItemKind.BUDGET
    story.answer()
    assert (story.run.status, story.run.stage) == (RunStatus.ASKING, Stage.DESIGN_REVIEW)
    assert story.step().item.rule == "checkpoint:design"
    assert story.answer().run.status is RunStatus.READY


def test_a_grant_does_not_stand_in_for_a_breach() -> None:
    """A patch that broke its envelope is still asked about, once there is money to go on."""
    story = Story().open().until(Stage.BUILD)
    usage = Usage(cost=11.0)
    story.attempt(FailureClass.ENVELOPE_VIOLATION, tree="t", usage=usage).step().answer().step()
    assert story.item.kind is ItemKind.BREACH
    assert story.answer().run.accepted == "t"


def test_a_grant_does_not_lose_a_verdict() -> None:
    """The review said revise, and used up the money: granting reworks, it does not ask again."""
    story = Story().open().attempt()
    story.attempt(Verdict.REVISE, usage=Usage(cost=11.0)).step().answer()
    assert (story.run.stage, story.run.status) == (Stage.DESIGN, RunStatus.READY)


def test_one_more_attempt_after_a_revision_is_one_more_rework() -> None:
    """To review the same thing again would only ask the same question twice."""
    story = Story(rules(routing=routes(review_rejection=(0, "escalate")))).open().attempt()
    story.attempt(Verdict.REVISE).step().answer()
    assert (story.run.stage, story.run.status) == (Stage.DESIGN, RunStatus.READY)


def test_one_more_attempt_after_a_rejection_is_one_more_review() -> None:
    """A person who approves disagrees with the review; it may look again."""
    story = Story().open().attempt().attempt(Verdict.REJECT).step().answer()
    assert (story.run.stage, story.run.status) == (Stage.DESIGN_REVIEW, RunStatus.READY)


def test_each_grant_is_for_one_budget() -> None:
    """More for the run is not more for the day, and the day's is not the month's."""
    story = Story().open().hold("budget", "budget:cost_per_run").answer()
    assert (story.run.grants, story.run.granted) == (1, {})
    story.hold("budget", "budget:cost_per_day")
    at = story.now
    assert (story.answer().run.grants, story.run.granted) == (1, {"cost_per_day": at})


def test_revising_a_waiver_gives_one_more_attempt_and_no_more() -> None:
    """The counts stay as they are: when it fails again, it is asked again."""
    story = Story().open().until(Stage.BUILD)
    for n in range(4):
        story.attempt(FailureClass.TEST_FAILURE, tree=f"t{n}")
    assert story.step().item.kind is ItemKind.WAIVER
    story.answer(V)
    assert story.run.retries == {FailureClass.TEST_FAILURE: 3}
    assert story.attempt(FailureClass.TEST_FAILURE, tree="t9").step().item.kind is ItemKind.WAIVER


@pytest.mark.parametrize(("stage", "made_at"), MAKER.items())
def test_revising_a_review_goes_to_the_stage_that_made_it(stage: Stage, made_at: Stage) -> None:
    """A checkpoint after a stage, revised, is rework of design, plan or build."""
    if stage in (Stage.PACKET, Stage.CLOSE):
        return  # asked at the landing: tested above
    story = Story(rules(checkpoints=[{"name": "c", "stage": stage}])).open().until(stage)
    assert story.attempt().step().item.rule == "checkpoint:c"
    story.answer(V, comment="no")
    assert (story.run.stage, story.run.comment) == (made_at, "no")


@pytest.mark.parametrize("stage", [stage for stage in Stage if stage is not Stage.CLOSE])
def test_rework_by_a_persons_word_begins_at_the_plan(stage: Stage) -> None:
    """Or at the design, while there is no plan."""
    story = Story().open().until(stage).attempt(FailureClass.UNKNOWN).step().answer(V)
    first = stage in (Stage.DESIGN, Stage.DESIGN_REVIEW)
    assert story.run.stage is (Stage.DESIGN if first else Stage.PLAN)


# --- a task that changed --------------------------------------------------------------------

EDITED = TaskFact(
    id="T", title="New", digest="text2", scope=("lib/**",), risk=Risk.MEDIUM, commands="c2"
)


def changed(story: Story, task: TaskFact = EDITED) -> Story:
    story.tasks["T"] = task
    return story


@pytest.mark.parametrize("decision", [A, V])
def test_an_answer_about_new_text_takes_it_over(decision: Decision) -> None:
    """Title, scope, tags, commands; risk only upwards; commands need allowing anew."""
    story = changed(Story().open()).step()
    assert story.item.rule == "task_changed"
    assert (story.run.task_digest, story.item.about) == ("text", "text2")
    run = story.answer(decision).run
    assert (run.task_digest, run.title, run.scope) == ("text2", "New", ("lib/**",))
    assert (run.risk, run.commands) == (Risk.MEDIUM, "c2")


def test_new_text_does_not_lower_the_risk_nor_ask_again_for_the_same_commands() -> None:
    """What a person allowed verbatim stays allowed while it stays the same."""
    task = TASK.model_copy(update={"risk": Risk.HIGH, "commands": "c2"})
    story = Story(task=task).open().step().answer()
    run = changed(story).step().answer().run
    assert (run.risk, run.commands, run.allowed) == (Risk.HIGH, "", "c2")


def test_new_text_makes_an_approval_to_land_stale() -> None:
    """It was given for the old text."""
    story = landing_review().answer()
    assert story.run.approved_on == MAIN
    changed(story, TASK.model_copy(update={"digest": "text2"})).step(stop=True)
    assert story.answer().run.approved_on == ""


@pytest.mark.parametrize("opened", [False, True])
def test_new_text_puts_a_checkpoint_off_and_does_not_answer_it(opened: bool) -> None:
    """Whether it was open or about to be: it is asked once the new text is approved."""
    story = changed(in_status(RunStatus.HELD if opened else RunStatus.ASKING))
    story.step()
    if opened:
        story.step()
    assert story.item.rule == "task_changed"
    changed(story, EDITED.model_copy(update={"digest": "text3", "commands": ""})).step().step()
    assert story.item.rule == "task_changed"
    assert story.answer().run.status is RunStatus.ASKING
    assert story.step().item.rule == "checkpoint:design"


def test_a_restart_begins_again_with_the_new_text() -> None:
    """Nothing of the old text is left but what it cost, and the open item is gone."""
    story = Story(rules(on_task_change="restart")).open().until(Stage.CLOSE)
    story.step()
    assert story.snapshot.items
    before = story.run
    changed(story).step(main="main7")
    run = story.run
    assert (run.stage, run.status, run.item) == (Stage.DESIGN, RunStatus.READY, None)
    assert (run.task_digest, run.base, run.commands) == ("text2", "main7", "c2")
    assert (run.design, run.plan, run.work, run.paths) == ("", "", "", ())
    assert (run.attempts, run.usage) == (before.attempts, before.usage)
    assert not story.snapshot.items


@pytest.mark.parametrize("status", [RunStatus.CLAIMED, RunStatus.ENDING])
def test_a_restart_waits_for_the_attempt_under_way(status: RunStatus) -> None:
    """And what is ending does not begin again."""
    story = in_status(status)
    record = Noted(at=story.now, topic=Topic.RESTARTED, run="R", edited=EDITED.text)
    story.refuses(record, f"is {status}: it cannot begin again")


# --- governance -----------------------------------------------------------------------------


def test_adopting_clears_what_was_refused() -> None:
    """A refused set that comes back after another was adopted is a new change."""
    story = governance().resolve(governance().item.id, J)
    assert story.snapshot.refused_governance == "new"
    story.note(Topic.GOVERNANCE, digest="third")
    assert (story.snapshot.governance, story.snapshot.refused_governance) == ("third", "")
    story.refuses(Noted(at=story.now, topic=Topic.GOVERNANCE), "by its digest")


def test_approving_a_set_repins_every_run_and_asks_anew() -> None:
    """What was asked under the old rules is asked again; an approval to land is void."""
    story = landing_review().answer()
    story.sets["new"] = rules("new")
    story.step(governance="new", stop=True)
    story.resolve(story.item.id)
    assert (story.run.governance, story.run.approved_on) == ("new", "")
    held = landing_review()
    held.sets["new"] = rules("new")
    held.step(governance="new", stop=True)
    asked = next(item for item in held.snapshot.items.values() if item.run is None)
    held.resolve(asked.id)
    assert (held.run.status, held.snapshot.items) == (RunStatus.ASKING, {})


def test_an_attempt_under_way_ends_under_the_rules_it_began_with() -> None:
    """The new set is pinned when it has ended; its decision is the old set's."""
    story = Story(rules(routing=routes(timeout=(0, "terminate")))).open().claim()
    story.sets["new"] = rules("new")
    story.step(governance="new")
    story.resolve(story.item.id)
    assert (story.run.governance, story.run.repin) == ("rules", "new")
    story.add(story.finished(facts(FailureClass.TIMEOUT)))
    assert (story.run.status, story.run.governance) == (RunStatus.ENDING, "new")


def test_a_run_can_only_take_over_the_adopted_set() -> None:
    """And only one that is not ending."""
    story = Story().open()
    record = Noted(at=story.now, topic=Topic.REPINNED, run="R", digest="other")
    story.refuses(record, "only take over the adopted set")
    ending = in_status(RunStatus.ENDING)
    record = Noted(at=ending.now, topic=Topic.REPINNED, run="R", digest="rules")
    ending.refuses(record, "while it is on")


# --- landing and closing --------------------------------------------------------------------


def landing() -> Story:
    """A claimed close whose landing is recorded."""
    story = landing_review().answer().claim()
    return story.note(Topic.LANDING, run="R", commit="L", onto=MAIN, tree="t")


def test_a_run_passes_with_the_landing_that_was_recorded() -> None:
    """The exact commit, recorded before main moved; then the run is gone."""
    story = landing()
    assert story.run.landing
    assert story.close(CloseOutcome.PASS, landed="L").snapshot.runs == {}


@pytest.mark.parametrize(
    ("story", "landed", "because"),
    [
        (Story().open(), "L", "has landed nothing"),
        (landing_review().answer().claim(), "L", "has landed nothing"),
        (landing(), "other", "landed another commit"),
        (landing(), "", "landed another commit"),
    ],
)
def test_a_run_does_not_pass_without(story: Story, landed: str, because: str) -> None:
    """No landing, or another commit than the recorded one, is no pass."""
    record = Closed(at=story.now, run="R", outcome=CloseOutcome.PASS, landed=landed)
    story.refuses(record, because)


@pytest.mark.parametrize("status", RunStatus)
def test_a_landing_is_recorded_only_while_closing(status: RunStatus) -> None:
    """Not at another stage, and not without a claim."""
    story = in_status(status)
    record = Noted(at=story.now, topic=Topic.LANDING, run="R", commit="L", onto=MAIN, tree="t")
    story.refuses(record, "is not landing")


@pytest.mark.parametrize("outcome", [FailureClass.CONFLICT, FailureClass.TEST_FAILURE])
def test_a_landing_that_failed_is_forgotten_and_so_is_its_approval(outcome: FailureClass) -> None:
    """The work is made again: what was approved will not be what lands."""
    story = landing().add(landing().finished(facts(outcome)))
    assert (story.run.stage, story.run.status) == (Stage.PLAN, RunStatus.READY)
    assert (story.run.landing, story.run.approved_on) == (None, "")


def test_a_landing_that_was_interrupted_is_remembered() -> None:
    """Main may have moved after all: the recorded commit still tells."""
    story = landing()
    story.add(story.finished(facts(FailureClass.INTERRUPTED)))
    assert story.run.landing
    assert story.close(CloseOutcome.PASS, landed="L").snapshot.runs == {}


@pytest.mark.parametrize("outcome", [CloseOutcome.BLOCKED, CloseOutcome.REJECTED])
def test_a_run_closes_only_as_it_was_decided(outcome: CloseOutcome) -> None:
    """Blocked by terminate, rejected by a person; anything may be cancelled."""
    story = in_status(RunStatus.READY)
    story.refuses(Closed(at=story.now, run="R", outcome=outcome), "was not decided to end")
    story = in_status(RunStatus.ENDING)
    if outcome is CloseOutcome.BLOCKED:
        assert story.close(outcome).snapshot.runs == {}
    else:
        story.refuses(Closed(at=story.now, run="R", outcome=outcome), "was not decided to end")


@pytest.mark.parametrize("status", RunStatus)
def test_a_run_can_be_cancelled_whatever_it_does(status: RunStatus) -> None:
    """Its open item goes with it; another run's stays."""
    story = in_status(status).open("U", "R2").hold("commands", "c", item="other", run="R2")
    story.close(CloseOutcome.CANCELLED)
    assert (list(story.snapshot.runs), list(story.snapshot.items)) == (["R2"], ["other"])


# --- other notes ----------------------------------------------------------------------------


def test_stop_and_resume() -> None:
    """The switch is state, so that setting and taking it away are each seen once."""
    assert Story().note(Topic.STOPPED).snapshot.stop
    assert not Story().note(Topic.STOPPED).note(Topic.RESUMED).snapshot.stop


def test_superseding_frees_the_run_or_asks_again() -> None:
    """An unknown item cannot be superseded."""
    story = stage_review()
    item = story.item.id
    asked = story.note(Topic.SUPERSEDED, item=item, reask=True)
    assert (asked.run.status, asked.snapshot.items) == (RunStatus.ASKING, {})
    assert asked.step().item.id != item
    freed = budget().note(Topic.SUPERSEDED, item=budget().item.id)
    assert (freed.run.status, freed.run.item) == (RunStatus.READY, None)
    freed.refuses(Noted(at=freed.now, topic=Topic.SUPERSEDED, item="none"), "is not open")


def test_a_paused_run_is_woken_and_no_other() -> None:
    """Its time is over by a person's word; what stop holds, and what does not wait, stays."""
    ready = Story().open()
    refused = Noted(at=ready.now, topic=Topic.WOKEN, run="R")
    ready.refuses(refused, "does not wait")
    for wake in (Wake(at=ready.now + 900), Wake(main=MAIN), Wake(stop=True)):
        run = ready.snapshot.runs["R"].model_copy(update={"status": RunStatus.PAUSED, "wake": wake})
        snapshot = ready.snapshot.model_copy(update={"runs": {"R": run}})
        if wake.stop:
            with pytest.raises(IllegalTransition, match="does not wait"):
                apply(snapshot, refused)
            continue
        woken = apply(snapshot, refused).runs["R"]
        assert (woken.status, woken.wake) == (RunStatus.READY, None)


@pytest.mark.parametrize("topic", [Topic.REVERTED, Topic.HISTORY])
def test_some_notes_are_only_remembered(topic: Topic) -> None:
    """They change nothing that decides."""
    story = Story().open()
    before = story.snapshot
    after = story.note(topic, run="R").snapshot
    assert after == before.model_copy(update={"seq": after.seq, "at": after.at})


# --- money over time ------------------------------------------------------------------------

DAY = 86_400


def test_an_estimate_is_remembered_for_its_day_and_month() -> None:
    """One guess among the day's costs makes the sum a guess; the next day begins without."""
    spend = add_spend(add_spend(Spend(), START, 1.0, estimated=True), START, 2.0)
    assert (spend.day_cost, spend.day_estimated, spend.month_estimated) == (3.0, True, True)
    later = add_spend(spend, START + 86_400, 1.0)
    assert (later.day_estimated, later.month_estimated) == (False, True)
    assert not add_spend(spend, START + 40 * 86_400, 1.0).month_estimated


@pytest.mark.parametrize(
    ("at", "day_cost", "month_cost"),
    [
        (START, 3.0, 3.0),
        (START + DAY - 1, 3.0, 3.0),
        (START + DAY, 1.0, 3.0),
        (START + 31 * DAY - 1, 1.0, 3.0),
        (START + 31 * DAY, 1.0, 1.0),
        (START + 365 * DAY, 1.0, 1.0),
    ],
)
def test_days_and_months_roll_over_at_midnight_utc(
    at: int, day_cost: float, month_cost: float
) -> None:
    """Two dollars on January 1st, one more then: what counts on that day and in that month."""
    first = add_spend(Spend(), START, 2.0)
    spend = add_spend(first, at, 1.0)
    assert (spend.day_cost, spend.month_cost) == (day_cost, month_cost)


@pytest.mark.parametrize("granted", [False, True])
def test_what_did_not_fit_main_is_built_anew_on_main(granted: bool) -> None:
    """Whether the policy reworks by itself or a person has it reworked: not on the old base."""
    table = routes(conflict=(0 if granted else 1, "escalate"))
    story = Story(rules(routing=table)).open().until(Stage.CLOSE).step().answer()
    assert story.run.work
    story.attempt(FailureClass.CONFLICT)
    if granted:
        story.step().answer()
    assert (story.run.stage, story.run.work, story.run.approved_on) == (Stage.PLAN, "", "")


@pytest.mark.parametrize("asked_on", ["main3", ""])
def test_an_approval_is_of_main_as_it_was_when_it_was_asked(asked_on: str) -> None:
    """What main got between the question and the answer, nobody was asked about."""
    story = Story().open().until(Stage.CLOSE)
    story.hold("stage_review", "autonomy:supervised", main=asked_on).answer(main="main4")
    assert story.run.approved_on == (asked_on or "main4")


def test_what_was_said_is_told_until_a_build_has_succeeded() -> None:
    """A rework that begins at the plan is still the same rework when it is built."""
    story = Story().open().until(Stage.BUILD_REVIEW).attempt(FailureClass.UNKNOWN).step()
    failed_at = story.run.last_n[Stage.BUILD_REVIEW]
    story.answer(Decision.REVISE, comment="simpler")
    story.until(Stage.BUILD)
    assert (story.run.comment, story.run.feedback) == ("simpler", failed_at)
    story.attempt()
    assert (story.run.comment, story.run.feedback) == ("", 0)


@pytest.mark.parametrize("kind", ItemKind)
@pytest.mark.parametrize("stage", [*Stage, None])
def test_the_words_for_the_answers_are_there_for_each_of_them(
    kind: ItemKind, stage: Stage | None
) -> None:
    """Before the landing they say that it is one, and before there is a plan that there is none."""
    landing = kind is ItemKind.STAGE_REVIEW and stage is Stage.CLOSE
    unplanned = kind in (ItemKind.BUDGET, ItemKind.ESCALATION) and stage in (
        Stage.DESIGN,
        Stage.DESIGN_REVIEW,
    )
    seat = kind is ItemKind.WAIVER and stage in REVIEWS
    said = effects(kind, stage)
    assert said.keys() == ANSWERS[kind].keys()
    assert (said == ANSWERS[kind]) != (landing or unplanned or seat)


def test_a_refusal_that_is_retried_and_not_waited_for_is_an_attempt() -> None:
    """Only a pause is free: a policy that retries a quota at once uses up the budget."""
    story = Story(rules(routing=routes(quota=(2, "pause")))).open().attempt(FailureClass.QUOTA)
    assert (story.records[-1].model_dump()["action"], story.run.stage_attempts) == (
        Action.RETRY,
        {Stage.DESIGN: 1},
    )


def test_an_accepted_patch_stays_accepted_while_its_landing_is_tried_again() -> None:
    """What failed there is not the patch."""
    story = breach().answer().attempt(tree="t").until(Stage.CLOSE).step().answer()
    assert story.attempt(FailureClass.TOOL_ERROR).run.accepted == "t"
    assert story.attempt(FailureClass.CONFLICT).run.accepted == ""


def test_revising_tells_the_next_attempt_what_failed_or_what_was_looked_at() -> None:
    """The number of the attempt whose feedback is to be read."""
    story = in_status(RunStatus.HELD).answer(Decision.REVISE)
    assert story.run.feedback == story.run.last_n.get(Stage.DESIGN_REVIEW, 0) == 0
    again = Story().open().until(Stage.BUILD_REVIEW).attempt(FailureClass.UNKNOWN).step()
    assert again.answer(Decision.REVISE).run.feedback == again.run.last_n[Stage.BUILD_REVIEW]


@pytest.mark.parametrize("change", [{"status": RunStatus.READY}, {"item": "another"}])
def test_an_answer_needs_a_run_that_waits_for_it(change: dict[str, object]) -> None:
    """An item without its run waiting cannot be, and resumes nothing if it is."""
    story = escalation()
    item = story.item.id
    run = story.run.model_copy(update=change)
    story.snapshot = story.snapshot.model_copy(update={"runs": {"R": run}})
    answer = Resolved(at=story.now, item=item, decision=A, who="ada@example.org")
    story.refuses(answer, "does not wait for item")


@pytest.mark.parametrize("outcome", [CloseOutcome.REJECTED, CloseOutcome.BLOCKED])
def test_a_run_left_behind_by_the_rules_ends_blocked(outcome: CloseOutcome) -> None:
    """A person refused to take it over: blocked, not rejected; and not one of the adopted set."""
    story = Story().open()
    story.sets["new"] = rules("new")
    story.note(Topic.GOVERNANCE, digest="new").open("U", "R2").step(governance="new")
    story.resolve(story.item.id, J)
    closed = Closed(at=story.now, run="R", outcome=outcome)
    if outcome is CloseOutcome.REJECTED:
        story.refuses(closed, "was not decided to end")
    else:
        story.refuses(closed.model_copy(update={"run": "R2"}), "was not decided to end")
        assert list(story.add(closed).snapshot.runs) == ["R2"]


def test_a_landing_review_does_not_cover_up_another_question() -> None:
    """While a run is about to ask something else, that is asked."""
    story = Story().open().until(Stage.CLOSE).step().answer().attempt(FailureClass.UNKNOWN)
    held = Held(
        at=story.now,
        item="Q",
        item_kind=ItemKind.STAGE_REVIEW,
        run="R",
        stage=Stage.CLOSE,
        question="?",
        rule="autonomy:supervised",
        subject="s",
    )
    story.refuses(held, "has no close to review")


@pytest.mark.parametrize("backoff", [0, 500])
def test_a_rework_may_wait_too(backoff: int) -> None:
    """With a backoff the run is paused at the stage that makes it again."""
    table = routes() | {"review_rejection": {"retries": 1, "then": "escalate", "backoff": backoff}}
    run = Story(rules(routing=table)).open().attempt().attempt(Verdict.REVISE).run
    assert run.stage is Stage.DESIGN
    assert run.status is (RunStatus.PAUSED if backoff else RunStatus.READY)


def test_a_revised_build_is_mended_and_not_thrown_away() -> None:
    """Only what did not fit main is built from nothing."""
    story = Story().open().until(Stage.BUILD_REVIEW)
    work = story.run.work
    assert work
    assert story.attempt(Verdict.REVISE).run.work == work


def test_a_build_that_was_stopped_is_no_measure_of_progress() -> None:
    """It was cut off: its tree and its error say nothing."""
    story = Story().open().until(Stage.BUILD)
    story.attempt(FailureClass.TEST_FAILURE, tree="half", error="e", stopped=True)
    assert (story.run.trees, story.run.errors) == ((), ())


def test_new_text_answers_what_was_only_about_the_old_attempt() -> None:
    """An escalation that was overtaken by an edit is not asked afterwards: one more attempt is."""
    story = changed(Story().open().attempt(FailureClass.UNKNOWN))
    story.step()
    assert story.item.rule == "task_changed"
    assert story.answer().run.status is RunStatus.READY
