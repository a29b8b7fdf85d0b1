"""Who is told that something waits: the `notify:` part of `.lifeos/config.yaml`.

It is never pinned by a run: whom to tell is always what the adopted rules say now.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import Field, StringConstraints, field_validator

from lifeos.core.policy.words import Line, refuse_repeated
from lifeos.model import Frozen

_NAMED = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,99}$")]
_GIVEN = ("PATH", "HOME", "LANG")


class Occasion(StrEnum):
    """What a notice is about: a question for the CEO, a run that ended blocked, the daily sum."""

    WAITS = "waits"
    BLOCKED = "blocked"
    DIGEST = "digest"


class DigestRules(Frozen):
    """When the digest is sent."""

    hour: int = Field(
        7, ge=0, le=23, description="The hour (UTC) after which the day's first tick sends it."
    )


class Notify(Frozen):
    """Who is told, and of what. The address that a notice goes to is never in a file."""

    command: tuple[Line, ...] = Field(
        (),
        description="A program and its arguments, without a shell; it gets the notice as JSON on"
        " standard input. It runs outside the sandbox, as you.",
    )
    environment: tuple[_NAMED, ...] = Field(
        (), description=f"Variables that it is given beside {', '.join(_GIVEN)}."
    )
    timeout: Annotated[int, Field(ge=1, le=600)] = Field(
        30, description="Seconds that telling once may take; then it has failed."
    )
    apprise: tuple[_NAMED, ...] = Field(
        (), description="Variables that hold Apprise URLs; needs the extra `lifeos[apprise]`."
    )
    on: tuple[Occasion, ...] = Field(
        tuple(Occasion), description="What is told: waits, blocked, digest."
    )
    digest: DigestRules = Field(DigestRules(), description="When the digest is sent.")

    @property
    def channels(self) -> tuple[str, ...]:
        """The ways a notice goes, by name: `command`, and `apprise NAME` for each variable."""
        ways = ("command",) if self.command else ()
        return (*ways, *(f"{APPRISE}{name}" for name in self.apprise))

    @field_validator("command")
    @classmethod
    def _program(cls, words: tuple[str, ...]) -> tuple[str, ...]:
        # What lies in the repository can be changed by a task, or by whoever may push: it must not
        # run outside of the sandbox because of that.
        if words and "/" in words[0] and not words[0].startswith("/"):
            raise ValueError(
                f"{words[0]!r} is a path inside some folder: name a program on the PATH, or give an"
                " absolute path outside of the repository"
            )
        return words

    @field_validator("environment", "apprise", "on")
    @classmethod
    def _once(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        refuse_repeated(tuple(map(str, names)), "entries")
        return names


APPRISE = "apprise "
"""What the name of a channel by Apprise begins with; the variable's name follows."""
