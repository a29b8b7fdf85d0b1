"""Performing what was decided, one step at a time, and recording what happened."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from lifeos.core.backlog.entry import Task
from lifeos.core.backlog.parse import parse
from lifeos.core.canonical import sha256, short_id
from lifeos.core.facts import Attempt, End, Interrupt, OpenRun, TaskFact, Write
from lifeos.core.judge import judge
from lifeos.core.machine import apply
from lifeos.core.receipt import RECEIPTS, total
from lifeos.core.records import (
    AttemptFacts,
    Claimed,
    Closed,
    Finished,
    Held,
    Noted,
    Opened,
    Resolved,
    Topic,
)
from lifeos.core.state import Claim, Run, Success
from lifeos.errors import IllegalTransition, LedgerBroken
from lifeos.governance import governance_digest
from lifeos.model import CloseOutcome, FailureClass, ItemKind, Stage, Verdict
from lifeos.store.entries import attempt_path, read_entries
from lifeos.store.redactions import placeholders
from lifeos.store.trees import lookup
from lifeos.tick import calls
from lifeos.tick.attempt import Job
from lifeos.tick.bundle import Bundle
from lifeos.tick.context import Context
from lifeos.tick.gather import Gathered
from lifeos.tick.past import artifacts_of, entries_of, final_packet, open_packet
from lifeos.tick.pending import pending_file
from lifeos.tick.proposals import close_proposal, files_of_proposal, folder_of
from lifeos.tick.purse import Purse
from lifeos.tick.reading import governance_files, main_at
from lifeos.tick.work import forget_work, show_work


def run_id(ctx: Context, task: TaskFact) -> str:
    """The id of a task's next run: it follows from the ledger, the task and the count of runs."""
    return short_id("R", ctx.ledger.snapshot.root, task.id, task.ordinal)


def open_run(ctx: Context, gathered: Gathered, step: OpenRun) -> None:
    """Record that a task was selected, with its text as it stands."""
    task, snapshot = step.task, ctx.ledger.snapshot
    found = gathered.tasks.find(task.id)
    if found is None:
        raise LedgerBroken(f"task {task.id} was selected and is not in the backlog")
    run = run_id(ctx, task)
    retry = snapshot.retries.get(task.id)
    artifacts = {f"runs/{run}/task.md": task_text(gathered, found)}
    stage, design, plan = Stage.DESIGN, "", ""
    if retry is not None and retry.stage is not Stage.DESIGN:
        kept = former_artifacts(ctx, task.id)
        design, plan, texts = _resume_from(retry.stage, kept)
        artifacts |= {f"runs/{run}/0/{name}": data for name, data in texts.items()}
        stage = retry.stage if design else Stage.DESIGN
    ctx.ledger.append(
        Opened(
            at=ctx.now(),
            run=run,
            task=task.id,
            title=task.title,
            task_digest=task.digest,
            ordinal=task.ordinal,
            base=gathered.facts.main,
            governance=snapshot.governance,
            scope=task.scope,
            tags=task.tags,
            risk=task.risk,
            commands=task.commands,
            stage=stage,
            design=design,
            plan=plan,
        ),
        artifacts=artifacts,
    )
    ctx.world.progress(f"open {run} for {task.id}: {task.title}")


def task_text(gathered: Gathered, task: Task) -> bytes:
    """The entry's own bytes, so that later edits of the backlog change nothing here."""
    start, end = task.span
    return gathered.tasks.data[start:end]


def former_artifacts(ctx: Context, task: str) -> Mapping[str, bytes]:
    """Design and plan of a task's last run, from the commit of the ledger that still has them.

    What was redacted is none any more.
    """
    ended = ctx.ledger.ended(task)
    if ended is None or not ended.ledger:
        return {}
    tree = ctx.repo.objects.commit(ended.ledger).tree
    gone = {about.placeholder() for about in placeholders(ctx.repo, ctx.ledger.tip).values()}
    kept = artifacts_of(ctx.repo, tree, ended.run)
    return {name: data for name, data in kept.items() if data not in gone}


def _resume_from(stage: Stage, kept: Mapping[str, bytes]) -> tuple[str, str, dict[str, bytes]]:
    names = ("design.md",) if stage is Stage.PLAN else ("design.md", "plan.md")
    if not all(name in kept for name in names):
        return "", "", {}
    texts = {name: kept[name] for name in names}
    plan = sha256(texts["plan.md"]) if "plan.md" in texts else ""
    return sha256(texts["design.md"]), plan, texts


def claim(ctx: Context, step: Attempt, worker: str = "") -> Claim:
    """Record that an attempt is about to be launched, by this process unless ``worker`` says so."""
    now = ctx.now()
    run = ctx.ledger.snapshot.runs[step.run]
    lease = ctx.governance(run.governance).loop.lease
    record = Claimed(
        at=now,
        run=step.run,
        stage=step.stage,
        n=step.n,
        nonce=ctx.world.nonce(),
        worker=worker or ctx.world.worker(),
        lease_until=now + lease.seconds,
        reserved=step.reserved,
        base=step.base,
    )
    ctx.ledger.append(record)
    claimed = ctx.ledger.snapshot.runs[step.run].claim
    if claimed is None:
        raise LedgerBroken(f"the claim of {step.run} was not recorded")
    return claimed


def job_of(ctx: Context, run: Run, claim: Claim) -> Job:
    """Everything the attempt needs, read from the ledger's tip."""
    text = ctx.ledger.read(f"runs/{run.id}/task.md") or b""
    parsed = parse(text, "BACKLOG.md", ctx.rules.config.id_prefix)
    if not parsed.tasks:
        raise LedgerBroken(f"the task of run {run.id} cannot be read from the ledger")
    build = run.last_n.get(Stage.BUILD, 0)
    checks = _text(ctx, run, build, "checks.json") if build else ""
    return Job(
        run=run,
        claim=claim,
        governance=ctx.governance(run.governance),
        task=replace(parsed.tasks[0], id=run.task),
        task_text=text.decode("utf-8", "replace"),
        design=_text(ctx, run, run.last_n.get(Stage.DESIGN, 0), "design.md"),
        plan=_text(ctx, run, run.last_n.get(Stage.PLAN, 0), "plan.md"),
        feedback=feedback_of(ctx, run),
        checks=checks,
        purse=Purse(ctx.meters, lambda: ctx.ledger.snapshot),
    )


def _text(ctx: Context, run: Run, n: int, name: str) -> str:
    data = ctx.ledger.read(f"{attempt_path(run.id, n)}/{name}")
    return data.decode("utf-8", "replace") if data else ""


def feedback_of(ctx: Context, run: Run) -> str:
    """What failed last time, and what a person said about it."""
    parts = []
    if run.feedback:
        parts.append(_text(ctx, run, run.feedback, "feedback.md"))
    if run.comment:
        parts.append(f"# What the CEO says\n\n{run.comment}\n")
    return "\n".join(part for part in parts if part)


def collect(ctx: Context, bundle: Bundle) -> None:
    """Judge what an attempt left and record it. The record of a late or foreign claim is refused.

    Raises ``IllegalTransition`` for a bundle without a claim of its nonce.
    """
    run = ctx.ledger.snapshot.runs.get(bundle.run)
    if run is None or run.claim is None or run.claim.nonce != bundle.nonce:
        raise IllegalTransition(f"{bundle.stage} {bundle.n} of {bundle.run} is late or superseded")
    now = ctx.now()
    governance = ctx.governance(run.governance)
    judgement = judge(run, bundle.stage, bundle.facts, governance, now)
    folder = attempt_path(bundle.run, bundle.n)
    artifacts = dict(bundle.artifacts)
    if bundle.stage is Stage.PACKET:
        artifacts |= open_packet(ctx, run)
    record = Finished(
        at=now,
        run=bundle.run,
        stage=bundle.stage,
        n=bundle.n,
        nonce=bundle.nonce,
        facts=bundle.facts,
        action=judgement.action,
        rule=judgement.rule,
        to=judgement.to,
        ask=judgement.ask,
        wake=judgement.wake,
        evidence={name: sha256(data) for name, data in sorted(artifacts.items())},
    )
    tree = bundle.facts.tree if bundle.stage is Stage.BUILD else ""
    if tree:  # before the record: after a kill in between, the next tick collects this again
        show_work(ctx, apply(ctx.ledger.snapshot, record).runs[bundle.run])
    ctx.ledger.append(
        record,
        artifacts={f"{folder}/{name}": data for name, data in artifacts.items()},
        trees={f"{folder}/tree": tree} if tree else {},
        prose=prose_of(record),
    )
    outcome = bundle.facts.outcome
    to = f" -> {judgement.to}" if judgement.to is not bundle.stage else ""
    well = outcome in (Success.OK, Verdict.ACCEPT)
    said = "" if well or not bundle.facts.message else f": {bundle.facts.message}"
    ctx.world.progress(
        f"{bundle.stage} {bundle.n} of {bundle.run}: {outcome} -> {judgement.action}{to}"
        f" ({judgement.rule}){said}"
    )


def recorded(ctx: Context, bundle: Bundle) -> bool:
    """Whether the ledger has what this bundle says: its tick died before it could remove it.

    A record that the attempt was interrupted is not what it says: it only came too late.
    """
    run = ctx.ledger.snapshot.runs.get(bundle.run)
    entries = entries_of(ctx, run) if run else read_entries(ctx.repo, ctx.ledger.tip)
    return any(
        isinstance(entry.record, Finished)
        and (entry.record.run, entry.record.nonce) == (bundle.run, bundle.nonce)
        and entry.record.facts == bundle.facts
        for entry in entries
    )


def prose_of(record: Finished) -> str:
    """The middle of the commit message: why this action, in words."""
    facts = record.facts
    if facts is None:
        return ""
    lines = [f"Rule: {record.rule}."]
    if facts.message:
        lines.append(facts.message)
    if facts.checks:
        lines.append(", ".join(f"{check.name} {check.status}" for check in facts.checks))
    return "\n".join(lines)


def interrupt(ctx: Context, step: Interrupt) -> None:
    """Close a claim whose worker is gone, and let the policy decide."""
    run = ctx.ledger.snapshot.runs[step.run]
    if run.claim is None:
        return
    # They stay until the tick ends: a record that another clone's comes before is made again.
    receipts = calls.so_far(calls.place(ctx.repo.ensure_private(), run.id, run.claim))
    facts = AttemptFacts(
        outcome=FailureClass.INTERRUPTED,
        message="the worker is gone and left no result",
        usage=total(receipts),
    )
    kept = {"receipts.json": RECEIPTS.dump_json(receipts, indent=1)} if receipts else {}
    collect(
        ctx,
        Bundle(run.id, run.claim.stage, run.claim.n, run.claim.nonce, facts, kept),
    )


def write(ctx: Context, gathered: Gathered, step: Write) -> None:
    """Record a step of pure bookkeeping, with the files that belong to it."""
    record = step.record
    match record:
        case Held():
            _write_held(ctx, gathered, record)
        case Resolved():
            _write_resolved(ctx, gathered, record)
        case Noted(topic=Topic.GOVERNANCE):
            _adopt(ctx, gathered, record.digest, record)
        case Noted(topic=Topic.LANDED | Topic.MEASURED | Topic.DROPPED):
            close_proposal(ctx, record)
        case Noted(topic=Topic.SUPERSEDED):
            ctx.ledger.append(record, drop=_pending(ctx, record.item))
        case Noted(topic=Topic.RESTARTED):
            run = ctx.ledger.snapshot.runs[record.run or ""]
            drop = _pending(ctx, run.item) if run.item else ()
            ctx.ledger.append(record, artifacts=_new_text(gathered, run), drop=drop)
        case Noted(topic=Topic.REPINNED):
            run = ctx.ledger.snapshot.runs[record.run or ""]
            ctx.ledger.append(record, drop=_pending(ctx, run.item) if run.item else ())
        case _:
            ctx.ledger.append(record)


def _write_held(ctx: Context, gathered: Gathered, record: Held) -> None:
    artifacts = {f"queue/{record.item}.md": pending_file(ctx, gathered, record)}
    drop: tuple[str, ...] = ()
    if record.proposed is not None:
        artifacts |= files_of_proposal(gathered.proposals[record.about], record.item)
        due = ctx.ledger.snapshot.drafts.get(record.proposed.pattern)
        drop = folder_of(ctx, due.item) if due else ()
    ctx.ledger.append(record, artifacts=artifacts, drop=drop)
    if record.proposed is not None and record.proposed.spent is not None:
        calls.forget(calls.of_wording(ctx.repo.private_dir, record.proposed.pattern))
    ctx.world.progress(f"CEO_REVIEW {record.item}: {record.question}")


def _write_resolved(ctx: Context, gathered: Gathered, record: Resolved) -> None:
    item = ctx.ledger.snapshot.items[record.item]
    drop = _pending(ctx, item.id)
    artifacts: dict[str, bytes] = {}
    run = ctx.ledger.snapshot.runs.get(item.run or "")
    if item.rule == "task_changed" and run is not None:
        artifacts = _new_text(gathered, run)
    if item.proposed is not None and record.decision == "reject":
        drop += folder_of(ctx, item.id)
    if item.kind is ItemKind.GOVERNANCE and record.decision == "approve":
        stale = [other.id for other in ctx.ledger.snapshot.items.values() if other.run]
        drop += tuple(path for other in stale for path in _pending(ctx, other))
        files = governance_files(ctx.repo, main_at(ctx.repo, gathered.facts.main).tree)
        if governance_digest(files) == item.about:
            artifacts |= _governance_artifacts(ctx, item.about, files)
    ctx.ledger.append(record, artifacts=artifacts, drop=drop)
    ctx.world.progress(f"{record.item}: {record.decision} by {record.who}")


def _governance_artifacts(
    ctx: Context, digest: str, files: Mapping[str, bytes]
) -> dict[str, bytes]:
    if lookup(ctx.repo.objects, ctx.ledger.tree, f"governance/{digest}"):
        return {}
    return {f"governance/{digest}/{path}": data for path, data in files.items()}


def _adopt(ctx: Context, gathered: Gathered, digest: str, record: Noted) -> None:
    files = governance_files(ctx.repo, main_at(ctx.repo, gathered.facts.main).tree)
    ctx.ledger.append(record, artifacts=_governance_artifacts(ctx, digest, files))
    ctx.world.progress(f"governance {digest[:12]} adopted")


def _pending(ctx: Context, item: str) -> tuple[str, ...]:
    path = f"queue/{item}.md"
    return (path,) if lookup(ctx.repo.objects, ctx.ledger.tree, path) else ()


def _new_text(gathered: Gathered, run: Run) -> dict[str, bytes]:
    task = gathered.tasks.find(run.task)
    if task is None:
        raise LedgerBroken(f"task {run.task} is not in the backlog")
    return {f"runs/{run.id}/task.md": task_text(gathered, task)}


def end(ctx: Context, step: End) -> None:
    """Close a run with its final packet, whatever its outcome."""
    run = ctx.ledger.snapshot.runs[step.run]
    packet, digest = final_packet(ctx, run, step)
    drop = _pending(ctx, run.item) if run.item else ()
    record = Closed(
        at=ctx.now(),
        run=run.id,
        outcome=step.outcome,
        landed=step.landed,
        packet=digest,
        reason=step.reason[:500],
    )
    if step.outcome is CloseOutcome.PASS:
        forget_work(ctx, run.id)  # before the record, for the same reason as in collect
    ctx.ledger.close_run(record, packet=packet, drop=drop, prose=step.reason)
    what = f", landed as {step.landed[:12]}" if step.landed else ""
    ctx.world.progress(f"close {run.id} ({run.task}): {step.outcome}{what}")
