"""Completion: what `lifeos --install-completion` leaves works in a real shell."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from conftest import require


@pytest.fixture
def path(tmp_path: Path) -> str:
    """A PATH that has the command."""
    program = tmp_path / "bin" / "lifeos"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m lifeos "$@"\n')
    program.chmod(0o755)
    return f"{program.parent}:{os.environ['PATH']}"


def bash(path: str, script: str, name: str = "bash") -> str:
    """What bash prints, going by this name. It must succeed.

    It stays the parent of what it runs, which tells by that name which shell it is in.
    """
    require("bash", shutil.which("bash") is not None, "apt-get install bash")
    done = subprocess.run(
        [name, "--norc", "-euc", f"{script}\n:"],
        executable=shutil.which("bash"),
        env={**os.environ, "PATH": path, "SHELL": "/bin/bash"},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_bash_completes_commands_options_and_values(path: str, sealed: Path) -> None:
    """After the installation, in a shell that has read what it wrote."""
    bash(path, "lifeos --install-completion")
    assert "lifeos.sh" in (sealed / ".bashrc").read_text(encoding="utf-8")
    asked = {
        "lifeos met": "metrics",
        "lifeos -C / board --w": "--watch",
        "lifeos backlog f": "fmt",
        "lifeos metrics --by w": "week",
    }
    script = ". ~/.bashrc\nset +u\n"
    for words in asked:
        script += f"COMP_WORDS=({words}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))\n"
        script += '_lifeos_completion lifeos; echo "${COMPREPLY[@]}"\n'
    assert bash(path, script).split("\n") == [*asked.values(), ""]


@pytest.mark.parametrize(
    ("shell", "begins"),
    [
        ("bash", "_lifeos_completion() {"),
        ("zsh", "#compdef lifeos"),
        ("fish", "complete --command lifeos"),
    ],
)
def test_what_would_be_installed_can_be_shown(path: str, shell: str, begins: str) -> None:
    """For those who keep their own files: what the shell reads that they are in."""
    shown = bash(path, "lifeos --show-completion", shell)
    assert shown.startswith(begins)
    assert "_LIFEOS_COMPLETE" in shown
