"""Projects on a forge at points that tests begin at: made once, and copied for each test.

The forge listens at one address for the whole run of the tests, since the rules on main name it.
"""

from __future__ import annotations

import atexit
import copy
import functools
import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from enum import StrEnum
from pathlib import Path

from conftest import Git
from forge_scene import forge_in
from github_judge import required
from live_forge import Forge
from live_http import Answers
from loop_scene import BACKLOG, begin_scene
from loopback import Stage, listening
from pull_scene import APP, OnForge, forge_rules, push_first

_OWN = frozenset({"bare", "git", "lock", "reading", "forks"})
"""What a copy of a forge does not share with it."""


class At(StrEnum):
    """Where a test begins."""

    START = "start"  # nothing was done yet
    COMMANDS = "commands"  # whether the task's commands may run is asked; approval alone
    LANDING = "landing"  # whether the work may land is asked; by `pr`, the work is in it


@functools.cache
def _stand() -> tuple[Stage, int, Path]:
    stack, stage = ExitStack(), Stage()
    atexit.register(stack.close)
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
    return stage, stack.enter_context(listening(stage)), folder


@contextmanager
def answering(backend: Answers) -> Iterator[None]:
    """Let somebody else answer in the place of the forge."""
    stage, _, _ = _stand()
    before, stage.backend = stage.backend, backend
    try:
        yield
    finally:
        stage.backend = before


def at_point(
    folder: Path, mode: str, at: At, rules: str = "{}", *, backlog: str = BACKLOG, pusher: str = ""
) -> OnForge:
    """A copy of a project, for one test. Only one such forge answers at a time.

    ``mode`` is how main is written, ``rules`` more settings, in JSON, ``pusher`` who brings what
    this process pushes: an approver's commands need no question.
    """
    required()
    first = _made(mode, at, rules, backlog, pusher)
    stage, _, _ = _stand()
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copytree(first.forge.bare, folder / "forge.git", symlinks=True)
    begun = first.copy(folder / "clone")
    forge = forge_like(first.forge, folder / "forge.git")
    stage.backend = Answers(forge)
    scene = OnForge(begun.folder, begun.now, begun.nonces, begun.environ, forge=forge)
    scene.git("remote", "set-url", "origin", str(forge.bare))
    return scene


def clone_of(scene: OnForge, folder: Path) -> OnForge:
    """Another clone of the same project, on the same forge."""
    Git(folder.parent)("clone", "--quiet", "--no-local", str(scene.forge.bare), str(folder))
    git = Git(folder)
    git("config", "user.name", "Other")
    git("config", "user.email", "other@example.invalid")
    return OnForge(folder, scene.now, scene.nonces + 500, scene.environ, forge=scene.forge)


def forge_like(forge: Forge, bare: Path) -> Forge:
    """The same forge for another folder."""
    made = Forge(bare, forge.name)
    for name, value in vars(forge).items():
        if name not in _OWN:
            setattr(made, name, copy.deepcopy(value))
    return made


@functools.cache
def _made(mode: str, at: At, rules: str, backlog: str, pusher: str) -> OnForge:
    if at is At.START:
        return _started(mode, rules, backlog, pusher)
    before = At.START if at is At.COMMANDS else At.COMMANDS
    folder = Path(tempfile.mkdtemp(dir=_stand()[2]))
    scene = at_point(folder, mode, before, rules, backlog=backlog, pusher=pusher)
    if at is At.LANDING:
        scene.merge()
    scene.tick()
    return scene


def _started(mode: str, rules: str, backlog: str, pusher: str) -> OnForge:
    stage, port, place = _stand()
    folder = Path(tempfile.mkdtemp(dir=place))
    forge = forge_in(folder)
    forge.host = f"127.0.0.1:{port}"
    forge.workflows_may_open = True
    forge.account("wes", 110, may="write")
    stage.backend = Answers(forge)
    settings = forge_rules(forge) | {"config.main_writes": mode} | json.loads(rules)
    begun = begin_scene(folder / "clone", settings, backlog=backlog)
    environ = {"LIFEOS_TEST_TOKEN": forge.who(APP).token}
    scene = OnForge(begun.folder, begun.now, begun.nonces, environ, forge=forge)
    push_first(scene)
    if mode == "pr":
        forge.protect("main")
    if pusher:
        forge.pusher = forge.who(pusher)
    return scene
