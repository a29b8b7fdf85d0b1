"""``lifeos ci``: the parts of a tick, each with a trust of its own, for CI machines."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lifeos.cli.ci_telling import tell_more, telling
from lifeos.cli.frame import Json, frame_of, progress, show, show_json
from lifeos.core.ciformat import MAX_CLAIM, MOST_JOBS, line_of, read_claim
from lifeos.errors import Exit, UsageError
from lifeos.model import CloseOutcome, Frozen, Stage

if TYPE_CHECKING:
    from lifeos.tick.context import World
    from lifeos.tick.report import Report

app = typer.Typer(no_args_is_help=True)


class CiRefused(Frozen):
    """A folder that did not count, and why."""

    folder: str
    why: str


class CiCollectData(Frozen):
    """``lifeos.ci-collect/v1``. ``ready`` counts the runs that a next claim can go on with."""

    recorded: int = 0
    refused: tuple[CiRefused, ...] = ()
    ended: tuple[str, ...] = ()
    waiting: tuple[str, ...] = ()
    in_the_way: tuple[str, ...] = ()
    ready: int = 0
    ledger: str = ""
    main: str = ""


class CiAttemptData(Frozen):
    """``lifeos.ci-attempt/v1``: what the attempt says of itself; nobody has judged it yet."""

    run: str
    stage: Stage
    n: int
    outcome: str
    message: str = ""
    bundle: str = ""


class CiCheckData(Frozen):
    """``lifeos.ci-check/v1``. ``checked``: whether there was anything to check."""

    run: str
    stage: Stage
    n: int
    checked: bool
    red: tuple[str, ...] = ()
    report: str = ""


@app.command()
def claim(
    context: typer.Context,
    out: Annotated[Path, typer.Option(help="Folder for the claim files.", metavar="FOLDER")],
    most: Annotated[
        int, typer.Option("--max", min=1, max=MOST_JOBS, help="Claim at most so many attempts.")
    ] = 16,
) -> int:
    """Reconcile like a tick, claim what may run side by side, print it as a matrix."""
    from lifeos.cli.work_screen import plural
    from lifeos.tick.begin import opened
    from lifeos.tick.ci_claim import Claiming, tell_workflow, write_claims
    from lifeos.tick.telling import begin, tell

    world = _world()
    with telling(os.environ) as page, frame_of(context).repo(world.trace) as repo:
        ctx = opened(repo, world)
        begun = begin(ctx)
        batch = Claiming(ctx, most).batch()
        write_claims(out, batch.claims)  # first: they have to be carried out whatever else happens
        if target := os.environ.get("GITHUB_OUTPUT", ""):
            tell_workflow(target, batch.claims)
        untold = tell(ctx, begun).problems
        page.show(repo, "claim", batch.report, f"claimed {plural(len(batch.claims), 'attempt')}")
    typer.echo(line_of(batch.matrix))
    _tell(batch.report, untold)
    if batch.claims:  # they are to be carried out, whatever else there is to say
        if batch.report.unfinished is not None:
            progress(str(batch.report.unfinished))
        return Exit.OK
    return _code(batch.report)


@app.command()
def attempt(
    context: typer.Context,
    claim: Annotated[Path, typer.Argument(help="A claim file.", metavar="CLAIM")],
    out: Annotated[Path, typer.Option(help="Folder to make for the result.", metavar="BUNDLE")],
    json: Json = False,
) -> int:
    """Carry out one claimed attempt, and leave a bundle."""
    from lifeos.tick.bundle import read_plain
    from lifeos.tick.ci_attempt import attempt as carry

    try:
        data = read_plain(claim, MAX_CLAIM)
    except (OSError, ValueError) as error:
        raise UsageError(
            f"{claim} cannot be read: {error}", "give a file that lifeos ci claim wrote"
        ) from None
    claimed = read_claim(data)
    world = _world()
    with telling(os.environ), frame_of(context).repo(world.trace) as repo:
        facts = carry(repo, world, claimed, out)
    told = CiAttemptData(
        run=claimed.run,
        stage=claimed.stage,
        n=claimed.n,
        outcome=str(facts.outcome),
        message=facts.message,
        bundle=str(out),
    )
    if json:
        show_json("ci-attempt", told)
    else:
        said = f": {told.message}" if told.message else ""
        show(f"{told.stage} {told.n} of {told.run}: {told.outcome}{said}; next: lifeos ci check")
    return Exit.OK


@app.command()
def check(
    context: typer.Context,
    bundle: Annotated[Path, typer.Argument(help="A bundle.", metavar="BUNDLE")],
    out: Annotated[Path, typer.Option(help="Folder to make for the report.", metavar="CHECKED")],
    json: Json = False,
) -> int:
    """Run the checks on a bundle's tree, and leave the report whose result counts."""
    from lifeos.tick.ci_check import check as run_check

    world = _world()
    with telling(os.environ), frame_of(context).repo(world.trace) as repo:
        report = run_check(repo, world, bundle, out)
    found = report.evidence
    red = [each.name for each in found.report.results if not each.passed]
    red += [each.text for each in found.acceptance if not each.passed]
    red += [report.message] if report.failure else []
    told = CiCheckData(
        run=report.run,
        stage=report.stage,
        n=report.n,
        checked=bool(report.tree),
        red=tuple(red),
        report=str(out),
    )
    if json:
        show_json("ci-check", told)
    else:
        what = "red: " + ", ".join(red) if red else "green" if told.checked else "nothing to check"
        show(f"{told.stage} {told.n} of {told.run}: {what}; next: lifeos ci collect")
    return Exit.OK


@app.command()
def collect(
    context: typer.Context,
    folders: Annotated[
        list[Path],
        typer.Argument(help="Bundles and check reports, or folders of them.", metavar="FOLDER..."),
    ],
    json: Json = False,
) -> int:
    """Validate bundles as hostile input, judge, record and land.

    Runs nothing but git, and what the adopted `notify:` names.
    """
    from lifeos.cli.work_screen import plural
    from lifeos.core.state import RunStatus
    from lifeos.tick.begin import attached
    from lifeos.tick.ci_collect import Collecting, read_given
    from lifeos.tick.telling import begin, tell

    world = _world()
    with telling(os.environ) as page, frame_of(context).repo(world.trace) as repo:
        ctx = attached(repo, world)
        if ctx is None:
            raise UsageError("there is no ledger here yet", "lifeos ci claim begins it")
        begun = begin(ctx)
        collecting = Collecting(ctx, read_given(folders))
        report, refused = collecting.collected()
        untold = tell(ctx, begun).problems
        snapshot = ctx.ledger.snapshot
        told = CiCollectData(
            recorded=collecting.recorded,
            refused=tuple(CiRefused(folder=each.folder, why=each.why) for each in refused),
            ended=tuple(f"{task}: {outcome}" for task, _, outcome in report.ended),
            waiting=tuple(snapshot.items),
            in_the_way=tuple(report.in_the_way),
            ready=sum(run.status is RunStatus.READY for run in snapshot.runs.values()),
            ledger=ctx.ledger.tip,
            main=report.main,
        )
        did = f"recorded {plural(told.recorded, 'result')}"
        page.show(repo, "collect", report, did, [f"{r.folder}: {r.why}" for r in refused])
        tell_more(os.environ.get("GITHUB_OUTPUT", ""), more=told.recorded > 0)
    if json:
        show_json("ci-collect", told)
    else:
        show(_lines(told))
    _tell(report, untold)
    code = _code(report)
    return Exit.FAILED if refused and code == Exit.OK else code


def _lines(told: CiCollectData) -> str:
    from lifeos.cli.work_screen import plural

    lines = [f"refused {each.folder}: {each.why}" for each in told.refused]
    lines += told.ended
    lines.append(f"recorded {told.recorded}, refused {len(told.refused)}")
    if told.waiting:
        lines.append(f"waiting for the CEO: {', '.join(told.waiting)}; see: lifeos queue")
    if told.ready:
        lines.append(f"{plural(told.ready, 'run')} can go on; next: lifeos ci claim")
    return "\n".join(lines)


def _world() -> World:
    from lifeos.tick.context import World as WorldClass

    return WorldClass(progress=progress)


def _tell(report: Report, untold: tuple[str, ...]) -> None:
    """What stands in the way, on standard error: standard output is data."""
    problems = map(str, report.problems)
    for line in (*report.in_the_way, *report.refusals, *problems, *report.resting, *untold):
        progress(line)


def _code(report: Report) -> int:
    if report.unfinished is not None:
        raise report.unfinished
    if report.broken:
        return Exit.USAGE
    if report.in_the_way:
        return Exit.BUSY
    blocked = any(outcome is CloseOutcome.BLOCKED for _, _, outcome in report.ended)
    return Exit.FAILED if blocked else Exit.OK
