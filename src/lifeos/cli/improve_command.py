"""``lifeos improve``: look back at what happened, and propose what would do better."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from lifeos.cli.frame import Json, frame_of, progress, show, show_json
from lifeos.errors import Exit, UsageError
from lifeos.model import Frozen

if TYPE_CHECKING:
    from lifeos.core.improve.proposal import Proposal
    from lifeos.tick.context import Context
    from lifeos.tick.improving import Found
    from lifeos.tick.wording import Wordsmith


class MetricData(Frozen):
    """The one metric: what is counted, its value now, what is projected, what is enough.

    ``window`` is how long it is measured, such as "20 runs" or "30 days".
    """

    name: str
    about: dict[str, str]
    current: float
    projected: float
    limit: float
    window: str


class WordedData(Frozen):
    """What an agent said of it, and which; ``drafted``: the change is a prompt that it wrote."""

    agent: str
    model: str
    title: str
    why: str
    drafted: bool


class ProposalData(Frozen):
    """One proposal. ``item`` is its question, "" where none was asked (a dry run).

    ``rests_on`` are commits of the ledger, ``diff`` is the change, ``weakens`` what is asked,
    checked or limited less after it, ``backtest`` the past under the changed rules. ``worded`` is
    an agent's words, null where none was asked or its answer did not fit.
    """

    id: str
    item: str
    category: str
    pattern: str
    title: str
    evidence: tuple[str, ...]
    cases: int
    runs: int
    rests_on: tuple[str, ...]
    paths: tuple[str, ...]
    diff: str
    weakens: tuple[str, ...]
    backtest: tuple[str, ...]
    metric: MetricData
    risk: str
    reverts: str
    worded: WordedData | None = None


class OpenData(Frozen):
    """A proposal that is asked, or was approved and is on trial, from before."""

    item: str
    pattern: str
    state: str


class ImproveData(Frozen):
    """``lifeos.improve/v1``. ``runs`` closed runs were looked at; ``since`` in seconds UTC."""

    dry_run: bool
    since: int
    runs: int
    proposals: tuple[ProposalData, ...] = ()
    open: tuple[OpenData, ...] = ()


def command(
    context: typer.Context,
    since: Annotated[
        str,
        typer.Option(help="Look only at runs closed since then: a date, or 30d, 12h, 2w."),
    ] = "",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would be proposed, and ask nothing.")
    ] = False,
    json: Json = False,
) -> int:
    """Look for patterns in the ledger, and put a proposal into the queue for each.

    Nothing changes before you approve one, whatever the autonomy. It lands with the next tick, its
    metric is measured over its window, and if that does not hold, its revert is proposed by itself.
    """
    from lifeos.core.when import when
    from lifeos.store.lock import between_ticks
    from lifeos.tick.context import World

    ctx = frame_of(context).context(World(progress=progress))
    with ctx.repo:
        begin = when(since, int(ctx.world.clock())) if since else 0
        if dry_run:
            data = _data(ctx, _found(ctx, begin, smith=None), begin, {}, dry_run=True)
        else:
            with between_ticks(ctx.repo.ensure_private()):  # a tick in between would ask the same
                data = _ask(ctx, begin)
    if json:
        show_json("improve", data)
    else:
        show(_text(data))
    return Exit.OK


def _smith(ctx: Context) -> Wordsmith | None:
    """Who has the proposals worded, where the policy wants that."""
    if not ctx.rules.loop.improve.worded:
        return None
    from lifeos.tick.wording import Wordsmith, site_of

    return Wordsmith(ctx, lambda: site_of(ctx))


def _found(ctx: Context, since: int, smith: Wordsmith | None) -> Found:
    """What the past calls for. Raises ``UsageError`` where main's rules are not adopted."""
    from lifeos.governance import governance_digest
    from lifeos.tick.improving import find
    from lifeos.tick.reading import governance_files, main_at

    main = main_at(ctx.repo, ctx.main())
    if governance_digest(governance_files(ctx.repo, main.tree)) != ctx.ledger.snapshot.governance:
        raise UsageError(
            "the rules on main are not the adopted ones: there is nothing to propose changes of",
            "lifeos tick takes them in, or asks about them; lifeos queue",
        )
    return find(ctx, main, search=True, since=since, smith=smith)


def _ask(ctx: Context, since: int) -> ImproveData:
    """Record a question for each, and show them on main."""
    from lifeos.store.checkout import InTheWay
    from lifeos.tick.asking import ask_proposals
    from lifeos.tick.publish import publish

    if ctx.ledger.snapshot.stop:
        raise UsageError("the kill switch is set: nothing is asked", "lifeos resume")
    ctx.ledger.catch_up()
    found = _found(ctx, since, _smith(ctx))
    asked = ctx.ledger.in_turn(lambda: ask_proposals(ctx, found.drafts))
    try:
        publish(ctx)
    except InTheWay as error:
        progress(f"{error.message}: the questions come to main with the next tick")
    ctx.ledger.save()
    return _data(ctx, found, since, asked, dry_run=False)


def _data(
    ctx: Context, found: Found, since: int, asked: dict[str, str], *, dry_run: bool
) -> ImproveData:
    from lifeos.tick.improving import look_back

    snapshot = ctx.ledger.snapshot
    new = set(asked.values())
    waiting = [
        OpenData(item=item.id, pattern=item.proposed.pattern, state="asked")
        for item in snapshot.items.values()
        if item.proposed and item.id not in new
    ]
    on_trial = [
        OpenData(
            item=trial.item,
            pattern=trial.proposed.pattern,
            state="being measured" if trial.landed else "approved, about to land",
        )
        for trial in snapshot.trials.values()
    ]
    return ImproveData(
        dry_run=dry_run,
        since=since,
        runs=len(look_back(ctx, since).closed),
        proposals=tuple(
            _row(drafted.proposal, asked.get(drafted.proposal.key, ""))
            for drafted in found.drafts
            if dry_run or drafted.proposal.key in asked
        ),
        open=(*waiting, *on_trial),
    )


def _row(proposal: Proposal, item: str) -> ProposalData:
    metric = proposal.metric
    return ProposalData(
        id=proposal.id,
        item=item,
        category=proposal.category.value,
        pattern=proposal.key,
        title=proposal.title,
        evidence=proposal.evidence,
        cases=proposal.cases,
        runs=proposal.runs,
        rests_on=proposal.rests_on,
        paths=proposal.paths,
        diff=proposal.diff,
        weakens=proposal.weakens,
        backtest=proposal.backtest,
        metric=MetricData(
            name=metric.measure.value,
            about=dict(metric.about),
            current=metric.current,
            projected=metric.projected,
            limit=metric.limit,
            window=str(metric.window),
        ),
        risk=proposal.risk,
        reverts=proposal.reverts,
        worded=_worded(proposal),
    )


def _worded(proposal: Proposal) -> WordedData | None:
    said = proposal.worded
    if said is None:
        return None
    return WordedData(
        agent=said.agent, model=said.model, title=said.title, why=said.why, drafted=said.drafted
    )


def _text(data: ImproveData) -> str:
    from lifeos.core.clean import one_line

    runs = f"{data.runs} closed run{'' if data.runs == 1 else 's'} looked at"
    lines = []
    for row in data.proposals:
        lines += [f"{row.item or row.id}: {row.title}"]
        lines += [f"  {line}" for line in row.evidence]
        if row.worded is not None:
            drafted = ", and drafted the change" if row.worded.drafted else ""
            said = one_line(f"{row.worded.title}: {row.worded.why}", 500)
            lines.append(f"  {row.worded.agent} on {row.worded.model} says{drafted}: {said}")
        metric = row.metric
        lines.append(
            f"  {metric.name}: {metric.current:.3g} now, {metric.projected:.3g} projected, "
            f"measured over {metric.window}"
        )
        lines += [f"  {line}" for line in row.backtest]
        if data.dry_run:
            lines += ["", row.diff.rstrip("\n"), ""]
    lines += [f"{one.item}: {one.state} ({one.pattern})" for one in data.open]
    if not data.proposals:
        return "\n".join([*lines, f"nothing new to propose; {runs}"])
    if data.dry_run:
        return "\n".join([*lines, f"{runs}; nothing was asked", "next: lifeos improve asks these"])
    first = data.proposals[0].item
    return "\n".join(
        [*lines, runs, f"next: lifeos queue show {first}, then lifeos approve {first}"]
    )
