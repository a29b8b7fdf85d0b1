"""What happened on a branch, and who brought it. Off the hot path: the only importer of GitPython.

Who brought something decides whether it counts, so a merge is not trusted to be harmless. What is
at a path comes from a merge's parent only if the others did not change it since they parted; else
whoever made the merge chose it, and brought it. Otherwise old rules could be brought back by
merging an old commit with the strategy "ours", under the name of whoever wrote them once.
"""

from __future__ import annotations

import contextlib
import functools
import re
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lifeos.store.git import GitError
from lifeos.store.objects import LIFEOS, Identity
from lifeos.store.repo import Repo
from lifeos.store.trees import lookup

if TYPE_CHECKING:
    import git

_BATCH = 256
_LITERAL = {"GIT_LITERAL_PATHSPECS": "1"}
_BLAMED = re.compile(r"([0-9a-f]{40}(?:[0-9a-f]{24})?) \d+ \d+(?: \d+)?")
_HUNK = re.compile(r"@@ -\d+(?:,(\d+))? \+(\d+)(?:,(\d+))? @@")
_OID = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")


@dataclass(frozen=True)
class Introduced:
    """A commit as the one who brought something. Times are in seconds since 1970 UTC."""

    commit: str
    author: Identity
    committer: Identity
    authored: int
    when: int
    parents: tuple[str, ...] = ()

    @property
    def by_lifeos(self) -> bool:
        """Whether lifeos itself is named in it (which proves nothing about who made it)."""
        return LIFEOS.email in (self.author.email, self.committer.email)


@contextlib.contextmanager
def _library(repo: Repo) -> Iterator[git.Repo]:
    """GitPython on the private git directory: no one's configuration reaches it there."""
    import git

    opened = git.Repo(str(repo.ensure_private() / "git"))
    # It starts `git cat-file` with this process's environment; these win over what is in there.
    opened.git.update_environment(
        GIT_DIR=opened.git_dir,
        GIT_OBJECT_DIRECTORY=str(repo.common_dir / "objects"),
        GIT_ALTERNATE_OBJECT_DIRECTORIES="",
        GIT_NO_REPLACE_OBJECTS="1",
        GIT_CONFIG_NOSYSTEM="1",
        GIT_CONFIG_GLOBAL="/dev/null",
        GIT_CONFIG_COUNT="0",
        GIT_CONFIG_PARAMETERS="",
        GIT_TRACE="0",
    )
    try:
        yield opened
    finally:
        opened.close()


def read_commits(repo: Repo, oids: Sequence[str]) -> tuple[Introduced, ...]:
    """Commits by their ids, in the order asked."""
    if not oids:
        return ()
    if repo.hash_name != "sha1":  # which GitPython does not read
        return tuple(_plain(repo, oid) for oid in oids)
    with _library(repo) as library:
        return tuple(_read(library, oid) for oid in oids)


def _read(library: git.Repo, oid: str) -> Introduced:
    from git import Commit

    commit = Commit(library, bytes.fromhex(oid))
    return Introduced(
        commit=oid,
        author=Identity(commit.author.name or "", commit.author.email or ""),
        committer=Identity(commit.committer.name or "", commit.committer.email or ""),
        authored=int(commit.authored_date),
        when=int(commit.committed_date),
        parents=tuple(parent.hexsha for parent in commit.parents),
    )


def _plain(repo: Repo, oid: str) -> Introduced:
    commit = repo.objects.commit(oid)
    return Introduced(
        commit=oid,
        author=commit.author.identity,
        committer=commit.committer.identity,
        authored=commit.author.when,
        when=commit.committer.when,
        parents=commit.parents,
    )


# --- who brought a file -----------------------------------------------------------------------


def introducing(repo: Repo, tip: str, path: str) -> Introduced | None:
    """The commit that brought what is at ``path`` in ``tip``; None if nothing is there."""
    walk = _Walk(repo, path, lambda commit: _entry(repo, commit, path))
    return None if walk.state(tip) is None else walk.bringer(tip)


def removing(repo: Repo, tip: str, path: str) -> Introduced | None:
    """The commit that removed ``path`` before ``tip``; None if it is there, or never was."""
    walk = _Walk(repo, path, lambda commit: _entry(repo, commit, path))
    return walk.bringer(tip) if walk.state(tip) is None else None


def _entry(repo: Repo, commit: str, path: str) -> tuple[str, str] | None:
    leaf = lookup(repo.objects, repo.objects.commit(commit).tree, path)
    return None if leaf is None else (leaf.mode, leaf.oid)


class _Walk:
    """Down from a commit to the one that made something at a path what it is there.

    ``state`` says what it is in a commit: two commits agree if their states are equal.
    """

    def __init__(self, repo: Repo, path: str, state: Callable[[str], Hashable]) -> None:
        self.repo = repo
        self.path = path
        self.state = functools.cache(state)
        self._parents: dict[str, tuple[str, ...]] = {}

    def bringer(self, tip: str) -> Introduced | None:
        """Who made it so; the later one if it was made so twice. None: nobody ever touched it."""
        self.repo.require_complete()
        wanted = self.state(tip)
        pending = [self._first(tip)]
        seen: set[str | None] = {None}
        found: list[str] = []
        while pending:
            here = pending.pop()
            if here in seen or here is None:
                continue
            seen.add(here)
            sources = self._sources(here, wanted)
            if sources:
                pending += sources
            elif sources is None:
                found.append(here)
        if len(found) > 1:
            found = self.repo.git.run("merge-base", "--independent", *found).decode().split()
        return read_commits(self.repo, found[:1])[0] if found else None

    def _sources(self, here: str, wanted: Hashable) -> list[str | None] | None:
        """Where a commit may have it from; None: from nowhere, it made it so itself."""
        parents = self.repo.objects.commit(here).parents
        same = [parent for parent in parents if self.state(parent) == wanted]
        other = [parent for parent in parents if self.state(parent) != wanted]
        if not other and same:
            below = self._parents[here]
            return [one if one in self._parents else self._first(one) for one in below]
        same = [one for one in same if all(self._unchanged_since(one, q) for q in other)]
        return [self._first(parent) for parent in same] or None

    def _unchanged_since(self, parent: str, other: str) -> bool:
        """Whether ``other`` is in the state that it was in when the two parted."""
        args = ("merge-base", "--all", "--end-of-options", parent, other)
        result = self.repo.git.call(*args)
        if result.status not in (0, 1):
            raise GitError(args, result.status, result.err)
        bases = result.out.decode("ascii").split()
        # Without a common beginning nothing says which of the two was there first.
        return bool(bases) and all(self.state(base) == self.state(other) for base in bases)

    def _first(self, start: str) -> str | None:
        """The first commit from ``start`` on that changed the path, or is a merge."""
        args = ("--full-history", "--parents", f"--max-count={_BATCH}", "--end-of-options", start)
        out = self.repo.git.run("rev-list", *args, "--", self.path, env=_LITERAL)
        lines = [line.split(" ") for line in out.decode("ascii").splitlines()]
        for commit, *parents in lines:
            self._parents.setdefault(commit, tuple(parents))
        return lines[0][0] if lines else None


def brought_by(
    repo: Repo, tip: str, paths: Sequence[str], since: str, without: Sequence[str] = ()
) -> tuple[Introduced, ...] | None:
    """Every commit after ``since`` that changed something at or below ``paths``, newest first.

    All of them, not only the last at each path: a later edit by one person does not make an
    earlier one by another theirs. ``without``: paths below those that do not count.
    None: ``since`` is not part of the history of ``tip``, so nobody can say who brought what.
    """
    repo.require_complete()
    if not is_ancestor(repo, since, tip):
        return None
    specs = [f":(top,literal){path}" for path in paths]
    specs += [f":(top,literal,exclude){path}" for path in without]
    args = ("--full-history", "--end-of-options", tip, f"^{since}", "--", *specs)
    return read_commits(repo, repo.git.run("rev-list", *args).decode("ascii").split())


# --- who brought lines ------------------------------------------------------------------------


def who_brought_lines(
    repo: Repo, tip: str, path: str, first_line: int, last_line: int
) -> tuple[Introduced, ...]:
    """The commits that brought these lines (from 1, both ends included), each once.

    First those that wrote each line; renames and moves are not followed, since whoever puts text
    somewhere brought it there. Then whoever brought the lines together as they are: by taking one
    out of their midst, or by bringing back what somebody had removed. Then, if lines beside them
    are gone, everybody who changed the file since. Empty if the lines are not there.
    """
    repo.require_complete()
    lines = _lines(repo, tip, path)
    if not 1 <= first_line <= last_line <= len(lines):
        return ()
    out = repo.git.run(
        "blame",
        "--porcelain",
        "--no-follow",
        "--no-textconv",
        "-L",
        f"{first_line},{last_line}",
        tip,
        "--",
        path,
    )
    blamed: dict[str, None] = {}
    for line in out.split(b"\n"):
        match = _BLAMED.fullmatch(line.decode("utf-8", "replace"))
        if match:
            blamed[match[1]] = None
    block = lines[first_line - 1 : last_line]
    walk = _Walk(repo, path, lambda commit: _holds(_lines(repo, commit, path), block))
    gathered = walk.bringer(tip)
    if gathered is not None:
        blamed[gathered.commit] = None
        if _shortened(repo, gathered.commit, tip, path, first_line, last_line):
            args = ("--full-history", "--end-of-options", tip, f"^{gathered.commit}", "--", path)
            since = repo.git.run("rev-list", *args, env=_LITERAL).decode("ascii").split()
            blamed |= dict.fromkeys(since)
    return read_commits(repo, list(blamed))


def _lines(repo: Repo, commit: str, path: str) -> list[bytes]:
    entry = _entry(repo, commit, path)
    if entry is None or entry[0] not in ("100644", "100755"):
        return []
    return repo.objects.read(entry[1])[1].split(b"\n")


def _holds(lines: list[bytes], block: list[bytes]) -> bool:
    """Whether the block stands somewhere in these lines, as one."""
    size = len(block)
    starts = (n for n, line in enumerate(lines) if line == block[0])
    return any(lines[n : n + size] == block for n in starts)


def _shortened(repo: Repo, old: str, new: str, path: str, first: int, last: int) -> bool:
    args = ("--no-renames", "--no-ext-diff", "--no-textconv", "--text", "--unified=0", "-p")
    out = repo.git.run("diff-tree", *args, old, new, "--", path, env={"GIT_LITERAL_PATHSPECS": "1"})
    for line in out.decode("utf-8", "replace").split("\n"):
        hunk = _HUNK.match(line)
        if hunk is None:
            continue
        taken, start, given = int(hunk[1] or 1), int(hunk[2]), int(hunk[3] or 1)
        # Without new lines a hunk stands after the line that it names.
        end = start + max(given, 1) - 1
        if taken > given and start <= last and end >= first - 1:
            return True
    return False


# --- the branch -------------------------------------------------------------------------------


def changed_paths(repo: Repo, old: str, new: str) -> tuple[str, ...]:
    """Every path that differs between two commits or trees; both names of what was renamed."""
    args = ("-r", "-z", "--name-only", "--no-renames", "--end-of-options", old, new)
    out = repo.git.run("diff-tree", *args)
    return tuple(out.decode("utf-8", "surrogateescape").split("\0")[:-1])


def is_ancestor(repo: Repo, old: str, new: str) -> bool:
    """Whether ``old`` is part of the history of ``new`` (or is the same commit)."""
    result = repo.git.call("merge-base", "--is-ancestor", "--end-of-options", old, new)
    if result.status not in (0, 1):
        raise GitError(("merge-base", "--is-ancestor", old, new), result.status, result.err)
    return result.status == 0


def ledger_anchors(repo: Repo, tip: str, limit: int) -> tuple[str, ...]:
    """The tips of the ledger that lifeos's commits on this branch name, newest first.

    Anybody can write a commit in lifeos's name: a name in it that the ledger lacks is a reason
    to stop and look, never proof of anything.
    """
    anchored = ledger_commits(repo, tip, limit)
    return tuple(dict.fromkeys(anchor for _, anchor in anchored))


def ledger_commits(repo: Repo, tip: str, limit: int = -1) -> tuple[tuple[str, str], ...]:
    """Commits in lifeos's name on this branch with the tip each names, newest first."""
    named = lifeos_commits(repo, tip, limit)
    return tuple((commit, anchor) for commit, anchors in named for anchor in anchors)


def lifeos_commits(
    repo: Repo, tip: str, limit: int = -1
) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Commits in lifeos's name on this branch with every tip that each names, newest first.

    The pure work of a landing is among them, and names none.
    """
    wanted = "%H%n%(trailers:key=Lifeos-Ledger,valueonly,separator=%x20)"
    out = repo.git.run(
        "log",
        "-z",
        "--no-mailmap",
        "--fixed-strings",
        f"--author=<{LIFEOS.email}>",
        f"--committer=<{LIFEOS.email}>",
        f"--max-count={limit}",
        f"--format={wanted}",
        "--end-of-options",
        tip,
    )
    found: list[tuple[str, tuple[str, ...]]] = []
    for text in out.decode("utf-8", "replace").split("\0"):
        commit, _, anchors = text.partition("\n")
        if commit:
            names = tuple(name for name in anchors.split() if _OID.fullmatch(name))
            found.append((commit, names))
    return tuple(found)
