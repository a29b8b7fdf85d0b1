"""What a measurement is made of: values only. Times are seconds UTC, money is US dollars."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import NamedTuple

from lifeos.model import Frozen


class Unit(StrEnum):
    """What a value is. A share is from 0 to 1; a count is so many for each."""

    SHARE = "share"
    SECONDS = "seconds"
    DOLLARS = "dollars"
    TOKENS = "tokens"
    COUNT = "count"


class Better(StrEnum):
    """Which way is better, all else being equal."""

    MORE = "more"
    LESS = "less"
    NEITHER = "neither"


class Link(Frozen):
    """A landed run, and what showed that it was not good: ``how`` is "reverted" or "repaired".

    ``by`` is the commit on main that took it back, or the later run that repaired it.
    """

    run: str
    how: str
    by: str


class Measured(Frozen):
    """``numerator`` by ``denominator``; ``value`` None: there was nothing to measure.

    ``median`` is there where the value is the mean of a length of time. ``runs`` are those that
    the numerator counts, in the order of their opening, and ``items`` the questions.
    """

    name: str
    numerator: float
    denominator: int
    value: float | None
    median: float | None = None
    runs: tuple[str, ...] = ()
    items: tuple[str, ...] = ()


class Metric(Measured):
    """One number. ``parts`` say where it comes from; they may overlap.

    ``title`` is what people call it, ``counts`` what the numerator counts and ``among`` what the
    denominator does. ``estimated``: nobody told what some of it cost.
    """

    title: str
    counts: str
    among: str
    unit: Unit
    better: Better
    parts: tuple[Measured, ...] = ()
    links: tuple[Link, ...] = ()
    estimated: bool = False


class Window(Frozen):
    """The numbers of the runs that closed in [since, until); ``closed`` are those runs.

    ``landed`` is how many of them passed, ``open`` how many runs were open at its end.
    """

    since: int
    until: int
    closed: tuple[str, ...] = ()
    landed: int = 0
    open: int = 0
    metrics: tuple[Metric, ...] = ()


class Kept(Frozen):
    """A limit, and the value that it was held against; ``kept`` None: nothing to measure."""

    name: str
    unit: Unit
    bound: float
    lowest: bool
    value: float | None
    kept: bool | None


class Tally(NamedTuple):
    """What one run, or one question, adds to the numerator and to the denominator."""

    run: str
    amount: float
    of: int = 1
    item: str = ""


def measured(
    name: str, tallies: Iterable[Tally], *, lengths: bool = False, items: bool = False
) -> Measured:
    """The sum of these. ``lengths``: each is a length of time, and all of them are counted."""
    every = tuple(tallies)
    counted = every if lengths else tuple(one for one in every if one.amount)
    numerator = math.fsum(one.amount for one in every)
    denominator = sum(one.of for one in every)
    return Measured(
        name=name,
        numerator=numerator,
        denominator=denominator,
        value=numerator / denominator if denominator else None,
        median=median([one.amount for one in every]) if lengths else None,
        runs=tuple(dict.fromkeys(one.run for one in counted if one.run)),
        items=tuple(one.item for one in counted) if items else (),
    )


def median(values: Sequence[float]) -> float | None:
    """The middle one, or the mean of the two in the middle; None of nothing."""
    ordered, half = sorted(values), len(values) // 2
    if not ordered:
        return None
    return ordered[half] if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) / 2
