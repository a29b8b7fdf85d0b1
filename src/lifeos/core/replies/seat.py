"""What a seat of the council answers, and what of it can be believed: what it can point at.

A finding counts only with a reference that is really there: a path, a line, and words that stand on
it. One without is an assumption: it is shown, and decides nothing. A verdict that rests on nothing
is no answer at all, so that a missing look is never taken for an accepted one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Annotated

from pydantic import Field, StringConstraints

from lifeos.core.canonical import sha256
from lifeos.core.council import Header, raised
from lifeos.core.policy.council import BlastRadius, ChangeClass, Reversibility, Touch, Uncertainty
from lifeos.core.replies import Short, Unfit, Words, fitted
from lifeos.core.review import Assumption, Severity
from lifeos.model import Frozen, Verdict

NEAR = 3
"""Lines that a quote may stand off the line it names: models miscount."""
FEWEST = 3
"""Letters or signs of a quote, where it is not a whole line: less stands everywhere."""

_IN_FRONT = re.compile(r"^(?:\s{0,8}\d{1,7}[|:] ?|\+)")
"""What a page puts in front of a line: its number, or the sign of a diff."""

Brief = Annotated[str, StringConstraints(max_length=1500)]
"""A few sentences that may be left out."""


class Category(StrEnum):
    """What a finding is about. The first five can block; nothing else can."""

    DETERMINISM = "determinism"
    AUDITABILITY = "auditability"
    AUTHORITY = "authority"
    SECURITY = "security"
    CORRECTNESS = "correctness"
    TESTING = "testing"
    SIMPLICITY = "simplicity"
    ALIGNMENT = "alignment"
    STRUCTURE = "structure"
    DOCUMENTATION = "documentation"
    OPERATION = "operation"
    OTHER = "other"

    @property
    def blocks(self) -> bool:
        """Whether a finding about it may be P0."""
        return self in _BLOCKING


_BLOCKING = frozenset(
    {
        Category.DETERMINISM,
        Category.AUDITABILITY,
        Category.AUTHORITY,
        Category.SECURITY,
        Category.CORRECTNESS,
    }
)


class Reference(Frozen):
    """A place in what is under review."""

    path: Short = Field(description="A path of the tree, or the name of a text in the prompt.")
    line: int = Field(ge=1, le=10_000_000, description="The line's number, from 1.")
    quote: Words = Field(description="Words that stand on that line, exactly as they are.")


class SeatFinding(Frozen):
    """One thing that a seat found."""

    severity: Severity = Field(description="P0 blocks, P1 is to be mended, P2 is only said.")
    category: Category = Field(description="What it is about.")
    claim: Words = Field(description="What is wrong, in a sentence or two.")
    reference: Reference = Field(description="Where it can be seen.")
    fix: Brief = Field("", description="What would mend it.")
    fails: Annotated[str, StringConstraints(max_length=300)] = Field(
        "", description="If the claim is that a check or acceptance command fails: which one."
    )


class Complexity(Frozen):
    """What the change costs in parts to understand, and whether it is worth that."""

    adds: int = Field(0, ge=0, le=10_000, description="Parts or concepts that it adds.")
    removes: int = Field(0, ge=0, le=10_000, description="Parts or concepts that it removes.")
    justified: bool = Field(description="Whether the task needs what it adds.")
    note: Brief = Field("", description="Why, in a sentence.")


class Raises(Frozen):
    """Header fields that a seat holds to be graver than measured. What is lower changes nothing."""

    change_class: ChangeClass | None = Field(None, description="The kind of thing changed.")
    touches: Annotated[tuple[Touch, ...], Field(max_length=3)] = Field(
        (), description="What calls for the full council."
    )
    blast_radius: BlastRadius | None = Field(None, description="How far a mistake would reach.")
    reversibility: Reversibility | None = Field(None, description="How hard it is to take back.")
    safety_critical: bool | None = Field(None, description="Whether lives or data depend on it.")
    uncertainty: Uncertainty | None = Field(None, description="How unsure the outcome is.")

    def on(self, header: Header) -> Header:
        """``header``, at least as grave as is said here."""
        said = {name: value for name in type(self).model_fields if (value := getattr(self, name))}
        # What is not said repeats the header, which raises nothing.
        return raised(header, header.model_copy(update=said))


class SeatReply(Frozen):
    """The answer of one seat."""

    nonce: Short = Field(description="The nonce of the question's marks, unchanged.")
    verdict: Verdict = Field(
        description="accept; revise: a next attempt can mend it; reject: none can."
    )
    evidence: Annotated[tuple[Reference, ...], Field(max_length=40)] = Field(
        (), description="What you looked at; accept needs at least one that is really there."
    )
    findings: Annotated[tuple[SeatFinding, ...], Field(max_length=40)] = Field(
        (), description="What you found; revise and reject need at least one that is really there."
    )
    risks: Annotated[tuple[Words, ...], Field(max_length=20)] = Field(
        (), description="What could still go wrong."
    )
    fixes: Annotated[tuple[Words, ...], Field(max_length=20)] = Field(
        (), description="What should be done, the most important first."
    )
    questions: Annotated[tuple[Words, ...], Field(max_length=20)] = Field(
        (), description="What you could not find out."
    )
    confidence: float = Field(
        ge=0, le=1, allow_inf_nan=False, description="How sure you are of the verdict, 0 to 1."
    )
    assumptions: Annotated[tuple[Words, ...], Field(max_length=20)] = Field(
        (), description="What you took for true without having seen it."
    )
    complexity: Complexity | None = Field(None, description="What the change costs in parts.")
    raises: Raises | None = Field(
        None, description="Fields of the header that should be graver than they were measured."
    )


EXAMPLE: Mapping[str, object] = {
    "nonce": "THE NONCE OF THE MARKS",
    "verdict": "revise",
    "evidence": [{"path": "src/retry.py", "line": 12, "quote": "for attempt in range(3):"}],
    "findings": [
        {
            "severity": "P0",
            "category": "correctness",
            "claim": "The last failure is swallowed: the caller takes it for a success.",
            "reference": {"path": "src/retry.py", "line": 14, "quote": "except OSError:"},
            "fix": "Raise the last error after the loop.",
        }
    ],
    "risks": [],
    "fixes": ["Raise the last error after the loop."],
    "questions": [],
    "confidence": 0.8,
    "assumptions": [],
    "complexity": {"adds": 1, "removes": 0, "justified": True, "note": "One loop."},
}
"""A small answer, for the prompt."""


def _nowhere(_path: str) -> bytes | None:
    return None


@dataclass(frozen=True)
class Subject:
    """What references are held against: texts by path, and any other path of the tree.

    ``lookup`` gives the bytes of a file of the reviewed tree, None where there is none.
    """

    texts: Mapping[str, bytes] = field(default_factory=dict)
    lookup: Callable[[str], bytes | None] = _nowhere

    def read(self, path: str) -> bytes | None:
        """The bytes at a path; a path that leaves the tree is nowhere."""
        if path in self.texts:
            return self.texts[path]
        parts = path.split("/")
        if "\0" in path or any(part in ("", ".", "..") for part in parts):
            return None
        return self.lookup(path)


class CheckedSeat(Frozen):
    """A seat's answer that fits. ``findings`` and ``evidence`` are those that are really there.

    The findings' paths are as the subject has them, and P0 is only what may block.
    """

    reply: SeatReply
    findings: tuple[SeatFinding, ...] = ()
    evidence: tuple[Reference, ...] = ()
    assumptions: tuple[Assumption, ...] = ()

    @property
    def verdict(self) -> Verdict:
        """What the seat said."""
        return self.reply.verdict


def seat_nonce(claim: str, subject_digest: str) -> str:
    """The nonce of every question about this one subject, which each answer has to carry.

    Nobody who wrote the subject could know it.
    """
    return sha256(f"seat\n{claim}\n{subject_digest}")[:32]


def read_seat(text: str, subject: Subject, nonce: str) -> CheckedSeat:
    """The answer in a seat's last message, checked. Raises Unfit that says what to mend."""
    return checked(fitted(text, SeatReply), subject, nonce)


def checked(reply: SeatReply, subject: Subject, nonce: str) -> CheckedSeat:
    """What of an answer counts. Raises Unfit: wrong nonce, or a verdict that rests on nothing."""
    if reply.nonce != nonce:
        raise Unfit("`nonce` has to be the nonce of this question's marks, copied exactly")
    findings: list[SeatFinding] = []
    assumptions = [Assumption(claim=said, why="the seat assumes it") for said in reply.assumptions]
    faults: list[str] = []
    for finding in reply.findings:
        place, why = _placed(finding.reference, subject)
        if place is None:
            assumptions.append(Assumption(claim=finding.claim, why=why))
            faults.append(why)
        else:
            findings.append(_weighed(finding, place))
    evidence: list[Reference] = []
    for reference in reply.evidence:
        place, why = _placed(reference, subject)
        if place is None:
            faults.append(why)
        else:
            evidence.append(place)
    rests_on = evidence if reply.verdict is Verdict.ACCEPT else findings
    if not rests_on:
        raise Unfit(_without_evidence(reply.verdict, faults))
    return CheckedSeat(
        reply=reply,
        findings=tuple(findings),
        evidence=tuple(evidence),
        assumptions=tuple(assumptions),
    )


def _without_evidence(verdict: Verdict, faults: list[str]) -> str:
    needed = "reference in `evidence`" if verdict is Verdict.ACCEPT else "finding with a reference"
    wrong = "".join(f"\n- {fault}" for fault in faults[:12])
    return (
        f"verdict without evidence: {verdict} needs at least one {needed} that is really there"
        f"{f'; what was wrong:{wrong}' if wrong else ''}"
    )


def _weighed(finding: SeatFinding, place: Reference) -> SeatFinding:
    """The finding at its place; what may not block is to be mended instead."""
    severity = finding.severity
    if severity is Severity.P0 and not finding.category.blocks:
        severity = Severity.P1
    return finding.model_copy(update={"reference": place, "severity": severity})


def _placed(reference: Reference, subject: Subject) -> tuple[Reference | None, str]:
    """The reference with the subject's own path, or None and why it is not there."""
    path = reference.path.strip().removeprefix("/work/").removeprefix("./")
    shown = f"`{path[:200]}`"
    data = subject.read(path)
    if data is None:
        return None, f"there is no {shown}"
    lines = _lines(data)
    if reference.line > len(lines):
        return None, f"{shown} has {len(lines)} lines, there is no line {reference.line}"
    if not _stands(reference.quote, lines, reference.line):
        return None, f"the quote does not stand on line {reference.line} of {shown}"
    return reference.model_copy(update={"path": path}), ""


def _lines(data: bytes) -> list[str]:
    """The lines as git counts them; binary content has none."""
    if b"\0" in data:
        return []
    lines = data.decode("utf-8", "replace").split("\n")
    return lines if lines[-1] else lines[:-1]


def _stands(quote: str, lines: list[str], line: int) -> bool:
    """Whether the quote is on the line or close to it; how it is spaced and broken does not matter.

    The sign in front of an added line is the diff's, a number before a line is the page's.
    """
    rows = [row for row in quote.split("\n") if row.strip()]
    near = lines[max(line - 1 - NEAR, 0) : line + NEAR + len(rows) - 1]
    wholes = {_spaced(each) for each in near}
    text = _spaced(" ".join(near))
    bare = [_IN_FRONT.sub("", row) for row in rows]
    for wanted in {_spaced(" ".join(rows)), _spaced(" ".join(bare))}:
        if wanted in wholes and wanted:
            return True
        if len(wanted.replace(" ", "")) >= FEWEST and wanted in text:
            return True
    return False


def _spaced(text: str) -> str:
    return " ".join(text.split())
