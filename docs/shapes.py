"""Reference pages of values: what the ledger's records and the JSON outputs consist of.

Both come from the same models that write them, by way of their JSON Schema.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel

from lifeos.cli.schema_command import OUTPUTS, output_schema
from lifeos.core import records, state

Schema = Mapping[str, Any]  # Any: a JSON Schema has no narrower type

KINDS: tuple[type[BaseModel], ...] = (
    records.Opened,
    records.Claimed,
    records.Finished,
    records.Held,
    records.Resolved,
    records.Closed,
    records.Noted,
)
MANY = 12
"""Words of a closed list that still fit a cell."""


def records_page() -> str:
    """Every field of every kind of record, and of the values within."""
    parts = [
        "# The records, field by field",
        "What stands in the line `lifeos-record:` of each commit of the ledger;"
        " [ledger.md](ledger.md) says how the commits are made. A field that is left out has its"
        " default. Times are seconds since 1970 UTC, money is US dollars, trees and commits are"
        " git's ids, digests are SHA-256 in hex.",
    ]
    inner: dict[str, Schema] = {}
    for kind in KINDS:
        schema = kind.model_json_schema(mode="validation", ref_template="{model}")
        inner |= schema.pop("$defs", {})
        parts += _part("##", kind.__name__.lower(), _said(kind), schema)
    parts.append("## Values within")
    for name in sorted(inner):
        parts += _part("###", name, _about(inner[name]), inner[name])
    parts.append("## The snapshot")
    parts.append(f"`state.json`, every 256 transitions. {_said(state.Snapshot)}")
    return _joined(parts)


def outputs_page() -> str:
    """Every JSON output with its fields."""
    parts = [
        "# JSON outputs, field by field",
        'With `--json` a command prints `{"schema": "lifeos.NAME/v1", "data": …}`. `lifeos schema'
        " NAME` prints the JSON Schema of each. A field may be added within a version; one that is"
        " removed, or means something else, makes a new one.",
    ]
    schemas = {name: output_schema(name) for name in sorted(OUTPUTS)}
    meanings: dict[str, list[Schema]] = {}
    for schema in schemas.values():
        for one, inner in schema["$defs"].items():
            if inner not in meanings.setdefault(one, []):
                meanings[one].append(inner)
    for name, schema in schemas.items():
        data = schema["properties"]["data"]
        parts += _part("##", name, _about(data), data)
        for one, inner in sorted(schema["$defs"].items()):
            if len(meanings[one]) > 1:  # another output means something else by this name
                parts += _part("###", f"{one} (in {name})", _about(inner), inner)
    parts.append("## Values within")
    for one, (inner, *others) in sorted(meanings.items()):
        if not others:
            parts += _part("###", one, _about(inner), inner)
    return _joined(parts)


def _joined(parts: list[str]) -> str:
    return "\n\n".join(part for part in parts if part) + "\n"


def _said(model: type[BaseModel]) -> str:
    return _plain(inspect.getdoc(model) or "")


def _about(schema: Schema) -> str:
    return _plain(str(schema.get("description", "")))


def _plain(text: str) -> str:
    """A docstring as Markdown: one line a paragraph, code in single marks."""
    paragraphs = (" ".join(part.split()) for part in text.split("\n\n"))
    return "\n\n".join(paragraphs).replace("``", "`").replace("<", "&lt;")


def _part(level: str, name: str, said: str, schema: Schema) -> Iterator[str]:
    """A heading, what it is, and its fields; a closed list names its words."""
    yield f"{level} {name}"
    yield said
    if "enum" in schema:
        yield f"One of {', '.join(f'`{word}`' for word in schema['enum'])}."
        return
    rows = [
        f"| `{field}` | {_type(inner)} | {_default(field, inner, schema)} |"
        for field, inner in schema.get("properties", {}).items()
    ]
    if rows:
        yield "\n".join(["| field | type | default |", "| --- | --- | --- |", *rows])


def _default(field: str, inner: Schema, schema: Schema) -> str:
    if "default" not in inner:
        return "always there" if field in schema.get("required", ()) else "none"
    value = inner["default"]
    match value:
        case None:
            return "`null`"
        case bool():
            return f"`{str(value).lower()}`"
        case str():
            return f'`"{value}"`'
        case dict() | list() if value:
            return "its own defaults"
        case dict():
            return "`{}`"
        case list():
            return "`[]`"
        case _:
            return f"`{value}`"


def _type(schema: Schema) -> str:
    match schema:
        case {"$ref": ref}:
            return str(ref).rpartition("/")[2]
        case {"const": value}:
            return f"`{value}`"
        case {"enum": words} if len(words) <= MANY:
            return " or ".join(f"`{word}`" for word in words)
        case {"anyOf": kinds} | {"oneOf": kinds}:
            return " or ".join(dict.fromkeys(_type(kind) for kind in kinds))
        case {"allOf": [one]}:
            return _type(one)
        case {"type": "array", "prefixItems": kinds}:
            return f"({', '.join(_type(kind) for kind in kinds)})"
        case {"type": "array"}:
            return f"list of {_type(schema.get('items', {}))}"
        case {"type": "object", "additionalProperties": dict() as inner}:
            return f"{_type(inner)} by name"
        case {"type": kind}:
            return str(kind)
        case _:
            return "any"
