"""Colours for people: only on a terminal, never where NO_COLOR is set, never in data."""

from __future__ import annotations

from lifeos.cli.frame import colours
from lifeos.core.clean import for_terminal

_CODES = {"bold": 1, "dim": 2, "red": 31, "green": 32, "yellow": 33, "cyan": 36}


def paint(text: str, *styles: str) -> str:
    """The text, cleaned, in these styles: bold, dim, red, green, yellow, cyan."""
    cleaned = for_terminal(text)
    if not styles or not colours():
        return cleaned
    codes = ";".join(str(_CODES[style]) for style in styles)
    return f"\x1b[{codes}m{cleaned}\x1b[0m"
