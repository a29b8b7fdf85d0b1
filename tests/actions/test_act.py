"""The workflow that `lifeos init --github` writes, run by `act` against a real git server."""

from __future__ import annotations

from pathlib import Path

import pytest

import act_scene
from scripted_model import ScriptedModel, Step, Turn, steps, text, tool
from scripted_team import Team

pytestmark = pytest.mark.sandbox

HELLO = """\
- [ ] **LO-aaaaaa** Say ::error::hello in the guide #docs
  - scope: `docs/**`
  - risk: low

  ```sh recipe
  mkdir -p docs && echo hello > docs/guide.md
  ```
"""
LIST = """\
- [ ] **LO-bbbbbb** Write the list #docs
  - scope: `list/**`
  - risk: low

  ```sh recipe
  mkdir -p list && echo one > list/all.md
  ```
"""
GUIDE = """\
- [ ] **LO-cccccc** Say hello in the guide #docs
  - scope: `docs/**`
  - risk: low

  Acceptance:
  - [ ] it says hello: `grep -q hello docs/guide.md`
"""
KEY = "sk-notarealkey-0123456789abcdef0123"
WHO_PUSHES = 'while read old new ref; do echo "$REMOTE_USER $ref" >> pushes; done'


def test_from_a_backlog_to_landed_work(tmp_path: Path) -> None:
    """A push starts it, rounds follow until it asks; signed answers, pushed, have it landed.

    Two tasks go side by side in the matrix. Only the trusted jobs push, and the person. What is
    handed over under a name that was not claimed is not looked at.
    """
    with act_scene.begin(tmp_path, f"# Backlog\n\n## P0\n\n{HELLO}\n{LIST}") as actions:
        actions.hub.hook("pre-receive", WHO_PUSHES)
        foreign = tmp_path / "artifacts/1001/checked-R-foreign.1"
        foreign.mkdir(parents=True)
        (foreign / "checked.json").write_text("{}")
        ran = actions.pushed()
        assert ran.code == 0, ran.log
        assert ran.names() == [
            *("check design", "check design", "claim", "collect", "design", "design", "next")
        ]
        assert set(ran.jobs().values()) == {"succeeded"}
        assert "## lifeos: collect" in ran.log
        assert "::error::" not in ran.commands()
        actions.rounds()
        assert actions.hub.kinds()["held"] == 2, "both are asked about"
        waiting = sorted((actions.pulled().folder / ".lifeos/queue").glob("Q-*.md"))
        assert len(waiting) == 2
        for item in waiting:
            actions.person.cli("approve", item.stem)
        ran = actions.pushed()
        assert ran.code == 0, ran.log
        actions.rounds()
        assert actions.hub.wrong(["LO-aaaaaa", "LO-bbbbbb"]) == []
        pushes = set((actions.hub.folder / "pushes").read_text().split("\n")) - {""}
        by_the_person = {f"{act_scene.PERSON} refs/heads/main"}
        assert {line for line in pushes if line.startswith(f"{act_scene.PERSON} ")} == by_the_person
        assert f"{act_scene.CI_USER} refs/heads/lifeos/ledger" in pushes
        assert {line.partition(" ")[0] for line in pushes} == {act_scene.PERSON, act_scene.CI_USER}


@pytest.mark.long
def test_a_merged_pull_request_is_the_answer(tmp_path: Path) -> None:
    """The workflow's own token asks by a pull request; the person's merge there starts the rest."""
    with act_scene.begin(tmp_path, f"# Backlog\n\n## P0\n\n{HELLO}", by_merge=True) as actions:
        ran = actions.pushed()
        assert ran.code == 0, ran.log
        actions.rounds()
        (pull,) = actions.forge.pulls.values()
        assert pull.author is not None
        assert pull.author.login == act_scene.BOT
        ran = actions.merge(pull.number)
        assert ran.code == 0, ran.log
        actions.rounds()
        assert actions.hub.wrong(["LO-aaaaaa"]) == []


def test_the_action_does_one_part_or_another(tmp_path: Path) -> None:
    """The project's own workflow, which uses it: a round that ends with a recorded attempt."""
    with act_scene.begin(tmp_path, f"# Backlog\n\n## P0\n\n{HELLO}") as actions:
        actions.use_action()
        ran = actions.push()
        assert ran.code == 0, ran.log
        assert ran.names() == ["check design", "claim", "collect", "design", "next"]
        assert actions.hub.kinds() == {"noted": 1, "opened": 1, "claimed": 1, "finished": 1}
        assert [each[0] for each in actions.forge.dispatched] == ["lifeos.yml"]


def write_guide(turn: Turn) -> Step:
    """The builder, as the model plays it."""
    done = tool("write", filePath="/work/docs/guide.md", content="hello\n")
    return steps(done, text("Wrote the guide."))(turn)


def test_opencode_in_the_matrix_and_a_merge_on_the_forge(tmp_path: Path) -> None:
    """All of it at once: a task, OpenCode on a model in the attempts, a pull request, its merge.

    Main takes nothing but pull requests: the landing is one.

    The model's key is in nothing that was printed, pushed or handed over.
    """
    team = Team(write_guide, paths=("docs/**",))
    with (
        ScriptedModel(team) as model,
        act_scene.begin(
            tmp_path, f"# Backlog\n\n## P0\n\n{GUIDE}", by_merge=True, writes="pr"
        ) as actions,
    ):
        actions.use_opencode(model.url, KEY)
        ran = actions.push()
        assert ran.code == 0, ran.log
        actions.rounds()
        assert {"designer", "planner"} < set(team.asked)
        while actions.hub.kinds()["closed"] == 0:
            (pull,) = [each for each in actions.forge.pulls.values() if each.state == "open"]
            ran = actions.merge(pull.number)
            assert ran.code == 0, ran.log
            actions.rounds()
        ended = [each["outcome"] for each in actions.hub.ledger() if each["kind"] == "closed"]
        assert ended == ["pass"]
        assert "- [x] **LO-cccccc**" in actions.hub.git("show", "main:BACKLOG.md")
        assert {move.kind for move in actions.forge.moved("refs/heads/main")[:-1]} == {"pr_merge"}
        assert actions.hub.git("show", "main:docs/guide.md") == "hello"
        assert {asked.headers.get("authorization") for asked in model.requests} == {f"Bearer {KEY}"}
        assert all(KEY not in run.log for run in actions.runs)
        assert KEY not in actions.hub.git("log", "--all", "--patch", "--text")
        handed = [path for path in (tmp_path / "artifacts").rglob("*") if path.is_file()]
        assert handed
        assert all(KEY.encode() not in path.read_bytes() for path in handed)
    assert model.faults == []
