"""What a packet says of models: who worked on what, for how much, and who sat in the council."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from lifeos.core.markdown import bullets, code, inline, section, table
from lifeos.core.packetfacts import ModelLine, Packet, Verdicts
from lifeos.model import Stage

if TYPE_CHECKING:
    from lifeos.core.receipt import AgentFacts, Receipt
    from lifeos.core.review import SeatRun


def model_lines(
    n: int, stage: Stage, agent: AgentFacts | None, receipts: Sequence[Receipt]
) -> tuple[ModelLine, ...]:
    """What one attempt asked, by provider and model, in the order of the first call."""
    name, version = (agent.agent, agent.version) if agent else ("", "")
    groups: dict[tuple[str, str], list[Receipt]] = {}
    for receipt in receipts:
        groups.setdefault((receipt.provider, receipt.model), []).append(receipt)
    if agent is not None and not groups:
        groups[agent.provider, agent.id] = []
    return tuple(
        ModelLine(
            n=n,
            stage=stage,
            agent=name,
            version=version,
            provider=provider,
            model=model,
            requests=len(calls),
            tokens_in=sum(call.tokens_in for call in calls),
            tokens_cached=sum(call.tokens_cached for call in calls),
            tokens_out=sum(call.tokens_out for call in calls),
            cost=sum(call.cost for call in calls),
            estimated=sum(call.priced_by == "estimate" for call in calls),
        )
        for (provider, model), calls in groups.items()
    )


def sat(verdict: Verdicts) -> str:
    """How many seats gave a verdict, on which models by their names in the configuration."""
    said = [run for run in verdict.seats if run.verdict is not None]
    names = dict.fromkeys(inline(run.sitter.name, 40) for run in said)
    return f"{len(said)} seat{'' if len(said) == 1 else 's'} on {', '.join(names) or 'no model'}"


def council_sections(packet: Packet) -> Iterator[str]:
    """The seats of each council, and what all calls of models came to; nothing without models."""
    councils = [verdict for verdict in packet.verdicts if verdict.by == "council"]
    if councils:
        yield section("Council", *(part for each in councils for part in _council(each)))
    if packet.models:
        yield section("Models", table(_HEAD, _rows(packet.models)))


def _council(verdict: Verdicts) -> Iterator[str]:
    yield (
        f"{verdict.stage} {verdict.n}: **{verdict.verdict}**, decided by the rule "
        f"{code(verdict.rule) if verdict.rule else 'that is not kept'}"
    )
    runs = [(run, "") for run in verdict.seats] + [(run, "shadow ") for run in verdict.shadow]
    yield table(
        ("seat", "verdict", "model", "family", "tokens", "cost", "why none"),
        [_seat(run, shadow) for run, shadow in runs],
    )
    told = [f"A person has to look: {inline(why)}" for why in verdict.forced_by]
    if verdict.seats_missing:
        told.append(f"Missing: {', '.join(inline(seat) for seat in verdict.seats_missing)}")
    if verdict.emergency:
        told.append(f"**Emergency**, no other model family sat: {inline(verdict.emergency)}")
    if told:
        yield bullets(told)


def _seat(run: SeatRun, shadow: str) -> tuple[str, ...]:
    sure = "" if run.confidence is None else f" ({run.confidence:.1f})"
    sitter = run.sitter
    return (
        f"{shadow}{inline(run.seat)}",
        f"{run.verdict}{sure}" if run.verdict else "**none**",
        inline(f"{sitter.name}: {sitter.model} of {sitter.provider}"),
        inline(sitter.family) or "unknown",
        str(run.tokens),
        f"${run.cost:.4f}",
        inline(run.missing),
    )


_HEAD = ("n", "stage", "agent", "model", "requests", "tokens in", "cached", "out", "cost")


def _rows(lines: Sequence[ModelLine]) -> Iterator[tuple[str, ...]]:
    for line in lines:
        yield (
            str(line.n),
            line.stage.value,
            inline(f"{line.agent} {line.version}".strip()),
            inline(f"{line.model} of {line.provider}") if line.model else "",
            *_counts([line]),
        )
    yield ("all", "", "", "", *_counts(lines))


def _counts(lines: Sequence[ModelLine]) -> tuple[str, ...]:
    doubtful = sum(line.estimated for line in lines)
    return (
        str(sum(line.requests for line in lines)),
        str(sum(line.tokens_in for line in lines)),
        str(sum(line.tokens_cached for line in lines)),
        str(sum(line.tokens_out for line in lines)),
        f"${sum(line.cost for line in lines):.4f}{f' ({doubtful} estimated)' * bool(doubtful)}",
    )
