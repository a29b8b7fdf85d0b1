"""``lifeos reject``: answer a queue item: no, with a reason."""

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
    """Say no to what an item asks, with your reason; a commit on main in your name."""
    return answer(context, item, Decision.REJECT, message, dry_run=dry_run, json=json)
