"""Folders read once: for whoever looks at one tree after the other, each little different.

One question to git's reading process costs as much as parsing a dozen folders, so the folders that
differ between many pairs of trees are fetched together, level by level, before they are looked at.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from lifeos.store.git import GitError
from lifeos.store.objects import MissingObject, Objects
from lifeos.store.trees import FOLDER, Leaf, TreeEntry, parse_tree, read_tree

_MOST = 20_000
"""Folders that are kept, about a hundred bytes an entry of theirs."""

Folder = dict[str, TreeEntry]
Whole = Callable[[str, bool], bool]
"""Whether a folder at this path is one thing, not looked into; True: it is no longer there."""


@dataclass(frozen=True)
class Difference:
    """A path at which two trees differ, with what each has there; None: nothing."""

    path: str
    before: TreeEntry | None
    after: TreeEntry | None


class TreeCache:
    """Reads the folders of one object store."""

    def __init__(
        self, objects: Objects, whole: Whole, known: Mapping[str, Folder] = MappingProxyType({})
    ) -> None:
        """``known`` are folders that are not in the store, or no more; it may grow."""
        self._elsewhere = known
        self._objects = objects
        self._whole = whole
        self._id_size = 20 if objects.hash_name == "sha1" else 32
        self._known: dict[str, Folder] = {}

    def folder(self, tree: str | None) -> Folder:
        """The entries of a folder by name; nothing for None. Raises ``MissingObject``."""
        if tree is None:
            return {}
        known = self._known.get(tree) or self._elsewhere.get(tree)
        if known is None:
            known = self._keep(tree, read_tree(self._objects, tree))
        return known

    def lookup(self, tree: str, path: str) -> Leaf | None:
        """What is at a path, a folder included; None if nothing is."""
        found: TreeEntry | None = TreeEntry(FOLDER, "", tree)
        for part in path.split("/"):
            if found is None or found.mode != FOLDER:
                return None
            found = self.folder(found.oid).get(part)
        return Leaf(path, found.mode, found.oid) if found else None

    def differences(
        self, old: str | None, new: str | None, prefix: str = ""
    ) -> Iterator[Difference]:
        """What differs between two trees, in the order of the names."""
        if old == new:
            return
        for one in self._here(old, new, prefix):
            inside = self._inside(one)
            if inside is None:
                yield one
            else:
                yield from self.differences(*inside, f"{one.path}/")

    def _here(self, old: str | None, new: str | None, prefix: str) -> Iterator[Difference]:
        before, after = self.folder(old), self.folder(new)
        for name in sorted(before.keys() | after.keys()):
            was, now = before.get(name), after.get(name)
            if was != now:
                yield Difference(prefix + name, was, now)

    def _inside(self, one: Difference) -> tuple[str | None, str | None] | None:
        """The two folders to look into, or None where the path is one thing."""
        was, now = one.before, one.after
        if not (_may_be_folder(was) and _may_be_folder(now)) or self._whole(one.path, now is None):
            return None
        return (was.oid if was else None, now.oid if now else None)

    def fetch(self, pairs: Sequence[tuple[str | None, str | None]]) -> None:
        """Have what ``differences`` of all these pairs will read. What is missing is left out."""
        level: list[tuple[str | None, str | None, str]] = [
            (old, new, "") for old, new in pairs if old != new
        ]
        while level:
            wanted = {tree for old, new, _ in level for tree in (old, new) if tree is not None}
            self._fetch(wanted)
            level = [pair for one in level if self._has(one) for pair in self._below(*one)]

    def _has(self, one: tuple[str | None, str | None, str]) -> bool:
        return all(tree is None or tree in self._known for tree in one[:2])

    def _below(
        self, old: str | None, new: str | None, prefix: str
    ) -> Iterator[tuple[str | None, str | None, str]]:
        for one in self._here(old, new, prefix):
            inside = self._inside(one)
            if inside is not None:
                yield (*inside, f"{one.path}/")

    def _fetch(self, trees: Iterable[str]) -> None:
        lacking = sorted(tree for tree in trees if tree not in self._known)
        try:
            for oid, kind, data in self._objects.read_many(lacking):
                if kind == "tree":
                    self._keep(oid, parse_tree(oid, data, self._id_size))
        except (MissingObject, GitError):
            return  # whoever looks at it says so, with the place

    def _keep(self, tree: str, entries: Iterable[TreeEntry]) -> Folder:
        if len(self._known) >= _MOST:
            for old in list(self._known)[: _MOST // 2]:
                del self._known[old]
        folder = {entry.name: entry for entry in entries}
        self._known[tree] = folder
        return folder


def _may_be_folder(entry: TreeEntry | None) -> bool:
    return entry is None or entry.mode == FOLDER
