"""Patterns of paths: what they cover, that they never take long, and when two may overlap."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lifeos.core.globs import any_match, fault, fold_path, matches, may_overlap

COVERED = [
    ("src/*.py", "src/a.py"),
    ("src/**", "src/a/b.py"),
    ("**/test.py", "test.py"),
    ("**/test.py", "a/b/test.py"),
    ("a/**/z", "a/z"),
    ("a/**/z", "a/b/c/z"),
    ("a/**/m/**/z", "a/m/x/m/z"),
    ("docs/", "docs/deep/x.md"),
    ("a?c", "abc"),
    ("app/[id].tsx", "app/[id].tsx"),
    ("*a*b*", "xaxbx"),
    ("**", "any/thing"),
    ("a*b*b", "abb"),
]
NOT_COVERED = [
    ("src/*.py", "src/a/b.py"),
    ("src/*", "src/a/b"),
    ("a?c", "a/c"),
    ("src/**", "src"),
    ("src/**", "srcx/a"),
    ("src", "src/a"),
    ("*.md", "docs/a.md"),
    ("app/[id].tsx", "app/i.tsx"),
    ("a*b*b", "ab"),
    ("a.c", "abc"),
    ("SRC/a", "src/a"),
    ("a/**/b/**/b", "a/b"),
    ("a", "a\n"),
]


@pytest.mark.parametrize(("pattern", "path"), COVERED)
def test_covers(pattern: str, path: str) -> None:
    assert matches(pattern, path)
    assert any_match(("nothing", pattern), path)


@pytest.mark.parametrize(("pattern", "path"), NOT_COVERED)
def test_does_not_cover(pattern: str, path: str) -> None:
    assert not matches(pattern, path)
    assert not any_match((pattern,), path)


@pytest.mark.parametrize(
    "path",
    [
        ".GitHub/x.yml",
        ".github./x.yml",
        ".github /x.yml",
        ".git\u200chub/x.yml",
    ],
)
def test_folded_sees_through_the_spellings_of_forgiving_file_systems(path: str) -> None:
    assert matches(".github/**", path, folded=True)
    assert not matches(".github/**", path)


def test_folded_compares_composed_and_decomposed_letters_as_equal() -> None:
    assert matches("caf\u00e9/**", "cafe\u0301/menu", folded=True)
    assert fold_path("Cafe\u0301") == "caf\u00e9"


def _reference(pattern: list[str], path: list[str]) -> bool:
    """The definition of the dialect, by plain recursion."""
    if not pattern:
        return not path
    if pattern[0] == "**":
        if len(pattern) == 1:
            return bool(path)
        return any(_reference(pattern[1:], path[at:]) for at in range(len(path) + 1))
    return bool(path) and _segment(pattern[0], path[0]) and _reference(pattern[1:], path[1:])


def _segment(pattern: str, name: str) -> bool:
    if not pattern:
        return not name
    if pattern[0] == "*":
        return any(_segment(pattern[1:], name[at:]) for at in range(len(name) + 1))
    return bool(name) and pattern[0] in ("?", name[0]) and _segment(pattern[1:], name[1:])


names = st.text("ab", min_size=1, max_size=4)
paths = st.lists(names, min_size=1, max_size=5)
parts = st.one_of(
    st.just("**"),
    st.text("ab*?", min_size=1, max_size=5).filter(lambda text: "**" not in text),
)
patterns = st.lists(parts, min_size=1, max_size=5).filter(
    lambda found: all(pair != ("**", "**") for pair in pairwise(found))
)


@settings(max_examples=600, derandomize=True)
@given(patterns, paths)
def test_agrees_with_the_definition(pattern: list[str], path: list[str]) -> None:
    assert matches("/".join(pattern), "/".join(path)) == _reference(pattern, path)


@settings(max_examples=400, derandomize=True)
@given(patterns, patterns, paths)
def test_patterns_that_share_a_path_are_said_to_overlap(
    first: list[str], second: list[str], path: list[str]
) -> None:
    """Soundness: 'no overlap' is only said when no path is covered by both."""
    one, two, where = "/".join(first), "/".join(second), "/".join(path)
    if matches(one, where) and matches(two, where):
        assert may_overlap(one, two)
        assert may_overlap(two, one)


@pytest.mark.parametrize(
    ("one", "two", "overlap"),
    [
        ("src/**", "docs/**", False),
        ("src/**", "src/a/*.py", True),
        ("src/a*", "src/b*", False),
        ("**/x", "src/**", True),
        ("src/a", "src/ab", False),
        ("src/a", "src/a/**", True),
        ("SRC/**", "src/**", True),
        ("a", "a", True),
        ("cafe*", "cafe\u0301/x", True),
    ],
)
def test_overlap(one: str, two: str, overlap: bool) -> None:
    assert may_overlap(one, two) is overlap
    assert may_overlap(two, one) is overlap


@pytest.mark.parametrize(
    "pattern", ["*a" * 40 + "b", "**/a/" * 40 + "b", "?*" * 50, "a/**/" * 30 + "*a*a*a*a*ab"]
)
def test_worst_cases_end(pattern: str) -> None:
    """Each of these would keep a backtracking matcher busy for longer than the universe is old."""
    assert not matches(pattern, "a" * 3000 + "!/c")
    assert not matches(pattern, "a/" * 1500 + "!c/")


@pytest.mark.parametrize(
    "pattern",
    ["", " ", "/", "/etc", "!src", "a\\b", "a/{b,c}", "a//b", "../x", "a/./b", "a**b", "a\x00b"],
)
def test_unusable_patterns_are_named(pattern: str) -> None:
    assert fault(pattern)


@pytest.mark.parametrize("pattern", [pattern for pattern, _ in COVERED])
def test_usable_patterns_are_not(pattern: str) -> None:
    assert fault(pattern) == ""
