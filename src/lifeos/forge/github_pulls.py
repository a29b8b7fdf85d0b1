"""Pull requests on GitHub, GitHub.com or Enterprise, as `Pulls`.

A write is sent once. If it was cut off it may have been done, so what it should have made true is
looked up, and only where that is not so is it sent a second and last time. What names a pull
request for that is its branch: GitHub keeps one open from a head to a base.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from itertools import islice
from typing import TypeVar
from urllib.parse import quote

from lifeos.forge import Invalid, TooMuch, Unclear
from lifeos.forge.github_values import Odd, arrival_of, closed_of, mapping, pull_of, review_of
from lifeos.forge.pulls import Arrival, Person, Pull, PullReview
from lifeos.forge.wire import PATIENCE, Json, Patience, Wire, web_base

_LATELY = 100
_PULLS = "Pull requests: write"
Done = TypeVar("Done")


class GitHubPulls:
    """The pull requests of one repository on one host, with one token."""

    def __init__(self, host: str, name: str, token: str, patience: Patience = PATIENCE) -> None:
        self._wire = Wire(host, token, patience)
        self._web = web_base(host)
        self._name = name
        owner, _, repo = name.partition("/")
        self._owner = owner
        self._repo = f"/repos/{quote(owner, safe='')}/{quote(repo, safe='')}"

    def close(self) -> None:
        """Let go of the connection."""
        self._wire.close()

    def find(self, head: str, *, base: str = "") -> tuple[Pull, ...]:
        """Those from this branch, newest first. GitHub shows a fork's of the same owner as well."""
        path = f"{self._repo}/pulls"
        query = {"state": "all", "sort": "created", "direction": "desc"}
        query["head"] = f"{self._owner}:{head}"
        if base:
            query["base"] = base
        with self._odd(path):
            found = [pull_of(entry, self._web) for entry in self._wire.pages(path, **query)]
        ours = self._name.lower()
        return tuple(
            pull
            for pull in found
            if pull.head_ref == head
            and pull.head_repository.lower() == ours
            and base in {"", pull.base_ref}
        )

    def pull(self, number: int) -> Pull:
        """All about one."""
        path = self._at(number)
        return self._pull(path, self._wire.get(path).value, number)

    def merged_of(self, numbers: Collection[int]) -> tuple[Pull, ...]:
        """Of these, those that were merged. Those are looked at that changed last."""
        path = f"{self._repo}/pulls"
        query = {"state": "closed", "sort": "updated", "direction": "desc"}
        with self._odd(path):
            last = islice(self._wire.pages(path, **query), _LATELY)
            entries = [each for each in last if mapping(each).get("number") in numbers]
            return tuple(p for each in entries if (p := pull_of(each, self._web)).merged)

    def _pull(self, path: str, value: Json, number: int = 0, *, wrote: bool = False) -> Pull:
        with self._odd(path, wrote=wrote):
            pull = pull_of(value, self._web)
            if number not in {0, pull.number}:
                raise Odd("another one")
        return pull

    def open(self, head: str, base: str, title: str, body: str) -> Pull:
        """A new one, unless one is open from this head to this base."""
        path = f"{self._repo}/pulls"
        content: dict[str, Json] = {"head": head, "base": base, "title": title, "body": body}

        def act() -> Pull:
            answer = self._wire.send("POST", path, content, _PULLS)
            return self._pull(path, answer.value, wrote=True)

        if there := self._open(head, base):
            return there
        try:
            return self._carefully(act, lambda: self._open(head, base))
        except Invalid:
            if there := self._open(head, base):  # somebody was quicker
                return there
            raise

    def _open(self, head: str, base: str) -> Pull | None:
        """The one that is open, with all about it."""
        for pull in self.find(head, base=base):
            if pull.state == "open":
                return self.pull(pull.number)
        return None

    def close_pull(self, number: int, comment: str = "") -> Pull:
        """Close it; the comment comes first, so that one who is cut off between says it once."""
        pull = self.pull(number)
        if pull.state == "closed":
            return pull
        if comment and not self._said_or_lost(number, comment):
            self.comment(number, comment)
        return self._turn(number, "closed")

    def _said_or_lost(self, number: int, comment: str) -> bool:
        """Whether it was said there; where more is said than can be read, it would be lost."""
        try:
            return self._said(number, comment)
        except TooMuch:
            return True

    def reopen(self, number: int) -> Pull:
        """Open it again."""
        pull = self.pull(number)
        return pull if pull.state == "open" else self._turn(number, "open")

    def _turn(self, number: int, state: str) -> Pull:
        def turned() -> Pull | None:
            pull = self.pull(number)
            return pull if pull.state == state else None

        return self._carefully(lambda: self._patch(number, {"state": state}), turned)

    def _patch(self, number: int, content: Mapping[str, Json]) -> Pull:
        path = self._at(number)
        answer = self._wire.send("PATCH", path, content, _PULLS)
        return self._pull(path, answer.value, number, wrote=True)

    def comment(self, number: int, body: str) -> None:
        """Say something there. After a cut, the same words there by anybody count as said."""
        path = self._at(number, "issues", "comments")

        def act() -> bool:
            self._wire.send("POST", path, {"body": body}, _PULLS)
            return True

        self._carefully(act, lambda: self._said(number, body) or None)

    def _said(self, number: int, body: str) -> bool:
        path = self._at(number, "issues", "comments")
        with self._odd(path):
            return any(mapping(each).get("body") == body for each in self._wire.pages(path))

    def reviews(self, number: int) -> tuple[PullReview, ...]:
        """All reviews, in the order in which they were given."""
        path = self._at(number, "pulls", "reviews")
        with self._odd(path):
            return tuple(review_of(entry) for entry in self._wire.pages(path))

    def closed_by(self, number: int) -> tuple[Person | None, ...]:
        """Whoever closed it, other than by merging it, and did not open it again since."""
        path = self._at(number, "issues", "events")
        with self._odd(path):
            return closed_of(list(self._wire.pages(path)))

    def arrivals(self, branch: str) -> tuple[Arrival, ...]:
        """The last moves of a branch. GitHub pages these by a cursor: one page is looked at."""
        path = f"{self._repo}/activity"
        value = self._wire.get(path, ref=f"refs/heads/{branch}", per_page=100).value
        with self._odd(path):
            if not isinstance(value, list):
                raise Odd("no list")
            return tuple(arrival_of(entry) for entry in value)

    def bringing(self, commit: str) -> tuple[Pull, ...]:
        """Those whose merge brought a commit to the default branch."""
        path = f"{self._repo}/commits/{quote(commit, safe='')}/pulls"
        with self._odd(path):
            found = [pull_of(entry, self._web) for entry in self._wire.pages(path)]
        return tuple(pull for pull in found if pull.merged)

    def _at(self, number: int, kind: str = "pulls", part: str = "") -> str:
        path = f"{self._repo}/{kind}/{int(number)}"
        return f"{path}/{part}" if part else path

    @staticmethod
    def _carefully(act: Callable[[], Done], look: Callable[[], Done | None]) -> Done:
        """Do it; where it is not clear whether it was done, look, and else do it once more."""
        try:
            return act()
        except Unclear:
            there = look()
        return act() if there is None else there

    @contextmanager
    def _odd(self, path: str, *, wrote: bool = False) -> Iterator[None]:
        try:
            yield
        except Odd:
            error = self._wire.odd(path)
            raise Unclear(error.message, error.fix) if wrote else error from None
