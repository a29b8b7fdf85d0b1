"""What a provider's error means: try again soon, wait, or change the configuration. Pure."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from enum import StrEnum

SHORT_WAIT = 20.0
"""Seconds that an agent may wait by itself; for longer the attempt ends, and the task waits."""

TRIES = 3
"""So many refusals in a row end the attempt, however short each wait would be."""

LEAST_WAIT = 60
CREDIT_WAIT = 3600
MOST_WAIT = 7 * 24 * 3600


class Meaning(StrEnum):
    """What to do about an error."""

    AGAIN = "again"  # the agent may try again by itself
    QUOTA = "quota"  # the provider refuses for now: the task waits
    CONFIG = "config"  # a person has to change something
    REQUEST = "request"  # this request is wrong; the agent is told


@dataclass(frozen=True)
class Trouble:
    """An error that was understood. ``wait`` in seconds, None where nobody said."""

    meaning: Meaning
    message: str
    fix: str = ""
    wait: float | None = None

    @property
    def text(self) -> str:
        """For people: what is wrong, then what to do."""
        return f"{self.message}; {self.fix}" if self.fix else self.message


@dataclass(frozen=True)
class Asked:
    """Who was asked, for messages: names of the configuration, and the address."""

    model_name: str
    model_id: str
    provider: str
    url: str
    key_env: str


_ABOUT_THE_MODEL = re.compile(
    r"model[^.]{0,80}(?:not found|not exist|does not|unknown|invalid|not a valid|no access"
    r"|not available|not supported|decommissioned|deprecated)"
    r"|not a valid model|(?:invalid|unknown|no such|unsupported)[^.]{0,20} model|model_not_found",
    re.IGNORECASE,
)
_CREDIT = re.compile(
    r"insufficient[ _](?:quota|credit|balance|fund)|credit balance|key limit exceeded",
    re.IGNORECASE,
)
_CONTENT = re.compile(r"moderation|flagged|content policy|safety", re.IGNORECASE)


def judge(status: int, headers: Mapping[str, str], body: str, asked: Asked, now: float) -> Trouble:
    """What a status that is no success means. ``headers`` by names in small letters, ``now`` in
    seconds since 1970 UTC.
    """
    where = f"provider {asked.provider}"
    key = f"${asked.key_env}" if asked.key_env else "the key (`key_env` is not set)"
    model = f"`models: {asked.model_name}: id:` in .lifeos/config.yaml"
    words = body[:4000]
    wait = wait_of(headers, now)
    if status == 402 or (status in {400, 403, 429} and _CREDIT.search(words)):
        message = f"{where} has no credit left ({status})"
        fix = "add credit there; the task waits and goes on by itself"
        return Trouble(Meaning.QUOTA, message, fix, CREDIT_WAIT if wait is None else wait)
    if status == 403 and _CONTENT.search(words):
        return Trouble(Meaning.REQUEST, f"{where} refuses what the request says ({status})")
    if status in {401, 403}:
        return Trouble(
            Meaning.CONFIG,
            f"{where} does not accept the key ({status})",
            f"set {key} to a key that may use {asked.model_id}, then `lifeos doctor`",
        )
    if status == 404 or (status in {400, 422} and _ABOUT_THE_MODEL.search(words)):
        return Trouble(
            Meaning.CONFIG,
            f"{where} does not know the model {asked.model_id} at {asked.url} ({status})",
            f"correct {model} or the provider's `url:`, then `lifeos doctor`",
        )
    if 300 <= status < 400 or status in {405, 407, 410, 426}:
        return Trouble(
            Meaning.CONFIG,
            f"{where} does not answer at {asked.url} ({status})",
            f"correct `providers: {asked.provider}: url:` in .lifeos/config.yaml",
        )
    if status in {408, 409, 425, 429} or status >= 500:
        word = "refuses more requests for now" if status == 429 else "is not able to answer now"
        return _for_now(f"{where} {word} ({status})", wait)
    return Trouble(Meaning.REQUEST, f"{where} refuses the request ({status})")


def unreachable(asked: Asked, why: str, *, certificate: bool = False) -> Trouble:
    """What it means that no answer came at all."""
    if certificate:
        return Trouble(
            Meaning.CONFIG,
            f"the certificate of {asked.url} is not valid here",
            f"correct `providers: {asked.provider}: url:`, or set $SSL_CERT_FILE to your "
            "organisation's certificates",
        )
    return _for_now(f"provider {asked.provider} cannot be reached at {asked.url}: {why}", None)


def _for_now(message: str, wait: float | None) -> Trouble:
    long = wait is not None and wait > SHORT_WAIT
    meaning = Meaning.QUOTA if long else Meaning.AGAIN
    return Trouble(meaning, message, "the task waits and goes on by itself", wait)


def wait_of(headers: Mapping[str, str], now: float) -> float | None:
    """The seconds that a provider asks to wait, from whichever header says so; None: none does."""
    for name, scale in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        seconds = _number(headers.get(name, ""))
        if seconds is not None:
            return _bounded(seconds * scale)
    moment = _moment(headers.get("retry-after", ""))
    if moment is not None:
        return _bounded(moment - now)
    for name in ("x-ratelimit-reset", "anthropic-ratelimit-tokens-reset"):
        said = headers.get(name, "")
        moment, seconds = _moment(said), _number(said)
        if seconds is not None:  # seconds from now, or since 1970 in seconds or milliseconds
            since = seconds / 1000 if seconds > 100_000_000_000 else seconds
            return _bounded(since - now if since > 1_000_000_000 else since)
        if moment is not None:
            return _bounded(moment - now)
    return None


def _number(text: str) -> float | None:
    try:
        value = float(text.strip())
    except ValueError:
        return None
    return value if math.isfinite(value) and value >= 0 else None


def _moment(text: str) -> float | None:
    for read in (parsedate_to_datetime, datetime.fromisoformat):
        try:
            value = read(text.strip())
        except (ValueError, TypeError, IndexError, OverflowError):
            continue
        if value.tzinfo is not None:
            return value.timestamp()
    return None


def _bounded(seconds: float) -> float:
    return min(max(seconds, 0.0), float(MOST_WAIT))
