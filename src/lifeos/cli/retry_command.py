"""``lifeos retry``: let a task that ended be tried again, or a run that waits go on at once.

Who may: whoever can write the ledger, which on one person's machine is whoever works there, and
with a remote whoever may push to it. It needs no approver, because it opens no gate: the new run
meets the same rules, budgets and checkpoints as any other, and spends nothing that they do not
allow. Who asked for it is on the record.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from lifeos.cli.frame import Json, frame_of, show, show_json
from lifeos.cli.here import Here
from lifeos.cli.tasks import find_task
from lifeos.errors import Exit, UsageError
from lifeos.model import CloseOutcome, Frozen, Stage
from lifeos.tick.reading import main_at

if TYPE_CHECKING:
    from lifeos.core.backlog.entry import Task
    from lifeos.core.state import Run
    from lifeos.store.endings import Ended
    from lifeos.tick.context import Context


class Start(StrEnum):
    """The stages that a run may begin with, and what it takes from the last run."""

    DESIGN = "design"  # nothing
    PLAN = "plan"  # the design
    BUILD = "build"  # design and plan


_NEEDED = {
    Start.DESIGN: (),
    Start.PLAN: ("design.md",),
    Start.BUILD: ("design.md", "plan.md"),
}


class RetryData(Frozen):
    """``lifeos.retry/v1``. ``ended`` is the run that is tried again; ``record`` None: a dry run.

    ``outcome`` None: that run is open, was paused, and goes on.
    """

    task: str
    title: str
    ended: str
    outcome: CloseOutcome | None
    start: Stage
    record: str | None


def command(
    context: typer.Context,
    task: Annotated[str, typer.Argument(help="The task: id or title.", metavar="TASK")],
    start: Annotated[
        Start | None,
        typer.Option("--from", help="Begin here, with what the last run made before it."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")
    ] = False,
    json: Json = False,
) -> int:
    """Let the next tick open a new run for a task whose last run ended, or whose box is open again.

    A run that is paused (a provider refused, main itself failed) goes on at the next tick instead.
    Whoever can write the ledger may do this: the new run meets the same rules and checkpoints.
    """
    ctx = frame_of(context).context()
    with ctx.repo:
        here = Here(ctx.repo, ctx.ledger, ctx.rules, main_at(ctx.repo, ctx.main()))
        found = find_task(here, task)
        paused = _paused(ctx, found)
        if paused and start:
            raise UsageError(
                f"the run of {found.id} is open, and waits at {paused.stage}",
                f"lifeos retry {found.id} lets it go on; lifeos cancel {found.id} ends it",
            )
        data = (
            _woken(ctx, found, paused, dry_run=dry_run)
            if paused
            else _tried_again(ctx, found, start or Start.DESIGN, dry_run=dry_run)
        )
    if json:
        show_json("retry", data)
    else:
        show(_text(data))
    return Exit.OK


def _text(data: RetryData) -> str:
    will = "would" if data.record is None else "will"
    if data.outcome is None:
        return (
            f"{data.task} {will} go on at {data.start} with the next tick: {data.title}\n"
            f"(its run {data.ended} was paused)\nnext: lifeos tick"
        )
    return (
        f"{data.task} {will} be tried again from {data.start}: {data.title}\n"
        f"(its last run {data.ended} ended {data.outcome})\nnext: lifeos tick"
    )


def _paused(ctx: Context, task: Task) -> Run | None:
    """The task's open run, if it waits for a time or for main."""
    from lifeos.core.state import RunStatus

    run = next((run for run in ctx.ledger.snapshot.runs.values() if run.task == task.id), None)
    waits = run is not None and run.status is RunStatus.PAUSED
    return run if waits and run is not None and run.wake and not run.wake.stop else None


def _woken(ctx: Context, task: Task, run: Run, *, dry_run: bool) -> RetryData:
    """Let a paused run go on at once: what it waits for was mended."""
    from lifeos.core.records import Noted, Topic
    from lifeos.store.person import identity

    _, who = identity(ctx.repo)

    def record() -> str:
        at = max(int(ctx.world.clock()), ctx.ledger.snapshot.at)
        return ctx.ledger.append(Noted(at=at, topic=Topic.WOKEN, run=run.id, who=who))

    noted = None if dry_run else ctx.ledger.in_turn(record)
    ctx.ledger.save()
    return RetryData(
        task=task.id, title=task.title, ended=run.id, outcome=None, start=run.stage, record=noted
    )


def _tried_again(ctx: Context, task: Task, start: Start, *, dry_run: bool) -> RetryData:
    ended = _require_ended(ctx, task)
    _require_artifacts(ctx, task, ended, start)
    return RetryData(
        task=task.id,
        title=task.title,
        ended=ended.run,
        outcome=ended.outcome,
        start=Stage(start.value),
        record=None if dry_run else _record(ctx, task, start),
    )


def _require_ended(ctx: Context, task: Task) -> Ended:
    """How the task's last run ended. Raises ``UsageError`` where there is nothing to retry."""
    from lifeos.core.backlog.entry import Mark

    snapshot = ctx.ledger.snapshot
    run = next((run for run in snapshot.runs.values() if run.task == task.id), None)
    if run is not None:
        answer = f"answer {run.item}, or " if run.item else ""
        raise UsageError(f"{task.id} has an open run, {run.id}", f"{answer}lifeos cancel {task.id}")
    ended = ctx.ledger.ended(task.id) if task.id else None
    if ended is None:
        raise UsageError(f"{task.name} was never tried", "lifeos next --explain says why")
    if task.id in snapshot.retries:
        raise UsageError(f"{task.id} is to be tried again already", "lifeos tick")
    if ended.outcome is CloseOutcome.PASS and task.mark is Mark.DONE:
        raise UsageError(
            f"{task.id} is done: it landed as {ended.landed[:12]}",
            f"lifeos revert {task.id} takes it back; or open its box again and commit",
        )
    return ended


def _require_artifacts(ctx: Context, task: Task, ended: Ended, start: Start) -> None:
    from lifeos.tick.perform import former_artifacts

    kept = former_artifacts(ctx, task.id) if _NEEDED[start] else {}
    missing = [name for name in _NEEDED[start] if name not in kept]
    if missing:
        raise UsageError(
            f"{task.id} cannot begin at {start}: its last run {ended.run} left no"
            f" {' and no '.join(name.removesuffix('.md') for name in missing)}",
            f"lifeos retry {task.id}",
        )


def _record(ctx: Context, task: Task, start: Start) -> str:
    """Record the wish under lifeos's lock, looked at again there. The commit's id."""
    from lifeos.core.records import Noted, Topic
    from lifeos.store.person import identity

    _, who = identity(ctx.repo)

    def record() -> str:
        ended = _require_ended(ctx, task)
        return ctx.ledger.append(
            Noted(
                at=ctx.now(),
                topic=Topic.RETRY,
                task=task.id,
                stage=Stage(start.value),
                run=ended.run,
                who=who,
            )
        )

    commit = ctx.ledger.in_turn(record)
    ctx.ledger.save()
    return commit
