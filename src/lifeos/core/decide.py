"""What to do next, from the snapshot and what is so now. Pure: no clock, no git, no process.

``decide`` gives either one step of bookkeeping, which makes the state true before anything
new is begun, or all the attempts and openings that may go on side by side. The tick performs
them, records what happened, gathers the facts again, and asks again, until nothing is left.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from lifeos.core.canonical import digest_of, short_id
from lifeos.core.judge import budget_used_up, landing_checkpoint
from lifeos.core.machine import NOT_PINNED, left_behind
from lifeos.core.pinned import same_for_runs, somebody_may_answer
from lifeos.core.policy import (
    ExpiryThen,
    Governance,
    OnGovernanceChange,
    OnTaskChange,
    Overlap,
)
from lifeos.core.policy.config import MainWrites
from lifeos.core.records import Held, Noted, Resolved, Topic
from lifeos.core.spend import add_spend
from lifeos.core.state import Item, Run, RunStatus, Snapshot, Spend, TaskText
from lifeos.core.table import PERIOD_BUDGETS
from lifeos.model import CloseOutcome, Decision, Frozen, ItemKind, Risk, Stage, Trust

DAY = 86_400
INTRUDED = "landing:unauthorised"
"""The rule of a question about something that reached main, and that nobody let through."""
_PERIOD_RULES = frozenset(f"budget:{name}" for name in PERIOD_BUDGETS)


class TaskFact(Frozen):
    """A task as main has it now. ``commands`` is the digest of commands that need allowing."""

    id: str
    title: str
    digest: str
    open: bool = True
    scope: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    risk: Risk = Risk.LOW
    commands: str = ""
    ordinal: int = 0

    @property
    def text(self) -> TaskText:
        """What a run must know of it."""
        return TaskText(
            digest=self.digest,
            title=self.title,
            scope=self.scope,
            tags=self.tags,
            risk=self.risk,
            commands=self.commands,
        )


class Answer(Frozen):
    """An answer that counts: it was judged valid before it got here."""

    item: str
    decision: Decision
    who: str
    trust: Trust
    commit: str
    comment: str = ""
    raw: str = ""


class AskAnew(Frozen):
    """An item that can no longer be answered as it was asked. Nothing resumes by it."""

    item: str
    reason: str


class Intruded(Frozen):
    """Something reached main, by this commit, that nobody let through; seen at an item's PR."""

    item: str
    commit: str
    onto: str
    reason: str


class Facts(Frozen):
    """What is so now, gathered from commits by the shell.

    ``unfit``: main has files that lifeos cannot work on, and nothing is begun.
    ``governance`` is the digest of main's set ("" when that set is broken), ``sets`` that set, the
    adopted one and those that runs and items name, by digest. ``tasks`` holds the tasks of open
    runs and ``candidates`` the eligible ones in order. ``landed`` maps a run to the commit on main
    that its recorded landing became, ``lost`` names runs whose worker is gone, ``contents`` gives
    the content digest of each run's work, ``overlapping`` the runs whose paths main has changed
    since their approval, ``moved`` the runs for which main moved at all. ``unready`` are the stages
    whose agent cannot be started here and now (its program or its key is missing).
    """

    main: str
    stop: bool = False
    unfit: bool = False
    governance: str = ""
    governance_by_approver: bool = False
    sets: Mapping[str, Governance] = {}
    tasks: Mapping[str, TaskFact] = {}
    candidates: tuple[TaskFact, ...] = ()
    answers: tuple[Answer, ...] = ()
    anew: tuple[AskAnew, ...] = ()
    intruded: tuple[Intruded, ...] = ()
    landed: Mapping[str, str] = {}
    lost: frozenset[str] = frozenset()
    contents: Mapping[str, str] = {}
    overlapping: frozenset[str] = frozenset()
    moved: frozenset[str] = frozenset()
    paid: frozenset[Stage] = frozenset()
    unready: frozenset[Stage] = frozenset()
    may_open: int = 0
    only_task: str = ""


class Write(Frozen):
    """Record this; nothing else happens."""

    record: Held | Resolved | Noted


class End(Frozen):
    """Close the run: assemble its final packet and record it."""

    run: str
    outcome: CloseOutcome
    landed: str = ""
    reason: str = ""


class Interrupt(Frozen):
    """Close a claim whose worker is gone without a result."""

    run: str


class Attempt(Frozen):
    """Claim the next attempt of this run and carry it out."""

    run: str
    stage: Stage
    n: int
    base: str
    reserved: float = 0.0


class OpenRun(Frozen):
    """Open a run for this task."""

    task: TaskFact


Step = Write | End | Interrupt | Attempt | OpenRun


def decide(snapshot: Snapshot, facts: Facts, now: int) -> tuple[Step, ...]:
    """The next steps: one of bookkeeping, or all work that may go on; empty when idle."""
    for rule in _BOOKKEEPING:
        step = next(rule(snapshot, facts, now), None)
        if step is not None:
            return (step,)
    if facts.stop or facts.unfit or not facts.governance or intrusions(snapshot):
        return ()
    return (*_attempts(snapshot, facts, now), *_openings(snapshot, facts))


def intrusions(snapshot: Snapshot) -> tuple[Item, ...]:
    """The open questions about what reached main unasked: until then nothing begins."""
    return tuple(item for item in snapshot.items.values() if item.rule == INTRUDED)


def rules_of(run: Run, facts: Facts) -> Governance:
    """The set that the run pins."""
    return facts.sets[run.governance]


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


def _answered(snapshot: Snapshot, facts: Facts, now: int) -> Iterator[Step]:
    """Reject wins over revise, and revise over approve, when several answers are there."""
    order = (Decision.REJECT, Decision.REVISE, Decision.APPROVE)
    for answer in sorted(facts.answers, key=lambda answer: order.index(answer.decision)):
        if answer.item in snapshot.items:
            yield Write(
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


def _expired(snapshot: Snapshot, facts: Facts, now: int) -> Iterator[Step]:
    """An item that waited too long is rejected, or asked anew: it never approves by waiting."""
    expiry = facts.sets[snapshot.governance].approvals.expiry
    for item in snapshot.items.values():
        if item.expires_at is None or now < item.expires_at:
            continue
        if expiry.then is ExpiryThen.HOLD or item.rule == INTRUDED:
            yield _asked_anew(snapshot, facts, now, item, "expired")
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
            yield _asked_anew(snapshot, facts, now, item, "other approvers")


def _stop(snapshot: Snapshot, facts: Facts, now: int) -> Iterator[Step]:
    if facts.stop != snapshot.stop:
        topic = Topic.STOPPED if facts.stop else Topic.RESUMED
        yield Write(record=Noted(at=now, topic=topic))


def _adoption(snapshot: Snapshot, facts: Facts, now: int) -> Iterator[Step]:
    """A set by an approver is adopted on sight; any other is asked, and the old one rules on."""
    asked = [item for item in snapshot.items.values() if item.kind is ItemKind.GOVERNANCE]
    new, adopted = facts.governance, snapshot.governance
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
        yield _hold_governance(snapshot, facts, now, new, rule, question)


def _splits(snapshot: Snapshot, facts: Facts, about: str) -> bool:
    """Whether an item about the adopted set still has open runs under another one."""
    return about == snapshot.governance and any(
        _elsewhere(run, snapshot, facts)
        and rules_of(run, facts).loop.on_governance_change is OnGovernanceChange.ESCALATE
        for run in snapshot.runs.values()
    )


def _elsewhere(run: Run, snapshot: Snapshot, facts: Facts) -> bool:
    """Whether the run pins other rules than the adopted ones, apart from what is never pinned."""
    pinned, adopted = run.governance, snapshot.governance
    return pinned != adopted and not same_for_runs(facts.sets[pinned], facts.sets[adopted])


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
            case OnGovernanceChange.ESCALATE if refused:
                reason = "the rules changed, and a person ended the runs of the old ones"
                yield End(run=run.id, outcome=CloseOutcome.BLOCKED, reason=reason)
            case OnGovernanceChange.ESCALATE if not asked:
                question = "the rules changed while runs are open: adopt the new set for them?"
                rule = "governance:open_runs"
                yield _hold_governance(snapshot, facts, now, adopted, rule, question)
            case _:
                pass


def _hold_governance(
    snapshot: Snapshot, facts: Facts, now: int, about: str, rule: str, question: str
) -> Write:
    item = item_id(snapshot)
    return Write(
        record=Held(
            at=now,
            item=item,
            item_kind=ItemKind.GOVERNANCE,
            question=question,
            rule=rule,
            subject=apart_subject(snapshot, item, ItemKind.GOVERNANCE, about),
            about=about,
            expires_at=_expires(snapshot, facts, now),
        )
    )


def _intruded(snapshot: Snapshot, facts: Facts, now: int) -> Iterator[Step]:
    """What nobody let through is asked about, and the run whose work it was is at its end.

    Its work is on main, in part or changed: to land it once more would land nothing, or not all.
    """
    for found in facts.intruded:
        item = snapshot.items.get(found.item)
        if item is None:
            continue
        if not any(other.about == found.commit for other in intrusions(snapshot)):
            yield _held_intrusion(snapshot, facts, now, found)
        elif item.run is not None and item.pull is not None and item.pull.landing:
            reason = f"its work reached main, and {found.reason}"
            yield End(run=item.run, outcome=CloseOutcome.CANCELLED, reason=reason)
        else:
            yield _asked_anew(snapshot, facts, now, item, found.reason)


def _held_intrusion(snapshot: Snapshot, facts: Facts, now: int, found: Intruded) -> Write:
    item, commit = item_id(snapshot), found.commit
    question = f"{commit[:12]} reached main unasked: {found.reason}. Take it back?"
    return Write(
        record=Held(
            at=now,
            item=item,
            item_kind=ItemKind.PROPOSAL,
            question=question,
            rule=INTRUDED,
            subject=apart_subject(snapshot, item, ItemKind.PROPOSAL, commit),
            about=commit,
            expires_at=_expires(snapshot, facts, now),
            main=facts.main,
            onto=found.onto,
        )
    )


def _anew(snapshot: Snapshot, facts: Facts, now: int) -> Iterator[Step]:
    for found in facts.anew:
        item = snapshot.items.get(found.item)
        if item is not None:
            yield _asked_anew(snapshot, facts, now, item, found.reason)


def _asked_anew(snapshot: Snapshot, facts: Facts, now: int, item: Item, why: str) -> Write:
    """Take an item back, and let the same be asked of what is there now.

    What asks by itself what is still to be asked needs no more; about an intrusion nothing does,
    so the new question comes before the old one goes.
    """
    twins = (other for other in intrusions(snapshot) if other.about == item.about)
    if item.rule == INTRUDED and all(other.id == item.id for other in twins):
        found = Intruded(item=item.id, commit=item.about, onto=item.onto, reason=why)
        return _held_intrusion(snapshot, facts, now, found)
    note = Noted(at=now, topic=Topic.SUPERSEDED, item=item.id, reask=True, text=why)
    return Write(record=note)


def _tasks(snapshot: Snapshot, facts: Facts, now: int) -> Iterator[Step]:
    """A task that was ticked, cancelled, deleted or edited while its run is open."""
    merged = {answer.item for answer in facts.answers if answer.decision is Decision.APPROVE}
    for run in snapshot.runs.values():
        if run.claim or run.status is RunStatus.ENDING:
            continue
        item = snapshot.items.get(run.item or "")
        lands = item is not None and item.pull is not None and item.pull.landing
        if run.merged or (lands and run.item in merged):
            continue  # the merge that landed it ticked its box
        task = facts.tasks.get(run.task)
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
                record=_held(
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
        if f"budget:{_period_spent(snapshot, facts, now, run)}" != item.rule:
            yield Write(record=Noted(at=now, topic=Topic.SUPERSEDED, item=item.id))


def _asks(snapshot: Snapshot, facts: Facts, now: int) -> Iterator[Step]:
    for run in snapshot.runs.values():
        if run.status is RunStatus.ASKING and run.ask is not None:
            ask = run.ask
            yield Write(record=_held(snapshot, facts, now, run, ask.kind, ask.rule, ask.question))


def _endings(snapshot: Snapshot, _facts: Facts, _now: int) -> Iterator[Step]:
    for run in snapshot.runs.values():
        if run.status is RunStatus.ENDING and run.end is not None:
            yield End(run=run.id, outcome=run.end, reason=run.comment)


def _gates(snapshot: Snapshot, facts: Facts, now: int) -> Iterator[Step]:
    """What must be asked before a run that is ready may go on."""
    for run in snapshot.runs.values():
        gate = _gate(snapshot, facts, now, run) if awake(run, facts, now) else None
        if gate is not None:
            yield Write(record=_held(snapshot, facts, now, run, *gate))


def _gate(snapshot: Snapshot, facts: Facts, now: int, run: Run) -> tuple[ItemKind, str, str] | None:
    """The kind, rule and question of the gate that this run stands before, if any."""
    if run.commands:
        question = "the task brings commands that no approver put on main; allow them?"
        return ItemKind.COMMANDS, "commands:unapproved", question
    if run.stage is Stage.CLOSE and (rule := _landing_rule(snapshot, run, facts)):
        moved = "Main has moved since you approved this. " if run.approved_on else ""
        return ItemKind.STAGE_REVIEW, rule, f"{moved}Land this work?"
    if spent := budget_used_up(run.usage, run.grants, rules_of(run, facts).loop):
        return ItemKind.BUDGET, f"budget:{spent}", f"{spent} is used up; grant the same again?"
    if spent := _period_spent(snapshot, facts, now, run):
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
    if run.merged:
        return ""
    if not run.approved_on:
        return landing_checkpoint(run, loop) or _only_by_pull_request(snapshot, facts)
    if loop.reapprove is Overlap.ALWAYS and run.id in facts.moved:
        return "reapprove:always"
    return "reapprove:overlap" if run.id in facts.overlapping else ""


_BOOKKEEPING: tuple[Callable[[Snapshot, Facts, int], Iterator[Step]], ...] = (
    _landed,
    _lost,
    _endings,
    _stop,
    _adoption,
    _pinned,
    _intruded,
    _tasks,
    _answered,
    _anew,
    _expired,
    _nobody_left,
    _budget_freed,
    _asks,
    _gates,
)


# --- questions ------------------------------------------------------------------------------


def item_id(snapshot: Snapshot) -> str:
    """The id of the item that the next transition opens; the same on every machine."""
    return short_id("Q", snapshot.root, snapshot.seq)


def apart_subject(snapshot: Snapshot, item: str, kind: ItemKind, about: str) -> str:
    """The digest of exactly what an item without a run asks to approve: a set, or a commit."""
    return digest_of({"root": snapshot.root, "item": item, "kind": kind, "about": about})


def subject_of(
    snapshot: Snapshot, facts: Facts, run: Run, item: str, kind: ItemKind, about: str
) -> str:
    """The digest of exactly what an item about this run asks to approve."""
    return digest_of(
        {
            "root": snapshot.root,
            "item": item,
            "kind": kind,
            "run": run.id,
            "stage": run.stage,
            "task": run.task_digest,
            "design": run.design,
            "plan": run.plan,
            "content": facts.contents.get(run.id, "") if run.work else "",
            "commands": run.commands,
            "governance": run.governance,
            "about": about,
        }
    )


def _held(
    snapshot: Snapshot,
    facts: Facts,
    now: int,
    run: Run,
    kind: ItemKind,
    rule: str,
    question: str,
) -> Held:
    item = item_id(snapshot)
    task = facts.tasks.get(run.task)
    edited = task.text if task and rule == "task_changed" else None
    about = edited.digest if edited else ""
    return Held(
        at=now,
        item=item,
        item_kind=kind,
        run=run.id,
        stage=run.stage,
        question=question,
        rule=rule,
        subject=subject_of(snapshot, facts, run, item, kind, about),
        about=about,
        edited=edited,
        expires_at=_expires(snapshot, facts, now),
        main=facts.main,
    )


def _expires(snapshot: Snapshot, facts: Facts, now: int) -> int | None:
    hours = facts.sets[snapshot.governance].approvals.expiry.hours
    return now + hours * 3600 if hours else None


# --- work -----------------------------------------------------------------------------------


def awake(run: Run, facts: Facts, now: int) -> bool:
    """Whether a run may be claimed now, as far as its pause goes."""
    wake = run.wake
    if run.status is RunStatus.READY or wake is None:
        return run.status is RunStatus.READY
    if run.status is not RunStatus.PAUSED:
        return False
    if wake.stop:
        return not facts.stop
    by_main = wake.main is not None and wake.main != facts.main
    return by_main or (wake.at is not None and now >= wake.at)


def _reserve(run: Run, facts: Facts) -> float:
    """What the next attempt may cost: each grant of more budget adds as much again."""
    if run.stage not in facts.paid:
        return 0.0
    return rules_of(run, facts).loop.budgets.reserve_per_attempt * (1 + run.grants)


def _period_spent(
    snapshot: Snapshot, facts: Facts, now: int, run: Run, reserved: float = 0.0
) -> str:
    """The budget over all runs into which this run's next attempt does not fit, or ''.

    ``reserved`` is what other attempts may still spend: to be waited for, not to be asked about.
    """
    if run.stage not in facts.paid:
        return ""
    budgets = facts.sets[snapshot.governance].loop.budgets
    spend = add_spend(snapshot.spend, now, 0.0)
    need = reserved + _reserve(run, facts)
    periods = (
        ("cost_per_day", spend.day, spend.day_cost, budgets.cost_per_day),
        ("cost_per_month", spend.month, spend.month_cost, budgets.cost_per_month),
    )
    for name, period, cost, limit in periods:
        over = cost >= limit or cost + need > limit
        if over and not _granted_in(run, name, period):
            return name
    return ""


def _granted_in(run: Run, name: str, period: str) -> bool:
    """Whether a person let this run go on over this budget, in this day ("2025-01-31") or month."""
    at = run.granted.get(name)
    return at is not None and add_spend(Spend(), at, 0.0).day.startswith(period)


def _attempts(snapshot: Snapshot, facts: Facts, now: int) -> Iterator[Step]:
    reserved = snapshot.reserved
    for run in snapshot.runs.values():
        escalates = rules_of(run, facts).loop.on_governance_change is OnGovernanceChange.ESCALATE
        waits = escalates and _elsewhere(run, snapshot, facts)
        if waits or not awake(run, facts, now):
            continue
        if facts.only_task and run.task != facts.only_task:
            continue
        if run.stage in facts.unready:
            continue
        if _period_spent(snapshot, facts, now, run, reserved):
            continue
        reserve = _reserve(run, facts)
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
    for item in snapshot.items.values():
        if item.expires_at is not None and item.expires_at > now:
            times.append(item.expires_at)
        if item.rule in _PERIOD_RULES:
            times.append((now // DAY + 1) * DAY)
    return min(times, default=None)


def stale(snapshot: Snapshot, facts: Facts, item: Item) -> bool:
    """Whether what the item asks about is no longer what is there."""
    run = snapshot.runs.get(item.run or "")
    if run is None:
        return False
    return item.subject != subject_of(snapshot, facts, run, item.id, item.kind, item.about)
