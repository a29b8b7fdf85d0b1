"""`lifeos init --github` asks the forge how main may be changed, and says why it chose."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from command_line import Project
from conftest import Git
from fake_github import TOKEN, Ruleset, State
from forge_scene import live_forge
from live_forge import Forge

OWN = ("--login", "ann", "--forge-id", "101")
ASKS = [Ruleset(2, ("main",), ("pull_request",))]


@pytest.fixture
def forge(tmp_path: Path) -> Iterator[Forge]:
    """A forge without any rule for main."""
    folder = tmp_path / "forge"
    folder.mkdir()
    with live_forge(folder) as made:
        made.reading.state = State(rulesets=[])
        yield made


@pytest.fixture
def person(repo: Path, forge: Forge) -> Project:
    """A clone of what is there."""
    git = Git(repo)
    git("remote", "add", "origin", f"http://{forge.host}/{forge.name}.git")
    git("config", "user.name", "Ann")
    git("config", "user.email", "ann@example.invalid")
    return Project(repo)


def init(person: Project, forge: Forge, *args: str, **env: str) -> tuple[str, str]:
    """What was chosen and why, and what the configuration has."""
    given = {"GITHUB_TOKEN": forge.who("adm").token, "GH_HOST": forge.host, **env}
    said: Any = person.cli(
        "init", "--github", *args, "--json", at=None, code=0, email="", **given
    ).data
    config = (person.folder / ".lifeos/config.yaml").read_text(encoding="utf-8")
    (line,) = [line for line in config.splitlines() if line.startswith("main_writes:")]
    (chosen,) = said["chosen"]
    assert TOKEN not in chosen
    return chosen, line.removeprefix("main_writes: ")


def test_a_main_that_wants_pull_requests_gets_them(person: Project, forge: Forge) -> None:
    """By the rule that says it; the rules that are written hold together."""
    forge.reading.state.rulesets = ASKS
    chosen, wrote = init(person, forge, *OWN)
    assert wrote == "pr"
    assert "takes changes only by pull requests (ruleset 2)" in chosen
    person.cli("validate")


def test_a_main_without_rules_is_written_to(person: Project, forge: Forge) -> None:
    """The same question, another answer."""
    chosen, wrote = init(person, forge, *OWN)
    assert wrote == "direct"
    assert "no rule on" in chosen


def test_where_merges_are_no_answers_it_cannot_be(person: Project, forge: Forge) -> None:
    """Then what is lacking is said."""
    forge.reading.state.rulesets = ASKS
    chosen, wrote = init(person, forge)
    assert wrote == "direct"
    assert "give --login and --forge-id" in chosen
    said = person.cli("init", "--github", "--main-writes", "pr", code=2)
    assert "write main_writes: pr in it" in said.err
    (person.folder / ".lifeos/config.yaml").unlink()
    said = person.cli("init", "--github", "--main-writes", "pr", code=2)
    assert "give --login and --forge-id" in said.err


@pytest.mark.parametrize(
    ("env", "why"),
    [
        ({"GITHUB_TOKEN": ""}, "GITHUB_TOKEN is not set"),
        ({"GH_HOST": ""}, "gets no token"),
        ({"GITHUB_TOKEN": "ghx_unknown"}, "not shown to this token: rulesets"),
    ],
)
def test_what_was_not_asked_is_said(
    person: Project, forge: Forge, env: dict[str, str], why: str
) -> None:
    """And the token goes nowhere that only the repository names."""
    forge.reading.state.rulesets = ASKS
    chosen, wrote = init(person, forge, *OWN, **env)
    assert wrote == "direct"
    assert why in chosen
    assert "--main-writes pr" in chosen
    if env.get("GITHUB_TOKEN") != "ghx_unknown":
        assert forge.asked == []


def test_what_is_asked_for_is_taken(person: Project, forge: Forge) -> None:
    """Nobody is asked then."""
    chosen, wrote = init(person, forge, *OWN, "--main-writes", "pr")
    assert (wrote, chosen) == ("pr", "main_writes: pr: as it was asked for")
    assert forge.asked == []
