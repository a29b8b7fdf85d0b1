"""The shipped past of 200 runs, for tests that look back. docs: tests/data/README.md.

``past(tmp_path)`` gives a clone to change at will; ``story()`` says what was planned and what those
saw who made it happen, without anything that lifeos read back.
"""

from __future__ import annotations

import functools
import gzip
import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict

from command_line import Project

DATA = Path(__file__).parent / "data"
BUNDLE = DATA / "past-200.bundle.gz"
STORY = DATA / "past-200.json"
ADA, BOB = "ada@example.invalid", "bob@example.invalid"


class _Told(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Attempt(_Told):
    """One attempt: what was to come of it, and when it was claimed and recorded (seconds UTC).

    ``cost`` in US dollars, ``finished_at`` None while it is under way. What an attempt that was cut
    off used went with it.
    """

    stage: str
    outcome: str
    seconds: int
    tokens: int
    cost: float
    requests: int
    estimated: bool
    detail: str
    claimed_at: int
    finished_at: int | None


class Asked(_Told):
    """One checkpoint of a run. ``decision`` as in ``past.plan.Question``; times in seconds UTC.

    ``answered_at`` is when an answer was taken (by a person, or by expiry), ``over_at`` when it was
    superseded or its run ended, without one.
    """

    kind: str
    rule: str
    decision: str
    who: str
    after: int
    comment: str
    item: str
    stage: str
    asked_at: int
    answered_at: int | None
    over_at: int | None


class Run(_Told):
    """One run. ``kind`` names what happens in it (``past.plan``), ``marks`` small mishaps.

    ``outcome``: pass, blocked, rejected, cancelled, or open.
    """

    run: str
    task: str
    ordinal: int
    kind: str
    area: str
    marks: tuple[str, ...]
    opened_at: int
    closed_at: int | None
    outcome: str
    landed: str
    reverted_at: int | None
    reverted: str
    repairs: str
    attempts: tuple[Attempt, ...]
    questions: tuple[Asked, ...]

    @property
    def closed(self) -> bool:
        """Whether it has ended."""
        return self.closed_at is not None


class Task(_Told):
    """One task, as it was planned."""

    number: int
    task: str
    title: str
    area: str
    name: str
    work: str
    kind: str
    week: int
    tags: tuple[str, ...]
    risk: str
    by: str
    marks: tuple[str, ...]
    reverted_after: int | None
    repairs: str


class Event(_Told):
    """What happened to no run alone: rules adopted or answered about, STOP, a retry, a revert."""

    what: str
    at: int
    run: str = ""
    task: str = ""
    digest: str = ""
    item: str = ""
    decision: str = ""
    who: str = ""


class PastStory(_Told):
    """All of it. ``main`` and ``ledger`` are the commits at its end, ``ends_at`` the time then."""

    seed: str
    main: str
    ledger: str
    ends_at: int
    events: tuple[Event, ...]
    runs: tuple[Run, ...]
    tasks: tuple[Task, ...]

    @property
    def closed(self) -> tuple[Run, ...]:
        """The runs that have ended."""
        return tuple(run for run in self.runs if run.closed)


@functools.cache
def story() -> PastStory:
    """What was planned, and what happened."""
    return PastStory.model_validate(json.loads(STORY.read_text(encoding="utf-8")))


def past(tmp_path: Path, who: Literal["Ada", "Bob"] = "Ada", *, after: int = 60) -> Project:
    """A clone of the past below ``tmp_path``, checked out on main, with this person's identity.

    Its clock begins ``after`` seconds after the end of the story. It is copied from a template
    that the first call in a process makes; the objects are linked, as git never changes them.
    ``cli`` goes by today's clock, as it always does: for a tick that means that all questions have
    expired. ``tick`` goes by the story's.
    """
    folder = tmp_path / "past"
    template = _template()
    without = shutil.ignore_patterns("objects")
    shutil.copytree(template, folder, symlinks=True, ignore=without)
    objects = Path(".git") / "objects"
    shutil.copytree(template / objects, folder / objects, copy_function=_link)
    _git(folder, "status", "--short")  # the index learns that the files are the same
    _git(folder, "config", "user.name", who)
    _git(folder, "config", "user.email", ADA if who == "Ada" else BOB)
    return Project(folder, now=story().ends_at + after)


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:  # another file system
        shutil.copy2(source, target)


@functools.cache
def _template() -> Path:
    """A clone with both branches, made once for this process; gone when it ends."""
    place = tempfile.TemporaryDirectory(prefix="lifeos-past-")
    _kept.append(place)
    bundle, folder = Path(place.name) / "past.bundle", Path(place.name) / "past"
    bundle.write_bytes(gzip.decompress(BUNDLE.read_bytes()))
    _git(bundle.parent, "clone", "--quiet", "--branch=main", str(bundle), str(folder))
    _git(folder, "fetch", "--quiet", "origin", "lifeos/ledger:lifeos/ledger")
    _git(folder, "remote", "remove", "origin")
    bundle.unlink()
    return folder


_kept: list[tempfile.TemporaryDirectory[str]] = []


def _git(folder: Path, *args: str) -> None:
    sealed = {"GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": os.devnull}
    subprocess.run(
        ["git", *args],
        cwd=folder,
        env={**os.environ, **sealed},
        capture_output=True,
        check=True,
        timeout=120,
    )
