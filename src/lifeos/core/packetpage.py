"""``packet.md``: one screen that says how it went, then the evidence, in Markdown for any forge."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime

from lifeos.core.markdown import bullets, code, document, fenced, inline, section, table
from lifeos.core.packetfacts import Approval, Packet, Verdicts
from lifeos.core.packetmodels import council_sections, sat
from lifeos.core.spend import cost_of
from lifeos.model import CloseOutcome, Decision, Usage

SHORT = 12
"""Characters of a git id that are shown; the JSON has all of them."""
MOST_FINDINGS = 20


def markdown(packet: Packet) -> str:
    """The packet for people: the summary first. Equal packets give equal bytes."""
    return document(
        f"# {inline(packet.task, 40)}: {inline(packet.title)}",
        _sentence(packet),
        table(("", ""), _summary(packet)),
        section("What was asked", fenced(packet.text, "markdown")),
        section("Timeline", _timeline(packet)),
        section("Verdicts", *_verdicts(packet)),
        *council_sections(packet),
        section("Checks", _checks(packet)),
        section("Acceptance", _acceptance(packet)),
        section("Approvals", _approvals(packet)),
        *_exceptions(packet),
        section("Digests", _digests(packet)),
        section(
            "To check this",
            "`lifeos verify` replays the ledger and names the commit where anything was altered; "
            "`packet.json` beside this file has every value in full.",
        ),
    )


def _sentence(packet: Packet) -> str:
    """How it stands, in one sentence, and what comes next."""
    reason = f" Reason: {inline(packet.reason, 500)}" if packet.reason else ""
    landed = f"{code(packet.landed[:SHORT])} is on main" if packet.landed else "nothing landed"
    match packet.outcome:
        case None:
            return (
                f"Run {code(packet.run)} is open at {packet.stage}: nothing has landed. "
                "This is the evidence for the decision on it."
            )
        case CloseOutcome.PASS:
            return f"Run {code(packet.run)} passed.{reason}"
        case CloseOutcome.BLOCKED | CloseOutcome.REJECTED:
            return (
                f"Run {code(packet.run)} ended {packet.outcome}; {landed}.{reason} "
                f"Change the task, or run `lifeos retry {packet.task}`."
            )
        case CloseOutcome.CANCELLED:
            return (
                f"Run {code(packet.run)} was cancelled; nothing landed, its work is kept.{reason}"
            )


def _summary(packet: Packet) -> Iterator[tuple[str, str]]:
    yield "asked", inline(packet.title)
    yield "outcome", f"**{packet.outcome or 'open'}**"
    yield "landed", code(packet.landed[:SHORT]) if packet.landed else "nothing"
    yield "change", _change(packet)
    yield "attempts", _attempts(packet)
    yield "checks", _count([check.passed for check in packet.checks], "passed", "none are set up")
    yield "acceptance", _proven(packet)
    yield "review", _last_verdict(packet)
    yield "decided by", _deciders(packet)
    if packet.waivers or packet.breaches:
        accepted = sum(breach.accepted for breach in packet.breaches)
        yield (
            "exceptions",
            f"**{len(packet.waivers)} waived, {len(packet.breaches)} breaches "
            f"({accepted} accepted)**",
        )
    yield "cost", _usage(packet.usage)
    yield "sandbox", _sandbox(packet)


def _change(packet: Packet) -> str:
    if not packet.paths:
        return "none"
    return f"{_number(packet.lines, 'line')} in {_number(len(packet.paths), 'file')}"


def _number(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"


def _attempts(packet: Packet) -> str:
    outcomes = Counter(step.outcome for step in packet.steps)
    said = ", ".join(f"{count} {outcome}" for outcome, count in sorted(outcomes.items()))
    return f"{len(packet.steps)}{': ' if said else ''}{said}"


def _count(results: list[bool], word: str, none: str) -> str:
    return f"{sum(results)} of {len(results)} {word}" if results else none


def _proven(packet: Packet) -> str:
    text = _count([proof.passed for proof in packet.acceptance], "passed", "no command was run")
    empty = sum(proof.proves_nothing for proof in packet.acceptance)
    return f"{text}; {empty} passed before the change too" if empty else text


def _last_verdict(packet: Packet) -> str:
    if not packet.verdicts:
        return "none"
    last = packet.verdicts[-1]
    return f"{last.stage}: {last.verdict}{_by(last)}"


def _by(verdict: Verdicts) -> str:
    if verdict.by == "council":
        return f", by {sat(verdict)}"
    return ", by rule: no model sat" if verdict.by == "rule" else ""


def _deciders(packet: Packet) -> str:
    names = dict.fromkeys(
        f"{inline(item.who, 80)} ({item.decision})" for item in packet.approvals if item.decision
    )
    waiting = sum(item.decision is None for item in packet.approvals)
    said = [*names, f"{_number(waiting, 'question')} open"] if waiting else [*names]
    return ", ".join(said) or "policy alone"


def _usage(usage: Usage) -> str:
    asked = f" in {_number(usage.requests, 'request')}" if usage.requests else ""
    return f"{cost_of(usage)}, {usage.tokens} tokens{asked}, {usage.seconds:.1f} s"


def _sandbox(packet: Packet) -> str:
    if packet.sandbox == "none":
        return "**none: nothing contained the agent and the checks**"
    return code(packet.sandbox, cell=True)


def _when(at: int) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S") if at else ""


def _timeline(packet: Packet) -> str:
    if not packet.steps:
        return "No attempt was made."
    rows = [
        (
            str(step.n),
            step.stage.value,
            step.outcome,
            step.action.value,
            code(step.rule, cell=True),
            _usage(step.usage) if step.usage.cost else f"{step.usage.seconds:.1f} s",
            _when(step.at),
            inline(step.message, 160),
        )
        for step in packet.steps
    ]
    head = ("n", "stage", "outcome", "action", "rule", "cost", "when (UTC)", "message")
    return table(head, rows)


def _verdicts(packet: Packet) -> Iterator[str]:
    if not packet.verdicts:
        yield "No review was held."
        return
    rows = [
        (
            str(verdict.n),
            verdict.stage.value,
            verdict.verdict.value,
            f"{verdict.mode or ''}{f': {inline(verdict.mode_reason)}' * bool(verdict.mode_reason)}",
            verdict.by or "not kept",
            ", ".join(inline(seat) for seat in verdict.seats_missing) or "none",
            str(len(verdict.findings)),
        )
        for verdict in packet.verdicts
    ]
    yield table(("n", "stage", "verdict", "mode", "by", "seats not filled", "findings"), rows)
    for verdict in packet.verdicts:
        yield bullets(_findings(verdict))


def _findings(verdict: Verdicts) -> Iterator[str]:
    for finding in verdict.findings[:MOST_FINDINGS]:
        line = f":{finding.line}" if finding.line else ""
        place = f" {code(finding.path + line)}" if finding.path else ""
        yield f"{finding.severity} in {verdict.stage} {verdict.n}{place}: {inline(finding.message)}"
    more = len(verdict.findings) - MOST_FINDINGS
    if more > 0:
        yield f"and {more} more in {verdict.stage} {verdict.n}"


def _checks(packet: Packet) -> str:
    if not packet.checks:
        return "No check is set up, or none was reached."
    rows = [
        (
            code(check.name, cell=True),
            check.status if check.passed else f"**{check.status}**",
            "" if check.exit_code is None else str(check.exit_code),
            f"{check.seconds:.1f} s",
            str(check.tests) if check.tests else "",
            code(check.command, cell=True),
            inline(check.message),
        )
        for check in packet.checks
    ]
    return table(("check", "status", "exit", "time", "tests", "command", "message"), rows)


def _acceptance(packet: Packet) -> str:
    if not packet.acceptance:
        return (
            "No acceptance command was run: what the task asks beyond the checks is for a person."
        )
    rows = [
        (
            inline(proof.text),
            "passed" if proof.passed else "**failed**",
            "passed too: proves nothing" if proof.proves_nothing else "failed",
            code(proof.command, cell=True),
        )
        for proof in packet.acceptance
    ]
    return table(("item", "now", "before", "command"), rows)


def _approvals(packet: Packet) -> str:
    if not packet.approvals:
        return "Nobody was asked."
    rows = [
        (
            code(item.item, cell=True),
            item.kind.value,
            _decision(item),
            inline(item.who, 80),
            item.trust.value if item.trust else "",
            _when(item.at),
            code(item.commit[:SHORT], cell=True) if item.commit else "",
            inline(item.comment, 300),
        )
        for item in packet.approvals
    ]
    head = ("item", "kind", "decision", "who", "trust", "when (UTC)", "commit", "comment")
    return table(head, rows)


def _decision(item: Approval) -> str:
    if item.decision is None:
        return "**open**"
    return item.decision.value if item.decision is Decision.APPROVE else f"**{item.decision}**"


def _exceptions(packet: Packet) -> Iterator[str]:
    """What was out of the ordinary; nothing when nothing was."""
    if packet.waivers:
        lines = (
            f"{waiver.failure} by item {code(waiver.item)}, for the subject "
            f"{code(waiver.subject[:SHORT])} only"
            for waiver in packet.waivers
        )
        yield section("Waivers", bullets(lines))
    if packet.breaches:
        rows = [
            (
                str(breach.n),
                inline(breach.kind),
                code(f"{breach.path}:{breach.line}" if breach.line else breach.path, cell=True),
                "accepted" if breach.accepted else "**not accepted**",
                inline(breach.message),
            )
            for breach in packet.breaches
        ]
        yield section("Breaches", table(("n", "kind", "where", "answer", "message"), rows))
    if packet.notes:
        lines = (
            f"{_when(note.at)} {note.topic}{': ' if note.text else ''}{inline(note.text, 300)}"
            for note in packet.notes
        )
        yield section("Notes", bullets(lines))


def _digests(packet: Packet) -> str:
    rows = [
        ("task", packet.task_digest),
        ("governance", packet.governance),
        ("base commit", packet.base),
        ("work tree", packet.work),
        ("landed commit", packet.landed),
        ("ledger root", packet.ledger_root),
        ("ledger tip", packet.ledger_tip),
        *packet.artifacts.items(),
    ]
    versions = ", ".join(f"{name} {version}" for name, version in packet.versions.items())
    lines = [(code(name, cell=True), code(value, cell=True)) for name, value in rows if value]
    return f"{table(('what', 'id or SHA-256'), lines)}\n\nMade by {inline(versions) or 'lifeos'}."
