"""The five files as one set, and what must hold between them."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import Field

from lifeos.core.policy.approvals import Approvals
from lifeos.core.policy.config import NO_REMOTE, Config, MainWrites
from lifeos.core.policy.council import Council
from lifeos.core.policy.envelope import Envelope
from lifeos.core.policy.fitting import Conflict, conflicts
from lifeos.core.policy.forge import ForgeKind
from lifeos.core.policy.loop import Loop
from lifeos.model import Frozen, Trust

FILES: dict[str, type[Loop] | type[Council] | type[Envelope] | type[Approvals] | type[Config]] = {
    "policies/loop.yaml": Loop,
    "policies/council.yaml": Council,
    "policies/envelope.yaml": Envelope,
    "policies/approvals.yaml": Approvals,
    ".lifeos/config.yaml": Config,
}
"""Where each model is kept in the repository."""

PROMPTS = ".lifeos/prompts/"
"""The repository's own texts for agents, by the names of those that come with lifeos."""


class Governance(Frozen):
    """The rules, adopted as one set."""

    loop: Loop = Field(description="policies/loop.yaml")
    council: Council = Field(description="policies/council.yaml")
    envelope: Envelope = Field(description="policies/envelope.yaml")
    approvals: Approvals = Field(description="policies/approvals.yaml")
    config: Config = Field(description=".lifeos/config.yaml")
    prompts: Mapping[str, str] = Field(
        {}, description="The repository's own prompts, by file name without .md."
    )
    digest: str = Field(description="Hex SHA-256 of all files of the set, see governance_digest.")


def is_governance(path: str) -> bool:
    """Whether a path belongs to the rules: policies/ and .lifeos/ without the queue and STOP."""
    if path.startswith("policies/"):
        return True
    return path.startswith(".lifeos/") and not (
        path.startswith(".lifeos/queue/") or path == ".lifeos/STOP"
    )


def validate_set(governance: Governance) -> tuple[Conflict, ...]:
    """What is wrong between the files of a set; empty when it can be adopted."""
    approvals, config = governance.approvals, governance.config
    file = "policies/approvals.yaml"
    found: list[Conflict] = []
    if not approvals.approvers:
        found.append(
            Conflict(
                file,
                ("approvers",),
                "nobody is an approver: no question could ever be answered",
                "add yourself: `approvers: [{name: YOU, email: YOU@EXAMPLE.ORG}]`",
            )
        )
    found += _by_pull_requests(approvals, config)
    found += conflicts(governance.loop, governance.council, governance.envelope, config)
    return tuple(found)


def _by_pull_requests(approvals: Approvals, config: Config) -> list[Conflict]:
    """What pull requests need. A setting that would do nothing promises what nobody keeps."""
    found = []
    by_merge = approvals.trust is Trust.MERGE
    if by_merge and (config.forge.kind is ForgeKind.NONE or config.remote == NO_REMOTE):
        found.append(
            Conflict(
                "policies/approvals.yaml",
                ("trust",),
                "trust `merge` needs a forge that says who merged, and a remote that is there",
                "set `forge: {kind: github}` and `remote: origin` in .lifeos/config.yaml, "
                "or use trust `signature`",
            )
        )
    if config.main_writes is MainWrites.PR and not by_merge:
        found.append(
            Conflict(
                ".lifeos/config.yaml",
                ("main_writes",),
                "`main_writes: pr` lands by merged pull requests, which only trust `merge` knows",
                "set `trust: merge` in policies/approvals.yaml, or `main_writes: direct`",
            )
        )
    return found
