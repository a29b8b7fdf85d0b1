"""A small GitHub: one repository in memory, with the answers that GitHub's own examples give.

What it answers is judged by ``github_judge`` against GitHub's description, so that it cannot drift
into what would be easy to test. It knows nothing of lifeos.
"""

from __future__ import annotations

import copy
import functools
import json
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from github_judge import DESCRIPTION
from loopback import BASE, Reply

TOKEN = "ghx_Canary7Zq2"  # noqa: S105 - opens nothing but the forge of the tests
NAME = "octo-org/hello"


@functools.cache
def _examples() -> Any:
    return json.loads(DESCRIPTION.read_text(encoding="utf-8"))["components"]["examples"]


def example(name: str) -> Any:
    """A copy of an answer as GitHub's description shows it."""
    return copy.deepcopy(_examples()[name]["value"])


@dataclass
class Ruleset:
    """One set of rules: on which branches, which rules, and who (``me``: the token) may bypass."""

    number: int
    branches: tuple[str, ...]
    rules: tuple[str, ...]
    bypass: tuple[dict[str, Any], ...] = ()
    me: str = "never"
    reviews: int = 1


@dataclass
class State:
    """The repository, and the account that the token is of."""

    installation: bool = False
    login: str = "octocat"
    email: str | None = None
    scopes: str | None = None
    private: bool = False
    personal: bool = False
    archived: bool = False
    default_branch: str = "main"
    permissions: tuple[str, ...] = ("pull", "push")
    admin_sees: bool = True
    free_private: bool = False
    rulesets: list[Ruleset] = field(default_factory=list)
    protection: dict[str, dict[str, Any]] = field(default_factory=dict)
    actions: bool = True
    writes: str = "read"
    may_open: bool = False
    environments: dict[str, Any] = field(default_factory=dict)
    people: tuple[str, ...] = ("ann", "bob")
    teams: tuple[str, ...] = ()


class FakeGitHub:
    """The server's state, and what it was asked. ``replies`` are sent first, one a question."""

    def __init__(self) -> None:
        self.state = State()
        self.asked: list[str] = []
        self.tokens: set[str] = set()
        self.replies: list[Reply] = []
        self.per_page: int | None = None

    def reply(self, method: str, target: str, token: str, _: bytes = b"") -> Reply:
        """What GitHub would say."""
        assert method == "GET"
        url = urlsplit(target)
        query = {key: values[0] for key, values in parse_qs(url.query).items()}
        self.asked.append(target)
        self.tokens.add(token)
        if self.replies:
            return self.replies.pop(0)
        if token != f"Bearer {TOKEN}":
            return _error(401, "Bad credentials")
        parts = [unquote(part) for part in url.path.removeprefix(BASE).strip("/").split("/")]
        match parts:
            case ["user"]:
                return self._user()
            case ["installation", "repositories"] if self.state.installation:
                return 200, example("repository-paginated-2"), {}
            case ["repos", owner, repo, *rest] if f"{owner}/{repo}" == NAME:
                return self._repository(rest, query)
            case _:
                return _error(404, "Not Found")

    def _user(self) -> Reply:
        if self.state.installation:
            return _error(403, "Resource not accessible by integration")
        name = "private-user-response-with-public-profile-information"
        user = example(name) | {"login": self.state.login, "email": self.state.email}
        scopes = self.state.scopes
        return 200, user, {} if scopes is None else {"x-oauth-scopes": scopes}

    def _repository(self, parts: list[str], query: dict[str, str]) -> Reply:
        match parts:
            case []:
                return self._facts()
            case ["rules", "branches", branch]:
                return self._planned(lambda: self._paged(self._rules(branch), query))
            case ["rulesets", number]:
                return self._ruleset(int(number))
            case ["branches", branch, "protection"]:
                return self._planned(lambda: self._protection(branch))
            case ["actions", *more]:
                return self._admin(lambda: self._actions(more))
            case ["environments", *more]:
                return self._environments(more, query)
            case ["collaborators"]:
                return self._paged([self._person(who) for who in self.state.people], query)
            case ["teams"]:
                return self._paged([self._team(name) for name in self.state.teams], query)
            case _:
                return _error(404, "Not Found")

    def _planned(self, answer: Any) -> Reply:
        if self.state.free_private:
            said = "Upgrade to GitHub Pro or make this repository public to enable this feature."
            return _error(403, said)
        reply: Reply = answer()
        return reply

    def _admin(self, answer: Any) -> Reply:
        if not self.state.admin_sees:
            said = "Resource not accessible by personal access token"
            return _error(403, said, {"x-accepted-github-permissions": "administration=read"})
        reply: Reply = answer()
        return reply

    def _facts(self) -> Reply:
        state, full = self.state, example("full-repository-default-response")
        full["owner"]["type"] = "User" if state.personal else "Organization"
        del full["source"], full["parent"], full["template_repository"]
        full |= {
            "full_name": NAME,
            "language": None,  # which GitHub's description requires, and its example lacks
            "private": state.private,
            "archived": state.archived,
            "default_branch": state.default_branch,
            "permissions": {
                name: name in state.permissions
                for name in ("admin", "maintain", "push", "triage", "pull")
            },
        }
        return 200, full, {}

    def _rules(self, branch: str) -> list[Any]:
        found = []
        for each in self.state.rulesets:
            if not any(fnmatchcase(branch, pattern) for pattern in each.branches):
                continue
            for rule in each.rules:
                value: dict[str, Any] = {
                    "type": rule,
                    "ruleset_source_type": "Repository",
                    "ruleset_source": NAME,
                    "ruleset_id": each.number,
                }
                if rule == "pull_request":
                    value["parameters"] = {
                        "dismiss_stale_reviews_on_push": False,
                        "require_code_owner_review": False,
                        "require_last_push_approval": False,
                        "required_approving_review_count": each.reviews,
                        "required_review_thread_resolution": False,
                    }
                found.append(value)
        return found

    def _ruleset(self, number: int) -> Reply:
        for each in self.state.rulesets:
            if each.number == number:
                value = example("repository-ruleset") | {
                    "id": number,
                    "current_user_can_bypass": each.me,
                    "bypass_actors": list(each.bypass),
                }
                if not self.state.admin_sees:
                    del value["bypass_actors"]
                return 200, value, {}
        return _error(404, "Not Found")

    def _protection(self, branch: str) -> Reply:
        if not self.state.admin_sees:
            return _error(404, "Not Found")
        if branch not in self.state.protection:
            return _error(404, "Branch not protected")
        return 200, self.state.protection[branch], {}

    def _actions(self, more: list[str]) -> Reply:
        if more == ["permissions"]:
            return 200, {"enabled": self.state.actions, "allowed_actions": "all"}, {}
        value = {
            "default_workflow_permissions": self.state.writes,
            "can_approve_pull_request_reviews": self.state.may_open,
        }
        return (200, value, {}) if self.state.actions else _error(409, "Conflict")

    def _environments(self, more: list[str], query: dict[str, str]) -> Reply:
        if more:
            names = self.state.environments[more[0]]
            entries = [{"id": n, "node_id": "x", "name": name} for n, name in enumerate(names)]
            return self._paged(entries, query, "branch_policies")
        found = []
        for name, policy in self.state.environments.items():
            custom = isinstance(policy, tuple)
            value = example("environments")["environments"][0] | {
                "name": name,
                "deployment_branch_policy": None
                if policy is None
                else {"protected_branches": not custom, "custom_branch_policies": custom},
            }
            found.append(value)
        return self._paged(found, query, "environments")

    def _person(self, login: str) -> Any:
        person = example("collaborator-items")[0] | {"login": login}
        if login.startswith("reader"):
            person["permissions"] = {"pull": True, "triage": False, "push": False}
            person["permissions"] |= {"maintain": False, "admin": False}
        return person

    def _team(self, name: str) -> Any:
        return example("team-items")[0] | {"slug": name, "name": name, "type": "organization"}

    def _paged(self, entries: list[Any], query: dict[str, str], key: str = "") -> Reply:
        size = self.per_page or int(query.get("per_page", "30"))
        page = int(query.get("page", "1"))
        shown = entries[(page - 1) * size : page * size]
        links = '<https://elsewhere.invalid/steal>; rel="next", <https://x.invalid>; rel="last"'
        more = {"link": links} if page * size < len(entries) else {}
        return 200, {"total_count": len(entries), key: shown} if key else shown, more


def _error(status: int, message: str, headers: dict[str, str] | None = None) -> Reply:
    value = {
        "message": message,
        "documentation_url": "https://docs.github.com/rest",
        "status": str(status),
    }
    return status, value, headers or {}
