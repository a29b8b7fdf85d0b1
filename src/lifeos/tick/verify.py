"""Checking what the ledger claims: replay it, recheck every decision, compare with main.

Everything is read from commits, so it works in a bare clone too. A finding names the commit. What
cannot be checked here is said, not passed over.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from lifeos.core.canonical import short_id
from lifeos.core.judge import judge
from lifeos.core.machine import apply
from lifeos.core.records import Claimed, Finished, Noted, Opened, Topic
from lifeos.core.state import Ask, Snapshot
from lifeos.errors import IllegalTransition, LedgerBroken
from lifeos.governance import load_set
from lifeos.model import Frozen
from lifeos.store.entries import Entry, read_entries
from lifeos.store.git import GitError
from lifeos.store.ledger import SEEN, Ledger
from lifeos.store.objects import LIFEOS, MissingObject
from lifeos.store.repo import Repo
from lifeos.store.story import newest
from lifeos.tick.audit import Audit, Finding
from lifeos.tick.audit_answers import check_answer, check_item
from lifeos.tick.audit_main import check_gate, check_landing, check_main, second_parent
from lifeos.tick.audit_proposals import check_proposal, follow
from lifeos.tick.audit_rules import check_rules
from lifeos.tick.audit_trees import check_state, check_tree

__all__ = ["Finding", "Verified", "main_of", "verify_ledger"]

_UNREADABLE = (LedgerBroken, MissingObject, GitError)
_COMMIT = re.compile(r"\b[0-9a-f]{40}(?:[0-9a-f]{24})?\b")


class Verified(Frozen):
    """What was checked, what was found, and what could not be checked."""

    transitions: int = 0
    decisions: int = 0
    artifacts: int = 0
    answers: int = 0
    landings: int = 0
    anchors: int = 0
    proposals: int = 0
    findings: tuple[Finding, ...] = ()
    unchecked: tuple[str, ...] = ()

    @property
    def good(self) -> bool:
        """Whether nothing was found."""
        return not self.findings


def main_of(repo: Repo, tip: str) -> str | None:
    """The commit of main, by the name that the adopted set gives it; None if it is not here."""
    try:
        ledger = Ledger.at(repo, tip)
        digest = ledger.snapshot.governance
    except _UNREADABLE:
        # Broken somewhere: the last set that says of itself that it was adopted names the branch.
        words = [f'"topic":"{Topic.GOVERNANCE}"', f'"topic":"{Topic.GENESIS}"']
        try:
            record = next(newest(repo, tip, words=words)).record
            tree = repo.objects.commit(tip).tree
        except (*_UNREADABLE, StopIteration):
            return None
        ledger = Ledger(repo, tip, tree, Snapshot())
        digest = record.digest if isinstance(record, Noted) else ""
    try:
        rules = load_set(ledger.governance(digest)).governance
    except _UNREADABLE:
        return None
    branch = rules.config.main if rules else "main"
    local = repo.refs.read(f"refs/heads/{branch}")
    return local or repo.refs.read(f"refs/remotes/origin/{branch}")


def verify_ledger(
    repo: Repo,
    tip: str,
    main: str | None,
    progress: Callable[[int], None] = lambda _count: None,
) -> Verified:
    """Check the ledger at ``tip`` against itself and ``main`` (a commit, None if unknown)."""
    audit = Audit(repo, main)
    try:
        for number, entry in enumerate(read_entries(repo, tip), 1):
            _transition(audit, entry)
            progress(number)
    except _UNREADABLE as error:
        _broken(audit, tip, error.message)
    if main is None:
        audit.skip("landings, answers and commits on main: this clone has no main")
    else:
        _main(audit, tip, main)
    seen = repo.refs.read(SEEN)
    if seen and seen not in audit.commits:
        audit.find(seen, "this clone has seen this transition, and the ledger lacks it: a rewind")
    audit.skip("a rewind between two commits of main, if no clone has seen what came after")
    return Verified(
        transitions=audit.snapshot.seq,
        decisions=audit.counts.get("decision", 0),
        artifacts=audit.counts.get("artifact", 0),
        answers=audit.counts.get("answer", 0),
        landings=audit.counts.get("landing", 0),
        anchors=audit.counts.get("anchor", 0),
        proposals=audit.counts.get("proposal", 0),
        findings=tuple(audit.findings),
        unchecked=tuple(audit.unchecked),
    )


def _main(audit: Audit, tip: str, main: str) -> None:
    try:
        check_main(audit, main, audit.prefix(audit.repo.objects.commit(tip).tree))
    except (MissingObject, GitError) as error:
        audit.find(main, error.message)


def _broken(audit: Audit, tip: str, message: str) -> None:
    """The replay cannot go on: name the commit. Main can still be compared with what is there."""
    named = _COMMIT.search(message)
    audit.find(named[0] if named else tip, message)
    audit.skip(f"what the ledger says after transition {audit.snapshot.seq}: it cannot be replayed")
    listing = audit.repo.git.call("rev-list", "--end-of-options", tip)
    audit.commits.update(listing.out.decode("ascii").split())
    for entry in _readable(audit.repo, tip):
        record = entry.record
        if isinstance(record, Noted) and record.topic is Topic.LANDING:
            audit.noted.add(record.commit)
            audit.works.update(second_parent(audit.repo, record.commit))


def _readable(repo: Repo, tip: str) -> list[Entry]:
    """The transitions that note a landing, if they can be read at all."""
    try:
        return list(newest(repo, tip, words=[f'"topic":"{Topic.LANDING}"']))
    except _UNREADABLE:
        return []


def _transition(audit: Audit, entry: Entry) -> None:
    """One transition: whether it is possible here, and whether what it says is so."""
    audit.commits.add(entry.commit)
    if entry.author != LIFEOS.email:
        audit.find(entry.commit, f"it was not made by lifeos but by {entry.author}")
    for check in _BEFORE:
        _look(audit, entry, check)
    try:
        audit.snapshot = apply(audit.snapshot, entry.record, entry.commit)
    except IllegalTransition as error:
        message = f"ledger commit {entry.commit} is not possible where it stands: {error}"
        raise LedgerBroken(message) from error
    if audit.snapshot.seq != entry.seq:
        raise LedgerBroken(
            f"ledger commit {entry.commit} says it is transition {entry.seq}, but it is the"
            f" {audit.snapshot.seq}th: something was dropped, put in or reordered"
        )
    _look(audit, entry, check_state)
    follow(audit, entry)
    audit.tree = entry.tree


def _look(audit: Audit, entry: Entry, check: Callable[[Audit, Entry], None]) -> None:
    """One check. What it needs and cannot read is a finding like any other."""
    try:
        check(audit, entry)
    except (MissingObject, GitError) as error:
        audit.find(entry.commit, error.message)


def _opened(audit: Audit, entry: Entry) -> None:
    record = entry.record
    if not isinstance(record, Opened):
        return
    if record.run != short_id("R", audit.snapshot.root, record.task, record.ordinal):
        audit.find(entry.commit, f"run {record.run} is not the id that follows from its task")
    if record.governance != audit.snapshot.governance:
        audit.find(entry.commit, f"run {record.run} was opened under a set that is not adopted")


def _claim(audit: Audit, entry: Entry) -> None:
    record = entry.record
    if isinstance(record, Claimed):
        if record.nonce in audit.nonces:
            audit.find(entry.commit, "its nonce was used before: a copied claim")
        audit.nonces.add(record.nonce)


def _decision(audit: Audit, entry: Entry) -> None:
    """The recorded action is the one that the pinned rules choose on the recorded facts."""
    record = entry.record
    if not isinstance(record, Finished) or record.facts is None:
        return
    run = audit.snapshot.runs.get(record.run)
    rules = audit.governance(entry.tree, run.governance) if run else None
    if run is None or rules is None:
        audit.skip("decisions under rules that this lifeos cannot read")
        return
    again = judge(run, record.stage, record.facts, rules, record.at)
    taken = (record.action, record.rule, record.to, _asked(record.ask), record.wake)
    if (again.action, again.rule, again.to, _asked(again.ask), again.wake) != taken:
        audit.find(
            entry.commit,
            f"{record.action} by {record.rule} was recorded; the rules say"
            f" {again.action} by {again.rule}",
        )
    audit.count("decision")


_BEFORE: tuple[Callable[[Audit, Entry], None], ...] = (
    check_tree,
    check_rules,
    _opened,
    _claim,
    _decision,
    check_item,
    check_answer,
    check_gate,
    check_landing,
    check_proposal,
)


def _asked(ask: Ask | None) -> Ask | None:
    """A checkpoint without its wording, which is for people and may be said better one day."""
    if ask is None:
        return None
    return ask.model_copy(update={"question": "", "then": _asked(ask.then)})
