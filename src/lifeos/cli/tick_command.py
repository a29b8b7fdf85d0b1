"""``lifeos tick``: carry the backlog on until a person is needed."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from lifeos.cli.frame import Json, frame_of, progress, show, show_json
from lifeos.errors import Exit
from lifeos.model import CloseOutcome, Frozen

if TYPE_CHECKING:
    from lifeos.tick.context import Context
    from lifeos.tick.report import Report
    from lifeos.tick.telling import Outcome


class Ended(Frozen):
    """A run that ended in this tick."""

    task: str
    run: str
    outcome: CloseOutcome


class TickData(Frozen):
    """``lifeos.tick/v1``. ``untold``: why people could not be told; no reason to fail."""

    opened: tuple[str, ...] = ()
    ended: tuple[Ended, ...] = ()
    waiting: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()
    in_the_way: tuple[str, ...] = ()
    rules_broken: bool = False
    problems: tuple[str, ...] = ()
    ledger: str = ""
    main: str = ""
    published: str | None = None
    wake: int | None = None
    untold: tuple[str, ...] = ()
    plan: tuple[str, ...] = ()


def command(
    context: typer.Context,
    task: Annotated[str, typer.Option(help="Only this task (id or title).", metavar="ID")] = "",
    jobs: Annotated[int, typer.Option(min=1, max=64, help="Attempts side by side.")] = 1,
    max_tasks: Annotated[
        int | None, typer.Option(min=0, help="Open at most so many tasks in this tick.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show the first steps, and write nothing.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")] = False,
    json: Json = False,
) -> int:
    """Carry the backlog on until a person is needed, then exit 0."""
    from lifeos.tick.begin import attached, opened
    from lifeos.tick.context import Limits, World
    from lifeos.tick.context import quiet as no_progress
    from lifeos.tick.dry import plan
    from lifeos.tick.loop import Tick
    from lifeos.tick.telling import begin, tell
    from lifeos.tick.where import not_here

    world = World(progress=no_progress if quiet else progress)
    repo = frame_of(context).repo(world.trace)
    with repo:
        limits = Limits(jobs=jobs, tasks=max_tasks)
        ctx = attached(repo, world, limits)
        if ctx is None and dry_run:
            show("there is no ledger yet: the first tick would begin it")
            return Exit.OK
        ctx = ctx or opened(repo, world, limits)
        elsewhere = not_here(ctx)
        if elsewhere and not dry_run:
            data = TickData(ledger=ctx.ledger.tip, main=ctx.main())
            return _shown(data, elsewhere, json=json)
        if task:
            ctx = replace(ctx, limits=replace(ctx.limits, task=_id_of(ctx, task)))
        if dry_run:
            return _shown(TickData(plan=plan(ctx)), "", json=json)
        begun = begin(ctx)
        report = Tick(ctx).run()
        told = tell(ctx, begun)
        data = _data(ctx, report, told)
        for problem in told.problems:
            progress(problem)
        standing = report.standing(data.waiting)
    code = _shown(data, standing, json=json)
    if report.unfinished is not None:
        raise report.unfinished  # after what was recorded all the same
    return code


def _data(ctx: Context, report: Report, told: Outcome) -> TickData:
    return TickData(
        opened=tuple(report.opened),
        ended=tuple(Ended(task=t, run=r, outcome=o) for t, r, o in report.ended),
        waiting=tuple(ctx.ledger.snapshot.items),
        refused=tuple(report.refusals),
        in_the_way=tuple(report.in_the_way),
        rules_broken=report.broken,
        problems=tuple(str(problem) for problem in report.problems),
        ledger=ctx.ledger.tip,
        main=report.main,
        published=report.published,
        wake=min((at for at in (report.wake, told.wake) if at is not None), default=None),
        untold=told.problems,
    )


def _id_of(ctx: Context, name: str) -> str:
    """The id, written or still to be written, of the task that is meant.

    Raises ``UsageError`` when no task on main is called so, or several are.
    """
    from lifeos.cli.here import Here
    from lifeos.cli.tasks import find_task, tasks_on_main
    from lifeos.tick.reading import main_at
    from lifeos.tick.tasks import derived_id

    here = Here(ctx.repo, ctx.ledger, ctx.rules, main_at(ctx.repo, ctx.main()))
    task = find_task(here, name)
    return task.id or derived_id(ctx, tasks_on_main(here), task)


def _shown(data: TickData, standing: str, *, json: bool) -> int:
    if json:
        show_json("tick", data)
    else:
        show(_text(data, standing))
    if data.rules_broken:
        return Exit.USAGE  # what was adopted goes on; nothing new begins
    if data.in_the_way:
        return Exit.BUSY
    blocked = any(end.outcome is CloseOutcome.BLOCKED for end in data.ended)
    return Exit.FAILED if blocked else Exit.OK


def _text(data: TickData, standing: str) -> str:
    lines = [*data.plan]
    lines += [f"in the way: {reason}" for reason in data.in_the_way]
    lines += [f"{end.task}: {end.outcome} ({end.run})" for end in data.ended]
    return "\n".join([*lines, standing] if standing else lines)
