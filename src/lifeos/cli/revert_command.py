"""``lifeos revert``: take a landed run back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from lifeos.cli.frame import Json, frame_of, show, show_json
from lifeos.errors import Exit, Failed, UsageError
from lifeos.model import CloseOutcome, Frozen

if TYPE_CHECKING:
    from lifeos.cli.on_main import OnMain
    from lifeos.store.endings import Ended
    from lifeos.store.ledger import Ledger
    from lifeos.store.trees import Edit
    from lifeos.tick.context import Context
    from lifeos.tick.reading import Main
    from lifeos.tick.revert import Unmark

_BACKLOG = "BACKLOG.md"


class RevertData(Frozen):
    """``lifeos.revert/v1``. ``commit`` None: a dry run. ``diffstat`` is what the commit changes."""

    run: str
    task: str
    landed: str
    who: str
    branch: str
    diffstat: str
    commit: str | None = None
    not_pushed: str = ""


def command(
    context: typer.Context,
    what: Annotated[str, typer.Argument(help="The run, or its task.", metavar="RUN|TASK")],
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would change, and do nothing.")
    ] = False,
    json: Json = False,
) -> int:
    """Take the work of a landed run out of main again, as a commit in your name.

    Only an approver may (policies/approvals.yaml): it undoes what an approval let land. The task
    is open again, and waits for `lifeos retry`. What landed since stays; where it touched the
    same lines nothing is changed, and the paths are named.
    """
    from lifeos.store.lock import between_ticks

    ctx = frame_of(context).context()
    with ctx.repo:
        lock = between_ticks(ctx.repo.ensure_private())
        with lock:  # a tick in between would meet main half changed
            ctx.ledger.catch_up()
            data = _revert(ctx, what, dry_run=dry_run)
    if json:
        show_json("revert", data)
    else:
        show(_text(data))
    return Exit.OK


def _revert(ctx: Context, what: str, *, dry_run: bool) -> RevertData:
    from lifeos.cli.find import find_run
    from lifeos.cli.on_main import OnMain, not_pushed, require_approver
    from lifeos.store.diff import diffstat
    from lifeos.tick.reading import main_at
    from lifeos.tick.revert import Unmark, already

    _, who = require_approver(ctx.repo, ctx.rules.approvals)
    ended = _landed(ctx.ledger, find_run(ctx.ledger, what))
    at = ctx.now()  # a clock that may not record may not move main either
    main = main_at(ctx.repo, ctx.main())
    unmark = Unmark(ended.task, ctx.rules.config.id_prefix)
    done = already(ctx.repo, main.commit, ended.landed)
    edits = {} if done else _edits(ctx, ended, unmark, main)
    tree = _edited(ctx, main, edits)
    data = RevertData(
        run=ended.run,
        task=ended.task,
        landed=ended.landed,
        who=who,
        branch=ctx.rules.config.main,
        diffstat=diffstat(ctx.repo, main.tree, tree).rstrip(),
    )
    if dry_run:
        return data
    commit = done or _commit(ctx, OnMain.under(ctx.repo, ctx.rules), ended, unmark)
    _note(ctx, ended, commit, who, at)
    unpushed = not_pushed(ctx.repo, ctx.rules, commit)
    return data.model_copy(update={"commit": commit, "not_pushed": unpushed})


def _landed(ledger: Ledger, run: str) -> Ended:
    """How the run ended. Raises ``UsageError`` unless it landed and is not taken back."""
    from lifeos.cli.passage import passage_of
    from lifeos.core.records import Noted, Topic
    from lifeos.store.endings import Ended as EndedClass

    passage = passage_of(ledger, run)
    closed, opened = passage.closed, passage.opened
    if closed is None:
        raise UsageError(
            f"run {run} is open: nothing has landed", f"lifeos cancel {opened.task} ends it"
        )
    if closed.outcome is not CloseOutcome.PASS and closed.landed:
        raise UsageError(
            f"run {run} ended {closed.outcome}, and {closed.landed[:12]} is on main: whether to"
            " take it back was asked",
            f"answer that (lifeos queue); if it was left there: git revert {closed.landed[:12]}",
        )
    if closed.outcome is not CloseOutcome.PASS:
        raise UsageError(f"run {run} ended {closed.outcome}: nothing landed", f"lifeos show {run}")
    for entry in passage.entries:
        record = entry.record
        if isinstance(record, Noted) and record.topic is Topic.REVERTED:
            raise UsageError(
                f"run {run} was taken back already, by {record.commit[:12]}",
                f"lifeos retry {opened.task} lets it be tried again",
            )
    return EndedClass(
        task=opened.task,
        run=run,
        ordinal=opened.ordinal,
        outcome=closed.outcome,
        task_digest=opened.task_digest,
        landed=closed.landed,
        at=closed.at,
    )


def _edits(ctx: Context, ended: Ended, unmark: Unmark, main: Main) -> dict[str, Edit]:
    """What the revert changes on this main. Raises ``Failed`` for a conflict."""
    from lifeos.store.trees import lookup
    from lifeos.tick.reading import read_file
    from lifeos.tick.revert import edits_between, without_work

    merged = without_work(ctx.repo, main.commit, ended.landed, _onto(ctx.ledger, ended))
    if merged.tree is None:
        raise Failed(
            f"what landed since changes the same lines as {ended.run}:"
            f" {', '.join(merged.conflicts)}; nothing was changed",
            f"git revert -m 1 {ended.landed[:12]}, mend the conflicts, and commit",
        )
    edits = edits_between(ctx.repo, main.tree, merged.tree)
    if not edits:
        raise UsageError(
            f"main has nothing of the work of {ended.run} any more",
            f"open the box of {ended.task} in {_BACKLOG} if it is to be done again",
        )
    data = read_file(ctx.repo, merged.tree, _BACKLOG)
    leaf = lookup(ctx.repo.objects, merged.tree, _BACKLOG)
    if data is not None and leaf is not None:
        after = unmark.splice(data)
        if after != data:
            edits[_BACKLOG] = (leaf.mode, ctx.repo.objects.write_blob(after))
    return edits


def _onto(ledger: Ledger, ended: Ended) -> str:
    """What main was before the landing, as it was noted."""
    from lifeos.cli.passage import passage_of
    from lifeos.core.records import Noted, Topic

    for entry in passage_of(ledger, ended.run).entries:
        record = entry.record
        if not isinstance(record, Noted) or record.topic is not Topic.LANDING:
            continue
        if record.commit == ended.landed:
            return record.onto
    raise Failed(f"the landing of {ended.run} is not noted", f"git revert -m 1 {ended.landed[:12]}")


def _edited(ctx: Context, main: Main, edits: dict[str, Edit]) -> str:
    from lifeos.store.trees import edit

    return edit(ctx.repo.objects, main.tree, edits) if edits else main.tree


def _commit(ctx: Context, where: OnMain, ended: Ended, unmark: Unmark) -> str:
    def plan(main: Main) -> Sequence[dict[str, Edit]]:
        return [_edits(ctx, ended, unmark, main)]

    return where.commit(plan, _message(ctx, ended), splices={_BACKLOG: unmark.splice})


def _message(ctx: Context, ended: Ended) -> str:
    from lifeos.cli.passage import passage_of
    from lifeos.core.clean import one_line
    from lifeos.tick.revert import REVERTS

    title = passage_of(ctx.ledger, ended.run).opened.title
    return (
        f"{one_line(f'Revert {ended.task}: {title}', 100)}\n\n"
        f"This takes back what run {ended.run} landed.\n\n"
        f"Lifeos-Run: {ended.run}\n{REVERTS}{ended.landed}\n"
    )


def _note(ctx: Context, ended: Ended, commit: str, who: str, at: int) -> None:
    from lifeos.tick.revert import note_reverted

    def record() -> None:
        note_reverted(ctx.ledger, ended, commit, who, max(at, ctx.ledger.snapshot.at))

    ctx.ledger.in_turn(record)
    ctx.ledger.save()


def _text(data: RevertData) -> str:
    if data.commit is None:
        return (
            f"would take back {data.run} ({data.task}), landed as {data.landed[:12]}:\n"
            f"{data.diffstat}"
        )
    lines = [
        f"took back {data.run} ({data.task}), landed as {data.landed[:12]}",
        f"committed {data.commit[:12]} on {data.branch} as {data.who}",
        data.diffstat,
    ]
    if data.not_pushed:
        lines.append(data.not_pushed)
    lines.append(
        f"{data.task} is open again\nnext: lifeos retry {data.task} lets it be tried again"
    )
    return "\n".join(line for line in lines if line)
