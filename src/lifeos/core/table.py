"""What may follow what, and what each answer does, in tables that a person can read.

The table is total over (stage, outcome) and says what the policy *may* do; ``judge`` chooses.
"""

from __future__ import annotations

from collections.abc import Mapping

from lifeos.core.improve.trial import RULE, revised
from lifeos.core.state import Outcome, Success
from lifeos.model import Action, Decision, FailureClass, ItemKind, Stage, Verdict

STAGES: tuple[Stage, ...] = tuple(Stage)
REVIEWS = frozenset({Stage.DESIGN_REVIEW, Stage.PLAN_REVIEW, Stage.BUILD_REVIEW})
MAKER: Mapping[Stage, Stage] = {
    Stage.DESIGN: Stage.DESIGN,
    Stage.DESIGN_REVIEW: Stage.DESIGN,
    Stage.PLAN: Stage.PLAN,
    Stage.PLAN_REVIEW: Stage.PLAN,
    Stage.BUILD: Stage.BUILD,
    Stage.BUILD_REVIEW: Stage.BUILD,
    Stage.PACKET: Stage.BUILD,
    Stage.CLOSE: Stage.BUILD,
}
REWORK_TARGETS: Mapping[Stage, frozenset[Stage]] = {
    Stage.DESIGN: frozenset({Stage.DESIGN}),
    Stage.DESIGN_REVIEW: frozenset({Stage.DESIGN}),
    Stage.PLAN: frozenset({Stage.PLAN}),
    Stage.PLAN_REVIEW: frozenset({Stage.PLAN}),
    Stage.BUILD: frozenset({Stage.PLAN, Stage.BUILD}),
    Stage.BUILD_REVIEW: frozenset({Stage.PLAN, Stage.BUILD}),
    Stage.PACKET: frozenset({Stage.PLAN, Stage.BUILD}),
    Stage.CLOSE: frozenset({Stage.PLAN, Stage.BUILD}),
}
KEPT = 100  # trees and errors remembered: as many as the progress rules may ask for
PERIOD_BUDGETS = ("cost_per_day", "cost_per_month")

_ASK_OR_END = frozenset({Action.ESCALATE, Action.TERMINATE, Action.PAUSE})
_TRY_AGAIN = frozenset({Action.RETRY})
_REWORK = frozenset({Action.REWORK})

# Failures that only a tree can have; a stage that makes no tree cannot fail this way.
_OF_TREES = frozenset(
    {
        FailureClass.TEST_FAILURE,
        FailureClass.TEST_TIMEOUT,
        FailureClass.TEST_FLAKE,
        FailureClass.LINT_ERROR,
        FailureClass.FORMATTING_ERROR,
        FailureClass.TYPO,
        FailureClass.SYNTAX_ERROR,
        FailureClass.NO_CHANGE,
        FailureClass.ENVELOPE_VIOLATION,
        FailureClass.GOVERNANCE_VIOLATION,
    }
)

# Failures of checks: a person may be asked to waive one, where the work is built.
_WAIVABLE = _OF_TREES - {
    FailureClass.NO_CHANGE,
    FailureClass.ENVELOPE_VIOLATION,
    FailureClass.GOVERNANCE_VIOLATION,
}
# Waiting, not failing: the attempt does not count against the task's budgets of attempts.
WAITS = frozenset({FailureClass.QUOTA, FailureClass.BASE_RED})
# Failures that say nothing about the work: progress is not measured by them.
NOT_OF_THE_WORK = WAITS | {
    FailureClass.INTERRUPTED,
    FailureClass.BUDGET_EXCEEDED,
    FailureClass.ENVELOPE_VIOLATION,
    FailureClass.GOVERNANCE_VIOLATION,
}
# The same tree is no news after these: it was not the tree that failed.
NOT_OF_THE_TREE = NOT_OF_THE_WORK | {
    FailureClass.TEST_FLAKE,
    FailureClass.ENVIRONMENT_ERROR,
    FailureClass.DEPENDENCY_ERROR,
}
# What fails on the merged tree is mended in a new build; the rest of `close` is tried again.
REWORKED_AT_CLOSE = _OF_TREES | {FailureClass.CONFLICT}
# Of these, what may come out otherwise the next time: where a forge has landed it, no build helps.
MAY_PASS_YET = frozenset({FailureClass.TEST_FLAKE, FailureClass.TEST_TIMEOUT})


def _outcomes(stage: Stage) -> Mapping[Outcome, frozenset[Action]]:
    """One column of the table."""
    row: dict[Outcome, frozenset[Action]] = {}
    if stage in REVIEWS:
        row[Verdict.ACCEPT] = frozenset({Action.ADVANCE}) | _ASK_OR_END
        row[Verdict.REVISE] = _REWORK | _ASK_OR_END
        row[Verdict.REJECT] = _ASK_OR_END
    elif stage is not Stage.CLOSE:  # it succeeds by `closed`, once main has moved
        row[Success.OK] = frozenset({Action.ADVANCE}) | _ASK_OR_END
    for failure in FailureClass:
        if failure is FailureClass.REVIEW_REJECTION:
            continue  # it is written as the verdict that it is
        if failure is FailureClass.CONFLICT and stage is not Stage.CLOSE:
            continue
        if failure in _OF_TREES and stage not in (Stage.BUILD, Stage.CLOSE):
            continue
        at_close = stage is Stage.CLOSE and failure in REWORKED_AT_CLOSE
        again = not at_close or failure in MAY_PASS_YET
        # A review without a seat's answer may go on only if a person waives that seat.
        without_seat = stage in REVIEWS and failure is FailureClass.VALIDATION_ERROR
        waivable = without_seat or (stage is Stage.BUILD and failure in _WAIVABLE)
        row[failure] = (
            (_REWORK if at_close else frozenset())
            | (_TRY_AGAIN if again else frozenset())
            | (frozenset({Action.WAIVE}) if waivable else frozenset())
            | _ASK_OR_END
        )
    return row


TABLE: Mapping[tuple[Stage, Outcome], frozenset[Action]] = {
    (stage, outcome): actions for stage in STAGES for outcome, actions in _outcomes(stage).items()
}

ANSWERS: Mapping[ItemKind, Mapping[Decision, str]] = {
    ItemKind.STAGE_REVIEW: {
        Decision.APPROVE: "go on with the next stage",
        Decision.REVISE: "rework the stage that made it, with the comment",
        Decision.REJECT: "close the run as rejected",
    },
    ItemKind.WAIVER: {
        Decision.APPROVE: "waive this failure, for this subject only",
        Decision.REVISE: "one more attempt",
        Decision.REJECT: "close the run as blocked",
    },
    ItemKind.BUDGET: {
        Decision.APPROVE: "grant the same budget once more",
        Decision.REVISE: "rework from the plan",
        Decision.REJECT: "close the run as blocked",
    },
    ItemKind.BREACH: {
        Decision.APPROVE: "accept this patch, for this subject only",
        Decision.REVISE: "rework, with the offending lines",
        Decision.REJECT: "close the run as rejected",
    },
    ItemKind.ESCALATION: {
        Decision.APPROVE: "one more attempt, or one more rework where a review or landing failed",
        Decision.REVISE: "rework from the plan, with the comment",
        Decision.REJECT: "close the run as blocked",
    },
    ItemKind.GOVERNANCE: {
        Decision.APPROVE: "adopt the new set, for all runs",
        Decision.REJECT: "keep the old set; runs that wait for this answer end",
    },
    ItemKind.COMMANDS: {
        Decision.APPROVE: "allow these commands, verbatim",
        Decision.REJECT: "close the run as rejected",
    },
    ItemKind.ENVIRONMENT: {
        Decision.APPROVE: "allow these inputs, verbatim",
        Decision.REJECT: "close the run as rejected",
    },
    ItemKind.PROPOSAL: {
        Decision.APPROVE: "land it",
        Decision.REVISE: "redraft it",
        Decision.REJECT: "drop it",
    },
}


INTRUDED = "landing:unauthorised"
"""The rule of a question about something that reached main, and that nobody let through."""
UNVERIFIED = "landing:unverified"
"""The same about work that an approver merged, and whose checks do not pass on what main became."""
TAKES_BACK = frozenset({INTRUDED, UNVERIFIED})
"""The rules of questions whether to take back what is on main: nothing begins while one is open."""


_LAND = "land it on main; open runs go on under the rules that they have"


def effects(
    kind: ItemKind, stage: Stage | None, rule: str = "", *, again: bool = False
) -> Mapping[Decision, str]:
    """What each possible answer to an item does, in words; more plainly where more is known.

    ``again``: what an approval allows is one more attempt, not the work as it is.
    """
    if rule in TAKES_BACK:
        return {Decision.APPROVE: "take it back", Decision.REJECT: "leave it on main as it is"}
    if rule.startswith(RULE):
        return {**ANSWERS[kind], Decision.APPROVE: _LAND, Decision.REVISE: revised(rule)}
    if rule == "task_changed":
        return {
            Decision.APPROVE: "go on from here, keeping what is done; the new text counts from now",
            Decision.REVISE: "rework from the plan, by the new text, with the comment",
            Decision.REJECT: "close the run as blocked",
        }
    if kind is ItemKind.STAGE_REVIEW and stage is Stage.CLOSE:
        return {
            Decision.APPROVE: "land it on main, and mark the task done",
            Decision.REVISE: "do not land it; build it again, with the comment",
            Decision.REJECT: "do not land it; close the run as rejected",
        }
    if kind is ItemKind.BREACH and again:
        told = (
            "build it once more; a patch with a secret in it is not kept, and cannot be accepted "
            "(if it is test data: `fake_secrets` in policies/envelope.yaml)"
        )
        return {**ANSWERS[kind], Decision.APPROVE: told}
    if kind is ItemKind.WAIVER and stage in REVIEWS:
        told = "review it without the seats that gave no verdict, for this subject only"
        return {**ANSWERS[kind], Decision.APPROVE: told}
    if kind in (ItemKind.BUDGET, ItemKind.ESCALATION) and stage and MAKER[stage] is Stage.DESIGN:
        # There is no plan yet to begin again from.
        return {**ANSWERS[kind], Decision.REVISE: "rework the design, with the comment"}
    return ANSWERS[kind]


def next_stage(stage: Stage) -> Stage:
    """The stage after this one; ``close`` is followed by itself (it ends by ``closed``)."""
    return STAGES[min(STAGES.index(stage) + 1, len(STAGES) - 1)]
