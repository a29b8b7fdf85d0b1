"""Queue PRs against a forge that answers over HTTP, from the task to the landed change."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from lifeos.model import CloseOutcome
from pull_scene import WORK, OnForge, on_forge


@pytest.fixture(params=["direct", "pr"])
def scene(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[OnForge]:
    """A project that is written to directly, and one whose main only takes pull requests."""
    with on_forge(tmp_path, {"config.main_writes": request.param}) as made:
        if request.param == "pr":
            made.forge.protect("main")
        yield made


@pytest.mark.parametrize("method", ["merge", "squash", "rebase"])
def test_a_task_lands_by_merges_alone(scene: OnForge, method: str) -> None:
    """From BACKLOG.md to the landed change: nothing but merges by an approver in between."""
    scene.tick()
    scene.merge(method=method)
    scene.tick()
    assert not scene.on_hub(WORK)
    scene.merge(method=method)
    report = scene.tick()
    assert [outcome for _, _, outcome in report.ended] == [CloseOutcome.PASS]
    assert scene.at_hub(WORK) == "hello"
    assert "- [x] **LO-aaaaaa**" in scene.at_hub("BACKLOG.md")
    assert not scene.snapshot().items
    assert scene.hub("for-each-ref", "refs/heads/lifeos/queue", "refs/lifeos/pull") == ""


@pytest.mark.parametrize(("writes", "own"), [("direct", True), ("pr", False)])
def test_where_main_is_written_decides_who_moves_it(tmp_path: Path, writes: str, own: bool) -> None:
    """Nothing differs but the setting: with ``pr`` nobody but the forge moves main."""
    with on_forge(tmp_path, {"config.main_writes": writes}) as scene:
        before = scene.hub("rev-parse", "main")
        scene.tick()
        assert (scene.hub("rev-parse", "main") != before) is own
        scene.merge()
        scene.tick()
        moved = [move.kind for move in scene.forge.moved("refs/heads/main")]
        assert (moved.count("push") > 1) is own


def test_all_that_is_asked_and_answered_is_githubs(tmp_path: Path) -> None:
    """From the first question to the landing, with one closed in vain and one sent back between."""
    with on_forge(tmp_path, {"config.main_writes": "pr"}, judged=True) as scene:
        scene.forge.protect("main")
        scene.tick()
        scene.forge.close(scene.pull().number, by="adm")
        scene.tick()
        assert scene.pull().state == "open"
        scene.merge()
        scene.tick()
        scene.forge.review(scene.pull().number, by="bob", state="CHANGES_REQUESTED", body="no")
        scene.tick()
        scene.merge()
        scene.tick()
        assert scene.at_hub(WORK) == "hello"
        assert [closed.outcome for closed in scene.ended()] == [CloseOutcome.PASS]
        asked = {
            (method, path.partition("?")[0].rpartition("/")[2])
            for method, path in scene.forge.asked
        }
        assert {
            ("POST", "pulls"),
            ("GET", "reviews"),
            ("GET", "activity"),
            ("POST", "comments"),
        } <= asked
