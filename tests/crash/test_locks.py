"""Lock files of git: those of a killed lifeos are cleared, those of the living are respected."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from cli_scene import Scene, end_of, scene

pytestmark = pytest.mark.sandbox

#: Stands for git on the PATH. It is git, until a transaction about one reference is prepared, and
#: so has its lock files: then it kills git, lifeos and itself, in this order.
DEADLY_GIT = """\
#!{python}
import os, signal, subprocess, sys
words = sys.argv[1:]
if "update-ref" not in words:
    os.execv({git!r}, [{git!r}, *words])
real = subprocess.Popen([{git!r}, *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
while True:
    request = os.read(0, 65536)
    if not request:
        sys.exit(real.stdin.close() or real.wait())
    deadly = {name!r} in request and not os.path.exists({done!r})
    real.stdin.write(request.replace(b"commit\\0", b"") if deadly else request)
    real.stdin.flush()
    for _ in range(2 if deadly else 3):
        line = real.stdout.readline()
        os.write(1, line)
    if deadly:
        assert line == b"prepare: ok\\n", line
        open({done!r}, "w").close()
        real.kill()
        real.wait()
        os.kill(os.getppid(), signal.SIGKILL)
        os.kill(os.getpid(), signal.SIGKILL)
"""


def deadly_path(folder: Path, name: str) -> str:
    """A PATH whose git dies while it holds the lock on the reference."""
    folder.mkdir()
    git = shutil.which("git")
    assert git
    text = DEADLY_GIT.format(
        python=sys.executable, git=git, name=name.encode(), done=str(folder / "done")
    )
    (folder / "git").write_text(text)
    (folder / "git").chmod(0o755)
    return f"{folder}:{os.environ['PATH']}"


@pytest.mark.parametrize(
    ("name", "lock"),
    [
        ("refs/heads/lifeos/ledger", "refs/heads/lifeos/ledger.lock"),
        ("refs/heads/main", "refs/heads/main.lock"),
        ("delete refs/lifeos/run/", "packed-refs.lock"),
    ],
    ids=["ledger", "main", "deletion"],
)
def test_left_by_a_killed_git(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, lock: str
) -> None:
    """The next tick takes the lock files away, and lands."""
    mine = scene(tmp_path / "repo")
    mine.git("pack-refs", "--all")
    with monkeypatch.context() as patch:
        patch.setenv("PATH", deadly_path(tmp_path / "bin", name))
        code, _, messages = mine.run("tick")
    assert code == -signal.SIGKILL, messages
    assert (mine.folder / ".git" / lock).exists()
    code, _, messages = mine.run("tick")
    assert code == 0, messages
    assert not _of_git(mine.folder)
    mine.landed()


def _of_git(folder: Path) -> list[Path]:
    git = folder / ".git"
    return [path for path in git.rglob("*.lock") if path.parent != git / "lifeos"]


@contextmanager
def held_by_git(mine: Scene, name: str) -> Iterator[Path]:
    """The person's own git is in the middle of moving a reference."""
    git = subprocess.Popen(
        ["git", "update-ref", "--stdin"],
        cwd=mine.folder,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert git.stdin
    assert git.stdout
    now = mine.git("rev-parse", name)
    git.stdin.write(f"start\nupdate {name} {now} {now}\nprepare\n")
    git.stdin.flush()
    assert [git.stdout.readline() for _ in range(2)] == ["start: ok\n", "prepare: ok\n"]
    try:
        yield mine.folder / ".git" / f"{name}.lock"
    finally:
        git.stdin.close()
        git.wait()
        git.stdout.close()


@contextmanager
def held_index(mine: Scene) -> Iterator[Path]:
    """Some other program holds the index, as an editor with a commit under way does."""
    path = mine.folder / ".git" / "index.lock"
    with path.open("xb"):
        yield path
    path.unlink()


@pytest.mark.parametrize("what", ["main", "index"])
def test_held_by_the_living(tmp_path: Path, what: str) -> None:
    """Exit 75 that names the file, which stays; afterwards the next tick lands."""
    mine = scene(tmp_path / "repo")
    with held_by_git(mine, "refs/heads/main") if what == "main" else held_index(mine) as lock:
        before = lock.stat()
        code, _, messages = mine.run("tick")
        assert code == 75, messages
        assert str(lock) in messages
        assert "fix:" in messages
        assert lock.stat().st_ino == before.st_ino
    code, _, messages = mine.run("tick")
    assert code == 0, messages
    mine.landed()


def test_two_ticks_at_once(tmp_path: Path) -> None:
    """One works, the other says so or finds nothing to do; the task lands once."""
    mine = scene(tmp_path / "repo")
    both = [mine.start("tick"), mine.start("tick")]
    codes = sorted(end_of(process)[0] for process in both)
    assert codes in ([0, 0], [0, 75])
    mine.landed()
