"""How a proposal is measured once it has landed: by what, how long, and what came of it."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Self

from pydantic import Field, model_validator

from lifeos.model import Frozen, Usage

RULE = "improve:"
"""What the rule of a question about a proposal begins with; its category follows."""
REVERTS = "revert:"
"""What the pattern of a proposal begins with that takes another back; that one's item follows."""


class Measure(StrEnum):
    """The metrics that a proposal can declare; ``core/improve/measure.py`` computes them."""

    QUESTIONS = "questions_per_run"
    FAILING = "share_of_runs_that_fail_so"
    UNFIT = "share_of_answers_that_do_not_fit"
    CHECK_RED = "share_of_runs_where_the_check_is_red"
    REVIEW_COST = "dollars_per_review"
    REVIEW_TOKENS = "tokens_per_review"
    REVIEW_SECONDS = "seconds_per_review"
    FALSE_GREENS = "share_of_landings_reverted_or_repaired"
    TASKS_DONE = "share_of_tasks_done"

    @property
    def more_is_better(self) -> bool:
        """Whether a higher value is the better one."""
        return self is Measure.TASKS_DONE


class Window(Frozen):
    """How long is measured: until so many runs, begun since it landed, are closed; or days."""

    runs: int = Field(0, ge=0, le=10_000)
    days: int = Field(0, ge=0, le=3660)

    @model_validator(mode="after")
    def _one(self) -> Self:
        if bool(self.runs) == bool(self.days):
            raise ValueError("a window is of runs or of days")
        return self

    def __str__(self) -> str:
        count, noun = (self.runs, "run") if self.runs else (self.days, "day")
        return f"{count} {noun}{'' if count == 1 else 's'}"


class Measured(Frozen):
    """What came of a proposal's metric. ``value`` None: nothing happened that could be measured.

    ``before`` and ``limit`` are those of the proposal; ``runs`` how many it was measured over.
    """

    measure: Measure
    value: float | None = Field(None, allow_inf_nan=False)
    before: float
    limit: float
    runs: int = 0
    holds: bool | None = None


class Proposed(Frozen):
    """What the state must know of a proposal. ``pattern`` is what it rests on.

    ``governs``: it changes the rules. ``window`` None: nothing is measured once it has landed (it
    takes another proposal back). ``draft`` counts the drafts that a person saw. ``spent`` is what
    an agent used that was asked to word it.
    """

    pattern: str
    window: Window | None = None
    governs: bool = False
    draft: int = 1
    spent: Usage | None = None


_NUMBER = "draft it again, with the number in your comment"
_PARAGRAPH = "draft it again, with your words as the paragraph"
_WORDS = "draft it again, with your words added to the task"
_REVISED: Mapping[str, str] = {
    "hit_budget": _NUMBER,
    "unfit_answers": _PARAGRAPH,
    "recurring_failure": "draft it again, with your words: as the paragraph, or added to the task",
    "todo": _WORDS,
    "flake": _WORDS,
    "doc_drift": _WORDS,
}
"""What can be drafted otherwise, by category."""


def revised(rule: str) -> str:
    """What asking for another draft does, in words, for a question by this rule."""
    fixed = "drop it, with your comment on the record: it cannot be drafted otherwise"
    return _REVISED.get(rule.removeprefix(RULE), fixed)
