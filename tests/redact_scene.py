"""A ledger with content that somebody regrets, and how to look for it afterwards."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from command_line import Project, asking
from lifeos.model import Decision
from lifeos.store.repo import Repo
from lifeos.store.trees import edit, lookup
from lifeos.tick.audit import Area
from test_verify import LEDGER, Step, findings, write

NOTE = "It names a customer"


def landed(folder: Path) -> Project:
    """A run landed."""
    scene = asking(folder)
    scene.commit(dict(scene.answer()))
    scene.tick()
    return scene


def rejected(folder: Path) -> Project:
    """The work was refused; the ledger keeps it."""
    scene = asking(folder)
    scene.commit(dict(scene.answer(Decision.REJECT, "no")))
    scene.tick()
    return scene


def redacted(folder: Path) -> Project:
    """A run landed, and its plan was redacted."""
    scene = landed(folder)
    redact(scene, f"{run_of(scene)}:3", "plan.md")
    return scene


def blob_at(scene: Project, path: str, tree: str = "") -> str:
    """The blob at a path of the ledger, in the tree that had it last."""
    commits = [tree] if tree else scene.git("rev-list", LEDGER).split()
    for commit in commits:
        found = scene.git("ls-tree", commit, "--", path)
        if found:
            return found.split()[2]
    raise AssertionError(f"no {path}")


def paths_at(scene: Project, tree: str = LEDGER) -> list[str]:
    """All paths of the ledger."""
    return scene.git("ls-tree", "-r", "--name-only", tree).split("\n")


def run_of(scene: Project) -> str:
    """The run that was opened last."""
    return scene.git("log", "-1", "--format=%s", "--grep=^open R-", LEDGER).split()[1]


def redact(scene: Project, *args: str, code: int = 0) -> Any:
    """Order it, as an approver. What came of it, or what was said against it."""
    said = scene.cli("redact", *args, "--note", NOTE, "--json", code=code)
    return said.data if code == 0 else said.err


def accept(scene: Project) -> Any:
    """Take over what was redacted, or finish it."""
    return scene.cli("redact", "--accept", "--json").data


def is_gone(scene: Project, blob: str) -> None:
    """The content is not here, and git misses nothing; what nothing reaches goes too."""
    assert scene.git("cat-file", "--batch-check", stdin=blob) == f"{blob} missing"
    assert "missing" not in scene.git("fsck", "--full", "--strict", "--no-dangling")
    scene.git("gc", "--quiet", "--prune=now")


def verified(scene: Project, at: Path | None = None) -> Any:
    """Nothing is found; what verify says."""
    data = scene.cli("verify", "--json", at=at, code=None).data
    assert data["findings"] == []
    return data


def named(scene: Project, what: str, area: Area) -> None:
    """Something is found that says this."""
    found = findings(scene)
    assert any(one.area is area and what in one.what for one in found), found


def rewritten(scene: Project, steps: list[Step], place: int, files: Mapping[str, bytes]) -> None:
    """The transitions from a place on with other content at some paths, as a redaction does."""
    with Repo.open(scene.folder) as repo:
        put = {path: ("100644", repo.objects.write_blob(data)) for path, data in files.items()}
        for number in range(place, len(steps)):
            there = {
                path: one
                for path, one in put.items()
                if lookup(repo.objects, steps[number].tree, path)
            }
            tree = edit(repo.objects, steps[number].tree, there)
            steps[number] = replace(steps[number], tree=tree)
        repo.objects.flush()
    write(scene, steps)


_CUT_SHORT = """
import os, sys
from pathlib import Path
from lifeos.cli.frame import Frame
from lifeos.cli.redact_order import ordered
from lifeos.store.lock import Lock
from lifeos.tick.context import World

def trace(event):
    if event == sys.argv[1]:
        os._exit(9)

ctx = Frame(Path.cwd()).context(World(trace=trace))
with ctx.repo, Lock(ctx.repo.ensure_private() / "tick.lock", timeout=5):
    ordered(ctx, sys.argv[2], sys.argv[3], "It names a customer", dry_run=False)
"""


def cut_short(scene: Project, event: str, what: str, name: str) -> None:
    """Redact, and die at this event."""
    command = [sys.executable, "-c", _CUT_SHORT, event, what, name]
    done = subprocess.run(command, cwd=scene.folder, env=os.environ, check=False, timeout=60)
    assert done.returncode == 9
