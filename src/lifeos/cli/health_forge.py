"""The forge: whose token asks, what it may, what is set for CI, what only lifeos checks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, TypeVar

from lifeos.cli.adopted import adopted
from lifeos.cli.health import Line, fail, ok, warn
from lifeos.core.policy import Where
from lifeos.core.policy.forge import ForgeKind, repository_of
from lifeos.core.workflows import OWN_TOKEN
from lifeos.errors import Busy, LifeosError
from lifeos.model import Trust

if TYPE_CHECKING:
    from lifeos.core.policy import Governance
    from lifeos.forge import Actions, Environment, Forge, Identity, Repository
    from lifeos.store.repo import Repo

_CONFIG = ".lifeos/config.yaml"
_GENERAL = "Settings > Actions > General > Workflow permissions"
_BROAD = frozenset(
    {"delete_repo", "site_admin", "admin:org", "admin:enterprise", "admin:repo_hook"}
)
Seen = TypeVar("Seen")


def forge(
    repo: Repo, rules: Governance, environ: Mapping[str, str], *, offline: bool
) -> Iterator[Line]:
    """Everything about the forge that the rules name; nothing where they name none."""
    from lifeos.cli.health_workflows import generated, workflows

    settings = rules.config.forge
    if settings.kind is ForgeKind.NONE:
        return
    if rules.approvals.trust is Trust.COMMIT:
        said = "commit: no answer counts like that where a forge is configured"
        fix = "set `trust: signature` in policies/approvals.yaml, with the approvers' SSH keys"
        yield fail("trust", said, fix)
    name = rules.config.name_on_forge(repo.config)
    if not name:
        yield _nameless(repo, rules)
    elif offline:
        yield ok("forge", f"{settings.host}/{name}; not asked (--offline)")
    elif not (adopted(repo, rules) or _known_host(repo, rules)):
        # Whoever could name another host there would be sent the token.
        said = "main's rules are not known to be adopted: the token is not sent where they say"
        fix = "a tick, here or on CI, adopts them, or asks an approver; then git fetch, and again"
        yield warn("forge", said, fix)
    else:
        yield from _asked(rules, name, environ)
    yield from workflows(repo, rules)
    yield from generated(repo, rules)
    yield _own(rules)


def _known_host(repo: Repo, rules: Governance) -> bool:
    """Whether the token would go to no other host than this clone's own remote is at.

    So rules that nobody adopted yet can be looked at before their first round. The variable must be
    the usual one: another could hold a secret that is meant for somebody else.
    """
    settings = rules.config.forge
    remote = rules.config.forge_remote
    found = repository_of(repo.config.get(f"remote.{remote}.url", ""))
    host = found[0].removeprefix("ssh.") if found else ""
    return host == settings.host and settings.token_env == OWN_TOKEN


def _nameless(repo: Repo, rules: Governance) -> Line:
    """Why neither the rules nor the address of the git remote say OWNER/NAME."""
    fix = f"write `forge: repository: OWNER/NAME` in {_CONFIG}"
    remote = rules.config.forge_remote
    url = repo.config.get(f"remote.{remote}.url", "")
    if not url:
        return fail("forge", f"no repository is named, and git has no remote {remote}", fix)
    found = repository_of(url)
    if found is None:
        return fail("forge", f"the address of the git remote {remote} names no OWNER/NAME", fix)
    said = f"the git remote {remote} is at {found[0]}, and the rules name {rules.config.forge.host}"
    return fail("forge", said, f"correct `forge: host:`, or {fix}")


def _asked(rules: Governance, name: str, environ: Mapping[str, str]) -> Iterator[Line]:
    """What the forge says. When it does not answer, that is said once, and nothing more asked."""
    from lifeos.forge import connect

    try:
        there = connect(rules.config.forge, name, environ)
    except LifeosError as error:
        yield warn("token", f"{error.message}: nothing was asked", error.fix)
        return
    try:
        yield from _about(rules, there, asks_only=_asks_only(rules, environ))
    except Busy as error:
        yield warn("forge", error.message, error.fix or "wait, then lifeos doctor")
    except LifeosError as error:
        fix = error.fix or f"correct `forge:` in {_CONFIG}, or give the token access"
        yield fail("forge", error.message, fix)
    finally:
        there.close()


def _asks_only(rules: Governance, environ: Mapping[str, str]) -> bool:
    """Whether the token here is for looking alone: the work is done on CI, with that one's."""
    return rules.config.tick.where is Where.CI and environ.get("CI", "").lower() != "true"


def _about(rules: Governance, there: Forge, *, asks_only: bool) -> Iterator[Line]:
    from lifeos.cli.health_branches import branches

    repository = there.repository()
    yield _repository(rules, repository)
    identity, line = _seen("token", there.identity)
    if line is not None:
        yield line
    if asks_only:
        yield _looks(identity)
    else:
        if identity is not None:
            yield _whose(rules, identity)
        yield from _rights(repository, identity)
    yield from branches(rules, there)
    yield from _ci(rules, there)


def _seen(name: str, ask: Callable[[], Seen]) -> tuple[Seen | None, Line | None]:
    """What was asked; or the line that says why it could not be seen. `Busy` goes through."""
    try:
        return ask(), None
    except Busy:
        raise
    except LifeosError as error:
        fix = error.fix or "give the token the right to see it, or ask with an admin's"
        return None, warn(name, f"not seen: {error.message}", fix)


def _repository(rules: Governance, found: Repository) -> Line:
    owner = "an organisation's" if found.owner_is_organisation else "a person's"
    kind = "private" if found.private else "public"
    host, main = rules.config.forge.host, rules.config.main
    said = f"{host}/{found.name}: {kind}, {owner}"
    if found.archived:
        return fail("forge", f"{said}, archived: nothing can be pushed", "unarchive it in Settings")
    if found.default_branch != main:
        said += f"; its default branch is {found.default_branch}, and the rules' main is {main}"
        fix = "Settings > General > Default branch: scheduled workflows run from that one only"
        return warn("forge", said, fix)
    return ok("forge", said)


def _looks(identity: Identity | None) -> Line:
    """The token of whoever looks from their own machine; it opens no pull request."""
    whose = f"{identity.login}'s" if identity is not None and identity.login else "an app's"
    said = f"it is {whose}, and only looks: rounds run on CI, with the token that they have there"
    return ok("token", said)


def _whose(rules: Governance, identity: Identity) -> Line:
    """Whose the token is: whoever opens a pull request cannot approve it by merging it."""
    from lifeos.forge import AccountKind

    if identity.kind is not AccountKind.USER:
        who = f"the bot {identity.login}" if identity.login else "an app's installation"
        return ok("token", f"it is {who}'s: its pull requests can be merged by any approver")
    own = f"{identity.id}+{identity.login}@users.noreply.{rules.config.forge.host}".casefold()
    mails = {own, own.partition("+")[2], identity.email.casefold()} - {""}
    approvers = rules.approvals.approvers
    people = [
        who.name
        for who in approvers
        if who.forge_id == identity.id or who.email.casefold() in mails
    ]
    whose = f"the approver {people[0]}'s own" if people else "a person's"
    said = (
        f"it is {whose} ({identity.login}, id {identity.id}): they would be the author of every "
        "pull request opened with it, and an author's merge cannot count as an approval"
    )
    fix = "use the token of a GitHub App, or of an account of its own"
    if rules.approvals.trust is Trust.MERGE and len(people) == len(approvers):
        return fail("token", f"{said}: nobody could answer anything", fix)
    return warn("token", said, fix)


def _rights(repository: Repository, identity: Identity | None) -> Iterator[Line]:
    """What the token may do: too little to work, or more than it needs."""
    granted = repository.permissions
    if granted is None:
        yield ok("rights", "the forge does not say what this token may do here")
        return
    scopes = identity.scopes if identity is not None else None
    if scopes:
        broad = sorted(_BROAD & set(scopes))
        more = f", and {', '.join(broad)}" if broad else ""
        said = f"a classic token ({', '.join(scopes)}): it reaches every repository of its person"
        fix = "use a fine-grained token or an app's, for this repository alone"
        yield warn("rights", f"{said}{more}", fix)
    if "push" not in granted:
        yield warn("rights", "it may not push here", "give it Contents: read and write")
    elif "admin" in granted:
        said = "its account administers the repository: it could take away what protects it"
        yield warn("rights", said, "use an account that has Write and no more for lifeos's work")
    else:
        yield ok("rights", "it may push, and not administer")


def _ci(rules: Governance, there: Forge) -> Iterator[Line]:
    actions, line = _seen("actions", there.actions)
    if line is not None:
        yield line
    if actions is not None:
        yield from _actions(actions, by_merge=rules.approvals.trust is Trust.MERGE)
        if not actions.enabled:
            return
    found, line = _seen("secrets", there.environments)
    if line is not None:
        yield line
    elif found is not None:
        yield _environments(found)
        yield from _not_there(rules, {each.name for each in found})


def _actions(actions: Actions, *, by_merge: bool) -> Iterator[Line]:
    if not actions.enabled:
        yield ok("actions", "switched off here: no workflow runs")
        return
    if actions.writes_by_default:
        said = "the token of every workflow may write unless the workflow says otherwise"
        yield warn("actions", said, f"{_GENERAL}: Read repository contents")
    else:
        yield ok("actions", "the token of a workflow may only read unless the workflow asks")
    allow = "Allow GitHub Actions to create and approve pull requests"
    if by_merge and actions.may_open:
        said = "workflows may open pull requests, which the questions of lifeos are; a workflow's"
        yield ok("actions", f"{said} own approval is no person's, and is no answer")
    elif by_merge:
        said = "workflows cannot open pull requests: with GITHUB_TOKEN nothing could be asked"
        yield warn("actions", said, f"{_GENERAL}: tick {allow!r}, or use an app's token")
    elif actions.may_open:
        said = "workflows may open pull requests, and approve them: such an approval is no person's"
        yield warn("actions", said, f"{_GENERAL}: untick {allow!r}, unless you need it")
    else:
        said = f"workflows cannot open pull requests; an app's token can, or {_GENERAL}: {allow!r}"
        yield ok("actions", said)


def _not_there(rules: Governance, found: set[str]) -> Iterator[Line]:
    """The environments that the workflow of these rules takes its secrets from, and lacks."""
    from lifeos.core.workflows import wishes_of

    for name, secrets in wishes_of(rules.config, rules.loop).environments.items():
        if name not in found:
            said = f"there is no environment {name}: the workflow finds no {', '.join(secrets)}"
            place = f"Settings > Environments > New environment {name}: Deployment branches:"
            yield warn("secrets", said, f"{place} Selected branches, main alone; then the secrets")


def _environments(found: tuple[Environment, ...]) -> Line:
    """Where a secret can be kept from whoever can push a branch with a workflow of their own."""
    place = "Settings > Environments: Deployment branches: Selected branches, main alone"
    if not found:
        said = "no environment: whoever can push a branch can read the repository's secrets in CI"
        return warn("secrets", said, f"keep keys in an environment; {place}")
    from lifeos.cli.health_branches import QUEUE
    from lifeos.core.workflowfile import chosen

    loose = [e.name for e in found if e.branches is None or chosen(e.branches, QUEUE)]
    if loose:
        said = f"the secrets of {', '.join(loose)} can be read from a branch that was just pushed"
        return warn("secrets", said, place)
    each = ", ".join(
        f"{e.name} ({'protected branches' if e.protected else ', '.join(e.branches or ('none',))})"
        for e in found
    )
    return ok("secrets", f"environments bound to branches: {each}")


def _own(rules: Governance) -> Line:
    """What no setting of a forge enforces: it holds as far as lifeos runs, and no further."""
    how = {
        Trust.COMMIT: "by the name in a commit",
        Trust.SIGNATURE: "by the signature of a commit",
        Trust.MERGE: "by who merged",
    }[rules.approvals.trust]
    said = (
        f"who answered ({how}), that it is exactly what was asked, what an agent may change, which "
        "rules count: lifeos checks these itself, and no forge does"
    )
    return ok("own checks", said)
