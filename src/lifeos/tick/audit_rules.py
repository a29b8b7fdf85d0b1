"""Whether the adopted rules are those of main, and were brought by those who may change them."""

from __future__ import annotations

from collections.abc import Iterator

from lifeos.core.records import Held, Noted, Resolved, Topic
from lifeos.core.state import Item, Snapshot
from lifeos.core.table import INTRUDED
from lifeos.model import ItemKind, Trust
from lifeos.store.entries import Entry
from lifeos.store.git import GitError
from lifeos.store.history import Introduced, brought_by
from lifeos.store.objects import MissingObject
from lifeos.tick.audit import Area, Audit
from lifeos.tick.authority import by_approver
from lifeos.tick.reading import QUEUE, RULES, STOP


def check_rules(audit: Audit, entry: Entry) -> None:
    """A set adopted on sight is that of a commit on main, and its changes are approvers'."""
    record = entry.record
    if not isinstance(record, Noted) or record.topic not in (Topic.GENESIS, Topic.GOVERNANCE):
        return
    if audit.governance(entry.tree, record.digest) is None:
        audit.skip("sets of rules that this lifeos cannot read")
    audit.count(Area.RULES)
    for what in _faults(audit, entry, record):
        audit.find(entry.commit, f"the rules {record.digest[:12]} {what}")


def _faults(audit: Audit, entry: Entry, record: Noted) -> Iterator[str]:
    short = record.commit[:12]
    tree = audit.tree_of(record.commit)
    if tree is None:
        yield f"are of the commit {short}, which is not here"
        return
    if audit.rules_at(tree) != record.digest:
        yield f"are not those of {short}"
    if audit.main is not None and not audit.is_on_main(record.commit):
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


# --- changes that nobody adopted --------------------------------------------------------------


def check_known(audit: Audit, entry: Entry) -> None:
    """What was asked or answered on a main whose rules nobody had adopted, refused or asked about.

    lifeos looks at the rules before it does either, so somebody kept it from that.
    """
    record = entry.record
    if not isinstance(record, Held | Resolved) or not record.main:
        return
    tree = audit.tree_of(record.main)
    if tree is None:
        return  # what a record says of main is checked where it matters
    audit.count(Area.RULES)
    if INTRUDED in {_rule(record), *(item.rule for item in audit.snapshot.items.values())}:
        return  # rules wait while it is asked what to do with what came to main unasked
    if isinstance(record, Resolved) and _lands(audit.snapshot.items.get(record.item)):
        return  # its merge is the answer and brought them: `audit_proposals` compares what landed
    own = record.about if isinstance(record, Held) else ""
    snapshot, digest = audit.snapshot, audit.rules_at(tree)
    if digest in (snapshot.governance, snapshot.refused_governance, own) or _asked(snapshot):
        return
    if not audit.broken_at(tree):
        for brought in _changes(audit, record.main):
            short = entry.commit[:12]
            audit.find(
                brought.commit,
                f"it changed the rules, nobody adopted that, and lifeos went on with {short}",
            )


def _lands(item: Item | None) -> bool:
    """Whether the merge of its pull request lands a proposal."""
    if item is None or item.kind is not ItemKind.PROPOSAL:
        return False
    return item.pull is not None and item.pull.landing


def _rule(record: Held | Resolved) -> str:
    return record.rule if isinstance(record, Held) else ""


def _asked(snapshot: Snapshot) -> tuple[str, ...]:
    """The open questions about rules."""
    items = snapshot.items.values()
    return tuple(item.id for item in items if item.kind is ItemKind.GOVERNANCE)


def _changes(audit: Audit, main: str) -> tuple[Introduced, ...]:
    """The commits up to this one of main that changed the rules since the adopted set."""
    since = audit.snapshot.adopted_on
    try:
        found = brought_by(audit.repo, main, RULES, since, without=(QUEUE, STOP))
    except (GitError, MissingObject):
        return ()
    return tuple(one for one in found or () if one.commit not in audit.unadopted)


def check_present(audit: Audit, main: str, tree: str) -> None:
    """The rules of main as it is now. What an approver brought, the next tick adopts."""
    snapshot = audit.snapshot
    rules = audit.governance(tree, snapshot.governance)
    now = audit.on_main[main].tree
    digest = audit.rules_at(now)
    if digest == snapshot.governance or rules is None:
        return
    differ = f"the rules on main ({digest[:12]}) are not the adopted ones"
    if digest == snapshot.refused_governance:
        audit.note(f"{differ}: they were refused")
    elif asked := _asked(snapshot):
        audit.note(f"{differ}: {', '.join(asked)} asks about them")
    elif audit.broken_at(now):
        audit.note(f"{differ}: they are broken (lifeos validate)")
    elif rules.approvals.trust is Trust.MERGE:
        audit.skip(f"{differ}: only the forge knows who brought them")
    else:
        changes = _changes(audit, main)
        bad = [c for c in changes if not by_approver(audit.repo, c, rules.approvals)]
        for one in bad:
            who = one.author.email
            audit.find(
                one.commit, f"it changed the rules, nobody adopted that, and {who} is no approver"
            )
        if not bad:
            audit.note(f"{differ} yet: an approver brought them, and the next tick adopts them")
