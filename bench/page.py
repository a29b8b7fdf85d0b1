"""The table, for the terminal and for docs/reference/cost.md."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

WHY: Mapping[str, str] = {
    "`status`": "imports. The models of state and rules are pydantic's, and building them at import"
    " is most of it; typer is the rest. The answer itself takes a few milliseconds.",
    "one transition": "four syncs (the object, its folder, the reference, its folder) and three"
    " questions to git, which moves the reference, against the syncs of SQLite's log. They are"
    " what makes a transition survive power loss, and git the one that decides who was first.",
    "rebuild": "each record is validated by pydantic and applied as a new frozen snapshot, which"
    " is about 26 microseconds of Python a record, and `git log --reverse` says nothing before it"
    " has walked to the beginning. Only `verify`, or a ledger without `state.json`, needs it.",
    "backlog": "the cache is JSON that is made into as many values again; nothing is unpickled,"
    " because a cache must not be able to run code.",
    "lifeos around": "the sandbox, the processes of git for the diff and the ignore rules, and"
    " some twenty synced objects: on a disk that others use at the same time it is more.",
    "several machines": "one reference for all. Each push is three processes of git, here and at"
    " the remote; whoever was not first fetches, decides anew and pushes again, and of many"
    " pushes at once one wins. Only references of their own would let writers push side by side,"
    " and then something else has to say who was first.",
    "a round of": "what lifeos starts for each attempt, on the cores that all runners share here.",
}
"""What stands in the way of a figure, by how its row begins; shown where it is not reached."""


@dataclass(frozen=True)
class Row:
    """One line of the table. ``reached`` None: nothing is promised, or it was not measured."""

    what: str
    must: str
    measured: str
    reached: bool | None
    note: str = ""

    @property
    def verdict(self) -> str:
        """The last column."""
        return {True: "yes", False: "**no**", None: "-"}[self.reached]


def ms(value: float) -> str:
    """Milliseconds, with as many digits as mean something."""
    if value >= 10_000:
        return f"{value / 1000:.1f} s"
    return f"{value:.0f} ms" if value >= 100 else f"{value:.1f} ms"


def times(value: float) -> str:
    """A ratio."""
    return f"{value:.2f}x"


def machine() -> str:
    """The machine in general terms."""
    git = subprocess.run(("git", "--version"), capture_output=True, text=True, check=True)
    kernel = ".".join(platform.release().split(".")[:2])
    python = ".".join(str(part) for part in sys.version_info[:3])
    version = git.stdout.split()[2]
    return f"{os.cpu_count()} cores, {platform.system()} {kernel}, git {version}, Python {python}"


def table(rows: Sequence[Row]) -> str:
    """The rows as a Markdown table."""
    head = "| what | must cost | measured | reached |\n| --- | --- | --- | --- |\n"
    return head + "".join(
        f"| {row.what} | {row.must} | {row.measured} | {row.verdict} |\n" for row in rows
    )


def page(rows: Sequence[Row], peers: Sequence[str], load: str) -> str:
    """The whole document. ``load`` is what else the machine did: its load when this began."""
    notes = "".join(f"- **{row.what}**: {row.note}\n" for row in rows if row.note)
    compared = "; ".join(peers) or "none of the peers was installed"
    return f"""# What it costs

Written by `python bench/run.py --write` on {time.strftime("%Y-%m-%d", time.gmtime())}:
{machine()}, load before it began {load}. Do not edit it by hand.

Ratios are within one run: what is compared takes turns on the same machine, and the best round of
each counts. Nothing in the tests is timed. Compared with: {compared}.

{table(rows)}
## What stands behind the figures

{notes}{_missed(rows)}"""


def merged(text: str, rows: Sequence[Row], load: str) -> str:
    """The document with these rows put in the place of theirs, or at the end; all else stays.

    Only rows that promise nothing: what is reached, and what stands in the way of it, is measured
    together.
    """
    day = time.strftime("%Y-%m-%d", time.gmtime())
    for row in rows:
        assert row.reached is None, f"{row.what} is compared: measure all, with --write alone"
        line = f"| {row.what} | {row.must} | {row.measured} | {row.verdict} |"
        text = _put(text, f"| {row.what} |", line, "| ")
        note = f"- **{row.what}**: {row.note} Measured on {day}, load {load}."
        text = _put(text, f"- **{row.what}**", note, "- **")
    return text


def _put(text: str, begin: str, line: str, like: str) -> str:
    """The line in the place of the one that begins so; else after the last of its list."""
    lines = text.split("\n")
    places = [number for number, one in enumerate(lines) if one.startswith(begin)]
    if places:
        lines[places[0]] = line
        return "\n".join(lines)
    first = next(number for number, one in enumerate(lines) if one.startswith(like))
    end = next(n for n, one in enumerate(lines) if n > first and not one.startswith(like))
    lines.insert(end, line)
    return "\n".join(lines)


def _missed(rows: Sequence[Row]) -> str:
    lines = [
        f"- **{row.what}**: {why}\n"
        for row in rows
        for begin, why in WHY.items()
        if row.reached is False and row.what.startswith(begin)
    ]
    title = "\n## What stands in the way where a figure is not reached\n\n"
    return title + "".join(lines) if lines else ""
