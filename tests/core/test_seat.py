"""A seat's answer: what it cannot point at has no weight; a verdict needs what has."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifeos.core.council import UNCLASSIFIED, Header, raised
from lifeos.core.policy.council import BlastRadius, ChangeClass, Touch, Uncertainty
from lifeos.core.replies import Unfit, schema_text
from lifeos.core.replies.seat import (
    EXAMPLE,
    Category,
    CheckedSeat,
    Raises,
    SeatReply,
    Subject,
    read_seat,
    seat_nonce,
)
from lifeos.core.review import Severity
from lifeos.model import Verdict

NONCE = "n" * 32
CODE = b"".join(b"line %d has = words(%d)\n" % (n, n) for n in range(1, 41))
TREE = {"src/a.py": CODE, "pic.png": b"\x89PNG\0line 1", "src/short.py": b"x = 1\n}\n"}
SUBJECT = Subject(texts={"design.md": b"# Design\n\nIt retries.\n"}, lookup=TREE.get)


def place(path: str = "src/a.py", line: int = 7, quote: str = "line 7 has") -> dict[str, Any]:
    return {"path": path, "line": line, "quote": quote}


def found(severity: str = "P0", category: str = "correctness", **reference: Any) -> dict[str, Any]:
    return {
        "severity": severity,
        "category": category,
        "claim": "It is wrong.",
        "reference": place(**reference),
    }


def answer(verdict: str = "revise", **more: Any) -> dict[str, Any]:
    known = {"nonce": NONCE, "verdict": verdict, "confidence": 0.8}
    return {**known, "findings": [found()], "evidence": [place()], **more}


def read(value: object, subject: Subject = SUBJECT) -> CheckedSeat:
    return read_seat(f"I looked.\n\n```json\n{json.dumps(value)}\n```\n", subject, NONCE)


def test_an_answer_with_places_that_are_there_counts_as_it_is() -> None:
    """Verdict, finding and evidence are taken over; nothing becomes an assumption."""
    seat = read(answer(assumptions=[]))
    assert (seat.verdict, seat.assumptions) == (Verdict.REVISE, ())
    assert [f.severity for f in seat.findings] == [Severity.P0]
    assert [e.line for e in seat.evidence] == [7]


@pytest.mark.parametrize(
    "reference",
    [
        {"path": "src/b.py"},  # no such file
        {"path": "../src/a.py"},
        {"path": "/etc/passwd", "line": 1, "quote": "root"},
        {"path": "src//a.py"},
        {"path": "src/a.py\0"},
        {"line": 41},  # beyond the end
        {"line": 3},
        {"line": 11},  # too far off
        {"line": 1, "quote": "line 9 has"},
        {"quote": "line 7 had"},  # invented words
        {"quote": "7"},  # stands everywhere
        {"quote": "= ("},
        {"path": "pic.png", "line": 1, "quote": "line 1"},  # binary content has no lines
        {"path": "src", "line": 1, "quote": "line 7 has"},
    ],
)
def test_a_place_that_is_not_there_makes_the_claim_an_assumption(
    reference: dict[str, Any],
) -> None:
    """It is kept and says why; beside a finding that is there it decides nothing."""
    seat = read(answer(findings=[found(**reference), found("P1")]))
    assert [f.severity for f in seat.findings] == [Severity.P1]
    assert [a.claim for a in seat.assumptions] == ["It is wrong."]
    assert seat.assumptions[0].why
    with pytest.raises(Unfit, match="verdict without evidence") as unfit:
        read(answer(findings=[found(**reference)]))
    assert seat.assumptions[0].why in unfit.value.message


@pytest.mark.parametrize(
    "reference",
    [
        {"line": 4},
        {"line": 10},
        {"path": "/work/src/a.py"},  # where the seat sees the tree
        {"path": "./src/a.py"},
        {"quote": "  line   7\thas  "},
        {"quote": "line 7 has = words(7)\nline 8 has"},
        {"quote": "+line 7 has"},  # as in a diff
        {"quote": "    7| line 7 has"},  # as on a page with numbers
        {"path": "src/short.py", "line": 2, "quote": "}"},  # short, and the whole line
        {"path": "design.md", "line": 3, "quote": "It retries"},
    ],
)
def test_a_place_may_be_named_as_models_see_it(reference: dict[str, Any]) -> None:
    """A few lines off, other spaces, the folder of the sandbox: what it points at is clear."""
    seat = read(answer(findings=[found(**reference)]))
    assert len(seat.findings) == 1
    assert seat.findings[0].reference.path in {"src/a.py", "src/short.py", "design.md"}


@pytest.mark.parametrize("category", Category)
def test_only_the_five_grave_categories_can_block(category: Category) -> None:
    """A P0 about anything else is to be mended, as a P1; lower ones stay."""
    seat = read(answer(findings=[found("P0", category.value), found("P2", category.value)]))
    grave = {"determinism", "auditability", "authority", "security", "correctness"}
    wanted = Severity.P0 if category.value in grave else Severity.P1
    assert [f.severity for f in seat.findings] == [wanted, Severity.P2]


def test_accept_needs_evidence_of_its_own() -> None:
    """A finding is none: it says what was found, not what was looked at and is well."""
    assert read(answer("accept", findings=[])).verdict is Verdict.ACCEPT
    for evidence in ([], [place(line=99)]):
        with pytest.raises(Unfit, match="verdict without evidence: accept"):
            read(answer("accept", evidence=evidence))


@pytest.mark.parametrize("verdict", ["revise", "reject"])
def test_a_verdict_against_needs_a_finding(verdict: str) -> None:
    """Evidence alone says nothing against it."""
    with pytest.raises(Unfit, match=f"verdict without evidence: {verdict}"):
        read(answer(verdict, findings=[]))


@pytest.mark.parametrize("nonce", ["m" * 32, NONCE.upper(), f" {NONCE}"])
def test_an_answer_to_another_question_does_not_fit(nonce: str) -> None:
    """The message does not give the nonce away: whoever was asked has it."""
    with pytest.raises(Unfit, match="nonce") as unfit:
        read(answer(nonce=nonce))
    assert NONCE not in unfit.value.message
    value = answer()
    del value["nonce"]
    with pytest.raises(Unfit, match="nonce"):
        read(value)


@pytest.mark.parametrize(
    "more",
    [
        {"verdict": "approve"},
        {"verdict": None},
        {"confidence": 1.1},
        {"confidence": "0.9"},
        {"findings": [found("P3")]},
        {"findings": [found(category="style")]},
        {"findings": [found(line=0)]},
        {"findings": [found()] * 41},
        {"findings": [found(quote="q" * 1501)]},
        {"fixes": ["x" * 1501]},
        {"approved": True},
        {"raises": {"mode": "M0"}},
        {"complexity": {"adds": -1, "justified": True}},
    ],
)
def test_what_is_not_in_the_schema_does_not_fit(more: dict[str, Any]) -> None:
    """Unknown words, keys and sizes are said, never guessed at."""
    with pytest.raises(Unfit):
        read(answer(**more))


def test_prose_is_no_answer() -> None:
    """Whatever it says."""
    with pytest.raises(Unfit):
        read_seat("Looks good to me! accept", SUBJECT, NONCE)


@given(
    st.builds(
        Raises,
        change_class=st.none() | st.sampled_from(ChangeClass),
        touches=st.lists(st.sampled_from(Touch), max_size=3).map(tuple),
        blast_radius=st.none() | st.sampled_from(BlastRadius),
        safety_critical=st.none() | st.booleans(),
        uncertainty=st.none() | st.sampled_from(Uncertainty),
    ),
    st.builds(
        Header,
        change_class=st.sampled_from(ChangeClass),
        touches=st.sampled_from([(), (Touch.GOVERNANCE,)]),
        blast_radius=st.sampled_from(BlastRadius),
        safety_critical=st.booleans(),
        uncertainty=st.sampled_from(Uncertainty),
    ),
)
def test_a_seat_can_only_raise_the_header(raises: Raises, header: Header) -> None:
    """What it calls harmless changes nothing, what it calls graver does."""
    after = raises.on(header)
    assert raised(after, header) == after
    if raises.uncertainty:
        assert after.uncertainty.rank >= raises.uncertainty.rank
    assert Raises().on(header) == header
    assert Raises(safety_critical=False).on(header) == header


def test_the_example_of_the_prompt_fits_the_schema() -> None:
    """It is what models copy."""
    assert SeatReply.model_validate_json(json.dumps(EXAMPLE), strict=True).findings
    assert "confidence" in schema_text(SeatReply, EXAMPLE)
    assert Raises(touches=(Touch.GOVERNANCE,)).on(UNCLASSIFIED).touches == (Touch.GOVERNANCE,)


def test_the_nonce_is_of_one_claim_and_one_subject() -> None:
    """Another attempt or another diff gives another one."""
    assert len({seat_nonce("a", "d"), seat_nonce("b", "d"), seat_nonce("a", "e")}) == 3
    assert seat_nonce("a", "d") == seat_nonce("a", "d")
    assert len(seat_nonce("a", "d")) == 32
