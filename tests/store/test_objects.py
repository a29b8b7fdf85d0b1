"""Objects: the same bytes as git writes, and never a half one."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from lifeos.store.encoding import parse_commit
from lifeos.store.git import GitError
from lifeos.store.objects import Identity, MissingObject
from lifeos.store.repo import Repo
from lifeos.store.trees import TreeEntry, read_tree

BLOBS = [b"", b"a\n", bytes(range(256)), "ü\r\n".encode() * 1000, os.urandom(200_000)]


def plain_git(folder: Path, *args: str, stdin: bytes = b"") -> bytes:
    return subprocess.run(
        ["git", *args], cwd=folder, input=stdin, capture_output=True, check=True
    ).stdout


@pytest.fixture(params=["sha1", "sha256"])
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Repo]:
    """An empty repository of each hash."""
    folder = tmp_path / "empty"
    folder.mkdir()
    plain_git(folder, "init", "-q", f"--object-format={request.param}")
    with Repo.open(folder) as found:
        yield found


def folder_of(repo: Repo) -> Path:
    assert repo.work_tree is not None
    return repo.work_tree


def test_blobs_have_the_ids_that_git_gives(opened: Repo) -> None:
    for data in BLOBS:
        expected = plain_git(folder_of(opened), "hash-object", "--stdin", stdin=data)
        oid = opened.objects.write_blob(data)
        assert oid == expected.decode().strip()
        assert opened.objects.read(oid) == ("blob", data)


def test_trees_have_the_ids_that_mktree_gives(opened: Repo) -> None:
    """Git's order puts a folder where its name with a slash would stand."""
    blob = opened.objects.write_blob(b"x")
    empty = opened.objects.write_tree([])
    names = ["a", "a.b", "a0", "-dash", "new\nline", "ü", "A"]
    entries = [TreeEntry("100644", name, blob) for name in names]
    entries += [TreeEntry("040000", "a-", empty), TreeEntry("120000", "l", blob)]
    entries.append(TreeEntry("160000", "sub", "1" * len(blob)))
    entries = [e for e in entries if e.name != "a"] + [TreeEntry("040000", "a", empty)]
    kinds = {"040000": "tree", "160000": "commit"}
    listing = "".join(f"{e.mode} {kinds.get(e.mode, 'blob')} {e.oid}\t{e.name}\0" for e in entries)
    expected = plain_git(folder_of(opened), "mktree", "-z", "--missing", stdin=listing.encode())
    oid = opened.objects.write_tree(entries)
    assert oid == expected.decode().strip()
    assert set(read_tree(opened.objects, oid)) == set(entries)


def test_commits_have_the_ids_that_commit_tree_gives(opened: Repo) -> None:
    tree = opened.objects.write_tree([])
    first = opened.objects.write_commit(tree, [], "one\n", when=1_700_000_000)
    message = "Subject ü\n\nBody\n\nTrailer: x\n"
    expected = subprocess.run(
        ["git", "commit-tree", tree, "-p", first],
        cwd=folder_of(opened),
        input=message.encode(),
        capture_output=True,
        check=True,
        env=os.environ
        | {"GIT_AUTHOR_NAME": "Ann", "GIT_AUTHOR_EMAIL": "ann@example.invalid"}
        | {"GIT_COMMITTER_NAME": "lifeos", "GIT_COMMITTER_EMAIL": "lifeos@localhost"}
        | {"GIT_AUTHOR_DATE": "1700000001 +0000", "GIT_COMMITTER_DATE": "1700000001 +0000"},
    ).stdout.decode()
    oid = opened.objects.write_commit(
        tree,
        [first],
        message,
        when=1_700_000_001,
        author=Identity("Ann", "ann@example.invalid"),
    )
    assert oid == expected.strip()
    commit = opened.objects.commit(oid)
    assert (commit.tree, commit.parents, commit.message) == (tree, (first,), message)
    assert commit.author.identity == Identity("Ann", "ann@example.invalid")
    assert (commit.committer.when, commit.committer.zone) == (1_700_000_001, "+0000")


def test_what_was_written_passes_a_strict_check(opened: Repo) -> None:
    blob = opened.objects.write_blob(b"content")
    tree = opened.objects.write_tree([TreeEntry("100644", "f", blob)])
    commit = opened.objects.write_commit(tree, [], "x\n", when=1)
    opened.objects.flush()
    assert opened.refs.compare_and_swap("refs/heads/main", commit, None, "test")
    result = subprocess.run(
        ["git", "fsck", "--strict", "--full"],
        cwd=folder_of(opened),
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0
    assert "error" not in result.stderr + result.stdout
    assert "dangling" not in result.stdout


def object_path(repo: Repo, oid: str) -> Path:
    return repo.objects.folder / oid[:2] / oid[2:]


def test_objects_are_read_only_files_without_leftovers(opened: Repo) -> None:
    path = object_path(opened, opened.objects.write_blob(b"content"))
    assert path.stat().st_mode & 0o777 == 0o444
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize("damage", [b"", b"\x78\x01garbage"])
def test_an_object_that_a_power_loss_damaged_is_written_again(opened: Repo, damage: bytes) -> None:
    """An object git left empty must not count as "already there"."""
    oid = opened.objects.write_blob(b"content")
    path = object_path(opened, oid)
    path.chmod(0o644)
    path.write_bytes(damage)
    assert opened.objects.write_blob(b"content") == oid
    assert opened.objects.read(oid) == ("blob", b"content")


def test_many_blobs_at_once(opened: Repo) -> None:
    contents = [b"%d" % number for number in range(300)]
    oids = [opened.objects.write_blob(content) for content in contents]
    assert [data for _, _, data in opened.objects.read_many(oids)] == contents
    assert opened.objects.kinds_sizes(oids)[150] == ("blob", 3)


def test_a_missing_object_is_named_and_reading_goes_on(opened: Repo) -> None:
    there = opened.objects.write_blob(b"there")
    missing = opened.objects.hash("blob", b"never written")
    with pytest.raises(MissingObject, match=missing) as caught:
        opened.objects.read(missing)
    assert caught.value.oid == missing
    with pytest.raises(MissingObject, match=missing):
        list(opened.objects.read_many([there, missing, there]))
    with pytest.raises(MissingObject, match=missing):
        opened.objects.kinds_sizes([missing])
    assert opened.objects.read(there) == ("blob", b"there")


def test_reading_survives_the_death_of_its_process(opened: Repo) -> None:
    oid = opened.objects.write_blob(b"there")
    opened.objects.read(oid)
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        line = process.read_bytes()
        if b"cat-file" in line and f"PPid:\t{os.getpid()}\n" in (
            process.parent / "status"
        ).read_text(encoding="utf-8"):
            os.kill(int(process.parent.name), 9)
    assert opened.objects.read(oid) == ("blob", b"there")


def test_an_object_packed_after_the_reader_started_is_found(opened: Repo) -> None:
    first = opened.objects.write_blob(b"first")
    opened.objects.read(first)
    second = opened.objects.write_blob(b"second")
    folder = folder_of(opened)
    plain_git(
        folder,
        "pack-objects",
        "-q",
        ".git/objects/pack/pack",
        stdin=f"{first}\n{second}\n".encode(),
    )
    plain_git(folder, "prune-packed")
    assert not object_path(opened, second).exists()
    assert opened.objects.read(second) == ("blob", b"second")


def test_an_alternate_added_after_the_reader_started_is_found(opened: Repo, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    plain_git(other, "init", "-q", f"--object-format={opened.hash_name}")
    oid = plain_git(other, "hash-object", "-w", "--stdin", stdin=b"elsewhere").decode().strip()
    opened.objects.read(opened.objects.write_blob(b"here"))
    alternates = opened.objects.folder / "info/alternates"
    alternates.write_text(f"{other}/.git/objects\n", encoding="utf-8")
    assert opened.objects.read(oid) == ("blob", b"elsewhere")


@pytest.mark.parametrize(
    ("tree", "message", "when", "author"),
    [
        ("HEAD", "x", 1, Identity("a", "b")),
        ("4" * 40, "nul\0", 1, Identity("a", "b")),
        ("4" * 40, "x", -1, Identity("a", "b")),
        ("4" * 40, "x", 1, Identity("a\nparent x", "b")),
        ("4" * 40, "x", 1, Identity("a", "b> 1 +0000\nx <c")),
    ],
)
def test_nothing_can_forge_a_commit_header(
    repo: Path, tree: str, message: str, when: int, author: Identity
) -> None:
    with Repo.open(repo) as opened, pytest.raises(ValueError, match=r".+"):
        opened.objects.write_commit(tree, [], message, when=when, author=author)


@pytest.mark.parametrize("name", ["", "a/b", "nul\0"])
def test_a_tree_refuses_names_that_no_tree_can_hold(repo: Path, name: str) -> None:
    with Repo.open(repo) as opened, pytest.raises(ValueError, match="cannot be a name"):
        opened.objects.write_tree([TreeEntry("100644", name, "4" * 40)])


def test_a_tree_refuses_a_name_twice(repo: Path) -> None:
    entry = TreeEntry("100644", "a", "4" * 40)
    with Repo.open(repo) as opened, pytest.raises(ValueError, match="there twice"):
        opened.objects.write_tree([entry, entry])


def test_a_signed_commit_with_bytes_that_are_not_utf8_is_read() -> None:
    data = (
        b"tree "
        + b"a" * 40
        + b"\nparent "
        + b"b" * 40
        + b"\nparent "
        + b"c" * 40
        + b"\nauthor A <> 1 -0130\ncommitter B C <x@y> 2 +0200\nencoding latin1\n"
        b"gpgsig -----BEGIN\n line\n -----END\n\nf\xfcr\n"
    )
    commit = parse_commit("d" * 40, data)
    assert commit.parents == ("b" * 40, "c" * 40)
    assert commit.signature == "-----BEGIN\nline\n-----END"
    assert commit.author.identity == Identity("A", "")
    assert commit.message.encode("utf-8", "surrogateescape") == b"f\xfcr\n"


@pytest.mark.parametrize("data", [b"", b"tree x\n\n", b"tree x\nauthor y\ncommitter z\n\n"])
def test_a_damaged_commit_is_named(data: bytes) -> None:
    with pytest.raises(GitError, match="damaged commit"):
        parse_commit("d" * 40, data)


def test_an_id_that_is_an_option_or_an_expression_is_refused(repo: Path) -> None:
    with Repo.open(repo) as opened:
        for text in ("HEAD", "--batch-all-objects", "a" * 39, "A" * 40, "a" * 40 + "\nHEAD"):
            with pytest.raises(ValueError, match="not an object id"):
                opened.objects.read(text)


def test_objects_written_together(opened: Repo) -> None:
    """They are there at once, also where git packs one meanwhile; and later ones stand alone."""
    objects = opened.objects
    with objects.together():
        packed, kept = objects.write_blob(b"packed meanwhile\n"), objects.write_blob(b"kept\n")
        (objects.folder / packed[:2] / packed[2:]).unlink()
        assert objects.read(kept) == ("blob", b"kept\n")
    with pytest.raises(ZeroDivisionError), objects.together():
        raise ZeroDivisionError
    assert objects.read(objects.write_blob(b"alone\n")) == ("blob", b"alone\n")
