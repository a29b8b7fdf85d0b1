"""``lifeos verify``: one record, one note or one page hides nothing, and a clone may be behind."""

from __future__ import annotations

from pathlib import Path

import pytest

from loop_scene import Scene
from test_verify import findings
from told import asked, landed, lifeos

MALLORY = "mallory@example.invalid"


@pytest.fixture
def scene(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Scene:
    """A repository in which one run landed."""
    return landed(tmp_path / "repo", tmp_path_factory.getbasetemp() / "told")


@pytest.fixture
def waiting(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Scene:
    """A repository in which one run waits before its landing."""
    return asked(tmp_path / "repo", tmp_path_factory.getbasetemp() / "told")


# --- a clone that only fetches ------------------------------------------------------------------


def test_a_clone_that_only_fetches(scene: Scene, tmp_path: Path) -> None:
    """Its own main stays behind: what landed is looked for on the newer one."""
    clone = Scene(tmp_path / "clone")
    scene.git("clone", "--quiet", str(scene.folder), str(clone.folder))
    clone.git("branch", "--quiet", "lifeos/ledger", "origin/lifeos/ledger")
    clone.git("reset", "--quiet", "--hard", "main~2")
    said = lifeos(clone.folder, "verify")
    assert said.code == 0, said.out
    assert findings(clone) == ()


def test_a_clone_whose_main_went_on(scene: Scene, tmp_path: Path) -> None:
    """Nor is origin's main looked at where it is the older one."""
    clone = Scene(tmp_path / "clone", scene.now)
    scene.git("clone", "--quiet", str(scene.folder), str(clone.folder))
    clone.git("branch", "--quiet", "lifeos/ledger", "origin/lifeos/ledger")
    clone.git("update-ref", "refs/remotes/origin/main", "main~2")
    assert findings(clone) == ()
