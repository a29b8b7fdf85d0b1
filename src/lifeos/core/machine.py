"""The state machine: what each transition does to the snapshot.

Everything that changes the state is here; what may follow what is in ``table``, what an answer
does to its run in ``answered``. The rules, in the order in which people get them wrong:

1. The table is total over (stage, outcome). What is not in it raises ``IllegalTransition``
   and changes nothing; ``apply`` builds the new snapshot last, after every check.
2. A record is only good for the claim it names: the same attempt number and the same nonce.
   A late worker, or one whose claim was taken over, is refused (fencing).
3. The table says what the policy *may* do; ``judge`` chooses, and the record says by which rule.
   Replay therefore needs no policy to rebuild the state, only to recheck the choice.
4. A checkpoint is two transitions: the attempt's record decides to ask, ``held`` opens the item.
   A process that dies between them leaves a run that is ``asking``, and the next tick opens it.
5. A run leaves the snapshot only by ``closed``; ``pass`` needs the landing recorded before, and
   any other end of work that a forge has landed needs the question what to do with that.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from lifeos.core.answered import answered, passed, retold, waived_class
from lifeos.core.improve.transitions import (
    counted,
    dropped,
    landed,
    landing_noted,
    measured,
    no_twin,
    proposal_answered,
    spoiled,
    taken_up,
    withdrawn,
)
from lifeos.core.records import (
    AnyRecord,
    Claimed,
    Closed,
    Finished,
    Held,
    Noted,
    Opened,
    Resolved,
    Topic,
    outcome_class,
)
from lifeos.core.spend import add_spend
from lifeos.core.state import (
    Ask,
    Claim,
    Item,
    Landing,
    OnApprove,
    Retry,
    Run,
    RunStatus,
    Searched,
    Snapshot,
    Success,
)
from lifeos.core.table import (
    ANSWERS,
    KEPT,
    NOT_OF_THE_TREE,
    NOT_OF_THE_WORK,
    REVIEWS,
    REWORK_TARGETS,
    STAGES,
    TABLE,
    TAKES_BACK,
    WAITS,
    next_stage,
)
from lifeos.errors import IllegalTransition
from lifeos.model import (
    Action,
    CloseOutcome,
    Decision,
    FailureClass,
    ItemKind,
    Stage,
    Trust,
)

# What an attempt's record may ask, by its action. Asking is the only way to wait for a person.
_ASKS: Mapping[Action, frozenset[ItemKind]] = {
    Action.ADVANCE: frozenset({ItemKind.STAGE_REVIEW}),
    Action.WAIVE: frozenset({ItemKind.WAIVER}),
    Action.ESCALATE: frozenset({ItemKind.ESCALATION, ItemKind.BREACH, ItemKind.ENVIRONMENT}),
    Action.PAUSE: frozenset({ItemKind.BUDGET}),
    Action.TERMINATE: frozenset({ItemKind.PROPOSAL}),  # of a run whose work a forge has landed
}
# Items that only an attempt's record can ask for.
_OF_ATTEMPTS = frozenset({ItemKind.WAIVER, ItemKind.BREACH, ItemKind.ENVIRONMENT})
_WITHOUT_RUN = frozenset({ItemKind.GOVERNANCE, ItemKind.PROPOSAL})
_OVER = 20
"""Queue PRs of questions that are over: so many are kept in mind."""
_ASKED_ABOUT = 100
"""Commits on main that were asked about: so many are kept in mind."""
NOT_PINNED = "governance:not_pinned"
"""The rule of a question about a set that differs in what runs never pin: they are left alone."""


def apply(snapshot: Snapshot, record: AnyRecord, commit: str = "") -> Snapshot:
    """The snapshot after one more transition.

    ``commit`` is the id of the record's commit; only the first one needs it (it is the root).
    Raises ``IllegalTransition`` when the record is not possible now; the snapshot is a value,
    so nothing has changed then.
    """
    if record.at < snapshot.at:
        raise IllegalTransition(f"{record.kind} at {record.at} is before {snapshot.at}")
    if not snapshot.seq and not (isinstance(record, Noted) and record.topic is Topic.GENESIS):
        raise IllegalTransition(f"a ledger begins with {Topic.GENESIS}, not with {record.kind}")
    match record:
        case Opened():
            changed = _opened(snapshot, record)
        case Claimed():
            changed = _claimed(snapshot, record)
        case Finished():
            changed = _finished(snapshot, record)
        case Held():
            changed = _held(snapshot, record)
        case Resolved():
            changed = _resolved(snapshot, record)
        case Closed():
            changed = _closed(snapshot, record)
        case Noted():
            changed = _noted(snapshot, record, commit)
    return changed.model_copy(update={"seq": snapshot.seq + 1, "at": record.at})


def _run(snapshot: Snapshot, run_id: str | None) -> Run:
    run = snapshot.runs.get(run_id or "")
    if run is None:
        raise IllegalTransition(f"run {run_id} is not open")
    return run


def _with_run(snapshot: Snapshot, run: Run) -> Snapshot:
    return snapshot.model_copy(update={"runs": {**snapshot.runs, run.id: run}})


def _opened(snapshot: Snapshot, record: Opened) -> Snapshot:
    if record.run in snapshot.runs:
        raise IllegalTransition(f"run {record.run} is open already")
    if any(run.task == record.task for run in snapshot.runs.values()):
        raise IllegalTransition(f"task {record.task} has an open run already")
    if record.stage not in (Stage.DESIGN, Stage.PLAN, Stage.BUILD):
        raise IllegalTransition(f"a run cannot start at {record.stage}")
    run = Run(
        id=record.run,
        task=record.task,
        title=record.title,
        task_digest=record.task_digest,
        ordinal=record.ordinal,
        opened_seq=snapshot.seq,
        opened_at=record.at,
        base=record.base,
        governance=record.governance,
        scope=record.scope,
        tags=record.tags,
        risk=record.risk,
        commands=record.commands,
        stage=record.stage,
        design=record.design,
        plan=record.plan,
    )
    retries = {task: retry for task, retry in snapshot.retries.items() if task != record.task}
    return _with_run(snapshot, run).model_copy(update={"retries": retries})


def _claimed(snapshot: Snapshot, record: Claimed) -> Snapshot:
    run = _run(snapshot, record.run)
    if run.status not in (RunStatus.READY, RunStatus.PAUSED):
        raise IllegalTransition(f"run {run.id} is {run.status}: it cannot be claimed")
    if record.stage != run.stage or record.n != run.attempts + 1:
        raise IllegalTransition(
            f"claim of {record.stage} {record.n}, but run {run.id} is at"
            f" {run.stage} {run.attempts + 1}"
        )
    claim = Claim(
        stage=record.stage,
        n=record.n,
        nonce=record.nonce,
        worker=record.worker,
        lease_until=record.lease_until,
        reserved=record.reserved,
        base=record.base,
    )
    update = {
        "claim": claim,
        "status": RunStatus.CLAIMED,
        "wake": None,
        "attempts": record.n,
        "base": record.base,
        "stage_attempts": _count(run.stage_attempts, record.stage),
    }
    return _with_run(snapshot, run.model_copy(update=update))


def _finished(snapshot: Snapshot, record: Finished) -> Snapshot:
    run = _run(snapshot, record.run)
    claim = run.claim
    if claim is None or (claim.stage, claim.n, claim.nonce) != (
        record.stage,
        record.n,
        record.nonce,
    ):
        raise IllegalTransition(
            f"{record.stage} {record.n} of {run.id} has no claim of this nonce: late or superseded"
        )
    facts = record.facts
    if facts is None:
        raise IllegalTransition(f"{record.stage} {record.n} of {run.id} has no facts")
    allowed = TABLE.get((record.stage, facts.outcome))
    if allowed is None or record.action not in allowed:
        raise IllegalTransition(f"{record.action} may not follow {facts.outcome} at {record.stage}")
    goes_on = facts.outcome is Success.OK or record.action is Action.WAIVE
    if record.stage is Stage.BUILD and goes_on and not facts.tree:
        raise IllegalTransition(f"build {record.n} of {run.id} left no tree to go on with")
    _check_target(record)
    if record.action is Action.TERMINATE and record.ask is not None and not run.merged:
        raise IllegalTransition(f"run {run.id} has nothing on main to ask about")
    run = _act(_account(run, record), record)
    if run.repin:
        run = run.model_copy(update={"governance": run.repin, "approved_on": "", "repin": ""})
    usage = facts.usage
    spend = add_spend(snapshot.spend, record.at, usage.cost, estimated=usage.estimated)
    return _with_run(snapshot, run).model_copy(update={"spend": spend})


def _check_target(record: Finished) -> None:
    expected: frozenset[Stage]
    match record.action:
        case Action.ADVANCE:
            expected = frozenset({next_stage(record.stage)})
        case Action.REWORK:
            expected = REWORK_TARGETS[record.stage]
        case _:
            expected = frozenset({record.stage})
    if record.to not in expected:
        raise IllegalTransition(f"{record.action} at {record.stage} cannot lead to {record.to}")
    _check_waiting(record)


def _check_waiting(record: Finished) -> None:
    """Whatever does not go on or end must wait for something: a person, a time, main, or STOP."""
    what = f"{record.action} at {record.stage}"
    ask, wake = record.ask, record.wake
    if ask is not None and ask.kind not in _ASKS.get(record.action, frozenset()):
        raise IllegalTransition(f"{what} cannot ask a {ask.kind}")
    if ask is None and record.action in (Action.WAIVE, Action.ESCALATE):
        raise IllegalTransition(f"{what} asks nothing")
    if wake is not None and record.action not in (Action.RETRY, Action.REWORK, Action.PAUSE):
        raise IllegalTransition(f"{what} waits for nothing")
    if wake is not None and wake.at is None and wake.main is None and not wake.stop:
        raise IllegalTransition(f"{what} would never wake")
    if record.action is Action.PAUSE and (ask is None) == (wake is None):
        raise IllegalTransition(f"{what} must either ask or wake")


K = TypeVar("K")


def _count(counts: Mapping[K, int], key: K) -> Mapping[K, int]:
    return {**counts, key: counts.get(key, 0) + 1}


def _account(run: Run, record: Finished) -> Run:
    """What every finished attempt leaves on its run, whatever was decided."""
    assert record.facts is not None  # noqa: S101  (checked by the caller; tells the type checker)
    facts = record.facts
    update: dict[str, object] = {
        "claim": None,
        "usage": run.usage.plus(facts.usage),
        "last_n": {**run.last_n, record.stage: record.n},
        **_told(record),
    }
    if record.action is Action.PAUSE and (facts.stopped or facts.outcome in WAITS):
        counted = run.stage_attempts.get(record.stage, 0)
        update["stage_attempts"] = {**run.stage_attempts, record.stage: max(counted - 1, 0)}
    failure = outcome_class(facts.outcome)
    if failure is not None:
        update.update(_failed(run, record, failure))
    judged = not facts.stopped and failure not in NOT_OF_THE_TREE
    if record.stage is Stage.BUILD and facts.tree and judged:
        update["trees"] = (*run.trees, facts.tree)[-KEPT:]
    if record.stage is Stage.BUILD and failure is not None and judged:
        update["accepted"] = ""  # it was looked at, and was not good enough: the next is built
    if facts.tree and record.stage is Stage.BUILD:
        update.update(work=facts.tree, paths=facts.paths, lines=facts.lines)
    if facts.artifact and record.stage in (Stage.DESIGN, Stage.PLAN):
        update[record.stage.value] = facts.artifact
    if facts.mode is not None:
        update.update(mode=facts.mode, forced=facts.forced)
    if record.stage in REVIEWS:
        update["missing"] = facts.missing
    if facts.risk.rank > run.risk.rank:
        update["risk"] = facts.risk
    return run.model_copy(update=update)


def _told(record: Finished) -> dict[str, object]:
    """What the next attempt is told: what failed last, and what a person said.

    A rework that begins at the plan is still a rework when it is built, so both stay until a
    build has succeeded.
    """
    if record.action is not Action.ADVANCE:
        return {"feedback": record.n}
    built = STAGES.index(record.stage) >= STAGES.index(Stage.BUILD)
    return {"feedback": 0, "comment": ""} if built else {}


def _failed(run: Run, record: Finished, failure: FailureClass) -> dict[str, object]:
    """What a failure leaves on its run: counts, and the error that progress is measured by."""
    assert record.facts is not None  # noqa: S101  (checked by the caller; tells the type checker)
    facts = record.facts
    update: dict[str, object] = {"failures": _count(run.failures, failure)}
    if facts.error and not facts.stopped and failure not in NOT_OF_THE_WORK:
        update["errors"] = (*run.errors, facts.error)[-KEPT:]
    if record.action is Action.RETRY:
        update["retries"] = _count(run.retries, failure)
    elif record.action is Action.REWORK:
        sent_back = _count(run.reworks.get(record.stage, {}), failure)
        update["reworks"] = {**run.reworks, record.stage: sent_back}
    return update


def _act(run: Run, record: Finished) -> Run:
    """What the action does to the run."""
    update: dict[str, object] = {"stage": record.to, "ask": record.ask, "wake": record.wake}
    match record.action:
        case Action.ADVANCE:
            status = RunStatus.ASKING if record.ask else RunStatus.READY
            update.update(status=status, landing=None, **passed(run))
        case Action.RETRY:
            update["status"] = RunStatus.PAUSED if record.wake else RunStatus.READY
        case Action.REWORK:
            update["status"] = RunStatus.PAUSED if record.wake else RunStatus.READY
            update.update(retries={}, errors=(), landing=None, approved_on="", accepted="")
            update.update(missing=(), excused=())  # another subject comes before the council
            if record.stage is Stage.CLOSE:
                update["work"] = ""  # what did not fit main as it is now is built on it anew
        case Action.WAIVE | Action.ESCALATE:
            update.update(status=RunStatus.ASKING, exceptions=run.exceptions + 1)
        case Action.PAUSE:
            status = RunStatus.ASKING if record.ask else RunStatus.PAUSED
            update.update(status=status)
        case Action.TERMINATE:
            update.update(status=RunStatus.ENDING, end=CloseOutcome.BLOCKED)
    return run.model_copy(update=update)


def _held(snapshot: Snapshot, record: Held) -> Snapshot:
    if record.item in snapshot.items:
        raise IllegalTransition(f"item {record.item} is open already")
    if (record.run is None) != (record.item_kind in _WITHOUT_RUN):
        raise IllegalTransition(f"a {record.item_kind} item cannot open on run {record.run}")
    no_twin(snapshot, record)
    on_approve = OnApprove.AGAIN
    if record.run is not None:
        held, on_approve = _held_run(_run(snapshot, record.run), record)
        snapshot = _with_run(snapshot, held)
    if record.proposed is not None and record.proposed.spent is not None:
        spent = record.proposed.spent
        spend = add_spend(snapshot.spend, record.at, spent.cost, estimated=spent.estimated)
        snapshot = snapshot.model_copy(update={"spend": spend})
    item = Item(
        id=record.item,
        kind=record.item_kind,
        run=record.run,
        stage=record.stage,
        subject=record.subject,
        question=record.question,
        rule=record.rule,
        opened_at=record.at,
        expires_at=record.expires_at,
        governance=snapshot.governance,
        on_approve=on_approve,
        about=record.about,
        edited=record.edited,
        main=record.main,
        onto=record.onto,
        proposed=record.proposed,
    )
    update: dict[str, object] = {"items": {**snapshot.items, item.id: item}}
    if item.rule in TAKES_BACK:
        about = dict.fromkeys((*snapshot.asked_about, item.about))
        update["asked_about"] = tuple(about)[-_ASKED_ABOUT:]
    return taken_up(snapshot.model_copy(update=update), item)


def _held_run(run: Run, record: Held) -> tuple[Run, OnApprove]:
    """The run that waits for this item, and what an approval lets happen."""
    if run.status in (RunStatus.HELD, RunStatus.CLAIMED, RunStatus.ENDING):
        raise IllegalTransition(f"run {run.id} is {run.status}: no item can open on it")
    if record.stage is not run.stage:
        raise IllegalTransition(f"run {run.id} is at {run.stage}, not at {record.stage}")
    ask, on_approve = run.ask, OnApprove.AGAIN
    if ask is not None and (ask.kind, ask.rule) == (record.item_kind, record.rule):
        on_approve, then = ask.on_approve, ask.then
    elif record.item_kind in _OF_ATTEMPTS:
        raise IllegalTransition(f"no attempt of run {run.id} asked for a {record.item_kind}")
    elif record.item_kind is ItemKind.STAGE_REVIEW:
        if run.stage is not Stage.CLOSE or ask is not None:
            raise IllegalTransition(f"run {run.id} has no {run.stage} to review")
        on_approve, then = OnApprove.ADVANCE, None
    else:
        # Something more urgent is asked first; a checkpoint that the policy wants comes after it.
        then = ask if ask is not None and ask.kind is ItemKind.STAGE_REVIEW else None
    if record.item_kind is ItemKind.WAIVER:
        waived_class(record.rule)
    return run.model_copy(
        update={"status": RunStatus.HELD, "item": record.item, "ask": then}
    ), on_approve


def _without_item(snapshot: Snapshot, item_id: str, *, merged: bool = False) -> Snapshot:
    """The question is over; ``merged``: by the merge of its queue PR."""
    item = snapshot.items[item_id]
    items = {key: other for key, other in snapshot.items.items() if key != item_id}
    over, pull = snapshot.over, item.pull
    if pull is not None and pull.number and pull.brings_more and not merged:
        over = dict([*over.items(), (item.id, pull)][-_OVER:])
    return snapshot.model_copy(update={"items": items, "over": over})


def _without_items_of(snapshot: Snapshot, run: Run) -> Snapshot:
    for item in snapshot.items.values():
        if item.run == run.id:
            snapshot = _without_item(snapshot, item.id)
    return snapshot


def _resolved(snapshot: Snapshot, record: Resolved) -> Snapshot:
    item = snapshot.items.get(record.item)
    if item is None:
        raise IllegalTransition(f"item {record.item} is not open")
    if record.decision not in ANSWERS[item.kind]:
        raise IllegalTransition(f"{record.decision} is no answer to a {item.kind} item")
    merged = record.trust is Trust.MERGE and bool(record.commit)
    if item.pull is not None and item.pull.brings_more:
        merged = merged and record.decision is Decision.APPROVE
    snapshot = _without_item(snapshot, item.id, merged=merged)
    if item.proposed is not None:
        return proposal_answered(snapshot, item, item.proposed, record)
    if item.run is None:
        return _resolve_governance(snapshot, item, record)
    run = _run(snapshot, item.run)
    if run.status is not RunStatus.HELD or run.item != item.id:
        raise IllegalTransition(f"run {run.id} does not wait for item {item.id}")
    return _with_run(snapshot, answered(run, item, record))


def _resolve_governance(snapshot: Snapshot, item: Item, record: Resolved) -> Snapshot:
    if item.kind is not ItemKind.GOVERNANCE:
        return snapshot
    if record.decision is Decision.APPROVE:
        runs = () if item.rule == NOT_PINNED else tuple(snapshot.runs.values())
        for run in runs:
            snapshot = _repin(snapshot, run, item.about)
        adopted = {"governance": item.about, "refused_governance": "", "adopted_on": record.main}
        return snapshot.model_copy(update=adopted)
    # Refused for main, or (the adopted set itself) for the runs that are open under another one.
    return snapshot.model_copy(update={"refused_governance": item.about})


def _closed(snapshot: Snapshot, record: Closed) -> Snapshot:
    run = _run(snapshot, record.run)
    if record.outcome is CloseOutcome.PASS:
        if run.stage is not Stage.CLOSE or run.landing is None:
            raise IllegalTransition(f"run {run.id} has landed nothing: it cannot pass")
        if record.landed != run.landing.commit:
            raise IllegalTransition(f"run {run.id} landed another commit than was recorded")
    elif record.outcome is CloseOutcome.BLOCKED and left_behind(snapshot, run):
        pass
    elif record.outcome is not CloseOutcome.CANCELLED and run.end is not record.outcome:
        raise IllegalTransition(f"run {run.id} was not decided to end {record.outcome}")
    asked = any(i.rule in TAKES_BACK and i.about == run.merged for i in snapshot.items.values())
    if run.merged and record.outcome is not CloseOutcome.PASS and not asked:
        raise IllegalTransition(f"run {run.id} is on main unverified, and nobody is asked about it")
    runs = {key: other for key, other in snapshot.runs.items() if key != run.id}
    return counted(_without_items_of(snapshot, run).model_copy(update={"runs": runs}), run)


def left_behind(snapshot: Snapshot, run: Run) -> bool:
    """Whether a person refused to take this run over to the adopted set: it ends."""
    other = run.governance != snapshot.governance and run.claim is None
    return other and snapshot.refused_governance == snapshot.governance


def _noted(  # noqa: C901, PLR0912
    snapshot: Snapshot, record: Noted, commit: str
) -> Snapshot:
    # One arm a topic: splitting the match would only hide that the list is complete.
    match record.topic:
        case Topic.GENESIS:
            if snapshot.seq:
                raise IllegalTransition("a ledger begins once")
            return snapshot.model_copy(
                update={
                    "root": commit,
                    "governance": record.digest,
                    "adopted_on": record.commit,
                }
            )
        case Topic.GOVERNANCE:
            return _noted_governance(snapshot, record)
        case Topic.REPINNED:
            return _noted_repinned(snapshot, record)
        case Topic.STOPPED | Topic.RESUMED:
            return snapshot.model_copy(update={"stop": record.topic is Topic.STOPPED})
        case Topic.LANDING if record.item:
            return landing_noted(snapshot, record)
        case Topic.LANDING:
            return _noted_landing(snapshot, record)
        case Topic.LANDED:
            return landed(snapshot, record)
        case Topic.MEASURED:
            return measured(snapshot, record)
        case Topic.DROPPED:
            return dropped(snapshot, record)
        case Topic.SEARCHED:
            return snapshot.model_copy(update={"searched": Searched(at=record.at)})
        case Topic.SUPERSEDED:
            return _noted_superseded(snapshot, record)
        case Topic.RETRY:
            retry = Retry(
                task=record.task, stage=record.stage or Stage.DESIGN, run=record.run or ""
            )
            return snapshot.model_copy(update={"retries": {**snapshot.retries, record.task: retry}})
        case Topic.RESTARTED:
            return _noted_restarted(snapshot, record)
        case Topic.WOKEN:
            return _noted_woken(snapshot, record)
        case Topic.PULL:
            return _noted_pull(snapshot, record)
        case Topic.REVERTED | Topic.HISTORY | Topic.REDACTED:
            return snapshot


def _noted_governance(snapshot: Snapshot, record: Noted) -> Snapshot:
    if not record.digest:
        raise IllegalTransition("a set is adopted by its digest")
    adopted = {
        "governance": record.digest,
        "refused_governance": "",
        "adopted_on": record.commit,
    }
    return snapshot.model_copy(update=adopted)


def _noted_repinned(snapshot: Snapshot, record: Noted) -> Snapshot:
    run = _run(snapshot, record.run)
    if record.digest != snapshot.governance or run.status is RunStatus.ENDING:
        raise IllegalTransition(f"run {run.id} can only take over the adopted set, while it is on")
    return _repin(snapshot, run, record.digest)


def _noted_landing(snapshot: Snapshot, record: Noted) -> Snapshot:
    run = _run(snapshot, record.run)
    if run.status is not RunStatus.CLAIMED or run.stage is not Stage.CLOSE:
        raise IllegalTransition(f"run {run.id} is not landing")
    landing = Landing(commit=record.commit, onto=record.onto, tree=record.tree)
    return _with_run(snapshot, run.model_copy(update={"landing": landing}))


def _noted_superseded(snapshot: Snapshot, record: Noted) -> Snapshot:
    """The item no longer asks the right question. ``reask``: the same is asked anew."""
    item = snapshot.items.get(record.item)
    if item is None and record.item in snapshot.trials:
        return spoiled(snapshot, record)
    if item is None:
        raise IllegalTransition(f"item {record.item} is not open")
    if item.run is None:
        return withdrawn(_without_item(snapshot, item.id), item, record)
    run = _run(snapshot, item.run)
    if record.reask:
        return _ask_anew(snapshot, run, item)
    ask = run.ask if item.edited else None  # what a changed text only put off is still to be asked
    status = RunStatus.ASKING if ask else RunStatus.READY
    free = run.model_copy(update={"status": status, "item": None, "ask": ask})
    return _with_run(_without_item(snapshot, item.id), free)


def _noted_woken(snapshot: Snapshot, record: Noted) -> Snapshot:
    """What it waited for is over by a person's word. The kill switch is not for it to end."""
    run = _run(snapshot, record.run)
    if run.status is not RunStatus.PAUSED or run.wake is None or run.wake.stop:
        raise IllegalTransition(f"run {run.id} does not wait for a time or for main")
    awake = run.model_copy(update={"status": RunStatus.READY, "wake": None})
    return _with_run(snapshot, awake)


def _noted_pull(snapshot: Snapshot, record: Noted) -> Snapshot:
    """The queue PR of an item. Its head never moves: another one belongs to another item."""
    item, pull = snapshot.items.get(record.item), record.pull
    if item is None or pull is None:
        raise IllegalTransition(f"item {record.item} is not open, or no pull request is named")
    before = item.pull
    if before is not None:
        of_before = (before.head, before.commits, before.landing)
        same = of_before == (pull.head, pull.commits, pull.landing)
        if not same or before.number not in (0, pull.number) or before.reopened:
            raise IllegalTransition(f"item {item.id} has another pull request")
    items = {**snapshot.items, item.id: item.model_copy(update={"pull": pull})}
    return snapshot.model_copy(update={"items": items, "by_pulls": True})


def _ask_anew(snapshot: Snapshot, run: Run, item: Item) -> Snapshot:
    """Take the item back and let the same question be asked of the subject as it is now."""
    ask = Ask(
        kind=item.kind,
        rule=item.rule,
        question=item.question,
        on_approve=item.on_approve,
        then=run.ask,
    )
    asking = run.model_copy(update={"status": RunStatus.ASKING, "item": None, "ask": ask})
    return _with_run(_without_item(snapshot, item.id), asking)


def _repin(snapshot: Snapshot, run: Run, digest: str) -> Snapshot:
    """Put a run under another set. What was asked under the old one is asked anew.

    An attempt under way ends under the set that it was begun with.
    """
    if run.status is RunStatus.CLAIMED:
        return _with_run(snapshot, run.model_copy(update={"repin": digest}))
    repinned = run.model_copy(update={"governance": digest, "approved_on": ""})
    snapshot = _with_run(snapshot, repinned)
    item = snapshot.items.get(run.item or "")
    return _ask_anew(snapshot, repinned, item) if item else snapshot


def _noted_restarted(snapshot: Snapshot, record: Noted) -> Snapshot:
    """The task's text changed and the policy says: begin again with the new text."""
    run = _run(snapshot, record.run)
    if run.status in (RunStatus.CLAIMED, RunStatus.ENDING) or record.edited is None:
        raise IllegalTransition(f"run {run.id} is {run.status}: it cannot begin again")
    fresh = retold(run, record.edited).model_copy(
        update={
            "stage": record.stage or Stage.DESIGN,
            "status": RunStatus.READY,
            "item": None,
            "ask": None,
            "wake": None,
            "retries": {},
            "reworks": {},
            "errors": (),
            "trees": (),
            "design": "",
            "plan": "",
            "work": "",
            "paths": (),
            "lines": 0,
            "accepted": "",
            "waivers": (),
            "missing": (),
            "excused": (),
            "feedback": 0,
            "comment": "",
            "last_n": {},
            "landing": None,
            "base": record.commit or run.base,
        }
    )
    return _with_run(_without_items_of(snapshot, run), fresh)
