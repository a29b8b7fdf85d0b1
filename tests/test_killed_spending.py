"""What calls of models have cost counts, also when the tick that made them is killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from command_line import Project
from lifeos.core.receipt import RECEIPTS
from lifeos.core.records import Finished
from lifeos.model import FailureClass
from scripted_model import ScriptedModel, Step, Turn, hang
from scripted_team import Team
from test_agents_in_the_loop import DONE, HELLO, KEY, team_scene

LIMIT = 60.0
"""Seconds until something that should have happened fails the test."""


@pytest.mark.sandbox
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_the_calls_of_an_attempt_that_was_cut_off_have_receipts_and_count(
    tmp_path: Path, how: signal.Signals
) -> None:
    """Killed after the first call, in the second: the first is recorded, priced and kept."""
    second, killed = threading.Event(), threading.Event()

    def builder(turn: Turn) -> Step:
        if turn.called == 0:
            return HELLO.using(9000, 1000)
        if killed.is_set():
            return DONE
        second.set()
        return hang(LIMIT)

    with ScriptedModel(Team(builder)) as model:
        scene = team_scene(tmp_path, model, {})
        project = Project(scene.folder, scene.now, scene.nonces)
        command = [sys.executable, "-m", "lifeos", "tick"]
        environment = {**os.environ, "TEAM_KEY": KEY}
        with subprocess.Popen(command, cwd=scene.folder, env=environment) as tick:
            assert second.wait(LIMIT)
            tick.send_signal(how)
            tick.wait(LIMIT)
        killed.set()
        project.cli("tick", TEAM_KEY=KEY)
    cut = [r for r in project.records() if isinstance(r, Finished) and r.facts]
    (found,) = [r for r in cut if r.facts and r.facts.outcome is FailureClass.INTERRUPTED]
    assert found.facts is not None
    kept = project.cli("show", found.run, str(found.n), "receipts.json").out
    receipts = RECEIPTS.validate_json(kept)
    assert (receipts[0].tokens_in, receipts[0].tokens_out) == (9000, 1000)
    assert found.facts.usage.cost == pytest.approx(sum(r.cost for r in receipts))
    assert found.facts.usage.requests == len(receipts)
    spent = sum(r.facts.usage.cost for r in cut if r.facts)
    assert project.snapshot().spend.day_cost == pytest.approx(spent)
    assert KEY not in project.git("log", "--all", "--patch")
    assert not list((scene.folder / ".git/lifeos/calls").iterdir())
    project.cli("verify")
