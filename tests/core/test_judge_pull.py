"""What a queue PR means: each case alone, for a PR that would else count as an approval."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace

import pytest

from lifeos.core.answers import Refusal
from lifeos.core.facts import Answer, AskAnew, Intruded
from lifeos.core.pulls import (
    Account,
    Judged,
    Objection,
    OpenAgain,
    PullFact,
    Waits,
    branch_of,
    is_landing,
    judge_pull,
)
from lifeos.core.state import Item, PullRequest
from lifeos.model import Decision, Stage, Trust
from pull_cases import (
    ANEW,
    APP,
    ASKED,
    BOB,
    CLOSED,
    COMMANDS,
    EDITED,
    GATE,
    HEAD,
    INTRUDES,
    ITEM,
    LANDING,
    MERGE,
    MERGED,
    MOVED,
    NOTE,
    ONTO,
    OPEN,
    TAKE_BACK,
    WES,
    approvals,
)

CLOSE = "the pull request was closed without a merge"


def judged(fact: PullFact, change: Mapping[str, object] | None = None, **asked: object) -> Judged:
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
    answered(found, Decision.REJECT, comment=CLOSE)
    assert isinstance(found, Answer)
    assert found.commit == ""


@pytest.mark.parametrize("fact", [CLOSED, OPEN, MERGED], ids=["closed", "open", "merged"])
@pytest.mark.parametrize("others", [(WES,), (APP, WES), (None,)], ids=["one", "two", "unknown"])
def test_a_close_of_somebody_else_after_it(
    fact: PullFact, others: tuple[Account | None, ...]
) -> None:
    """An approver's close stands, though others closed it since: the record names the approver."""
    found = judged(fact, {"closed_by": (BOB, *others)})
    answered(found, Decision.REJECT, "bob", CLOSE)
    assert isinstance(found, Answer)
    assert json.loads(found.raw)["closed_by"] == {"id": 102, "login": "bob"}


def test_the_comment_of_a_close() -> None:
    """It is what whoever closed it said there, and nobody else."""
    own = judged(CLOSED, {"objections": (Objection(who=WES, body="no!"), NOTE)})
    answered(own, Decision.REJECT, comment="say more")
    others = judged(CLOSED, {"objections": (Objection(who=BOB, body="yes!"),)})
    answered(others, Decision.REJECT, comment=CLOSE)


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


def test_what_is_heard_where_nobody_can_read_who_objected() -> None:
    """A close, a merge that landed the work, and a rejection in the merged file."""
    change = {"no_objections": "too many"}
    answered(judged(CLOSED, change), Decision.REJECT, comment=CLOSE)
    answered(judged(MERGED, change, pull=LANDING), Decision.APPROVE)
    refused = {**EDITED, **change, "decision": Decision.REJECT, "comment": "no"}
    answered(judged(MERGED, refused), Decision.REJECT, comment="no")


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


@pytest.mark.parametrize("case", ANEW)
def test_it_is_asked_anew(case: str) -> None:
    """Nothing resumes; the reason is on the record."""
    fact, change, asked, why = ANEW[case]
    found = judged(fact, change, **asked)
    assert isinstance(found, AskAnew)
    assert found.item == ITEM.id
    assert why in found.reason


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
    found = judged(CLOSED, {"closed_by": (who,)}, pull=pull)
    assert isinstance(found, OpenAgain)
    assert found.item == ITEM.id
    assert "its pull request was closed" in found.reason
    once = pull.model_copy(update={"reopened": True})
    again = judged(CLOSED, {"closed_by": (who,)}, pull=once)
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
