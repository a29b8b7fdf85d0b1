"""What a Python test file promises, read from its syntax tree: pytest's and unittest's ways.

An assertion counts only where it can fail: not after a ``return``, not under ``if False``, not in a
``try`` whose handler swallows what it raises, and not if it is true whatever the code does.
"""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from lifeos.core.testfile import Skip, Test, TestFile

_MARKS = {"skip", "skipif", "xfail", "skipUnless", "skipIf", "expectedFailure"}
_STOPS = {"skip", "xfail", "skipTest", "SkipTest", "importorskip"}
_RAISES = {"raises", "warns", "deprecated_call", "fail"}
_BROAD = {"Exception", "BaseException", "AssertionError"}
_CHECKS = ("assert", "check_", "verify_", "expect_")
_ENDS = ast.Return | ast.Raise | ast.Continue | ast.Break
_HOOKS = re.compile(
    r"pytest_(?:collection_modifyitems|ignore_collect|collect_file|pycollect_\w+|itemcollected"
    r"|runtest_\w+|pyfunc_call|report_teststatus|sessionfinish|exception_interact|fixture_setup)"
)
"""Hooks of pytest that can keep tests from running, or a failure from being one."""

_NUMBER = r"(?P<value>\d{1,9}(?:\.\d{1,9})?(?:[eE][+-]?\d{1,3})?)"
_LIMIT = re.compile(
    r"\b(?P<key>timeout|rel|abs|rtol|atol|delta|rel_tol|abs_tol|max_examples|places|decimal"
    r"|flaky|reruns|retries)"
    r"(?:\s{0,4}=\s{0,4}|\(\s{0,4}(?:max_runs=|reruns=)?)" + _NUMBER
)

_Function = ast.FunctionDef | ast.AsyncFunctionDef


def read_python(text: str) -> TestFile | None:
    """What ``text`` promises; None when it cannot be parsed."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(text)
        return _Reader(tree, text.split("\n")).read()
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


@dataclass(frozen=True)
class _Reader:
    """One parsed file."""

    tree: ast.Module
    lines: list[str]

    def read(self) -> TestFile:
        own = {node.name: node for node in ast.walk(self.tree) if isinstance(node, _Function)}
        checkers = {
            name: bool(_asserts(node, {}))
            for name, node in own.items()
            if not name.startswith("test")
        }
        tables = dict(_tables(self.tree.body))
        tests: dict[str, Test] = {}
        for owner, function, outer in _functions(self.tree.body):
            name = f"{owner}{function.name}"
            tests[name] = self._test(name, function, outer, checkers, tables)
        for name in _undone(self.tree.body):
            tests.pop(name, None)
        skips = [*self._module_skips(), *self._shared_skips(self.tree.body)]
        return TestFile(tests, tuple(skips))

    def _test(
        self,
        name: str,
        function: _Function,
        outer: tuple[ast.expr, ...],
        checkers: Mapping[str, bool],
        tables: Mapping[str, int],
    ) -> Test:
        marks = [*outer, *function.decorator_list]
        first = min([function.lineno, *(mark.lineno for mark in function.decorator_list)])
        source = "\n".join(self.lines[first - 1 : function.end_lineno])
        return Test(
            name,
            function.lineno,
            asserts=_asserts(function, checkers),
            cases=_cases(marks, tables),
            skips=(*self._marked(marks), *self._stopped(function)),
            broad=sum(_any_exception(node) for node in ast.walk(function)),
            loops=any(isinstance(node, ast.For | ast.AsyncFor) for node in ast.walk(function)),
            limits=tuple((m["key"], float(m["value"])) for m in _LIMIT.finditer(source)),
            body="".join(ast.dump(node) for node in _without_docstring(function.body)),
        )

    def _module_skips(self) -> Iterator[Skip]:
        """What keeps a whole file from running."""
        yield from self._marked(_pytestmark(self.tree.body))
        for node in self.tree.body:
            if isinstance(node, ast.Assign):
                for target in node.targets:
                    if _last(target) in ("collect_ignore", "collect_ignore_glob", "__test__"):
                        yield self._skip(node)
            elif isinstance(node, ast.Expr | ast.If | ast.Raise | ast.Try):
                for inner in ast.walk(node):
                    if _ends_test(inner):
                        yield self._skip(inner)

    def _shared_skips(self, body: Iterable[ast.stmt]) -> Iterator[Skip]:
        """Fixtures, ``setUp`` and hooks that keep tests from running, and classes that are none."""
        for node in body:
            if isinstance(node, ast.ClassDef):
                yield from self._shared_skips(node.body)
                for inner in node.body:
                    if isinstance(inner, ast.Assign) and _last(inner.targets[0]) == "__test__":
                        yield self._skip(inner)
            elif isinstance(node, _Function) and not node.name.startswith("test"):
                if _HOOKS.fullmatch(node.name):
                    # All of it: a hook that is changed is another hook.
                    dump = "".join(ast.dump(each) for each in node.body)
                    yield Skip(node.lineno, self._line(node.lineno), dump)
                else:
                    yield from (self._skip(inner) for inner in ast.walk(node) if _ends_test(inner))

    def _marked(self, marks: Iterable[ast.expr]) -> Iterator[Skip]:
        for mark in marks:
            called = mark.func if isinstance(mark, ast.Call) else mark
            if _last(called) in _MARKS:
                yield self._skip(mark)

    def _stopped(self, function: _Function) -> Iterator[Skip]:
        """What in the body ends the test without a failure, returns included, and marks of single
        cases (``pytest.param(1, marks=pytest.mark.skip)``).
        """
        whole = {id(m.func if isinstance(m, ast.Call) else m) for m in function.decorator_list}
        for node in ast.walk(function):
            if isinstance(node, ast.Attribute) and _last(node.value) == "mark":
                if node.attr in _MARKS and id(node) not in whole:
                    yield self._skip(node)
            elif _ends_test(node):
                yield self._skip(node)
        for node in _own_nodes(function):
            if isinstance(node, ast.Return) and node is not function.body[-1]:
                yield self._skip(node)

    def _skip(self, node: ast.AST) -> Skip:
        number = getattr(node, "lineno", 0)
        return Skip(number, self._line(number))

    def _line(self, number: int) -> str:
        return self.lines[number - 1].strip()[:200] if 0 < number <= len(self.lines) else ""


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


def _undone(body: Iterable[ast.stmt]) -> Iterator[str]:
    """Names that are given away again: ``del test_one``, ``test_one = None``."""
    for node in body:
        targets = node.targets if isinstance(node, ast.Assign | ast.Delete) else []
        yield from (_last(target) for target in targets)


def _tables(body: Iterable[ast.stmt]) -> Iterator[tuple[str, int]]:
    """Names of the module that stand for tables, with their lengths."""
    for node in body:
        if isinstance(node, ast.Assign):
            targets, value = node.targets, node.value
        elif isinstance(node, ast.AnnAssign) and node.value is not None:
            targets, value = [node.target], node.value
        else:
            continue
        length = _length(value, {})
        if length >= 0:
            yield from ((_last(target), length) for target in targets)


def _length(node: ast.expr | None, tables: Mapping[str, int]) -> int:
    """How many entries a table has; -1 when it is made in a way that is not followed."""
    if isinstance(node, ast.List | ast.Tuple | ast.Set):
        return -1 if any(isinstance(each, ast.Starred) for each in node.elts) else len(node.elts)
    if isinstance(node, ast.Dict):
        return -1 if None in node.keys else len(node.keys)
    if isinstance(node, ast.Name):
        return tables.get(node.id, -1)
    if isinstance(node, ast.Call) and _last(node.func) in ("sorted", "list", "tuple", "range"):
        only = node.args[0] if len(node.args) == 1 else None
        if _last(node.func) == "range" and isinstance(only, ast.Constant):
            return only.value if isinstance(only.value, int) else -1
        return _length(only, tables)
    return -1


def _cases(marks: Iterable[ast.expr], tables: Mapping[str, int]) -> int:
    """How many cases ``parametrize`` makes of a test: 0 without it, -1 when that is not known."""
    total = 0
    for mark in marks:
        if isinstance(mark, ast.Call) and _last(mark.func) == "parametrize":
            values = [*mark.args[1:2], *(k.value for k in mark.keywords if k.arg == "argvalues")]
            length = _length(values[0], tables) if values else -1
            total = -1 if length < 0 or total < 0 else max(total, 1) * length
    return total


def _pytestmark(body: Iterable[ast.stmt]) -> Iterator[ast.expr]:
    for node in body:
        if isinstance(node, ast.Assign) and any(
            _last(target) == "pytestmark" for target in node.targets
        ):
            yield from (
                node.value.elts if isinstance(node.value, ast.List | ast.Tuple) else [node.value]
            )


def _without_docstring(body: list[ast.stmt]) -> list[ast.stmt]:
    first = body[0]
    return body[isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) :]


def _own_nodes(function: ast.AST) -> Iterator[ast.AST]:
    """The nodes of a function without those of functions inside it."""
    for child in ast.iter_child_nodes(function):
        if not isinstance(child, _Function | ast.Lambda | ast.ClassDef):
            yield child
            yield from _own_nodes(child)


def _ends_test(node: ast.AST) -> bool:
    """Whether this ends a test without a failure; ``pytest.mark.skip`` is a mark, not a call."""
    if isinstance(node, ast.Raise):
        return _last(node.exc) == "SkipTest"
    if not isinstance(node, ast.Call):
        return False
    of_mark = isinstance(node.func, ast.Attribute) and _last(node.func.value) == "mark"
    return _last(node.func) in _STOPS and not of_mark


def _any_exception(node: ast.AST) -> bool:
    """``pytest.raises(Exception)``: whatever goes wrong is fine."""
    if not isinstance(node, ast.Call) or _last(node.func) not in ("raises", "assertRaises"):
        return False
    return bool(node.args) and _last(node.args[0]) in _BROAD


def _asserts(function: _Function, checkers: Mapping[str, bool]) -> int:
    """How many things a test asserts. ``checkers`` are the functions of the file, and whether they
    assert: a call of one that does counts as one.
    """
    count = 0
    for node in _live(function):
        if isinstance(node, ast.Assert):
            count += not always_true(node.test)
        elif isinstance(node, ast.Call):
            name = _last(node.func)
            known = checkers.get(name, name.startswith(_CHECKS) or name in _RAISES)
            count += known and name != function.name and not _says_nothing(node)
    return count


def _live(node: ast.AST) -> Iterator[ast.AST]:
    """The nodes that are reached, and whose failure is one."""
    yield node
    for name, value in ast.iter_fields(node):
        if _dead(node, name):
            continue
        for each in value if isinstance(value, list) else [value]:
            if isinstance(each, ast.AST):
                yield from _live(each)
            if isinstance(each, _ENDS):
                break


def _dead(node: ast.AST, field: str) -> bool:
    """Whether the code in this field of a statement never runs, or may fail without a trace."""
    if isinstance(node, ast.If | ast.While) and isinstance(node.test, ast.Constant):
        return field == ("orelse" if node.test.value else "body")
    if isinstance(node, ast.Try) and field == "body":
        return any(_swallows(handler) for handler in node.handlers)
    if isinstance(node, ast.With) and field == "body":
        return any(_suppresses(item.context_expr) for item in node.items)
    return False


def _swallows(handler: ast.ExceptHandler) -> bool:
    named = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    broad = handler.type is None or any(_last(each) in _BROAD for each in named)
    return broad and not any(isinstance(node, ast.Raise) for node in ast.walk(handler))


def _suppresses(manager: ast.expr) -> bool:
    if not isinstance(manager, ast.Call) or _last(manager.func) != "suppress":
        return False
    return any(_last(each) in _BROAD for each in manager.args)


def _says_nothing(call: ast.Call) -> bool:
    """``assertTrue(True)``, ``assertEqual(x, x)``."""
    if not _last(call.func).startswith("assert") or not call.args:
        return False
    if all(isinstance(each, ast.Constant) for each in call.args):
        return True
    pair = call.args[:2]
    return len(pair) == 2 and ast.dump(pair[0]) == ast.dump(pair[1])


def always_true(test: ast.expr) -> bool:
    """``True``, ``x or True``, ``(x, "message")``, ``x == x``, ``1 == 1``, ``len(x) >= 0``."""
    match test:
        case ast.Constant():
            return bool(test.value)
        case ast.BoolOp():
            some = any if isinstance(test.op, ast.Or) else all
            return some(always_true(value) for value in test.values)
        case ast.UnaryOp(op=ast.Not(), operand=ast.Constant(value=value)):
            return not value
        case ast.Tuple() | ast.List() | ast.Set():
            return bool(test.elts)
        case ast.Lambda():
            return True
        case ast.Compare(left=left, ops=[op], comparators=[right]):
            return _same(left, op, right)
        case _:
            return False


def _same(left: ast.expr, op: ast.cmpop, right: ast.expr) -> bool:
    if isinstance(left, ast.Constant) and isinstance(right, ast.Constant):
        return True
    if isinstance(op, ast.Eq | ast.Is | ast.LtE | ast.GtE) and ast.dump(left) == ast.dump(right):
        return True
    length = isinstance(left, ast.Call) and _last(left.func) == "len"
    nothing = isinstance(right, ast.Constant) and right.value == 0
    return length and nothing and isinstance(op, ast.GtE)


def _last(node: ast.expr | None) -> str:
    """``skip`` for ``pytest.mark.skip``; empty for what has no name."""
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""
