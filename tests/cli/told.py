"""A run that waits, and one that landed: repositories made once, and copied for each test."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import warm
from loop_scene import BACKLOG, Scene, begin_scene

_MADE: dict[str, Scene] = {}


def asked(folder: Path, template: Path) -> Scene:
    """A copy of a scene whose run waits before its landing."""

    def make(scene: Scene) -> None:
        scene.tick()

    return _copy("asked", folder, template, make)


def landed(folder: Path, template: Path) -> Scene:
    """A copy of a scene whose run has landed."""

    def make(scene: Scene) -> None:
        scene.tick()
        scene.commit(dict(scene.answer(comment="it says hello, good")))
        scene.tick()
        assert "- [x]" in scene.at_main("BACKLOG.md")

    return _copy("landed", folder, template, make)


def _copy(name: str, folder: Path, template: Path, make: Callable[[Scene], None]) -> Scene:
    if name not in _MADE:
        scene = begin_scene(Path(tempfile.mkdtemp(dir=_there(template))) / name, backlog=BACKLOG)
        make(scene)
        _MADE[name] = scene
    return _MADE[name].copy(folder)


def _there(folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    return folder


@dataclass(frozen=True)
class Said:
    """How one command line ended."""

    code: int
    out: str
    err: str

    def data(self, schema: str) -> Any:
        """The data of its JSON, which must be of this schema."""
        value = json.loads(self.out)
        assert value["schema"] == f"lifeos.{schema}/v1"
        return value["data"]


def lifeos(folder: Path, *args: str, **environ: str) -> Said:
    """Run the real command line as a process of its own. No traceback may ever show."""
    done = warm.run(args, folder, os.environ | environ, errors="surrogateescape")
    said = Said(done.returncode, done.stdout, done.stderr)
    assert "Traceback" not in said.out + said.err, said.err
    assert said.code != 3, said.err
    return said
