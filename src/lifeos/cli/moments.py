"""Times and money as people read them."""

from __future__ import annotations

_UNITS = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))


def span(seconds: float) -> str:
    """A length of time in its largest unit: "45 s", "5 min", "3 h", "6 d"."""
    whole = max(0, int(seconds))
    for size, unit in _UNITS:
        if whole >= size:
            return f"{whole // size} {unit}"
    return "0 s"


def ago(at: int, now: float) -> str:
    """How long ago a time was; "now" in its first second, or for a time yet to come."""
    return f"{span(now - at)} ago" if now - at >= 1 else "now"


def until(at: int | None, now: float) -> str:
    """When something ends: "in 6 d", "3 h ago", or "never"."""
    if at is None:
        return "never"
    return f"in {span(at - now)}" if at > now else f"{span(now - at)} ago"
