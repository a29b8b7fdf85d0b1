"""What a command that only looks needs: repository, ledger, rules and main, as cheaply as it goes.

The rules are remembered as data by their digest, because reading YAML costs more than all the rest
of a look. Only for looking: whatever decides reads the adopted files themselves.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lifeos.errors import UsageError
from lifeos.store.trees import lookup
from lifeos.tick.reading import Main, main_at

if TYPE_CHECKING:
    from lifeos.cli.frame import Frame
    from lifeos.core.policy import Governance
    from lifeos.store.ledger import Ledger
    from lifeos.store.repo import Repo

_CONFIG = ".lifeos/config.yaml"
BRANCH = "refs/heads/lifeos/ledger"


@dataclass(frozen=True)
class Here:
    """Where a command looks. ``ledger`` is None before the first tick.

    ``past``: all of it is as it was then, and nothing of now belongs beside it.
    """

    repo: Repo
    ledger: Ledger | None
    rules: Governance
    main: Main
    past: bool = False

    @property
    def branch(self) -> str:
        """The name of the main branch."""
        return self.rules.config.main

    @property
    def main_ref(self) -> str:
        """The full name of the main branch."""
        return f"refs/heads/{self.branch}"


@contextmanager
def look(frame: Frame, *, fresh: bool = False) -> Iterator[Here]:
    """Open the repository and everything in it; the errors of ``look_at``."""
    with frame.repo() as repo:
        yield look_at(repo, fresh=fresh)


def look_at(repo: Repo, *, fresh: bool = False) -> Here:
    """What is in an open repository; with a remote, what this clone last saw of it.

    ``fresh``: the remote is asked first, if it can be reached.
    Raises ``UsageError`` where lifeos is not set up, or its rules or main are not there.
    """
    from lifeos.core.policy import NO_REMOTE
    from lifeos.store.ledger import Ledger

    ledger = Ledger.open(repo)
    rules = adopted(ledger) if ledger else first_rules(repo)
    commit = None
    if rules.config.remote != NO_REMOTE:
        ledger, commit = _of_remote(repo, rules, ledger, fresh=fresh)
        rules = adopted(ledger) if ledger else rules
    commit = commit or repo.refs.read(f"refs/heads/{rules.config.main}")
    if commit is None:
        raise UsageError(
            f"the branch {rules.config.main} does not exist",
            f"create it, or set `main:` in {_CONFIG}",
        )
    return Here(repo, ledger, rules, main_at(repo, commit))


def _of_remote(
    repo: Repo, rules: Governance, ledger: Ledger | None, *, fresh: bool
) -> tuple[Ledger | None, str | None]:
    """The ledger and main of the remote: as they are, or as they were last seen."""
    from lifeos.errors import Busy
    from lifeos.store.ledger import Ledger as LedgerClass
    from lifeos.store.remote import Remote, known_ledger, known_main

    config = rules.config
    if fresh:
        from lifeos.cli.frame import progress
        from lifeos.tick.context import World

        remote = Remote.open(repo, config.remote, config.main, World().pause)
        try:
            remote.refresh()
            return LedgerClass.of(remote), remote.main
        except Busy as busy:
            progress(f"{busy.message}; this goes by what was last seen of it")
    tip = known_ledger(repo, config.remote)
    if tip is not None and (ledger is None or ledger.tip != tip):
        ledger = LedgerClass.at(repo, tip)
    return ledger, known_main(repo, config.remote, config.main)


def is_set_up(repo: Repo) -> bool:
    """Whether there is a ledger, or the commit that is checked out has rules to begin one with."""
    if repo.refs.read(BRANCH):
        return True
    head = repo.refs.head_id()
    return head is not None and lookup(repo.objects, main_at(repo, head).tree, _CONFIG) is not None


def not_here_yet(repo: Repo) -> UsageError:
    """The error where there is no ledger: begin one, or take that of the clone's origin."""
    remote = next((n for n in repo.refs.list("refs/remotes/") if n.endswith("/lifeos/ledger")), "")
    if remote:
        short = remote.removeprefix("refs/remotes/")
        return UsageError("the ledger is not here yet", f"git branch lifeos/ledger {short}")
    return UsageError("there is no ledger here yet", "lifeos init, commit, then lifeos tick")


def first_rules(repo: Repo) -> Governance:
    """The rules that the first tick would adopt, from the commit that is checked out."""
    from lifeos.tick.begin import refuse, set_at

    head = repo.refs.head_id()
    if head is None:
        raise UsageError("there is no commit here yet", "make a first commit, then lifeos init")
    if not is_set_up(repo):
        written = repo.work_tree is not None and (repo.work_tree / _CONFIG).exists()
        if written:
            raise UsageError(
                "the rules of lifeos are not committed",
                "git add .lifeos policies BACKLOG.md && git commit, or lifeos init --commit",
            )
        raise UsageError("lifeos is not set up here", "lifeos init --commit")
    loaded = set_at(repo, head)
    if loaded.governance is None:
        refuse(loaded)
    return loaded.governance


def adopted(ledger: Ledger) -> Governance:
    """The adopted set, from memory where it was read before."""
    from lifeos.core.policy import Governance

    digest = ledger.snapshot.governance
    memory = ledger.repo.private_dir / "cache" / f"rules-{digest[:16]}"
    try:
        known = Governance.model_validate_json(memory.read_bytes())
    except (FileNotFoundError, ValueError):
        known = None  # never read before, or by another version: read the files again
    if known is not None and known.digest == digest:
        return known
    rules = rules_of(ledger, digest)
    memory.parent.mkdir(parents=True, exist_ok=True)
    for old in memory.parent.glob("rules-*"):
        old.unlink(missing_ok=True)
    fresh = memory.with_name(f"new-{memory.name}")
    fresh.write_text(rules.model_dump_json(), encoding="utf-8")
    fresh.replace(memory)
    return rules


def rules_of(ledger: Ledger, digest: str) -> Governance:
    """A set that the ledger has, read from its files. Raises ``LedgerBroken``."""
    from lifeos.errors import LedgerBroken
    from lifeos.governance import load_set

    loaded = load_set(ledger.governance(digest))
    if loaded.governance is None or loaded.governance.digest != digest:
        raise LedgerBroken(
            f"the adopted governance {digest[:12]} cannot be read by this lifeos, or was altered",
            "lifeos verify; or use the lifeos version that adopted it",
        )
    return loaded.governance
