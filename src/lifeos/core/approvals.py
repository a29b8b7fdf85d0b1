"""Whether an answer to a queue item counts, and if not, why.

An answer counts only if it is on main as a regular file of exactly the right name, the item is
open, the subject is the item's and still true, it has not expired, it arrived the way its trust
demands, and whoever brought it is an approver both in the governance adopted when the item was
opened and now. Everything else is a ``Refusal``, with the reason and the next action.
"""

from __future__ import annotations

from dataclasses import dataclass

from lifeos.core.answers import QUEUE, AnswerFile, Refusal, answer_path
from lifeos.core.facts import Answer
from lifeos.core.pinned import approver_of, same_address
from lifeos.core.policy import Approvals
from lifeos.core.state import Item
from lifeos.core.table import ANSWERS, TAKES_BACK
from lifeos.model import Decision, Trust

_REGULAR = frozenset({"100644", "100755"})
_KINDS = {"120000": "a symbolic link", "160000": "a submodule", "040000": "a folder"}


@dataclass(frozen=True)
class Signed:
    """A good signature. ``principal`` is the e-mail of the key's owner, ``key`` type and base64."""

    principal: str
    key: str
    fingerprint: str


@dataclass(frozen=True)
class Unsigned:
    """No signature."""


@dataclass(frozen=True)
class Refused:
    """A signature that does not count, and why."""

    reason: str


Signature = Signed | Unsigned | Refused


@dataclass(frozen=True)
class Evidence:
    """How an answer got where it is, as found in git.

    ``path`` and ``mode`` are those of the file in main's tree, ``commit`` brought its present
    content, ``author`` and ``committer`` are the e-mail addresses in it. ``signature`` was checked
    against the keys of the approvers then and now. ``forge``: one is configured.
    """

    path: str
    mode: str
    on_main: bool
    commit: str
    author: str
    committer: str
    by_lifeos: bool
    signature: Signature = Unsigned()
    forge: bool = False
    ci: bool = False


def is_approver(approvals: Approvals, email: str) -> bool:
    """Whether this address is an approver's."""
    return approver_of(approvals, email) is not None


def judge_answer(
    item: Item | None,
    answer: AnswerFile,
    evidence: Evidence,
    *,
    subject_now: str,
    then: Approvals,
    now: Approvals,
    at: int,
) -> Answer | Refusal:
    """The answer, if it counts.

    ``item`` is the open item of the file's name, or None. ``subject_now`` is its subject computed
    from what is there now. ``then`` and ``now`` are the approvals adopted when it was opened and
    at present; ``at`` is the time in seconds UTC.
    """
    if item is None:
        return Refusal(
            answer.item,
            "no such question is open: it was answered or withdrawn, or is of another repository",
            "lifeos queue lists what is open; remove this file from main",
        )
    reason = (
        _only_in_its_pull_request(item, answer)
        or _wrong_place(item, evidence)
        or _wrong_content(item, answer, subject_now)
        or _too_late(item, answer, at)
        or wrong_bringer(evidence, then, now)
    )
    if reason is not None:
        return Refusal(item.id, *reason)
    return Answer(
        item=item.id,
        decision=answer.decision,
        who=evidence.author,
        trust=now.trust,
        commit=evidence.commit,
        comment=answer.comment,
        raw=answer.raw,
    )


_Reason = tuple[str, str] | None
"""Why it does not count, and what to do; None: nothing was found."""


def _only_in_its_pull_request(item: Item, answer: AnswerFile) -> _Reason:
    """What takes back what is on main is in a pull request: a file takes nothing back."""
    if item.rule not in TAKES_BACK or answer.decision is not Decision.APPROVE:
        return None
    return (
        "a file takes nothing back: what does is in its pull request",
        f"git revert {item.about[:12]} on main yourself, then lifeos reject {item.id} -m 'TEXT'",
    )


def _again(item: Item) -> str:
    return f"answer it again, as yourself: lifeos approve {item.id} (or revise, reject)"


def _wrong_place(item: Item, evidence: Evidence) -> _Reason:
    expected = answer_path(item.id)
    if evidence.path != expected:
        if evidence.path.lower() == expected.lower():
            return "its file name differs in case", f"git mv it to {expected}, and commit"
        return f"it is not at {expected}", _again(item)
    if evidence.mode not in _REGULAR:
        kind = _KINDS.get(evidence.mode, f"of mode {evidence.mode}")
        return f"it is {kind}, not a regular file", f"remove it, then {_again(item)}"
    if not evidence.on_main:
        return "it is not committed on main", "commit it, and bring the commit to main"
    return None


def _wrong_content(item: Item, answer: AnswerFile, subject_now: str) -> _Reason:
    if answer.item != item.id:
        return f"it is the answer to another item, {answer.item}", _again(item)
    if answer.subject != item.subject:
        return (
            "its subject is not this question's: it is about another state, item or repository",
            f"read {QUEUE}/{item.id}.md as it is now, then {_again(item)}",
        )
    if subject_now != item.subject:
        return (
            "it is stale: what it is about has changed since it was asked",
            "run lifeos tick, which asks anew; then answer the new question",
        )
    allowed = ANSWERS[item.kind]
    if answer.decision not in allowed:
        names = " or ".join(allowed)
        return f"{answer.decision} is no answer to a {item.kind} item", f"answer {names}"
    if answer.decision is not Decision.APPROVE and not answer.comment:
        return (
            f"{answer.decision} has no comment",
            f"say what is wrong: lifeos {answer.decision} {item.id} -m 'TEXT'",
        )
    return None


def _too_late(item: Item, answer: AnswerFile, at: int) -> _Reason:
    """After its time a question can still be refused, but nothing resumes by it."""
    if item.expires_at is None or at < item.expires_at or answer.decision is Decision.REJECT:
        return None
    return (
        "the question has expired",
        f"lifeos reject {item.id} -m 'TEXT' still counts; then lifeos retry asks afresh",
    )


def wrong_bringer(evidence: Evidence, then: Approvals, now: Approvals) -> tuple[str, str] | None:
    """Why whoever brought it may not answer, and what to do; None: they may."""
    return _wrong_arrival(evidence, now.trust) or _wrong_person(evidence, then, now)


def _wrong_arrival(evidence: Evidence, trust: Trust) -> _Reason:
    """Whether it came the way that the trust in force demands."""
    again = "answer it as yourself: lifeos approve, revise or reject"
    if evidence.by_lifeos:
        return "its commit names lifeos itself: lifeos never answers its own questions", again
    for email in (evidence.author, evidence.committer):
        if "[bot]" in email:
            return f"it was committed by a bot, {email}", again
    match trust:
        case Trust.COMMIT:
            return _wrong_commit(evidence)
        case Trust.SIGNATURE:
            return _wrong_signature(evidence)
        case Trust.MERGE:
            if evidence.forge:
                return (
                    "it was pushed; with trust `merge` only a merged queue PR is an approval",
                    "merge or close the question's pull request",
                )
            return (
                "trust `merge` needs a forge, and none is configured",
                "set trust to `signature` or `commit` in policies/approvals.yaml",
            )


def _wrong_commit(evidence: Evidence) -> _Reason:
    if evidence.forge or evidence.ci:
        where = "a forge is configured" if evidence.forge else "this is a CI machine"
        return (
            f"trust `commit` is not enough where {where}: anybody can write an author's name",
            "set trust to `signature` or `merge` in policies/approvals.yaml",
        )
    if not same_address(evidence.author, evidence.committer):
        return (
            f"its author {evidence.author} is not its committer {evidence.committer}; "
            "either may be spoofed",
            "the approver commits it: lifeos approve, revise or reject",
        )
    return None


def _wrong_signature(evidence: Evidence) -> _Reason:
    sign = "answer again and sign the commit: git -c gpg.format=ssh commit -S"
    match evidence.signature:
        case Unsigned():
            return "the commit that brought its content is not signed", sign
        case Refused(reason=reason):
            return reason, sign
        case Signed(principal=principal):
            for role, email in (("author", evidence.author), ("committer", evidence.committer)):
                if not same_address(principal, email):
                    return f"it is signed by {principal}, but its {role} is {email}", sign
            return None


def _wrong_person(evidence: Evidence, then: Approvals, now: Approvals) -> _Reason:
    """Whoever brought it must be an approver, with the same key, then and now."""
    email = evidence.author
    before, present = approver_of(then, email), approver_of(now, email)
    ask = "let one of the approvers in policies/approvals.yaml answer"
    if present is None:
        if before is not None:
            return f"{email} was taken off the approvers since the question was asked", ask
        return f"{email} is not an approver", ask
    if before is None:
        return f"{email} was not an approver when the question was asked", ask
    if isinstance(evidence.signature, Signed) and now.trust is Trust.SIGNATURE:
        key = evidence.signature.key
        if key != present.key_material:
            return f"its key {evidence.signature.fingerprint} was taken back since", ask
        if key != before.key_material:
            return (
                f"its key {evidence.signature.fingerprint} is newer than the question",
                ask,
            )
    return None
