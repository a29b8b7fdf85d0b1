"""What a call of a model cost and what came of it, as the proxy saw it."""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field, TypeAdapter

from lifeos.model import Frozen, Usage


class PricedBy(StrEnum):
    """Where the cost of a call is known from."""

    CONFIGURATION = "configuration"
    PROVIDER = "provider"
    ESTIMATE = "estimate"


class Receipt(Frozen):
    """One call of a model. Times are seconds since 1970 UTC; digests are hex SHA-256 of bytes."""

    provider: str
    model: str
    stage: str
    seat: str = ""
    started: float
    ended: float
    status: int = Field(description="The provider's HTTP status; 0 when it could not be reached.")
    tokens_in: int = Field(0, ge=0)
    tokens_cached: int = Field(0, ge=0, description="Of those sent, how many were cached.")
    tokens_out: int = Field(0, ge=0)
    cost: float = Field(0.0, ge=0, allow_inf_nan=False)
    priced_by: PricedBy = PricedBy.CONFIGURATION
    counted: bool = Field(True, description="Whether the provider counted the tokens, or we did.")
    request: str = Field(description="Digest of the request's body, as it was sent on.")
    response: str = Field(description="Digest of the response's body, as it came.")
    truncated: bool = Field(False, description="Whether the answer was cut off.")
    end: str = Field("", description="The finish reason, or what ended the call.")

    @property
    def tokens(self) -> int:
        """All tokens, sent and received."""
        return self.tokens_in + self.tokens_out


def total(receipts: tuple[Receipt, ...]) -> Usage:
    """What calls used together. Seconds are not added up: calls run side by side."""
    return Usage(
        tokens=sum(receipt.tokens for receipt in receipts),
        cost=sum(receipt.cost for receipt in receipts),
        requests=len(receipts),
        estimated=any(each.cost and each.priced_by is PricedBy.ESTIMATE for each in receipts),
    )


RECEIPTS: TypeAdapter[tuple[Receipt, ...]] = TypeAdapter(tuple[Receipt, ...])
"""The artifact `receipts.json`."""


class RanFact(Frozen):
    """A command that the agent ran, as its program reported it."""

    command: str
    status: int | None = None
    seconds: float | None = None
    denied: bool = False


class AgentFacts(Frozen):
    """The artifact `agent.json`: who worked. ``model`` is the name in the configuration.

    ``version`` is the program's, "" where it is not known. ``said_cost`` (US dollars),
    ``said_tokens`` and ``said_requests`` are what the program says that it used: it is not trusted,
    and the receipts are what counts.
    """

    agent: str
    version: str = ""
    model: str = ""
    provider: str = ""
    id: str = ""
    family: str = ""
    said_cost: float = Field(0.0, ge=0, allow_inf_nan=False)
    said_tokens: int = Field(0, ge=0)
    said_requests: int = Field(0, ge=0)
    ran: tuple[RanFact, ...] = ()
