"""The patterns in how the rules work out, each by thresholds of its own. Pure.

What is found is evidence, and a change that would answer it. Whether that change weakens a gate is
decided elsewhere (``gates``), by comparing the rules before and after it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from lifeos.core.improve.asking import green_checks, idle_rules, rubber_stamps
from lifeos.core.improve.failing import recurring, unfit_answers
from lifeos.core.improve.look import Look
from lifeos.core.improve.proposal import Pattern
from lifeos.core.improve.spending import hit_budgets, idle_seats

_FINDERS: tuple[Callable[[Look], Iterator[Pattern]], ...] = (
    recurring,
    idle_rules,
    green_checks,
    rubber_stamps,
    idle_seats,
    hit_budgets,
    unfit_answers,
)


def patterns(look: Look) -> tuple[Pattern, ...]:
    """Everything that meets its threshold, in an order that depends on nothing else."""
    found = [pattern for find in _FINDERS for pattern in find(look)]
    return tuple(sorted(found, key=lambda pattern: pattern.key))
