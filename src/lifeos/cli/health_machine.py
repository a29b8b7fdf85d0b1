"""The machine: programs, sandbox, what trust does not protect from, leftovers, disk."""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from lifeos import __version__
from lifeos.cli.health import Line, fail, ok, warn
from lifeos.cli.moments import ago
from lifeos.errors import LifeosError
from lifeos.model import Trust

if TYPE_CHECKING:
    from lifeos.core.policy import Governance
    from lifeos.store.repo import Repo

_GIT = "git"
_LOW, _EMPTY = 1 << 30, 100 << 20
"""Free bytes below which there is a warning, and below which nothing can work."""
_LEFT = (
    ("work", "work folders of attempts that did not end", "the next lifeos tick clears them"),
    ("bundles", "results not yet recorded", "lifeos tick records them"),
    ("quarantine", "kept for a person to look at (work with secrets, late results)", ""),
)


def programs() -> Iterator[Line]:
    """Python, lifeos and git."""
    from lifeos.store.discover import MINIMUM_GIT, git_version

    python = ".".join(map(str, sys.version_info[:3]))
    yield ok("lifeos", f"{__version__}, on Python {python}")
    try:
        version = git_version(Path(os.devnull, "none"))
    except LifeosError as error:
        yield fail(_GIT, error.message, error.fix)
        return
    text = ".".join(map(str, version))
    if version < MINIMUM_GIT:
        need = ".".join(map(str, MINIMUM_GIT))
        yield fail(_GIT, f"{text} is too old: lifeos needs {need}", "install a newer git")
    else:
        yield ok(_GIT, f"{text} at {shutil.which('git')}")


def sandbox(rules: Governance) -> Iterator[Line]:
    """Whether what the rules name can contain anything here."""
    from lifeos.sandbox import choose

    kind = rules.config.sandbox.value
    if kind == "none":
        fix = "write `sandbox: bwrap` in .lifeos/config.yaml, and commit"
        yield warn("sandbox", "none: agents and checks can reach everything you can", fix)
        return
    problem = choose(kind).available()
    if problem is not None:
        yield fail("sandbox", problem.message, problem.fix)
        return
    from lifeos.bubblewrap import programs as bubblewraps

    best = bubblewraps()[0]
    version = ".".join(map(str, best.version))
    yield ok("sandbox", f"bubblewrap {version} at {best.path}: tried, it works")


def trust(rules: Governance, *, has_remote: bool) -> Iterator[Line]:
    """How an approver is known, and what that does not protect from."""
    match rules.approvals.trust:
        case Trust.COMMIT:
            said = "commit: whoever can write to this repository can write an approver's name"
            if has_remote:
                fix = "set `trust: signature` in policies/approvals.yaml, with your SSH key"
                yield warn("trust", f"{said}, and this one has a remote", fix)
            else:
                yield ok("trust", f"{said}; good enough while only you can")
        case Trust.SIGNATURE:
            found = shutil.which("ssh-keygen")
            if found is None:
                fix = "install OpenSSH (apt install openssh-client)"
                yield fail("trust", "signature, and ssh-keygen is missing", fix)
            else:
                yield ok("trust", f"signature: checked with {found}")
        case Trust.MERGE:
            yield ok("trust", "merge: as the forge reports it; that cannot be checked offline")


def leftovers(repo: Repo) -> Iterator[Line]:
    """What killed processes left behind."""
    at_work = _tick_at_work(repo)
    if at_work:
        yield ok("tick", f"one is at work: {at_work}")
    for path in _locks(repo):
        since = ago(int(path.stat().st_mtime), time.time())
        fix = f"if no git is running here: rm {path}"
        yield warn("lock", f"{path} is there, made {since}", fix)
    found = False
    for name, what, fix in _LEFT:
        folder = repo.private_dir / name
        number = len(list(folder.iterdir())) if folder.is_dir() else 0
        if number and not (at_work and name != "quarantine"):
            found = True
            todo = fix or f"look at them; then rm -r {folder}"
            yield warn("left over", f"{number} in {folder}: {what}", todo)
    if not found:
        yield ok("left over", "nothing from ended attempts")


def _tick_at_work(repo: Repo) -> str:
    from lifeos.errors import Busy
    from lifeos.store.lock import TICK, Lock

    path = repo.private_dir / TICK
    if not path.exists():
        return ""
    lock = Lock(path)
    holder = lock.holder()
    try:
        lock.acquire(timeout=0)
    except Busy:
        return f"process {holder.pid} on {holder.host}" if holder else "another process"
    lock.release()
    return ""


def _locks(repo: Repo) -> Iterator[Path]:
    """Lock files of git that are there now; normal for a moment, in the way if they stay."""
    for folder in dict.fromkeys((repo.git_dir, repo.common_dir)):
        yield from sorted(folder.glob("*.lock"))
    yield from sorted((repo.common_dir / "refs").rglob("*.lock"))


def disk(repo: Repo) -> Line:
    """Free space where the objects go."""
    free = shutil.disk_usage(repo.common_dir).free
    text = f"{free / (1 << 30):.1f} GB free"
    if free < _EMPTY:
        return fail("disk", text, "make room: nothing can be recorded on a full disk")
    return warn("disk", text, "make room soon") if free < _LOW else ok("disk", text)
