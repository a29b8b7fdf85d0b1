"""Answers of models: one JSON object each, read strictly. What does not fit is said exactly.

An answer is foreign text. It is believed in nothing: what it says is shown to people and compared
with rules, and only its shape is checked here.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, TypeVar

from pydantic import BaseModel, StringConstraints, ValidationError

from lifeos.core.clean import visible

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

LARGEST = 200_000
"""Characters of one answer's JSON."""
DEEPEST = 16
"""Objects and lists inside of one another."""
MOST_SAID = 12
"""Problems of one answer that are named."""

_Model = TypeVar("_Model", bound=BaseModel)
_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})[ \t]*([^`\n]*)$")
_INK = r"\S"

Short = Annotated[str, StringConstraints(min_length=1, max_length=300, pattern=_INK)]
"""A line of an answer: a name, a path, a command."""
Words = Annotated[str, StringConstraints(min_length=1, max_length=1500, pattern=_INK)]
"""A few sentences of an answer."""
Prose = Annotated[str, StringConstraints(min_length=1, max_length=6000, pattern=_INK)]
"""A paragraph or more of an answer."""


class Unfit(ValueError):
    """An answer that cannot be used. ``message`` tells the model exactly what to mend."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


def json_block(text: str) -> object:
    """The answer in a model's last message: its fenced ``json`` block, or the text as a whole.

    Raises Unfit where there is none, or several that differ, or where it is not strict JSON: a key
    twice, NaN, more than LARGEST characters or DEEPEST levels, text that is not Unicode.
    """
    blocks = list(_blocks(text))
    if not blocks:
        bare = text.strip()
        if not bare.startswith("{"):
            raise Unfit(
                "there is no answer: end your message with one ```json block that holds one object"
            )
        blocks = [bare]
    answer = _strict(blocks[-1])
    for other in blocks[:-1]:
        # As text: to Python 1, 1.0 and true are equal.
        if json.dumps(_strict(other), sort_keys=True) != json.dumps(answer, sort_keys=True):
            raise Unfit(
                f"there are {len(blocks)} ```json blocks that differ: write one only, your answer"
            )
    return answer


def fitted(text: str, model: type[_Model]) -> _Model:
    """The answer in ``text`` as ``model``. Raises Unfit that names what does not fit."""
    answer = json_block(text)
    if not isinstance(answer, dict):
        raise Unfit(f"the answer has to be one JSON object, not {_kind(answer)}")
    try:
        # Through JSON: there a list may become a tuple and a word an enum member, strictly.
        return model.model_validate_json(json.dumps(answer), strict=True)
    except ValidationError as error:
        details = error.errors(include_url=False, include_context=True)
        lines = [_line(detail) for detail in details[:MOST_SAID]]
        more = len(details) - len(lines)
        end = [f"and {more} more"] if more > 0 else []
        raise Unfit("\n".join(["the JSON does not fit the schema:", *lines, *end])) from None


def schema_text(model: type[BaseModel], example: Mapping[str, object]) -> str:
    """What a prompt says of the answer's shape: the model's JSON Schema, and one small example."""
    schema = json.dumps(model.model_json_schema(), ensure_ascii=False, separators=(",", ":"))
    shown = json.dumps(example, ensure_ascii=False, indent=2)
    return f"JSON Schema:\n\n{schema}\n\nA small example:\n\n```json\n{shown}\n```"


def _blocks(text: str) -> Iterator[str]:
    """The contents of the fenced blocks marked ``json``; a fence inside of a longer one is text."""
    fence, language, lines = "", "", list[str]()
    for line in text.replace("\r\n", "\n").split("\n"):
        found = _FENCE.match(line)
        if not fence:
            if found:
                fence, language, lines = found[1], found[2].strip().casefold(), []
        elif found and found[1].startswith(fence) and not found[2].strip():
            if language == "json":
                yield "\n".join(lines)
            fence = ""
        else:
            lines.append(line)
    if fence and language == "json":
        raise Unfit(
            "the ```json block is not closed: the message was cut off, or the fence is missing"
        )


def _strict(text: str) -> object:
    if len(text) > LARGEST:
        raise Unfit(f"the JSON has {len(text)} characters; at most {LARGEST} are read: be brief")
    try:
        value: object = json.loads(
            text,
            object_pairs_hook=_once,
            parse_constant=_no_constant,
            parse_float=_finite,
        )
    except Unfit:
        raise
    except json.JSONDecodeError as error:
        raise Unfit(
            f"this is not JSON: {error.msg}, line {error.lineno}, column {error.colno} of the block"
        ) from None
    except RecursionError:
        raise Unfit(f"the JSON is more than {DEEPEST} levels deep") from None
    except ValueError:  # a whole number of thousands of digits
        raise Unfit("the JSON has a number that is too long") from None
    _bounded(value)
    return value


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found: dict[str, object] = {}
    for key, value in pairs:
        if key in found:
            raise Unfit(f"the key {_quoted(key)} is there twice in one object")
        found[key] = value
    return found


def _no_constant(name: str) -> object:
    raise Unfit(f"{name} is not JSON")


def _finite(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise Unfit("the JSON has a number that is too large")
    return number


def _bounded(value: object) -> None:
    """Refuse what is too deep, and text with half a surrogate pair: no file could hold it."""
    left: list[tuple[object, int]] = [(value, 1)]
    while left:
        part, depth = left.pop()
        if depth > DEEPEST and isinstance(part, dict | list):
            raise Unfit(f"the JSON is more than {DEEPEST} levels deep")
        if isinstance(part, dict):
            left += [(each, depth) for each in part]
            left += [(each, depth + 1) for each in part.values()]
        elif isinstance(part, list):
            left += [(each, depth + 1) for each in part]
        elif isinstance(part, str) and any("\ud800" <= char <= "\udfff" for char in part):
            raise Unfit("the JSON has half of a surrogate pair, which is no character")


def _line(detail: ErrorDetails) -> str:
    place = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in detail["loc"])
    name = _quoted(place.removeprefix(".")) if place else "the object"
    kind = detail["type"]
    if kind == "extra_forbidden":
        return f"- {name}: no such key in the schema, leave it out"
    if kind == "missing":
        return f"- {name}: is missing"
    message = visible(detail["msg"])[:300]
    return f"- {name}: {message}, not {_kind(detail['input'])}"


def _quoted(text: str) -> str:
    shown = " ".join(visible(text).split())
    return f"`{shown if len(shown) <= 80 else shown[:79] + '…'}`"


def _kind(value: object) -> str:
    """What a value is, for a message; never much of what it says."""
    match value:
        case None | bool():
            return {None: "null", True: "true", False: "false"}[value]
        case str():
            return f"a text of {len(value)} characters"
        case int() | float():
            return "a number"
        case list():
            return f"a list of {len(value)}"
        case _:
            return "an object"
