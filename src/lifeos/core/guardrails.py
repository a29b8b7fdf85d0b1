"""Whether a change weakens the tests: tests gone, skipped, emptied, or their limits relaxed.

Read from the sources, so it finds what no run shows: a test that no longer asserts anything passes.
Only what the base had counts; what a new test skips or leaves out weakens nothing.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from lifeos.core import globs, leaks, testcode
from lifeos.core.envelope import Breach, BreachKind
from lifeos.model import Change

MOST_NAMED = 20
"""Missing tests that are named one by one for a file."""

_LIMITS_DOWN = re.compile(
    r"(?P<key>\bfail[_-]under|--cov-fail-under|\bmin(?:imum)?[_-]coverage|\bmutation[_-]score)"
    r"['\"]?\s{0,4}[:= ]\s{0,4}['\"]?(?P<value>\d{1,6}(?:\.\d{1,6})?)"
)
_LIMITS_UP = re.compile(
    r"(?P<key>\bmax[_-](?:complexity|warnings|args|branches|returns|statements)|--maxfail)"
    r"['\"]?\s{0,4}[:= ]\s{0,4}['\"]?(?P<value>\d{1,6}(?:\.\d{1,6})?)"
)
_SETTINGS = (
    "**/*.toml",
    "**/*.cfg",
    "**/*.ini",
    "**/.coveragerc",
    "**/*.json",
    "**/*.y*ml",
    "**/Makefile",
)


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
    """What ``changes`` take away from the tests, in order of path; ``contents`` are old and new
    blobs by id.

    A test that moved to another changed test file is not missing. Contents that were not handed in
    are not looked at: the base's tests, run on the new code, are the second line.
    """
    found: list[Breach] = []
    balance = _balance(changes, contents)
    for change in changes:
        old_path = change.old_path or change.path
        old, new = (_text(contents, blob) for blob in (change.old_id, change.new_id))
        if change.status == "A" or old is None:
            continue
        if is_test_file(old_path):
            found += _tests(change, old, new or "", balance)
        elif new is not None and globs.any_match(_SETTINGS, change.path):
            found += _limits(change.path, old, new)
    return tuple(sorted(set(found), key=lambda b: (b.path, b.line, b.message)))


def _text(contents: Mapping[str, bytes], blob: str) -> str | None:
    data = contents.get(blob)
    return None if data is None else leaks.as_text(data).removeprefix("\ufeff")


def _balance(changes: Sequence[Change], contents: Mapping[str, bytes]) -> Counter[str]:
    """For each name of a test (without its class) how many more of it there are after ``changes``.

    Below zero means gone; zero, for a test that is missing in its file, that it moved.
    """
    names: Counter[str] = Counter()
    for change in changes:
        old_path = change.old_path or change.path
        sides = (
            (old_path, change.old_id, names.subtract),
            (change.path, change.new_id, names.update),
        )
        for path, blob, count in sides:
            text = _text(contents, blob)
            if text is not None and is_test_file(path):
                count(_bare(name) for name in testcode.read(path, text).tests)
    return names


def _bare(name: str) -> str:
    return name.rpartition("::")[2]


def _tests(change: Change, old: str, new: str, balance: Counter[str]) -> Iterator[Breach]:
    before = testcode.read(change.old_path or change.path, old)
    after = testcode.read(change.path, new) if is_test_file(change.path) else testcode.TestFile()
    yield from _missing(change, before, after, balance)
    yield from _limits(change.path, old, new)
    known = Counter(skip.text for skip in before.skips)
    for skip in after.skips:
        if known[skip.text] == 0:
            yield _breach(change.path, "tests are skipped", skip.line, skip.text)
        known[skip.text] -= 1
    for name, was in before.tests.items():
        if (now := after.tests.get(name)) is not None:
            yield from _compared(change.path, was, now)


def _missing(
    change: Change, before: testcode.TestFile, after: testcode.TestFile, balance: Counter[str]
) -> Iterator[Breach]:
    gone = [name for name in before.tests if name not in after.tests]
    gone = [name for name in gone if balance[_bare(name)] < 0]
    for name in gone[:MOST_NAMED]:
        yield _breach(change.old_path or change.path, f"the test {name[:200]} is gone")
    if len(gone) > MOST_NAMED:
        yield _breach(
            change.old_path or change.path, f"{len(gone) - MOST_NAMED} more tests are gone"
        )


def _compared(path: str, was: testcode.Test, now: testcode.Test) -> Iterator[Breach]:
    """One test before and after."""
    if len(now.skips) > len(was.skips):
        old = {skip.text for skip in was.skips}
        skip = next((skip for skip in now.skips if skip.text not in old), now.skips[-1])
        yield _breach(
            path, f"the test {now.name} is skipped, or expected to fail", skip.line, skip.text
        )
    if now.asserts < was.asserts and not (now.cases and not was.cases and now.asserts):
        if now.asserts == 0:
            yield _breach(path, f"the test {now.name} no longer asserts anything", now.line)
        else:
            lost = was.asserts - now.asserts
            yield _breach(
                path, f"the test {now.name} lost {lost} of {was.asserts} assertions", now.line
            )


def _limits(path: str, old: str, new: str) -> Iterator[Breach]:
    """Thresholds that became easier to meet, key by key in the order of the file."""
    for pattern, easier in ((_LIMITS_DOWN, -1), (_LIMITS_UP, 1)):
        was: dict[str, list[float]] = {}
        for match in pattern.finditer(old):
            was.setdefault(match["key"], []).append(float(match["value"]))
        for match in pattern.finditer(new):
            values = was.get(match["key"])
            if values:
                before, value = values.pop(0), float(match["value"])
                if (value - before) * easier > 0:
                    line = new.count("\n", 0, match.start()) + 1
                    text = f"{match['key']} was relaxed from {before:g} to {value:g}"
                    yield _breach(path, text, line, match.group())


def _breach(path: str, message: str, line: int = 0, excerpt: str = "") -> Breach:
    return Breach(BreachKind.GUARDRAIL, path, message, line, leaks.redact(excerpt))
