"""What the finders of patterns have in common."""

from __future__ import annotations

from collections.abc import Sequence

from lifeos.core.improve.proposal import MOST_NAMED

LOOP = "policies/loop.yaml"
COUNCIL = "policies/council.yaml"
CONFIG = ".lifeos/config.yaml"


def newest(commits: Sequence[str]) -> tuple[str, ...]:
    """The last of these transitions, the newest first."""
    return tuple(reversed(commits[-MOST_NAMED:]))


def percent(share: float) -> str:
    """A share for people."""
    return f"{share * 100:.0f} %"
