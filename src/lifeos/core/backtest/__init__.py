"""What would have differed if other rules had ruled, by the records of the ledger.

``backtest`` replays the transitions with the state machine, and asks the very functions that
decided what they would have decided under the candidate.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from lifeos.core.backtest.model import (
    BackTest,
    Balance,
    Changed,
    Count,
    Departure,
    Difference,
    Fate,
    Severity,
    Unknown,
)
from lifeos.core.backtest.replay import Replay
from lifeos.core.backtest.rules import ReplacedBy
from lifeos.core.backtest.words import summary_lines
from lifeos.core.policy import Governance
from lifeos.core.records import AnyRecord
from lifeos.core.state import Snapshot

__all__ = [
    "BackTest",
    "Balance",
    "Changed",
    "Count",
    "Departure",
    "Difference",
    "Fate",
    "ReplacedBy",
    "Severity",
    "Unknown",
    "backtest",
    "summary_lines",
]


def backtest(
    transitions: Iterable[tuple[str, AnyRecord]],
    recorded_sets: Mapping[str, Governance],
    candidate: Governance | ReplacedBy,
    *,
    begun: Snapshot | None = None,
    since: int = 0,
) -> BackTest:
    """What would have differed under ``candidate``: a set, or what is made of each recorded one.

    ``transitions``: (commit, record), oldest first, from the ledger's first, or those after
    ``begun``. ``recorded_sets`` are the sets that the runs were under, by digest; what a set that
    is not there decided is said to be unknown. ``since``: only runs opened from then on (seconds
    UTC) are looked at. Raises ``LedgerBroken`` for transitions that are not possible.
    """
    instead = _always(candidate) if isinstance(candidate, Governance) else candidate
    replay = Replay(recorded_sets, instead, begun, since)
    for commit, record in transitions:
        replay.add(commit, record)
    return replay.result()


def _always(candidate: Governance) -> ReplacedBy:
    """The candidate in the place of every set."""
    return lambda _recorded: candidate
