"""The main that was decided on at an earlier transition.

No transition names it as such. But each run, question, answer and landing names the commit of main
that it was about, and each commit of lifeos's on main names the transition that it was made after:
the newest commit of main among those is the last one that lifeos had looked at by then.
"""

from __future__ import annotations

from lifeos.core.records import (
    AnyRecord,
    Closed,
    Finished,
    Held,
    Noted,
    Opened,
    Resolved,
    Topic,
)
from lifeos.store.entries import seq_of
from lifeos.store.history import is_ancestor, lifeos_commits
from lifeos.store.ledger import Ledger
from lifeos.store.objects import MissingObject
from lifeos.store.redactions import renamed
from lifeos.store.remote import contains
from lifeos.store.repo import Repo
from lifeos.store.story import is_transition, newest

_OF_MAIN = frozenset({Topic.GENESIS, Topic.GOVERNANCE, Topic.REVERTED})
"""The notes that name a commit of main that was there already."""


def main_then(ledger: Ledger, now: str) -> str | None:
    """The newest commit of main ``now`` that lifeos had looked at by the tip of ``ledger``.

    None where main is not the one that this ledger speaks of.
    """
    repo = ledger.repo
    named = _named_by_record(ledger, now)
    made = _made_before(ledger, now)
    if named is None or made is None:
        return named or made
    return made if is_ancestor(repo, named, made) else named


def _named_by_record(ledger: Ledger, now: str) -> str | None:
    for entry in newest(ledger.repo, ledger.tip):
        commit = _main_of(entry.record)
        if commit and _is_part(ledger.repo, commit, now):
            return commit
    return None


def _main_of(record: AnyRecord) -> str:
    """The commit of main that a record is about; "" if it names none that main had by then."""
    match record:
        case Opened():
            return record.base
        case Held() | Resolved():
            return record.main
        case Closed():
            return record.landed
        case Finished():
            return record.facts.main if record.facts else ""
        case Noted() if record.topic in _OF_MAIN:
            return record.commit
        case _:
            return ""


def _is_part(repo: Repo, commit: str, main: str) -> bool:
    try:
        repo.objects.commit(commit)
    except (MissingObject, ValueError):
        return False
    return is_ancestor(repo, commit, main)


def _made_before(ledger: Ledger, now: str) -> str | None:
    """The newest commit in lifeos's name that was made after an earlier transition than the tip.

    The one that names the tip itself came later than it.
    """
    repo, seq = ledger.repo, ledger.snapshot.seq
    now_called = renamed(repo, ledger.tip)
    for commit, anchors in lifeos_commits(repo, now):
        if not anchors:
            continue
        try:
            anchor = repo.objects.commit(now_called.get(anchors[-1], anchors[-1]))
        except MissingObject:
            continue  # not of this ledger, whatever it says
        if not is_transition(repo, anchor.oid):
            continue
        if seq_of(anchor.message, anchor.oid) < seq and contains(repo, ledger.tip, anchor.oid):
            return commit
    return None
