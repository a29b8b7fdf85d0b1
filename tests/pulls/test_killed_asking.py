"""A tick that is killed while it asks by a pull request, or takes a merge in; the next finishes.

Points are pushes, of the ledger, of heads and of main, and the request that opens a PR: between
them lie the note of the PR that is intended, its branch, the PR itself, and its number.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from lifeos.core.records import Claimed, Resolved
from lifeos.model import CloseOutcome, ItemKind, Stage
from live_http import Answers
from loopback import Reply
from pull_copies import At, answering, at_point
from pull_scene import WORK, OnForge

PUSH = frozenset({"git:before:push", "git:after:push"})
ASKING = [("pr", 17), ("pr", 18), ("pr", 20), ("pr", 22), ("direct", 20)]
"""Where: the question is held; its PR is noted; its branch is there; its number is noted."""
TAKING_IN = [("pr", 1), ("pr", 2), ("pr", 4), ("direct", 2), ("direct", 4)]
"""Where: the merge was seen; the landing is noted; the run is closed, or main has it."""
LIMIT = 120.0
"""Seconds after which a child that neither ended nor died fails the test."""


def in_child(act: Callable[[], object]) -> int:
    """Start this in a child of this process."""
    child = os.fork()
    if child == 0:
        status = 70
        try:
            act()
            status = 0
        finally:
            os._exit(status)
    return child


def died(child: int) -> bool:
    """Whether it was killed; else it ended well."""
    until = time.monotonic() + LIMIT
    while True:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            code = os.waitstatus_to_exitcode(status)
            assert code in (0, -signal.SIGKILL), code
            return code != 0
        assert time.monotonic() < until, "it neither ended nor died"
        time.sleep(0.01)


def killed_at_push(scene: OnForge, point: int) -> bool:
    """Run a tick that ends itself at the how-manieth event of a push. Whether it came so far."""

    def tick() -> None:
        count = 0

        def trace(event: str) -> None:
            nonlocal count
            count += event in PUSH
            if count == point:
                os.kill(os.getpid(), signal.SIGKILL)

        scene.tick(trace=trace)

    came = died(in_child(tick))
    scene.now += 1000
    scene.nonces += 1000
    return came


class Killing(Answers):
    """Kills who asks for a new PR: before it is made, or after that and before the answer."""

    def __init__(self, scene: OnForge, *, made: bool) -> None:
        super().__init__(scene.forge)
        self.made = made
        self.child = 0

    def reply(self, method: str, target: str, token: str, content: bytes) -> Reply | None:
        """What the forge does, and no answer."""
        opens = method == "POST" and target.endswith("/pulls")
        if not opens:
            return super().reply(method, target, token, content)
        if self.made:
            super().reply(method, target, token, content)
        os.kill(self.child, signal.SIGKILL)
        return None


def asked_once(scene: OnForge) -> None:
    """One question, with one PR at just the head that the ledger says, and no other is open."""
    item = scene.item()
    assert (item.kind, item.stage) == (ItemKind.STAGE_REVIEW, Stage.CLOSE)
    pull = scene.pull()
    assert item.pull is not None
    assert (pull.head_sha, pull.state) == (item.pull.head, "open")
    assert [each for each in scene.forge.pulls.values() if each.state == "open"] == [pull]
    heads = [each.head_ref for each in scene.forge.pulls.values()]
    assert len(heads) == len(set(heads))


def landed_once(scene: OnForge) -> None:
    """The run is at its end, with its work on main and each answer taken once."""
    assert [end.outcome for end in scene.ended()] == [CloseOutcome.PASS]
    assert scene.at_hub(WORK) == "hello"
    answered = [record.item for record in scene.records() if isinstance(record, Resolved)]
    assert len(answered) == len(set(answered)) == 2
    claims = [(r.stage, r.n) for r in scene.records() if isinstance(r, Claimed)]
    assert len(claims) == len(set(claims))
    assert not scene.snapshot().items
    assert scene.hub("for-each-ref", "refs/heads/lifeos/queue", "refs/lifeos/pull") == ""


def finished(scene: OnForge) -> None:
    """Let the next ticks do the rest, and an approver merge."""
    scene.tick()
    asked_once(scene)
    scene.merge()
    scene.tick()
    landed_once(scene)


def asking(folder: Path, mode: str, point: int) -> bool:
    """Killed on the way from an allowed command to the question whether to land it."""
    scene = at_point(folder, mode, At.COMMANDS)
    scene.merge()
    came = killed_at_push(scene, point)
    finished(scene)
    return came


def taking_in(folder: Path, mode: str, point: int) -> bool:
    """Killed on the way from the merge to the end of the run."""
    scene = at_point(folder, mode, At.LANDING)
    scene.merge()
    came = killed_at_push(scene, point)
    scene.tick()
    landed_once(scene)
    return came


@pytest.mark.parametrize("made", [False, True], ids=["before it is made", "after it is made"])
def test_killed_while_it_opens_one(tmp_path: Path, made: bool) -> None:
    """The next tick finds the one that is there, or makes the only one."""
    scene = at_point(tmp_path, "pr", At.COMMANDS)
    scene.merge()
    killing = Killing(scene, made=made)
    with answering(killing):
        killing.child = in_child(scene.tick)
        assert died(killing.child)
    scene.now += 1000
    scene.nonces += 1000
    assert len(scene.forge.pulls) == 1 + made
    finished(scene)


@pytest.mark.parametrize(("mode", "point"), ASKING)
def test_killed_while_it_asks(tmp_path: Path, mode: str, point: int) -> None:
    """Around the last pushes: the note, the branch, the number."""
    assert asking(tmp_path, mode, point)


@pytest.mark.parametrize(("mode", "point"), TAKING_IN)
def test_killed_while_it_takes_a_merge_in(tmp_path: Path, mode: str, point: int) -> None:
    """Between the merge that it saw, the landing that it notes, and the end of the run."""
    assert taking_in(tmp_path, mode, point)


@pytest.mark.long
@pytest.mark.parametrize("mode", ["direct", "pr"])
@pytest.mark.parametrize("point", range(1, 27))
def test_killed_at_every_push(tmp_path: Path, mode: str, point: int) -> None:
    """All of them, on both ways."""
    asking(tmp_path / "asking", mode, point)
    taking_in(tmp_path / "taking", mode, point)
