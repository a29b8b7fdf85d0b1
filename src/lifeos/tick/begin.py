"""The beginning: the first set of governance on main, and the ledger that adopts it."""

from __future__ import annotations

from typing import NoReturn

from lifeos.errors import LedgerBroken, UsageError
from lifeos.governance import Loaded, load_set
from lifeos.store.history import ledger_anchors
from lifeos.store.ledger import Ledger
from lifeos.store.repo import Repo
from lifeos.tick.context import World
from lifeos.tick.reading import governance_files, main_at

FIX = "lifeos init --commit"


def main_branch(repo: Repo) -> str:
    """The branch that rules: what the configuration at HEAD says, read from its commit.

    Raises ``UsageError`` when there is no commit or no configuration yet.
    """
    head = repo.refs.head_id()
    if head is None:
        raise UsageError("there is no commit here yet", "make a first commit, then lifeos init")
    loaded = set_at(repo, head)
    if loaded.governance is None:
        refuse(loaded)
    return loaded.governance.config.main


def set_at(repo: Repo, commit: str) -> Loaded:
    """The set of governance at a commit, or what is wrong with it."""
    return load_set(governance_files(repo, main_at(repo, commit).tree))


def refuse(loaded: Loaded) -> NoReturn:
    """Raise ``UsageError`` with every problem of a set."""
    raise UsageError(
        "the rules on main cannot be used", f"mend them, or {FIX}", problems=loaded.problems
    )


def begin(repo: Repo, world: World) -> Ledger:
    """Create the ledger, adopting the set that is on main. There was none a moment ago."""
    branch = main_branch(repo)
    commit = repo.refs.read(f"refs/heads/{branch}")
    if commit is None:
        raise UsageError(
            f"the branch {branch} does not exist", "create it, or set main: in .lifeos/config.yaml"
        )
    if ledger_anchors(repo, commit, 1):
        raise LedgerBroken(
            "main names a ledger, and there is none here",
            "fetch it: git fetch origin lifeos/ledger:lifeos/ledger",
        )
    files = governance_files(repo, main_at(repo, commit).tree)
    loaded = load_set(files)
    if loaded.governance is None:
        refuse(loaded)
    at = int(world.clock())
    try:
        ledger = Ledger.begin(
            repo,
            files=files,
            digest=loaded.governance.digest,
            main=commit,
            nonce=world.nonce(),
            at=at,
        )
    except UsageError:
        other = Ledger.open(repo)
        if other is None:
            raise
        return other  # another tick began it at the same moment
    ledger.save()
    return ledger
