"""What a run keeps of the rules that it was opened with, and what always counts as it is now.

A run pins how the work is done and judged. Who may answer, how they are known, how long a question
waits and who is told of it is never pinned: a change of that alone disturbs no open run.
"""

from __future__ import annotations

from lifeos.core.policy import Approvals, Approver, Config, Governance
from lifeos.core.policy.notify import Notify
from lifeos.model import Trust

_NEVER_PINNED = frozenset({"approvals", "digest"})


def same_for_runs(one: Governance, other: Governance) -> bool:
    """Whether a run goes on in the same way under either set."""
    names = Governance.model_fields.keys() - _NEVER_PINNED - {"config"}
    same = all(getattr(one, name) == getattr(other, name) for name in names)
    return same and _pinned(one.config) == _pinned(other.config)


def _pinned(config: Config) -> Config:
    """The configuration without whom to tell."""
    return config.model_copy(update={"notify": Notify()})


def somebody_may_answer(then: Approvals, now: Approvals) -> bool:
    """Whether anybody is an approver both by the rules of the question and by those of now.

    With trust `signature` it must be with the same key, as `core/approvals.py` wants it, and with
    `merge` by the same account, as `core/pulls.py` does.
    """
    return any(
        same_address(before.email, present.email) and same_identity(before, present, now.trust)
        for before in then.approvers
        for present in now.approvers
    )


def same_address(one: str, other: str) -> bool:
    """Equal addresses. Only A to Z have a case: a sign that folds to a letter is another one."""
    first, second = (text.encode("utf-8", "surrogatepass") for text in (one, other))
    return first.lower() == second.lower()


def approver_of(approvals: Approvals, email: str) -> Approver | None:
    """The approver of this address, or None."""
    return next((who for who in approvals.approvers if same_address(who.email, email)), None)


def same_identity(before: Approver, present: Approver, trust: Trust) -> bool:
    """Whether both are known by the same, as this trust knows people."""
    match trust:
        case Trust.COMMIT:
            return True
        case Trust.SIGNATURE:
            return before.key_material == present.key_material
        case Trust.MERGE:
            return before.forge_id == present.forge_id
