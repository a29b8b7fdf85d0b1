"""Whether touched files still parse, for the formats that can be read without running anything."""

from __future__ import annotations

import ast
import json
import re
import tomllib
import warnings
from collections.abc import Callable, Mapping, Sequence

from lifeos.errors import Place, Problem
from lifeos.model import Change

LARGEST = 1_000_000
"""Bytes; larger files are not parsed: they are data, and the checks will say if they are broken."""

LARGEST_YAML = 200_000
"""YAML is parsed in Python, at about 0.3 MB a second."""

DEEPEST_YAML = 100
"""Collections inside each other."""

_COMMENTED_JSON = re.compile(
    r"(^|/)(\.vscode|\.devcontainer|\.zed)/|(^|/)[tj]sconfig[^/]*\.json$|\.eslintrc\.json$"
)
_TEMPLATE = re.compile(r"\{\{|\{%|<%")


def broken(changes: Sequence[Change], contents: Mapping[str, bytes]) -> tuple[Problem, ...]:
    """The syntax problems that ``changes`` bring; ``contents`` are old and new blobs by id.

    A file whose old version did not parse either is left alone: it is no such file (a template, a
    fixture, a newer dialect), or not this change's fault.
    """
    found: list[Problem] = []
    for change in changes:
        data = contents.get(change.new_id)
        if data is None or change.new_mode not in ("100644", "100755"):
            continue
        problems = syntax_problems(change.path, data)
        before = contents.get(change.old_id)
        if problems and (
            before is None or not syntax_problems(change.old_path or change.path, before)
        ):
            found += problems
    return tuple(found)


def syntax_problems(path: str, data: bytes) -> tuple[Problem, ...]:
    """What keeps ``data`` from being what the name of ``path`` says: Python, JSON, TOML or YAML.

    Empty for other names. Hostile input (nesting without end) is a problem, never an exception.
    """
    reader = _READERS.get(path.rpartition(".")[2].lower())
    if reader is None or len(data) > LARGEST:
        return ()
    try:
        return reader(path, data)
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        return (Problem(Place(path, line), "not valid UTF-8", "save the file as UTF-8"),)
    except (RecursionError, MemoryError):
        return (Problem(Place(path), "nested too deeply to be read", "flatten it"),)


def _python(path: str, data: bytes) -> tuple[Problem, ...]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ast.parse(data, path)
    except SyntaxError as error:
        place = Place(path, error.lineno or 0, error.offset or 0)
        return (Problem(place, f"Python: {error.msg}", "mend the syntax"),)
    except ValueError as error:  # null bytes
        return (Problem(Place(path), f"Python: {error}", "mend the syntax"),)
    return ()


def _json(path: str, data: bytes) -> tuple[Problem, ...]:
    if _COMMENTED_JSON.search(path):
        return ()
    text = data.decode("utf-8-sig")
    try:
        json.loads(text)
    except json.JSONDecodeError as error:
        place = Place(path, error.lineno, error.colno)
        return (Problem(place, f"JSON: {error.msg}", "mend the syntax"),)
    except ValueError as error:  # a number of more digits than Python reads
        return (Problem(Place(path), f"JSON: {error}", "mend the syntax"),)
    return ()


def _toml(path: str, data: bytes) -> tuple[Problem, ...]:
    try:
        tomllib.loads(data.decode())
    except tomllib.TOMLDecodeError as error:
        at = re.search(r"\(at line (\d+), column (\d+)\)", str(error))
        place = Place(path, int(at[1]), int(at[2])) if at else Place(path)
        return (Problem(place, f"TOML: {error}", "mend the syntax"),)
    return ()


def _yaml(path: str, data: bytes) -> tuple[Problem, ...]:
    text = data.decode("utf-8-sig")
    if len(data) > LARGEST_YAML or _TEMPLATE.search(text):
        return ()
    from ruamel.yaml import YAML
    from ruamel.yaml.error import MarkedYAMLError, YAMLError
    from ruamel.yaml.events import CollectionEndEvent, CollectionStartEvent

    try:
        # Events only: nothing is built, so tags mean nothing and aliases multiply nothing.
        depth = 0
        for event in YAML(typ="safe", pure=True).parse(text):
            depth += isinstance(event, CollectionStartEvent) - isinstance(event, CollectionEndEvent)
            if depth > DEEPEST_YAML:  # the reader's time grows with the square of the depth
                raise RecursionError
    except MarkedYAMLError as error:
        mark = error.problem_mark
        place = Place(path, mark.line + 1, mark.column + 1) if mark else Place(path)
        return (Problem(place, f"YAML: {error.problem}", "mend the syntax"),)
    except YAMLError as error:
        return (Problem(Place(path), f"YAML: {str(error).splitlines()[0]}", "mend the syntax"),)
    return ()


_READERS: dict[str, Callable[[str, bytes], tuple[Problem, ...]]] = {
    "py": _python,
    "pyi": _python,
    "json": _json,
    "toml": _toml,
    "yaml": _yaml,
    "yml": _yaml,
}
