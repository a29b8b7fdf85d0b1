"""A forge, as lifeos sees one: who it lets do what to the repository. `github` is the only one yet.

What is done there, with pull requests, is in `lifeos.forge.pulls`.

Values are what the forge reported just now; nothing of it can be checked offline. What could not be
seen is said apart (`Hidden`, None): not seen is never taken for absent.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

from lifeos.errors import Busy, Exit, LifeosError, NotAuthorised

if TYPE_CHECKING:
    from lifeos.core.policy.forge import Forge as Settings
    from lifeos.forge.pulls import Pulls


class Refused(NotAuthorised):
    """The token is not known to the forge, or may not do this (exit 4)."""


class ForbiddenBySetting(NotAuthorised):
    """Not the token but a setting or plan forbids it; ``setting`` names it (exit 4)."""

    def __init__(self, message: str, fix: str, *, setting: str) -> None:
        super().__init__(message, fix)
        self.setting = setting


class RateLimited(Busy):
    """The forge wants a pause; ``wait`` is how many seconds it said (exit 75)."""

    def __init__(self, message: str, fix: str, *, wait: int) -> None:
        super().__init__(message, fix)
        self.wait = wait


class Outage(Busy):
    """No answer, half of one, or one that makes no sense (exit 75)."""


class Strange(Outage):
    """An answer about one thing that makes no sense, from a forge that answers (exit 75)."""


class TooMuch(Strange):
    """More about one thing than is read: whoever may write there can make it so (exit 75)."""


class Unclear(Outage):
    """A write whose outcome is not known: it may have been done. Look before it is repeated."""


class Invalid(LifeosError):
    """The forge will not do this as it is asked, whoever asks; its words say why (exit 2)."""

    exit_code = Exit.USAGE


class Conflicting(Busy):
    """It was changed by somebody else meanwhile; look again (exit 75)."""


class NotFound(LifeosError):
    """It is not there, or the token may not know that it is (exit 2)."""

    exit_code = Exit.USAGE


class AccountKind(StrEnum):
    """Who a token belongs to."""

    USER = "user"
    BOT = "bot"
    INSTALLATION = "installation"
    """Of an app, `GITHUB_TOKEN` of a workflow among them: such a token has no account to name."""


@dataclass(frozen=True)
class Identity:
    """Whose token it is. ``id``, ``login`` and ``email`` are empty for an installation's.

    ``scopes``: what a classic token was given; None where the forge does not say.
    """

    kind: AccountKind
    id: int = 0
    login: str = ""
    email: str = ""
    scopes: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Repository:
    """The repository; ``permissions`` are those of the token's account (admin, push, …)."""

    name: str
    private: bool
    archived: bool
    default_branch: str
    owner_is_organisation: bool
    permissions: frozenset[str] | None


@dataclass(frozen=True)
class Rule:
    """One thing that is enforced on a branch, and by what it is.

    ``name``: `pull_request`, `update`, `creation`, `deletion`, `non_fast_forward` (no force push),
    `required_status_checks`, `required_signatures`, … ``reviews``: how many approving ones.
    """

    name: str
    source: str
    reviews: int = 0


@dataclass(frozen=True)
class Bypass:
    """Whom the rules of one source do not bind; ``who`` is None where only an admin may see it.

    ``token``: always, pull_requests_only, never or exempt for the token's account; "" unknown.
    """

    source: str
    who: tuple[str, ...] | None
    token: str = ""


@dataclass(frozen=True)
class Hidden:
    """What could not be seen, why, and what to do; ``setting`` as in ForbiddenBySetting."""

    what: str
    why: str
    fix: str
    setting: str = ""


@dataclass(frozen=True)
class Branch:
    """What is enforced on a branch, whether it exists or not; ``hidden``: what was not seen."""

    name: str
    rules: tuple[Rule, ...] = ()
    bypasses: tuple[Bypass, ...] = ()
    hidden: tuple[Hidden, ...] = ()

    def has(self, name: str) -> tuple[Rule, ...]:
        """The rules of this name."""
        return tuple(rule for rule in self.rules if rule.name == name)


@dataclass(frozen=True)
class Actions:
    """The settings of CI. ``may_open``: its own token may open, and approve, pull requests."""

    enabled: bool
    writes_by_default: bool
    may_open: bool


@dataclass(frozen=True)
class Environment:
    """A place for secrets. ``branches``: the names or patterns that may use it; None: any branch.

    ``protected``: any branch that has a protection.
    """

    name: str
    branches: tuple[str, ...] | None
    protected: bool = False


@dataclass(frozen=True)
class Writers:
    """Who may push: people by login, and teams; None where the token may not see it."""

    people: tuple[str, ...] | None
    teams: tuple[str, ...] | None


class Forge(Protocol):
    """What any forge must be able to say. Every method raises the errors above."""

    def identity(self) -> Identity:
        """Whose token it is."""
        ...

    def repository(self) -> Repository:
        """The repository that the settings name."""
        ...

    def branch(self, name: str) -> Branch:
        """What is really enforced on a branch."""
        ...

    def actions(self) -> Actions:
        """The settings of CI."""
        ...

    def environments(self) -> tuple[Environment, ...]:
        """The places for secrets."""
        ...

    def writers(self) -> Writers:
        """Who may push."""
        ...

    def close(self) -> None:
        """Let go of the connection."""
        ...


def connect(settings: Settings, name: str, environ: Mapping[str, str]) -> Forge:
    """The forge of ``settings``, for the repository ``name`` (OWNER/NAME). Asks nothing yet.

    Raises ``Refused`` where the variable of the token is not set or holds none.
    """
    from lifeos.forge.github import GitHub

    needs = "read this repository and its administration settings"
    return GitHub(settings.host, name, _token(settings, environ, needs))


def connect_pulls(settings: Settings, name: str, environ: Mapping[str, str]) -> Pulls:
    """Its pull requests, likewise."""
    from lifeos.forge.github_pulls import GitHubPulls

    needs = "read this repository and write its pull requests"
    return GitHubPulls(settings.host, name, _token(settings, environ, needs))


def _token(settings: Settings, environ: Mapping[str, str], needs: str) -> str:
    token = environ.get(settings.token_env, "").strip()
    if not token:
        raise Refused(
            f"the variable {settings.token_env} is not set, so there is no token for "
            f"{settings.host}",
            f"set {settings.token_env} to a token that may {needs}",
        )
    return token
