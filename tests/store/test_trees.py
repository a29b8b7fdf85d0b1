"""Trees: what is read is what git reads, and no dangerous name gets in."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from conftest import Git
from lifeos.errors import UsageError
from lifeos.store.git import GitError
from lifeos.store.repo import Repo
from lifeos.store.trees import (
    Edit,
    Leaf,
    edit,
    is_safe_name,
    lookup,
    parse_tree,
    read_tree,
    walk,
)


@pytest.fixture
def opened(repo: Path) -> Iterator[Repo]:
    with Repo.open(repo) as found:
        yield found


def blob(repo: Repo, text: str = "x") -> tuple[str, str]:
    return ("100644", repo.objects.write_blob(text.encode("utf-8", "surrogateescape")))


def build(repo: Repo, *paths: str) -> str:
    return edit(repo.objects, None, {path: blob(repo, path) for path in paths})


def paths(repo: Repo, tree: str) -> list[str]:
    return [leaf.path for leaf in walk(repo.objects, tree)]


def test_walk_gives_what_ls_tree_gives(opened: Repo) -> None:
    odd = ["-dash", "a b", "new\nline", "tab\t", "ü", 'q"uote', "a.b/c", "a/b/c", "a0", ":(top)x"]
    tree = build(opened, *odd, "\udcff")
    out = opened.git.run("ls-tree", "-r", "-z", tree).decode("utf-8", "surrogateescape")
    expected = [
        Leaf(path, *head.split()[::2])
        for head, _, path in (line.partition("\t") for line in out.split("\0") if line)
    ]
    assert list(walk(opened.objects, tree)) == expected
    assert {leaf.path for leaf in expected} == {*odd, "\udcff"}


def test_lookup_finds_files_and_folders(opened: Repo) -> None:
    tree = build(opened, "a/b/c", "f")
    found = lookup(opened.objects, tree, "a/b/c")
    assert found is not None
    assert opened.objects.read(found.oid) == ("blob", b"a/b/c")
    folder = lookup(opened.objects, tree, "a/b")
    assert folder is not None
    assert paths(opened, folder.oid) == ["c"]
    for missing in ("a/b/d", "f/x", "A", "a/b/c/d", "", "a/"):
        assert lookup(opened.objects, tree, missing) is None


def test_edit_adds_changes_removes_and_drops_empty_folders(opened: Repo) -> None:
    tree = build(opened, "a/b/c", "a/d", "e/f")
    after = edit(
        opened.objects,
        tree,
        {"a/b/c": None, "e/f": blob(opened, "new"), "g/h/i": blob(opened), "not/there": None},
    )
    assert paths(opened, after) == ["a/d", "e/f", "g/h/i"]
    assert edit(opened.objects, after, {"g/h/i": None, "e": None, "a/d": None}) == (
        opened.objects.hash("tree", b"")
    )


def test_no_change_is_the_same_tree(opened: Repo) -> None:
    tree = build(opened, "a/b", "c")
    assert edit(opened.objects, tree, {}) == tree
    assert edit(opened.objects, tree, {"a/b": blob(opened, "a/b"), "x/y": None}) == tree


def test_a_folder_can_be_grafted_and_changed_at_once(opened: Repo) -> None:
    work = build(opened, "src/main", "doc")
    tree = build(opened, "old/x")
    after = edit(
        opened.objects,
        tree,
        {"runs/1/tree": ("040000", work), "runs/1/tree/doc": None, "runs/1/log": blob(opened)},
    )
    assert paths(opened, after) == ["old/x", "runs/1/log", "runs/1/tree/src/main"]
    assert paths(opened, edit(opened.objects, after, {"runs": None})) == ["old/x"]


def test_a_file_becomes_a_folder_only_when_removed(opened: Repo) -> None:
    tree = build(opened, "a")
    with pytest.raises(UsageError, match="a is a file"):
        edit(opened.objects, tree, {"a/b": blob(opened)})
    with pytest.raises(UsageError, match="a is a file"):
        edit(opened.objects, None, {"a": blob(opened), "a/b": blob(opened)})
    after = edit(opened.objects, tree, {"a": None, "a/b": blob(opened)})
    assert paths(opened, after) == ["a/b"]
    back = edit(opened.objects, after, {"a": blob(opened), "a/b": None})
    assert paths(opened, back) == ["a"]


UNSAFE = [
    "", ".", "..", ".git", ".GIT", ".Git", ".git ", ".git.", ".git. .", "git~1", "GIT~1",
    ".git::$INDEX_ALLOCATION", ".git:x", ".g\u200cit", "\ufeff.git", ".gi\u206at", "nul\0",
    ".git\\config", "a\\.git", "x\\.g\u200dit",
]  # fmt: skip


@pytest.mark.parametrize("name", UNSAFE)
def test_a_dangerous_name_is_refused_at_every_depth(opened: Repo, name: str) -> None:
    for path in (name, f"a/{name}", f"{name}/a"):
        with pytest.raises(UsageError, match="cannot be a path"):
            edit(opened.objects, None, {path: blob(opened)})


@pytest.mark.parametrize("path", ["/a", "a/", "a//b", "x/" * 300 + "x"])
def test_a_path_must_be_relative_clean_and_not_too_deep(opened: Repo, path: str) -> None:
    with pytest.raises(UsageError, match="cannot be a path"):
        edit(opened.objects, None, {path: blob(opened)})


def test_harmless_names_that_look_alike_are_kept() -> None:
    for name in (".gitignore", ".github", "git", "x.git", ".gitmodules", "git~10", "...", "a\\b"):
        assert is_safe_name(name)


def test_an_unknown_mode_is_refused(opened: Repo) -> None:
    with pytest.raises(UsageError, match="not a mode"):
        edit(opened.objects, None, {"a": ("100666", blob(opened)[1])})


NAMES = st.sampled_from(["a", "b", "a.", "a0", "ü", "B"])
PATHS = st.lists(NAMES, min_size=1, max_size=3).map("/".join)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    before=st.sets(PATHS, max_size=6),
    wanted=st.dictionaries(PATHS, st.booleans(), max_size=6),
)
def test_edit_gives_what_an_index_gives(
    opened: Repo, before: set[str], wanted: dict[str, bool]
) -> None:
    """Any edit that is possible ends in the tree that update-index and write-tree would make."""
    start = {path for path in before if not any(below(path, other) for other in before)}
    final = (start - {path for path, keep in wanted.items() if not keep}) | {
        path for path, keep in wanted.items() if keep
    }
    removed = {path for path, keep in wanted.items() if not keep}
    final -= {path for path in start for gone in removed if below(path, gone)} - {
        path for path, keep in wanted.items() if keep
    }
    if any(below(path, other) for path in final for other in final):
        return
    changes: dict[str, Edit] = {
        path: blob(opened, path) if keep else None for path, keep in wanted.items()
    }
    tree = edit(opened.objects, build(opened, *start), changes)
    index = {"GIT_INDEX_FILE": str(opened.private_dir / "test-index")}
    opened.git.run("read-tree", "--empty", env=index)
    listing = "".join(f"100644 {blob(opened, path)[1]}\t{path}\0" for path in sorted(final))
    opened.git.run("update-index", "-z", "--index-info", stdin=listing.encode(), env=index)
    assert tree == opened.git.run("write-tree", env=index).decode().strip()


def below(path: str, other: str) -> bool:
    return path.startswith(other + "/")


def test_the_result_passes_a_strict_check(opened: Repo, git: Git) -> None:
    tree = build(opened, "a", "a.b", "a/b".replace("/", "0/"), "z/y/x")
    commit = opened.objects.write_commit(tree, [], "x\n", when=1)
    assert opened.refs.compare_and_swap("refs/heads/x", commit, None, "test")
    git("fsck", "--strict")


@pytest.mark.parametrize(
    "data",
    [
        b"100644 a", b"100644 a\0" + b"1" * 19, b"100644 \0" + b"1" * 20,
        b"100644 a/b\0" + b"1" * 20, (b"100644 a\0" + b"1" * 20) * 2,
        b"120000 a\0" + b"1" * 20 + b"40000 a\0" + b"1" * 20, b"\xff",
    ],
)  # fmt: skip
def test_a_damaged_or_hostile_tree_is_named(data: bytes) -> None:
    with pytest.raises(GitError, match="damaged tree"):
        parse_tree("1" * 40, data, 20)


def test_a_tree_without_end_is_refused(opened: Repo) -> None:
    """Depth is bounded: a deep chain costs an attacker little and must not end the process."""
    tree = opened.objects.write_tree([])
    leaf = blob(opened)[1]
    listing = f"100644 blob {leaf}\tx\0"
    for _ in range(300):
        made = subprocess.run(
            ["git", "mktree", "-z"],
            cwd=opened.work_tree,
            input=listing.encode(),
            capture_output=True,
            check=True,
        )
        tree = made.stdout.decode().strip()
        listing = f"040000 tree {tree}\td\0"
    with pytest.raises(UsageError, match="too deep"):
        list(walk(opened.objects, tree))
    assert len(read_tree(opened.objects, tree)) == 1
