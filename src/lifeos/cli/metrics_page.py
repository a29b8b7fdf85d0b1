"""The numbers as a page for people: now, before, and which runs they are about."""

from __future__ import annotations

from collections.abc import Iterator
from shlex import quote
from typing import TYPE_CHECKING

from lifeos.cli.cells import cell
from lifeos.cli.frame import table
from lifeos.cli.moments import span
from lifeos.core.metrics.values import Better, Kept, Measured, Metric, Unit, Window
from lifeos.core.spend import dollars
from lifeos.core.when import day, minute
from lifeos.errors import UsageError

if TYPE_CHECKING:
    from lifeos.cli.metrics_command import MetricsData
    from lifeos.core.chronicle import Chronicle, QuestionPast, RunPast

NOTHING = "-"
_DAY = 86_400
_UNITS = ((_DAY, "d"), (3_600, "h"), (60, "min"))
_ALWAYS = ("review_rejections",)
"""Whose parts are always shown: a rate over all stages hides where it comes from."""


def page(data: MetricsData, *, at: str = "", every: bool) -> str:
    """The whole page. ``at`` is what was given to ``--at``."""
    parts = [_head(data)]
    if not data.window.closed:
        parts.append(_nothing(data, at))
    parts += _periods(data.periods) if data.periods else [_numbers(data, every=every)]
    parts.append("which runs: lifeos metrics --which NAME")
    return "\n\n".join(parts)


def _head(data: MetricsData) -> str:
    window, before = data.window, data.before
    lines = [f"{_times(window)}: {_runs(window)}, {window.open} open at the end"]
    if before is not None and not data.periods:
        lines.append(f"before: {_times(before)}: {_runs(before)}")
    return "\n".join(lines)


def _times(window: Window) -> str:
    length = span(window.until - window.since)
    return f"{minute(window.since)} to {minute(window.until)} UTC ({length})"


def _runs(window: Window) -> str:
    count = len(window.closed)
    return f"{count} {'run' if count == 1 else 'runs'} closed, {window.landed} landed"


def _numbers(data: MetricsData, *, every: bool) -> str:
    rows = []
    for metric in data.window.metrics:
        former = _same(data.before, metric.name)
        rows.append(_row(metric.name, metric, metric, former))
        olds = {one.name: one for one in former.parts} if former else {}
        for part in metric.parts if every or metric.name in _ALWAYS else ():
            rows.append(_row(f"  {part.name}", part, metric, olds.get(part.name)))
    headings = ("NUMBER", "NOW", "BEFORE", "TREND", "COUNTED")
    if data.before is None:  # there is nothing to compare with
        return table(_without_trend(headings), [_without_trend(row) for row in rows])
    return table(headings, rows)


def _without_trend(row: tuple[str, ...]) -> tuple[str, ...]:
    return (*row[:2], *row[4:])


def _same(window: Window | None, name: str) -> Metric | None:
    metrics = window.metrics if window else ()
    return next((one for one in metrics if one.name == name), None)


def _row(name: str, measured: Measured, metric: Metric, former: Measured | None) -> tuple[str, ...]:
    return (
        name,
        shown(measured.value, metric.unit),
        shown(former.value if former else None, metric.unit),
        _trend(measured, former, metric),
        _counted(measured, metric, part=measured is not metric),
    )


def _trend(now: Measured, former: Measured | None, metric: Metric) -> str:
    if former is None or now.value is None or former.value is None:
        return NOTHING
    if shown(now.value, metric.unit) == shown(former.value, metric.unit):
        return "same"  # a difference that cannot be seen is none
    more = now.value > former.value
    if metric.better is Better.NEITHER:
        return "more" if more else "less"
    return "better" if more is (metric.better is Better.MORE) else "worse"


def _counted(measured: Measured, metric: Metric, *, part: bool = False) -> str:
    """What stands behind a value, with its own numbers; of a part, the numbers alone."""
    among = f"{measured.denominator} {metric.among}"
    if not measured.denominator:
        return f"nothing to measure: {among}"
    if metric.unit is Unit.SECONDS:
        return f"mean of {among}, median {shown(measured.median, metric.unit)}"
    total = shown(measured.numerator, metric.unit, whole=True)
    if metric.unit is Unit.SHARE:
        total = f"{measured.numerator:.0f}"
        return f"{total} of {among}" if part else f"{total} of {among} {metric.counts}"
    if part:
        return f"{total} for {among}"
    guess = " (some estimated)" if metric.estimated else ""
    return f"{total}{guess} for {among}: {metric.counts}"


def shown(value: float | None, unit: Unit, *, whole: bool = False) -> str:
    """A value in its unit; "-" where there is none. ``whole``: a sum, not a mean."""
    if value is None:
        return NOTHING
    match unit:
        case Unit.SHARE:
            return f"{value:.1%}".replace("%", " %")
        case Unit.SECONDS:
            return lasting(value)
        case Unit.DOLLARS:
            return dollars(value)
        case Unit.TOKENS:
            return f"{value:,.0f}"
        case Unit.COUNT:
            return f"{value:.0f}" if whole else f"{value:.2f}"


def lasting(seconds: float) -> str:
    """A length of time with one digit after its largest unit: "3.2 h"."""
    for size, unit in _UNITS:
        if seconds >= size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.0f} s"


# --- week by week, month by month -------------------------------------------------------------


def _periods(windows: tuple[Window, ...]) -> Iterator[str]:
    """One line a week or month; as many tables as fit six numbers each."""
    names = [metric.name for metric in windows[0].metrics]
    for first in range(0, len(names), _ACROSS):
        chosen = names[first : first + _ACROSS]
        rows = [
            (
                day(window.since),
                str(len(window.closed)),
                *(
                    shown(metric.value, metric.unit)
                    for metric in window.metrics
                    if metric.name in chosen
                ),
            )
            for window in windows
        ]
        yield table(("FROM", "CLOSED", *chosen), rows)


_ACROSS = 6


# --- which ones -------------------------------------------------------------------------------


def which_page(data: MetricsData, chronicle: Chronicle, name: str, *, at: str = "") -> str:
    """The runs, or the questions, behind one number. Raises ``UsageError`` for no number."""
    number, _, part = name.partition(".")
    metric = _same(data.window, number)
    if metric is None:
        known = " ".join(one.name for one in data.window.metrics)
        raise UsageError(f"there is no number called {name[:80]!r}", f"known are: {known}")
    found: Measured | None = metric
    if part:
        found = next((one for one in metric.parts if one.name == part), None)
    if found is None:
        known = " ".join(one.name for one in metric.parts) or "none in this window"
        raise UsageError(f"{number} has no part called {part[:80]!r} here", f"there are: {known}")
    value = shown(found.value, metric.unit)
    blocks = [_head(data), f"{name}: {metric.title}\n{value}  {_counted(found, metric)}"]
    if not data.window.closed:
        blocks.insert(1, _nothing(data, at))
    if found.items:
        blocks.append(_questions(found, chronicle))
    else:
        runs = {run.id: run for run in chronicle.runs}
        links = {link.run: f"{link.how} by {link.by[:12]}" for link in metric.links}
        blocks.append(_run_table("counted", [runs[one] for one in found.runs], links))
        rest = [runs[one] for one in data.window.closed if one not in set(found.runs)]
        if metric.unit is Unit.SHARE:
            blocks.append(_run_table("the others that closed", rest, {}))
    return "\n\n".join(block for block in blocks if block)


def _run_table(title: str, runs: list[RunPast], links: dict[str, str]) -> str:
    rows = [
        (
            run.id,
            run.task,
            run.outcome.value if run.outcome else NOTHING,
            minute(run.closed_at or 0),
            " ".join(filter(None, (cell(run.title), links.get(run.id)))),
        )
        for run in runs
    ]
    if not rows:
        return ""
    return f"{title}\n{table(('RUN', 'TASK', 'OUTCOME', 'CLOSED (UTC)', 'TITLE'), rows)}"


def _questions(found: Measured, chronicle: Chronicle) -> str:
    wanted = set(found.items)
    questions = [one for one in chronicle.every_question() if one.item in wanted]
    rows = [_question(one) for one in questions]
    return table(("ITEM", "KIND", "RUN", "DECISION", "TOOK", "QUESTION"), rows)


def _question(one: QuestionPast) -> tuple[str, ...]:
    return (
        one.item,
        one.kind.value,
        one.run or NOTHING,
        one.decision.value if one.decision else NOTHING,
        lasting((one.answered_at or one.at) - one.at),
        cell(one.question),
    )


# --- what else is said ------------------------------------------------------------------------


def _nothing(data: MetricsData, at: str) -> str:
    """Why all is empty, and what to type to see something: the window is not moved by itself."""
    last = data.last_closed
    if last is None:
        return "no run has closed yet; next: lifeos tick"
    then = f" --at {quote(at)}" if at else ""
    if last < data.window.since:
        # The whole day in which it closed: what people would type, and well within the window.
        following = f"the numbers up to then: lifeos metrics{then} --until {day(last + _DAY)}"
    else:
        following = f"all that is known: lifeos metrics{then} --since begin"
    told = f"no run closed in this window; the last one did on {minute(last)} UTC"
    return f"{told}\n{following}"


def told(limit: Kept) -> str:
    """What is said of a limit that is not kept, or that nothing could be held against."""
    word = "under" if limit.lowest else "over"
    if limit.kept is None:
        return f"{limit.name}: nothing to measure in this window, so not {word} its limit"
    value, bound = shown(limit.value, limit.unit), shown(limit.bound, limit.unit)
    return f"{limit.name} is {value}, {word} its limit of {bound}"
