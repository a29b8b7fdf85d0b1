"""What a test file promises, read from its source: its tests, how much each asserts, and which are
skipped.
"""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

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


class Skip(NamedTuple):
    """One place where a test is kept from running: its line, and that line's text."""

    line: int
    text: str


@dataclass(frozen=True)
class Test:
    """One test function: ``Class::name`` or ``name``, its line, its assertions, what skips it."""

    name: str
    line: int
    asserts: int = 0
    cases: bool = False
    skips: tuple[Skip, ...] = ()


@dataclass(frozen=True)
class TestFile:
    """The tests of one file by name, and what skips all of them."""

    tests: dict[str, Test] = field(default_factory=dict)
    skips: tuple[Skip, ...] = ()


def read(path: str, text: str) -> TestFile:
    """What ``text`` promises. One that does not parse, or of an unknown kind, promises nothing."""
    ending = path.rpartition(".")[2].lower()
    if ending == "py":
        return _python(text)
    dialect = _DIALECTS.get(ending)
    if dialect is None:
        return TestFile()
    lines = text.split("\n")
    tests: dict[str, Test] = {}
    skips: list[Skip] = []
    for number, line in enumerate(lines, 1):
        cut = line[:1000]
        for match in dialect.test.finditer(cut):
            tests[match["name"]] = Test(match["name"], number, asserts=-1)
        if dialect.skip.search(cut):
            skips.append(Skip(number, cut.strip()[:200]))
    return TestFile(tests, tuple(skips))


class _Dialect(NamedTuple):
    """How the tests of a language look, a line at a time."""

    test: re.Pattern[str]
    skip: re.Pattern[str]


_SCRIPT = _Dialect(
    re.compile(
        r"\b(?:it|test)(?:\.\w{1,12})?\(\s{0,8}(?P<quote>['\"`])(?P<name>[^'\"`]{1,300})(?P=quote)"
    ),
    re.compile(
        r"\b(?:it|test|describe|suite)\.(?:skip|only|todo|failing)\b|\b(?:xit|xtest|xdescribe|fit|fdescribe)\("
    ),
)
_DIALECTS = {
    **dict.fromkeys(("js", "jsx", "ts", "tsx", "mjs", "cjs", "mts", "cts"), _SCRIPT),
    "go": _Dialect(
        re.compile(r"^func (?P<name>(?:Test|Fuzz|Example)\w{0,200})\("),
        re.compile(r"\b[tbf]\.(?:Skip|SkipNow|Skipf)\("),
    ),
    "rs": _Dialect(
        re.compile(
            r"^\s{0,40}(?:pub )?(?:async )?fn (?P<name>(?:test_\w{1,200}|\w{1,200}_test))\("
        ),
        re.compile(r"#\[(?:ignore|should_panic)\b"),
    ),
    **dict.fromkeys(
        ("java", "kt"),
        _Dialect(
            re.compile(r"\b(?:void|fun) (?P<name>test\w{1,200}|\w{1,200}Test)\("),
            re.compile(r"@(?:Disabled|Ignore)\b"),
        ),
    ),
    "rb": _Dialect(
        re.compile(
            r"^\s{0,40}(?:it|test|specify) (?P<quote>['\"])(?P<name>[^'\"]{1,300})(?P=quote)"
        ),
        re.compile(r"^\s{0,40}(?:skip|pending|xit|xdescribe|xcontext)\b"),
    ),
}

_MARKS = {"skip", "skipif", "xfail", "skipUnless", "skipIf", "expectedFailure"}
_STOPS = {"skip", "xfail", "skipTest", "SkipTest", "importorskip"}
_RAISES = {"raises", "warns", "deprecated_call", "fail"}

_Function = ast.FunctionDef | ast.AsyncFunctionDef


def _python(text: str) -> TestFile:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return TestFile()
    lines = text.split("\n")
    checkers = {f.name for f in tree.body if isinstance(f, _Function) and _asserts(f, frozenset())}
    tests: dict[str, Test] = {}
    skips = list(_module_skips(tree.body, lines))
    for owner, function, outer in _functions(tree.body):
        name = f"{owner}{function.name}"
        found = [*outer, *function.decorator_list]
        tests[name] = Test(
            name,
            function.lineno,
            asserts=_asserts(function, frozenset(checkers)),
            cases=any("parametrize" in ast.dump(mark) for mark in function.decorator_list),
            skips=(*_marked(found, lines), *_stopped(function, lines)),
        )
    return TestFile(tests, tuple(skips))


def _functions(
    body: Iterable[ast.stmt], owner: str = "", outer: tuple[ast.expr, ...] = ()
) -> Iterator[tuple[str, _Function, tuple[ast.expr, ...]]]:
    """Test functions with the prefix of their class and the decorators of it."""
    for node in body:
        if isinstance(node, _Function) and node.name.startswith("test"):
            yield owner, node, outer
        elif isinstance(node, ast.ClassDef):
            marks = (*outer, *node.decorator_list, *_pytestmark(node.body))
            yield from _functions(node.body, f"{owner}{node.name}::", marks)


def _pytestmark(body: Iterable[ast.stmt]) -> Iterator[ast.expr]:
    for node in body:
        if isinstance(node, ast.Assign) and any(
            _last(target) == "pytestmark" for target in node.targets
        ):
            yield from (
                node.value.elts if isinstance(node.value, ast.List | ast.Tuple) else [node.value]
            )


def _module_skips(body: list[ast.stmt], lines: list[str]) -> Iterator[Skip]:
    """What keeps a whole file from running."""
    yield from _marked(_pytestmark(body), lines)
    for node in body:
        if isinstance(node, ast.Assign):
            for target in node.targets:
                if _last(target) in ("collect_ignore", "collect_ignore_glob", "__test__"):
                    yield _skip(node, lines)
        elif isinstance(node, ast.Expr | ast.If | ast.Raise):
            for inner in ast.walk(node):
                if isinstance(inner, ast.Call) and _last(inner.func) in _STOPS:
                    yield _skip(inner, lines)


def _marked(marks: Iterable[ast.expr], lines: list[str]) -> Iterator[Skip]:
    for mark in marks:
        called = mark.func if isinstance(mark, ast.Call) else mark
        if _last(called) in _MARKS:
            yield _skip(mark, lines)


def _stopped(function: _Function, lines: list[str]) -> Iterator[Skip]:
    """Calls in the body that end the test without a failure, returns that come first, and marks of
    single cases (``pytest.param(1, marks=pytest.mark.skip)``).
    """
    whole = {id(m.func if isinstance(m, ast.Call) else m) for m in function.decorator_list}
    for node in ast.walk(function):
        if isinstance(node, ast.Attribute) and _last(node.value) == "mark":
            if node.attr in _MARKS and id(node) not in whole:
                yield _skip(node, lines)
        elif isinstance(node, ast.Call) and _stops(node.func):
            yield _skip(node, lines)
    first = function.body[1:2] if _is_docstring(function.body[0]) else function.body[:1]
    if first and isinstance(first[0], ast.Return):
        yield _skip(first[0], lines)


def _is_docstring(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _stops(node: ast.expr) -> bool:
    """Whether calling this ends a test; ``pytest.mark.skip`` is a mark, looked at as such."""
    marks = isinstance(node, ast.Attribute) and _last(node.value) == "mark"
    return _last(node) in _STOPS and not marks


def _skip(node: ast.expr | ast.stmt, lines: list[str]) -> Skip:
    text = lines[node.lineno - 1] if node.lineno <= len(lines) else ""
    return Skip(node.lineno, text.strip()[:200])


def _asserts(function: _Function, checkers: frozenset[str]) -> int:
    """How many things a test asserts; one that is always true asserts nothing.

    A call of a function of the same file that asserts counts as one.
    """
    count = 0
    for node in ast.walk(function):
        if isinstance(node, ast.Assert):
            count += not _always_true(node.test)
        elif isinstance(node, ast.Call):
            name = _last(node.func)
            asserts = name.startswith("assert") or name in checkers or name in _RAISES
            count += asserts and name != function.name
    return count


def _always_true(test: ast.expr) -> bool:
    """``assert True``, ``assert 1``, ``assert x or True``, ``assert (x, "message")``."""
    if isinstance(test, ast.Constant):
        return bool(test.value)
    if isinstance(test, ast.BoolOp) and isinstance(test.op, ast.Or):
        return any(_always_true(value) for value in test.values)
    return isinstance(test, ast.Tuple) and bool(test.elts)


def _last(node: ast.expr) -> str:
    """``skip`` for ``pytest.mark.skip``; empty for what has no name."""
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""
