"""What a check's exit code, output and report mean. Pure: the running is in ``lifeos.checks``.

Fail closed: a check has passed only if its exit code, its report (where one is configured) and the
names of its tests all say so.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from enum import StrEnum

from lifeos.core import junit
from lifeos.core.canonical import digest_of
from lifeos.core.envelope import Breach, BreachKind
from lifeos.core.policy.config import Check
from lifeos.core.policy.words import CheckKind
from lifeos.model import FailureClass, Frozen

EXCERPT = 4096
"""Characters of output that a result keeps: the last ones, where tools sum up."""
MOST_NAMED = 3  # in a sentence; all of them are in the result
"""Names that a message lists; the fields have all of them."""


class CheckStatus(StrEnum):
    """How a check ended."""

    PASSED = "passed"
    FAILED = "failed"
    FLAKY = "flaky"
    TIMEOUT = "timeout"
    MISSING = "missing"
    NO_TESTS = "no_tests"
    UNAVAILABLE = "unavailable"
    BROKEN = "broken"
    STOPPED = "stopped"


class CheckResult(Frozen):
    """One check on one tree.

    ``exit_code`` is the shell's (None if it did not end by itself), ``seconds`` the wall clock of
    all its runs, ``tests`` the names of the tests that ran (known only with a JUnit report),
    ``missing_tests`` those of the base that did not. ``excerpt`` is the cleaned end of the output:
    **secrets are still in it**; the caller redacts before it keeps or shows it.
    """

    name: str
    kind: CheckKind
    command: str
    status: CheckStatus
    failure_class: FailureClass | None = None
    exit_code: int | None = None
    seconds: float = 0.0
    tests: tuple[str, ...] = ()
    failed_tests: tuple[str, ...] = ()
    missing_tests: tuple[str, ...] = ()
    message: str = ""
    excerpt: str = ""
    reruns: int = 0

    @property
    def passed(self) -> bool:
        """Whether it says that the work is right."""
        return self.status is CheckStatus.PASSED


class CheckReport(Frozen):
    """All checks of one tree, in the order of the configuration.

    ``base_tests`` are the test checks once more, with the test files as the base has them. They do
    not make the attempt fail by themselves (a task may change what the tests demand): see
    :attr:`findings`.
    """

    results: tuple[CheckResult, ...] = ()
    base_tests: tuple[CheckResult, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether all of them passed; also true where there are none."""
        return all(result.passed for result in self.results)

    @property
    def failure_classes(self) -> tuple[FailureClass, ...]:
        """The classes of all failures, the gravest first, each once."""
        found = {result.failure_class for result in self.results if result.failure_class}
        return tuple(sorted(found, key=_GRAVITY.index))

    @property
    def failure_class(self) -> FailureClass | None:
        """The gravest of them; None when all passed. A flake never hides a failure."""
        return next(iter(self.failure_classes), None)

    @property
    def error_digest(self) -> str:
        """The same for the same failure, whatever time, folder or address; empty without one."""
        return error_digest(self.results)

    @property
    def findings(self) -> tuple[Breach, ...]:
        """Guardrails: where the base's own tests fail on the new code, and a person must look."""
        return tuple(
            Breach(
                BreachKind.GUARDRAIL,
                "",
                f"the tests of the base fail on the new code ({result.name}): {result.message}",
                excerpt=_listed(result.failed_tests or result.missing_tests),
            )
            for result in self.base_tests
            if not result.passed
        )


_GRAVITY = (
    FailureClass.INTERRUPTED,
    FailureClass.DEPENDENCY_ERROR,
    FailureClass.TOOL_ERROR,
    FailureClass.SYNTAX_ERROR,
    FailureClass.TEST_FAILURE,
    FailureClass.TEST_TIMEOUT,
    FailureClass.TIMEOUT,
    FailureClass.LINT_ERROR,
    FailureClass.FORMATTING_ERROR,
    FailureClass.TYPO,
    FailureClass.TEST_FLAKE,
)


@dataclass(frozen=True)
class Run:
    """One run of a check's command, as it ended. ``report`` is None if there is no such file.

    ``exceeded`` names the limit of the sandbox that ended it; ``not_started`` says why it could not
    begin.
    """

    exit_code: int
    out: str = ""
    err: str = ""
    seconds: float = 0.0
    timed_out: bool = False
    stopped: bool = False
    exceeded: str = ""
    not_started: str = ""
    report: bytes | None = None

    @property
    def excerpt(self) -> str:
        """The end of both streams, standard output last; at most ``EXCERPT`` characters."""
        err = _end(self.err.strip(), EXCERPT // 4)
        out = _end(self.out.strip(), EXCERPT - len(err) - 1)
        return f"{err}\n{out}".strip()


def _end(text: str, limit: int) -> str:
    """The last lines of a text; half a line at its start only where a whole one does not fit."""
    if len(text) <= limit:
        return text
    half, _, whole = text[-limit:].partition("\n")
    return whole or half


def judge_run(check: Check, run: Run, expected: Collection[str] = ()) -> CheckResult:
    """What one run says. ``expected`` are the names of the base's tests, all of which must run."""
    report, problem = _read_report(check, run)
    status, message = _status(check, run, report, problem)
    ran = report.ran_names if report else ()
    missing = tuple(sorted(set(expected) - set(ran))) if check.junit and report else ()
    if status is CheckStatus.PASSED and missing:
        status = CheckStatus.MISSING
        message = f"{len(missing)} tests of the base did not run: {_listed(missing)}"
    unfinished = run.timed_out or run.stopped or run.exceeded or run.not_started
    return CheckResult(
        name=check.name,
        kind=check.kind,
        command=check.run,
        status=status,
        failure_class=_class(check, status),
        exit_code=None if unfinished else run.exit_code,
        seconds=run.seconds,
        tests=ran,
        failed_tests=report.failed_names if report else _failed_lines(run.out),
        missing_tests=missing,
        message=message,
        excerpt=run.excerpt,
    )


def merged(first: CheckResult, again: Iterable[CheckResult]) -> CheckResult:
    """A failed check and its reruns on the same tree: one that passed makes it a flake.

    A rerun only ever takes away the certainty of a failure, never turns it into a pass.
    """
    reruns = tuple(again)
    seconds = first.seconds + sum(result.seconds for result in reruns)
    update: dict[str, object] = {"reruns": len(reruns), "seconds": seconds}
    if any(result.passed for result in reruns):
        text = f"failed, then passed on the same tree: {first.message}"
        update |= {"status": CheckStatus.FLAKY, "failure_class": FailureClass.TEST_FLAKE}
        update |= {"message": text}
    stopped = next((r for r in reruns if r.status is CheckStatus.STOPPED), None)
    if stopped:
        update |= {"status": CheckStatus.STOPPED, "failure_class": stopped.failure_class}
    return first.model_copy(update=update)


def _read_report(check: Check, run: Run) -> tuple[junit.Report | None, str]:
    """The JUnit report, or why there is none to be trusted."""
    if not check.junit:
        return None, ""
    if run.report is None:
        return None, f"it left no JUnit report at {check.junit}"
    try:
        return junit.parse(run.report), ""
    except junit.JunitError as error:
        return None, error.message


def _status(
    check: Check, run: Run, report: junit.Report | None, problem: str
) -> tuple[CheckStatus, str]:
    if run.stopped:
        return CheckStatus.STOPPED, "stopped before it ended"
    if run.not_started:
        return CheckStatus.BROKEN, run.not_started
    if run.exceeded:
        return CheckStatus.BROKEN, f"ended by the sandbox: the limit on {run.exceeded} was exceeded"
    if run.timed_out:
        return CheckStatus.TIMEOUT, f"did not end within {check.timeout} seconds"
    if run.exit_code in (126, 127):
        return CheckStatus.UNAVAILABLE, f"the command was not found (exit {run.exit_code})"
    if run.exit_code != 0:
        return _red(check, run, report)
    if problem:
        return CheckStatus.BROKEN, problem
    if report and report.failed:
        return CheckStatus.FAILED, f"exit 0, but its report has failures: {_failures(report)}"
    if report and check.kind is CheckKind.TEST and not report.ran_names:
        return CheckStatus.NO_TESTS, "exit 0, but no test ran"
    return CheckStatus.PASSED, ""


_PYTEST = re.compile(r"(^|[\s/;&|(])(pytest|py\.test)(\s|$)|-m\s+pytest\b")
_COLLECTION = re.compile(r"\berrors? during collection\b|while loading conftest")


def _red(check: Check, run: Run, report: junit.Report | None) -> tuple[CheckStatus, str]:
    """A code that is not 0. pytest has five with a meaning of their own.

    Its 2 (interrupted) and 4 (usage) are also what code that cannot be imported looks like: then
    it is the work that is wrong, not the tool.
    """
    code = run.exit_code
    if _PYTEST.search(check.run) and code in (2, 3, 4, 5):
        if code == 5:
            return CheckStatus.NO_TESTS, "pytest found no tests (exit 5)"
        if code == 3 or not (_COLLECTION.search(run.out + run.err) or (report and report.failed)):
            meaning = {2: "was interrupted", 3: "had an internal error", 4: "was called wrongly"}
            return CheckStatus.BROKEN, f"pytest {meaning[code]} (exit {code})"
        return CheckStatus.FAILED, f"the tests could not be imported (exit {code})"
    names = report.failed_names if report else _failed_lines(run.out)
    said = f": {_listed(names)}" if names else ""
    if code < 0 or code > 128:
        return CheckStatus.FAILED, f"killed by signal {-code if code < 0 else code - 128}{said}"
    return CheckStatus.FAILED, f"exit {code}{said}"


def _class(check: Check, status: CheckStatus) -> FailureClass | None:
    match status:
        case CheckStatus.PASSED:
            return None
        case CheckStatus.FAILED:
            return check.failure_class
        case CheckStatus.FLAKY:
            return FailureClass.TEST_FLAKE
        case CheckStatus.TIMEOUT:
            return check.timeout_class
        case CheckStatus.MISSING | CheckStatus.NO_TESTS:
            return FailureClass.TEST_FAILURE
        case CheckStatus.UNAVAILABLE:
            return FailureClass.DEPENDENCY_ERROR
        case CheckStatus.BROKEN:
            return FailureClass.TOOL_ERROR
        case CheckStatus.STOPPED:
            return FailureClass.INTERRUPTED


def _failures(report: junit.Report) -> str:
    return _listed(report.failed_names) or f"{report.declared}, not named"


def _listed(names: Collection[str]) -> str:
    shown = ", ".join(list(names)[:MOST_NAMED])
    more = len(names) - MOST_NAMED
    return f"{shown} and {more} more" if more > 0 else shown


_SUMMARY = re.compile(r"^(?:FAILED|ERROR) (\S{1,500})", re.MULTILINE)


def _failed_lines(output: str) -> tuple[str, ...]:
    """The names in pytest's short summary, where there is no report."""
    return tuple(sorted({junit.stable(name) for name in _SUMMARY.findall(output)}))


_TELLING = re.compile(r"error|fail|exception|assert|expected|not found|undefined", re.IGNORECASE)
_MOVING = re.compile(
    r"0x[0-9a-f]+|/(?:tmp|var/tmp|private|home/agent)/\S*|\b[0-9a-f]{8,64}\b|\d+(?:[.,:]\d+)*",
    re.IGNORECASE,
)
_LINES = 20


def error_digest(results: Iterable[CheckResult]) -> str:
    """A digest of which checks and tests failed and how; empty when none did."""
    wrong = [
        [r.name, r.status.value, [*r.failed_tests], [*r.missing_tests], _gist(r.excerpt)]
        for r in results
        if not r.passed
    ]
    return digest_of(wrong) if wrong else ""


def _gist(output: str) -> list[str]:
    """The lines that tell what went wrong, without what differs from run to run."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    telling = [line for line in lines if _TELLING.search(line)] or lines
    return sorted({" ".join(_MOVING.sub("#", line).split()) for line in telling[-_LINES:]})


_ESCAPES = re.compile(
    r"\x1b(?:\[[0-?]{0,64}[ -/]{0,8}[@-~]?"
    r"|[\]PX^_][^\x07\x1b]{0,4096}(?:\x07|\x1b\\)?"
    r"|[ -/]{0,4}[0-~]?)"
)


def plain(data: bytes) -> str:
    """Output as plain text: no terminal escapes, control, bidi or invisible characters.

    Of a line that was drawn over (progress bars) only the last state remains.
    """
    text = _ESCAPES.sub("", data.decode("utf-8", "replace")).replace("\r\n", "\n")
    lines = (line.rstrip("\r").rpartition("\r")[2] for line in text.split("\n"))
    return "".join(c for c in "\n".join(lines) if c in "\n\t" or not _hidden(c))


def _hidden(char: str) -> bool:
    return unicodedata.category(char) in ("Cc", "Cf", "Cs", "Zl", "Zp")
