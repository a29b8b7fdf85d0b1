"""Several clones that record on one remote: how much a second, in how many pushes, nothing lost.

Each writer is a process with a clone of its own and records as a tick does: it pushes what it has,
and where another was first it waits by chance, takes that in and records anew. The remote is a bare
repository by its path, on the same cores: no network, and no server of its own.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from clock import commands
from lifeos.core.records import Noted
from lifeos.store.ledger import BRANCH, LedgerMoved
from lifeos.store.repo import Repo
from lifeos.tick.begin import attached, opened
from lifeos.tick.context import World
from page import Row, ms, times
from scene import Scene, console_script, git, new_repository

REMOTE = '{"version": 1, "remote": "origin"}'  # JSON is YAML, too
PUSH = "git:before:push"
AT_LEAST = 6.0
"""Records a second that 32 writers on one reference were seen to reach elsewhere: 6 to 11."""


@dataclass(frozen=True)
class Crowd:
    """What so many writers did. ``kept``: how many of the records are there, once each."""

    writers: int
    batch: int
    records: int
    kept: int
    pushes: int
    seconds: float
    first: float  # seconds after which the first writer was done; the last one ends it

    @property
    def rate(self) -> float:
        """Records a second."""
        return self.records / self.seconds

    @property
    def tries(self) -> float:
        """Pushes for each one that was needed."""
        return self.pushes / (self.records / self.batch)

    def __str__(self) -> str:
        return f"{self.writers}: {self.rate:.1f}/s"


def rows(scene: Scene) -> list[Row]:
    """Every row about one remote."""
    small = scene.size.rounds < 10
    single = [(1, 5), (4, 2)] if small else [(1, 60), (8, 12), (32, 4)]
    many = [(1, 2), (4, 1)] if small else [(1, 40), (8, 8)]
    ones = [crowd(scene, writers, each, 1) for writers, each in single]
    packs = [crowd(scene, writers, each, 16) for writers, each in many]
    return [_row(ones, small), _row(packs, small), _idle(scene)]


def _idle(scene: Scene) -> Row:
    """A tick with nothing to do, which has to ask the remote for the ledger and main."""
    _, first = _hub(scene.folder / "remote")
    command = (console_script(), "tick")
    commands({"": (first, command)}, 2)  # reads the backlog for the first time
    bare = (scene.folder, (sys.executable, "-c", "pass"))
    found = commands({"bare": bare, "tick": (first, command)}, scene.size.rounds)
    return Row(
        "a tick with nothing to do, with a remote",
        "(no figure is promised)",
        ms(found["tick"]),
        None,
        f"{times(found['tick'] / found['bare'])} of `python -c pass`: what is new there cannot be"
        " seen from here, so the whole loop is loaded, and two fetches are made.",
    )


def _row(crowds: list[Crowd], small: bool) -> Row:
    batch = crowds[0].batch
    lost = sum(one.records - one.kept for one in crowds)
    shown = ", ".join(map(str, crowds))
    tries = ", ".join(
        f"{one.writers}: {one.pushes / one.records:.2f} pushes a record ({one.tries:.2f} for each"
        f" that was needed), {one.kept} of {one.records} kept, the first was done after"
        f" {one.first:.1f} s and the last after {one.seconds:.1f} s"
        for one in crowds
    )
    if batch == 1:
        must = f"every record kept; {AT_LEAST:.0f}/s at 32 writers"
        reached = None if small else lost == 0 and crowds[-1].rate >= AT_LEAST
        what = "several machines on one remote, one record a push"
        note = "each writer is a process with a clone of its own, and goes on until it is done. "
    else:
        must = "every record kept, all records of a pass in one push"
        reached = lost == 0
        what = f"several machines on one remote, {batch} records a push"
        note = "as a tick does it, which pushes before it launches something and at its end. "
    kept = "all kept" if lost == 0 else f"{lost} LOST"
    note += f"By writers: {tries}. Read back by git and json alone."
    return Row(what, must, f"by writers {shown}; {kept}", reached, note)


def crowd(scene: Scene, writers: int, passes: int, batch: int) -> Crowd:
    """So many writers at once on a new remote, each with so many passes of so many records."""
    hub, first = _hub(scene.folder / "remote")
    clones = [scene.folder / "remote" / f"clone{number}" for number in range(writers)]
    for clone in clones:
        git(first, "clone", "-q", str(hub), str(clone))
    command = (sys.executable, str(Path(__file__).resolve()))
    started = [
        subprocess.Popen(
            (*command, str(clone), str(passes), str(batch), str(number)),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for number, clone in enumerate(clones)
    ]
    for process in started:
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
    begun = time.perf_counter()
    for process in started:
        assert process.stdin
        process.stdin.write("go\n")
        process.stdin.flush()
    outs = [process.communicate()[0].split() for process in started]
    seconds = time.perf_counter() - begun
    assert all(process.returncode == 0 for process in started)
    wanted = [_text(w, p, n) for w in range(writers) for p in range(passes) for n in range(batch)]
    there = _texts(hub)
    return Crowd(
        writers=writers,
        batch=batch,
        records=len(wanted),
        kept=sum(there[text] == 1 for text in wanted),
        pushes=sum(int(out[0]) for out in outs),
        seconds=seconds,
        first=min(float(out[1]) for out in outs),
    )


def _hub(folder: Path) -> tuple[Path, Path]:
    """A bare repository with the rules and a ledger, and the clone that began it."""
    shutil.rmtree(folder, ignore_errors=True)
    hub, first = folder / "hub.git", folder / "first"
    new_repository(first, config=REMOTE).close()
    git(folder, "init", "-q", "--bare", "-b", "main", str(hub))
    git(first, "remote", "add", "origin", str(hub))
    git(first, "push", "-q", "-u", "origin", "main")
    with Repo.open(first) as repo:
        opened(repo, World())
    return hub, first


def _texts(hub: Path) -> Counter[str]:
    """How often each note is on the ledger, by git and json alone."""
    mark = "lifeos-record: "
    lines = git(hub, "log", "--format=%B", BRANCH).splitlines()
    records = [json.loads(line[len(mark) :]) for line in lines if line.startswith(mark)]
    return Counter(record.get("text", "") for record in records)


def _text(writer: int, number: int, part: int) -> str:
    return f"writer {writer} pass {number} record {part}"


def write_in_turn(path: Path, passes: int, batch: int, writer: int) -> None:
    """One writer: waits for the word, then records; prints its pushes and its seconds."""
    pushes = 0

    def trace(event: str) -> None:
        nonlocal pushes
        pushes += event == PUSH

    world = World()
    with Repo.open(path, trace) as repo:
        ctx = attached(repo, world)
        assert ctx is not None
        print("ready", flush=True)
        sys.stdin.readline()
        begun = time.perf_counter()
        lost = number = 0
        while number < passes:
            for part in range(batch):
                text = _text(writer, number, part)
                ctx.ledger.append(Noted(at=ctx.now(), topic="reverted", task="LO-x", text=text))
            try:
                ctx.ledger.flush()
            except LedgerMoved:  # as the tick does
                lost += 1
                world.pause(lost)
                ctx.ledger.catch_up()
                continue
            lost = 0
            number += 1
    print(pushes, time.perf_counter() - begun)


if __name__ == "__main__":
    write_in_turn(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))
