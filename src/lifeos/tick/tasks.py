"""The tasks of main, as the loop needs them: with ids, ends, and who brought their commands."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from lifeos.core.backlog.entry import Backlog, EntryProblem, Mark, Task
from lifeos.core.backlog.ids import derive_id
from lifeos.core.backlog.select import Closed, Eligibility, OpenRun, judged
from lifeos.core.canonical import digest_of
from lifeos.core.state import Run, RunStatus
from lifeos.errors import Place
from lifeos.model import Risk, Stage
from lifeos.store.endings import Ended
from lifeos.store.history import Introduced, who_brought_lines
from lifeos.store.trees import lookup
from lifeos.tick.backlog_cache import parsed
from lifeos.tick.context import Context
from lifeos.tick.reading import BACKLOG, Main

if TYPE_CHECKING:  # `lifeos next` looks at tasks and decides nothing: the rules are not loaded
    from lifeos.core.facts import TaskFact

NO_BACKLOG = b""
_NOT_A_FILE = EntryProblem(
    Place(BACKLOG),
    "is a link, a folder or a submodule: whoever can change what it leads to would choose the work",
    "commit it as a regular file",
)
_REMEMBERED = 2  # backlogs in memory: main before and after lifeos's own commit


@dataclass(frozen=True)
class Tasks:
    """The backlog of one commit of main. ``ids`` maps orders to ids that are not written yet."""

    main: Main
    data: bytes
    backlog: Backlog
    ids: dict[int, str]

    @property
    def unreadable(self) -> bool:
        """Whether a task may be there that is not found: the file itself is at fault."""
        return any(not problem.orders for problem in self.backlog.problems)

    def named(self, task: Task) -> Task:
        """The task with the id it has, or will get."""
        return replace(task, id=self.ids[task.order]) if task.order in self.ids else task

    def find(self, task_id: str) -> Task | None:
        """The task with this id, written or still to be written."""
        for order, derived in self.ids.items():
            if derived == task_id:
                return self.named(self.backlog.tasks[order])
        return self.backlog.task(task_id)


def read_tasks(ctx: Context, main: Main) -> Tasks:
    """The backlog at a commit of main. A missing file is an empty backlog."""
    leaf = lookup(ctx.repo.objects, main.tree, BACKLOG)
    data, backlog = NO_BACKLOG, Backlog()
    if leaf is not None and leaf.mode in ("100644", "100755"):
        data, backlog = _read(ctx, leaf.oid)
    elif leaf is not None:
        backlog = Backlog(problems=(_NOT_A_FILE,))
    tasks = Tasks(main=main, data=data, backlog=backlog, ids={})
    _recover_ids(ctx, tasks)
    return tasks


def _read(ctx: Context, oid: str) -> tuple[bytes, Backlog]:
    if oid not in ctx.backlogs:
        data = ctx.repo.objects.read(oid)[1]
        backlog = parsed(ctx.repo, oid, data, BACKLOG, ctx.rules.config.id_prefix)
        while len(ctx.backlogs) >= _REMEMBERED:
            del ctx.backlogs[next(iter(ctx.backlogs))]
        ctx.backlogs[oid] = (data, backlog)
    return ctx.backlogs[oid]


def _recover_ids(ctx: Context, tasks: Tasks) -> None:
    """Find the tasks of open runs whose id did not reach main before the last tick died."""
    if not ctx.ledger.snapshot.runs:
        return
    written = {task.id for task in tasks.backlog.tasks}
    lacking = [run for run in ctx.ledger.snapshot.runs.values() if run.task not in written]
    titles = {run.title for run in lacking}
    for task in tasks.backlog.tasks if titles else ():
        if not task.id and task.title in titles:
            tasks.ids[task.order] = derived_id(ctx, tasks, task)


def derived_id(ctx: Context, tasks: Tasks, task: Task) -> str:
    """The id of a task that has none: the same on every machine that sees the same history."""
    brought = _brought(ctx, tasks, task.line, task.line)
    introduced = brought[0].commit if brought else ""
    return derive_id(
        ctx.rules.config.id_prefix,
        ctx.ledger.snapshot.root,
        introduced,
        task.title,
        task.ordinal,
    )


def _brought(ctx: Context, tasks: Tasks, first: int, last: int) -> tuple[Introduced, ...]:
    """Who brought these lines; asked for the same ones before every step of a tick."""
    key = (tasks.main.commit, first, last)
    if key not in ctx.brought:
        ctx.brought[key] = who_brought_lines(ctx.repo, tasks.main.commit, BACKLOG, first, last)
    return ctx.brought[key]


def task_commands(task: Task) -> tuple[str, ...]:
    """Every command that the task would have lifeos or an agent run."""
    return (*task.recipe, *(item.command for item in task.acceptance if item.command))


def unapproved_commands(ctx: Context, tasks: Tasks, task: Task) -> str:
    """The digest of the task's commands if no approver brought them onto main, else ''."""
    from lifeos.tick.authority import by_approver

    commands = task_commands(task)
    if not commands:
        return ""
    first, last = lines_of(tasks.data, task)
    # lifeos itself only ever edits the first line (mark and id), which carries no command.
    brought = _brought(ctx, tasks, first + 1, last)
    approvals = ctx.rules.approvals
    if brought and all(
        by_approver(ctx.repo, commit, approvals, ctx.who_brought) for commit in brought
    ):
        return ""
    return digest_of([*commands])


def lines_of(data: bytes, task: Task) -> tuple[int, int]:
    """The first and last line of a task in its file, from 1."""
    start, end = task.span
    first = data.count(b"\n", 0, start) + 1
    text = data[start:end].rstrip(b"\r\n")
    return first, first + text.count(b"\n")


def fact_of(ctx: Context, tasks: Tasks, task: Task, *, with_commands: bool) -> TaskFact:
    """A task as ``decide`` sees it."""
    from lifeos.core.facts import TaskFact

    ended = ctx.ledger.endings([task.id]).get(task.id)
    return TaskFact(
        id=task.id,
        title=task.title,
        digest=task.digest,
        open=task.mark in (Mark.OPEN, Mark.STARTED),
        done=task.mark is Mark.DONE,
        scope=task.scope,
        tags=task.tags,
        risk=task.risk or Risk.LOW,
        commands=unapproved_commands(ctx, tasks, task) if with_commands else "",
        ordinal=(ended.ordinal + 1) if ended else 1,
    )


def open_tasks(ctx: Context, tasks: Tasks) -> dict[str, TaskFact]:
    """The tasks of open runs, as main has them now."""
    found = {}
    for run in ctx.ledger.snapshot.runs.values():
        task = tasks.find(run.task)
        if task is not None:
            changed = task.digest != run.task_digest
            found[run.task] = fact_of(ctx, tasks, task, with_commands=changed)
        elif tasks.unreadable:
            # A task that is gone ends its run; a file that cannot be read says nothing of it.
            found[run.task] = _as_it_was(run)
    return found


def _as_it_was(run: Run) -> TaskFact:
    from lifeos.core.facts import TaskFact

    return TaskFact(
        id=run.task,
        title=run.title,
        digest=run.task_digest,
        scope=run.scope,
        tags=run.tags,
        risk=run.risk,
        ordinal=run.ordinal,
    )


def explain(ctx: Context, tasks: Tasks) -> tuple[Eligibility, ...]:
    """For every task, in order of selection: whether it may be opened now, and why not."""
    return tuple(_judged(ctx, tasks))


def _judged(ctx: Context, tasks: Tasks) -> Iterator[Eligibility]:
    """The same one by one: who wants the first that may be opened need not judge them all."""
    snapshot, backlog = ctx.ledger.snapshot, tasks.backlog
    # A ticked box stays done, however a run of it ended.
    wanted = {task.id: task for task in backlog.tasks if task.id and task.mark is not Mark.DONE}
    endings = ctx.ledger.endings(wanted.keys())
    ended = {task: closed_fact(wanted[task], end) for task, end in endings.items()}
    runs = tuple(open_run(run) for run in snapshot.runs.values())
    if tasks.ids:
        backlog = replace(backlog, tasks=tuple(tasks.named(task) for task in backlog.tasks))
    return judged(backlog, ended, runs, frozenset(snapshot.retries))


def closed_fact(task: Task, end: Ended) -> Closed:
    """How a task's last run ended, for the selection."""
    return Closed(
        task_id=task.id,
        outcome=end.outcome,
        digest=end.task_digest,
        reopened=task.mark is Mark.OPEN,
    )


def open_run(run: Run) -> OpenRun:
    """An open run, for the selection: what it may still touch, or what it did touch."""
    waiting = run.status is RunStatus.HELD and run.stage in (
        Stage.BUILD_REVIEW,
        Stage.PACKET,
        Stage.CLOSE,
    )
    return OpenRun(task_id=run.task, scope=run.scope, building=not waiting, paths=run.paths)


def candidates(
    ctx: Context, tasks: Tasks, only: str, fits: Callable[[Task], bool]
) -> tuple[TaskFact, ...]:
    """The task to open next, if there is one: the first eligible, or the one asked for.

    ``fits`` is asked about an eligible one; one that does not fit is left, and the next looked at.
    """
    for eligibility in _judged(ctx, tasks):
        task = eligibility.task
        if not eligibility.eligible:
            continue
        given = task.id or derived_id(ctx, tasks, task)
        if only and given != only:
            continue
        if not fits(replace(task, id=given)):
            continue
        if not task.id:
            task = replace(task, id=given)
            tasks.ids[task.order] = given
        return (fact_of(ctx, tasks, task, with_commands=True),)
    return ()
