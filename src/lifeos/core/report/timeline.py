"""A run as a picture: its stages below each other, its attempts from left to right, and the CEO.

Attempts take seconds and answers take days, so time is not drawn to scale: what takes longer takes
more room, but a hundred times as long is not a hundred times as wide. The order is true.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise

from lifeos.core.report.data import AskLine, AttemptLine, Look, RunStory
from lifeos.core.report.svg import element, named, number, percent, picture, words
from lifeos.core.report.words import moment, plural, took
from lifeos.core.spend import dollars
from lifeos.core.table import STAGES
from lifeos.model import CloseOutcome, Decision, Stage

ROW = 22
"""Pixels of one row; the page puts the names of the rows beside them at the same height."""
_BAR = 14
_CEO = "CEO"
_MOST_SQUARES = 24
_SQUARE, _STEP = 10, 13


def rows(story: RunStory) -> tuple[str, ...]:
    """The names of the rows: the stages that the run was at, in their order, and who was asked."""
    used = {attempt.stage for attempt in story.attempts}
    if story.under_way is not None:
        used.add(story.under_way[0])
    found = [stage.value.replace("_", " ") for stage in STAGES if stage in used]
    return (*found, _CEO) if story.questions else tuple(found)


def scale(moments: Iterable[int]) -> Mapping[int, float]:
    """Where each moment is across the picture, from 0 to 100; in order, and never on one place."""
    known = sorted(set(moments))
    widths = [math.log1p(after - before) + 0.7 for before, after in pairwise(known)]
    whole = sum(widths) or 1
    places, so_far = {}, 0.0
    for at, width in zip(known, [0.0, *widths], strict=False):
        so_far += width
        places[at] = so_far / whole * 100
    return places


def timeline(ident: str, story: RunStory, now: int) -> str:
    """The whole picture. ``now``: up to when what has not ended is drawn."""
    names = rows(story)
    places = scale(spans(story, now))
    order = {name: i for i, name in enumerate(names)}
    parts = [_ground(i) for i in range(len(names))]
    parts += [
        _attempt(attempt, places, order[_row(attempt.stage)] * ROW) for attempt in story.attempts
    ]
    if story.under_way is not None:
        stage, began = story.under_way
        parts.append(_under_way(stage, began, now, places, order[_row(stage)] * ROW))
    parts += [_question(ask, now, places, order[_CEO] * ROW) for ask in story.questions]
    if story.outcome is not None and story.closed is not None:
        parts.append(_end(story.outcome, len(names) * ROW))
    title = f"How {story.run} went"
    return picture(ident, len(names) * ROW, title, told(story), *parts, class_="timeline")


def told(story: RunStory) -> str:
    """The picture in words."""
    by_look = [
        f"{count} {word}"
        for look, word in _WORDS.items()
        if (count := sum(attempt.look is look for attempt in story.attempts))
    ]
    parts = [f"{plural(len(story.attempts), 'attempt')}: {', '.join(by_look) or 'none ended'}"]
    if story.questions:
        asked = plural(len(story.questions), "question")
        parts.append(f"{asked} to the CEO, {took(story.waited)} of waiting")
    parts.append(f"ended {story.outcome}" if story.outcome else "still open")
    return "; ".join(parts)


_WORDS = {
    Look.GOOD: "went well",
    Look.AGAINST: "sent back by a review",
    Look.FAILED: "failed",
    Look.RESTED: "cut off or waiting",
}


def _row(stage: Stage) -> str:
    return stage.value.replace("_", " ")


def spans(story: RunStory, now: int) -> Iterator[int]:
    """Every moment at which something in the picture begins or ends."""
    for attempt in story.attempts:
        yield from (attempt.began, max(attempt.ended, attempt.began + 1))
    for ask in story.questions:
        ended = now if ask.ended is None else ask.ended
        yield from (ask.asked, max(ended, ask.asked + 1))
    if story.under_way is not None:
        began = story.under_way[1]
        yield from (began, max(now, began + 1))
    if story.closed is not None:
        yield story.closed


def _ground(row: int) -> str:
    y = row * ROW + ROW / 2
    return element("line", x1="0", x2="100%", y1=y, y2=y, class_="ground")


def _span(began: int, ended: int, places: Mapping[int, float]) -> tuple[float, float]:
    left = places[began]
    # A hair less than it took, so that what follows at once does not look like one.
    return left, max(places[max(ended, began + 1)] - left - 0.4, 0.8)


def _bar(name: str, class_: str, across: tuple[float, float], top: float) -> str:
    return element(
        "rect",
        named(name),
        x=percent(across[0]),
        width=percent(across[1]),
        y=top + (ROW - _BAR) / 2,
        height=_BAR,
        rx=2,
        class_=class_,
    )


def _attempt(attempt: AttemptLine, places: Mapping[int, float], top: float) -> str:
    to = f" {attempt.to}" if attempt.to is not attempt.stage else ""
    name = (
        f"{attempt.n} {_row(attempt.stage)}: {attempt.outcome}, then {attempt.action}{to} "
        f"({attempt.rule}); {took(attempt.ended - attempt.began)}, {dollars(attempt.cost)}"
    )
    across = _span(attempt.began, attempt.ended, places)
    return _bar(name, f"bar {attempt.look}", across, top)


def _under_way(stage: Stage, began: int, now: int, places: Mapping[int, float], top: float) -> str:
    name = f"{_row(stage)}: under way since {moment(began)} UTC"
    return _bar(name, "bar going", _span(began, now, places), top)


def _question(ask: AskLine, now: int, places: Mapping[int, float], top: float) -> str:
    ended = now if ask.ended is None else ask.ended
    across = _span(ask.asked, ended, places)
    waited = took(ended - ask.asked)
    if ask.decision is not None:
        name = f"{ask.item} ({ask.kind}): {ask.decision} by {ask.who} after {waited}"
    elif ask.ended is None:
        name = f"{ask.item} ({ask.kind}): open for {waited}"
    else:
        name = f"{ask.item} ({ask.kind}): fell away after {waited}"
    return _bar(name, f"bar asked {_answer(ask)}", across, top) + _sign(ask, across, top)


def _answer(ask: AskLine) -> str:
    if ask.decision is None:
        return "unanswered"
    return "yes" if ask.decision is Decision.APPROVE else "no"


def _sign(ask: AskLine, across: tuple[float, float], top: float) -> str:
    """A tick or a cross where the answer came, in pixels around its place."""
    if ask.decision is None:
        return ""
    good = ask.decision is Decision.APPROVE
    return _mark(good=good, x=across[0] + across[1], y=top + ROW / 2)


def _mark(*, good: bool, x: float, y: float, class_: str = "mark") -> str:
    path = "M-3 0l2.2 2.4L3.4 -3" if good else "M-2.6 -2.6L2.6 2.6M2.6 -2.6L-2.6 2.6"
    drawn = element("circle", r=7) + element("path", d=path)
    inside = element("g", drawn, transform="translate(-8 0)")
    kind = "good" if good else "bad"
    return element("svg", inside, x=percent(x), y=y, overflow="visible", class_=f"{class_} {kind}")


def _end(outcome: CloseOutcome, height: float) -> str:
    kind = "good" if outcome is CloseOutcome.PASS else "bad"
    return element(
        "line",
        named(f"ended {outcome}"),
        x1="100%",
        x2="100%",
        y1=0,
        y2=height,
        class_=f"end {kind}",
    )


def squares(ident: str, attempts: Sequence[AttemptLine]) -> str:
    """The attempts of a run as a row of small squares, the last ones if there are many."""
    shown = attempts[-_MOST_SQUARES:]
    more = len(attempts) - len(shown)
    title = plural(len(attempts), "attempt")
    outcomes = ", ".join(f"{_row(one.stage)} {one.outcome}" for one in shown)
    lead = f"{more} before; " if more else ""
    drawn = [_square(attempt, i * _STEP) for i, attempt in enumerate(shown)]
    width = max(len(shown) * _STEP - (_STEP - _SQUARE), 1)
    return element(
        "svg",
        element("title", words(title), id=f"{ident}-t"),
        element("desc", words(f"{lead}{outcomes}"), id=f"{ident}-d"),
        *drawn,
        class_="squares",
        width=width,
        height=_SQUARE + 2,
        viewBox=f"0 0 {number(width)} {_SQUARE + 2}",
        role="img",
        aria_labelledby=f"{ident}-t {ident}-d",
    )


def _square(attempt: AttemptLine, x: float) -> str:
    name = f"{attempt.n} {_row(attempt.stage)}: {attempt.outcome}"
    return element(
        "rect",
        named(name),
        x=x + 0.5,
        y=1.5,
        width=_SQUARE - 1,
        height=_SQUARE - 1,
        rx=2,
        class_=f"bar {attempt.look}",
    )
