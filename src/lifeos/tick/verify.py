"""Checking what the ledger claims: replay it, recheck every decision, compare with main.

Everything is read from commits, so it works in a bare clone too. A finding names the commit. What
cannot be checked here is said, not passed over.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Set

from lifeos.core.canonical import short_id
from lifeos.core.judge import judge
from lifeos.core.machine import apply
from lifeos.core.records import Claimed, Closed, Finished, Noted, Opened, Topic
from lifeos.core.state import Ask, Snapshot
from lifeos.errors import IllegalTransition, LedgerBroken
from lifeos.governance import load_set
from lifeos.model import Frozen
from lifeos.store.entries import Entry, read_entries
from lifeos.store.git import GitError
from lifeos.store.ledger import SEEN, Ledger
from lifeos.store.objects import LIFEOS, MissingObject
from lifeos.store.remote import contains
from lifeos.store.repo import Repo
from lifeos.store.story import newest
from lifeos.tick.audit import Area, Audit, Finding
from lifeos.tick.audit_answers import check_answer, check_item
from lifeos.tick.audit_budgets import check_budgets
from lifeos.tick.audit_envelope import check_envelope
from lifeos.tick.audit_main import (
    Outside,
    check_gate,
    check_landing,
    check_main,
    outside,
)
from lifeos.tick.audit_pages import check_page, settle_pages
from lifeos.tick.audit_proposals import check_proposal, follow
from lifeos.tick.audit_pulls import check_pull
from lifeos.tick.audit_redactions import check_redaction, read_redactions
from lifeos.tick.audit_reverts import check_revert
from lifeos.tick.audit_rules import check_known, check_present, check_rules
from lifeos.tick.audit_trees import check_state, check_tree
from lifeos.tick.landings import landings_on

__all__ = ["Area", "Finding", "Verified", "main_of", "verify_ledger"]

_UNREADABLE = (LedgerBroken, MissingObject, GitError)
_BATCH = 128
"""Transitions whose folders are fetched together."""
_NEVER = (
    (Area.REPLAY, "a rewind between two commits of main, if no clone has seen what came after"),
    (
        Area.EVIDENCE,
        "whether checks, agents and models really did what was recorded: only that it was recorded",
    ),
    (Area.APPROVALS, "who used an approver's name, key or account"),
)
"""What no clone can check."""
_COMMIT = re.compile(r"\b[0-9a-f]{40}(?:[0-9a-f]{24})?\b")


class Checked(Frozen):
    """One area: how many things of it were looked at, and how many of the findings are its."""

    area: Area
    checked: int
    found: int


class Verified(Frozen):
    """What was checked, what was found, and what could not be checked.

    ``outside`` are the commits of main that did not come through lifeos; they and the ``notes`` are
    no findings. ``unchecked`` goes with its area.
    """

    transitions: int = 0
    decisions: int = 0
    artifacts: int = 0
    answers: int = 0
    landings: int = 0
    anchors: int = 0
    areas: tuple[Checked, ...] = ()
    findings: tuple[Finding, ...] = ()
    unchecked: tuple[tuple[Area, str], ...] = ()
    outside: tuple[Outside, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def good(self) -> bool:
        """Whether nothing was found."""
        return not self.findings


def main_of(repo: Repo, tip: str) -> str | None:
    """The commit of main, by the name that the adopted set gives it; None if it is not here.

    A clone that only fetches has the newer one as origin's.
    """
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
    fetched = repo.refs.read(f"refs/remotes/origin/{branch}")
    if local is None or (fetched is not None and contains(repo, fetched, local)):
        return fetched
    return local


def verify_ledger(
    repo: Repo,
    tip: str,
    main: str | None,
    progress: Callable[[int], None] = lambda _count: None,
) -> Verified:
    """Check the ledger at ``tip`` against itself and ``main`` (a commit, None if unknown)."""
    audit = Audit(repo, main)
    read_redactions(audit, tip)
    number = 0
    try:
        for batch in _batches(read_entries(repo, tip)):
            audit.fetch([audit.tree or None, *(entry.tree for entry in batch)])
            for entry in batch:
                _transition(audit, entry)
                number += 1
                progress(number)
            audit.area = Area.REPLAY
    except _UNREADABLE as error:
        _broken(audit, tip, error.message)
    settle_pages(audit)
    strangers = _main(audit, tip, main)
    seen = repo.refs.read(SEEN)
    if seen and not audit.is_transition(seen):
        what = "this clone has seen this transition, and the ledger lacks it: a rewind"
        audit.find(seen, what, Area.REPLAY)
    for area, what in _NEVER:
        audit.skip(what, area)
    counts = audit.counts
    return Verified(
        transitions=audit.snapshot.seq,
        decisions=counts.get(Area.DECISIONS, 0),
        artifacts=counts.get(Area.EVIDENCE, 0) + counts.get(Area.PACKETS, 0),
        answers=audit.answers,
        landings=counts.get(Area.LANDINGS, 0),
        anchors=audit.anchors,
        areas=tuple(_checked(audit, area) for area in Area),
        findings=tuple(audit.findings),
        unchecked=tuple((area, what) for what, area in audit.unchecked.items()),
        outside=strangers,
        notes=tuple(audit.notes),
    )


def _batches(entries: Iterator[Entry]) -> Iterator[list[Entry]]:
    """Transitions by the batch. What comes before one that cannot be read is still given."""
    batch: list[Entry] = []
    try:
        for entry in entries:
            batch.append(entry)
            if len(batch) == _BATCH:
                yield batch
                batch = []
    except _UNREADABLE:
        yield batch
        raise
    yield batch


def _checked(audit: Audit, area: Area) -> Checked:
    found = sum(one.area is area for one in audit.findings)
    return Checked(area=area, checked=audit.counts.get(area, 0), found=found)


def _main(audit: Audit, tip: str, main: str | None) -> tuple[Outside, ...]:
    """What main says of the ledger; the commits of main that did not come through lifeos."""
    if main is None:
        audit.skip("landings, answers and commits on main: this clone has no main", Area.MAIN)
        return ()
    try:
        tree = audit.repo.objects.commit(tip).tree
        audit.area = Area.MAIN
        check_main(audit, main, audit.prefix(tree))
        audit.area = Area.RULES
        check_present(audit, main, tree)
        ledger = Ledger(audit.repo, tip, tree, audit.snapshot)
        return outside(audit, landings_on(ledger, main))
    except _UNREADABLE as error:
        audit.find(main, error.message, Area.MAIN)
        return ()


def _broken(audit: Audit, tip: str, message: str) -> None:
    """The replay cannot go on: name the commit. Main can still be compared with what is there."""
    named = _COMMIT.search(message)
    audit.find(named[0] if named else tip, message, audit.area)
    rest = f"what the ledger says after transition {audit.snapshot.seq}: it cannot be replayed"
    audit.skip(rest, Area.REPLAY)
    listing = audit.repo.git.call("rev-list", "--end-of-options", tip)
    audit.commits.update(listing.out.decode("ascii").split())
    for entry in _readable(audit.repo, tip):
        record = entry.record
        if isinstance(record, Noted) and record.topic is Topic.LANDING:
            audit.noted.add(record.commit)
            made = audit.on_main.get(record.commit)
            audit.works.update(made.parents[1:] if made else ())


def _readable(repo: Repo, tip: str) -> list[Entry]:
    """The transitions that note a landing, if they can be read at all."""
    try:
        return list(newest(repo, tip, words=[f'"topic":"{Topic.LANDING}"']))
    except _UNREADABLE:
        return []


def _transition(audit: Audit, entry: Entry) -> None:
    """One transition: whether it is possible here, and whether what it says is so."""
    audit.commits.add(entry.commit)
    audit.area = Area.REPLAY
    audit.count(Area.REPLAY)
    if entry.author != LIFEOS.email:
        audit.find(entry.commit, f"it was not made by lifeos but by {entry.author}")
    audit.differences = ()
    for area, check in _BEFORE:
        _look(audit, entry, area, check)
    audit.area = Area.STAGES
    before = audit.snapshot.items.keys()
    try:
        audit.snapshot = apply(audit.snapshot, entry.record, entry.commit)
    except IllegalTransition as error:
        message = f"ledger commit {entry.commit} is not possible where it stands: {error}"
        raise LedgerBroken(message) from error
    if isinstance(entry.record, Opened | Claimed | Finished | Closed):
        audit.count(Area.STAGES)
    audit.area = Area.REPLAY
    if audit.snapshot.seq != entry.seq:
        raise LedgerBroken(
            f"ledger commit {entry.commit} says it is transition {entry.seq}, but it is the"
            f" {audit.snapshot.seq}th: something was dropped, put in or reordered"
        )
    _remember(audit, entry, before)
    _look(audit, entry, Area.EVIDENCE, check_state)
    follow(audit, entry)
    audit.tree = entry.tree


def _remember(audit: Audit, entry: Entry, before: Set[str]) -> None:
    """From where to where each question was open: main is compared with it later."""
    audit.numbers[entry.commit] = entry.seq
    now = audit.snapshot.items.keys()
    if now != before:
        audit.asked.update(dict.fromkeys(now - before, entry.seq))
        audit.over.update(dict.fromkeys(before - now, entry.seq))


def _look(audit: Audit, entry: Entry, area: Area, check: Check) -> None:
    """One check. What it needs and cannot read is a finding like any other."""
    audit.area = area
    try:
        check(audit, entry)
    except (MissingObject, GitError) as error:
        audit.find(entry.commit, error.message)


def _differences(audit: Audit, entry: Entry) -> None:
    """What the transition changed in the tree, for the checks that come after."""
    audit.differences = tuple(audit.trees.differences(audit.tree or None, entry.tree))


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
    audit.count(Area.DECISIONS)


Check = Callable[[Audit, Entry], None]

_BEFORE: tuple[tuple[Area, Check], ...] = (
    (Area.EVIDENCE, _differences),
    (Area.EVIDENCE, check_tree),
    (Area.RULES, check_rules),
    (Area.RULES, check_known),
    (Area.REPLAY, _opened),
    (Area.REPLAY, _claim),
    (Area.BUDGETS, check_budgets),
    (Area.DECISIONS, _decision),
    (Area.APPROVALS, check_item),
    (Area.APPROVALS, check_page),
    (Area.APPROVALS, check_answer),
    (Area.APPROVALS, check_gate),
    (Area.PROTECTED, check_envelope),
    (Area.LANDINGS, check_landing),
    (Area.LANDINGS, check_pull),
    (Area.LANDINGS, check_revert),
    (Area.PROPOSALS, check_proposal),
    (Area.REDACTIONS, check_redaction),
)


def _asked(ask: Ask | None) -> Ask | None:
    """A checkpoint without its wording, which is for people and may be said better one day."""
    if ask is None:
        return None
    return ask.model_copy(update={"question": "", "then": _asked(ask.then)})
