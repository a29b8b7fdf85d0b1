"""The machine that act's jobs find: packages, a `python3` and an `npm` that install from here.

Made once for a whole run of the tests, by whichever of its workers comes first: the wheels of the
lock with lifeos's own, and one environment that the first job fills as the workflow says. For the
jobs after it the same lock is installed already: that would take a second of each.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lifeos import __version__
from real_package import PIP
from scripted_team import opencode

ROOT = Path(__file__).parents[2]


def shared(folder: Path) -> Path:
    """A folder that the workers of this run of the tests have in common; ``folder`` is a test's."""
    worker = "PYTEST_XDIST_WORKER" in os.environ
    place = (folder.parents[1] if worker else folder.parent) / "machine"
    place.mkdir(exist_ok=True)
    return place


@contextmanager
def _alone(place: Path) -> Iterator[None]:
    with (place / "lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def wheels(place: Path) -> Path:
    """The wheels of the lock, and one of lifeos built from the tree."""
    folder = place / "wheels"
    with _alone(place):
        if not folder.exists():
            _fetch(place / "fetched")
            (place / "fetched").rename(folder)
    return folder


def _fetch(folder: Path) -> None:
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
    lock = ROOT / "requirements-run.lock"
    fetch = ["download", "--only-binary", ":all:", "--require-hashes", "--dest", str(folder)]
    environ = {**os.environ, **PIP}
    subprocess.run([*pip, *fetch, "-r", str(lock)], env=environ, check=True, capture_output=True)
    build = ["wheel", "--no-deps", "--no-build-isolation", "--no-index", "--wheel-dir"]
    subprocess.run([*pip, *build, str(folder), str(ROOT)], check=True, capture_output=True)


def digest_of(folder: Path) -> str:
    """The SHA-256 of lifeos's own wheel."""
    (wheel,) = folder.glob(f"lifeos-{__version__}-*.whl")
    return hashlib.sha256(wheel.read_bytes()).hexdigest()


_PYTHON3 = """\
#!/bin/sh
# An environment that is wanted anywhere is a door to the one that all have in common.
if [ "$1 $2 $3" = "-I -m venv" ]; then
    mkdir -p "$4/bin"
    ln -s {place}/python "$4/bin/python"
    printf '#!/bin/sh\\nexec {place}/environment/bin/lifeos "$@"\\n' > "$4/bin/lifeos"
    chmod +x "$4/bin/lifeos"
    exit 0
fi
exec {python} "$@"
"""

_PYTHON = """\
#!/bin/sh
# In the environment. What pip is told to install stands last: a lock, or the folder of a source.
exec 9> {place}/lock
flock 9
[ -d {place}/environment ] || {python} -I -m venv {place}/environment || exit 1
if [ "$1 $2 $3" != "-I -m pip" ]; then
    exec 9>&-
    exec {place}/environment/bin/python "$@"
fi
for last; do :; done
if [ -d "$last" ]; then
    done={place}/has-the-source
else
    done={place}/has-$(sha256sum "$last" | cut -c 1-64)
fi
[ -e "$done" ] || {{ {place}/environment/bin/python "$@" && : > "$done"; }}
"""


def programs(folder: Path, place: Path, name: str = "machine") -> Path:
    """A folder for PATH whose `python3` makes doors to the environment called ``name``."""
    place = place / name
    place.mkdir(exist_ok=True)
    base = Path(sys.base_prefix) / "bin" / "python3"
    folder.mkdir(exist_ok=True)
    with _alone(place):
        _program(place / "python", _PYTHON.format(place=place, python=base))
    _program(folder / "python3", _PYTHON3.format(place=place, python=base))
    return folder


def npm(folder: Path) -> None:
    """`npm ci` of the one package that the workflow names; the real one is in .ci/run."""
    place = "node_modules/opencode-linux-x64-baseline/bin"
    _program(
        folder / "npm",
        f'#!/bin/sh\ntest "$1" = ci && grep -q sha512- package-lock.json || exit 1\n'
        f"mkdir -p {place} && ln -s {opencode()} {place}/opencode\n",
    )


def _program(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(0o755)
