"""Landing: what lands is verified on the tree that lands, and recorded before main moves.

The landing commit has two parents: main, and the pure work. Its tree is their merge with the
bookkeeping in it. If the merge's content is not what was checked, the checks run again on it.
Then, in this order: the ledger notes the exact commit; main moves by compare-and-swap, with the
person's checkout; and the next look at main finds the noted commit there and closes the run. A
process that dies in between leaves nothing to guess: either main has the commit, or not.
"""

from __future__ import annotations

from dataclasses import dataclass

from lifeos.core.backlog.entry import Mark
from lifeos.core.canonical import sha256
from lifeos.core.clean import one_line
from lifeos.core.policy import Overlap
from lifeos.core.records import Noted, Topic
from lifeos.core.state import Run
from lifeos.model import FailureClass
from lifeos.store.checkout import InTheWay, move_branch
from lifeos.store.history import changed_paths
from lifeos.store.ledger import TITLE_LIMIT
from lifeos.store.merge import merge
from lifeos.store.trees import Edit, lookup
from lifeos.tick.attempt import Job, Result, Site, failed
from lifeos.tick.bookkeeping import Marks, queue_edits, with_bookkeeping
from lifeos.tick.build import feedback_text, gather_evidence, verdict_of
from lifeos.tick.contents import contents_of
from lifeos.tick.context import Context
from lifeos.tick.evidence import BaseEvidence
from lifeos.tick.publish import trailers
from lifeos.tick.reading import (
    BACKLOG,
    Main,
    changed_by_people,
    content_of,
    main_at,
    read_file,
)
from lifeos.tick.work import work_commit

TRIES = 3


@dataclass(frozen=True)
class Merged:
    """Main and the work as one tree, bookkeeping included; None with the conflicts in words."""

    main: Main
    work: str
    tree: str | None
    marks: Marks
    conflicts: str = ""


def land(ctx: Context, site: Site, job: Job) -> Result | None:
    """Land the work of a claimed run. None: main has it. Else: why the attempt failed."""
    for _ in range(TRIES):
        merged = merge_with_main(ctx, job.run)
        if merged.tree is None:
            return failed(FailureClass.CONFLICT, f"conflict with main: {merged.conflicts}")
        if _to_be_asked_again(ctx, job, merged.main):
            return failed(FailureClass.TOOL_ERROR, "main changed what was approved to land")
        failure = recheck(ctx, site, job, merged)
        if failure is not None:
            return failure
        if _move(ctx, job.run, merged):
            return None
    return failed(
        FailureClass.TOOL_ERROR, f"main moved {TRIES} times while this landing was being checked"
    )


def merge_with_main(ctx: Context, run: Run) -> Merged:
    """The merge of main as it is now with the run's work, with the task marked done."""
    main = main_at(ctx.repo, ctx.main())
    work = work_commit(ctx, run)
    marks = Marks(prefix=ctx.rules.config.id_prefix, marks={run.task: Mark.DONE})
    result = merge(ctx.repo, main.commit, work)
    if result.tree is None:
        return Merged(main, work, None, marks, ", ".join(result.conflicts) or result.messages)
    edits = _landing_edits(ctx, main, result.tree, marks)
    return Merged(main, work, with_bookkeeping(ctx, result.tree, edits), marks)


def _landing_edits(ctx: Context, main: Main, tree: str, marks: Marks) -> dict[str, Edit]:
    """The mark, and the queue as it is now: the landing needs no second commit to follow it."""
    edits, _, _ = queue_edits(ctx, main)
    leaf = lookup(ctx.repo.objects, tree, BACKLOG)
    data = read_file(ctx.repo, tree, BACKLOG)
    if leaf is not None and data is not None:
        edits[BACKLOG] = (leaf.mode, ctx.repo.objects.write_blob(marks.splice(data)))
    return edits


def _to_be_asked_again(ctx: Context, job: Job, main: Main) -> bool:
    """Whether main has moved under an approval, since it was decided that this run may land."""
    if not job.run.approved_on:
        return False
    changed = changed_by_people(ctx.repo, job.run.approved_on, main.commit)
    if job.governance.loop.reapprove is Overlap.ALWAYS:
        return bool(changed)
    return not changed.isdisjoint(job.run.paths)


def require_clear(ctx: Context, merged: Merged) -> None:
    """Raise ``InTheWay`` if the person's uncommitted files stand where the landing must go."""
    if merged.tree is not None:
        commit = _commit(ctx, "", merged, "a landing that is only looked at")
        move_branch(
            ctx.repo,
            ctx.main_ref,
            commit,
            merged.main.commit,
            "lifeos",
            splices={BACKLOG: merged.marks.splice},
            look_only=True,
        )


def recheck(ctx: Context, site: Site, job: Job, merged: Merged) -> Result | None:
    """Run the checks on the tree that lands, unless its content is what was checked already."""
    tree = merged.tree or ""
    run = job.run
    prefix = job.governance.config.id_prefix
    if content_of(ctx.repo, tree, prefix) == contents_of(ctx, (run,))[run.id]:
        return None
    moved = set(changed_paths(ctx.repo, run.base, merged.main.commit))
    if job.governance.loop.recheck is Overlap.OVERLAP and not moved & set(run.paths):
        return None
    if not job.governance.config.checks and not any(i.command for i in job.task.acceptance):
        return None
    site.progress("  main has moved: the checks again, on the tree that lands")
    evidence = gather_evidence(site, job, BaseEvidence(), tree, (), against=merged.main.tree)
    failure, message = verdict_of(evidence)
    if failure is None:
        return None
    result = failed(
        failure,
        f"on the tree that lands: {message}",
        error=evidence.report.error_digest or sha256(message),
        causes=evidence.report.failure_classes,
    )
    artifacts = {
        "feedback.md": feedback_text(evidence, message).encode(),
        "checks.json": evidence.model_dump_json(indent=1).encode(),
    }
    return Result(result.facts, {**result.artifacts, **artifacts})


def _commit(ctx: Context, run_id: str, merged: Merged, title: str) -> str:
    message = f"{one_line(title, TITLE_LIMIT)}\n\n{trailers(ctx, run_id)}"
    parents = (merged.main.commit, merged.work)
    return ctx.repo.objects.write_commit(merged.tree or "", parents, message, when=ctx.now())


def _move(ctx: Context, run: Run, merged: Merged) -> bool:
    """Note the landing, then move main. False: main moved meanwhile, and nothing landed."""
    commit = _commit(ctx, run.id, merged, f"Land {run.task}: {run.title}")
    ctx.ledger.append(
        Noted(
            at=ctx.now(),
            topic=Topic.LANDING,
            run=run.id,
            commit=commit,
            onto=merged.main.commit,
            tree=merged.tree or "",
        )
    )
    moved = move_branch(
        ctx.repo,
        ctx.main_ref,
        commit,
        merged.main.commit,
        "lifeos",
        splices={BACKLOG: merged.marks.splice},
    )
    return moved.moved


__all__ = ["InTheWay", "land", "merge_with_main", "recheck", "require_clear"]
