"""Who brought a change to main, as the forge saw it: an account, whatever the commit says."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from lifeos.core.records import Topic
from lifeos.model import ItemKind
from pull_scene import OnForge, on_forge


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[OnForge]:
    """A project whose first push is by somebody whom the test names."""
    with on_forge(tmp_path) as made:
        yield made


def pushed(scene: OnForge, by: str, **files: str) -> None:
    """Somebody pushes a commit that says it is Ann's."""
    scene.forge.moved("refs/heads/main")
    scene.git("fetch", "--quiet", "origin")
    scene.git("reset", "--quiet", "--hard", "origin/main")
    scene.commit(dict(files))
    scene.git("push", "--quiet", "origin", "HEAD:main")
    scene.forge.pusher = scene.forge.who(by)


@pytest.mark.parametrize(
    ("by", "kind"),
    [
        ("ann", ItemKind.STAGE_REVIEW),
        ("eve", ItemKind.COMMANDS),
        ("lifeos-app[bot]", ItemKind.COMMANDS),
    ],
)
def test_commands_run_if_an_approvers_account_brought_them(
    scene: OnForge, by: str, kind: ItemKind
) -> None:
    """The commit is in Ann's name in each case: only the account that pushed differs."""
    scene.forge.pusher = scene.forge.who(by)
    scene.tick()
    assert scene.item().kind is kind


def rules(scene: OnForge) -> dict[str, str]:
    """One setting changed."""
    return scene.edit("policies/loop.yaml", "tasks_per_tick: 10", "tasks_per_tick: 9")


@pytest.mark.parametrize(("by", "adopted"), [("ann", True), ("eve", False)])
def test_rules_are_adopted_if_an_approvers_account_brought_them(
    scene: OnForge, by: str, adopted: bool
) -> None:
    """The same change, in the same name; who pushed it decides."""
    scene.forge.pusher = scene.forge.who("ann")
    scene.tick()
    pushed(scene, by, **rules(scene))
    scene.tick()
    assert bool(scene.notes(Topic.GOVERNANCE)) is adopted
    asked = [item.rule for item in scene.snapshot().items.values()]
    assert ("governance:unapproved" in asked) is not adopted


@pytest.mark.parametrize(("by", "goes"), [("bob", True), ("eve", False)])
def test_stop_is_over_if_an_approvers_account_took_it_away(
    scene: OnForge, by: str, goes: bool
) -> None:
    """Anybody may stop it; only an approver lets it go on."""
    scene.forge.pusher = scene.forge.who("eve")
    scene.commit({".lifeos/STOP": "stop\n"})
    scene.git("push", "--quiet", "origin", "HEAD:main")
    scene.tick()
    assert scene.snapshot().stop
    scene.forge.moved("refs/heads/main")
    scene.commit({".lifeos/STOP": None})
    scene.git("push", "--quiet", "origin", "HEAD:main")
    scene.forge.pusher = scene.forge.who(by)
    scene.tick()
    assert scene.snapshot().stop is not goes


def test_the_number_of_the_account_decides(tmp_path: Path) -> None:
    """The same push, the same names: only the number that the rules give Ann is another."""
    with on_forge(tmp_path, approvers={"ann": 999, "bob": 102}) as scene:
        scene.forge.pusher = scene.forge.who("ann")
        scene.tick()
        assert scene.item().kind is ItemKind.COMMANDS
