"""The pure work of a run as a commit, and the reference by which people look at it."""

from __future__ import annotations

from lifeos.core.clean import for_commit, one_line
from lifeos.core.state import Run
from lifeos.store.entries import TITLE_LIMIT
from lifeos.tick.context import Context


def work_ref(run: str) -> str:
    """Where people find the work of a run. Not a branch: it must not start workflows."""
    return f"refs/lifeos/run/{run}"


def work_commit(ctx: Context, run: Run) -> str:
    """The work alone, on the commit that it was built on; nothing of lifeos's bookkeeping."""
    title = one_line(f"{run.title} ({run.task})", TITLE_LIMIT)
    message = f"{title}\n\n{for_commit(f'Built by run {run.id}.')}\n\nLifeos-Run: {run.id}\n"
    return ctx.repo.objects.write_commit(run.work, (run.base,), message, when=ctx.now())


def show_work(ctx: Context, run: Run) -> str:
    """Point the run's reference at its work, so that ``git diff`` and ``git show`` find it."""
    ref = work_ref(run.id)
    now = ctx.repo.refs.read(ref)
    same = now is not None and _same(ctx, now, run)
    commit = now if same and now is not None else work_commit(ctx, run)
    if not same:
        ctx.repo.refs.compare_and_swap(ref, commit, now, "lifeos")
    if ctx.remote is not None:
        ctx.remote.shown[ref] = commit  # it goes along with the record
    return commit


def _same(ctx: Context, commit: str, run: Run) -> bool:
    have = ctx.repo.objects.commit(commit)
    return have.tree == run.work and have.parents == (run.base,)


def forget_work(ctx: Context, run: str) -> None:
    """Remove the reference of a run that landed: main has its work now."""
    ref = work_ref(run)
    now = ctx.repo.refs.read(ref)
    if now is not None:
        ctx.repo.refs.compare_and_swap(ref, None, now, "lifeos")
    if ctx.remote is not None:
        ctx.remote.shown.pop(ref, None)
        ctx.landed.append(ref)
