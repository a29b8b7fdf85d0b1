"""Foreign text in Markdown that lifeos writes: it stays text, whatever is in it.

No markup, HTML, image, mention or reference of it comes alive, and none of it ends a fence, a cell
or a heading early.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from lifeos.core.clean import visible

LONGEST_BLOCK = 8000
"""Characters of one block of foreign text; what is longer is cut, and says so."""
_CUT = "\n[... cut ...]\n"

_MARKUP = re.compile(r"[\\`*_\[\]<>|~&$]")
_REFERENCE = re.compile(r"[@#](?=\w)|\bGH(?=-\d)|\b(?:https?|www)(?=[:.])", re.IGNORECASE)
_BLOCK_START = re.compile(r"^(\d{0,9})(?=[.)#+=-])")
_TICKS = re.compile(r"`+")
_WIDTHLESS = "\u200b"


def inline(text: str, limit: int = 200) -> str:
    """One line of foreign text as it was written, for a paragraph, heading or table cell."""
    escaped = _MARKUP.sub(r"\\\g<0>", one_line(text, limit))
    escaped = _BLOCK_START.sub(r"\1\\", escaped)
    # A forge links names, numbers and addresses after it read the Markdown: no escape helps.
    return _REFERENCE.sub(lambda found: found.group() + _WIDTHLESS, escaped)


def one_line(text: str, limit: int) -> str:
    """``text`` on one line, word for word (``clean.one_line`` takes out what a forge acts on)."""
    line = " ".join(visible(text).split())
    return line if len(line) <= limit else line[: limit - 1].rstrip() + "…"


def code(text: str, limit: int = 200, *, cell: bool = False) -> str:
    """One line of foreign text as a code span; ``cell`` for a table."""
    line = one_line(text, limit) or " "
    longest = max((len(run) for run in _TICKS.findall(line)), default=0)
    ticks = "`" * (longest + 1)
    edge = " " if line[0] == "`" or line[-1] == "`" else ""
    span = f"{ticks}{edge}{line}{edge}{ticks}"
    # GFM splits the row before it looks for code spans.
    return span.replace("|", r"\|") if cell else span


def fenced(text: str, language: str = "text", indent: str = "") -> str:
    """Lines of foreign text as a fenced block, each line behind ``indent``."""
    shown = visible(text).strip("\n")
    if len(shown) > LONGEST_BLOCK:
        half = LONGEST_BLOCK // 2
        shown = shown[:half] + _CUT + shown[-half:]
    longest = max((len(run) for run in _TICKS.findall(shown)), default=0)
    fence = "`" * max(3, longest + 1)
    lines = [f"{fence}{language}", *shown.split("\n"), fence]
    return "\n".join(f"{indent}{line}".rstrip() for line in lines)


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A GFM table; the cells are Markdown already (``inline`` or ``code``)."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def section(title: str, *parts: str) -> str:
    """A heading of the second level and its non-empty parts, with blank lines between them."""
    return "\n\n".join([f"## {title}", *(part for part in parts if part)])


def document(*parts: str) -> str:
    """Parts of a text with a blank line between them and one line end at the end."""
    return "\n\n".join(part for part in parts if part) + "\n"


def bullets(items: Iterable[str]) -> str:
    """A list of lines that are Markdown already; empty without any."""
    return "\n".join(f"- {item}" for item in items)


def outside_fences(text: str) -> list[tuple[int, str]]:
    """The lines of a Markdown text that are not in a fenced block, with their numbers from 1."""
    found = []
    fence = ""
    for number, line in enumerate(text.split("\n"), 1):
        ticks = re.match(r"[ ]*(`{3,})([^`]*)$", line)
        if not fence:
            if ticks:
                fence = ticks.group(1)
            else:
                found.append((number, line))
        elif ticks and len(ticks.group(1)) >= len(fence) and not ticks.group(2).strip():
            fence = ""
    return found
