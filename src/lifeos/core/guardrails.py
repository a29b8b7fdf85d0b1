"""Whether a change weakens what judges it: tests gone, skipped, emptied; limits and rules relaxed.

Read from the sources, so it finds what no run shows: a test that no longer asserts anything passes.
Only what the base had counts; what a new test skips or leaves out weakens nothing. What moves,
within a file or to another one, is not gone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from lifeos.core import globs, leaks, testcode
from lifeos.core.envelope import Breach, BreachKind
from lifeos.core.strictness import relaxed
from lifeos.core.suppressions import silenced
from lifeos.core.testfile import Skip, Test, TestFile
from lifeos.model import Change

MOST_NAMED = 20
"""Missing tests that are named one by one for a file."""

_EASIER_UP = {
    "timeout", "rel", "abs", "rtol", "atol", "delta", "rel_tol", "abs_tol", "flaky", "reruns",
    "retries",
}  # fmt: skip
"""Limits of a test that are easier to meet the larger they are; the others, the smaller."""


def is_test_file(path: str) -> bool:
    """Whether tests live in a file of this name."""
    return globs.any_match(testcode.TEST_FILES, path)


def changed_test_files(changes: Sequence[Change]) -> tuple[str, ...]:
    """The test files of the base that ``changes`` alter, and new configuration of tests; sorted.

    These are what the base's tests are run with. A file of new tests is not among them: it takes
    nothing away.
    """
    found: set[str] = set()
    for change in changes:
        for path in {change.path, change.old_path} - {""}:
            fresh = change.status == "A" or (change.status == "R" and path == change.path)
            if is_test_file(path) and (not fresh or path.endswith("conftest.py")):
                found.add(path)
    return tuple(sorted(found))


def weakened(changes: Sequence[Change], contents: Mapping[str, bytes]) -> tuple[Breach, ...]:
    """What ``changes`` take away from what judges them, in order of path; ``contents`` are old and
    new blobs by id.

    Contents that were not handed in are not looked at: the base's tests, run on the new code, are
    the second line.
    """
    sides = [_Side(change, *_texts(change, contents)) for change in changes]
    moved = _Moved(sides)
    found: list[Breach] = []
    for side in sides:
        if side.known and side.was_test:
            found += _tests(side, moved)
    texts = [(side.change.path, side.old or "", side.new) for side in sides if side.readable]
    rules = [*relaxed(texts), *silenced(texts)]
    found += [_breach(each.path, each.message, each.line, each.excerpt) for each in rules]
    return tuple(sorted(set(found), key=lambda b: (b.path, b.line, b.message)))


def _texts(change: Change, contents: Mapping[str, bytes]) -> tuple[str | None, str | None]:
    return _text(contents, change.old_id), _text(contents, change.new_id)


def _text(contents: Mapping[str, bytes], blob: str) -> str | None:
    data = contents.get(blob)
    return None if data is None else leaks.as_text(data).removeprefix("\ufeff")


@dataclass(frozen=True)
class _Side:
    """One change with its two texts (None: there is none, or it was not handed in)."""

    change: Change
    old: str | None
    new: str | None

    @property
    def old_path(self) -> str:
        return self.change.old_path or self.change.path

    @property
    def was_test(self) -> bool:
        return is_test_file(self.old_path)

    @property
    def known(self) -> bool:
        """Whether the base had something here; a new conftest.py speaks for files of the base."""
        if self.change.status == "A":
            return self.change.path.endswith("conftest.py") and self.new is not None
        return self.old is not None

    @property
    def readable(self) -> bool:
        """Whether both sides that exist were handed in."""
        return (self.change.status == "A" or self.old is not None) and (
            self.change.status == "D" or self.new is not None
        )

    @cached_property
    def before(self) -> TestFile:
        if self.old is None or not self.was_test:
            return TestFile()
        return testcode.read(self.old_path, self.old)

    @cached_property
    def after(self) -> TestFile:
        if self.new is None or not is_test_file(self.change.path):
            return TestFile()
        return testcode.read(self.change.path, self.new)


class _Moved:
    """The tests that are new where they are, over all of the change."""

    def __init__(self, sides: Sequence[_Side]) -> None:
        self._new: list[tuple[str, Test]] = [
            (side.change.path, test)
            for side in sides
            for name, test in side.after.tests.items()
            if name not in side.before.tests
        ]

    def find(self, test: Test) -> tuple[str, Test] | None:
        """Where ``test`` went: one that does the same, else one of its name. Each is found once."""
        same = [entry for entry in self._new if test.body and entry[1].body == test.body]
        named = [entry for entry in self._new if _bare(entry[1].name) == _bare(test.name)]
        both = [entry for entry in same if entry in named]
        for entry in (*both, *same, *named):
            self._new.remove(entry)
            return entry
        return None


def _bare(name: str) -> str:
    return name.rpartition("::")[2]


def _tests(side: _Side, moved: _Moved) -> Iterator[Breach]:
    """What one file of tests lost."""
    path, before, after = side.change.path, side.before, side.after
    known = Counter(_same_skip(skip) for skip in before.skips)
    for skip in after.skips:
        if known[_same_skip(skip)] == 0:
            yield _breach(path, "tests are skipped", skip.line, skip.text)
        known[_same_skip(skip)] -= 1
    emptier = after.asserts < before.asserts
    gone: list[str] = []
    for name, was in before.tests.items():
        now = after.tests.get(name)
        if now is not None:
            yield from _compared(path, was, now, emptier=emptier or path.endswith(".py"))
        elif (place := moved.find(was)) is not None:
            yield from _compared(place[0], was, place[1], emptier=True)
        else:
            gone.append(name)
    yield from _missing(side, gone)


def _same_skip(skip: Skip) -> tuple[str, str]:
    return skip.text, skip.more


def _missing(side: _Side, gone: list[str]) -> Iterator[Breach]:
    lines = (side.old or "").split("\n")
    for name in gone[:MOST_NAMED]:
        line = side.before.tests[name].line
        text = lines[line - 1].strip()[:200] if 0 < line <= len(lines) else ""
        yield _breach(side.old_path, f"the test {name[:200]} is gone", 0, text)
    if len(gone) > MOST_NAMED:
        yield _breach(side.old_path, f"{len(gone) - MOST_NAMED} more tests are gone")


def _compared(path: str, was: Test, now: Test, *, emptier: bool) -> Iterator[Breach]:
    """One test before and after. ``emptier``: fewer assertions of it are fewer of its file (in
    languages read line by line, a helper between two tests is taken for part of the first).
    """
    if len(now.skips) > len(was.skips):
        old = {skip.text for skip in was.skips}
        skip = next((skip for skip in now.skips if skip.text not in old), now.skips[-1])
        text = f"the test {now.name} is skipped, or expected to fail"
        yield _breach(path, text, skip.line, skip.text)
    elif (
        now.asserts < was.asserts and emptier and not (now.cases and not was.cases and now.asserts)
    ):
        if now.asserts == 0:
            yield _breach(path, f"the test {now.name} no longer asserts anything", now.line)
        else:
            lost = was.asserts - now.asserts
            text = f"the test {now.name} lost {lost} of {was.asserts} assertions"
            yield _breach(path, text, now.line)
    if 0 <= now.cases < was.cases and not (now.cases == 0 and now.loops):
        text = f"the test {now.name} lost {was.cases - now.cases} of {was.cases} cases"
        yield _breach(path, text, now.line)
    if now.broad > was.broad:
        yield _breach(path, f"the test {now.name} is content with any exception", now.line)
    yield from _limits(path, was, now)


def _limits(path: str, was: Test, now: Test) -> Iterator[Breach]:
    """Time limits and tolerances of one test, name by name in their order."""
    for key in dict.fromkeys(key for key, _ in was.limits):
        old, new = ([value for k, value in side.limits if k == key] for side in (was, now))
        easier = 1 if key in _EASIER_UP else -1
        for before, value in zip(old, new, strict=False):
            if len(old) == len(new) and (value - before) * easier > 0:
                text = f"{key} of the test {now.name} was relaxed from {before:g} to {value:g}"
                yield _breach(path, text, now.line)


def _breach(path: str, message: str, line: int = 0, excerpt: str = "") -> Breach:
    return Breach(BreachKind.GUARDRAIL, path, message, line, leaks.redact(excerpt))
