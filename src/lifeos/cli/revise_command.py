"""``lifeos revise``: answer a queue item: do it again, with a comment."""

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
    """Have it done again, with your comment; a commit on main in your name."""
    return answer(context, item, Decision.REVISE, message, dry_run=dry_run, json=json)
