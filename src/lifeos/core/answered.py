"""What an answer does to the run that waited for it: one arm a kind and a decision."""

from __future__ import annotations

from lifeos.core.records import Resolved
from lifeos.core.state import Item, OnApprove, Run, RunStatus, TaskText, Waiver
from lifeos.core.table import MAKER, PERIOD_BUDGETS, STAGES, next_stage
from lifeos.errors import IllegalTransition
from lifeos.model import CloseOutcome, Decision, FailureClass, ItemKind, Stage

_CLOSES_REJECTED = frozenset(
    {ItemKind.STAGE_REVIEW, ItemKind.BREACH, ItemKind.COMMANDS, ItemKind.ENVIRONMENT}
)


def answered(run: Run, item: Item, record: Resolved) -> Run:
    """The run after this answer to its item; the item itself is taken off by the caller."""
    base = run.model_copy(
        update={
            "item": None,
            "ask": run.ask if record.decision is Decision.APPROVE else None,
            "wake": None,
            "answers": run.answers + 1,
            "comment": record.comment,
        }
    )
    if item.edited is not None:  # an answer about a changed task is about its new text
        base = retold(base, item.edited)
    match record.decision:
        case Decision.APPROVE:
            return _approved(base, item, record)
        case Decision.REVISE:
            return _revised(base, item, record.at)
        case Decision.REJECT:
            rejected = item.kind in _CLOSES_REJECTED
            end = CloseOutcome.REJECTED if rejected else CloseOutcome.BLOCKED
            return base.model_copy(update={"status": RunStatus.ENDING, "end": end})


def retold(run: Run, text: TaskText) -> Run:
    """The run with its task's new text. A task may only raise its risk; no approval outlives it."""
    return run.model_copy(
        update={
            "task_digest": text.digest,
            "title": text.title,
            "scope": text.scope,
            "tags": text.tags,
            "risk": max(run.risk, text.risk, key=lambda risk: risk.rank),
            "commands": "" if text.commands == run.allowed else text.commands,
            "approved_on": "",
            "excused": (),
        }
    )


def _approved(run: Run, item: Item, record: Resolved) -> Run:
    update: dict[str, object] = {"status": RunStatus.ASKING if run.ask else RunStatus.READY}
    match item.kind:
        case ItemKind.STAGE_REVIEW if run.stage is Stage.CLOSE:
            # What was looked at is main as it was when the question was asked: what came after
            # that, even before the answer did, nobody was asked about.
            update["approved_on"] = item.main or record.main
            if item.pull is not None and item.pull.landing:
                update["merged"] = record.commit
        case ItemKind.WAIVER:
            failure = waived_class(item.rule)
            waiver = Waiver(item=item.id, subject=item.subject, failure=failure, work=run.work)
            update["waivers"] = (*run.waivers, waiver)
            update["excused"] = tuple(dict.fromkeys((*run.excused, *run.missing)))
        case ItemKind.BUDGET:
            update.update(_granted(run, item, record.at))
        case ItemKind.COMMANDS:
            update.update(commands="", allowed=run.commands)
        case _:  # what these allow is said by on_approve, below
            pass
    match item.on_approve:
        case OnApprove.ADVANCE if item.kind is not ItemKind.STAGE_REVIEW:
            update.update(stage=next_stage(run.stage), **passed(run))
        case OnApprove.ACCEPT:
            update.update(accepted=run.work, trees=())
        case OnApprove.REWORK:
            update.update(stage=_from_plan(run.stage), landing=None, approved_on="", accepted="")
            update["merged"] = ""
            update.update(missing=(), excused=())
            if run.stage is Stage.CLOSE:
                update["work"] = ""  # as for a rework that the policy decides: see ``_act``
        case _:
            pass
    return run.model_copy(update=update)


def _granted(run: Run, item: Item, at: int) -> dict[str, object]:
    """One grant is for one budget: the run's own once more, or over a day's or month's limit."""
    name = item.rule.rpartition(":")[2]
    if name in PERIOD_BUDGETS:
        return {"granted": {**run.granted, name: at}}
    return {"grants": run.grants + 1}


def _from_plan(stage: Stage) -> Stage:
    """Where rework by a person's word begins: at the plan, or at the design before there is one."""
    return Stage.DESIGN if MAKER[stage] is Stage.DESIGN else Stage.PLAN


def _revised(run: Run, item: Item, at: int) -> Run:
    if item.kind is ItemKind.WAIVER:  # one more attempt, as it stands
        return run.model_copy(update={"status": RunStatus.READY})
    if item.kind in (ItemKind.BUDGET, ItemKind.ESCALATION):
        target = _from_plan(run.stage)
    else:
        made = STAGES[STAGES.index(run.stage) - 1] if _asked_after(item) else run.stage
        target = MAKER[made]
    update: dict[str, object] = {
        "status": RunStatus.READY,
        "stage": target,
        "retries": {},
        "reworks": {},
        "errors": (),
        "trees": (),
        "accepted": "",
        "approved_on": "",
        "merged": "",  # what a forge has landed stays on main; the rework begins on that
        "landing": None,
        "missing": (),
        "excused": (),
        "feedback": run.feedback or run.last_n.get(run.stage, 0),
    }
    if item.kind is ItemKind.BUDGET:
        # A rework that may spend nothing would only ask again.
        update.update(_granted(run, item, at))
    return run.model_copy(update=update)


def _asked_after(item: Item) -> bool:
    """A stage review is asked when the stage before the present one has succeeded."""
    return item.kind is ItemKind.STAGE_REVIEW


def waived_class(rule: str) -> FailureClass:
    """The failure that a waiver's rule ends with ("exhausted:test_failure")."""
    name = rule.rpartition(":")[2]
    if name not in tuple(FailureClass):
        raise IllegalTransition(f"a waiver by {rule} names no failure class")
    return FailureClass(name)


def passed(run: Run) -> dict[str, object]:
    """What is forgotten when a stage is done: the counts of trying and sending back, and seats."""
    reworks = {stage: counts for stage, counts in run.reworks.items() if stage is not run.stage}
    return {"retries": {}, "errors": (), "reworks": reworks, "missing": (), "excused": ()}
