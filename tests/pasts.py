"""What happened to runs, told by hand: values for the tests of those who look back."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from lifeos.core.chronicle import AttemptPast, Chronicle, QuestionPast, RunPast
from lifeos.core.records import AttemptFacts, CheckFact
from lifeos.core.state import Outcome, Success
from lifeos.model import (
    Action,
    CloseOutcome,
    Decision,
    FailureClass,
    ItemKind,
    Stage,
    Usage,
    Verdict,
)

MONDAY = 1_793_577_600  # 2026-11-02T00:00:00Z, a Monday
HOUR, DAY, WEEK = 3600, 86_400, 604_800
ADA = "ada@example.org"


def attempt(stage: Stage, outcome: Outcome | None = None, **more: Any) -> AttemptPast:
    """One attempt; without an outcome it went well. ``facts``: more of what it left."""
    if outcome is None:
        outcome = Verdict.ACCEPT if "review" in stage else Success.OK
    cost = 0.5 if stage is Stage.BUILD else 0.1
    facts = {
        "outcome": outcome,
        "usage": Usage(tokens=1000, cost=cost),
        "checks": (check(outcome),) if stage is Stage.BUILD else (),
        **more.pop("facts", {}),
    }
    went_well = outcome in (Success.OK, Verdict.ACCEPT)
    values = {
        "run": "R",
        "stage": stage,
        "n": 1,
        "base": "main",
        "claimed_at": MONDAY,
        "at": MONDAY,
        "commit": "c",
        "facts": AttemptFacts.model_validate(facts),
        "action": Action.ADVANCE if went_well else Action.RETRY,
        "rule": "success" if went_well else "retries_left",
        "to": stage,
    }
    return AttemptPast.model_validate(values | more)


def check(outcome: Outcome = Success.OK, name: str = "tests") -> CheckFact:
    """The check of an attempt with this outcome."""
    failure = outcome if isinstance(outcome, FailureClass) else None
    status = {None: "passed", FailureClass.TEST_FLAKE: "flaky"}.get(failure, "failed")
    return CheckFact(name=name, status=status, failure=failure)


def stages(*names: Stage) -> tuple[AttemptPast, ...]:
    """An attempt that went well at each of these stages."""
    return tuple(attempt(stage) for stage in names)


MADE = stages(
    *(Stage.DESIGN, Stage.DESIGN_REVIEW, Stage.PLAN, Stage.PLAN_REVIEW),
    *(Stage.BUILD, Stage.BUILD_REVIEW, Stage.PACKET),
)
"""The seven attempts of a run in which everything goes well."""


def question(
    kind: ItemKind, at: int, decision: Decision | None = None, **more: Any
) -> QuestionPast:
    """A question asked at a moment; ``after`` are the seconds until a person's answer."""
    after = more.pop("after", None)
    values: dict[str, Any] = {
        "item": f"Q-{kind}-{at}",
        "kind": kind,
        "rule": str(kind),
        "question": "what now?",
        "subject": "s",
        "at": at,
        "commit": "c",
        "decision": decision,
        "who": ADA if decision else "",
        "answered_at": at + after if after is not None else None,
    }
    return QuestionPast.model_validate(values | more)


def run(name: str, task: str, at: int, hours: float | None, **more: Any) -> RunPast:
    """A run of so many hours, that passed; None: it is open."""
    asked = tuple(one.model_copy(update={"run": name}) for one in more.pop("questions", ()))
    values: dict[str, Any] = {
        "id": name,
        "task": task,
        "title": f"Do {task}",
        "ordinal": 1,
        "at": at,
        "commit": "c",
        "base": "main",
        "attempts": MADE,
        "questions": asked,
        "outcome": CloseOutcome.PASS if hours is not None else None,
        "closed_at": at + int(hours * HOUR) if hours is not None else None,
    }
    return RunPast.model_validate(values | more)


def past(runs: Iterable[RunPast], questions: Iterable[QuestionPast] = ()) -> Chronicle:
    """All of it, three weeks after ``MONDAY``."""
    return Chronicle(
        root="r",
        tip="t",
        seq=100,
        at=MONDAY + 3 * WEEK,
        runs=tuple(runs),
        questions=tuple(questions),
    )


# --- the example of docs/reference/metrics.md ---------------------------------------------------


def _revised() -> tuple[AttemptPast, ...]:
    """R-2: its review wants a trifle, which needs no new plan."""
    against = attempt(
        *(Stage.BUILD_REVIEW, Verdict.REVISE), action=Action.REWORK, rule="bypass", to=Stage.BUILD
    )
    again = stages(Stage.BUILD, Stage.BUILD_REVIEW, Stage.PACKET)
    return (*MADE[:5], against, *again)


def _waived() -> tuple[AttemptPast, ...]:
    """R-3: a flake, two failures, and a review that cannot be held."""
    failures = (FailureClass.TEST_FLAKE, FailureClass.TEST_FAILURE, FailureClass.TEST_FAILURE)
    builds = tuple(attempt(Stage.BUILD, failure) for failure in failures)
    return (*MADE[:4], *builds, attempt(Stage.BUILD_REVIEW, FailureClass.TOOL_ERROR))


def _conflict() -> tuple[AttemptPast, ...]:
    """R-4: what it made does not merge, so it plans anew."""
    met = attempt(
        *(Stage.CLOSE, FailureClass.CONFLICT),
        action=Action.REWORK,
        to=Stage.PLAN,
        facts={"checks": ()},
    )
    return (*MADE, met, *MADE[2:])


def _spent() -> tuple[AttemptPast, ...]:
    """R-5: a review that gave no verdict, one that is against, and the money is gone."""
    late = attempt(Stage.DESIGN_REVIEW, FailureClass.TIMEOUT)
    against = attempt(
        Stage.DESIGN_REVIEW, Verdict.REVISE, action=Action.PAUSE, rule="budget:cost_per_run"
    )
    return (MADE[0], late, against)


def _eight(day: int) -> int:
    """Eight in the morning of a day of that week."""
    return MONDAY + day * DAY + 8 * HOUR


EXAMPLE = past(
    [
        run("R-1", "LO-a", _eight(0), 1),
        run(
            *("R-2", "LO-b", _eight(0) + HOUR, 4),
            attempts=_revised(),
            questions=(
                question(ItemKind.STAGE_REVIEW, _eight(0) + 2 * HOUR, Decision.APPROVE, after=7200),
            ),
            reverted_at=MONDAY + WEEK,
            reverted="4b825dc642cb6eb9a060e54bf8d69288fbee4904",
        ),
        run(
            *("R-3", "LO-c", _eight(1), 6),
            attempts=_waived(),
            outcome=CloseOutcome.BLOCKED,
            questions=(
                question(
                    *(ItemKind.WAIVER, _eight(1) + 2 * HOUR, Decision.APPROVE),
                    after=5,
                    rule="exhausted:test_failure",
                ),
                question(ItemKind.ESCALATION, _eight(1) + 3 * HOUR, Decision.REJECT, after=7200),
            ),
        ),
        run(
            *("R-4", "LO-c", _eight(2), 2),
            attempts=_conflict(),
            questions=(
                question(ItemKind.STAGE_REVIEW, _eight(2) + HOUR, over_at=_eight(2) + HOUR + 60),
            ),
        ),
        run(
            *("R-5", "LO-d", _eight(3), 0.5),
            attempts=_spent(),
            outcome=CloseOutcome.CANCELLED,
            questions=(
                question(
                    *(ItemKind.BUDGET, _eight(3) + 1200),
                    rule="budget:cost_per_run",
                    over_at=_eight(3) + 1800,
                ),
            ),
        ),
        run(
            *("R-6", "LO-e", _eight(4), 7),
            attempts=(attempt(Stage.DESIGN, FailureClass.UNKNOWN, action=Action.ESCALATE),),
            outcome=CloseOutcome.REJECTED,
            questions=(
                question(
                    *(ItemKind.ESCALATION, _eight(4), Decision.REJECT), after=6 * HOUR, who="expiry"
                ),
            ),
        ),
        run(
            *("R-7", "LO-f", _eight(4) + HOUR, None),
            questions=(
                question(ItemKind.STAGE_REVIEW, _eight(4) + 2 * HOUR, Decision.APPROVE, after=3600),
            ),
        ),
        run("R-8", "LO-g", _eight(7), 24, title="Fix what LO-a broke", tags=("api",)),
    ]
)
"""One week with six runs that closed in it, and what came after."""
