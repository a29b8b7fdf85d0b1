"""``lifeos report`` from outside: what it writes and says, and that it changes nothing else."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from command_line import Project, asking, project
from lifeos.cli.schema_command import output_schema

TITLE = "Say hello in the guide"


@pytest.fixture
def repo(tmp_path: Path) -> Project:
    """The work of one task is done, and the CEO is asked whether it may land."""
    return project(tmp_path, "asking", asking)


@pytest.fixture
def landed(tmp_path: Path) -> Project:
    """It was approved, and landed."""
    return project(tmp_path, "reported", _landed)


def _landed(folder: Path) -> Project:
    scene = asking(folder)
    scene.cli("approve", scene.item().id)
    scene.cli("tick")
    return scene


def test_the_page_is_in_the_private_folder_and_nothing_moved(repo: Project) -> None:
    before = repo.refs()
    said = repo.cli("report")
    target = repo.folder / ".git" / "lifeos" / "report.html"
    assert said.err == f"written to {target}\n"
    assert said.out == ""
    text = target.read_text(encoding="utf-8")
    assert TITLE in text
    assert f"lifeos approve {repo.item().id}" in text
    assert repo.refs() == before
    assert repo.git("status", "--porcelain") == ""


def test_the_page_needs_nothing_but_itself(landed: Project) -> None:
    """No address that a browser would fetch, no script, no style but its own."""
    text = landed.cli("report", "-o", "-").out
    assert "<script" not in text
    assert not re.search(r"\s(?:src|srcset|action|onload|onclick|style)=", text)
    assert set(re.findall(r'href="([^"#][^"]*)"', text)) == {"data:,"}
    assert "default-src &#39;none&#39;" in text
    assert "@import" not in text
    assert not re.search(r"url\((?!#)", text)


def test_what_landed_is_told_with_its_commit_and_its_packet(landed: Project) -> None:
    text = landed.cli("report", "-o", "-").out
    assert landed.git("rev-parse", "main~1")[:12] in text or landed.main[:12] in text
    assert "The packet: the evidence of this run" in text
    assert "<h5>What was asked</h5>" in text
    assert "Nothing waits for you" in text
    data = landed.cli("report", "--json").data
    (landing,) = data["landings"]
    assert landing["commit"] == data["stories"][0]["landed"]
    assert landed.git("cat-file", "-t", landing["commit"]) == "commit"


def test_as_data_it_fits_its_schema(repo: Project) -> None:
    from lifeos.core.report.data import ReportData

    said = repo.cli("report", "--json")
    assert json.loads(said.out)["schema"] == "lifeos.report/v1"
    found = ReportData.model_validate(said.data)
    assert found.waits[0].item == repo.item().id
    assert "What it cost so far" in found.waits[0].text
    assert not found.waits[0].text.startswith("---")
    assert set(output_schema("report")["properties"]["data"]["properties"]) == set(said.data)


def test_an_earlier_time_is_shown_as_it_was_then(repo: Project) -> None:
    """What waited then waits there, the board is that of then, and the page says so."""
    tip, main = repo.tip(), repo.main
    repo.cli("approve", repo.item().id)
    repo.cli("tick")
    data = repo.cli("report", "--at", main, "--json").data
    assert (data["past"], data["ledger"], data["main"]) == (True, tip, main)
    assert len(data["waits"]) == 1
    assert data["landed"] == 0
    assert [lane["column"] for lane in data["board"]["lanes"] if lane["cards"]] == ["asks"]
    text = repo.cli("report", "--at", main, "-o", "-").out
    assert "This is how it stood on" in text
    now = repo.cli("report", "--json").data
    assert (now["past"], now["waits"], now["landed"]) == (False, [], 1)


def test_an_answer_that_is_not_taken_yet_is_seen(repo: Project) -> None:
    repo.cli("approve", repo.item().id)
    (asked,) = repo.cli("report", "--json").data["waits"]
    assert asked["answered"] is True
    assert "answered: the next tick takes it" in repo.cli("report", "-o", "-").out


def test_a_stop_is_said_first(repo: Project) -> None:
    repo.cli("stop")
    assert repo.cli("report", "--json").data["stopped"] is True
    assert "<strong>Stopped.</strong>" in repo.cli("report", "-o", "-").out


def test_before_the_first_tick_the_backlog_is_there(tmp_path: Path) -> None:
    from command_line import fresh

    repo = project(tmp_path, "fresh", fresh)
    text = repo.cli("report", "-o", "-").out
    assert "no run has begun yet" in text
    assert TITLE in text
    assert repo.cli("report", "--at", "30d", code=2).err.startswith("lifeos: there is no ledger")


def test_markdown_goes_to_standard_output_or_to_a_file(repo: Project) -> None:
    text = repo.cli("report", "--md").out
    assert text.startswith("## ")
    assert repo.cli("report", "--md", "-o", "told.md").out == ""
    kept = (repo.folder / "told.md").read_text(encoding="utf-8")
    assert re.findall("(?m)^#.*", kept) == re.findall("(?m)^#.*", text)


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("--at", "rubbish"), "neither a commit here nor a time"),
        (("--since", "rubbish"), "is no time"),
        (("--since", "2999-01-01"), "is later than what the report is about"),
        (("--runs", "-1"), "--runs"),
        (("-o", "no/such/folder/x.html"), "name another file with -o"),
        (("-o", ""), ""),
        (("--open", "--md"), "only a page in a file"),
        (("--open", "--json"), "only a page in a file"),
    ],
)
def test_what_cannot_be_done_is_said(repo: Project, args: tuple[str, ...], said: str) -> None:
    found = repo.cli("report", *args, code=0 if args == ("-o", "") else 2)
    assert said in found.err


def test_a_page_that_was_written_before_is_replaced_as_a_whole(repo: Project) -> None:
    target = repo.folder / "page.html"
    target.write_text("x" * 10_000_000)
    repo.cli("report", "-o", str(target))
    assert target.read_text(encoding="utf-8").endswith("</html>\n")
    target.unlink()
    assert not list(repo.folder.glob("*.new"))
    assert not list(repo.folder.glob(".*.new"))


def test_what_is_no_plain_file_is_written_into_and_stays_what_it_is(repo: Project) -> None:
    """A device or a pipe belongs to others too; a link leads to the file that is replaced."""
    pipe = repo.folder / "pipe"
    os.mkfifo(pipe)
    with subprocess.Popen(["cat", str(pipe)], stdout=subprocess.PIPE) as reader:
        try:
            repo.cli("report", "-o", str(pipe))
            assert pipe.is_fifo()
            assert reader.communicate(timeout=60)[0].endswith(b"</html>\n")
        finally:
            reader.kill()
    file, link = repo.folder / "page.html", repo.folder / "link.html"
    file.write_text("old")
    link.symlink_to(file.name)
    repo.cli("report", "-o", str(link))
    assert link.is_symlink()
    assert file.read_text(encoding="utf-8").endswith("</html>\n")


def test_so_many_runs_are_told_as_are_asked_for(landed: Project) -> None:
    data = landed.cli("report", "--runs", "0", "--json").data
    assert (data["stories"], data["runs"], len(data["landings"])) == ([], 1, 1)


def test_the_trends_begin_where_they_are_told_to(landed: Project) -> None:
    data = landed.cli("report", "--since", "30d", "--json").data
    assert data["at"] - data["trends"]["since"] == 30 * 86_400
    assert {one["until"] - one["since"] for one in data["trends"]["periods"]} == {7 * 86_400}


def test_a_browser_is_shown_the_file(repo: Project, tmp_path: Path) -> None:
    seen = tmp_path / "seen"
    repo.cli("report", "--open", BROWSER=f"sh -c 'printf %s \"$0\" >{seen}' %s")
    assert seen.read_text() == (repo.folder / ".git/lifeos/report.html").as_uri()


def test_only_the_report_loads_the_templates(repo: Project) -> None:
    """Start-up time is a promise: no other command pays for Jinja2."""
    script = (
        "import sys; from lifeos.cli import run; code = run(sys.argv[1:]);"
        "print(code, sorted({'jinja2', 'lifeos.core.report.page'} & {*sys.modules}))"
    )
    for args, loaded in (
        (("status",), "[]"),
        (("report", "--json"), "[]"),
        (("report", "--md"), "['lifeos.core.report.page']"),
        (("report",), "['jinja2']"),
    ):
        done = subprocess.run(
            [sys.executable, "-c", script, *args],
            cwd=repo.folder,
            env=dict(os.environ),
            capture_output=True,
            text=True,
            check=True,
            timeout=120,
        )
        assert done.stdout.endswith(f"0 {loaded}\n"), (args, done.stdout[-200:], done.stderr)


def test_the_summary_of_a_workflow_looks_back(landed: Project, tmp_path: Path) -> None:
    """After what waits, which it always had: the numbers and how the last runs went."""
    empty, told = tmp_path / "none", tmp_path / "summary.md"
    empty.mkdir()
    landed.cli("ci", "collect", str(empty), GITHUB_STEP_SUMMARY=str(told))
    text = told.read_text(encoding="utf-8")
    assert text.index("Nothing waits for the CEO.") < text.index("### Numbers")
    assert text.index("### Numbers") < text.index("### Runs: the last 1 of 1")
    assert text.count("Nothing waits") == 1
