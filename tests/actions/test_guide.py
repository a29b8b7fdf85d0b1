"""docs/github.md shows what a person sees who follows it. The rounds are compared by test_act."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from conftest import Git
from fake_github import NAME, TOKEN, FakeGitHub, Ruleset, State
from guide import BLOCKS, masked
from lifeos.core.backlog.parse import parse
from loopback import before_the_judge

ADA = {
    f"GIT_{role}_{what}": value
    for role in ("AUTHOR", "COMMITTER")
    for what, value in (("NAME", "Ada"), ("EMAIL", "ada@example.org"))
}
DIGEST = "0f" * 32
KEEP = ("non_fast_forward", "deletion")


def said(folder: Path, *args: str, **environ: str) -> str:
    """What a command says to people."""
    done = subprocess.run(
        [sys.executable, "-m", "lifeos", *args],
        cwd=folder, env={**os.environ, **ADA, **environ}, text=True, check=False,
        capture_output=True,
    )  # fmt: skip
    assert "Traceback" not in done.stderr, done.stderr
    return done.stdout


def test_the_files(repo: Path) -> None:
    """The command of the page, in a repository like the one of the page, says what stands there."""
    Git(repo)("remote", "add", "origin", "git@github.com:ada/shop.git")
    typed, _, wanted = BLOCKS["files"].partition("$ lifeos ")[2].partition("\n")
    args = typed.replace("0f0f…", DIGEST).split()
    assert masked(said(repo, *args)) == masked(wanted)


@pytest.mark.parametrize("block", ["before", "after"])
def test_the_settings(repo: Path, block: str) -> None:
    """`lifeos doctor` before and after they are set, as GitHub's description lets GitHub answer."""
    fake = FakeGitHub()
    port = before_the_judge(fake)
    fake.state = State(login="ada", people=("ada",), personal=True)
    fake.state.permissions = ("pull", "push", "admin")
    if block == "after":
        fake.state.may_open = True
        fake.state.rulesets = [
            Ruleset(1, ("main", "lifeos/ledger"), KEEP),
            Ruleset(2, ("lifeos/queue/*",), KEEP[:1]),
        ]
    Git(repo)("remote", "add", "origin", f"http://127.0.0.1:{port}/{NAME}")
    args = ("--login", "ada", "--forge-id", "42", "--lifeos-hash", DIGEST)
    said(repo, "init", "--github", "--commit", *args)
    shown = said(repo, "doctor", GITHUB_TOKEN=TOKEN)
    shown = shown.replace(f"127.0.0.1:{port}/{NAME}", "github.com/ada/shop")
    _, wanted, _ = BLOCKS[block].split("…\n")
    assert wanted in shown


def test_the_task_can_be_read() -> None:
    """As one task, with its scope, its recipe and its acceptance."""
    backlog = parse(f"# Backlog\n\n## P0\n\n{BLOCKS['task']}".encode())
    assert backlog.problems == ()
    (task,) = backlog.tasks
    assert (task.title, task.scope) == ("Say hello in the guide", ("docs/**",))
