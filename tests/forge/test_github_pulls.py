"""Pull requests by the client of GitHub, each request and answer held to GitHub's description."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from forge_scene import judged_forge
from lifeos.errors import Exit
from lifeos.forge import ForbiddenBySetting, Invalid, NotFound, Refused
from lifeos.forge.github_pulls import GitHubPulls
from lifeos.forge.pulls import Person, Pulls, Review
from lifeos.forge.wire import Patience
from live_forge import Forge

QUICK = Patience(pause=0.01)
HEAD = "lifeos/queue/I-1"
APP = "lifeos-app[bot]"
ANN = Person(101, "ann", bot=False)


@pytest.fixture
def forge(tmp_path: Path) -> Forge:
    """A forge behind the judge, with one commit on a queue branch."""
    forge = judged_forge(tmp_path)
    forge.push_to(HEAD, {"a.txt": "1\n"}, APP)
    return forge


@contextmanager
def client(forge: Forge, login: str) -> Iterator[Pulls]:
    """The client with somebody's token."""
    pulls = GitHubPulls(forge.host, forge.name, forge.who(login).token, QUICK)
    yield pulls
    pulls.close()


@pytest.fixture
def pulls(forge: Forge) -> Iterator[Pulls]:
    """The client, as the app."""
    with client(forge, APP) as found:
        yield found


def test_a_pull_request_is_opened_and_read_back(forge: Forge, pulls: Pulls) -> None:
    """What was given is what is there, with its author by id, and an address of this host."""
    made = pulls.open(HEAD, "main", "A title", "Two\nlines")
    kept = forge.get(made.number)
    assert (kept.title, kept.body) == ("A title", "Two\nlines")
    assert made.author == Person(501, APP, bot=True)
    assert (made.state, made.merged, made.merge_commit, made.merged_by) == ("open", False, "", None)
    assert (made.head_ref, made.head_sha) == (HEAD, forge.git.tip(HEAD))
    assert made.head_repository == made.base_repository == forge.name
    assert made.base_ref == "main"
    assert made.url == f"http://{forge.host}/{forge.name}/pull/{made.number}"
    assert pulls.pull(made.number) == made
    assert pulls.find(HEAD) == (made,)


def test_the_head_follows_what_is_pushed(forge: Forge, pulls: Pulls) -> None:
    """The head is what the branch is now, not what it was when the pull request was opened."""
    number = pulls.open(HEAD, "main", "T", "B").number
    pushed = forge.push_to(HEAD, {"a.txt": "2\n"}, "bob")
    assert pulls.pull(number).head_sha == pushed


def test_one_that_is_open_is_given_as_it_is(forge: Forge, pulls: Pulls) -> None:
    """Opening twice makes one, and changes nothing of it; after it was closed, a new one."""
    first = pulls.open(HEAD, "main", "T", "B")
    assert pulls.open(HEAD, "main", "other", "other") == first
    assert forge.get(first.number).title == "T"
    assert len(forge.pulls) == 1
    pulls.close_pull(first.number)
    second = pulls.open(HEAD, "main", "T", "B")
    assert [pull.number for pull in pulls.find(HEAD)] == [second.number, first.number]
    assert pulls.find(HEAD, base="other") == ()


def test_only_branches_of_this_repository_are_found(forge: Forge, pulls: Pulls) -> None:
    """A fork with a branch of the same name is another's, whatever the forge lists."""
    fork = forge.fork("bob")
    theirs = forge.forks[fork]
    forge.git.git("push", "--quiet", str(theirs), f"{HEAD}:{HEAD}")
    number = forge.open(HEAD, "main", "Mine", by="bob", fork=fork).number
    assert pulls.find(HEAD) == ()
    assert pulls.pull(number).head_repository == fork
    mine = pulls.open(HEAD, "main", "T", "B")
    assert mine.number != number
    same = forge.fork("adm").replace("adm/", f"{forge.name.partition('/')[0]}/copy-of-")
    forge.get(number).head_repository = same  # of the same owner: GitHub lists it as well
    assert pulls.find(HEAD) == (mine,)


def test_more_than_a_page_is_read(forge: Forge, pulls: Pulls) -> None:
    """Lists are read to their end, newest first."""
    for _ in range(3):
        pulls.close_pull(pulls.open(HEAD, "main", "T", "B").number)
    forge.per_page = 1
    assert [pull.number for pull in pulls.find(HEAD)] == [3, 2, 1]


def test_which_of_some_were_merged_is_told(forge: Forge, pulls: Pulls) -> None:
    """Of those that are asked for, and with the commit that brought it; one page is asked for."""
    numbers = []
    for name in ("one", "two", "three", "four"):
        forge.push_to(f"lifeos/queue/{name}", {f"{name}.txt": "1\n"}, APP)
        numbers.append(pulls.open(f"lifeos/queue/{name}", "main", "T", "B").number)
    one, two, three, _ = numbers
    pulls.close_pull(one)
    commits = {number: forge.merge(number, by="ann") for number in (two, three)}
    forge.asked.clear()
    found = pulls.merged_of({one, two, numbers[3]})
    assert [(pull.number, pull.merge_commit) for pull in found] == [(two, commits[two])]
    assert len(forge.asked) == 1
    assert [pull.number for pull in pulls.merged_of(set(numbers))] == [three, two]


def test_who_closed_it_is_told(forge: Forge, pulls: Pulls) -> None:
    """Each that stands, by the account's id; who closed it and opens it again takes that back."""
    number = pulls.open(HEAD, "main", "T", "B").number
    assert pulls.closed_by(number) == ()
    assert pulls.close_pull(number, "superseded").state == "closed"
    assert pulls.reopen(number).state == "open"
    forge.asked.clear()
    assert pulls.reopen(number).state == "open"
    assert {method for method, _ in forge.asked} == {"GET"}
    assert pulls.closed_by(number) == ()
    forge.close(number, by="ann")
    assert pulls.closed_by(number) == (ANN,)


def test_a_farewell_is_said_once(forge: Forge, pulls: Pulls) -> None:
    """Whoever closes again after being cut off between comment and close does not repeat it."""
    number = pulls.open(HEAD, "main", "T", "B").number
    pulls.comment(number, "superseded")
    pulls.close_pull(number, "superseded")
    pulls.close_pull(number, "another thing")  # it is closed: there is nobody to tell
    assert [body for _, body, _ in forge.get(number).comments] == ["superseded"]
    assert [event["event"] for event in forge.get(number).events] == ["closed"]


def test_what_reviewers_said(forge: Forge, pulls: Pulls) -> None:
    """In order, each with the head that it was given on; a deleted account is nobody."""
    number = pulls.open(HEAD, "main", "T", "B").number
    before = forge.git.tip(HEAD)
    forge.review(number, by="ann", state="CHANGES_REQUESTED", body="no")
    after = forge.push_to(HEAD, {"a.txt": "2\n"}, APP)
    forge.review(number, by="bob", body="yes")
    forge.dismiss(number, forge.review(number, by="adm").id)
    forge.review(number, by="eve", state="COMMENTED").who = None
    forge.review(number, by="bob", state="PENDING")
    found = pulls.reviews(number)
    assert [review.state for review in found] == [
        Review.CHANGES_REQUESTED,
        Review.APPROVED,
        Review.DISMISSED,
        Review.COMMENTED,
        Review.PENDING,
    ]
    assert [review.commit for review in found] == [before, *[after] * 4]
    assert (found[0].who, found[0].body) == (ANN, "no")
    assert found[3].who is None


@pytest.mark.parametrize("method", ["merge", "squash", "rebase"])
def test_who_merged_it_and_what_came_of_it(forge: Forge, pulls: Pulls, method: str) -> None:
    """The commit on the base, and the account by id; the close that a merge is, is no close."""
    number = pulls.open(HEAD, "main", "T", "B").number
    commit = forge.merge(number, by="ann", method=method)
    merged = pulls.pull(number)
    assert (merged.state, merged.merged, merged.merged_by) == ("closed", True, ANN)
    assert merged.merge_commit == commit == forge.git.tip("main")
    assert merged.head_sha == forge.git.tip(HEAD)
    assert pulls.closed_by(number) == ()
    assert pulls.close_pull(number, "x") == merged
    assert forge.get(number).comments == []
    with pytest.raises(Invalid, match="cannot be changed"):
        pulls.reopen(number)


@pytest.mark.parametrize("method", ["merge", "squash", "rebase"])
def test_which_brought_a_commit_is_told(forge: Forge, pulls: Pulls, method: str) -> None:
    """Of what reached main by it, and of nothing else; one that is open brings nothing yet."""
    before = forge.push_to("main", {"b.txt": "1\n"}, "ann")
    number = pulls.open(HEAD, "main", "T", "B").number
    assert pulls.bringing(forge.git.tip(HEAD)) == ()
    commit = forge.merge(number, by="ann", method=method)
    (found,) = pulls.bringing(commit)
    assert (found.number, found.head_ref, found.merge_commit) == (number, HEAD, commit)
    assert pulls.bringing(before) == ()


def test_a_close_before_the_merge_is_still_told(forge: Forge, pulls: Pulls) -> None:
    """Closed, opened again by another, merged: the close is the one before."""
    number = pulls.open(HEAD, "main", "T", "B").number
    forge.close(number, by="bob")
    forge.reopen(number, by="adm")
    forge.merge(number, by="ann")
    assert pulls.closed_by(number) == (Person(102, "bob", bot=False),)


def test_a_workflow_that_may_open_none_is_told_which_setting(forge: Forge) -> None:
    """And where it is; with it, the same works."""
    with client(forge, "github-actions[bot]") as pulls:
        with pytest.raises(ForbiddenBySetting) as caught:
            pulls.open(HEAD, "main", "T", "B")
        assert caught.value.exit_code is Exit.NOT_AUTHORISED
        assert caught.value.setting == "Allow GitHub Actions to create and approve pull requests"
        assert "Settings, Actions, General" in caught.value.fix
        forge.workflows_may_open = True
        assert pulls.open(HEAD, "main", "T", "B").author == Person(
            41_898_282, "github-actions[bot]", bot=True
        )


def test_what_the_forge_finds_invalid_is_said_in_its_words(forge: Forge, pulls: Pulls) -> None:
    """No commits between the two, no such branch: nothing that waiting mends."""
    forge.git.git("update-ref", "refs/heads/same", forge.git.tip("main"))
    with pytest.raises(Invalid, match="No commits between main and same") as caught:
        pulls.open("same", "main", "T", "B")
    assert caught.value.exit_code is Exit.USAGE
    with pytest.raises(Invalid, match="head invalid"):
        pulls.open("nowhere", "main", "T", "B")
    number = pulls.open(HEAD, "main", "T", "B").number
    forge.delete(HEAD, by="ann")
    with pytest.raises(Invalid, match="branch has been deleted"):
        pulls.reopen(number)


def test_who_may_not_write_is_told_what_the_token_lacks(forge: Forge) -> None:
    """A reader's token."""
    with client(forge, "eve") as pulls, pytest.raises(Refused, match="may not write") as caught:
        pulls.open(HEAD, "main", "T", "B")
    assert "Pull requests: write" in caught.value.fix


def test_who_moved_a_branch(forge: Forge, pulls: Pulls) -> None:
    """By a push or by a merge, newest first, by the account's id."""
    first = forge.push_to("main", {"c.txt": "1\n"}, "bob")
    pull = pulls.open(HEAD, "main", "T", "B")
    second = forge.merge(pull.number, by="ann")
    found = [move for move in pulls.arrivals("main") if move.who is not None]
    assert [(move.before, move.after, move.who) for move in found[:2]] == [
        (first, second, ANN),
        (forge.git.git("rev-parse", f"{first}^"), first, Person(102, "bob", bot=False)),
    ]
    assert pulls.arrivals("nowhere") == ()


def test_one_that_is_not_there(pulls: Pulls) -> None:
    """It is said so."""
    with pytest.raises(NotFound):
        pulls.pull(99)
