"""Transitions read back for people: the last ones, and those that name something."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from lifeos.core.records import parse_message

if TYPE_CHECKING:
    from lifeos.core.records import AnyRecord
    from lifeos.store.ledger import Ledger

RECENT = 300
"""Transitions looked through for what ended lately: some milliseconds, whatever the age."""


def recent(ledger: Ledger) -> Iterator[AnyRecord]:
    """The last transitions, newest first. Facts that were too large for a record are left out."""
    yield from _log(ledger, "--max-count", str(RECENT))


def naming(ledger: Ledger, word: str) -> Iterator[AnyRecord]:
    """Every transition whose commit has this word, newest first."""
    yield from _log(ledger, "--fixed-strings", "--regexp-ignore-case", f"--grep={word}")


def _log(ledger: Ledger, *options: str) -> Iterator[AnyRecord]:
    listing = ledger.repo.git.run(
        "log", *options, "--format=%H%n%B%x00", "--end-of-options", ledger.tip
    )
    for block in listing.decode("utf-8", "replace").split("\0"):
        commit, _, message = block.strip("\n").partition("\n")
        if commit:
            yield parse_message(message, commit)
