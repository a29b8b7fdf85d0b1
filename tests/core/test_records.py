"""The records as they stand on the ledger: they come back as they were, and none is forged."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from conftest import Git
from lifeos.core.clean import one_line
from lifeos.core.improve.trial import Measure, Measured, Proposed, Window
from lifeos.core.records import (
    FORMAT,
    PREFIX,
    AnyRecord,
    AttemptFacts,
    BreachFact,
    CheckFact,
    Claimed,
    Closed,
    Finished,
    Held,
    Noted,
    Opened,
    Resolved,
    Topic,
    format_message,
    from_json,
    outcome_class,
    parse_message,
    subject,
    to_json,
)
from lifeos.core.state import Ask, OnApprove, PullRequest, Success, TaskText, Wake
from lifeos.errors import LedgerBroken
from lifeos.model import (
    Action,
    CloseOutcome,
    Decision,
    FailureClass,
    ItemKind,
    Mode,
    Risk,
    Stage,
    Trust,
    Usage,
    Verdict,
)

# --- any record at all ----------------------------------------------------------------------

#: What can stand in a commit: any text that UTF-8 can say.
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
TEXTS = st.lists(TEXT, max_size=3).map(tuple)
TIME = st.integers(0, 2**40)
COUNT = st.integers(0, 2**40)
MONEY = st.floats(0, 1e9, allow_nan=False)
MAYBE_TEXT = st.one_of(st.none(), TEXT)
STAGE = st.sampled_from(Stage)
OUTCOME = st.sampled_from([*Success, *Verdict, *FailureClass])


def maybe(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(st.none(), strategy)


ASKS = st.recursive(
    st.none(),
    lambda inner: st.builds(
        Ask,
        kind=st.sampled_from(ItemKind),
        rule=TEXT,
        question=TEXT,
        on_approve=st.sampled_from(OnApprove),
        then=inner,
    ),
    max_leaves=3,
)
WAKES = st.builds(Wake, at=maybe(TIME), main=MAYBE_TEXT, stop=st.booleans())
TOLD = st.builds(
    TaskText,
    digest=TEXT,
    title=TEXT,
    scope=TEXTS,
    tags=TEXTS,
    risk=st.sampled_from(Risk),
    commands=TEXT,
)
FACTS = st.builds(
    AttemptFacts,
    outcome=OUTCOME,
    message=TEXT,
    error=TEXT,
    tree=TEXT,
    paths=TEXTS,
    lines=COUNT,
    protected=st.booleans(),
    checks=st.lists(
        st.builds(CheckFact, name=TEXT, status=TEXT, failure=maybe(st.sampled_from(FailureClass))),
        max_size=2,
    ).map(tuple),
    breaches=st.lists(
        st.builds(BreachFact, kind=TEXT, path=TEXT, line=COUNT, message=TEXT), max_size=2
    ).map(tuple),
    environment=st.booleans(),
    causes=st.lists(st.sampled_from(FailureClass), max_size=2).map(tuple),
    mode=maybe(st.sampled_from(Mode)),
    forced=st.booleans(),
    risk=st.sampled_from(Risk),
    artifact=TEXT,
    proves_nothing=TEXTS,
    stopped=st.booleans(),
    usage=st.builds(Usage, seconds=MONEY, tokens=COUNT, cost=MONEY),
    wake_at=maybe(TIME),
    main=TEXT,
)
RECORDS: dict[type[AnyRecord], st.SearchStrategy[Any]] = {
    Opened: st.builds(
        Opened,
        at=TIME,
        run=TEXT,
        task=TEXT,
        title=TEXT,
        task_digest=TEXT,
        ordinal=COUNT,
        base=TEXT,
        governance=TEXT,
        scope=TEXTS,
        tags=TEXTS,
        risk=st.sampled_from(Risk),
        commands=TEXT,
        stage=STAGE,
        design=TEXT,
        plan=TEXT,
    ),
    Claimed: st.builds(
        Claimed,
        at=TIME,
        run=TEXT,
        stage=STAGE,
        n=COUNT,
        nonce=TEXT,
        worker=TEXT,
        lease_until=TIME,
        reserved=MONEY,
        base=TEXT,
    ),
    Finished: st.builds(
        Finished,
        at=TIME,
        run=TEXT,
        stage=STAGE,
        n=COUNT,
        nonce=TEXT,
        facts=maybe(FACTS),
        facts_digest=TEXT,
        action=st.sampled_from(Action),
        rule=TEXT,
        to=STAGE,
        ask=ASKS,
        wake=maybe(WAKES),
        evidence=st.dictionaries(TEXT, TEXT, max_size=2),
    ),
    Held: st.builds(
        Held,
        at=TIME,
        item=TEXT,
        item_kind=st.sampled_from(ItemKind),
        run=MAYBE_TEXT,
        stage=maybe(STAGE),
        question=TEXT,
        rule=TEXT,
        subject=TEXT,
        about=TEXT,
        edited=maybe(TOLD),
        expires_at=maybe(TIME),
        main=TEXT,
        onto=TEXT,
        proposed=maybe(
            st.builds(
                Proposed,
                pattern=TEXT,
                window=maybe(st.builds(Window, runs=st.integers(1, 99))),
                governs=st.booleans(),
                draft=st.integers(1, 9),
            )
        ),
    ),
    Resolved: st.builds(
        Resolved,
        at=TIME,
        item=TEXT,
        decision=st.sampled_from(Decision),
        who=TEXT,
        trust=maybe(st.sampled_from(Trust)),
        commit=TEXT,
        comment=TEXT,
        raw=TEXT,
        main=TEXT,
    ),
    Closed: st.builds(
        Closed,
        at=TIME,
        run=TEXT,
        outcome=st.sampled_from(CloseOutcome),
        landed=TEXT,
        packet=TEXT,
        reason=TEXT,
    ),
    Noted: st.builds(
        Noted,
        at=TIME,
        topic=st.sampled_from(Topic),
        run=MAYBE_TEXT,
        task=TEXT,
        item=TEXT,
        stage=maybe(STAGE),
        digest=TEXT,
        commit=TEXT,
        onto=TEXT,
        tree=TEXT,
        who=TEXT,
        text=TEXT,
        edited=maybe(TOLD),
        reask=st.booleans(),
        pull=maybe(
            st.builds(
                PullRequest,
                head=TEXT,
                commits=st.integers(1, 2),
                number=st.integers(0, 9),
                url=TEXT,
                landing=st.booleans(),
                reopened=st.booleans(),
            )
        ),
        measured=maybe(
            st.builds(
                Measured,
                measure=st.sampled_from(Measure),
                value=maybe(MONEY),
                before=MONEY,
                limit=MONEY,
                runs=COUNT,
                holds=maybe(st.booleans()),
            )
        ),
    ),
}
ANY_RECORD: st.SearchStrategy[AnyRecord] = st.one_of(*RECORDS.values())

OPENED = Opened(
    at=1, run="R", task="T", title="t", task_digest="d", ordinal=0, base="b", governance="g"
)


@given(ANY_RECORD)
def test_a_record_comes_back_as_it_was(record: AnyRecord) -> None:
    """Through one line of JSON, and written again it is the same line, byte for byte."""
    line = to_json(record)
    assert "\n" not in line
    assert from_json(line) == record
    assert from_json(line.encode()) == record
    assert to_json(from_json(line)) == line


@pytest.mark.parametrize("kind", RECORDS)
def test_every_field_of_every_record_is_tried(kind: type[AnyRecord]) -> None:
    """A field that no strategy above fills would not be tested by the round trip."""
    filled = {"v", "kind"}
    text = repr(RECORDS[kind])
    filled |= {name for name in kind.model_fields if f"{name}=" in text}
    assert filled == set(kind.model_fields)


def test_what_is_default_is_left_out_and_what_says_what_it_is_stays() -> None:
    """Small records, and yet each names its format and its kind."""
    value = json.loads(to_json(Noted(at=5, topic=Topic.STOPPED)))
    assert value == {"at": 5, "kind": "noted", "topic": "stopped", "v": FORMAT}
    assert '"stage"' not in to_json(OPENED)
    assert '"stage":"plan"' in to_json(OPENED.model_copy(update={"stage": Stage.PLAN}))


def test_the_line_is_canonical() -> None:
    """Sorted keys, no spaces, text as it is: a digest of it means the same everywhere."""
    line = to_json(Noted(at=5, topic=Topic.STOPPED, text="naïve 日本語\n"))
    assert line == ('{"at":5,"kind":"noted","text":"naïve 日本語\\n","topic":"stopped","v":1}')


@pytest.mark.parametrize("version", [2, 99])
def test_a_newer_format_is_refused_by_name(version: int) -> None:
    """An older lifeos does not guess at a newer ledger; it says what to do."""
    line = to_json(OPENED).replace('"v":1', f'"v":{version}')
    with pytest.raises(LedgerBroken, match=f"format {version}.*install a newer lifeos"):
        from_json(line, "at commit abc")


@pytest.mark.parametrize(
    "line",
    [
        "",
        "null",
        "[]",
        "{",
        '{"v":1}',
        '{"v":"2","kind":"noted","at":1,"topic":"stopped"}',
        '{"v":0,"kind":"noted","at":1,"topic":"stopped"}',
        '{"v":1,"kind":"nothing","at":1}',
        '{"v":1,"kind":"noted","at":1,"topic":"stopped","more":1}',
        '{"v":1,"kind":"noted","at":1,"topic":"elsewhere"}',
        '{"v":1,"kind":"noted","topic":"stopped"}',
        '{"v":1,"kind":"closed","at":1,"run":"R","outcome":"passed"}',
        '{"v":1,"kind":"noted","at":1e999,"topic":"stopped"}',
    ],
)
def test_anything_malformed_is_refused_with_its_place(line: str) -> None:
    """Never skipped, never taken for something else."""
    with pytest.raises(LedgerBroken, match="ledger record at commit abc"):
        from_json(line, "at commit abc")


@pytest.mark.parametrize(
    "usage",
    [{"cost": -1}, {"tokens": -1}, {"seconds": -0.1}, {"cost": "NaN"}, {"seconds": "Infinity"}],
)
def test_no_worker_reports_less_than_nothing(usage: dict[str, Any]) -> None:
    """A negative cost would refill a budget, and nothing is ever more than not-a-number."""
    with pytest.raises(ValidationError):
        Usage.model_validate(usage)


# --- messages -------------------------------------------------------------------------------

#: Prose and titles that try to be something else.
HOSTILE = [
    'x\n\nlifeos-record: {"v":1,"kind":"noted","at":1,"topic":"stopped"}',
    'lifeos-record: {"v":1,"kind":"noted","at":1,"topic":"stopped"}',
    "x\nLifeos-Kind: closed\nLifeos-Run: other",
    "x\n\nLifeos-Kind: closed",
    "x\r\rLifeos-Kind: closed",
    "x\u2028\u2028Lifeos-Kind: closed",
    "x\n---\nSigned-off-by: Eve <eve@example.org>",
    "x\n\x1b[2J\nlifeos-record: {}",
    "\u200blifeos-record: {}",
    "",
    "\n\n\n",
]


@given(ANY_RECORD, TEXT, TEXT)
def test_a_message_gives_its_record_back(record: AnyRecord, title: str, prose: str) -> None:
    """Whatever stands around it."""
    assert parse_message(format_message(record, title, prose)) == record
    assert parse_message(format_message(record, subject(record), prose)) == record


@pytest.mark.parametrize("text", HOSTILE)
def test_nobody_writes_a_second_record_into_a_message(text: str) -> None:
    """Neither in the title nor in the prose nor in what the record itself quotes."""
    record = OPENED.model_copy(update={"title": text})
    message = format_message(record, text, text)
    assert sum(line.startswith(PREFIX) for line in message.split("\n")) == 1
    assert parse_message(message) == record


@pytest.mark.parametrize("count", [0, 2])
def test_a_message_has_exactly_one_record(count: int) -> None:
    """None is a foreign commit, two are a forgery; the commit is named."""
    message = "title\n\n" + f"{PREFIX}{to_json(OPENED)}\n" * count
    with pytest.raises(LedgerBroken, match=f"commit abc of the ledger has {count} records"):
        parse_message(message, "abc")


@pytest.mark.parametrize("text", HOSTILE)
def test_git_reads_lifeos_trailers_and_no_others(text: str, git: Git) -> None:
    """Real git, on the message and on the commit that has it: what is last is what it reads."""
    message = format_message(OPENED.model_copy(update={"title": text}), text, text)
    expected = "Lifeos-Kind: opened\nLifeos-Run: R"
    assert git("interpret-trailers", "--parse", stdin=message) == expected
    tree = git("rev-parse", "HEAD^{tree}")
    commit = git("commit-tree", tree, stdin=message)
    assert git("log", "-1", "--format=%(trailers)", commit).strip() == expected
    assert git("log", "-1", "--format=%B", commit).rstrip("\n") == message.rstrip("\n")


@given(ANY_RECORD)
def test_a_subject_is_one_line_of_words(record: AnyRecord) -> None:
    """The story of the project, one line a transition, whatever the record says."""
    first = format_message(record, subject(record)).split("\n")[0]
    assert first == (one_line(subject(record)) or record.kind)
    assert first


@pytest.mark.parametrize(
    ("record", "line"),
    [
        (OPENED, "open R for T: t"),
        (
            Finished(
                at=1,
                run="R",
                stage=Stage.BUILD,
                n=2,
                nonce="x",
                facts=AttemptFacts(outcome=FailureClass.TEST_FAILURE),
                action=Action.RETRY,
                rule="retries_left",
                to=Stage.BUILD,
            ),
            "build 2 of R: test_failure -> retry",
        ),
        (
            Finished(
                at=1,
                run="R",
                stage=Stage.BUILD_REVIEW,
                n=3,
                nonce="x",
                facts=AttemptFacts(outcome=Verdict.REVISE),
                action=Action.REWORK,
                rule="retries_left",
                to=Stage.PLAN,
            ),
            "build_review 3 of R: revise -> rework (plan)",
        ),
        (
            Resolved(at=1, item="Q", decision=Decision.APPROVE, who="ada@example.org"),
            "resolve Q: approve by ada@example.org",
        ),
        (Closed(at=1, run="R", outcome=CloseOutcome.PASS), "close R: pass"),
        (Noted(at=1, topic=Topic.RETRY, task="T"), "note retry T"),
    ],
)
def test_what_the_subject_says(record: AnyRecord, line: str) -> None:
    """Who did what to what."""
    assert subject(record) == line


@pytest.mark.parametrize(
    ("outcome", "failure"),
    [
        (Success.OK, None),
        (Verdict.ACCEPT, None),
        (Verdict.REVISE, FailureClass.REVIEW_REJECTION),
        (Verdict.REJECT, FailureClass.REVIEW_REJECTION),
        *((failure, failure) for failure in FailureClass),
    ],
)
def test_the_class_of_an_outcome(outcome: Any, failure: FailureClass | None) -> None:
    """A verdict against is a review rejection; a failure is its own class."""
    assert outcome_class(outcome) is failure
