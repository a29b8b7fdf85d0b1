"""What one tick is given: the repository, the ledger, and everything that could surprise a test."""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from random import SystemRandom
from typing import TYPE_CHECKING

from lifeos import __version__
from lifeos.core.backlog.entry import Backlog
from lifeos.core.policy import Governance
from lifeos.core.policy.config import MainWrites
from lifeos.errors import Busy, LedgerBroken, LifeosError, UsageError
from lifeos.model import Trust
from lifeos.process import untraced
from lifeos.store.checkout import move_branch
from lifeos.store.history import Introduced
from lifeos.store.ledger import Ledger
from lifeos.store.lock import proc_identity
from lifeos.store.remote import Remote, Update, contains, has_commit, jittered
from lifeos.store.repo import Repo
from lifeos.store.steps import Splice

if TYPE_CHECKING:
    from lifeos.forge.pulls import Arrival, Pull, Pulls
    from lifeos.proxy import Meter
    from lifeos.tick.pulls_asked import Seen

CLOCK_SLACK = 120
"""Seconds that this machine's clock may be behind the ledger before it may not decide."""


_NO_SPLICES: Mapping[str, Splice] = {}


def bring_main(
    repo: Repo, remote: Remote, splices: Mapping[str, Splice] = _NO_SPLICES, since: str = ""
) -> str:
    """Move this clone's main to the remote's, if that loses nothing. Why not, or ''.

    ``splices`` is how the last step, from ``since``, is made in the person's uncommitted files.
    """
    new, local = remote.main, repo.refs.read(remote.branch)
    if new is None or local is None or local == new:
        return ""
    name = remote.branch.removeprefix("refs/heads/")
    if not contains(repo, new, local):
        if contains(repo, local, new):
            return f"your {name} has commits that are not pushed: git push {remote.name} {name}"
        pull = f"git pull --rebase {remote.name} {name}"
        return f"your {name} has commits of its own, and {remote.name} went on: {pull}"
    try:
        move_branch(
            repo, remote.branch, new, local, "lifeos", splices if local == since else _NO_SPLICES
        )
    except Busy as error:  # InTheWay among them
        return f"your {name} stays behind {remote.name}: {error.message}"
    return ""


def quiet(_line: str) -> None:
    """Show no progress."""


def this_process() -> str:
    """Who claims: this process, so named that its death can be proven."""
    return proc_identity().line()


def versions() -> dict[str, str]:
    """What a packet says that it was made with."""
    import platform  # most ticks assemble none

    return {"lifeos": __version__, "python": platform.python_version()}


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
    pause: Callable[[int], None] = field(default_factory=lambda: jittered(SystemRandom().random))
    worker: Callable[[], str] = this_process
    versions: Callable[[], Mapping[str, str]] = versions

    @property
    def in_ci(self) -> bool:
        """Whether this is a CI machine, as all of them say it (``CI=true``)."""
        return self.environ.get("CI", "").lower() == "true"


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
    landed: list[str] = field(default_factory=list)  # references of runs that the remote can forget
    pulls: dict[str, Seen] = field(default_factory=dict)  # by item, as the forge last reported
    unheard: dict[str, LifeosError] = field(default_factory=dict)  # by item: why it did not
    late: tuple[Pull, ...] = ()  # those of questions that are over, and that were merged
    deaf: bool = False  # whether something of that is not known: a merge may be among it
    questions: dict[str, bool] = field(default_factory=dict)  # by commit: came by such a merge
    meters: dict[str, Meter] = field(default_factory=dict)  # of attempts, by their claim's nonce
    left_behind: str = ""  # why this clone's own main did not come along

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

    @property
    def remote(self) -> Remote | None:
        """Who holds the truth; None: this repository."""
        return self.ledger.remote

    @property
    def writes_by_pull_request(self) -> bool:
        """Whether lifeos itself may not push main."""
        return self.rules.config.main_writes is MainWrites.PR

    @cached_property
    def forge(self) -> Pulls | None:
        """Where queue PRs are, by the adopted rules; None unless they are how people answer.

        Raises ``NotAuthorised`` where its token is missing, ``UsageError`` where the repository's
        name on it is not known.
        """
        rules = self.rules
        if rules.approvals.trust is not Trust.MERGE or self.remote is None:
            return None
        from lifeos.tick.pulls_asked import connected  # with all that HTTP takes

        return connected(rules.config.forge, self.remote.url, self.world.environ)

    def who_brought(self, commit: str) -> int:
        """The number of the account that brought a commit to main, as the forge saw it; 0: unknown.

        A bot brings nothing, and nobody what came by the pull request of a question: its merge
        answers that, and whoever merged it need not have seen what else it had. The forge is asked
        once.
        """
        if self.forge is None:
            return 0
        for arrival in self._arrivals:
            if arrival.after and not has_commit(self.repo, arrival.after):
                continue  # newer than the main that was fetched: it brought nothing of that
            if arrival.before and not has_commit(self.repo, arrival.before):
                return 0  # a force push: what main was before is not here to be compared with
            came = bool(arrival.after) and contains(self.repo, arrival.after, commit)
            if came and not (arrival.before and contains(self.repo, arrival.before, commit)):
                person = None if arrival.who is None or arrival.who.bot else arrival.who
                return person.id if person and not self._came_by_question(commit) else 0
        return 0

    def _came_by_question(self, commit: str) -> bool:
        from lifeos.tick.pulls_asked import came_by_question

        if self.forge is not None and commit not in self.questions:
            asked_about = self.ledger.snapshot.asked_about
            merges = len(self.repo.objects.commit(commit).parents) > 1
            self.questions[commit] = came_by_question(
                self.forge, commit, asked_about, merges=merges
            )
        return self.questions.get(commit, True)

    def forget_pulls(self) -> None:
        """Take nothing of what the forge last reported for granted."""
        self.pulls, self.unheard, self.late = {}, {}, ()
        self.deaf = self.rules.approvals.trust is Trust.MERGE

    def forget_arrivals(self) -> None:
        """Ask the forge again who brought what: main may have moved."""
        self.__dict__.pop("_arrivals", None)
        self.questions.clear()

    @cached_property
    def _arrivals(self) -> tuple[Arrival, ...]:
        from lifeos.tick.pulls_asked import mendable

        with mendable():
            return self.forge.arrivals(self.rules.config.main) if self.forge else ()

    def main(self) -> str:
        """The commit that main is at: with a remote, its main when it was last looked at."""
        name, remote = self.rules.config.main, self.remote
        if remote is not None and remote.reached:
            if remote.main is None:
                raise UsageError(
                    f"{remote.name} has no branch {name}", f"git push {remote.name} {name}"
                )
            return remote.main
        commit = self.repo.refs.read(self.main_ref)
        if commit is None:
            raise UsageError(
                f"the branch {name} does not exist",
                "create it, or set `main:` in .lifeos/config.yaml",
            )
        return commit

    def look_clear(self, new: str, old: str, splices: Mapping[str, Splice]) -> None:
        """Raise ``InTheWay`` if main could not move because of the person's files.

        With a remote they are in nobody's way: main moves there, and their files stay.
        """
        if self.remote is None:
            move_branch(self.repo, self.main_ref, new, old, "lifeos", splices, look_only=True)

    def move_main(self, new: str, old: str, splices: Mapping[str, Splice]) -> bool:
        """Move main, by compare-and-swap. False: somebody else moved it.

        With a remote, everything recorded is pushed first, then main; then the person's own main
        comes along if it can. Raises what ``Ledger.flush`` and ``move_branch`` raise.
        """
        if self.remote is None:
            return move_branch(self.repo, self.main_ref, new, old, "lifeos", splices).moved
        self.ledger.flush()
        if not self.remote.push(Update(self.remote.branch, new, old)):
            self.ledger.catch_up()
            return False
        self.bring_along(splices, since=old)
        return True

    def bring_along(self, splices: Mapping[str, Splice] = _NO_SPLICES, since: str = "") -> None:
        """Move this clone's main, with its checkout, to the remote's if that loses nothing."""
        remote = self.remote
        if remote is not None and remote.main is not None:
            self.left_behind = bring_main(self.repo, remote, splices, since)

    def stop_file(self) -> Path | None:
        """The kill switch in the person's work tree, if there is a work tree."""
        return self.repo.work_tree / ".lifeos" / "STOP" if self.repo.work_tree else None

    def stopped_here(self) -> bool:
        """Whether the kill switch is set in the work tree (polled while attempts run)."""
        path = self.stop_file()
        return path is not None and os.path.lexists(path)
