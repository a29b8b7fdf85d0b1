"""The tests of one file, as they are compared before and after a change."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple


class Skip(NamedTuple):
    """One place where a test is kept from running: its line, and that line's text.

    ``more`` is what else has to be the same for it to be the same place.
    """

    line: int
    text: str
    more: str = ""


@dataclass(frozen=True)
class Test:
    """One test: ``Class::name`` or ``name``, its line, its assertions, what skips it.

    ``cases`` is how many cases a table makes of it (0: no table; -1: not known), ``broad`` how
    often any exception will do, ``limits`` its time limits and tolerances by name, ``body`` what it
    does, without its name.
    """

    name: str
    line: int
    asserts: int = 0
    cases: int = 0
    skips: tuple[Skip, ...] = ()
    broad: int = 0
    loops: bool = False
    limits: tuple[tuple[str, float], ...] = ()
    body: str = ""


@dataclass(frozen=True)
class TestFile:
    """The tests of one file by name, and what skips all of them."""

    tests: dict[str, Test] = field(default_factory=dict)
    skips: tuple[Skip, ...] = ()

    @property
    def asserts(self) -> int:
        """The assertions of all tests."""
        return sum(test.asserts for test in self.tests.values())
