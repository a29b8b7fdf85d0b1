"""What the calls through one door have in common: whose they are, and what came before."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from lifeos.core.modelcall import Checked, digest
from lifeos.core.modelerror import LEAST_WAIT, TRIES, Meaning, Trouble
from lifeos.proxy.meter import Meter, Stop
from lifeos.proxy.outlet import Outlet, Redactor
from lifeos.proxy.route import Route


@dataclass(frozen=True)
class Party:
    """Whose calls these are."""

    route: Route
    meter: Meter
    stage: str
    seat: str
    clock: Callable[[], float]
    told: Callable[[str], None]


class Line:
    """What the calls through one door have in common: the provider, and what came before."""

    def __init__(self, party: Party, outlet: Outlet) -> None:
        self.party = party
        self.outlet = outlet
        self.redactor = Redactor(party.route.key)
        self.closing = threading.Event()
        self._lock = threading.Lock()
        self._heard = party.clock()
        self._refusals = 0  # of the provider, in a row
        self._errors: Counter[str] = Counter()  # the same error, in a row
        self._answered: Counter[str] = Counter()  # the same request, answered
        self._seen: set[str] = set()  # messages that are in the transcript

    def touch(self) -> None:
        """Something went through."""
        self._heard = self.party.clock()

    def heard(self) -> float:
        """Seconds since something went through."""
        return max(0.0, self.party.clock() - self._heard)

    def waiting(self) -> bool:
        """Asked while a call waits for its turn: that is no silence."""
        self.touch()
        return not self.closing.is_set()

    def well(self, request: str) -> None:
        """The provider answered this request."""
        with self._lock:
            self._refusals = 0
            self._errors.clear()
            self._answered[request] += 1

    def repeated(self, request: str) -> bool:
        """Whether this very request was answered as often as may be."""
        return self._answered[request] >= self.party.meter.allowance.limits.repeats

    def ill(self, trouble: Trouble, key: str) -> None:
        """The provider refused: ends the attempt if it has to end."""
        meter = self.party.meter
        with self._lock:
            if trouble.meaning in {Meaning.AGAIN, Meaning.QUOTA}:
                self._refusals += 1
            again = self._errors[key] + 1
            self._errors.clear()
            self._errors[key] = again
            last = self._refusals >= TRIES
        if trouble.meaning is Meaning.CONFIG:
            meter.end(Stop.CONFIG, trouble.text)
        elif trouble.meaning is Meaning.QUOTA or (trouble.meaning is Meaning.AGAIN and last):
            # Where the provider does not say, the policy does: the backoff of `quota`.
            wait = None if trouble.wait is None else round(max(LEAST_WAIT, trouble.wait))
            meter.end(Stop.QUOTA, trouble.text, wait)
        elif trouble.meaning is Meaning.REQUEST and again >= meter.allowance.limits.repeats:
            told = f"{trouble.message}, {again} times in a row for the same reason"
            meter.end(Stop.REPEATS, told)

    def tell(self, checked: Checked) -> None:
        """Put what is new in a conversation into the transcript."""
        for message in checked.messages:
            known = digest(message)
            with self._lock:
                new = known not in self._seen
                self._seen.add(known)
            if new:
                content = {k: v for k, v in message.items() if k != "role"}
                said = content["content"] if set(content) == {"content"} else content
                text = said if isinstance(said, str) else json.dumps(said, ensure_ascii=False)
                self.note(role=str(message.get("role")), text=text)

    def note(self, **fields: str | list[str]) -> None:
        """One line of the transcript."""
        names = {"stage": self.party.stage, "seat": self.party.seat}
        secrets = (("key", self.party.route.key),)
        self.party.meter.record.add(secrets, **names, **fields)
