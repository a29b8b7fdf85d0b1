"""Values in the output of programs that print JSON: one document, or one on each line."""

from __future__ import annotations

import json
from collections.abc import Iterator

MOST_LINES = 20_000
"""Lines that are tried; later ones first, as what counts comes last."""


def find(text: str, path: str) -> tuple[object, ...]:
    """What stands at ``path`` in the last document of ``text`` that has anything there; else ().

    ``path`` is names with dots (``result.text``); ``[]`` after one stands for every entry of a list
    (``content[].text``). A line of another kind is passed over.
    """
    steps = [step for part in path.split(".") for step in _steps(part)]
    for document in _documents(text):
        found = tuple(_at(document, steps))
        if found:
            return found
    return ()


def _steps(part: str) -> Iterator[str]:
    name = part.removesuffix("[]")
    if name:
        yield name
    if name != part:
        yield "[]"


def _documents(text: str) -> Iterator[object]:
    """The whole as one document, else the lines, the last first."""
    whole = _parsed(text)
    if whole is not None:
        yield whole
        return
    for line in reversed(text.splitlines()[-MOST_LINES:]):
        if line.lstrip()[:1] in ("{", "[") and (document := _parsed(line)) is not None:
            yield document


def _parsed(text: str) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _at(value: object, steps: list[str]) -> Iterator[object]:
    for number, step in enumerate(steps):
        if step == "[]":
            for each in value if isinstance(value, list) else []:
                yield from _at(each, steps[number + 1 :])
            return
        if not isinstance(value, dict) or step not in value:
            return
        value = value[step]
    yield value
