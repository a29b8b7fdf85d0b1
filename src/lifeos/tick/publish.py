"""Making main show what the ledger says: at most one commit, and only when something differs."""

from __future__ import annotations

from lifeos.core.clean import one_line
from lifeos.errors import Busy
from lifeos.store.entries import TITLE_LIMIT
from lifeos.tick.bookkeeping import bookkeeping, with_bookkeeping
from lifeos.tick.context import Context
from lifeos.tick.reading import main_at
from lifeos.tick.tasks import read_tasks

TRIES = 20


def trailers(ctx: Context, run: str = "") -> str:
    """The trailers of a commit on main: the tip of the ledger that it follows from."""
    lines = [f"Lifeos-Ledger: {ctx.ledger.tip}"]
    if run:
        lines.append(f"Lifeos-Run: {run}")
    return "\n".join(lines) + "\n"


def publish(ctx: Context) -> str | None:
    """Write pending files, marks and ids to main. The new commit, or None when nothing differed.

    Raises ``InTheWay`` when the person's uncommitted files are where something must go, and
    ``Busy`` when main keeps moving; the ledger is complete in both cases, and the next tick
    tries again. Where main only takes pull requests, all of it comes with those.
    """
    if ctx.writes_by_pull_request:
        return None
    for number in range(TRIES):
        ctx.ledger.flush()  # a commit on main names the ledger's tip: nobody may look in vain
        main = main_at(ctx.repo, ctx.main())
        wanted = bookkeeping(ctx, read_tasks(ctx, main), main)
        if wanted is None:
            return None
        message = f"{one_line(wanted.title(), TITLE_LIMIT)}\n\n{trailers(ctx)}"
        tree = with_bookkeeping(ctx, main.tree, wanted.edits)
        commit = ctx.repo.objects.write_commit(tree, (main.commit,), message, when=ctx.now())
        if ctx.move_main(commit, main.commit, wanted.splices):
            return commit
        ctx.world.pause(number)
    raise Busy("main keeps moving: the queue could not be written", "run lifeos tick again")
