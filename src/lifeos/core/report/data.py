"""What a report says. Values only; times in seconds UTC, money in US dollars, shares from 0 to 1.

All that people, agents and tools wrote was made visible, free of secrets and short enough before it
got here; it was not escaped for any page: that is for whoever makes one.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from lifeos.core.board import Board
from lifeos.core.metrics.values import Better, Unit
from lifeos.core.records import BreachFact, CheckFact
from lifeos.core.state import RunStatus
from lifeos.model import (
    Action,
    CloseOutcome,
    Decision,
    Frozen,
    ItemKind,
    Mode,
    Risk,
    Stage,
    Trust,
)


class Waits(Frozen):
    """An open question, with what each answer does. ``answered``: an answer is on main already.

    ``link`` is where a forge shows it, or ''; ``merge``: that pull request is the answer. ``text``
    is its pending file as Markdown, without the head for machines.
    """

    item: str
    kind: ItemKind
    question: str
    rule: str
    opened: int
    expires: int | None = None
    run: str = ""
    task: str = ""
    title: str = ""
    stage: Stage | None = None
    answers: Mapping[Decision, str] = {}
    answered: bool = False
    link: str = ""
    merge: bool = False
    text: str = ""


class Open(Frozen):
    """A run that is open. ``claimed`` is since when an attempt is under way; None if none is.

    ``cut_off``: its worker is gone, the next tick takes it up. ``until`` is what a paused run waits
    for, in words.
    """

    run: str
    task: str
    title: str
    stage: Stage
    status: RunStatus
    opened: int
    attempts: int
    cost: float
    estimated: bool = False
    item: str = ""
    claimed: int | None = None
    cut_off: bool = False
    until: str = ""


class Look(StrEnum):
    """What came of an attempt, as far as a picture tells them apart."""

    GOOD = "good"  # it made what its stage asks for
    AGAINST = "against"  # a review sent it back
    FAILED = "failed"
    RESTED = "rested"  # nothing was wrong with it: no quota, main itself red, cut off


class AttemptLine(Frozen):
    """One attempt: what came of it, what was decided, and the rule that decided.

    ``commit`` is its record on the ledger, ``paths`` and ``lines`` the size of its change.
    """

    n: int
    stage: Stage
    outcome: str
    look: Look
    action: Action
    rule: str
    to: Stage
    began: int
    ended: int
    seconds: float
    cost: float
    estimated: bool = False
    tokens: int = 0
    message: str = ""
    checks: tuple[CheckFact, ...] = ()
    breaches: tuple[BreachFact, ...] = ()
    mode: Mode | None = None
    missing: tuple[str, ...] = ()
    paths: int = 0
    lines: int = 0
    commit: str


class AskLine(Frozen):
    """One question of a run. ``ended`` is when it was answered or fell away; None while open.

    ``decision`` is None where nobody answered it.
    """

    item: str
    kind: ItemKind
    rule: str
    question: str
    stage: Stage | None = None
    asked: int
    ended: int | None = None
    decision: Decision | None = None
    who: str = ""
    trust: Trust | None = None
    comment: str = ""
    commit: str


class RunStory(Frozen):
    """One run from its opening on. ``outcome`` and ``closed`` are None while it is open.

    ``under_way`` is the stage and the beginning of an attempt that has not ended; ``packet`` its
    evidence as Markdown, '' where there is none.
    """

    run: str
    task: str
    title: str
    risk: Risk = Risk.LOW
    opened: int
    closed: int | None = None
    outcome: CloseOutcome | None = None
    reason: str = ""
    landed: str = ""
    reverted: bool = False
    cost: float = 0.0
    estimated: bool = False
    tokens: int = 0
    waited: int = 0
    attempts: tuple[AttemptLine, ...] = ()
    questions: tuple[AskLine, ...] = ()
    under_way: tuple[Stage, int] | None = None
    packet: str = ""


class Landing(Frozen):
    """Work that reached main. ``asked``: how many questions were put to the CEO before."""

    run: str
    task: str
    title: str
    commit: str
    at: int
    attempts: int
    asked: int
    cost: float
    estimated: bool = False
    reverted: bool = False


class Money(Frozen):
    """Spent in this UTC day and month, set aside by open claims, and the limits."""

    today: float = 0.0
    month: float = 0.0
    estimated: bool = False
    reserved: float = 0.0
    today_limit: float
    month_limit: float


class Period(Frozen):
    """A stretch of time that is counted together, up to but without ``until``."""

    since: int
    until: int


class Figure(Frozen):
    """One number, over the whole window and in each period (None: nothing to count).

    ``basis`` says what it was counted from, in words. ``lately`` and ``before`` are its values over
    the last periods and over as many before them.
    """

    name: str
    title: str
    unit: Unit
    better: Better
    value: float | None
    basis: str
    series: tuple[float | None, ...] = ()
    lately: float | None = None
    before: float | None = None


class Reviewed(Frozen):
    """The reviews of one stage, and how many of them were against."""

    stage: Stage
    reviews: int
    against: int


class Closes(Frozen):
    """How the runs of one period ended. ``alone``: landed and nobody was asked."""

    alone: int = 0
    asked: int = 0
    not_landed: int = 0


class Trends(Frozen):
    """What changed over time. All series have one entry for each of ``periods``.

    ``recent`` is how many periods ``lately`` of a figure covers; 0 where there are too few.
    """

    since: int
    until: int
    periods: tuple[Period, ...] = ()
    recent: int = 0
    figures: tuple[Figure, ...] = ()
    reviews: tuple[Reviewed, ...] = ()
    closes: tuple[Closes, ...] = ()
    costs: tuple[float, ...] = ()


class ReportData(Frozen):
    """``lifeos.report/v1``. ``at`` is the time that it is about, ``made`` when it was made.

    ``ledger`` is the transition that it was made at, "" before the first tick. ``stories`` are the
    last runs, newest first, of ``runs`` in all.
    """

    project: str
    branch: str
    main: str
    ledger: str = ""
    transitions: int = 0
    at: int
    past: bool = False
    stopped: bool = False
    waits: tuple[Waits, ...] = ()
    open: tuple[Open, ...] = ()
    board: Board
    money: Money
    trends: Trends
    landings: tuple[Landing, ...] = ()
    landed: int = 0
    runs: int = 0
    stories: tuple[RunStory, ...] = ()
