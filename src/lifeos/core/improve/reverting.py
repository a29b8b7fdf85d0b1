"""The proposal that takes another one back, whose metric did not hold."""

from __future__ import annotations

from lifeos.core.chronicle import QuestionPast
from lifeos.core.improve.proposal import WEAKENS, Category, Pattern, Proposal, TakeBack
from lifeos.core.improve.trial import REVERTS


def take_back(asked: QuestionPast, proposal: Proposal) -> Pattern:
    """What a failed measurement calls for; ``asked`` is the question of what landed."""
    found = asked.measured
    if found is None or found.value is None:
        raise ValueError(f"{asked.item} was not measured")
    metric = proposal.metric
    return Pattern(
        key=f"{REVERTS}{asked.item}",
        category=Category.REVERT,
        title=f"Take back {asked.item}, which did not hold: {proposal.title.removeprefix(WEAKENS)}",
        evidence=(
            f"It was to bring {found.measure} from {found.before:g} to {metric.projected:g}.",
            f"Over {metric.window} it was {found.value:g}; "
            f"{_bound(proposal, found.limit)} was needed.",
            f"Runs it was measured over: {found.runs}.",
        ),
        cases=1,
        runs=found.runs,
        rests_on=tuple(filter(None, (asked.measured_in, asked.answer, asked.commit))),
        edit=TakeBack(diff=proposal.diff),
        metric=metric.model_copy(
            update={"current": found.value, "projected": found.before},
        ),
        risk="What it was meant to mend is there again.",
    )


def _bound(proposal: Proposal, limit: float) -> str:
    side = "at least" if proposal.metric.measure.more_is_better else "at most"
    return f"{side} {limit:g}"
