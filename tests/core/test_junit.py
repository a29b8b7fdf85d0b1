"""JUnit reports: what they say, and what hostile ones cannot do."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifeos.core.junit import Case, CaseOutcome, JunitError, Report, parse, stable

REPORT = b"""<?xml version="1.0" encoding="utf-8"?>
<testsuites><testsuite name="pytest" errors="1" failures="1" skipped="1" tests="5" time="0.5">
<testcase classname="tests.test_a" name="test_ok" time="0.25" />
<testcase classname="tests.test_a" name="test_bad[x&lt;1]" time="1,000.5">
  <failure message="assert 1 == 2">where it failed</failure></testcase>
<testcase classname="tests.test_a" name="test_skip"><skipped message="not here" /></testcase>
<testcase classname="" name="tests.test_b"><error message="collection failure">E</error></testcase>
<testcase classname="tests.test_a" name="test_teardown"><skipped/><error message="e"/></testcase>
</testsuite></testsuites>
"""


def test_a_report_says_how_each_test_ended() -> None:
    """Names with their class, outcome, message, seconds; in the order of the file."""
    tests = parse(REPORT).tests
    assert tests[0] == Case("tests.test_a::test_ok", CaseOutcome.PASSED, "", 0.25)
    assert tests[1].name == "tests.test_a::test_bad[x<1]"
    assert tests[1].message == "assert 1 == 2\nwhere it failed"
    assert tests[1].seconds == 1000.5
    assert [case.outcome.value for case in tests] == [
        "passed",
        "failed",
        "skipped",
        "error",
        "error",
    ]
    assert tests[3].name == "tests.test_b"


def test_names_that_failed_and_names_that_ran() -> None:
    """A skipped test did not run; sorted and each once."""
    report = parse(REPORT)
    assert report.failed
    assert report.failed_names == (
        "tests.test_a::test_bad[x<1]",
        "tests.test_a::test_teardown",
        "tests.test_b",
    )
    assert "tests.test_a::test_skip" not in report.ran_names
    assert "tests.test_a::test_ok" in report.ran_names


def test_failures_that_are_only_declared_count() -> None:
    """A suite that says it failed has failed, even if no test of it is named."""
    assert parse(b'<testsuite failures="1"/>').failed
    assert parse(b'<testsuite errors="1"></testsuite>').failed
    assert not parse(b'<testsuite failures="0" errors="x"/>').failed
    assert parse(b"<testsuites/>") == Report(())


BOMB = """<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>
<testsuite><testcase name="&b;"/></testsuite>"""
READING = """<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]>
<testsuite><testcase name="x">&a;</testcase></testsuite>"""


@pytest.mark.parametrize("text", [BOMB, READING, "<!DOCTYPE testsuite><testsuite/>"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_a_document_type_is_refused_in_any_encoding(text: str, encoding: str) -> None:
    """So there are no entities to expand or to read files with; UTF-16 does not hide it."""
    data = text.encode(encoding)
    with pytest.raises(JunitError, match="document type"):
        parse(data)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"not xml",
        b"<testsuite>",
        b"<html/>",
        b"<testsuite/><testsuite/>",
        b'<?xml version="1.0" encoding="no-such-code"?><testsuite/>',
        b"<testsuite>" + b"<a>" * 100 + b"</a>" * 100 + b"</testsuite>",
        b"<testsuite>\xff</testsuite>",
        b"<testsuite>&unknown;</testsuite>",
        b" " * 32_000_001,
    ],
    ids=range(10),
)
def test_what_is_no_report_is_refused_by_name(data: bytes) -> None:
    """Never half read, never an exception of another kind."""
    with pytest.raises(JunitError):
        parse(data)


def test_long_texts_are_cut() -> None:
    """A test cannot fill the ledger with its name or message."""
    name, text = "n" * 5000, "m" * 100_000
    data = f'<testsuite><testcase name="{name}"><failure>{text}</failure></testcase></testsuite>'
    (case,) = parse(data.encode()).tests
    assert len(case.name) == 1000
    assert len(case.message) == 2000


@pytest.mark.parametrize("seconds", ["nan", "inf", "-1", "x", ""])
def test_seconds_are_a_number_or_nothing(seconds: str) -> None:
    """NaN would make two equal reports differ."""
    data = f'<testsuite><testcase name="a" time="{seconds}"/></testsuite>'.encode()
    assert parse(data).tests[0].seconds == 0.0


def test_addresses_in_names_do_not_make_new_tests() -> None:
    """A parameter printed with its address is the same test in the next run."""
    assert stable("t[<object at 0x7f12ab34cd>]") == stable("t[<object at 0x55aa00ff11>]")


@given(st.binary(max_size=300))
def test_any_bytes_give_a_report_or_a_named_error(data: bytes) -> None:
    """Nothing else comes out."""
    for text in (data, b"<testsuite>" + data + b"</testsuite>"):
        with contextlib.suppress(JunitError):
            parse(text)
