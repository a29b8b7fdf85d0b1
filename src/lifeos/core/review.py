"""What a review is: a verdict, what it rests on, and who gave it."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal, Protocol

from pydantic import Field

from lifeos.core.council import Header
from lifeos.model import FailureClass, Frozen, Mode, Verdict


class Severity(StrEnum):
    """How grave a finding is: P0 blocks, P1 is to be mended, P2 is only said."""

    P0 = "P0"
    P1 = "P1"
    P2 = "P2"


class Finding(Frozen):
    """One thing found. ``line`` counts from 1; 0 means the path, or the subject, as a whole.

    ``cause`` is the failure class of what is to be mended, where it has one of its own. ``seats``
    are those of a council that found it, ``fix`` what they say would mend it.
    """

    severity: Severity
    kind: str
    message: str
    path: str = ""
    line: int = 0
    cause: FailureClass | None = None
    seats: tuple[str, ...] = ()
    fix: str = ""

    def __str__(self) -> str:
        place = f"{self.path}:{self.line}" if self.line else self.path
        return f"{place}: {self.message}" if place else self.message


class Assumption(Frozen):
    """A claim without weight, and why it has none."""

    claim: str
    why: str
    seat: str = ""


class Sitter(Frozen):
    """The model that a seat is given: its name in the configuration, and what is behind it.

    ``family`` "" means that nobody said who trained it: it is independent of nothing.
    """

    name: str
    provider: str
    model: str
    family: str = ""


class SeatRun(Frozen):
    """One line of the run log: which model sat where, what it said, and what that cost.

    ``seconds`` is wall clock, ``cost`` US dollars, ``rounds`` the calls (more than one: its answer
    did not fit at first). ``verdict`` None: it gave none, and ``missing`` says why.
    """

    seat: str
    sitter: Sitter
    verdict: Verdict | None = None
    confidence: float | None = None
    rounds: int = Field(0, ge=0)
    tokens: int = Field(0, ge=0)
    cost: float = Field(0.0, ge=0, allow_inf_nan=False)
    seconds: float = Field(0.0, ge=0, allow_inf_nan=False)
    missing: str = ""


class Contradiction(Frozen):
    """Seats that say opposite things. ``settled`` names the evidence that decided, "" if none."""

    accepts: tuple[str, ...]
    blocks: tuple[str, ...]
    about: str
    settled: str = ""


class Settled(Frozen):
    """A finding that recorded evidence contradicts: it counts for nothing."""

    finding: Finding
    evidence: str


class ShadowRun(Frozen):
    """A seat that only sits beside, held against the council. It changed nothing."""

    run: SeatRun
    same: bool | None = Field(None, description="Whether its verdict is the council's.")
    only_shadow: tuple[Finding, ...] = ()
    only_council: tuple[Finding, ...] = ()


class Proven(Protocol):
    """What came of one acceptance command (``lifeos.checks.AcceptanceResult`` is one)."""

    @property
    def text(self) -> str: ...
    @property
    def command(self) -> str: ...
    @property
    def passed(self) -> bool: ...
    @property
    def message(self) -> str: ...


class Review(Frozen):
    """A verdict and what it rests on. ``forced``: a person must look before it lands.

    ``rule`` names what decided, and ``forced_by`` why a person looks. All from ``seats`` on is a
    council's; a review by rule has none of it. ``emergency`` is the reason that the rules give for
    going on without a reviewer of another model family.
    """

    verdict: Verdict
    findings: tuple[Finding, ...] = ()
    by: Literal["rule", "council"] = "rule"
    mode: Mode
    mode_reason: str = ""
    header: Header
    seats_missing: tuple[str, ...] = ()
    causes: tuple[FailureClass, ...] = ()
    forced: bool = False
    note: str = ""
    rule: str = ""
    forced_by: tuple[str, ...] = ()
    seats: tuple[SeatRun, ...] = ()
    assumptions: tuple[Assumption, ...] = ()
    contradictions: tuple[Contradiction, ...] = ()
    settled: tuple[Settled, ...] = ()
    shadow: tuple[ShadowRun, ...] = ()
    emergency: str = ""


def because(reason: str) -> str:
    """A reason as the end of a clause; empty without one."""
    return f" ({reason})" if reason else ""


def in_order(finding: Finding) -> tuple[Severity, str, int, str, str]:
    """The key that findings are sorted by: the gravest first, then by place."""
    return (finding.severity, finding.path, finding.line, finding.kind, finding.message)
