"""One line of the doctor: what was looked at, how it is, and what to do."""

from __future__ import annotations

from enum import StrEnum

from lifeos.model import Frozen


class Level(StrEnum):
    """How it is. ``fail``: lifeos cannot work like this."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


class Line(Frozen):
    """One thing that was looked at."""

    level: Level
    name: str
    said: str
    fix: str = ""


def ok(name: str, said: str) -> Line:
    """As it should be."""
    return Line(level=Level.OK, name=name, said=said)


def warn(name: str, said: str, fix: str) -> Line:
    """It works, and somebody should look."""
    return Line(level=Level.WARN, name=name, said=said, fix=fix)


def fail(name: str, said: str, fix: str) -> Line:
    """It must be mended."""
    return Line(level=Level.FAIL, name=name, said=said, fix=fix)
