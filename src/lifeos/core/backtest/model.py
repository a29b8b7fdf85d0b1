"""What a back-test found, as values: the departures, what they save or cost, what is not known."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from lifeos.model import Frozen, Stage


class Severity(StrEnum):
    """How much a departure matters to the person who decides, worst first."""

    GRAVE = "grave"  # somebody said no, and nobody would have been asked
    WARNING = "warning"  # work lost, an answer void, a limit met
    NOTICE = "notice"  # asked more, or handled otherwise
    GAIN = "gain"  # not asked what was always approved; a landing caught that was taken back

    @property
    def rank(self) -> int:
        """0 for the gravest."""
        return list(type(self)).index(self)


class Departure(StrEnum):
    """In which way a run would have gone otherwise. Closed, and declared worst first."""

    LANDED_ALTHOUGH_REJECTED = "would_have_landed_although_rejected"
    LANDED_ALTHOUGH_REVISED = "would_have_landed_although_revised"
    WENT_ON_ALTHOUGH_REJECTED = "would_have_gone_on_although_rejected"
    WENT_ON_ALTHOUGH_REVISED = "would_have_gone_on_although_revised"
    ENDED_ALTHOUGH_LANDED = "would_have_ended_although_it_landed"
    ANSWER_NOT_COUNTED = "answer_would_not_have_counted"
    ANSWER_TOO_LATE = "answer_would_have_been_too_late"
    BREACH = "would_have_been_a_breach"
    BUDGET_MET = "budget_would_have_been_met"
    LIMIT_MET = "limit_of_an_attempt_would_have_been_met"
    TERMINATED = "would_have_ended"
    ASKED = "would_have_been_asked"
    ESCALATED = "would_have_been_escalated"
    WAIVER_ASKED = "waiver_would_have_been_asked"
    PAUSED = "would_have_paused"
    RETRIED = "would_have_been_retried"
    REWORKED = "would_have_been_reworked"
    TASK_CHANGE = "edited_task_would_have_been_handled_otherwise"
    COUNCIL_SMALLER = "council_would_have_been_smaller"
    COUNCIL_LARGER = "council_would_have_been_larger"
    WAITED_LONGER = "would_have_waited_longer"
    WAITED_LESS = "would_have_waited_less"
    OTHER_RULE = "would_have_been_asked_by_another_rule"
    ASKED_AND_REVERTED = "would_have_been_asked_and_was_reverted"
    BREACH_LET_THROUGH = "would_not_have_been_a_breach"
    BUDGET_NOT_MET = "budget_would_not_have_been_met"
    NOT_ASKED_UNANSWERED = "would_not_have_been_asked_and_is_unanswered"
    NOT_ASKED = "would_not_have_been_asked"

    @property
    def rank(self) -> int:
        """0 for the worst."""
        return list(type(self)).index(self)

    @property
    def severity(self) -> Severity:
        """How much it matters."""
        if self in _GRAVE:
            return Severity.GRAVE
        if self in _WARNING:
            return Severity.WARNING
        return Severity.GAIN if self in _GAIN else Severity.NOTICE


_GRAVE = frozenset(
    {
        Departure.LANDED_ALTHOUGH_REJECTED,
        Departure.LANDED_ALTHOUGH_REVISED,
        Departure.WENT_ON_ALTHOUGH_REJECTED,
        Departure.WENT_ON_ALTHOUGH_REVISED,
    }
)
_WARNING = frozenset(
    {
        Departure.ENDED_ALTHOUGH_LANDED,
        Departure.ANSWER_NOT_COUNTED,
        Departure.ANSWER_TOO_LATE,
        Departure.BREACH,
        Departure.BUDGET_MET,
        Departure.LIMIT_MET,
    }
)
_GAIN = frozenset(
    {
        Departure.ASKED_AND_REVERTED,
        Departure.BREACH_LET_THROUGH,
        Departure.BUDGET_NOT_MET,
        Departure.NOT_ASKED_UNANSWERED,
        Departure.NOT_ASKED,
    }
)


class Fate(StrEnum):
    """What really came of the run."""

    LANDED = "landed"
    REVERTED = "reverted"  # landed, and taken back later
    BLOCKED = "blocked"
    REJECTED = "rejected"
    CANCELLED = "cancelled"
    OPEN = "open"


@dataclass(frozen=True)
class Otherwise:
    """What would have been otherwise: the rules that decide, as recorded and instead, in words."""

    departure: Departure
    old: str
    new: str
    told: str


class Difference(Frozen):
    """One point at which one run (or a question without a run) would have gone otherwise.

    ``commit`` is the transition of the ledger, ``at`` its time (seconds UTC), ``n`` the attempt or
    None, ``item`` the question or "". ``old`` and ``new`` are the rules that decide, as recorded
    and instead ("" where none does). ``fate`` is what really came of the run. ``guarded``: it
    would still be asked before landing, by what is known here. ``conditional``: it holds only if
    what the run would have been asked before this was answered with yes. ``waiting`` are seconds
    that somebody was waited for and would not have been; ``cost`` US dollars of recorded attempts
    that would not have been made.
    """

    departure: Departure
    run: str = ""
    task: str = ""
    title: str = ""
    stage: Stage | None = None
    n: int | None = None
    item: str = ""
    commit: str
    at: int
    old: str = ""
    new: str = ""
    told: str = ""
    fate: Fate | None = None
    guarded: bool = False
    conditional: bool = False
    waiting: int = 0
    cost: float = 0.0

    @property
    def weaker(self) -> bool:
        """Whether what a person refused could have landed without anybody being asked."""
        return self.departure.severity is Severity.GRAVE and not self.guarded


class Count(Frozen):
    """How often one departure was found; ``runs`` each once, in the order of their opening."""

    departure: Departure
    severity: Severity
    count: int
    runs: tuple[str, ...] = ()
    tasks: tuple[str, ...] = ()


class Changed(Frozen):
    """A setting that differs from the last recorded set. ``unknown``: why its effect is, or ""."""

    key: str  # "loop.autonomy"
    old: str
    new: str
    unknown: str = ""


class Unknown(Frozen):
    """Something that the record does not tell, and how often it stood in the way."""

    what: str
    count: int = 0
    runs: tuple[str, ...] = ()


class Balance(Frozen):
    """What is saved and what is added. Seconds; US dollars.

    What is saved is recorded: answers that would not have been waited for, attempts that would not
    have been made. What is added is not known: ``*_estimate`` is the number of additional questions
    and attempts times what such a one took in this ledger (median wait of a question, mean cost of
    the stage), None where nothing is added, or there was nothing to go by.
    """

    questions_less: int = 0
    waiting_less: int = 0
    attempts_less: int = 0
    cost_less: float = 0.0
    tokens_less: int = 0
    cost_estimated: bool = False  # some of the recorded costs are estimates themselves
    questions_more: int = 0
    waiting_more_estimate: int | None = None
    pause_more: int = 0  # seconds of pauses that the routing adds (negative: takes away)
    attempts_more: int = 0
    cost_more_estimate: float | None = None


class BackTest(Frozen):
    """What would have differed if other rules had ruled.

    Of the ``runs`` opened from ``since`` on up to ``tip``, with so many ``attempts`` judged and
    ``questions`` asked, ``same`` would have gone exactly as they did, as far as that is known
    (``unknown``, also of ``changed``). ``differences`` are sorted worst first, then by the ledger's
    order; ``counts`` has one line for each departure found.
    ``parted``: runs of which it is not known how they would have gone on after a difference.
    """

    candidate: str  # the digest of the set that was tried
    tip: str = ""
    since: int = 0
    until: int = 0
    transitions: int = 0
    runs: int = 0
    attempts: int = 0
    questions: int = 0
    same: int = 0
    parted: int = 0
    changed: tuple[Changed, ...] = ()
    counts: tuple[Count, ...] = ()
    differences: tuple[Difference, ...] = ()
    balance: Balance = Balance()
    unknown: tuple[Unknown, ...] = ()

    @property
    def weaker(self) -> tuple[Difference, ...]:
        """What a person refused, and could have landed without anybody being asked."""
        return tuple(one for one in self.differences if one.weaker)
