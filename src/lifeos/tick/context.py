"""What one tick is given: the repository, the ledger, and everything that could surprise a test."""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from lifeos.core.backlog.entry import Backlog
from lifeos.core.policy import Governance
from lifeos.errors import Busy, LedgerBroken, UsageError
from lifeos.process import untraced
from lifeos.store.history import Introduced
from lifeos.store.ledger import Ledger
from lifeos.store.repo import Repo

CLOCK_SLACK = 120
"""Seconds that this machine's clock may be behind the ledger before it may not decide."""


def quiet(_line: str) -> None:
    """Show no progress."""


@dataclass(frozen=True)
class Limits:
    """How much one tick may do. ``tasks`` None: what the policy says."""

    jobs: int = 1
    tasks: int | None = None
    task: str = ""


@dataclass(frozen=True)
class World:
    """What a tick does not decide itself: time, chance, the environment, and who watches."""

    clock: Callable[[], float] = time.time
    timer: Callable[[], float] = time.monotonic
    nonce: Callable[[], str] = lambda: secrets.token_hex(16)
    environ: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))
    progress: Callable[[str], None] = quiet
    trace: Callable[[str], None] = untraced


@dataclass
class Context:
    """One tick at work. Holds the only mutable things: the ledger's tip and caches."""

    repo: Repo
    ledger: Ledger
    world: World
    limits: Limits = Limits()
    sets: dict[str, Governance] = field(default_factory=dict)
    contents: dict[str, str] = field(default_factory=dict)  # by "PREFIX TREE", see `contents`
    backlogs: dict[str, tuple[bytes, Backlog]] = field(default_factory=dict)  # by blob, newest last
    brought: dict[tuple[str, int, int], tuple[Introduced, ...]] = field(default_factory=dict)

    def now(self) -> int:
        """The time for a new record: the clock's, never earlier than the tip's (seconds UTC)."""
        clock = int(self.world.clock())
        behind = self.ledger.snapshot.at - clock
        if behind > CLOCK_SLACK:
            raise Busy(
                f"this machine's clock is {behind} s behind the ledger: nothing can be decided",
                "set the clock, then run lifeos tick again",
            )
        return max(clock, self.ledger.snapshot.at)

    def governance(self, digest: str) -> Governance:
        """An adopted set by its digest, read from the ledger."""
        if digest not in self.sets:
            from lifeos.governance import load_set  # with all that reading YAML takes

            loaded = load_set(self.ledger.governance(digest))
            if loaded.governance is None:
                raise LedgerBroken(
                    f"the adopted governance {digest[:12]} cannot be read by this lifeos",
                    "use the lifeos version that adopted it",
                )
            if loaded.governance.digest != digest:
                raise LedgerBroken(f"the adopted governance {digest[:12]} was altered")
            self.sets[digest] = loaded.governance
        return self.sets[digest]

    @property
    def rules(self) -> Governance:
        """The adopted set."""
        return self.governance(self.ledger.snapshot.governance)

    @property
    def main_ref(self) -> str:
        """The full name of the main branch."""
        return f"refs/heads/{self.rules.config.main}"

    def main(self) -> str:
        """The commit that main is at."""
        commit = self.repo.refs.read(self.main_ref)
        if commit is None:
            raise UsageError(
                f"the branch {self.rules.config.main} does not exist",
                "create it, or set `main:` in .lifeos/config.yaml",
            )
        return commit

    def stop_file(self) -> Path | None:
        """The kill switch in the person's work tree, if there is a work tree."""
        return self.repo.work_tree / ".lifeos" / "STOP" if self.repo.work_tree else None

    def stopped_here(self) -> bool:
        """Whether the kill switch is set in the work tree (polled while attempts run)."""
        path = self.stop_file()
        return path is not None and os.path.lexists(path)
