"""Where calls of a model go, and what an attempt may use: the values that the proxy is given."""

from __future__ import annotations

from dataclasses import dataclass, field

from lifeos.core.modelerror import Asked
from lifeos.core.policy.envelope import AgentLimits
from lifeos.core.policy.models import Model, Provider


@dataclass(frozen=True)
class Route:
    """Where calls go: a provider, a model, and the key, which never enters the sandbox."""

    name: str  # of the model in the configuration
    provider_name: str
    provider: Provider
    model: Model
    key: str = field(repr=False)  # no traceback and no log may show it

    @property
    def asked(self) -> Asked:
        """Who is asked, for messages."""
        provider = self.provider
        return Asked(self.name, self.model.id, self.provider_name, provider.url, provider.key_env)


@dataclass(frozen=True)
class Allowance:
    """What one attempt may use: cost in US dollars, None for without a limit of its own."""

    limits: AgentLimits
    tokens: int
    cost: float | None
