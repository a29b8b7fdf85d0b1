"""One setting of a YAML file changed, and every other byte left as it is.

The parser says where a value stands, and it is cut out and replaced there. The result is read
again: it must say what the file said before, with that one change, or nothing is changed.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from lifeos import strict_yaml
from lifeos.strict_yaml import Path, Value

if TYPE_CHECKING:
    from ruamel.yaml.events import Event


class CannotEdit(ValueError):
    """The setting is not there, or the file is written in a way that cannot be changed exactly."""


@dataclass
class _Node:
    """A value in the text: from and to which character, and what is in it."""

    start: int
    end: int
    column: int
    flow: bool = False
    keys: dict[str, int] = field(default_factory=dict)  # where each key begins
    entries: dict[str, _Node] = field(default_factory=dict)
    items: list[_Node] = field(default_factory=list)
    is_map: bool = False
    is_list: bool = False


def with_value(data: bytes, file: str, path: Path, value: Value) -> bytes:
    """The file with another value at ``path``; a group on the way that is not there is made.

    Raises ``CannotEdit``.
    """
    text, before, root = _opened(data, file)
    wanted = _changed(before, path, value)
    return _checked(_set(text, root, path, value), file, wanted)


def without_item(data: bytes, file: str, path: Path, index: int) -> bytes:
    """The file without one entry of the list at ``path``, with the comments right above it."""
    text, before, root = _opened(data, file)
    found = _value_at(before, path)
    if not isinstance(found, list) or not 0 <= index < len(found):
        raise CannotEdit(f"{file} has no such entry")
    wanted = _changed(before, path, [*found[:index], *found[index + 1 :]])
    node = _node_at(root, path)
    cut = _without_flow if node.flow else _without_block
    return _checked(cut(text, node, index), file, wanted)


# --- reading ----------------------------------------------------------------------------------


def _opened(data: bytes, file: str) -> tuple[str, Value, _Node]:
    document = strict_yaml.read(data, file)
    if document.problems or not isinstance(document.value, dict):
        raise CannotEdit(f"{file} cannot be read")
    text = data.decode()
    events = _events(text)
    return text, document.value, _node(next(events), events)


def _events(text: str) -> Iterator[Event]:
    from ruamel.yaml import YAML
    from ruamel.yaml.events import MappingEndEvent, NodeEvent, SequenceEndEvent

    for event in YAML(typ="safe", pure=True).parse(text):
        if isinstance(event, NodeEvent | MappingEndEvent | SequenceEndEvent):
            yield event


def _node(event: Event, events: Iterator[Event]) -> _Node:
    from ruamel.yaml.events import (
        MappingEndEvent,
        MappingStartEvent,
        ScalarEvent,
        SequenceEndEvent,
        SequenceStartEvent,
    )

    node = _Node(event.start_mark.index, event.end_mark.index, event.start_mark.column)
    if isinstance(event, MappingStartEvent):
        node.is_map, node.flow = True, bool(event.flow_style)
        for key in events:
            if isinstance(key, MappingEndEvent):
                node.end = key.end_mark.index
                break
            name = key.value if isinstance(key, ScalarEvent) else ""
            node.keys[name] = key.start_mark.index
            node.entries[name] = _node(next(events), events)
    elif isinstance(event, SequenceStartEvent):
        node.is_list, node.flow = True, bool(event.flow_style)
        for item in events:
            if isinstance(item, SequenceEndEvent):
                node.end = item.end_mark.index
                break
            node.items.append(_node(item, events))
    return node


def _node_at(root: _Node, path: Path) -> _Node:
    node = root
    for part in path:
        if isinstance(part, int):
            if not 0 <= part < len(node.items):
                raise CannotEdit("there is no such entry")
            node = node.items[part]
        elif part in node.entries:
            node = node.entries[part]
        else:
            raise CannotEdit(f"`{part}` is not there")
    return node


# --- values -----------------------------------------------------------------------------------


def _value_at(value: Value, path: Path) -> Value:
    for part in path:
        if isinstance(value, list) and isinstance(part, int) and 0 <= part < len(value):
            value = value[part]
        elif isinstance(value, dict) and isinstance(part, str):
            value = value.get(part)
        else:
            return None
    return value


def _changed(value: Value, path: Path, new: Value) -> Value:
    """The same value with ``new`` at a path."""
    if not path:
        return new
    whole = deepcopy(value)
    place = whole
    for part in path[:-1]:
        if isinstance(place, dict) and isinstance(part, str):
            place = place.setdefault(part, {})
        elif isinstance(place, list) and isinstance(part, int) and 0 <= part < len(place):
            place = place[part]
        else:
            raise CannotEdit("the setting is not where it should be")
    last = path[-1]
    match place, last:
        case dict(), str():
            place[last] = new
        case list(), int() if 0 <= last < len(place):
            place[last] = new
        case _:
            raise CannotEdit("the setting is not where it should be")
    return whole


def _checked(text: str, file: str, wanted: Value) -> bytes:
    data = text.encode()
    document = strict_yaml.read(data, file)
    if document.problems or document.value != wanted or _kinds(document.value) != _kinds(wanted):
        raise CannotEdit(f"{file} is written so that this setting cannot be changed by itself")
    return data


def _kinds(value: Value) -> object:
    """What equality does not see: 1 and true, 1 and 1.0."""
    if isinstance(value, dict):
        return {key: _kinds(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_kinds(each) for each in value]
    return type(value)


def _written(value: Value, *, quoted: bool) -> str:
    """A value on one line; ``quoted``: as JSON has it, which is YAML too."""
    if quoted:
        return json.dumps(value)
    if isinstance(value, dict):
        inner = (f"{key}: {_written(each, quoted=False)}" for key, each in value.items())
        return "{" + ", ".join(inner) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_written(each, quoted=False) for each in value) + "]"
    if isinstance(value, str):
        plain = value.replace("_", "").replace("-", "").isalnum() and value[0].isalpha()
        words = {"true", "false", "null", "yes", "no", "on", "off"}
        return value if plain and value.lower() not in words else json.dumps(value)
    return json.dumps(value)


# --- cutting ----------------------------------------------------------------------------------


def _set(text: str, root: _Node, path: Path, value: Value) -> str:
    node, depth = root, 0
    for depth, part in enumerate(path):
        if isinstance(part, int):
            node = _node_at(node, (part,))
        elif part in node.entries:
            node = node.entries[part]
        else:
            return _put(text, node, path[depth:], value)
    if node.is_map or (node.is_list and not node.flow):
        raise CannotEdit("a whole group is not replaced")
    start, end = node.start, node.end
    if start == end:  # a key without a value
        return f"{text[:start]} {_written(value, quoted=False)}{text[end:]}"
    return text[:start] + _written(value, quoted=text[start] == '"') + text[end:]


def _put(text: str, node: _Node, path: Path, value: Value) -> str:
    """Put in a key that is not there, at the end of the group that it belongs to."""
    inner = value
    for part in reversed(path[1:]):
        inner = {str(part): inner}
    quoted = any(text[start] == '"' for start in node.keys.values())
    name = json.dumps(path[0]) if quoted else str(path[0])  # as its neighbours are written
    entry = f"{name}: {_written(inner, quoted=quoted)}"
    if not node.is_map:
        raise CannotEdit(f"`{path[0]}` has no place to be put")
    if node.flow:
        inside = text[node.start + 1 : node.end - 1].strip()
        close = node.end - 1
        glue = ", " if inside else ""
        return text[:close].rstrip() + glue + entry + text[close:]
    last = _last_line_end(text, node)
    indent = " " * node.column
    before = text[:last]
    newline = "\r\n" if "\r\n" in text else "\n"
    lead = "" if before.endswith("\n") or not before else newline
    return f"{before}{lead}{indent}{entry}{newline}{text[last:]}"


def _last_line_end(text: str, node: _Node) -> int:
    """Behind the last line of what is in a block, without the blanks and comments after it."""
    ends = [_content_end(each) for each in (*node.entries.values(), *node.items)]
    end = max(ends, default=node.start)
    line = text.find("\n", end)
    return len(text) if line < 0 else line + 1


def _content_end(node: _Node) -> int:
    """Where the last character of a value is: the parser says a later end of a block."""
    if node.flow or not (node.is_map or node.is_list):
        return node.end
    inner = [_content_end(each) for each in (*node.entries.values(), *node.items)]
    return max(inner, default=node.end)


def _without_flow(text: str, node: _Node, index: int) -> str:
    items = node.items
    if len(items) == 1:
        return text[: node.start] + "[]" + text[node.end :]
    if index + 1 < len(items):
        return text[: items[index].start] + text[items[index + 1].start :]
    return text[: items[index - 1].end] + text[items[index].end :]


def _without_block(text: str, node: _Node, index: int) -> str:
    start = _first_line(text, _dash(text, node.items[index].start))
    end = _last_line_end(text, _Node(0, 0, 0, items=[node.items[index]]))
    if len(node.items) > 1:
        return text[:start] + text[end:]
    # The only one: what is left must still be a list, behind its key.
    head = text[:start].rstrip()
    if not head.endswith(":"):
        raise CannotEdit("the list is not written behind its key")
    newline = "\r\n" if "\r\n" in text else "\n"
    return f"{head} []{newline}{text[end:]}"


def _dash(text: str, start: int) -> int:
    """Where the line of an entry begins."""
    dash = text.rfind("-", 0, start)
    line = text.rfind("\n", 0, dash) + 1
    if dash < 0 or text[line:dash].strip():
        raise CannotEdit("the entry does not begin its line")
    return line


def _first_line(text: str, line: int) -> int:
    """With the comments that stand right above it, at its own indent."""
    indent = len(text[line:]) - len(text[line:].lstrip(" "))
    while line > 0:
        above = text.rfind("\n", 0, line - 1) + 1
        content = text[above : line - 1]
        if not content.startswith(" " * indent + "#"):
            return line
        line = above
    return line
