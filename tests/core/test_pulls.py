"""What a queue PR means: each case alone, for a PR that would else count as an approval."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from lifeos.core.answers import Refusal
from lifeos.core.facts import Answer, AskAnew, Intruded
from lifeos.core.policy import Approvals, Approver
from lifeos.core.pulls import (
    Account,
    Asked,
    Content,
    Judged,
    Objection,
    OpenAgain,
    PullFact,
    PullState,
    Waits,
    branch_of,
    is_landing,
    judge_pull,
)
from lifeos.core.state import Item, PullRequest
from lifeos.core.table import INTRUDED
from lifeos.model import Decision, ItemKind, Stage, Trust

ANN = Account(id=101, login="ann")
BOB = Account(id=102, login="bob")
WES = Account(id=110, login="wes")
APP = Account(id=501, login="lifeos-app[bot]", bot=True)
HEAD, MOVED, MERGE, ONTO = "a" * 40, "b" * 40, "c" * 40, "d" * 40
SUBJECT = "ab" * 32

ITEM = Item(
    id="Q-7k2m4q9a",
    kind=ItemKind.STAGE_REVIEW,
    run="R-1",
    stage=Stage.CLOSE,
    subject=SUBJECT,
    question="land this work?",
    rule="autonomy:supervised",
    opened_at=1000,
    expires_at=2000,
    governance="g",
)
COMMANDS = ITEM.model_copy(update={"kind": ItemKind.COMMANDS, "rule": "commands:unapproved"})
TAKE_BACK = ITEM.model_copy(
    update={"kind": ItemKind.PROPOSAL, "rule": INTRUDED, "run": None, "stage": None}
)
GATE = PullRequest(head=HEAD, number=7)
LANDING = PullRequest(head=HEAD, number=7, commits=2, landing=True)


def approvals(**people: int) -> Approvals:
    """Approvers by name and number of their account."""
    return Approvals(
        version=1,
        trust=Trust.MERGE,
        approvers=tuple(
            Approver(name=name, email=f"{name}@example.invalid", forge_id=number)
            for name, number in people.items()
        ),
    )


BOTH = approvals(ann=101, bob=102)
ASKED = Asked(item=ITEM, pull=GATE, then=BOTH, now=BOTH, subject_now=SUBJECT, at=1500)
OPEN = PullFact(
    number=7, url="https://forge.invalid/7", state=PullState.OPEN, head=HEAD, author=APP
)
CLOSED = OPEN.model_copy(update={"state": PullState.CLOSED, "closed_by": ANN})
MERGED = OPEN.model_copy(
    update={
        "state": PullState.MERGED,
        "commit": MERGE,
        "onto": ONTO,
        "on_main": True,
        "merged_by": ANN,
        "decision": Decision.APPROVE,
    }
)
EDITED = {"head": MOVED, "content": Content.ANSWER}
OTHERS = {"head": MOVED, "content": Content.OTHER}
NOTE = Objection(who=ANN, body="say\nmore")


def judged(fact: PullFact, change: dict[str, object] | None = None, **asked: object) -> Judged:
    """The judgement on this fact with these values changed, asked about so."""
    question = replace(ASKED, **asked)  # type: ignore[arg-type]  # the tables are checked by use
    return judge_pull(question, fact.model_copy(update=change or {}))


def answered(found: Judged, decision: Decision, who: str = "ann", comment: str = "") -> None:
    """That this is the answer, and what the record will say."""
    assert isinstance(found, Answer)
    assert (found.item, found.decision) == (ITEM.id, decision)
    assert (found.who, found.comment) == (f"{who}@example.invalid", comment)
    assert found.trust is Trust.MERGE
    assert json.loads(found.raw)["head"] in (HEAD, MOVED)


# --- what counts --------------------------------------------------------------------------------


@pytest.mark.parametrize("pull", [GATE, LANDING], ids=["gate", "landing"])
def test_a_merge_by_an_approver_approves(pull: PullRequest) -> None:
    """The commit on main is on the record, and who it was by number."""
    found = judged(MERGED, pull=pull)
    answered(found, Decision.APPROVE)
    assert isinstance(found, Answer)
    assert found.commit == MERGE
    assert json.loads(found.raw) == {
        "author": {"id": 501, "login": "lifeos-app[bot]"},
        "commit": MERGE,
        "head": HEAD,
        "merged_by": {"id": 101, "login": "ann"},
        "pull": 7,
        "state": "merged",
    }


@pytest.mark.parametrize("pull", [GATE, LANDING], ids=["gate", "landing"])
@pytest.mark.parametrize("at", [1500, 9999], ids=["in time", "late"])
def test_a_close_by_an_approver_rejects(pull: PullRequest, at: int) -> None:
    """Nothing resumes by it, so it counts after its time, too, and names no commit."""
    found = judged(CLOSED, {"commit": MERGE}, pull=pull, at=at)
    answered(found, Decision.REJECT, comment="the pull request was closed without a merge")
    assert isinstance(found, Answer)
    assert found.commit == ""


def test_the_comment_of_a_close() -> None:
    """It is what whoever closed it said there, and nobody else."""
    own = judged(CLOSED, {"objections": (Objection(who=WES, body="no!"), NOTE)})
    answered(own, Decision.REJECT, comment="say more")
    others = judged(CLOSED, {"objections": (Objection(who=BOB, body="yes!"),)})
    answered(others, Decision.REJECT, comment="the pull request was closed without a merge")


@pytest.mark.parametrize("pull", [GATE, LANDING], ids=["gate", "landing"])
def test_an_approver_requests_changes(pull: PullRequest) -> None:
    """With the comment, as one line; without one, with words that say so."""
    answered(judged(OPEN, {"objections": (NOTE,)}, pull=pull), Decision.REVISE, comment="say more")
    mute = Objection(who=BOB)
    found = judged(OPEN, {"objections": (mute,)}, pull=pull)
    answered(found, Decision.REVISE, "bob", "changes requested")


@pytest.mark.parametrize("decision", [Decision.REVISE, Decision.REJECT])
def test_the_answer_edited_and_merged(decision: Decision) -> None:
    """An approver may make something else than an approval of a gate's file."""
    change = {**EDITED, "decision": decision, "comment": "shorter"}
    answered(judged(MERGED, change), decision, comment="shorter")


def test_a_rejection_in_the_file_wins() -> None:
    """Over the changes that another approver requested, and after its time."""
    change = {**EDITED, "decision": Decision.REJECT, "comment": "no"}
    objected = {**change, "objections": (Objection(who=BOB, body="more"),)}
    answered(judged(MERGED, objected), Decision.REJECT, comment="no")
    answered(judged(MERGED, change, at=9999), Decision.REJECT, comment="no")


def test_who_merges_over_another_s_objection() -> None:
    """Revise wins over approve; whoever merges takes back their own."""
    other = {"objections": (Objection(who=BOB, body="wait"),)}
    answered(judged(MERGED, other), Decision.REVISE, "bob", "wait")
    answered(judged(MERGED, {"objections": (NOTE,)}), Decision.APPROVE)
    landed = judged(MERGED, other, pull=LANDING)  # main has the work: there is nothing to revise
    answered(landed, Decision.APPROVE)


# --- what does not ------------------------------------------------------------------------------


@pytest.mark.parametrize("pull", [GATE, LANDING], ids=["gate", "landing"])
@pytest.mark.parametrize(
    "change",
    [
        {},
        {"objections": (Objection(who=WES, body="no"),)},
        {"objections": (Objection(who=APP, body="no"),)},
    ],
    ids=["nothing", "a stranger's objection", "a bot's objection"],
)
def test_it_waits(change: dict[str, object], pull: PullRequest) -> None:
    """Nobody who counts has said anything."""
    assert judged(OPEN, change, pull=pull) == Waits()


@pytest.mark.parametrize("decision", [Decision.REVISE, Decision.REJECT])
def test_an_edit_waits_for_its_merge(decision: Decision) -> None:
    """The file alone, on a branch that many may push to, is no answer."""
    assert judged(OPEN, {**EDITED, "decision": decision, "comment": "why"}) == Waits()


def test_an_objection_after_its_time() -> None:
    """A rework is work, too: it is asked anew when it expires, or when its subject has changed."""
    assert judged(OPEN, {"objections": (NOTE,)}, at=2000) == Waits()
    found = judged(OPEN, {"objections": (NOTE,)}, subject_now="other")
    assert isinstance(found, AskAnew)


ANEW: dict[str, tuple[PullFact, dict[str, object], dict[str, object], str]] = {
    "open, pointed elsewhere": (OPEN, {"ours": False}, {}, "pointed at another branch"),
    "closed, pointed elsewhere": (CLOSED, {"ours": False}, {}, "pointed at another branch"),
    "merged, pointed elsewhere": (MERGED, {"ours": False}, {}, "pointed at another branch"),
    "open, pushed to": (OPEN, OTHERS, {}, "somebody pushed to its branch"),
    "open, edited to revise, and more": (
        OPEN,
        {**OTHERS, "decision": Decision.REVISE, "comment": "x"},
        {},
        "somebody pushed to its branch",
    ),
    "open, edited to what cannot be read": (OPEN, EDITED, {}, "somebody pushed to its branch"),
    "open, edited to approve": (
        OPEN,
        {**EDITED, "decision": Decision.APPROVE},
        {},
        "somebody pushed to its branch",
    ),
    "a landing, edited to reject": (
        OPEN,
        {**EDITED, "decision": Decision.REJECT},
        {"pull": LANDING},
        "somebody pushed to its branch",
    ),
    "open, stale": (OPEN, {}, {"subject_now": "other"}, "has changed since it was asked"),
    "a landing, overlapped": (
        OPEN,
        {"clashes": True},
        {"pull": LANDING},
        "main has changed what it would land",
    ),
    "merged, not on main": (MERGED, {"on_main": False}, {}, "main does not have it"),
    "a landing that main does not have": (
        MERGED,
        {"on_main": False},
        {"pull": LANDING},
        "main does not have it",
    ),
    "merged by a stranger": (MERGED, {"merged_by": WES}, {}, "wes (account 110) is no approver"),
    "merged by a bot": (MERGED, {"merged_by": APP}, {}, "is a bot"),
    "merged by a bot that is listed": (
        MERGED,
        {"merged_by": ANN.model_copy(update={"bot": True})},
        {},
        "is a bot",
    ),
    "merged by nobody knows whom": (MERGED, {"merged_by": None}, {}, "not say who it was"),
    "merged by a namesake": (
        MERGED,
        {"merged_by": Account(id=666, login="ann")},
        {},
        "ann (account 666) is no approver",
    ),
    "merged by a newcomer": (
        MERGED,
        {"merged_by": WES},
        {"now": approvals(ann=101, wes=110)},
        "was not an approver when",
    ),
    "merged by a former one": (
        MERGED,
        {"merged_by": BOB},
        {"now": approvals(ann=101)},
        "no longer an approver",
    ),
    "merged by an account that changed hands": (
        MERGED,
        {},
        {"now": approvals(wes=101, bob=102)},
        "was not an approver when",
    ),
    "merged by its author": (MERGED, {"author": ANN}, {}, "by its own author"),
    "of an unknown author": (MERGED, {"author": None}, {}, "does not say who opened it"),
    "merged late": (MERGED, {}, {"at": 2000}, "after the question had expired"),
    "revised late": (
        MERGED,
        {**EDITED, "decision": Decision.REVISE, "comment": "x"},
        {"at": 2000},
        "after the question had expired",
    ),
    "merged, stale": (MERGED, {}, {"subject_now": "other"}, "what it is about had changed"),
    "merged, and the file is gone": (MERGED, {"decision": None}, {}, "not on main as it was"),
    "edited to approve, merged": (MERGED, EDITED, {}, "pushed to its branch before"),
    "edited without a comment": (
        MERGED,
        {**EDITED, "decision": Decision.REVISE},
        {},
        "without a comment",
    ),
    "edited to what is no answer": (
        MERGED,
        {**EDITED, "decision": Decision.REVISE, "comment": "x"},
        {"item": COMMANDS},
        "revise is no answer to a commands question",
    ),
    "a taking back, edited to revise": (
        MERGED,
        {**EDITED, "decision": Decision.REVISE, "comment": "x"},
        {"item": TAKE_BACK},
        "revise is no answer to a proposal question",
    ),
    "merged over an objection that is no answer": (
        MERGED,
        {"objections": (Objection(who=BOB, body="no"),)},
        {"item": COMMANDS},
        "requested changes, which is no answer",
    ),
}


@pytest.mark.parametrize("case", ANEW)
def test_it_is_asked_anew(case: str) -> None:
    """Nothing resumes; the reason is on the record."""
    fact, change, asked, why = ANEW[case]
    found = judged(fact, change, **asked)
    assert isinstance(found, AskAnew)
    assert found.item == ITEM.id
    assert why in found.reason


INTRUDES: dict[str, tuple[dict[str, object], dict[str, object], str]] = {
    "another tree than a gate's": ({"faithful": False}, {}, "something else than lifeos"),
    "a gate that was pushed to": (OTHERS, {}, "something else than lifeos"),
    "another tree than a landing's": (
        {"faithful": False},
        {"pull": LANDING},
        "something else than lifeos",
    ),
    "a landing that moved, if only its answer": (
        EDITED,
        {"pull": LANDING},
        "something else than lifeos",
    ),
    "a landing that moved and has the same content": (
        {"head": MOVED},
        {"pull": LANDING},
        "something else than lifeos",
    ),
    "a landing by a stranger": ({"merged_by": WES}, {"pull": LANDING}, "is no approver"),
    "a landing by a bot": ({"merged_by": APP}, {"pull": LANDING}, "is a bot"),
    "a landing by its author": ({"author": ANN}, {"pull": LANDING}, "by its own author"),
    "a landing of an unknown author": ({"author": None}, {"pull": LANDING}, "who opened it"),
    "a late landing": ({}, {"pull": LANDING, "at": 2000}, "had expired"),
    "a stale landing": ({}, {"pull": LANDING, "subject_now": "x"}, "about had changed"),
    "a landing on what main changed": (
        {"clashes": True},
        {"pull": LANDING},
        "main had changed its task, or what it lands",
    ),
}


@pytest.mark.parametrize("case", INTRUDES)
def test_it_is_an_intrusion(case: str) -> None:
    """Main has what nobody let through: what it is, and what main was before it, is named."""
    change, asked, why = INTRUDES[case]
    found = judged(MERGED, change, **asked)
    assert isinstance(found, Intruded)
    assert (found.item, found.commit, found.onto) == (ITEM.id, MERGE, ONTO)
    assert why in found.reason


@pytest.mark.parametrize("who", [WES, APP, None], ids=["stranger", "bot", "unknown"])
@pytest.mark.parametrize("pull", [GATE, LANDING], ids=["gate", "landing"])
def test_a_close_by_somebody_else(pull: PullRequest, who: Account | None) -> None:
    """It is opened once more; then it stays closed, and what can be done is said."""
    found = judged(CLOSED, {"closed_by": who}, pull=pull)
    assert isinstance(found, OpenAgain)
    assert found.item == ITEM.id
    assert "its pull request was closed" in found.reason
    once = pull.model_copy(update={"reopened": True})
    again = judged(CLOSED, {"closed_by": who}, pull=once)
    assert isinstance(again, Refusal)
    assert "opened again once already" in again.reason
    assert "https://forge.invalid/7" in again.fix


@pytest.mark.parametrize("item", [COMMANDS, TAKE_BACK], ids=["commands", "take back"])
def test_changes_requested_of_what_cannot_be_revised(item: Item) -> None:
    """It is said, and the question stays; nothing begins again by it."""
    found = judged(OPEN, {"objections": (NOTE,)}, item=item)
    assert isinstance(found, Refusal)
    assert "which is no answer to" in found.reason
    assert found.fix == "merge the pull request, or close it"


def test_an_address_may_differ_in_case_alone() -> None:
    """The account is the same; who it belongs to is told by the address in the rules."""
    then = approvals(ANN=101)
    answered(judged(MERGED, then=then), Decision.APPROVE)


def test_main_may_move_under_a_gate() -> None:
    """Nothing lands by it: whether main changed the work's paths is looked at before that."""
    answered(judged(MERGED, {"clashes": True}), Decision.APPROVE)
    assert judged(OPEN, {"clashes": True}) == Waits()


def test_a_question_without_an_end() -> None:
    """It is never late."""
    forever = ITEM.model_copy(update={"expires_at": None})
    answered(judged(MERGED, item=forever, at=10**10), Decision.APPROVE)


def test_which_carry_the_work() -> None:
    """Before the landing, where main takes pull requests only."""
    assert is_landing(ITEM, by_pull_requests=True)
    assert not is_landing(ITEM, by_pull_requests=False)
    assert not is_landing(COMMANDS, by_pull_requests=True)
    assert not is_landing(ITEM.model_copy(update={"stage": Stage.PLAN}), by_pull_requests=True)
    assert branch_of("Q-1") == "lifeos/queue/Q-1"
