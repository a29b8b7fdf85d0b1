"""What an attempt's calls of models have cost so far, on disk while it runs.

The meter counts in the memory of the tick. Where that dies, what was spent must still count: its
provider was paid. So each receipt is also a line of a file, which goes when the attempt's bundle is
complete; where there is none, the receipts are recorded with the interruption. A call that is under
way when the tick is killed has no receipt yet.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from pathlib import Path

from lifeos.core.canonical import sha256
from lifeos.core.receipt import Receipt
from lifeos.core.state import Claim, Snapshot

FOLDER = "calls"
WORDING = "wording"
"""Apart: these calls belong to no claim."""
MOST = 4 * 1024 * 1024
"""Bytes of a file that are read back; as much as an artifact may have."""


def place(private: Path, run: str, claim: Claim) -> Path:
    """The file of an attempt, by its claim's nonce: a claim of the same number is another one."""
    return private / FOLDER / f"{run}.{claim.n}.{claim.nonce[:12]}.jsonl"


def of_wording(private: Path, pattern: str) -> Path:
    """The file of an agent that words a proposal, until its question has the receipts."""
    return private / WORDING / f"{sha256(pattern)[:16]}.jsonl"


def journal(path: Path, clean: Callable[[str], str]) -> Callable[[Receipt], None]:
    """Writes one receipt to the file, without secrets (``clean``). Raises nothing."""

    def write(receipt: Receipt) -> None:
        line = clean(receipt.model_dump_json()) + "\n"
        # Where the disk is full the bundle cannot be written either, and that fails the tick.
        with contextlib.suppress(OSError):
            path.parent.mkdir(exist_ok=True)
            with path.open("a", encoding="utf-8") as file:
                file.write(line)
                file.flush()
                os.fsync(file.fileno())

    return write


def so_far(path: Path) -> tuple[Receipt, ...]:
    """The receipts in the file; a line that was cut off is none."""
    try:
        with path.open("rb") as file:
            lines = file.read(MOST).splitlines()
    except OSError:
        return ()
    found = []
    for line in lines:
        with contextlib.suppress(ValueError):
            found.append(Receipt.model_validate_json(line))
    return tuple(found)


def forget(path: Path) -> None:
    """The attempt's receipts are kept elsewhere."""
    path.unlink(missing_ok=True)


def forget_ended(private: Path, snapshot: Snapshot) -> None:
    """Remove the files of attempts that are not claimed any more: what they say is recorded."""
    claimed = {
        place(private, run.id, run.claim) for run in snapshot.runs.values() if run.claim is not None
    }
    for path in (private / FOLDER).glob("*.jsonl"):
        if path not in claimed:
            forget(path)
