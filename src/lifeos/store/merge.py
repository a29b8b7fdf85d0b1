"""Merging two commits into a tree, without an index, a work tree or anybody's merge driver."""

from __future__ import annotations

from dataclasses import dataclass

from lifeos.store.git import GitError
from lifeos.store.repo import Repo


@dataclass(frozen=True)
class Merged:
    """The outcome. ``tree`` is None exactly if there are conflicts; ``messages`` is git's text."""

    tree: str | None
    conflicts: tuple[str, ...]
    messages: str


def merge(repo: Repo, ours_commit: str, theirs_commit: str) -> Merged:
    """The merge of two commits. Raises ``GitError``, for example for unrelated histories."""
    ids = (repo.objects.commit(ours_commit).oid, repo.objects.commit(theirs_commit).oid)
    args = ("merge-tree", "--write-tree", "-z", "--name-only", "--messages", *ids)
    result = repo.git.call(*args)
    if result.status not in (0, 1):
        raise GitError(args, result.status, result.err)
    # git-merge-tree(1): the tree, the names in conflict, an empty field, then the messages
    tree, *rest = result.out.decode("utf-8", "surrogateescape").split("\0")
    end = rest.index("") if "" in rest else len(rest)
    messages = _messages(rest[end + 1 :])
    if result.status == 0:
        return Merged(tree, (), messages)
    return Merged(None, tuple(sorted(set(rest[:end]))), messages)


def _messages(fields: list[str]) -> str:
    """The texts out of records of: count of paths, the paths, kind, text."""
    texts: list[str] = []
    position = 0
    while position < len(fields) and fields[position].isdecimal():
        position += int(fields[position]) + 2
        if position < len(fields):
            texts.append(fields[position].rstrip("\n"))
        position += 1
    return "\n".join(texts)
