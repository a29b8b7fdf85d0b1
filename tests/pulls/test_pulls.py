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
