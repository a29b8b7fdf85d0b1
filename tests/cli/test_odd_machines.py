"""What a person's own git configuration, or their place in the file system, does to a command."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from command_line import TASK, asking, fresh, project
from lifeos.core.state import RunStatus
from lifeos.model import Stage


@pytest.mark.parametrize("path", ["docs/guide.md", ".lifeos/queue/*"])
def test_a_required_filter_without_a_command_is_named_and_nothing_is_lost(
    tmp_path: Path, path: str
) -> None:
    """The landing and the queue wait for the configuration; no attempt is spent on it."""
    scene = project(tmp_path, "asking", asking)
    scene.commit({".gitattributes": f"{path} filter=locked\n"})
    scene.cli("approve", TASK)
    scene.git("config", "filter.locked.required", "true")
    before = scene.run()
    for _ in range(4):
        said = scene.cli("tick", code=75)
        assert "git's filter locked, which your configuration calls required" in said.out
        assert "git config filter.locked.required false; then run lifeos tick again" in said.out
        assert "git update-index" not in said.out + said.err
    after = scene.run()
    assert (after.stage, after.status) == (Stage.CLOSE, RunStatus.READY)
    assert after.attempts == before.attempts, "nothing was claimed"
    scene.git("config", "filter.locked.required", "false")
    scene.cli("tick")
    assert scene.at_main("docs/guide.md") == "hello"
    assert scene.git("status", "--porcelain") == ""
    scene.cli("verify")


def test_a_wrong_choice_is_said_in_plain_words(tmp_path: Path) -> None:
    """The library's own heading of the message says nothing to a person."""
    scene = project(tmp_path, "fresh", fresh)
    said = scene.cli("backlog", "add", "--priority", "0", "More", code=2).err
    assert "Value error" not in said
    assert "'--priority' / '-p': '0' is not one of 'p0', 'p1', 'p2', 'p3'" in said


@pytest.mark.parametrize("inside", [".", "docs"])
@pytest.mark.parametrize("glued", [True, False])
def test_the_log_of_a_defect_lies_in_the_repository_that_was_meant(
    tmp_path: Path, inside: str, glued: bool
) -> None:
    """With -C, from anywhere: not in the folder that one happens to stand in."""
    scene = project(tmp_path, "fresh", fresh)
    (scene.folder / "docs").mkdir()
    (scene.folder / ".git/lifeos/tick.lock").mkdir(parents=True)  # no lifeos makes a folder of it
    elsewhere = tmp_path / "elsewhere"
    (elsewhere / ".git/lifeos").mkdir(parents=True)
    place = str(scene.folder / inside)
    done = subprocess.run(
        [sys.executable, "-m", "lifeos", *([f"-C{place}"] if glued else ["-C", place]), "tick"],
        cwd=elsewhere,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 3, done.stderr
    (log,) = (scene.folder / ".git/lifeos/logs").glob("error-*.log")
    assert f"report it with the log {log}" in done.stderr
    assert not (elsewhere / ".git/lifeos/logs").exists()
