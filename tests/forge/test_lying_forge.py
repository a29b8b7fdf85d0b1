"""What a forge answers is not trusted: each part that is not what it must be, and each whole."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from fake_github import example
from github_judge import required
from lifeos.errors import LifeosError
from lifeos.forge import Invalid, NotFound, Outage, Unclear
from lifeos.forge.github_pulls import GitHubPulls
from lifeos.forge.github_values import Odd, arrival_of, closed_of, pull_of, review_of
from lifeos.forge.wire import Patience
from loopback import Stage, listening

QUICK = Patience(connect=2, silence=2, whole=4, tries=2, pause=0.01)
TOKEN = "ghx_Canary7Zq2"  # noqa: S105 - opens nothing
WEB = "https://github.com"
Change = Callable[[Any], object]


@pytest.fixture(autouse=True)
def description() -> None:
    """The answers that are broken here are GitHub's own examples."""
    required()


def good() -> Any:
    """A merged pull request, as GitHub shows it."""
    return example("pull-request") | {
        "html_url": "https://github.com/octocat/Hello-World/pull/1347",
        "state": "closed",
        "merged": True,
        "merged_at": "2025-01-01T00:00:00Z",
        "merge_commit_sha": "a" * 40,
        "merged_by": example("pull-request")["user"],
    }


def test_github_s_own_example_is_read() -> None:
    """What the tests below break is whole."""
    pull = pull_of(good(), WEB)
    assert (pull.number, pull.merged, pull.head_repository) == (1347, True, "octocat/Hello-World")


def test_what_may_be_missing_may_be_missing() -> None:
    """A repository or an account that is gone."""
    value = good() | {"user": None, "merged_by": None}
    value["head"]["repo"] = None
    pull = pull_of(value, WEB)
    assert (pull.author, pull.merged_by, pull.head_repository) == (None, None, "")


def test_what_nobody_reads_stops_nothing() -> None:
    """Whatever is there in place of it, or nothing."""
    odd: dict[str, Any] = {"title": None, "body": ["x" * 300_000], "updated_at": "yesterday"}
    assert pull_of(good() | odd, WEB) == pull_of(good(), WEB)
    review = example("pull-request-review-items")[0]
    assert review_of(review | {"submitted_at": 5}) == review_of(review)
    closed: dict[str, Any] = {"event": "closed", "created_at": 5, "commit_id": "x", "actor": None}
    assert closed_of([closed]) == (None,)


BROKEN: list[Change] = [
    lambda value: value.update(number="1347"),
    lambda value: value.update(number=True),
    lambda value: value.update(number=0),
    lambda value: value.update(number=1 << 60),
    lambda value: value.update(number=7),  # its address is another's
    lambda value: value.update(html_url="https://github.com.evil.example/o/n/pull/1347"),
    lambda value: value.update(html_url="https://evil.example/o/n/pull/1347"),
    lambda value: value.update(html_url="javascript:alert(1)//github.com/o/n/pull/1347"),
    lambda value: value.update(html_url="https://github.com/o/n/pull/1347\n"),
    lambda value: value.update(html_url="https://github.com/o/n/pull/1347?x=y"),
    lambda value: value.update(state="merged"),
    lambda value: value.update(state="open"),  # and merged
    lambda value: value.update(merged=False),  # and merged at a time
    lambda value: value.update(merged_at=None),
    lambda value: value.update(merged="true"),
    lambda value: value.update(merge_commit_sha="main"),
    lambda value: value.update(merge_commit_sha="A" * 40),
    lambda value: value["head"].update(sha="a" * 39),
    lambda value: value["head"].update(sha=None),
    lambda value: value["head"].update(ref="a b"),
    lambda value: value["head"].update(ref="a\x1b[2J"),
    lambda value: value["head"].update(ref="r" * 256),
    lambda value: value["head"].update(ref="half-a-letter-\ud800"),
    lambda value: value["head"]["repo"].update(full_name="a/b/c"),
    lambda value: value["head"].update(repo="a/b"),
    lambda value: value["base"].update(repo=None),
    lambda value: value["user"].update(id="1"),
    lambda value: value["user"].update(id=True),
    lambda value: value["user"].update(id=-1),
    lambda value: value["user"].update(login="a\nb"),
    lambda value: value["user"].update(type=None),
    lambda value: value.update(merged_by=[]),
    lambda value: value.pop("head"),
    lambda value: value.pop("user") and value.update(user=[]),
]


@pytest.mark.parametrize("change", range(len(BROKEN)))
def test_an_answer_that_is_not_what_it_must_be_is_odd(change: int) -> None:
    """Each part by itself: another type, another host, a sign that no name has, too long."""
    value = good()
    BROKEN[change](value)
    with pytest.raises(Odd):
        pull_of(value, WEB)


@pytest.mark.parametrize("kind", ["Bot", "Organization", "Mannequin", "Enterprise", "user", ""])
def test_whatever_is_not_a_user_is_a_bot(kind: str) -> None:
    """What a merge by it is worth is then for nobody to guess."""
    value = good()
    value["merged_by"] = value["merged_by"] | {"type": kind}
    merged_by = pull_of(value, WEB).merged_by
    assert merged_by is not None
    assert merged_by.bot


def test_reviews_and_events_of_another_shape_are_odd() -> None:
    """An unknown state is no approval, and no comment either."""
    review = example("pull-request-review-items")[0]
    assert review_of(review).who is not None
    for change in ({"state": "LIKED"}, {"state": 1}, {"commit_id": "x"}, {"body": "b" * 300_000}):
        with pytest.raises(Odd):
            review_of(copy.deepcopy(review) | change)
    merged: Any = {"event": "merged", "created_at": "2025-01-01T00:00:00Z"}
    with pytest.raises(Odd):
        closed_of([{"event": "closed", "created_at": 5, "actor": None}, merged])
    with pytest.raises(Odd):
        closed_of([{"event": "closed", "actor": 5}])
    with pytest.raises(Odd):
        closed_of([["closed"]])


def test_moves_of_another_shape_are_odd() -> None:
    """A move of a branch; one that was not there before has no commit before it."""
    move: dict[str, Any] = {"before": "0" * 40, "after": "a" * 40}
    found = arrival_of(move | {"actor": None})
    assert (found.before, found.after, found.who) == ("", "a" * 40, None)
    changes: list[dict[str, Any]] = [{"after": None}, {"before": "main"}, {"actor": {"id": 1}}]
    for change in changes:
        with pytest.raises(Odd):
            arrival_of(move | change)


def test_an_event_without_an_account_is_nobody_s() -> None:
    """A deleted account; and what closes in the moment of the merge is the merge."""
    at = "2025-01-01T00:00:0{}Z"
    closed: dict[str, Any] = {"event": "closed", "created_at": at.format(1), "actor": None}
    events: list[Any] = [{"event": "labeled"}, closed | {"commit_id": None}]
    found = closed_of(events)
    assert found == (None,)
    merged: dict[str, Any] = {"event": "merged", "created_at": at.format(5)}
    late = closed | {"created_at": at.format(5)}
    assert closed_of([closed, late, merged]) == found
    assert closed_of([merged, late]) == ()


def test_a_close_stands_until_who_closed_it_opens_it_again() -> None:
    """Whatever others close and open after it, and in whatever order."""

    def by(number: int, *acts: str) -> list[Any]:
        who = example("pull-request")["user"] | {"id": number}
        return [{"event": act, "actor": who} for act in acts]

    def standing(*events: list[Any]) -> list[int]:
        found = closed_of([each for part in events for each in part])
        return [who.id for who in found if who]

    ours, theirs = by(1, "closed"), by(2, "reopened", "closed")
    assert standing(ours, theirs) == [1, 2]
    assert standing(ours, theirs, by(2, "reopened")) == [1]
    assert standing(ours, theirs, by(1, "reopened")) == [2]
    assert standing(ours, by(2, "reopened"), ours) == [1]
    assert standing(ours, by(1, "reopened")) == []


class Liar:
    """Says the same to everything; ``wrote``: to a write. ``asked``: the methods."""

    def __init__(self, value: Any, status: int = 200, **headers: str) -> None:
        self.said = status, value, headers
        self.wrote: Any = None
        self.asked: list[str] = []

    def reply(self, method: str, *_: Any) -> tuple[int, Any, dict[str, str]]:
        """The same again."""
        self.asked.append(method)
        return self.said if method == "GET" or self.wrote is None else (200, self.wrote, {})


class Talkative(Liar):
    """Of the comments there is always one more page."""

    def reply(self, method: str, *told: Any) -> tuple[int, Any, dict[str, str]]:
        """The pull request, or a page of comments."""
        status, value, headers = super().reply(method, *told)
        if "/comments" in told[0]:
            return 200, [], {"link": '<x>; rel="next"'}
        return status, value, headers


@contextmanager
def before(liar: Liar) -> Iterator[GitHubPulls]:
    """A client of it."""
    stage = Stage()
    stage.backend = liar
    with listening(stage) as port:
        pulls = GitHubPulls(f"127.0.0.1:{port}", "octocat/Hello-World", TOKEN, QUICK)
        yield pulls
        pulls.close()


def test_a_forge_that_lists_what_was_not_asked_for() -> None:
    """GitHub lists all of them where it does not understand the branch: none of them counts."""
    value = good()
    liar = Liar([value])
    with before(liar) as pulls:
        host = pulls._web  # the port is not known before
        value["html_url"] = f"{host}/octocat/Hello-World/pull/1347"
        there = value["head"]["ref"]
        assert [pull.number for pull in pulls.find(there)] == [1347]
        assert pulls.find("another") == ()
        assert pulls.find(there, base="another") == ()
        liar.said = 200, value, {}
        assert pulls.pull(1347).number == 1347
        with pytest.raises(Outage):
            pulls.pull(1346)


def test_of_the_closed_ones_the_last_hundred_are_looked_at() -> None:
    """A list without end, in pages of forty, holds nobody."""
    liar = Liar([{"number": 5}] * 40, link='<x>; rel="next"')
    with before(liar) as pulls:
        assert pulls.merged_of({1347}) == ()
    assert liar.asked == ["GET"] * 3


def test_one_with_words_without_end_is_closed_all_the_same() -> None:
    """Whether the farewell was said there cannot be read, and nobody would find it."""
    value = good() | {"state": "open", "merged": False, "merged_at": None, "merge_commit_sha": None}
    liar = Talkative(value)
    with before(liar) as pulls:
        value["html_url"] = f"{pulls._web}/octocat/Hello-World/pull/1347"
        liar.wrote = value | {"state": "closed"}
        assert pulls.close_pull(1347, "superseded").state == "closed"
    assert [method for method in liar.asked if method != "GET"] == ["PATCH"]


def test_a_write_does_not_follow_where_it_is_sent() -> None:
    """Neither the token nor the text goes elsewhere, and it is not sent again."""
    liar = Liar({}, 307, location="http://127.0.0.1:1/api/v3/x")
    with before(liar) as pulls, pytest.raises(NotFound, match="does not follow"):
        pulls.comment(1, "hello")
    assert liar.asked == ["POST"]


def test_an_odd_answer_to_a_write_leaves_it_open_whether_it_was_done() -> None:
    """Then it is looked up, not taken for a failure."""
    liar = Liar([])
    with before(liar) as pulls:
        value = good() | {"html_url": f"{pulls._web}/octocat/Hello-World/pull/1347"}
        acts: list[tuple[Any, str, Callable[[], object]]] = [
            ([], "POST", lambda: pulls.open("work", "main", "T", "B")),
            (value, "PATCH", lambda: pulls.reopen(1347)),
        ]
        for there, method, act in acts:
            liar.said, liar.wrote, liar.asked = (200, there, {}), {"number": 2}, []
            with pytest.raises(Unclear, match="is not what GitHub answers"):
                act()
            assert liar.asked == ["GET", method, "GET", method]


def test_the_last_request_of_an_hour_that_is_invalid_is_not_a_limit() -> None:
    """Waiting would not mend it, though nothing more may be asked now."""
    spent = {"x-ratelimit-remaining": "0", "retry-after": "60"}
    liar = Liar({"message": "Validation Failed"}, 422, **spent)
    with before(liar) as pulls, pytest.raises(Invalid, match="Validation Failed"):
        pulls.comment(1, "hello")


def test_a_token_that_is_sent_back_in_disguise_shows_nowhere() -> None:
    """With a letter of it written as a number: neither in a value nor in an error."""
    disguised = "".join(f"\\u{ord(letter):04x}" for letter in TOKEN)
    with before(Liar(f'{{"message": "no {disguised}"}}'.encode(), 403)) as pulls:
        with pytest.raises(LifeosError) as caught:
            pulls.comment(1, "hello")
        assert TOKEN not in str(caught.value)
    review = example("pull-request-review-items")[0] | {"body": "TEXT"}
    text = json.dumps([review]).replace('"TEXT"', f'"{disguised}"')
    with before(Liar(text.encode())) as pulls:
        assert [said.body for said in pulls.reviews(1)] == ["[redacted]"]


def test_where_nothing_listens_nothing_was_done() -> None:
    """Then it is not said that it may have been, and nothing is looked up."""
    with before(Liar(None)) as pulls:
        pass
    gone = GitHubPulls(pulls._web.removeprefix("http://"), "o/n", "tok", QUICK)
    with pytest.raises(Outage) as caught:
        gone.comment(1, "hello")
    assert not isinstance(caught.value, Unclear)
    gone.close()


@pytest.mark.parametrize("value", [None, {}, [], "x", [{}], [[]], {"number": 2}, [None]])
def test_no_answer_of_another_shape_gets_through(value: Any) -> None:
    """Whatever is asked, what GitHub never answers is an outage: no crash, and no guess."""
    with before(Liar(value)) as pulls:
        asks: list[Callable[[], object]] = [
            lambda: pulls.pull(1),
            lambda: pulls.open("x", "main", "T", "B"),
            lambda: pulls.close_pull(1),
            lambda: pulls.reopen(1),
        ]
        if value != []:  # which is a list like any other
            asks += [
                lambda: pulls.find("x"),
                lambda: pulls.reviews(1),
                lambda: pulls.closed_by(1),
                lambda: pulls.arrivals("main"),
            ]
        for ask in asks:
            if value == [{}] and ask is asks[6]:
                continue  # an event that closes nothing
            with pytest.raises(Outage):
                ask()
