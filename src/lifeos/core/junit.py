"""JUnit XML, read as hostile input: the code under test has written it.

Read as a stream by expat: no tree is built, a document type (and with it every entity trick) is
refused in any encoding, and sizes are bounded.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from enum import StrEnum
from xml.parsers import expat

from lifeos.errors import UsageError

LARGEST = 32_000_000
"""Bytes of a report."""
MOST_CASES = 200_000
DEEPEST = 64
LONGEST_NAME = 1_000
LONGEST_MESSAGE = 2_000
"""Characters that are kept of a name and of a message."""


class JunitError(UsageError):
    """The report is not one: too large, malformed, or with a document type."""


class CaseOutcome(StrEnum):
    """How a test ended, the graver the later."""

    SKIPPED = "skipped"
    PASSED = "passed"
    FAILED = "failed"
    ERROR = "error"

    @property
    def bad(self) -> bool:
        """Whether it did not pass (a skipped test is not bad here)."""
        return self in (CaseOutcome.FAILED, CaseOutcome.ERROR)


@dataclass(frozen=True)
class Case:
    """One test: ``classname::name``, its outcome, what it said, and its wall clock in seconds."""

    name: str
    outcome: CaseOutcome
    message: str = ""
    seconds: float = 0.0


@dataclass(frozen=True)
class Report:
    """All tests of a report, in its order. ``declared`` is the sum of failures and errors it claims
    itself.
    """

    tests: tuple[Case, ...]
    declared: int = 0

    @property
    def failed(self) -> bool:
        """Whether any test failed, or the report says so without naming one."""
        return self.declared > 0 or any(case.outcome.bad for case in self.tests)

    @property
    def failed_names(self) -> tuple[str, ...]:
        """The tests that failed, sorted, each once."""
        return tuple(sorted({case.name for case in self.tests if case.outcome.bad}))

    @property
    def ran_names(self) -> tuple[str, ...]:
        """The tests that ran, that is: were not skipped; sorted, each once."""
        return tuple(sorted({c.name for c in self.tests if c.outcome is not CaseOutcome.SKIPPED}))


def parse(data: bytes) -> Report:
    """The report in ``data``; raises :class:`JunitError`."""
    if len(data) > LARGEST:
        raise JunitError(f"the JUnit report is larger than {LARGEST} bytes", "split the check")
    reader = _Reader()
    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.end
    parser.CharacterDataHandler = reader.text
    parser.StartDoctypeDeclHandler = reader.refuse
    parser.EntityDeclHandler = reader.refuse
    try:
        parser.Parse(data, True)
    except expat.ExpatError as error:
        raise JunitError(
            f"the JUnit report is not XML: {error}", "look at the check's output"
        ) from None
    except (LookupError, ValueError):
        raise JunitError("the JUnit report has an unknown encoding", "write it as UTF-8") from None
    return Report(tuple(reader.cases), reader.declared)


_MOVING = re.compile(r"\b0x[0-9a-fA-F]{4,16}\b")


def stable(name: str) -> str:
    """A test's name without the memory addresses that some parameters bring, which differ in each
    run.
    """
    return _MOVING.sub("0x", name)


_OUTCOMES = {
    "failure": CaseOutcome.FAILED,
    "error": CaseOutcome.ERROR,
    "skipped": CaseOutcome.SKIPPED,
}


@dataclass
class _Open:
    """The test that is being read."""

    name: str
    seconds: float
    outcome: CaseOutcome = CaseOutcome.PASSED
    message: str = ""
    body: list[str] = field(default_factory=list)


class _Reader:
    """Collects test cases from expat's events."""

    def __init__(self) -> None:
        self.cases: list[Case] = []
        self.declared = 0
        self._depth = 0
        self._case: _Open | None = None
        self._within = ""

    def refuse(self, *_: object) -> None:
        raise JunitError("the JUnit report declares a document type", "write the report without it")

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        self._depth += 1
        if self._depth > DEEPEST:
            raise JunitError("the JUnit report is nested too deeply", "look at the check's output")
        if self._depth == 1 and tag not in ("testsuites", "testsuite"):
            raise JunitError(f"the JUnit report begins with <{tag[:40]}>", "check the junit path")
        if tag == "testsuite":
            counts = (_count(attributes.get(key, "")) for key in ("failures", "errors"))
            self.declared += sum(counts)
        elif tag == "testcase":
            self._case = _Open(_name(attributes), _seconds(attributes.get("time", "")))
        elif self._case and tag in _OUTCOMES:
            self._within = tag
            self._mark(_OUTCOMES[tag], attributes.get("message", ""))

    def text(self, text: str) -> None:
        if self._case and self._within and sum(map(len, self._case.body)) < LONGEST_MESSAGE:
            self._case.body.append(text[:LONGEST_MESSAGE])

    def end(self, tag: str) -> None:
        self._depth -= 1
        if tag == self._within:
            self._within = ""
        if tag == "testcase" and self._case:
            case, self._case = self._case, None
            if len(self.cases) >= MOST_CASES:
                raise JunitError(f"the JUnit report has over {MOST_CASES} tests", "split the check")
            message = (case.message + "\n" + "".join(case.body)).strip()[:LONGEST_MESSAGE]
            self.cases.append(Case(case.name, case.outcome, message, case.seconds))

    def _mark(self, outcome: CaseOutcome, message: str) -> None:
        """The gravest outcome wins; a skip counts only where nothing failed."""
        assert self._case is not None  # noqa: S101 - the caller has just looked
        if not self._case.outcome.bad:
            self._case.outcome = outcome
        self._case.message = self._case.message or message[:LONGEST_MESSAGE]


def _name(attributes: dict[str, str]) -> str:
    parts = [attributes.get(key, "").strip() for key in ("classname", "name")]
    name = "::".join(part for part in parts if part) or "unnamed"
    return stable(name)[:LONGEST_NAME]


def _count(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0


def _seconds(text: str) -> float:
    try:
        value = float(text.replace(",", ""))
    except ValueError:
        return 0.0
    return value if math.isfinite(value) and value >= 0 else 0.0
