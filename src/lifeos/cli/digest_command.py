"""``lifeos digest``: what waits, what landed or blocked, what was spent, what rests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from lifeos.cli.frame import Json, frame_of, progress, show, show_json
from lifeos.core.digest import DigestData, digest_text
from lifeos.core.notices import Notice
from lifeos.errors import Exit, UsageError

if TYPE_CHECKING:
    from lifeos.tick.context import Context

__all__ = ["DigestData", "Notice", "command"]  # what `lifeos schema` describes


def command(
    context: typer.Context,
    send: Annotated[
        bool,
        typer.Option("--send", help="Send it too, now, by `notify:` of the adopted rules."),
    ] = False,
    json: Json = False,
) -> int:
    """Show what happened since the last digest, or in the last day; exit 1 if it could not be sent.

    Ticks send it once a day (`notify: digest:`). With `--send` it goes out now, also when there is
    nothing to say: so it shows whether notices arrive.
    """
    from lifeos.tick.telling import sum_up

    frame = frame_of(context)
    ctx = frame.context(offline=True)
    with ctx.repo:
        found, notice = sum_up(ctx)
        if send:
            found = _sent(ctx, found, notice)
    if json:
        show_json("digest", found)
    else:
        show("\n".join([digest_text(found), *(f"sent: {channel}" for channel in found.sent)]))
    for problem in found.problems:
        progress(f"not sent: {problem}")
    return Exit.FAILED if found.problems else Exit.OK


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
