"""The packet: all evidence of a run, for machines and for people, and the same bytes each time."""

from __future__ import annotations

import json
from typing import Any

import pytest
from markdown_it import MarkdownIt

from lifeos.core.checkreport import CheckResult, CheckStatus
from lifeos.core.council import UNCLASSIFIED
from lifeos.core.packet import Packet, assemble, markdown, statement
from lifeos.core.policy import CheckKind
from lifeos.core.records import (
    AnyRecord,
    AttemptFacts,
    BreachFact,
    Finished,
    Held,
    Noted,
    Resolved,
    Topic,
)
from lifeos.core.review import Finding, Review, Severity
from lifeos.core.state import Outcome, Run, Success, Waiver
from lifeos.model import (
    Action,
    CloseOutcome,
    Decision,
    FailureClass,
    Frozen,
    ItemKind,
    Mode,
    Stage,
    Trust,
    Usage,
    Verdict,
)

AT = 1_735_689_600
BASE, WORK, LANDED = "a" * 40, "b" * 40, "c" * 40
HOSTILE = "x|y`z` <img src=e> @everyone #1\n# No\n```\n~~~\n[a](javascript:b) \x1b[31m\u202e"


class Ran(Frozen):
    """What came of an acceptance command."""

    text: str = "three attempts"
    command: str = "pytest -q"
    passed: bool = True
    message: str = ""


def run(**more: Any) -> Run:
    known = {
        "id": "R-1",
        "task": "LO-7k2m4q",
        "title": "Retry the webhook",
        "task_digest": "1" * 64,
        "ordinal": 1,
        "opened_seq": 1,
        "opened_at": AT,
        "base": BASE,
        "governance": "2" * 64,
        "stage": Stage.PACKET,
        "work": WORK,
        "paths": ("src/a.py",),
        "lines": 12,
        "usage": Usage(seconds=61.25, tokens=10, cost=0.5),
    }
    return Run.model_validate({**known, **more})


def finished(n: int, stage: Stage, outcome: Outcome, action: Action, **facts: Any) -> Finished:
    return Finished(
        at=AT + n,
        run="R-1",
        stage=stage,
        n=n,
        nonce="n",
        facts=AttemptFacts(outcome=outcome, usage=Usage(seconds=n), **facts),
        action=action,
        rule=f"rule_{n}",
        to=stage,
    )


def asked(item: str, kind: ItemKind) -> Held:
    return Held(
        at=AT, item=item, item_kind=kind, run="R-1", question="?", rule="r", subject="5" * 64
    )


def answered(item: str, decision: Decision, **more: Any) -> Resolved:
    return Resolved(
        at=AT + 60, item=item, decision=decision, who="ada@example.org", trust=Trust.COMMIT, **more
    )


BREACH = BreachFact(kind="outside", path="docs/x.md", line=3, message="is outside")
HISTORY: tuple[AnyRecord, ...] = (
    finished(1, Stage.DESIGN, Success.OK, Action.ADVANCE),
    finished(2, Stage.DESIGN_REVIEW, Verdict.ACCEPT, Action.ADVANCE, mode=Mode.M1, forced=True),
    finished(3, Stage.BUILD, FailureClass.ENVELOPE_VIOLATION, Action.ESCALATE, breaches=(BREACH,)),
    asked("Q-1", ItemKind.BREACH),
    answered("Q-1", Decision.APPROVE, comment="fine by me", commit="d" * 40),
    finished(4, Stage.BUILD, Success.OK, Action.ADVANCE, tree=WORK),
    Noted(at=AT, topic=Topic.SUPERSEDED, run="R-1", text="main moved"),
    asked("Q-2", ItemKind.STAGE_REVIEW),
)
CHECKS = (
    CheckResult(
        name="tests",
        kind=CheckKind.TEST,
        command="pytest -q | tail",
        status=CheckStatus.PASSED,
        exit_code=0,
        seconds=2.34,
        tests=("a", "b"),
        excerpt="RAW-OUTPUT",
    ),
)
REVIEW = Review(
    verdict=Verdict.ACCEPT,
    mode=Mode.M1,
    mode_reason="it changes code",
    header=UNCLASSIFIED,
    seats_missing=("chair", "risk"),
    findings=(Finding(severity=Severity.P2, kind="unproven", message="a person must look"),),
)


def packet(**more: Any) -> Packet:
    state = more.pop("state", run())
    history = more.pop("history", HISTORY)
    text = more.pop("task_text", "- [ ] Retry the webhook\n")
    known: dict[str, Any] = {
        "artifacts": {"runs/R-1/4/checks.json": "4" * 64, "runs/R-1/1/design.md": "3" * 64},
        "checks": CHECKS,
        "acceptance": (Ran(), Ran(text="logged", command="make log")),
        "proves_nothing": ("make log",),
        "reviews": {2: REVIEW},
        "sandbox": "bwrap",
        "ledger_root": "e" * 40,
        "ledger_tip": "f" * 40,
        "versions": {"python": "3.11.7", "lifeos": "0.1.0"},
        "at": AT + 100,
    }
    steps = [(f"{place:040x}", record) for place, record in enumerate(history)]
    return assemble(state, text, steps, **{**known, **more})


def passed(**more: Any) -> Packet:
    return packet(outcome=CloseOutcome.PASS, landed=LANDED, **more)


@pytest.mark.parametrize(
    ("found", "subject"),
    [
        (passed(), {"name": "landed", "digest": {"gitCommit": LANDED}}),
        (packet(), {"name": "work", "digest": {"gitTree": WORK}}),
        (
            packet(state=run(work=""), outcome=CloseOutcome.BLOCKED),
            {"name": "base", "digest": {"gitCommit": BASE}},
        ),
    ],
)
def test_the_statement_is_about_what_landed_else_the_work(
    found: Packet, subject: dict[str, Any]
) -> None:
    """An in-toto Statement v1: exactly its four fields, one subject with a git id."""
    value = json.loads(statement(found))
    assert set(value) == {"_type", "subject", "predicateType", "predicate"}
    assert value["_type"] == "https://in-toto.io/Statement/v1"
    assert value["predicateType"] == "urn:lifeos:packet:v1"
    assert value["subject"] == [subject]


def test_the_statement_can_be_read_back() -> None:
    """The predicate is the whole packet: nothing is only in the text for people."""
    found = passed()
    predicate = json.loads(statement(found))["predicate"]
    assert Packet.model_validate_json(json.dumps(predicate)) == found


def test_equal_packets_give_equal_bytes() -> None:
    """Whatever order mappings were filled in; and anything that differs shows."""
    turned = {"runs/R-1/1/design.md": "3" * 64, "runs/R-1/4/checks.json": "4" * 64}
    for text in (statement, markdown):
        assert text(passed()) == text(passed(artifacts=turned))
        assert text(passed()) != text(passed(ledger_tip="0" * 40))
        assert text(passed()).endswith("\n")
    found = passed()
    other = found.model_copy(update={"versions": dict(reversed([*found.versions.items()]))})
    assert other == found
    assert statement(other) == statement(found)


def test_every_attempt_is_there_with_its_decision_and_its_record() -> None:
    """n, stage, outcome, action, rule, and the ledger commit that says so."""
    steps = packet().steps
    assert [(s.n, s.stage, s.outcome, s.action, s.rule) for s in steps] == [
        (1, Stage.DESIGN, "ok", Action.ADVANCE, "rule_1"),
        (2, Stage.DESIGN_REVIEW, "accept", Action.ADVANCE, "rule_2"),
        (3, Stage.BUILD, "envelope_violation", Action.ESCALATE, "rule_3"),
        (4, Stage.BUILD, "ok", Action.ADVANCE, "rule_4"),
    ]
    assert [int(step.record, 16) for step in steps] == [0, 1, 2, 5]


def test_facts_that_were_not_kept_are_not_made_up() -> None:
    """An attempt without facts is in the timeline and says so; it is no verdict."""
    bare = finished(2, Stage.DESIGN_REVIEW, Verdict.ACCEPT, Action.ADVANCE)
    found = packet(history=(bare.model_copy(update={"facts": None}),))
    assert [step.outcome for step in found.steps] == ["not kept"]
    assert found.verdicts == ()


def test_every_question_is_there_with_its_answer() -> None:
    """Who, how the identity is known, when, the comment; an open question is open."""
    first, second = packet().approvals
    assert (first.item, first.decision, first.who) == ("Q-1", Decision.APPROVE, "ada@example.org")
    assert (first.trust, first.at, first.comment) == (Trust.COMMIT, AT + 60, "fine by me")
    assert (second.item, second.decision, second.who) == ("Q-2", None, "")
    assert "| **open** |" in markdown(packet())


def test_a_breach_is_accepted_only_by_the_approval_of_its_own_item() -> None:
    """Not by a rejection, not by another question, not by one that came before it."""
    wrong = finished(
        3, Stage.BUILD, FailureClass.ENVELOPE_VIOLATION, Action.ESCALATE, breaches=(BREACH,)
    )
    breach, other = asked("Q-1", ItemKind.BREACH), asked("Q-2", ItemKind.STAGE_REVIEW)
    yes, no = answered("Q-1", Decision.APPROVE), answered("Q-1", Decision.REJECT)
    cases: list[tuple[tuple[AnyRecord, ...], bool]] = [
        ((wrong, breach, yes), True),
        ((wrong, breach, no), False),
        ((wrong, breach), False),
        ((wrong, breach, other, answered("Q-2", Decision.APPROVE)), False),
        ((breach, wrong, yes), False),
    ]
    for history, accepted in cases:
        (line,) = packet(history=history).breaches
        assert (line.n, line.path, line.accepted) == (3, "docs/x.md", accepted)


def test_what_reviewers_said_is_there() -> None:
    """The verdict from the ledger; empty seats and findings from the review, if it is kept."""
    (with_review,) = packet().verdicts
    assert (with_review.by, with_review.seats_missing) == ("rule", ("chair", "risk"))
    assert [finding.kind for finding in with_review.findings] == ["unproven"]
    (without,) = packet(reviews={}).verdicts
    assert (without.verdict, without.mode, without.by) == (Verdict.ACCEPT, Mode.M1, "")


def test_raw_output_of_checks_is_not_in_it() -> None:
    """An excerpt may hold a secret; of its artifact, redacted before, the packet has the digest."""
    assert "RAW-OUTPUT" not in statement(packet()) + markdown(packet())
    (line,) = packet().checks
    assert (line.status, line.exit_code, line.seconds, line.tests) == ("passed", 0, 2.34, 2)


def summary(found: Packet) -> dict[str, str]:
    """The table on the first screen."""
    table = markdown(found).split("\n\n")[2].splitlines()[2:]
    return {name.strip(): value.strip() for _, name, value, _ in (row.split("|") for row in table)}


def test_the_first_screen_says_how_it_went() -> None:
    """Asked, outcome, landed, attempts, checks, proofs, review, who decided, cost."""
    assert summary(passed()) == {
        "asked": "Retry the webhook",
        "outcome": "**pass**",
        "landed": f"`{LANDED[:12]}`",
        "change": "12 lines in 1 file",
        "attempts": "4: 1 accept, 1 envelope_violation, 2 ok",
        "checks": "1 of 1 passed",
        "acceptance": "2 of 2 passed; 1 passed before the change too",
        "review": "design_review: accept, by rule: no model sat",
        "decided by": "ada@\u200bexample.org (approve), 1 question open",
        "exceptions": "**0 waived, 1 breaches (1 accepted)**",
        "cost": "$0.50, 10 tokens, 61.2 s",
        "sandbox": "`bwrap`",
    }


def test_the_first_screen_hides_nothing() -> None:
    """No checks, no proof, no sandbox, no answer: each is said in words."""
    bare = packet(
        state=run(paths=(), usage=Usage()), history=(), checks=(), acceptance=(), sandbox="none"
    )
    found = summary(bare)
    assert found["checks"] == "none are set up"
    assert found["acceptance"] == "no command was run"
    assert found["review"] == "none"
    assert found["decided by"] == "policy alone"
    assert "nothing contained the agent" in found["sandbox"]
    assert "exceptions" not in found


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({}, "is open at packet"),
        ({"outcome": CloseOutcome.PASS}, "passed."),
        ({"outcome": CloseOutcome.BLOCKED}, "ended blocked; nothing landed."),
        ({"outcome": CloseOutcome.REJECTED, "reason": "no"}, "Reason: no"),
        ({"outcome": CloseOutcome.BLOCKED}, "`lifeos retry LO-7k2m4q`"),
        ({"outcome": CloseOutcome.CANCELLED}, "its work is kept"),
    ],
)
def test_the_first_sentence_says_how_it_stands(more: dict[str, Any], said: str) -> None:
    """And what to do next where something is to be done."""
    assert said in markdown(packet(**more)).split("\n\n")[1]


def test_waivers_breaches_and_notes_have_sections_only_where_there_are_any() -> None:
    """What was out of the ordinary is seen; nothing pretends to be."""
    waiver = Waiver(item="Q-9", subject="6" * 64, failure=FailureClass.LINT_ERROR)
    text = markdown(packet(state=run(waivers=(waiver,))))
    for title in ("## Waivers", "## Breaches", "## Notes"):
        assert title in text
        assert title not in markdown(packet(history=()))
    assert "lint_error by item `Q-9`" in text


def test_all_digests_are_there_in_full() -> None:
    """Task, governance, base, work, landing, ledger, every artifact."""
    text = markdown(passed())
    for value in (
        *("1" * 64, "2" * 64, "3" * 64, "4" * 64),
        *(BASE, WORK, LANDED, "e" * 40, "f" * 40),
    ):
        assert f"`{value}`" in text


def shape(text: str) -> list[str]:
    """Headings, and the number of cells of every row, as a Markdown reader sees them."""
    tokens = MarkdownIt("gfm-like", {"linkify": False}).parse(text)
    found = []
    for place, token in enumerate(tokens):
        if token.type == "heading_open":
            found.append(tokens[place + 1].content if token.tag != "h1" else "title")
        if token.type in ("tr_open", "td_open", "html_block"):
            found.append(token.type)
        found += [child.type for child in token.children or () if child.type != "text"]
    return [each for each in found if each not in ("code_inline", "strong_open", "strong_close")]


def test_hostile_text_stays_in_its_cell() -> None:
    """Titles, messages, comments, names, paths and commands of others: the shape is as without."""
    bad = BREACH.model_copy(update={"path": HOSTILE, "message": HOSTILE})
    history = (
        finished(
            3, Stage.BUILD, FailureClass.UNKNOWN, Action.ESCALATE, breaches=(bad,), message=HOSTILE
        ),
        asked("Q-1", ItemKind.BREACH),
        answered("Q-1", Decision.REVISE, comment=HOSTILE),
        Noted(at=AT, topic=Topic.SUPERSEDED, run="R-1", text=HOSTILE),
    )
    calm = tuple(
        type(record).model_validate(
            json.loads(
                json.dumps(record.model_dump(mode="json")).replace(json.dumps(HOSTILE), '"x"')
            )
        )
        for record in history
    )
    check = CHECKS[0].model_copy(update={"command": HOSTILE, "message": HOSTILE})
    proof = Ran(text=HOSTILE, command=HOSTILE)
    text = markdown(
        packet(
            state=run(title=HOSTILE),
            history=history,
            checks=(check,),
            acceptance=(proof,),
            task_text=HOSTILE,
            reason=HOSTILE,
            outcome=CloseOutcome.BLOCKED,
            artifacts={HOSTILE: "3" * 64},
        )
    )
    like = markdown(
        packet(
            history=calm,
            acceptance=(Ran(),),
            task_text="x",
            reason="x",
            outcome=CloseOutcome.BLOCKED,
            artifacts={"x": "3" * 64},
        )
    )
    assert shape(text) == shape(like)
    assert not {"\x1b", "\u202e"} & set(text)


def test_a_path_that_is_no_text_still_gives_bytes() -> None:
    """Names in git are bytes; a packet must not fail on one after the work has landed."""
    found = packet(state=run(paths=("src/\udcff.py",)), task_text="\udcff")
    json.loads(statement(found).encode())
    markdown(found).encode()
