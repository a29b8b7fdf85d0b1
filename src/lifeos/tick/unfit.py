"""What lifeos cannot work on: a tree whose files are not all in this repository.

Git LFS leaves pointers where files belong, and a submodule is the content of another repository.
lifeos fetches neither. An agent would build on something else than people see, so such a tree is
refused by name before anything is spent.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from lifeos.errors import Place, Problem
from lifeos.store.repo import Repo
from lifeos.store.trees import EXECUTABLE, FILE, SUBMODULE, Leaf, walk

_LFS_RULE = re.compile(rb"^[^#\n]*\sfilter=lfs(\s|$)", re.MULTILINE)
_POINTER = b"version https://git-lfs.github.com/spec/v1\n"
_POINTER_BYTES = 1024
"""What a pointer has at most, by the specification of Git LFS."""
_SHOWN = 5


def unfit(repo: Repo, tree: str) -> tuple[Problem, ...]:
    """Why no work can be begun on this tree; empty when it can."""
    leaves = list(walk(repo.objects, tree))
    modules = [leaf.path for leaf in leaves if leaf.mode == SUBMODULE]
    return (
        *_named(
            modules,
            "is a submodule; lifeos does not fill it in",
            "put its files into this repository (git rm --cached it first), or keep it outside",
        ),
        *_named(
            _pointers(repo, [leaf for leaf in leaves if leaf.mode in (FILE, EXECUTABLE)]),
            "is in Git LFS: only its pointer is here, and lifeos does not fetch the file",
            "take it out: git lfs migrate export --everything --include=PATH",
        ),
    )


def _pointers(repo: Repo, leaves: Sequence[Leaf]) -> list[str]:
    """The files that are pointers of Git LFS, where the tree's attributes speak of it."""
    rules = [leaf.oid for leaf in leaves if leaf.path.rpartition("/")[2] == ".gitattributes"]
    if not any(_LFS_RULE.search(data) for _, _, data in repo.objects.read_many(rules)):
        return []
    sizes = repo.objects.kinds_sizes([leaf.oid for leaf in leaves])
    small = [leaf for leaf, (_, size) in zip(leaves, sizes, strict=True) if size <= _POINTER_BYTES]
    contents = repo.objects.read_many(leaf.oid for leaf in small)
    return [
        leaf.path
        for leaf, (_, _, data) in zip(small, contents, strict=True)
        if data.startswith(_POINTER)
    ]


def _named(paths: Sequence[str], what: str, fix: str) -> list[Problem]:
    found = [Problem(Place(ascii(path)[1:-1]), what, fix) for path in paths[:_SHOWN]]
    if len(paths) > _SHOWN:
        rest = len(paths) - _SHOWN
        found.append(Problem(Place(f"{rest} more"), f"of these: each {what}", fix))
    return found
