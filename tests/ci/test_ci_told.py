"""The trusted parts of a CI round tell people what they recorded, on machines without a memory."""

from __future__ import annotations

from pathlib import Path

from ci_scene import Works
from command_line import BOB, Project
from loop_scene import begin_scene
from test_notify import Listener, listener, rules

__all__ = ["listener"]


def test_claim_and_collect_tell_what_they_ask(tmp_path: Path, listener: Listener) -> None:
    """Each once, by the part that asked it; the other, on a fresh machine, does not repeat it."""
    scene = begin_scene(tmp_path / "repo", rules(listener))
    works = Works(Project(scene.folder, scene.now, scene.nonces), tmp_path)
    project = works.project
    (claim,) = works.claim(CI="true")
    assert listener.heard() == []
    bundle = works.attempt(claim)
    report = works.check(bundle)

    stranger(project, "loop", "diff_files: 20", "diff_files: 21")
    forget(project)
    works.claim(CI="true")
    asked = set(project.snapshot().items)
    assert waiting(listener) == [asked]

    stranger(project, "loop", "diff_files: 21", "diff_files: 22")
    forget(project)
    works.collect(bundle, report, CI="true")
    anew = set(project.snapshot().items)
    assert not asked & anew
    assert waiting(listener) == [asked, anew]

    forget(project)
    works.claim(CI="true")
    assert waiting(listener) == [asked, anew]


def stranger(project: Project, name: str, old: str, new: str) -> None:
    """Somebody who is no approver changes the rules."""
    changes = project.edit(f"policies/{name}.yaml", old, new)
    project.commit(changes, author=BOB, committer=BOB)


def forget(project: Project) -> None:
    """The next command runs on a machine that knows nothing of what was told."""
    (project.folder / ".git" / "lifeos" / "notices.json").unlink()


def waiting(listener: Listener) -> list[set[str]]:
    """The items of each notice."""
    return [{each["item"] for each in notice["waiting"]} for notice in listener.notices()]
