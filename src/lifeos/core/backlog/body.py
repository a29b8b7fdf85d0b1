"""What stands below a task's title: fields, acceptance items, recipes, and prose."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lifeos.core.backlog.fields import KEYS, Fields, acceptance_item
from lifeos.core.backlog.inline import key_value

if TYPE_CHECKING:
    from markdown_it.token import Token

_LEVEL = 2  # of the blocks of an item of a top-level list
_LISTS = ("bullet_list_open", "ordered_list_open")
_ACCEPTANCE = re.compile(r"[*_]{0,2}acceptance(?: criteria)?[*_]{0,2}:[*_]{0,2}", re.IGNORECASE)


@dataclass(frozen=True)
class Body:
    """The prose as it was written, dedented, and the contents of the recipe blocks."""

    description: str
    recipe: tuple[str, ...]


def read_body(
    tokens: Sequence[Token], lines: Sequence[str], fields: Fields, rest: str, indent: int
) -> Body:
    """Read the blocks behind the title; ``rest`` is the title paragraph's own further text.

    ``indent`` is the column (from 0) at which the item's content begins.
    """
    if not tokens and not rest:
        return Body("", ())
    prose = ["\n".join(line.strip() for line in rest.split("\n"))] if rest else []
    recipe: list[str] = []
    in_acceptance = False
    for start, end in _blocks(tokens, _LEVEL):
        token = tokens[start]
        expected, in_acceptance = in_acceptance, False
        if token.type in _LISTS and expected:
            items = _items(tokens, start, end)
            fields.acceptance += [acceptance_item(_text(tokens, *item)) for item in items]
        elif token.type in _LISTS:
            for first, last in _items(tokens, start, end):
                if not _field(tokens, first, last, fields, lines):
                    prose.append(_source(tokens[first], lines, indent))
        elif token.type == "fence" and token.info.split() == ["sh", "recipe"]:
            # Blank lines at the end say nothing, and a block that never ends would collect them.
            recipe += [f"{text}\n" for text in [token.content.rstrip()] if text]
        elif token.type == "paragraph_open" and _ACCEPTANCE.fullmatch(_text(tokens, start, end)):
            in_acceptance = True
        else:
            prose.append(_source(token, lines, indent))
    return Body("\n\n".join(prose), tuple(recipe))


def _blocks(tokens: Sequence[Token], level: int) -> Iterator[tuple[int, int]]:
    """Start and end of each block of this level (the same for a block without inner tokens)."""
    start = 0
    for number, token in enumerate(tokens):
        if token.level != level:
            continue
        if token.nesting == 1:
            start = number
        else:
            yield (start if token.nesting == -1 else number), number


def _items(tokens: Sequence[Token], start: int, end: int) -> list[tuple[int, int]]:
    """The items of the list from ``start`` to ``end``."""
    level = tokens[start].level + 1
    inner = _blocks(tokens[start + 1 : end], level)
    return [(start + 1 + first, start + 1 + last) for first, last in inner]


def _text(tokens: Sequence[Token], start: int, end: int) -> str:
    """The first text inside a block, on one line."""
    for token in tokens[start : end + 1]:
        if token.type == "inline":
            return " ".join(line.strip() for line in token.content.split("\n"))
    return ""


def _field(
    tokens: Sequence[Token], start: int, end: int, fields: Fields, lines: Sequence[str]
) -> bool:
    """Read one nested bullet as a field; its value may go on in bullets below it."""
    if tokens[start + 1].type != "paragraph_open":
        return False
    pair = key_value(_text(tokens, start, end))
    if not pair:
        return False
    key, value = pair
    values = [value] if value else []
    if key in KEYS:
        for first, last in _blocks(tokens[start:end], tokens[start].level + 1):
            if tokens[start + first].type in _LISTS:
                inner = _items(tokens, start + first, start + last)
                values += [_text(tokens, *item) for item in inner]
    row = (tokens[start].map or [0])[0]
    column = len(lines[row]) - len(lines[row].lstrip(" \t-+*")) + 1
    return fields.take(key, values, row + 1, column)


def _source(token: Token, lines: Sequence[str], indent: int) -> str:
    """The lines of a block as they stand in the file, without the indentation of the item."""
    first, stop = token.map or [0, 0]
    rows = list(lines[first:stop])
    while rows and not rows[-1].strip():
        rows.pop()
    return "\n".join(_dedented(row, indent) for row in rows)


def _dedented(row: str, indent: int) -> str:
    text = row.lstrip(" \t")
    lead = row[: len(row) - len(text)].expandtabs(4)
    return lead[indent:] + text if text else ""
