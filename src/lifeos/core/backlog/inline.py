"""Reading the text of one line: code spans, lists of values, tags, the parts of the inline form.

Every function takes time in proportion to the length of the text, whatever the text.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_TICKS = re.compile(r"`+")
_TAG = re.compile(r"#([A-Za-z][\w/-]*)")
_BREAK = re.compile(r"(?<=[ \t])(?:—|--)(?=[ \t])")
_KEYED = re.compile(r"[*_]{0,2}([A-Za-z][A-Za-z_-]{0,30})[*_]{0,2}[ \t]{0,4}:[*_]{0,2}")


def code_spans(text: str) -> list[tuple[int, int, str]]:
    """The code spans: start, end (with the backticks) and content."""
    if "`" not in text:
        return []
    runs = [(found.start(), found.end()) for found in _TICKS.finditer(text)]
    closer: list[int | None] = [None] * len(runs)
    nearest: dict[int, int] = {}
    for number in range(len(runs) - 1, -1, -1):
        width = runs[number][1] - runs[number][0]
        closer[number] = nearest.get(width)
        nearest[width] = number
    spans = []
    number = 0
    while number < len(runs):
        start, end = runs[number]
        match = closer[number]
        number += 1
        if match is not None and not _escaped(text, start):
            stop, after = runs[match]
            spans.append((start, after, text[end:stop].strip()))
            number = match + 1
    return spans


def _escaped(text: str, position: int) -> bool:
    head = text[max(0, position - 64) : position]
    return (len(head) - len(head.rstrip("\\"))) % 2 == 1


def masked(text: str) -> str:
    """The text with code spans blanked out, every other character where it was."""
    parts = []
    last = 0
    for start, end, _ in code_spans(text):
        parts += [text[last:start], "\0" * (end - start)]
        last = end
    return "".join([*parts, text[last:]])


def list_values(text: str) -> tuple[str, ...]:
    """The values between the commas, without the code spans around them."""
    return tuple(value for piece in _cut(text, r",") if (value := plain(piece)))


def plain(text: str) -> str:
    """The text without blanks around it, and without the code span if it is nothing else."""
    text = text.strip()
    spans = code_spans(text)
    if len(spans) == 1 and spans[0][:2] == (0, len(text)):
        return spans[0][2]
    return text


def trailing_tags(text: str) -> tuple[str, tuple[str, ...]]:
    """The text without the #tags at its end, and the tags in order."""
    if "#" not in text:
        return text.rstrip(), ()
    tags: list[str] = []
    end = len(text.rstrip())
    while True:
        start = max(text.rfind(" ", 0, end), text.rfind("\t", 0, end)) + 1
        found = _TAG.fullmatch(text, start, end)
        if not found:
            return text[:end], tuple(reversed(tags))
        tags.append(found.group(1))
        end = len(text[:start].rstrip())


@dataclass(frozen=True)
class Part:
    """A part between dashes: where the dash before it begins, and where its own text does."""

    dash: int
    start: int
    text: str


def inline_parts(text: str) -> list[Part]:
    """The parts between the dashes (``—`` or ``--`` with blanks around them) outside of code."""
    cuts = [(0, 0), *(found.span() for found in _BREAK.finditer(masked(text)))]
    ends = [*(dash for dash, _ in cuts[1:]), len(text)]
    return [
        Part(dash, start, text[start:end]) for (dash, start), end in zip(cuts, ends, strict=True)
    ]


def key_value(text: str) -> tuple[str, str] | None:
    """``key: value`` with the key in lower case, or None if the text is not of that form."""
    text = text.strip()
    found = _KEYED.match(text)
    if not found or text[found.end() : found.end() + 2] == "//":
        return None
    return found.group(1).lower(), text[found.end() :].strip()


def command_at_end(text: str) -> tuple[str, str | None]:
    """An acceptance item's text, and the code span that ends it after a colon."""
    text = text.strip()
    spans = code_spans(text)
    if spans and spans[-1][1] == len(text):
        before = text[: spans[-1][0]].rstrip()
        if before.endswith(":"):
            return before[:-1].rstrip(), spans[-1][2]
    return text, None


def _cut(text: str, separator: str) -> list[str]:
    pieces = []
    last = 0
    for found in re.finditer(separator, masked(text)):
        pieces.append(text[last : found.start()])
        last = found.end()
    return [*pieces, text[last:]]
