"""``lifeos backtest``: other rules on a real ledger, by the real command."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from command_line import BOB, Project
from lifeos.cli.backtest_command import BackTestData
from lifeos.core.backtest import Departure
from lifeos.model import Decision
from loop_scene import begin_scene, changed

BACKLOG = """\
# Backlog

## P0

- [ ] **LO-aaaaaa** Say hello in the guide
  - scope: `docs/**`
  - risk: low

  ```sh recipe
  mkdir -p docs && echo hello > docs/hello.md
  ```

- [ ] **LO-bbbbbb** Say goodbye in the guide
  - scope: `docs/**`
  - risk: low

  ```sh recipe
  mkdir -p docs && echo goodbye > docs/goodbye.md
  ```

- [ ] **LO-cccccc** Say nothing
  - scope: `src/**`
  - risk: low

  ```sh recipe
  mkdir -p docs && echo nothing > docs/nothing.md
  ```
"""
FULL = "autonomy: full"
SUPERVISED = "autonomy: supervised"
_MADE: dict[str, Project] = {}


@pytest.fixture
def past(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """One run landed by a yes, one was rejected before landing, one for a breach."""
    if "past" not in _MADE:
        scene = begin_scene(tmp_path_factory.mktemp("backtest") / "past", backlog=BACKLOG)
        answers = {
            "LO-aaaaaa": Decision.APPROVE,
            "LO-bbbbbb": Decision.REJECT,
            "LO-cccccc": Decision.REJECT,
        }
        for _ in range(3):  # the first two share a scope: one after the other
            scene.tick()
            snapshot = scene.snapshot()
            for item in snapshot.items.values():
                decision = answers[snapshot.runs[item.run or ""].task]
                comment = "" if decision is Decision.APPROVE else "no"
                scene.commit(dict(scene.answer(decision, comment, item)))
        assert not scene.snapshot().runs
        _MADE["past"] = Project(scene.folder, scene.now)
    copy = _MADE["past"].copy(tmp_path / "repo")
    return Project(copy.folder, copy.now)


def loop(project: Project, new: str = FULL) -> str:
    """The loop policy with another autonomy."""
    text = (project.folder / "policies/loop.yaml").read_text(encoding="utf-8")
    return changed(text, f"\n{SUPERVISED}", f"\n{new}")


def departures(data: Any) -> list[tuple[str, str]]:
    """In which way which task."""
    return [(one["departure"], one["task"]) for one in data["found"]["differences"]]


LANDED = [
    ("would_have_landed_although_rejected", "LO-bbbbbb"),
    ("would_not_have_been_asked", "LO-aaaaaa"),
]


def test_the_work_tree_is_tried_worst_first_and_nothing_is_written(past: Project) -> None:
    """The edited file, uncommitted; what was rejected comes first; refs and files stay."""
    past.write({"policies/loop.yaml": loop(past)})
    before = past.refs(), past.git("status", "--porcelain")
    said = past.cli("backtest")
    assert (past.refs(), past.git("status", "--porcelain")) == before
    lines = said.out.splitlines()
    assert lines[0] == "tried: the rules of the work tree"
    assert "  loop.autonomy: supervised -> full" in lines
    (first,) = [line for line in lines if line.startswith("grave")]
    assert "1  task that you rejected would have landed by itself" in first
    assert "autonomy:supervised -> nothing  [LO-bbbbbb]" in said.out
    assert said.out.index("grave") < said.out.index("gain") < said.out.index("Saved:")
    assert departures(past.cli("backtest", "--json").data) == LANDED


def test_the_adopted_rules_change_nothing(past: Project) -> None:
    """Without an edit there is nothing to tell, and nothing is weaker."""
    said = past.cli("backtest", "--fail-on-weaker")
    assert "3 runs" in said.out
    assert "all would have gone the same way" in said.out


def test_a_commit_a_folder_and_a_single_file_are_tried_the_same(
    past: Project, tmp_path: Path
) -> None:
    """A branch; a folder with policies/; one with the changed file alone; the whole repository."""
    past.git("branch", "tried")
    past.git("switch", "--quiet", "tried")
    past.commit({"policies/loop.yaml": loop(past)})
    whole, loose = tmp_path / "whole", tmp_path / "loose"
    for place in (whole / "policies", loose):
        place.mkdir(parents=True)
        text = (past.folder / "policies/loop.yaml").read_text(encoding="utf-8")
        (place / "loop.yaml").write_text(text, encoding="utf-8")
    for policies in ("tried", str(whole), str(loose), "."):
        data = past.cli("backtest", "--policies", policies, "--json").data
        assert departures(data) == LANDED, policies
        filled = data["candidate"]["filled"]
        assert (".lifeos/" in filled) == (policies in (str(whole), str(loose)))
    past.git("switch", "--quiet", "main")
    assert departures(past.cli("backtest", "--json").data) == []


def test_weaker_rules_fail_where_they_are_to(past: Project) -> None:
    """Exit 1 only with the option, and only for what was refused and nobody would see."""
    past.write({"policies/loop.yaml": loop(past)})
    assert past.cli("backtest").code == 0
    said = past.cli("backtest", "--fail-on-weaker", "--json", code=1)
    assert said.data["weaker"] == 1
    strict = "\ncheckpoints: [{name: all, stage: packet}]"
    past.write(past.edit("policies/loop.yaml", "\ncheckpoints: []", strict))
    past.cli("backtest", "--fail-on-weaker")


def test_details_name_the_place_on_the_ledger(past: Project) -> None:
    """Run, question, transition, old and new rule; the transition is the one that asked."""
    past.write({"policies/loop.yaml": loop(past)})
    one = past.cli("backtest", "--json").data["found"]["differences"][0]
    said = past.cli("backtest", "--details")
    (row,) = [line for line in said.out.splitlines() if one["commit"][:12] in line]
    for part in (one["run"], "LO-bbbbbb", one["item"], "autonomy:supervised", "rejected"):
        assert part in row
    assert past.git("log", "-1", "--format=%s", one["commit"]).startswith(f"hold {one['item']}")


def test_the_window_and_the_moment(past: Project) -> None:
    """Runs opened since; the ledger as it was before the second run was rejected."""
    past.write({"policies/loop.yaml": loop(past)})
    data = past.cli("backtest", "--since", "2100-01-01", "--json").data
    assert (data["found"]["runs"], departures(data)) == (0, [])
    said = past.cli("backtest", "--since", "2100-01-01")
    assert "No run was looked at" in said.out
    commit = past.git("log", "-1", "--format=%H", "--grep=^open R-.*LO-bbbbbb", "lifeos/ledger")
    data = past.cli("backtest", "--at", commit, "--json").data
    assert ("would_have_landed_although_rejected", "LO-bbbbbb") not in departures(data)
    opened = past.git("log", "-1", "--format=%cI", commit)
    data = past.cli("backtest", "--since", opened, "--json").data
    assert ("would_not_have_been_asked", "LO-aaaaaa") not in departures(data)
    assert ("would_have_landed_although_rejected", "LO-bbbbbb") in departures(data)


def test_broken_rules_are_refused_as_validate_refuses_them(past: Project, tmp_path: Path) -> None:
    """The same places, words and fixes, and exit 2."""
    text = (past.folder / "policies/loop.yaml").read_text(encoding="utf-8")
    past.write({"policies/loop.yaml": changed(text, f"\n{SUPERVISED}", "\nautonomy: fulll")})
    said = past.cli("backtest", code=2)
    (line,) = [one for one in past.cli("validate", code=2).out.splitlines() if "fulll" in one]
    assert line.removeprefix("error: ") in said.err
    folder = tmp_path / "odd"
    folder.mkdir()
    (folder / "lop.yaml").write_text("version: 1\n")
    said = past.cli("backtest", "--policies", str(folder), code=2)
    assert "policies/lop.yaml: is not a file that lifeos reads" in said.err
    (folder / "lop.yaml").unlink()
    (folder / "loop.yaml").symlink_to(past.folder / "policies/loop.yaml")
    assert "is a link" in past.cli("backtest", "--policies", str(folder), code=2).err


def test_what_is_no_folder_and_no_commit_is_said_with_what_to_do(
    past: Project, tmp_path: Path
) -> None:
    """A wrong name, an empty folder, a wrong time, a repository without a ledger."""
    for arguments, words in (
        (("--policies", "nowhere"), "neither a folder nor a commit"),
        (("--policies", "--output=x"), "neither a folder nor a commit"),
        (("--policies", str(tmp_path)), "has no policies"),
        (("--since", "yesterday"), "is no time"),
    ):
        said = past.cli("backtest", *arguments, code=2)
        assert words in said.err
        assert "fix:" in said.err
    empty = begin_scene(tmp_path / "empty")
    assert "there is no ledger" in Project(empty.folder).cli("backtest", code=2).err


def test_the_data_are_what_their_schema_says(past: Project) -> None:
    """`--json` is the model that the schema is made of, with nothing left out and nothing more."""
    past.write({"policies/loop.yaml": loop(past)})
    said = past.cli("backtest", "--json")
    data = BackTestData.model_validate(said.data)
    assert data.model_dump(mode="json") == said.data
    assert '"lifeos.backtest/v1"' in said.out
    properties = json.loads(past.cli("schema", "backtest").out)["properties"]["data"]["properties"]
    assert properties.keys() == said.data.keys()


def test_who_is_asked_about_rules_sees_what_they_would_have_done(past: Project) -> None:
    """Somebody who is no approver opens the door: the question says what would have come in."""
    past.commit({"policies/loop.yaml": loop(past)}, author=BOB, committer=BOB)
    commit = past.main
    past.tick()
    item = past.item()
    assert item.rule == "governance:unapproved"
    page = past.at_main(f".lifeos/queue/{item.id}.md")
    assert "## What would have been otherwise under them" in page
    assert "1 task that you rejected would have landed by itself: LO-bbbbbb" in page
    assert f"lifeos backtest --policies {commit[:12]} --details" in page
    data = past.cli("backtest", "--policies", commit[:12], "--json").data
    assert departures(data) == LANDED


PAGE = Path(__file__).parents[2] / "docs" / "backtest.md"


def test_the_page_says_what_can_differ() -> None:
    """Its table has every departure, worst first, and calls the grave ones grave."""
    table = PAGE.read_text(encoding="utf-8").partition("| departure | means |")[2]
    shown = [name for name in re.findall(r"`([a-z_]+)`", table) if name in set(Departure)]
    assert shown == list(Departure)
    for one in Departure:
        (line,) = [line for line in table.splitlines() if f"`{one}`" in line]
        said = re.search(r"\*\*(\w+)\*\*", line)
        assert (said[1] if said else "notice") == one.severity
