"""The beginning: the first set of governance on main, and the ledger that adopts it."""

from __future__ import annotations

from typing import NoReturn

from lifeos.core.policy import NO_REMOTE, Config
from lifeos.errors import LedgerBroken, UsageError
from lifeos.governance import Loaded, load_set
from lifeos.store.history import ledger_anchors
from lifeos.store.ledger import Ledger
from lifeos.store.remote import Remote, known_ledger
from lifeos.store.repo import Repo
from lifeos.tick.context import Context, Limits, World
from lifeos.tick.reading import governance_files, main_at

FIX = "lifeos init --commit"


def main_branch(repo: Repo) -> str:
    """The branch that rules, by the configuration at HEAD."""
    return config_at_head(repo).main


def config_at_head(repo: Repo) -> Config:
    """What the configuration at HEAD says, read from its commit.

    Raises ``UsageError`` when there is no commit or no configuration yet.
    """
    head = repo.refs.head_id()
    if head is None:
        raise UsageError("there is no commit here yet", "make a first commit, then lifeos init")
    loaded = set_at(repo, head)
    if loaded.governance is None:
        refuse(loaded)
    return loaded.governance.config


def set_at(repo: Repo, commit: str) -> Loaded:
    """The set of governance at a commit, or what is wrong with it."""
    return load_set(governance_files(repo, main_at(repo, commit).tree))


def refuse(loaded: Loaded) -> NoReturn:
    """Raise ``UsageError`` with every problem of a set."""
    raise UsageError(
        "the rules on main cannot be used", f"mend them, or {FIX}", problems=loaded.problems
    )


def attached(repo: Repo, world: World, limits: Limits | None = None) -> Context | None:
    """The context of a command, with the ledger that counts; None where there is none yet.

    With a remote it has been fetched. Raises ``Busy`` if it cannot be reached, ``NotAuthorised``
    if it may not be read.
    """
    limits = limits or Limits()
    ledger = Ledger.open(repo)
    if ledger is None:
        config = config_at_head(repo)
    else:
        ctx = Context(repo, ledger, world, limits)
        config = ctx.rules.config
        if config.remote == NO_REMOTE:
            return ctx
    if config.remote == NO_REMOTE:
        return None
    remote = Remote.open(repo, config.remote, config.main, world.pause)
    remote.refresh()
    found = Ledger.of(remote)
    return Context(repo, found, world, limits) if found else None


def last_seen(repo: Repo, world: World, limits: Limits | None = None) -> Context | None:
    """The context by what this clone last saw of a remote that cannot be reached now."""
    config = config_at_head(repo)
    tip = known_ledger(repo, config.remote)
    return Context(repo, Ledger.at(repo, tip), world, limits or Limits()) if tip else None


def opened(repo: Repo, world: World, limits: Limits | None = None) -> Context:
    """The same; the ledger is begun where there is none."""
    ctx = attached(repo, world, limits)
    if ctx is not None:
        return ctx
    config = config_at_head(repo)
    remote = None
    if config.remote != NO_REMOTE:
        remote = Remote.open(repo, config.remote, config.main, world.pause)
        remote.refresh()
    return Context(repo, begin(repo, world, remote), world, limits or Limits())


def begin(repo: Repo, world: World, remote: Remote | None = None) -> Ledger:
    """Create the ledger, adopting the set that is on main. There was none a moment ago.

    ``remote`` is who holds the truth, and was fetched.
    """
    branch = main_branch(repo)
    commit = remote.main if remote else repo.refs.read(f"refs/heads/{branch}")
    where = f" on {remote.name}" if remote else ""
    if commit is None:
        fix = f"git push {remote.name} {branch}" if remote else "create it"
        raise UsageError(
            f"the branch {branch} does not exist{where}",
            f"{fix}, or set main: in .lifeos/config.yaml",
        )
    if ledger_anchors(repo, commit, 1):
        raise LedgerBroken(
            f"main names a ledger, and there is none {where.strip() or 'here'}",
            f"push it there from the clone that has it: git push {remote.name} lifeos/ledger"
            if remote
            else "fetch it: git fetch origin lifeos/ledger:lifeos/ledger",
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
            remote=remote,
        )
    except UsageError:
        if remote is not None:
            remote.refresh()
        other = Ledger.of(remote) if remote else Ledger.open(repo)
        if other is None:
            raise
        return other  # another tick began it at the same moment
    ledger.save()
    return ledger
