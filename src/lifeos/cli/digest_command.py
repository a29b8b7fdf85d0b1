"""``lifeos digest``: what waits, what landed or blocked, what was spent, what rests."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated

import typer

from lifeos.cli.ci_telling import telling
from lifeos.cli.frame import Json, frame_of, progress, show, show_json
from lifeos.core.digest import DigestData, digest_text
from lifeos.core.notices import Notice
from lifeos.core.workflowcommand import Notice as Level
from lifeos.errors import Exit, UsageError

if TYPE_CHECKING:
    from lifeos.cli.frame import Frame
    from lifeos.tick.context import Context

__all__ = ["DigestData", "Notice", "command"]  # what `lifeos schema` describes


def command(
    context: typer.Context,
    send: Annotated[
        bool,
        typer.Option("--send", help="Send it too, now, by `notify:` of the adopted rules."),
    ] = False,
    skip_empty: Annotated[
        bool, typer.Option("--skip-empty", help="With --send: not where there is nothing to say.")
    ] = False,
    json: Json = False,
) -> int:
    """Show what happened since the last digest, or in the last day; exit 1 if it could not be sent.

    Ticks send it once a day (`notify: digest:`). With `--send` it goes out now, also when there is
    nothing to say: so it shows whether notices arrive.
    """
    if skip_empty and not send:
        raise UsageError("--skip-empty says when nothing is sent", "give --send, too")
    with telling(os.environ) as page:  # on a CI machine, titles are no commands
        found = _found(frame_of(context), send=send, skip_empty=skip_empty)
        page.lines[Level.ERROR] += [f"not sent: {problem}" for problem in found.problems]
        if json:
            show_json("digest", found)
        else:
            show("\n".join([digest_text(found), *(f"sent: {channel}" for channel in found.sent)]))
        for problem in found.problems:
            progress(f"not sent: {problem}")
    return Exit.FAILED if found.problems else Exit.OK


def _found(frame: Frame, *, send: bool, skip_empty: bool) -> DigestData:
    from lifeos.tick.telling import sum_up

    ctx = frame.context(offline=True)
    with ctx.repo:
        found, notice = sum_up(ctx)
        if skip_empty and found.empty:
            progress("nothing to say: nothing was sent")
            return found
        return _sent(ctx, found, notice) if send else found


def _sent(ctx: Context, found: DigestData, notice: Notice) -> DigestData:
    """Send it by every channel. Raises ``UsageError`` where there is none."""
    from lifeos.tick.telling import send_one

    channels = ctx.rules.config.notify.channels
    if not channels:
        raise UsageError(
            "the adopted rules name nobody to tell",
            "write `notify:` in .lifeos/config.yaml (docs/notify.md), commit it, then lifeos tick",
        )
    came = {channel: send_one(ctx, channel, notice) for channel in channels}
    return found.model_copy(
        update={
            "sent": tuple(channel for channel, problem in came.items() if not problem),
            "problems": tuple(
                f"{channel}: {problem}" for channel, problem in came.items() if problem
            ),
        }
    )
