"""How a run that ended is called: its packet says it, the record of its end does not."""

from __future__ import annotations

import json

from lifeos.store.endings import packet_path
from lifeos.store.ledger import Ledger


def named(ledger: Ledger, run: str) -> tuple[str, str]:
    """Task and title of a run that ended; '' where its packet does not say."""
    data = ledger.read(f"{packet_path(run)}/packet.json")
    try:
        said = json.loads(data or b"{}").get("predicate", {})
    except (ValueError, AttributeError):
        return "", ""  # a packet that cannot be read is `lifeos verify`'s business
    return str(said.get("task", "")), str(said.get("title", ""))
