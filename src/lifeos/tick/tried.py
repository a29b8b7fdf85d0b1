"""A back-test of a ledger: its transitions and recorded sets, read for ``core.backtest``."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from lifeos.core.backtest import BackTest, ReplacedBy, backtest
from lifeos.core.policy import Governance
from lifeos.core.records import AnyRecord
from lifeos.governance import load_set
from lifeos.store.entries import read_entries
from lifeos.store.ledger import Ledger
from lifeos.store.story import last_until
from lifeos.store.trees import lookup, read_tree

LATELY = 5_000
"""Transitions that a pending file's back-test looks back at: a second or two, at any age."""


def tried(
    ledger: Ledger,
    candidate: Governance | ReplacedBy,
    *,
    since: int = 0,
    last: int | None = None,
    progress: Callable[[int], None] = lambda _count: None,
) -> BackTest:
    """What would have differed on this ledger under ``candidate``.

    ``since`` (seconds UTC): of runs opened from then on; ``last``: of the last so many transitions.
    Only these are read. ``progress`` is told how many were. Raises ``LedgerBroken`` for a ledger
    that cannot be replayed.
    """
    start = _start(ledger, since, last)
    begun = Ledger.at(ledger.repo, start).snapshot if start else None
    if begun is not None:
        since = max(since, begun.at)
    return backtest(
        _told(ledger, start, progress), RecordedSets(ledger), candidate, begun=begun, since=since
    )


def _start(ledger: Ledger, since: int, last: int | None) -> str | None:
    """The last transition that is not looked at; None: all are."""
    if last is not None and ledger.snapshot.seq > last:
        name = f"{ledger.tip}~{last}"
        found = ledger.repo.git.run("rev-parse", "--verify", "--end-of-options", name)
        return found.decode("ascii").strip()
    return last_until(ledger.repo, ledger.tip, since - 1) if since else None


def _told(
    ledger: Ledger, start: str | None, progress: Callable[[int], None]
) -> Iterator[tuple[str, AnyRecord]]:
    for number, entry in enumerate(read_entries(ledger.repo, ledger.tip, start), 1):
        yield entry.commit, entry.record
        progress(number)


class RecordedSets(Mapping[str, Governance]):
    """The sets that a ledger ever adopted, by digest; read when they are asked for.

    One that this lifeos cannot read, or that is not what its name says, is not in it.
    """

    def __init__(self, ledger: Ledger) -> None:
        """The ledger whose tip has them."""
        self._ledger = ledger
        self._known: dict[str, Governance | None] = {}

    def __getitem__(self, digest: str) -> Governance:
        if digest not in self._known:
            self._known[digest] = self._read(digest)
        found = self._known[digest]
        if found is None:
            raise KeyError(digest)
        return found

    def _read(self, digest: str) -> Governance | None:
        if digest not in self._names():
            return None
        found = load_set(self._ledger.governance(digest)).governance
        return found if found is not None and found.digest == digest else None

    def _names(self) -> list[str]:
        folder = lookup(self._ledger.repo.objects, self._ledger.tree, "governance")
        return (
            [one.name for one in read_tree(self._ledger.repo.objects, folder.oid)] if folder else []
        )

    def __iter__(self) -> Iterator[str]:
        return iter(self._names())

    def __len__(self) -> int:
        return len(self._names())
