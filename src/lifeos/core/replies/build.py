"""The last message of who built: words for people. Nothing is decided by them."""

from __future__ import annotations

from lifeos.core.clean import one_line, visible

LONGEST = 4000
"""Characters of a summary that are kept; what is longer is cut."""
NOTHING_SAID = "the agent said nothing at the end"


def summary(text: str) -> str:
    """The message without what cannot be seen, at most LONGEST characters. Never evidence."""
    shown = visible(text).strip()
    return shown if len(shown) <= LONGEST else shown[: LONGEST - 1].rstrip() + "…"


def first_line(text: str) -> str:
    """The first line of a message that says something, inert, for lists and commits."""
    lines = (line.strip().lstrip("#*-> ").strip() for line in summary(text).splitlines())
    return one_line(next((line for line in lines if line), NOTHING_SAID))
