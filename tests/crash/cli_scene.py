"""The real command line in a repository with one task, as a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from conftest import EMAIL, NAME, Git
from lifeos.core.records import Claimed, Finished
from lifeos.initial import render_init
from lifeos.model import Stage
from lifeos.store.entries import read_entries
from lifeos.store.ledger import Ledger
from lifeos.store.repo import Repo
from lifeos.tick.verify import verify_ledger

LIMIT = 60.0
"""Seconds until something that should have happened fails the test. Nothing is measured by it."""

#: Seconds that nobody else sleeps: by them a process of the sandbox is found from outside.
MARK = "86399.5"

BACKLOG = """\
# Backlog

## P0

- [ ] **LO-aaaaaa** Say hello in the guide #docs
  - scope: `docs/**`
  - risk: low

  ```sh recipe
  mkdir -p docs && echo hello > docs/guide.md
{more}
  ```
"""

#: The first build hangs, later ones do not. Attempt 5 of a run is its first build.
HANGS = f'[ "$LIFEOS_ATTEMPT" -gt 5 ] || sleep {MARK}'
#: Nothing that can be ignored helps against this one, and it leaves children in their own sessions.
CLINGS = f"""\
[ "$LIFEOS_ATTEMPT" -gt 5 ] && exit 0
trap '' TERM INT HUP QUIT
(trap '' TERM INT HUP; setsid sh -c 'trap "" TERM; while :; do sleep {MARK}; done' &)
while :; do sleep {MARK}; done"""


@dataclass(frozen=True)
class Scene:
    """A repository, and how to run lifeos in it."""

    folder: Path

    @property
    def git(self) -> Git:
        """Git in it."""
        return Git(self.folder)

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """``lifeos ARGUMENTS`` as a process of its own, in a session of its own."""
        return subprocess.Popen(
            [sys.executable, "-m", "lifeos", *arguments],
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def run(self, *arguments: str) -> tuple[int, str, str]:
        """``lifeos ARGUMENTS`` from start to end: exit code, output, messages."""
        return end_of(self.start(*arguments))

    def finished(self, stage: Stage = Stage.BUILD) -> list[str]:
        """The outcomes of a stage's attempts, with the rules that followed."""
        with Repo.open(self.folder) as repo:
            records = [
                entry.record for entry in read_entries(repo, self.git("rev-parse", "lifeos/ledger"))
            ]
        return [
            f"{record.facts.outcome} {record.action} {record.rule}"
            for record in records
            if isinstance(record, Finished) and record.stage is stage and record.facts
        ]

    def claims(self) -> int:
        """How many claims there are on the ledger."""
        with Repo.open(self.folder) as repo:
            tip = self.git("rev-parse", "lifeos/ledger")
            return sum(isinstance(entry.record, Claimed) for entry in read_entries(repo, tip))

    def landed(self) -> None:
        """Assert that the task landed once, and that nothing is left over or wrong."""
        assert self.git("show", "main:docs/guide.md") == "hello"
        assert "- [x] **LO-aaaaaa**" in self.git("show", "main:BACKLOG.md")
        assert (
            len(self.git("log", "--first-parent", "--merges", "--format=%H", "main").split()) == 1
        )
        assert self.git("status", "--porcelain") == ""
        with Repo.open(self.folder) as repo:
            ledger = Ledger.open(repo)
            assert ledger is not None
            assert not ledger.snapshot.runs
            assert not ledger.snapshot.items
            found = verify_ledger(repo, ledger.tip, repo.refs.read("refs/heads/main"))
        assert not found.findings
        private = self.folder / ".git" / "lifeos"
        for name in ("work", "bundles", "quarantine"):
            assert not (private / name).exists() or not list((private / name).iterdir())


def scene(folder: Path, more: str = "") -> Scene:
    """A repository whose only task lands without a question; ``more`` goes into its recipe."""
    folder.mkdir(parents=True)
    git = Git(folder)
    git("init", "--quiet", "--initial-branch=main")
    git("config", "user.name", NAME)
    git("config", "user.email", EMAIL)
    files = dict(render_init(NAME, EMAIL, "main", ()))
    loop = files["policies/loop.yaml"]
    files["policies/loop.yaml"] = loop.replace(b"autonomy: supervised", b"autonomy: full")
    assert files["policies/loop.yaml"] != loop
    indented = "\n".join(f"  {line}" for line in more.split("\n"))
    files["BACKLOG.md"] = BACKLOG.format(more=indented).encode()
    for name, data in files.items():
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
    git("add", "--all")
    git("commit", "--quiet", "--message=Begin")
    return Scene(folder)


def end_of(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    """Exit code, output and messages of a process that will end."""
    try:
        out, err = process.communicate(timeout=LIMIT)
    except subprocess.TimeoutExpired:
        process.kill()
        out, err = process.communicate()
        raise AssertionError(f"it does not end\n{out}\n{err}") from None
    return process.returncode, out, err


def sleepers() -> list[int]:
    """The processes, in any sandbox, that sleep for ``MARK`` or are about to."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal() and int(entry.name) != os.getpid():
            try:
                command = (entry / "cmdline").read_bytes()
                state = (entry / "stat").read_bytes().rpartition(b")")[2].split()[0]
            except OSError:
                continue  # it has ended
            if f"sleep\0{MARK}\0".encode() in command and state not in (b"Z", b"X"):
                found.append(int(entry.name))
    return found


def until(true: Callable[[], object], what: str) -> None:
    """Wait until something is so."""
    deadline = time.monotonic() + LIMIT
    while not true():
        assert time.monotonic() < deadline, f"in vain: {what}"
        time.sleep(0.02)
