"""The bookkeeping about proposals that ``decide`` does between attempts. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from lifeos.core.facts import Facts, Step, Write
from lifeos.core.improve.transitions import patterns_taken
from lifeos.core.questions import hold_proposal
from lifeos.core.records import Noted, Topic
from lifeos.core.state import Snapshot, Trial
from lifeos.model import Decision

DAY = 86_400


def landed_proposals(snapshot: Snapshot, facts: Facts, now: int) -> Iterator[Step]:
    """A noted commit is on main: its rules are adopted, by reference to the answer."""
    for item, commit in facts.improving.landed.items():
        trial = snapshot.trials.get(item)
        noted = [each for each in trial.changes if each.commit == commit] if trial else []
        if trial is not None and noted and not trial.landed:
            yield Write(
                record=Noted(
                    at=now,
                    topic=Topic.LANDED,
                    item=item,
                    commit=commit,
                    digest=noted[-1].digest,
                    who=trial.who,
                )
            )


def on_its_way(snapshot: Snapshot, facts: Facts) -> bool:
    """Whether rules that a forge merged, as an approver's answer, are still to be taken in."""
    if any(trial.merged and not trial.landed for trial in snapshot.trials.values()):
        return True
    approved = {answer.item for answer in facts.answers if answer.decision is Decision.APPROVE}
    asked = (snapshot.items[item] for item in approved if item in snapshot.items)
    return any(item.proposed and item.pull and item.pull.landing for item in asked)


def stale_proposals(snapshot: Snapshot, facts: Facts, now: int) -> Iterator[Step]:
    """One that was drafted under other rules, or does not fit main any more, is drafted anew."""
    open_ones = [(one.id, one.proposed, one.governance) for one in snapshot.items.values()]
    approved = [
        (trial.item, trial.proposed, trial.governance)
        for trial in snapshot.trials.values()
        if not (trial.landed or trial.merged)
    ]
    for item, proposed, governance in (*open_ones, *approved):
        why = facts.improving.unfitting.get(item, "")
        if proposed is not None and proposed.governs and governance != snapshot.governance:
            why = "the rules have changed since it was drafted"
        if proposed is not None and why:
            note = Noted(at=now, topic=Topic.SUPERSEDED, item=item, reask=True, text=why)
            yield Write(record=note)


def is_over(trial: Trial, now: int) -> bool:
    """Whether its window is over, so that its metric can be measured."""
    window = trial.proposed.window
    if not trial.landed or window is None:
        return False
    if window.runs:
        return trial.closed >= window.runs
    return now >= trial.landed_at + window.days * DAY


def trials_end(snapshot: Snapshot) -> list[int]:
    """When windows of days end (seconds UTC)."""
    return [
        trial.landed_at + trial.proposed.window.days * DAY
        for trial in snapshot.trials.values()
        if trial.landed and trial.proposed.window and trial.proposed.window.days
    ]


def measured_proposals(snapshot: Snapshot, facts: Facts, now: int) -> Iterator[Step]:
    """What came of the metrics whose window is over."""
    for item, found in facts.improving.measured.items():
        trial = snapshot.trials.get(item)
        if trial is not None and is_over(trial, now):
            yield Write(record=Noted(at=now, topic=Topic.MEASURED, item=item, measured=found))


def new_proposals(snapshot: Snapshot, facts: Facts, now: int) -> Iterator[Step]:
    """Ask what was drafted, say what could not be, and then that the search is done."""
    improving = facts.improving
    taken = patterns_taken(snapshot)
    for draft in improving.drafts:
        if draft.proposed.pattern not in taken:
            yield hold_proposal(snapshot, facts, now, draft)
    for pattern, why in improving.undrafted.items():
        due = snapshot.drafts.get(pattern)
        if due is not None:
            yield Write(record=Noted(at=now, topic=Topic.DROPPED, item=due.item, text=why))
    if improving.searched:
        yield Write(record=Noted(at=now, topic=Topic.SEARCHED))
