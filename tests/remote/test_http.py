"""Over a real server with two users: rights, the forge's own words, and answers that are lost."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from clones import LANDS, LEDGER, Hub, begin_hub
from command_line import Project
from git_server import USERS, Served, serve
from loop_scene import TASK


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    """A server of the repositories in the folder of the test."""
    with serve(tmp_path) as running:
        yield running


@pytest.fixture
def place(tmp_path: Path, served: Served) -> tuple[Hub, Project]:
    """A remote with one task that lands without a question, reached as alice."""
    hub, first = begin_hub(tmp_path, LANDS)
    first.git("remote", "set-url", "origin", served.url())
    return hub, first


Place = tuple[Hub, Project]


def test_from_a_task_to_its_landing(place: Place) -> None:
    """Everything over the network, pushed as a user whom the server knows."""
    hub, first = place
    hub.hook("pre-receive", f'echo "$REMOTE_USER" >> {hub.folder.parent}/users')
    first.cli("tick")
    assert hub.wrong([TASK]) == []
    assert set((hub.folder.parent / "users").read_text().split()) == {"alice"}
    assert "good" in first.cli("verify").out


def test_who_may_only_read_is_exit_4_before_a_claim(place: Place, served: Served) -> None:
    """The message does not show what opens the address; an idle look is allowed."""
    hub, first = place
    first.cli("tick", "--max-tasks", "0")
    before = hub.tip()
    first.git("remote", "set-url", "origin", served.url("bob"))
    said = first.cli("tick", code=4)
    assert "403" in said.err
    assert USERS["bob"] not in said.err + said.out
    assert hub.tip() == before == first.git("rev-parse", LEDGER)
    (line,) = [x for x in _doctor(first) if x["name"] == "remote"]
    assert (line["level"], "403" in line["said"]) == ("fail", True)
    first.git("remote", "set-url", "origin", served.url("alice"))
    (line,) = [x for x in _doctor(first) if x["name"] == "remote"]
    assert line["level"] == "ok"


def _doctor(project: Project) -> list[dict[str, str]]:
    found: list[dict[str, str]] = project.cli("doctor", "--json", code=None).data["lines"]
    return found


def test_a_protected_main_refuses_in_its_own_words(place: Place) -> None:
    """What is recorded stays; main is as it was; when it may, the work lands, once."""
    hub, first = place
    hub.hook(
        "pre-receive",
        "while read old new ref; do\n"
        '[ "$ref" = refs/heads/main ] && { echo "main is protected" >&2; exit 1; }\n'
        "done\nexit 0",
    )
    before = hub.tip("refs/heads/main")
    assert "main is protected" in first.cli("tick", code=4).err
    assert hub.tip("refs/heads/main") == before
    hub.no_hook("pre-receive")
    first.cli("tick")
    lands = hub.git("log", "--first-parent", "--format=%s", "main").count("Land LO-aaaaaa")
    assert lands == 1
    assert hub.kinds()["closed"] == 1


@pytest.mark.parametrize(
    "number",
    [1, 2, 10, *(pytest.param(n, marks=pytest.mark.long) for n in range(3, 13) if n != 10)],
)
def test_an_answer_that_is_lost_is_asked_for(place: Place, served: Served, number: int) -> None:
    """The server did what was asked, and the connection broke: nothing is done twice."""
    hub, first = place
    pushes: list[str] = []

    def cut(path: str) -> bool:
        if path.endswith("/git-receive-pack") and "info/refs" not in path:
            pushes.append(path)
            return len(pushes) == number
        return False

    served.cut = cut
    first.cli("tick")
    assert len(pushes) >= number
    assert hub.wrong([TASK]) == []


def test_a_server_that_is_gone_is_exit_75(place: Place, tmp_path: Path) -> None:
    """A connection that is refused says nothing about rights."""
    hub, first = place
    before = hub.tip()
    with serve(tmp_path) as other:
        gone = other.url()
    first.git("remote", "set-url", "origin", gone)
    said = first.cli("tick", code=75)
    assert "cannot be reached" in said.err
    assert USERS["alice"] not in said.err
    assert hub.tip() == before


def test_credentials_come_from_the_global_configuration_only(place: Place, served: Served) -> None:
    """A helper that the repository names is not asked; the person's own is."""
    hub, first = place
    first.git("remote", "set-url", "origin", served.plain)
    helper = f"!f() {{ echo username=alice; echo password={USERS['alice']}; }}; f"
    first.git("config", "credential.helper", helper)
    first.cli("tick", code=4)
    assert not hub.tip()
    mine = Path(os.environ["HOME"], ".gitconfig")
    first.git("config", "--file", str(mine), "credential.helper", helper)
    first.cli("tick")
    assert hub.wrong([TASK]) == []
