"""What ``lifeos show`` prints: one screen a thing, the answer first, the next action last."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from textwrap import fill
from typing import TYPE_CHECKING

from lifeos.cli.moments import span
from lifeos.cli.work_screen import (
    agents,
    attempt_lines,
    attempts_table,
    by,
    calls_lines,
    named,
    reviews_lines,
    used,
)

if TYPE_CHECKING:
    from lifeos.cli.log_command import Transition
    from lifeos.cli.passage import AttemptData, ItemData, RunData
    from lifeos.core.records import AnyRecord

_LINES, _WIDTH = 45, 100
"""The size of a screen."""
_TEXT_LINES, _FEWEST_LINES = 12, 3
_PATHS = 8


def run_screen(data: RunData) -> str:
    """One run: at most 45 lines for a usual one. What was asked gets the room that is left."""
    head = [f"{data.task}: {data.title}", "", *_facts(_run_facts(data))]
    rest: list[str] = []
    if data.calls:
        rest += ["", "models:", *(f"  {line}" for line in calls_lines(data.calls))]
    if data.attempts:
        rest += ["", *attempts_table(data.attempts)]
    reviews = list(reviews_lines(data.attempts))
    if reviews:
        rest += ["", "reviews:", *(f"  {line}" for line in reviews)]
    if data.items:
        rest += ["", "asked of the CEO:", *(f"  {line}" for i in data.items for line in _said(i))]
    if data.attempts:
        rest += ["", f"an attempt and what it left: lifeos show {data.run} N [NAME]"]
    rest += ([] if data.attempts else [""]) + [f"next: {data.next}"]
    if data.text:
        room = _LINES - len(head) - len(rest) - 3
        head += ["", "asked:", *_indented(data.text, min(_TEXT_LINES, max(_FEWEST_LINES, room)))]
    return "\n".join([*head, *rest])


def _run_facts(data: RunData) -> Iterator[tuple[str, str]]:
    open_ = data.ended_at is None
    yield "run", data.run
    yield "outcome", f"open: {data.state} at {data.stage}" if open_ else data.state
    yield "reason", data.reason
    yield "began", when(data.opened_at)
    if data.ended_at is not None:
        yield "ended", f"{when(data.ended_at)} (after {span(data.ended_at - data.opened_at)})"
    yield "landed", data.landed[:12]
    yield "taken back", f"by {data.reverted[:12]}" if data.reverted else ""
    yield "change", change(data.paths, data.lines)
    yield "see it", data.look
    yield "checks", _checks(data.attempts)
    yield "agents", agents(data.attempts)
    yield "cost", used(data.usage)
    yield "packet", f"git show {data.packet}" if data.packet else ""


def change(paths: tuple[str, ...], lines: int) -> str:
    """How much, and where."""
    if not paths:
        return ""
    more = f" and {len(paths) - _PATHS} more" if len(paths) > _PATHS else ""
    return f"{lines} line{'' if lines == 1 else 's'} in {', '.join(paths[:_PATHS])}{more}"


def _checks(attempts: tuple[AttemptData, ...]) -> str:
    last = next((a.checks for a in reversed(attempts) if a.checks), ())
    return ", ".join(f"{check.name} {check.status}" for check in last)


def _first(text: str, limit: int = 60) -> str:
    line = text.split("\n", 1)[0]
    return line if len(line) <= limit else f"{line[:limit].rstrip()}…"


def _said(item: ItemData) -> Iterator[str]:
    yield f"{item.item}  {item.question} ({item.kind}, rule {item.rule})"
    if item.decision is None:
        yield f"    {item.state}, asked {when(item.opened_at)}"
        return
    by = "expiry" if item.who == "expiry" else item.who
    yield f"    {item.decision} by {by}, {when(item.at)}"
    if item.comment:
        yield f"    {_first(item.comment, 200)}"


def attempt_screen(run: str, data: AttemptData) -> str:
    """One attempt."""
    rows = [
        ("attempt", f"{data.n} of {run}: {data.stage}"),
        ("outcome", data.outcome),
        ("action", f"{data.action} -> {data.to}, by the rule {data.rule}"),
        ("by", _worker(data)),
        ("ended", when(data.at)),
        ("cost", used(data.usage)),
        ("mode", data.mode),
        ("change", change(data.paths, data.lines)),
        ("checks", ", ".join(f"{check.name} {check.status}" for check in data.checks)),
        ("record", data.record),
    ]
    lines = _facts(iter(rows))
    if data.message:
        lines += ["", *_indented(fill(data.message, _WIDTH - 2), 40)]
    if data.breaches:
        lines += ["", "breaches:", *(f"  {breach}" for breach in data.breaches)]
    lines += attempt_lines(data)
    if data.artifacts:
        lines += ["", f"it left: {', '.join(data.artifacts)}"]
        if data.redacted:
            lines.append(f"redacted since, as each of them says: {', '.join(data.redacted)}")
        lines.append(f"next: lifeos show {run} {data.n} {data.artifacts[-1]}")
    return "\n".join(lines)


def _worker(data: AttemptData) -> str:
    """Who did it, with the model behind a name."""
    agent = data.work.agent
    if agent is None:
        return by(data)
    program = named(agent)
    if not agent.model:
        return f"{by(data)} on {program}" if data.work.review else program
    family = f"family {agent.family}" if agent.family else "family unknown"
    return f"{program} with {agent.model}: {agent.id} of {agent.provider} ({family})"


def item_screen(data: ItemData) -> str:
    """One question."""
    rows = [
        ("item", f"{data.item}: {data.kind}"),
        ("state", data.state),
        ("run", f"{data.run} at {data.stage}" if data.run else ""),
        ("task", data.task or ""),
        ("question", data.question),
        ("rule", data.rule),
        ("asked", when(data.opened_at)),
        ("expires", when(data.expires_at) if data.expires_at and not data.decision else ""),
        ("answer", f"{data.decision} by {data.who}, {when(data.at)}" if data.decision else ""),
        ("comment", data.comment),
        ("commit", data.commit),
        ("subject", data.subject),
    ]
    lines = _facts(iter(rows))
    if data.pending:
        body = data.pending.split("\n---\n", 1)[-1]
        lines += ["", body.strip("\n")]
    elif data.run:
        lines += ["", f"next: lifeos show {data.run}"]
    return "\n".join(lines)


def transition_screen(data: Transition, record: AnyRecord) -> str:
    """One transition, with its record as it stands."""
    from lifeos.core.records import to_json

    rows = [
        ("transition", f"{data.seq}: {data.subject}"),
        ("commit", data.commit),
        ("time", when(data.at)),
    ]
    value = json.dumps(json.loads(to_json(record)), indent=2, ensure_ascii=False)
    lines = [*_facts(iter(rows)), "", value]
    run = data.run
    lines += ["", f"next: lifeos show {run}"] if run else []
    return "\n".join(lines)


def when(at: int) -> str:
    """A time, in the reader's zone."""
    return datetime.fromtimestamp(at).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def _facts(rows: Iterator[tuple[str, str]]) -> list[str]:
    return [f"{name:<10}  {value}" for name, value in rows if value]


def _indented(text: str, most: int) -> list[str]:
    lines = text.strip("\n").split("\n")
    shown = [f"  {_first(line, _WIDTH - 3)}".rstrip() for line in lines[:most]]
    return [*shown, f"  ... ({len(lines) - most} more lines)"] if len(lines) > most else shown
