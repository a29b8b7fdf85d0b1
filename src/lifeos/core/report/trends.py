"""The numbers over time, cut into days, weeks or months, whichever gives a picture."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from lifeos.core.chronicle import Chronicle, QuestionPast, RunPast
from lifeos.core.metrics import measure as metrics
from lifeos.core.metrics import operation
from lifeos.core.metrics.autonomy import answered
from lifeos.core.metrics.measure import DEFAULT
from lifeos.core.metrics.values import Metric, Unit
from lifeos.core.report.data import Closes, Figure, Period, Reviewed, Trends
from lifeos.core.report.words import amount
from lifeos.model import Stage

DAY = 86_400
WEEK = 7 * DAY
_LEAST, _FEW, _MOST = 7, 16, 53
"""A picture by days has from 7 to 16 of them; and no picture has more than 53 periods."""
USUAL = 26 * WEEK
_LATELY = 4
"""Periods that a figure's latest value is about; and as many before them, to compare."""
SHOWN = (
    "without_ceo",
    "escalations",
    "time_to_close",
    "review_rejections",
    "flakes",
    "waivers",
    "cost_per_landed",
    "approval_latency",
)
"""The numbers of the page, by their names in ``lifeos metrics``: the five, price and attention."""


@dataclass(frozen=True)
class _Past:
    """Closed runs and answered questions: what the numbers are counted from."""

    runs: Sequence[RunPast]
    answers: Sequence[QuestionPast]

    def within(self, since: int, until: int) -> _Past:
        """Those of a stretch of time."""
        return _Past(
            [run for run in self.runs if since <= (run.closed_at or 0) < until],
            [one for one in self.answers if since <= (one.answered_at or 0) < until],
        )

    def numbers(self) -> Mapping[str, Metric]:
        """The numbers of the page, by the functions of ``lifeos metrics``; the dear ones not."""
        found = [number(self.runs) for number in (*DEFAULT, operation.cost_per_landed)]
        found.append(operation.approval_latency(self.answers))
        return {metric.name: metric for metric in found}


def window(chronicle: Chronicle, since: int | None, now: int) -> tuple[int, int]:
    """From when to when: up to now, and from ``since``; without it from half a year before.

    A ledger that has rested for longer is not shown as empty: then it is the half year in which
    something ended last. It never begins before the ledger.
    """
    if since is not None:
        return min(since, now), now
    last = max((run.closed_at or 0 for run in chronicle.runs), default=0)
    until = last if 0 < last < now - USUAL else now
    began = min((run.at for run in chronicle.runs), default=until)
    return min(max(began, until - USUAL), until), until


def trends(chronicle: Chronicle, since: int | None, now: int) -> Trends:
    """All series, over the ``window``."""
    start, until = window(chronicle, since, now)
    cut = tuple(periods(start, until))[-_MOST:]
    start = max(start, cut[0].since)
    whole = _Past(
        [run for run in chronicle.runs if run.closed_at is not None],
        [
            one
            for one in chronicle.every_question()
            if one.by_person and one.answered_at is not None
        ],
    ).within(cut[0].since, cut[-1].until)
    parts = [whole.within(one.since, one.until) for one in cut]
    counted = whole.within(start, until + 1).numbers()
    return Trends(
        since=start,
        until=until,
        periods=cut,
        recent=min(_LATELY, len(cut) // 2),
        figures=tuple(_figures(whole, counted, parts, cut)),
        reviews=tuple(_reviews(counted["review_rejections"])),
        closes=tuple(_closes(part.runs) for part in parts),
        costs=_costs(chronicle.runs, cut),
    )


def periods(since: int, until: int) -> Iterator[Period]:
    """Whole days (at least a week of them), weeks (from Monday) or months that cover the window."""
    span = until - since
    if span <= _FEW * DAY:
        first = min(since // DAY, until // DAY - _LEAST + 1) * DAY
        yield from (Period(since=at, until=at + DAY) for at in range(first, until + 1, DAY))
        return
    by = metrics.Period.WEEK if span <= (_MOST - 1) * WEEK else metrics.Period.MONTH
    at = metrics.start_of(since, by)
    while at <= until:
        end = metrics.after(at, by)
        yield Period(since=at, until=end)
        at = end


# --- the numbers ---------------------------------------------------------------------------------


def _figures(
    whole: _Past,
    counted: Mapping[str, Metric],
    parts: Sequence[_Past],
    cut: Sequence[Period],
) -> Iterator[Figure]:
    series = [part.numbers() for part in parts]
    recent = min(_LATELY, len(cut) // 2)
    lately = before = None
    if recent:
        turn = cut[-recent].since
        lately = whole.within(turn, cut[-1].until).numbers()
        before = whole.within(cut[-2 * recent].since, turn).numbers()
    for name in SHOWN:
        metric = counted[name]
        yield Figure(
            name=name,
            title=metric.title,
            unit=metric.unit,
            better=metric.better,
            value=metric.value,
            basis=_basis(metric),
            series=tuple(numbers[name].value for numbers in series),
            lately=lately[name].value if lately else None,
            before=before[name].value if before else None,
        )


def _basis(metric: Metric) -> str:
    """What it was counted from."""
    among = f"{metric.denominator:,} {metric.among}"
    if metric.denominator == 1:
        among = _MANY.sub(r"\1", among)
    if not metric.denominator:
        return f"nothing to measure: no {metric.among}"
    match metric.unit:
        case Unit.SHARE:
            return f"{metric.numerator:,.0f} of {among} {metric.counts}"
        case Unit.SECONDS:
            return f"mean of {among}; median {amount(metric.median, metric.unit)}"
        case Unit.COUNT:
            return f"{amount(metric.numerator, metric.unit)} {metric.counts}, for {among}"
        case Unit.DOLLARS | Unit.TOKENS:
            guess = ", some of it estimated" if metric.estimated else ""
            return f"{amount(metric.numerator, metric.unit)}{guess}, for {among}"


_MANY = re.compile(r"\b(run|verdict|attempt|task|answer)s\b")


def _reviews(metric: Metric) -> Iterator[Reviewed]:
    for part in metric.parts:
        yield Reviewed(
            stage=Stage(part.name), reviews=part.denominator, against=int(part.numerator)
        )


def _closes(ended: Sequence[RunPast]) -> Closes:
    landed = [run for run in ended if run.passed]
    alone = sum(not answered(run) for run in landed)
    return Closes(alone=alone, asked=len(landed) - alone, not_landed=len(ended) - len(landed))


def _in(at: int, period: Period) -> bool:
    return period.since <= at < period.until


def _costs(runs: Sequence[RunPast], cut: Sequence[Period]) -> tuple[float, ...]:
    """What attempts cost, by when they ended: also those of runs that are open."""
    found = [0.0] * len(cut)
    for run in runs:
        if run.closed_at is not None and cut and run.closed_at < cut[0].since:
            continue
        for attempt in run.attempts:
            for i, period in enumerate(cut):
                if _in(attempt.at, period):
                    found[i] += attempt.facts.usage.cost
                    break
    return tuple(found)
