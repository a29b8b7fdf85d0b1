"""The plan of the past: who asked for what, how each attempt ended, who answered what and when.

It knows nothing of lifeos: plain words and numbers, drawn from a seed. What tests expect of
metrics and reports is computed from here and not from what lifeos reads back.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

SEED = "past-200"
HOUR = 3600
DAY = 24 * HOUR
BEGIN = 1_735_804_800
"""2025-01-02T08:00:00Z: the ledger begins. The first week's tasks come on the 6th, a Monday."""
MONDAY = 1_736_145_000
"""2025-01-06T06:30:00Z"""

ADA, BOB, SOMEBODY = "ada@example.invalid", "bob@example.invalid", "somebody@example.invalid"
AREAS = ("cart", "stock", "mail", "export", "pay", "search", "login", "report", "admin")


@dataclass(frozen=True)
class Step:
    """One attempt: what comes of it, and what it uses. ``mills`` are thousandths of a dollar.

    ``detail`` says what exactly: a test, a seat, a path.
    """

    stage: str
    outcome: str
    seconds: int
    tokens: int
    mills: int
    requests: int
    estimated: bool = False
    detail: str = ""


@dataclass(frozen=True)
class Question:
    """One checkpoint: what is asked by which rule, and who decides what, ``after`` seconds.

    ``decision`` beside approve, revise, reject: ``expire`` (nobody answers, the rules do),
    ``cancel`` (the task's box is marked instead), ``edit`` (its text is), ``superseded`` (it is
    asked anew when the rules change), ``open`` (nobody has answered yet), ``approve_last``
    (approved in the very last tick).
    """

    kind: str
    rule: str
    decision: str
    who: str
    after: int
    comment: str = ""


@dataclass(frozen=True)
class Passage:
    """One run of a task: its script in order, and how it ends (``open``: not yet)."""

    script: tuple[Step | Question, ...]
    outcome: str
    retried_after: int | None = None  # seconds after the end: then a person lets it be tried again

    @property
    def steps(self) -> tuple[Step, ...]:
        """The attempts."""
        return tuple(each for each in self.script if isinstance(each, Step))

    @property
    def questions(self) -> tuple[Question, ...]:
        """The checkpoints."""
        return tuple(each for each in self.script if isinstance(each, Question))


@dataclass(frozen=True)
class Story:
    """One task and all its runs. ``kind`` is the name of what happens, for tests to pick by."""

    number: int
    task: str
    title: str
    area: str
    name: str  # of the function, or the heading, that the work is about
    work: str  # add, change, rename, doc, todo
    kind: str
    week: int
    tags: tuple[str, ...]
    risk: str
    by: str  # who brings the task to main
    passages: tuple[Passage, ...]
    marks: tuple[str, ...] = ()  # small mishaps on the way: design_revise, test, flake, ...
    reverted_after: int | None = None
    repairs: str = ""  # the task whose landing this mends


@dataclass(frozen=True)
class Plan:
    """All of it. ``weeks``: the stories of each week, in the order of the backlog."""

    seed: str
    stories: tuple[Story, ...]

    def week(self, number: int) -> tuple[Story, ...]:
        """The stories whose tasks come in that week."""
        return tuple(story for story in self.stories if story.week == number)

    @property
    def weeks(self) -> int:
        """How many weeks there are."""
        return max(story.week for story in self.stories) + 1


@dataclass(frozen=True)
class Dice:
    """Chance that follows from labels alone: one more throw changes no other."""

    seed: str

    def at(self, *labels: object) -> float:
        """A number from 0 up to, and without, 1."""
        text = "\n".join((self.seed, *map(str, labels)))
        return int(hashlib.sha256(text.encode()).hexdigest()[:13], 16) / 16**13

    def whole(self, low: int, high: int, *labels: object) -> int:
        """A whole number from ``low`` to ``high``, both possible."""
        return low + int(self.at(*labels) * (high - low + 1))

    def pick(self, among: Sequence[str], *labels: object) -> str:
        """One of them."""
        return among[int(self.at(*labels) * len(among))]
