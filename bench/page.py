"""The table, for the terminal and for docs/reference/cost.md."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass

SHORT = """## Where a figure is not reached, what stands in the way

- **`status`, `next`, `queue`**: imports. The models of state and rules are pydantic's, and building
  them at import is most of it; typer is the rest. The answer itself takes a few milliseconds.
- **one transition**: four syncs (object, its folder, reference, its folder) against one of SQLite's
  log. On an idle disk the same transition was seen at 1.7 to 2.0 ms; a disk that others use at the
  same time makes the syncs, and so the ratio, worse.
- **rebuild**: each record is validated by pydantic and applied as a new frozen snapshot, about 45
  microseconds a record; `git log` itself takes 14. Only `verify` and a lost cache need it.
- **backlog of 10,000 tasks**: the cache is JSON that is made into 10,000 values again; nothing is
  unpickled, because a cache must not be able to run code.
- **lifeos around an attempt**: the sandbox (17 ms as root), the processes of git for the diff and
  the ignore rules, and some twenty synced objects; on an idle disk it is near the figure.
"""


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


def page(rows: Sequence[Row], peers: Sequence[str]) -> str:
    """The whole document."""
    notes = "".join(f"- **{row.what}**: {row.note}\n" for row in rows if row.note)
    compared = "; ".join(peers) or "none of the peers was installed"
    return f"""# What it costs

Written by `python bench/run.py --write` on {time.strftime("%Y-%m-%d", time.gmtime())}:
{machine()}. Do not edit it by hand.

Ratios are within one run: what is compared takes turns on the same machine, and the best round of
each counts. Nothing in the tests is timed. Compared with: {compared}.

{table(rows)}
## What stands behind the figures

{notes}
{SHORT}"""
