"""Finding a repository, and lifeos's own git directory inside it.

All object work runs in ``.git/lifeos/git``: a bare directory with a configuration of its own whose
``objects`` and ``refs`` are the repository's. So no merge driver, filter, hook, ``insteadOf``,
graft or signing program of the repository's configuration has a say. Only moving references and
the checkout use the person's directory. Nothing here may ever run ``gc`` or ``prune``: in the
private directory git does not see what the person's index and worktrees keep alive.
"""

from __future__ import annotations

import os
import shutil
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

from lifeos.errors import UsageError
from lifeos.store import discover
from lifeos.store.discover import NotARepository
from lifeos.store.git import Git, GitError, Trace, no_trace
from lifeos.store.lock import Lock
from lifeos.store.objects import HashName, Objects
from lifeos.store.refs import Refs

__all__ = ["NotARepository", "Repo"]

_CONFIG_HOOKS_SINCE = (2, 50)


class Repo:
    """An open repository. Holds sessions of git: close it, or use it in ``with``."""

    def __init__(
        self,
        *,
        git_dir: Path,
        common_dir: Path,
        work_tree: Path | None,
        hash_name: HashName,
        config: dict[str, str],
        trace: Trace,
    ) -> None:
        """Use ``Repo.open``."""
        self.git_dir = git_dir
        self.common_dir = common_dir
        self.work_tree = work_tree
        self.hash_name: HashName = hash_name
        self.config = config
        self.trace = trace
        self.private_dir = common_dir / "lifeos"
        self.objects = Objects(
            common_dir / "objects",
            hash_name,
            git=lambda: self.git,
            trace=trace,
            shared=config.get("core.sharedrepository", "umask") not in {"umask", "false", "0"},
        )
        self.refs = Refs(
            git_dir=git_dir,
            common_dir=common_dir,
            main_work_tree=discover.find_main_work_tree(common_dir, config),
            null=self.objects.null,
            person=lambda: self.person,
            private_dir=self.ensure_private,
            flush=self.objects.flush,
            trace=trace,
        )

    @classmethod
    def open(cls, start: Path, trace: Trace = no_trace) -> Repo:
        """The repository that ``start`` is in. Starts no process in the usual case.

        Raises ``UsageError`` by name: no repository, somebody else's repository, a format or an
        extension that is not supported.
        """
        git_dir, found = discover.discover(start)
        common_dir = discover.find_common_dir(git_dir)
        discover.require_owner(git_dir, start)
        config = discover.read_config(common_dir / "config")
        if discover.is_true(config.get("extensions.worktreeconfig")):
            config |= discover.read_config(git_dir / "config.worktree")
        hash_name = discover.check_format(config, common_dir)
        return cls(
            git_dir=git_dir,
            common_dir=common_dir,
            work_tree=discover.find_work_tree(git_dir, common_dir, found, config),
            hash_name=hash_name,
            config=config,
            trace=trace,
        )

    @cached_property
    def git(self) -> Git:
        """Git in the private directory: everything about objects. Sees no one's configuration."""
        folder = self.ensure_private() / "git"
        return Git(folder, trace=self.trace, isolated=True, user_config=False)

    @cached_property
    def person(self) -> Git:
        """Git in the person's directory: references and the checkout, nothing else."""
        self.ensure_private()
        git = Git(self.git_dir, work_tree=self.work_tree, trace=self.trace)
        if self.git_version >= _CONFIG_HOOKS_SINCE:
            silence_configured_hooks(git)
        return git

    @cached_property
    def git_version(self) -> tuple[int, ...]:
        """The version of git. Asked once for each installed git, then remembered on disk."""
        return discover.git_version(self.private_dir / "git-version")

    @property
    def shallow(self) -> bool:
        """Whether history is cut off."""
        return (self.common_dir / "shallow").exists()

    def require_complete(self) -> None:
        """Raise unless all history and all content is here."""
        if self.shallow:
            raise UsageError(
                "this is a shallow clone: part of the history is missing",
                "git fetch --unshallow",
            )
        if "extensions.partialclone" in self.config:
            raise UsageError(
                "this is a partial clone: content is fetched only when somebody looks at it",
                "make a full clone: git clone URL",
            )

    def ensure_private(self) -> Path:
        """Make ``.git/lifeos`` with the private git directory, unless it is there. Its path.

        The git directory appears complete, by rename. Raises ``UsageError`` for an old git.
        """
        target = self.private_dir / "git"
        if not (target / "HEAD").exists():
            self.private_dir.mkdir(exist_ok=True)
            if self.git_version < discover.MINIMUM_GIT:
                raise discover.too_old(self.git_version)
            with Lock(self.private_dir / "git.lock"):
                if not (target / "HEAD").exists():
                    self._make_private(target)
        return self.private_dir

    def close(self) -> None:
        """End the sessions. The repository can be used again: they start when needed."""
        self.refs.close()
        self.objects.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> Literal[False]:
        self.close()
        return False

    def _make_private(self, target: Path) -> None:
        # Under the lock whatever lies here was left by a killed process.
        fresh = self.private_dir / "git.new"
        for leftover in (fresh, target):
            if leftover.exists():
                shutil.rmtree(leftover)
        fresh.mkdir()
        (fresh / "info").mkdir()
        for name in ("objects", "refs", "packed-refs"):
            (fresh / name).symlink_to(self._seen_from(target, name))
        (fresh / "config").write_text(self._private_config(), encoding="utf-8")
        # A branch that is never made: nobody is "on" a branch here.
        (fresh / "HEAD").write_text("ref: refs/heads/lifeos/none\n", encoding="utf-8")
        fresh.rename(target)

    def _seen_from(self, target: Path, name: str) -> str:
        """Where a link to a part of the repository must point."""
        if self.private_dir.is_symlink():
            return str(self.common_dir / name)
        return os.path.relpath(self.common_dir / name, target)  # a moved repository still works

    def _private_config(self) -> str:
        lines = ["[core]"]
        lines.append(f"\trepositoryformatversion = {0 if self.hash_name == 'sha1' else 1}")
        lines += ["\tbare = true", "\tfilemode = true", "\tlogallrefupdates = false"]
        if shared := self.config.get("core.sharedrepository"):
            lines.append(f"\tsharedrepository = {shared}")
        lines += ["[gc]", "\tauto = 0", "[maintenance]", "\tauto = false"]
        if self.hash_name != "sha1":
            lines += ["[extensions]", f"\tobjectformat = {self.hash_name}"]
        return "\n".join(lines) + "\n"


def silence_configured_hooks(git: Git) -> None:
    """Newer git runs hooks named in the configuration too; core.hooksPath does not stop those."""
    result = git.call("config", "--null", "--name-only", "--get-regexp", r"^hook\.")
    if result.status not in (0, 1):
        raise GitError(("config", "--get-regexp"), result.status, result.err)
    keys = [key for key in result.out.decode("utf-8", "surrogateescape").split("\0") if key]
    names = {key[len("hook.") : key.rindex(".")] for key in keys if key.count(".") > 1}
    git.configure({f"hook.{name}.enabled": "false" for name in sorted(names)})
