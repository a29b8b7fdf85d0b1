"""What ``lifeos show`` prints: one screen a thing, the answer first, the next action last."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING

from lifeos.cli.frame import table
from lifeos.cli.moments import dollars, span

if TYPE_CHECKING:
    from lifeos.cli.log_command import Transition
    from lifeos.cli.passage import AttemptData, ItemData, RunData
    from lifeos.core.records import AnyRecord
    from lifeos.model import Usage

_TEXT_LINES = 12
_PATHS = 8


def run_screen(data: RunData) -> str:
    """One run."""
    lines = [f"{data.task}: {data.title}", ""]
    lines += _facts(_run_facts(data))
    if data.text:
        lines += ["", "asked:", *_indented(data.text, _TEXT_LINES)]
    if data.attempts:
        lines += ["", _attempts(data.attempts)]
    if data.items:
        lines += ["", "asked of the CEO:", *(f"  {line}" for i in data.items for line in _said(i))]
    lines += ["", f"next: {data.next}"]
    return "\n".join(lines)


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
    yield "cost", used(data.usage)
    yield "packet", f"git show {data.packet}" if data.packet else ""


def change(paths: tuple[str, ...], lines: int) -> str:
    """How much, and where."""
    if not paths:
        return ""
    more = f" and {len(paths) - _PATHS} more" if len(paths) > _PATHS else ""
    return f"{lines} line{'' if lines == 1 else 's'} in {', '.join(paths[:_PATHS])}{more}"


def used(usage: Usage) -> str:
    """What it consumed."""
    tokens = f", {usage.tokens} tokens" if usage.tokens else ""
    return f"{dollars(usage.cost)}{tokens}, {usage.seconds:.1f} s of work"


def _checks(attempts: tuple[AttemptData, ...]) -> str:
    last = next((a.checks for a in reversed(attempts) if a.checks), ())
    return ", ".join(f"{check.name} {check.status}" for check in last)


def _attempts(attempts: tuple[AttemptData, ...]) -> str:
    rows = [
        (
            str(a.n),
            str(a.stage),
            a.outcome,
            a.action if a.action != "rework" else f"rework ({a.to})",
            a.rule,
            f"{a.usage.seconds:.1f} s",
            _first(a.message),
        )
        for a in attempts
    ]
    return table(("#", "stage", "outcome", "action", "rule", "time", ""), rows)


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
        ("ended", when(data.at)),
        ("cost", used(data.usage)),
        ("mode", data.mode),
        ("change", change(data.paths, data.lines)),
        ("checks", ", ".join(f"{check.name} {check.status}" for check in data.checks)),
        ("record", data.record),
    ]
    lines = _facts(iter(rows))
    if data.message:
        lines += ["", *_indented(data.message, 40)]
    if data.breaches:
        lines += ["", "breaches:", *(f"  {breach}" for breach in data.breaches)]
    if data.artifacts:
        lines += ["", f"it left: {', '.join(data.artifacts)}"]
        lines.append(f"next: lifeos show {run}:{data.n} --artifact {data.artifacts[-1]}")
    return "\n".join(lines)


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
    shown = [f"  {line}".rstrip() for line in lines[:most]]
    return [*shown, f"  ... ({len(lines) - most} more lines)"] if len(lines) > most else shown
