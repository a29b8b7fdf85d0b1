"""Pull requests, as lifeos sees them on any forge: the values, and the `Pulls` protocol.

Values are what the forge reported just now, and only what lifeos reads: nothing else of an answer
is looked at. A review's text is as somebody typed it: clean it (`lifeos.core.clean`) before it goes
anywhere.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal, Protocol


class Review(StrEnum):
    """What a reviewer said."""

    APPROVED = "approved"
    CHANGES_REQUESTED = "changes_requested"
    COMMENTED = "commented"
    DISMISSED = "dismissed"
    PENDING = "pending"


@dataclass(frozen=True)
class Person:
    """An account on the forge. ``id`` never changes hands, a ``login`` can.

    ``bot``: whatever is not a person's own account: apps, organisations, placeholders.
    """

    id: int
    login: str
    bot: bool


@dataclass(frozen=True)
class PullReview:
    """One review. ``who`` is None for a deleted account; ``commit`` is the head it was given on.

    ``commit`` is "" where the forge does not say.
    """

    who: Person | None
    state: Review
    commit: str
    body: str


@dataclass(frozen=True)
class Pull:
    """A pull request. Repositories are OWNER/NAME; ``head_repository`` is "" if it is gone.

    ``merged_by`` is None for a deleted account, and in every list: only `Pulls.pull` and the
    writes say it. ``merge_commit``, the commit on the base that brought it, is "" unless merged.
    """

    number: int
    url: str
    state: Literal["open", "closed"]
    merged: bool
    merge_commit: str
    head_ref: str
    head_sha: str
    head_repository: str
    base_ref: str
    base_repository: str
    author: Person | None
    merged_by: Person | None


@dataclass(frozen=True)
class Arrival:
    """One move of a branch, as the forge saw it: a push, or a merge. ``who``: whose account it was.

    ``before`` is "" for a new branch.
    """

    before: str
    after: str
    who: Person | None


class Pulls(Protocol):
    """What any forge must do with pull requests. Every method raises the errors of `forge`.

    A write that was cut off is looked up before it is repeated, and repeated once at most. Where
    that does not settle it, `Unclear` says so, and the same call again is safe unless noted.
    """

    def find(self, head: str, *, base: str = "") -> tuple[Pull, ...]:
        """Those whose head is this branch of this repository, in any state, newest first."""
        ...

    def pull(self, number: int) -> Pull:
        """All about one."""
        ...

    def merged_of(self, numbers: Collection[int]) -> tuple[Pull, ...]:
        """Of these, those that were merged, as far as they changed lately.

        ``merged_by`` is not said. Others among the last hundred are not looked at.
        """
        ...

    def open(self, head: str, base: str, title: str, body: str) -> Pull:
        """A new one; or, as it is, the one that is open from this head to this base already."""
        ...

    def close_pull(self, number: int, comment: str = "") -> Pull:
        """Close it, after a comment that is not made twice; one that is closed stays as it is."""
        ...

    def reopen(self, number: int) -> Pull:
        """Open it again; one that is open stays as it is."""
        ...

    def comment(self, number: int, body: str) -> None:
        """Say something there. Called twice, it says it twice."""
        ...

    def reviews(self, number: int) -> tuple[PullReview, ...]:
        """All reviews, in the order in which they were given."""
        ...

    def closed_by(self, number: int) -> tuple[Person | None, ...]:
        """Whoever closed it, other than by merging it, and did not open it again since.

        The last close is the last one. Others may have opened it again.
        """
        ...

    def arrivals(self, branch: str) -> tuple[Arrival, ...]:
        """The last moves of a branch, newest first; at most a hundred."""
        ...

    def bringing(self, commit: str) -> tuple[Pull, ...]:
        """Those whose merge brought a commit to the default branch; ``merged_by`` is not said."""
        ...

    def close(self) -> None:
        """Let go of the connection."""
        ...
