"""The version of the program that worked is recorded where it is known."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import pytest

from lifeos.agents import Reply
from lifeos.agents.command import Command
from lifeos.agents.opencode import OpenCode
from lifeos.agents.program import Call, Program, Ran, Said, version_of
from lifeos.agents.worker import Worker
from lifeos.core.policy.config import CommandAgent
from lifeos.core.receipt import AgentFacts
from lifeos.errors import Problem
from lifeos.model import Usage
from lifeos.tick.modelled import kept
from proxy_scene import meter_of, route_to
from scripted_team import VERSION, opencode


@dataclass(frozen=True)
class Silent:
    """A program that knows its version."""

    version: str = "4.5.6"
    name: str = field(default="silent", init=False)

    def problem(self) -> Problem | None:
        """None: it is there."""

    def call(self, call: Call) -> Said:
        """It is not called here."""
        raise NotImplementedError


COMMAND = Command(CommandAgent(run="true"))


@pytest.mark.parametrize(("program", "version"), [(Silent(), "4.5.6"), (COMMAND, "")])
def test_what_is_kept_of_an_attempt_names_program_and_version(
    program: Program, version: str
) -> None:
    """And what the program says it used, beside the receipts; a command's version nobody knows."""
    used = Usage(tokens=480, cost=0.25, requests=4)
    reply = Reply(ran=(Ran("ls", 0, 1.5),), reported=used)
    files = kept(Worker(program), route_to("http://127.0.0.1:1/v1"), meter_of(), reply)
    found = AgentFacts.model_validate_json(files["agent.json"])
    assert (found.agent, found.version, found.said_cost) == (program.name, version, 0.25)
    assert (found.said_tokens, found.said_requests, found.ran[0].seconds) == (480, 4, 1.5)
    assert (found.provider, found.id, found.ran[0].command) == ("cloud", "m", "ls")


def test_opencode_says_which_it_is() -> None:
    """As the program prints it; one that is not there has none."""
    assert version_of(Worker(OpenCode(opencode()))) == VERSION
    assert version_of(OpenCode(Path("/nonexistent/opencode"))) == ""


def test_a_record_of_before_has_no_version() -> None:
    """What was written without it can be read."""
    assert AgentFacts.model_validate_json('{"agent": "opencode"}').version == ""
