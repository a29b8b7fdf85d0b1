"""Trees and commits with other blobs in them: made anew, or only their ids worked out."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from lifeos.store.encoding import encode_tree
from lifeos.store.git import GitError
from lifeos.store.repo import Repo
from lifeos.store.trees import FOLDER, TreeEntry, read_tree

_LEDGER = re.compile(rb'"ledger":"([0-9a-f]{40}(?:[0-9a-f]{24})?)"')
_HEAD = re.compile(rb"tree ([0-9a-f]+)\n(?:parent ([0-9a-f]+)\n)?")

Change = Callable[[TreeEntry], TreeEntry]


@dataclass
class Exchange:
    """The ids, or with ``store`` the objects, of trees and commits with other blobs in them.

    ``blobs`` maps ids to those that take their place. Commits are given in order; what names one of
    them (``closed/``) names the one that takes its place. ``folders`` are those that came out, with
    their entries by name.
    """

    repo: Repo
    blobs: dict[str, str]
    store: bool
    commits: dict[str, str] = field(default_factory=dict)
    folders: dict[str, dict[str, TreeEntry]] = field(default_factory=dict)
    _trees: dict[str, str] = field(default_factory=dict)
    _endings: dict[str, str] = field(default_factory=dict)

    def chain(
        self, commits: Sequence[str], step: Callable[[int], None] = lambda _number: None
    ) -> list[str]:
        """What takes the place of these commits, of which each follows the one before."""
        made = []
        for number, commit in enumerate(commits, 1):
            made.append(self._commit(commit))
            step(number)
        return made

    def tree(self, tree: str) -> str:
        """What takes the place of a tree; itself if nothing in it changes."""
        known = self._trees.get(tree)
        if known is None:
            known, entries = self._with(tree, self._entry)
            self._trees[tree] = known
            if known != tree:
                self.folders[known] = {one.name: one for one in entries}
        return known

    def _with(self, tree: str, entry: Change) -> tuple[str, Sequence[TreeEntry]]:
        """A tree with each of its entries changed, and these."""
        entries = read_tree(self.repo.objects, tree)
        changed = [entry(one) for one in entries]
        same = changed == list(entries)
        return (tree if same else self._put_tree(changed)), changed

    def _entry(self, entry: TreeEntry) -> TreeEntry:
        if entry.mode == FOLDER:
            return _at(entry, self.tree(entry.oid))
        return _at(entry, self.blobs.get(entry.oid, entry.oid))

    def _put_tree(self, entries: Sequence[TreeEntry]) -> str:
        if self.store:
            return self.repo.objects.write_tree(entries)
        return self.repo.objects.hash("tree", encode_tree(entries))

    def _commit(self, commit: str) -> str:
        objects = self.repo.objects
        data = objects.read(commit)[1]
        head = _HEAD.match(data)
        if head is None:
            raise GitError(("cat-file", commit), 0, f"{commit} is a damaged commit")
        tree, parent = head[1].decode(), (head[2] or b"").decode()
        lines = f"tree {self._with(tree, self._at_top)[0]}\n"
        lines += f"parent {self.commits.get(parent, parent)}\n" if parent else ""
        fresh = lines.encode() + data[head.end() :]
        made = objects.write_raw_commit(fresh) if self.store else objects.hash("commit", fresh)
        self.commits[commit] = made
        return made

    # --- the endings of tasks -----------------------------------------------------------------

    def _at_top(self, entry: TreeEntry) -> TreeEntry:
        """An entry of the ledger's own tree. Only in ``closed/`` do files name commits."""
        return self._ending(entry) if entry.name == "closed" else self._entry(entry)

    def _ending(self, entry: TreeEntry) -> TreeEntry:
        known = self._endings.get(entry.oid)
        if known is None:
            is_folder = entry.mode == FOLDER
            oid = entry.oid
            known = self._with(oid, self._ending)[0] if is_folder else self._renamed(oid)
            self._endings[oid] = known
        return _at(entry, known)

    def _renamed(self, blob: str) -> str:
        """How a task ended, with the id that the commit it names has now."""
        data = self.repo.objects.read(blob)[1]
        fresh = _LEDGER.sub(self._name, data)
        if fresh == data:
            return blob
        write = self.repo.objects.write_blob
        return write(fresh) if self.store else self.repo.objects.hash("blob", fresh)

    def _name(self, found: re.Match[bytes]) -> bytes:
        name = found[1].decode()
        return f'"ledger":"{self.commits.get(name, name)}"'.encode()


def _at(entry: TreeEntry, oid: str) -> TreeEntry:
    return entry if entry.oid == oid else TreeEntry(entry.mode, entry.name, oid)
