"""The vocabulary: the closed lists and small values that everything else speaks in."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field

_put = object.__setattr__  # past the guard that makes the models immutable


class Frozen(BaseModel):
    """Base of all state: immutable, closed (unknown keys are an error)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """The same with some fields changed; as pydantic's own, at a quarter of its cost.

        It is most of what ``apply`` does, and a rebuild applies every transition there is. The
        values are shared: they are immutable. ``deep`` and what is not a field go pydantic's way.
        """
        kind = type(self)
        if deep or update is None or not kind.__pydantic_fields__.keys() >= update.keys():
            return super().model_copy(update=update, deep=deep)
        copy = object.__new__(kind)
        known = self.__pydantic_fields_set__
        if not known >= update.keys():
            known = known | update.keys()
        _put(copy, "__dict__", {**self.__dict__, **update})
        _put(copy, "__pydantic_fields_set__", known)
        _put(copy, "__pydantic_extra__", None)
        _put(copy, "__pydantic_private__", None)
        return copy


class Stage(StrEnum):
    """The pipeline, in order."""

    DESIGN = "design"
    DESIGN_REVIEW = "design_review"
    PLAN = "plan"
    PLAN_REVIEW = "plan_review"
    BUILD = "build"
    BUILD_REVIEW = "build_review"
    PACKET = "packet"
    CLOSE = "close"


class Verdict(StrEnum):
    """A review's answer."""

    ACCEPT = "accept"
    REVISE = "revise"
    REJECT = "reject"


class FailureClass(StrEnum):
    """Why an attempt failed. Closed: a new member must be routed, drawn and tested."""

    TEST_FAILURE = "test_failure"
    TEST_TIMEOUT = "test_timeout"
    TIMEOUT = "timeout"
    TEST_FLAKE = "test_flake"
    LINT_ERROR = "lint_error"
    FORMATTING_ERROR = "formatting_error"
    TYPO = "typo"
    SYNTAX_ERROR = "syntax_error"
    VALIDATION_ERROR = "validation_error"
    REVIEW_REJECTION = "review_rejection"
    NO_CHANGE = "no_change"
    CONFLICT = "conflict"
    ENVELOPE_VIOLATION = "envelope_violation"
    GOVERNANCE_VIOLATION = "governance_violation"
    BUDGET_EXCEEDED = "budget_exceeded"
    QUOTA = "quota"
    BASE_RED = "base_red"
    DEPENDENCY_ERROR = "dependency_error"
    ENVIRONMENT_ERROR = "environment_error"
    TOOL_ERROR = "tool_error"
    CONFIG_ERROR = "config_error"
    INTERRUPTED = "interrupted"
    UNKNOWN = "unknown"


class Action(StrEnum):
    """What the policy decides after an attempt."""

    ADVANCE = "advance"
    RETRY = "retry"
    REWORK = "rework"
    WAIVE = "waive"
    ESCALATE = "escalate"
    TERMINATE = "terminate"
    PAUSE = "pause"


class ItemKind(StrEnum):
    """What a checkpoint asks."""

    STAGE_REVIEW = "stage_review"
    WAIVER = "waiver"
    BUDGET = "budget"
    BREACH = "breach"
    ESCALATION = "escalation"
    GOVERNANCE = "governance"
    COMMANDS = "commands"
    ENVIRONMENT = "environment"
    PROPOSAL = "proposal"


class Decision(StrEnum):
    """The answer to a queue item."""

    APPROVE = "approve"
    REVISE = "revise"
    REJECT = "reject"


class Trust(StrEnum):
    """How the identity behind an approval is known."""

    COMMIT = "commit"
    SIGNATURE = "signature"
    MERGE = "merge"


class CloseOutcome(StrEnum):
    """How a run ended."""

    PASS = "pass"
    BLOCKED = "blocked"
    REJECTED = "rejected"
    CANCELLED = "cancelled"


class Risk(StrEnum):
    """How much can go wrong, as the task says or as measured; a task may only raise it."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"

    @property
    def rank(self) -> int:
        """0 for low, 1 for medium, 2 for high."""
        return ("low", "medium", "high").index(self.value)


class Mode(StrEnum):
    """How many reviewers sit: one unified, the standard council, or all nine seats."""

    M0 = "M0"
    M1 = "M1"
    M2 = "M2"


Priority = Literal[0, 1, 2, 3]


class Usage(Frozen):
    """What something consumed. Seconds are wall clock, cost is in US dollars, requests and tokens
    are a model's. ``estimated``: nobody told what some of it cost; it was counted as a dear model.

    Never negative and never "not a number": workers report it, and no budget holds against those.
    """

    seconds: float = Field(0.0, ge=0, allow_inf_nan=False)
    tokens: int = Field(0, ge=0)
    cost: float = Field(0.0, ge=0, allow_inf_nan=False)
    requests: int = Field(0, ge=0)
    estimated: bool = False

    def plus(self, other: Usage) -> Usage:
        """The sum of both."""
        return Usage(
            seconds=self.seconds + other.seconds,
            tokens=self.tokens + other.tokens,
            cost=self.cost + other.cost,
            requests=self.requests + other.requests,
            estimated=self.estimated or other.estimated,
        )


class Change(Frozen):
    """One entry of git's raw diff between two trees, with line counts.

    Modes are git's octal strings ("100644"; "000000" for absent). ``status`` is git's letter: A, D,
    M, T or R (renames carry ``old_path``). ``added``/``removed`` are lines, or None for binary
    content. ``size`` is the new content in bytes (0 when deleted).
    """

    status: Literal["A", "D", "M", "T", "R"]
    path: str
    old_path: str = ""
    old_mode: str
    new_mode: str
    old_id: str
    new_id: str
    added: int | None = 0
    removed: int | None = 0
    size: int = 0

    @property
    def binary(self) -> bool:
        """Whether git saw the content as binary."""
        return self.added is None
