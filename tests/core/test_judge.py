"""The policy is honoured, not logged: for each class, action, rule and setting, what it changes.

Each test of a setting gives the same attempt, or the same state, to two policies that differ in
that one setting, and what is decided differs. ``test_every_setting_has_an_effect`` lists all the
settings there are, so that a new one without an effect is noticed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from lifeos.core.facts import Write
from lifeos.core.judge import MIN_PAUSE, Judgement, judge, landing_checkpoint
from lifeos.core.policy import CheckpointRule, Loop, Route, Routing
from lifeos.core.records import AttemptFacts, outcome_class
from lifeos.core.state import OnApprove, Run, Success
from lifeos.core.table import TABLE
from lifeos.model import (
    Action,
    CloseOutcome,
    FailureClass,
    ItemKind,
    Mode,
    Risk,
    Stage,
    Usage,
    Verdict,
)
from story import MAIN, START, TASK, Story, facts, rules

NOW = START + 1000
BREACHES = (FailureClass.ENVELOPE_VIOLATION, FailureClass.GOVERNANCE_VIOLATION)


def run_at(stage: Stage, **more: Any) -> Run:
    """A run whose first attempt at this stage is under way, after a smooth passage."""
    story = Story(rules(autonomy="full")).open().until(stage).claim()
    return story.run.model_copy(update=more)


RUNS = {stage: run_at(stage) for stage in Stage}


_ROUTES = Routing.defaults().model_dump(mode="json")


def verdict_on(
    given: AttemptFacts, stage: Stage = Stage.BUILD, run: dict[str, Any] | None = None, **loop: Any
) -> Judgement:
    """What these settings decide after this attempt."""
    the_run = RUNS[stage].model_copy(update=run or {})
    return judge(the_run, stage, given, rules(**loop), NOW)


def failed(failure: FailureClass, **more: Any) -> AttemptFacts:
    """A failed build that left a tree of its own, or what else shows this class."""
    return facts(stage_of(failure)[1], **{"tree": "t", "paths": ("src/a.py",), "lines": 3, **more})


def stage_of(failure: FailureClass) -> tuple[Stage, FailureClass | Verdict]:
    """Where a class can occur, and as which outcome."""
    match failure:
        case FailureClass.REVIEW_REJECTION:
            return Stage.BUILD_REVIEW, Verdict.REVISE
        case FailureClass.CONFLICT:
            return Stage.CLOSE, failure
        case _:
            return Stage.BUILD, failure


def routing(failure: FailureClass, retries: int, then: str, backoff: int = 0) -> dict[str, Any]:
    """The default table with one class changed."""
    table = Routing.defaults().model_dump(mode="json")
    return table | {failure.value: {"retries": retries, "then": then, "backoff": backoff}}


# --- the order of the rules -----------------------------------------------------------------


STUCK = {"trees": ("t",)}
TURNING = {"trees": ("t", "u")}
DEAR = Usage(cost=99.0)
FAILURE, BROKEN = FailureClass.TEST_FAILURE, FailureClass.CONFIG_ERROR


@pytest.mark.parametrize(
    ("given", "run", "rule"),
    [
        (failed(FAILURE, stopped=True, usage=DEAR), STUCK, "stop_switch"),
        (facts(Success.OK, tree="t", usage=DEAR), STUCK, "budget:cost_per_run"),
        (failed(FAILURE, usage=DEAR), STUCK, "budget:cost_per_run"),
        (facts(Success.OK, tree="t"), STUCK, "success"),
        (failed(BROKEN), {"trees": ("t", "t")}, "no_progress:same_tree"),
        (failed(BROKEN, error="e"), TURNING | {"errors": ("e",) * 4}, "no_progress:same_error"),
        (failed(BROKEN), TURNING, "oscillation"),
        (failed(BROKEN), {}, "ends_at_once:config_error"),
        (failed(FAILURE), {}, "retries_left"),
        (failed(FAILURE), {"retries": {FAILURE: 3}}, "exhausted:test_failure"),
    ],
)
def test_the_first_rule_that_applies_decides(
    given: AttemptFacts, run: dict[str, Any], rule: str
) -> None:
    """In each row, later rules apply too; take the deciding one away and the next would."""
    assert verdict_on(given, run=run).rule == rule


# --- the table of classes, as it is delivered -----------------------------------------------

DEFAULTS: dict[FailureClass, tuple[int, Action, ItemKind | None]] = {
    FailureClass.TEST_FAILURE: (3, Action.WAIVE, ItemKind.WAIVER),
    FailureClass.TEST_TIMEOUT: (1, Action.ESCALATE, ItemKind.ESCALATION),
    FailureClass.TIMEOUT: (1, Action.ESCALATE, ItemKind.ESCALATION),
    FailureClass.TEST_FLAKE: (1, Action.WAIVE, ItemKind.WAIVER),
    FailureClass.LINT_ERROR: (3, Action.TERMINATE, None),
    FailureClass.FORMATTING_ERROR: (3, Action.TERMINATE, None),
    FailureClass.TYPO: (3, Action.TERMINATE, None),
    FailureClass.SYNTAX_ERROR: (1, Action.TERMINATE, None),
    FailureClass.VALIDATION_ERROR: (2, Action.ESCALATE, ItemKind.ESCALATION),
    FailureClass.REVIEW_REJECTION: (3, Action.ESCALATE, ItemKind.ESCALATION),
    FailureClass.NO_CHANGE: (1, Action.ESCALATE, ItemKind.ESCALATION),
    FailureClass.CONFLICT: (2, Action.ESCALATE, ItemKind.ESCALATION),
    FailureClass.ENVELOPE_VIOLATION: (0, Action.ESCALATE, ItemKind.BREACH),
    FailureClass.GOVERNANCE_VIOLATION: (0, Action.ESCALATE, ItemKind.BREACH),
    FailureClass.BUDGET_EXCEEDED: (0, Action.PAUSE, ItemKind.BUDGET),
    FailureClass.QUOTA: (0, Action.PAUSE, None),
    FailureClass.BASE_RED: (0, Action.PAUSE, None),
    FailureClass.DEPENDENCY_ERROR: (2, Action.ESCALATE, ItemKind.ESCALATION),
    FailureClass.ENVIRONMENT_ERROR: (2, Action.ESCALATE, ItemKind.ESCALATION),
    FailureClass.TOOL_ERROR: (2, Action.ESCALATE, ItemKind.ESCALATION),
    FailureClass.CONFIG_ERROR: (0, Action.TERMINATE, None),
    FailureClass.INTERRUPTED: (2, Action.ESCALATE, ItemKind.ESCALATION),
    FailureClass.UNKNOWN: (0, Action.ESCALATE, ItemKind.ESCALATION),
}


@pytest.mark.parametrize("failure", FailureClass)
def test_a_class_that_comes_again_and_again_ends_as_the_table_says(failure: FailureClass) -> None:
    """Told in full, through rework and all: so many tries by itself, and then its own end."""
    tries, action, kind = DEFAULTS[failure]
    stage, outcome = stage_of(failure)
    story = Story(rules(autonomy="full")).open()
    for _ in range(tries):
        story.until(stage).attempt(outcome)
        assert story.records[-1].model_dump()["action"] in (Action.RETRY, Action.REWORK)
    story.until(stage).claim()
    judgement = story.judged(story.facts(outcome))
    assert judgement.action is action
    assert (judgement.ask.kind if judgement.ask else None) == kind


@pytest.mark.parametrize(("stage", "outcome"), TABLE)
def test_what_is_decided_is_always_allowed(stage: Stage, outcome: Any) -> None:
    """For any stage and outcome, and any end of the class: the action is in the table."""
    failure = outcome_class(outcome)
    for retries in (0, 1):
        for then in ("escalate", "terminate", "waive", "pause"):
            loop: dict[str, Any] = {"waivers": {"classes": list(FailureClass)}}
            if failure:
                loop["routing"] = routing(failure, retries, then)
            judgement = verdict_on(facts(outcome, tree="t"), stage, **loop)
            assert judgement.action in TABLE[stage, outcome]


# --- each setting ---------------------------------------------------------------------------


@dataclass(frozen=True)
class Effect:
    """A setting at two values, everything else alike, and what is looked at."""

    setting: str
    one: Any
    other: Any
    seen: Callable[..., Any]
    also: dict[str, Any] = field(default_factory=dict)

    def under(self, value: Any) -> Any:
        """What is seen with the setting at this value."""
        loop: dict[str, Any] = {**self.also}
        *path, last = self.setting.split(".")
        inner = loop
        for name in path:
            inner[name] = dict(inner.get(name, {}))
            inner = inner[name]
        inner[last] = value
        return self.seen(**loop)


def after(given: AttemptFacts, stage: Stage = Stage.BUILD, **run: Any) -> Callable[..., Any]:
    """Looks at the judgement after this attempt."""

    def see(**loop: Any) -> Any:
        judgement = verdict_on(given, stage, run, **loop)
        return judgement.action, judgement.rule, judgement.to, judgement.ask, judgement.wake

    return see


def steps(tell: Callable[[Story], Story], **world: Any) -> Callable[..., Any]:
    """Looks at what is to be done next, at this point of a story."""

    def see(**loop: Any) -> Any:
        return tell(Story(rules(**loop))).steps(**world)

    return see


def landing(**run: Any) -> Callable[..., Any]:
    """Looks at the rule by which a person is asked before this run lands."""
    return lambda **loop: landing_checkpoint(
        RUNS[Stage.CLOSE].model_copy(update=run), rules(**loop).loop
    )


def other_rules(story: Story) -> Story:
    """An open run, and another set adopted since."""
    story.open()
    story.sets["new"] = rules("new")
    story.world["governance"] = "new"
    return story.step(governance_by_approver=True)


def edited(story: Story) -> Story:
    story.open().tasks["T"] = TASK.model_copy(update={"digest": "text2"})
    return story


def approved(story: Story) -> Story:
    return story.open().until(Stage.CLOSE).step().answer()


def spent(cost: float) -> Callable[[Story], Story]:
    """So much was spent today, by a run that is gone."""

    def tell(story: Story) -> Story:
        story.open("U", "R2").attempt(run="R2", usage=Usage(cost=cost)).open()
        return story.close(CloseOutcome.CANCELLED, "R2")

    return tell


PAID = {"paid": frozenset(Stage)}
REVISED = facts(Verdict.REVISE, causes=(FailureClass.LINT_ERROR,))
RULE = {"name": "r", "stage": "build"}
BUILT = facts(Success.OK, tree="t", paths=("src/a.py", "src/b.py"), lines=30, risk=Risk.MEDIUM)


def checkpoint(name: str, one: Any, other: Any, given: AttemptFacts = BUILT) -> Effect:
    """A condition of a checkpoint: the same rule with one condition at two values."""

    def see(**condition: Any) -> Any:
        return after(given)(checkpoints=[RULE | condition])

    return Effect(f"checkpoints.{name}", one, other, lambda checkpoints: see(**checkpoints))


EFFECTS: list[Effect] = [
    Effect("budgets.attempts_per_stage", 1, 2, after(failed(FAILURE))),
    Effect("budgets.attempts_per_class", 1, 2, after(failed(FAILURE))),
    Effect("budgets.attempts_per_run", 5, 6, after(failed(FAILURE))),
    Effect("budgets.tokens_per_run", 10, 11, after(failed(FAILURE, usage=Usage(tokens=11)))),
    Effect("budgets.cost_per_run", 1.0, 2.0, after(failed(FAILURE, usage=Usage(cost=1.5)))),
    Effect("budgets.seconds_per_run", 10, 20, after(failed(FAILURE, usage=Usage(seconds=15)))),
    Effect("budgets.cost_per_day", 5.0, 50.0, steps(spent(4.5), **PAID)),
    Effect("budgets.cost_per_month", 5.0, 50.0, steps(spent(4.5), **PAID)),
    Effect("budgets.reserve_per_attempt", 0.5, 1.0, steps(lambda s: s.open(), **PAID)),
    Effect(
        "budgets.open_runs",
        1,
        2,
        steps(lambda s: s.open("U", "R2"), candidates=(TASK,), may_open=1),
    ),
    Effect("progress.same_tree", 2, 3, after(failed(FAILURE), trees=("t",))),
    Effect("progress.oscillation", True, False, after(failed(FAILURE), trees=("t", "u"))),
    Effect("progress.same_error", 2, 3, after(failed(FAILURE, error="e"), errors=("e",))),
    checkpoint("name", "r", "s"),
    checkpoint("stage", "build", "plan"),
    checkpoint("risk", "medium", "high"),
    checkpoint("risk", None, "high"),
    checkpoint("paths", ["src/**"], ["lib/**"]),
    checkpoint("lines", 30, 31),
    checkpoint("files", 2, 3),
    Effect(
        "waivers.classes",
        ["lint_error"],
        ["test_failure"],
        after(failed(FAILURE), retries={FAILURE: 3}),
    ),
    Effect("bypass.classes", ["lint_error"], ["typo"], after(REVISED, Stage.BUILD_REVIEW)),
    Effect("bypass.lines", 3, 2, after(REVISED, Stage.BUILD_REVIEW)),
    Effect("bypass.files", 1, 0, after(REVISED, Stage.BUILD_REVIEW)),
    Effect("autonomy", "supervised", "full", landing()),
    Effect("autonomy", "supervised", "exceptions", landing()),
    Effect("autonomy", "exceptions", "full", landing(exceptions=1)),
    Effect("autonomy", "exceptions", "full", landing(risk=Risk.HIGH)),
    Effect("on_task_change", "escalate", "restart", steps(edited)),
    Effect("on_task_change", "escalate", "finish", steps(edited)),
    Effect("on_task_change", "restart", "finish", steps(edited)),
    Effect("on_governance_change", "escalate", "adopt", steps(other_rules)),
    Effect("on_governance_change", "escalate", "finish", steps(other_rules)),
    Effect("on_governance_change", "adopt", "finish", steps(other_rules)),
    Effect("reapprove", "overlap", "always", steps(approved, moved=frozenset({"R"}))),
    Effect(
        "lease.grace",
        0,
        100,
        lambda **loop: _later(Story(rules(**loop)).open().claim(), 3600).steps(),
    ),
]


def _later(story: Story, seconds: int) -> Story:
    story.now += seconds
    return story


@pytest.mark.parametrize("effect", EFFECTS, ids=lambda effect: effect.setting)
def test_changing_only_this_changes_what_is_decided(effect: Effect) -> None:
    """The same attempt or state under two policies that differ in this setting alone."""
    assert effect.under(effect.one) != effect.under(effect.other)


@pytest.mark.parametrize("failure", FailureClass)
def test_the_retries_of_each_class(failure: FailureClass) -> None:
    """With one more retry the stage is tried again, or reworked; without, the class ends."""
    stage, _ = stage_of(failure)
    again = verdict_on(failed(failure), stage, routing=routing(failure, 1, "escalate"))
    ended = verdict_on(failed(failure), stage, routing=routing(failure, 0, "escalate"))
    assert again.action in (Action.RETRY, Action.REWORK)
    assert (ended.action, ended.rule) == (Action.ESCALATE, f"ends_at_once:{failure}")


@pytest.mark.parametrize("failure", FailureClass)
def test_the_end_of_each_class(failure: FailureClass) -> None:
    """Each end is another: ask, stop for good, or wait; a waiver where one is possible."""
    stage, outcome = stage_of(failure)
    ends = {
        then: verdict_on(
            failed(failure),
            stage,
            routing=routing(failure, 0, then),
            waivers={"classes": list(FailureClass)},
        ).action
        for then in ("escalate", "terminate", "pause", "waive")
    }
    waivable = Action.WAIVE in TABLE[stage, outcome]
    assert ends == {
        "escalate": Action.ESCALATE,
        "terminate": Action.TERMINATE,
        "pause": Action.PAUSE,
        "waive": Action.WAIVE if waivable else Action.ESCALATE,
    }


@pytest.mark.parametrize("failure", FailureClass)
def test_the_backoff_of_each_class(failure: FailureClass) -> None:
    """Seconds until the next try; and how long a pause lasts."""
    stage, _ = stage_of(failure)

    def wakes(retries: int, backoff: int) -> int | None:
        table = routing(failure, retries, "pause", backoff)
        wake = verdict_on(failed(failure), stage, routing=table).wake
        return wake.at if wake else None

    assert (wakes(1, 0), wakes(1, 500)) == (None, NOW + 500)
    if failure is not FailureClass.BUDGET_EXCEEDED:  # it asks instead
        assert (wakes(0, 500), wakes(0, 900)) == (NOW + 500, NOW + 900)


#: Where the settings act that change nothing here: the file that consults them.
ELSEWHERE = {
    "budgets.seconds_per_attempt": "tick/attempt.py",
    "budgets.diff_lines": "tick/build.py",
    "budgets.diff_files": "tick/build.py",
    "lease.seconds": "tick/perform.py",
    "tasks_per_tick": "tick/gather.py",
    "recheck": "tick/land.py",
    "improve.after": "tick/improve_due.py",
    "improve.worded": "tick/wording.py",
}
SOURCE = Path(__file__).parent.parent.parent / "src" / "lifeos"


def settings(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    """The dotted names of all settings of a model, lists of models included."""
    for name, known in model.model_fields.items():
        inner = known.annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            yield from settings(inner, f"{prefix}{name}.")
        elif name == "checkpoints":
            yield from settings(CheckpointRule, "checkpoints.")
        else:
            yield f"{prefix}{name}"


def test_every_setting_has_an_effect() -> None:
    """A setting that is neither tested above nor listed with its place turns this red."""
    routes = {
        f"routing.{failure}.{name}" for failure in FailureClass for name in Route.model_fields
    }
    tested = {effect.setting for effect in EFFECTS} | routes
    assert set(settings(Loop)) - {"version"} == tested | set(ELSEWHERE)
    assert not tested & set(ELSEWHERE)


@pytest.mark.parametrize(("setting", "place"), ELSEWHERE.items())
def test_a_setting_of_the_shell_is_consulted_there(setting: str, place: str) -> None:
    """The file named above reads it; what it does is tested with that file."""
    name = setting.rpartition(".")[2]
    source = (SOURCE / place).read_text(encoding="utf-8")
    assert f".{name}" in source


# --- the finer points -----------------------------------------------------------------------


@pytest.mark.parametrize("outcome", [Success.OK, Verdict.REVISE])
def test_stop_does_not_throw_finished_work_away(outcome: Success | Verdict) -> None:
    """An attempt that came to its end is judged as ever; only one that was cut off waits."""
    stage = Stage.BUILD if outcome is Success.OK else Stage.BUILD_REVIEW
    assert verdict_on(facts(outcome, tree="t", stopped=True), stage).rule != "stop_switch"


@pytest.mark.parametrize(
    ("name", "usage"),
    [
        ("tokens_per_run", Usage(tokens=2_000_000)),
        ("cost_per_run", Usage(cost=10.0)),
        ("seconds_per_run", Usage(seconds=14_400)),
    ],
)
def test_a_budget_counts_the_whole_run_and_each_grant_once(name: str, usage: Usage) -> None:
    """Met exactly is not beyond; what was used before counts; a grant gives as much again."""
    more = Usage(seconds=1, tokens=1, cost=0.01)
    given = failed(FAILURE, usage=more)
    assert verdict_on(failed(FAILURE), run={"usage": usage}).action is Action.RETRY
    assert verdict_on(given, run={"usage": usage}).rule == f"budget:{name}"
    assert verdict_on(given, run={"usage": usage, "grants": 1}).action is Action.RETRY


@pytest.mark.parametrize("name", ["attempts_per_stage", "attempts_per_class", "attempts_per_run"])
def test_a_grant_gives_as_many_attempts_again(name: str) -> None:
    """The attempt budgets ask; they are doubled by the first grant."""
    loop: dict[str, Any] = {"budgets": {name: 5 if name == "attempts_per_run" else 1}}
    assert verdict_on(failed(FAILURE), **loop).rule == f"budget:{name}"
    assert verdict_on(failed(FAILURE), run={"grants": 1}, **loop).rule == "retries_left"


@pytest.mark.parametrize("failure", [FailureClass.QUOTA, FailureClass.BASE_RED])
def test_waiting_for_others_is_never_no_progress(failure: FailureClass) -> None:
    """The provider refuses with the same words each time; that is no fault of the task."""
    run = {"errors": ("e",) * 9, "trees": ("t",) * 9, "stage_attempts": {Stage.BUILD: 99}}
    assert verdict_on(failed(failure, error="e"), run=run).action is Action.PAUSE


@pytest.mark.parametrize("failure", [FailureClass.TEST_FLAKE, FailureClass.ENVIRONMENT_ERROR])
def test_the_same_tree_may_be_tried_again_when_it_was_not_the_tree(failure: FailureClass) -> None:
    """A flake and a broken machine are retried on what is there."""
    assert verdict_on(failed(failure), run=STUCK).rule == "retries_left"
    assert verdict_on(failed(failure), run=TURNING).rule == "retries_left"


@pytest.mark.parametrize("failure", BREACHES)
def test_a_breach_is_asked_as_a_breach(failure: FailureClass) -> None:
    """Whatever else could be said of it; and as environment, if it is about prepare's inputs."""
    run = {"trees": ("t", "u"), "errors": ("e",) * 9}
    judgement = verdict_on(failed(failure, error="e"), run=run)
    assert judgement.ask
    assert (judgement.ask.kind, judgement.rule) == (ItemKind.BREACH, f"ends_at_once:{failure}")
    assert judgement.ask.on_approve is OnApprove.ACCEPT
    asked = verdict_on(failed(failure, environment=True)).ask
    assert asked
    assert asked.kind is ItemKind.ENVIRONMENT


def test_retries_of_one_class_are_not_anothers() -> None:
    """Three lint errors leave all the retries of a test failure."""
    used = {"retries": {FailureClass.LINT_ERROR: 3}}
    assert verdict_on(failed(FAILURE), run=used).action is Action.RETRY
    assert verdict_on(failed(FailureClass.LINT_ERROR), run=used).action is Action.TERMINATE


def test_rework_is_limited_by_what_this_review_sent_back() -> None:
    """The count of the build's review, not of the plan's; and it survives the rework itself."""
    spent_here = {"reworks": {Stage.BUILD_REVIEW: {FailureClass.REVIEW_REJECTION: 3}}}
    spent_there = {"reworks": {Stage.PLAN_REVIEW: {FailureClass.REVIEW_REJECTION: 3}}}
    revise = facts(Verdict.REVISE)
    assert verdict_on(revise, Stage.BUILD_REVIEW, spent_here).action is Action.ESCALATE
    assert verdict_on(revise, Stage.BUILD_REVIEW, spent_there).action is Action.REWORK


@pytest.mark.parametrize(
    ("stage", "target"),
    [
        (Stage.DESIGN_REVIEW, Stage.DESIGN),
        (Stage.PLAN_REVIEW, Stage.PLAN),
        (Stage.BUILD_REVIEW, Stage.PLAN),
    ],
)
def test_a_revision_goes_to_the_maker_and_a_build_is_planned_anew(
    stage: Stage, target: Stage
) -> None:
    """Unless the rework is trivial."""
    assert verdict_on(facts(Verdict.REVISE), stage).to is target


def test_trivial_rework_goes_straight_to_the_build() -> None:
    """All causes trivial, small, and nothing protected; each condition is needed."""
    trivial = {"causes": (FailureClass.LINT_ERROR, FailureClass.TYPO)}
    review = Stage.BUILD_REVIEW
    judgement = verdict_on(facts(Verdict.REVISE, **trivial), review)
    assert (judgement.to, judgement.rule) == (Stage.BUILD, "bypass")
    more = (*trivial["causes"], FailureClass.TEST_FAILURE)
    assert verdict_on(facts(Verdict.REVISE, causes=more), review).to is Stage.PLAN
    for path in (".github/CODEOWNERS", ".GitHub/codeowners", "policies/loop.yaml"):
        # Only a patch that a person accepted has such a path; the run knows it from its build.
        protected = {"paths": (path,)}
        assert verdict_on(facts(Verdict.REVISE, **trivial), review, protected).to is Stage.PLAN
    assert verdict_on(facts(Verdict.REVISE), review).to is Stage.PLAN


def test_a_conflict_is_always_planned_anew() -> None:
    """Only a new plan begins on the new main; a bypass would meet the same conflict again."""
    loop: dict[str, Any] = {"bypass": {"classes": ["conflict"], "lines": 1000, "files": 100}}
    assert verdict_on(facts(FailureClass.CONFLICT), Stage.CLOSE, **loop).to is Stage.PLAN


def test_a_failure_of_the_landing_itself_is_tried_again() -> None:
    """What the work cannot mend is not reworked."""
    assert verdict_on(facts(FailureClass.TOOL_ERROR), Stage.CLOSE).action is Action.RETRY
    assert verdict_on(facts(FailureClass.TEST_FAILURE), Stage.CLOSE).action is Action.REWORK


def test_a_waiver_needs_a_tree_to_be_waived_for() -> None:
    """Without one there is nothing to go on with."""
    judgement = verdict_on(failed(FAILURE, tree=""), run={"retries": {FAILURE: 3}})
    assert judgement.action is Action.ESCALATE


def test_a_seat_without_an_answer_may_be_waived_where_the_policy_says_so() -> None:
    """Only at a review, and only if routing and waivers both name it; else it escalates."""
    lost = facts(FailureClass.VALIDATION_ERROR, missing=("risk",))
    route = {**_ROUTES, "validation_error": {"retries": 0, "then": "waive"}}
    waivers = {"classes": ["validation_error"]}
    asked = verdict_on(lost, Stage.PLAN_REVIEW, routing=route, waivers=waivers)
    assert asked.ask
    assert (asked.action, asked.ask.on_approve) == (Action.WAIVE, OnApprove.AGAIN)
    assert verdict_on(lost, Stage.PLAN_REVIEW, routing=route).action is Action.ESCALATE
    assert verdict_on(lost, Stage.PLAN, routing=route, waivers=waivers).action is Action.ESCALATE
    nobody = facts(FailureClass.VALIDATION_ERROR)
    escalated = verdict_on(nobody, Stage.PLAN_REVIEW, routing=route, waivers=waivers)
    assert escalated.action is Action.ESCALATE
    usual = verdict_on(lost, Stage.PLAN_REVIEW, waivers=waivers)
    assert usual.action is Action.RETRY


@pytest.mark.parametrize("autonomy", ["supervised", "exceptions", "full"])
def test_waiving_only_ever_asks(autonomy: str) -> None:
    """At every level of autonomy a waiver is a question."""
    judgement = verdict_on(failed(FAILURE), run={"retries": {FAILURE: 3}}, autonomy=autonomy)
    assert judgement.ask
    assert (judgement.action, judgement.ask.kind) == (Action.WAIVE, ItemKind.WAIVER)


def test_a_pause_waits_for_what_it_waits_for() -> None:
    """For the provider's own time where it gave one, for another main, and never not at all."""
    quota = verdict_on(failed(FailureClass.QUOTA, wake_at=NOW + 77)).wake
    red = verdict_on(failed(FailureClass.BASE_RED, main=MAIN)).wake
    hasty = verdict_on(failed(FailureClass.QUOTA, wake_at=NOW - 5)).wake
    assert quota
    assert red
    assert hasty
    assert (quota.at, quota.main) == (NOW + 77, None)
    assert (red.at, red.main) == (NOW + 3600, MAIN)
    assert hasty.at == NOW + MIN_PAUSE


def test_a_class_that_is_routed_to_pause_still_meets_the_budget_of_attempts() -> None:
    """Else it would be tried for ever, only more slowly."""
    loop: dict[str, Any] = {
        "routing": routing(FAILURE, 0, "pause"),
        "budgets": {"attempts_per_stage": 1},
    }
    assert verdict_on(failed(FAILURE), **loop).rule == "budget:attempts_per_stage"


def test_a_rejection_is_asked_at_once() -> None:
    """It is no revision: no retry is spent on it, whatever the routing says."""
    judgement = verdict_on(facts(Verdict.REJECT, message="wrong"), Stage.PLAN_REVIEW)
    assert (judgement.action, judgement.rule) == (Action.ESCALATE, "review_rejects")
    assert judgement.ask
    assert "wrong" in judgement.ask.question


# --- checkpoints ----------------------------------------------------------------------------


def asked(given: AttemptFacts, stage: Stage = Stage.BUILD, scope: Any = (), **rule: Any) -> bool:
    """Whether a checkpoint with these conditions is asked after this stage."""
    condition = {"name": "r", "stage": stage, **rule}
    run = {"scope": scope, "paths": (), "lines": 0}
    return verdict_on(given, stage, run, checkpoints=[condition]).ask is not None


def test_all_conditions_of_a_checkpoint_must_hold() -> None:
    """One that does not hold is enough for not asking; none given always holds."""
    holding: dict[str, Any] = {"risk": "medium", "paths": ["src/*.py"], "lines": 30, "files": 2}
    failing: dict[str, Any] = {"risk": "high", "paths": ["*.py"], "lines": 31, "files": 3}
    assert asked(BUILT)
    assert asked(BUILT, **holding)
    for name, value in failing.items():
        assert not asked(BUILT, **{**holding, name: value})


@pytest.mark.parametrize(
    ("scope", "paths", "holds"),
    [
        ((), ["src/auth/**"], True),
        (("src/**",), ["src/auth/**"], True),
        (("src/auth/login.py",), ["src/auth/**"], True),
        (("docs/**",), ["src/auth/**"], False),
    ],
)
def test_before_anything_is_built_a_path_rule_asks_about_what_may_be_touched(
    scope: tuple[str, ...], paths: list[str], holds: bool
) -> None:
    """The task's scope may reach there; a task without scope may touch anything."""
    assert asked(facts(), Stage.DESIGN, scope, paths=paths) == holds


def test_a_scope_is_no_number_of_files() -> None:
    """Patterns are not counted as if they were changed files."""
    assert not asked(facts(), Stage.DESIGN, ("a", "b", "c"), files=1)


def test_a_checkpoint_on_the_packet_is_asked_at_the_landing() -> None:
    """So that no way past the packet stage misses it; by what was measured."""
    rule = CheckpointRule(name="big", stage=Stage.PACKET, lines=30)
    loop = rules(autonomy="full", checkpoints=[rule]).loop
    run = RUNS[Stage.CLOSE]
    assert landing_checkpoint(run.model_copy(update={"lines": 30}), loop) == "checkpoint:big"
    assert landing_checkpoint(run.model_copy(update={"lines": 29}), loop) == ""


@pytest.mark.parametrize("autonomy", ["supervised", "exceptions", "full"])
def test_a_council_that_could_not_sit_forces_a_question(autonomy: str) -> None:
    """At every level of autonomy."""
    run = RUNS[Stage.CLOSE].model_copy(update={"forced": True, "mode": Mode.M2})
    assert landing_checkpoint(run, rules(autonomy=autonomy).loop) == "council:M2"


def test_a_question_is_asked_by_the_run_that_has_it() -> None:
    """What the judgement asks is what the open item asks, word for word."""
    story = Story(rules(checkpoints=[RULE])).open().until(Stage.BUILD).attempt()
    (step,) = story.steps()
    assert isinstance(step, Write)
    assert story.run.ask
    assert story.step().item.question == "build is done; go on?"


# --- what an approval would do --------------------------------------------------------------


@pytest.mark.parametrize(
    ("outcome", "stage", "on_approve"),
    [
        (FAILURE, Stage.BUILD, OnApprove.AGAIN),
        (FailureClass.TIMEOUT, Stage.BUILD_REVIEW, OnApprove.AGAIN),
        (Verdict.REVISE, Stage.BUILD_REVIEW, OnApprove.REWORK),
        (FailureClass.CONFLICT, Stage.CLOSE, OnApprove.REWORK),
        (FailureClass.TOOL_ERROR, Stage.CLOSE, OnApprove.AGAIN),
    ],
)
@pytest.mark.parametrize("spent", ["attempts_per_stage", "tokens_per_run", "retries"])
def test_more_of_what_ran_out_goes_on_where_it_stopped(
    outcome: FailureClass | Verdict, stage: Stage, on_approve: OnApprove, spent: str
) -> None:
    """Attempts, money or retries: another attempt, or the rework that was asked for."""
    loop: dict[str, Any] = {"budgets": {spent: 1}}
    failure = outcome_class(outcome)
    assert failure
    if spent == "retries":
        loop = {"routing": routing(failure, 0, "escalate")}
    given = facts(outcome, tree="t", usage=Usage(tokens=2))
    judgement = verdict_on(given, stage, **loop)
    assert judgement.ask
    assert judgement.ask.on_approve is on_approve


@pytest.mark.parametrize(("tree", "on_approve"), [("t", "accept"), ("", "again")])
def test_more_room_for_a_change_that_was_too_large_takes_that_change(
    tree: str, on_approve: str
) -> None:
    """The patch is kept, as for a breach; without one it is built again."""
    asked_for = verdict_on(failed(FailureClass.BUDGET_EXCEEDED, tree=tree)).ask
    assert asked_for
    assert asked_for.on_approve == on_approve


def test_other_errors_and_trees_are_progress() -> None:
    """Only the same again and again counts: one other in between begins anew."""
    loop: dict[str, Any] = {"progress": {"same_error": 3, "same_tree": 3, "oscillation": False}}
    runs: tuple[dict[str, Any], ...] = (
        {"errors": ("e", "x")},
        {"errors": ("x", "e")},
        {"trees": ("t", "u")},
    )
    for run in runs:
        assert verdict_on(failed(FAILURE, error="e"), run=run, **loop).rule == "retries_left"


def test_the_question_says_what_failed() -> None:
    """The class, the stage and the attempt's own words."""
    asked_for = verdict_on(failed(FailureClass.UNKNOWN, message="no idea")).ask
    assert asked_for
    assert asked_for.question == "unknown at build: no idea"
    assert verdict_on(failed(FailureClass.UNKNOWN)).ask != asked_for


@pytest.mark.parametrize(
    ("given", "then"),
    [
        (failed(FailureClass.UNKNOWN, usage=DEAR), None),
        (failed(FailureClass.ENVELOPE_VIOLATION, usage=DEAR), ItemKind.BREACH),
        (failed(FAILURE, usage=DEAR), None),
    ],
)
def test_what_one_more_attempt_answers_is_not_asked_after_the_money(
    given: AttemptFacts, then: ItemKind | None
) -> None:
    """A grant is one more attempt already; a breach is about what is there."""
    asked_for = verdict_on(given).ask
    assert asked_for
    assert (asked_for.then.kind if asked_for.then else None) == then


def test_a_rejection_is_still_asked_about_once_there_is_money() -> None:
    """The verdict is not lost with the budget."""
    asked_for = verdict_on(facts(Verdict.REJECT, usage=DEAR), Stage.PLAN_REVIEW).ask
    assert asked_for
    assert asked_for.then
    assert asked_for.then.rule == "review_rejects"


def test_a_question_without_a_message_says_so() -> None:
    """For a failure, and for a rejection."""
    plain = verdict_on(failed(FailureClass.UNKNOWN)).ask
    rejected = verdict_on(facts(Verdict.REJECT), Stage.PLAN_REVIEW).ask
    assert plain
    assert rejected
    assert plain.question == "unknown at build: no message"
    assert "no message" in rejected.question


@pytest.mark.parametrize("run", [STUCK, TURNING, {"errors": ("e",) * 4}])
@pytest.mark.parametrize("message", ["it broke", ""])
def test_no_progress_says_what_failed_last(run: dict[str, Any], message: str) -> None:
    """The person must see what the attempts are stuck at."""
    asked_for = verdict_on(failed(FAILURE, error="e", message=message), run=run).ask
    assert asked_for
    assert f"test_failure: {message or 'no message'}" in asked_for.question


def test_a_packet_rule_is_asked_once() -> None:
    """At the landing, and not after the packet as well."""
    rule = {"name": "r", "stage": "packet"}
    assert verdict_on(facts(), Stage.PACKET, checkpoints=[rule]).ask is None
