"""What it costs to look back: at a ledger of some age, for the first time and again."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from clock import commands
from lifeos.store.ledger import Ledger
from lifeos.store.repo import Repo
from lifeos.tick.chronicle import chronicle_at
from longledger import length_near
from page import Row, ms
from scene import Scene, console_script

NOT_PROMISED = "(no figure is promised)"
ROUNDS = 5  # of each command; the best one counts


def rows(scene: Scene) -> list[Row]:
    """Every row, at each length."""
    return [*_metrics(scene), _report(scene)]


def lengths(scene: Scene) -> Sequence[int]:
    """1,000, 10,000 and 100,000 transitions; in a quick run the short one alone."""
    size = scene.size
    return (
        (size.short, size.short * 10, size.long) if size.long > size.short * 10 else (size.short,)
    )


def _metrics(scene: Scene) -> Iterator[Row]:
    first, again, sizes = {}, {}, {}
    for count in lengths(scene):
        folder = scene.ledger(count)
        kept = folder / ".git" / "lifeos" / "cache" / "chronicle"
        first[count] = min(_first(folder, kept) for _ in range(2))
        again[count] = commands(
            {"": (folder, (console_script(), "metrics", "--since", "begin", "--all"))}, ROUNDS
        )[""]
        sizes[count] = kept.stat().st_size
    yield Row(
        f"`metrics --all` over everything, {_names(first)} transitions",
        NOT_PROMISED,
        ", ".join(ms(spent) for spent in again.values()),
        None,
        f"the installed command, with what happened to each run kept as the last look left it. The"
        f" first look at all reads the ledger: {', '.join(ms(one) for one in first.values())}, and"
        f" keeps {', '.join(_kilobytes(one) for one in sizes.values())}"
        f" ({sizes[count] / length_near(count):.0f} bytes a transition).",
    )


def _report(scene: Scene) -> Row:
    """The page, after ``_metrics``: what happened to each run is kept by then."""
    spent, sizes = {}, {}
    for count in lengths(scene):
        folder = scene.ledger(count)
        target = folder / ".git" / "lifeos" / "report.html"
        spent[count] = commands({"": (folder, (console_script(), "report"))}, ROUNDS)[""]
        sizes[count] = target.stat().st_size
    return Row(
        f"`report`, {_names(spent)} transitions",
        NOT_PROMISED,
        ", ".join(ms(one) for one in spent.values()),
        None,
        "the installed command writes its page: half a year of trends, and the last 50 runs with"
        f" their packets ({', '.join(_kilobytes(one) for one in sizes.values())})",
    )


def _first(folder: Path, kept: Path) -> float:
    """Milliseconds to read all of it, with nothing kept."""
    kept.unlink(missing_ok=True)
    with Repo.open(folder) as repo:
        ledger = Ledger.open(repo)
        assert ledger is not None
        begun = time.perf_counter()
        chronicle_at(ledger)
        return (time.perf_counter() - begun) * 1000


def _names(counts: dict[int, float]) -> str:
    *most, last = (f"{count:,}" for count in counts)
    return f"{', '.join(most)} and {last}" if most else last


def _kilobytes(size: int) -> str:
    return f"{size / 1000:,.0f} KB"
