"""What was spent in the current UTC day and month, over all runs."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache

from lifeos.core.state import Spend
from lifeos.model import Usage


@lru_cache(maxsize=64)
def _day(number: int) -> str:
    """The UTC day of this number since 1970 ("2025-01-31"); a rebuild asks for it all the time."""
    return datetime.fromtimestamp(number * 86_400, UTC).strftime("%Y-%m-%d")


def dollars(cost: float) -> str:
    """US dollars, to the cent; what is less than one is not shown as nothing."""
    return "<$0.01" if 0 < cost < 0.005 else f"${cost:.2f}"


def cost_of(usage: Usage) -> str:
    """What it cost, and whether that is an estimate."""
    return f"about {dollars(usage.cost)}, estimated" if usage.estimated else dollars(usage.cost)


def add_spend(spend: Spend, at: int, cost: float, *, estimated: bool = False) -> Spend:
    """The day's and month's cost with this added; a new UTC day or month begins at zero."""
    day = _day(at // 86_400)
    month = day[:7]
    same_day, same_month = spend.day == day, spend.month == month
    return Spend(
        day=day,
        day_cost=cost + (spend.day_cost if same_day else 0.0),
        day_estimated=estimated or (same_day and spend.day_estimated),
        month=month,
        month_cost=cost + (spend.month_cost if same_month else 0.0),
        month_estimated=estimated or (same_month and spend.month_estimated),
    )
