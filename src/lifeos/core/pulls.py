"""What the forge's record of a queue PR means for its question. Pure.

A merge is an approval, if an approver merged, by the number of their account, exactly what lifeos
pushed; a close by an approver is a rejection; changes requested by an approver send the work back.
Whatever else happened never resumes a run: the question is asked anew, or, where something reached
main that nobody let through, the CEO is asked whether to take it back.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from lifeos.core.answers import COMMENT_LIMIT, Refusal
from lifeos.core.canonical import Json, canonical_json
from lifeos.core.clean import one_line
from lifeos.core.facts import Answer, AskAnew, Intruded
from lifeos.core.pinned import same_address
from lifeos.core.policy import Approvals, Approver
from lifeos.core.state import Item, PullRequest
from lifeos.core.table import ANSWERS, TAKES_BACK
from lifeos.model import Decision, Frozen, ItemKind, Stage, Trust

BRANCHES = "refs/heads/lifeos/queue/"
"""Where the heads of queue PRs are."""


_CLOSES = "closed it"
_OBJECTS = "requested changes"
_QUIET = "lock its conversation, or limit who may comment"


def branch_of(item: str) -> str:
    """The name of the branch that an item's queue PR is from."""
    return f"lifeos/queue/{item}"


class Account(Frozen):
    """Somebody on the forge. ``bot``: anything that is not a person's account."""

    id: int
    login: str
    bot: bool = False

    def __str__(self) -> str:
        return f"{one_line(self.login, 60)} (account {self.id})"


class PullState(StrEnum):
    """What became of a pull request."""

    OPEN = "open"
    CLOSED = "closed"
    MERGED = "merged"


class Objection(Frozen):
    """Changes requested on the head as it is, and not taken back."""

    who: Account
    body: str = ""


class Content(StrEnum):
    """What a pull request carries, against what lifeos pushed."""

    EXACT = "exact"
    ANSWER = "answer"  # only the file of the answer was edited
    OTHER = "other"  # something else is in it


class PullFact(Frozen):
    """A queue PR as the forge and git report it now.

    ``ours``: from this repository's branch of the item, to main. ``on_main``: main has its merge
    (``commit``), and was at ``onto`` before it. ``content`` is of its head; once merged,
    ``faithful`` says whether main got just that. ``decision`` and ``comment`` are in the answer's
    file in its head, or on main once it is merged; None where there is none that can be read.
    ``closed_by`` are those who closed it, other than by merging it, and did not open it again
    since; the last close is the last one. ``no_closes`` and ``no_objections`` say why those cannot
    be known.
    ``clashes``: it does not fit main as it is now, or was before it was merged.
    """

    number: int
    url: str = ""
    state: PullState
    ours: bool = True
    head: str
    commit: str = ""
    onto: str = ""
    on_main: bool = False
    faithful: bool = True
    content: Content = Content.EXACT
    author: Account | None = None
    merged_by: Account | None = None
    closed_by: tuple[Account | None, ...] = ()
    objections: tuple[Objection, ...] = ()
    no_closes: str = ""
    no_objections: str = ""
    decision: Decision | None = None
    comment: str = ""
    clashes: bool = False


@dataclass(frozen=True)
class Waits:
    """Nobody has answered yet."""


@dataclass(frozen=True)
class OpenAgain:
    """It was closed by somebody who may not answer: lifeos opens it once more."""

    item: str
    reason: str


Judged = Answer | Waits | AskAnew | Intruded | OpenAgain | Refusal


@dataclass(frozen=True)
class News:
    """What the queue PRs say: answers that count, and what else is to be done or said."""

    answers: tuple[Answer, ...] = ()
    refusals: tuple[Refusal, ...] = ()
    anew: tuple[AskAnew, ...] = ()
    intruded: tuple[Intruded, ...] = ()
    again: tuple[OpenAgain, ...] = ()


@dataclass(frozen=True)
class Asked:
    """A question with its PR, the approvers of then and now, the subject and the time of now."""

    item: Item
    pull: PullRequest
    then: Approvals
    now: Approvals
    subject_now: str
    at: int

    @property
    def late(self) -> bool:
        """Whether it has expired."""
        expires = self.item.expires_at
        return expires is not None and self.at >= expires

    def approver(self, who: Account | None) -> Approver | None:
        """The approver whose account this is, by its number: then and now, and no bot."""
        if who is None or who.bot:
            return None
        before, present = _by_id(self.then, who.id), _by_id(self.now, who.id)
        if before is None or present is None or not same_address(before.email, present.email):
            return None
        return present

    def stranger(self, who: Account | None) -> str:
        """Why this account may not answer."""
        if who is None:
            return "the forge does not say who it was"
        if who.bot:
            return f"{who} is a bot"
        if _by_id(self.now, who.id) is None:
            once = _by_id(self.then, who.id) is not None
            return f"{who} is {'no longer an' if once else 'no'} approver"
        return f"{who} was not an approver when the question was asked"


def judge_pull(asked: Asked, fact: PullFact) -> Judged:
    """What became of a question by its queue PR."""
    if not fact.ours:
        return _anew(asked.item, "its pull request was pointed at another branch")
    if asked.now.trust is not Trust.MERGE:
        return _otherwise(asked, fact)
    refused = next((who for who in fact.closed_by if asked.approver(who)), None)
    match fact.state:
        case PullState.MERGED if refused and fact.on_main and _brought(asked, fact):
            return _intruded(asked.item, fact, f"{refused} had closed it")
        case PullState.MERGED if fact.no_closes and fact.on_main and _brought(asked, fact):
            return _intruded(asked.item, fact, _unknown(_CLOSES, fact.no_closes))
        case _ if refused:  # who opens it again, or closes it too, does not take that back
            return _refused(asked, fact, refused)
        case _ if fact.no_closes:
            return _anew(asked.item, _unknown(_CLOSES, fact.no_closes))
        case PullState.OPEN:
            return _open(asked, fact)
        case PullState.CLOSED:
            return _closed(asked, fact)
        case PullState.MERGED:
            return _merged(asked, fact)


def _unknown(what: str, why: str) -> str:
    """The reason of what is asked anew since nobody can read who refused it."""
    return f"whether an approver {what} cannot be known ({one_line(why, 200)}): {_QUIET}"


def _otherwise(asked: Asked, fact: PullFact) -> Judged:
    """Answers come otherwise by now, and it is asked anew so; but what is on main is there."""
    if fact.state is PullState.MERGED and fact.on_main and _brought(asked, fact):
        return _intruded(asked.item, fact, "merges are no answers any more")
    return Waits()


def _brought(asked: Asked, fact: PullFact) -> bool:
    """Whether more than an answer reached main by it."""
    return asked.pull.brings_more or not fact.faithful or fact.content is Content.OTHER


def _open(asked: Asked, fact: PullFact) -> Judged:
    objection = _objection(asked, fact)
    if objection is not None:
        return objection
    if fact.no_objections:
        return _anew(asked.item, _unknown(_OBJECTS, fact.no_objections))
    if fact.head != asked.pull.head:
        edited = fact.content is Content.ANSWER and not asked.pull.brings_more
        if not edited or fact.decision in (None, Decision.APPROVE):
            return _anew(asked.item, "somebody pushed to its branch")
    if asked.subject_now != asked.item.subject:
        return _anew(asked.item, "what it is about has changed since it was asked")
    if asked.pull.landing and fact.clashes:
        return _anew(asked.item, "main has changed what it would land")
    return Waits()


def _objection(asked: Asked, fact: PullFact, but: Account | None = None) -> Judged | None:
    """The answer of an approver who requested changes in time; ``but``: not of this one."""
    if asked.late or asked.subject_now != asked.item.subject:
        return None
    for objection in fact.objections:
        approver = asked.approver(objection.who)
        if approver is None or (but is not None and objection.who.id == but.id):
            continue
        if not _may_be(asked.item, Decision.REVISE):
            return _no_revision(asked, fact, objection.who)
        comment = one_line(objection.body, COMMENT_LIMIT) or "changes requested"
        return _answer(asked, fact, approver, Decision.REVISE, comment)
    return None


def _may_be(item: Item, decision: Decision) -> bool:
    """Whether this is an answer to it. What came to main is taken back or left, not redrafted."""
    redraft = item.rule in TAKES_BACK and decision is Decision.REVISE
    return decision in ANSWERS[item.kind] and not redraft


def _no_revision(asked: Asked, fact: PullFact, who: Account) -> Judged:
    """Two approvers who say different things, or one who has not answered yet."""
    why = f"{who} requested changes, which is no answer to a {asked.item.kind} question"
    if fact.state is PullState.MERGED:
        return _anew(asked.item, f"it was merged, and {why}")
    return Refusal(asked.item.id, why, "merge the pull request, or close it")


def _refused(asked: Asked, fact: PullFact, who: Account) -> Judged:
    approver = asked.approver(who)
    if approver is None:
        raise AssertionError("who closed was looked at above")
    said = next((each.body for each in fact.objections if each.who == who), "")
    comment = one_line(said, COMMENT_LIMIT) or "the pull request was closed without a merge"
    theirs = fact.model_copy(update={"closed_by": (who,)})
    return _answer(asked, theirs, approver, Decision.REJECT, comment)


def _closed(asked: Asked, fact: PullFact) -> Judged:
    last = fact.closed_by[-1] if fact.closed_by else None
    why = f"its pull request was closed, and {asked.stranger(last)}"
    if not asked.pull.reopened:
        return OpenAgain(asked.item.id, why)
    return Refusal(
        asked.item.id,
        f"{why}; it was opened again once already",
        f"an approver opens {fact.url} again and merges it, or closes it; or `lifeos cancel`",
    )


def _merged(asked: Asked, fact: PullFact) -> Judged:
    item, pull = asked.item, asked.pull
    if not fact.on_main:
        return _anew(item, "it was merged, and main does not have it")
    moved = fact.head != pull.head
    if not fact.faithful or (moved and (pull.brings_more or fact.content is Content.OTHER)):
        more = "something else than lifeos had pushed was merged"
        return _intruded(item, fact, more)
    wrong = _wrong_merge(asked, fact)
    if wrong and pull.landing:
        return _intruded(item, fact, wrong)
    if wrong:
        return _anew(item, wrong)
    approver = asked.approver(fact.merged_by)
    if approver is None:
        raise AssertionError("who merged was looked at above")
    if pull.landing:
        return _answer(asked, fact, approver, Decision.APPROVE, "")
    filed = _as_filed(asked, fact, approver)
    if fact.decision is Decision.REJECT:
        return filed
    if fact.no_objections:
        return _anew(item, _unknown(_OBJECTS, fact.no_objections))
    return _objection(asked, fact, but=fact.merged_by) or filed


def _anew(item: Item, reason: str) -> AskAnew:
    return AskAnew(item=item.id, reason=reason)


def _intruded(item: Item, fact: PullFact, reason: str) -> Intruded:
    return Intruded(item=item.id, commit=fact.commit, onto=fact.onto, reason=reason)


def _wrong_merge(asked: Asked, fact: PullFact) -> str:
    """Why this merge is no answer, or ''. After its time a question can still be refused."""
    who = fact.merged_by
    if asked.approver(who) is None:
        return f"it was merged, and {asked.stranger(who)}"
    if fact.author is None:
        return "the forge does not say who opened it"
    if who is not None and fact.author.id == who.id:
        return f"it was merged by its own author, {who}"
    resumes = asked.pull.landing or fact.decision is not Decision.REJECT
    if resumes and asked.late:
        return "it was merged after the question had expired"
    if resumes and asked.subject_now != asked.item.subject:
        return "it was merged after what it is about had changed"
    if asked.pull.landing and fact.clashes:
        return "it was merged after main had changed its task, or what it lands"
    return ""


def _as_filed(asked: Asked, fact: PullFact, approver: Approver) -> Judged:
    """The answer in the merged file: approve as it was pushed, or what an approver made of it."""
    item = asked.item
    if fact.decision is None:
        return _anew(item, "it was merged, and the answer is not on main as it was in it")
    if fact.decision is Decision.APPROVE and fact.head != asked.pull.head:
        return _anew(item, "somebody pushed to its branch before it was merged")
    if not _may_be(item, fact.decision):
        return _anew(item, f"{fact.decision} is no answer to a {item.kind} question")
    if fact.decision is not Decision.APPROVE and not fact.comment:
        return _anew(item, f"its file says {fact.decision}, without a comment")
    return _answer(asked, fact, approver, fact.decision, fact.comment)


def _answer(
    asked: Asked, fact: PullFact, approver: Approver, decision: Decision, comment: str
) -> Answer:
    return Answer(
        item=asked.item.id,
        decision=decision,
        who=approver.email,
        trust=Trust.MERGE,
        commit=fact.commit if fact.state is PullState.MERGED else "",
        comment=comment,
        raw=report(fact),
    )


def report(fact: PullFact) -> str:
    """What the forge reported, as it goes into the record: one line of JSON."""
    told: dict[str, Json] = {
        "pull": fact.number,
        "state": fact.state.value,
        "head": fact.head,
        "commit": fact.commit,
    }
    closed_by = next((who for who in reversed(fact.closed_by) if who), None)
    named = {"author": fact.author, "merged_by": fact.merged_by, "closed_by": closed_by}
    for name, who in named.items():
        if who is not None:
            told[name] = {"id": who.id, "login": one_line(who.login, 60)}
    if fact.objections:
        told["objections"] = [each.who.id for each in fact.objections[:20]]
    return canonical_json(told)


def is_landing(item: Item, by_pull_requests: bool) -> bool:
    """Whether the PR of this question carries the work: merging it lands the run, or a proposal."""
    at_close = item.kind is ItemKind.STAGE_REVIEW and item.stage is Stage.CLOSE
    return by_pull_requests and (at_close or item.proposed is not None)


def _by_id(approvals: Approvals, account: int) -> Approver | None:
    return next((who for who in approvals.approvers if who.forge_id == account), None)
