"""``lifeos approve``: answer a queue item: approve."""

from __future__ import annotations

import typer

from lifeos.cli.answering import Comment, DryRun, ItemName, answer
from lifeos.cli.frame import Json
from lifeos.model import Decision


def command(
    context: typer.Context,
    item: ItemName,
    message: Comment = "",
    dry_run: DryRun = False,
    json: Json = False,
) -> int:
    """Approve what an item asks, as a commit on main in your name."""
    return answer(context, item, Decision.APPROVE, message, dry_run=dry_run, json=json)
