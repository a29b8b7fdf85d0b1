"""Which commands an agent ran that ``envelope.agent.commands`` does not allow.

A pattern is the text of a command; ``*`` stands for any text. What a shell would take apart is
taken apart first: of ``a && b | c; d`` every part must fit a pattern, so that ``pytest *`` does not
let ``pytest; curl …`` pass. Only a pattern without ``*`` is compared with the whole line. What can
run something unseen (``$(…)``, backticks, ``<(…)``), or cannot be taken apart (an open quote), fits
nothing but such a pattern, or ``*`` alone. ``FOO=1 pytest`` and ``sh -c '…'`` are texts of their
own.

This finds what was reported. It is no boundary: that is the sandbox.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from lifeos.core import leaks
from lifeos.core.envelope import EXCERPT, Breach, BreachKind

ANYTHING = "*"
LONGEST = 20_000
"""Characters; a longer command line fits only ``*``."""

_UNSEEN = re.compile(r"\$\(|`|[<>]\(")
_OPERATORS = ("&&", "||", "|&", ";;", ";", "|", "&", "\n")


def foreign_commands(ran: Sequence[tuple[str, bool]], allowed: Sequence[str]) -> tuple[Breach, ...]:
    """A breach for each command that fits no pattern, once; ``ran`` are (command line, denied).

    What was denied did not run, and is none. The excerpt carries no secret of known shape.
    """
    if ANYTHING in allowed:
        return ()
    patterns = [_plain(each).split("*") for each in allowed]
    exact = {_plain(each) for each in allowed if "*" not in each}
    found = dict.fromkeys(
        line for line, denied in ran if not denied and not _fits(line, patterns, exact)
    )
    return tuple(
        Breach(
            BreachKind.COMMAND,
            "",
            f"the agent ran a command that is not allowed: {_shown(line)}",
            0,
            leaks.redact(line)[:EXCERPT],
        )
        for line in found
    )


def _fits(line: str, patterns: Sequence[Sequence[str]], exact: set[str]) -> bool:
    if _plain(line) in exact:
        return True
    if len(line) > LONGEST or _UNSEEN.search(line):
        return False
    parts = _parts(line)
    return parts is not None and all(
        any(_matches(part, pieces) for pieces in patterns) for part in parts
    )


def _matches(part: str, pieces: Sequence[str]) -> bool:
    """Whether ``part`` is these pieces with any text between them. In one pass: a regular
    expression with many stars takes time in a power of the line.
    """
    first, last = pieces[0], pieces[-1]
    if len(pieces) == 1:
        return part == first
    if not (part.startswith(first) and part.endswith(last)):
        return False
    at, end = len(first), len(part) - len(last)
    for piece in pieces[1:-1]:
        found = part.find(piece, at, max(end, at))
        if found < 0:
            return False
        at = found + len(piece)
    return at <= end


def _plain(line: str) -> str:
    return " ".join(line.split())


def _parts(line: str) -> list[str] | None:
    """The simple commands of a line, spaces made one; None when a quote stays open."""
    parts, part, quote, at = [], "", "", 0
    while at < len(line):
        char = line[at]
        operator = "" if quote else next((op for op in _OPERATORS if line.startswith(op, at)), "")
        if operator == "&" and _of_redirect(line, at):
            operator = ""
        if operator:
            parts.append(part)
            part = ""
            at += len(operator)
            continue
        if char == "\\" and quote != "'":
            part += line[at : at + 2]
            at += 2
            continue
        quote = "" if char == quote else quote or (char if char in "'\"" else "")
        part += char
        at += 1
    if quote:
        return None
    return [_plain(each) for each in (*parts, part) if each.strip()]


def _of_redirect(line: str, at: int) -> bool:
    """``2>&1`` and ``&>file`` start nothing."""
    return line[at - 1 : at] in ("<", ">") or line[at + 1 : at + 2] == ">"


def _shown(line: str) -> str:
    short = leaks.redact(_plain(line))
    return short if len(short) <= 80 else f"{short[:79]}…"
