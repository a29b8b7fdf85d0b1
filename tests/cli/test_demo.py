"""``lifeos demo``: the first thing that a stranger runs must work, and leave nothing behind."""

from __future__ import annotations

from pathlib import Path

from conftest import Git
from told import lifeos


def test_it_shows_a_whole_run_and_leaves_nothing(tmp_path: Path, sealed: Path) -> None:
    """With an empty home and no identity: a task is asked, built, approved, landed, verified."""
    work = tmp_path / "tmp"
    work.mkdir()
    nobody = {
        f"GIT_{role}_{what}": "" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")
    }
    said = lifeos(tmp_path, "demo", TMPDIR=str(work), CI="true", **nobody)
    assert said.code == 0, said.err + said.out
    for wanted in ("$ lifeos init", "CEO_REVIEW", "$ lifeos approve Q-", "Land LO-", "good: "):
        assert wanted in said.out, wanted
    assert "\x1b" not in said.out
    assert list(work.iterdir()) == []
    assert list(sealed.iterdir()) == []


def test_it_keeps_the_repository_where_asked(tmp_path: Path) -> None:
    """To look at; what happened is really there. As data it says what it ran."""
    place = tmp_path / "kept"
    said = lifeos(tmp_path, "demo", "--keep", str(place), "--json")
    data = said.data("demo")
    assert data["good"]
    assert all(step["exit_code"] == 0 for step in data["steps"])
    project = Path(data["folder"])
    git = Git(project)
    assert "Land LO-" in git("log", "-1", "--format=%s", "main")
    assert git("status", "--porcelain") == ""
    assert lifeos(project, "verify").code == 0


def test_it_does_not_write_into_what_is_there(tmp_path: Path) -> None:
    """A folder with something in it stays as it is."""
    (tmp_path / "mine.txt").write_text("mine\n", encoding="utf-8")
    said = lifeos(tmp_path, "demo", "--keep", str(tmp_path))
    assert said.code == 2
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_a_failure_is_a_failure(tmp_path: Path) -> None:
    """Where a command fails, so does the demo, with what that command said."""
    said = lifeos(tmp_path, "demo", PATH="/nonexistent")
    assert said.code not in (0, 3)
    assert "git" in said.err
