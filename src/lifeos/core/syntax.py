"""Whether touched files still parse, for the formats that can be read without running anything.

Python, JSON (notebooks and JSON by the line too), TOML, YAML, XML, the INI files of Python tools;
and conflict markers that were left in a file of any kind. Other languages have no parser here: a
broken shell script or JavaScript file is found by the project's own checks, not by this.
"""

from __future__ import annotations

import configparser
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
_INI = ("setup.cfg", "tox.ini", "pytest.ini", "mypy.ini", ".flake8", ".coveragerc")
_MARKERS = tuple(
    re.compile(marker, re.MULTILINE) for marker in (rb"^<{7} ", rb"^={7}\r?$", rb"^>{7} ")
)
_MAY_SHOW_CONFLICTS = ("md", "rst", "txt", "adoc", "patch", "diff", "orig")
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
    """What keeps ``data`` from being what the name of ``path`` says, and conflict markers.

    Empty for names of other formats. Hostile input (nesting without end) is a problem, never an
    exception.
    """
    name = path.rpartition("/")[2]
    ending = name.rpartition(".")[2].lower()
    reader = _ini if name in _INI else _READERS.get(ending)
    if len(data) > LARGEST:
        return ()
    marked = () if ending in _MAY_SHOW_CONFLICTS else _conflicts(path, data)
    if marked or reader is None:
        return marked
    try:
        return reader(path, data)
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        return (Problem(Place(path, line), "not valid UTF-8", "save the file as UTF-8"),)
    except (RecursionError, MemoryError):
        return (Problem(Place(path), "nested too deeply to be read", "flatten it"),)


def _conflicts(path: str, data: bytes) -> tuple[Problem, ...]:
    """Markers of a merge, all three at the begin of a line and in their order."""
    at = 0
    places = []
    for marker in _MARKERS:
        found = marker.search(data, at)
        if found is None:
            return ()
        places.append(data.count(b"\n", 0, found.start()) + 1)
        at = found.end()
    text = "a conflict marker was left in the file"
    return (Problem(Place(path, places[0]), text, "resolve the conflict"),)


def _python(path: str, data: bytes) -> tuple[Problem, ...]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            compile(data, path, "exec", dont_inherit=True)  # made, never run
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


def _json_lines(path: str, data: bytes) -> tuple[Problem, ...]:
    for number, line in enumerate(data.decode("utf-8-sig").split("\n"), 1):
        try:
            if line.strip():
                json.loads(line)
        except ValueError as error:
            return (Problem(Place(path, number), f"JSON: {error}", "mend the syntax"),)
    return ()


def _xml(path: str, data: bytes) -> tuple[Problem, ...]:
    from xml.parsers import expat

    def entity(*_: object) -> None:
        raise _EntityFound

    parser = expat.ParserCreate()
    parser.EntityDeclHandler = entity  # nothing is ever expanded: then it is left alone
    try:
        parser.Parse(data, True)
    except _EntityFound:
        return ()
    except expat.ExpatError as error:
        place = Place(path, error.lineno, error.offset + 1)
        message = expat.ErrorString(error.code) or "not well-formed"
        return (Problem(place, f"XML: {message}", "mend the syntax"),)
    except (ValueError, LookupError):  # an encoding that it does not know
        return ()
    return ()


class _EntityFound(Exception):
    """The document declares entities."""


def _ini(path: str, data: bytes) -> tuple[Problem, ...]:
    parser = configparser.RawConfigParser(allow_no_value=True, strict=False)
    try:
        parser.read_string(data.decode("utf-8-sig"))
    except configparser.MissingSectionHeaderError as error:
        return (Problem(Place(path, error.lineno), "INI: no section", "begin it with [section]"),)
    except configparser.ParsingError as error:
        line = error.errors[0][0] if error.errors else 0
        return (Problem(Place(path, line), "INI: not a setting", "mend the syntax"),)
    except configparser.Error as error:
        return (Problem(Place(path), f"INI: {error.message}", "mend the syntax"),)
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
    "ipynb": _json,
    "geojson": _json,
    "webmanifest": _json,
    "jsonl": _json_lines,
    "ndjson": _json_lines,
    "toml": _toml,
    **dict.fromkeys(("xml", "svg", "xsd", "xsl", "xslt", "plist", "csproj", "props"), _xml),
    "yaml": _yaml,
    "yml": _yaml,
}
