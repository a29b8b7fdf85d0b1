"""Where the measuring is done: a scratch folder, a sealed environment, known repositories."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import truehistory
from lifeos.governance import governance_digest
from lifeos.initial import render_init
from lifeos.store.ledger import Ledger
from lifeos.store.repo import Repo
from longledger import length_near, make, task_id, title

NAME, EMAIL = "Ada", "ada@example.invalid"
WHEN = "2025-01-01T00:00:00Z"
SOURCE = Path(__file__).resolve().parent.parent / "src"


@dataclass(frozen=True)
class Size:
    """How much is measured. ``rounds``: of each command; the best one counts."""

    short: int
    long: int
    tasks: int
    backlog: int
    writers: int
    each: int  # records of one writer
    appends: int
    rounds: int


FULL = Size(
    short=1_000,
    long=100_000,
    tasks=1_000,
    backlog=10_000,
    writers=32,
    each=20,
    appends=400,
    rounds=21,
)
QUICK = Size(
    short=100,
    long=300,
    tasks=50,
    backlog=200,
    writers=4,
    each=3,
    appends=20,
    rounds=2,
)


@dataclass
class Scene:
    """One run of the benchmark: its folder, its size, and ledgers that are made once."""

    folder: Path
    size: Size

    def ledger(self, near: int) -> Path:
        """A repository whose ledger has about so many transitions, and no task to do."""
        count = length_near(near)
        path = self.folder / f"ledger-{count}-{rules()}"
        if not path.exists():
            say(f"making a ledger of {count:,} transitions")
            with new_repository(path) as repo:
                make(repo, count)
        return path

    def history(self, near: int) -> Path:
        """A repository whose ledger has about so many transitions, and whose main has all of it."""
        path = self.folder / f"history-{near}-{rules()}"
        if not path.exists():
            say(f"making a ledger of {near:,} transitions with its main")
            with new_repository(path) as repo:
                truehistory.make(repo, near)
            git(path, "update-ref", "-d", "refs/heads/work")
            git(path, "reset", "-q", "--hard", "main")
        return path

    def tasks(self) -> Path:
        """A repository with open tasks, a short ledger, and one question that waits."""
        path = self.folder / f"tasks-{rules()}"
        if not path.exists():
            with new_repository(path, backlog_text(self.size.tasks)) as repo:
                make(repo, length_near(self.size.short), waiting=True)
                ledger = Ledger.open(repo)
                assert ledger is not None
                ledger.save()  # as the tick that asked this question did
        return path


@contextmanager
def scene(size: Size, keep: Path | None) -> Iterator[Scene]:
    """A scratch folder that goes at the end, or ``keep``, which stays and is used again."""
    folder = keep or Path(tempfile.mkdtemp(prefix="lifeos-bench-"))
    folder.mkdir(parents=True, exist_ok=True)
    seal(folder)
    try:
        yield Scene(folder, size)
    finally:
        if keep is None:
            shutil.rmtree(folder)


def seal(folder: Path) -> None:
    """Nobody's configuration, and a fixed identity, for this process and all that it starts."""
    for name in [name for name in os.environ if name.startswith(("GIT_", "DBOS_"))]:
        del os.environ[name]
    os.environ |= {
        "HOME": str(folder),
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_AUTHOR_NAME": NAME,
        "GIT_AUTHOR_EMAIL": EMAIL,
        "GIT_COMMITTER_NAME": NAME,
        "GIT_COMMITTER_EMAIL": EMAIL,
        "GIT_AUTHOR_DATE": WHEN,
        "GIT_COMMITTER_DATE": WHEN,
    }
    # The processes measured must be of the same source as this one, also where lifeos is
    # installed from elsewhere.
    os.environ["PYTHONPATH"] = str(SOURCE)


def rules() -> str:
    """What tells kept repositories apart whose rules this lifeos may no longer read."""
    return governance_digest(render_init(NAME, EMAIL, "main", ()))[:8]


def new_repository(path: Path, backlog: str = "", config: str = "") -> Repo:
    """A repository with the default rules, and this text at the end of its backlog.

    ``config`` is another `.lifeos/config.yaml`, if any.
    """
    path.mkdir(parents=True)
    git(path, "init", "-q", "-b", "main")
    for name, content in render_init(NAME, EMAIL, "main", ()).items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(content)
    if config:
        (path / ".lifeos/config.yaml").write_text(config)
    with (path / "BACKLOG.md").open("a") as file:
        file.write(backlog)
    git(path, "add", "-A")
    git(path, "commit", "-q", "-m", "Set up")
    return Repo.open(path)


def backlog_text(count: int) -> str:
    """So many open tasks, each with what a usual one has."""
    entries = [
        f"- [ ] **{task_id(100_000 + number)}** {title(number)} #api\n"
        f"  - scope: `src/part{number}/**`\n"
        f"  - risk: low\n\n"
        f"  Somebody waits for part {number}, and gives up after a second.\n"
        for number in range(count)
    ]
    return "\n" + "\n".join(entries)


def git(folder: Path, *arguments: str) -> str:
    """What git prints. Raises when it fails."""
    result = subprocess.run(
        ("git", *arguments), cwd=folder, check=True, capture_output=True, text=True
    )
    return result.stdout.strip()


def console_script() -> str:
    """The installed ``lifeos`` of this interpreter."""
    path = Path(sys.executable).parent / "lifeos"
    assert path.exists(), f"{path} is missing: install lifeos for {sys.executable}"
    return str(path)


def say(line: str) -> None:
    """Show progress."""
    print(line, file=sys.stderr, flush=True)
