"""Differences and merges, as facts: no configuration and no attribute changes the answer."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from conftest import Git
from lifeos.store.diff import diff, diffstat, patch
from lifeos.store.git import GitError
from lifeos.store.merge import merge
from lifeos.store.objects import MissingObject
from lifeos.store.repo import Repo
from lifeos.store.trees import Edit, edit, lookup


@pytest.fixture
def opened(repo: Path) -> Iterator[Repo]:
    with Repo.open(repo) as found:
        yield found


def tree_of(repo: Repo, files: dict[str, str | bytes | Edit]) -> str:
    """A tree of texts (100644), bytes (100644) or explicit mode and id."""
    changes: dict[str, Edit] = {}
    for path, value in files.items():
        if isinstance(value, str | bytes):
            data = value.encode() if isinstance(value, str) else value
            changes[path] = ("100644", repo.objects.write_blob(data))
        else:
            changes[path] = value
    return edit(repo.objects, None, changes)


def commit(repo: Repo, files: dict[str, str | bytes | Edit], *parents: str) -> str:
    return repo.objects.write_commit(tree_of(repo, files), parents, "x\n", when=1)


LINES = "".join(f"line {number}\n" for number in range(20))


def test_every_kind_of_change(opened: Repo) -> None:
    link = opened.objects.write_blob(b"target")
    script = opened.objects.write_blob(b"#!/bin/sh\n")
    old = tree_of(
        opened,
        {
            "changed": "a\nb\n", "deleted": "x\n", "moved/from": LINES, "type": "target",
            "binary": b"\0\1", "mode": ("100644", script), "sub": ("160000", "1" * 40),
            "same": "same",
        },
    )  # fmt: skip
    new = tree_of(
        opened,
        {
            "changed": "a\nc\nd\n", "-added\n\tü": "1\n2\n3\n", "moved/to": LINES + "more\n",
            "type": ("120000", link), "binary": b"\0\1\2", "mode": ("100755", script),
            "sub": ("160000", "2" * 40), "same": "same",
        },
    )  # fmt: skip
    found = {change.path: change for change in diff(opened, old, new)}
    assert {path: change.status for path, change in found.items()} == {
        "-added\n\tü": "A", "binary": "M", "changed": "M", "deleted": "D", "mode": "M",
        "moved/to": "R", "sub": "M", "type": "T",
    }  # fmt: skip
    counts = {path: (c.added, c.removed, c.size) for path, c in found.items()}
    assert counts["changed"] == (2, 1, 6)
    assert counts["-added\n\tü"] == (3, 0, 6)
    assert counts["deleted"] == (0, 1, 0)
    assert counts["moved/to"] == (1, 0, len(LINES) + 5)
    assert counts["binary"] == (None, None, 3)
    assert found["binary"].binary
    assert found["moved/to"].old_path == "moved/from"
    assert (found["mode"].old_mode, found["mode"].new_mode) == ("100644", "100755")
    assert (found["sub"].new_mode, found["sub"].new_id) == ("160000", "2" * 40)
    assert found["type"].new_mode == "120000"
    assert (found["deleted"].new_mode, found["deleted"].new_id) == ("000000", "0" * 40)


def test_commits_and_equal_trees_are_taken(opened: Repo) -> None:
    one, two = commit(opened, {"a": "1"}), commit(opened, {"a": "2"})
    assert [change.path for change in diff(opened, one, two)] == ["a"]
    assert diff(opened, one, one) == ()


def test_a_missing_tree_is_named(opened: Repo) -> None:
    with pytest.raises(MissingObject):
        diff(opened, tree_of(opened, {}), "1" * 40)


def test_patch_applies_and_is_limited_to_paths(opened: Repo, repo: Path, git: Git) -> None:
    old = tree_of(opened, {"README.md": "# A project\n", "b": "1\n", "*": "1\n"})
    new = tree_of(opened, {"README.md": "# Ours\n", "b": "2\n", "*": "2\n"})
    text = patch(opened, old, new, ["README.md"])
    assert b"b/b" not in text
    git("apply", "-", stdin=text.decode())
    assert (repo / "README.md").read_text(encoding="utf-8") == "# Ours\n"
    assert patch(opened, old, new, ["*"]).count(b"diff --git") == 1
    assert patch(opened, old, new).count(b"diff --git") == 3
    assert "3 files changed" in diffstat(opened, old, new)


def test_an_attribute_in_the_tree_does_not_hide_a_change(opened: Repo) -> None:
    """Whoever writes .gitattributes must not make text look binary to the reviewers."""
    attributes = "*.py -diff -text binary\n"
    old = tree_of(opened, {".gitattributes": attributes, "a.py": "1\n"})
    new = tree_of(opened, {".gitattributes": attributes, "a.py": "evil\n"})
    (change,) = diff(opened, old, new)
    assert (change.added, change.removed) == (1, 1)
    assert b"+evil" in patch(opened, old, new)


def test_a_clean_merge_has_the_tree_of_both(opened: Repo) -> None:
    base = commit(opened, {"a": LINES, "b": "1\n"})
    ours = commit(opened, {"a": "top\n" + LINES, "b": "1\n", "c": "c\n"}, base)
    theirs = commit(opened, {"a": LINES + "end\n", "b": "2\n"}, base)
    merged = merge(opened, ours, theirs)
    assert merged.conflicts == ()
    assert merged.tree == tree_of(opened, {"a": "top\n" + LINES + "end\n", "b": "2\n", "c": "c\n"})


def test_conflicts_are_named_and_give_no_tree(opened: Repo) -> None:
    base = commit(opened, {"a": "1\n", "-b\nü": "1\n", "gone": "1\n", "ok": "1\n"})
    ours = commit(opened, {"a": "2\n", "-b\nü": "2\n", "ok": "1\n"}, base)
    theirs = commit(opened, {"a": "3\n", "-b\nü": "3\n", "gone": "2\n", "ok": "2\n"}, base)
    merged = merge(opened, ours, theirs)
    assert merged.tree is None
    assert merged.conflicts == ("-b\nü", "a", "gone")
    assert "CONFLICT (content): Merge conflict in a" in merged.messages
    assert "CONFLICT (modify/delete)" in merged.messages


def test_a_merge_finds_renames(opened: Repo) -> None:
    base = commit(opened, {"old": LINES})
    ours = commit(opened, {"new": LINES}, base)
    theirs = commit(opened, {"old": LINES + "more\n"}, base)
    merged = merge(opened, ours, theirs)
    assert merged.tree is not None
    assert lookup(opened.objects, merged.tree, "old") is None
    assert merged.tree == tree_of(opened, {"new": LINES + "more\n"})


def test_unrelated_histories_and_missing_commits_are_errors(opened: Repo) -> None:
    one, two = commit(opened, {"a": "1"}), commit(opened, {"b": "1"})
    with pytest.raises(GitError, match="unrelated"):
        merge(opened, one, two)
    with pytest.raises(MissingObject):
        merge(opened, one, "1" * 40)
