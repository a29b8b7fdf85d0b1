"""Whether what is noted as taken back was landed, and was taken back by just that commit."""

from __future__ import annotations

from collections.abc import Iterator

from lifeos.core.approvals import is_approver
from lifeos.core.records import Closed, Noted, Topic
from lifeos.model import CloseOutcome
from lifeos.store.endings import closed_path
from lifeos.store.entries import Entry
from lifeos.tick.audit import Area, Audit
from lifeos.tick.audit_trees import read_ended
from lifeos.tick.revert import without_work


def check_revert(audit: Audit, entry: Entry) -> None:
    """A note that a landing was taken back, and what it makes of the end of its task."""
    record = entry.record
    if isinstance(record, Closed) and record.outcome is CloseOutcome.PASS:
        run = audit.snapshot.runs.get(record.run)
        audit.passed[record.run] = (run.task if run else "", record.landed)
    if not isinstance(record, Noted) or record.topic is not Topic.REVERTED:
        return
    for what in _faults(audit, entry, record):
        audit.find(entry.commit, what)
    _told(audit, entry, record)


def _faults(audit: Audit, entry: Entry, record: Noted) -> Iterator[str]:
    run, short = record.run or "", record.commit[:12]
    noted = audit.landings.get(run)
    if noted is None or audit.passed.get(run) != (record.task, record.onto):
        yield f"{record.onto[:12]}, noted as taken back, is nothing that {run or '?'} landed"
        return
    rules = audit.governance(entry.tree, audit.snapshot.governance)
    if rules is not None and not is_approver(rules.approvals, record.who):
        yield f"{record.who}, who took {run} back, was not an approver"
    if audit.main is None:
        return
    made = audit.on_main.get(record.commit)
    if made is None:
        yield f"{short}, which took it back, is not on main"
        return
    before = audit.on_main.get(next(iter(made.parents), ""))
    if before is None or not audit.is_on_main(record.onto):
        yield f"{short} takes nothing of {run} back"
        return
    merged = without_work(audit.repo, before.commit, record.onto, noted.onto)
    if merged.tree is None:
        audit.skip("what people made of reverts that git cannot make by itself")
        return
    prefix = audit.prefix(entry.tree)
    if audit.content(merged.tree, prefix) != audit.content(made.tree, prefix):
        yield f"{short} does not take back what {run} landed, and nothing else"


def _told(audit: Audit, entry: Entry, record: Noted) -> None:
    """The end of the task says what took it back, if that run was its last, and no more."""
    before = read_ended(audit, audit.tree, record.task)
    now = read_ended(audit, entry.tree, record.task)
    last = before is not None and before.run == record.run
    wanted = before.model_copy(update={"reverted": record.commit}) if before and last else before
    if now != wanted:
        what = f"{closed_path(record.task)} does not say what took it back, and that alone"
        audit.find(entry.commit, what, Area.EVIDENCE)
