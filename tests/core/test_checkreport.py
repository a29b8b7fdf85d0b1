"""What a check's ending means: every code, report and limit has one status and one class."""

from __future__ import annotations

from typing import Any

import pytest

from lifeos.core.checkreport import (
    EXCERPT,
    CheckReport,
    CheckResult,
    CheckStatus,
    Run,
    error_digest,
    judge_run,
    merged,
    plain,
)
from lifeos.core.policy.config import Check
from lifeos.core.policy.words import CheckKind
from lifeos.model import FailureClass

GOOD = (
    b'<testsuite><testcase classname="t" name="a"/><testcase classname="t" name="b"/></testsuite>'
)
BAD = b'<testsuite failures="1"><testcase classname="t" name="a"><failure/></testcase></testsuite>'
SKIPPED = b'<testsuite><testcase classname="t" name="a"><skipped/></testcase></testsuite>'


def check(run: str = "pytest -q", kind: str = "test", **more: Any) -> Check:
    """A test check by pytest."""
    return Check.model_validate({"name": "unit", "run": run, "kind": kind, **more})


def judged(of: Check | None = None, expected: tuple[str, ...] = (), **run: Any) -> CheckResult:
    """The result of a run that ended with 0 unless said otherwise."""
    return judge_run(of or check(), Run(**{"exit_code": 0} | run), expected)


F, S = FailureClass, CheckStatus
ENDINGS: list[tuple[str, dict[str, Any], CheckStatus, FailureClass | None]] = [
    ("pytest", {}, S.PASSED, None),
    ("pytest", {"exit_code": 1}, S.FAILED, F.TEST_FAILURE),
    ("pytest", {"exit_code": 2}, S.BROKEN, F.TOOL_ERROR),
    (
        "pytest",
        {"exit_code": 2, "out": "Interrupted: 1 error during collection"},
        S.FAILED,
        F.TEST_FAILURE,
    ),
    ("pytest", {"exit_code": 3, "out": "1 error during collection"}, S.BROKEN, F.TOOL_ERROR),
    ("python -m pytest -x", {"exit_code": 4}, S.BROKEN, F.TOOL_ERROR),
    (
        "pytest",
        {"exit_code": 4, "err": "ImportError while loading conftest"},
        S.FAILED,
        F.TEST_FAILURE,
    ),
    ("cd x && pytest", {"exit_code": 5}, S.NO_TESTS, F.TEST_FAILURE),
    ("make test", {"exit_code": 2}, S.FAILED, F.TEST_FAILURE),
    ("make test", {"exit_code": 5}, S.FAILED, F.TEST_FAILURE),
    ("pytest", {"exit_code": 126}, S.UNAVAILABLE, F.DEPENDENCY_ERROR),
    ("make test", {"exit_code": 127}, S.UNAVAILABLE, F.DEPENDENCY_ERROR),
    ("pytest", {"exit_code": 139}, S.FAILED, F.TEST_FAILURE),
    ("pytest", {"exit_code": -9}, S.FAILED, F.TEST_FAILURE),
    ("pytest", {"timed_out": True}, S.TIMEOUT, F.TEST_TIMEOUT),
    ("pytest", {"stopped": True}, S.STOPPED, F.INTERRUPTED),
    ("pytest", {"exceeded": "memory"}, S.BROKEN, F.TOOL_ERROR),
    ("pytest", {"not_started": "no shell"}, S.BROKEN, F.TOOL_ERROR),
]


@pytest.mark.parametrize(("command", "run", "status", "failure"), ENDINGS, ids=range(len(ENDINGS)))
def test_each_ending_has_its_status_and_class(
    command: str, run: dict[str, Any], status: CheckStatus, failure: FailureClass | None
) -> None:
    """pytest's codes mean something; another tool's are just red."""
    result = judged(check(command), **run)
    assert (result.status, result.failure_class) == (status, failure)
    assert bool(result.message) == (status is not S.PASSED)


@pytest.mark.parametrize(
    ("kind", "red", "late"),
    [("test", F.TEST_FAILURE, F.TEST_TIMEOUT), ("lint", F.LINT_ERROR, F.TIMEOUT),
     ("format", F.FORMATTING_ERROR, F.TIMEOUT), ("typo", F.TYPO, F.TIMEOUT),
     ("syntax", F.SYNTAX_ERROR, F.TIMEOUT), ("build", F.TOOL_ERROR, F.TIMEOUT)],
)  # fmt: skip
def test_the_kind_of_a_check_decides_its_class(
    kind: str, red: FailureClass, late: FailureClass
) -> None:
    """Both when it is red and when it takes too long."""
    one = check("ruff check", kind)
    assert judged(one, exit_code=1).failure_class is red
    assert judged(one, timed_out=True).failure_class is late


REPORTED: list[tuple[dict[str, Any], CheckStatus]] = [
    ({"report": GOOD}, S.PASSED),
    ({"report": None}, S.BROKEN),
    ({"report": b"<html/>"}, S.BROKEN),
    ({"report": b""}, S.BROKEN),
    ({"report": BAD}, S.FAILED),
    ({"report": b'<testsuite failures="1"/>'}, S.FAILED),
    ({"report": SKIPPED}, S.NO_TESTS),
    ({"report": b"<testsuite/>"}, S.NO_TESTS),
    ({"report": GOOD, "exit_code": 1}, S.FAILED),
    ({"report": None, "exit_code": 1}, S.FAILED),
]


@pytest.mark.parametrize(("run", "status"), REPORTED, ids=range(len(REPORTED)))
def test_exit_code_and_report_must_both_say_yes(run: dict[str, Any], status: CheckStatus) -> None:
    """A missing, broken, empty or red report is never a pass, whatever the exit code."""
    assert judged(check(junit="r.xml"), **run).status is status


def test_every_test_of_the_base_must_have_run() -> None:
    """A name that is gone, or was skipped, is a failure that names it; new tests are welcome."""
    one = check(junit="r.xml")
    assert judged(one, report=GOOD, expected=("t::a", "t::b")).passed
    result = judged(one, report=GOOD, expected=("t::a", "t::gone"))
    assert (result.status, result.missing_tests) == (S.MISSING, ("t::gone",))
    assert "t::gone" in result.message
    assert judged(one, report=SKIPPED, expected=("t::a",)).missing_tests == ("t::a",)


def test_failed_names_come_from_the_summary_where_there_is_no_report() -> None:
    """pytest's short summary."""
    out = "FAILED tests/test_a.py::test_x - assert 0\nERROR tests/test_b.py - ImportError\n"
    result = judged(exit_code=1, out=out)
    assert result.failed_tests == ("tests/test_a.py::test_x", "tests/test_b.py")


def test_a_rerun_makes_a_flake_and_never_a_pass() -> None:
    """Red, then green: a flake, with the names of the first run. Red twice stays red."""
    red = judged(exit_code=1, out="FAILED a::b - x", seconds=1.0)
    green = judged(seconds=2.0)
    flake = merged(red, [green])
    assert (flake.status, flake.failure_class) == (S.FLAKY, F.TEST_FLAKE)
    assert (flake.seconds, flake.reruns, flake.failed_tests) == (3.0, 1, ("a::b",))
    assert merged(red, [red, red]).failure_class is F.TEST_FAILURE
    assert merged(red, [judged(stopped=True)]).failure_class is F.INTERRUPTED


def test_the_gravest_class_wins_and_a_flake_hides_nothing() -> None:
    """The class that may be waived never stands for one that may not."""
    flake = merged(judged(exit_code=1), [judged()])
    red = judged(exit_code=1)
    lint = judged(check("ruff", "lint"), exit_code=1)
    report = CheckReport(results=(judged(), flake, lint, red))
    assert report.failure_classes == (F.TEST_FAILURE, F.LINT_ERROR, F.TEST_FLAKE)
    assert report.failure_class is F.TEST_FAILURE
    assert not report.passed
    assert CheckReport(results=(judged(),)).failure_class is None


def test_every_class_a_check_can_have_is_ranked() -> None:
    """A class without a rank would raise in the middle of a tick."""
    for kind in CheckKind:
        one = check(kind=kind.value)
        runs: list[dict[str, Any]] = [{"exit_code": 1}, {"timed_out": True}, {"stopped": True}]
        for run in [*runs, {"exceeded": "x"}, {"exit_code": 5}, {"exit_code": 127}]:
            assert CheckReport(results=(judged(one, **run),)).failure_class


def test_the_base_tests_are_a_finding_not_a_failure() -> None:
    """They go to a person as a guardrail; the attempt's own class stays what it was."""
    old = judged(check(junit="r.xml"), exit_code=1, report=BAD)
    report = CheckReport(results=(judged(),), base_tests=(old,))
    assert report.failure_class is None
    (finding,) = report.findings
    assert "tests of the base fail" in finding.message
    assert finding.excerpt == "t::a"
    assert CheckReport(results=(judged(),), base_tests=(judged(),)).findings == ()


OUT = "____ test_x ____\nE   assert 1 == 2\nFAILED t.py::test_x - assert\n"


def test_the_same_error_has_the_same_digest() -> None:
    """Times, addresses and temporary folders do not count; another test or error does."""
    first = judged(exit_code=1, out=f"{OUT}error in /tmp/a1/x at 0x7fff12 after 1.25s")
    again = judged(exit_code=1, out=f"{OUT}error in /tmp/b2/y at 0x5500aa after 0.5s", seconds=9.0)
    assert error_digest([first]) == error_digest([again]) != ""
    assert error_digest([judged(exit_code=1, out=OUT.replace("test_x", "test_y"))]) != error_digest(
        [first]
    )
    other = OUT.replace("assert 1 == 2", "KeyError: 'name'")
    assert error_digest([judged(exit_code=1, out=other)]) != error_digest(
        [judged(exit_code=1, out=OUT)]
    )
    assert error_digest([judged(timed_out=True)]) != error_digest([judged(exit_code=1)])
    assert error_digest([judged()]) == ""


def test_the_excerpt_is_the_end_of_both_streams() -> None:
    """A flood on one does not wash away the other; the limit holds."""
    result = judged(exit_code=1, out="o" * 9000 + "LAST", err="e" * 9000 + "WHY\n")
    assert len(result.excerpt) <= EXCERPT
    assert result.excerpt.endswith("LAST")
    assert "WHY\n" in result.excerpt


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (b"\x1b[31mred\x1b[0m", "red"),
        (b"\x1b]0;title\x07after", "after"),
        (b"\x1b]8;;http://x\x1b\\link", "link"),
        (b"\x1bPsecret\x1b\\x", "x"),
        (b"10%\r50%\r100%\nend\r\n", "100%\nend\n"),
        (b"a\x00b\x07c\x08d\te", "abcd\te"),
        ("a\u202eb\u2066c\u200bd".encode(), "abcd"),
        (b"\xff\xfe", "\ufffd\ufffd"),
        (b"\x1b", ""),
        (b"\x1b[", ""),
        ("caf\u00e9 \U0001f600".encode(), "caf\u00e9 \U0001f600"),
    ],
)
def test_output_becomes_plain_text(raw: bytes, text: str) -> None:
    """No escape, control, bidi or invisible character reaches a terminal or a page."""
    assert plain(raw) == text


def test_cleaning_takes_time_in_proportion() -> None:
    """Escapes that never end."""
    for piece in (b"\x1b", b"\x1b[", b"\x1b]", b"\x1b[0", b"\r", b"\x1bP" + b"x" * 50):
        plain(piece * (1_000_000 // len(piece)))
