"""The heads of queue PRs, where the remote keeps them whatever their branches do."""

from __future__ import annotations

from lifeos.core.state import PullRequest
from lifeos.store.remote import has_commit
from lifeos.tick.context import Context

HEADS = "refs/lifeos/pull/"


def head_ref(head: str) -> str:
    """Where the remote keeps the head of a queue PR while it is open, whatever its branch does."""
    return f"{HEADS}{head}"


def has_head(ctx: Context, pull: PullRequest) -> bool:
    """Whether the head of a queue PR is here, or on the remote."""
    fetch_head(ctx, pull.head)
    return has_commit(ctx.repo, pull.head)


def fetch_head(ctx: Context, head: str) -> None:
    """Have the head of a queue PR here, if the remote still has it."""
    if ctx.remote is None:
        return
    try:
        ctx.repo.objects.commit(head)
    except (KeyError, ValueError):
        ctx.remote.fetch(head_ref(head))
