"""The files of governance, from the bytes of a commit to one checked set of models.

Everything is refused that could be read in two ways, and every refusal has a place and a fix.
The caller hands in what a commit holds; nothing here looks at a work tree.
"""

from __future__ import annotations

import difflib
import re
import types
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeVar, Union, cast, get_args, get_origin

from pydantic import ValidationError

from lifeos import strict_yaml
from lifeos.core.canonical import canonical_json, sha256
from lifeos.core.policy import (
    FILES,
    PROMPTS,
    Approvals,
    Config,
    Council,
    Envelope,
    Governance,
    Loop,
    is_governance,
    validate_set,
)
from lifeos.core.policy.words import Unfit
from lifeos.errors import Place, Problem
from lifeos.model import Frozen

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

_Model = TypeVar("_Model", bound=Frozen)

SCHEMAS = ("loop", "council", "envelope", "approvals", "config")
"""The names that `schema` knows."""


@dataclass(frozen=True)
class Loaded:
    """A set of governance, or why there is none. ``governance`` is None if there is a problem."""

    governance: Governance | None
    problems: tuple[Problem, ...] = ()


def governance_digest(files: Mapping[str, bytes]) -> str:
    """Hex SHA-256 over the canonical JSON of the sorted (path, SHA-256 of the content) pairs.

    Of ``files`` (repository path to raw content) only those count that are governance; others may
    be there. The same set gives the same digest wherever it is computed.
    """
    pairs = sorted([path, sha256(data)] for path, data in files.items() if is_governance(path))
    return sha256(canonical_json(pairs).encode("utf-8", "surrogateescape"))


def load_set(files: Mapping[str, bytes]) -> Loaded:
    """The governance that a commit's ``files`` (repository path to raw content) make up.

    A missing file is a problem, not a default: rules that nobody wrote are rules that nobody read.
    """
    problems: list[Problem] = []
    loop = _load("policies/loop.yaml", Loop, files, problems)
    council = _load("policies/council.yaml", Council, files, problems)
    envelope = _load("policies/envelope.yaml", Envelope, files, problems)
    approvals = _load("policies/approvals.yaml", Approvals, files, problems)
    config = _load(".lifeos/config.yaml", Config, files, problems)
    problems += _strangers(files)
    prompts = _prompts(files, problems)
    if not (loop and council and envelope and approvals and config) or problems:
        return Loaded(None, tuple(problems))
    governance = Governance(
        loop=loop,
        council=council,
        envelope=envelope,
        approvals=approvals,
        config=config,
        prompts=prompts,
        digest=governance_digest(files),
    )
    conflicts = _conflicts(governance, files)
    return Loaded(None if conflicts else governance, conflicts)


def _conflicts(governance: Governance, files: Mapping[str, bytes]) -> tuple[Problem, ...]:
    """What does not fit between the files, with its place."""
    return tuple(
        Problem(
            strict_yaml.read(files[conflict.file], conflict.file).where(conflict.key),
            conflict.message,
            conflict.fix,
        )
        for conflict in validate_set(governance)
    )


def parse(data: bytes, file: str, model: type[_Model]) -> tuple[_Model | None, tuple[Problem, ...]]:
    """One file's text as its model, or None and all that is wrong with it.

    ``file`` is the name that the problems show.
    """
    found, problems = _parsed(data, file, model)
    return cast("_Model | None", found), problems


@lru_cache(maxsize=256)
def _parsed(
    data: bytes, file: str, model: type[Frozen]
) -> tuple[Frozen | None, tuple[Problem, ...]]:
    """`parse`, once for each text: reading YAML is most of its cost, and rules rarely change."""
    document = strict_yaml.read(data, file)
    if document.problems:
        return None, document.problems
    if not isinstance(document.value, dict):
        what = "is empty" if document.value is None else "is not a group of settings"
        problem = Problem(document.where(()), what, "start it with `version: 1`")
        return None, (problem,)
    try:
        # Through JSON, because there a list may become a tuple and a word an enum member, while
        # strict still refuses the text "false" for false and 1.0 for 1.
        return model.model_validate_json(_as_json(document.value), strict=True), ()
    except ValidationError as error:
        details = error.errors(include_url=False)[: strict_yaml.MAX_PROBLEMS]
        return None, tuple(_problem(detail, document, model) for detail in details)


def _as_json(value: strict_yaml.Value) -> str:
    import json

    return json.dumps(value, ensure_ascii=True)


def _load(
    file: str, model: type[_Model], files: Mapping[str, bytes], problems: list[Problem]
) -> _Model | None:
    data = files.get(file)
    if data is None:
        problems.append(
            Problem(Place(file), "is missing", "run `lifeos init`, then commit what it writes")
        )
        return None
    found, wrong = parse(data, file, model)
    problems += wrong
    return found


def _strangers(files: Mapping[str, bytes]) -> list[Problem]:
    """Files that nobody reads: most often a misspelt name, whose rules would not apply."""
    names = {path.rsplit("/", 1)[-1]: path for path in FILES}
    found: list[Problem] = []
    for path in sorted(files):
        if not is_governance(path) or path in FILES or path.startswith(PROMPTS):
            continue
        if path.casefold().endswith((".yaml", ".yml")):
            near = difflib.get_close_matches(path.rsplit("/", 1)[-1], names, 1, 0.7)
            fix = f"rename it to {names[near[0]]}" if near else "delete it, or move it elsewhere"
            found.append(Problem(Place(path), "is not a file that lifeos reads", fix))
    return found


def _prompts(files: Mapping[str, bytes], problems: list[Problem]) -> dict[str, str]:
    """The repository's own prompts by name. What is wrong with one is added to ``problems``."""
    found = {}
    for path in sorted(path for path in files if path.startswith(PROMPTS)):
        wrong, text = _prompt(path, files[path])
        problems += wrong
        found[path.removeprefix(PROMPTS).removesuffix(".md")] = text
    return found


def _prompt(path: str, data: bytes) -> tuple[list[Problem], str]:
    """What is wrong with one prompt, and its text."""
    from lifeos.core import prompts  # most repositories have none of their own

    name, dot, ending = path.removeprefix(PROMPTS).rpartition(".")
    if not dot or ending != "md" or name not in prompts.NAMES:
        near = difflib.get_close_matches(name or ending, prompts.NAMES, 1, 0.6)
        known = f"{PROMPTS}NAME.md, where NAME is one of {', '.join(prompts.NAMES)}"
        fix = f"rename it to {PROMPTS}{near[0]}.md" if near else f"delete it, or call it {known}"
        return [Problem(Place(path), "is the prompt of no role, so it has no effect", fix)], ""
    if len(data) > prompts.LARGEST:
        message = f"has {len(data)} bytes; a prompt may have {prompts.LARGEST}"
        return [Problem(Place(path), message, "shorten it: long prompts are followed less")], ""
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        return [Problem(Place(path, line), "is not UTF-8", "save it as UTF-8")], ""
    if not text.strip():
        fix = "delete it, and the text that comes with lifeos is used"
        return [Problem(Place(path), "is empty", fix)], ""
    return _in_prompt(path, text)[: strict_yaml.MAX_PROBLEMS], text


def _in_prompt(path: str, text: str) -> list[Problem]:
    """What a prompt says that would not be as it looks: a placeholder, or what nobody sees."""
    from lifeos.core import prompts
    from lifeos.core.clean import visible

    found = []
    fix = "write the words themselves: a prompt is used as it stands, and lifeos adds the task"
    for line, shown in prompts.placeholders(text):
        message = f"unknown placeholder {strict_yaml.shortened(shown)}"
        found.append(Problem(Place(path, line), message, fix))
    for line, written in enumerate(text.split("\n"), 1):
        if visible(written.removesuffix("\r")) != written.removesuffix("\r"):
            message = "has a character that people cannot see, and a model can"
            found.append(Problem(Place(path, line), message, "delete that character"))
    return found


def _problem(detail: ErrorDetails, document: strict_yaml.Document, model: type[Frozen]) -> Problem:
    """One finding of the model in words, with its place and what to do."""
    found = _found(detail, document, model)
    if found.fix:
        return found
    name = found.place.file.rpartition("/")[2].removesuffix(".yaml")
    return replace(found, fix=f"write what may stand there: lifeos schema {name} describes it")


def _found(detail: ErrorDetails, document: strict_yaml.Document, model: type[Frozen]) -> Problem:
    path = detail["loc"]
    kind = detail["type"]
    if kind == "extra_forbidden":
        return Problem(
            document.where(path, key=True),
            f"unknown key `{strict_yaml.shortened(str(path[-1]))}`",
            _nearest(str(path[-1]), _known_keys(model, path[:-1])),
        )
    if kind == "missing":
        known = ".".join(map(str, path))
        place = document.where(path[:-1])
        return Problem(place, f"`{known}` is missing", f"add `{path[-1]}: ...`")
    message, fix = _explained(detail)
    name = f"`{_dotted(path)}` " if path else ""
    if kind == "value_error":
        # A rule between settings names the first of them at its start.
        first = tuple(message.split(" ", 1)[0].rstrip(":").split("."))
        if (*path, *first) in document.values:
            return Problem(document.where((*path, *first)), message, fix)
        told = f"`{_dotted(path)}`: {message}" if path else message
        return Problem(document.where(path), told, fix)
    return Problem(document.where(path), f"{name}{message}", fix)


def _dotted(path: tuple[str | int, ...]) -> str:
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


_TYPES = {
    "bool_type": ("must be true or false", "write true or false, without quotes"),
    "int_type": ("must be a whole number", "write digits only, without quotes"),
    "int_from_float": ("must be a whole number", "write digits only, without a point"),
    "float_type": ("must be a number", "write digits, without quotes"),
    "finite_number": ("must be a finite number", "write digits"),
    "string_type": ("must be text", "put it in quotes"),
    "tuple_type": ("must be a list", "write `[a, b]`, or one `- a` a line"),
    "list_type": ("must be a list", "write `[a, b]`, or one `- a` a line"),
    "model_type": ("must be a group of settings", "write `key: value` lines below it"),
    "model_attributes_type": ("must be a group of settings", "write `key: value` lines below it"),
    "dict_type": ("must be a group of settings", "write `key: value` lines below it"),
}


def _explained(detail: ErrorDetails) -> tuple[str, str]:
    """What is wrong with a value, and the fix."""
    kind, context = detail["type"], detail.get("ctx", {})
    shown = _shown(detail["input"])
    if kind in _TYPES:
        message, fix = _TYPES[kind]
        return f"{message}, not {shown}", fix
    if kind in {"enum", "literal_error"}:
        expected = re.sub(r"<[\w.]+: ('[^']*')>", r"\1", str(context["expected"]))
        words = expected.replace("'", "").replace(" or ", ", ").split(", ")
        return f"must be {expected}, not {shown}", _nearest(str(detail["input"]), tuple(words))
    if kind == "greater_than_equal":
        least = f"{context['ge']:g}"
        return f"must be {least} or more, not {shown}", f"write {least}, or a larger number"
    if kind == "less_than_equal":
        most = f"{context['le']:.15g}"
        return f"must be {most} or less, not {shown}", f"write {most}, or a smaller number"
    if kind == "string_pattern_mismatch" and detail["loc"][-1] == "key_env":
        # What was written may be the key: it must not be said again.
        fix = "write `key_env: NAME`, and export NAME=… where lifeos runs"
        return "must be the name of an environment variable, never the key itself", fix
    if kind == "string_pattern_mismatch" and detail["loc"][:2] == ("notify", "apprise"):
        fix = "write `apprise: [NAME]`, and export NAME=… where lifeos runs"
        return "must be the name of an environment variable, never the address itself", fix
    if kind == "string_pattern_mismatch":
        return f"is {shown}, which does not have the form {context['pattern']}", ""
    if kind == "value_error":
        error = context["error"]
        return str(error), error.fix if isinstance(error, Unfit) else ""
    if kind in {"too_short", "string_too_short"}:
        return "is empty", "write at least one, or delete the line to have the default"
    return f"is not right: {strict_yaml.shortened(detail['msg'])}", ""


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None:
        return "empty"
    if isinstance(value, str):
        return f'the text "{strict_yaml.shortened(value)}"'
    if isinstance(value, list):
        return "a list"
    return "a group of settings" if isinstance(value, dict) else strict_yaml.shortened(str(value))


def _nearest(word: str, known: tuple[str, ...]) -> str:
    near = difflib.get_close_matches(word[:100], known, 1, 0.6)
    return f"did you mean `{near[0]}`?" if near else f"known here: {', '.join(known)}"


def _known_keys(model: type[Frozen], path: tuple[str | int, ...]) -> tuple[str, ...]:
    """The keys that the group at ``path`` may have."""
    here: Any = model
    for part in path:
        if isinstance(part, int):
            continue
        if get_origin(here) is Mapping:  # names of the person's own, each with such a group
            here = get_args(here)[1]
            continue
        group = _model_in(here)
        if group is None:
            return ()
        here = group.model_fields[part].annotation
    group = _model_in(here)
    return tuple(group.model_fields) if group else ()


def _model_in(annotation: Any) -> type[Frozen] | None:  # noqa: ANN401 - a type, as typing has it
    """The model that a field holds: itself, as an option, or in a tuple."""
    if isinstance(annotation, type) and issubclass(annotation, Frozen):
        return annotation
    if get_origin(annotation) in {tuple, Union, types.UnionType}:
        for argument in get_args(annotation):
            found = _model_in(argument)
            if found is not None:
                return found
    return None


def schema(name: str) -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of one file; ``name`` is one of `SCHEMAS`.

    Raises KeyError for another name.
    """
    file = {file.rsplit("/", 1)[-1]: file for file in FILES}[f"{name}.yaml"]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"lifeos/{name}/v1",
        **FILES[file].model_json_schema(),
        "title": file,
    }
