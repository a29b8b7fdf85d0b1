"""Expected errors: one line for people, a next action, and a documented exit code."""

from __future__ import annotations

import errno
from dataclasses import dataclass
from enum import IntEnum

_OF_THE_MACHINE = frozenset(
    {
        errno.ENOSPC,
        errno.EDQUOT,
        errno.EFBIG,
        errno.EROFS,
        errno.EIO,
        errno.EMFILE,
        errno.ENFILE,
        errno.ENOMEM,
    }
)


class Exit(IntEnum):
    """Exit codes of the command line (documented in docs/reference/cli.md)."""

    OK = 0
    FAILED = 1
    USAGE = 2
    INTERNAL = 3
    NOT_AUTHORISED = 4
    WAITING = 8
    BUSY = 75
    INTERRUPTED = 130


@dataclass(frozen=True)
class Place:
    """Where in a file something is wrong. Lines and columns count from 1; 0 means unknown."""

    file: str
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        parts = [self.file]
        if self.line:
            parts.append(str(self.line))
            if self.column:
                parts.append(str(self.column))
        return ":".join(parts)


@dataclass(frozen=True)
class Problem:
    """One thing wrong in a file: place, what, and how to mend it."""

    place: Place
    message: str
    fix: str = ""

    def __str__(self) -> str:
        text = f"{self.place}: {self.message}"
        return f"{text}\n  fix: {self.fix}" if self.fix else text


class LifeosError(Exception):
    """An error that a person can act on.

    ``message`` says what is wrong, ``fix`` the next action, ``exit_code`` what the process returns.
    """

    exit_code: Exit = Exit.USAGE

    def __init__(self, message: str, fix: str = "", *, problems: tuple[Problem, ...] = ()) -> None:
        super().__init__(message)
        self.message = message
        self.fix = fix
        self.problems = problems

    def __str__(self) -> str:
        lines = [self.message, *(str(problem) for problem in self.problems)]
        if self.fix:
            lines.append(f"  fix: {self.fix}")
        return "\n".join(lines)


class UsageError(LifeosError):
    """Wrong arguments, configuration, backlog or policy (exit 2)."""


class NotAuthorised(LifeosError):
    """The caller may not do this (exit 4)."""

    exit_code = Exit.NOT_AUTHORISED


class Busy(LifeosError):
    """Somebody else holds it, or it cannot be reached now; try again later (exit 75)."""

    exit_code = Exit.BUSY


class Failed(LifeosError):
    """A verification failed or a run ended blocked (exit 1)."""

    exit_code = Exit.FAILED


class LedgerBroken(Failed):
    """The ledger does not say what it must say; names the commit (exit 1)."""


class IllegalTransition(Exception):
    """An event that the table does not allow. State is unchanged. A bug, or a forged record."""


def is_of_the_machine(error: OSError) -> bool:
    """Whether the machine refuses (full or read-only disk, no more files or memory).

    Then the same may work later, and it says nothing about what was being done.
    """
    return error.errno in _OF_THE_MACHINE
