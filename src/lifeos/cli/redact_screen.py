"""What ``lifeos redact`` came to, as data and on one screen."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lifeos.model import Frozen

if TYPE_CHECKING:
    from collections.abc import Callable

    from lifeos.store.redactions import Redaction

_EVERY = 500
_MOST = 20
"""Paths of one piece of content that are named."""


class Gone(Frozen):
    """One piece of content. ``still_here`` is why git still has it in this clone, or ""."""

    blob: str
    digest: str
    size: int
    paths: tuple[str, ...]
    who: str
    note: str
    order: str
    still_here: str = ""


class RedactData(Frozen):
    """``lifeos.redact/v1``. ``before`` and ``tip`` of the ledger; ``tip`` "" in a dry run.

    ``rewritten`` is the number of transitions with new ids; ``left`` what people have to see to.
    """

    gone: tuple[Gone, ...]
    before: str
    tip: str
    rewritten: int = 0
    accepted: bool = False
    left: tuple[str, ...] = ()


def gone(about: Redaction, still_here: str = "") -> Gone:
    """A redaction, and what became of its content here."""
    return Gone(
        blob=about.blob,
        digest=about.digest,
        size=about.size,
        paths=about.paths,
        who=about.who,
        note=about.note,
        order=about.order,
        still_here=still_here,
    )


def stepping(total: int) -> Callable[[int], None]:
    """Progress over so many transitions, now and then."""
    from lifeos.cli.frame import progress

    def step(number: int) -> None:
        if number % _EVERY == 0:
            progress(f"{number:,} of {total:,} transitions")

    return step


def screen(data: RedactData) -> str:
    """All of it, for people."""
    lines = []
    for one in data.gone:
        lines += _of(one, done=bool(data.tip))
    lines += data.left
    if not data.tip:
        lines.append(f"new ids: {_transitions(data.rewritten)}; nothing has changed yet")
    elif data.accepted:
        moved = f"{data.before[:12]} -> {data.tip[:12]}, proved to be the same but for that"
        same = f"at {data.tip[:12]}, as before"
        lines.append(f"lifeos/ledger: {same if data.before == data.tip else moved}")
        lines.append("next: lifeos verify")
    else:
        lines += _what_next(data)
    return "\n".join(lines)


def _of(one: Gone, *, done: bool) -> list[str]:
    head = f"{one.blob[:12]}, {one.size:,} bytes, sha256 {one.digest[:16]}…"
    lines = [f"{'redacted' if done else 'would be redacted'}: {head}"]
    lines += [f"  {path}" for path in one.paths[:_MOST]]
    if len(one.paths) > _MOST:
        lines.append(f"  and {len(one.paths) - _MOST} more paths")
    if one.order:
        lines.append(f"  ordered by {one.who} in {one.order[:12]}: {one.note}")
    if one.still_here:
        lines.append(f"  STILL HERE: {one.still_here}")
    elif done:
        lines.append("  git does not have it in this clone any more")
    return lines


def _what_next(data: RedactData) -> list[str]:
    return [
        f"new ids: {_transitions(data.rewritten)}",
        f"lifeos/ledger: {data.before[:12]} -> {data.tip[:12]}",
        "every other clone still has it, and so has a server until it is cleaned:",
        "  in each clone: lifeos redact --accept; on servers: docs/redact.md",
        "if it was a key or a password: change it; who had it may have kept it",
        "next: lifeos verify",
    ]


def _transitions(count: int) -> str:
    return f"{count:,} transition{'' if count == 1 else 's'}"
