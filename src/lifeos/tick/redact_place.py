"""Where the content is that is to be taken out of the ledger, and whether it may go."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from lifeos.core.canonical import sha256
from lifeos.errors import UsageError
from lifeos.store.ledger import Ledger
from lifeos.store.purge import holders, is_staged
from lifeos.store.redactions import chain_of, placeholders
from lifeos.store.repo import Repo
from lifeos.store.treecache import TreeCache
from lifeos.store.trees import FOLDER, TreeEntry
from lifeos.tick.redact_removal import WORKS, ledger_refs

_BATCH = 256
"""Transitions whose folders are fetched together."""
_WORK = re.compile(r"runs/([^/]+)/\d+/tree")
_MAY = re.compile(
    r"runs/(?P<run>[^/]+)/(?:\d+/(?!facts\.json$)[^/]+|\d+/tree/.+|task\.md)"
    r"|queue/[^/]+\.md|packets/[^/]+/[^/]+/packet\.(?:md|json)",
    re.DOTALL,
)


@dataclass(frozen=True)
class Place:
    """Where the ledger has the content; ``first`` is the transition that brought it, by number."""

    blob: str
    digest: str
    size: int
    paths: tuple[str, ...]
    first: int
    transitions: int


def place_of(ledger: Ledger, blob: str) -> Place:
    """Where a blob is in the ledger. Raises ``UsageError`` where it is not, or must stay."""
    _require_new(ledger, blob)
    kind, data = ledger.repo.objects.read(blob)
    if kind != "blob":
        raise UsageError(
            f"{blob[:12]} is a {kind}, not a file", "lifeos show RUN N lists the files"
        )
    chain = chain_of(ledger.repo, ledger.tip)
    found = list(_occurrences(ledger.repo, chain, blob))
    if not found:
        raise UsageError(
            f"the ledger has no file with this content ({blob[:12]})",
            "lifeos show RUN N lists what an attempt left; git grep finds what else there is",
        )
    paths = tuple(dict.fromkeys(path for _, path in found))
    for path in paths:
        _require_may(ledger, path)
    return Place(blob, sha256(data), len(data), paths, found[0][0], len(chain))


def _require_new(ledger: Ledger, blob: str) -> None:
    """Raise ``UsageError`` for a placeholder: there is nothing behind it any more."""
    about = placeholders(ledger.repo, ledger.tip).get(blob)
    if about is not None:
        raise UsageError(
            f"that was redacted already, by {about.who}: {about.note}",
            "lifeos redact --accept, if this clone still has the content",
        )


def _require_may(ledger: Ledger, path: str) -> None:
    match = _MAY.fullmatch(path)
    if match is None:
        raise UsageError(
            f"{path} is what the ledger works with: without it nothing could be replayed",
            "only what attempts left, tasks, questions and packets can be redacted",
        )
    run = ledger.snapshot.runs.get(match["run"] or "")
    if run is not None:
        raise UsageError(
            f"{path} is of {run.id}, which is open and works with it", f"lifeos cancel {run.task}"
        )


def _occurrences(repo: Repo, chain: Sequence[str], blob: str) -> Iterator[tuple[int, str]]:
    """The numbers of the transitions that put it somewhere, and where."""
    trees = TreeCache(repo.objects, _is_whole)
    works = _Works(trees, blob)
    before: str | None = None
    for start in range(0, len(chain), _BATCH):
        part = chain[start : start + _BATCH]
        roots = [repo.objects.commit(commit).tree for commit in part]
        trees.fetch(list(pairwise([before, *roots])))
        for number, (old, new) in enumerate(pairwise([before, *roots]), start + 1):
            for one in trees.differences(old, new):
                if one.after is None:
                    continue
                if one.after.mode == FOLDER:
                    yield from ((number, path) for path in works.below(one.after.oid, one.path))
                elif one.after.oid == blob:
                    yield number, one.path
        before = roots[-1]


def _is_whole(path: str, _gone: bool) -> bool:
    return _WORK.fullmatch(path) is not None


class _Works:
    """Looks for a blob in trees of work, in each folder once."""

    def __init__(self, trees: TreeCache, blob: str) -> None:
        self._trees = trees
        self._blob = blob
        self._found: dict[str, tuple[str, ...]] = {}

    def below(self, tree: str, prefix: str) -> Iterator[str]:
        """The paths at which it is, in a tree that lies at ``prefix``."""
        return (f"{prefix}/{path}" for path in self._paths(tree))

    def _paths(self, tree: str) -> tuple[str, ...]:
        if tree not in self._found:
            self._found[tree] = tuple(self._look(self._trees.folder(tree).values()))
        return self._found[tree]

    def _look(self, entries: Iterable[TreeEntry]) -> Iterator[str]:
        for entry in entries:
            if entry.mode == FOLDER:
                yield from (f"{entry.name}/{path}" for path in self._paths(entry.oid))
            elif entry.oid == self._blob:
                yield entry.name


# --- where else it is -------------------------------------------------------------------------


def elsewhere(repo: Repo, blob: str) -> tuple[str, ...]:
    """What else of this clone has it: there it is part of somebody else's history."""
    own = {*ledger_refs(repo), *repo.refs.list(WORKS)}
    others = {name: oid for name, oid in repo.refs.list("refs/").items() if name not in own}
    head = repo.refs.head_id()
    if head is not None and repo.refs.head() is None:
        others["HEAD"] = head
    found = holders(repo, others, blob)
    return found or (("the index of a work tree",) if is_staged(repo, blob) else ())
