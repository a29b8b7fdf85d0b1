"""The summary of a workflow's job: what waits for the CEO, what runs, what ended. Pure, Markdown.

Every foreign text is a code span on one line: there a forge renders no mention, link or HTML.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from lifeos.core.clean import code_span

LIMIT = 1024 * 1024
"""Bytes that GitHub takes for one step."""
_ROWS = 200
_TEXT = 300
_CUT = "\n\nThe rest is left out; see `lifeos status`.\n"


@dataclass(frozen=True)
class Asked:
    """An open question. ``answered``: its answer is on main. ``pull``: where it is answered."""

    item: str
    kind: str
    task: str
    question: str
    answered: bool
    pull: str = ""


@dataclass(frozen=True)
class Row:
    """A run that is open, with its stage and status; or one that ended: outcome and commit."""

    run: str
    task: str
    title: str
    first: str
    second: str


@dataclass(frozen=True)
class Summary:
    """What a job's summary says. ``did`` is one line about the job; foreign text stands in it."""

    part: str
    did: Sequence[str]
    waiting: Sequence[Asked]
    runs: Sequence[Row]
    ended: Sequence[Row]
    refused: Sequence[str]
    stopped: bool


def page(summary: Summary) -> str:
    """The summary, at most ``LIMIT`` bytes of UTF-8."""
    text = "\n".join(_lines(summary)) + "\n"
    data = text.encode("utf-8", "replace")
    if len(data) <= LIMIT:
        return text
    kept = data[: LIMIT - len(_CUT.encode())].decode("utf-8", "ignore")
    return kept[: kept.rfind("\n")] + _CUT


def _lines(summary: Summary) -> Iterator[str]:
    yield f"## lifeos: {summary.part}"
    yield ""
    if summary.stopped:
        yield "**Stopped** by `.lifeos/STOP`: nothing is begun. Next: `lifeos resume`"
        yield ""
    yield from (f"- {code_span(line, _TEXT)}" for line in summary.did[:_ROWS])
    yield from (f"- refused: {code_span(line, _TEXT)}" for line in summary.refused[:_ROWS])
    yield ""
    yield from _waiting([each for each in summary.waiting if not each.answered])
    yield from _table("Open runs", "stage | status", summary.runs)
    yield from _table("Ended last", "outcome | landed", summary.ended)


def _waiting(waiting: Sequence[Asked]) -> Iterator[str]:
    if not waiting:
        yield "Nothing waits for the CEO."
        yield ""
        return
    yield f"### Waiting for the CEO: {len(waiting)}"
    yield ""
    yield "| item | kind | task | question |"
    yield "| --- | --- | --- | --- |"
    for each in waiting[:_ROWS]:
        cells = (each.item, each.kind, each.task, each.question)
        yield "| " + " | ".join(code_span(cell, _TEXT) for cell in cells) + " |"
    yield ""
    first = waiting[0]
    if first.pull:
        yield f"Next: merge or close the pull requests; the first is {first.pull}"
    else:
        answer = f"`lifeos approve {first.item}` (or `revise`, `reject`)"
        yield f"Next: `lifeos show {first.item}`, then {answer}"
    yield ""


def _table(heading: str, columns: str, rows: Sequence[Row]) -> Iterator[str]:
    if not rows:
        return
    yield f"### {heading}: {len(rows)}"
    yield ""
    yield f"| run | task | title | {columns} |"
    yield "| --- | --- | --- | --- | --- |"
    for row in rows[:_ROWS]:
        cells = (row.run, row.task, row.title, row.first, row.second)
        yield "| " + " | ".join(code_span(cell, _TEXT) for cell in cells) + " |"
    yield ""
