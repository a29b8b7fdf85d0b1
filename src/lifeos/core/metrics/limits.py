"""What a number has to keep to ("without_ceo=50%", "time_to_close.median=6h")."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Mapping

from lifeos.core.metrics.values import Kept, Measured, Metric, Unit, Window
from lifeos.core.policy.loop import Budgets
from lifeos.core.table import REVIEWS
from lifeos.core.when import length
from lifeos.errors import UsageError
from lifeos.model import CloseOutcome, FailureClass, Frozen, ItemKind, Stage

MEDIAN = "median"
_PARTS: Mapping[str, Collection[str]] = {
    "escalations": tuple(ItemKind),
    "time_to_close": (*CloseOutcome, MEDIAN),
    "review_rejections": tuple(REVIEWS),
    "waivers": tuple(FailureClass),
    "attempts_per_task": tuple(Stage),
    "approval_latency": (*ItemKind, MEDIAN),
    "budget_overruns": (*Budgets.model_fields, FailureClass.BUDGET_EXCEEDED),
    "false_greens": ("reverted", "repaired"),
}
"""The parts that a number can have: one that is misspelt would never be over its limit. Flakes are
by the names of checks, which are everybody's own.
"""
_NOT_THERE_IS_NONE = frozenset({"escalations", "waivers", "attempts_per_task", "budget_overruns"})
"""Whose parts are all of the whole: one that is not there is none of it, and not nothing."""
_NUMBER = re.compile(r"[0-9]{1,15}(?:\.[0-9]{1,15})?")
_FORMS = {
    Unit.SHARE: "a share (0.5 or 50%)",
    Unit.SECONDS: "a length of time (90s, 6h, 2d)",
    Unit.DOLLARS: "US dollars (2.50)",
    Unit.TOKENS: "a number of tokens (200000)",
    Unit.COUNT: "a number (1.5)",
}


class Limit(Frozen):
    """A limit of one number: at least (``lowest``) or at most so much. ``name`` may name a part."""

    name: str
    unit: Unit
    bound: float
    lowest: bool


def read_limit(text: str, window: Window, *, lowest: bool) -> Limit:
    """NAME=VALUE or NAME.PART=VALUE, in the unit of that number. Raises ``UsageError``.

    A part that has nothing to measure in this window is no error; one that no window can have is.
    """
    name, equals, value = text.partition("=")
    number, dot, part = name.strip().partition(".")
    found = next((one for one in window.metrics if one.name == number), None)
    if found is None or not equals or (dot and not part):
        known = " ".join(one.name for one in window.metrics)
        raise UsageError(
            f"{text[:80]!r} is no limit of a number",
            f"NAME=VALUE or NAME.PART=VALUE, with NAME one of: {known}",
        )
    possible = _PARTS.get(number, () if number != "flakes" else (part,))
    if part and part not in possible:
        can = f"its parts can be: {' '.join(sorted(possible))}" if possible else "it has none"
        raise UsageError(f"{number} has no part called {part[:80]!r}", can)
    return Limit(
        name=name.strip(), unit=found.unit, bound=_bound(value.strip(), found, text), lowest=lowest
    )


def _bound(value: str, metric: Metric, text: str) -> float:
    if metric.unit is Unit.SECONDS:
        seconds = length(value)
        if seconds is not None:
            return float(seconds)
    percent = metric.unit is Unit.SHARE and value.endswith("%")
    plain = value.removesuffix("%") if percent else value
    if not _NUMBER.fullmatch(plain):
        raise UsageError(
            f"{text[:80]!r} has no value that {metric.name} can have",
            f"{metric.name} is {_FORMS[metric.unit]}",
        )
    bound = float(plain) / (100 if percent else 1)
    if metric.unit is Unit.SHARE and bound > 1:
        raise UsageError(
            f"{text[:80]!r}: a share is from 0 to 1, or from 0% to 100%", _FORMS[metric.unit]
        )
    return bound


def held_against(limit: Limit, window: Window) -> Kept:
    """Whether the number of this window keeps to the limit."""
    number, _, part = limit.name.partition(".")
    metric = next(one for one in window.metrics if one.name == number)
    value = _value(metric, part)
    kept: bool | None = None
    if value is not None:
        close = math.isclose(value, limit.bound, rel_tol=1e-9)
        kept = close or (value >= limit.bound if limit.lowest else value <= limit.bound)
    return Kept(
        name=limit.name,
        unit=limit.unit,
        bound=limit.bound,
        lowest=limit.lowest,
        value=value,
        kept=kept,
    )


def _value(metric: Metric, part: str) -> float | None:
    if not part:
        return metric.value
    if part == MEDIAN:
        return metric.median
    found: Measured | None = next((one for one in metric.parts if one.name == part), None)
    if found is None and metric.name in _NOT_THERE_IS_NONE and metric.denominator:
        return 0.0
    return found.value if found is not None else None
