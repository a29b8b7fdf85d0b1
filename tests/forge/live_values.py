"""What the live forge keeps: people, pull requests, reviews, and the troubles that a test wants."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from live_git import Signature


class Refusal(Exception):
    """What GitHub answers to what it will not do: status, message, and details."""

    def __init__(self, status: int, message: str, *details: str) -> None:
        super().__init__(message)
        self.status, self.message, self.details = status, message, details


@dataclass(frozen=True)
class Account:
    """Somebody. ``kind`` as GitHub's type; ``may``: none, read, write or admin.

    ``workflow``: the token of a workflow, which the repository's settings bind.
    """

    id: int
    login: str
    token: str
    kind: str = "User"
    may: str = "write"
    workflow: bool = False

    @property
    def signature(self) -> Signature:
        """Who this is in a commit that the forge makes."""
        return self.login, f"{self.id}+{self.login}@users.noreply.github.com"


@dataclass
class Said:
    """A review."""

    id: int
    who: Account | None
    state: str
    commit: str
    body: str
    at: int


@dataclass
class Asked:
    """A pull request as the forge keeps it. ``head_repository`` is None if it is gone."""

    number: int
    author: Account | None
    title: str
    body: str
    head_ref: str
    head_repository: str | None
    base_ref: str
    head_sha: str
    base_sha: str
    created: int
    updated: int
    state: str = "open"
    merged_at: int | None = None
    merged_by: Account | None = None
    merge_commit: str | None = None
    brought: frozenset[str] = frozenset()
    closed_at: int | None = None
    reviews: list[Said] = field(default_factory=list)
    events: list[dict[str, Any]] = field(default_factory=list)
    comments: list[tuple[Account, str, int]] = field(default_factory=list)


@dataclass
class Rules:
    """The protection of a branch. ``reviews``: how many must approve."""

    reviews: int = 0


@dataclass
class Trouble:
    """What requests meet after ``skip`` others: ``kind`` as in `live_forge.Forge.trouble`."""

    kind: str
    method: str
    path: str
    times: int
    status: int = 502
    wait: int = 0
    message: str = ""
    skip: int = 0


@dataclass(frozen=True)
class Move:
    """A branch went from one commit to another; ``before`` is "" for a new one."""

    ref: str
    before: str
    after: str
    who: Account | None
    kind: str
    at: int
