"""`policies/loop.yaml`: budgets, routing, progress, checkpoints and what else steers the loop."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from lifeos.core.policy.words import (
    Autonomy,
    Count,
    Glob,
    Money,
    Name,
    OnGovernanceChange,
    OnTaskChange,
    Overlap,
    Positive,
    Seconds,
    Unfit,
    Version,
    refuse_repeated,
)
from lifeos.model import Action, FailureClass, Frozen, Risk, Stage


class Budgets(Frozen):
    """What may be spent. A run that meets a limit pauses and asks (`budget`)."""

    attempts_per_stage: Positive = Field(6, description="Attempts at one stage of a run.")
    attempts_per_class: Positive = Field(
        8, description="Failed attempts of one failure class in a run."
    )
    attempts_per_run: Positive = Field(40, description="Attempts of all stages of a run.")
    tokens_per_run: Count = Field(2_000_000, description="Model tokens of a run.")
    cost_per_run: Money = Field(10.0, description="Cost of a run, in US dollars.")
    cost_per_day: Money = Field(
        50.0, description="Cost of all runs on one UTC day, in US dollars, reservations included."
    )
    cost_per_month: Money = Field(
        500.0, description="Cost of all runs in one UTC month, in US dollars, same rule."
    )
    reserve_per_attempt: Money = Field(
        1.0, description="US dollars set aside when an attempt with a paid model is claimed."
    )
    seconds_per_attempt: Seconds = Field(
        1800, description="Wall clock of one attempt, in seconds; then it is ended as `timeout`."
    )
    seconds_per_run: Seconds = Field(
        14_400, description="Wall clock of all attempts of a run together, in seconds."
    )
    diff_lines: Positive = Field(300, description="Lines a run may add and remove together.")
    diff_files: Positive = Field(20, description="Files a run may change.")
    open_runs: Positive = Field(4, description="Runs that may be open at the same time.")

    @model_validator(mode="after")
    def _reserve_fits(self) -> Self:
        """A reserve above a (non-zero) limit would mean that no paid attempt could ever start."""
        for name in ("cost_per_run", "cost_per_day", "cost_per_month"):
            limit: float = getattr(self, name)
            if 0 < limit < self.reserve_per_attempt:
                raise ValueError(
                    f"reserve_per_attempt ({self.reserve_per_attempt}) is more than {name} "
                    f"({limit}): no attempt with a paid model could start"
                )
        return self


RouteEnd = Literal[Action.ESCALATE, Action.TERMINATE, Action.WAIVE, Action.PAUSE]
"""What may follow when the retries of a class are used up."""


class Route(Frozen):
    """What follows a failure of one class."""

    retries: int = Field(ge=0, le=100, description="How often the stage is tried again by itself.")
    backoff: int = Field(
        0, ge=0, le=2_592_000, description="Seconds to wait before the next try, or while paused."
    )
    then: RouteEnd = Field(
        description="When the retries are used up: ask (escalate, waive), end the run "
        "(terminate), or wait (pause)."
    )


class Routing(Frozen):
    """One route for every failure class. Total: a file that leaves one out is refused."""

    test_failure: Route = Field(description="A check of kind `test` is red.")
    test_timeout: Route = Field(description="A check of kind `test` ran out of time.")
    timeout: Route = Field(description="The attempt, or another check, ran out of time.")
    test_flake: Route = Field(description="A test failed and then passed on the same tree.")
    lint_error: Route = Field(description="A check of kind `lint` is red.")
    formatting_error: Route = Field(description="A check of kind `format` is red.")
    typo: Route = Field(description="A check of kind `typo` is red.")
    syntax_error: Route = Field(description="A check of kind `syntax` is red.")
    validation_error: Route = Field(description="An answer does not fit its schema.")
    review_rejection: Route = Field(description="The review asks for changes.")
    no_change: Route = Field(description="The build changed nothing.")
    conflict: Route = Field(description="The work does not merge with the new main.")
    envelope_violation: Route = Field(description="The change goes where it may not.")
    governance_violation: Route = Field(description="The change touches the rules themselves.")
    budget_exceeded: Route = Field(description="A budget is used up.")
    quota: Route = Field(description="The model's provider refuses for now.")
    base_red: Route = Field(description="The checks already fail on main.")
    dependency_error: Route = Field(description="A prepare command failed.")
    environment_error: Route = Field(description="The sandbox or the machine failed.")
    tool_error: Route = Field(description="The agent's program, or a `build` check, failed.")
    config_error: Route = Field(description="A setting cannot work, such as an unknown program.")
    interrupted: Route = Field(description="The attempt was cut off and left no result.")
    unknown: Route = Field(description="Nothing above fits.")

    @model_validator(mode="before")
    @classmethod
    def _total(cls, data: Any) -> Any:  # noqa: ANN401 - what a file holds before it is checked
        """Name all the classes without a route at once, instead of one error for each."""
        if isinstance(data, dict):
            missing = [member.value for member in FailureClass if member.value not in data]
            strange = [str(key) for key in data if key not in set(FailureClass)]
            also = f"; {', '.join(strange)} is no failure class" if strange else ""
            if missing:
                raise ValueError(f"no route for {', '.join(missing)}{also}")
        return data

    def route(self, failure: FailureClass) -> Route:
        """The route of one class."""
        route: Route = getattr(self, failure.value)
        return route

    @classmethod
    def defaults(cls, **changed: Route) -> Routing:
        """The default table, with the routes of the named classes replaced."""
        return cls.model_validate({**_DEFAULT_ROUTES, **changed})


def _routes(retries: int, then: RouteEnd, *names: str, backoff: int = 0) -> dict[str, Route]:
    return dict.fromkeys(names, Route(retries=retries, backoff=backoff, then=then))


_DEFAULT_ROUTES: dict[str, Route] = {
    **_routes(3, Action.WAIVE, "test_failure"),
    **_routes(1, Action.ESCALATE, "test_timeout", "timeout", "no_change"),
    **_routes(1, Action.WAIVE, "test_flake"),
    **_routes(3, Action.TERMINATE, "lint_error", "formatting_error", "typo"),
    **_routes(1, Action.TERMINATE, "syntax_error"),
    **_routes(2, Action.ESCALATE, "validation_error", "conflict", "interrupted"),
    **_routes(2, Action.ESCALATE, "dependency_error", "environment_error", "tool_error"),
    **_routes(3, Action.ESCALATE, "review_rejection"),
    **_routes(0, Action.ESCALATE, "envelope_violation", "governance_violation", "unknown"),
    **_routes(0, Action.PAUSE, "budget_exceeded"),
    **_routes(0, Action.PAUSE, "quota", backoff=900),
    **_routes(0, Action.PAUSE, "base_red", backoff=3600),
    **_routes(0, Action.TERMINATE, "config_error"),
}


class Progress(Frozen):
    """When trying again is pointless."""

    same_tree: int = Field(
        2, ge=2, le=100, description="Attempts in a row that end with the same tree: no progress."
    )
    oscillation: bool = Field(
        True, description="Whether coming back to the tree before the last ends the retries."
    )
    same_error: int = Field(
        5, ge=2, le=100, description="Attempts in a row that end with the same error: no progress."
    )


class CheckpointRule(Frozen):
    """Ask a person after a stage, when all the given conditions hold."""

    name: Name = Field(description="The rule's name; it is shown with the question.")
    stage: Stage = Field(description="The stage after which the run waits; not `close`.")
    risk: Risk | None = Field(None, description="Only if the risk is at least this.")
    paths: tuple[Glob, ...] = Field((), description="Only if a changed path matches one of these.")
    lines: Positive | None = Field(None, description="Only if at least so many lines changed.")
    files: Positive | None = Field(None, description="Only if at least so many files changed.")

    @field_validator("stage")
    @classmethod
    def _before_the_end(cls, stage: Stage) -> Stage:
        if stage is Stage.CLOSE:
            raise ValueError("after `close` the work has landed; use `packet` to ask before that")
        return stage


class Waivers(Frozen):
    """Which failures a person may be asked to waive."""

    classes: tuple[FailureClass, ...] = Field(
        (FailureClass.TEST_FAILURE, FailureClass.TEST_FLAKE),
        description="Only failures of these classes may be waived; others escalate instead.",
    )

    @field_validator("classes")
    @classmethod
    def _once(cls, classes: tuple[FailureClass, ...]) -> tuple[FailureClass, ...]:
        refuse_repeated(classes, "classes")
        return classes


class Bypass(Frozen):
    """Trivial rework goes straight back to build, without planning again."""

    classes: tuple[FailureClass, ...] = Field(
        (
            FailureClass.LINT_ERROR,
            FailureClass.FORMATTING_ERROR,
            FailureClass.TYPO,
            FailureClass.TEST_FLAKE,
        ),
        description="Failures of these classes only.",
    )
    lines: Count = Field(50, description="Changes of at most so many lines.")
    files: Count = Field(3, description="Changes of at most so many files, none of them protected.")

    @field_validator("classes")
    @classmethod
    def _once(cls, classes: tuple[FailureClass, ...]) -> tuple[FailureClass, ...]:
        refuse_repeated(classes, "classes")
        return classes


class Lease(Frozen):
    """How long a claim stands without its owner being heard of."""

    seconds: Seconds = Field(3600, description="Seconds a claim stands; not less than an attempt.")
    grace: Count = Field(300, description="Seconds after that before it counts as interrupted.")


class Improve(Frozen):
    """When lifeos looks back at what happened, and proposes what would do better."""

    after: Count = Field(
        0,
        description="Closed runs after which a tick searches the ledger for patterns; 0: only "
        "`lifeos improve` does. What it proposes is asked at every level of autonomy.",
    )
    worded: bool = Field(
        False,
        description="Whether the agent and model of reviews say in their words what is proposed, "
        "and draft a prompt whose answers do not fit. They decide nothing and draft no policy.",
    )


class Loop(Frozen):
    """policies/loop.yaml: when to go on, try again, ask, wait or stop."""

    version: Version = Field(description="Format of this file.")
    autonomy: Autonomy = Field(Autonomy.SUPERVISED, description="How often a person is asked.")
    budgets: Budgets = Field(Budgets(), description="What may be spent.")
    routing: Routing = Field(
        Routing.defaults(), description="What follows each failure class; all must be there."
    )
    progress: Progress = Field(Progress(), description="When trying again is pointless.")
    checkpoints: tuple[CheckpointRule, ...] = Field(
        (), description="More points where a person is asked, by stage, risk, path and size."
    )
    waivers: Waivers = Field(Waivers(), description="Which failures may be waived by a person.")
    bypass: Bypass = Field(Bypass(), description="Which rework needs no new plan.")
    lease: Lease = Field(Lease(), description="How long a claim stands.")
    improve: Improve = Field(Improve(), description="When proposals are looked for.")
    tasks_per_tick: Positive = Field(10, description="Tasks that one tick may open.")
    on_task_change: OnTaskChange = Field(
        OnTaskChange.ESCALATE, description="When the task of an open run is edited."
    )
    on_governance_change: OnGovernanceChange = Field(
        OnGovernanceChange.ESCALATE, description="When other rules are adopted while runs are open."
    )
    reapprove: Overlap = Field(
        Overlap.OVERLAP,
        description="Ask again when main has moved: if it changed a path of the run, or always.",
    )
    recheck: Overlap = Field(
        Overlap.ALWAYS,
        description="Check again before landing when main has moved: same choice.",
    )

    @field_validator("checkpoints")
    @classmethod
    def _names(cls, rules: tuple[CheckpointRule, ...]) -> tuple[CheckpointRule, ...]:
        refuse_repeated(tuple(rule.name for rule in rules), "names of checkpoints")
        return rules

    @model_validator(mode="after")
    def _lease_outlasts_attempt(self) -> Self:
        """Else a live attempt would be closed as interrupted, and its work repeated."""
        if self.lease.seconds < self.budgets.seconds_per_attempt:
            raise Unfit(
                f"lease.seconds ({self.lease.seconds}) is less than budgets.seconds_per_attempt "
                f"({self.budgets.seconds_per_attempt}): a live attempt would count as interrupted",
                "make the lease longer than the longest attempt, or the attempts shorter",
            )
        return self
