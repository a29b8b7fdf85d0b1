"""The questions: their ids, their subjects, and how each is asked, or asked anew."""

from __future__ import annotations

from lifeos.core.canonical import digest_of, short_id
from lifeos.core.facts import Draft, Facts, Intruded, Write
from lifeos.core.policy import Governance
from lifeos.core.records import Held, Noted, Topic
from lifeos.core.state import Item, Run, Snapshot
from lifeos.core.table import INTRUDED, TAKES_BACK, UNVERIFIED
from lifeos.model import ItemKind


def intrusions(snapshot: Snapshot) -> tuple[Item, ...]:
    """The open questions whether to take back what is on main: until then nothing begins."""
    return tuple(item for item in snapshot.items.values() if item.rule in TAKES_BACK)


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


def held(
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
        expires_at=expires(snapshot, facts, now),
        main=facts.main,
    )


def hold_governance(
    snapshot: Snapshot, facts: Facts, now: int, about: str, rule: str, question: str
) -> Write:
    """Ask about a set of rules."""
    asked = _apart(snapshot, facts, now, ItemKind.GOVERNANCE, about)
    return Write(record=asked.model_copy(update={"rule": rule, "question": question}))


def held_intrusion(
    snapshot: Snapshot, facts: Facts, now: int, found: Intruded, question: str = ""
) -> Write:
    """Ask whether to take back what landed unasked; ``question``: as it was asked before."""
    commit = found.commit
    question = question or f"{commit[:12]} reached main unasked: {found.reason}. Take it back?"
    return _taking_back(snapshot, facts, now, INTRUDED, (commit, found.onto), question)


def held_unverified(snapshot: Snapshot, facts: Facts, now: int, run: Run) -> Write:
    """Ask whether to take back what an approver merged, and what is not found good on main."""
    question = f"{run.task} is on main, and {why_ending(run)}. Take it back?"
    about = (run.merged, facts.unverified.get(run.id, ""))
    return _taking_back(snapshot, facts, now, UNVERIFIED, about, question)


def why_ending(run: Run) -> str:
    """Why a run is at its end, in words: what its last attempt came to, or what a person said."""
    if run.ask is not None and run.ask.kind is ItemKind.PROPOSAL:
        return run.ask.question
    if run.merged:
        return f"nobody could check it ({run.comment})" if run.comment else "nobody checked it"
    return run.comment


def _taking_back(
    snapshot: Snapshot, facts: Facts, now: int, rule: str, about: tuple[str, str], question: str
) -> Write:
    """``about``: the commit, and what main was before it ("" where that cannot be told)."""
    commit, onto = about
    told = {"rule": rule, "question": question, "main": facts.main, "onto": onto}
    asked = _apart(snapshot, facts, now, ItemKind.PROPOSAL, commit)
    return Write(record=asked.model_copy(update=told))


def hold_proposal(snapshot: Snapshot, facts: Facts, now: int, draft: Draft) -> Write:
    """Ask about a proposal. Whatever the autonomy, nothing else ever lands one."""
    told = {
        "rule": draft.rule,
        "question": draft.question,
        "main": facts.main,
        "proposed": draft.proposed,
    }
    asked = _apart(snapshot, facts, now, ItemKind.PROPOSAL, draft.about)
    return Write(record=asked.model_copy(update=told))


def _apart(snapshot: Snapshot, facts: Facts, now: int, kind: ItemKind, about: str) -> Held:
    """A question without a run; its rule and words are still to be filled in."""
    item = item_id(snapshot)
    return Held(
        at=now,
        item=item,
        item_kind=kind,
        question="",
        rule="",
        subject=apart_subject(snapshot, item, kind, about),
        about=about,
        expires_at=expires(snapshot, facts, now),
    )


def asked_anew(snapshot: Snapshot, facts: Facts, now: int, item: Item, why: str) -> Write:
    """Take an item back, and let the same be asked of what is there now.

    What asks by itself what is still to be asked needs no more; about what is on main nothing does,
    so the new question comes before the old one goes.
    """
    twins = (other for other in intrusions(snapshot) if other.about == item.about)
    if item.rule in TAKES_BACK and all(other.id == item.id for other in twins):
        about = (item.about, item.onto)
        return _taking_back(snapshot, facts, now, item.rule, about, item.question)
    note = Noted(at=now, topic=Topic.SUPERSEDED, item=item.id, reask=True, text=why)
    return Write(record=note)


def expires(snapshot: Snapshot, facts: Facts, now: int) -> int | None:
    hours = facts.sets[snapshot.governance].approvals.expiry.hours
    return now + hours * 3600 if hours else None


def stale(snapshot: Snapshot, facts: Facts, item: Item) -> bool:
    """Whether what the item asks about is no longer what is there."""
    run = snapshot.runs.get(item.run or "")
    if run is None:
        return False
    return item.subject != subject_of(snapshot, facts, run, item.id, item.kind, item.about)


def rules_of(run: Run, facts: Facts) -> Governance:
    """The set that the run pins."""
    return facts.sets[run.governance]
