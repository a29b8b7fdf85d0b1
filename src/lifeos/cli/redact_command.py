"""``lifeos redact``: take content out of the ledger that should never have been recorded."""

from __future__ import annotations

from typing import Annotated

import typer

from lifeos.cli.frame import Frame, Json, frame_of, show, show_json
from lifeos.cli.redact_screen import RedactData, screen
from lifeos.errors import Exit, UsageError

__all__ = ["RedactData", "command"]


def command(
    context: typer.Context,
    what: Annotated[
        str, typer.Argument(help="A run, an attempt (RUN:3), or a blob.", metavar="[RUN:N|BLOB]")
    ] = "",
    name: Annotated[
        str, typer.Argument(help="The file that it left: run.log ...", metavar="[NAME]")
    ] = "",
    note: Annotated[str, typer.Option("--note", help="Why; it is recorded.", metavar="TEXT")] = "",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would go, and do nothing.")
    ] = False,
    accept: Annotated[
        bool, typer.Option("--accept", help="Take over what was redacted elsewhere.")
    ] = False,
    json: Json = False,
) -> int:
    """Take the content of a file out of the whole ledger; only an approver may.

    Your order is a commit on main, signed where the rules want that. The ledger is written anew
    from the transition on that brought the content, with a placeholder and nothing else changed,
    so that `lifeos verify` can still prove the rest. docs/redact.md says what others have to do.
    """
    frame = frame_of(context)
    if accept:
        if what or name or note or dry_run:
            raise UsageError("--accept stands alone", "lifeos redact --accept")
        data = _accept(frame)
    else:
        data = _redact(frame, what, name, note, dry_run=dry_run)
    if json:
        show_json("redact", data)
    else:
        show(screen(data))
    return Exit.OK


def _redact(frame: Frame, what: str, name: str, note: str, *, dry_run: bool) -> RedactData:
    from lifeos.cli.redact_order import ordered
    from lifeos.store.lock import between_ticks

    if not what:
        raise UsageError("say what: RUN:N NAME, or a blob", "lifeos show RUN N lists the files")
    if not note.strip() and not dry_run:
        raise UsageError("say why, for those who look for it", "--note TEXT")
    ctx = frame.context()
    with ctx.repo, between_ticks(ctx.repo.ensure_private()):
        ctx.ledger.catch_up()
        return ordered(ctx, what, name, note, dry_run=dry_run)


def _accept(frame: Frame) -> RedactData:
    from lifeos.cli.redact_accept import accepted
    from lifeos.store.lock import between_ticks

    with frame.repo() as repo, between_ticks(repo.ensure_private()):
        return accepted(repo)
