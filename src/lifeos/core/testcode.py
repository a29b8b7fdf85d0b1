"""What a test file promises, read from its source: its tests, how much each asserts, and which are
skipped. Python is read by its syntax tree, other languages line by line.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

from lifeos.core.pytests import read_python
from lifeos.core.testfile import Skip, Test, TestFile

TEST_FILES = (
    "tests/**",
    "test/**",
    "**/tests/**",
    "**/test/**",
    "**/__tests__/**",
    "**/spec/**",
    "**/test_*.py",
    "**/*_test.*",
    "**/*.test.*",
    "**/*.spec.*",
    "**/*_spec.rb",
    "**/*Test.java",
    "**/*Tests.java",
    "**/*Test.kt",
    "**/conftest.py",
)
"""Globs of the files that tests live in, in the layouts of the common tools."""

LONGEST_LINE = 1000
"""Characters of a line that are looked at."""


def read(path: str, text: str) -> TestFile:
    """What ``text`` promises. One that does not parse, or of an unknown kind, promises nothing."""
    ending = path.rpartition(".")[2].lower()
    if ending == "py":
        return read_python(text) or TestFile()
    dialect = _DIALECTS.get(ending)
    return _by_line(text, dialect) if dialect is not None else TestFile()


class _Dialect(NamedTuple):
    """How the tests of a language look, a line at a time. A test may be ``headed`` by a line that
    says only that the next is one (``#[test]``, ``@Test``).
    """

    test: re.Pattern[str]
    skip: re.Pattern[str]
    check: re.Pattern[str]
    nothing: re.Pattern[str]
    comment: str = "//"
    headed: re.Pattern[str] | None = None
    header: re.Pattern[str] | None = None


def _by_line(text: str, dialect: _Dialect) -> TestFile:
    found: list[Test] = []
    bodies: list[list[str]] = []
    skips: list[Skip] = []
    pending = False
    for number, line in enumerate(text.split("\n"), 1):
        cut = line[:LONGEST_LINE]
        code = cut.strip()
        if code.startswith(dialect.comment):
            code = ""
        for name in _names(code, cut, dialect, pending=pending):
            found.append(Test(name, number))
            bodies.append([])
        pending = _pends(code, dialect, pending=pending)
        if code and dialect.skip.search(code):
            skips.append(Skip(number, code[:200]))
        if found and code:
            last = found[-1]
            bodies[-1].append(code.replace(last.name, "", 1) if last.line == number else code)
            checks = len(dialect.check.findall(code)) - len(dialect.nothing.findall(code))
            found[-1] = replace(last, asserts=last.asserts + max(checks, 0))
    tests = [replace(test, body="\n".join(body)) for test, body in zip(found, bodies, strict=True)]
    return TestFile({test.name: test for test in tests}, tuple(skips))


def _names(code: str, cut: str, dialect: _Dialect, *, pending: bool) -> Iterator[str]:
    """The tests that begin in this line."""
    if not code:
        return
    matches = list(dialect.test.finditer(cut))
    if not matches and pending and dialect.headed is not None:
        matches = list(dialect.headed.finditer(cut))
    yield from (match["name"] or match[match.lastgroup or 0] for match in matches)


def _pends(code: str, dialect: _Dialect, *, pending: bool) -> bool:
    """Whether the next function is a test."""
    if dialect.header is None or not code:
        return pending
    if dialect.header.search(code):
        return True
    return pending and code.startswith(("#[", "@"))


_SCRIPT = _Dialect(
    test=re.compile(
        r"\b(?:it|test|specify)(?:\.\w{1,12}){0,2}(?:\([^()'\"`]{0,80}\))?"
        r"\(\s{0,8}(?P<quote>['\"`])(?P<name>[^'\"`]{1,300})(?P=quote)"
    ),
    skip=re.compile(
        r"\b(?:it|test|describe|suite|context|specify)(?:\.concurrent)?"
        r"\.(?:skip|skipIf|runIf|only|todo|failing|fails|fixme)\b"
        r"|\b(?:xit|xtest|xdescribe|xcontext|xspecify|fit|fdescribe|fcontext)\("
        r"|\bthis\.skip\(|\bt(?:est)?\.skip\(|\bpending\("
    ),
    check=re.compile(r"\b(?:expect|assert|should)\b[.(]|\.should\b"),
    nothing=re.compile(
        r"\bexpect\((?P<a>true|false|1|0|null|undefined)\)\.(?:toBe|toEqual|toStrictEqual)\((?P=a)\)"
        r"|\bassert(?:\.ok|\.isTrue)?\((?:true|1)\b|\bexpect\(true\)\.toBeTruthy\("
    ),
)
_JVM = _Dialect(
    test=re.compile(r"\b(?:void|fun) (?P<name>test\w{1,200}|\w{1,200}Test)\("),
    skip=re.compile(r"@(?:Disabled\w{0,30}|Ignore|EnabledIf\w{0,30})\b|\bassume(?:True|False|That)\("),
    check=re.compile(r"\b(?:assert\w{0,40}|verify|fail)\s?\("),
    nothing=re.compile(r"\bassertTrue\(\s?true\b|\bassertFalse\(\s?false\b"),
    headed=re.compile(r"\b(?:void|fun) (?P<name>\w{1,200}|`[^`]{1,200}`)\s?\("),
    header=re.compile(r"@(?:Test|ParameterizedTest|RepeatedTest)\b"),
)  # fmt: skip
_DIALECTS = {
    **dict.fromkeys(("js", "jsx", "ts", "tsx", "mjs", "cjs", "mts", "cts"), _SCRIPT),
    "go": _Dialect(
        test=re.compile(r"^func (?:\([^()]{1,80}\) )?(?P<name>(?:Test|Fuzz|Example)\w{0,200})\("),
        skip=re.compile(
            r"\b[tbf]\.(?:Skip|SkipNow|Skipf)\(|\.T\(\)\.Skip|^//go:build ignore|testing\.Short\(\)"
        ),
        check=re.compile(r"\bt\.(?:Error|Errorf|Fatal|Fatalf|Fail|FailNow)\(|\b(?:assert|require)\."),
        nothing=re.compile(r"\b(?:assert|require)\.True\(t, true\b"),
    ),
    "rs": _Dialect(
        test=re.compile(
            r"^\s{0,40}(?:pub )?(?:async )?fn (?P<name>(?:test_\w{1,200}|\w{1,200}_test))\("
        ),
        skip=re.compile(r"#\[(?:ignore|should_panic)\b|#\[cfg_attr\([^\]]{0,200}ignore"),
        check=re.compile(r"\b(?:assert|assert_eq|assert_ne|assert_matches|panic)!"),
        nothing=re.compile(r"\bassert!\(true\b"),
        headed=re.compile(r"\bfn (?P<name>\w{1,200})\("),
        header=re.compile(r"#\[(?:\w+::)?test\b"),
    ),
    **dict.fromkeys(("java", "kt"), _JVM),
    "rb": _Dialect(
        test=re.compile(
            r"^\s{0,40}(?:it|test|specify) (?P<quote>['\"])(?P<name>[^'\"]{1,300})(?P=quote)"
            r"|^\s{0,40}def (?P<method>test_\w{1,200})"
        ),
        skip=re.compile(r"^(?:skip|pending|xit|xdescribe|xcontext|xspecify|fit|fdescribe)\b"),
        check=re.compile(r"\b(?:expect|assert\w{0,40}|refute\w{0,40})\b|\.should\b|\.must_"),
        nothing=re.compile(r"\bassert\(? ?true\b|\bexpect\(true\)\.to (?:be|eq)\(? ?true"),
        comment="#",
    ),
}  # fmt: skip
