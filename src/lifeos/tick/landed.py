"""Whether what a forge merged is the work of a run: told from the trees alone."""

from __future__ import annotations

from lifeos.core.state import Run
from lifeos.store.merge import merge
from lifeos.tick.context import Context
from lifeos.tick.reading import content_of
from lifeos.tick.work import work_commit


def landed_on(ctx: Context, run: Run, commit: str) -> str | None:
    """What main was before a forge merged the work of this run; None if that is not what it got.

    Told from the trees alone, so that anybody can do it again from a clone: main before it with
    the work is what main is after it, but for marks and the queue. By a rebase the work came as a
    commit of its own, and main before that is meant.
    """
    made = ctx.repo.objects.commit(commit)
    first = made.parents[0]
    onto = first if _brings(ctx, run, first, commit) else None
    if onto is not None and len(made.parents) == 1:
        parents = ctx.repo.objects.commit(first).parents
        if len(parents) == 1 and _brings(ctx, run, parents[0], first):
            return parents[0]
    return onto


def _brings(ctx: Context, run: Run, before: str, after: str) -> bool:
    merged = merge(ctx.repo, before, work_commit(ctx, run))
    if merged.tree is None:
        return False
    prefix = ctx.rules.config.id_prefix
    now = ctx.repo.objects.commit(after).tree
    return content_of(ctx.repo, merged.tree, prefix) == content_of(ctx.repo, now, prefix)
