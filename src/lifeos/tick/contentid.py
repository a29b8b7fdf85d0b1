"""The content of many trees by its id, without writing anything: see ``reading.content_of``."""

from __future__ import annotations

from lifeos.core.backlog.edit import normalise
from lifeos.store.encoding import encode_tree
from lifeos.store.objects import Objects
from lifeos.store.treecache import TreeCache
from lifeos.store.trees import FOLDER, TreeEntry
from lifeos.tick.reading import BACKLOG, QUEUE

_REGULAR = frozenset({"100644", "100755"})


class ContentIds:
    """Finds them. A backlog is parsed once, however many trees have it."""

    def __init__(self, objects: Objects, trees: TreeCache) -> None:
        self._objects = objects
        self._trees = trees
        self._backlogs: dict[tuple[str, str], str] = {}
        self._known: dict[tuple[str, str], str] = {}

    def of(self, tree: str, prefix: str) -> str:
        """The id that ``content_of`` gives for this tree."""
        key = (prefix, tree)
        if key not in self._known:
            self._known[key] = self._found(tree, prefix)
        return self._known[key]

    def _found(self, tree: str, prefix: str) -> str:
        before = self._trees.folder(tree)
        entries = dict(before)
        top, _, below = QUEUE.partition("/")
        folder = entries.get(top)
        if folder is not None and folder.mode == FOLDER:
            inner = dict(self._trees.folder(folder.oid))
            if inner.pop(below, None) is not None:
                entries[top] = TreeEntry(FOLDER, top, self._hash(inner))
                if not inner:
                    del entries[top]
        backlog = entries.get(BACKLOG)
        if backlog is not None and backlog.mode in _REGULAR:
            plain = self._plain(backlog.oid, prefix)
            entries[BACKLOG] = TreeEntry(backlog.mode, BACKLOG, plain)
        return tree if entries == before else self._hash(entries)

    def _hash(self, entries: dict[str, TreeEntry]) -> str:
        return self._objects.hash("tree", encode_tree(entries.values()))

    def _plain(self, blob: str, prefix: str) -> str:
        key = (prefix, blob)
        if key not in self._backlogs:
            data = self._objects.read(blob)[1]
            plain = normalise(data, id_prefix=prefix)
            self._backlogs[key] = self._objects.hash("blob", plain)
        return self._backlogs[key]
