"""Packing, at a quiet moment: nothing that lifeos runs makes git do it by itself.

Each transition leaves a few loose objects. Git's own rule says when they are too many; what is
reachable from a reference is packed then, and nothing is pruned: an attempt under way, or another
process, may have made objects that no reference names yet.
"""

from __future__ import annotations

from pathlib import Path

from lifeos.store.repo import Repo

_SAMPLED = "17"
"""The folder that git itself looks into (gc.auto in git-config(1)): one of 256."""
_MOST = 27
"""Objects in it before there are about 6,700 in all, git's own limit."""
MOST_PACKS = 50
"""Packs before they are joined (gc.autoPackLimit): each look-up may ask all of them."""
_PATIENCE = 600.0


def pack_if_many(repo: Repo) -> str:
    """Pack what is reachable if there are many loose objects. Why it failed, or ''.

    What the last time left loose does not count again: nothing reaches it, and nothing prunes it.
    """
    note = repo.ensure_private() / "left-loose"
    if _loose(repo) <= _MOST + _left(note):
        return ""
    packs = len(list((repo.objects.folder / "pack").glob("*.pack")))
    # -A joins all packs; what nothing reaches comes out of them as loose objects, and stays.
    join = ("-A",) if packs > MOST_PACKS else ()
    result = repo.person.call("repack", *join, "-d", "-l", "-q", timeout=_PATIENCE)
    if result.status != 0:
        return f"git repack: {result.err.strip()[:200]}"
    note.write_text(f"{_loose(repo)}\n", encoding="ascii")
    return ""


def _loose(repo: Repo) -> int:
    folder = repo.objects.folder / _SAMPLED
    return sum(1 for _ in folder.iterdir()) if folder.is_dir() else 0


def _left(note: Path) -> int:
    try:
        return int(note.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return 0
