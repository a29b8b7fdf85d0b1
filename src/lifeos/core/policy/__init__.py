"""The settings of lifeos as values: one frozen model for each file of governance.

Every setting here is consulted somewhere; one that is not is a defect. The text of the files is
read by `lifeos.governance`, which knows YAML; this package only knows what the values mean.
"""

from lifeos.core.policy.approvals import Approvals, Approver, Expiry
from lifeos.core.policy.config import NO_REMOTE, Agents, Check, Config, Prepare, Where
from lifeos.core.policy.council import (
    DEFAULT_CLASSIFY,
    BlastRadius,
    ChangeClass,
    ClassifyRule,
    Council,
    Modes,
    Reversibility,
    Seat,
    Touch,
    Uncertainty,
)
from lifeos.core.policy.envelope import Envelope, Limits
from lifeos.core.policy.fitting import Conflict
from lifeos.core.policy.governance import (
    FILES,
    PROMPTS,
    Governance,
    is_governance,
    validate_set,
)
from lifeos.core.policy.loop import (
    Budgets,
    Bypass,
    CheckpointRule,
    Lease,
    Loop,
    Progress,
    Route,
    Routing,
    Waivers,
)
from lifeos.core.policy.words import (
    AgentKind,
    Autonomy,
    CheckKind,
    ExpiryThen,
    OnGovernanceChange,
    OnTaskChange,
    Overlap,
    SandboxKind,
)

__all__ = [
    "DEFAULT_CLASSIFY",
    "FILES",
    "NO_REMOTE",
    "PROMPTS",
    "AgentKind",
    "Agents",
    "Approvals",
    "Approver",
    "Autonomy",
    "BlastRadius",
    "Budgets",
    "Bypass",
    "ChangeClass",
    "Check",
    "CheckKind",
    "CheckpointRule",
    "ClassifyRule",
    "Config",
    "Conflict",
    "Council",
    "Envelope",
    "Expiry",
    "ExpiryThen",
    "Governance",
    "Lease",
    "Limits",
    "Loop",
    "Modes",
    "OnGovernanceChange",
    "OnTaskChange",
    "Overlap",
    "Prepare",
    "Progress",
    "Reversibility",
    "Route",
    "Routing",
    "SandboxKind",
    "Seat",
    "Touch",
    "Uncertainty",
    "Waivers",
    "Where",
    "is_governance",
    "validate_set",
]
