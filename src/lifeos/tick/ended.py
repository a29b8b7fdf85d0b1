"""How a run that ended is called: its packet says it, the record of its end does not."""

from __future__ import annotations

import json

from lifeos.core.records import Opened
from lifeos.store.endings import packet_path
from lifeos.store.ledger import Ledger
from lifeos.store.story import newest


def named(ledger: Ledger, run: str) -> tuple[str, str]:
    """Task and title of a run that ended: as its packet says, or as it was opened."""
    data = ledger.read(f"{packet_path(run)}/packet.json")
    try:
        said = json.loads(data or b"{}").get("predicate", {})
    except (ValueError, AttributeError):
        return _opened(ledger, run)  # redacted; what else it may be is `lifeos verify`'s business
    return str(said.get("task", "")), str(said.get("title", ""))


def _opened(ledger: Ledger, run: str) -> tuple[str, str]:
    for entry in newest(ledger.repo, ledger.tip, words=[f'"run":"{run}"']):
        if isinstance(entry.record, Opened) and entry.record.run == run:
            return entry.record.task, entry.record.title
    return "", ""
