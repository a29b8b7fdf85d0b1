"""What main says: governance, backlog, content. Always read from a commit, never the work tree."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from lifeos.core.backlog.edit import normalise
from lifeos.core.backlog.entry import Backlog
from lifeos.core.policy import is_governance
from lifeos.errors import Place, Problem
from lifeos.store.repo import Repo
from lifeos.store.trees import Edit, edit, lookup, read_tree, walk

BACKLOG = "BACKLOG.md"
QUEUE = ".lifeos/queue"
STOP = ".lifeos/STOP"
RULES = ("policies", ".lifeos")
"""The folders that governance is in."""
_REGULAR = frozenset({"100644", "100755"})


@dataclass(frozen=True)
class Main:
    """The branch that rules, at one commit."""

    commit: str
    tree: str


def main_at(repo: Repo, commit: str) -> Main:
    """Main at a commit."""
    return Main(commit=commit, tree=repo.objects.commit(commit).tree)


def governance_files(repo: Repo, tree: str) -> dict[str, bytes]:
    """The files of governance in a tree, by path. Links and submodules there are not rules."""
    oids: dict[str, str] = {}
    for top in RULES:
        folder = lookup(repo.objects, tree, top)
        if folder is None or folder.mode != "040000":
            continue
        for leaf in walk(repo.objects, folder.oid):
            path = f"{top}/{leaf.path}"
            if is_governance(path) and leaf.mode in _REGULAR:
                oids[path] = leaf.oid
    contents = repo.objects.read_many(oids.values())
    return {path: item[2] for path, item in zip(oids, contents, strict=True)}


def governance_key(repo: Repo, tree: str) -> tuple[str, ...]:
    """Object ids that change whenever governance can have changed: a key for caches."""
    key = []
    for entry in read_tree(repo.objects, tree):
        if entry.name == "policies":
            key.append(entry.oid)
        elif entry.name == ".lifeos" and entry.mode == "040000":
            inner = read_tree(repo.objects, entry.oid)
            key += [f"{item.name} {item.oid}" for item in inner if item.name != "queue"]
    return tuple(key)


def read_file(repo: Repo, tree: str, path: str) -> bytes | None:
    """The content of a regular file, or None when there is none at that path."""
    leaf = lookup(repo.objects, tree, path)
    if leaf is None or leaf.mode not in _REGULAR:
        return None
    return repo.objects.read(leaf.oid)[1]


def changed_by_people(repo: Repo, old: str, new: str) -> frozenset[str]:
    """Paths that differ between two commits of main, lifeos's own bookkeeping left out."""
    from lifeos.store.history import changed_paths

    paths = changed_paths(repo, old, new)
    return frozenset(p for p in paths if p != BACKLOG and not p.startswith(f"{QUEUE}/"))


def no_queue(repo: Repo, tree: str) -> tuple[Problem, ...]:
    """Why there can be no queue in this tree: something else is where its folder must be."""
    for path in (".lifeos", QUEUE):
        leaf = lookup(repo.objects, tree, path)
        if leaf is not None and leaf.mode != "040000":
            what = "is no folder, so that no question can be written there"
            return (Problem(Place(path), what, "commit a folder in its place, or remove it"),)
    return ()


def queue_files(repo: Repo, tree: str) -> Mapping[str, tuple[str, str]]:
    """Mode and object id of everything under ``.lifeos/queue/``, by name."""
    folder = lookup(repo.objects, tree, QUEUE)
    if folder is None or folder.mode != "040000":
        return {}
    return {entry.name: (entry.mode, entry.oid) for entry in read_tree(repo.objects, folder.oid)}


def content_of(
    repo: Repo, tree: str, id_prefix: str, known: Mapping[str, Backlog] = MappingProxyType({})
) -> str:
    """The id of a tree's content: without the queue, and with the tasks' marks and ids taken off.

    So lifeos's own bookkeeping on main does not make what somebody approved stale. ``known`` has
    backlogs that were parsed with this prefix, by blob.
    """
    changes: dict[str, Edit] = {}
    if lookup(repo.objects, tree, QUEUE):
        changes[QUEUE] = None
    leaf = lookup(repo.objects, tree, BACKLOG)
    if leaf is not None and leaf.mode in _REGULAR:
        before = repo.objects.read(leaf.oid)[1]
        after = normalise(before, id_prefix=id_prefix, parsed=known.get(leaf.oid))
        if after != before:
            changes[BACKLOG] = (leaf.mode, repo.objects.write_blob(after))
    return edit(repo.objects, tree, changes) if changes else tree
