"""What a person reads who does odd things: lifeos says what is so, and what to do next."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import pytest

import warm
from conftest import Git

CHECK = 'checks:\n  - {name: green, run: "test ! -e red", kind: test, fast: true, timeout: 60}\n'
BACKLOG = """\
## P1

- [ ] **LO-a** Change a
  - scope: `a.txt`

  ```sh recipe
  sed -i 's/^old$/new/' a.txt
  ```

- [ ] Change b
  - scope: `b.txt`

  ```sh recipe
  echo new > b.txt
  ```
"""


@dataclass(frozen=True)
class Desk:
    """A person with a clone. ``lifeos`` gives the exit code and all that was said."""

    folder: Path
    git: Git

    def lifeos(self, *args: str) -> tuple[int, str]:
        done = warm.run(args, self.folder, os.environ)
        return done.returncode, done.stdout + done.stderr

    def commit(self, path: str, text: str) -> None:
        (self.folder / path).write_text(text, encoding="utf-8")
        self.git("add", path)
        self.git("commit", "--quiet", f"--message=Change {path}")

    def question(self) -> str:
        """The one pending file."""
        (path,) = (self.folder / ".lifeos/queue").glob("*.md")
        return path.read_text(encoding="utf-8")


@pytest.fixture
def desk(repo: Path, git: Git) -> Desk:
    """A repository with two tasks and a check that is red where a file `red` is."""
    found = Desk(repo, git)
    found.commit("a.txt", "old\n")
    found.commit("BACKLOG.md", BACKLOG)
    code, said = found.lifeos("init", "--commit")
    assert code == 0, said
    config = (repo / ".lifeos/config.yaml").read_text(encoding="utf-8")
    found.commit(".lifeos/config.yaml", config.replace("checks: []\n", CHECK))
    return found


@pytest.mark.sandbox
def test_a_task_is_meant_by_its_title_or_not_at_all(desk: Desk) -> None:
    """`--task` takes a title, also of a task without an id; a name of no task is an error."""
    code, said = desk.lifeos("tick", "--task", "Change c")
    assert (code, "no task on main is called 'Change c'" in said) == (2, True), said
    code, said = desk.lifeos("tick", "--task", "Change b")
    assert (code, "Change a" in said) == (0, False), said
    assert "# Q-" in desk.question()
    assert "b.txt" in desk.question()


@pytest.mark.sandbox
def test_every_tick_says_why_nothing_goes_on(desk: Desk) -> None:
    """A run that waits for a green main, the kill switch, broken rules: none is `nothing to do`."""
    desk.commit("red", "")
    for _ in range(2):
        code, said = desk.lifeos("tick", "--task", "LO-a")
        assert code == 0
        assert "paused: LO-a at design until main moves or " in said
        assert "nothing to do" not in said
    desk.lifeos("stop")
    assert "stopped: nothing begins until lifeos resume" in desk.lifeos("tick")[1]
    desk.lifeos("resume")
    desk.commit("policies/loop.yaml", "version: [\n")
    said = desk.lifeos("tick")[1]
    assert "policies/loop.yaml:2:1: is not valid YAML" in said
    assert "the rules on main are broken: nothing begins until they are mended" in said


@pytest.mark.sandbox
def test_a_question_says_why_it_is_asked_again(desk: Desk) -> None:
    """Main moved over the work after the approval; then nothing is left to change."""
    desk.lifeos("tick", "--task", "LO-a")
    assert "\n**Land this work?**\n" in desk.question()
    assert "- **approve**: land it on main, and mark the task done" in desk.question()
    desk.lifeos("approve", "LO-a")
    desk.commit("a.txt", "mine\n")
    desk.lifeos("tick", "--task", "LO-a")
    assert "Main has moved since you approved this. Land this work?" in desk.question()
    desk.lifeos("approve", "LO-a")
    desk.lifeos("tick", "--task", "LO-a")
    asked = desk.question()
    assert "the same tree 2 times in a row (no\\_change: nothing was changed); what now?" in asked
    assert "## The change" not in asked, "there is none"
    assert "plan\\_review by rule: **accept**" in asked, "and nobody reviewed a build"


@pytest.mark.sandbox
def test_a_reworded_task_is_asked_about_in_its_own_words(desk: Desk) -> None:
    """What approve and revise do to work that was built for another text."""
    desk.lifeos("tick", "--task", "LO-a")
    now = (desk.folder / "BACKLOG.md").read_text(encoding="utf-8")
    desk.commit("BACKLOG.md", now.replace("/new/' a.txt", "/newer/' a.txt"))
    desk.lifeos("tick", "--task", "LO-a")
    assert "- **approve**: go on from here, keeping what is done" in desk.question()
    assert "- **revise**: rework from the plan, by the new text" in desk.question()


def test_an_id_with_another_prefix_is_explained(desk: Desk) -> None:
    """A dependency that can be no id here says what ids look like."""
    desk.commit("BACKLOG.md", BACKLOG + "\n- [ ] Change c\n  - depends: XY-1\n")
    code, said = desk.lifeos("validate")
    assert code != 0
    assert "depends on XY-1, which no task has as its id" in said
    assert "ids begin with LO- here" in said
