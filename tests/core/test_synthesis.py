"""The synthesis: which rule decides, what evidence settles, and what can never change anything."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from lifeos.core.checkreport import CheckResult, CheckStatus
from lifeos.core.council import UNCLASSIFIED, AurType, Header
from lifeos.core.hearing import Absent, Answer, Hearing, NotHeld, summoned
from lifeos.core.policy import CheckKind
from lifeos.core.policy.council import BlastRadius, Council, Seat, Touch, Uncertainty
from lifeos.core.replies.seat import (
    Category,
    CheckedSeat,
    Raises,
    Reference,
    SeatFinding,
    SeatReply,
)
from lifeos.core.review import Assumption, Finding, Review, SeatRun, Severity, Sitter
from lifeos.core.reviewpage import to_markdown
from lifeos.core.synthesis import challenge, synthesise
from lifeos.model import FailureClass, Mode, Verdict

A, V, R = Verdict.ACCEPT, Verdict.REVISE, Verdict.REJECT
M1 = (Seat.CHAIR, Seat.CO_CHAIR, Seat.ARCHITECT, Seat.RISK, Seat.GOVERNANCE, Seat.TECHNICAL)
GRAVE = UNCLASSIFIED.model_copy(update={"touches": (Touch.GOVERNANCE,)})
STRICTNESS = {A: 0, V: 1, R: 2}


@dataclass(frozen=True)
class Proof:
    """What came of an acceptance command."""

    passed: bool = True
    text: str = "retries"
    command: str = "make retry"
    message: str = ""


def floor(header: Header = UNCLASSIFIED, mode: Mode = Mode.M1, **more: Any) -> Review:
    return Review(
        verdict=A, mode=mode, mode_reason="it changes code", header=header, forced=True, **more
    )


def check(
    status: CheckStatus = CheckStatus.PASSED, kind: CheckKind = CheckKind.TEST
) -> CheckResult:
    return CheckResult(name="unit", kind=kind, command="pytest -q", status=status)


GREEN = (check(),)
HEARING = Hearing(
    floor=floor(), council=Council(version=1), has_scope=True, builder="alpha", checks=GREEN
)


def finding(
    severity: Severity = Severity.P0, claim: str = "It loses data.", line: int = 3, **more: Any
) -> SeatFinding:
    return SeatFinding(
        severity=severity,
        category=more.pop("category", Category.CORRECTNESS),
        claim=claim,
        reference=Reference(path="src/a.py", line=line, quote="x = 1"),
        **more,
    )


P0, P1, P2 = finding(), finding(Severity.P1), finding(Severity.P2)
TESTS_FAIL = finding(claim="The tests fail.")


def answer(
    seat: Seat,
    verdict: Verdict = A,
    *findings: SeatFinding,
    confidence: float = 0.9,
    family: str = "alpha",
    raises: Raises | None = None,
    assumes: str = "",
) -> Answer:
    reply = SeatReply(
        nonce="n", verdict=verdict, confidence=confidence, findings=findings, raises=raises
    )
    sitter = Sitter(name=f"{family}-1", provider="here", model="m-1", family=family)
    run = SeatRun(seat=seat.value, sitter=sitter, verdict=verdict, confidence=confidence)
    assumptions = (Assumption(claim=assumes, why="there is no `x`"),) if assumes else ()
    return Answer(run, CheckedSeat(reply=reply, findings=findings, assumptions=assumptions))


def absent(
    seat: Seat, failure: FailureClass, why: str = "prose", wake: int | None = None
) -> Absent:
    sitter = Sitter(name="m", provider="here", model="m-1")
    return Absent(SeatRun(seat=seat.value, sitter=sitter, missing=why), failure, wake)


def council(*said: Answer, seats: tuple[Seat, ...] = M1) -> list[Answer]:
    """All seats: those that are given, and for the others a plain, not very sure accept."""
    given_seats = {each.seat for each in said}
    rest = [answer(seat, confidence=0.5) for seat in seats if seat not in given_seats]
    return [*said, *rest]


def held(*said: Answer, hearing: Hearing = HEARING, **more: Any) -> Review:
    review = synthesise(hearing, council(*said), **more)
    assert isinstance(review, Review), review
    return review


@pytest.mark.parametrize(
    ("said", "verdict", "rule"),
    [
        ([], A, "no_blocking_finding"),
        ([answer(Seat.RISK, A, P1)], A, "no_blocking_finding"),  # it says it, and accepts
        ([answer(Seat.RISK, V, P2)], A, "no_blocking_finding"),
        ([answer(Seat.RISK, R, P2)], A, "no_blocking_finding"),
        ([answer(Seat.RISK, V, P1)], V, "p1"),
        ([answer(Seat.RISK, R, P1)], V, "p1"),
        ([answer(Seat.RISK, V, P0)], V, "p0"),
        ([answer(Seat.RISK, A, P0)], V, "p0"),  # whatever it makes of it itself
        ([answer(Seat.RISK, R, P0)], R, "p0_reject"),
        ([answer(Seat.RISK, V, P0), answer(Seat.TECHNICAL, R, P1)], V, "p0"),
        ([answer(Seat.RISK, V, P1), answer(Seat.TECHNICAL, R, P0)], R, "p0_reject"),
        ([answer(Seat.CHAIR, A), answer(Seat.CO_CHAIR, R, P1)], R, "accept_against_reject"),
        ([answer(Seat.CHAIR, R, P2), answer(Seat.CO_CHAIR, A)], R, "accept_against_reject"),
        ([answer(Seat.CHAIR, A), answer(Seat.CO_CHAIR, V, P0)], V, "p0"),
        ([answer(Seat.CHAIR, A), answer(Seat.CO_CHAIR, V, P1)], V, "p1"),
        ([answer(Seat.CHAIR, V, P1), answer(Seat.CO_CHAIR, R, P1)], V, "p1"),
    ],
)
def test_the_first_rule_that_holds_decides(said: list[Answer], verdict: Verdict, rule: str) -> None:
    """The name of the rule is in the review, and in its text."""
    review = held(*said)
    assert (review.verdict, review.rule, review.by) == (verdict, rule, "council")
    assert f"`{rule}`" in review.note
    against = (FailureClass.REVIEW_REJECTION,) if verdict is not A else ()
    assert review.causes == against


def test_a_council_of_models_does_not_force_a_person_by_itself() -> None:
    """The review by rule does, in every mode but M0, because nobody sat."""
    review = held()
    assert (HEARING.floor.forced, review.forced, review.seats_missing) == (True, False, ())
    assert [run.seat for run in review.seats] == [seat.value for seat in Seat if seat in M1]


def test_a_majority_outvotes_nobody() -> None:
    """Five that are sure do not outweigh one P0 that is there; a person looks at it."""
    review = held(answer(Seat.RISK, V, P0), *(answer(s) for s in M1 if s is not Seat.RISK))
    assert (review.verdict, review.forced) == (V, True)
    clash = review.contradictions[0]
    assert set(clash.accepts) == {seat.value for seat in M1} - {"risk"}
    assert (clash.blocks, clash.settled) == (("risk",), "")


@pytest.mark.parametrize(("confidence", "clashes"), [(0.69, 0), (0.7, 1)])
def test_only_who_is_sure_contradicts(confidence: float, clashes: int) -> None:
    """An unsure accept is none against a P0."""
    review = held(answer(Seat.RISK, V, P0), answer(Seat.TECHNICAL, A, confidence=confidence))
    assert len(review.contradictions) == clashes
    assert review.forced is bool(clashes)


def test_a_seat_does_not_contradict_itself() -> None:
    """One that is sure, accepts and names a P0 all the same: it is mended, and that is all."""
    review = held(answer(Seat.RISK, A, P0))
    assert (review.verdict, review.contradictions, review.forced) == (V, (), False)


def test_the_co_chair_overturns_an_accept() -> None:
    """Its challenge is an answer like the others', and where chairs differ a person looks."""
    review = held(answer(Seat.CHAIR, confidence=0.1), answer(Seat.CO_CHAIR, V, P1))
    assert (review.verdict, review.forced) == (V, True)
    assert [(c.accepts, c.blocks) for c in review.contradictions] == [(("chair",), ("co_chair",))]


@pytest.mark.parametrize(
    ("claim", "fails", "settled"),
    [
        ("The tests fail.", "", True),
        ("All existing tests are failing after this change", "", True),
        ("Checks do not pass", "", True),
        ("The acceptance commands fail", "", True),
        ("The lint fails", "", False),  # nothing of that kind was run
        ("The tests fail to cover the retry.", "", False),
        ("When the disk is full the tests fail.", "", False),
        ("It loses data.", "", False),
        ("It cannot pass.", "unit", True),
        ("It cannot pass.", "pytest -q", True),
        ("It cannot pass.", "make retry", True),
        ("It cannot pass.", "make other", False),
    ],
)
def test_recorded_evidence_settles_what_it_contradicts(
    claim: str, fails: str, settled: bool
) -> None:
    """Only a claim that says nothing but that, or names what fails; it is listed as settled."""
    hearing = replace(HEARING, acceptance=(Proof(),))
    review = held(answer(Seat.RISK, R, finding(claim=claim, fails=fails)), hearing=hearing)
    assert (review.verdict is A, len(review.settled), review.forced) == (settled, settled, False)
    if settled:
        assert review.settled[0].finding.seats == ("risk",)
        assert not review.findings


@pytest.mark.parametrize("status", [s for s in CheckStatus if s is not CheckStatus.PASSED])
def test_a_run_that_is_not_green_settles_nothing(status: CheckStatus) -> None:
    """A red check that a person waived is still red; and no check at all proves nothing."""
    for checks in ((check(status),), (check(status), check()), ()):
        review = held(answer(Seat.RISK, V, TESTS_FAIL), hearing=replace(HEARING, checks=checks))
        assert (review.verdict, review.settled) == (V, ())


def test_a_contradiction_that_evidence_settles_needs_no_person() -> None:
    """It is in the review all the same, with what settled it."""
    review = held(answer(Seat.CO_CHAIR, R, TESTS_FAIL), answer(Seat.CHAIR))
    assert (review.verdict, review.forced) == (A, False)
    assert len(review.contradictions) == 2
    assert all("unit" in clash.settled for clash in review.contradictions)


def test_what_rules_found_stays_in_the_result() -> None:
    """The review by rule is the floor: its remarks are not lost."""
    remark = Finding(severity=Severity.P2, kind="unproven", message="a person must look")
    hearing = replace(HEARING, floor=floor(findings=(remark,)))
    review = held(answer(Seat.RISK, V, P1), hearing=hearing)
    assert [found.kind for found in review.findings] == ["correctness", "unproven"]


def test_the_same_finding_of_two_seats_is_one() -> None:
    """With both names, and the first fix that was named."""
    mended = P1.model_copy(update={"fix": "Sync it."})
    review = held(answer(Seat.TECHNICAL, V, mended), answer(Seat.RISK, V, P1))
    assert [(f.seats, f.fix) for f in review.findings] == [(("technical", "risk"), "Sync it.")]


def test_assumptions_are_shown_and_decide_nothing() -> None:
    """Whatever they claim."""
    review = held(answer(Seat.RISK, A, assumes="It is a backdoor."))
    assert (review.verdict, review.forced) == (A, False)
    assert [(a.seat, a.claim) for a in review.assumptions] == [("risk", "It is a backdoor.")]


@pytest.mark.parametrize(
    ("failures", "wanted"),
    [
        ([FailureClass.VALIDATION_ERROR], FailureClass.VALIDATION_ERROR),
        ([FailureClass.TIMEOUT], FailureClass.VALIDATION_ERROR),
        ([FailureClass.TOOL_ERROR, FailureClass.UNKNOWN], FailureClass.VALIDATION_ERROR),
        ([FailureClass.VALIDATION_ERROR, FailureClass.QUOTA], FailureClass.QUOTA),
        ([FailureClass.QUOTA, FailureClass.BUDGET_EXCEEDED], FailureClass.BUDGET_EXCEEDED),
        ([FailureClass.BUDGET_EXCEEDED, FailureClass.CONFIG_ERROR], FailureClass.CONFIG_ERROR),
        ([FailureClass.CONFIG_ERROR, FailureClass.INTERRUPTED], FailureClass.INTERRUPTED),
        ([], FailureClass.VALIDATION_ERROR),  # nobody asked it
    ],
)
def test_a_missing_seat_fails_the_attempt(
    failures: list[FailureClass], wanted: FailureClass
) -> None:
    """Never an accept, however many others accept; the message names seat and reason."""
    away = [
        absent(seat, failure, f"because {seat}", 60 * n)
        for n, (seat, failure) in enumerate(zip(M1, failures, strict=False), 1)
    ]
    missing = M1[: max(len(failures), 1)]
    answers = [answer(seat) for seat in M1 if seat not in missing]
    failed = synthesise(HEARING, answers, away)
    assert isinstance(failed, NotHeld)
    assert failed.failure is wanted
    for seat in missing:
        assert seat.value in failed.message
    for each in away:
        assert each.run.missing in failed.message
    let_go = wanted is FailureClass.VALIDATION_ERROR
    assert failed.missing == (tuple(seat.value for seat in missing) if let_go else ())
    if wanted is FailureClass.QUOTA:
        assert failed.wake_after == 120  # of the one that has to wait


def test_who_was_not_asked_because_another_failed_is_not_named_as_missing() -> None:
    """A person lets go who failed; the co-chair still has to sit."""
    answers = [answer(seat) for seat in M1 if seat not in (Seat.CO_CHAIR, Seat.RISK)]
    failed = synthesise(HEARING, answers, [absent(Seat.RISK, FailureClass.TIMEOUT)])
    assert isinstance(failed, NotHeld)
    assert failed.missing == ("risk",)
    assert "co_chair" not in failed.message


def test_of_two_that_have_to_wait_the_longer_counts() -> None:
    """Sooner the other would only refuse again."""
    away = [absent(s, FailureClass.QUOTA, wake=n) for s, n in zip(M1, (30, 90, None), strict=False)]
    failed = synthesise(HEARING, [answer(seat) for seat in M1[3:]], away)
    assert isinstance(failed, NotHeld)
    assert failed.wake_after == 90


def test_a_waived_seat_is_let_go_and_a_person_looks() -> None:
    """It is named as not filled."""
    answers = [answer(seat) for seat in M1 if seat is not Seat.ARCHITECT]
    review = synthesise(replace(HEARING, waived=(Seat.ARCHITECT,)), answers)
    assert isinstance(review, Review)
    assert (review.seats_missing, review.forced) == (("architect",), True)


@pytest.mark.parametrize("header", [GRAVE, Header(safety_critical=True)])
@pytest.mark.parametrize(
    ("families", "builder", "independent"),
    [
        ({Seat.RISK: "beta"}, "alpha", True),
        ({Seat.GOVERNANCE: "beta"}, "alpha", True),
        ({Seat.ARCHITECT: "beta", Seat.CHAIR: "beta"}, "alpha", False),  # not of their sort
        ({}, "alpha", False),
        ({Seat.RISK: "", Seat.GOVERNANCE: ""}, "alpha", False),  # nobody knows of them
        ({Seat.RISK: "beta"}, "", False),  # nobody knows of the builder
        ({}, None, True),  # no model built it
    ],
)
def test_a_grave_change_needs_another_family(
    header: Header, families: dict[Seat, str], builder: str | None, independent: bool
) -> None:
    """Else there is no review, but a setting to mend, however well all of it looks."""
    hearing = replace(HEARING, floor=floor(header), builder=builder)
    answers = council(*(answer(seat, family=family) for seat, family in families.items()))
    result = synthesise(hearing, answers)
    if independent:
        assert isinstance(result, Review)
        assert (result.emergency, result.forced) == ("", False)
        return
    assert isinstance(result, NotHeld)
    assert result.failure is FailureClass.CONFIG_ERROR
    assert "policies/council.yaml" in result.message
    hearing = replace(hearing, council=Council(version=1, emergency="the other provider is down"))
    logged = synthesise(hearing, answers)
    assert isinstance(logged, Review)
    assert (logged.emergency, logged.forced) == ("the other provider is down", True)
    assert "the other provider is down" in to_markdown(logged)


def test_an_emergency_that_is_not_needed_is_not_used() -> None:
    """It stands in the rules, and says nothing of an ordinary change."""
    hearing = replace(HEARING, council=Council(version=1, emergency="down"))
    assert (held(hearing=hearing).emergency, held(hearing=hearing).forced) == ("", False)


def test_a_seat_that_raises_the_header_calls_for_more_seats() -> None:
    """Those of the graver mode have to sit too; without an independent one a person looks."""
    grave = Raises(blast_radius=BlastRadius.MODULE, uncertainty=Uncertainty.HIGH)
    first = answer(Seat.ARCHITECT, raises=grave)
    summons = summoned(HEARING, [first])
    assert summons.mode is Mode.M2
    assert set(summons.seats) == {*M1, *Council(version=1).modes.M2}
    failed = synthesise(HEARING, council(first))
    assert isinstance(failed, NotHeld)
    assert "simplicity" in failed.message
    full = council(first, seats=summons.seats)
    review = synthesise(HEARING, full)
    assert isinstance(review, Review)
    assert (review.mode, review.forced) == (Mode.M2, False)
    lives = answer(Seat.ARCHITECT, raises=Raises(safety_critical=True))
    review = synthesise(HEARING, council(lives, seats=summons.seats))
    assert isinstance(review, Review)
    assert (review.header.safety_critical, review.forced) == (True, True)


def test_a_shadow_is_compared_and_changes_nothing() -> None:
    """Its verdict, and which findings only one side has; an absent one is said to be absent."""
    said = [answer(Seat.RISK, V, P1, finding(Severity.P1, "Slow.", line=30))]
    shadow = answer(Seat.RISK, R, finding(line=4), finding(line=90, claim="Other."), family="beta")
    gone = absent(Seat.ARCHITECT, FailureClass.QUOTA, "no credit")
    alone = held(*said)
    review = held(*said, shadows=[shadow, gone])
    assert review.model_copy(update={"shadow": ()}) == alone
    away, compared = review.shadow
    assert (away.same, away.run.missing) == (None, "no credit")
    assert compared.same is False
    assert [f.message for f in compared.only_shadow] == ["Other."]
    assert [f.message for f in compared.only_council] == ["Slow."]


def test_the_challenge_has_what_was_found_and_not_by_whom() -> None:
    """No seat, no model, no family."""
    said = challenge(
        HEARING,
        [
            answer(Seat.RISK, V, P0, family="gamma"),
            answer(Seat.TECHNICAL, R, TESTS_FAIL, assumes="It is slow."),
        ],
    )
    for words in ("It loses data.", "src/a.py:3", "It is slow.", "The tests fail.", "revise"):
        assert words in said
    for name in (*(seat.value for seat in M1), "gamma", "m-1"):
        assert name not in said


severities = st.sampled_from(Severity)
findings = st.lists(
    st.builds(
        finding,
        severities,
        st.sampled_from(["It loses data.", "The tests fail.", "Slow."]),
        st.sampled_from([3, 30]),
    ),
    max_size=3,
)
said_by_one = st.tuples(
    st.sampled_from(Verdict), findings, st.sampled_from([0.1, 0.7, 1.0]), st.booleans()
)
councils = st.tuples(*(said_by_one for _ in M1)).map(
    lambda all_said: [
        answer(
            seat,
            verdict,
            *found,
            confidence=confidence,
            family="beta" if other else "alpha",
        )
        for seat, (verdict, found, confidence, other) in zip(M1, all_said, strict=True)
    ]
)
headers = st.sampled_from([UNCLASSIFIED, GRAVE])


@given(councils, headers, st.randoms())
def test_the_order_of_the_answers_means_nothing(
    answers: list[Answer], header: Header, chance: Any
) -> None:
    """Whoever was quicker: the same review, byte for byte."""
    hearing = replace(HEARING, floor=floor(header))
    shuffled = [*answers]
    chance.shuffle(shuffled)
    shadows: list[Answer | Absent] = [answers[0], absent(Seat.RISK, FailureClass.TIMEOUT)]
    first = synthesise(hearing, answers, (), shadows)
    assert first == synthesise(hearing, shuffled, (), shadows[::-1])


@given(councils, st.integers(0, len(M1) - 1))
def test_one_more_blocking_finding_never_helps(answers: list[Answer], place: int) -> None:
    """Whoever has it: the verdict is at least as strict, and never accept."""
    before = synthesise(HEARING, answers)
    old = answers[place]
    more = (*old.checked.findings, finding(claim="It forgets the lock."))
    checked = old.checked.model_copy(update={"findings": more})
    after = synthesise(HEARING, [*answers[:place], Answer(old.run, checked), *answers[place + 1 :]])
    assert isinstance(before, Review)
    assert isinstance(after, Review)
    assert STRICTNESS[after.verdict] >= max(STRICTNESS[before.verdict], STRICTNESS[V])


@given(councils, st.integers(0, len(M1) - 1))
def test_without_one_answer_there_is_no_review(answers: list[Answer], place: int) -> None:
    """Nothing that the others say makes up for a missing verdict."""
    assert isinstance(synthesise(HEARING, [*answers[:place], *answers[place + 1 :]]), NotHeld)


HOSTILE = "x|y`z` <img src=e> @everyone #1\n# No\n```\n[a](javascript:b) \x1b[31m\u202e"


def test_the_review_for_people_shows_the_run_log_as_text() -> None:
    """Who sat on what, what it cost; words of models stay words in their cells."""
    hostile = finding(Severity.P1, HOSTILE, fix=HOSTILE)
    away = absent(Seat.ARCHITECT, FailureClass.TIMEOUT, HOSTILE)
    review = held(
        answer(Seat.RISK, V, hostile, family="beta", assumes=HOSTILE),
        answer(Seat.CO_CHAIR, R, TESTS_FAIL),
        shadows=[answer(Seat.RISK, A), away],
    )
    text = to_markdown(review.model_copy(update={"emergency": HOSTILE}))
    for words in ("| risk | revise |", "here/m-1", "beta", "0.90", "Settled by", "unit"):
        assert words in text
    assert review.header.aur_type is AurType.BUILD
    tokens = MarkdownIt("gfm-like", {"linkify": False}).parse(text)
    children = [child for token in tokens for child in token.children or ()]
    kinds = {each.type for each in (*tokens, *children)}
    assert not kinds & {"html_block", "html_inline", "link_open", "image", "fence"}
    titles = [t.map for t in tokens if t.type == "heading_open"]
    assert len(titles) == text.count("\n## ") + 1
    assert "\x1b" not in text
    assert Review.model_validate_json(review.model_dump_json()) == review
