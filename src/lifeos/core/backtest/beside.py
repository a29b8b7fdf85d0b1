"""The state as it would be: the machine's own, with one run alone, by other decisions."""

from __future__ import annotations

from lifeos.core.machine import apply
from lifeos.core.records import AnyRecord
from lifeos.core.state import Run, Snapshot
from lifeos.errors import IllegalTransition


class Beside:
    """Nothing as long as the run is as it was; from the first difference on, a snapshot with it."""

    def __init__(self, run: str) -> None:
        """``run`` is its id."""
        self.id = run
        self._other: Snapshot | None = None

    @property
    def differs(self) -> bool:
        """Whether there was a difference yet."""
        return self._other is not None

    def run(self, before: Snapshot) -> Run:
        """The run as it would be; ``before``: the state as it was."""
        return (self._other or before).runs[self.id]

    def state(self, before: Snapshot) -> Snapshot:
        """All of it as it would be: the run, and as it was what is not the run's."""
        other = self._other
        if other is None:
            runs = {self.id: before.runs[self.id]}
            items = {key: item for key, item in before.items.items() if item.run == self.id}
            return before.model_copy(update={"runs": runs, "items": items})
        shared = ("seq", "at", "governance", "refused_governance", "spend", "stop")
        return other.model_copy(update={name: getattr(before, name) for name in shared})

    def part(self, before: Snapshot) -> None:
        """From here on it differs."""
        self._other = self.state(before)

    def apply(self, before: Snapshot, *records: AnyRecord, differs: bool = False) -> bool:
        """Let these happen to it, if it ``differs`` or did before. False: they are not possible."""
        if self._other is None and not differs:
            return True
        other = self.state(before)
        try:
            for record in records:
                other = apply(other, record)
        except IllegalTransition:
            return False
        self._other = other
        return True
