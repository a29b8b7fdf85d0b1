"""Ids of tasks: ``LO-7k2m4q``, six letters of base32 without look-alikes, and no counter."""

from __future__ import annotations

import re
from functools import lru_cache

from lifeos.core.canonical import short_id

DEFAULT_PREFIX = "LO"
_LENGTH = 6


def derive_id(
    prefix: str, ledger_root: str, introducing_commit: str, title: str, ordinal: int
) -> str:
    """The id that every machine gives the same task: it follows from where the line came from."""
    return short_id(prefix, ledger_root, introducing_commit, title, ordinal, length=_LENGTH)


def random_id(prefix: str, entropy: bytes) -> str:
    """An id from the caller's randomness (at least 8 bytes). Draw again if it is taken."""
    if len(entropy) < 8:
        raise ValueError("an id needs at least 8 bytes of entropy")
    return short_id(prefix, entropy.hex(), length=_LENGTH)


def is_id(text: str, prefix: str = DEFAULT_PREFIX) -> bool:
    """Whether the text has the form of an id; ids written by hand may be longer or shorter."""
    return re.fullmatch(id_form(prefix), text) is not None


@lru_cache(maxsize=16)
def id_form(prefix: str) -> str:
    """The regular expression of an id."""
    return rf"{re.escape(prefix)}-[0-9A-Za-z]{{1,32}}"


@lru_cache(maxsize=16)
def bold_id(prefix: str) -> re.Pattern[str]:
    """Matches the bold id, or several, at the start of a task's text, with the spaces behind."""
    return re.compile(rf"(?:\*\*{id_form(prefix)}\*\*[ \t]*)+")
