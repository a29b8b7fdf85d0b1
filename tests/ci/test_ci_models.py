"""Agents with a model in the matrix: only the attempt has the key."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ci_scene import Handed, carried_out, claimed, clone_of, collected, reported
from command_line import Project
from lifeos.core.canonical import sha256
from lifeos.core.ciformat import ClaimFile
from lifeos.core.leaks import redact
from lifeos.core.records import Finished
from lifeos.model import Stage
from scripted_model import ScriptedModel, steps
from scripted_team import Team
from test_agents_in_the_loop import ALL, DONE, HELLO, KEY, ONE_SEAT, STAND_IN, team_scene

pytestmark = pytest.mark.sandbox

assert STAND_IN.exists()
HELLO_THEN_DONE = steps(HELLO, DONE)
SECRET_LINE = f"key = 'AKIA{'QZ7RB2MX' * 2}'"


def trusted(tmp_path: Path, model: ScriptedModel) -> Project:
    """A project whose every stage is done by the stand-in; it has no key."""
    settings = {**ONE_SEAT, "loop.autonomy": "full"}
    scene = team_scene(tmp_path, model, settings, ALL)
    return Project(scene.folder, scene.now, scene.nonces)


def by_agent(project: Project, claim: ClaimFile, folder: Path) -> tuple[Path, Path, Path]:
    """The clone, the bundle and the report of an attempt; only the attempt has the key."""
    side = clone_of(project, folder / "side")
    keyed = Project(side, project.now, project.nonces, {"TEAM_KEY": KEY})
    bundle = carried_out(keyed, side, claim, folder / "handed/bundle")
    project.now = keyed.now
    return side, bundle, reported(project, side, bundle, folder / "handed/report")


def test_the_stand_in_agent_goes_all_the_way_over_clones(tmp_path: Path) -> None:
    """The trusted parts need neither key nor program; what the calls cost is recorded."""
    with ScriptedModel(Team(HELLO_THEN_DONE)) as model:
        project = trusted(tmp_path, model)
        for number in range(8):
            claims = claimed(project)
            if not claims:
                break
            folder = tmp_path / f"round-{number}"
            by_agent(project, claims[0], folder)
            assert collected(project, folder / "handed") == (1, [])
    assert model.faults == []
    assert project.at_main("src/say.txt") == "hello"
    build = next(r for r in project.records() if isinstance(r, Finished) and r.stage is Stage.BUILD)
    assert build.facts is not None
    assert build.facts.usage.tokens > 0
    assert "receipts.json" in build.evidence
    project.cli("verify")
    git = project.git
    assert not git("log", "--all", "--format=%h", f"-S{KEY}")


def test_a_verdict_without_the_council_that_had_to_sit_is_refused(tmp_path: Path) -> None:
    """An accept needs the seats of its mode, and may not be smaller than what was measured."""
    with ScriptedModel(Team(HELLO_THEN_DONE)) as model:
        project = trusted(tmp_path, model)
        (claim,) = claimed(project)
        _, bundle, report = by_agent(project, claim, tmp_path / "design")
        assert collected(project, bundle, report) == (1, [])
        (claim,) = claimed(project)
        assert claim.stage is Stage.DESIGN_REVIEW
        side, bundle, report = by_agent(project, claim, tmp_path / "review")
    handed = Handed(project, side, bundle, report, claim)
    honest = json.loads((bundle / "review.json").read_bytes())

    def forged(**fields: object) -> None:
        data = json.dumps({**honest, **fields}).encode()
        handed.artifact("review.json", data)

    forged(seats=[])
    handed.refused("not the one that had to sit")
    forged(seats=honest["seats"] * 2)
    handed.refused("a seat twice")
    forged(mode="M0")
    handed.refused("not the one that had to sit")
    handed.artifact("review.json", b"{}")
    handed.refused("is not a review")
    forged()
    assert sha256((bundle / "review.json").read_bytes()) == handed.index["files"]["review.json"]
    assert handed.taken().facts is not None


def test_what_the_seats_answered_is_weighed_anew(tmp_path: Path) -> None:
    """The verdict follows from the answers: one that is passed over, or not there, is found out."""
    with ScriptedModel(Team(HELLO_THEN_DONE)) as model:
        project = trusted(tmp_path, model)
        project.commit({"src/old.txt": f"{SECRET_LINE}\n"})
        (claim,) = claimed(project)
        _, bundle, report = by_agent(project, claim, tmp_path / "design")
        assert collected(project, bundle, report) == (1, [])
        (claim,) = claimed(project)
        side, bundle, report = by_agent(project, claim, tmp_path / "review")
    handed = Handed(project, side, bundle, report, claim)
    review = (bundle / "review.json").read_bytes()
    honest = json.loads(review)
    name = f"seat-{honest['seats'][0]['seat']}.json"
    paper = (bundle / name).read_bytes()

    def answered(**said: object) -> None:
        value = json.loads(paper)
        value["reply"] |= said
        handed.artifact(name, json.dumps(value).encode())

    reference = json.loads(paper)["reply"]["evidence"][0]
    against = {
        "severity": "P0",
        "category": "correctness",
        "claim": "It is wrong.",
        "reference": reference,
    }
    answered(verdict="reject", findings=[against])
    handed.refused("the review says reject")
    answered(evidence=[{**reference, "quote": "nothing of the kind stands there"}])
    handed.refused("does not fit")
    handed.artifact(name, b"{}")
    handed.refused("is missing, or is not the paper")
    handed.artifact(name, json.dumps({**json.loads(paper), "reply": None}).encode())
    handed.refused("has no answer of that seat")
    # A secret is blacked out on the attempt's side: the place is found all the same.
    answered(evidence=[{"path": "src/old.txt", "line": 1, "quote": redact(SECRET_LINE)}])
    lies = {"note": "All is well.", "rule": "none", "findings": [], "settled": [], "shadow": []}
    handed.artifact("review.json", json.dumps({**honest, **lies, "verdict": "reject"}).encode())
    record = handed.taken()
    assert record.facts is not None
    assert record.facts.outcome == "accept"
    tip = project.git("ls-tree", "-r", "--name-only", project.tip()).split("\n")
    (path,) = [one for one in tip if one.endswith(f"{record.n}/review.json")]
    assert json.loads(project.git("show", f"{project.tip()}:{path}")) == honest
