"""Where many clones tick on one remote, people are told by one of them."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

from clones import begin_hub
from lifeos.core.notices import Note, Told
from lifeos.notify import write_note
from test_notify import TWO, Listener, listener, rules

__all__ = ["listener"]


def test_one_clone_of_many_tells_it(tmp_path: Path, listener: Listener) -> None:
    """Whose tick asked; the other clone, which has a memory of its own, keeps quiet."""
    hub, first = begin_hub(tmp_path, {**rules(listener), "loop.budgets.open_runs": 1}, TWO)
    first.cli("tick")
    second = hub.clone("second")
    second.cli("tick")  # it never told anything: the open question, once
    assert len(listener.notices()) == 2
    first.cli("approve", "LO-aaaaaa")
    first.cli("tick")
    second.cli("tick")
    first.cli("tick")
    told = [each["task"] for notice in listener.notices()[2:] for each in notice["waiting"]]
    assert told == ["LO-bbbbbb"]


def test_what_a_clone_did_not_tell_before_it_died_it_tells_later(
    tmp_path: Path, listener: Listener
) -> None:
    """Killed while it told it: what others recorded is not its business, but this is."""
    _, first = begin_hub(tmp_path, rules(listener))
    listener.then("os.kill(os.getppid(), signal.SIGKILL); time.sleep(5)")
    run = [sys.executable, "-m", "lifeos", "tick"]
    done = subprocess.run(run, cwd=first.folder, capture_output=True, check=False, timeout=60)
    assert done.returncode == -signal.SIGKILL
    known = Note(channels={"command": Told(waits=0, blocked=0, digest=int(time.time()))})
    write_note(first.folder / ".git" / "lifeos", known)  # it was told things in earlier times
    listener.then("")
    first.cli("tick")
    first.cli("tick")
    assert len(listener.notices("waits")) == 2
