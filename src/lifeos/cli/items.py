"""Queue items by what people call them: their id, the start of it, their run or their task."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from lifeos.errors import UsageError
from lifeos.model import Decision

if TYPE_CHECKING:
    from lifeos.core.state import Item
    from lifeos.store.ledger import Ledger

_ID = re.compile(r"Q-[0-9a-z]{1,32}", re.IGNORECASE)
_PAST = {
    Decision.APPROVE: "approved",
    Decision.REVISE: "sent back",
    Decision.REJECT: "rejected",
}


def find_item(ledger: Ledger, name: str) -> Item:
    """The open item that is meant.

    Raises ``UsageError`` for none, which says how it was answered if it was, and for several.
    """
    items = ledger.snapshot.items
    exact = next((item for item in items.values() if item.id.lower() == name.lower()), None)
    if exact is not None:
        return exact
    found = [item for item in items.values() if _means(ledger, item, name)]
    if len(found) == 1:
        return found[0]
    if found:
        ids = ", ".join(item.id for item in found)
        raise UsageError(f"{name} may be any of {ids}", "name one of them in full")
    shown = name[:80]
    ended = how_closed(ledger, name) if _ID.fullmatch(name) else ""
    if ended:
        raise UsageError(f"{shown} is closed: {ended}", "lifeos queue lists what is open")
    here = ", ".join(items) or "nothing"
    raise UsageError(
        f"no open queue item is called {shown!r}", f"lifeos queue lists them; open is: {here}"
    )


def _means(ledger: Ledger, item: Item, name: str) -> bool:
    wanted = name.lower()
    if wanted.startswith("q-") and item.id.lower().startswith(wanted):
        return True
    run = ledger.snapshot.runs.get(item.run or "")
    return run is not None and wanted in (run.id.lower(), run.task.lower())


def how_closed(ledger: Ledger, item: str) -> str:
    """How an item that is not open any more was closed; '' if there never was one."""
    from lifeos.cli.history import naming
    from lifeos.core.records import Held, Noted, Resolved

    for record in naming(ledger, item):
        if not isinstance(record, Held | Noted | Resolved) or record.item.lower() != item.lower():
            continue
        match record:
            case Held():
                return f"its run {record.run} ended"
            case Resolved(who="expiry"):
                return "nobody answered in time"
            case Resolved():
                return f"{_PAST[record.decision]} by {record.who}"
            case Noted():
                return "what it asked about changed, so the answer is not needed any more"
    return ""
