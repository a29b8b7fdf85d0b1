"""What the tab key and an editor are told."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from command_line import Project, fresh, project
from lifeos.core.policy import FILES


def completed(words: str) -> list[str]:
    """What bash would offer for the last of these words."""
    done = subprocess.run(
        [sys.executable, "-m", "lifeos"],
        env={
            **os.environ,
            "_LIFEOS_COMPLETE": "complete_bash",
            "COMP_WORDS": words,
            "COMP_CWORD": str(len(words.split(" ")) - 1),
        },
        capture_output=True,
        encoding="utf-8",
        check=True,
        timeout=60,
    )
    return done.stdout.split()


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        ("lifeos st", ["status", "stop"]),
        ("lifeos backlog f", ["fmt"]),
        ("lifeos tick --j", ["--jobs", "--json"]),
    ],
)
def test_the_tab_key_offers_commands_and_options(words: str, offered: list[str]) -> None:
    """Of the command line, of a group, of a command."""
    assert completed(words) == offered


@pytest.mark.parametrize("again", [False, True])
def test_the_rules_name_their_schemas_for_editors(repo: Path, again: bool) -> None:
    """The first line of each file leads to the schema that `lifeos schema` prints.

    Right after `init`, and in a clone that has none of them yet.
    """
    here = Project(repo)
    here.cli("init")
    if again:
        shutil.rmtree(repo / ".git" / "lifeos")
        assert ".git/lifeos/schema" in here.cli("schema", "--write").err
    for path in FILES:
        first = (here.folder / path).read_text(encoding="utf-8").splitlines()[0]
        named = re.fullmatch(r"# yaml-language-server: \$schema=(\S+)", first)
        assert named is not None, path
        schema = (here.folder / path).parent / named[1]
        name = Path(path).stem
        assert json.loads(schema.read_text()) == json.loads(here.cli("schema", name).out)


def test_schemas_are_written_all_or_none(tmp_path: Path) -> None:
    """A name with --write is a mistake, and said."""
    here = Project(project(tmp_path, "completion", fresh).folder)
    said = here.cli("schema", "loop", "--write", code=2)
    assert "lifeos schema --write" in said.err
