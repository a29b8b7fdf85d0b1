"""Who has to sit independently of the builder is asked again where foreign reviews are taken in."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ci_scene import Handed, carried_out, claimed, clone_of, collected, reported
from command_line import Project
from lifeos.core.ciformat import ClaimFile
from lifeos.core.records import Finished
from lifeos.model import Stage
from loop_scene import Settings
from scripted_model import ScriptedModel, steps
from scripted_team import Team
from test_agents_in_the_loop import DONE, HELLO, KEY, team_scene

pytestmark = pytest.mark.sandbox

REASON = "the other provider is down until Monday"
GRAVE: Settings = {
    "council.modes.M2": ["risk"],
    # A part of the scope: that the change is grave is only found out when it is there.
    "council.classify": [{"paths": ["src/say.txt"], "safety_critical": True}],
    "loop.autonomy": "full",
}
ACCEPT = {"outcome": "accept", "message": "", "error": "", "mode": "M2", "forced": False}


def at_review(folder: Path, model: ScriptedModel, **more: object) -> Handed:
    """An honest review of a build that is safety critical, as its attempt left it.

    ``main`` is of the family alpha, ``other`` of beta; without more, everybody is given ``main``.
    """
    price = {"input": 1.0, "output": 1.0}
    models = {
        name: {"provider": "team", "id": name, "family": family, "price": price}
        for name, family in (("main", "alpha"), ("other", "beta"))
    }
    settings = {**GRAVE, "config.models": models, **more}
    scene = team_scene(folder, model, settings, {"review": "command"})
    project = Project(scene.folder, scene.now, scene.nonces)
    for number in range(6):
        (claim,) = claimed(project)
        side, bundle, report = by_agent(project, claim, folder / f"round-{number}")
        if claim.stage is Stage.BUILD_REVIEW:
            return Handed(project, side, bundle, report, claim)
        assert collected(project, bundle, report) == (1, [])
    raise AssertionError("the build was never reviewed")


def by_agent(project: Project, claim: ClaimFile, folder: Path) -> tuple[Path, Path, Path]:
    """The clone, the bundle and the report of an attempt; only the attempt has the key."""
    side = clone_of(project, folder / "side")
    keyed = Project(side, project.now, project.nonces, {"TEAM_KEY": KEY})
    bundle = carried_out(keyed, side, claim, folder / "handed/bundle")
    project.now = keyed.now
    return side, bundle, reported(project, side, bundle, folder / "handed/report")


def said(handed: Handed) -> dict[str, Any]:
    """The review that the attempt left."""
    value: dict[str, Any] = json.loads((handed.bundle / "review.json").read_bytes())
    return value


def left(handed: Handed, review: dict[str, Any]) -> None:
    """Let the attempt have left this review, and have said the same of it."""
    handed.artifact("review.json", json.dumps(review).encode())
    handed.facts(**ACCEPT)


def recorded(handed: Handed, record: Finished) -> dict[str, Any]:
    """The review as it stands on the ledger."""
    tip = handed.project.tip()
    listed = handed.project.git("ls-tree", "-r", "--name-only", tip).split("\n")
    (path,) = [name for name in listed if name.endswith(f"{record.n}/review.json")]
    value: dict[str, Any] = json.loads(handed.project.git("show", f"{tip}:{path}"))
    return value


@pytest.fixture(scope="module")
def model() -> Any:
    """All roles on one scripted model; every seat accepts."""
    with ScriptedModel(Team(steps(HELLO, DONE))) as scripted:
        yield scripted


def test_a_grave_review_without_another_family_is_refused(
    tmp_path: Path, model: ScriptedModel
) -> None:
    """The attempt here says so itself; one that leaves an accept all the same does not count."""
    honest = at_review(tmp_path / "one", model, **{"council.emergency": REASON})
    accept = said(honest)
    handed = at_review(tmp_path / "two", model)
    assert handed.index["facts"]["outcome"] == "config_error"
    left(handed, {**accept, "forced": False, "forced_by": [], "emergency": ""})
    handed.refused("no independent review")


def test_the_emergency_brings_a_person_whatever_the_attempt_says(
    tmp_path: Path, model: ScriptedModel
) -> None:
    """A review that hides that it used the emergency is recorded with it, and forced."""
    handed = at_review(tmp_path, model, **{"council.emergency": REASON})
    left(handed, {**said(handed), "forced": False, "forced_by": [], "emergency": ""})
    record = handed.taken()
    assert record.facts is not None
    assert record.facts.forced
    review = recorded(handed, record)
    assert review["emergency"] == REASON
    assert any(REASON in why for why in review["forced_by"])


def test_a_review_on_other_models_than_the_rules_give_is_refused(
    tmp_path: Path, model: ScriptedModel
) -> None:
    """Independence is that of the models in the rules: an honest one counts, unforced."""
    handed = at_review(tmp_path, model, **{"council.seats": {"risk": "other"}})
    honest = said(handed)
    (seat,) = honest["seats"]
    assert seat["sitter"]["family"] == "beta"
    wrong = {**seat, "sitter": {**seat["sitter"], "name": "main", "family": "alpha"}}
    left(handed, {**honest, "seats": [wrong]})
    handed.refused("the rules give that seat 'other'")
    left(handed, {**honest, "seats": [{**seat, "seat": "nobody"}]})
    handed.refused("a seat that there is not")
    left(handed, honest)
    record = handed.taken()
    assert record.facts is not None
    assert not record.facts.forced
