"""Whether what was asked is what the record says, and who really answered."""

from __future__ import annotations

from collections.abc import Iterator

from lifeos import strict_yaml
from lifeos.core.answers import AnswerFile, answer_path, answer_text, read_answer
from lifeos.core.approvals import Signed, is_approver
from lifeos.core.canonical import short_id
from lifeos.core.facts import Facts
from lifeos.core.policy import Approvals, ExpiryThen
from lifeos.core.questions import apart_subject, subject_of
from lifeos.core.records import Held, Resolved
from lifeos.core.state import Item
from lifeos.errors import UsageError
from lifeos.model import Decision, Trust
from lifeos.store.entries import Entry
from lifeos.store.history import introducing
from lifeos.store.objects import LIFEOS, Commit, MissingObject
from lifeos.store.signature import verify
from lifeos.tick.audit import Area, Audit


def check_item(audit: Audit, entry: Entry) -> None:
    """A question has the id that follows from its place, and the subject that it is about."""
    record, snapshot = entry.record, audit.snapshot
    if not isinstance(record, Held):
        return
    audit.count(Area.APPROVALS)
    if record.item != short_id("Q", snapshot.root, snapshot.seq):
        audit.find(entry.commit, f"item {record.item} is not the id that follows from its place")
    expected = _subject(audit, entry, record)
    if expected is not None and record.subject != expected:
        audit.find(entry.commit, f"the subject of {record.item} is not what it asks about")


def _subject(audit: Audit, entry: Entry, record: Held) -> str | None:
    snapshot = audit.snapshot
    if record.run is None:
        return apart_subject(snapshot, record.item, record.item_kind, record.about)
    run = snapshot.runs.get(record.run or "")
    if run is None:
        return None
    rules = audit.governance(entry.tree, run.governance)
    if rules is None:
        audit.skip("questions under rules that this lifeos cannot read")
        return None
    try:
        content = audit.content(run.work, rules.config.id_prefix) if run.work else ""
    except MissingObject as error:
        if not audit.redacted.took(error.oid):
            raise
        audit.skip("questions about work whose backlog was redacted")
        return None
    facts = Facts(main="", contents={run.id: content} if content else {})
    return subject_of(snapshot, facts, run, record.item, record.item_kind, record.about)


def check_answer(audit: Audit, entry: Entry) -> None:
    """An answer lies in the commit it names, on main, brought by an approver of then and now."""
    record = entry.record
    if not isinstance(record, Resolved):
        return
    item = audit.snapshot.items.get(record.item)
    if item is None:
        return  # not possible here, and said when the record is applied
    audit.count(Area.APPROVALS)
    for what in _faults(audit, entry, record, item):
        audit.find(entry.commit, f"the answer to {record.item}: {what}")


def _faults(audit: Audit, entry: Entry, record: Resolved, item: Item) -> Iterator[str]:
    if record.who == "expiry":
        yield from _expiry(audit, entry, record, item)
        return
    rules = audit.governance(entry.tree, audit.snapshot.governance)
    if rules is None:
        audit.skip("answers under rules that this lifeos cannot read")
    elif record.trust is not rules.approvals.trust:
        yield f"it came by trust {record.trust}; the rules want {rules.approvals.trust}"
    if record.trust is Trust.MERGE:
        audit.skip("answers by merge: only the forge knows who merged")
        return
    audit.answers += 1
    yield from _said(record, item)
    commit = audit.commit(record.commit)
    if commit is None:
        yield f"its commit {record.commit[:12]} is not here"
        return
    yield from _brought(audit, record, commit)
    for digest in dict.fromkeys((item.governance, audit.snapshot.governance)):
        yield from _person(audit, entry, record, commit, digest)


def _expiry(audit: Audit, entry: Entry, record: Resolved, item: Item) -> Iterator[str]:
    """Time alone only ever rejects, and only where the rules say so."""
    rules = audit.governance(entry.tree, audit.snapshot.governance)
    late = item.expires_at is not None and record.at >= item.expires_at
    wanted = rules is None or rules.approvals.expiry.then is ExpiryThen.REJECT
    if record.decision is not Decision.REJECT or not late or not wanted:
        yield f"{record.decision} by expiry, which the rules did not decide"


def _said(record: Resolved, item: Item) -> Iterator[str]:
    """The recorded decision is the one in the person's own file, about this very subject."""
    raw = record.raw.encode()
    if raw == _as_written(record, item):
        return  # as `lifeos approve` writes it: reading YAML is most of what an answer costs
    answer = read_answer(record.item, strict_yaml.read(raw, record.item).value, raw)
    if not isinstance(answer, AnswerFile):
        yield f"its file cannot be read: {answer.reason}"
    elif answer.decision is not record.decision:
        yield f"its file says {answer.decision}, the record {record.decision}"
    elif (answer.item, answer.subject) != (item.id, item.subject):
        yield "its file is about something else than was asked"
    elif answer.comment != record.comment:
        yield "its file has another comment than the record"


def _as_written(record: Resolved, item: Item) -> bytes:
    try:
        return answer_text(item.id, record.decision, item.subject, record.comment)
    except UsageError:
        return b""


def _brought(audit: Audit, record: Resolved, commit: Commit) -> Iterator[str]:
    short = commit.oid[:12]
    path = answer_path(record.item)
    data = audit.read(commit.tree, path)
    if data is None or data.decode("utf-8", "replace") != record.raw:
        yield f"its commit {short} does not have what was recorded"
        return
    if not _fresh(audit, commit, path):
        bringer = introducing(audit.repo, commit.oid, path)
        if bringer is None or bringer.commit != commit.oid:
            yield f"{short} has the answer, but did not bring it"
    if audit.main is not None and not audit.is_on_main(commit.oid):
        yield f"its commit {short} is not on main"


def _fresh(audit: Audit, commit: Commit, path: str) -> bool:
    """Whether none of its parents has anything there: then it brought it, and git need not look."""
    audit.repo.require_complete()
    trees = [audit.tree_of(parent) for parent in commit.parents]
    return all(tree is not None and audit.trees.lookup(tree, path) is None for tree in trees)


def _person(
    audit: Audit, entry: Entry, record: Resolved, commit: Commit, digest: str
) -> Iterator[str]:
    """Whether whoever brought it was an approver, in one of the two sets that count."""
    rules = audit.governance(entry.tree, digest)
    people = {commit.author.identity.email.casefold(), commit.committer.identity.email.casefold()}
    if rules is None:
        audit.skip("answers under rules that this lifeos cannot read")
    elif not is_approver(rules.approvals, record.who):
        yield f"{record.who} was not an approver"
    elif people != {record.who.casefold()} or LIFEOS.email in people:
        yield f"{commit.oid[:12]} was not brought by {record.who}"
    elif record.trust is Trust.SIGNATURE:
        yield from _signature(audit, record, rules.approvals)


def _signature(audit: Audit, record: Resolved, approvals: Approvals) -> Iterator[str]:
    signers = [(who.email, who.key) for who in approvals.approvers if who.key]
    signed = verify(audit.repo, record.commit, signers)
    if not isinstance(signed, Signed) or signed.principal.casefold() != record.who.casefold():
        yield f"{record.commit[:12]} is not signed by {record.who}"
