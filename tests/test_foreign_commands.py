"""A build whose program ran a command that the rules do not allow is a breach, whatever it made."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from ci_scene import until, world_of
from command_line import Project
from lifeos.agents.program import Call, Ran, Said
from lifeos.agents.worker import Worker
from lifeos.core.receipt import AgentFacts
from lifeos.core.state import Success
from lifeos.errors import Problem
from lifeos.model import FailureClass
from lifeos.store.repo import Repo
from lifeos.tick.attempt import Result
from lifeos.tick.build import by_agent
from lifeos.tick.ci_site import job_at, untrusted_site
from lifeos.tick.evidence import BaseEvidence
from scripted_model import ScriptedModel
from scripted_team import Team
from test_agents_in_the_loop import DONE, KEY, team_scene

pytestmark = pytest.mark.sandbox


@dataclass
class Program:
    """It does the task, and says that it ran these commands."""

    ran: tuple[Ran, ...]
    name: str = field(default="told", init=False)

    def problem(self) -> Problem | None:
        """It can be started."""

    def call(self, call: Call) -> Said:
        """Make the change that the task asks for."""
        place = call.folder / "src/say.txt"
        place.write_text("hello\n", encoding="utf-8")
        return Said("Done.", ran=self.ran)


def built(folder: Path, *ran: Ran) -> Result:
    """What a build comes to, under rules that allow `ls` and `pytest` alone."""
    with ScriptedModel(Team(lambda _turn: DONE)) as model:
        scene = team_scene(folder, model, {})
    project = Project(scene.folder, scene.now, scene.nonces, {"TEAM_KEY": KEY})
    claim = until(project, folder, "build")
    with Repo.open(project.folder) as repo:
        where = (claim.ledger, claim.run, claim.stage, claim.n, claim.nonce)
        ctx, job = job_at(repo, world_of(project), *where)
        envelope = job.governance.envelope
        agent = envelope.agent.model_copy(update={"commands": ("ls*", "pytest*")})
        limited = envelope.model_copy(update={"agent": agent})
        rules = job.governance.model_copy(update={"envelope": limited})
        job = replace(job, governance=rules)
        site = untrusted_site(ctx, job)
        return by_agent(site, job, BaseEvidence(), Worker(Program(ran)))


def test_commands_that_fit_the_patterns_are_no_breach(tmp_path: Path) -> None:
    """Nor is one that was refused before it ran. They are kept as the program reports them."""
    result = built(tmp_path, Ran("ls -l && pytest -q", 0), Ran("curl example.org", denied=True))
    assert (result.facts.outcome, result.facts.breaches) == (Success.OK, ())
    kept = AgentFacts.model_validate_json(result.artifacts["agent.json"])
    assert [(ran.command, ran.denied) for ran in kept.ran] == [
        ("ls -l && pytest -q", False),
        ("curl example.org", True),
    ]


def test_a_command_that_fits_no_pattern_is_a_breach(tmp_path: Path) -> None:
    """Also where it hides behind one that does, and the change is what was asked for."""
    result = built(tmp_path, Ran("ls && curl example.org", 0))
    assert result.facts.outcome is FailureClass.ENVELOPE_VIOLATION
    (breach,) = result.facts.breaches
    assert "curl example.org" in breach.message
    assert "src/say.txt" in result.artifacts["patch.diff"].decode()
