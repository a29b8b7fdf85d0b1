"""Whether the rules at hand are the adopted ones: only those may say where a secret is sent."""

from __future__ import annotations

from lifeos.core.policy import Governance
from lifeos.errors import LifeosError
from lifeos.store.history import ledger_anchors
from lifeos.store.ledger import Ledger
from lifeos.store.repo import Repo


def adopted(repo: Repo, rules: Governance) -> bool:
    """Whether these rules are the adopted ones, or the first that there ever were.

    A clone that lacks the ledger which main names, or has a remote that may have one, cannot tell.
    """
    try:
        found = Ledger.open(repo)
    except LifeosError:
        return False  # the ledger's own line says what is wrong with it
    if found is not None:
        return found.snapshot.governance == rules.digest
    commit = repo.refs.read(f"refs/heads/{rules.config.main}")
    named = commit is not None and bool(ledger_anchors(repo, commit, 1))
    return not named and rules.config.remote == "none"
