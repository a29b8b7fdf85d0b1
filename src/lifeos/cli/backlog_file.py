"""BACKLOG.md in the work tree: read and written for a person, who commits it."""

from __future__ import annotations

import os
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lifeos.core.backlog.ids import DEFAULT_PREFIX, random_id
from lifeos.errors import UsageError
from lifeos.tick.reading import BACKLOG

if TYPE_CHECKING:
    from collections.abc import Collection

    from lifeos.store.repo import Repo

_CONFIG = ".lifeos/config.yaml"


@dataclass(frozen=True)
class BacklogFile:
    """The file, its content when it was read, and what ids begin with."""

    path: Path
    data: bytes
    prefix: str

    def write(self, data: bytes) -> None:
        """Put the new content in place as a whole.

        Raises ``UsageError`` when somebody wrote to the file meanwhile.
        """
        if self.path.read_bytes() != self.data:
            raise UsageError(f"{self.path} was changed meanwhile", "run this command again")
        fresh = self.path.with_name(f".{BACKLOG}.{secrets.token_hex(4)}")
        fresh.write_bytes(data)
        fresh.chmod(self.path.stat().st_mode & 0o7777)
        fresh.replace(self.path)

    def new_id(self, taken: Collection[str]) -> str:
        """A random id that no task has."""
        while True:
            found = random_id(self.prefix, os.urandom(16))
            if found not in taken:
                return found


def backlog_file(repo: Repo) -> BacklogFile:
    """The file in the work tree. Raises ``UsageError`` where there is no plain file."""
    if repo.work_tree is None:
        raise UsageError("this repository has no work tree", "use a clone that has one")
    path = repo.work_tree / BACKLOG
    if path.is_symlink() or (path.exists() and not path.is_file()):
        raise UsageError(f"{path} is not a regular file", "put a plain file in its place")
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise UsageError(f"there is no {BACKLOG} here", "lifeos init writes one") from None
    return BacklogFile(path, data, _prefix(repo))


def _prefix(repo: Repo) -> str:
    """What ids begin with: by the adopted rules, else as the work tree has it before the first."""
    from lifeos.cli.here import is_set_up, look_at

    if is_set_up(repo):
        return look_at(repo).rules.config.id_prefix
    from lifeos.core.policy import Config
    from lifeos.governance import parse

    path = (repo.work_tree or Path()) / _CONFIG
    if not path.is_file():
        return DEFAULT_PREFIX
    config, problems = parse(path.read_bytes(), _CONFIG, Config)
    if config is None:
        raise UsageError(f"{_CONFIG} cannot be used", "mend it", problems=problems)
    return config.id_prefix
