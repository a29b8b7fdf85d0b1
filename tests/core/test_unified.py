"""Unified diffs: made, applied to the same, taken back, and refused where they do not fit."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conftest import Git
from lifeos.core.unified import DoesNotApply, applied, patches, reversed_patches, unified

LINE = st.text(alphabet="ab \t#-+@\\\r", max_size=4)
TEXT = st.lists(LINE, max_size=14).map("\n".join)
FILES = st.dictionaries(st.sampled_from(("a.txt", "b/c.yaml", "d.md")), TEXT, max_size=3)
TEN = "".join(f"line {number}\n" for number in range(10))


def patched(diff: str, files: dict[str, str]) -> dict[str, str]:
    """The files after a diff."""
    after = {**files, **applied(patches(diff), files)}
    return {path: text for path, text in after.items() if text is not None}


def nonempty(files: dict[str, str]) -> dict[str, str]:
    """Without empty files: a diff of text does not tell one that is made, or goes."""
    return {path: text for path, text in files.items() if text}


@given(FILES, FILES)
def test_a_diff_makes_of_the_one_the_other_and_back(
    first: dict[str, str], second: dict[str, str]
) -> None:
    """Also without a last newline, with carriage returns, with files that are made and go."""
    before, after = nonempty(first), nonempty(second)
    diff = unified(before, after)
    assert patched(diff, before) == after
    back = {**after, **applied(reversed_patches(patches(diff)), after)}
    assert {path: text for path, text in back.items() if text is not None} == before


def test_git_applies_it_too(repo: Path, git: Git) -> None:
    """People may take it as it is: also one that makes a file, or leaves out the last newline."""
    before = {"a.txt": TEN, "b.txt": "x"}
    after = {"a.txt": TEN.replace("line 4", "LINE 4"), "b.txt": "x\ny", "c/d.txt": "new\n"}
    for path, text in before.items():
        (repo / path).write_text(text)
    git("apply", "-", stdin=unified(before, after))
    assert {path: (repo / path).read_text() for path in after} == after


def test_it_is_found_where_it_moved_to() -> None:
    """Lines that came above it are no reason to refuse it."""
    diff = unified({"a": TEN}, {"a": TEN.replace("line 5", "LINE 5")})
    moved = {"a": "new\nnew\n" + TEN}
    assert patched(diff, moved) == {"a": "new\nnew\n" + TEN.replace("line 5", "LINE 5")}


def test_lines_that_are_alike_are_no_end_of_the_file() -> None:
    """Shown is what stands around the change, also where every line looks like every other."""
    diff = unified({"a": "\n" * 5}, {"a": "x\n" + "\n" * 4})
    assert diff.splitlines()[3:] == ["@@ -1,4 +1,4 @@", "-", "+x", " ", " ", " "]


@pytest.mark.parametrize("rest", range(4), ids="{} lines more than the hunk".format)
@pytest.mark.parametrize("end", ["first", "last"])
def test_what_was_made_at_an_end_of_the_file_fits_there_alone(
    end: str, rest: int, repo: Path, git: Git
) -> None:
    """Where something came below a last entry, what goes behind it must not land inside it."""
    lines = TEN.splitlines(keepends=True)
    at = rest if end == "first" else len(lines) - rest
    diff = unified({"a": TEN}, {"a": "".join([*lines[:at], "new\n", *lines[at:]])})
    now = f"x\n{TEN}" if end == "first" else f"{TEN}x\n"
    (repo / "a").write_text(now)
    if rest == 3:  # as much as is ever shown: it may have been anywhere
        assert "new\n" in patched(diff, {"a": now})["a"]
        return
    with pytest.raises(DoesNotApply, match="a has changed where this would change it"):
        patched(diff, {"a": now})
    if rest == 0:  # git tells it by this alone
        with pytest.raises(pytest.fail.Exception, match="patch does not apply"):
            git("apply", "--check", "-", stdin=diff)


@pytest.mark.parametrize(
    ("now", "why"),
    [
        ({"a": TEN.replace("line 4", "other")}, "a has changed where this would change it"),
        ({"a": TEN.replace("line 5", "other")}, "a has changed where this would change it"),
        ({}, "a is not there"),
        ({"a": "x\n" + TEN + TEN}, "a has changed where this would change it"),
    ],
    ids=["around it", "in it", "gone", "in two places"],
)
def test_where_it_does_not_fit_nothing_is_guessed(now: dict[str, str], why: str) -> None:
    """Not even the lines around a change may differ, and a second place would be a choice."""
    diff = unified({"a": TEN}, {"a": TEN.replace("line 5", "LINE 5")})
    with pytest.raises(DoesNotApply, match=why):
        applied(patches(diff), now)


def test_what_stands_around_it_may_differ_for_a_new_draft() -> None:
    """If the lines to be replaced are there, and only once."""
    after = TEN.replace("line 5", "LINE 5")
    back = reversed_patches(patches(unified({"a": TEN}, {"a": after})))
    now = after.replace("line 4", "- [x] line 4").replace("line 6", "")
    assert applied(back, {"a": now}, loosely=True) == {"a": now.replace("LINE 5", "line 5")}
    with pytest.raises(DoesNotApply):
        applied(back, {"a": now + "LINE 5\n"}, loosely=True)


@pytest.mark.parametrize(
    "diff",
    [
        "hello\n",
        "diff --git a/x b/x\n",
        "diff --git a/x b/x\n--- a/x\n",
        "diff --git a/x b/x\n--- a/x\n+++ b/x\n",
        "diff --git a/x b/x\n--- a/x\n+++ b/x\n@@ -1,2 +1,2 @@\n a\n",
        "diff --git a/x b/x\n--- a/x\n+++ b/x\n@@ -1,1 +1,1 @@\n*a\n",
        unified({"x": "a\n"}, {"x": "b\n"}) * 2,
    ],
)
def test_what_is_no_diff_is_refused(diff: str) -> None:
    """Cut off, of no kind, or with a file twice."""
    with pytest.raises(DoesNotApply):
        patches(diff)


def test_a_file_that_is_there_is_not_made_again() -> None:
    """And one that has more in it than was known is not removed."""
    made = unified({}, {"a": "x\n"})
    with pytest.raises(DoesNotApply, match="a is there already"):
        applied(patches(made), {"a": "y\n"})
    gone = unified({"a": "x\n"}, {})
    with pytest.raises(DoesNotApply, match="has changed"):
        applied(patches(gone), {"a": "x\nsecret\n"})
    with pytest.raises(DoesNotApply, match="more in it"):
        applied(patches(gone), {"a": "x\nsecret\n"}, loosely=True)


def test_a_path_that_would_need_quotes_is_refused() -> None:
    """Rules and the backlog have none; it must not be read as another path."""
    with pytest.raises(ValueError, match="cannot stand in a diff"):
        unified({}, {"a\nb": "x"})


def test_a_long_file_costs_little() -> None:
    """What is alike at both ends is set aside before anything is compared."""
    old = "".join(f"- [ ] task {number}\n" for number in range(50_000))
    new = old.replace("task 25000\n", "task 25000\n- [ ] another\n")
    diff = unified({"BACKLOG.md": old}, {"BACKLOG.md": new})
    assert len(diff.split("\n")) < 16
    assert patched(diff, {"BACKLOG.md": old}) == {"BACKLOG.md": new}
