"""What a process tree uses, seen from outside: memory, processes, and what it wrote.

The kernel's own limits (rlimits) hold for one process each. What a whole tree uses is added up here
from ``/proc`` and from the folder, a few times a second; between two looks it can overshoot.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from lifeos.core.policy.envelope import Limits

PAGE = os.sysconf("SC_PAGE_SIZE")
MEGABYTE = 1 << 20
DEEPEST = 200  # folders in folders; more is no tree that people make
DUTY = 20  # a look at the disk may cost a twentieth of the time


class TooDeep(Exception):
    """The folder has more levels than ``DEEPEST``."""


def family(root: int) -> list[int]:
    """The process and all that descend from it (Linux; alone where the kernel does not say)."""
    found = [root]
    for pid in found:
        with contextlib.suppress(OSError):
            for task in Path(f"/proc/{pid}/task").iterdir():
                found += [int(child) for child in (task / "children").read_text().split()]
    return found


def threads(pids: list[int]) -> int:
    """How many threads they have together: what the kernel counts as processes."""
    total = 0
    for pid in pids:
        with contextlib.suppress(OSError):
            total += len(os.listdir(f"/proc/{pid}/task"))  # noqa: PTH208 - names only, and hot
    return total


def resident(pids: list[int]) -> int:
    """Bytes of memory they have in use together; shared pages count once for each (too high)."""
    total = 0
    for pid in pids:
        with contextlib.suppress(OSError):
            total += int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE
    return total


def proportional(pids: list[int]) -> int:
    """The same with shared pages split between those that share them: exact, and slower."""
    total = 0
    for pid in pids:
        with contextlib.suppress(OSError):
            text = Path(f"/proc/{pid}/smaps_rollup").read_text()
            total += sum(
                int(line.split()[1]) * 1024 for line in text.splitlines() if line.startswith("Pss:")
            )
    return total


def unlinked(pids: list[int]) -> int:
    """Bytes in files that are open but have no name any more (also memory files)."""
    sizes: dict[tuple[int, int], int] = {}
    for pid in pids:
        with contextlib.suppress(OSError):
            for entry in os.scandir(f"/proc/{pid}/fd"):
                with contextlib.suppress(OSError):
                    seen = entry.stat()
                    if stat.S_ISREG(seen.st_mode) and seen.st_nlink == 0:
                        sizes[seen.st_dev, seen.st_ino] = seen.st_blocks * 512
    return sum(sizes.values())


def measure(folder: Path) -> int:
    """Bytes on disk below a folder, while others may be changing it. Symlinks are not followed."""
    total = 0
    for directory, entry in _walk(folder):
        with contextlib.suppress(OSError):  # gone since it was listed
            seen = os.stat(entry, dir_fd=directory, follow_symlinks=False)
            total += seen.st_blocks * 512
    return total


def settle(folder: Path, owner: int | None = None) -> int:
    """Make the folder's owner able to read and delete all of it; gives its bytes on disk.

    For a folder in which nothing runs. ``owner``: hand everything over to this user and group id
    (needs root). Takes away setuid and setgid bits: outside the sandbox they would work.
    """
    total = 0
    mode = stat.S_IMODE(folder.stat().st_mode)
    if mode != mode | stat.S_IRWXU:
        folder.chmod(mode | stat.S_IRWXU)
    for directory, name in _walk(folder):
        seen = os.stat(name, dir_fd=directory, follow_symlinks=False)
        total += seen.st_blocks * 512
        _settle_one(directory, name, seen, owner)
    if owner is not None:
        os.chown(folder, owner, owner)  # last: who finds it so knows that all below is so too
    return total


def _settle_one(directory: int, name: str, seen: os.stat_result, owner: int | None) -> None:
    if not stat.S_ISLNK(seen.st_mode):
        mode = stat.S_IMODE(seen.st_mode)
        least = stat.S_IRWXU if stat.S_ISDIR(seen.st_mode) else stat.S_IRUSR | stat.S_IWUSR
        wanted = (mode | least) & ~(stat.S_ISUID | stat.S_ISGID)
        if wanted != mode:
            os.chmod(name, wanted, dir_fd=directory)
    if owner is not None and (seen.st_uid, seen.st_gid) != (owner, owner):
        os.chown(name, owner, owner, dir_fd=directory, follow_symlinks=False)


def remove_whiteouts(folder: Path) -> None:
    """Remove an overlay's marks for deleted files: to git they would be device nodes."""
    for directory, name in _walk(folder):
        seen = os.stat(name, dir_fd=directory, follow_symlinks=False)
        if stat.S_ISCHR(seen.st_mode) and seen.st_rdev == 0:
            os.unlink(name, dir_fd=directory)


def _walk(folder: Path) -> Iterator[tuple[int, str]]:
    """Each entry below, as (descriptor of its directory, name); a directory before what is in it.

    By descriptors and without following links, so that a swapped directory leads nowhere.
    """
    root = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield from _walk_open(root, 0)
    finally:
        os.close(root)


def _walk_open(directory: int, depth: int) -> Iterator[tuple[int, str]]:
    if depth > DEEPEST:
        raise TooDeep
    with os.scandir(directory) as entries:
        names = [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries]
    for name, is_directory in names:
        yield directory, name
        if not is_directory:
            continue
        try:
            below = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=directory)
        except OSError as error:
            if error.errno in {errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.EACCES}:
                continue  # changed under us, or closed to us for the moment
            raise
        try:
            yield from _walk_open(below, depth + 1)
        finally:
            os.close(below)


@dataclass
class Watch:
    """Looks at a process tree and a folder, and says which limit is exceeded.

    ``base`` is what the folder had on disk before; what counts is what came on top. ``spare`` are
    processes of the sandbox itself.
    """

    limits: Limits
    folder: Path
    base: int
    spare: int = 0
    clock: Callable[[], float] = time.monotonic
    root: int = 0
    exceeded: str = ""
    _next_disk: float = field(default=0.0, init=False)

    def look(self) -> bool:
        """Whether a limit is exceeded; ``exceeded`` then names it."""
        if self.root and not self.exceeded:
            pids = family(self.root)
            self.exceeded = self._memory(pids) or self._processes(pids) or self._disk(pids)
        return bool(self.exceeded)

    def _memory(self, pids: list[int]) -> str:
        most = self.limits.memory_mb * MEGABYTE
        return "memory" if resident(pids) > most and proportional(pids) > most else ""

    def _processes(self, pids: list[int]) -> str:
        return "processes" if threads(pids) > self.limits.processes + self.spare else ""

    def _disk(self, pids: list[int]) -> str:
        started = self.clock()
        if started < self._next_disk:
            return ""
        try:
            written = measure(self.folder) - self.base + unlinked(pids)
        except TooDeep:
            return "depth"
        now = self.clock()
        self._next_disk = now + (now - started) * DUTY
        return "disk" if written > self.limits.disk_mb * MEGABYTE else ""
