"""Whether the rules at hand are the adopted ones: only those may say where a secret is sent."""

from __future__ import annotations

from lifeos.core.policy import NO_REMOTE, Governance
from lifeos.errors import LifeosError
from lifeos.store.history import ledger_anchors
from lifeos.store.ledger import Ledger
from lifeos.store.remote import known_ledger
from lifeos.store.repo import Repo


def ledger_here(repo: Repo, rules: Governance | None) -> Ledger | None:
    """The ledger as this clone knows it: with a remote, as it last saw it there, by git or lifeos.

    Raises what ``Ledger.open`` raises.
    """
    found = Ledger.open(repo)
    remote = rules.config.remote if rules is not None else NO_REMOTE
    tip = known_ledger(repo, remote) if remote != NO_REMOTE else None
    return found if tip is None or (found and found.tip == tip) else Ledger.at(repo, tip)


def adopted(repo: Repo, rules: Governance) -> bool:
    """Whether these rules are the adopted ones, or the first that there ever were.

    A clone that lacks the ledger which main names, or has a remote that may have one, cannot tell.
    """
    try:
        found = ledger_here(repo, rules)
    except LifeosError:
        return False  # the ledger's own line says what is wrong with it
    if found is not None:
        return found.snapshot.governance == rules.digest
    commit = repo.refs.read(f"refs/heads/{rules.config.main}")
    named = commit is not None and bool(ledger_anchors(repo, commit, 1))
    return not named and rules.config.remote == NO_REMOTE
