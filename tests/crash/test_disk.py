"""A disk that is full or read-only: the tick fails aloud, and goes on when there is room again."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from _pytest.mark import ParameterSet

from cli_scene import Scene, scene
from lifeos.model import Stage

pytestmark = pytest.mark.sandbox

LIMITED = """\
import resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, ({size}, resource.RLIM_INFINITY))
from lifeos.__main__ import main
sys.argv = ["lifeos", "tick"]
sys.exit(main())
"""


def more(*values: int) -> list[ParameterSet]:
    """Values for the long form."""
    return [pytest.param(value, marks=pytest.mark.long) for value in values]


def failed(done: subprocess.CompletedProcess[str]) -> None:
    """Not a success, said in so many words, and not taken for a defect of lifeos."""
    assert done.returncode in (1, 75), (done.stdout, done.stderr)
    assert done.stderr.splitlines()[-1].startswith("  fix: "), done.stderr
    for word in ("Traceback", "internal error"):
        assert word not in done.stderr


def went_on(mine: Scene) -> None:
    """With room again one tick is enough, and no attempt was blamed for the disk."""
    code, _, messages = mine.run("tick")
    assert code == 0, messages
    mine.landed()
    for stage in Stage:
        ends = [end for end in mine.finished(stage) if not end.startswith("interrupted retry")]
        assert ends in ([], ["ok advance success"], ["accept advance success"]), (stage, ends)


def limited(mine: Scene, size: int) -> subprocess.CompletedProcess[str]:
    """A tick that may not make any file larger than ``size`` bytes.

    ``-B``: it must not leave half of a compiled module behind either, which Python would do.
    """
    return subprocess.run(
        [sys.executable, "-B", "-c", LIMITED.format(size=size)],
        cwd=mine.folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@pytest.mark.parametrize("size", [0, *more(200, 600, 1200), 2500])
def test_no_file_may_grow(tmp_path: Path, size: int) -> None:
    """Each size breaks another kind of write: of a lock, an object, a bundle, the sandbox."""
    mine = scene(tmp_path / "repo")
    failed(limited(mine, size))
    went_on(mine)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A small disk of our own."""
    place = tmp_path / "disk"
    place.mkdir()
    if os.geteuid() != 0:
        pytest.skip("needs root, to mount a small disk")
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=8m", "none", str(place)],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        pytest.skip(f"needs to mount a small disk: {done.stderr.strip()}")
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)


@pytest.mark.parametrize("free", [48, *more(0, 20, 100, 400), 160])
def test_disk_full(disk: Path, free: int) -> None:
    """With so many KB left the tick breaks somewhere on its way."""
    mine = scene(disk / "repo")
    filler = disk / "filler"
    with filler.open("wb") as file:
        file.write(b"x" * (shutil.disk_usage(disk).free - free * 1024))
    failed(_tick(mine))
    filler.unlink()
    went_on(mine)


def test_read_only_disk(disk: Path) -> None:
    """The whole disk is read-only, from before lifeos made its folder."""
    mine = scene(disk / "repo")
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    failed(_tick(mine))
    subprocess.run(["mount", "-o", "remount,rw", str(disk)], check=True)
    went_on(mine)


def _tick(mine: Scene) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "lifeos", "tick"],
        cwd=mine.folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
