"""What is left to do by hand after ``lifeos init --github``, each with its place."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from lifeos.core.codeowners import owner_of
from lifeos.core.policy import NO_REMOTE, AgentKind, Where
from lifeos.core.policy.config import MainWrites
from lifeos.core.policy.forge import ForgeKind
from lifeos.core.workflows import LOCK, OWN_TOKEN, WORKFLOW, Wishes
from lifeos.model import Trust

if TYPE_CHECKING:
    from lifeos.core.policy import Config, Governance

_CONFIG = ".lifeos/config.yaml"
_APPROVALS = "policies/approvals.yaml"
_ACTIONS = "Settings > Actions > General"


def steps(
    rules: Governance, wishes: Wishes, git: Mapping[str, str], *, pinned: bool, edited: bool
) -> Iterator[str]:
    """Each step in a line or two: what, and where. The files first, then the forge's pages."""
    yield from _files(rules, wishes, git)
    if not pinned:
        yield (
            f"{LOCK}: lifeos's own digest is missing, and the workflow installs nothing without it:"
            " download the wheel of this version, `pip hash` it, then"
            " lifeos init --github --lifeos-hash SHA256"
        )
    if edited:
        yield f"{WORKFLOW}: it was edited, so it stays; to have it written anew, remove it first"
    yield from _pages(rules, wishes)


def _files(rules: Governance, wishes: Wishes, git: Mapping[str, str]) -> Iterator[str]:
    yield from _config(rules.config, git)
    config = rules.config
    if rules.loop.lease.seconds < wishes.lease_seconds:
        yield (
            f"policies/loop.yaml: set `lease: {{seconds: {wishes.lease_seconds}}}`: as long as the"
            " jobs of a round may take together"
        )
    if rules.approvals.trust is Trust.COMMIT:
        yield (
            f"{_APPROVALS}: `trust: commit` counts for nothing there: set `trust: merge` with each"
            " approver's `forge_id` (the number `id` at https://api.github.com/users/LOGIN) and"
            " `login`, or `trust: signature` with each one's SSH `key`"
        )
    for who in rules.approvals.approvers:
        if owner_of(who) is None:
            yield f"{_APPROVALS}: give {who.name} a `login`: CODEOWNERS cannot hold the address"
    if AgentKind.COMMAND in config.agents.kinds:
        yield (
            f"{WORKFLOW}: install the program of `command:` in a step of the job `attempt`; the"
            " file is yours from then on"
        )
    for name in wishes.impossible:
        yield f"{_CONFIG}: {name} cannot be the name of a secret there: choose another variable"


def _config(config: Config, git: Mapping[str, str]) -> Iterator[str]:
    remote = config.forge_remote
    if not git.get(f"remote.{remote}.url", ""):
        yield f"git: git remote add {remote} URL && git push -u {remote} {config.main}"
    elif not config.name_on_forge(git):
        yield f"{_CONFIG}: set `forge: {{repository: OWNER/NAME}}`: {remote}'s address names none"
    if wanted := list(_settings(config)):
        yield f"{_CONFIG}: set {', '.join(wanted)}"


def _settings(config: Config) -> Iterator[str]:
    if config.remote == NO_REMOTE:
        yield "`remote: origin`"
    if config.forge.kind is ForgeKind.NONE:
        yield "`forge: {kind: github}`"
    if config.tick.where is Where.LOCAL:
        yield "`tick: {where: ci}`"


def _pages(rules: Governance, wishes: Wishes) -> Iterator[str]:
    main = rules.config.main
    yield f"Settings > General > Default branch: {main}; scheduled workflows run from that one only"
    yield f"{_ACTIONS} > Actions permissions: let actions made by GitHub run (`actions/*`)"
    may = "; tick `Allow GitHub Actions to create and approve pull requests`"
    opens = may if rules.approvals.trust is Trust.MERGE and wishes.token == OWN_TOKEN else ""
    yield f"{_ACTIONS} > Workflow permissions: Read repository contents and packages{opens}"
    for name, secrets in wishes.environments.items():
        yield _environment(name, main, secrets)
    yield (
        "Settings > Rules > Rulesets > New branch ruleset: Target branches"
        f" {main} and lifeos/ledger; Restrict deletions, Block force pushes"
    )
    if rules.approvals.trust is Trust.MERGE:
        yield "the same page, for lifeos/queue/*: Block force pushes"
    if rules.config.main_writes is MainWrites.PR:
        yield f"the same page, for {main} alone: Require a pull request before merging"


def _environment(name: str, main: str, secrets: tuple[str, ...]) -> str:
    return (
        f"Settings > Environments > New environment {name}: Deployment branches and tags: Selected"
        f" branches, {main} alone; then Environment secrets: {', '.join(secrets)}"
    )
