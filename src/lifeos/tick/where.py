"""Whether this machine is one of those that the rules let tick."""

from __future__ import annotations

from lifeos.core.policy import Where
from lifeos.tick.context import Context


def not_here(ctx: Context) -> str:
    """Why no tick runs on this machine, by the rules; '' where one does."""
    where = ctx.rules.config.tick.where
    if where is Where.ANY or (where is Where.CI) is ctx.world.in_ci:
        return ""
    this = "this is a CI machine" if ctx.world.in_ci else "this is none (CI=true is not set)"
    wanted = "only on CI machines" if where is Where.CI else "not on CI machines"
    return f"ticks run {wanted}, and {this}: `tick.where` in .lifeos/config.yaml"
