"""A command in a copy of a process (warm.py) does what the same command does, started anew."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path

import pytest

import warm
from conftest import Git


def anew(args: list[str], cwd: Path, env: Mapping[str, str]) -> tuple[int, str, str]:
    """Exit code, output and messages of a command that is started by itself."""
    done = subprocess.run(
        [sys.executable, "-m", "lifeos", *args], cwd=cwd, env=env, timeout=120,
        capture_output=True, encoding="utf-8", check=False,
    )  # fmt: skip
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize(
    "typed", ["--version", "--help", "status", "init --dry-run", "schema loop", "show", "nonsense"]
)
def test_it_says_the_same(repo: Path, typed: str) -> None:
    """Words, exit code, and what goes where; with its own environment and folder."""
    Git(repo)("commit", "--quiet", "--allow-empty", "--message=A")
    inside = repo / "below"
    inside.mkdir()
    env = {**os.environ, "COLUMNS": "60", "GIT_AUTHOR_NAME": "Somebody Else"}
    done = warm.run(typed.split(), inside, env)
    assert (done.returncode, done.stdout, done.stderr) == anew(typed.split(), inside, env)


def test_nothing_of_one_reaches_the_next(repo: Path) -> None:
    """Neither environment nor folder stays."""
    Git(repo)("commit", "--quiet", "--allow-empty", "--message=A")
    warm.run(["init", "--commit"], repo, os.environ)
    first = warm.run(["status"], repo, os.environ)
    there = warm.run(["status"], Path("/"), {**os.environ, "GIT_DIR": "/nowhere"})
    assert (first.returncode, there.returncode) == (0, 2)
    assert warm.run(["status"], repo, os.environ).stdout == first.stdout


@pytest.mark.parametrize("whose", ["the command's", "the test's"])
def test_what_python_reads_at_its_start_starts_it_anew(
    repo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, whose: str
) -> None:
    """A variable of Python's own counts, also where the test has it for all that it starts."""
    warm.run(["--version"], repo, os.environ)  # the process that is copied is there
    place = tmp_path / "lifeos"
    place.mkdir()
    (place / "__init__.py").touch()
    (place / "__main__.py").write_text("print('another lifeos')")
    env = {**os.environ, "PYTHONPATH": str(tmp_path)}
    if whose == "the test's":
        monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    assert warm.run(["status"], repo, env).stdout == "another lifeos\n"


def test_it_is_killed_when_it_takes_too_long(repo: Path) -> None:
    """Then the one that waits is told, and the next one answers."""
    Git(repo)("commit", "--quiet", "--allow-empty", "--message=A")
    warm.run(["init", "--commit"], repo, os.environ)
    with pytest.raises(subprocess.TimeoutExpired):
        warm.run(["board", "--watch"], repo, os.environ, seconds=1)
    assert warm.run(["--version"], repo, os.environ).returncode == 0


def test_several_at_once(repo: Path, tmp_path: Path) -> None:
    """One that goes on does not keep another from beginning, or from ending."""
    gate, git = tmp_path / "gate", tmp_path / "git"
    os.mkfifo(gate)
    git.write_text(f"#!/bin/sh\nread line < {gate}\nexit 1\n")
    git.chmod(0o755)
    env = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    ended: list[subprocess.CompletedProcess[str]] = []
    thread = threading.Thread(target=lambda: ended.append(warm.run(["status"], repo, env)))
    thread.start()
    with gate.open("w") as held:  # opens when that git waits for its line
        assert warm.run(["--version"], repo, os.environ).returncode == 0
        assert ended == []
        held.write("\n")
    thread.join()
    assert ended[0].returncode != 0
