"""Providers and models, as `.lifeos/config.yaml` names them. A key is never in a file."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Annotated

from pydantic import AfterValidator, Field, StringConstraints

from lifeos.core.policy.words import Line, Money, Name, Positive, Unfit
from lifeos.model import Frozen

_URL = re.compile(r"https?://[A-Za-z0-9._\-\[\]:]+(/[A-Za-z0-9._~\-/]*)?")
_PLAIN = ("http://127.0.0.1", "http://localhost", "http://[::1]")


class Wire(StrEnum):
    """The protocol a provider speaks; each is one method and one path.

    chat: `POST {url}/chat/completions`, as OpenAI and most others. messages: `POST {url}/messages`,
    as Anthropic.
    """

    CHAT = "chat"
    MESSAGES = "messages"


def _url(text: str) -> str:
    if not _URL.fullmatch(text):
        raise Unfit(
            "a provider's address is http(s)://HOST/PATH, without user, query or '#'",
            "write it like `url: https://HOST/v1`; a key goes into the variable of `key_env`",
        )
    if text.startswith("http://") and not text.startswith(_PLAIN):
        raise Unfit(
            "only a provider on this machine may be reached without https",
            "write `https://`, or reach it at http://127.0.0.1:PORT, through a tunnel if need be",
        )
    return text.rstrip("/")


Variable = Annotated[str, StringConstraints(pattern=r"^([A-Za-z_][A-Za-z0-9_]{0,99})?$")]
"""The name of an environment variable, or "" for none."""


class Provider(Frozen):
    """Where models are reached."""

    url: Annotated[str, StringConstraints(max_length=300), AfterValidator(_url)] = Field(
        description="The address up to, and without, the path of the protocol."
    )
    key_env: Variable = Field(
        "", description="The environment variable that holds the key; empty: none is needed."
    )
    wire: Wire = Field(Wire.CHAT, description="The protocol: chat or messages.")


class Price(Frozen):
    """US dollars for a million tokens."""

    input: Money = Field(description="What is sent to the model.")
    output: Money = Field(description="What the model writes.")
    cached: Money | None = Field(
        None, description="What is sent again and cached; the price of input where left out."
    )


class Model(Frozen):
    """One model of one provider."""

    provider: Name = Field(description="The provider, by its name under `providers`.")
    id: Line = Field(description="What the provider calls the model.")
    family: Annotated[str, StringConstraints(pattern=r"^[a-z0-9-]{0,40}$")] = Field(
        "", description="Who trained it; seats are independent only of other, known families."
    )
    price: Price | None = Field(None, description="What it costs, if the provider does not say.")
    context: Positive = Field(128_000, description="Tokens that it can look at.")
    output: Positive = Field(16_000, description="Tokens that one answer may have.")


class UnknownPrice(StrEnum):
    """What happens to a call whose cost neither the configuration nor the provider tells."""

    REFUSE = "refuse"
    ESTIMATE = "estimate"
