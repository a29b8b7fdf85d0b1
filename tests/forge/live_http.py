"""What the live forge answers over HTTP, in the form of GitHub's own examples."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from fake_github import TOKEN, example
from live_forge import Forge
from live_values import Account, Asked, Move, Refusal, Trouble
from loopback import BASE, Reply


def iso(at: int) -> str:
    """A time as GitHub writes it."""
    return datetime.fromtimestamp(at, tz=UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class Answers:
    """Answers requests to one forge."""

    def __init__(self, forge: Forge) -> None:
        self.forge = forge

    def reply(self, method: str, target: str, token: str, content: bytes) -> Reply | None:
        """What GitHub would say, or the trouble that the test wants."""
        with self.forge.lock:
            self.forge.asked.append((method, target.removeprefix(BASE)))
            trouble = self.forge.meets(method, target)
            if trouble is not None and trouble.kind != "cut_after":
                return _troubled(trouble)
            answer = self._answer(method, target, token, content)
            self.forge.after(method, target)
            return None if trouble is not None else answer

    def _answer(self, method: str, target: str, token: str, content: bytes) -> Reply:
        url = urlsplit(target)
        parts = [unquote(part) for part in url.path.removeprefix(BASE).strip("/").split("/")]
        query = {key: values[0] for key, values in parse_qs(url.query).items()}
        try:
            who = self.forge.by_token(token.removeprefix("Bearer "))
            given = json.loads(content) if content else {}
            reply = self._reply(method, parts, query, given, who)
            return self._read(method, target, who) if reply is None else reply
        except Refusal as refusal:
            return _refused(refusal)

    def _reply(
        self, method: str, parts: list[str], query: dict[str, str], given: Any, who: Account
    ) -> Reply | None:
        match method, parts:
            case "GET", ["user"]:
                return self._me(who)
            case _, ["repos", owner, repo, *rest] if f"{owner}/{repo}" == self.forge.name:
                if who.may == "none":
                    raise Refusal(404, "Not Found")
                if rest[:1] == ["pulls"]:
                    return self._pulls(method, rest[1:], query, given, who)
                return self._around(method, rest, query, given, who)
            case _:
                raise Refusal(404, "Not Found")

    def _read(self, method: str, target: str, who: Account) -> Reply:
        """What is asked of the repository's settings."""
        if method != "GET":
            raise Refusal(404, "Not Found")
        reading = self.forge.reading
        reading.state.admin_sees = who.may == "admin"
        return reading.reply(method, target, f"Bearer {TOKEN}")

    def _pulls(
        self, method: str, rest: list[str], query: dict[str, str], given: Any, who: Account
    ) -> Reply:
        match method, rest:
            case "GET", []:
                return self._page([self.simple(p) for p in self._listed(query)], query)
            case "POST", []:
                pull = self.forge.open(
                    given["head"], given["base"], given["title"], given.get("body") or "", by=who
                )
                return 201, self.full(pull), {}
            case "GET", [number]:
                return 200, self.full(self.forge.get(int(number))), {}
            case "PATCH", [number]:
                return self._patch(int(number), given, who)
            case "GET", [number, "reviews"]:
                pull = self.forge.get(int(number))
                return self._page([self._review(pull, said) for said in pull.reviews], query)
            case _:
                raise Refusal(404, "Not Found")

    def _around(
        self, method: str, rest: list[str], query: dict[str, str], given: Any, who: Account
    ) -> Reply | None:
        match method, rest:
            case "GET", ["issues", number, "events"]:
                pull = self.forge.get(int(number))
                return self._page([self._event(each) for each in pull.events], query)
            case "GET", ["issues", number, "comments"]:
                pull = self.forge.get(int(number))
                found = [self._comment(*each) for each in pull.comments]
                return self._page(found, query)
            case "POST", ["issues", number, "comments"]:
                self.forge.comment(int(number), given["body"], by=who)
                pull = self.forge.get(int(number))
                return 201, self._comment(*pull.comments[-1]), {}
            case "GET", ["activity"]:
                return 200, [self._moved(move) for move in self.forge.moved(query["ref"])], {}
            case "GET", ["commits", commit, "pulls"]:
                found = [p for p in self.forge.pulls.values() if commit in p.brought]
                return self._page([self.simple(p) for p in found], query)
            case "POST", ["actions", "workflows", name, "dispatches"]:
                self.forge.start(name, given["ref"], given.get("inputs", {}), who)
                return 204, None, {}
            case _:
                return None

    def _listed(self, query: dict[str, str]) -> list[Asked]:
        self.forge.sync()
        owner, _, branch = query.get("head", "").partition(":")
        state, base = query.get("state", "open"), query.get("base")
        found = [
            pull
            for pull in self.forge.pulls.values()
            if state in {"all", pull.state}
            and (not base or pull.base_ref == base)
            and (
                not branch
                or (
                    pull.head_ref == branch and (pull.head_repository or "").startswith(owner + "/")
                )
            )
        ]
        if query.get("sort") == "updated":
            return sorted(found, key=lambda pull: pull.updated, reverse=True)
        return sorted(found, key=lambda pull: pull.created, reverse=True)

    def _patch(self, number: int, given: Any, who: Account) -> Reply:
        self.forge.get(number)
        if given.get("state") == "closed":
            self.forge.close(number, by=who)
        elif given.get("state") == "open":
            self.forge.reopen(number, by=who)
        return 200, self.full(self.forge.get(number)), {}

    # Values, as GitHub writes them

    def _me(self, who: Account) -> Reply:
        if who.workflow:
            raise Refusal(403, "Resource not accessible by integration")
        name = "private-user-response-with-public-profile-information"
        return 200, example(name) | {"login": who.login, "id": who.id, "type": who.kind}, {}

    def _person(self, who: Account | None) -> Any:
        if who is None:
            return None
        person = example("pull-request-simple-items")[0]["user"]
        return person | {"login": who.login, "id": who.id, "type": who.kind}

    def simple(self, pull: Asked) -> Any:
        """As in a list."""
        return self._common(example("pull-request-simple-items")[0], pull)

    def full(self, pull: Asked) -> Any:
        """As alone."""
        value = self._common(example("pull-request"), pull)
        return value | {
            "merged": pull.merged_at is not None,
            "merged_by": self._person(pull.merged_by),
            "mergeable": pull.state == "open" or None,
            "comments": len(pull.comments),
        }

    def _common(self, value: Any, pull: Asked) -> Any:
        web = f"http://{self.forge.host}/{self.forge.name}/pull/{pull.number}"
        heads, bases = value["head"], value["base"]
        heads |= {"ref": pull.head_ref, "sha": pull.head_sha}
        owner = (pull.head_repository or "unknown").partition("/")[0]
        heads["label"] = f"{owner}:{pull.head_ref}"
        heads["repo"] = None
        if pull.head_repository is not None:
            heads["repo"] = self._repository(bases["repo"], pull.head_repository)
        bases |= {"ref": pull.base_ref, "sha": pull.base_sha}
        bases["repo"] = self._repository(bases["repo"], self.forge.name)
        return value | {
            "requested_teams": [],
            "number": pull.number,
            "id": 1_000_000 + pull.number,
            "html_url": web,
            "state": pull.state,
            "title": pull.title,
            "body": pull.body or None,
            "user": self._person(pull.author),
            "created_at": iso(pull.created),
            "updated_at": iso(pull.updated),
            "closed_at": None if pull.closed_at is None else iso(pull.closed_at),
            "merged_at": None if pull.merged_at is None else iso(pull.merged_at),
            "merge_commit_sha": pull.merge_commit,
        }

    def _repository(self, value: Any, name: str) -> Any:
        return value | {"full_name": name, "name": name.partition("/")[2]}

    def _review(self, pull: Asked, said: Any) -> Any:
        value = example("pull-request-review-items")[0] | {
            "id": said.id,
            "user": self._person(said.who),
            "state": said.state,
            "body": said.body,
            "commit_id": said.commit,
            "submitted_at": iso(said.at),
            "html_url": f"http://{self.forge.host}/{self.forge.name}/pull/{pull.number}",
        }
        if said.state == "PENDING":
            del value["submitted_at"]
        return value

    def _moved(self, move: Move) -> Any:
        return {
            "id": len(self.forge.moves),
            "node_id": "x",
            "before": move.before or "0" * 40,
            "after": move.after,
            "ref": move.ref,
            "timestamp": iso(move.at),
            "activity_type": move.kind,
            "actor": self._person(move.who),
        }

    def _event(self, event: Any) -> Any:
        return {
            "id": event["id"],
            "node_id": "x",
            "url": f"http://{self.forge.host}{BASE}/repos/{self.forge.name}/issues/events/"
            f"{event['id']}",
            "actor": self._person(event["who"]),
            "event": event["event"],
            "commit_id": event["commit"],
            "commit_url": None,
            "created_at": iso(event["at"]),
            "performed_via_github_app": None,
        }

    def _comment(self, who: Account, body: str, at: int) -> Any:
        facts = {"body": body, "user": self._person(who), "created_at": iso(at)}
        return example("issue-comment") | facts | {"id": at, "updated_at": iso(at)}

    def _page(self, entries: list[Any], query: dict[str, str]) -> Reply:
        size, page = int(query.get("per_page", "30")), int(query.get("page", "1"))
        size = min(size, self.forge.per_page)
        more = {"link": '<https://elsewhere.invalid/>; rel="next"'}
        last = page * size >= len(entries)
        return 200, entries[(page - 1) * size : page * size], {} if last else more


def _refused(refusal: Refusal) -> Reply:
    value: dict[str, Any] = {
        "message": refusal.message,
        "documentation_url": "https://docs.github.com/rest",
        "status": str(refusal.status),
    }
    if refusal.details:
        value["errors"] = [
            {"resource": "PullRequest", "code": "custom", "message": text}
            for text in refusal.details
        ]
    return refusal.status, value, {}


def _troubled(trouble: Trouble) -> Reply | None:
    if trouble.kind == "cut_before":
        return None
    if trouble.kind == "limit":
        said = "You have exceeded a secondary rate limit. Please wait a few minutes."
        status, value, _ = _refused(Refusal(403, said))
        return status, value, {"retry-after": str(trouble.wait)}
    return _refused(Refusal(trouble.status, trouble.message or "Server Error"))
