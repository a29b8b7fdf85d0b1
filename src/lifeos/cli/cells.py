"""Foreign text in one cell of a table: on one line, harmless, and not too long."""

from __future__ import annotations

from lifeos.core.clean import for_terminal


def cell(text: str, limit: int = 60) -> str:
    """The text on one line of at most ``limit`` characters; a longer one ends in "…"."""
    line = " ".join(for_terminal(text).split())
    return line if len(line) <= limit else line[: limit - 1].rstrip() + "…"
