"""What differs between two trees. No configuration and no attribute changes the answer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal, cast

from lifeos.model import Change
from lifeos.store.git import GitError
from lifeos.store.repo import Repo
from lifeos.store.trees import SUBMODULE

_PLAIN = ("--no-ext-diff", "--no-textconv", "--no-color", "-M", "-r", "--no-commit-id")
_Status = Literal["A", "D", "M", "T", "R"]
_LITERAL = {"GIT_LITERAL_PATHSPECS": "1"}


def diff(repo: Repo, old_tree: str, new_tree: str, *, sizes: bool = True) -> tuple[Change, ...]:
    """Every changed path, in git's order. Renames are found (by half of the content).

    ``sizes`` False: nobody asks for them, and they are 0.
    """
    ids = (repo.objects.tree_id(old_tree), repo.objects.tree_id(new_tree))
    out = repo.git.run("diff-tree", *_PLAIN, "-z", "--raw", "--numstat", *ids)
    fields = iter(out.decode("utf-8", "surrogateescape").split("\0"))
    changes: list[Change] = []
    counts: list[tuple[int | None, int | None]] = []
    for text in fields:
        if text.startswith(":"):
            changes.append(_raw(text, fields))
        elif text:
            counts.append(_numstat(text, fields))
    if len(changes) != len(counts):
        raise GitError(("diff-tree", *ids), 0, "the two halves of the answer do not agree")
    measured = _sizes(repo, changes) if sizes else [0] * len(changes)
    return tuple(
        change.model_copy(update={"added": added, "removed": removed, "size": size})
        for change, (added, removed), size in zip(changes, counts, measured, strict=True)
    )


def patch(repo: Repo, old: str, new: str, paths: Sequence[str] = ()) -> bytes:
    """The differences as text, of the given paths only if there are any."""
    return _text(repo, ("--patch", "--full-index"), old, new, paths)


def diffstat(repo: Repo, old: str, new: str, paths: Sequence[str] = ()) -> str:
    """The differences as a table for people: one line for each path."""
    return _text(repo, ("--stat=100",), old, new, paths).decode("utf-8", "replace")


def _text(repo: Repo, options: tuple[str, ...], old: str, new: str, paths: Sequence[str]) -> bytes:
    ids = (repo.objects.tree_id(old), repo.objects.tree_id(new))
    return repo.git.run("diff-tree", *_PLAIN, *options, *ids, "--", *paths, env=_LITERAL)


def _raw(text: str, fields: Iterator[str]) -> Change:
    old_mode, new_mode, old_id, new_id, status = text[1:].split(" ")
    letter = status[0]
    if letter not in "ADMTR":
        raise GitError(("diff-tree",), 0, f"unknown status {status!r}")
    first = next(fields)
    return Change(
        status=cast("_Status", letter),
        path=next(fields) if letter == "R" else first,
        old_path=first if letter == "R" else "",
        old_mode=old_mode,
        new_mode=new_mode,
        old_id=old_id,
        new_id=new_id,
    )


def _numstat(text: str, fields: Iterator[str]) -> tuple[int | None, int | None]:
    added, removed, path = text.split("\t", 2)
    if not path:  # a rename: both names follow
        next(fields)
        next(fields)
    return (None, None) if added == "-" else (int(added), int(removed))


def _sizes(repo: Repo, changes: Sequence[Change]) -> list[int]:
    null = repo.objects.null
    wanted = [c.new_id for c in changes if c.new_id != null and c.new_mode != SUBMODULE]
    known = {
        oid: size for oid, (_, size) in zip(wanted, repo.objects.kinds_sizes(wanted), strict=True)
    }
    return [known.get(change.new_id, 0) for change in changes]
