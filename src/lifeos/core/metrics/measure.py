"""From what happened and a window of time to the numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from lifeos.core.chronicle import Chronicle, RunPast
from lifeos.core.metrics import autonomy, operation
from lifeos.core.metrics.values import Metric, Window

DEFAULT: tuple[Callable[[autonomy.Runs], Metric], ...] = (
    autonomy.without_ceo,
    autonomy.escalations,
    autonomy.time_to_close,
    autonomy.review_rejections,
    autonomy.flakes,
    autonomy.waivers,
)
MORE: tuple[Callable[[autonomy.Runs], Metric], ...] = (
    operation.cost_per_landed,
    operation.tokens_per_landed,
    operation.attempts_per_task,
    operation.bypasses,
    operation.budget_overruns,
)


class Period(StrEnum):
    """What a window is cut into: ISO weeks, from Monday, or calendar months, in UTC."""

    WEEK = "week"
    MONTH = "month"


def measure(chronicle: Chronicle, since: int, until: int, *, every: bool = False) -> Window:
    """The numbers of [since, until), in seconds UTC: the five, or ``every`` one there is."""
    return next(measure_each(chronicle, [(since, until)], every=every))


def measure_each(
    chronicle: Chronicle, windows: Iterable[tuple[int, int]], *, every: bool = False
) -> Iterator[Window]:
    """The same for several windows; what all of them look at is gathered once."""
    answered = [one for one in chronicle.every_question() if one.by_person] if every else []
    repairs = operation.repairs_among(chronicle.runs) if every else {}
    for since, until in windows:
        runs = closed_in(chronicle, since, until)
        metrics = [number(runs) for number in DEFAULT]
        if every:
            questions = [one for one in answered if since <= (one.answered_at or 0) < until]
            metrics += [
                *(number(runs) for number in MORE),
                operation.approval_latency(questions),
                operation.hasty_approvals(questions),
                operation.false_greens(runs, repairs),
            ]
        yield Window(
            since=since,
            until=until,
            closed=tuple(run.id for run in runs),
            landed=sum(run.passed for run in runs),
            open=sum(_is_open(run, until) for run in chronicle.runs),
            metrics=tuple(metrics),
        )


def closed_in(chronicle: Chronicle, since: int, until: int) -> list[RunPast]:
    """The runs that closed in [since, until), in the order of their opening."""
    return [
        run
        for run in chronicle.runs
        if run.closed_at is not None and since <= run.closed_at < until
    ]


def _is_open(run: RunPast, at: int) -> bool:
    return run.at < at and (run.closed_at is None or run.closed_at >= at)


def begin_of(chronicle: Chronicle) -> int:
    """When the ledger began."""
    return chronicle.adopted[0].at if chronicle.adopted else chronicle.at


def periods(since: int, until: int, by: Period) -> Iterator[tuple[int, int]]:
    """[since, until) cut at the beginning of each week or month; the ends may be part of one."""
    begin = since
    while begin < until:
        end = min(after(begin, by), until)
        yield begin, end
        begin = end


def start_of(at: int, by: Period) -> int:
    """The beginning of the week or month that a moment is in."""
    day = datetime.fromtimestamp(at, UTC).replace(hour=0, minute=0, second=0)
    back = day.weekday() if by is Period.WEEK else day.day - 1
    return int((day - timedelta(days=back)).timestamp())


def after(at: int, by: Period) -> int:
    """The beginning of the next week or month."""
    day = datetime.fromtimestamp(start_of(at, by), UTC)
    if by is Period.WEEK:
        return int((day + timedelta(days=7)).timestamp())
    return int((day + timedelta(days=32)).replace(day=1).timestamp())


def earlier(at: int, by: Period, count: int) -> int:
    """The beginning of the week or month so many before the one that a moment is in."""
    found = start_of(at, by)
    for _ in range(count):
        found = start_of(found - 1, by)
    return found
