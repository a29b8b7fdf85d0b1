"""Asking proposals outside of a tick: the same questions, recorded in the same way."""

from __future__ import annotations

from collections.abc import Sequence

from lifeos.core.facts import Facts, Write
from lifeos.core.improve.transitions import patterns_taken
from lifeos.core.questions import hold_proposal
from lifeos.tick.context import Context
from lifeos.tick.drafting import Drafted
from lifeos.tick.gather import Gathered
from lifeos.tick.improving import fact_of
from lifeos.tick.perform import write
from lifeos.tick.reading import main_at
from lifeos.tick.tasks import read_tasks


def ask_proposals(ctx: Context, drafts: Sequence[Drafted]) -> dict[str, str]:
    """Record a question for each proposal whose pattern has none. Its item, by pattern."""
    asked: dict[str, str] = {}
    for drafted in drafts:
        proposal = drafted.proposal
        if proposal.key in patterns_taken(ctx.ledger.snapshot):
            continue
        facts = Facts(main=proposal.main, sets={ctx.rules.digest: ctx.rules})
        step = hold_proposal(ctx.ledger.snapshot, facts, ctx.now(), fact_of(proposal))
        tasks = read_tasks(ctx, main_at(ctx.repo, ctx.main()))
        gathered = Gathered(facts=facts, tasks=tasks, proposals={proposal.digest: drafted})
        asked[proposal.key] = _recorded(ctx, gathered, step)
    return asked


def _recorded(ctx: Context, gathered: Gathered, step: Write) -> str:
    before = ctx.ledger.snapshot.items.keys()
    write(ctx, gathered, step)
    (item,) = ctx.ledger.snapshot.items.keys() - before
    return item
