"""Lock files that a killed git left: whose they were, and taking them away."""

from __future__ import annotations

import stat
import time
from dataclasses import dataclass
from pathlib import Path

from lifeos.store.lock import Owner

# How long a lock file of a dead owner must stand unchanged. A live git holds one for milliseconds.
_STALE_SECONDS = 1.0


@dataclass(frozen=True)
class Intent:
    """Which git process is about to lock which reference."""

    git: Owner
    name: str

    def text(self) -> str:
        """Two lines, read back by ``parse``."""
        return f"{self.git.line()}\n{self.name}\n"

    @classmethod
    def parse(cls, text: str) -> Intent | None:
        """The intent in a file, or None for an empty or torn one."""
        lines = text.split("\n")
        git = Owner.parse(lines[0])
        return None if git is None or len(lines) != 3 else cls(git, lines[1])


def read_file(path: Path) -> str | None:
    """The text of a small file without its last line end; None if there is no such file."""
    try:
        return path.read_text(encoding="utf-8", errors="surrogateescape").rstrip("\n")
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return None


def remove_unchanged(path: Path) -> None:
    """Remove a lock file, unless somebody else is seen to use it."""
    before = _state(path)
    if before is None:
        return
    time.sleep(_STALE_SECONDS)
    if _state(path) == before:
        path.unlink(missing_ok=True)


def _state(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    if not stat.S_ISREG(found.st_mode):
        return None
    return found.st_ino, found.st_ctime_ns, found.st_size
