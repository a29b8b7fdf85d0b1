"""What a day has cost so far: what is recorded, and what attempts of this process have used since.

The ledger has the cost of an attempt when its result is recorded; until then its meter has it.
Which of the two counts is read from one snapshot: nothing is counted twice or left out.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from lifeos.core.spend import add_spend
from lifeos.core.state import Snapshot
from lifeos.model import Usage

if TYPE_CHECKING:
    from lifeos.proxy import Meter


@dataclass(frozen=True)
class Purse:
    """The meters of this process's attempts, by the nonce of their claim, and what is recorded.

    Attempts that run side by side share ``meters``. ``snapshot`` gives the present one.
    """

    meters: dict[str, Meter] = field(default_factory=dict)
    snapshot: Callable[[], Snapshot] = Snapshot

    def opened(self, nonce: str, meter: Meter) -> None:
        """An attempt begins; those that are recorded by now are forgotten."""
        for ended in list(self.meters.keys() - _open(self.snapshot())):
            self.meters.pop(ended, None)
        self.meters[nonce] = meter

    def today(self, at: float) -> Usage:
        """What the UTC day of this moment (seconds since 1970) has cost; nothing else of it."""
        snapshot = self.snapshot()
        spend = add_spend(snapshot.spend, int(at), 0.0)
        found = Usage(cost=spend.day_cost, estimated=spend.day_estimated)
        live = _open(snapshot)
        for nonce, meter in list(self.meters.items()):
            if nonce in live:
                found = found.plus(meter.usage)
        return Usage(cost=found.cost, estimated=found.estimated)


def _open(snapshot: Snapshot) -> set[str]:
    """The nonces of the claims without a recorded result."""
    return {run.claim.nonce for run in snapshot.runs.values() if run.claim is not None}
