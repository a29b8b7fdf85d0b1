"""The client of pull requests before a forge that is cut off, slow, limiting, odd, or lying."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from forge_scene import live_forge
from lifeos.core.policy.forge import Forge as Settings
from lifeos.core.policy.forge import ForgeKind
from lifeos.errors import LifeosError
from lifeos.forge import (
    Outage,
    RateLimited,
    Refused,
    Unclear,
    connect_pulls,
)
from lifeos.forge.github_pulls import GitHubPulls
from lifeos.forge.pulls import Pulls
from lifeos.forge.wire import Patience
from live_forge import Forge

QUICK = Patience(connect=2, silence=2, whole=4, tries=2, pause=0.01)
HEAD = "lifeos/queue/I-1"
DOOR = "DOOR_KEY"
APP = "lifeos-app[bot]"


@pytest.fixture
def forge(tmp_path: Path) -> Iterator[Forge]:
    """A forge with one commit on a queue branch."""
    with live_forge(tmp_path) as forge:
        forge.push_to(HEAD, {"a.txt": "1\n"}, APP)
        yield forge


@pytest.fixture
def pulls(forge: Forge) -> Iterator[Pulls]:
    """The client, as the app."""
    found = GitHubPulls(forge.host, forge.name, forge.who(APP).token, QUICK)
    yield found
    found.close()


def sent(forge: Forge, method: str) -> int:
    """How many requests of this method there were."""
    return [asked for asked, _ in forge.asked].count(method)


def test_a_write_that_was_done_and_cut_off_is_not_repeated(forge: Forge, pulls: Pulls) -> None:
    """Opening, commenting, closing, opening again: each is found, each once."""
    forge.trouble("cut_after", "POST")
    pull = pulls.open(HEAD, "main", "T", "B")
    assert (len(forge.pulls), sent(forge, "POST")) == (1, 1)
    forge.trouble("cut_after", "POST")
    pulls.comment(pull.number, "hello")
    assert len(forge.get(pull.number).comments) == 1
    forge.trouble("cut_after", "PATCH")
    assert pulls.close_pull(pull.number).state == "closed"
    forge.trouble("cut_after", "PATCH")
    assert pulls.reopen(pull.number).state == "open"
    assert sent(forge, "PATCH") == 2


@pytest.mark.parametrize("trouble", ["cut_before", "status"])
def test_a_write_that_was_not_done_is_repeated_once(
    forge: Forge, pulls: Pulls, trouble: str
) -> None:
    """After a look; a second failure is the end, and says that it may have been done."""
    forge.trouble(trouble, "POST")
    pull = pulls.open(HEAD, "main", "T", "B")
    assert sent(forge, "POST") == 2
    forge.trouble(trouble, "PATCH")
    assert pulls.close_pull(pull.number).state == "closed"
    assert sent(forge, "PATCH") == 2
    forge.trouble(trouble, "PATCH", times=2)
    with pytest.raises(Unclear, match="may have been done"):
        pulls.reopen(pull.number)
    assert sent(forge, "PATCH") == 4
    assert forge.get(pull.number).state == "closed"


def test_nothing_is_repeated_where_nobody_can_look(forge: Forge, pulls: Pulls) -> None:
    """Done, cut off, and the forge is gone: there is no second write; later it is found."""
    forge.trouble("cut_after", "POST")
    forge.trouble("status", "GET", skip=1, times=QUICK.tries)
    with pytest.raises(Outage):
        pulls.open(HEAD, "main", "T", "B")
    assert sent(forge, "POST") == 1
    assert pulls.open(HEAD, "main", "T", "B").number == 1
    assert sent(forge, "POST") == len(forge.pulls) == 1


def test_somebody_else_was_quicker(forge: Forge, pulls: Pulls) -> None:
    """Between the look and the write: theirs is given, and there is one."""
    before = forge.open

    def late(head: str, base: str, title: str, body: str, *, by: Any) -> Any:
        before(head, base, "Theirs", by="ann")
        return before(head, base, title, body, by=by)

    forge.open = late  # type: ignore[assignment] # another's request arrives first
    there = pulls.open(HEAD, "main", "T", "B")
    assert there.author is not None
    assert there.author.login == "ann"
    assert len(forge.pulls) == 1


def test_a_limit_ends_it_at_once(forge: Forge, pulls: Pulls) -> None:
    """How long to wait is said; it is not asked again before, whatever was meant to be done."""
    forge.trouble("limit", "POST", wait=23)
    with pytest.raises(RateLimited) as caught:
        pulls.open(HEAD, "main", "T", "B")
    assert caught.value.wait == 23
    assert sent(forge, "POST") == 1
    said = "was submitted too quickly"
    forge.trouble("status", "POST", status=422, message=said)
    with pytest.raises(RateLimited) as caught:
        pulls.open(HEAD, "main", "T", "B")
    assert caught.value.wait == 60
    assert sent(forge, "POST") == 2


def test_nobody_is_told_the_token(forge: Forge, pulls: Pulls) -> None:
    """Not by an error that repeats it, in whichever part of its words."""
    token = forge.who(APP).token
    for status in (403, 404, 405, 409, 410, 422, 500):
        forge.trouble("status", "POST", status=status, message=f"no {token}", times=2)
        with pytest.raises(LifeosError) as caught:
            pulls.open(HEAD, "main", "T", "B")
        assert token not in str(caught.value)
        assert caught.value.fix
        forge.troubles.clear()


def test_a_token_that_is_not_known(forge: Forge) -> None:
    """It is refused, and nothing is done."""
    unknown = GitHubPulls(forge.host, forge.name, "ghx_other", QUICK)
    with pytest.raises(Refused, match="does not know the token"):
        unknown.find(HEAD)
    unknown.close()


def test_the_token_is_read_from_the_variable_that_is_named(forge: Forge) -> None:
    """Without one nothing is asked."""
    settings = Settings(kind=ForgeKind.GITHUB, host=forge.host, token_env=DOOR)
    with pytest.raises(Refused, match=f"{DOOR} is not set") as caught:
        connect_pulls(settings, forge.name, {})
    assert "write its pull requests" in caught.value.fix
    pulls = connect_pulls(settings, forge.name, {DOOR: forge.who(APP).token})
    assert pulls.find(HEAD) == ()
    pulls.close()
