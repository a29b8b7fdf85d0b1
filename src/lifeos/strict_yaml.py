"""YAML 1.2 text to plain values, for files that decide something. Strict, small, and with places.

Only mappings with text keys, lists, and the scalars of YAML's core schema are read. Whatever could
mean two things, or hide something, is refused by name: duplicate keys, anchors and aliases, merge
keys, tags, directives, several documents, byte order marks, UTF-16, control and direction
characters. The parser's events are built into values here, so nothing is ever constructed by tag
and no alias is ever expanded.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from lifeos.errors import Place, Problem

if TYPE_CHECKING:
    from ruamel.yaml.events import Event, NodeEvent, ScalarEvent

Value = str | int | float | bool | None | list["Value"] | dict[str, "Value"]
Path = tuple[str | int, ...]
Where = tuple[int, int]
"""Line and column, both from 1."""

MAX_BYTES = 64 * 1024
"""Ten times the largest file that `init` writes. The parser needs up to a second for so much."""
MAX_DEPTH = 20
MAX_NODES = 10_000
MAX_PROBLEMS = 20
"""After so many the rest of the file is not read: the first ones are enough to start mending."""

_INTEGER = re.compile(r"[-+]?[0-9]{1,18}|0o[0-7]{1,18}|0x[0-9a-fA-F]{1,15}")
_NUMBER = re.compile(r"[-+]?(\.[0-9]{1,300}|[0-9]{1,300}(\.[0-9]{0,300})?)([eE][-+]?[0-9]{1,9})?")
_LONG_NUMBER = re.compile(r"[-+]?[0-9]{19,}")
_CONSTANTS: dict[str, bool | None] = {
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys(("null", "Null", "NULL", "~", ""), None),
}
_HIDDEN = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f"
    "\u061c\u200b\u200e\u200f\u202a-\u202e\u2060-\u2069\ufeff\ud800-\udfff]"
)
# What the parser lets out on strange input instead of its own error: `\UFFFFFFFF`, `%YAML 1.21`.
_SLIPS = (ValueError, OverflowError, IndexError, AttributeError, TypeError, AssertionError)
_CONFLICT = re.compile(r"^(<{7}|>{7}) ", re.MULTILINE)


@dataclass(frozen=True)
class Document:
    """What a file says. ``keys`` and ``values`` are where each key and value stands."""

    file: str
    value: Value = None
    keys: Mapping[Path, Where] = field(default_factory=dict)
    values: Mapping[Path, Where] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()

    def where(self, path: Path, *, key: bool = False) -> Place:
        """The place of a value (or its key), or of the nearest thing around it that is there."""
        for end in range(len(path), -1, -1):
            near = path[:end]
            first, second = (self.keys, self.values) if key else (self.values, self.keys)
            found = first.get(near) or second.get(near)
            if found:
                return Place(self.file, *found)
        return Place(self.file, 1, 1)


def read(data: bytes, file: str) -> Document:
    """The one YAML document in ``data``. Never raises for what is in it: see ``problems``."""
    text = text_of(data, file)
    if isinstance(text, Problem):
        return Document(file, problems=(text,))
    builder = _Builder(file)
    try:
        value = builder.document(_events(text))
    except _Refused as refused:
        return Document(file, problems=(*builder.problems, refused.problem))
    return Document(file, value, builder.keys, builder.values, tuple(builder.problems))


def text_of(data: bytes, file: str, most: int = MAX_BYTES) -> str | Problem:
    """The file as text, or why it is none; ``most`` is how many bytes it may have."""
    if len(data) > most:
        problem = f"has {len(data)} bytes; at most {most} are read"
        return Problem(Place(file), problem, "make it smaller; a policy is a page or two")
    if data.startswith((b"\xff\xfe", b"\xfe\xff", b"\x00\x00\xfe\xff")):
        return Problem(Place(file, 1, 1), "is UTF-16 or UTF-32 text", "save it as UTF-8")
    if data.startswith(b"\xef\xbb\xbf"):
        return Problem(
            Place(file, 1, 1), "starts with a byte order mark", "save it as UTF-8 without BOM"
        )
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        line, column = _position(data[: error.start].decode(), error.start)
        return Problem(Place(file, line, column), "is not UTF-8 text", "save it as UTF-8")
    hidden = _HIDDEN.search(text)
    if hidden:
        return Problem(
            Place(file, *_position(text, hidden.start())),
            f"has the invisible or control character U+{ord(hidden.group()):04X}",
            "delete it",
        )
    conflict = _CONFLICT.search(text)
    if conflict:
        place = Place(file, *_position(text, conflict.start()))
        return Problem(place, "has a merge conflict marker", "resolve the conflict and commit")
    return text


def shortened(text: str) -> str:
    """``text`` as far as a message can show it: one line, at most 60 characters."""
    line = " ".join(text.split())
    return line if len(line) <= 60 else line[:57] + "..."


def _position(text: str, index: int) -> Where:
    before = text[:index]
    return before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1


def _events(text: str) -> Iterator[Event]:
    """The parser's events; imports ruamel.yaml, which is dear, only here."""
    from ruamel.yaml import YAML

    yaml = YAML(typ="safe", pure=True)
    yield from yaml.parse(text)


class _Refused(Exception):
    """Nothing after this can be read. Caught in `read`; never leaves this module."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(str(problem))
        self.problem = problem


class _Builder:
    """Turns one document's events into values, and writes down what is refused, and where."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.keys: dict[Path, Where] = {}
        self.values: dict[Path, Where] = {}
        self.problems: list[Problem] = []
        self._nodes = 0
        self._last: Where = (1, 1)

    def document(self, events: Iterator[Event]) -> Value:
        """The value of the only document."""
        from ruamel.yaml.error import YAMLError
        from ruamel.yaml.events import DocumentStartEvent

        value: Value = None
        started = False
        try:
            for event in events:
                if isinstance(event, DocumentStartEvent):
                    if started:
                        self._stop(event, "has more than one document", "keep one; remove `---`")
                    started = True
                    if event.version or event.tags:
                        self._stop(event, "has a % directive", "remove the line that starts with %")
                    value = self._node(next(events), events, ())
        except YAMLError as error:
            raise _Refused(self._syntax(error)) from None
        except _SLIPS as error:
            # The parser's own slips on strange input, such as a character number beyond Unicode.
            problem = Problem(
                Place(self.file, *self._last), f"is not valid YAML: {shortened(str(error))}"
            )
            raise _Refused(problem) from None
        return value

    def _syntax(self, error: Exception) -> Problem:
        mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
        place = Place(self.file, mark.line + 1, mark.column + 1) if mark else Place(self.file, 1, 1)
        said = getattr(error, "problem", None) or str(error).split("\n", 1)[0]
        fix = (
            "indent with spaces, not tabs" if "\\t" in said else "correct the line, or one above it"
        )
        return Problem(place, f"is not valid YAML: {shortened(said)}", fix)

    def _node(self, event: Event, events: Iterator[Event], path: Path) -> Value:
        from ruamel.yaml.events import (
            AliasEvent,
            MappingStartEvent,
            NodeEvent,
            ScalarEvent,
            SequenceStartEvent,
        )

        self._count(event, path)
        self.values[path] = self._at(event)
        if isinstance(event, AliasEvent):
            self._say(event, "aliases (`*name`) are not read", "write the value out")
            return None
        if isinstance(event, NodeEvent):
            self._plain(event)
        if isinstance(event, MappingStartEvent):
            return self._mapping(events, path)
        if isinstance(event, SequenceStartEvent):
            return self._sequence(events, path)
        if isinstance(event, ScalarEvent):
            return self._scalar(event)
        raise AssertionError(f"an event that cannot stand here: {event!r}")

    def _plain(self, event: NodeEvent) -> None:
        """Refuse what gives a node another meaning than the one it shows."""
        if event.anchor is not None:
            self._say(event, "anchors (`&name`) are not read", "write the value out where it is")
        tag = getattr(event, "tag", None)
        if tag is not None:
            self._say(event, f"tags (`{shortened(str(tag))}`) are not read", "remove the tag")

    def _sequence(self, events: Iterator[Event], path: Path) -> Value:
        from ruamel.yaml.events import SequenceEndEvent

        items: list[Value] = []
        for event in events:
            if isinstance(event, SequenceEndEvent):
                break
            items.append(self._node(event, events, (*path, len(items))))
        return items

    def _mapping(self, events: Iterator[Event], path: Path) -> Value:
        from ruamel.yaml.events import MappingEndEvent, ScalarEvent

        entries: dict[str, Value] = {}
        for event in events:
            if isinstance(event, MappingEndEvent):
                break
            here = self._at(event)
            plain = isinstance(event, ScalarEvent) and not event.style
            key = self._node(event, events, (*path, "?"))
            if plain and key == "<<":
                self._say(event, "merge keys (`<<`) are not read", "write the keys out")
            elif not isinstance(key, str):
                self._say(event, "a key must be text", "put it in quotes, or correct it")
                key = str(key)
            elif key in entries:
                self._say(event, f"the key `{shortened(key)}` is here twice", "keep one of them")
            child = (*path, str(key))
            self.keys[child] = here
            entries[str(key)] = self._node(next(events), events, child)
        return entries

    def _scalar(self, event: ScalarEvent) -> Value:
        text: str = event.value
        if _HIDDEN.search(text):
            self._say(event, "has an invisible or control character", "delete it")
        if event.style:
            return text
        if text in _CONSTANTS:
            return _CONSTANTS[text]
        if _INTEGER.fullmatch(text):
            return int(text, 0) if text.startswith("0") and text[1:2] in {"o", "x"} else int(text)
        if _LONG_NUMBER.fullmatch(text):
            self._say(event, "is a number of more than 18 digits", "make it smaller")
            return 0
        if _NUMBER.fullmatch(text):
            return float(text)
        return text

    def _count(self, event: Event, path: Path) -> None:
        self._nodes += 1
        self._last = self._at(event)
        if self._nodes > MAX_NODES:
            self._stop(event, f"has more than {MAX_NODES} entries", "make it smaller")
        if len(path) > MAX_DEPTH:
            self._stop(event, f"is nested more than {MAX_DEPTH} deep", "make it flatter")

    def _at(self, event: Event) -> Where:
        mark = event.start_mark
        return mark.line + 1, mark.column + 1

    def _say(self, event: Event, message: str, fix: str) -> None:
        problem = Problem(Place(self.file, *self._at(event)), message, fix)
        if len(self.problems) + 1 >= MAX_PROBLEMS:
            raise _Refused(problem)
        self.problems.append(problem)

    def _stop(self, event: Event, message: str, fix: str) -> None:
        raise _Refused(Problem(Place(self.file, *self._at(event)), message, fix))
