"""Trees: read, looked up and edited without an index or a work tree.

Paths are ``/``-separated strings; bytes that are not utf-8 are kept as surrogates. What git would
refuse to check out (a ``.git`` in any disguise, ``..``) is refused here too, by name.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from lifeos.errors import UsageError
from lifeos.store.git import GitError
from lifeos.store.objects import Objects

FOLDER = "040000"
SUBMODULE = "160000"
SYMLINK = "120000"
FILE = "100644"
EXECUTABLE = "100755"
_MODES = {FOLDER, SUBMODULE, SYMLINK, FILE, EXECUTABLE}
MAX_DEPTH = 256
"""Folders inside each other. Deeper ones are refused: a path of that depth is an attack."""

# HFS+ ignores these in names: git's own list (utf8.c, next_hfs_char).
_HFS_IGNORED = re.compile("[\u200c-\u200f\u202a-\u202e\u206a-\u206f\ufeff]")
# NTFS: trailing dots and spaces, alternate streams, the short name, and backslash as a separator.
_NTFS_GIT = re.compile(r"(?:\.git|git~1)[ .]*(?::.*)?", re.IGNORECASE | re.DOTALL)


@dataclass(frozen=True)
class TreeEntry:
    """One line of a folder. ``mode`` is git's, six digits ("040000" for a folder)."""

    mode: str
    name: str
    oid: str


@dataclass(frozen=True)
class Leaf:
    """A file, link or submodule with its full path (``lookup`` gives folders too)."""

    path: str
    mode: str
    oid: str


Edit = tuple[str, str] | None
"""Mode and object id to put at a path; None to remove what is there."""


def read_tree(objects: Objects, tree: str) -> tuple[TreeEntry, ...]:
    """The entries of one folder. Raises ``GitError`` for a damaged one or a name twice."""
    kind, data = objects.read(tree)
    if kind != "tree":
        raise GitError(("cat-file", tree), 0, f"{tree} is a {kind}, not a tree")
    return parse_tree(tree, data, 20 if objects.hash_name == "sha1" else 32)


def parse_tree(tree: str, data: bytes, id_size: int) -> tuple[TreeEntry, ...]:
    """The entries in a tree object's content. ``id_size`` in bytes."""
    entries: list[TreeEntry] = []
    names: set[str] = set()
    position = 0
    while position < len(data):
        space = data.find(b" ", position)
        end = data.find(b"\0", space)
        mode = data[position:space].decode("ascii", "replace").zfill(6)
        name = data[space + 1 : end].decode("utf-8", "surrogateescape")
        oid = data[end + 1 : end + 1 + id_size]
        if min(space, end) < 0 or len(oid) != id_size or not name or "/" in name or name in names:
            raise GitError(("ls-tree", tree), 0, f"{tree} is a damaged tree", "git fsck --full")
        names.add(name)
        entries.append(TreeEntry(mode, name, oid.hex()))
        position = end + 1 + id_size
    return tuple(entries)


def walk(objects: Objects, tree: str) -> Iterator[Leaf]:
    """Every file, link and submodule below a tree, in git's order."""
    pending: list[tuple[str, Iterator[TreeEntry]]] = [("", iter(read_tree(objects, tree)))]
    while pending:
        prefix, entries = pending[-1]
        entry = next(entries, None)
        if entry is None:
            pending.pop()
        elif entry.mode == FOLDER:
            if len(pending) > MAX_DEPTH:
                raise UsageError(f"{prefix[:80]}... is too deep", f"at most {MAX_DEPTH} folders")
            pending.append((f"{prefix}{entry.name}/", iter(read_tree(objects, entry.oid))))
        else:
            yield Leaf(prefix + entry.name, entry.mode, entry.oid)


def lookup(objects: Objects, tree: str, path: str) -> Leaf | None:
    """What is at a path, a folder included; None if nothing is. Case matters."""
    found = TreeEntry(FOLDER, "", tree)
    for part in path.split("/"):
        if found.mode != FOLDER:
            return None
        entries = read_tree(objects, found.oid)
        match = next((entry for entry in entries if entry.name == part), None)
        if match is None:
            return None
        found = match
    return Leaf(path, found.mode, found.oid)


@dataclass
class _Node:
    """The changes at one path: its own (``touched``), and those below it."""

    touched: bool = False
    change: Edit = None
    children: dict[str, _Node] = field(default_factory=dict)


def edit(objects: Objects, tree: str | None, changes: Mapping[str, Edit]) -> str:
    """A tree with changes made. Folders that become empty go; ``tree`` None starts from nothing.

    A change with mode "040000" puts a whole folder in place, and changes below it then apply to
    that. Raises ``UsageError`` for an unsafe path, or a path below something that stays a file.
    """
    root = _Node()
    for path, change in changes.items():
        check_path(path)
        if change is not None and change[0] not in _MODES:
            raise UsageError(f"{change[0]!r} is not a mode of git", f"use one of {sorted(_MODES)}")
        node = root
        for part in path.split("/"):
            node = node.children.setdefault(part, _Node())
        node.touched, node.change = True, change
    return _apply(objects, tree, root, "") or objects.write_tree(())


def _apply(objects: Objects, tree: str | None, node: _Node, prefix: str) -> str | None:
    before = {entry.name: entry for entry in read_tree(objects, tree)} if tree else {}
    after = dict(before)
    for name, child in node.children.items():
        entry = _changed(objects, after.get(name), name, child, prefix)
        if entry is None:
            after.pop(name, None)
        else:
            after[name] = entry
    if not after:
        return None
    return tree if tree is not None and after == before else objects.write_tree(after.values())


def _changed(
    objects: Objects, now: TreeEntry | None, name: str, node: _Node, prefix: str
) -> TreeEntry | None:
    if node.touched:
        now = None if node.change is None else TreeEntry(node.change[0], name, node.change[1])
    if now is not None and now.mode == FOLDER and now.oid == objects.hash("tree", b""):
        now = None
    if not node.children:
        return now
    below = now.oid if now is not None and now.mode == FOLDER else None
    made = _apply(objects, below, node, f"{prefix}{name}/")
    if now is None or now.mode == FOLDER:
        return None if made is None else TreeEntry(FOLDER, name, made)
    if made is not None:
        raise UsageError(f"{prefix}{name} is a file: nothing can be put below it", "remove it too")
    return now


def check_path(path: str) -> None:
    """Raise ``UsageError`` unless a path can safely be put into a tree."""
    parts = path.split("/")
    if len(parts) > MAX_DEPTH or not all(is_safe_name(part) for part in parts):
        raise UsageError(f"{path[:200]!r} cannot be a path in a repository", "rename it")


def is_safe_name(name: str) -> bool:
    """Whether a name may stand in a tree that is checked out on any common file system."""
    if name in {"", ".", ".."} or "/" in name or "\0" in name:
        return False
    plain = _HFS_IGNORED.sub("", name)
    return not any(_NTFS_GIT.fullmatch(part) for part in (*name.split("\\"), *plain.split("\\")))
