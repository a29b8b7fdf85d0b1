"""Who worked, what it cost and what the reviewers said, as lines of a screen 100 columns wide."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from lifeos.cli.cells import cell
from lifeos.cli.frame import table
from lifeos.core.spend import cost_of, dollars
from lifeos.model import Stage, Verdict

if TYPE_CHECKING:
    from lifeos.cli.passage import AttemptData
    from lifeos.cli.workers import CallsData, ReviewData
    from lifeos.core.receipt import AgentFacts
    from lifeos.core.review import Finding, SeatRun
    from lifeos.model import Usage

WIDTH = 100
_FINDINGS, _RAN = 20, 10
_BLOCKING = 6
"""Blocking findings of one review that the screen of a run shows."""

_SUCCESS = frozenset({"ok", "accept"})
_OWN = frozenset({Stage.PACKET, Stage.CLOSE})


def used(usage: Usage) -> str:
    """What it consumed."""
    model = f", {thousands(usage.tokens)} tokens" if usage.tokens else ""
    model += f", {plural(usage.requests, 'request')}" if usage.requests else ""
    return f"{cost_of(usage)}{model}, {usage.seconds:.1f} s of work"


def thousands(number: int) -> str:
    """A number as people read it."""
    return f"{number:,}"


def short(number: int) -> str:
    """A number in at most five characters: 950, 12k, 1.4M."""
    if number < 10_000:
        return str(number)
    return f"{number / 1000:.0f}k" if number < 1_000_000 else f"{number / 1_000_000:.1f}M"


def plural(number: int, noun: str) -> str:
    """A number with its noun."""
    return f"{thousands(number)} {noun}{'' if number == 1 else 's'}"


def by(attempt: AttemptData) -> str:
    """Who did it, in a word: the model's name, the seats, the recipe, the rule, lifeos itself."""
    work = attempt.work
    if work.review is not None:
        return plural(len(work.review.seats), "seat") if work.review.by == "council" else "rule"
    if work.agent is not None:
        return work.agent.model or work.agent.agent
    if attempt.stage in _OWN:
        return "lifeos"
    return "recipe" if attempt.outcome == "ok" else "-"


def named(agent: AgentFacts) -> str:
    """A program, with its version where that is known."""
    return cell(f"{agent.agent} {agent.version}".strip(), 40)


def agents(attempts: Sequence[AttemptData]) -> str:
    """The programs that worked on a run, and on which models, by their names."""
    found: dict[str, list[str]] = {}
    for work in (attempt.work for attempt in attempts):
        if work.agent is not None and work.review is None:
            found.setdefault(named(work.agent), []).append(work.agent.model)
        if work.review is not None:
            for run in work.review.seats:
                found.setdefault("council", []).append(run.sitter.name)
    return "; ".join(
        f"{name} on {', '.join(dict.fromkeys(filter(None, models)))}".removesuffix(" on ")
        for name, models in found.items()
    )


def attempts_table(attempts: Sequence[AttemptData]) -> list[str]:
    """One line an attempt, and one more for what went wrong. Money only where a model worked."""
    modelled = any(attempt.usage.requests for attempt in attempts)
    headings: tuple[str, ...] = ("#", "stage", "outcome", "decision: rule", "by", "time")
    headings += ("cost", "tokens", "req") if modelled else ()
    rows: list[tuple[str, ...]] = []
    for a in attempts:
        to = f" {a.to}" if a.action == "rework" else ""
        decision = cell(f"{a.action}{to}: {a.rule}", 32)
        time = f"{a.usage.seconds:.1f} s"
        row: tuple[str, ...] = (str(a.n), str(a.stage), a.outcome, decision, cell(by(a), 12), time)
        if modelled:
            usage = a.usage
            row += (dollars(usage.cost), short(usage.tokens), str(usage.requests))
        rows.append(row)
    head, *lines = table(headings, rows).split("\n")
    found = [head]
    for attempt, line in zip(attempts, lines, strict=True):
        found.append(line)
        if attempt.message and attempt.outcome not in _SUCCESS and not attempt.work.review:
            found.append(f"   {cell(attempt.message, WIDTH - 3)}")
    return found


def calls_lines(calls: Sequence[CallsData]) -> Iterator[str]:
    """One line a model: what was sent to it, what it cost, and how that is known."""
    headings = ("model", "provider", "calls", "tokens in", "cached", "out", "cost", "price by")
    rows = [
        (
            cell(one.model, 32),
            cell(one.provider, 14),
            thousands(one.requests),
            thousands(one.tokens_in),
            thousands(one.tokens_cached),
            thousands(one.tokens_out),
            dollars(one.cost),
            ", ".join(word.removesuffix("uration") for word in one.priced_by if one.cost),
        )
        for one in calls
    ]
    head, *lines = table(headings, rows).split("\n")
    yield head
    for one, line in zip(calls, lines, strict=True):
        yield line
        doubts = _doubtful(one)
        if doubts:
            yield f"  of these {doubts}"


def _doubtful(calls: CallsData) -> str:
    """How many calls were not as they should be."""
    counted = (
        (calls.estimated, "with an estimated cost"),
        (calls.uncounted, "with tokens that lifeos counted itself"),
        (calls.refused, "refused"),
        (calls.truncated, "cut off"),
    )
    return ", ".join(f"{number} {what}" for number, what in counted if number)


def reviews_lines(attempts: Sequence[AttemptData]) -> Iterator[str]:
    """The reviews that a person wants to see: those with seats, and those against."""
    for attempt in attempts:
        review = attempt.work.review
        if review is None or (review.by == "rule" and review.verdict is Verdict.ACCEPT):
            continue
        reason = f" ({review.mode_reason})" if review.mode_reason else ""
        head = (
            f"{attempt.n} {attempt.stage}: {review.verdict} by {review.by}, {review.mode}{reason}"
        )
        yield cell(head, WIDTH)
        if review.seats:
            yield from _wrapped([_seat(run) for run in review.seats])
        for found in review.blocking[:_BLOCKING]:
            yield f"  {cell(_finding(found), WIDTH - 2)}"
        more = len(review.blocking) - _BLOCKING
        if more > 0:
            yield f"  and {more} more: lifeos show RUN {attempt.n}"
        yield from (f"  {cell(line, WIDTH - 2)}" for line in _doubts(review))


def _seat(run: SeatRun) -> str:
    if run.verdict is None:
        return f"{run.seat} MISSING ({cell(run.missing or 'no answer', 50)})"
    return f"{run.seat} {run.verdict} ({run.sitter.name})"


def _finding(found: Finding) -> str:
    seats = f" ({', '.join(found.seats)})" if found.seats else ""
    return f"{found.severity} {found.kind} {found}{seats}"


def _doubts(review: ReviewData) -> Iterator[str]:
    """What a person should know of how the verdict came about."""
    if review.by == "council" and review.seats_missing:
        yield f"missing: {', '.join(review.seats_missing)}"
    if review.contradictions:
        yield f"{plural(review.contradictions, 'contradiction')} between seats"
    if review.forced_by:
        yield f"a person must look: {'; '.join(review.forced_by)}"
    if review.emergency:
        yield f"EMERGENCY, no other model family: {review.emergency}"


def _wrapped(parts: Sequence[str]) -> Iterator[str]:
    """The parts after one another, on as many lines as they need."""
    line = ""
    for part in parts:
        if line and len(line) + len(part) + 4 > WIDTH:
            yield f"  {line},"
            line = part
        else:
            line = f"{line}, {part}" if line else part
    if line:
        yield f"  {line}"


def attempt_lines(attempt: AttemptData) -> Iterator[str]:
    """The part of one attempt's screen that says who worked, and what the reviewers said."""
    work = attempt.work
    if work.calls:
        yield from ("", "calls of models:", *(f"  {line}" for line in calls_lines(work.calls)))
    if work.agent is not None and (work.agent.said_cost or work.agent.said_tokens):
        yield f"  {_reported(work.agent)}"
    if work.agent is not None and work.agent.ran:
        ran = work.agent.ran
        yield from ("", f"the agent says that it ran {plural(len(ran), 'command')}:")
        for one in ran[:_RAN]:
            ended = "denied" if one.denied else f"exit {one.status}"
            took = "" if one.seconds is None else f"  ({one.seconds:.1f} s)"
            yield f"  {ended if one.denied or one.status is not None else '-':<8}  " + (
                cell(one.command, WIDTH - 12 - len(took)) + took
            )
        if len(ran) > _RAN:
            yield f"  ... ({len(ran) - _RAN} more in agent.json)"
    if work.review is not None:
        yield from _review_lines(work.review)


def _reported(agent: AgentFacts) -> str:
    """What the program says it used, which counts for nothing."""
    said = f"the agent's program says that it cost {dollars(agent.said_cost)}"
    if not agent.said_tokens:
        return said
    tokens = plural(agent.said_tokens, "token")
    return f"{said}, for {tokens} in {plural(agent.said_requests, 'request')}"


def _review_lines(review: ReviewData) -> Iterator[str]:
    yield ""
    reason = f" ({review.mode_reason})" if review.mode_reason else ""
    rule = f", by the rule {review.rule}" if review.rule else ""
    yield f"review by {review.by}: {review.verdict}{rule}; {review.mode}{reason}"
    runs = [(run, "") for run in review.seats] + [(run, "shadow ") for run in review.shadow]
    rows = [
        (
            f"{shadow}{run.seat}",
            str(run.verdict) if run.verdict else "MISSING",
            f"{run.sitter.name} ({run.sitter.model}, {run.sitter.family or 'family unknown'})",
            dollars(run.cost),
            thousands(run.tokens),
            str(run.rounds),
            cell(run.missing, 40),
        )
        for run, shadow in runs
    ]
    headings = ("seat", "verdict", "model", "cost", "tokens", "rounds", "")
    yield from (f"  {line}" for line in table(headings, rows).split("\n") if line)
    for found in review.findings[:_FINDINGS]:
        yield f"  {_finding(found)}"
    if len(review.findings) > _FINDINGS:
        yield f"  ... ({len(review.findings) - _FINDINGS} more in review.md)"
    yield from (f"  {line}" for line in _doubts(review))
    if review.assumptions:
        yield f"  {plural(review.assumptions, 'claim')} without evidence decided nothing"
