"""Moments and lengths of time as people write them: "2026-11-01", "2026-11-01T18:00+01:00", "30d".

Where no zone is given it is UTC, as everywhere on the ledger: the same words mean the same moment
on every machine. A day is its beginning.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime

from lifeos.errors import UsageError

KNOWN = "a date (2026-11-01), a time (2026-11-01T18:00Z), or a length of time ago (30d, 12h, 2w)"
_LENGTH = re.compile(r"([0-9]{1,6}) ?(s|min|h|d|w)")
_SECONDS = {"s": 1, "min": 60, "h": 3600, "d": 86_400, "w": 604_800}
_MOMENT = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
    r"(?:[T ][0-9]{2}:[0-9]{2}(?::[0-9]{2})?(?:Z|[+-][0-9]{2}:?[0-9]{2})?)?"
)


def length(text: str) -> int | None:
    """Seconds of "90s", "5min", "12h", "30d" or "2w"; None for anything else."""
    found = _LENGTH.fullmatch(text.strip())
    return int(found[1]) * _SECONDS[found[2]] if found else None


def when(text: str, now: int) -> int:
    """The moment, in seconds UTC; a length of time counts back from ``now``.

    Raises ``UsageError`` for what is neither, and for a day that no calendar has.
    """
    back = length(text)
    if back is not None:
        return now - back
    plain = text.strip()
    if not _MOMENT.fullmatch(plain):
        raise UsageError(f"{text[:80]!r} is no time", f"known are: {KNOWN}")
    try:
        found = datetime.fromisoformat(plain)
        return int((found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp())
    except (ValueError, OverflowError) as error:
        raise UsageError(
            f"{text[:80]!r} is in no calendar: {error}", f"known are: {KNOWN}"
        ) from error


def day(at: int) -> str:
    """The UTC day of a moment: "2026-11-01"."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d")


def minute(at: int) -> str:
    """A moment to the minute, in UTC: "2026-11-01 18:00"; of a day's beginning, the day alone."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M" if at % 86_400 else "%Y-%m-%d")
