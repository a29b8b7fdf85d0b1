"""What transitions about proposals do to the snapshot; ``machine`` calls these.

A proposal is asked (``held``), and by an approval alone it becomes a *trial*: it lands (the exact
commit is noted, then found on main), its rules are adopted by reference to that answer, its metric
is measured over its window. An open question or a trial about a pattern keeps a second one from
being asked.
"""

from __future__ import annotations

from lifeos.core.improve.trial import REVERTS, RULE, Proposed
from lifeos.core.records import Held, Noted, Resolved
from lifeos.core.state import Change, Due, Item, Run, Snapshot, Trial
from lifeos.errors import IllegalTransition
from lifeos.model import Decision, ItemKind

MOST_CHANGES = 50


def patterns_taken(snapshot: Snapshot) -> frozenset[str]:
    """The patterns about which something is asked, or is on trial."""
    asked = {item.proposed.pattern for item in snapshot.items.values() if item.proposed}
    return frozenset(asked | {trial.proposed.pattern for trial in snapshot.trials.values()})


def no_twin(snapshot: Snapshot, record: Held) -> None:
    """A proposal is asked by a rule of its own, once for each pattern."""
    ours = record.item_kind is ItemKind.PROPOSAL and record.rule.startswith(RULE)
    if ours != (record.proposed is not None):
        raise IllegalTransition(f"{record.item} is not asked as proposals are: {record.rule}")
    if record.proposed is not None and record.proposed.pattern in patterns_taken(snapshot):
        raise IllegalTransition(f"there is a proposal about {record.proposed.pattern} already")


def taken_up(snapshot: Snapshot, item: Item) -> Snapshot:
    """The draft that was due is there."""
    if item.proposed is None or item.proposed.pattern not in snapshot.drafts:
        return snapshot
    return _without_due(snapshot, item.proposed.pattern)


def proposal_answered(
    snapshot: Snapshot, item: Item, proposed: Proposed, record: Resolved
) -> Snapshot:
    """Approved, it is to land; to be revised, it is to be drafted anew; rejected, it is gone."""
    match record.decision:
        case Decision.APPROVE:
            merged = record.commit if item.pull is not None and item.pull.landing else ""
            trial = Trial(
                item=item.id,
                rule=item.rule,
                about=item.about,
                proposed=proposed,
                governance=item.governance,
                who=record.who,
                merged=merged,
            )
            return _with_trial(snapshot, trial)
        case Decision.REVISE:
            due = Due(item=item.id, draft=proposed.draft + 1, comment=record.comment)
            return _with_due(snapshot, proposed.pattern, due)
        case Decision.REJECT:
            return snapshot


def withdrawn(snapshot: Snapshot, item: Item, record: Noted) -> Snapshot:
    """A question without a run that no longer asks the right thing; ``reask``: draft it anew."""
    if item.proposed is None or not record.reask:
        return snapshot
    due = Due(item=item.id, draft=item.proposed.draft)
    return _with_due(snapshot, item.proposed.pattern, due)


def spoiled(snapshot: Snapshot, record: Noted) -> Snapshot:
    """An approved proposal that does not fit main any more: it is drafted, and asked, anew."""
    trial = _trial(snapshot, record.item)
    if trial.landed or not record.reask:
        raise IllegalTransition(f"the proposal of {record.item} has landed already")
    trials = {key: other for key, other in snapshot.trials.items() if key != trial.item}
    due = Due(item=trial.item, draft=trial.proposed.draft)
    without = snapshot.model_copy(update={"trials": trials})
    return _with_due(without, trial.proposed.pattern, due)


def landing_noted(snapshot: Snapshot, record: Noted) -> Snapshot:
    """A commit by which it may become part of main."""
    trial = _trial(snapshot, record.item)
    if trial.landed or bool(record.digest) != trial.proposed.governs:
        raise IllegalTransition(f"the proposal of {record.item} cannot land so")
    change = Change(commit=record.commit, onto=record.onto, tree=record.tree, digest=record.digest)
    changes = (*trial.changes, change)[-MOST_CHANGES:]
    return _with_trial(snapshot, trial.model_copy(update={"changes": changes}))


def landed(snapshot: Snapshot, record: Noted) -> Snapshot:
    """It is on main. Its rules are the adopted ones; open runs go on under their own."""
    trial = _trial(snapshot, record.item)
    noted = next((each for each in trial.changes if each.commit == record.commit), None)
    if trial.landed or noted is None or noted.digest != record.digest:
        raise IllegalTransition(f"the proposal of {record.item} was not noted to land so")
    if noted.digest:
        runs = {
            run.id: run.model_copy(update={"beside": noted.digest})
            for run in snapshot.runs.values()
        }
        snapshot = snapshot.model_copy(
            update={
                "governance": noted.digest,
                "refused_governance": "",
                "adopted_on": noted.commit,
                "runs": runs,
            }
        )
    if trial.proposed.window is None:
        return _without_trial(snapshot, trial)
    there = {"landed": noted.commit, "landed_at": record.at, "changes": ()}
    return _with_trial(snapshot, trial.model_copy(update=there))


def measured(snapshot: Snapshot, record: Noted) -> Snapshot:
    """Its window is over. If it did not hold, what takes it back is to be drafted."""
    trial = _trial(snapshot, record.item)
    if not trial.landed or record.measured is None:
        raise IllegalTransition(f"the proposal of {record.item} is not being measured")
    snapshot = _without_trial(snapshot, trial)
    if record.measured.holds is False:
        return _with_due(snapshot, f"{REVERTS}{trial.item}", Due(item=trial.item))
    return snapshot


def dropped(snapshot: Snapshot, record: Noted) -> Snapshot:
    """A draft that was due came to nothing."""
    for pattern, due in snapshot.drafts.items():
        if due.item == record.item:
            return _without_due(snapshot, pattern)
    raise IllegalTransition(f"no draft is due for {record.item}")


def counted(snapshot: Snapshot, run: Run) -> Snapshot:
    """A run was closed: searches count it, and trials if it began after they landed."""
    update: dict[str, object] = {}
    if snapshot.searched is not None:
        one_more = snapshot.searched.closed + 1
        update["searched"] = snapshot.searched.model_copy(update={"closed": one_more})
    if any(_counts(trial, run) for trial in snapshot.trials.values()):
        update["trials"] = {
            key: trial.model_copy(update={"closed": trial.closed + 1})
            if _counts(trial, run)
            else trial
            for key, trial in snapshot.trials.items()
        }
    return snapshot.model_copy(update=update) if update else snapshot


def _counts(trial: Trial, run: Run) -> bool:
    return bool(trial.landed) and run.opened_at > trial.landed_at


def _trial(snapshot: Snapshot, item: str) -> Trial:
    trial = snapshot.trials.get(item)
    if trial is None:
        raise IllegalTransition(f"no proposal of {item} was approved")
    return trial


def _with_trial(snapshot: Snapshot, trial: Trial) -> Snapshot:
    return snapshot.model_copy(update={"trials": {**snapshot.trials, trial.item: trial}})


def _without_trial(snapshot: Snapshot, trial: Trial) -> Snapshot:
    trials = {key: other for key, other in snapshot.trials.items() if key != trial.item}
    return snapshot.model_copy(update={"trials": trials})


def _with_due(snapshot: Snapshot, pattern: str, due: Due) -> Snapshot:
    return snapshot.model_copy(update={"drafts": {**snapshot.drafts, pattern: due}})


def _without_due(snapshot: Snapshot, pattern: str) -> Snapshot:
    drafts = {key: due for key, due in snapshot.drafts.items() if key != pattern}
    return snapshot.model_copy(update={"drafts": drafts})
