"""What a proposal is: the pattern it rests on, the change, one metric, and what takes it back."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field

from lifeos.core.canonical import sha256
from lifeos.core.improve.trial import RULE, Measure, Window
from lifeos.model import Frozen, Priority, Usage

WEAKENS = "WEAKENS A GATE: "
"""What the title begins with of a proposal after which less is asked, checked or limited."""
MOST_NAMED = 20
"""Transitions that a proposal names; how many there are in all, its evidence says."""


class Category(StrEnum):
    """Why something is proposed. Closed: a new member needs a threshold, words and tests."""

    RECURRING_FAILURE = "recurring_failure"
    IDLE_RULE = "idle_rule"
    GREEN_CHECK = "green_check"
    RUBBER_STAMP = "rubber_stamp"
    IDLE_SEAT = "idle_seat"
    HIT_BUDGET = "hit_budget"
    UNFIT_ANSWERS = "unfit_answers"
    TODO = "todo"
    FLAKE = "flake"
    DOC_DRIFT = "doc_drift"
    REVERT = "revert"


# --- what is to be changed --------------------------------------------------------------------

Key = tuple[str | int, ...]
"""Where a setting is in its file: names of groups, and positions in lists from 0."""


class SetValue(Frozen):
    """Another value of one setting."""

    kind: Literal["set"] = "set"
    path: str
    key: Key
    value: int | float | str | bool


class DropEntry(Frozen):
    """One entry of a list fewer."""

    kind: Literal["drop"] = "drop"
    path: str
    key: Key
    index: int


class AddToPrompt(Frozen):
    """A paragraph more at the end of a role's prompt. ``role`` is the name of the prompt."""

    kind: Literal["prompt"] = "prompt"
    role: str
    paragraph: str


class NewPrompt(Frozen):
    """Another text of a role's prompt, drafted by an agent: the old one with lines added."""

    kind: Literal["new_prompt"] = "new_prompt"
    role: str
    text: str


class AddTask(Frozen):
    """An entry more in the backlog. It never carries commands. ``id`` is given with the draft."""

    kind: Literal["task"] = "task"
    id: str = ""
    title: str
    description: str
    scope: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    priority: Priority = 3


class TakeBack(Frozen):
    """What a proposal that landed has changed, the other way round."""

    kind: Literal["back"] = "back"
    diff: str


Edit = Annotated[
    SetValue | DropEntry | AddToPrompt | NewPrompt | AddTask | TakeBack,
    Field(discriminator="kind"),
]


# --- what is to become better -----------------------------------------------------------------


class Metric(Frozen):
    """The one number by which a proposal is judged once it has landed.

    ``about`` says what is counted (a rule, a check, a stage ...). Where ``projected`` is the same
    as ``current``, it must not become worse.
    """

    measure: Measure
    about: Mapping[str, str] = {}
    current: float = Field(allow_inf_nan=False)
    projected: float = Field(allow_inf_nan=False)
    window: Window

    @property
    def limit(self) -> float:
        """The worst value that still holds: half of the way from current to projected."""
        return (self.current + self.projected) / 2

    def holds(self, value: float) -> bool:
        """Whether a measured value bears the proposal out."""
        if self.measure.more_is_better:
            return value >= self.limit
        return value <= self.limit


# --- what was found, and what is proposed -----------------------------------------------------


class Pattern(Frozen):
    """Something in the ledger that calls for a change. ``key`` names it, the same each time.

    ``cases`` of ``runs`` runs looked at show it, by the transitions ``rests_on`` (commits of the
    ledger, the newest first, not all of them).
    """

    key: str
    category: Category
    title: str
    evidence: tuple[str, ...]
    cases: int
    runs: int
    rests_on: tuple[str, ...]
    edit: Edit
    metric: Metric
    risk: str


class Worded(Frozen):
    """What an agent said of a proposal, and who that was. Shown as its words; it decides nothing.

    ``model`` is the name in the configuration, ``id`` what the provider calls it; ``answer`` the
    digest of its last message. ``drafted``: the change is the text of a prompt that it wrote, with
    these lines ``added``.
    """

    agent: str
    version: str = ""
    model: str = ""
    provider: str = ""
    id: str = ""
    title: str
    why: str
    drafted: bool = False
    added: tuple[str, ...] = ()
    answer: str


class Proposal(Frozen):
    """A change that is proposed to the CEO. Its digest is what they approve.

    ``diff`` is the change itself, on main at the commit ``main`` under the rules ``governance``.
    ``weakens`` lists what is asked, checked or limited less after it. ``reverts`` says what takes
    it back. ``backtest`` is the past under the changed rules, in a few lines; the whole of it is
    the file with ``backtest_digest``, "" where no rules change. ``draft`` counts from 1; a later
    one was asked for with ``comment``. ``of``: the item of the proposal that it takes back.
    ``worded`` is what an agent says of it, ``spent`` what asking it used, and the file with
    ``wording_digest`` the whole of that; "" where none was asked.
    """

    v: Literal[1] = 1
    id: str
    key: str
    category: Category
    title: str
    evidence: tuple[str, ...]
    cases: int
    runs: int
    rests_on: tuple[str, ...]
    edit: Edit
    diff: str
    paths: tuple[str, ...]
    governs: bool
    weakens: tuple[str, ...] = ()
    backtest: tuple[str, ...] = ()
    backtest_digest: str = ""
    metric: Metric
    risk: str
    reverts: str
    main: str
    governance: str
    draft: int = 1
    comment: str = ""
    of: str = ""
    worded: Worded | None = None
    wording_digest: str = ""
    spent: Usage | None = None

    @property
    def rule(self) -> str:
        """The rule by which it is asked."""
        return f"{RULE}{self.category}"

    def to_json(self) -> bytes:
        """As it stands on the ledger; its digest is over exactly this."""
        return self.model_dump_json(indent=1).encode() + b"\n"

    @property
    def digest(self) -> str:
        """What the question is about."""
        return sha256(self.to_json())
