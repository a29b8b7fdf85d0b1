"""Whether what landed stayed where its run was allowed to write."""

from __future__ import annotations

from lifeos.core.envelope import BreachKind, Budget, judge
from lifeos.core.policy import Governance
from lifeos.core.records import Noted, Topic
from lifeos.core.state import Run
from lifeos.store.diff import diff
from lifeos.store.entries import Entry
from lifeos.tick.audit import Area, Audit

_BY_NAME = frozenset(
    {
        BreachKind.GOVERNANCE,
        BreachKind.PROTECTED,
        BreachKind.PINNED,
        BreachKind.ENVIRONMENT,
        BreachKind.OUTSIDE,
        BreachKind.NEW_FILE,
        BreachKind.SUBMODULE,
        BreachKind.BUDGET,
    }
)
"""What follows from the change itself. What its content was judged by is on record only."""
_MOST = 20
"""Breaches of one landing that are named."""


def check_envelope(audit: Audit, entry: Entry) -> None:
    """A landing changes only what the run might change, or what a person accepted."""
    record = entry.record
    if not isinstance(record, Noted) or record.topic is not Topic.LANDING:
        return
    run = audit.snapshot.runs.get(record.run or "")
    rules = audit.governance(entry.tree, run.governance) if run else None
    base = audit.tree_of(run.base) if run else None
    if run is None or not run.work:
        return  # not possible here, and said when the record is applied
    if rules is None or base is None:
        audit.skip("protected paths under rules, or on a base, that are not here to read")
        return
    audit.count(Area.PROTECTED)
    if run.accepted == run.work:
        return
    for text in _breaches(audit, rules, run, base)[:_MOST]:
        audit.find(entry.commit, f"{record.commit[:12]}, landed by {run.id}: {text}")


def _breaches(audit: Audit, rules: Governance, run: Run, base: str) -> list[str]:
    budgets, times = rules.loop.budgets, 1 + run.grants
    work = audit.redacted.works.get(run.work, run.work)
    if work != run.work:
        audit.skip("how large content was that is redacted: its places are judged, not its lines")
    found = judge(
        diff(audit.repo, base, work, sizes=False),
        envelope=rules.envelope.model_copy(update={"secrets": False}),
        budget=Budget(budgets.diff_lines * times, budgets.diff_files * times),
        scope=run.scope,
        pinned=tuple(glob for check in rules.config.checks for glob in check.pinned),
        prepare_inputs=tuple(glob for step in rules.config.prepare for glob in step.inputs),
        contents={},
    )
    return [str(breach) for breach in found if breach.kind in _BY_NAME]
