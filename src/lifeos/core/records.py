"""The transitions, as they stand on the ledger: one record, one commit.

A commit's message is a subject for people, prose, one line of canonical JSON (the record), and
trailers last, where git reads them. ``parse_message`` is the inverse of ``format_message``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import (
    Field,
    TypeAdapter,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
)

from lifeos.core.canonical import canonical_json
from lifeos.core.clean import for_commit, one_line
from lifeos.core.improve.trial import Measured, Proposed
from lifeos.core.state import Ask, Outcome, PullRequest, Success, TaskText, Wake
from lifeos.errors import LedgerBroken
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

FORMAT = 1
RECORD_LIMIT = 8 * 1024  # bytes of the JSON line; larger facts go to the tree by digest
PREFIX = "lifeos-record: "


class CheckFact(Frozen):
    """One check as the decision saw it."""

    name: str
    status: str
    failure: FailureClass | None = None


class BreachFact(Frozen):
    """One breach as the decision saw it."""

    kind: str
    path: str
    line: int = 0
    message: str = ""


_OUTCOMES: Mapping[object, Outcome] = {
    outcome.value: outcome for kind in (Success, Verdict, FailureClass) for outcome in kind
}


def _known(value: object, otherwise: ValidatorFunctionWrapHandler) -> Outcome:
    """An outcome by its name. pydantic would try one enum after the other, at the price of a
    record: rebuilding a ledger pays it for every attempt.
    """
    known = _OUTCOMES.get(value) if type(value) is str else None
    return known if known is not None else otherwise(value)


class AttemptFacts(Frozen):
    """Everything that the decision after an attempt looks at, and nothing else.

    ``tree`` is the work tree left behind ("" if none), ``start`` the tree it started from,
    ``error`` a digest of the failure that is the same when the failure is the same, ``missing`` the
    seats of the council that gave no verdict.
    """

    outcome: Annotated[Outcome, WrapValidator(_known)]
    message: str = ""
    error: str = ""
    tree: str = ""
    paths: tuple[str, ...] = ()
    lines: int = 0
    protected: bool = False
    checks: tuple[CheckFact, ...] = ()
    breaches: tuple[BreachFact, ...] = ()
    environment: bool = False
    causes: tuple[FailureClass, ...] = ()
    mode: Mode | None = None
    forced: bool = False
    risk: Risk = Risk.LOW
    artifact: str = ""
    proves_nothing: tuple[str, ...] = ()
    stopped: bool = False
    usage: Usage = Usage()
    wake_at: int | None = None
    main: str = ""
    missing: tuple[str, ...] = ()


class Record(Frozen):
    """What every transition carries: the format and when it was first seen (seconds UTC)."""

    v: Literal[1] = 1
    at: int


class Opened(Record):
    """A task was selected."""

    kind: Literal["opened"] = "opened"
    run: str
    task: str
    title: str
    task_digest: str
    ordinal: int
    base: str
    governance: str
    scope: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    risk: Risk = Risk.LOW
    commands: str = ""
    stage: Stage = Stage.DESIGN
    design: str = ""
    plan: str = ""


class Claimed(Record):
    """An attempt is about to be launched."""

    kind: Literal["claimed"] = "claimed"
    run: str
    stage: Stage
    n: int
    nonce: str
    worker: str
    lease_until: int
    reserved: float = 0.0
    base: str


class Finished(Record):
    """An attempt ended: the facts, what was decided, and the rule that decided."""

    kind: Literal["finished"] = "finished"
    run: str
    stage: Stage
    n: int
    nonce: str
    facts: AttemptFacts | None = None
    facts_digest: str = ""
    action: Action
    rule: str
    to: Stage
    ask: Ask | None = None
    wake: Wake | None = None
    evidence: Mapping[str, str] = {}


class Held(Record):
    """A checkpoint opened."""

    kind: Literal["held"] = "held"
    item: str
    item_kind: ItemKind
    run: str | None = None
    stage: Stage | None = None
    question: str
    rule: str
    subject: str
    about: str = ""
    edited: TaskText | None = None
    expires_at: int | None = None
    main: str = ""  # the commit of main that the question was asked on
    onto: str = ""  # what main was before the commit that it is about
    proposed: Proposed | None = None


class Resolved(Record):
    """An answer was taken. ``who`` is the approver's e-mail address, or "expiry"."""

    kind: Literal["resolved"] = "resolved"
    item: str
    decision: Decision
    who: str
    trust: Trust | None = None
    commit: str = ""
    comment: str = ""
    raw: str = ""
    main: str = ""


class Closed(Record):
    """A run ended. ``landed`` is the commit on main, "" when nothing landed."""

    kind: Literal["closed"] = "closed"
    run: str
    outcome: CloseOutcome
    landed: str = ""
    packet: str = ""
    reason: str = ""


class Topic(StrEnum):
    """What a note is about."""

    GENESIS = "genesis"
    GOVERNANCE = "governance"  # a set was adopted
    REPINNED = "repinned"  # an open run took over the adopted set
    STOPPED = "stopped"
    RESUMED = "resumed"
    LANDING = "landing"
    SUPERSEDED = "superseded"
    RETRY = "retry"
    REVERTED = "reverted"
    RESTARTED = "restarted"
    HISTORY = "history"
    WOKEN = "woken"  # a person lets a paused run go on before its time
    REDACTED = "redacted"  # content was taken out of the ledger, on an approver's order
    PULL = "pull"  # a queue PR was intended, opened, or opened again
    SEARCHED = "searched"  # the ledger was searched for patterns
    LANDED = "landed"  # an approved proposal is on main; its rules are adopted with it
    MEASURED = "measured"  # what came of a proposal's metric
    DROPPED = "dropped"  # a draft that was asked for came to nothing


class Noted(Record):
    """Anything else that decides something later."""

    kind: Literal["noted"] = "noted"
    topic: Topic
    run: str | None = None
    task: str = ""
    item: str = ""
    stage: Stage | None = None
    digest: str = ""
    commit: str = ""
    onto: str = ""
    tree: str = ""
    who: str = ""
    text: str = ""
    edited: TaskText | None = None
    reask: bool = False
    pull: PullRequest | None = None
    measured: Measured | None = None


AnyRecord = Annotated[
    Opened | Claimed | Finished | Held | Resolved | Closed | Noted,
    Field(discriminator="kind"),
]
_ADAPTER: TypeAdapter[AnyRecord] = TypeAdapter(AnyRecord)
_LINE_START = f"\n{PREFIX}"


def to_json(record: AnyRecord) -> str:
    """The record's one line of canonical JSON; values that are their default are left out."""
    value = record.model_dump(mode="json", exclude_defaults=True)
    return canonical_json({**value, "v": record.v, "kind": record.kind})


def from_json(line: str | bytes, where: str = "") -> AnyRecord:
    """The record of one line; a newer format or anything malformed is refused by name."""
    try:
        return _ADAPTER.validate_json(line)
    except ValidationError as error:
        raise LedgerBroken(_refusal(line, where, error)) from error


def _refusal(line: str | bytes, where: str, error: ValidationError) -> str:
    try:
        version = json.loads(line).get("v")
    except (ValueError, AttributeError):
        version = None
    place = f"ledger record {where}".rstrip()
    if isinstance(version, int) and version > FORMAT:
        return f"{place} has format {version}; this lifeos knows {FORMAT}: install a newer lifeos"
    return f"{place} is not a record of format {FORMAT}: {error.errors()[0]['msg']}"


def subject(record: AnyRecord) -> str:
    """The first line of the commit: the story of the project, one line a transition."""
    match record:
        case Opened():
            return f"open {record.run} for {record.task}: {record.title}"
        case Claimed():
            return f"claim {record.stage} {record.n} of {record.run}"
        case Finished():
            outcome = str(record.facts.outcome) if record.facts else "?"
            target = f" ({record.to})" if record.action == Action.REWORK else ""
            return (
                f"{record.stage} {record.n} of {record.run}: {outcome} -> {record.action}{target}"
            )
        case Held():
            where = f" of {record.run}" if record.run else ""
            return f"hold {record.item}{where}: {record.item_kind}"
        case Resolved():
            return f"resolve {record.item}: {record.decision} by {record.who}"
        case Closed():
            return f"close {record.run}: {record.outcome}"
        case Noted():
            about = record.run or record.task or record.item or record.digest[:12]
            return f"note {record.topic} {about}{_of_pull(record.pull)}".rstrip()


def _of_pull(pull: PullRequest | None) -> str:
    if pull is None:
        return ""
    if not pull.number:
        return ": to be opened"
    return f": number {pull.number}{' opened again' if pull.reopened else ''}"


def format_message(record: AnyRecord, title: str, prose: str = "") -> str:
    """The whole commit message. Title and prose may be foreign: they are cleaned here."""
    title = one_line(title) or record.kind
    parts = [f"> {title}" if title.startswith(PREFIX) else title]
    body = for_commit(prose)
    if body:
        parts.append(body)
    parts.append(PREFIX + to_json(record))
    trailers = [f"Lifeos-Kind: {record.kind}"]
    run = getattr(record, "run", None)
    if run:
        trailers.append(f"Lifeos-Run: {run}")
    parts.append("\n".join(trailers))
    return "\n\n".join(parts) + "\n"


def parse_message(message: str, where: str = "") -> AnyRecord:
    """The record in a commit message; refused when there is not exactly one."""
    text = f"\n{message}"
    count = text.count(_LINE_START)
    if count != 1:
        raise LedgerBroken(f"commit {where} of the ledger has {count} records, not one")
    line = text[text.index(_LINE_START) + len(_LINE_START) :].partition("\n")[0]
    return from_json(line, where)


def outcome_class(outcome: Outcome) -> FailureClass | None:
    """The failure class of an outcome: a verdict against is a review rejection, ok is none."""
    if isinstance(outcome, FailureClass):
        return outcome
    against = outcome in (Verdict.REVISE, Verdict.REJECT)
    return FailureClass.REVIEW_REJECTION if against else None
