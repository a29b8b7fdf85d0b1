"""What a tick would do first, found in the same way, without writing anything."""

from __future__ import annotations

from lifeos.core.decide import decide
from lifeos.core.facts import Attempt, End, Interrupt, LandProposal, OpenRun, Step, Write
from lifeos.core.records import subject
from lifeos.tick.bundle import complete
from lifeos.tick.context import Context
from lifeos.tick.gather import Gatherer


def plan(ctx: Context) -> tuple[str, ...]:
    """One line for each step that the next tick would take before anything else is known."""
    lines = [f"would collect {path.name}" for path, _ in complete(ctx.repo.private_dir / "bundles")]
    gathered = Gatherer(ctx).gather()
    steps = decide(ctx.ledger.snapshot, gathered.facts, ctx.now())
    lines += [f"would {_words(step)}" for step in steps]
    lines += [f"would not take an answer: {refusal}" for refusal in gathered.refusals]
    return tuple(lines) or ("nothing to do",)


def _words(step: Step) -> str:
    match step:
        case OpenRun():
            return f"open a run for {step.task.id}: {step.task.title}"
        case Attempt():
            return f"start {step.stage} {step.n} of {step.run}"
        case LandProposal():
            return f"land the proposal of {step.item}"
        case Interrupt():
            return f"close the attempt of {step.run}, whose worker is gone"
        case End():
            return f"close {step.run}: {step.outcome}"
        case Write():
            return f"record: {subject(step.record)}"
