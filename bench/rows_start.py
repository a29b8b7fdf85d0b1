"""What a command costs that only looks: start-up is nearly all of it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from clock import commands
from page import Row, ms, times
from peers import Peers, backlog_project
from scene import Scene, console_script

LOOKS = ("status", "next", "queue")


def rows(scene: Scene, peers: Peers) -> list[Row]:
    """An idle tick, and the commands that people run all day."""
    return [_idle(scene), _looks(scene, peers)]


def _idle(scene: Scene) -> Row:
    folders = {count: scene.ledger(count) for count in (scene.size.short, scene.size.long)}
    bare = (sys.executable, "-c", "pass")
    wanted: dict[str, tuple[Path, Sequence[str]]] = {"bare": (scene.folder, bare)}
    for count, folder in folders.items():
        _settle(folder)
        wanted[f"script {count}"] = (folder, (console_script(), "tick"))
        wanted[f"module {count}"] = (folder, (sys.executable, "-m", "lifeos", "tick"))
    found = commands(wanted, scene.size.rounds * 2)
    base = found["bare"]
    script = [found[f"script {count}"] / base for count in folders]
    module = [found[f"module {count}"] / base for count in folders]
    short, long = folders
    return Row(
        "a tick with nothing to do (no remote)",
        f"1.5x of `python -c pass`, flat from {short:,} to {long:,} transitions",
        f"{times(script[0])} at {short:,}, {times(script[1])} at {long:,}",
        max(script) <= 1.5,
        f"the installed command `lifeos tick`; `python -c pass` took {ms(base)}."
        f" `python -m lifeos tick` took {times(module[0])} and {times(module[1])}:"
        " Python's own search for the module is the difference.",
    )


def _settle(folder: Path) -> None:
    """Tick until there is nothing to do, and it is known; the idle tick must be what it says."""
    for _ in range(3):
        subprocess.run((console_script(), "tick"), cwd=folder, check=True, capture_output=True)
    assert (folder / ".git" / "lifeos" / "idle").exists()


def _looks(scene: Scene, peers: Peers) -> Row:
    count = scene.size.tasks
    must = f"below 0.5x of Backlog.md's `task list` on {count:,} tasks"
    folder = scene.tasks()
    wanted: dict[str, tuple[Path, Sequence[str]]] = {
        name: (folder, (console_script(), name)) for name in LOOKS
    }
    if peers.backlog:
        project = backlog_project(peers, scene.folder, count)
        wanted["peer"] = (project, (str(peers.backlog), "task", "list", "--plain"))
    wanted["bare"] = (scene.folder, (sys.executable, "-c", "pass"))
    commands({name: wanted[name] for name in LOOKS}, 1)  # fills what is remembered
    found = commands(wanted, scene.size.rounds)
    own = ", ".join(f"`{name}` {ms(found[name])}" for name in LOOKS)
    what = "`status`, `next`, `queue`"
    bare = f"`python -c pass`: {ms(found['bare'])}."
    if "peer" not in found:
        return Row(what, must, f"{own}; Backlog.md is not installed", None, bare)
    peer = found["peer"]
    ratios = [found[name] / peer for name in LOOKS]
    return Row(
        what,
        must,
        ", ".join(f"`{name}` {times(one)}" for name, one in zip(LOOKS, ratios, strict=True)),
        max(ratios) < 0.5,
        f"{own}; Backlog.md {ms(peer)}. {bare} Nearly all of it is imports.",
    )
