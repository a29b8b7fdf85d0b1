"""Clearing up after ticks that were killed, so that nothing of theirs piles up.

Only what is provably nobody's any more: a tick holds its lock for as long as it lives, so whoever
holds it now knows that the makers of these files are gone. What other commands make too is judged
by its own lock or owner. Bundles that are complete, and the quarantine, are never touched.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path

from lifeos.store.lock import Lock
from lifeos.store.worktree import clear_if_dead
from lifeos.tick.bundle import PART
from lifeos.watch import TooDeep, settle


def tidy(private: Path) -> tuple[Path, ...]:
    """Remove what killed ticks left in lifeos's folder. What was removed. Hold the tick's lock."""
    gone = tuple(path for path in _of_ticks(private) if _remove(path))
    for note in private.glob("index-owner.*"):
        clear_if_dead(note)
    intents = list(private.glob("checkout-intent.*"))
    if intents:
        with Lock(private / "checkout.lock"):  # under it nobody is writing one
            for path in intents:
                path.unlink(missing_ok=True)
    return gone


def _of_ticks(private: Path) -> Iterator[Path]:
    """What only a tick makes, and what a living one has always taken away again."""
    yield from private.glob(f"bundles/*{PART}")
    yield from private.glob("work/*")
    yield from private.glob("ignore-*")
    yield from private.glob("cache/base-*.*[0-9]")


def _remove(path: Path) -> bool:
    """Remove a file or a folder, even one that an agent closed. Whether it is gone."""
    if not path.is_dir() or path.is_symlink():
        path.unlink(missing_ok=True)
        return True
    with contextlib.suppress(OSError, TooDeep):  # what can be removed is; the rest stays for now
        settle(path)
    shutil.rmtree(path, ignore_errors=True)
    return not path.exists()
