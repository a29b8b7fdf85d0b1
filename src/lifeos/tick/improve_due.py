"""Whether there is anything to know about proposals; asked before every step, so it is cheap."""

from __future__ import annotations

from lifeos.tick.context import Context


def search_is_due(ctx: Context) -> bool:
    """Whether the policy's number of runs was closed since the last search; or there was none."""
    after = ctx.rules.loop.improve.after
    last = ctx.ledger.snapshot.searched
    return after > 0 and (last is None or last.closed >= after)


def improving_due(ctx: Context) -> bool:
    """Whether a proposal is open, on trial or to be drafted, or a search is due."""
    snapshot = ctx.ledger.snapshot
    asked = any(item.proposed for item in snapshot.items.values())
    return bool(asked or snapshot.trials or snapshot.drafts) or search_is_due(ctx)
