"""The example with a real package, from its import to four closed tasks, through the command line.

Nothing is stood in for: pip fetches the source, its own tests judge the work in the sandbox, and a
person's answers are given by `lifeos approve` and its like.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from conftest import EMAIL, NAME
from real_package import EXAMPLE, NO_SOURCE, Clone, make_clone


@pytest.fixture
def clone(tmp_path: Path) -> Clone:
    """The example's repository."""
    return make_clone(tmp_path)


@pytest.mark.heavy
@pytest.mark.sandbox
def test_four_chores_of_a_real_package_come_to_their_end(clone: Clone) -> None:
    """A failed check is mended, a breach is sent back, a pinned file is accepted, a task waits."""
    first = clone.tick()
    _first_questions(clone, first)
    clone.lifeos("approve", "LO-rename")
    clone.lifeos("revise", "LO-install", "-m", "The build writes PKG-INFO.\n\nleave PKG-INFO")
    clone.lifeos("approve", "LO-strict")

    second = clone.tick()
    assert [end["task"] for end in second["ended"]] == ["LO-rename"]  # type: ignore[index] # JSON
    assert not second["opened"], "LO-notes depends on LO-install too, which has not landed"
    assert "PKG-INFO" not in clone.pending("LO-install").split("## The change")[1]
    clone.lifeos("approve", "LO-install")
    clone.lifeos("approve", "LO-strict")

    third = clone.tick()
    assert third["opened"] == ["LO-notes"]
    clone.lifeos("approve", "LO-notes")
    last = clone.tick()
    assert (last["waiting"], last["refused"], last["problems"]) == ([], [], [])

    _told_by_the_ledger(clone)
    _told_by_the_packets(clone)
    _left_on_main(clone)
    _told_by_why(clone)


def _first_questions(clone: Clone, said: dict[str, list[str]]) -> None:
    """What each pending file tells the person who decides."""
    assert said["opened"] == ["LO-rename", "LO-install", "LO-strict"]
    landing, outside, pinned = map(clone.pending, ("LO-rename", "LO-install", "LO-strict"))
    assert "land it on main" in landing
    assert "`tests`: **passed**" in landing
    assert "PKG-INFO: is outside the task's scope" in outside
    assert "pytest.ini: is pinned" in pinned
    assert "accept this patch, for this subject only" in pinned
    assert "start_keys" not in clone.on_main("queuelib/rrqueue.py"), "nobody has approved it yet"


def _told_by_the_ledger(clone: Clone) -> None:
    """Each attempt with its outcome and action, and a history that stands every check."""
    before = ["design", "design_review", "plan", "plan_review"]
    stories = {
        task: [re.sub(r" \d+", "", line) for line in clone.story(task)]
        for task in ("LO-rename", "LO-install", "LO-strict", "LO-notes")
    }
    assert all([line.split(":")[0] for line in story[:4]] == before for story in stories.values())
    after = ["build_review: accept -> advance", "packet: ok -> advance"]
    good = "build: ok -> advance"
    assert stories["LO-rename"][4:] == ["build: test_failure -> retry", good, *after]
    assert stories["LO-install"][4:] == ["build: envelope_violation -> escalate", good, *after]
    assert stories["LO-strict"][4:] == ["build: envelope_violation -> escalate", good, *after]
    assert stories["LO-notes"][4:] == [good, *after]
    assert "good: the ledger is what it claims" in clone.lifeos("verify")
    assert "error" not in clone.git("fsck", "--strict", "--no-dangling")


def _told_by_the_packets(clone: Clone) -> None:
    """The evidence: the package's own tests by name and number, the answers, the outcome."""
    decided = {}
    for task in ("LO-rename", "LO-install", "LO-strict", "LO-notes"):
        packet = clone.packet(task)
        assert packet["outcome"] == "pass"
        checks = packet["checks"]
        assert isinstance(checks, list)
        (check,) = checks
        assert (check["name"], check["status"], check["exit_code"]) == ("tests", "passed", 0)
        assert check["tests"] >= 267, "all tests of the package ran"
        answers = packet["approvals"]
        assert isinstance(answers, list)
        decided[task] = [(answer["decision"], answer["who"]) for answer in answers]
    yes, again = ("approve", EMAIL), ("revise", EMAIL)
    assert decided == {
        "LO-rename": [yes],
        "LO-install": [again, yes],
        "LO-strict": [yes, yes],
        "LO-notes": [yes],
    }


def _left_on_main(clone: Clone) -> None:
    """The work, the marks, nothing else; and the package's tests are green in the work tree."""
    assert clone.git("status", "--porcelain") == ""
    assert re.findall(r"^- \[(.)\]", clone.on_main("BACKLOG.md"), re.MULTILINE) == ["x"] * 4
    changed = clone.git("diff", "--name-only", "main", ":/Import the source").splitlines()
    own = [path for path in changed if not path.startswith((".lifeos", "policies"))]
    assert own == [
        "BACKLOG.md",
        "NEWS",
        "README.rst",
        "pytest.ini",
        "queuelib/rrqueue.py",
        "queuelib/tests/test_rrqueue.py",
    ]
    assert "warnings.warn(" in clone.on_main("queuelib/rrqueue.py")
    assert "start_keys" in clone.on_main("README.rst")
    assert clone.git("log", "-1", "--format=%an", ":/Import the source") == NAME
    tests = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"],
        cwd=clone.folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert tests.returncode == 0, tests.stdout


def _told_by_why(clone: Clone) -> None:
    """Every line of every file that was landed: what lifeos built is told as built, by which run.

    Held against git's own log of the pure works, which shares nothing with how `why` finds out.
    """
    works = {}
    for task in ("LO-rename", "LO-install", "LO-strict", "LO-notes"):
        run = json.loads(clone.lifeos("show", task, "--json"))["data"]
        works[clone.git("rev-parse", f"{run['landed']}^2")] = run
    changed = {path for work in works for path in clone.changed_by(work)}
    for path in sorted(changed):
        data = json.loads(clone.lifeos("why", path, "--json"))["data"]
        told = [one for one in data["ranges"] for _ in range(one["first"], one["last"] + 1)]
        blamed = clone.git("blame", "-s", "-l", "--root", "main", "--", path).splitlines()
        assert len(told) == len(blamed) == data["lines"]
        for one, line in zip(told, blamed, strict=True):
            work, origin = line.split()[0], one["origin"]
            if work in works:
                assert (origin["via"], origin["run"]) == ("run", works[work]["run"]), line
                assert origin["attempt"] in [
                    a["n"] for a in works[work]["attempts"] if a["stage"] == "build"
                ]
            else:
                assert (origin["via"], origin["before"]) == ("outside", True), line
        assert {one["run"] for one in data["runs"]} <= {run["run"] for run in works.values()}
    mended = next(run for run in works.values() if run["task"] == "LO-rename")
    builds = [a["n"] for a in mended["attempts"] if a["stage"] == "build"]
    first = {
        one["origin"]["attempt"]
        for path in clone.changed_by(next(w for w, run in works.items() if run is mended))
        for one in json.loads(clone.lifeos("why", path, "--json"))["data"]["ranges"]
        if one["origin"]["run"] == mended["run"]
    }
    assert first <= set(builds)
    assert builds[0] in first, "what the first build wrote and the second kept is the first one's"


def test_without_its_source_the_example_says_so(tmp_path: Path) -> None:
    """Where pip finds nothing, nothing is made, and the exit code tells this from a defect."""
    folder = tmp_path / "queuelib"
    nowhere = {"PIP_NO_INDEX": "1", "PIP_CONFIG_FILE": os.devnull, "PYTHON": sys.executable}
    done = subprocess.run(
        ["sh", str(EXAMPLE / "make-repository"), str(folder)],
        env=os.environ | nowhere,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == NO_SOURCE
    assert "pip cannot fetch" in done.stderr
    assert not folder.exists()
