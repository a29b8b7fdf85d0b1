"""``lifeos why`` where a forge puts the work on main: merged, squashed, and rebased."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

import warm
from lifeos.core.answers import answer_path
from lifeos.core.records import Resolved
from lifeos.core.table import INTRUDED
from pull_copies import At, at_point
from pull_scene import WORK, OnForge


def why(scene: OnForge, what: str, *options: str) -> Any:
    """The data of `lifeos why --json` in the clone."""
    typed = ["why", what, "--json", *options]
    done = warm.run(typed, scene.folder, {**os.environ, **scene.environ})
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)["data"]


@pytest.mark.parametrize("method", ["merge", "squash", "rebase"])
def test_work_that_a_forge_put_on_main(tmp_path: Path, method: str) -> None:
    """Whatever commits the forge makes of it: the work is the attempt's, the mark is lifeos's."""
    scene = at_point(tmp_path, "pr", At.LANDING)
    item = scene.item()
    # Main moves on, so that a rebase and a merge have something to do.
    scene.forge.push_to("main", {"other.md": "meanwhile\n"}, "wes")
    scene.merge(method=method)
    scene.tick()
    data = why(scene, f"{WORK}:1")
    (one,), (run,) = data["ranges"], data["runs"]
    assert (one["origin"]["via"], one["origin"]["attempt"]) == ("run", run["attempts"][0]["n"])
    assert run["way"] == f"pull_{method}"
    assert run["landed"] == scene.ended()[0].landed
    landing = run["answers"][-1]
    assert (landing["item"], landing["trust"], landing["lands"]) == (item.id, "merge", True)
    text = scene.at_hub("BACKLOG.md").split("\n")
    mark = next(n for n, line in enumerate(text, 1) if "**LO-aaaaaa**" in line)
    origin = why(scene, f"BACKLOG.md:{mark}")["ranges"][0]["origin"]
    assert (origin["via"], origin["run"]) == ("bookkeeping", run["run"])
    origin = why(scene, "other.md:1")["ranges"][0]["origin"]
    assert (origin["via"], origin["before"], origin["pretends"]) == ("outside", False, False)


@pytest.mark.parametrize("method", ["merge", "squash", "rebase"])
def test_an_answer_that_a_forge_put_on_main(tmp_path: Path, method: str) -> None:
    """The file of an approval is lifeos's own text, and says which question it answers."""
    scene = at_point(tmp_path, "direct", At.COMMANDS)
    item = scene.item()
    scene.merge(method=method)
    scene.tick()
    (given,) = [one for one in scene.records() if isinstance(one, Resolved)]
    data = why(scene, answer_path(item.id), "--at", given.commit)
    assert {(one["origin"]["via"], one["origin"]["item"]) for one in data["ranges"]} == {
        ("answer", item.id)
    }


@pytest.mark.parametrize("method", ["merge", "squash"])
def test_work_that_somebody_else_put_on_main(tmp_path: Path, method: str) -> None:
    """It was offered, and nobody who may let it land: no landing is told, but what was asked is."""
    scene = at_point(tmp_path, "pr", At.LANDING)
    item = scene.item()
    scene.merge(by="wes", method=method)
    scene.tick()
    unasked = next(one for one in scene.snapshot().items.values() if one.rule == INTRUDED)
    data = why(scene, f"{WORK}:1")
    origin = data["ranges"][0]["origin"]
    told = ("offered", item.id) if method == "merge" else ("outside", unasked.id)
    assert (origin["via"], origin["item"]) == told
    assert data["runs"] == []
