"""A proposal in an agent's words: what it is given, and what is kept of what it said. Pure.

Words decide nothing. What an agent wrote stands beside what was computed, with who wrote it; the
question, its evidence, metric and back-test are the computed ones, and so is the change, unless it
is a prompt that the agent was let draft.
"""

from __future__ import annotations

from lifeos.core.canonical import sha256
from lifeos.core.improve.page import metric_text
from lifeos.core.improve.proposal import (
    AddToPrompt,
    Category,
    NewPrompt,
    Pattern,
    Proposal,
    Worded,
)
from lifeos.core.policy.loop import Budgets
from lifeos.core.prompts import Part
from lifeos.core.receipt import AgentFacts, Receipt, total
from lifeos.core.replies.wording import WordingReply
from lifeos.core.spend import add_spend
from lifeos.core.state import Snapshot
from lifeos.model import FailureClass, Frozen, Usage

ROLE = "proposer"
"""The name of its prompt."""
STAGE = "improve"
"""What its receipts name instead of a stage."""


class Paper(Frozen):
    """``wording.json``: who was asked to word a proposal, what it said, and what it cost.

    ``reply`` None: it did not come to an answer that fits (``failure``), and the proposal is as it
    was computed. ``answer`` is the digest of its last message. ``problems`` had to be corrected.
    ``added`` are the lines that its draft adds to a prompt.
    """

    who: AgentFacts
    reply: WordingReply | None = None
    added: tuple[str, ...] = ()
    answer: str = ""
    rounds: int = 0
    problems: tuple[str, ...] = ()
    failure: FailureClass | None = None
    message: str = ""
    receipts: tuple[Receipt, ...] = ()

    def to_json(self) -> bytes:
        """As it stands on the ledger."""
        return self.model_dump_json(indent=1).encode() + b"\n"

    @property
    def spent(self) -> Usage:
        """What its calls used."""
        return total(self.receipts)


def may_draft(pattern: Pattern) -> bool:
    """Whether the change is the text of a prompt, which an agent may draft. Never policy."""
    return pattern.category is Category.UNFIT_ANSWERS and isinstance(pattern.edit, AddToPrompt)


def drafted_by(pattern: Pattern, reply: WordingReply) -> Pattern:
    """The pattern with the prompt that the agent drafted, if it did."""
    if not (may_draft(pattern) and reply.prompt.strip() and isinstance(pattern.edit, AddToPrompt)):
        return pattern
    edit = NewPrompt(role=pattern.edit.role, text=drafted_text(reply))
    return pattern.model_copy(update={"edit": edit})


def drafted_text(reply: WordingReply) -> str:
    """The file of the prompt that an agent drafted."""
    return f"{reply.prompt.rstrip()}\n"


def with_words(proposal: Proposal, paper: Paper) -> Proposal:
    """The proposal with what an agent said of it, and what that cost, whether it said anything."""
    told = {"wording_digest": sha256(paper.to_json()), "spent": paper.spent}
    return proposal.model_copy(update={**told, "worded": words_of(paper, proposal)})


def words_of(paper: Paper, proposal: Proposal) -> Worded | None:
    """What of a paper the proposal says; None where there was no answer."""
    if paper.reply is None:
        return None
    drafted = isinstance(proposal.edit, NewPrompt)
    return Worded(
        agent=paper.who.agent,
        version=paper.who.version,
        model=paper.who.model,
        provider=paper.who.provider,
        id=paper.who.id,
        title=paper.reply.title,
        why=paper.reply.why,
        drafted=drafted,
        added=paper.added if drafted else (),
        answer=paper.answer,
    )


def parts_of(proposal: Proposal, prompt: str) -> tuple[Part, ...]:
    """What the agent is given, as data. ``prompt`` is the text that it may add to, or ''."""
    parts = [
        Part("title.md", "The title, as it was computed and stays:", proposal.title),
        Part("evidence.md", "The evidence, as it was computed:", "\n".join(proposal.evidence)),
        Part("change.diff", "The change:", proposal.diff),
        Part("metric.md", "By what it is judged when it has landed:", metric_text(proposal)),
        Part("weakens.md", "What it weakens, compared by lifeos:", "\n".join(proposal.weakens)),
        Part("backtest.md", "The past under the changed rules:", "\n".join(proposal.backtest)),
        Part("risk.md", "Its risk:", proposal.risk),
    ]
    if prompt:
        about = (
            "The prompt whose answers do not fit, as the role is given it now; you may add to it:"
        )
        parts.append(Part("prompt.md", about, prompt))
    return tuple(parts)


def has_room(snapshot: Snapshot, budgets: Budgets, now: int, unrecorded: float) -> bool:
    """Whether one more attempt fits into the day and the month, with all that may still be spent.

    ``unrecorded``: US dollars of wordings whose questions are not on the ledger yet.
    """
    spend = add_spend(snapshot.spend, now, unrecorded)
    need = snapshot.reserved + budgets.reserve_per_attempt
    periods = (
        (spend.day_cost, budgets.cost_per_day),
        (spend.month_cost, budgets.cost_per_month),
    )
    return all(cost < limit and cost + need <= limit for cost, limit in periods)
