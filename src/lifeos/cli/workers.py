"""Who worked on an attempt, what its calls of models cost, and what its reviewers said.

Read back from the artifacts that lifeos itself left (`agent.json`, `receipts.json`, `review.json`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeVar

from pydantic import Field, TypeAdapter, ValidationError

from lifeos.core.receipt import RECEIPTS, AgentFacts, Receipt
from lifeos.core.review import Finding, Review, SeatRun, Severity
from lifeos.model import Frozen, Mode, Verdict

if TYPE_CHECKING:
    from lifeos.cli.passage import AttemptData, Passage
    from lifeos.store.ledger import Ledger

_Value = TypeVar("_Value")

_AGENT = TypeAdapter(AgentFacts)
_REVIEW = TypeAdapter(Review)


class CallsData(Frozen):
    """All calls of one model: tokens, cost in US dollars, and where the cost is known from.

    ``estimated`` and ``uncounted``: how many calls have an estimated cost, or tokens that the
    provider did not count. ``refused``: how many it did not answer with a success.
    """

    provider: str
    model: str
    requests: int = 0
    tokens_in: int = 0
    tokens_cached: int = 0
    tokens_out: int = 0
    cost: float = 0.0
    priced_by: tuple[str, ...] = ()
    estimated: int = 0
    uncounted: int = 0
    refused: int = 0
    truncated: int = 0


class ReviewData(Frozen):
    """What a review came to. ``seats`` is the run log, ``shadow`` what decided nothing."""

    verdict: Verdict
    by: str
    rule: str = ""
    mode: Mode
    mode_reason: str = ""
    forced_by: tuple[str, ...] = ()
    seats: tuple[SeatRun, ...] = ()
    shadow: tuple[SeatRun, ...] = ()
    seats_missing: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()
    contradictions: int = 0
    assumptions: int = 0
    emergency: str = ""
    note: str = ""

    @property
    def blocking(self) -> tuple[Finding, ...]:
        """The findings that block."""
        return tuple(found for found in self.findings if found.severity is Severity.P0)


class WorkData(Frozen):
    """Who did an attempt. ``agent`` None: a recipe, a rule, or nobody who left a name."""

    agent: AgentFacts | None = None
    review: ReviewData | None = None
    calls: tuple[CallsData, ...] = Field((), description="The calls, by provider and model.")


def work_of(ledger: Ledger, passage: Passage, attempt: AttemptData) -> WorkData:
    """Who did one attempt of a run, from what it left."""
    receipts = _read(ledger, passage, attempt, "receipts.json", RECEIPTS)
    review = _read(ledger, passage, attempt, "review.json", _REVIEW)
    return WorkData(
        agent=_read(ledger, passage, attempt, "agent.json", _AGENT),
        review=_review(review) if review else None,
        calls=calls_of(receipts or ()),
    )


def _read(
    ledger: Ledger, passage: Passage, attempt: AttemptData, name: str, kind: TypeAdapter[_Value]
) -> _Value | None:
    from lifeos.store.entries import attempt_path
    from lifeos.tick.reading import read_file

    if name not in attempt.artifacts:
        return None
    path = f"{attempt_path(passage.run, attempt.n)}/{name}"
    try:
        return kind.validate_json(read_file(ledger.repo, passage.tree, path) or b"")
    except ValidationError:
        return None  # cut, redacted or of another version; `lifeos show RUN N NAME` shows it as is


def calls_of(receipts: Sequence[Receipt]) -> tuple[CallsData, ...]:
    """Receipts added up, by provider and model, in the order of the first call."""
    groups: dict[tuple[str, str], list[Receipt]] = {}
    for receipt in receipts:
        groups.setdefault((receipt.provider, receipt.model), []).append(receipt)
    return tuple(_calls(provider, model, group) for (provider, model), group in groups.items())


def _calls(provider: str, model: str, group: Sequence[Receipt]) -> CallsData:
    return CallsData(
        provider=provider,
        model=model,
        requests=len(group),
        tokens_in=sum(one.tokens_in for one in group),
        tokens_cached=sum(one.tokens_cached for one in group),
        tokens_out=sum(one.tokens_out for one in group),
        cost=sum(one.cost for one in group),
        priced_by=tuple(dict.fromkeys(one.priced_by.value for one in group)),
        estimated=sum(one.priced_by == "estimate" for one in group),
        uncounted=sum(not one.counted for one in group),
        refused=sum(not 200 <= one.status < 300 for one in group),
        truncated=sum(one.truncated for one in group),
    )


def all_calls(attempts: Sequence[AttemptData]) -> tuple[CallsData, ...]:
    """The calls of all attempts of a run, by provider and model."""
    found: dict[tuple[str, str], CallsData] = {}
    for calls in (calls for attempt in attempts for calls in attempt.work.calls):
        key = (calls.provider, calls.model)
        found[key] = _sum(found[key], calls) if key in found else calls
    return tuple(found.values())


def _sum(first: CallsData, second: CallsData) -> CallsData:
    counts = {
        name: getattr(first, name) + getattr(second, name)
        for name in CallsData.model_fields
        if name not in {"provider", "model", "priced_by"}
    }
    priced = tuple(dict.fromkeys((*first.priced_by, *second.priced_by)))
    return first.model_copy(update={**counts, "priced_by": priced})


def _review(review: Review) -> ReviewData:
    return ReviewData(
        verdict=review.verdict,
        by=review.by,
        rule=review.rule,
        mode=review.mode,
        mode_reason=review.mode_reason,
        forced_by=review.forced_by,
        seats=review.seats,
        shadow=tuple(one.run for one in review.shadow),
        seats_missing=review.seats_missing,
        findings=review.findings,
        contradictions=len(review.contradictions),
        assumptions=len(review.assumptions),
        emergency=review.emergency,
        note=review.note,
    )
