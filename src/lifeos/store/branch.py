"""The commits of a branch, all of them by one reading of git."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from lifeos.store.encoding import LIFEOS, OID
from lifeos.store.git import GitError
from lifeos.store.repo import Repo

# One a line: a line feed is what no name, address or subject can have.
_FORMAT = (
    "%H%n%T%n%P%n%ae%n%ce%n%at%n%an%n%s%n%(trailers:key=Lifeos-Ledger,valueonly,separator=%x20)"
)
_FIELDS = 9


@dataclass(frozen=True)
class Made:
    """A commit, as it says of itself. ``at`` is the author's time in seconds UTC, ``anchors`` the
    tips of a ledger that it names. Nothing of it proves who made it.
    """

    commit: str
    tree: str
    parents: tuple[str, ...]
    author: str
    email: str
    committer_email: str
    at: int
    subject: str
    anchors: tuple[str, ...]

    @property
    def by_lifeos(self) -> bool:
        """Whether it says that lifeos wrote and made it."""
        return self.email == self.committer_email == LIFEOS.email

    @property
    def names_lifeos(self) -> bool:
        """Whether it says so of one of the two."""
        return LIFEOS.email in (self.email, self.committer_email)


def commits_of(repo: Repo, tip: str, without: str = "") -> dict[str, Made]:
    """The commits up to ``tip`` by their ids, newest first; without those up to ``without``."""
    span = (f"^{without}",) if without else ()
    options = ("--no-mailmap", "-z", f"--format={_FORMAT}")
    out = repo.git.run("log", *options, "--end-of-options", tip, *span)
    return {made.commit: made for made in _made(out.decode("utf-8", "replace"))}


def _made(listing: str) -> Iterator[Made]:
    for text in listing.split("\0"):
        lines = text.split("\n", _FIELDS - 1)
        if len(lines) != _FIELDS:
            if text.strip():
                raise GitError(("log",), 0, f"unexpected answer {text[:200]!r}")
            continue
        commit, tree, parents, email, committer, at, author, subject, anchors = lines
        yield Made(
            commit=commit,
            tree=tree,
            parents=tuple(filter(None, parents.split(" "))),
            author=author,
            email=email,
            committer_email=committer,
            at=int(at) if at.isdecimal() else 0,
            subject=subject,
            anchors=tuple(name for name in anchors.split() if OID.fullmatch(name)),
        )


def history_of(repo: Repo, tip: str) -> frozenset[str]:
    """The ids of all commits up to ``tip``."""
    out = repo.git.run("rev-list", "--end-of-options", tip)
    return frozenset(out.decode("ascii").split())
