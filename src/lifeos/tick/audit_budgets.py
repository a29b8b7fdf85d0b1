"""Whether what was begun fitted into the budgets, with what was set aside for others."""

from __future__ import annotations

from collections.abc import Iterator

from lifeos.core.facts import Facts
from lifeos.core.judge import budget_used_up
from lifeos.core.policy import Governance
from lifeos.core.readiness import period_spent, reserve_of
from lifeos.core.records import Claimed, Opened
from lifeos.core.state import Run
from lifeos.store.entries import Entry
from lifeos.tick.audit import Area, Audit
from lifeos.tick.gather import paid_stages

_CENT = 0.005
"""Sums of many costs are floats: less than this is no difference."""


def check_budgets(audit: Audit, entry: Entry) -> None:
    """Before a claim: the run, the day and the month have room for it. Before an opening too.

    Attempts and their number are part of the decisions, which are taken again.
    """
    record, snapshot = entry.record, audit.snapshot
    if not isinstance(record, Claimed | Opened):
        return
    adopted = audit.governance(entry.tree, snapshot.governance)
    if adopted is None:
        audit.skip("budgets under rules that this lifeos cannot read")
        return
    audit.count(Area.BUDGETS)
    if isinstance(record, Opened):
        limit = adopted.loop.budgets.open_runs
        if len(snapshot.runs) >= limit:
            audit.find(entry.commit, f"{record.run} was opened beside {limit} others, the most")
        return
    run = snapshot.runs.get(record.run)
    pinned = audit.governance(entry.tree, run.governance) if run else None
    if run is None or pinned is None:
        return  # not possible here, or said above
    for what in _faults(audit, record, run, pinned, adopted):
        audit.find(entry.commit, f"{record.stage} {record.n} of {run.id} {what}")


def _faults(
    audit: Audit, record: Claimed, run: Run, pinned: Governance, adopted: Governance
) -> Iterator[str]:
    snapshot = audit.snapshot
    spent = budget_used_up(run.usage, run.grants, pinned.loop)
    if spent:
        yield f"was begun although {spent} was used up, and nobody granted more"
    facts = Facts(
        main="",
        sets={run.governance: pinned, snapshot.governance: adopted},
        paid=paid_stages(adopted.config.agents),
    )
    reserve = reserve_of(run, facts)
    if abs(record.reserved - reserve) > _CENT:
        yield f"set ${record.reserved:.2f} aside, and the rules want ${reserve:.2f}"
    spent = period_spent(snapshot, facts, record.at, run, snapshot.reserved - _CENT)
    if spent:
        yield f"does not fit into {spent} with what others had set aside, and nobody granted more"
