"""What landings left to be done, read from their changes and from main as it is now."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from lifeos.core.chronicle import RunPast
from lifeos.core.improve.followups import Landing, Tree, follow_ups, is_document, wants_code
from lifeos.core.improve.look import Look
from lifeos.core.improve.proposal import Pattern
from lifeos.store.diff import patch
from lifeos.store.git import GitError
from lifeos.store.objects import MissingObject
from lifeos.store.trees import EXECUTABLE, FILE, Leaf, walk
from lifeos.tick.context import Context
from lifeos.tick.reading import BACKLOG, Main

MOST_LANDINGS = 50
"""Landings that are looked at, the newest: an older one has had its time."""
MOST_FILES = 5000
LARGEST = 200_000
"""Bytes of a file of main that is read for names; a larger one is made by a program."""
_SKIPPED = ("policies/", ".lifeos/", ".github/", "node_modules/", "vendor/")


def left_to_do(ctx: Context, main: Main, look: Look) -> tuple[Pattern, ...]:
    """The follow-up tasks that the landings which are looked at call for."""
    landed = [run for run in look.closed if run.passed and run.reverted_at is None]
    landings = [
        landing for run in landed[-MOST_LANDINGS:] if (landing := _landing(ctx, run)) is not None
    ]
    touched = {path for landing in landings for path in landing.added}
    everything = wants_code(landings)
    leaves = [leaf for leaf in walk(ctx.repo.objects, main.tree) if _is_text(leaf)]
    wanted = [leaf for leaf in leaves if everything or leaf.path in touched][:MOST_FILES]
    return follow_ups(look, landings, _tree(ctx, wanted))


def _is_text(leaf: Leaf) -> bool:
    ours = leaf.path == BACKLOG or leaf.path.startswith(_SKIPPED)
    return leaf.mode in (FILE, EXECUTABLE) and not ours


def _tree(ctx: Context, leaves: Sequence[Leaf]) -> Tree:
    sizes = ctx.repo.objects.kinds_sizes([leaf.oid for leaf in leaves])
    small = [leaf for leaf, (_, size) in zip(leaves, sizes, strict=True) if size <= LARGEST]
    contents = ctx.repo.objects.read_many(leaf.oid for leaf in small)
    documents: dict[str, str] = {}
    code: dict[str, str] = {}
    for leaf, (_, _, data) in zip(small, contents, strict=True):
        if b"\0" in data:
            continue
        place = documents if is_document(leaf.path) else code
        place[leaf.path] = data.decode("utf-8", "replace")
    return Tree(documents, code)


def _landing(ctx: Context, run: RunPast) -> Landing | None:
    """What a landing changed; None where its commit is not here."""
    try:
        parents = ctx.repo.objects.commit(run.landed).parents
        if not parents:
            return None
        text = patch(ctx.repo, parents[0], run.landed).decode("utf-8", "replace")
    except (MissingObject, GitError, KeyError, ValueError):
        return None
    added: dict[str, list[str]] = {}
    removed: dict[str, list[str]] = {}
    for path, line in _changed_lines(text):
        place = added if line.startswith("+") else removed
        place.setdefault(path, []).append(line[1:])
    return Landing(run, _ours_apart(added), _ours_apart(removed))


def _changed_lines(text: str) -> Iterator[tuple[str, str]]:
    """The lines that a diff adds (``+``) and removes (``-``), with the path they are in."""
    path, inside = "", False
    for line in text.split("\n"):
        if line.startswith("diff --git "):
            path, inside = "", False
        elif line.startswith("@@ "):
            inside = True
        elif not inside and line.startswith(("--- a/", "+++ b/")):
            path = line[6:]
        elif inside and path and line[:1] in ("+", "-"):
            yield path, line


def _ours_apart(lines: Mapping[str, list[str]]) -> Mapping[str, Sequence[str]]:
    return {
        path: found
        for path, found in lines.items()
        if path != BACKLOG and not path.startswith(_SKIPPED)
    }
