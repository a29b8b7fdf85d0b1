"""What the parts of `lifeos ci` tell the page of a workflow: annotations, summary, outputs."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

from command_line import Project, fresh
from lifeos.core.cisummary import LIMIT, Asked, Row, Summary, page
from lifeos.core.workflowcommand import MOST, Notice, annotated, annotation

HOSTILE = "a|b <img src=x> @someone `tick` ::error::no\n# heading\x1b[31m\u202e"


def summary(**changes: object) -> Summary:
    """A summary with one of everything, all of it hostile."""
    row = Row(HOSTILE, HOSTILE, HOSTILE, HOSTILE, HOSTILE)
    values: dict[str, object] = {
        "part": "collect",
        "did": (HOSTILE,),
        "refused": (HOSTILE,),
        "waiting": (Asked("Q-1", "landing", HOSTILE, HOSTILE, answered=False),),
        "runs": (row,),
        "ended": (row,),
        "stopped": False,
    }
    return Summary(**{**values, **changes})  # type: ignore[arg-type]  # a table of one's choice


def test_foreign_text_is_inert_in_the_summary() -> None:
    """Each stands on one line in a code span: no heading, HTML, mention or cell of its own."""
    lines = page(summary()).splitlines()
    foreign = [line for line in lines if "someone" in line]
    assert len(foreign) == 5
    for line in foreign:
        outside = re.sub(r"(`+)(?!`).*?(?<!`)\1(?!`)", "", line)
        assert "someone" not in outside
        assert "<" not in outside
        assert "\x1b" not in line
        assert "\u202e" not in line
    cells = [line.count("|") for line in foreign if line.startswith("|")]
    assert cells == [5, 6, 6]
    assert not any(line.startswith("# ") for line in lines)


def test_the_summary_names_what_waits_and_the_next_action() -> None:
    """An answered question waits for nobody."""
    text = page(summary())
    assert "### Waiting for the CEO: 1" in text
    assert "Next: `lifeos show Q-1`, then `lifeos approve Q-1`" in text
    answered = Asked("Q-1", "landing", "", "", answered=True)
    assert "Nothing waits for the CEO." in page(summary(waiting=(answered,)))


def test_the_summary_fits_into_what_a_step_may_write() -> None:
    """1 MiB, whatever is in it; it ends with the command that shows the rest."""
    wide = "\u4e2d" * 300
    row = Row(*[wide] * 5)
    text = page(summary(runs=(row,) * 200, ended=(row,) * 200))
    assert len(text.encode()) <= LIMIT
    assert text.endswith("see `lifeos status`.\n")


def test_an_annotation_is_one_line_and_no_other_command() -> None:
    """Line ends, `%` and what parts the properties are escaped, as GitHub takes them back."""
    line = annotation(Notice.ERROR, "50%\r\n::warning::x", title="a:b,c")
    assert line == "::error title=a%3Ab%2Cc::50%25%0A::warning::x"


def test_a_step_shows_ten_annotations_and_says_how_many_more() -> None:
    """GitHub drops what is beyond; the last one says so."""
    assert len(list(annotated(Notice.ERROR, map(str, range(MOST))))) == MOST
    lines = list(annotated(Notice.ERROR, map(str, range(MOST + 5))))
    assert len(lines) == MOST
    assert lines[-1] == "::error title=lifeos::and 6 more; see the log of this step"


def claim(project: Project, out: Path, **env: str) -> subprocess.CompletedProcess[str]:
    """`lifeos ci claim` with its two streams in one, as the workflow has them."""
    return subprocess.run(
        [sys.executable, "-m", "lifeos", "ci", "claim", "--out", str(out)],
        cwd=project.folder, env={**os.environ, **env}, text=True, check=False,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=120,
    )  # fmt: skip


def test_nothing_that_is_printed_is_a_command(tmp_path: Path) -> None:
    """A title that looks like one stands between stop and resume; outputs are lines of data."""
    project = fresh(tmp_path / "repo")
    text = (project.folder / "BACKLOG.md").read_text()
    project.commit({"BACKLOG.md": text.replace("Say hello", "Say ::error:: ##[error]hello")})
    output, told = tmp_path / "output", tmp_path / "summary.md"
    done = claim(
        project, tmp_path / "claims", GITHUB_ACTIONS="true",
        GITHUB_OUTPUT=str(output), GITHUB_STEP_SUMMARY=str(told),
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    lines = done.stdout.splitlines()
    token = lines[0].removeprefix("::stop-commands::")
    assert len(token) == 32
    assert lines[-1] == f"::{token}::"
    assert any("##[error]" in line for line in lines[1:-1])
    named = dict(line.split("=", 1) for line in output.read_text().splitlines())
    assert set(named) == {"matrix", "count", "names", "claims"}
    (job,) = json.loads(named["matrix"])["include"]
    claimed = json.loads(named["claims"])[job["claim"]]
    assert claimed == json.loads((tmp_path / "claims" / job["claim"]).read_text())
    assert named["names"] == job["claim"].removesuffix(".json")
    assert "Say ::error:: ##[error]hello" in told.read_text()


def test_what_goes_wrong_is_annotated_after_it_is_printed(tmp_path: Path) -> None:
    """The error is the last thing printed as text; its annotation follows the resume."""
    project = fresh(tmp_path / "repo")
    claims = tmp_path / "claims"
    project.commit({".lifeos/config.yaml": "version: 1\nmain: ::error::\n"})
    done = claim(project, claims, GITHUB_ACTIONS="true")
    assert done.returncode == 2, done.stdout
    lines = done.stdout.splitlines()
    token = lines[0].removeprefix("::stop-commands::")
    at = lines.index(f"::{token}::")
    assert any(line.startswith("lifeos: ") for line in lines[1:at])
    assert lines[at + 1].startswith("::error title=lifeos::")
    assert len(lines) == at + 2


def test_elsewhere_nothing_of_it_is_printed(tmp_path: Path) -> None:
    """On a person's machine the commands of a workflow would be noise."""
    done = claim(fresh(tmp_path / "repo"), tmp_path / "claims")
    assert done.returncode == 0
    assert "::" not in done.stdout
