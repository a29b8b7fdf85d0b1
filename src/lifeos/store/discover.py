"""Where a repository is, what format it has, and which git is installed. Nearly no process."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path
from typing import Literal

from lifeos.errors import UsageError
from lifeos.store.git import Git, ask, git_missing

HashName = Literal["sha1", "sha256"]
MINIMUM_GIT = (2, 38)
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


def discover(start: Path) -> tuple[Path, Path | None]:
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


def find_common_dir(git_dir: Path) -> Path:
    """Where the objects and references are: elsewhere for a linked worktree."""
    pointer = git_dir / "commondir"
    if not pointer.is_file():
        return git_dir
    text = pointer.read_text(encoding="utf-8", errors="surrogateescape").rstrip("\r\n")
    common = Path(os.path.realpath(git_dir / text))
    if not _is_git_dir(common):
        raise NotARepository(f"{pointer} does not lead to a git directory", "git worktree repair")
    return common


def find_work_tree(
    git_dir: Path, common_dir: Path, found: Path | None, config: dict[str, str]
) -> Path | None:
    """The work tree that belongs to a git directory, given where its ``.git`` was found."""
    if git_dir != common_dir:
        return found  # a linked worktree; core.bare and core.worktree speak of the main one
    if configured := config.get("core.worktree"):
        return Path(os.path.realpath(git_dir / configured))
    if is_true(config.get("core.bare")):
        return None
    if found is None and git_dir.name == ".git":
        return git_dir.parent  # started inside .git
    return found


def find_main_work_tree(common_dir: Path, config: dict[str, str]) -> Path | None:
    """The work tree of the repository itself; None if it is bare."""
    found = common_dir.parent if common_dir.name == ".git" else None
    return find_work_tree(common_dir, common_dir, found, config)


def require_owner(git_dir: Path, start: Path) -> None:
    """Git's own rule (safe.directory): do not act in a repository that another user controls."""
    if git_dir.stat().st_uid == os.geteuid():
        return
    answer = ask("-C", str(start), "rev-parse", "--git-dir")
    if answer.status != 0:
        raise UsageError(
            f"{git_dir} belongs to another user",
            f"if you trust it: git config --global --add safe.directory {start.resolve()}",
        )


def is_true(value: str | None) -> bool:
    """Whether a setting is on, in git's words."""
    return value is not None and value.lower() in {"true", "yes", "on", "1", ""}


def read_config(path: Path) -> dict[str, str]:
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


def check_format(config: dict[str, str], common_dir: Path) -> HashName:
    """The hash of the repository. Raises ``UsageError`` for a format that is not supported."""
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


def git_version(memory: Path) -> tuple[int, ...]:
    """The version of the git on the PATH; ``memory`` is a file that remembers the answer."""
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
    text = ask("version").out.decode("utf-8", "replace")
    match = re.search(r"(\d+(?:\.\d+)+)", text)
    if match is None:
        raise UsageError(f"{program} does not say its version: {text.strip()}", "install git 2.38")
    return match[1]


def too_old(version: tuple[int, ...]) -> UsageError:
    """The error of a machine whose git is too old."""
    have = ".".join(str(part) for part in version)
    need = ".".join(str(part) for part in MINIMUM_GIT)
    return UsageError(f"git {have} is too old: lifeos needs {need}", "install a newer git")
