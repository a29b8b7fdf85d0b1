"""Finding a repository, and lifeos's own git directory inside it.

All object work runs in ``.git/lifeos/git``: a bare directory with a configuration of its own whose
``objects`` and ``refs`` are the repository's. So no merge driver, filter, hook, ``insteadOf``,
graft or signing program of the repository's configuration has a say. Only moving references and
the checkout use the person's directory. Nothing here may ever run ``gc`` or ``prune``: in the
private directory git does not see what the person's index and worktrees keep alive.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

from lifeos.errors import UsageError
from lifeos.store.git import Git, GitError, Trace, clean_environment, git_missing, no_trace
from lifeos.store.lock import Lock
from lifeos.store.objects import HashName, Objects
from lifeos.store.refs import Refs

MINIMUM_GIT = (2, 38)
_CONFIG_HOOKS_SINCE = (2, 50)
_KNOWN_EXTENSIONS = {
    "noop",
    "noop-v1",
    "preciousobjects",
    "partialclone",
    "objectformat",
    "compatobjectformat",
    "worktreeconfig",
    "refstorage",
    "relativeworktrees",
}
# What git itself writes: sections, and plain keys. Anything richer is given to git to read.
_SECTION = re.compile(r'\[([A-Za-z0-9.-]+)(?:\s+"([^"\\]*)")?\]\s*(?:[#;].*)?')
_SETTING = re.compile(r"([A-Za-z][A-Za-z0-9-]*)\s*(?:=\s*([^\"\\#;]*?)\s*)?(?:[#;].*)?")


class NotARepository(UsageError):
    """There is no git repository here or above."""


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
            main_work_tree=_main_work_tree(common_dir, config),
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
        git_dir, work_tree = _discover(start)
        common_dir = _common_dir(git_dir)
        _require_owner(git_dir, start)
        config = _read_config(common_dir / "config")
        if _is_true(config.get("extensions.worktreeconfig")):
            config |= _read_config(git_dir / "config.worktree")
        hash_name = _check_format(config, common_dir)
        return cls(
            git_dir=git_dir,
            common_dir=common_dir,
            work_tree=_work_tree(git_dir, common_dir, work_tree, config),
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
    def network(self) -> Git:
        """Git in the private directory with the person's global configuration, for credentials."""
        folder = self.ensure_private() / "git"
        return Git(folder, trace=self.trace, isolated=True)

    @cached_property
    def person(self) -> Git:
        """Git in the person's directory: references and the checkout, nothing else."""
        self.ensure_private()
        git = Git(self.git_dir, work_tree=self.work_tree, trace=self.trace)
        if self.git_version >= _CONFIG_HOOKS_SINCE:
            _silence_configured_hooks(git)
        return git

    @cached_property
    def git_version(self) -> tuple[int, ...]:
        """The version of git. Asked once for each installed git, then remembered on disk."""
        return _git_version(self.private_dir / "git-version")

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
            if self.git_version < MINIMUM_GIT:
                raise _too_old(self.git_version)
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
        # Relative, so that a moved repository still works. Never a branch: nobody is "on" it.
        for name in ("objects", "refs", "packed-refs"):
            (fresh / name).symlink_to(os.path.relpath(self.common_dir / name, target))
        (fresh / "config").write_text(self._private_config(), encoding="utf-8")
        (fresh / "HEAD").write_text("ref: refs/heads/lifeos/none\n", encoding="utf-8")
        fresh.rename(target)

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


def _discover(start: Path) -> tuple[Path, Path | None]:
    """The git directory and, unless it is bare, the folder that holds its ``.git``."""
    begin = Path(os.path.realpath(start))
    for folder in (begin, *begin.parents):
        entry = folder / ".git"
        if entry.is_dir() and _is_git_dir(entry):
            return entry, folder
        if entry.is_file():
            return _follow(entry), folder
        if _is_git_dir(folder):
            return folder, None
    raise NotARepository(f"{start} is not in a git repository", "git init")


def _is_git_dir(folder: Path) -> bool:
    head = folder / "HEAD"
    return (
        (head.is_file() or head.is_symlink())
        and ((folder / "objects").is_dir() or (folder / "commondir").is_file())
        and ((folder / "refs").is_dir() or (folder / "commondir").is_file())
    )


def _follow(pointer: Path) -> Path:
    text = pointer.read_text(encoding="utf-8", errors="surrogateescape")
    if text.startswith("gitdir: "):
        target = Path(os.path.realpath(pointer.parent / text[len("gitdir: ") :].rstrip("\r\n")))
        if _is_git_dir(target):
            return target
    raise NotARepository(
        f"{pointer} does not lead to a git directory",
        "git worktree repair (in the main work tree), or clone again",
    )


def _common_dir(git_dir: Path) -> Path:
    pointer = git_dir / "commondir"
    if not pointer.is_file():
        return git_dir
    text = pointer.read_text(encoding="utf-8", errors="surrogateescape").rstrip("\r\n")
    common = Path(os.path.realpath(git_dir / text))
    if not _is_git_dir(common):
        raise NotARepository(f"{pointer} does not lead to a git directory", "git worktree repair")
    return common


def _work_tree(
    git_dir: Path, common_dir: Path, found: Path | None, config: dict[str, str]
) -> Path | None:
    if git_dir != common_dir:
        return found  # a linked worktree; core.bare and core.worktree speak of the main one
    if configured := config.get("core.worktree"):
        return Path(os.path.realpath(git_dir / configured))
    if _is_true(config.get("core.bare")):
        return None
    if found is None and git_dir.name == ".git":
        return git_dir.parent  # started inside .git
    return found


def _main_work_tree(common_dir: Path, config: dict[str, str]) -> Path | None:
    found = common_dir.parent if common_dir.name == ".git" else None
    return _work_tree(common_dir, common_dir, found, config)


def _require_owner(git_dir: Path, start: Path) -> None:
    """Git's own rule (safe.directory): do not act in a repository that another user controls."""
    if git_dir.stat().st_uid == os.geteuid():
        return
    try:
        answer = subprocess.run(
            ("git", "-C", str(start), "rev-parse", "--git-dir"),
            env=clean_environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=60,
            check=False,
        )
    except FileNotFoundError:
        raise git_missing() from None
    if answer.returncode != 0:
        raise UsageError(
            f"{git_dir} belongs to another user",
            f"if you trust it: git config --global --add safe.directory {start.resolve()}",
        )


def _is_true(value: str | None) -> bool:
    return value is not None and value.lower() in {"true", "yes", "on", "1", ""}


def _read_config(path: Path) -> dict[str, str]:
    """One configuration file, without includes (git reads a repository's format that way too)."""
    try:
        text = path.read_text(encoding="utf-8", errors="surrogateescape")
    except FileNotFoundError:
        return {}
    found: dict[str, str] = {}
    section = ""
    for raw in text.splitlines():
        line = raw.strip()
        if not line or line[0] in "#;":
            continue
        if match := _SECTION.fullmatch(line):
            name, sub = match.groups()
            section = f"{name.lower()}.{sub}." if sub is not None else f"{name.lower()}."
        elif section and (match := _SETTING.fullmatch(line)):
            found[section + match[1].lower()] = "true" if match[2] is None else match[2]
        else:
            return _read_config_by_git(path)
    return found


def _read_config_by_git(path: Path) -> dict[str, str]:
    git = Git(path.parent, user_config=False)
    listing = git.run("config", "--file", str(path), "--null", "--list")
    found: dict[str, str] = {}
    for item in listing.decode("utf-8", "surrogateescape").split("\0"):
        key, _, value = item.partition("\n")
        if key:
            found[key] = value
    return found


def _check_format(config: dict[str, str], common_dir: Path) -> HashName:
    version = config.get("core.repositoryformatversion", "0")
    if version not in {"0", "1"}:
        raise UsageError(
            f"{common_dir}: repository format {version} is not known",
            "use a newer lifeos",
        )
    extensions = {
        key.removeprefix("extensions."): value
        for key, value in config.items()
        if key.startswith("extensions.")
    }
    unknown = sorted(set(extensions) - _KNOWN_EXTENSIONS)
    if version == "1" and unknown:
        raise UsageError(
            f"{common_dir}: repository extension {unknown[0]} is not known", "use a newer lifeos"
        )
    if (backend := extensions.get("refstorage", "files").lower()) != "files":
        raise UsageError(
            f"{common_dir}: references are stored as {backend}; lifeos needs files",
            "git refs migrate --ref-format=files",
        )
    match extensions.get("objectformat", "sha1").lower():
        case "sha1":
            return "sha1"
        case "sha256":
            return "sha256"
        case other:
            raise UsageError(f"{common_dir}: hash {other} is not known", "use a newer lifeos")


def _git_version(memory: Path) -> tuple[int, ...]:
    program = shutil.which("git")
    if program is None:
        raise git_missing()
    state = Path(program).stat()
    key = f"{program} {state.st_size} {state.st_mtime_ns}"
    try:
        remembered, _, version = memory.read_text(encoding="utf-8").partition("\n")
    except (FileNotFoundError, NotADirectoryError):
        remembered, version = "", ""
    if remembered != key:
        version = _ask_version(program)
        if memory.parent.is_dir():
            fresh = memory.with_suffix(f".{os.getpid()}")
            fresh.write_text(f"{key}\n{version}", encoding="utf-8")
            fresh.replace(memory)
    return tuple(int(part) for part in version.split("."))


def _ask_version(program: str) -> str:
    text = subprocess.run(
        (program, "version"),
        env=clean_environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=60,
        check=True,
    ).stdout.decode("utf-8", "replace")
    match = re.search(r"(\d+(?:\.\d+)+)", text)
    if match is None:
        raise UsageError(f"{program} does not say its version: {text.strip()}", "install git 2.38")
    return match[1]


def _too_old(version: tuple[int, ...]) -> UsageError:
    have = ".".join(str(part) for part in version)
    need = ".".join(str(part) for part in MINIMUM_GIT)
    return UsageError(f"git {have} is too old: lifeos needs {need}", "install a newer git")


def _silence_configured_hooks(git: Git) -> None:
    """Newer git runs hooks named in the configuration too; core.hooksPath does not stop those."""
    result = git.call("config", "--null", "--name-only", "--get-regexp", r"^hook\.")
    if result.status not in (0, 1):
        raise GitError(("config", "--get-regexp"), result.status, result.err)
    keys = [key for key in result.out.decode("utf-8", "surrogateescape").split("\0") if key]
    names = {key[len("hook.") : key.rindex(".")] for key in keys if key.count(".") > 1}
    git.configure({f"hook.{name}.enabled": "false" for name in sorted(names)})
