"""GitHub, GitHub.com or Enterprise, as a `Forge`: what is really enforced, and for whom.

Where a rule comes from: rulesets (asked by branch, so that patterns, inheritance and inactive ones
are GitHub's business) and the older branch protection. Both are enforced at once.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TypeVar
from urllib.parse import quote

from lifeos.core.clean import one_line
from lifeos.errors import NotAuthorised
from lifeos.forge import (
    AccountKind,
    Actions,
    Branch,
    Bypass,
    Environment,
    ForbiddenBySetting,
    Hidden,
    Identity,
    NotFound,
    Refused,
    Repository,
    Rule,
    Writers,
)
from lifeos.forge.wire import PATIENCE, Json, Patience, Wire

_PROTECTION = "branch protection"
_UNPROTECTED = re.compile(r"branch not (protected|found)", re.IGNORECASE)
_WRITE = ("push", "maintain", "admin")
Kind = TypeVar("Kind", bool, int, str)


class GitHub:
    """One repository on one host, seen with one token. Asks only when a method is called."""

    def __init__(self, host: str, name: str, token: str, patience: Patience = PATIENCE) -> None:
        self._wire = Wire(host, token, patience)
        owner, _, repo = name.partition("/")
        self._repo = f"/repos/{quote(owner, safe='')}/{quote(repo, safe='')}"
        self._sources: dict[int, Bypass] = {}

    def close(self) -> None:
        """Let go of the connection."""
        self._wire.close()

    def identity(self) -> Identity:
        """Whose token it is. An installation's token has no account, and GitHub refuses to name it.

        Then the list of what the installation may reach says that it is one.
        """
        try:
            answer = self._wire.get("/user")
        except ForbiddenBySetting:
            raise
        except NotAuthorised:
            self._wire.get("/installation/repositories", per_page=1)
            return Identity(AccountKind.INSTALLATION)
        value = self._mapping(answer.value, "/user")
        scopes = answer.headers.get("x-oauth-scopes")
        return Identity(
            kind=AccountKind.BOT if value.get("type") == "Bot" else AccountKind.USER,
            id=self._need(value, "id", int, "/user"),
            login=one_line(self._need(value, "login", str, "/user"), 100),
            email=email if isinstance(email := value.get("email"), str) else "",
            scopes=None
            if scopes is None
            else tuple(filter(None, scopes.replace(" ", "").split(","))),
        )

    def repository(self) -> Repository:
        """The repository that the settings name."""
        value = self._mapping(self._wire.get(self._repo).value, self._repo)
        owner = self._mapping(value.get("owner"), self._repo)
        granted = value.get("permissions")
        return Repository(
            name=one_line(self._need(value, "full_name", str, self._repo)),
            private=self._need(value, "private", bool, self._repo),
            archived=self._need(value, "archived", bool, self._repo),
            default_branch=one_line(self._need(value, "default_branch", str, self._repo)),
            owner_is_organisation=owner.get("type") == "Organization",
            permissions=frozenset(name for name, may in granted.items() if may is True)
            if isinstance(granted, dict)
            else None,
        )

    def branch(self, name: str) -> Branch:
        """What is enforced on a branch, whether it exists or not."""
        rules: list[Rule] = []
        bypasses: list[Bypass] = []
        hidden: list[Hidden] = []
        quoted = quote(name, safe="")
        for what, part in (("rulesets", self._by_rulesets), (_PROTECTION, self._by_protection)):
            try:
                found, around = part(quoted)
            except NotAuthorised as error:
                setting = error.setting if isinstance(error, ForbiddenBySetting) else ""
                hidden.append(Hidden(what, error.message, error.fix, setting))
                continue
            rules += found
            bypasses += around
        return Branch(name, tuple(rules), tuple(bypasses), tuple(hidden))

    def _by_rulesets(self, branch: str) -> tuple[list[Rule], list[Bypass]]:
        path = f"{self._repo}/rules/branches/{branch}"
        rules: list[Rule] = []
        sources: dict[int, str] = {}
        for entry in self._wire.pages(path):
            value = self._mapping(entry, path)
            number = value.get("ruleset_id")
            where = value.get("ruleset_source")
            known = isinstance(number, int)
            source = f"ruleset {number}" if known else "a ruleset"
            if value.get("ruleset_source_type") in {"Organization", "Enterprise"}:
                source += f" of {one_line(str(where), 100)}"
            if isinstance(number, int):
                sources[number] = source
            more = value.get("parameters")
            reviews = more.get("required_approving_review_count") if isinstance(more, dict) else 0
            rules.append(
                Rule(
                    name=one_line(self._need(value, "type", str, path), 60),
                    source=source,
                    reviews=reviews if isinstance(reviews, int) else 0,
                )
            )
        return rules, [self._around(number, source) for number, source in sources.items()]

    def _around(self, number: int, source: str) -> Bypass:
        """Whom a ruleset does not bind. Who they are is shown only to those who may edit it."""
        if number not in self._sources:
            path = f"{self._repo}/rulesets/{number}"
            try:
                value = self._mapping(self._wire.get(path).value, path)
            except (NotAuthorised, NotFound):
                value = {}
            actors = value.get("bypass_actors")
            may = value.get("current_user_can_bypass")
            self._sources[number] = Bypass(
                source,
                tuple(map(_actor, actors)) if isinstance(actors, list) else None,
                may if isinstance(may, str) else "",
            )
        return self._sources[number]

    def _by_protection(self, branch: str) -> tuple[list[Rule], list[Bypass]]:
        path = f"{self._repo}/branches/{branch}/protection"
        try:
            value = self._mapping(self._wire.get(path).value, path)
        except NotFound as error:
            # Who may not administer is told the same 404 as if there was no such branch.
            if not _UNPROTECTED.search(error.message):
                fix = "give the token Administration: read, or ask with an admin's"
                raise Refused(f"whether there is a {_PROTECTION} is shown to admins", fix) from None
            return [], []
        names = [rule for key, rule, wanted in _SWITCHES if _enabled(value.get(key)) is wanted]
        names += [rule for key, rule in _PARTS if isinstance(value.get(key), dict)]
        reviews = value.get("required_pull_request_reviews")
        many = reviews.get("required_approving_review_count", 0) if isinstance(reviews, dict) else 0
        rules = [
            Rule(
                name=name,
                source=_PROTECTION,
                reviews=many if name == "pull_request" and isinstance(many, int) else 0,
            )
            for name in names
        ]
        who = [] if _enabled(value.get("enforce_admins")) else ["admins"]
        allowed = value.get("restrictions")
        if isinstance(allowed, dict):
            who += _named(allowed)
        if isinstance(reviews, dict):
            who += _named(reviews.get("bypass_pull_request_allowances"))
        return rules, [Bypass(_PROTECTION, tuple(dict.fromkeys(who)))]

    def actions(self) -> Actions:
        """The settings of Actions. Only an admin may see them."""
        path = f"{self._repo}/actions/permissions"
        general = self._mapping(self._wire.get(path).value, path)
        if not self._need(general, "enabled", bool, path):
            return Actions(enabled=False, writes_by_default=False, may_open=False)
        path += "/workflow"
        value = self._mapping(self._wire.get(path).value, path)
        return Actions(
            enabled=True,
            writes_by_default=value.get("default_workflow_permissions") != "read",
            may_open=self._need(value, "can_approve_pull_request_reviews", bool, path),
        )

    def environments(self) -> tuple[Environment, ...]:
        """The environments, with the branches that may use each."""
        path = f"{self._repo}/environments"
        found = []
        for entry in self._wire.pages(path, "environments"):
            value = self._mapping(entry, path)
            name = self._need(value, "name", str, path)
            policy = value.get("deployment_branch_policy")
            protected = isinstance(policy, dict) and policy.get("protected_branches") is True
            branches: tuple[str, ...] | None = () if protected else None
            if isinstance(policy, dict) and not protected:
                branches = self._branches_of(f"{path}/{quote(name, safe='')}")
            found.append(Environment(one_line(name, 100), branches, protected))
        return tuple(found)

    def _branches_of(self, environment: str) -> tuple[str, ...]:
        path = f"{environment}/deployment-branch-policies"
        entries = (self._mapping(e, path) for e in self._wire.pages(path, "branch_policies"))
        return tuple(one_line(self._need(entry, "name", str, path), 100) for entry in entries)

    def writers(self) -> Writers:
        """Who may push. Logins and team names, in the forge's order."""
        return Writers(
            people=self._writing("collaborators", "login"),
            teams=self._writing("teams", "slug"),
        )

    def _writing(self, what: str, name: str) -> tuple[str, ...] | None:
        path = f"{self._repo}/{what}"
        try:
            entries = [self._mapping(e, path) for e in self._wire.pages(path)]
        except (NotAuthorised, NotFound):
            return None
        return tuple(
            one_line(self._need(entry, name, str, path), 100)
            for entry in entries
            if _may_write(entry.get("permissions"))
        )

    def _mapping(self, value: Json, path: str) -> Mapping[str, Json]:
        if not isinstance(value, dict):
            raise self._wire.odd(path)
        return value

    def _need(self, value: Mapping[str, Json], key: str, kind: type[Kind], path: str) -> Kind:
        found = value.get(key)
        if not isinstance(found, kind):
            raise self._wire.odd(path)
        return found


_SWITCHES = (
    ("allow_force_pushes", "non_fast_forward", False),
    ("allow_deletions", "deletion", False),
    ("block_creations", "creation", True),
    ("required_linear_history", "required_linear_history", True),
    ("required_signatures", "required_signatures", True),
    ("lock_branch", "update", True),
)
_PARTS = (
    ("required_pull_request_reviews", "pull_request"),
    ("required_status_checks", "required_status_checks"),
    ("restrictions", "update"),
)
"""The parts of a branch protection by the names that the same thing has in a ruleset."""


def _enabled(part: Json) -> bool:
    return isinstance(part, dict) and part.get("enabled") is True


def _may_write(permissions: Json) -> bool:
    """Where nothing is said of rights, whoever is listed counts as one who may."""
    if not isinstance(permissions, dict):
        return True
    return any(permissions.get(name) is True for name in _WRITE)


def _named(group: Json) -> list[str]:
    """The people, teams and apps of one list, as people would say them."""
    if not isinstance(group, dict):
        return []
    found = []
    for key, name, what in (
        ("users", "login", ""),
        ("teams", "slug", "team "),
        ("apps", "slug", "app "),
    ):
        entries = group.get(key)
        for entry in entries if isinstance(entries, list) else []:
            if isinstance(entry, dict) and isinstance(text := entry.get(name), str):
                found.append(what + one_line(text, 100))
    return found


_ROLES = {1: "read", 2: "maintain", 3: "triage", 4: "write", 5: "admin"}


def _actor(entry: Json) -> str:
    """Somebody whom a ruleset does not bind, as people would say it."""
    if not isinstance(entry, dict):
        return "somebody"
    number = entry.get("actor_id")
    match entry.get("actor_type"):
        case "OrganizationAdmin":
            who = "organisation owners"
        case "RepositoryRole" if isinstance(number, int) and number in _ROLES:
            who = f"everyone with {_ROLES[number]}"
        case "DeployKey":
            who = "deploy keys"
        case "Integration":
            who = f"app {number}"
        case other:
            who = one_line(f"{other} {number}", 60)
    return f"{who} (by pull request)" if entry.get("bypass_mode") == "pull_request" else who
