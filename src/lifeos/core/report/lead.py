"""What the report says in whole sentences: how it stands, and how a number changed."""

from __future__ import annotations

from lifeos.core.metrics.values import Better
from lifeos.core.report.data import Figure, ReportData
from lifeos.core.report.trends import DAY, WEEK
from lifeos.core.report.words import amount, plural
from lifeos.core.state import RunStatus


def lead(data: ReportData) -> str:
    """How it stands, in one sentence."""
    asks = sum(not one.answered for one in data.waits)
    going = sum(one.status not in (RunStatus.HELD, RunStatus.ASKING) for one in data.open)
    waits = f"{plural(asks, 'question')} {'waits' if asks == 1 else 'wait'} for you"
    parts = [waits if asks else "Nothing waits for you"]
    if going:
        parts.append(f"{plural(going, 'run')} {'goes' if going == 1 else 'go'} on")
    if data.runs:
        parts.append(f"{data.landed:,} of {plural(data.runs, 'run')} landed")
    else:
        parts.append("no run has begun yet")
    return f"{'; '.join(parts)}."


def period_name(data: ReportData) -> str:
    """What the trends are counted by."""
    if not data.trends.periods:
        return "week"
    first = data.trends.periods[0]
    return {DAY: "day", WEEK: "week"}.get(first.until - first.since, "month")


def change(data: ReportData, figure: Figure) -> tuple[str, str] | None:
    """How a figure moved lately, and "better" or "worse"; None where there is too little to say."""
    if figure.lately is None or figure.before is None:
        return None
    span = plural(data.trends.recent, period_name(data))
    lately, before = amount(figure.lately, figure.unit), amount(figure.before, figure.unit)
    if lately == before:
        return f"{lately} in the last {span}, as before", ""
    more = figure.lately > figure.before
    arrow, verdict = "↑" if more else "↓", ""
    if figure.better is not Better.NEITHER:
        verdict = "better" if more is (figure.better is Better.MORE) else "worse"
    return f"{arrow} {lately} in the last {span}, {before} before", verdict
