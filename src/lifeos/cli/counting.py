"""How far a long reading of the ledger has come, on standard error."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_EVERY = 97
"""Transitions between two lines of progress; odd, so that people see it move."""


@contextmanager
def counting(*, quiet: bool) -> Iterator[Callable[[int], None]]:
    """What is to be told each count: one line that changes, on a terminal and unless ``quiet``."""
    if quiet or not sys.stderr.isatty():
        yield lambda _count: None
        return
    try:
        yield _show
    finally:
        sys.stderr.write("\r\x1b[K")
        sys.stderr.flush()


def _show(count: int) -> None:
    if count % _EVERY == 0:
        sys.stderr.write(f"\rtransition {count}")
        sys.stderr.flush()
