"""A tree becomes a folder and a folder a tree: raw bytes, and nothing unsafe either way."""

from __future__ import annotations

import os
import socket
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from conftest import Git
from lifeos.errors import UsageError
from lifeos.store.materialize import import_folder, materialize
from lifeos.store.repo import Repo
from lifeos.store.trees import Edit, edit, lookup, walk


@pytest.fixture
def opened(repo: Path) -> Iterator[Repo]:
    with Repo.open(repo) as found:
        yield found


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "work"


def tree_of(repo: Repo, files: dict[str, bytes | Edit]) -> str:
    return edit(
        repo.objects,
        None,
        {
            path: ("100644", repo.objects.write_blob(value)) if isinstance(value, bytes) else value
            for path, value in files.items()
        },
    )


def names(repo: Repo, tree: str) -> list[str]:
    return [leaf.path for leaf in walk(repo.objects, tree)]


def content(repo: Repo, tree: str, path: str) -> bytes:
    leaf = lookup(repo.objects, tree, path)
    assert leaf is not None
    return repo.objects.read(leaf.oid)[1]


def rich_tree(repo: Repo) -> str:
    link = repo.objects.write_blob(b"../outside/\xff")
    run = repo.objects.write_blob(b"#!/bin/sh\n")
    files: dict[str, bytes | Edit] = {
        ".gitattributes": b"* text eol=crlf ident filter=x\n",
        "text": b"a\r\nb\n$Id$\n",
        "a/b/c": b"\0\1",
        "-dash\nnew": b"",
        "\udcfe": b"not utf-8",
        "link": ("120000", link),
        "run": ("100755", run),
        "sub": ("160000", "1" * 40),
    }
    return tree_of(repo, files)


def test_there_and_back_is_the_same_tree(opened: Repo, folder: Path) -> None:
    """Line endings, keywords and filters change nothing; links, modes and submodules survive."""
    tree = rich_tree(opened)
    materialize(opened, tree, folder)
    assert (folder / "text").read_bytes() == b"a\r\nb\n$Id$\n"
    assert os.fsencode((folder / "link").readlink()) == b"../outside/\xff"
    assert (folder / "run").stat().st_mode & stat.S_IXUSR
    assert not (folder / "text").stat().st_mode & stat.S_IXUSR
    assert list((folder / "sub").iterdir()) == []
    imported = import_folder(opened, folder, tree)
    assert imported.tree == tree
    assert (imported.special, imported.nested_git, imported.unreadable) == ((), (), ())


def test_only_an_empty_folder_is_filled(opened: Repo, folder: Path) -> None:
    folder.mkdir()
    (folder / "mine").touch()
    with pytest.raises(UsageError, match="not empty"):
        materialize(opened, tree_of(opened, {"a": b""}), folder)


@pytest.mark.parametrize("name", [".git", ".GIT", "git~1", ".."])
def test_a_hostile_tree_is_not_materialized(
    opened: Repo, folder: Path, git: Git, name: str
) -> None:
    blob = opened.objects.write_blob(b"[core]\n")
    inner = git("mktree", stdin=f"100644 blob {blob}\tconfig\n")
    # mktree takes any name: git only refuses at checkout
    tree = git("mktree", stdin=f"040000 tree {inner}\t{name}\n")
    with pytest.raises(UsageError, match="cannot be a path"):
        materialize(opened, tree, folder)
    assert not any(folder.rglob("*"))
    assert not (folder.parent / "config").exists()


def test_changes_of_every_kind_come_back(opened: Repo, folder: Path) -> None:
    tree = tree_of(opened, {"kept": b"1", "gone": b"1", "edited": b"1", "file": b"1", "d/x": b"1"})
    materialize(opened, tree, folder)
    (folder / "gone").unlink()
    (folder / "edited").write_bytes(b"2")
    (folder / "file").unlink()
    (folder / "file").mkdir()
    (folder / "file/below").write_bytes(b"new")
    (folder / "d/x").unlink()
    (folder / "d").rmdir()
    (folder / "d").write_bytes(b"now a file")
    (folder / "kept").chmod(0o755)
    (folder / "empty").mkdir()
    imported = import_folder(opened, folder, tree)
    assert names(opened, imported.tree) == ["d", "edited", "file/below", "kept"]
    assert content(opened, imported.tree, "edited") == b"2"
    kept = lookup(opened.objects, imported.tree, "kept")
    assert kept is not None
    assert kept.mode == "100755"


def test_links_are_taken_as_links_and_never_followed(
    opened: Repo, folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret/key").write_bytes(b"secret")
    base = tree_of(opened, {"d/key": b"1", "f": b"1"})
    materialize(opened, base, folder)
    (folder / "d/key").unlink()
    (folder / "d").rmdir()
    (folder / "d").symlink_to(tmp_path / "secret")
    (folder / "f").unlink()
    (folder / "f").symlink_to(tmp_path / "secret/key")
    imported = import_folder(opened, folder, base)
    found = {leaf.path: leaf.mode for leaf in walk(opened.objects, imported.tree)}
    assert found == {"d": "120000", "f": "120000"}
    assert content(opened, imported.tree, "f") == os.fsencode(tmp_path / "secret/key")


BASE_IGNORE = b"*.log\nbuild/\n/top\n!keep.log\n"


def test_only_the_rules_of_the_base_ignore(opened: Repo, folder: Path) -> None:
    """An agent that edits .gitignore can hide nothing, and un-hide nothing."""
    base = tree_of(
        opened,
        {".gitignore": BASE_IGNORE, "sub/.gitignore": b"local\n", "build/tracked": b"1"},
    )
    materialize(opened, base, folder)
    (folder / ".gitignore").write_bytes(b"evil.py\n")
    (folder / "sub/.gitignore").unlink()
    (folder / "new").mkdir()
    (folder / "new/.gitignore").write_bytes(b"*\n")
    for path in (
        "evil.py", "x.log", "keep.log", "top", "sub/top", "sub/local", "new/y.log", "new/z",
        "build/out", "deep/build/a", "deep/build/b", "deep/er/build.txt", ":(top)z",
    ):  # fmt: skip
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(b"x")
    (folder / "build/tracked").write_bytes(b"2")
    imported = import_folder(opened, folder, base)
    assert names(opened, imported.tree) == sorted(
        [
            ".gitignore", ":(top)z", "build/tracked", "deep/er/build.txt", "evil.py", "keep.log",
            "new/.gitignore", "new/z", "sub/top",
        ]
    )  # fmt: skip
    assert content(opened, imported.tree, "build/tracked") == b"2"
    # x.log, top, sub/local, new/y.log, build/out, and the folder deep/build once
    assert imported.ignored_count == 6


def test_the_ignored_are_those_that_git_ignores(opened: Repo, folder: Path, git: Git) -> None:
    """Compared with git itself on rules with anchors, wildcards, negation and folders."""
    rules = b"*.o\n!main.o\n/a/*\n!/a/keep\nb/**/x\nc/\n\\#odd\n[xy]z\nd/e\n!d/e/f\n"
    base = tree_of(opened, {".gitignore": rules})
    materialize(opened, base, folder)
    for path in (
        "1.o", "main.o", "a/drop", "a/keep/1", "a/keep/2.o", "b/x", "b/1/2/x", "b/y", "c/1",
        "q/c/1", "#odd", "xz", "q/yz", "zz", "d/e/f", "d/g", "c.txt",
    ):  # fmt: skip
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(b"x")
    git("init", "-q", cwd=folder)
    expected = git("ls-files", "-z", "--others", "--exclude-standard", cwd=folder).split("\0")
    imported = import_folder(opened, folder, base)
    assert sorted(names(opened, imported.tree)) == sorted(filter(None, expected))


def test_what_cannot_be_in_a_tree_is_named_and_left_out(opened: Repo, folder: Path) -> None:
    base = tree_of(opened, {"a": b"1", "sub": ("160000", "1" * 40)})
    materialize(opened, base, folder)
    os.mkfifo(folder / "pipe")
    with socket.socket(socket.AF_UNIX) as server:
        old = Path.cwd()
        os.chdir(folder)  # a socket's path is limited to 108 bytes
        try:
            server.bind("socket")
        finally:
            os.chdir(old)
    (folder / "git~1").write_bytes(b"x")
    (folder / "sub/inside").write_bytes(b"x")
    subprocess.run(["git", "init", "-q", folder / "nested/repo"], check=True)
    (folder / "nested/repo/file").write_bytes(b"x")
    (folder / "other").mkdir()
    (folder / "other/.GIT").write_bytes(b"gitdir: /etc\n")
    (folder / ".git").mkdir()
    imported = import_folder(opened, folder, base)
    assert names(opened, imported.tree) == ["a", "nested/repo/file", "sub"]
    assert imported.special == ("git~1", "pipe", "socket", "sub")
    assert imported.nested_git == ("nested/repo/.git", "other/.GIT")
    kept = import_folder(opened, folder, base, drop_top_git=False)
    assert kept.nested_git == (".git", "nested/repo/.git", "other/.GIT")


def test_what_cannot_be_read_stays_as_the_base_has_it(opened: Repo, folder: Path) -> None:
    """A file without permission must not look like a deletion."""
    if os.geteuid() == 0:
        pytest.skip("root reads everything")
    base = tree_of(opened, {"closed/x": b"1", "dark": b"1", "open": b"1"})
    materialize(opened, base, folder)
    (folder / "dark").chmod(0)
    (folder / "closed").chmod(0)
    try:
        imported = import_folder(opened, folder, base)
    finally:
        (folder / "closed").chmod(0o700)
    assert imported.tree == base
    assert imported.unreadable == ("closed", "dark")


def test_a_path_that_is_too_long_stays_as_the_base_has_it(opened: Repo, folder: Path) -> None:
    """Not read, so not known: neither changed nor deleted."""
    long = "/".join(["d" * 200] * 12)
    base = tree_of(opened, {f"{long}/x": b"1", "a": b"1"})
    materialize(opened, base, folder)
    (folder / "a").write_bytes(b"2")
    imported = import_folder(opened, folder, base)
    assert names(opened, imported.tree) == ["a", f"{long}/x"]
    assert content(opened, imported.tree, "a") == b"2"
    assert [len(path) for path in imported.unreadable] == [11 * 201 - 1]


def test_a_file_that_is_too_large_is_named_and_the_base_stays(opened: Repo, folder: Path) -> None:
    base = tree_of(opened, {"a": b"small"})
    materialize(opened, base, folder)
    (folder / "a").write_bytes(b"x" * 101)
    (folder / "b").write_bytes(b"x" * 101)
    (folder / "c").write_bytes(b"x" * 100)
    imported = import_folder(opened, folder, base, max_file_bytes=100)
    assert imported.too_large == ("a", "b")
    assert names(opened, imported.tree) == ["a", "c"]
    assert content(opened, imported.tree, "a") == b"small"


def test_what_tools_leave_behind_is_dropped_unless_the_base_has_it(
    opened: Repo, folder: Path
) -> None:
    """By the policy's patterns, at any depth; what is tracked is still part of the work."""
    base = tree_of(opened, {"a": b"1", "kept/.cache/tracked": b"1"})
    materialize(opened, base, folder)
    for path in (".cache/x", "deep/er/.cache/y/z", "kept/.cache/new", "deep/b.pyc", "deep/b.py"):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(b"2")
    (folder / "kept/.cache/tracked").write_bytes(b"3")
    leftovers = ("**/.cache/**", "**/*.pyc")
    imported = import_folder(opened, folder, base, leftovers=leftovers)
    assert names(opened, imported.tree) == ["a", "deep/b.py", "kept/.cache/tracked"]
    assert content(opened, imported.tree, "kept/.cache/tracked") == b"3"
    assert ".cache/x" in names(opened, import_folder(opened, folder, base).tree)


def test_a_folder_that_is_too_deep_is_named(opened: Repo, folder: Path) -> None:
    base = tree_of(opened, {"a": b"1"})
    materialize(opened, base, folder)
    old = Path.cwd()
    os.chdir(folder)
    try:
        for _ in range(1500):  # deeper than any one path may be long
            os.mkdir("dd")  # noqa: PTH102 - relative to where we stand
            os.chdir("dd")
        Path("x").touch()
    finally:
        os.chdir(old)
    imported = import_folder(opened, folder, base)
    assert imported.tree == base
    assert len(imported.unreadable) == 1
    assert imported.unreadable[0].startswith("dd/dd/")
    subprocess.run(["rm", "-rf", folder], check=True)


def test_unchanged_files_in_a_pack_are_not_written_again(
    opened: Repo, folder: Path, repo: Path, git: Git
) -> None:
    tree = tree_of(opened, {f"d{number}/f": b"%d" % number for number in range(20)})
    commit = opened.objects.write_commit(tree, [], "x\n", when=1)
    assert opened.refs.compare_and_swap("refs/heads/x", commit, None, "test")
    git("gc", "-q", "--prune=now")
    materialize(opened, tree, folder)
    assert import_folder(opened, folder, tree).tree == tree
    assert not list((repo / ".git/objects").glob("??/*"))


def test_no_scratch_is_left(opened: Repo, folder: Path) -> None:
    base = tree_of(opened, {".gitignore": b"x\n"})
    materialize(opened, base, folder)
    import_folder(opened, folder, base)
    assert not list(opened.private_dir.glob("ignore-*"))
