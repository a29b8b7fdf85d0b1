"""Settings of tools as one flat table, so that two versions can be compared setting by setting."""

from __future__ import annotations

import configparser
import json
import re
import tomllib
from collections.abc import Iterator

Value = str | int | float | bool | tuple[str, ...]
Flat = dict[str, Value]
"""``tool.ruff.line-length`` -> 100. Lists are tuples of texts; tables are taken apart."""

LARGEST = 1_000_000
"""Characters; what is larger is no file of settings."""

# Each begins and always ends, at the latest with the text: so no input is read more than once.
# Without possessive groups: Python up to 3.11.4 matches those wrongly.
_COMMENT = re.compile(r"\"[^\"\\\n]*(?:\\.[^\"\\\n]*)*\"?|//[^\n]*|/\*.*?(?:\*/|\Z)", re.DOTALL)
_TRAILING = re.compile(r",(\s*[}\]])")


def flat(path: str, text: str) -> Flat:
    """The settings in ``text``; empty when it cannot be read."""
    if len(text) > LARGEST:
        return {}
    name = path.rpartition("/")[2]
    try:
        if name.endswith(".toml"):
            return dict(_taken_apart("", tomllib.loads(text)))
        if name.endswith(".json") or name in (".nycrc", ".eslintrc"):
            return dict(_taken_apart("", json.loads(_plain_json(text))))
        return _ini(text)
    except (ValueError, RecursionError, MemoryError, configparser.Error):
        return {}


def _plain_json(text: str) -> str:
    """JSON without the comments and last commas that tools allow in it."""
    kept = _COMMENT.sub(lambda m: m.group() if m.group().startswith('"') else "", text)
    return _TRAILING.sub(r"\1", kept)


def _ini(text: str) -> Flat:
    parser = configparser.ConfigParser(
        interpolation=None, allow_no_value=True, strict=False, delimiters=("=", ":")
    )
    parser.optionxform = str  # type: ignore[assignment, method-assign]  # documented way to keep case
    parser.read_string(text)
    found: Flat = {}
    for section in parser.sections():
        for key, value in parser.items(section):
            found[f"{section}.{key}"] = _ini_value(value or "")
    return found


def _ini_value(text: str) -> Value:
    plain = text.strip()
    if plain.lower() in ("true", "yes", "on"):
        return True
    if plain.lower() in ("false", "no", "off"):
        return False
    if "\n" in plain or "," in plain:
        return tuple(part.strip() for part in re.split(r"[,\n]", plain) if part.strip())
    return plain


def _taken_apart(name: str, value: object) -> Iterator[tuple[str, Value]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _taken_apart(f"{name}.{key}" if name else str(key), inner)
    elif isinstance(value, list):
        if any(isinstance(each, dict) for each in value):
            for number, each in enumerate(value):
                yield from _taken_apart(f"{name}[{_named(each, number)}]", each)
        else:
            yield name, tuple(str(each) for each in value)
    elif isinstance(value, bool | int | float | str):
        yield name, value


def _named(entry: object, number: int) -> str:
    """An entry of a list of tables by what it is about (``[[tool.mypy.overrides]]``)."""
    if isinstance(entry, dict):
        for key in ("module", "name", "files", "id"):
            if key in entry:
                return str(entry[key])
    return str(number)
