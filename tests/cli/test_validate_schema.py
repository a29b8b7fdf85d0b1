"""``lifeos validate`` and ``lifeos schema``: the files, before they count."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from conftest import Git
from lifeos.cli.schema_command import OUTPUTS
from told import lifeos

CLI = Path(__file__).parent.parent.parent / "src/lifeos/cli"


@pytest.fixture
def ready(repo: Path, git: Git) -> Path:
    """A repository with the files that init writes, committed."""
    git("config", "user.name", "Test Person")
    git("config", "user.email", "person@example.invalid")
    assert lifeos(repo, "init", "--commit").code == 0
    return repo


def test_the_defaults_are_good(ready: Path) -> None:
    """What init writes passes, and the missing checks are a warning."""
    said = lifeos(ready, "validate", "--json")
    data = said.data("validate")
    assert said.code == 0
    assert data["good"]
    assert "the work tree" in data["source"]
    assert [one["file"] for one in data["warnings"]] == [".lifeos/config.yaml"]


def test_an_edit_is_seen_before_it_is_committed(ready: Path) -> None:
    """The work tree is what the person is editing; the commit is what counts now."""
    loop = ready / "policies/loop.yaml"
    text = loop.read_text(encoding="utf-8").replace("attempts_per_stage:", "atempts_per_stage:")
    loop.write_text(text, encoding="utf-8")
    said = lifeos(ready, "validate")
    line = text[: text.index("atempts_per_stage")].count("\n") + 1
    assert said.code == 2
    assert f"policies/loop.yaml:{line}:" in said.out
    assert "did you mean `attempts_per_stage`?" in said.out
    assert lifeos(ready, "validate", "--commit", "HEAD").code == 0


def test_the_backlog_has_places_too(ready: Path) -> None:
    """A duplicate id is an error with its line."""
    task = "- [ ] **LO-aaaaaa** One\n- [ ] **LO-aaaaaa** Two\n"
    (ready / "BACKLOG.md").write_text(f"# Backlog\n\n## P0\n\n{task}", encoding="utf-8")
    said = lifeos(ready, "validate", "--json")
    data = said.data("validate")
    assert said.code == 2
    assert data["errors"][0]["file"] == "BACKLOG.md"
    assert data["errors"][0]["line"] in (5, 6)
    assert data["errors"][0]["fix"]


def test_a_missing_and_a_strange_file(ready: Path) -> None:
    """Nothing is taken for a default that nobody wrote, and no rule is silently not read."""
    (ready / "policies/council.yaml").rename(ready / "policies/councils.yaml")
    out = lifeos(ready, "validate").out
    assert "policies/council.yaml: is missing" in out
    assert "policies/councils.yaml: is not a file that lifeos reads" in out


def test_a_link_is_not_followed(ready: Path, tmp_path: Path) -> None:
    """From a commit lifeos would not read it, so the work tree's must not pass either."""
    path = ready / "policies/loop.yaml"
    outside = tmp_path / "loop.yaml"
    path.rename(outside)
    path.symlink_to(outside)
    said = lifeos(ready, "validate")
    assert said.code == 2
    assert "policies/loop.yaml: is a link" in said.out


def test_sources_that_are_none(ready: Path, tmp_path: Path, git: Git) -> None:
    """A wrong revision and a bare repository say what to do."""
    assert lifeos(ready, "validate", "--commit", "--output=x").code == 2
    bare = tmp_path / "bare.git"
    git("clone", "--quiet", "--bare", str(ready), str(bare))
    said = lifeos(bare, "validate")
    assert said.code == 2
    assert "--commit REV" in said.err
    assert lifeos(bare, "validate", "--commit", "main").code == 0


def test_every_output_has_a_schema() -> None:
    """Whatever a command prints as JSON can be looked up by its name."""
    source = "\n".join(path.read_text(encoding="utf-8") for path in sorted(CLI.glob("*.py")))
    shown = set(re.findall(r'show_json\(\s*"([a-z-]+)"', source))
    assert shown - set(OUTPUTS) == set()


def test_schemas(tmp_path: Path) -> None:
    """They are JSON, work outside a repository, and an unknown name lists the known ones."""
    for name in ("loop", "verify"):
        value = json.loads(lifeos(tmp_path, "schema", name).out)
        assert value["$id"] == f"lifeos/{name}/v1"
    said = lifeos(tmp_path, "schema", "nothing")
    assert said.code == 2
    assert "council" in said.err
