"""The tools that lifeos is measured against, where they are installed; never guessed at.

``python bench/run.py --install-peers`` puts them into a folder of their own with the ordinary
clients of their registries.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from scene import git, say

_DBOS = """
import sys, time
from dbos import DBOS
DBOS(config={"name": "bench", "system_database_url": "sqlite:///" + sys.argv[1]})

@DBOS.step()
def step(number):
    return number

@DBOS.workflow()
def workflow(count):
    for number in range(count):
        step(number)

DBOS.launch()
workflow(10)
count = int(sys.argv[2])
begun = time.perf_counter()
workflow(count)
print((time.perf_counter() - begun) / count * 1000)
DBOS.destroy()
"""


@dataclass(frozen=True)
class Peers:
    """Where they are. None: not installed."""

    backlog: Path | None
    dbos: Path | None

    @property
    def named(self) -> list[str]:
        """Their names and versions, and which are missing."""
        found = []
        if self.backlog:
            version = subprocess.run(
                (str(self.backlog), "--version"), capture_output=True, text=True, check=True
            )
            found.append(f"Backlog.md {version.stdout.strip()}")
        else:
            found.append("Backlog.md was not installed")
        if self.dbos:
            code = "import importlib.metadata as m; print(m.version('dbos'))"
            version = subprocess.run(
                (str(self.dbos), "-c", code), capture_output=True, text=True, check=True
            )
            found.append(f"DBOS {version.stdout.strip()}")
        else:
            found.append("DBOS was not installed")
        return found


def default_folder() -> Path:
    """Where ``install`` puts them."""
    cache = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(cache) / "lifeos-bench"


def find(folder: Path) -> Peers:
    """Those that are installed in the folder."""
    backlog = folder / "node_modules" / ".bin" / "backlog"
    dbos = folder / "dbos" / "bin" / "python"
    return Peers(
        backlog=backlog if backlog.exists() else None, dbos=dbos if dbos.exists() else None
    )


def install(folder: Path) -> None:
    """Install what can be installed here; what cannot is said."""
    folder.mkdir(parents=True, exist_ok=True)
    if shutil.which("npm"):
        _attempt("npm", "install", "--no-audit", "--no-fund", "--prefix", str(folder), "backlog.md")
    else:
        say("npm is missing: Backlog.md cannot be installed")
    _attempt(sys.executable, "-m", "venv", str(folder / "dbos"))
    _attempt(str(folder / "dbos" / "bin" / "pip"), "install", "-q", "dbos")


def _attempt(*command: str) -> None:
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode:
        say(f"{' '.join(command[:3])} failed: {result.stderr.strip()[-300:]}")


def backlog_project(peers: Peers, folder: Path, count: int) -> Path:
    """A project of Backlog.md with so many tasks, written as its own command writes them."""
    project = folder / "backlog-md"
    if project.exists():
        return project
    project.mkdir()
    git(project, "init", "-q", "-b", "main")
    git(project, "commit", "-q", "--allow-empty", "-m", "Begin")
    command = str(peers.backlog)
    options = ("--defaults", "--integration-mode", "none")
    for arguments in (("init", "bench", *options), ("task", "create", "the first task")):
        subprocess.run((command, *arguments), cwd=project, check=True, capture_output=True)
    (first,) = (project / "backlog" / "tasks").iterdir()
    text = first.read_text()
    assert "TASK-1\n" in text
    assert "the first task" in text
    for number in range(2, count + 1):
        copy = text.replace("TASK-1\n", f"TASK-{number}\n")
        copy = copy.replace("the first task", f"Part {number} answers within its deadline")
        name = f"task-{number} - Part-{number}-answers-within-its-deadline.md"
        first.with_name(name).write_text(copy)
    git(project, "add", "-A")
    git(project, "commit", "-q", "-m", "Add the tasks")
    listed = subprocess.run(
        (command, "task", "list", "--plain"), cwd=project, check=True, capture_output=True
    )
    assert listed.stdout.count(b"TASK-") == count
    return project


def dbos_step(peers: Peers, folder: Path, count: int) -> float:
    """Milliseconds of one step of a DBOS workflow in the mean, on a new SQLite as it comes."""
    for old in folder.glob("dbos.sqlite*"):
        old.unlink()
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    result = subprocess.run(
        (str(peers.dbos), "-c", _DBOS, str(folder / "dbos.sqlite"), str(count)),
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return float(result.stdout.strip().splitlines()[-1])
