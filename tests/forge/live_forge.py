"""A small GitHub with pull requests, in front of a bare repository that is pushed to as usual.

It knows nothing of lifeos. Tests act as people do: ``forge.merge(1, by="ann")``. What is asked over
HTTP is answered by `live_http`.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from pathlib import Path

from fake_github import FakeGitHub
from live_git import Bare, NotMergeable
from live_values import Account, Asked, Move, Refusal, Rules, Said, Trouble

NAME = "octo-org/hello"
EPOCH = 1_735_700_000


class Forge:
    """The forge. ``host`` is HOST:PORT as clients see it; the scene sets it.

    Every account can be named by its login. ``now`` advances by a second with each thing done.
    """

    def __init__(self, bare: Path, name: str = NAME) -> None:
        self.bare = bare
        self.name = name
        self.host = "127.0.0.1"
        self.git = Bare(bare)
        self.reading = FakeGitHub()
        self.now = EPOCH
        self.accounts: dict[str, Account] = {}
        self.pulls: dict[int, Asked] = {}
        self.forks: dict[str, Path] = {}
        self.rules: dict[str, Rules] = {}
        self.pusher: Account | None = None  # who is taken to have pushed what git brought
        self.workflows_may_open = False
        self.delete_merged_heads = False
        self.workflows: dict[str, set[str]] = {}
        self.dispatched: list[tuple[str, str, str, dict[str, str]]] = []
        self.troubles: list[Trouble] = []
        self.moves: list[Move] = []
        self.asked: list[tuple[str, str]] = []
        self.after: Callable[[str, str], object] = _nothing  # done when an answer has been made
        self.lock = threading.RLock()
        self.per_page = 100
        self._last = 0

    # People

    def account(self, login: str, number: int, kind: str = "User", may: str = "write") -> Account:
        """Add somebody, whose token is ``ghx_LOGIN``."""
        token = f"ghx_{re.sub(r'[^A-Za-z0-9]', '_', login)}"
        workflow = login == "github-actions[bot]"
        self.accounts[login] = Account(number, login, token, kind, may, workflow)
        return self.accounts[login]

    def who(self, who: Account | str) -> Account:
        """Somebody, by login."""
        return self.accounts[who] if isinstance(who, str) else who

    def by_token(self, token: str) -> Account:
        """Whose token it is."""
        for each in self.accounts.values():
            if each.token == token:
                return each
        raise Refusal(401, "Bad credentials")

    def time(self) -> int:
        """The next second."""
        self.now += 1
        self.git.now = self.now
        return self.now

    # Trouble

    def trouble(
        self,
        kind: str,
        method: str = "",
        path: str = "",
        times: int = 1,
        *,
        status: int = 502,
        wait: int = 17,
        message: str = "",
        skip: int = 0,
    ) -> None:
        """Let the next ``times`` requests of this method, to a path with this in it, fail.

        Before that ``skip`` of them get through.
        limit: 403 and ``wait`` seconds. status: this status, with ``message``. cut_before: no
        answer, nothing done. cut_after: done, and no answer.
        """
        self.troubles.append(Trouble(kind, method, path, times, status, wait, message, skip))

    def meets(self, method: str, path: str) -> Trouble | None:
        """The trouble that a request runs into; it is used up."""
        for each in self.troubles:
            if each.times <= 0 or each.method not in {"", method} or each.path not in path:
                continue
            if each.skip > 0:
                each.skip -= 1
                continue
            each.times -= 1
            return each
        return None

    # Branches

    def protect(self, branch: str, reviews: int = 0) -> None:
        """Changes only by pull request: a push to the branch is refused, as GitHub does."""
        self.rules[branch] = Rules(reviews)
        self.git.guard([f"refs/heads/{each}" for each in self.rules])

    def push_to(self, branch: str, files: dict[str, str | None], by: Account | str) -> str:
        """A commit on a branch (made from main's tip where it is new); None deletes a file."""
        with self.lock:
            self.moved(f"refs/heads/{branch}")
            self.time()
            commit = self.git.change(branch, files, self.who(by).signature)
            self._move(f"refs/heads/{branch}", self.who(by))
            return commit

    def moved(self, ref: str) -> list[Move]:
        """The moves of a branch, newest first; what git brought since is by ``pusher``."""
        with self.lock:
            self._move(ref, self.pusher)
            return [move for move in reversed(self.moves) if move.ref == ref]

    def _move(self, ref: str, who: Account | None, kind: str = "push") -> None:
        before = next((move.after for move in reversed(self.moves) if move.ref == ref), "")
        after = self.git.tip(ref.removeprefix("refs/heads/"))
        if after and after != before:
            self.moves.append(Move(ref, before, after, who, kind, self.now))

    def delete(self, branch: str, by: Account | str) -> None:
        """Delete a branch; GitHub closes the pull requests from it."""
        with self.lock:
            self.sync()
            self.git.git("update-ref", "-d", f"refs/heads/{branch}")
            for pull in self.pulls.values():
                if pull.state == "open" and pull.head_ref == branch:
                    self._closed(pull, self.who(by))

    def fork(self, by: Account | str) -> str:
        """A fork of somebody's own; its name. Its bare repository is in ``forks``."""
        name = f"{self.who(by).login}/{self.name.partition('/')[2]}"
        path = self.bare.with_name(f"fork-{len(self.forks)}.git")
        self.git.git("clone", "--quiet", "--bare", str(self.bare), str(path))
        self.forks[name] = path
        return name

    # Pull requests

    def sync(self) -> None:
        """Let the pull requests follow what was pushed."""
        for pull in self.pulls.values():
            if pull.state == "open" and pull.head_repository == self.name:
                self._follow(pull)

    def _follow(self, pull: Asked) -> None:
        tip = self.git.tip(pull.head_ref)
        if not tip:
            self._closed(pull, None)
            return
        if tip != pull.head_sha:
            pull.head_sha, pull.updated = tip, self.time()
            self.git.git("update-ref", f"refs/pull/{pull.number}/head", tip)
        base = self.git.tip(pull.base_ref)
        if self.git.contains(base, tip):  # somebody pushed it there
            line = self.git.git("rev-list", "--first-parent", "--reverse", base, f"^{tip}").split()
            brought = (each for each in line if self.git.contains(each, tip))
            self._merged(pull, self.pusher, next(brought, tip))

    def open(
        self,
        head: str,
        base: str,
        title: str,
        body: str = "",
        *,
        by: Account | str,
        fork: str = "",
    ) -> Asked:
        """A new pull request; ``fork``: the repository that the branch is in."""
        with self.lock:
            self.sync()
            who, repository = self.who(by), fork or self.name
            self._may(who, "read" if fork else "write")
            if who.workflow and not self.workflows_may_open:
                said = "GitHub Actions is not permitted to create or approve pull requests."
                raise Refusal(403, said)
            sha = self._head(head, base, repository)
            for pull in self.pulls.values():
                same = (pull.head_ref, pull.head_repository, pull.base_ref)
                if pull.state == "open" and same == (head, repository, base):
                    owner = repository.partition("/")[0]
                    said = f"A pull request already exists for {owner}:{head}."
                    raise Refusal(422, "Validation Failed", said)
            self._last += 1
            now = self.time()
            basis = self.git.tip(base)
            pull = Asked(self._last, who, title, body, head, repository, base, sha, basis, now, now)
            self.git.git("update-ref", f"refs/pull/{pull.number}/head", sha)
            self.pulls[pull.number] = pull
            return pull

    def _head(self, head: str, base: str, repository: str) -> str:
        git = self.git if repository == self.name else Bare(self.forks[repository])
        sha, basis = git.tip(head), self.git.tip(base)
        wrong = [name for name, there in (("base", basis), ("head", sha)) if not there]
        if wrong:
            raise Refusal(422, "Validation Failed", *(f"PullRequest {n} invalid" for n in wrong))
        if git is not self.git:
            self.git.git("fetch", "--quiet", str(git.path), f"refs/heads/{head}")
        if not self.git.commits(basis, sha):
            raise Refusal(422, "Validation Failed", f"No commits between {base} and {head}")
        return sha

    def _may(self, who: Account, right: str) -> None:
        order = ("none", "read", "write", "admin")
        if order.index(who.may) < order.index(right):
            said = "Resource not accessible by integration"
            if who.kind == "User":
                said = "Resource not accessible by personal access token"
            raise Refusal(403, said)

    def edit(
        self,
        number: int,
        *,
        by: Account | str,
        title: str | None = None,
        body: str | None = None,
    ) -> None:
        """Change what it says."""
        with self.lock:
            pull = self._pull(number)
            if self.who(by) != pull.author:
                self._may(self.who(by), "write")
            pull.title = pull.title if title is None else title
            pull.body = pull.body if body is None else body
            pull.updated = self.time()

    def close(self, number: int, *, by: Account | str) -> None:
        """Close it without merging."""
        with self.lock:
            pull, who = self._pull(number), self.who(by)
            if who != pull.author:
                self._may(who, "write")
            if pull.state == "open":
                self._closed(pull, who)

    def _closed(self, pull: Asked, who: Account | None) -> None:
        pull.state, pull.closed_at = "closed", self.time()
        pull.updated = self.now
        self._event(pull, "closed", who)

    def reopen(self, number: int, *, by: Account | str) -> None:
        """Open it again."""
        with self.lock:
            pull, who = self._pull(number), self.who(by)
            if who != pull.author:
                self._may(who, "write")
            if pull.state == "open":
                return
            if pull.merged_at is not None:
                raise Refusal(422, "Validation Failed", "state cannot be changed. It was merged.")
            if pull.head_repository == self.name and not self.git.tip(pull.head_ref):
                said = f"state cannot be changed. The {pull.head_ref} branch has been deleted."
                raise Refusal(422, "Validation Failed", said)
            pull.state, pull.closed_at, pull.updated = "open", None, self.time()
            self._event(pull, "reopened", who)

    def review(
        self,
        number: int,
        *,
        by: Account | str,
        state: str = "APPROVED",
        body: str = "",
        commit: str = "",
    ) -> Said:
        """Say something about it: APPROVED, CHANGES_REQUESTED, COMMENTED, PENDING."""
        with self.lock:
            pull, who = self._pull(number), self.who(by)
            if who == pull.author and state in {"APPROVED", "CHANGES_REQUESTED"}:
                raise Refusal(422, "Unprocessable Entity", "Can not review your own pull request")
            at = self.time()
            said = Said(at, who, state, commit or pull.head_sha, body, at)
            pull.reviews.append(said)
            pull.updated = at
            return said

    def dismiss(self, number: int, review: int) -> None:
        """Take a review's force away."""
        for said in self._pull(number).reviews:
            if said.id == review:
                said.state = "DISMISSED"

    def comment(self, number: int, body: str, *, by: Account | str) -> None:
        """Say something there."""
        with self.lock:
            pull = self._pull(number)
            self._may(self.who(by), "read")
            pull.comments.append((self.who(by), body, self.time()))

    def merge(
        self,
        number: int,
        *,
        by: Account | str,
        method: str = "merge",
        around: bool = False,
    ) -> str:
        """Merge it; ``around``: past the rules of the branch, as an admin may. Gives the commit."""
        with self.lock:
            pull, who = self._pull(number), self.who(by)
            self._may(who, "write")
            self._mergeable(pull, who, around=around)
            self.moved(f"refs/heads/{pull.base_ref}")
            old = self.git.tip(pull.base_ref)
            self.time()
            try:
                new = self._made(pull, who, method, old)
            except NotMergeable:
                raise Refusal(405, "Pull Request is not mergeable") from None
            if not self.git.move(f"refs/heads/{pull.base_ref}", new, old):
                said = "Base branch was modified. Review and try the merge again."
                raise Refusal(405, said)
            self._move(f"refs/heads/{pull.base_ref}", who, "pr_merge")
            self._merged(pull, who, new, old)
            if self.delete_merged_heads and pull.head_repository == self.name:
                self.git.git("update-ref", "-d", f"refs/heads/{pull.head_ref}")
            return new

    def _mergeable(self, pull: Asked, who: Account, *, around: bool) -> None:
        if pull.state != "open":
            raise Refusal(405, "Pull Request is not mergeable")
        rules = self.rules.get(pull.base_ref)
        good = {said.who for said in pull.reviews if said.state == "APPROVED"}
        if rules and len(good) < rules.reviews and not (around and who.may == "admin"):
            said = f"At least {rules.reviews} approving review is required by reviewers with "
            raise Refusal(405, said + "write access.")

    def _made(self, pull: Asked, who: Account, method: str, old: str) -> str:
        if method == "rebase":
            return self.git.rebased(old, pull.head_sha, who.signature)
        if method == "squash":
            author = (pull.author or who).signature
            message = f"{pull.title} (#{pull.number})\n"
            return self.git.squashed(old, pull.head_sha, message, author)
        owner = (pull.head_repository or "unknown").partition("/")[0]
        message = f"Merge pull request #{pull.number} from {owner}/{pull.head_ref}\n"
        return self.git.merged(old, pull.head_sha, f"{message}\n{pull.title}\n", who.signature)

    def _merged(self, pull: Asked, who: Account | None, commit: str, old: str = "") -> None:
        line = self.git.git("rev-list", commit, f"^{old or pull.base_sha}")
        pull.brought = frozenset(line.split())
        pull.merged_at = pull.closed_at = pull.updated = self.now
        pull.state, pull.merged_by, pull.merge_commit = "closed", who, commit
        self._event(pull, "merged", who, commit)
        self._event(pull, "closed", who)

    def _event(self, pull: Asked, kind: str, who: Account | None, commit: str = "") -> None:
        number = pull.number * 1000 + len(pull.events)
        entry = {"id": number, "event": kind, "who": who, "at": self.now, "commit": commit or None}
        pull.events.append(entry)

    def _pull(self, number: int) -> Asked:
        self.sync()
        if number not in self.pulls:
            raise Refusal(404, "Not Found")
        return self.pulls[number]

    def start(self, workflow: str, ref: str, inputs: dict[str, str], by: Account) -> None:
        """Start a workflow by hand. ``workflows``: which there are, and their inputs."""
        self._may(by, "write")
        if workflow not in self.workflows:
            raise Refusal(404, "Not Found")
        if not self.git.tip(ref):
            raise Refusal(422, f"No ref found for: {ref}")
        if unknown := sorted(set(inputs) - self.workflows[workflow]):
            raise Refusal(422, f"Unexpected inputs provided: {unknown}")
        self.dispatched.append((workflow, ref, by.login, inputs))

    def get(self, number: int) -> Asked:
        """A pull request as it is now."""
        with self.lock:
            return self._pull(number)


def _nothing(_method: str, _path: str) -> None:
    """Nothing happens in between."""
