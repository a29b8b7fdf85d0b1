"""``lifeos metrics``: whether it needs the CEO less, and at what price."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated

import typer

from lifeos.cli.at import At, ledger_at
from lifeos.cli.frame import Json, frame_of, progress, show, show_json
from lifeos.core.metrics.measure import (
    Period,
    begin_of,
    earlier,
    measure,
    measure_each,
    periods,
)
from lifeos.core.metrics.values import Kept, Window
from lifeos.core.when import minute, when
from lifeos.errors import Exit, UsageError
from lifeos.model import Frozen

if TYPE_CHECKING:
    from lifeos.core.chronicle import Chronicle

DAYS = 30
"""The window, where nothing else is said."""
SHOWN = 12
"""Weeks or months that are shown, where nothing else is said."""
BEGIN = "begin"
_DAY = 86_400


class MetricsData(Frozen):
    """``lifeos.metrics/v1``. ``ledger`` is the last transition that is known, ``at`` its time.

    ``before`` is the window of the same length before it, where there is room for one.
    ``last_closed`` is when the run closed that did last, in the window or not; None: none has.
    """

    ledger: str
    transitions: int
    at: int
    window: Window
    before: Window | None = None
    periods: tuple[Window, ...] = ()
    limits: tuple[Kept, ...] = ()
    last_closed: int | None = None


def command(
    context: typer.Context,
    since: Annotated[
        str,
        typer.Option(
            help="Runs that closed from then on: a date, a time, 30d, or `begin`.", metavar="WHEN"
        ),
    ] = "",
    until: Annotated[
        str, typer.Option(help="Runs that closed before then; now by default.", metavar="WHEN")
    ] = "",
    at: At = "",
    every: Annotated[
        bool, typer.Option("--all", help="Price, effort, attention and false greens too.")
    ] = False,
    by: Annotated[
        Period | None, typer.Option(help="Each week or month by itself (UTC, from Monday).")
    ] = None,
    which: Annotated[
        str, typer.Option(help="The runs behind one number, or one part.", metavar="NAME[.PART]")
    ] = "",
    fail_under: Annotated[
        list[str] | None,
        typer.Option(help="Exit 1 if it is less: without_ceo=50%.", metavar="NAME=VALUE"),
    ] = None,
    fail_over: Annotated[
        list[str] | None,
        typer.Option(help="Exit 1 if it is more: time_to_close.median=6h.", metavar="NAME=VALUE"),
    ] = None,
    json: Json = False,
) -> int:
    """Show the numbers of the runs that closed in a window (30 days), and of the one before it.

    Read from the ledger alone. Exit 1 if one is beyond its --fail-under or --fail-over; one that
    has nothing to measure is beyond none. What each number means: docs/reference/metrics.md.
    """
    from lifeos.tick.chronicle import chronicle_at

    frame = frame_of(context)
    with frame.repo() as repo:
        repo.require_complete()
        chronicle = chronicle_at(ledger_at(frame.ledger(repo), at))
    begin, end = _window(chronicle, since, until, by, now=chronicle.at if at else int(time.time()))
    full = every or bool(which)
    data = _measured(chronicle, begin, end, by, every=full)
    limits = _limits(chronicle, data.window, fail_under or (), fail_over or ())
    data = data.model_copy(update={"limits": limits})
    if json:
        show_json("metrics", data)
    else:
        from lifeos.cli.metrics_page import page, which_page

        if which:
            show(which_page(data, chronicle, which, at=at))
        else:
            show(page(data, at=at, every=every))
    return _judged(limits)


def _window(
    chronicle: Chronicle, since: str, until: str, by: Period | None, *, now: int
) -> tuple[int, int]:
    """The window asked for. Lengths of time count back from its end, or from now for its end.

    It ends now at the latest: nothing is known of later, and what is compared is as long.
    """
    # A transition of this very second is in it, and so is one by a clock ahead of this one.
    latest = max(now, chronicle.at) + 1
    end = max(1, min(when(until, now), latest)) if until else latest
    if since == BEGIN:
        begin = min(begin_of(chronicle), end - 1)
    elif since:
        begin = when(since, end)
    elif by is not None:
        begin = earlier(end - 1, by, SHOWN - 1)
    else:
        begin = end - DAYS * _DAY
    begin = max(0, begin)
    if begin >= end:
        raise UsageError(
            f"the window ends before it begins: from {minute(begin)} to {minute(end)} UTC",
            "--since is the earlier one, and --until the later",
        )
    return begin, end


def _measured(
    chronicle: Chronicle, begin: int, end: int, by: Period | None, *, every: bool
) -> MetricsData:
    first = begin_of(chronicle)
    windows = [(begin, end)]
    if begin > first:
        windows.append((max(0, 2 * begin - end), begin))
    cut = list(periods(max(begin, first), end, by)) if by else []
    whole, *others = measure_each(chronicle, [*windows, *cut], every=every)
    return MetricsData(
        ledger=chronicle.tip,
        transitions=chronicle.seq,
        at=chronicle.at,
        window=whole,
        before=others.pop(0) if len(windows) > 1 else None,
        periods=tuple(others),
        last_closed=max((run.closed_at or 0 for run in chronicle.runs), default=0) or None,
    )


def _limits(
    chronicle: Chronicle, window: Window, under: list[str] | tuple[()], over: list[str] | tuple[()]
) -> tuple[Kept, ...]:
    if not under and not over:
        return ()
    from lifeos.core.metrics.limits import held_against, read_limit

    full = measure(chronicle, window.since, window.until, every=True)
    limits = [read_limit(text, full, lowest=True) for text in under]
    limits += [read_limit(text, full, lowest=False) for text in over]
    return tuple(held_against(limit, full) for limit in limits)


def _judged(limits: tuple[Kept, ...]) -> Exit:
    """What is beyond its limit is said on standard error, and is exit 1."""
    from lifeos.cli.metrics_page import told

    for limit in limits:
        if not limit.kept:
            progress(told(limit))
    return Exit.FAILED if any(limit.kept is False for limit in limits) else Exit.OK
