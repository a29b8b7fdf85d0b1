"""Landing: what lands is verified on the tree that lands, and recorded before main moves.

The landing commit has two parents: main, and the pure work. Its tree is their merge with the
bookkeeping in it. If the merge's content is not what was checked, the checks run again on it.
Then, in this order: the ledger notes the exact commit; main moves by compare-and-swap, with the
person's checkout; and the next look at main finds the noted commit there and closes the run. A
process that dies in between leaves nothing to guess: either main has the commit, or not.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from lifeos.core.backlog.entry import Mark
from lifeos.core.canonical import sha256
from lifeos.core.clean import one_line
from lifeos.core.policy import Overlap
from lifeos.core.records import Noted, Topic
from lifeos.core.state import Run
from lifeos.model import FailureClass
from lifeos.store.checkout import InTheWay
from lifeos.store.entries import TITLE_LIMIT
from lifeos.store.history import changed_paths
from lifeos.store.ledger import LedgerMoved
from lifeos.store.merge import merge
from lifeos.store.trees import Edit, lookup
from lifeos.tick.attempt import Job, Result, Site, failed
from lifeos.tick.bookkeeping import Marks, queue_edits, with_bookkeeping
from lifeos.tick.build import Evidence, feedback_text, gather_evidence, verdict_of
from lifeos.tick.contents import contents_of
from lifeos.tick.context import Context
from lifeos.tick.evidence import BaseEvidence, base_evidence, check_facts
from lifeos.tick.landed import landed_on
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

TRIES = 10
NOTE_TRIES = 50


@dataclass(frozen=True)
class Merged:
    """Main and the work as one tree, bookkeeping included; None with the conflicts in words."""

    main: Main
    work: str
    tree: str | None
    marks: Marks
    conflicts: str = ""


Recheck = Callable[[Context, Site, Job, Merged], Result | None]
"""What a tree that is about to land is checked by: None where nothing is wrong with it."""


def land(ctx: Context, site: Site, job: Job, check: Recheck | None = None) -> Result | None:
    """Land the work of a claimed run. None: main has it. Else: why the attempt failed.

    ``check`` takes the place of ``recheck``, where checks are run by somebody else.
    """
    if job.run.merged:
        return _note_merged(ctx, site, job, check or recheck)
    for number in range(TRIES):
        merged = merge_with_main(ctx, job.run)
        if merged.tree is None:
            return failed(FailureClass.CONFLICT, f"conflict with main: {merged.conflicts}")
        if ctx.writes_by_pull_request:
            message = "main only takes pull requests: this is asked by one"
            return failed(FailureClass.TOOL_ERROR, message)
        if _to_be_asked_again(ctx, job, merged.main):
            return failed(FailureClass.TOOL_ERROR, "main changed what was approved to land")
        failure = (check or recheck)(ctx, site, job, merged)
        if failure is not None:
            return failure
        if _move(ctx, job, merged):
            return None
        ctx.world.pause(number)
    return failed(
        FailureClass.TOOL_ERROR, f"main moved {TRIES} times while this landing was being checked"
    )


def _note_merged(ctx: Context, site: Site, job: Job, check: Recheck) -> Result | None:
    """Note what a forge merged as the landing. Who merged it was judged with the answer.

    Main has the work already, so nothing moves; but what main became by it may be what nobody has
    checked: others may have been merged since the work was built.
    """
    commit = job.run.merged
    merged = merged_by_forge(ctx, job.run)
    if merged is None:
        message = f"{commit[:12]} on main is not main before it with the work that was approved"
        return failed(FailureClass.CONFLICT, message)
    failure = check(ctx, site, job, merged)
    if failure is not None:
        return failure
    note = Noted(
        at=ctx.now(),
        topic=Topic.LANDING,
        run=job.run.id,
        commit=commit,
        onto=merged.main.commit,
        tree=merged.tree or "",
    )
    ctx.ledger.append(note)
    ctx.ledger.flush()
    return None


def merged_by_forge(ctx: Context, run: Run) -> Merged | None:
    """Main before a forge merged this run's work, and the tree that it gave; None: not that."""
    onto = landed_on(ctx, run, run.merged)
    if onto is None:
        return None
    tree = ctx.repo.objects.commit(run.merged).tree
    return Merged(main_at(ctx.repo, onto), work_commit(ctx, run), tree, Marks(""))


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
        ctx.look_clear(commit, merged.main.commit, {BACKLOG: merged.marks.splice})


def must_recheck(ctx: Context, job: Job, merged: Merged) -> bool:
    """Whether the tree that lands has to be checked: its content was not, as the rules see it."""
    run = job.run
    prefix = job.governance.config.id_prefix
    if content_of(ctx.repo, merged.tree or "", prefix) == contents_of(ctx, (run,))[run.id]:
        return False
    moved = set(changed_paths(ctx.repo, run.base, merged.main.commit))
    if job.governance.loop.recheck is Overlap.OVERLAP and not moved & set(run.paths):
        return False
    return bool(job.governance.config.checks) or any(i.command for i in job.task.acceptance)


def recheck(ctx: Context, site: Site, job: Job, merged: Merged) -> Result | None:
    """Run the checks on the tree that lands, unless its content is what was checked already."""
    if not must_recheck(ctx, job, merged):
        return None
    ctx.ledger.flush()  # nobody else may begin to land it while the checks run
    site.progress("  main has moved: the checks again, on the tree that lands")
    tree, main = merged.tree or "", merged.main.tree
    evidence = gather_evidence(site, job, BaseEvidence(), tree, (), against=main)
    before = before_it(site, job, merged.main.commit, evidence)
    return rechecked(job, evidence, before)


def before_it(site: Site, job: Job, onto: str, evidence: Evidence) -> BaseEvidence:
    """The checks on main before a landing that a forge made, where those after it do not pass.

    Whoever is asked what to do with it should know whether it is this that broke main.
    """
    if not job.run.merged or evidence.report.passed:
        return BaseEvidence()
    claim = job.claim.model_copy(update={"base": onto})
    return base_evidence(site, replace(job, claim=claim))


def rechecked(job: Job, evidence: Evidence, before: BaseEvidence) -> Result | None:
    """Why a tree with this evidence may not land, or is not found good on main; or None.

    ``before``: the checks on main before it, as far as they were run.
    """
    failure, message = verdict_of(evidence)
    if failure is None:
        return None
    too = "" if before.report.passed else " (main before it did not pass its checks either)"
    where = (
        f"on main as {job.run.merged[:12]} left it" if job.run.merged else "on the tree that lands"
    )
    result = failed(
        failure,
        f"{where}: {message}{too}",
        error=evidence.report.error_digest or sha256(message),
        causes=evidence.report.failure_classes,
        checks=check_facts(evidence.report),
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


def _move(ctx: Context, job: Job, merged: Merged) -> bool:
    """Note the landing, then move main. False: main moved meanwhile, and nothing landed."""
    run, main = job.run, merged.main.commit
    commit = _commit(ctx, run.id, merged, f"Land {run.task}: {run.title}")
    if not _noted(ctx, job, merged, commit):
        return False
    return ctx.move_main(commit, main, {BACKLOG: merged.marks.splice})


def _noted(ctx: Context, job: Job, merged: Merged, commit: str) -> bool:
    """Note the landing. False: main has moved. Others that record meanwhile do not end it.

    Raises ``LedgerMoved`` if the claim is gone, or was not pushed yet.
    """
    for number in range(NOTE_TRIES):
        note = Noted(
            at=ctx.now(),
            topic=Topic.LANDING,
            run=job.run.id,
            commit=commit,
            onto=merged.main.commit,
            tree=merged.tree or "",
        )
        ctx.ledger.append(note)
        try:
            ctx.ledger.flush()
        except LedgerMoved:
            ctx.ledger.catch_up()
            now = ctx.ledger.snapshot.runs.get(job.run.id)
            if now is None or now.claim is None or now.claim.nonce != job.claim.nonce:
                raise
            if ctx.main() != merged.main.commit:
                return False
            ctx.world.pause(number)
        else:
            return True
    raise LedgerMoved


__all__ = [
    "InTheWay",
    "Merged",
    "before_it",
    "land",
    "merge_with_main",
    "merged_by_forge",
    "must_recheck",
    "recheck",
    "rechecked",
    "require_clear",
]
