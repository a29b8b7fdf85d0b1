"""Small pictures of numbers: a line, columns, a bar against its limit."""

from __future__ import annotations

import math
from collections.abc import Sequence

from lifeos.core.report.svg import element, named, number, percent, picture, words

_LINE, _COLUMNS, _METER = 44, 132, 10
_ROOM = 5
"""Pixels above and below a line, so that its dots and its width are not cut off."""
_HEAD = 10
"""Pixels above columns, for half of the number at the highest line."""
_GUTTER = 10
"""Percent at the left of columns, for the numbers of their lines; the page knows it, too."""


def line(ident: str, values: Sequence[float | None], title: str, told: str) -> str:
    """A line through the values, from nothing to the largest; a gap where there is none."""
    top = max((value for value in values if value is not None), default=0) or 1
    step = 100 / max(1, len(values) - 1)
    places = [
        None if value is None else (i * step, _LINE - _ROOM - value / top * (_LINE - 2 * _ROOM))
        for i, value in enumerate(values)
    ]
    last = next((place for place in reversed(places) if place is not None), None)
    # Only the line itself may be stretched to the width of its place; strokes and dots may not.
    stretched = element(
        "svg",
        *(_stroke(part) for part in _parts(places)),
        viewBox=f"0 0 100 {_LINE}",
        preserveAspectRatio="none",
        width="100%",
        height=_LINE,
        overflow="visible",
    )
    ground = element("line", x1="0", x2="100%", y1=_LINE - 1, y2=_LINE - 1, class_="ground")
    dot = element("circle", cx=percent(last[0]), cy=last[1], r=3, class_="dot") if last else ""
    return picture(ident, _LINE, title, told, ground, stretched, dot, class_="spark")


def _parts(places: Sequence[tuple[float, float] | None]) -> list[list[tuple[float, float]]]:
    """The line in pieces: it ends where a value is missing."""
    parts: list[list[tuple[float, float]]] = [[]]
    for place in places:
        if place is None:
            parts.append([])
        else:
            parts[-1].append(place)
    return [part for part in parts if part]


def _stroke(part: Sequence[tuple[float, float]]) -> str:
    if len(part) == 1:  # a point alone has no line: a dash shows that there is something
        x, y = part[0]
        part = [(max(0, x - 1), y), (min(100, x + 1), y)]
    path = " ".join(
        f"{'M' if i == 0 else 'L'}{number(x)} {number(y)}" for i, (x, y) in enumerate(part)
    )
    return element("path", d=path, class_="stroke", vector_effect="non-scaling-stroke")


def nice(value: float) -> float:
    """The next round number whose half is one, too: 1, 2, 4, 6, 8, 10, 20, 40 ..."""
    if value <= 0:
        return 1
    size = 10.0 ** math.floor(math.log10(value))
    return next(step * size for step in (1, 2, 4, 6, 8, 10) if value <= step * size * (1 + 1e-9))


def columns(
    ident: str,
    stacks: Sequence[Sequence[float]],
    names: Sequence[str],
    labels: Sequence[str],
    title: str,
    told: str,
    unit: str = "{:g}",
) -> str:
    """Columns of stacked parts. ``names`` are those of the parts, ``labels`` of the columns.

    Part ``i`` has the class ``part-i``. ``unit`` writes the number at the highest line.
    """
    top = nice(max((sum(stack) for stack in stacks), default=0))
    slot = (100 - _GUTTER) / max(1, len(stacks))
    levels = (1.0, 0.5) if top != 1 else (1.0,)
    lines = [_level(level, unit.format(top * level)) for level in levels]
    bars = [
        _stack(stack, names, label, top, _GUTTER + i * slot + slot * 0.14, slot * 0.72)
        for i, (stack, label) in enumerate(zip(stacks, labels, strict=True))
    ]
    floor = _COLUMNS - 1
    ground = element("line", x1=percent(_GUTTER), x2="100%", y1=floor, y2=floor, class_="ground")
    return picture(ident, _COLUMNS, title, told, *lines, *bars, ground, class_="columns")


def _level(level: float, label: str) -> str:
    y = _COLUMNS - 1 - level * (_COLUMNS - 1 - _HEAD)
    return element("line", x1=percent(_GUTTER), x2="100%", y1=y, y2=y, class_="level") + element(
        "text", words(label), x="0", y=y + 4, class_="label"
    )


def _stack(
    stack: Sequence[float],
    names: Sequence[str],
    label: str,
    top: float,
    x: float,
    width: float,
) -> str:
    floor, parts = float(_COLUMNS - 1), []
    for i, value in enumerate(stack):
        height = value / top * (_COLUMNS - 1 - _HEAD)
        if height <= 0:
            continue
        floor -= height
        parts.append(
            element(
                "rect",
                x=percent(x),
                width=percent(width),
                y=floor,
                height=max(height - 1, 0.5),
                class_=f"part-{i}",
            )
        )
    counts = ", ".join(
        f"{value:g} {name}".strip() for value, name in zip(stack, names, strict=True) if value
    )
    return element("g", named(f"{label}: {counts or 'nothing'}"), *parts)


def meter(ident: str, part: float, reserved: float, limit: float, title: str, told: str) -> str:
    """How much of a limit is used, and how much more is set aside."""
    whole = limit if limit > 0 else max(part + reserved, 1)
    used = min(part / whole, 1) * 100
    aside = min(reserved / whole, 1 - used / 100) * 100
    bars = [element("rect", x="0", y=0, width="100%", height=_METER, rx=5, class_="rest")]
    if used > 0:
        full = " full" if used >= 90 else ""
        width = percent(max(used, 0.6))
        bars.append(
            element("rect", x="0", y=0, width=width, height=_METER, rx=5, class_=f"used{full}")
        )
    if aside > 0:
        bars.append(
            element(
                "rect", x=percent(used), y=0, width=percent(aside), height=_METER, class_="aside"
            )
        )
    return picture(ident, _METER, title, told, *bars, class_="meter")


def share(ident: str, part: float, title: str, told: str) -> str:
    """A share of the whole, from 0 to 1, as a bar."""
    return picture(
        ident,
        _METER,
        title,
        told,
        element("rect", x="0", y=0, width="100%", height=_METER, rx=5, class_="rest"),
        element("rect", x="0", y=0, width=percent(part * 100), height=_METER, rx=5, class_="used")
        if part > 0
        else "",
        class_="meter",
    )
