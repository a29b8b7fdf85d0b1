"""Numbers and moments as a report writes them."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from itertools import pairwise

from lifeos.core.metrics.values import Unit
from lifeos.core.spend import dollars

NOTHING = "n/a"
"""What stands for a number where there is nothing to count."""
_UNITS = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))


def took(seconds: float) -> str:
    """A length of time in its two largest units: "45 s", "5 min", "3 h 20 min", "6 d 4 h"."""
    whole = max(0, round(seconds))
    for (size, unit), (less, smaller) in pairwise(_UNITS):
        if whole >= size:
            rest = whole % size // less
            return f"{whole // size} {unit}{f' {rest} {smaller}' if rest and less > 1 else ''}"
    return f"{whole} s"


def moment(at: int) -> str:
    """A moment to the minute, in UTC."""
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M}"


def iso(at: int) -> str:
    """A moment as machines read it."""
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%dT%H:%M:%SZ}"


def date(at: int) -> str:
    """The UTC day without its year: "3 Jan"."""
    day = datetime.fromtimestamp(at, UTC)
    return f"{day.day} {day:%b}"


def hour(at: int) -> str:
    """Day and time in UTC, as short as they go: "3 Jan 18:05"."""
    return f"{date(at)} {datetime.fromtimestamp(at, UTC):%H:%M}"


def percent(share: float) -> str:
    """A share as people read it; what is not quite all or nothing is not rounded to it."""
    if 0 < share < 0.01:
        return "<1 %"
    if 0.99 < share < 1:
        return ">99 %"
    return f"{share * 100:.0f} %"


def amount(value: float | None, unit: Unit) -> str:
    """A number in its unit."""
    if value is None:
        return NOTHING
    match unit:
        case Unit.SHARE:
            return percent(value)
        case Unit.SECONDS:
            return took(value)
        case Unit.DOLLARS:
            return dollars(value)
        case Unit.TOKENS:
            return f"{value:,.0f}"
        case Unit.COUNT:
            return f"{value:,.0f}" if value == round(value) else f"{value:.2f}"


_UNIT = re.compile(r"(?<=[0-9]) (?=(?:%|s|min|h|d|weeks?|days?|months?)(?![a-z]))")


def glued(text: str) -> str:
    """The text with numbers that keep their unit on the same line."""
    return _UNIT.sub("\u00a0", text)


def plural(number: int, noun: str) -> str:
    """A number with its noun."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
