"""status, next and queue: what they say is so, and saying it changes nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from command_line import BOB, TASK, Project, asking, fresh, project
from conftest import Git
from lifeos.core.answers import answer_path
from lifeos.model import Decision


@pytest.fixture
def first(tmp_path: Path) -> Project:
    """A project with one task, before the first tick."""
    return project(tmp_path, "fresh", fresh)


@pytest.fixture
def asked(tmp_path: Path) -> Project:
    """A project whose only question is whether to land the work."""
    return project(tmp_path, "asking", asking)


# --- status -----------------------------------------------------------------------------------


def test_where_lifeos_is_not_set_up_each_command_says_how_to(repo: Path, git: Git) -> None:
    """Exit 2 with the next action; also when the files are there and not committed."""
    scene = Project(repo)
    for command in (["status"], ["next"], ["queue"], ["backlog", "list"], ["cancel", "x"]):
        assert "lifeos init --commit" in scene.cli(*command, code=2).err
    scene.cli("init")
    assert "not committed" in scene.cli("status", code=2).err
    git("checkout", "--quiet", "--orphan", "empty")
    assert "first commit" in scene.cli("status", code=2).err


def test_before_the_first_tick_it_says_what_begins(first: Project) -> None:
    """No ledger is no error; answering is, and names the way."""
    said = first.cli("status")
    assert "the first lifeos tick begins it" in said.out
    assert said.out.endswith("next: lifeos tick\n")
    assert first.cli("queue").out == "nothing waits for the CEO\n"
    assert "lifeos tick" in first.cli("approve", "Q-00000000", code=2).err


def test_a_question_is_shown_and_the_exit_code_says_whether_anyone_is_needed(
    asked: Project,
) -> None:
    """8 while the CEO is waited for; 0 once the answer lies on main, and without the option."""
    item = asked.item()
    said = asked.cli("status", "--exit-code", code=8)
    for word in (item.id, TASK, "stage_review", f"waits for {item.id}"):
        assert word in said.out
    assert said.out.endswith(f"next: lifeos queue show {item.id}\n")
    asked.cli("status")
    asked.cli("approve", item.id)
    after = asked.cli("status", "--exit-code")
    assert "(answered)" in after.out
    assert after.out.endswith("next: lifeos tick\n")


def test_what_ended_is_shown_with_what_landed(asked: Project) -> None:
    """Run, task, outcome, title, and the commit on main."""
    asked.cli("approve", TASK)
    asked.tick()
    (ended,) = asked.cli("status", "--json").data["ended"]
    assert (ended["task"], ended["outcome"]) == (TASK, "pass")
    assert ended["title"] == "Say hello in the guide"
    assert asked.git("merge-base", "--is-ancestor", ended["landed"], "main") == ""


def test_what_is_not_committed_is_counted(first: Project) -> None:
    """New, changed and removed tasks count once each; changed rules are named."""
    path = first.folder / "BACKLOG.md"
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("hello in", "goodbye in") + "\n- [ ] one\n- [ ] two\n", "utf-8")
    assert "3 tasks in BACKLOG.md are not committed" in first.cli("status").out
    path.write_text("# Backlog\n", encoding="utf-8")
    assert "1 task in BACKLOG.md is not committed" in first.cli("status").out
    path.write_bytes(text.replace("\n", "\r\n").encode())
    loop = first.folder / "policies" / "loop.yaml"
    loop.write_text(loop.read_text(encoding="utf-8") + "# mine\n", encoding="utf-8")
    data = first.cli("status", "--json").data["uncommitted"]
    assert data["files"] == ["policies/loop.yaml"]
    assert data["tasks"] == 0


def test_a_checkout_that_is_only_behind_main_is_nothing_to_commit(asked: Project) -> None:
    """The mark that lifeos set on main is not the person's edit."""
    asked.git("checkout", "--quiet", "main~1")
    assert asked.cli("status", "--json").data["uncommitted"]["files"] == []
    asked.git("checkout", "--quiet", "-b", "side")
    asked.commit({"BACKLOG.md": "# Backlog\n\n- [ ] other\n"})
    said = asked.cli("status").out
    assert "this work tree is on side" in said
    assert "not on main" in said


@pytest.mark.parametrize(
    ("change", "state"),
    [("autonomy: supervised", "differs"), ("autonomy: nonsense", "broken")],
)
def test_rules_on_main_that_are_not_the_adopted_ones_are_named(
    asked: Project, change: str, state: str
) -> None:
    """A change by no approver; and a set that nobody could adopt, with its place."""
    new = change if state == "broken" else "autonomy: full"
    asked.commit(
        dict(asked.edit("policies/loop.yaml", "autonomy: supervised", new)),
        author=BOB,
        committer=BOB,
    )
    rules = asked.cli("status", "--json").data["rules"]
    assert rules["state"] == state
    said = asked.cli("status").out
    if state == "broken":
        assert rules["problems"][0]["file"] == "policies/loop.yaml"
        assert rules["problems"][0]["line"] > 0
        assert "are broken" in said
    else:
        assert "not adopted yet" in said


def test_looking_changes_nothing(asked: Project) -> None:
    """No reference, no file, no index; the second look uses what the first remembered."""
    refs, status = asked.refs(), asked.git("status", "--porcelain")
    index = (asked.folder / ".git" / "index").read_bytes()
    looks = (["status"], ["next", "--explain"], ["queue"], ["queue", "show", TASK])
    for args in (*looks, *looks, ["backlog", "list", "--all"]):
        asked.cli(*args)
    assert asked.refs() == refs
    assert (asked.folder / ".git" / "index").read_bytes() == index
    assert asked.git("status", "--porcelain") == status


def test_a_damaged_memory_of_the_rules_is_not_believed(asked: Project) -> None:
    """What does not hold the adopted digest is read anew from the ledger."""
    asked.cli("status")
    (memory,) = (asked.folder / ".git" / "lifeos" / "cache").glob("rules-*")
    text = memory.read_text(encoding="utf-8")
    for bad in ("{", text.replace('"cost_per_day":50.0', '"cost_per_day":"lots"')):
        assert bad != text
        memory.write_text(bad, encoding="utf-8")
        assert "of $50.00 today" in asked.cli("status").out
    other = text.replace(asked.snapshot().governance, "0" * 64)
    memory.write_text(other.replace('"cost_per_day":50.0', '"cost_per_day":51.0'), "utf-8")
    assert "of $50.00 today" in asked.cli("status").out


# --- next -------------------------------------------------------------------------------------


def test_next_names_the_task_that_the_tick_opens(first: Project) -> None:
    """And why; from a linked worktree too."""
    assert TASK in first.cli("next").out
    assert first.cli("next", "--json").data["next"]["id"] == TASK
    first.tick()
    assert first.run().task == TASK


def test_next_explains_every_open_task(asked: Project) -> None:
    """The run that waits, a dependency, a mistake with line, column and fix; nothing hides."""
    more = (
        f"\n- [ ] **LO-bbbbbb** After\n  - depends: {TASK}\n"
        "\n- [ ] **LO-cccccc** Broken\n  - depends: LO-nothere\n"
        "\n- [ ] **LO-dddddd** Free\n  - scope: `src/**`\n"
    )
    text = (asked.folder / "BACKLOG.md").read_text(encoding="utf-8")
    asked.commit({"BACKLOG.md": text + more})
    data = asked.cli("next", "--explain", "--json").data
    reasons = {task["id"]: task["reason"] for task in data["tasks"]}
    assert asked.item().id in reasons[TASK]
    assert reasons["LO-bbbbbb"] == f"waits for {TASK}"
    assert "LO-nothere" in reasons["LO-cccccc"]
    assert data["next"]["id"] == "LO-dddddd"
    (problem,) = data["problems"]
    lines = (text + more).splitlines()
    assert lines[problem["line"] - 1][problem["column"] - 1 :].startswith("LO-nothere")
    said = asked.cli("next", "--explain").out
    assert f"BACKLOG.md:{problem['line']}:{problem['column']}" in said
    assert "fix:" in said


def test_next_says_when_there_is_none_and_when_it_is_stopped(asked: Project) -> None:
    """Nothing to open is said with the reason at hand, and STOP is not forgotten."""
    said = asked.cli("next")
    assert "none of 1 open task" in said.out
    asked.cli("stop")
    assert "lifeos resume" in asked.cli("next").out


# --- queue ------------------------------------------------------------------------------------


def test_the_queue_lists_and_shows_the_file_as_the_ledger_has_it(asked: Project) -> None:
    """Bare `queue` is `queue list`; `show` gives the pending file, whatever main's copy says."""
    item = asked.item()
    listed = asked.cli("queue").out
    assert listed == asked.cli("queue", "list").out
    assert item.id in listed
    assert "lifeos approve" in listed
    text = asked.at_main(f".lifeos/queue/{item.id}.md")
    asked.commit({f".lifeos/queue/{item.id}.md": "# Approve everything\n"})
    assert asked.cli("queue", "show", item.id, "--json").data["text"].strip() == text.strip()
    data = asked.cli("queue", "--json").data["items"]
    assert data[0]["answers"].keys() == {"approve", "revise", "reject"}
    assert data[0]["given"] is None
    assert "lifeos queue" in asked.cli("queue", "show", "Q-00000000", code=2).err


def test_the_queue_says_which_answers_are_there_and_which_do_not_count(asked: Project) -> None:
    """A stranger's file is named with its reason; the approver's with who and when it is taken."""
    item = asked.item().id
    asked.commit(dict(asked.answer(Decision.APPROVE)), author=BOB, committer=BOB)
    refused = asked.cli("queue", "--json").data["items"][0]["given"]
    assert refused["decision"] is None
    assert BOB in refused["refused"]
    assert BOB in asked.cli("queue").out
    assert BOB in asked.cli("queue", "show", item).out
    asked.commit({answer_path(item): None})
    asked.cli("approve", item)
    said = asked.cli("queue").out
    assert f"{item} is answered: approve by" in said
    assert "next: lifeos tick" in said
