"""Queue PRs that count as an approval, and what can be wrong with each."""

from __future__ import annotations

from collections.abc import Mapping

from lifeos.core.policy import Approvals, Approver
from lifeos.core.pulls import Account, Asked, Content, Objection, PullFact, PullState
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
CLOSED = OPEN.model_copy(update={"state": PullState.CLOSED, "closed_by": (ANN,)})
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


ANEW: dict[str, tuple[PullFact, Mapping[str, object], Mapping[str, object], str]] = {
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
    "open, and nobody can read who objected": (
        OPEN,
        {"no_objections": "too many"},
        {},
        "whether an approver requested changes cannot be known (too many)",
    ),
    "a landing of which nobody can read that": (
        OPEN,
        {"no_objections": "too many"},
        {"pull": LANDING},
        "requested changes cannot be known",
    ),
    "merged, and nobody can read who objected": (
        MERGED,
        {"no_objections": "too many"},
        {},
        "requested changes cannot be known",
    ),
    "open, and nobody can read who closed it": (
        OPEN,
        {"no_closes": "too many"},
        {},
        "whether an approver closed it cannot be known (too many)",
    ),
    "closed, nobody can read by whom": (
        CLOSED,
        {"no_closes": "too many", "closed_by": ()},
        {},
        "whether an approver closed it cannot be known",
    ),
    "merged, and nobody can read who closed it": (
        MERGED,
        {"no_closes": "too many"},
        {},
        "whether an approver closed it cannot be known",
    ),
}


INTRUDES: dict[str, tuple[Mapping[str, object], Mapping[str, object], str]] = {
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
    "a landing that an approver may have closed": (
        {"no_closes": "too many"},
        {"pull": LANDING},
        "whether an approver closed it cannot be known",
    ),
}
