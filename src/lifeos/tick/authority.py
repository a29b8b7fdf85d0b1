"""Whether a commit was brought by an approver, as far as the trust in force can tell."""

from __future__ import annotations

from collections.abc import Callable

from lifeos.core.approvals import Signed, is_approver
from lifeos.core.policy import Approvals
from lifeos.model import Trust
from lifeos.store.history import Introduced
from lifeos.store.repo import Repo
from lifeos.store.signature import verify


def by_approver(
    repo: Repo,
    brought: Introduced,
    approvals: Approvals,
    account: Callable[[str], int] | None = None,
) -> bool:
    """Whether an approver brought this commit.

    With trust ``commit``: author and committer are approvers, and it is not lifeos's own. With
    trust ``signature``: an approver's key signed it. With ``merge``: the forge saw an approver's
    account bring it to main, by a push or a merge; ``account`` asks it (``Context.who_brought``),
    and without it nothing can be told.
    """
    emails = {brought.author.email, brought.committer.email}
    if brought.by_lifeos:
        return False
    match approvals.trust:
        case Trust.COMMIT:
            return all(is_approver(approvals, email) for email in emails)
        case Trust.SIGNATURE:
            signers = [(who.email, who.key) for who in approvals.approvers if who.key]
            signed = verify(repo, brought.commit, signers)
            # An approver's key on a commit in another's name says nothing about that other.
            return isinstance(signed, Signed) and all(
                email.lower() == signed.principal.lower() for email in emails
            )
        case Trust.MERGE:
            who = account(brought.commit) if account else 0
            return who != 0 and any(person.forge_id == who for person in approvals.approvers)
