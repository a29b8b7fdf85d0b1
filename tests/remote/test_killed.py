"""A tick that is killed anywhere between this clone and the remote; then another clone goes on."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from clones import LANDS, begin_hub
from lifeos.store.repo import Repo
from lifeos.tick.begin import opened
from lifeos.tick.context import World
from lifeos.tick.loop import Tick
from loop_scene import TASK

PUSH = "git:before:push", "git:after:push"


def tick(folder: Path, trace: Callable[[str], None]) -> None:
    """What the command does, with somebody told about every step."""
    world = World(trace=trace)
    with Repo.open(folder, trace) as repo:
        Tick(opened(repo, world)).run()


def killed(folder: Path, point: int, names: tuple[str, ...]) -> bool:
    """Run a tick in a child that ends itself at the how-manieth step of these names (() for all).

    Whether it came so far.
    """
    child = os.fork()
    if child == 0:
        count = 0

        def trace(event: str) -> None:
            nonlocal count
            count += not names or event in names
            if count == point:
                os.kill(os.getpid(), signal.SIGKILL)

        status = 70
        try:
            tick(folder, trace)
            status = 0
        finally:
            os._exit(status)
    until = time.monotonic() + 120
    while True:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            code = os.waitstatus_to_exitcode(status)
            assert code in (0, -signal.SIGKILL), code
            return code != 0
        assert time.monotonic() < until, "it neither ended nor died"
        time.sleep(0.01)


def finished_by_another(folder: Path, point: int, names: tuple[str, ...]) -> bool:
    """Kill a tick, then let another clone finish, and the first one look again."""
    hub, first = begin_hub(folder, LANDS)
    came = killed(first.folder, point, names)
    second = hub.clone("second")
    second.cli("tick")
    assert hub.wrong([TASK]) == [], f"at {point}"
    first.cli("tick")  # what it left behind is no news to anybody
    assert hub.wrong([TASK]) == [], f"at {point}, looked at again"
    assert first.git("rev-parse", "HEAD") == hub.tip("refs/heads/main")
    assert first.git("status", "--porcelain") == ""
    return came


@pytest.mark.parametrize("point", [2, 4, 15, 21])
def test_killed_at_a_push(tmp_path: Path, point: int) -> None:
    """Before it, or after the remote has it and before this clone knows."""
    assert finished_by_another(tmp_path, point, PUSH)


@pytest.mark.long
@pytest.mark.parametrize("point", range(1, 30))
def test_killed_at_every_push(tmp_path: Path, point: int) -> None:
    """All of them."""
    finished_by_another(tmp_path, point, PUSH)


@pytest.mark.long
@pytest.mark.parametrize("point", range(7, 500, 29))
def test_killed_at_any_step(tmp_path: Path, point: int) -> None:
    """Writes of objects, moves of references, processes: a step here and there."""
    finished_by_another(tmp_path, point, ())
