"""The daily sum: what waits, what landed or blocked since the last one, what was spent, what rests.

Made from the ledger alone, for a notice and for ``lifeos digest``.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from lifeos.core.notices import (
    LIMIT,
    Ended,
    Notice,
    Source,
    Waiting,
    about,
    ended,
    last_of,
    waiting,
)
from lifeos.core.policy import Budgets
from lifeos.core.policy.notify import Occasion
from lifeos.core.spend import add_spend, dollars
from lifeos.core.state import Run, RunStatus, Wake
from lifeos.model import CloseOutcome, Frozen

_UNITS = ((86_400, "d"), (3_600, "h"), (60, "min"))
ALL = 1_000_000
_MOST = (8, 5, 3, 2, 1, 0)


class Spent(Frozen):
    """US dollars spent in this UTC day and month, and the limits."""

    today: float
    month: float
    today_limit: float
    month_limit: float


class Resting(Frozen):
    """A run that goes on later. ``until`` and ``why`` are for people."""

    run: str
    task: str
    title: str
    stage: str
    until: str
    why: str = ""


class DigestData(Frozen):
    """``lifeos.digest/v1``. Times are seconds UTC; ``since`` is when the last one was sent.

    ``waiting`` has the oldest first; ``ended`` are the runs that ended otherwise (rejected,
    cancelled). ``sent`` are the channels that ``--send`` reached, ``problems`` why others were not.
    """

    project: str
    since: int
    at: int
    waiting: tuple[Waiting, ...] = ()
    landed: tuple[Ended, ...] = ()
    blocked: tuple[Ended, ...] = ()
    ended: tuple[Ended, ...] = ()
    stopped: bool = False
    resting: tuple[Resting, ...] = ()
    spent: Spent
    sent: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()

    @property
    def empty(self) -> bool:
        """Whether there is nothing that anybody would want to be told."""
        something = self.waiting or self.landed or self.blocked or self.ended or self.resting
        return not something and not self.stopped and not self.spent.today


def digest(source: Source, since: int, budgets: Budgets) -> DigestData:
    """The sum since a time (seconds UTC)."""
    snapshot = source.snapshot
    spend = add_spend(snapshot.spend, source.now, 0.0)
    past = ended(source, since)
    others = (CloseOutcome.PASS, CloseOutcome.BLOCKED)
    return DigestData(
        project=source.plain(source.project, 80),
        since=since,
        at=source.now,
        waiting=waiting(source),
        landed=tuple(each for each in past if each.outcome is CloseOutcome.PASS),
        blocked=tuple(each for each in past if each.outcome is CloseOutcome.BLOCKED),
        ended=tuple(each for each in past if each.outcome not in others),
        stopped=snapshot.stop,
        resting=tuple(_resting(source)),
        spent=Spent(
            today=spend.day_cost,
            month=spend.month_cost,
            today_limit=budgets.cost_per_day,
            month_limit=budgets.cost_per_month,
        ),
    )


def _resting(source: Source) -> Iterator[Resting]:
    for run in source.snapshot.runs.values():
        if run.status is RunStatus.PAUSED and run.wake is not None:
            yield Resting(
                run=run.id,
                task=source.plain(run.task, 40),
                title=source.plain(run.title, 80),
                stage=run.stage.value,
                until=_until(run.wake),
                why=_why(source, run),
            )


def _until(wake: Wake) -> str:
    until = ["lifeos resume"] if wake.stop else []
    until += ["main moves"] if wake.main else []
    if wake.at is not None:
        until.append(f"{datetime.fromtimestamp(wake.at, UTC):%Y-%m-%d %H:%M} UTC")
    return " or ".join(until)


def _why(source: Source, run: Run) -> str:
    return source.plain(last_of(source, run), 80)


def digest_notice(source: Source, found: DigestData) -> Notice:
    """The digest, as short as a notice is."""
    count = len(found.waiting)
    title = "nothing waits for you"
    if count:
        title = f"{count} {'question waits' if count == 1 else 'questions wait'} for you"
    texts = (digest_text(found, most) for most in _MOST)
    return Notice(
        occasion=Occasion.DIGEST,
        project=found.project,
        title=source.plain(f"{source.project}: {title}", 120),
        text=next((text for text in texts if len(text) <= LIMIT), "lifeos digest"),
        at=found.at,
        waiting=found.waiting,
        ended=(*found.landed, *found.blocked, *found.ended),
    )


def digest_text(found: DigestData, most: int = ALL) -> str:
    """The digest for people, with at most so many lines of each part."""
    waits = (_waits(each, found.at) for each in found.waiting)
    parts = [
        ["stopped: nothing begins until lifeos resume"] if found.stopped else [],
        _part("waits for you", len(found.waiting), waits, most),
        _part("landed", len(found.landed), map(about, found.landed), most),
        _part("blocked", len(found.blocked), map(_reasoned, found.blocked), most),
        _part("ended", len(found.ended), map(_reasoned, found.ended), most),
        _part("rests", len(found.resting), map(_rests, found.resting), most),
        [_spent(found.spent)],
        [f"next: {'lifeos queue' if found.waiting else 'lifeos status'}"],
    ]
    return "\n".join(line for part in parts for line in part)


def _part(name: str, count: int, rows: Iterator[str], most: int) -> list[str]:
    if not count:
        return []
    shown = [f"- {row}" for row, _ in zip(rows, range(most), strict=False)]
    if 0 < len(shown) < count:
        shown.append(f"- and {count - len(shown)} more")
    return [f"{name}: {count}", *shown]


def _waits(found: Waiting, now: int) -> str:
    row = f"{found.item}, {_age(now - found.opened)}: {about(found) or found.question}"
    return f"{row}\n  {found.link}" if found.link else row


def _reasoned(found: Ended) -> str:
    outcome = "" if found.outcome is CloseOutcome.BLOCKED else f" {found.outcome}"
    return f"{about(found)}{outcome}{f': {found.reason}' if found.reason else ''}"


def _rests(found: Resting) -> str:
    why = found.why or f"why: lifeos show {found.run}"
    return f"{found.title} ({found.task}) at {found.stage} until {found.until}; {why}"


def _spent(spent: Spent) -> str:
    return (
        f"spent: {dollars(spent.today)} of {dollars(spent.today_limit)} today,"
        f" {dollars(spent.month)} of {dollars(spent.month_limit)} this month"
    )


def _age(seconds: int) -> str:
    for size, unit in _UNITS:
        if seconds >= size:
            return f"{seconds // size} {unit}"
    return "new"
