"""What a notice says: short, harmless, without secrets, and always that something waits."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from lifeos.core.clean import visible
from lifeos.core.digest import digest, digest_notice, digest_text
from lifeos.core.notices import (
    DAY,
    LIMIT,
    Numbered,
    Source,
    blocked_notice,
    last_due,
    new_blocked,
    new_waiting,
    next_due,
    waits_notice,
)
from lifeos.core.policy import Budgets
from lifeos.core.policy.config import Config
from lifeos.core.policy.council import Council
from lifeos.core.policy.envelope import Envelope
from lifeos.core.policy.fitting import conflicts
from lifeos.core.policy.loop import Loop
from lifeos.core.policy.notify import Notify
from lifeos.core.records import Closed, Held
from lifeos.core.state import Item, PullRequest, Run, Snapshot
from lifeos.model import CloseOutcome, ItemKind, Stage

NOW = 20_000 * DAY + 8 * 3600
SECRET = "correct-horse-battery-staple"  # noqa: S105  (it opens nothing)
LINK = "https://forge.example/ann/shop/blob/main/.lifeos/queue/Q-0.md"


def source(
    count: int = 1,
    title: str = "Say hello",
    question: str = "Land this work?",
    link: str = "",
    records: tuple[Numbered, ...] = (),
) -> Source:
    """A ledger with so many open questions, each a minute older than the one before."""
    runs, items = {}, {}
    for number in range(count):
        runs[f"R-{number}"] = Run(
            id=f"R-{number}", task=f"LO-{number}", title=title, task_digest="", ordinal=1,
            opened_seq=1, opened_at=0, base="", governance="",
        )  # fmt: skip
        items[f"Q-{number}"] = Item(
            id=f"Q-{number}", kind=ItemKind.STAGE_REVIEW, run=f"R-{number}", stage=Stage.CLOSE,
            subject="", question=question, rule="r", opened_at=NOW - 60 * number,
            expires_at=None, governance="",
        )  # fmt: skip
    return Source(
        project="shop",
        snapshot=Snapshot(runs=runs, items=items),
        records=records,
        names={f"R-{number}": (f"LO-{number}", title) for number in range(count)},
        links=dict.fromkeys(items, link),
        secrets=(("DEPLOY_TOKEN", SECRET),),
        now=NOW,
    )


def held(item: str) -> Held:
    """That an item was opened."""
    return Held(
        at=NOW, item=item, item_kind=ItemKind.STAGE_REVIEW, question="", rule="", subject=""
    )


def closed(run: str, at: int = NOW, outcome: CloseOutcome = CloseOutcome.BLOCKED) -> Closed:
    """That a run ended."""
    return Closed(at=at, run=run, outcome=outcome)


# --- what is new ------------------------------------------------------------------------------


def test_only_what_was_opened_since_and_is_open_is_new() -> None:
    """By the number of the transition; one that was answered meanwhile is not told."""
    there = source(2, records=((9, held("Q-gone")), (8, held("Q-1")), (7, held("Q-0"))))
    assert [each.item for each in new_waiting(there, 7)] == ["Q-1"]
    assert [each.item for each in new_waiting(there, 6)] == ["Q-1", "Q-0"]
    assert new_waiting(there, 9) == ()


def test_who_was_never_told_anything_is_told_all_that_is_open() -> None:
    """Also what was opened before anything that is looked at; and what blocked in the last day."""
    old, new = closed("R-0", NOW - 2 * DAY), closed("R-1", NOW - 60)
    there = source(2, records=((9, new), (2, old)))
    assert [each.item for each in new_waiting(there, -1)] == ["Q-1", "Q-0"]
    assert [each.run for each in new_blocked(there, -1)] == ["R-1"]
    assert [each.run for each in new_blocked(there, 1)] == ["R-0", "R-1"]


@pytest.mark.parametrize("outcome", [each for each in CloseOutcome if each != "blocked"])
def test_other_ends_are_not_told_as_blocked(outcome: CloseOutcome) -> None:
    """A person rejects and cancels; what landed is in the digest."""
    there = source(1, records=((9, closed("R-0", outcome=outcome)),))
    assert new_blocked(there, 0) == ()


@given(st.integers(0, 10**10), st.integers(0, 23))
def test_a_digest_is_due_once_a_day(now: int, hour: int) -> None:
    """Between the last time and the next lies a day, and now."""
    last, following = last_due(hour, now), next_due(hour, now)
    assert last <= now < following
    assert following - last == DAY
    assert last % DAY == hour * 3600


# --- how it is said ---------------------------------------------------------------------------

TEXTS = st.text(max_size=300)
LINKS = st.sampled_from(["", LINK, f"{LINK}\x1b[31m\n\u202e", "https://x/" + "y" * 700])


@settings(max_examples=40)
@given(st.integers(1, 30), TEXTS, TEXTS, LINKS)
def test_every_notice_is_short_visible_and_says_what_to_do(
    count: int, title: str, question: str, link: str
) -> None:
    """Whatever titles, questions and addresses there are, and however many."""
    ends = tuple((n + 1, closed(f"R-{n}")) for n in range(count))
    there = source(count, title, question, link, ends)
    waits = waits_notice(there, new_waiting(there, -1))
    blocked = blocked_notice(there, new_blocked(there, 0))
    found = digest_notice(there, digest(there, 0, Budgets()))
    for notice, must in (
        (waits, "Answer: lifeos "),
        (blocked, "lifeos retry"),
        (found, "lifeos queue"),
    ):
        assert len(notice.text) <= LIMIT
        assert len(notice.title) <= 120
        assert must in notice.text
        assert visible(notice.text) == notice.text
        assert "\n" not in notice.title
    assert len(waits.waiting) == count
    if count > 1:
        assert f"{count} questions wait" in waits.title


def test_what_does_not_fit_is_counted() -> None:
    """Nobody may believe that they saw all."""
    there = source(60, "A title of some length, as they are")
    text = waits_notice(there, new_waiting(there, -1)).text
    shown = text.count("Q-")
    assert 3 < shown < 60
    assert f"\nand {60 - shown} more\nAnswer: lifeos queue" in text
    found = digest(there, 0, Budgets())
    short = digest_notice(there, found).text
    assert f"- and {60 - short.count('Q-')} more" in short
    assert digest_text(found).count("Q-") == 60


def test_a_link_that_does_not_fit_is_left_out_whole() -> None:
    """Half an address leads nowhere."""
    long = "https://forge.example/" + "x" * LIMIT
    there = source(1, link=long)
    notice = waits_notice(there, new_waiting(there, -1))
    assert "https" not in notice.text
    assert notice.waiting[0].link == long


def test_a_pull_request_is_merged_or_closed() -> None:
    """Where the question is one, no command is the answer."""
    there = source(1, link="https://forge.example/ann/shop/pull/7")
    item = there.snapshot.items["Q-0"]
    asked = item.model_copy(update={"pull": PullRequest(head="a" * 40, number=7)})
    snapshot = there.snapshot.model_copy(update={"items": {"Q-0": asked}})
    there = replace(there, snapshot=snapshot)
    text = waits_notice(there, new_waiting(there, -1)).text
    assert "lifeos approve" not in text
    assert "merge its pull request, or close it to reject\nhttps://forge.example" in text


@pytest.mark.parametrize("place", ["title", "question", "link"])
def test_secrets_are_cut_out_before_anything_is_shortened(place: str) -> None:
    """Half of a secret would not be recognised: no piece of it may stay at the end of a line."""
    for length in range(60, 210, 7):
        text = f"{'a ' * (length // 2)}{SECRET}"
        there = source(1, **{"title": "t", "question": "q", "link": "", place: text})  # type: ignore[arg-type]  # texts all
        said = waits_notice(there, new_waiting(there, -1)).model_dump_json()
        said += digest_notice(there, digest(there, 0, Budgets())).model_dump_json()
        assert "correct-h" not in said, text


# --- the settings -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "wrong",
    [
        {"command": "notify-send hello"},
        {"command": ["./tell-me"]},
        {"command": ["script/tell-me", "x"]},
        {"command": ["tell\nme"]},
        {"command": [""]},
        {"environment": ["A B"]},
        {"environment": ["A=b"]},
        {"apprise": ["tgram://token/chat"]},
        {"apprise": [""]},
        {"apprise": ["A", "A"]},
        {"on": ["waits", "waits"]},
        {"on": ["landed"]},
        {"timeout": 0},
        {"timeout": 601},
        {"digest": {"hour": 24}},
        {"digest": {"hour": -1}},
        {"url": "x"},
    ],
    ids=str,
)
def test_wrong_settings_are_refused(wrong: dict[str, object]) -> None:
    """No shell, no program of some folder, no address in the file."""
    with pytest.raises(ValidationError):
        Notify.model_validate(wrong)


def test_the_address_is_not_handed_through() -> None:
    """A variable that holds an Apprise URL cannot be let into the sandbox."""
    config = Config(version=1, notify=Notify(apprise=("TELL",)))
    envelope = Envelope(version=1, environment=("TELL",))
    (found,) = conflicts(Loop(version=1), Council(version=1), envelope, config)
    assert "TELL holds the address that notices go to" in found.message
