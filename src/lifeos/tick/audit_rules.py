"""Whether the adopted rules are those of main, and were brought by those who may change them."""

from __future__ import annotations

from collections.abc import Iterator

from lifeos.core.records import Noted, Topic
from lifeos.governance import governance_digest
from lifeos.model import Trust
from lifeos.store.entries import Entry
from lifeos.store.history import brought_by, is_ancestor
from lifeos.tick.audit import Audit
from lifeos.tick.authority import by_approver
from lifeos.tick.reading import QUEUE, RULES, STOP, governance_files


def check_rules(audit: Audit, entry: Entry) -> None:
    """A set adopted on sight is that of a commit on main, and its changes are approvers'."""
    record = entry.record
    if not isinstance(record, Noted) or record.topic not in (Topic.GENESIS, Topic.GOVERNANCE):
        return
    if audit.governance(entry.tree, record.digest) is None:
        audit.skip("sets of rules that this lifeos cannot read")
    for what in _faults(audit, entry, record):
        audit.find(entry.commit, f"the rules {record.digest[:12]} {what}")


def _faults(audit: Audit, entry: Entry, record: Noted) -> Iterator[str]:
    repo = audit.repo
    short = record.commit[:12]
    try:
        tree = repo.objects.commit(record.commit).tree
    except (KeyError, ValueError):
        yield f"are of the commit {short}, which is not here"
        return
    if governance_digest(governance_files(repo, tree)) != record.digest:
        yield f"are not those of {short}"
    if audit.main is not None and not is_ancestor(repo, record.commit, audit.main):
        yield f"are of {short}, which is not on main"
    if record.topic is Topic.GOVERNANCE:
        yield from _brought(audit, entry, record)


def _brought(audit: Audit, entry: Entry, record: Noted) -> Iterator[str]:
    """Every change since the set before, by approvers of that set."""
    before = audit.snapshot
    rules = audit.governance(entry.tree, before.governance)
    if rules is None:
        audit.skip("changes of rules under rules that this lifeos cannot read")
        return
    if rules.approvals.trust is Trust.MERGE:
        audit.skip("changes of rules by merge: only the forge knows who merged")
        return
    since = before.adopted_on
    brought = brought_by(audit.repo, record.commit, RULES, since, without=(QUEUE, STOP))
    if brought is None:
        yield f"do not follow from {since[:12]}, which had the set before"
        return
    for commit in brought:
        if not by_approver(audit.repo, commit, rules.approvals):
            yield f"were changed by {commit.author.email} in {commit.commit[:12]}, not an approver"
