"""``lifeos next``: which task is next, and why each other one is not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from lifeos.cli.at import At
from lifeos.cli.cells import cell
from lifeos.cli.frame import Json, frame_of, show, show_json, table
from lifeos.cli.standing import run_of, standing
from lifeos.cli.tasks import FileProblem, file_problems, judged, tasks_on_main
from lifeos.cli.then import look_then
from lifeos.errors import Exit
from lifeos.model import Frozen

if TYPE_CHECKING:
    from lifeos.cli.here import Here
    from lifeos.core.backlog.select import Eligibility
    from lifeos.tick.tasks import Tasks


class NextTask(Frozen):
    """One task that is not done: whether it may be opened now, and why not."""

    id: str
    title: str
    line: int
    priority: int
    eligible: bool
    reason: str
    blocking: tuple[str, ...] = ()


class NextData(Frozen):
    """``lifeos.next/v1``. ``tasks`` in the order of selection; only the next without --explain.

    ``past``: as main at ``commit``, the rules and the ledger were then; STOP in a work tree is not
    known of the past.
    """

    branch: str
    commit: str
    next: NextTask | None
    tasks: tuple[NextTask, ...] = ()
    stopped: bool = False
    open_runs: int = 0
    open_runs_limit: int
    problems: tuple[FileProblem, ...] = ()
    past: bool = False


def command(
    context: typer.Context,
    explain: Annotated[
        bool, typer.Option("--explain", help="Every task that is not done, with the reason.")
    ] = False,
    at: At = "",
    json: Json = False,
) -> int:
    """Show the task that the next tick would open, as main has it; nothing is changed."""
    with look_then(frame_of(context), at) as here:
        tasks = tasks_on_main(here)
        every = judged(here, tasks)
        found = [_named(here, tasks, one) for one in every if not _finished(one)]
        data = NextData(
            branch=here.branch,
            commit=here.main.commit,
            next=next((one for one in found if one.eligible), None),
            tasks=tuple(found) if explain else (),
            stopped=_stopped(here),
            open_runs=len(here.ledger.snapshot.runs) if here.ledger else 0,
            open_runs_limit=here.rules.loop.budgets.open_runs,
            problems=file_problems(tasks.backlog),
            past=here.past,
        )
    if json:
        show_json("next", data)
    else:
        show(_text(data, len(found), explain=explain))
    return Exit.OK


def _finished(found: Eligibility) -> bool:
    from lifeos.core.backlog.entry import Mark

    return found.task.mark in (Mark.DONE, Mark.CANCELLED) and not found.eligible


def _named(here: Here, tasks: Tasks, found: Eligibility) -> NextTask:
    task = tasks.named(found.task)
    run = run_of(here, task.id)
    return NextTask(
        id=task.id,
        title=task.title,
        line=task.line,
        priority=task.priority,
        eligible=found.eligible,
        reason=standing(here, found)[1] if run else found.reason,
        blocking=found.blocking,
    )


def _stopped(here: Here) -> bool:
    from lifeos.cli.switch import is_set, stop_files
    from lifeos.store.trees import lookup
    from lifeos.tick.reading import STOP

    on_main = lookup(here.repo.objects, here.main.tree, STOP) is not None
    recorded = here.ledger is not None and here.ledger.snapshot.stop
    if on_main or recorded or here.past:
        return on_main or recorded
    return any(is_set(path) for path in stop_files(here.repo))


def _text(data: NextData, waiting: int, *, explain: bool) -> str:
    lines = [f"as it was, with {data.branch} at {data.commit[:12]}:"] if data.past else []
    lines += [f"problem: {problem}" for problem in data.problems]
    if explain and data.tasks:
        rows = []
        for task in data.tasks:
            state = "next" if task is data.next else task.reason
            name = task.id or f"line {task.line}"
            rows.append((f"P{task.priority}", name, cell(task.title, 48), cell(state, 200)))
        lines.append(table(("", "TASK", "TITLE", "WHY"), rows))
    elif data.next is not None:
        task = data.next
        name = task.id or f"(no id yet, BACKLOG.md:{task.line})"
        lines.append(f"{name} {task.title}")
        lines.append(f"because: P{task.priority}, and nothing is in its way")
    if data.next is None:
        lines.append(_nothing(waiting, explain=explain))
    if data.stopped:
        lines.append("stopped: nothing begins until lifeos resume")
    elif data.next is not None and data.open_runs >= data.open_runs_limit:
        lines.append(f"it has to wait: {data.open_runs} runs are open, which is the limit")
    elif data.next is not None and not data.past:
        lines.append("next: lifeos tick")
    return "\n".join(lines)


def _nothing(waiting: int, *, explain: bool) -> str:
    if not waiting:
        return "no open task on main; add one: lifeos backlog add TITLE, then commit it"
    noun = "task" if waiting == 1 else "tasks"
    why = "" if explain else "; why: lifeos next --explain"
    return f"none of {waiting} open {noun} may be started now{why}"
