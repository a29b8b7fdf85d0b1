"""``lifeos why``: every line of main is traced to who built it, and to who let it land."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from command_line import BOB, Project, project
from conftest import EMAIL
from lifeos.model import ItemKind
from loop_scene import begin_scene

MARK = re.compile(r"(LO-\w{6}) (\d)\b")
"""Each line that a recipe writes says which task it is of, and which build had it first."""


def task(name: str, title: str, recipe: str, accept: str = "true") -> str:
    """An entry of the backlog with these commands."""
    lines = [f"- [ ] **{name}** {title} #docs", "  - scope: `docs/**`", "  - risk: low"]
    lines += ["", "  Acceptance:", f"  - [ ] it is so: `{accept}`", "", "  ```sh recipe"]
    lines += [f"  {line}" for line in recipe.strip().split("\n")]
    return "\n".join([*lines, "  ```", ""])


FIRST = r"""
mkdir -p docs
printf 'LO-first0 1\nLO-first0 1 old\n' > docs/guide.md
if [ -s "$LIFEOS_FEEDBACK" ]; then echo 'LO-first0 2' >> docs/guide.md; fi
printf 'LO-first0 1\n' > 'docs/a "b":7 ü.md'
printf 'LO-first0 1 no end' > docs/cut.md
printf 'LO-first0\0' > docs/raw.bin
: > docs/empty.md
ln -s guide.md docs/link
"""
SECOND = r"""
sed -i 's/^LO-first0 1 old$/LO-second 1/' docs/guide.md
sed -i '1i LO-second 1' docs/guide.md
"""
THIRD = "mv docs/guide.md docs/manual.md"
FOURTH = r"""
sed -i '/^LO-second 1$/d' docs/manual.md
echo 'LO-fourth 1' >> docs/manual.md
"""
TASKS = (
    task("LO-first0", "Write a guide", FIRST, accept='grep -q "LO-first0 2" docs/guide.md'),
    task("LO-second", "Say it in other words", SECOND),
    task("LO-third0", "Call it a manual", THIRD),
    task("LO-fourth", "Say less", FOURTH),
)


def landed(folder: Path) -> Project:
    """Four tasks landed, people wrote between them, and the last one was taken back."""
    settings = {"envelope.binaries": True, "envelope.symlinks": True}
    begun = begin_scene(folder, settings, {"docs/old.md": "from before\n"}, "# Backlog\n\n## P0\n")
    scene = Project(folder, begun.now, begun.nonces)
    for number, text in enumerate(TASKS):
        backlog = scene.at_main("BACKLOG.md")
        scene.commit({"BACKLOG.md": f"{backlog}\n\n{text}"})
        scene.tick()
        assert scene.item().kind is ItemKind.STAGE_REVIEW
        scene.commit(dict(scene.answer(comment=f"good, {number}")))
        scene.tick()
        if number in (0, 2):
            path = "docs/manual.md" if number else "docs/guide.md"
            said = scene.at_main(path)
            scene.commit({path: f"{said}\nby hand {number}\n"}, author=BOB, committer=BOB)
    scene.cli("revert", "LO-fourth")
    return scene


@pytest.fixture
def scene(tmp_path: Path) -> Project:
    """A repository with some history."""
    return project(tmp_path, "why", landed)


def why(scene: Project, what: str, *options: str) -> Any:
    """The data of `lifeos why --json`."""
    said = scene.cli("why", *options, "--json", "--", what)
    assert json.loads(said.out)["schema"] == "lifeos.why/v1"
    return said.data


def lines_of(data: Any) -> Iterator[tuple[int, Any]]:
    """Each line with its origin; together they are the whole file, each once."""
    for one in data["ranges"]:
        for line in range(one["first"], one["last"] + 1):
            yield line, one["origin"]


# --- every line ---------------------------------------------------------------------------------


def test_every_line_that_was_landed_is_traced_to_its_run_and_attempt(scene: Project) -> None:
    """What a line says of itself is what `why` says of it, in every file of main."""
    runs = {
        one["task"]: one["run"]
        for name in ("LO-first0", "LO-second", "LO-third0", "LO-fourth")
        for one in [scene.cli("show", name, "--json").data]
    }
    seen: set[str] = set()
    for path in scene.git("ls-tree", "-rz", "--name-only", "main", "docs").split("\0")[:-1]:
        text = scene.git("show", f"main:{path}").split("\n")
        data = why(scene, path)
        told = dict(lines_of(data))
        assert data["lines"] == (0 if text == [""] else len(text)), path
        if path == "docs/raw.bin":
            assert "binary: its lines cannot be told apart" in scene.cli("why", path).out
        if path in ("docs/empty.md", "docs/raw.bin", "docs/link"):
            assert {one["origin"]["run"] for one in data["ranges"]} == {runs["LO-first0"]}
            continue
        assert sorted(told) == list(range(1, len(text) + 1)), path
        for number, line in enumerate(text, 1):
            origin = told[number]
            origin = origin["earlier"] or origin
            mark = MARK.search(line)
            seen.add(line)
            if mark is None:
                assert (origin["via"], origin["run"]) == ("outside", ""), line
                assert origin["commit"]["email"] == (BOB if "by hand" in line else EMAIL)
                assert origin["before"] is not line.startswith("by hand")
                continue
            assert (origin["via"], origin["run"]) == ("run", runs[mark[1]]), (path, line)
            run = next(one for one in data["runs"] if one["run"] == origin["run"])
            built = [one["n"] for one in run["attempts"]]
            assert origin["attempt"] == built[int(mark[2]) - 1], (path, line)
    assert {"LO-first0 1", "LO-first0 2", "LO-second 1", "by hand 0", "from before"} <= seen


def test_what_a_revert_brought_back_has_the_origin_that_it_had(scene: Project) -> None:
    """Both are told: what brought the line back, and where it came from at first."""
    data = why(scene, "docs/manual.md:1")
    assert data["text"] == ["LO-second 1"]
    (one,) = data["ranges"]
    assert one["origin"]["via"] == "revert"
    assert one["origin"]["taken_back"]["who"] == EMAIL
    assert one["origin"]["earlier"]["via"] == "run"
    fourth = scene.cli("show", "LO-fourth", "--json").data
    assert one["origin"]["taken_back"]["run"] == fourth["run"]
    assert "taken back" in scene.cli("why", "docs/manual.md:1").out


def test_lifeos_own_lines_are_said_to_be_so(scene: Project) -> None:
    """The mark came with the landing, and no attempt wrote it."""
    text = scene.at_main("BACKLOG.md").split("\n")
    line = next(n for n, one in enumerate(text, 1) if "**LO-second**" in one)
    origin = why(scene, f"BACKLOG.md:{line}")["ranges"][0]["origin"]
    assert (origin["via"], origin["attempt"]) == ("bookkeeping", 0)
    assert origin["run"] == scene.cli("show", "LO-second", "--json").data["run"]


# --- the hops -----------------------------------------------------------------------------------


def test_each_hop_says_what_the_ledger_says_and_its_command_works(scene: Project) -> None:
    """From the line to the landing, run, attempt, plan, reviews, approval, cost and rules."""
    data = why(scene, "docs/manual.md:2")
    (run,) = data["runs"]
    shown = scene.cli("show", "LO-first0", "--json").data
    assert (run["run"], run["title"], run["landed"]) == (
        shown["run"],
        "Write a guide",
        shown["landed"],
    )
    assert run["way"] == "merge"
    assert run["onto"] == scene.git("rev-parse", f"{run['landed']}^1")
    assert run["usage"] == shown["usage"]
    (answer,) = run["answers"]
    given = shown["items"][0]
    assert (answer["item"], answer["who"], answer["decision"]) == (given["item"], EMAIL, "approve")
    assert (answer["trust"], answer["comment"], answer["lands"]) == ("commit", "good, 0", True)
    assert scene.git("show", f"{answer['commit']}:.lifeos/queue/{answer['item']}.approval.yaml")
    assert [one["stage"] for one in run["reviews"]] == [
        "design_review",
        "plan_review",
        "build_review",
    ]
    assert {(one["outcome"], one["by"]) for one in run["reviews"]} == {("accept", "rule")}
    genesis = scene.git("rev-list", "--max-parents=0", "lifeos/ledger")
    assert run["rules"]["transition"] == genesis
    assert scene.git("show", f"{run['rules']['main']}:policies/loop.yaml")
    commands = re.findall(r"lifeos show .*", scene.cli("why", "docs/manual.md:2").out)
    assert len(commands) >= 9
    for command in dict.fromkeys(commands):
        scene.cli(*shlex.split(command)[1:])


def test_the_pure_work_can_be_shown_by_its_commit(scene: Project) -> None:
    """What blame names is the work's own commit, which no record names."""
    landing = scene.cli("show", "LO-third0", "--json").data
    work = scene.git("rev-parse", f"{landing['landed']}^2")
    assert scene.cli("show", work[:12], "--json").data["run"] == landing["run"]


def test_the_screen_of_a_file_has_its_lines_by_landing(scene: Project) -> None:
    """Who built them, and who let them land."""
    out = scene.cli("why", "docs/manual.md", "--at", "main~1").out
    run = scene.cli("show", "LO-first0", "--json").data["run"]
    assert re.search(rf"^\d+ +{run} +\d+ .* {EMAIL} +Write a guide$", out, re.MULTILINE), out
    assert re.search(r"^\d+ +not lifeos +- .*Test Person: A change$", out, re.MULTILINE), out


def test_as_main_was(scene: Project) -> None:
    """An older main has other lines; what is not part of main is refused with what it is."""
    first = scene.cli("show", "LO-first0", "--json").data["landed"]
    data = why(scene, "docs/guide.md", "--at", first)
    assert (data["commit"], data["lines"]) == (first, 3)
    assert {one["origin"]["run"] for one in data["ranges"]} == {
        scene.cli("show", "LO-first0", "--json").data["run"]
    }
    said = scene.cli("why", "docs/guide.md", "--at", "lifeos/ledger", code=2)
    assert "is a transition of the ledger, not a commit of main" in said.err
    for text in ("nope", "--all", "HEAD^{tree}", "\n"):
        assert "is no commit here" in scene.cli("why", "README.md", f"--at={text}", code=2).err


# --- what did not come through lifeos ------------------------------------------------------------


def test_a_commit_in_lifeos_name_that_it_did_not_make(scene: Project) -> None:
    """A name in a commit proves nothing: the ledger does not know it."""
    lifeos = "lifeos@localhost"
    scene.commit({"docs/evil.md": "x\n"}, author=lifeos, committer=lifeos)
    origin = why(scene, "docs/evil.md:1")["ranges"][0]["origin"]
    assert (origin["via"], origin["pretends"]) == ("outside", True)
    assert "the ledger knows nothing of" in scene.cli("why", "docs/evil.md:1").out


def test_a_landing_told_by_a_trailer_alone_is_none(scene: Project) -> None:
    """Nor does a trailer."""
    run = scene.cli("show", "LO-first0", "--json").data["run"]
    scene.commit({"docs/evil.md": "x\n"}, f"--message=Lifeos-Run: {run}")
    origin = why(scene, "docs/evil.md:1")["ranges"][0]["origin"]
    assert (origin["via"], origin["run"], origin["pretends"]) == ("outside", "", False)


def test_the_answer_itself(scene: Project) -> None:
    """As main was before the answer was taken in, its file is part of it."""
    given = scene.cli("show", "LO-first0", "--json").data["items"][0]
    path = f".lifeos/queue/{given['item']}.approval.yaml"
    data = why(scene, path, "--at", given["commit"])
    assert {(one["origin"]["via"], one["origin"]["item"]) for one in data["ranges"]} == {
        ("answer", given["item"])
    }
    question = why(scene, f".lifeos/queue/{given['item']}.md", "--at", given["commit"])
    assert {one["origin"]["via"] for one in question["ranges"]} == {"bookkeeping"}
    anchor = question["ranges"][0]["origin"]["anchor"]
    scene.cli("show", anchor)


# --- what people type ---------------------------------------------------------------------------


def test_a_name_that_looks_like_a_line(scene: Project) -> None:
    """A file is called so; and a line of it can be asked for."""
    name = 'docs/a "b":7 ü.md'
    assert why(scene, name)["file"] == name
    assert why(scene, f"{name}:1")["text"] == ["LO-first0 1"]


def test_from_a_folder_below(scene: Project) -> None:
    """Names are seen from where the command is started, as git does; or from the top."""
    folder = scene.folder / "docs"
    for name in ("manual.md:2", "../docs/manual.md:2", "docs/manual.md:2", f"{folder}/manual.md:2"):
        said = scene.cli("why", name, "--json", at=folder)
        assert (said.data["file"], said.data["first"]) == ("docs/manual.md", 2)


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("docs/manual.md:0", "has no line 0"),
        ("docs/manual.md:99", "has no line 99"),
        ("docs/manual.md:3-2", "has no line 3-2"),
        ("docs/manual.md:1-99", "it has"),
        ("docs", "is a folder"),
        (".", "has no file"),
        ("../x", "has no file"),
        ("nope:1", "has no file 'nope'"),
        ("docs/manual.md:x", "'x' names no line of docs/manual.md"),
        ("docs/manual.md:-1", "'-1' names no line of docs/manual.md"),
        ("docs/manual.md:2-", "'2-' names no line of docs/manual.md"),
        (":x", "has no file"),
        ("", "has no file"),
    ],
)
def test_what_is_not_there(scene: Project, what: str, said: str) -> None:
    """Wrong names and lines are exit 2, with what there is."""
    found = scene.cli("why", "--", what, code=2)
    assert said in found.err


def test_uncommitted_lines_are_no_lines_of_main(scene: Project) -> None:
    """The numbers are main's, and it is said where one's own file has others."""
    scene.write({"docs/manual.md": "mine\n"})
    assert why(scene, "docs/manual.md:1")["differs"]
    assert "your own file differs" in scene.cli("why", "docs/manual.md:1").out


def test_in_a_bare_clone(scene: Project, tmp_path: Path) -> None:
    """It needs the commits and nothing else."""
    bare = tmp_path / "bare.git"
    scene.git("clone", "--quiet", "--bare", str(scene.folder), str(bare))
    said = scene.cli("why", "docs/manual.md:2", "--json", at=bare)
    assert said.data["ranges"][0]["origin"]["via"] == "run"


def test_before_the_first_tick(repo: Path) -> None:
    """Without a ledger there is nothing to say, and the error says what comes first."""
    scene = Project(repo)
    assert "lifeos init" in scene.cli("why", "README.md", code=2).err
