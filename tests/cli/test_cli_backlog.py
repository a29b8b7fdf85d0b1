"""backlog: the person's file is changed by exactly what was asked, and only where it lies."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from command_line import TASK, Project, asking, fresh, project
from conftest import EMAIL

LATER = """
- [ ] Second

- [ ] Third
  - depends: LO-zzzzzz

- [x] **LO-done00** Fourth
"""


@pytest.fixture
def scene(tmp_path: Path) -> Project:
    """A project with one task, before the first tick."""
    return project(tmp_path, "fresh", fresh)


def text_of(scene: Project) -> str:
    """BACKLOG.md in the work tree."""
    return (scene.folder / "BACKLOG.md").read_bytes().decode()


def append(scene: Project, text: str) -> None:
    """Write at the end of BACKLOG.md."""
    (scene.folder / "BACKLOG.md").write_bytes((text_of(scene) + text).encode())


# --- add --------------------------------------------------------------------------------------


def test_add_inserts_the_task_in_the_work_tree_and_commits_nothing(scene: Project) -> None:
    """What was there stays byte for byte; the task is as it was meant; a subfolder will do."""
    before, refs = text_of(scene), scene.refs()
    (scene.folder / "sub").mkdir()
    said = scene.cli(
        *("backlog", "add", "Retry the webhook #api", "--priority", "p1"),
        *("--scope", "src/**", "--scope", "tests/**", "--depends", TASK),
        *("--risk", "medium", "--tag", "net", "--description", "Receivers restart.", "--json"),
        at=scene.folder / "sub",
    )
    name = said.data["id"]
    added = (
        f"## P1\n\n- [ ] **{name}** Retry the webhook #api #net\n  - depends: {TASK}\n"
        "  - scope: `src/**`, `tests/**`\n  - risk: medium\n\n  Receivers restart.\n"
    )
    assert added in text_of(scene)
    assert inserted(before, text_of(scene))
    assert scene.refs() == refs
    assert scene.git("status", "--porcelain") == " M BACKLOG.md"


def test_add_with_commit_commits_that_file_alone_as_the_person(scene: Project) -> None:
    """What else is staged stays staged; other edits of the file are named."""
    scene.write({"staged": "mine\n"})
    scene.git("add", "staged")
    before = scene.main
    said = scene.cli("backlog", "add", "Second", "--commit")
    assert "other edits" not in said.out
    assert scene.git("diff", "--name-only", before, "main") == "BACKLOG.md"
    assert scene.author("main") == f"{EMAIL} {EMAIL}"
    assert scene.git("status", "--porcelain") == "A  staged"
    append(scene, "\n- [ ] by hand\n")
    assert "other edits" in scene.cli("backlog", "add", "Third", "--commit").out


def inserted(before: str, after: str) -> bool:
    """Whether ``after`` is ``before`` with one piece put in, and nothing else."""
    pairs = enumerate(zip(before, after, strict=False))
    same = next((n for n, (old, new) in pairs if old != new), len(before))
    return after[same:].endswith(before[same:])


@pytest.mark.parametrize(
    "title",
    ["", "- [ ] two", "[x] done", "```", "# P0", "one -- Owner: me", "**LO-aaaaaa** mine", "<!--"],
)
def test_add_writes_exactly_this_task_or_nothing(scene: Project, title: str) -> None:
    """A title that would be read as something else is refused, and the file is not touched."""
    before = text_of(scene)
    said = scene.cli("backlog", "add", "--json", "--", title, code=None)
    if said.code == 0:
        assert said.data["title"] == title
        assert inserted(before, text_of(scene))
        scene.git("commit", "--quiet", "--all", "--message=more")
        data = scene.cli("backlog", "list", "--json").data
        assert [task["title"] for task in data["tasks"]] == ["Say hello in the guide", title]
        assert data["problems"] == []
    else:
        assert said.code == 2
        assert text_of(scene) == before


def test_titles_that_are_known_to_be_refused(scene: Project) -> None:
    """The table above may not pass by accepting everything, nor by refusing everything."""
    scene.cli("backlog", "add", "", code=2)
    scene.cli("backlog", "add", "one -- Owner: me", code=2)
    scene.cli("backlog", "add", "**LO-aaaaaa** mine", code=2)
    scene.cli("backlog", "add", "# P0")


def test_add_brings_no_commands_and_no_unknown_dependency(scene: Project) -> None:
    """A recipe in a description would be run; it has to be written by hand."""
    before = text_of(scene)
    recipe = "```sh recipe\nrm -rf .\n```"
    scene.cli("backlog", "add", "Nice", "-d", recipe, code=2)
    said = scene.cli("backlog", "add", "Nice", "--depends", "LO-zzzzzz", code=2)
    assert "LO-zzzzzz" in said.err
    assert text_of(scene) == before


def test_add_refuses_a_link_and_a_missing_file(scene: Project, tmp_path: Path) -> None:
    """Through a link it would write somewhere else."""
    elsewhere = tmp_path / "elsewhere.md"
    elsewhere.write_text("# Mine\n", encoding="utf-8")
    path = scene.folder / "BACKLOG.md"
    path.unlink()
    assert "lifeos init" in scene.cli("backlog", "add", "Nice", code=2).err
    path.symlink_to(elsewhere)
    scene.cli("backlog", "add", "Nice", code=2)
    assert elsewhere.read_text(encoding="utf-8") == "# Mine\n"


def test_no_title_drives_the_terminal(scene: Project) -> None:
    """Escapes, controls and direction marks are dropped on the way in, and on every way out."""
    scene.cli("backlog", "add", "Evil \x1b[2J\x9b31m\u202e title", "--commit")
    assert "Evil title" in text_of(scene)
    raw = text_of(scene).replace("Evil title", "Evil \x1b[2J\x9b31m\u202e title")
    (scene.folder / "BACKLOG.md").write_bytes(raw.encode())
    scene.git("commit", "--quiet", "--all", "--message=evil")
    for args in (["backlog", "list"], ["next", "--explain"], ["status"]):
        for more in ([], ["--json"]):
            said = scene.cli(*args, *more)
            assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", said.out + said.err)


# --- fmt --------------------------------------------------------------------------------------


def test_fmt_gives_ids_and_changes_nothing_else(scene: Project) -> None:
    """Without the ids the file is as it was; a second time there is nothing to do."""
    append(scene, LATER)
    before = text_of(scene)
    said = scene.cli("backlog", "fmt", "--check", code=1)
    assert "Second" in said.out
    assert text_of(scene) == before
    data = scene.cli("backlog", "fmt", "--json").data
    ids = [row["id"] for row in data["lacked"]]
    assert len(set(ids)) == 2
    after = text_of(scene)
    for name in ids:
        after = after.replace(f"**{name}** ", "")
    assert after == before
    assert scene.cli("backlog", "fmt", "--check").out == "every task has an id\n"


def test_fmt_keeps_line_ends_and_the_file_mode(scene: Project) -> None:
    """A file of another system stays one."""
    path = scene.folder / "BACKLOG.md"
    path.write_bytes(b"# B\r\n\r\n- [ ] One\r\n- [ ] Two")
    path.chmod(0o640)
    scene.cli("backlog", "fmt")
    assert re.fullmatch(
        rb"# B\r\n\r\n- \[ \] \*\*LO-\w{6}\*\* One\r\n- \[ \] \*\*LO-\w{6}\*\* Two",
        path.read_bytes(),
    )
    assert path.stat().st_mode & 0o777 == 0o640


# --- list -------------------------------------------------------------------------------------


def test_list_shows_main_in_order_and_how_each_task_stands(tmp_path: Path) -> None:
    """Asking, ready, in error; done only with --all; what is not committed is only counted."""
    scene = project(tmp_path, "asking", asking)
    append(scene, LATER)
    assert "3 tasks are not committed" in scene.cli("backlog", "list").out
    scene.git("commit", "--quiet", "--all", "--message=more")
    data = scene.cli("backlog", "list", "--json").data
    states = {row["title"]: row["state"] for row in data["tasks"]}
    item = scene.item().id
    assert states == {
        "Say hello in the guide": f"asks {item}",
        "Second": "waits",
        "Third": "error",
    }
    assert data["hidden"] == 1
    assert data["uncommitted"] == 0
    assert "BACKLOG.md" in data["problems"][0]["file"]
    every = scene.cli("backlog", "list", "--all").out
    assert re.search(r"LO-done00\s+done\s+Fourth", every)
