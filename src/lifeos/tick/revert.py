"""Taking the pure work of a landed run back out of main, whatever has landed since."""

from __future__ import annotations

from dataclasses import dataclass

from lifeos.core.backlog.edit import set_mark
from lifeos.core.backlog.entry import Mark
from lifeos.core.backlog.parse import parse
from lifeos.core.records import Noted, Topic
from lifeos.store.diff import diff
from lifeos.store.endings import Ended, closed_path
from lifeos.store.ledger import Ledger
from lifeos.store.merge import Merged, merge
from lifeos.store.repo import Repo
from lifeos.store.trees import Edit, edit, lookup
from lifeos.tick.reading import BACKLOG, QUEUE

REVERTS = "Lifeos-Reverts: "
"""The trailer that names the landing; a revert that died before it was noted is found by it."""


def without_work(repo: Repo, main: str, landed: str, onto: str) -> Merged:
    """Main's tree with the work of a landing taken out: its conflicts, or the tree.

    ``onto`` is what main was before it. A merge of main as it is and as it was, seen from the
    landing without its bookkeeping. The commits of that merge are made for it: only so is the
    landing where the two sides parted, however it came about.
    """
    objects = repo.objects
    before = objects.commit(onto).tree
    after = objects.commit(landed).tree
    kept: dict[str, Edit] = {}
    for path in (BACKLOG, QUEUE):
        leaf = lookup(objects, before, path)
        if leaf is not None or lookup(objects, after, path) is not None:
            kept[path] = (leaf.mode, leaf.oid) if leaf else None
    parted = objects.write_commit(edit(objects, after, kept), (), "the work", when=0)
    sides = [
        objects.write_commit(tree, (parted,), name, when=0)
        for tree, name in ((objects.tree_id(main), "main"), (before, "before the work"))
    ]
    return merge(repo, *sides)


def edits_between(repo: Repo, old: str, new: str) -> dict[str, Edit]:
    """What makes one tree the other."""
    found: dict[str, Edit] = {}
    for change in diff(repo, old, new):
        if change.old_path and change.status == "R":
            found[change.old_path] = None
        gone = change.status == "D"
        found[change.path] = None if gone else (change.new_mode, change.new_id)
    return found


@dataclass(frozen=True)
class Unmark:
    """The task's mark back to open, and nothing else changed. Harmless when repeated."""

    task: str
    prefix: str

    def splice(self, data: bytes) -> bytes:
        """The file with the mark of a done task taken off."""
        task = parse(data, "BACKLOG.md", self.prefix).task(self.task)
        if task is None or task.mark is not Mark.DONE:
            return data
        return set_mark(data, task, Mark.OPEN)


def note_reverted(ledger: Ledger, ended: Ended, commit: str, who: str, at: int) -> str:
    """Record that a landing was taken back by a commit on main. The ledger's new tip."""
    record = Noted(
        at=at,
        topic=Topic.REVERTED,
        run=ended.run,
        task=ended.task,
        commit=commit,
        onto=ended.landed,
        who=who,
    )
    last = ledger.ended(ended.task)
    artifacts = {}
    if last is not None and last.run == ended.run:
        told = last.model_copy(update={"reverted": commit})
        artifacts[closed_path(ended.task)] = told.model_dump_json().encode()
    return ledger.append(record, artifacts=artifacts)


def already(repo: Repo, main: str, landed: str) -> str:
    """The commit on main that took a landing back, by its trailer; '' if there is none."""
    args = ("log", "-1", "--format=%H", "--fixed-strings", f"--grep={REVERTS}{landed}")
    return repo.git.run(*args, "--end-of-options", main).decode("ascii").strip()
