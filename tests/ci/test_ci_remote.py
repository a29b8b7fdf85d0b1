"""The four parts on a remote that holds the truth, each in a fresh clone as CI machines have it."""

from __future__ import annotations

import subprocess
from pathlib import Path

from ci_scene import carried_out, claimed, collected, reported
from command_line import Project
from lifeos.core.records import Closed, Finished
from lifeos.model import CloseOutcome
from loop_scene import begin_scene


def hub_of(tmp_path: Path) -> tuple[Path, Project]:
    """A bare repository with the rules and one task on main, and the first clone of it."""
    hub = tmp_path / "hub.git"
    init = ("git", "init", "--quiet", "--bare", "--initial-branch=main", str(hub))
    subprocess.run(init, check=True, capture_output=True)
    scene = begin_scene(tmp_path / "first", {"config.remote": "origin", "loop.autonomy": "full"})
    scene.git("remote", "add", "origin", str(hub))
    scene.git("push", "--quiet", "--set-upstream", "origin", "main")
    return hub, Project(scene.folder, scene.now, scene.nonces)


def clone(hub: Path, to: Path, after: Project) -> Project:
    """A fresh clone, later than another one."""
    run = ("git", "clone", "--quiet", "--no-local", str(hub), str(to))
    subprocess.run(run, check=True, capture_output=True)
    return Project(to, after.now, after.nonces)


def test_a_round_in_four_fresh_clones_of_a_remote(tmp_path: Path) -> None:
    """What is claimed is pushed before it is handed out; what is collected is pushed too."""
    hub, project = hub_of(tmp_path)
    stages = []
    for number in range(8):
        project = clone(hub, tmp_path / f"claim-{number}", project)
        claims = claimed(project)
        if not claims:
            break
        (claim,) = claims
        stages.append(claim.stage.value)
        git = ("git", "rev-parse", "refs/heads/lifeos/ledger")
        tip = subprocess.run(git, cwd=hub, check=True, capture_output=True, text=True).stdout
        assert tip.strip() == claim.ledger
        project = clone(hub, tmp_path / f"attempt-{number}", project)
        bundle = carried_out(project, project.folder, claim, tmp_path / f"b{number}")
        project = clone(hub, tmp_path / f"check-{number}", project)
        report = reported(project, project.folder, bundle, tmp_path / f"r{number}")
        project = clone(hub, tmp_path / f"collect-{number}", project)
        assert collected(project, bundle, report) == (1, [])
    assert stages == ["design", "design_review", "plan", "plan_review", "build", "build_review"]
    last = clone(hub, tmp_path / "last", project)
    assert last.at_main("docs/guide.md") == "hello"
    records = clone(hub, tmp_path / "reader", project)
    records.git("fetch", "--quiet", "origin", "lifeos/ledger:lifeos/ledger")
    ended = [record.outcome for record in records.records() if isinstance(record, Closed)]
    assert ended == [CloseOutcome.PASS]


def test_what_another_clone_collected_is_not_counted_twice(tmp_path: Path) -> None:
    """Two clones are handed the same bundle; it is recorded once, and is no refusal."""
    hub, project = hub_of(tmp_path)
    (claim,) = claimed(project)
    bundle = carried_out(project, project.folder, claim, tmp_path / "bundle")
    report = reported(project, project.folder, bundle, tmp_path / "report")
    second = clone(hub, tmp_path / "second", project)
    assert collected(project, bundle, report) == (1, [])
    second.now = project.now
    assert collected(second, bundle, report) == (0, [])
    again = clone(hub, tmp_path / "again", second)
    again.git("fetch", "--quiet", "origin", "lifeos/ledger:lifeos/ledger")
    assert len([r for r in again.records() if isinstance(r, Finished)]) == 1
