"""The chronicle of a ledger, remembered: what was read once is only continued.

Reading 100,000 transitions from git takes seconds, and what has happened never changes. The file is
``.git/lifeos/cache/chronicle``: JSON, compressed, never code. It counts only if it is whole, was
written by this very lifeos, and is a beginning of the history that is asked about; otherwise all is
read anew. So a stale, torn or foreign file costs time and never changes a result.
"""

from __future__ import annotations

import contextlib
import gc
import json
import zlib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import lifeos
from lifeos.core.chronicle import Chronicle, chronicle_of
from lifeos.store.entries import read_entries
from lifeos.store.remote import contains
from lifeos.tick.backlog_cache import recalled, remember

if TYPE_CHECKING:
    from lifeos.store.ledger import Ledger
    from lifeos.store.repo import Repo

FORMAT = 1
ENOUGH = 256
"""So many transitions since the file was written are worth writing it again."""
_FAST = (
    1  # zlib's quickest level: four fifths go, and what more would go costs more than reading it
)
_TOLD_BY = (
    "model.py",
    "core/state.py",
    "core/records.py",
    "core/chronicle.py",
    "core/improve/trial.py",
)


def chronicle_at(ledger: Ledger) -> Chronicle:
    """Everything that happened up to the tip of this ledger (``Ledger.at`` for an earlier one).

    Raises ``LedgerBroken`` for what is not one record a commit in one line of history, and
    ``UsageError`` in a clone that has not all of it.
    """
    with _keeping_all():
        return _at(ledger.repo, ledger.tip)


def _at(repo: Repo, tip: str) -> Chronicle:
    path = repo.private_dir / "cache" / "chronicle"
    kept = _read(path)
    if kept is not None and kept.tip == tip:
        return kept
    if kept is not None and contains(repo, tip, kept.tip):
        told = _told(repo, tip, kept)
        worth = told.seq - kept.seq >= ENOUGH
    else:
        repo.require_complete()
        told = _told(repo, tip)
        # Who asks about an earlier time must not make those who ask about now read all again.
        worth = kept is None or not contains(repo, kept.tip, tip)
    if worth:
        _write(path, told)
    return told


@contextlib.contextmanager
def _keeping_all() -> Iterator[None]:
    """Without the search for garbage: all that is made here is kept, and it takes two thirds.

    Afterwards it is set aside, too, or whoever measures it would have it searched again and again.
    """
    before = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if before:
            gc.enable()


def _told(repo: Repo, tip: str, kept: Chronicle | None = None) -> Chronicle:
    entries = read_entries(repo, tip, kept.tip if kept else None)
    return chronicle_of(((entry.commit, entry.record) for entry in entries), kept)


def _read(path: Path) -> Chronicle | None:
    """What was remembered; None where it is not whole, or of another lifeos."""
    body = recalled(path, _key())
    if body is None:
        return None
    try:
        return Chronicle.model_validate_json(zlib.decompress(body))
    except (zlib.error, ValueError):
        return None  # of another shape, in spite of its key: read anew


def _write(path: Path, told: Chronicle) -> None:
    body = zlib.compress(told.model_dump_json(exclude_defaults=True).encode(), _FAST)
    with contextlib.suppress(OSError):  # without it the next process reads the ledger again
        remember(path, _key(), body)


@cache
def _key() -> str:
    """What changes when the code that tells a chronicle does, also while somebody works on it."""
    folder = Path(lifeos.__file__).parent
    stats = ((name, (folder / name).stat()) for name in (*_TOLD_BY, "tick/chronicle.py"))
    told_by = [f"{folder / name} {stat.st_mtime_ns} {stat.st_size}" for name, stat in stats]
    return json.dumps(["chronicle", FORMAT, lifeos.__version__, *told_by])
