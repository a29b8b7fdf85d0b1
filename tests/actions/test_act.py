"""The workflows, run by `act` against a real git server: from a task to the landed change."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pytest

import act_scene
import guide
from act_scene import BOT, CI_USER, PERSON, Actions
from clones import LEDGER
from scripted_model import ScriptedModel, Step, Turn, steps, text, tool
from scripted_team import Team, part, plan

pytestmark = pytest.mark.sandbox

HELLO = """\
- [ ] **LO-aaaaaa** Say ::error::hello in the guide #docs
  - scope: `docs/**`
  - risk: low

  Acceptance:
  - [ ] it says hello: `grep -q hello docs/guide.md`

  ```sh recipe
  mkdir -p docs && echo hello > docs/guide.md
  ```
"""
LIST = """\
- [ ] **LO-bbbbbb** Write the list #docs
  - scope: `list/**`
  - risk: low

  Acceptance:
  - [ ] it has one: `grep -q one list/all.md`
"""
KEY = "sk-notarealkey-0123456789abcdef0123"
TOLD = "told-by-nobody-else-0123456789"
TELL = """\
#!/bin/sh
test "$TELL_TOKEN" = {token} || exit 9
cat > {folder}/$$.json
"""


def path_of(turn: Turn) -> str:
    """The file that the task of this turn is about."""
    return "list/all.md" if "Write the list" in part(turn, "task.md") else "docs/guide.md"


def write_it(turn: Turn) -> Step:
    """The builder, as the model plays it."""
    path = path_of(turn)
    words = "one\n" if path == "list/all.md" else "hello\n"
    done = tool("write", filePath=f"/work/{path}", content=words)
    return steps(done, text("Wrote it."))(turn)


def team() -> Team:
    """Everybody on one scripted model, for both tasks."""
    return Team(write_it, roles={"planner": lambda turn: plan(path_of(turn))(turn)})


def landed(actions: Actions) -> dict[str, str]:
    """What each run that passed has landed, by its task: a commit of main.

    Its packet on the ledger is about that very commit, and `lifeos verify` finds nothing.
    """
    records = actions.hub.ledger()
    tasks = {each["run"]: each["task"] for each in records if each["kind"] == "opened"}
    ended = [each for each in records if each["kind"] == "closed"]
    assert {each["outcome"] for each in ended} == {"pass"}
    for each in ended:
        (subject,) = actions.packet(each["run"])["subject"]
        assert subject["digest"]["gitCommit"] == each["landed"]
        actions.hub.git("merge-base", "--is-ancestor", each["landed"], "main")
    fresh = actions.hub.clone("a-fresh-look")
    fresh.git("fetch", "--quiet", "origin", "+lifeos/ledger:lifeos/ledger")
    assert fresh.cli("verify", "--json").data["good"]
    return {tasks[each["run"]]: each["landed"] for each in ended}


def kept_to_itself(actions: Actions, model: ScriptedModel) -> None:
    """The model's key is in nothing that was printed, pushed or handed over; the model had it."""
    assert model.faults == []
    assert {asked.headers.get("authorization") for asked in model.requests} == {f"Bearer {KEY}"}
    assert all(KEY not in run.log for run in actions.runs)
    assert KEY not in actions.hub.git("log", "--all", "--patch", "--text")
    artifacts = actions.folder / "artifacts"
    handed = [path for path in artifacts.rglob("*") if path.is_file()]
    assert handed
    assert all(KEY.encode() not in path.read_bytes() for path in handed)


def pushed_as_they_may(actions: Actions) -> None:
    """Only the trusted jobs pushed, and the person main; the server would take nothing else."""
    pushes = actions.pushes()
    assert {who for who, _, _ in (line.partition(" ") for line in pushes)} == {PERSON, CI_USER}
    assert f"{CI_USER} {LEDGER}" in pushes
    assert {each for each in pushes if each.startswith(f"{PERSON} ")} == {
        f"{PERSON} refs/heads/main"
    }
    said = actions.refused("push", "origin", "refs/heads/main:refs/heads/lifeos/mine")
    assert f"{PERSON} may not push refs/heads/lifeos/mine" in said


def tell(actions: Actions) -> Path:
    """A program that keeps what it is told, in a folder; it wants its secret."""
    folder = actions.folder / "told"
    folder.mkdir()
    program = actions.folder / "programs" / "tell-somebody"
    program.write_text(TELL.format(token=TOLD, folder=folder))
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    actions.secrets["TELL_TOKEN"] = TOLD
    return folder


def told(folder: Path, occasion: str) -> list[str]:
    """The texts of the notices of a kind, in the order in which they came."""
    files = sorted(folder.glob("*.json"), key=os.path.getmtime)
    data = [json.loads(path.read_text())["data"] for path in files]
    return [each["text"] for each in data if each["occasion"] == occasion]


@pytest.mark.heavy
def test_opencode_on_two_tasks_and_merges_where_main_is_pushed(tmp_path: Path) -> None:
    """From two tasks, side by side in the matrix, to queue PRs, their merges, and what landed.

    OpenCode builds.

    What is handed over under a name that was not claimed is not looked at. Titles are no commands
    of the workflow. Somebody is told of the questions, and gets the digest by its own clock.
    """
    backlog = f"# Backlog\n\n## P0\n\n{HELLO}\n{LIST}"
    cast = team()
    with (
        ScriptedModel(cast) as model,
        act_scene.begin(tmp_path, backlog, by_merge=True) as actions,
    ):
        folder = tell(actions)
        notify = {"command": ["tell-somebody"], "environment": ["TELL_TOKEN"]}
        # All stages by it are in the test below: each costs seconds.
        actions.use_opencode(model.url, KEY, ["build"], notify=notify)
        foreign = tmp_path / "artifacts/1001/checked-R-foreign.1"
        foreign.mkdir(parents=True)
        (foreign / "checked.json").write_text("{}")
        ran = actions.push()
        assert ran.code == 0, ran.log
        assert ran.names() == [
            *("check design", "check design", "claim", "collect", "design", "design", "next")
        ]
        assert set(ran.jobs().values()) == {"succeeded"}
        assert "## lifeos: collect" in ran.log
        actions.rounds()
        assert len(cast.asked) == 4, "twice for each task: a tool, and the last word"
        pulls = list(actions.forge.pulls.values())
        assert {each.author.login for each in pulls if each.author} == {BOT}
        assert [each.state for each in pulls] == ["open", "open"], "both are asked about"
        (pull,) = [each for each in pulls if "LO-aaaaaa" in each.title]
        assert guide.question(pull.title, pull.body) == guide.masked(guide.BLOCKS["question"])
        assert len(told(folder, "waits")) > 0
        assert told(folder, "digest") == []
        ran = actions.run("schedule", schedule="11 7 * * *")
        assert (ran.code, ran.jobs()) == (0, {"digest": "succeeded"}), ran.log
        (digest,) = told(folder, "digest")
        assert "hello in the guide (LO-aaaaaa)" in digest
        assert "Write the list (LO-bbbbbb)" in digest
        for pull in pulls:
            actions.forge.merge(pull.number, by=PERSON)
        ran = actions.run("push")
        assert ran.code == 0, ran.log
        actions.rounds()
        assert actions.hub.wrong(["LO-aaaaaa", "LO-bbbbbb"]) == []
        commits = landed(actions)
        assert actions.hub.git("show", f"{commits['LO-aaaaaa']}:docs/guide.md") == "hello"
        assert actions.hub.git("show", f"{commits['LO-bbbbbb']}:list/all.md") == "one"
        assert "::error::" not in "".join(run.commands() for run in actions.runs)
        assert all(TOLD not in run.log for run in actions.runs)
        kept_to_itself(actions, model)
        pushed_as_they_may(actions)


@pytest.mark.heavy
def test_opencode_and_merges_where_main_takes_only_pull_requests(tmp_path: Path) -> None:
    """From a task to the landing PR that carries the work, its merge, and what landed."""
    cast = team()
    with (
        ScriptedModel(cast) as model,
        act_scene.begin(
            tmp_path, f"# Backlog\n\n## P0\n\n{HELLO}", by_merge=True, writes="pr"
        ) as actions,
    ):
        actions.use_opencode(model.url, KEY)
        ran = actions.push()
        assert ran.code == 0, ran.log
        actions.rounds()
        assert {"designer", "planner"} < set(cast.asked)
        while actions.hub.kinds()["closed"] == 0:
            (pull,) = [each for each in actions.forge.pulls.values() if each.state == "open"]
            ran = actions.merge(pull.number)
            assert ran.code == 0, ran.log
            actions.rounds()
        commits = landed(actions)
        assert actions.hub.git("show", f"{commits['LO-aaaaaa']}:docs/guide.md") == "hello"
        assert "- [x] **LO-aaaaaa**" in actions.hub.git("show", "main:BACKLOG.md")
        assert {move.kind for move in actions.forge.moved("refs/heads/main")[:-1]} == {"pr_merge"}
        kept_to_itself(actions, model)
        pushed_as_they_may(actions)


@pytest.mark.heavy
def test_the_projects_own_workflow_and_a_signed_answer(tmp_path: Path) -> None:
    """The one in `.github/` of lifeos, by its action: a signed answer has the work landed."""
    with act_scene.begin(tmp_path, f"# Backlog\n\n## P0\n\n{HELLO}") as actions:
        actions.use_action()
        ran = actions.push()
        assert ran.code == 0, ran.log
        assert ran.names() == guide.jobs()
        assert guide.shown("claimed", ran.log)
        assert set(ran.jobs().values()) == {"succeeded"}
        assert actions.hub.kinds() == {"noted": 1, "opened": 1, "claimed": 1, "finished": 1}
        assert [each[0] for each in actions.forge.dispatched] == ["lifeos.yml"]
        actions.rounds()
        (item,) = (actions.pulled().folder / ".lifeos/queue").glob("Q-*.md")
        actions.person.cli("approve", item.stem)
        ran = actions.pushed()
        assert ran.code == 0, ran.log
        assert guide.shown("landed", ran.log)
        actions.rounds()
        assert actions.hub.wrong(["LO-aaaaaa"]) == []
        assert set(landed(actions)) == {"LO-aaaaaa"}
        assert "::error::" not in "".join(run.commands() for run in actions.runs)
        pushed_as_they_may(actions)
