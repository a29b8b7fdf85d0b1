"""A bare repository that holds the truth, and clones of it with people and ticks in them."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from command_line import Project
from conftest import EMAIL, NAME, Git
from loop_scene import BACKLOG, NO_SETTINGS, Settings, begin_scene

LEDGER = "refs/heads/lifeos/ledger"
LANDS = {"loop.autonomy": "full"}
"""Settings under which work lands without a question."""
LIMIT = 300


@dataclass(frozen=True)
class Hub:
    """The bare repository, as its owner sees it."""

    folder: Path

    def git(self, *args: str) -> str:
        """Git in it."""
        return Git(self.folder)(*args)

    def tip(self, ref: str = LEDGER) -> str:
        """Where a reference is, or ''."""
        return self.git("for-each-ref", "--format=%(objectname)", ref)

    def hook(self, name: str, script: str) -> None:
        """Put a hook in place."""
        path = self.folder / "hooks" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)

    def no_hook(self, name: str) -> None:
        """Take it away."""
        (self.folder / "hooks" / name).unlink()

    def clone(self, name: str, *options: str, url: str = "") -> Project:
        """A clone with a person in it."""
        folder = self.folder.parent / name
        Git(self.folder.parent)("clone", "--quiet", *options, url or str(self.folder), str(folder))
        return a_person(Project(folder))

    def ledger(self) -> list[dict[str, Any]]:
        """The records, oldest first, by git and json alone: no code of lifeos's reads them."""
        text = self.git("log", "--reverse", "--format=%B", LEDGER)
        mark = "lifeos-record: "
        return [json.loads(x[len(mark) :]) for x in text.splitlines() if x.startswith(mark)]

    def kinds(self) -> Counter[str]:
        """How many records of each kind there are."""
        return Counter(record["kind"] for record in self.ledger())

    def interrupted(self) -> list[str]:
        """The attempts that were cut off without a result, by run, number and stage."""
        return [
            f"{r['run']} {r['n']} ({r['stage']})"
            for r in self.ledger()
            if r["kind"] == "finished" and r["facts"]["outcome"] == "interrupted"
        ]

    def _ended_badly(self, interrupted: int) -> list[str]:
        """Attempts that did not succeed, apart from at most so many that were interrupted."""
        found = [
            f"{(r['run'], r['n'])} at {r['stage']} ended as {r['facts']['outcome']}"
            for r in self.ledger()
            if r["kind"] == "finished"
            and r["facts"]["outcome"] not in ("ok", "accept", "interrupted")
        ]
        cut = self.interrupted()
        return found + ([f"interrupted: {', '.join(cut)}"] if len(cut) > interrupted else [])

    def wrong(self, tasks: Iterable[str], interrupted: int | None = None) -> list[str]:
        """What is not as it must be when each of these tasks was done, once, by whoever.

        ``interrupted``: every attempt must have succeeded, but so many that may have been cut off.
        """
        found = self._ended_badly(interrupted) if interrupted is not None else []
        records = self.ledger()
        opened = Counter(r["run"] for r in records if r["kind"] == "opened")
        of_task = Counter(r["task"] for r in records if r["kind"] == "opened")
        closed = Counter(r["run"] for r in records if r["kind"] == "closed")
        passed = {r["run"] for r in records if r["kind"] == "closed" and r["outcome"] == "pass"}
        claims = Counter((r["run"], r["n"]) for r in records if r["kind"] == "claimed")
        ends = Counter((r["run"], r["n"]) for r in records if r["kind"] == "finished")
        for name, counted in (("opened", opened), ("closed", closed), ("claimed", claims)):
            found += [f"{key} {name} {n} times" for key, n in counted.items() if n != 1]
        found += [f"{key} finished {n} times" for key, n in ends.items() if n != 1]
        found += [f"{task} has {of_task[task]} runs" for task in tasks if of_task[task] != 1]
        found += [f"{run} is not closed with a pass" for run in opened if run not in passed]
        found += [f"{key} was finished without a claim" for key in ends if key not in claims]
        open_ends = Counter(run for run, n in claims if (run, n) not in ends)
        # A run's landing ends with the run itself.
        found += [f"{run}: {n} claims without an end" for run, n in open_ends.items() if n != 1]
        backlog = self.git("show", "main:BACKLOG.md")
        found += [f"{task} is not done" for task in tasks if f"- [x] **{task}**" not in backlog]
        landed = self.git("log", "--first-parent", "--format=%s", "main").splitlines()
        lands = Counter(line.split(":")[0] for line in landed if line.startswith("Land "))
        found += [f"{name} {n} times" for name, n in lands.items() if n != 1]
        found += [f"{task} did not land" for task in tasks if f"Land {task}" not in lands]
        numbers = self.git(
            "log", "--reverse", "--format=%(trailers:key=Lifeos-Seq,valueonly)", LEDGER
        )
        if [int(n) for n in numbers.split()] != list(range(1, len(records) + 1)):
            found.append("the transitions are not numbered without a gap")
        if self.git("log", "--merges", "--format=%H", LEDGER):
            found.append("the ledger is not one line")
        fsck = subprocess.run(
            ["git", "fsck", "--strict", "--no-dangling"], cwd=self.folder, capture_output=True,
            text=True, check=False,
        )  # fmt: skip
        if fsck.returncode != 0:
            found.append(f"git fsck: {fsck.stdout}{fsck.stderr}")
        return found


def a_person(project: Project) -> Project:
    """A clone whose git knows who works there."""
    project.git("config", "user.name", NAME)
    project.git("config", "user.email", EMAIL)
    return project


def begin_hub(
    folder: Path, settings: Settings = NO_SETTINGS, backlog: str = BACKLOG
) -> tuple[Hub, Project]:
    """A remote whose main has the rules and the backlog, and the first clone of it."""
    folder.mkdir(parents=True, exist_ok=True)
    hub = Hub(folder / "hub.git")
    Git(folder)("init", "--quiet", "--bare", "--initial-branch=main", str(hub.folder))
    scene = begin_scene(folder / "first", {"config.remote": "origin", **settings}, backlog=backlog)
    project = Project(scene.folder, scene.now)
    project.git("remote", "add", "origin", str(hub.folder))
    project.git("push", "--quiet", "--set-upstream", "origin", "main")
    return hub, project


def tasks(number: int) -> tuple[list[str], str]:
    """So many tasks that do not touch each other: their ids, and the backlog."""
    ids = [f"LO-aaaa{chr(97 + n // 26)}{chr(97 + n % 26)}" for n in range(number)]
    parts = ["# Backlog\n\n## P0\n"]
    for n, name in enumerate(ids):
        parts.append(
            f"- [ ] **{name}** Write page {n} #docs\n  - scope: `docs/{n}.md`\n  - risk: low\n\n"
            f"  ```sh recipe\n  mkdir -p docs && echo {n} > docs/{n}.md\n  ```\n"
        )
    return ids, "\n".join(parts)


def start(project: Project, *args: str, **env: str) -> subprocess.Popen[str]:
    """``lifeos ARGS`` as a process that is not waited for."""
    return subprocess.Popen(
        [sys.executable, "-m", "lifeos", *args],
        cwd=project.folder,
        env={**os.environ, **env},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def end(process: subprocess.Popen[str], limit: float = LIMIT) -> tuple[int, str]:
    """Its exit code, and all it said. ``limit`` is in seconds."""
    out, err = process.communicate(timeout=limit)
    assert "Traceback" not in err, err
    return process.returncode, out + err


def wait_for(path: Path) -> None:
    """Until a file is there."""
    until = time.monotonic() + 60
    while not path.exists():
        assert time.monotonic() < until, f"{path} never came"
        time.sleep(0.01)
