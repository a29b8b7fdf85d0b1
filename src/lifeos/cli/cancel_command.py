"""``lifeos cancel``: end a task's run; its work is kept."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from lifeos.cli.frame import Json, frame_of, show, show_json
from lifeos.cli.here import look
from lifeos.cli.on_main import OnMain, not_pushed
from lifeos.cli.tasks import find_task, task_at
from lifeos.errors import Exit, UsageError
from lifeos.model import Frozen

if TYPE_CHECKING:
    from lifeos.cli.here import Here
    from lifeos.core.backlog.entry import Task
    from lifeos.store.trees import Edit
    from lifeos.tick.reading import Main


class CancelData(Frozen):
    """``lifeos.cancel/v1``. ``run`` is the open run that the next tick will close, if any."""

    task: str
    title: str
    run: str | None
    work: str | None
    branch: str
    commit: str | None
    not_pushed: str = ""


def command(
    context: typer.Context,
    task: Annotated[str, typer.Argument(help="The task: id, run or title.", metavar="TASK")],
    message: Annotated[str, typer.Option("--message", "-m", help="Why.", metavar="TEXT")] = "",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")
    ] = False,
    json: Json = False,
) -> int:
    """Mark a task as cancelled [-], as a commit on main in your name. The next tick ends its run.

    Whoever may commit on main may cancel, as they may edit the backlog by hand.
    """
    from lifeos.core.backlog.entry import Mark

    with look(frame_of(context), fresh=True) as here:
        found = find_task(here, task)
        if found.mark in (Mark.CANCELLED, Mark.DONE):
            state = "cancelled" if found.mark is Mark.CANCELLED else "done"
            raise UsageError(f"{found.name} is {state} already", "lifeos backlog list --all")
        run = _open_run(here, found)
        commit = None if dry_run else _commit(here, found, message)
        data = CancelData(
            task=found.id,
            title=found.title,
            run=run,
            work=_work(here, run),
            branch=here.branch,
            commit=commit,
            not_pushed=not_pushed(here.repo, here.rules, commit),
        )
    if json:
        show_json("cancel", data)
    else:
        show(_text(data))
    return Exit.OK


def _open_run(here: Here, task: Task) -> str | None:
    runs = here.ledger.snapshot.runs.values() if here.ledger else ()
    return next((run.id for run in runs if task.id and run.task == task.id), None)


def _work(here: Here, run: str | None) -> str | None:
    """The reference that keeps the work of the run, if it has any."""
    from lifeos.tick.work import work_ref

    if here.ledger is None or run is None or not here.ledger.snapshot.runs[run].work:
        return None
    return work_ref(run)


def _commit(here: Here, task: Task, why: str) -> str:
    from lifeos.core.backlog.edit import set_mark
    from lifeos.core.backlog.entry import Mark
    from lifeos.core.clean import for_commit, one_line
    from lifeos.store.trees import lookup
    from lifeos.tick.reading import BACKLOG

    prefix = here.rules.config.id_prefix

    def cancelled(data: bytes) -> bytes:
        there = task_at(data, task, prefix)
        return data if there is None else set_mark(data, there, Mark.CANCELLED)

    def plan(main: Main) -> list[dict[str, Edit]]:
        leaf = lookup(here.repo.objects, main.tree, BACKLOG)
        before = here.repo.objects.read(leaf.oid)[1] if leaf else b""
        after = cancelled(before)
        if leaf is None or after == before:
            raise UsageError(f"{task.name} was changed meanwhile", "run this command again")
        return [{BACKLOG: (leaf.mode, here.repo.objects.write_blob(after))}]

    title = one_line(f"cancel {task.id}: {task.title}" if task.id else f"cancel {task.title}", 100)
    message = f"{title}\n\n{for_commit(why)}".rstrip() + "\n"
    where = OnMain.under(here.repo, here.rules)
    return where.commit(plan, message, splices={BACKLOG: cancelled})


def _text(data: CancelData) -> str:
    name = f"{data.task} {data.title}".strip()
    if data.commit is None:
        lines = [f"would cancel {name}"]
    else:
        lines = [f"cancelled {name}"]
        lines.append(f"committed {data.commit[:12]} on {data.branch}")
    if data.not_pushed and data.commit:
        lines.append(data.not_pushed)
    if data.run:
        kept = f"; its work stays at {data.work}" if data.work else ""
        lines.append(f"next: lifeos tick, which closes {data.run} as cancelled{kept}")
    else:
        lines.append("it has no open run: nothing else is needed")
    return "\n".join(lines)
