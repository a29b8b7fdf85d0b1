"""What lifeos itself writes on main: marks, ids, and the files of the queue."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from lifeos.core.backlog.edit import give_id, set_mark
from lifeos.core.backlog.entry import Backlog, Mark, Task
from lifeos.core.backlog.parse import parse
from lifeos.core.state import Snapshot
from lifeos.model import CloseOutcome
from lifeos.store.endings import Ended
from lifeos.store.trees import Edit, edit, lookup, read_tree
from lifeos.tick.context import Context
from lifeos.tick.reading import BACKLOG, QUEUE, Main, no_queue, queue_files, read_file
from lifeos.tick.tasks import Tasks

OURS = re.compile(r"(Q-[0-9a-hjkmnp-tv-z]{8})\.(md|approval\.yaml)")
"""The names of the queue's files: the item, and which of the two it is."""
_MARK_OF = {
    CloseOutcome.PASS: Mark.DONE,
    CloseOutcome.BLOCKED: Mark.BLOCKED,
    CloseOutcome.REJECTED: Mark.CANCELLED,
    CloseOutcome.CANCELLED: Mark.CANCELLED,
}


@dataclass(frozen=True)
class Marks:
    """Marks and ids to set, by task id. ``titles`` names tasks whose id is not written yet."""

    prefix: str
    marks: Mapping[str, Mark] = field(default_factory=dict)
    titles: Mapping[str, tuple[str, int]] = field(default_factory=dict)

    def splice(self, data: bytes) -> bytes:
        """The file with these marks and ids, and nothing else changed. Harmless when repeated."""
        if not self.titles and not self.marks:
            return data
        backlog = parse(data, BACKLOG, self.prefix)  # once: it takes seconds for 10,000 tasks
        named = {name: backlog.task(name) for name in self.marks}
        given = {}
        for name, (title, ordinal) in self.titles.items():
            task = _untitled(backlog, name, title, ordinal)
            if task is not None:
                named[name], given[task.order] = task, name
        # From the last to the first: what stands before an edit stays where it was read.
        for name, task in sorted(named.items(), key=_place, reverse=True):
            if task is None:
                continue
            if task.order in given:
                data = give_id(data, task, name, id_prefix=self.prefix)
            if name in self.marks and task.mark is not self.marks[name]:
                data = set_mark(data, task, self.marks[name])
        return data


def _place(named: tuple[str, Task | None]) -> int:
    return named[1].order if named[1] is not None else -1


def _untitled(backlog: Backlog, task_id: str, title: str, ordinal: int) -> Task | None:
    if backlog.task(task_id) is not None:
        return None
    alike = (task for task in backlog.tasks if not task.id and task.title == title)
    return next((task for task in alike if task.ordinal == ordinal), None)


def wanted_marks(ctx: Context, tasks: Tasks) -> Marks:
    """The marks and ids that main should show. A mark that a person set otherwise stays."""
    snapshot = ctx.ledger.snapshot
    running = {run.task for run in snapshot.runs.values()}
    marks: dict[str, Mark] = {}
    titles: dict[str, tuple[str, int]] = {}
    named = [task for plain in tasks.backlog.tasks if (task := tasks.named(plain)).id]
    endings = ctx.ledger.endings([task.id for task in named])
    for task in named:
        if task.order in tasks.ids and task.id in running:
            titles[task.id] = (task.title, task.ordinal)
        mark = _wanted(task, snapshot, running, endings.get(task.id))
        if mark is not None and mark is not task.mark:
            marks[task.id] = mark
    return Marks(prefix=ctx.rules.config.id_prefix, marks=marks, titles=titles)


def _wanted(task: Task, snapshot: Snapshot, running: set[str], ended: Ended | None) -> Mark | None:
    """The mark of one task, or None where lifeos has no say."""
    if task.id in running:
        return Mark.STARTED if task.mark is Mark.OPEN else None
    if task.id in snapshot.retries or _edited_since(task, ended):
        return Mark.OPEN
    if task.mark is Mark.STARTED and ended is not None:
        return _MARK_OF[ended.outcome]
    return None


def _edited_since(task: Task, ended: Ended | None) -> bool:
    """Whether lifeos's own mark of the end stands on a text that a person has changed since."""
    if ended is None or ended.outcome not in (CloseOutcome.BLOCKED, CloseOutcome.REJECTED):
        return False
    return task.mark is _MARK_OF[ended.outcome] and task.digest != ended.task_digest


@dataclass(frozen=True)
class Bookkeeping:
    """What has to change on main: edits of its tree, and the same for a dirty BACKLOG.md."""

    edits: Mapping[str, Edit]
    splices: Mapping[str, Callable[[bytes], bytes]]
    opened: tuple[str, ...] = ()
    gone: tuple[str, ...] = ()
    marked: tuple[str, ...] = ()

    def title(self) -> str:
        """The subject of the commit, for people."""
        parts = []
        if self.opened:
            noun = "question waits" if len(self.opened) == 1 else "questions wait"
            parts.append(f"{len(self.opened)} {noun} ({', '.join(self.opened)})")
        if self.gone:
            parts.append(f"{', '.join(self.gone)} answered")
        if self.marked:
            parts.append(f"mark {', '.join(self.marked)}")
        return f"lifeos: {'; '.join(parts)}"


def bookkeeping(ctx: Context, tasks: Tasks, main: Main) -> Bookkeeping | None:
    """What main lacks of what the ledger says, or None when it is true already."""
    edits, opened, gone = queue_edits(ctx, main)
    marks = wanted_marks(ctx, tasks)
    splices: dict[str, Callable[[bytes], bytes]] = {}
    if marks.marks or marks.titles:
        before = read_file(ctx.repo, main.tree, BACKLOG) or b""
        after = marks.splice(before)
        if after != before:
            leaf = lookup(ctx.repo.objects, main.tree, BACKLOG)
            mode = leaf.mode if leaf else "100644"
            edits[BACKLOG] = (mode, ctx.repo.objects.write_blob(after))
            splices[BACKLOG] = marks.splice
    if not edits:
        return None
    marked = tuple(dict.fromkeys((*marks.titles, *marks.marks))) if splices else ()
    return Bookkeeping(edits=edits, splices=splices, opened=opened, gone=gone, marked=marked)


def queue_edits(
    ctx: Context, main: Main
) -> tuple[dict[str, Edit], tuple[str, ...], tuple[str, ...]]:
    """The queue folder as the ledger has it: files of open items, nothing of closed ones."""
    if no_queue(ctx.repo, main.tree):
        return {}, (), ()
    there = queue_files(ctx.repo, main.tree)
    folder = lookup(ctx.repo.objects, ctx.ledger.tree, "queue")
    pending = (
        {entry.name: (entry.mode, entry.oid) for entry in read_tree(ctx.repo.objects, folder.oid)}
        if folder
        else {}
    )
    edits: dict[str, Edit] = {}
    opened = []
    for name, entry in pending.items():
        if there.get(name) != entry:
            edits[f"{QUEUE}/{name}"] = entry
            if name not in there:
                opened.append(name.removesuffix(".md"))
    gone = set()
    for name in there:
        match = OURS.fullmatch(name)
        if match and match[1] not in ctx.ledger.snapshot.items:
            edits[f"{QUEUE}/{name}"] = None
            gone.add(match[1])
    return edits, tuple(opened), tuple(sorted(gone))


def with_bookkeeping(ctx: Context, tree: str, edits: Mapping[str, Edit]) -> str:
    """A tree of main with the bookkeeping in it."""
    return edit(ctx.repo.objects, tree, edits)
