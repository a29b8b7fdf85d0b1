"""Where OpenCode is on this machine, and whether it is a version that is known to work.

The npm package puts a small script on the PATH; the program itself is in a package for the
platform beside it. Only that one file is mounted into a sandbox.
"""

from __future__ import annotations

import functools
import platform
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from lifeos.errors import Place, Problem, UsageError
from lifeos.process import run

KNOWN = (1, 18)
TRIED = "1.18.33"
INSTALL = f"run `npm install -g opencode-ai@{TRIED}`"
_ELF = b"\x7fELF"
_MACHINES = {"x86_64": "x64", "aarch64": "arm64"}


@dataclass(frozen=True)
class Found:
    """The program, and its version as it says it itself."""

    binary: Path
    version: str


def find(binary: Path | None, environ: Mapping[str, str]) -> Found | Problem:
    """The program to use: ``binary`` or what is on the PATH; or what is wrong, and what to do."""
    if not sys.platform.startswith("linux"):
        fix = "run lifeos on Linux or in a container, or choose another agent under `agents:`"
        return _problem("OpenCode runs here only in a sandbox, which needs Linux", fix)
    at = binary or _on_path(environ)
    if at is None or not at.exists():
        where = f" at {binary}" if binary else " on the PATH"
        return _problem(f"OpenCode is not installed: there is none{where}", INSTALL)
    real = _behind(at.resolve())
    if real is None:
        message = f"{at} is a script, and the program of this platform is not beside it"
        return _problem(message, f"{INSTALL}, without `--omit=optional`")
    changed = real.stat()
    version = _version(real, changed.st_mtime_ns, changed.st_size)
    numbers = tuple(int(number) for number in re.findall(r"\d+", version)[:2])
    if numbers != KNOWN:
        message = f"{real} is OpenCode {version or 'of no known version'}; known to work is 1.18"
        return _problem(message, INSTALL)
    return Found(real, version)


def ripgrep(environ: Mapping[str, str]) -> Path | None:
    """The program that OpenCode searches with; it would fetch it, but not from inside a sandbox.

    The system's, or the one that OpenCode fetched for the person who runs lifeos.
    """
    found = shutil.which("rg", path=environ.get("PATH", ""))
    if found and _is_program(Path(found).resolve()):
        return Path(found).resolve()
    home = Path(environ.get("HOME") or "/nonexistent")
    cache = Path(environ.get("XDG_CACHE_HOME") or home / ".cache")
    fetched = cache / "opencode" / "bin" / "rg"
    return fetched if _is_program(fetched) else None


def _problem(message: str, fix: str) -> Problem:
    return Problem(Place("opencode"), message, fix)


def _on_path(environ: Mapping[str, str]) -> Path | None:
    found = shutil.which("opencode", path=environ.get("PATH", ""))
    if found:
        return Path(found)
    home = environ.get("HOME")
    installed = Path(home, ".opencode", "bin", "opencode") if home else None
    return installed if installed is not None and installed.is_file() else None


def _behind(at: Path) -> Path | None:
    """The program itself: this file, or the one in a platform's package beside this script."""
    if _is_program(at):
        return at
    folders = [
        above if above.name == "node_modules" else above / "node_modules" for above in at.parents
    ]
    places = (folder / name / "bin" / "opencode" for folder in folders for name in _packages())
    return next((place.resolve() for place in places if _is_program(place)), None)


def _packages() -> Iterator[str]:
    """The names of the packages that fit this machine, best first."""
    machine = _MACHINES.get(platform.machine())
    if machine is None:
        return
    musl = "-musl" if any(Path("/lib").glob("ld-musl-*")) else ""
    old = machine == "x64" and "avx2" not in _flags()
    variants = ("-baseline",) if old else ("", "-baseline")
    yield from (f"opencode-linux-{machine}{variant}{musl}" for variant in variants)


def _flags() -> str:
    try:
        return Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""  # not known: then the one that runs everywhere


def _is_program(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(4) == _ELF
    except OSError:
        return False


@functools.cache
def _version(binary: Path, _changed: int, _size: int) -> str:
    """What ``--version`` prints; asked once per process, with an empty home. "" when it fails."""
    with tempfile.TemporaryDirectory(prefix="lifeos-opencode-") as home:
        env = {"HOME": home, "PATH": "/usr/bin:/bin", "OPENCODE_DISABLE_AUTOUPDATE": "1"}
        try:
            asked = run(
                [str(binary), "--version"], cwd=Path(home), env=env, seconds=60, output_limit=1000
            )
        except UsageError:
            return ""
    found = re.search(r"\d+\.\d+\.\d+\S*", asked.out.decode(errors="replace"))
    return found.group() if asked.ok and found else ""
