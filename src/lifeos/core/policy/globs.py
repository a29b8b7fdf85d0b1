"""Patterns of paths in the settings: the dialect of `lifeos.core.globs`, and containment."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from lifeos.core.globs import any_match as matches_any
from lifeos.core.globs import matches

__all__ = ["covers", "matches", "matches_any"]


def covers(pattern: str, narrower: str) -> bool:
    """Whether the paths that the pattern ``narrower`` stands for all are ones of ``pattern``.

    Errs towards False where the answer is hard to find. A name without wildcard counts as the file
    of that name or as the folder, whichever is covered: `docs/**` covers `docs`, `*.md` covers
    `README.md`. Takes time in proportion to the product of the lengths.
    """
    if _covers(_parts(pattern), _parts(narrower)):
        return True
    plain = "*" not in narrower and "?" not in narrower
    return plain and _covers(_parts(pattern), _parts(f"{narrower.rstrip('/')}/**"))


def _covers(wanted: tuple[str, ...], parts: tuple[str, ...]) -> bool:
    if not any("*" in part or "?" in part for part in wanted):
        return parts == wanted  # a plain name is that path and nothing below it
    return _aligned(wanted, parts, "**", _part_covers)


def _parts(pattern: str) -> tuple[str, ...]:
    """The parts of a pattern. A last `**` is at least one part: `docs/**` is not `docs` itself."""
    parts = tuple((pattern + "**" if pattern.endswith("/") else pattern).split("/"))
    return (*parts, "*") if parts[-1] == "**" else parts


def _part_covers(wanted: str, part: str) -> bool:
    if part == "**":
        return False
    return _aligned(
        wanted, part, "*", lambda one, item: item == one or (one == "?" and item != "*")
    )


def _aligned(
    wanted: Sequence[str], items: Sequence[str], many: str, fits: Callable[[str, str], bool]
) -> bool:
    """Whether ``wanted`` matches all of ``items``, where ``many`` absorbs any number of them."""
    reachable = [True] + [False] * len(items)
    for one in wanted:
        if one == many:
            for index in range(len(items)):
                reachable[index + 1] = reachable[index + 1] or reachable[index]
            continue
        for index in range(len(items), 0, -1):
            reachable[index] = reachable[index - 1] and fits(one, items[index - 1])
        reachable[0] = False
    return reachable[-1]
