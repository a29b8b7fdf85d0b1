"""A tick with nothing to do says so at once; anything that may have changed makes it look."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from lifeos.idle import idle_line, remove_note
from loop_scene import Scene, begin_scene


@pytest.fixture
def waiting(tmp_path: Path) -> Scene:
    """A repository whose run waits for a person, after a tick that left its note."""
    scene = begin_scene(tmp_path / "repo")
    scene.tick()
    return scene


def test_a_tick_that_is_done_leaves_a_note(waiting: Scene) -> None:
    """The next one needs nothing else to say what waits."""
    assert waiting.item().id in idle_line(str(waiting.folder), waiting.now)


def _stop(scene: Scene) -> None:
    (scene.folder / ".lifeos" / "STOP").touch()


def _bundle(scene: Scene) -> None:
    (scene.folder / ".git" / "lifeos" / "bundles" / "R-1.1").mkdir(parents=True)


def _commit(scene: Scene) -> None:
    scene.commit({"notes.txt": "a person was here\n"})


def _pack(scene: Scene) -> None:
    scene.commit({"notes.txt": "a person was here\n"})
    scene.git("pack-refs", "--all")


def _ledger(scene: Scene) -> None:
    parent = scene.git("rev-parse", "lifeos/ledger~1")
    scene.git("update-ref", "refs/heads/lifeos/ledger", parent)


def _version(scene: Scene) -> None:
    note = scene.folder / ".git" / "lifeos" / "idle"
    note.write_text(note.read_text().replace("0.1.0", "0.0.9", 1))


def _torn(scene: Scene) -> None:
    (scene.folder / ".git" / "lifeos" / "idle").write_text("0.1.0\n")


def _gone(scene: Scene) -> None:
    remove_note(str(scene.folder / ".git"))


@pytest.mark.parametrize(
    "change", [_stop, _bundle, _commit, _pack, _ledger, _version, _torn, _gone]
)
def test_whatever_changes_makes_the_next_tick_look(
    waiting: Scene, change: Callable[[Scene], None]
) -> None:
    """The kill switch, a result left behind, main, the ledger, another lifeos, a torn note."""
    change(waiting)
    assert idle_line(str(waiting.folder), waiting.now) == ""


def test_packed_references_are_read_too(waiting: Scene) -> None:
    """Packing alone changes nothing."""
    waiting.git("pack-refs", "--all")
    assert idle_line(str(waiting.folder), waiting.now) != ""


def test_a_time_that_comes_makes_it_look(waiting: Scene) -> None:
    """Here: when the question expires."""
    expires = waiting.item().expires_at
    assert expires is not None
    assert idle_line(str(waiting.folder), expires - 1) != ""
    assert idle_line(str(waiting.folder), expires) == ""


def test_a_commit_made_while_the_tick_ends_is_not_hidden(tmp_path: Path) -> None:
    """It came after the last look and before the queue was written: the note must not cover it."""
    scene = begin_scene(tmp_path / "repo")
    came: list[str] = []

    def person(event: str) -> None:
        if event == "checkout:locked" and not came:
            tree = scene.git("rev-parse", "main^{tree}")
            commit = scene.git("commit-tree", "-p", "main", "-m", "meanwhile", tree)
            scene.git("update-ref", "refs/heads/main", commit)
            came.append(commit)

    scene.tick(trace=person)
    assert came
    assert scene.git("merge-base", "--is-ancestor", came[0], "main") == ""
    assert idle_line(str(scene.folder), scene.now) == ""
    scene.tick()
    assert idle_line(str(scene.folder), scene.now) != ""
