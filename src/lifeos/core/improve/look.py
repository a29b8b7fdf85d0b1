"""What is looked at for patterns, and since when: what was answered is not asked again as it was.

A proposal that was dropped, or that landed and did not hold, is proposed again only on new
evidence: runs closed before that answer count for nothing, and each such answer doubles the numbers
that are needed. One that held, or is being measured, begins anew too, at the single numbers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from lifeos.core.chronicle import Chronicle, QuestionPast, RunPast
from lifeos.core.improve.proposal import Category
from lifeos.core.improve.thresholds import LOOKED_AT, THRESHOLDS, Threshold
from lifeos.core.improve.trial import RULE
from lifeos.core.policy import Governance
from lifeos.core.review import Review
from lifeos.model import Decision

MOST_DOUBLINGS = 10


@dataclass(frozen=True)
class Answered:
    """What came of earlier proposals for one pattern: the last such time, and how often in vain."""

    at: int = -1
    in_vain: int = 0


@dataclass(frozen=True)
class Look:
    """The past, the rules as they are, and the sets that runs were under, by digest.

    ``reviews`` are those of councils, by run and attempt. ``since`` is in seconds UTC: what closed
    before it is not looked at. ``prompts`` are the shipped ones, by name.
    """

    past: Chronicle
    rules: Governance
    sets: Mapping[str, Governance] = field(default_factory=dict)
    reviews: Mapping[tuple[str, int], Review] = field(default_factory=dict)
    since: int = 0

    @cached_property
    def closed(self) -> tuple[RunPast, ...]:
        """The closed runs that are looked at, in the order of their end."""
        runs = [run for run in self.past.runs if (run.closed_at or -1) >= self.since]
        runs = [run for run in runs if run.closed_at is not None]
        return tuple(sorted(runs, key=lambda run: (run.closed_at, run.id)))[-LOOKED_AT:]

    @cached_property
    def answered(self) -> Mapping[str, Answered]:
        """What became of each pattern that was proposed before."""
        found: dict[str, Answered] = {}
        for question in self.past.questions:
            if question.rule.startswith(RULE) and question.pattern:
                found[question.pattern] = _after(found.get(question.pattern, Answered()), question)
        return found

    def runs(self, key: str) -> tuple[RunPast, ...]:
        """The runs that count for this pattern."""
        after = self.answered.get(key, Answered()).at
        return tuple(run for run in self.closed if (run.closed_at or 0) > after)

    def need(self, category: Category, key: str) -> Threshold:
        """What this pattern has to meet: the doubled numbers, where it was proposed in vain."""
        threshold = THRESHOLDS[category]
        times = 2 ** min(self.answered.get(key, Answered()).in_vain, MOST_DOUBLINGS)
        return threshold.model_copy(
            update={"runs": threshold.runs * times, "cases": threshold.cases * times}
        )

    def set_of(self, run: RunPast) -> Governance | None:
        """The rules that a run ended under, where they are known."""
        return self.sets.get(run.pinned[-1][1]) if run.pinned else None


def _after(known: Answered, question: QuestionPast) -> Answered:
    """What one proposal adds to what is known of its pattern."""
    at, in_vain = known.at, known.in_vain
    if question.landed_at is not None:
        at = max(at, question.landed_at)
    if question.measured is not None and question.measured_at is not None:
        at = max(at, question.measured_at)
        in_vain += question.measured.holds is False
    dropped = question.decision is Decision.REJECT or question.dropped_at is not None
    if dropped:
        at = max(at, question.dropped_at or question.answered_at or question.at)
        in_vain += 1
    return Answered(at, in_vain)
