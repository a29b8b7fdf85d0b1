"""Whether a run may go on now, as far as its pause and the money go."""

from __future__ import annotations

from lifeos.core.facts import Facts
from lifeos.core.questions import rules_of
from lifeos.core.spend import add_spend
from lifeos.core.state import Run, RunStatus, Snapshot, Spend


def awake(run: Run, facts: Facts, now: int) -> bool:
    """Whether a run may be claimed now, as far as its pause goes."""
    wake = run.wake
    if run.status is RunStatus.READY or wake is None:
        return run.status is RunStatus.READY
    if run.status is not RunStatus.PAUSED:
        return False
    if wake.stop:
        return not facts.stop
    by_main = wake.main is not None and wake.main != facts.main
    return by_main or (wake.at is not None and now >= wake.at)


def reserve_of(run: Run, facts: Facts) -> float:
    """What the next attempt may cost: each grant of more budget adds as much again."""
    if run.stage not in facts.paid:
        return 0.0
    return rules_of(run, facts).loop.budgets.reserve_per_attempt * (1 + run.grants)


def period_spent(
    snapshot: Snapshot, facts: Facts, now: int, run: Run, reserved: float = 0.0
) -> str:
    """The budget over all runs into which this run's next attempt does not fit, or ''.

    ``reserved`` is what other attempts may still spend: to be waited for, not to be asked about.
    """
    if run.stage not in facts.paid:
        return ""
    budgets = facts.sets[snapshot.governance].loop.budgets
    spend = add_spend(snapshot.spend, now, 0.0)
    need = reserved + reserve_of(run, facts)
    periods = (
        ("cost_per_day", spend.day, spend.day_cost, budgets.cost_per_day),
        ("cost_per_month", spend.month, spend.month_cost, budgets.cost_per_month),
    )
    for name, period, cost, limit in periods:
        over = cost >= limit or cost + need > limit
        if over and not _granted_in(run, name, period):
            return name
    return ""


def _granted_in(run: Run, name: str, period: str) -> bool:
    """Whether a person let this run go on over this budget, in this day ("2025-01-31") or month."""
    at = run.granted.get(name)
    return at is not None and add_spend(Spend(), at, 0.0).day.startswith(period)
