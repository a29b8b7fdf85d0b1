"""A tick that is told to stop ends everything it began, and the next one goes on."""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path

import pytest

from cli_scene import CLINGS, HANGS, Scene, end_of, scene, sleepers, until

pytestmark = pytest.mark.sandbox


def begun(folder: Path, more: str) -> tuple[Scene, subprocess.Popen[str]]:
    """A tick in the middle of its first build."""
    mine = scene(folder, more)
    process = mine.start("tick")
    until(lambda: sleepers() or process.poll() is not None, "the recipe sleeps")
    assert process.poll() is None, end_of(process)
    return mine, process


@pytest.mark.parametrize(
    ("number", "recipe"),
    [(signal.SIGINT, CLINGS), (signal.SIGTERM, HANGS)],
    ids=["ctrl-c", "term"],
)
def test_interrupted_in_an_attempt(tmp_path: Path, number: signal.Signals, recipe: str) -> None:
    """Exit 130, no process survives, and the next tick tries again and lands."""
    mine, process = begun(tmp_path / "repo", recipe)
    process.send_signal(number)
    code, _, messages = end_of(process)
    assert code == 130
    assert messages.splitlines()[-1].startswith("lifeos: interrupted; nothing is lost")
    assert "Traceback" not in messages
    assert not sleepers()
    assert mine.run("tick")[0] == 0
    assert mine.finished() == ["interrupted retry retries_left", "ok advance success"]
    mine.landed()


def test_killed_in_an_attempt(tmp_path: Path) -> None:
    """SIGKILL gives nobody a chance to tidy up; the kernel ends the sandbox all the same."""
    mine, process = begun(tmp_path / "repo", CLINGS)
    process.kill()
    process.communicate()
    until(lambda: not sleepers(), "the sandbox ends with its tick")
    assert mine.run("tick")[0] == 0
    assert mine.finished() == ["interrupted retry retries_left", "ok advance success"]
    mine.landed()


def test_a_second_tick_is_told_who_is_at_work(tmp_path: Path) -> None:
    """Exit 75 at once, with the process and what to do; the first one is not disturbed."""
    mine, process = begun(tmp_path / "repo", HANGS)
    before = mine.git("rev-parse", "lifeos/ledger")
    code, _, messages = mine.run("tick")
    assert code == 75
    assert "another tick is at work" in messages
    assert f"process {process.pid}" in messages
    assert "fix: wait" in messages
    assert mine.git("rev-parse", "lifeos/ledger") == before
    assert process.poll() is None
    process.send_signal(signal.SIGINT)
    assert end_of(process)[0] == 130


def test_stop_while_an_attempt_runs(tmp_path: Path) -> None:
    """STOP ends the attempt and pauses the run; without it the next tick goes on and lands."""
    mine, process = begun(tmp_path / "repo", CLINGS)
    stop = mine.folder / ".lifeos" / "STOP"
    stop.write_text("")
    code, _, _ = end_of(process)
    assert code == 0
    assert not sleepers()
    assert mine.finished() == ["interrupted pause stop_switch"]
    claims = mine.claims()
    assert mine.run("tick")[0] == 0
    assert mine.claims() == claims, "nothing is begun while STOP is there"
    stop.unlink()
    assert mine.run("tick")[0] == 0
    assert mine.finished() == ["interrupted pause stop_switch", "ok advance success"]
    mine.landed()
