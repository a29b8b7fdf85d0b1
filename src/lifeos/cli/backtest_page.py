"""A back-test on the terminal: worst first, to be read in a minute."""

from __future__ import annotations

import sys
from collections.abc import Iterator

from lifeos.cli.candidate import Candidate
from lifeos.cli.frame import show, table
from lifeos.cli.paint import paint
from lifeos.core.backtest.model import BackTest, Changed, Difference, Severity
from lifeos.core.backtest.words import (
    balance_lines,
    count_words,
    looked_at,
    named_tasks,
    rule_words,
    unknown_lines,
)

_STYLES = {
    Severity.GRAVE: ("red", "bold"),
    Severity.WARNING: ("yellow",),
    Severity.NOTICE: (),
    Severity.GAIN: ("green",),
}
_MOST = 12
"""Changed settings that are shown to people; programs get all of them."""
_WIDE = 60


def page(candidate: Candidate, found: BackTest, *, details: bool) -> None:
    """Print it."""
    show("\n".join(_head(candidate, found)))
    for one in found.counts:
        label = paint(f"{one.severity:<8}", *_STYLES[one.severity])
        sys.stdout.write(f"{label}{one.count:>6}  {paint(count_words(found, one))}\n")
        tasks = named_tasks(one)
        show(f"{'':16}{rule_words(found, one)}{f'  [{tasks}]' if tasks else ''}")
    rest = [*balance_lines(found.balance), *unknown_lines(found)]
    if rest:
        show("\n".join(["", *rest]))
    if details and found.differences:
        show("\n" + table(_HEADINGS, tuple(_row(one) for one in found.differences)))
    if found.differences:
        show("\n" + _next(found, details=details))


def _head(candidate: Candidate, found: BackTest) -> Iterator[str]:
    yield f"tried: the rules of {candidate.source}"
    if candidate.filled:
        yield f"  as adopted, for it has none: {', '.join(candidate.filled)}"
    if not found.changed:
        earlier = "; what differs are runs under earlier ones" if found.differences else ""
        yield f"  no setting differs from the adopted rules{earlier}"
    for one in found.changed[:_MOST]:
        yield f"  {_setting(one)}"
    if len(found.changed) > _MOST:
        yield f"  and {len(found.changed) - _MOST} more settings: --json has all"
    yield ""
    yield looked_at(found)


def _setting(one: Changed) -> str:
    old, new = (text if len(text) <= _WIDE else f"{text[:_WIDE]}..." for text in (one.old, one.new))
    return f"{one.key}: {old or '(nothing)'} -> {new or '(nothing)'}"


_HEADINGS = ("RUN", "TASK", "WHERE", "LEDGER", "AS IT WAS", "INSTEAD", "WHAT", "CAME OF IT")


def _row(one: Difference) -> tuple[str, ...]:
    where = str(one.stage or "")
    if one.n is not None:
        where += f" {one.n}"
    if one.item:
        where = f"{where} {one.item}".strip()
    told = f"{one.told} (if you say yes before)" if one.conditional else one.told
    return (
        one.run or "-",
        one.task or "-",
        where,
        one.commit[:12],
        one.old or "nothing",
        one.new or "nothing",
        f"{one.departure.value.replace('_', ' ')}: {told}",
        str(one.fate or ""),
    )


def _next(found: BackTest, *, details: bool) -> str:
    first = found.differences[0]
    more = "" if details else "lifeos backtest --details names each; "
    return f"next: {more}lifeos show {first.run or first.item} shows the first"
