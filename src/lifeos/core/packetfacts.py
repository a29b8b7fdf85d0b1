"""What a packet is made of: values only. Times are seconds UTC, money is US dollars."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from lifeos.core.review import Finding, SeatRun
from lifeos.core.state import Waiver
from lifeos.model import (
    Action,
    CloseOutcome,
    Decision,
    FailureClass,
    Frozen,
    ItemKind,
    Mode,
    Risk,
    Stage,
    Trust,
    Usage,
    Verdict,
)


class Step(Frozen):
    """One attempt: how it ended, what was decided, and the ledger commit that says so."""

    n: int
    stage: Stage
    outcome: str
    action: Action
    rule: str
    to: Stage
    at: int
    usage: Usage = Usage()
    message: str = ""
    tree: str = ""
    record: str = ""


class Verdicts(Frozen):
    """One review. All from ``by`` on is as far as it is kept.

    ``rule`` is what decided, ``forced_by`` why a person has to look, ``emergency`` the reason for
    which no reviewer of another model family sat. ``seats`` is the run log of a council: which
    model sat where, and what it said; ``shadow`` that of the seats that decided nothing.
    """

    n: int
    stage: Stage
    verdict: Verdict
    mode: Mode | None = None
    forced: bool = False
    by: str = ""
    mode_reason: str = ""
    seats_missing: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()
    rule: str = ""
    forced_by: tuple[str, ...] = ()
    emergency: str = ""
    seats: tuple[SeatRun, ...] = ()
    shadow: tuple[SeatRun, ...] = ()


class ModelLine(Frozen):
    """What one attempt asked of one model, added up from its receipts.

    ``model`` is what the provider calls it. ``estimated`` counts the calls whose cost nobody told.
    An attempt whose agent asked nothing has one line without requests.
    """

    n: int
    stage: Stage
    agent: str = ""
    version: str = ""
    provider: str = ""
    model: str = ""
    requests: int = 0
    tokens_in: int = 0
    tokens_cached: int = 0
    tokens_out: int = 0
    cost: float = 0.0
    estimated: int = 0


class CheckLine(Frozen):
    """One check of the last work tree. Its raw output is among the artifacts."""

    name: str
    kind: str
    command: str
    status: str
    passed: bool
    failure: FailureClass | None = None
    exit_code: int | None = None
    seconds: float = 0.0
    reruns: int = 0
    tests: int = 0
    failed_tests: tuple[str, ...] = ()
    message: str = ""


class Proof(Frozen):
    """One acceptance command. ``proves_nothing``: it passed on the base already."""

    text: str
    command: str
    passed: bool
    proves_nothing: bool = False
    message: str = ""


class Approval(Frozen):
    """One checkpoint and its answer; ``decision`` None while it is open.

    ``commit`` brought the answer, ``record`` is the ledger commit that took it (or that asked).
    """

    item: str
    kind: ItemKind
    stage: Stage | None
    question: str
    rule: str
    subject: str
    asked_at: int
    decision: Decision | None = None
    who: str = ""
    trust: Trust | None = None
    at: int = 0
    commit: str = ""
    comment: str = ""
    record: str = ""


class BreachLine(Frozen):
    """One breach of one attempt, and whether a person accepted that patch."""

    n: int
    kind: str
    path: str
    line: int = 0
    message: str = ""
    accepted: bool = False


class NoteLine(Frozen):
    """What else happened to the run."""

    at: int
    topic: str
    text: str = ""
    who: str = ""
    commit: str = ""


class Packet(Frozen):
    """Everything that a person, or a later audit, decides on.

    ``outcome`` is None while the run is open. ``artifacts`` maps path to hex SHA-256.
    """

    format: Literal[1] = 1
    run: str
    task: str
    title: str
    text: str
    task_digest: str
    outcome: CloseOutcome | None = None
    reason: str = ""
    stage: Stage
    opened_at: int
    at: int
    base: str
    work: str = ""
    landed: str = ""
    risk: Risk = Risk.LOW
    mode: Mode = Mode.M1
    forced: bool = False
    scope: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()
    lines: int = 0
    usage: Usage = Usage()
    steps: tuple[Step, ...] = ()
    verdicts: tuple[Verdicts, ...] = ()
    models: tuple[ModelLine, ...] = ()
    checks: tuple[CheckLine, ...] = ()
    acceptance: tuple[Proof, ...] = ()
    approvals: tuple[Approval, ...] = ()
    waivers: tuple[Waiver, ...] = ()
    breaches: tuple[BreachLine, ...] = ()
    notes: tuple[NoteLine, ...] = ()
    artifacts: Mapping[str, str] = {}
    sandbox: str
    ledger_root: str
    ledger_tip: str
    governance: str
    versions: Mapping[str, str] = {}
