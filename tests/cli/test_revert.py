"""``lifeos revert``: the work goes, everything else stays, and the ledger knows."""

from __future__ import annotations

from pathlib import Path

import pytest

from loop_scene import TASK, Scene
from told import asked, landed, lifeos


@pytest.fixture
def done(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Scene:
    """A repository in which one run landed docs/guide.md."""
    return landed(tmp_path / "repo", tmp_path_factory.getbasetemp() / "told")


def test_the_work_goes_and_the_rest_stays(done: Scene) -> None:
    """Also what landed since; the task is open again, byte for byte else; verify is content."""
    done.commit({"other.md": "since then\n"})
    before = done.at_main("BACKLOG.md")
    old = done.git("rev-parse", "main")
    data = lifeos(done.folder, "revert", TASK, "--json").data("revert")
    assert data["commit"] == done.git("rev-parse", "main")
    assert done.git("rev-parse", "main~1") == old
    assert not done.on_main("docs/guide.md")
    assert done.at_main("other.md") == "since then"
    assert done.at_main("BACKLOG.md") == before.replace("- [x] **LO", "- [ ] **LO", 1)
    assert done.git("status", "--porcelain") == ""
    assert done.git("log", "-1", "--format=%an <%ae>") == "Test Person <person@example.invalid>"
    said = lifeos(done.folder, "verify")
    assert said.code == 0, said.out
    assert lifeos(done.folder, "show", TASK, "--json").data("show")["reverted"] == data["commit"]


def test_the_task_waits_for_retry_and_lands_again(done: Scene) -> None:
    """A tick does not start it by itself; after retry the same work can land once more."""
    assert lifeos(done.folder, "revert", TASK).code == 0
    assert "nothing to do" in lifeos(done.folder, "tick").out
    assert lifeos(done.folder, "retry", TASK).code == 0
    assert lifeos(done.folder, "tick", "--quiet").code == 0
    item = done.item().id
    assert lifeos(done.folder, "approve", item).code == 0
    assert lifeos(done.folder, "tick", "--quiet").code == 0
    assert done.at_main("docs/guide.md") == "hello"
    assert lifeos(done.folder, "verify").code == 0


def test_an_edit_of_the_backlog_under_way_is_kept(done: Scene) -> None:
    """The person's own uncommitted text stays, with the mark changed in it too."""
    path = done.folder / "BACKLOG.md"
    path.write_text(path.read_text(encoding="utf-8") + "\nunder way\n", encoding="utf-8")
    assert lifeos(done.folder, "revert", TASK).code == 0
    text = path.read_text(encoding="utf-8")
    assert text.endswith("\nunder way\n")
    assert "- [ ] **LO-aaaaaa**" in text
    assert not (done.folder / "docs/guide.md").exists()


def test_a_conflict_moves_nothing(done: Scene) -> None:
    """What landed since on the same lines is named, and exit is 1."""
    done.commit({"docs/guide.md": "hello, and much more\n"})
    main, tip = done.git("rev-parse", "main"), done.tip()
    said = lifeos(done.folder, "revert", TASK)
    assert said.code == 1
    assert "docs/guide.md" in said.err
    assert "git revert -m 1" in said.err
    assert (done.git("rev-parse", "main"), done.tip()) == (main, tip)


def test_a_dry_run_shows_and_moves_nothing(done: Scene) -> None:
    """What would change, and no more."""
    main, tip = done.git("rev-parse", "main"), done.tip()
    said = lifeos(done.folder, "revert", TASK, "--dry-run")
    assert "docs/guide.md" in said.out
    assert "would take back" in said.out
    assert (done.git("rev-parse", "main"), done.tip()) == (main, tip)


def test_only_once(done: Scene) -> None:
    """The second time says which commit did it."""
    commit = lifeos(done.folder, "revert", TASK, "--json").data("revert")["commit"]
    said = lifeos(done.folder, "revert", TASK)
    assert said.code == 2
    assert commit[:12] in said.err
    assert "lifeos retry" in said.err


def test_one_that_died_before_it_was_noted_is_finished(done: Scene) -> None:
    """Main has the commit and the ledger not: the next call only notes it."""
    tip = done.tip()
    commit = lifeos(done.folder, "revert", TASK, "--json").data("revert")["commit"]
    done.git("update-ref", "refs/heads/lifeos/ledger", tip)
    done.git("update-ref", "refs/lifeos/seen", tip)
    again = lifeos(done.folder, "revert", TASK, "--json").data("revert")["commit"]
    assert again == commit == done.git("rev-parse", "main")
    assert "note reverted" in done.git("log", "-1", "--format=%s", "lifeos/ledger")


def test_only_an_approver_may(done: Scene) -> None:
    """It undoes what an approval let land."""
    main = done.git("rev-parse", "main")
    said = lifeos(done.folder, "revert", TASK, GIT_AUTHOR_EMAIL="else@example.invalid")
    assert said.code == 4
    assert "not an approver" in said.err
    assert done.git("rev-parse", "main") == main


def test_what_did_not_land_cannot_be_taken_back(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """An open run is refused with what to do instead."""
    scene = asked(tmp_path / "repo", tmp_path_factory.getbasetemp() / "told")
    said = lifeos(scene.folder, "revert", TASK)
    assert said.code == 2
    assert "nothing has landed" in said.err
    assert "lifeos cancel" in said.err


def test_something_of_the_persons_in_the_way(done: Scene) -> None:
    """An uncommitted edit of what would go is not overwritten."""
    (done.folder / "docs/guide.md").write_text("mine\n", encoding="utf-8")
    main, tip = done.git("rev-parse", "main"), done.tip()
    said = lifeos(done.folder, "revert", TASK)
    assert said.code == 75
    assert "docs/guide.md" in said.err
    assert (done.git("rev-parse", "main"), done.tip()) == (main, tip)
    assert (done.folder / "docs/guide.md").read_text(encoding="utf-8") == "mine\n"
