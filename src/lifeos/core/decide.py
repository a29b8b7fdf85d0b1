"""What to do next, from the snapshot and what is so now. Pure: no clock, no git, no process.

``decide`` gives either one step of bookkeeping, which makes the state true before anything
new is begun, or all the attempts and openings that may go on side by side. The tick performs
them, records what happened, gathers the facts again, and asks again, until nothing is left.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from lifeos.core.facts import (
    Answer,
    Attempt,
    End,
    Facts,
    Interrupt,
    LandProposal,
    OpenRun,
    Step,
    TaskFact,
    Write,
)
from lifeos.core.improve.steps import (
    landed_proposals,
    measured_proposals,
    new_proposals,
    on_its_way,
    stale_proposals,
    trials_end,
)
from lifeos.core.judge import budget_used_up, landing_checkpoint
from lifeos.core.machine import NOT_PINNED, left_behind
from lifeos.core.pinned import same_for_runs, somebody_may_answer
from lifeos.core.policy import ExpiryThen, OnGovernanceChange, OnTaskChange, Overlap
from lifeos.core.policy.config import MainWrites
from lifeos.core.questions import (
    asked_anew,
    held,
    held_intrusion,
    held_unverified,
    hold_governance,
    intrusions,
    rules_of,
    why_ending,
)
from lifeos.core.readiness import awake, period_spent, reserve_of
from lifeos.core.records import Noted, Resolved, Topic
from lifeos.core.state import Run, RunStatus, Snapshot
from lifeos.core.table import INTRUDED, PERIOD_BUDGETS, TAKES_BACK
from lifeos.model import CloseOutcome, Decision, ItemKind, Stage, Trust

DAY = 86_400
_PERIOD_RULES = frozenset(f"budget:{name}" for name in PERIOD_BUDGETS)


def decide(snapshot: Snapshot, facts: Facts, now: int) -> tuple[Step, ...]:
    """The next steps: one of bookkeeping, or all work that may go on; empty when idle."""
    for rule in _BOOKKEEPING:
        step = next(rule(snapshot, facts, now), None)
        if step is not None:
            return (step,)
    if facts.stop or facts.unfit or not facts.governance or intrusions(snapshot):
        return ()
    return (
        *_approved_proposals(snapshot, facts),
        *_attempts(snapshot, facts, now),
        *_openings(snapshot, facts),
    )


# --- bookkeeping, in this order -------------------------------------------------------------


def _landed(snapshot: Snapshot, facts: Facts, _now: int) -> Iterator[Step]:
    for run in snapshot.runs.values():
        if run.id in facts.landed:
            yield End(run=run.id, outcome=CloseOutcome.PASS, landed=facts.landed[run.id])


def _lost(snapshot: Snapshot, facts: Facts, now: int) -> Iterator[Step]:
    for run in snapshot.runs.values():
        if run.claim is None:
            continue
        grace = rules_of(run, facts).loop.lease.grace
        if run.id in facts.lost or now > run.claim.lease_until + grace:
            yield Interrupt(run=run.id)


def _on_main(snapshot: Snapshot, facts: Facts, now: int) -> Iterator[Step]:
    """Landings that an approver has merged: before anything withdraws the question they answer."""
    for answer in facts.answers:
        item = snapshot.items.get(answer.item)
        landing = item is not None and item.pull is not None and item.pull.landing
        if landing and answer.decision is Decision.APPROVE:
            yield _resolved(facts, now, answer)


def _rejected(snapshot: Snapshot, facts: Facts, now: int) -> Iterator[Step]:
    """An approver's no to what was asked, before anything else on main takes the question back.

    Else whoever edits a word of the task would undo it. Only an approval, or what is to be done
    otherwise, depends on the text and the rules that there are now.
    """
    yield from _taken(snapshot, facts, now, Decision.REJECT)


def _answered(snapshot: Snapshot, facts: Facts, now: int) -> Iterator[Step]:
    """Revise wins over approve, when several answers are there; reject was taken before."""
    yield from _taken(snapshot, facts, now, Decision.REVISE)
    yield from _taken(snapshot, facts, now, Decision.APPROVE)


def _taken(snapshot: Snapshot, facts: Facts, now: int, decision: Decision) -> Iterator[Step]:
    for answer in facts.answers:
        if answer.decision is decision and answer.item in snapshot.items:
            yield _resolved(facts, now, answer)


def _resolved(facts: Facts, now: int, answer: Answer) -> Write:
    return Write(
        record=Resolved(
            at=now,
            item=answer.item,
            decision=answer.decision,
            who=answer.who,
            trust=answer.trust,
            commit=answer.commit,
            comment=answer.comment,
            raw=answer.raw,
            main=facts.main,
        )
    )


def _withdrawn(snapshot: Snapshot, facts: Facts, now: int) -> Iterator[Step]:
    """What said "merge its pull request" is asked in the way that holds now."""
    by_merge = facts.sets[snapshot.governance].approvals.trust is Trust.MERGE
    for item in snapshot.items.values():
        if item.pull is not None and not by_merge:
            yield asked_anew(snapshot, facts, now, item, "answers no longer come by pull requests")


def _expired(snapshot: Snapshot, facts: Facts, now: int) -> Iterator[Step]:
    """An item that waited too long is rejected, or asked anew: it never approves by waiting."""
    expiry = facts.sets[snapshot.governance].approvals.expiry
    for item in snapshot.items.values():
        if item.expires_at is None or now < item.expires_at:
            continue
        if expiry.then is ExpiryThen.HOLD or item.rule in TAKES_BACK:
            yield asked_anew(snapshot, facts, now, item, "expired")
        else:
            yield Write(
                record=Resolved(
                    at=now,
                    item=item.id,
                    decision=Decision.REJECT,
                    who="expiry",
                    comment="nobody answered in time",
                    main=facts.main,
                )
            )


def _nobody_left(snapshot: Snapshot, facts: Facts, now: int) -> Iterator[Step]:
    """A question that none of today's approvers may answer, since they were none then, asked anew.

    Only an approver of then and now may answer it, so after a change of approvers nobody might.
    """
    present = facts.sets[snapshot.governance].approvals
    for item in snapshot.items.values():
        then = facts.sets[item.governance].approvals
        changed = item.governance != snapshot.governance and present.approvers
        if changed and not somebody_may_answer(then, present):
            yield asked_anew(snapshot, facts, now, item, "other approvers")


def _stop(snapshot: Snapshot, facts: Facts, now: int) -> Iterator[Step]:
    if facts.stop != snapshot.stop:
        topic = Topic.STOPPED if facts.stop else Topic.RESUMED
        yield Write(record=Noted(at=now, topic=topic))


def _adoption(snapshot: Snapshot, facts: Facts, now: int) -> Iterator[Step]:
    """A set by an approver is adopted on sight; any other is asked, and the old one rules on.

    Not while it is asked what to do with what reached main unasked: these may be what did.
    """
    if any(item.rule == INTRUDED for item in snapshot.items.values()):
        return
    asked = [item for item in snapshot.items.values() if item.kind is ItemKind.GOVERNANCE]
    new, adopted = facts.governance, snapshot.governance
    if on_its_way(snapshot, facts):
        return  # what main has is what a person just approved: that is taken in first
    for item in asked:
        pending = item.about == new != adopted and not facts.governance_by_approver
        if not pending and not _splits(snapshot, facts, item.about):
            yield Write(record=Noted(at=now, topic=Topic.SUPERSEDED, item=item.id))
    if new in ("", adopted):
        return
    if facts.governance_by_approver:
        yield Write(record=Noted(at=now, topic=Topic.GOVERNANCE, digest=new, commit=facts.main))
    elif new != snapshot.refused_governance and not asked:
        same = new in facts.sets and same_for_runs(facts.sets[new], facts.sets[adopted])
        rule = NOT_PINNED if same else "governance:unapproved"
        question = "the rules on main changed, not by an approver"
        yield hold_governance(snapshot, facts, now, new, rule, question)


def _splits(snapshot: Snapshot, facts: Facts, about: str) -> bool:
    """Whether an item about the adopted set still has open runs under another one."""
    return about == snapshot.governance and any(
        _unsettled(run, snapshot, facts)
        and rules_of(run, facts).loop.on_governance_change is OnGovernanceChange.ESCALATE
        for run in snapshot.runs.values()
    )


def _elsewhere(run: Run, snapshot: Snapshot, facts: Facts) -> bool:
    """Whether the run pins other rules than the adopted ones, apart from what is never pinned."""
    pinned, adopted = run.governance, snapshot.governance
    return pinned != adopted and not same_for_runs(facts.sets[pinned], facts.sets[adopted])


def _unsettled(run: Run, snapshot: Snapshot, facts: Facts) -> bool:
    """Whether it does, and whoever approved the adopted rules did not decide about open runs."""
    return run.beside != snapshot.governance and _elsewhere(run, snapshot, facts)


def _pinned(snapshot: Snapshot, facts: Facts, now: int) -> Iterator[Step]:
    """Open runs under another set than the adopted one go on as their own set says."""
    adopted = snapshot.governance
    asked = any(item.kind is ItemKind.GOVERNANCE for item in snapshot.items.values())
    for run in snapshot.runs.values():
        if run.claim or run.status is RunStatus.ENDING or not _elsewhere(run, snapshot, facts):
            continue
        refused = left_behind(snapshot, run)
        match rules_of(run, facts).loop.on_governance_change:
            case OnGovernanceChange.ADOPT:
                yield Write(record=Noted(at=now, topic=Topic.REPINNED, run=run.id, digest=adopted))
            case OnGovernanceChange.ESCALATE if run.beside == adopted:
                pass  # who approved these rules let it go on under its own
            case OnGovernanceChange.ESCALATE if refused:
                reason = "the rules changed, and a person ended the runs of the old ones"
                yield _without_a_pass(snapshot, facts, now, run, CloseOutcome.BLOCKED, reason)
            case OnGovernanceChange.ESCALATE if not asked:
                question = "the rules changed while runs are open: adopt the new set for them?"
                rule = "governance:open_runs"
                yield hold_governance(snapshot, facts, now, adopted, rule, question)
            case _:
                pass


def _intruded(snapshot: Snapshot, facts: Facts, now: int) -> Iterator[Step]:
    """What nobody let through is asked about, and the run whose work it was is at its end.

    Its work is on main, in part or changed: to land it once more would land nothing, or not all.
    """
    for found in facts.intruded:
        item = snapshot.items.get(found.item)
        if found.commit not in snapshot.asked_about:
            yield held_intrusion(snapshot, facts, now, found)
        elif item is None:
            continue  # its question was over before
        elif item.run is not None and item.pull is not None and item.pull.landing:
            reason = f"its work reached main, and {found.reason}"
            yield End(run=item.run, outcome=CloseOutcome.CANCELLED, reason=reason)
        else:
            yield asked_anew(snapshot, facts, now, item, found.reason)


def _conflicts(snapshot: Snapshot, facts: Facts, now: int) -> Iterator[Step]:
    """What does not merge with main cannot be asked as a landing PR: the question is withdrawn."""
    for item in snapshot.items.values():
        at_close = item.kind is ItemKind.STAGE_REVIEW and item.stage is Stage.CLOSE
        if at_close and item.run in facts.conflicting:
            text = "it conflicts with main"
            yield Write(record=Noted(at=now, topic=Topic.SUPERSEDED, item=item.id, text=text))


def _anew(snapshot: Snapshot, facts: Facts, now: int) -> Iterator[Step]:
    for found in facts.anew:
        item = snapshot.items.get(found.item)
        if item is not None:
            yield asked_anew(snapshot, facts, now, item, found.reason)


def _tasks(snapshot: Snapshot, facts: Facts, now: int) -> Iterator[Step]:
    """A task that was ticked, cancelled, deleted or edited while its run is open.

    While its landing PR is open a ticked box says nothing: the merge of that may have brought it.
    """
    for run in snapshot.runs.values():
        if run.claim or run.status is RunStatus.ENDING:
            continue
        item = snapshot.items.get(run.item or "")
        pull = item.pull if item is not None else None
        lands = pull is not None and pull.landing and pull.number > 0
        if run.merged:
            continue  # the merge that landed it ticked its box
        task = facts.tasks.get(run.task)
        if lands and task is not None and task.done:
            continue  # so may one that the forge has not told of yet: its word settles it
        if task is None or not task.open:
            reason = "the task was ticked or cancelled" if task else "the task is gone"
            yield End(run=run.id, outcome=CloseOutcome.CANCELLED, reason=reason)
        elif task.digest != run.task_digest:
            yield from _task_edited(snapshot, facts, now, run, task)


def _task_edited(
    snapshot: Snapshot, facts: Facts, now: int, run: Run, task: TaskFact
) -> Iterator[Step]:
    policy = rules_of(run, facts).loop.on_task_change
    if policy is OnTaskChange.RESTART:
        yield Write(
            record=Noted(
                at=now,
                topic=Topic.RESTARTED,
                run=run.id,
                edited=task.text,
                commit=facts.main,
            )
        )
    elif policy is OnTaskChange.ESCALATE:
        item = snapshot.items.get(run.item or "")
        if item is None:
            question = "the task's text changed while its run was open; go on with the new text?"
            yield Write(
                record=held(
                    snapshot, facts, now, run, ItemKind.ESCALATION, "task_changed", question
                )
            )
        elif item.about != task.digest:
            # A checkpoint that the policy wants is put off by the new text, not answered by it.
            reask = item.kind is ItemKind.STAGE_REVIEW and run.stage is not Stage.CLOSE
            yield Write(record=Noted(at=now, topic=Topic.SUPERSEDED, item=item.id, reask=reask))


def _budget_freed(snapshot: Snapshot, facts: Facts, now: int) -> Iterator[Step]:
    """A new day or month frees what an item asked for: nobody needs to answer it any more."""
    for item in snapshot.items.values():
        run = snapshot.runs.get(item.run or "")
        if run is None or item.rule not in _PERIOD_RULES:
            continue
        if f"budget:{period_spent(snapshot, facts, now, run)}" != item.rule:
            yield Write(record=Noted(at=now, topic=Topic.SUPERSEDED, item=item.id))


def _asks(snapshot: Snapshot, facts: Facts, now: int) -> Iterator[Step]:
    for run in snapshot.runs.values():
        if run.status is RunStatus.ASKING and run.ask is not None:
            ask = run.ask
            yield Write(record=held(snapshot, facts, now, run, ask.kind, ask.rule, ask.question))


def _endings(snapshot: Snapshot, facts: Facts, now: int) -> Iterator[Step]:
    for run in snapshot.runs.values():
        if run.status is RunStatus.ENDING and run.end is not None:
            yield _without_a_pass(snapshot, facts, now, run, run.end, why_ending(run))


def _without_a_pass(
    snapshot: Snapshot, facts: Facts, now: int, run: Run, outcome: CloseOutcome, reason: str
) -> Step:
    """The end of a run. If a forge has landed its work, what to do with that is asked before it."""
    asked = next((one for one in intrusions(snapshot) if one.about == run.merged), None)
    if run.merged and asked is None:
        return held_unverified(snapshot, facts, now, run)
    if asked is not None:
        reason = f"its work is on main, and {reason} (see {asked.id})"
    return End(run=run.id, outcome=outcome, landed=run.merged, reason=reason)


def _gates(snapshot: Snapshot, facts: Facts, now: int) -> Iterator[Step]:
    """What must be asked before a run that is ready may go on."""
    for run in snapshot.runs.values():
        found = gate(snapshot, facts, now, run) if awake(run, facts, now) else None
        if found is not None:
            yield Write(record=held(snapshot, facts, now, run, *found))


def gate(snapshot: Snapshot, facts: Facts, now: int, run: Run) -> tuple[ItemKind, str, str] | None:
    """The kind, rule and question of the gate that this run stands before, if any."""
    if run.commands:
        question = "the task brings commands that no approver put on main; allow them?"
        return ItemKind.COMMANDS, "commands:unapproved", question
    if run.stage is Stage.CLOSE and (rule := _landing_rule(snapshot, run, facts)):
        moved = "Main has moved since you approved this. " if run.approved_on else ""
        return ItemKind.STAGE_REVIEW, rule, f"{moved}Land this work?"
    if spent := budget_used_up(run.usage, run.grants, rules_of(run, facts).loop):
        return ItemKind.BUDGET, f"budget:{spent}", f"{spent} is used up; grant the same again?"
    if spent := period_spent(snapshot, facts, now, run):
        question = f"{spent} is used up; let this run go on all the same?"
        return ItemKind.BUDGET, f"budget:{spent}", question
    return None


def _only_by_pull_request(snapshot: Snapshot, facts: Facts) -> str:
    """The rule that wants a person where main only takes pull requests, or ''."""
    by_pull = facts.sets[snapshot.governance].config.main_writes is MainWrites.PR
    return "main_writes:pr" if by_pull else ""


def _landing_rule(snapshot: Snapshot, run: Run, facts: Facts) -> str:
    """The rule that wants a person before this landing, or ''."""
    loop = rules_of(run, facts).loop
    if run.merged or run.id in facts.conflicting:
        return ""  # it has landed; or its attempt to land says why it cannot, and it is done anew
    by_pull = _only_by_pull_request(snapshot, facts)
    if not run.approved_on or by_pull:  # there, only its own merge lands it
        return landing_checkpoint(run, loop) or by_pull
    if loop.reapprove is Overlap.ALWAYS and run.id in facts.moved:
        return "reapprove:always"
    return "reapprove:overlap" if run.id in facts.overlapping else ""


_BOOKKEEPING: tuple[Callable[[Snapshot, Facts, int], Iterator[Step]], ...] = (
    _landed,
    _lost,
    _endings,
    _stop,
    _intruded,  # what is on main, and who brought it, before what takes its question back
    landed_proposals,
    _rejected,
    _adoption,
    _on_main,
    _pinned,
    _tasks,
    _answered,
    _conflicts,
    _anew,
    _withdrawn,
    stale_proposals,
    _expired,
    _nobody_left,
    _budget_freed,
    measured_proposals,
    new_proposals,
    _asks,
    _gates,
)


# --- work -----------------------------------------------------------------------------------


def _approved_proposals(snapshot: Snapshot, facts: Facts) -> Iterator[Step]:
    """What was approved is put on main, where its rules are the adopted ones; one at a time."""
    for trial in snapshot.trials.values():
        noted = any(change.commit == trial.merged for change in trial.changes)
        fits = not noted if trial.merged else facts.governance == snapshot.governance
        if fits and not trial.landed:
            yield LandProposal(item=trial.item)
            return


def _attempts(snapshot: Snapshot, facts: Facts, now: int) -> Iterator[Step]:
    reserved = snapshot.reserved
    for run in snapshot.runs.values():
        escalates = rules_of(run, facts).loop.on_governance_change is OnGovernanceChange.ESCALATE
        waits = escalates and _unsettled(run, snapshot, facts)
        if waits or not awake(run, facts, now):
            continue
        if facts.only_task and run.task != facts.only_task:
            continue
        if run.stage in facts.unready:
            continue
        if period_spent(snapshot, facts, now, run, reserved):
            continue
        reserve = reserve_of(run, facts)
        reserved += reserve
        # Until something was built, a run works on main as it is now.
        fresh = not run.work or run.stage in (Stage.DESIGN, Stage.PLAN)
        yield Attempt(
            run=run.id,
            stage=run.stage,
            n=run.attempts + 1,
            base=facts.main if fresh else run.base,
            reserved=reserve,
        )


def _openings(snapshot: Snapshot, facts: Facts) -> Iterator[Step]:
    """At most one at a time: what may run beside it is another question after that."""
    limit = facts.sets[snapshot.governance].loop.budgets.open_runs
    if facts.may_open <= 0 or facts.unready or len(snapshot.runs) >= limit:
        return
    for task in facts.candidates:
        if not facts.only_task or task.id == facts.only_task:
            yield OpenRun(task=task)
            return


def next_wake(snapshot: Snapshot, facts: Facts, now: int) -> int | None:
    """The next time (seconds UTC) at which something may go on without any new commit."""
    times = []
    for run in snapshot.runs.values():
        if run.wake and run.wake.at is not None and run.status is RunStatus.PAUSED:
            times.append(run.wake.at)
        if run.claim:
            times.append(run.claim.lease_until + rules_of(run, facts).loop.lease.grace + 1)
    times += trials_end(snapshot)
    for item in snapshot.items.values():
        if item.expires_at is not None and item.expires_at > now:
            times.append(item.expires_at)
        if item.rule in _PERIOD_RULES:
            times.append((now // DAY + 1) * DAY)
    return min(times, default=None)
