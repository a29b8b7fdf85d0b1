"""The small closed lists and texts that the settings are made of."""

from __future__ import annotations

import unicodedata
from enum import StrEnum
from typing import Annotated

from pydantic import AfterValidator, Field, StringConstraints, WithJsonSchema

from lifeos.core.globs import fault


class Autonomy(StrEnum):
    """How often a person is asked.

    supervised: once per task, before it lands. exceptions: before it lands only if something was
    out of the ordinary on the way, or the risk is high. full: before landing only where a
    checkpoint says so. What a failure or a breach asks is asked at every level.
    """

    SUPERVISED = "supervised"
    EXCEPTIONS = "exceptions"
    FULL = "full"


class OnTaskChange(StrEnum):
    """What happens to an open run when its task's text changes."""

    ESCALATE = "escalate"
    RESTART = "restart"
    FINISH = "finish"


class OnGovernanceChange(StrEnum):
    """What happens to open runs when other governance is adopted."""

    ESCALATE = "escalate"
    ADOPT = "adopt"
    FINISH = "finish"


class Overlap(StrEnum):
    """When main has moved: do it again only if main changed a path of the run, or always."""

    OVERLAP = "overlap"
    ALWAYS = "always"


class ExpiryThen(StrEnum):
    """What an unanswered item becomes: it is held with a reminder, or rejected."""

    HOLD = "hold"
    REJECT = "reject"


class SandboxKind(StrEnum):
    """What encloses agents, checks and prepare commands."""

    BWRAP = "bwrap"
    NONE = "none"


class AgentKind(StrEnum):
    """The adapter that carries out a stage. `lifeos.agents.choose` knows one for each."""

    RECIPE = "recipe"
    OPENCODE = "opencode"
    COMMAND = "command"

    @property
    def modelled(self) -> bool:
        """Whether a model works behind it, which costs money."""
        return self is not AgentKind.RECIPE


class CheckKind(StrEnum):
    """What a check looks at; decides the failure class of a red one."""

    TEST = "test"
    LINT = "lint"
    FORMAT = "format"
    TYPO = "typo"
    SYNTAX = "syntax"
    BUILD = "build"


class Unfit(ValueError):
    """A value that cannot be, and what to write instead."""

    def __init__(self, message: str, fix: str) -> None:
        super().__init__(message)
        self.fix = fix


def _glob(text: str) -> str:
    """A pattern of repository paths; `lifeos.core.globs` says what it stands for."""
    reason = fault(text)
    if reason:
        raise ValueError(f"the pattern {reason}")
    return text


def _path(text: str) -> str:
    """A plain file path inside the repository."""
    if text.startswith("/") or "\\" in text:
        raise ValueError("a path is relative to the repository and separates folders with '/'")
    if any(part in {"", ".", ".."} for part in text.split("/")):
        raise ValueError("a path has no empty, '.' or '..' part")
    return text


def _one_line(text: str) -> str:
    if len(text.splitlines()) > 1 or any(unicodedata.category(char) == "Cc" for char in text):
        raise ValueError("must be one line without control characters")
    return text


def _known_version(version: int) -> int:
    if version != 1:
        raise ValueError(f"format {version} is not known to this lifeos, which reads format 1")
    return version


Version = Annotated[
    int, AfterValidator(_known_version), WithJsonSchema({"type": "integer", "const": 1})
]
"""The format of a file; not a Literal, which would take `true` for 1."""

_Line = Annotated[str, AfterValidator(_one_line)]

Glob = Annotated[str, StringConstraints(max_length=300), AfterValidator(_glob)]
"""A pattern of repository paths: `*` and `?` stay inside one folder, `**` crosses folders."""

RepoPath = Annotated[
    str,
    StringConstraints(min_length=1, max_length=300),
    AfterValidator(_one_line),
    AfterValidator(_path),
]
"""The path of one file in the repository, relative, with `/`."""

Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]{0,39}$")]
"""A short name: lower case letters, digits, `-` and `_`; at most 40 characters."""

Tag = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_/-]{0,39}$")]
"""A task's tag, without the `#`."""

Command = Annotated[str, StringConstraints(min_length=1, max_length=4000, pattern=r"^[^\x00]*\S")]
"""A command line for `sh -c`; never empty."""

Line = Annotated[_Line, StringConstraints(min_length=1, max_length=1000)]
"""One line of text for people."""

Count = Annotated[int, Field(ge=0, le=1_000_000_000)]
"""How many; 0 or more."""

Positive = Annotated[int, Field(ge=1, le=1_000_000_000)]
"""How many; 1 or more."""

Seconds = Annotated[int, Field(ge=1, le=31_536_000)]
"""A duration in whole seconds: from one second to a year."""

Money = Annotated[float, Field(ge=0, le=1_000_000_000, allow_inf_nan=False)]
"""US dollars; 0 or more."""


def repeated(values: tuple[str, ...]) -> list[str]:
    """Those of ``values`` that occur more than once, each once, in order."""
    seen: set[str] = set()
    twice: list[str] = []
    for value in values:
        if value in seen and value not in twice:
            twice.append(value)
        seen.add(value)
    return twice


def refuse_repeated(values: tuple[str, ...], what: str) -> None:
    """Raise a ValueError that names the values which occur twice."""
    twice = repeated(values)
    if twice:
        raise ValueError(f"{what} must be unique; more than once: {', '.join(twice)}")
