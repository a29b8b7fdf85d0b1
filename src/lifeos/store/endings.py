"""How tasks ended, and where the ledger's tree says it."""

from __future__ import annotations

from collections.abc import Mapping

from lifeos.core.canonical import sha256
from lifeos.model import CloseOutcome, Frozen
from lifeos.store.objects import Objects
from lifeos.store.trees import lookup, parse_tree, read_tree


class Ended(Frozen):
    """How the last run of a task ended. ``ledger`` is the commit whose tree has its artifacts."""

    task: str
    run: str
    ordinal: int
    outcome: CloseOutcome
    task_digest: str
    landed: str = ""
    ledger: str = ""
    at: int = 0
    reverted: str = ""


def fan(name: str) -> str:
    """Two letters that spread names over 256 folders."""
    return sha256(name)[:2]


def closed_path(task: str) -> str:
    """Where the tree says how a task ended."""
    return f"closed/{fan(task)}/{task}"


def packet_path(run: str) -> str:
    """The folder of an ended run's packet."""
    return f"packets/{fan(run)}/{run}"


class ClosedFolder:
    """Which blob says how a task ended; folders that were read before are not read again."""

    def __init__(self) -> None:
        self._folder = ""
        self._index: dict[str, str] = {}
        self._fans: dict[str, dict[str, str]] = {}

    def of(self, objects: Objects, tree: str) -> Mapping[str, str]:
        """The blob's id by task, in this tree of the ledger."""
        folder = lookup(objects, tree, "closed")
        if folder is None:
            return {}
        if folder.oid != self._folder:
            self._read(objects, folder.oid)
        return self._index

    def _read(self, objects: Objects, folder: str) -> None:
        fans = {entry.oid: entry.name for entry in read_tree(objects, folder)}
        kept = {oid: self._fans[oid] for oid in fans if oid in self._fans}
        lacking = [oid for oid in fans if oid not in kept]
        size = 20 if objects.hash_name == "sha1" else 32
        for oid, _, data in objects.read_many(lacking):
            entries = parse_tree(oid, data, size)
            # What lies in another folder than its own is not found by name either.
            kept[oid] = {one.name: one.oid for one in entries if fan(one.name) == fans[oid]}
        self._folder, self._fans = folder, kept
        self._index = {task: oid for part in kept.values() for task, oid in part.items()}
