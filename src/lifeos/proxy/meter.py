"""The meter of an attempt: what all of its calls together may use, kept before, in and after each.

The rule: before a call is sent, its worst case is set aside, and no call is sent whose worst case
does not fit beside what was used and what is set aside for others. The worst case is a token for
two bytes sent (the model's context at most) and as many tokens as the answer may have, at the price
of the configuration. While others are under way a call that does not fit waits for them to end;
alone, its answer is made shorter until it fits. One that cannot have ``LEAST`` tokens ends the
attempt. So seats that run side by side cannot together use more than one alone.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from lifeos.core.modelanswer import Used, price_of
from lifeos.core.policy.models import Price
from lifeos.core.receipt import Receipt, total
from lifeos.model import FailureClass, Usage
from lifeos.proxy.route import Allowance, Route
from lifeos.proxy.transcript import Transcript


def _nowhere(_receipt: Receipt) -> None:
    """Keep a receipt in memory alone."""


LEAST = 256
"""Tokens of an answer below which a call is not worth sending."""

_LEARNED = 1.5  # how much dearer than the dearest so far the next call may be


@dataclass(frozen=True)
class Grant:
    """What is set aside for one call: an answer of ``tokens_out``, and the whole in both units."""

    tokens_out: int
    tokens: int
    cost: float


@dataclass(frozen=True)
class Wish:
    """One call before it is sent: its size in bytes, and the most tokens that it asks for."""

    route: Route
    size: int
    tokens_out: int

    @property
    def tokens_in(self) -> int:
        """The most that it can send."""
        return min(self.route.model.context, -(-self.size // 2) + 16)


class Stop(StrEnum):
    """Why an attempt has to end, as its meter says it."""

    REQUESTS = "requests"
    TOKENS = "tokens"
    COST = "cost"
    REPEATS = "repeats"
    QUOTA = "quota"
    CONFIG = "config"
    PRICE = "price"

    @property
    def failure(self) -> FailureClass:
        """What an agent that was ended for it has failed as, whatever its program."""
        match self:
            case Stop.REQUESTS | Stop.TOKENS | Stop.COST:
                return FailureClass.BUDGET_EXCEEDED
            case Stop.REPEATS:
                return FailureClass.TOOL_ERROR
            case Stop.QUOTA:
                return FailureClass.QUOTA
            case Stop.CONFIG | Stop.PRICE:
                return FailureClass.CONFIG_ERROR


REFUSALS = frozenset({Stop.QUOTA, Stop.CONFIG})
"""The provider refuses, which says nothing about the work."""


class Meter:
    """Counts the calls of one attempt (all of its seats together), and says when to stop.

    ``stop`` says why the attempt has to end (None while it need not); ``message`` says it for
    people, with the next action.
    ``wake_after`` are the seconds to wait, with quota. ``refused`` counts the requests that were
    not sent on because of what they were. ``journal`` is told each receipt as soon as there is one.
    """

    def __init__(self, allowance: Allowance, journal: Callable[[Receipt], None] = _nowhere) -> None:
        self.allowance = allowance
        self._journal = journal
        self.stop: Stop | None = None
        self.message = ""
        self.wake_after: int | None = None
        self.refused = 0
        self.record = Transcript(allowance.limits.transcript_kb * 1024)
        self._changed = threading.Condition()
        self._receipts: list[Receipt] = []
        self._under_way: dict[int, Grant] = {}
        self._sent = 0
        self._dearness: dict[str, float] = {}  # by model: real cost by that of the estimate

    @property
    def receipts(self) -> tuple[Receipt, ...]:
        """All calls so far, in the order in which they ended."""
        with self._changed:
            return tuple(self._receipts)

    @property
    def usage(self) -> Usage:
        """What they used together."""
        return total(self.receipts)

    def transcript(self) -> bytes:
        """The conversation in lines of JSON, without secrets, cut to its limit."""
        return self.record.lines()

    def end(self, stop: Stop, message: str, wake_after: int | None = None) -> None:
        """The attempt has to end. The first reason stays."""
        with self._changed:
            if not self.stop:
                self.message, self.wake_after = message, wake_after
                self.stop = stop  # last: whoever sees it may read the others
            self._changed.notify_all()

    def refuse(self) -> None:
        """One request was refused; as many as may be sent are the end as well."""
        with self._changed:
            self.refused += 1
            too_many = self.refused >= self.allowance.limits.requests
        if too_many:
            self.end(
                Stop.REQUESTS,
                f"the agent made {self.refused} requests that are not allowed; the transcript says "
                "which: set up the agent so that it does not make them",
            )

    def reserve(self, wish: Wish, waiting: Callable[[], bool]) -> Grant | None:
        """Set aside what a call may need; None when the attempt has to end, or ``waiting`` says no.

        Blocks while only other calls stand in the way. ``waiting`` is asked about twice a second.
        """
        with self._changed:
            while not self.stop:
                if self._sent >= self.allowance.limits.requests:
                    break
                grant = self._fitting(wish)
                if grant is not None:
                    self._sent += 1
                    self._under_way[id(grant)] = grant
                    return grant
                if not self._under_way:
                    break
                self._changed.wait(0.5)
                if not waiting():
                    return None
        if not self.stop:
            self._end_for(wish)
        return None

    def settle(self, grant: Grant, receipt: Receipt) -> bool:
        """A call has ended: its receipt takes the place of what was set aside. Once: else False."""
        with self._changed:
            if self._under_way.pop(id(grant), None) is None:
                return False
            self._receipts.append(receipt)
            self._journal(receipt)
            self._changed.notify_all()
            return True

    def learn(self, route: Route, used: Used) -> None:
        """A provider told a cost: estimates for this model need not be so far on the safe side."""
        assumed = price_of(self.allowance.limits.estimate, used.tokens_in, used.tokens_out)
        if route.model.price is None and used.known and used.counted and assumed > 0:
            with self._changed:
                share = used.cost / assumed * _LEARNED
                self._dearness[route.name] = max(self._dearness.get(route.name, 0.0), share)

    def _price(self, route: Route) -> tuple[Price, float]:
        if route.model.price is not None:
            return route.model.price, 1.0
        return self.allowance.limits.estimate, self._dearness.get(route.name, 1.0)

    def _left(self) -> tuple[int, float | None]:
        """What nobody has used or set aside: tokens, and US dollars."""
        tokens = sum(r.tokens for r in self._receipts)
        tokens += sum(g.tokens for g in self._under_way.values())
        cost = sum(r.cost for r in self._receipts)
        cost += sum(g.cost for g in self._under_way.values())
        limit = self.allowance.cost
        return self.allowance.tokens - tokens, None if limit is None else limit - cost

    def _fitting(self, wish: Wish) -> Grant | None:
        """The longest answer that fits; whole while others are under way, shorter only alone."""
        tokens, money = self._left()
        price, share = self._price(wish.route)
        room = tokens - wish.tokens_in
        fixed = price_of(price, wish.tokens_in, 0, written=wish.tokens_in) * share
        if money is not None:
            each = price.output * share / 1_000_000
            if money < fixed:
                return None
            room = min(room, int((money - fixed) / each)) if each > 0 else room
        alone = not self._under_way
        if room < (min(LEAST, wish.tokens_out) if alone else wish.tokens_out):
            return None
        answer = min(room, wish.tokens_out)
        cost = fixed + price_of(price, 0, answer) * share
        return Grant(answer, wish.tokens_in + answer, cost)

    def _end_for(self, wish: Wish) -> None:
        """End the attempt for the limit that stands in the way of this call."""
        limits = self.allowance.limits
        with self._changed:
            tokens, _ = self._left()
            sent = self._sent
        usage = self.usage
        if sent >= limits.requests:
            self.end(
                Stop.REQUESTS,
                f"the attempt has made its {limits.requests} requests to the model; make the task "
                "smaller, or raise `agent: requests:` in policies/envelope.yaml",
            )
        elif tokens < wish.tokens_in + min(LEAST, wish.tokens_out):
            self.end(
                Stop.TOKENS,
                f"the attempt used {usage.tokens} of its {self.allowance.tokens} tokens, and the "
                "next call could go beyond; make the task smaller, or raise `agent: tokens:` in "
                "policies/envelope.yaml and `tokens_per_run` in policies/loop.yaml",
            )
        else:
            self.end(
                Stop.COST,
                f"the attempt used ${usage.cost:.4f} of its ${self.allowance.cost or 0.0:.4f}, and "
                "the next call could go beyond; make the task smaller, or raise "
                "`reserve_per_attempt` in policies/loop.yaml",
            )
