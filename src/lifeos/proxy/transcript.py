"""What is kept of a conversation with a model: capped, and without secrets."""

from __future__ import annotations

import json
import threading
from collections import deque
from collections.abc import Sequence

from lifeos.core.leaks import redact

_LONGEST = 32 * 1024


class Transcript:
    """Lines of JSON, at most so many bytes: the first quarter stays, then the latest lines."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._lock = threading.Lock()
        self._first: list[bytes] = []
        self._latest: deque[bytes] = deque()
        self._first_size = 0
        self._latest_size = 0
        self._dropped = 0

    def add(self, secrets: Sequence[tuple[str, str]], **fields: str | int | Sequence[str]) -> None:
        """One line. ``secrets`` as (name, value), beside what looks like one anyway."""
        if self.limit == 0:
            return
        clean = {name: self._clean(value, secrets) for name, value in fields.items()}
        line = json.dumps(clean, ensure_ascii=False).encode("utf-8", "replace") + b"\n"
        with self._lock:
            if not self._latest and self._first_size + len(line) <= self.limit // 4:
                self._first.append(line)
                self._first_size += len(line)
                return
            self._latest.append(line)
            self._latest_size += len(line)
            while self._latest and self._latest_size > self.limit - self._first_size - 100:
                self._latest_size -= len(self._latest.popleft())
                self._dropped += 1

    def lines(self) -> bytes:
        """All that is kept; where something was left out, a line says how much."""
        with self._lock:
            gap = [json.dumps({"left_out": self._dropped}).encode() + b"\n"] * bool(self._dropped)
            return b"".join([*self._first, *gap, *self._latest])

    def _clean(
        self, value: str | int | Sequence[str], secrets: Sequence[tuple[str, str]]
    ) -> str | int | list[str]:
        if isinstance(value, int):
            return value
        if isinstance(value, str):
            # Redacted before it is cut: half a secret would not be recognised.
            clean = redact(value[: 2 * _LONGEST], secrets)
            if len(value) > 2 * _LONGEST:
                clean = clean[:-2000]  # where half a secret may stand
            longest = max(200, min(_LONGEST, self.limit // 8))
            return clean if len(clean) <= longest else clean[:longest] + " […]"
        return [str(self._clean(each, secrets)) for each in value[:64]]
