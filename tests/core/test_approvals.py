"""Which answers count. Each reason to refuse is tried alone, on an answer that else counts."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifeos.core.answers import (
    COMMENT_LIMIT,
    FILE_LIMIT,
    AnswerFile,
    Refusal,
    answer_path,
    answer_text,
    item_of,
    read_answer,
)
from lifeos.core.approvals import (
    Evidence,
    Refused,
    Signed,
    Unsigned,
    is_approver,
    judge_answer,
)
from lifeos.core.facts import Answer
from lifeos.core.policy import Approvals, Approver
from lifeos.core.state import Item
from lifeos.core.table import ANSWERS
from lifeos.errors import UsageError
from lifeos.model import Decision, ItemKind, Stage, Trust
from lifeos.strict_yaml import read

ID = "Q-7k2m4q9a"
SUBJECT = "ab" * 32
EMAIL = "ann@example.invalid"
KEY = "ssh-ed25519 " + "A" * 68
OTHER_KEY = "ssh-ed25519 " + "B" * 68

ITEM = Item(
    id=ID,
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
ANSWER = AnswerFile(item=ID, decision=Decision.APPROVE, subject=SUBJECT, comment="", raw="raw")
SIGNED = Signed(principal=EMAIL, key=KEY, fingerprint="SHA256:x")
EVIDENCE = Evidence(
    path=f".lifeos/queue/{ID}.approval.yaml",
    mode="100644",
    on_main=True,
    commit="c" * 40,
    author=EMAIL,
    committer=EMAIL,
    by_lifeos=False,
    signature=SIGNED,
)


def approvals(trust: Trust = Trust.COMMIT, email: str = EMAIL, key: str = KEY) -> Approvals:
    """One approver and a bystander."""
    people = (
        Approver(name="Ann", email=email, key=key, forge_id=101),
        Approver(name="Bob", email="bob@example.invalid", key="ssh-rsa " + "C" * 68, forge_id=102),
    )
    return Approvals(version=1, trust=trust, approvers=people)


def judged(
    item: Item | None = ITEM,
    answer: AnswerFile = ANSWER,
    evidence: Evidence = EVIDENCE,
    subject_now: str = SUBJECT,
    then: Approvals | None = None,
    now: Approvals | None = None,
    at: int = 1500,
) -> Answer | Refusal:
    """The judgement on an answer that counts, but for what is given."""
    return judge_answer(
        item,
        answer,
        evidence,
        subject_now=subject_now,
        then=then or approvals(),
        now=now or approvals(),
        at=at,
    )


@pytest.mark.parametrize("trust", [Trust.COMMIT, Trust.SIGNATURE])
def test_an_answer_that_counts(trust: Trust) -> None:
    """And what the ledger will say of it."""
    found = judged(then=approvals(trust), now=approvals(trust))
    assert found == Answer(
        item=ID, decision=Decision.APPROVE, who=EMAIL, trust=trust, commit="c" * 40, raw="raw"
    )


SIGNATURE = approvals(Trust.SIGNATURE)
MERGE = approvals(Trust.MERGE)
GONE = Approvals(version=1, approvers=(approvals().approvers[1],))

REFUSED: dict[str, tuple[dict[str, object], str]] = {
    "replay: the item is not open": ({"item": None}, "no such question is open"),
    "path in other case": (
        {"evidence": replace(EVIDENCE, path=EVIDENCE.path.replace("Q-", "q-"))},
        "differs in case",
    ),
    "suffix in other case": (
        {"evidence": replace(EVIDENCE, path=EVIDENCE.path.replace("yaml", "YAML"))},
        "differs in case",
    ),
    "another place": (
        {"evidence": replace(EVIDENCE, path=f".lifeos/queue/x/{ID}.approval.yaml")},
        "it is not at",
    ),
    "a symlink": ({"evidence": replace(EVIDENCE, mode="120000")}, "symbolic link"),
    "a submodule": ({"evidence": replace(EVIDENCE, mode="160000")}, "submodule"),
    "a folder": ({"evidence": replace(EVIDENCE, mode="040000")}, "a folder"),
    "a strange mode": ({"evidence": replace(EVIDENCE, mode="100600")}, "mode 100600"),
    "not on main": ({"evidence": replace(EVIDENCE, on_main=False)}, "not committed on main"),
    "another item's answer": ({"answer": replace(ANSWER, item="Q-22222222")}, "another item"),
    "another subject, or repository": (
        {"answer": replace(ANSWER, subject="cd" * 32)},
        "not this question's",
    ),
    "stale: the work changed": ({"subject_now": "cd" * 32}, "stale"),
    "expired": ({"at": 2000}, "expired"),
    "revise without comment": (
        {"answer": replace(ANSWER, decision=Decision.REVISE)},
        "revise has no comment",
    ),
    "reject without comment": (
        {"answer": replace(ANSWER, decision=Decision.REJECT)},
        "reject has no comment",
    ),
    "lifeos itself": ({"evidence": replace(EVIDENCE, by_lifeos=True)}, "lifeos itself"),
    "a bot": (
        {
            "evidence": replace(EVIDENCE, author="x[bot]@example.invalid"),
            "now": approvals(email="x[bot]@example.invalid"),
        },
        "a bot",
    ),
    "a bot commits what an approver wrote": (
        {"evidence": replace(EVIDENCE, committer="x[bot]@example.invalid")},
        "a bot",
    ),
    "spoofed author": (
        {"evidence": replace(EVIDENCE, committer="mallory@example.invalid")},
        "is not its committer",
    ),
    "spoofed committer": (
        {"evidence": replace(EVIDENCE, author="mallory@example.invalid")},
        "is not its committer",
    ),
    "edited later by somebody": (
        {
            "evidence": replace(
                EVIDENCE, author="mallory@example.invalid", committer="mallory@example.invalid"
            )
        },
        "mallory@example.invalid is not an approver",
    ),
    "a look-alike address": (
        {
            "evidence": replace(
                EVIDENCE, author="\u212aim@example.invalid", committer="\u212aim@example.invalid"
            ),
            "then": approvals(email="kim@example.invalid"),
            "now": approvals(email="kim@example.invalid"),
        },
        "is not an approver",
    ),
    "listed himself a commit earlier": ({"then": GONE}, "was not an approver when"),
    "removed since": ({"now": GONE}, "taken off the approvers"),
    "trust commit with a forge": ({"evidence": replace(EVIDENCE, forge=True)}, "a forge is"),
    "trust commit in CI": ({"evidence": replace(EVIDENCE, ci=True)}, "CI machine"),
    "trust merge without a forge": ({"now": MERGE}, "needs a forge"),
    "trust merge, but pushed": (
        {"now": MERGE, "evidence": replace(EVIDENCE, forge=True)},
        "it was pushed",
    ),
    "unsigned": (
        {"now": SIGNATURE, "evidence": replace(EVIDENCE, signature=Unsigned())},
        "not signed",
    ),
    "a signature that does not count": (
        {"now": SIGNATURE, "evidence": replace(EVIDENCE, signature=Refused("wrong namespace"))},
        "wrong namespace",
    ),
    "right key, other author": (
        {
            "now": SIGNATURE,
            "evidence": replace(
                EVIDENCE, signature=replace(SIGNED, principal="bob@example.invalid")
            ),
        },
        "signed by bob@example.invalid, but its author",
    ),
    "right key, other committer": (
        {"now": SIGNATURE, "evidence": replace(EVIDENCE, committer="bob@example.invalid")},
        "but its committer",
    ),
    "a key taken back since": (
        {"now": approvals(Trust.SIGNATURE, key=OTHER_KEY)},
        "was taken back since",
    ),
    "a key newer than the question": (
        {"now": SIGNATURE, "then": approvals(Trust.SIGNATURE, key=OTHER_KEY)},
        "newer than the question",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_an_answer_that_does_not_count(case: str) -> None:
    """Each has a reason of its own and says what to do."""
    changes, reason = REFUSED[case]
    found = judged(**changes)  # type: ignore[arg-type]  # the table is checked by running it
    assert isinstance(found, Refusal)
    assert reason in found.reason
    assert found.item == ID
    assert found.fix
    assert found.reason in str(found)


def test_every_reason_is_different() -> None:
    """Nobody has to guess which of two things is meant."""
    reasons = {case: str(judged(**changes)) for case, (changes, _) in REFUSED.items()}  # type: ignore[arg-type]  # as above
    same_on_purpose = {"suffix in other case", "a bot commits what an approver wrote"}
    distinct = {case: text for case, text in reasons.items() if case not in same_on_purpose}
    assert len(set(distinct.values())) == len(distinct)


@pytest.mark.parametrize("kind", ItemKind)
@pytest.mark.parametrize("decision", Decision)
def test_only_the_answers_of_the_kind(kind: ItemKind, decision: Decision) -> None:
    """As the state machine's own list has it."""
    item = ITEM.model_copy(update={"kind": kind})
    found = judged(item=item, answer=replace(ANSWER, decision=decision, comment="why"))
    assert isinstance(found, Answer) == (decision in ANSWERS[kind])
    if isinstance(found, Refusal):
        assert f"no answer to a {kind} item" in found.reason


def test_a_rejection_counts_after_the_time_too() -> None:
    """Nothing is resumed by it; and else a question could never be got rid of."""
    reject = replace(ANSWER, decision=Decision.REJECT, comment="no")
    assert isinstance(judged(answer=reject, at=9999), Answer)
    revise = replace(ANSWER, decision=Decision.REVISE, comment="more")
    assert isinstance(judged(answer=revise, at=9999), Refusal)
    forever = ITEM.model_copy(update={"expires_at": None})
    assert isinstance(judged(item=forever, at=9999), Answer)


def test_addresses_differ_in_ascii_case_only() -> None:
    """A person's settings may have capitals; a sign that folds to a letter is somebody else."""
    assert is_approver(approvals(), EMAIL.upper())
    assert not is_approver(approvals(email="kim@example.invalid"), "\u212aim@example.invalid")
    assert not is_approver(approvals(), "")


# --- the file ---------------------------------------------------------------------------------


def parsed(data: bytes) -> AnswerFile | Refusal:
    """As the shell reads it: strict YAML first."""
    document = read(data, "f")
    assert not document.problems, document.problems
    return read_answer(ID, document.value, data)


visible = st.text(
    st.characters(exclude_categories=["Cs", "Cc", "Cf", "Zl", "Zp"]), max_size=300
).map(str.strip)


@given(decision=st.sampled_from(Decision), comment=visible)
def test_what_is_written_is_read_back(decision: Decision, comment: str) -> None:
    """Whatever the comment looks like: quotes, colons, `yes`, numbers, comment signs."""
    if decision is not Decision.APPROVE and not comment:
        comment = "no"
    data = answer_text(ID, decision, SUBJECT, comment)
    found = parsed(data)
    assert found == AnswerFile(ID, decision, SUBJECT, comment, data.decode())


def test_a_comment_of_several_lines() -> None:
    """They come back as they were."""
    found = parsed(answer_text(ID, Decision.REVISE, "1" * 64, "first\n\n- second\n"))
    assert isinstance(found, AnswerFile)
    assert found.comment == "first\n\n- second"
    assert found.subject == "1" * 64


@pytest.mark.parametrize("comment", ["a\x1b[31mb", "a\u202eb", "a\u2028b", "x" * 3000, "😀" * 1900])
def test_a_comment_that_cannot_be_kept_is_refused(comment: str) -> None:
    """Control, direction and invisible characters; and what does not fit a record."""
    with pytest.raises(UsageError):
        answer_text(ID, Decision.REVISE, SUBJECT, comment)


def test_a_missing_comment_is_refused_when_written() -> None:
    """Not only when it is read."""
    with pytest.raises(UsageError, match="comment"):
        answer_text(ID, Decision.REJECT, SUBJECT, "  ")


GOOD = {"item": ID, "decision": "approve", "subject": SUBJECT}


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (None, "not a list of keys"),
        ([GOOD], "not a list of keys"),
        ("approve", "not a list of keys"),
        ({}, "no item"),
        ({**GOOD, "approved": True}, "'approved'"),
        ({**GOOD, "who": "the ceo"}, "'who'"),
        ({k: v for k, v in GOOD.items() if k != "decision"}, "no decision"),
        ({k: v for k, v in GOOD.items() if k != "subject"}, "no subject"),
        ({**GOOD, "decision": True}, "decision is not text"),
        ({**GOOD, "decision": "false"}, "'false'"),
        ({**GOOD, "decision": "yes"}, "'yes'"),
        ({**GOOD, "decision": "Approve"}, "'Approve'"),
        ({**GOOD, "decision": ["approve"]}, "decision is not text"),
        ({**GOOD, "subject": SUBJECT[:12]}, "whole digest"),
        ({**GOOD, "subject": SUBJECT.upper()}, "whole digest"),
        ({**GOOD, "subject": 1}, "subject is not text"),
        ({**GOOD, "item": "../../x"}, "not the id"),
        ({**GOOD, "item": None}, "item is not text"),
        ({**GOOD, "comment": None}, "comment is not text"),
        ({**GOOD, "comment": "x" * (COMMENT_LIMIT + 1)}, "more than"),
    ],
)
def test_a_file_that_says_something_else(value: object, reason: str) -> None:
    """Nothing is guessed: it is refused by what is wrong with it, with how to write it."""
    found = read_answer(ID, value, b"")
    assert isinstance(found, Refusal)
    assert reason in found.reason
    assert "lifeos approve" in found.fix


def test_a_file_that_does_not_fit_a_record_is_refused() -> None:
    """The ledger keeps it whole."""
    found = read_answer(ID, GOOD, b"#" * (FILE_LIMIT + 1))
    assert isinstance(found, Refusal)
    assert "bytes" in found.reason


@pytest.mark.parametrize(
    "text",
    [
        f"item: {ID}\ndecision: reject\ndecision: approve\nsubject: {SUBJECT}\n",
        f"base: &b {{decision: approve}}\n<<: *b\nitem: {ID}\nsubject: {SUBJECT}\n",
        f"item: !!python/name:x {ID}\ndecision: approve\nsubject: {SUBJECT}\n",
        f"item: {ID}\ndecision: approve\nsubject: {SUBJECT}\n---\nitem: {ID}\n",
    ],
)
def test_yaml_that_means_two_things_never_gets_here(text: str) -> None:
    """Duplicate keys, merges, tags, several documents: strict YAML names them."""
    assert read(text.encode(), "f").problems


@pytest.mark.parametrize("item", ["../x", "", "-x", "a/b", "a b", "x" * 65, "Q-1\n"])
def test_an_id_that_is_none_has_no_path(item: str) -> None:
    """So it cannot lead out of the queue folder."""
    with pytest.raises(UsageError):
        answer_path(item)
    assert item_of(f"{item}.approval.yaml") is None


def test_answers_are_found_in_any_case() -> None:
    """And then refused for it, by name, instead of being overlooked."""
    assert item_of(f"{ID}.approval.yaml") == ID
    assert item_of(f"{ID.lower()}.Approval.YAML") == ID.lower()
    assert item_of(f"{ID}.md") is None
    assert item_of("approval.yaml") is None
