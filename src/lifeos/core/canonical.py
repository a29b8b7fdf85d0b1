"""One way to write a value down, so that a digest means the same everywhere."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence

Json = str | int | float | bool | None | Sequence["Json"] | Mapping[str, "Json"]

_BASE32 = "0123456789abcdefghjkmnpqrstvwxyz"


def canonical_json(value: Json) -> str:
    """Sorted keys, no spaces, UTF-8 as it is: byte for byte the same for equal values."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def sha256(data: bytes | str) -> str:
    """Hex SHA-256 of the bytes, or of the text in UTF-8."""
    return hashlib.sha256(data.encode() if isinstance(data, str) else data).hexdigest()


def digest_of(value: Json) -> str:
    """Hex SHA-256 of a value's canonical JSON."""
    return sha256(canonical_json(value))


def short_id(prefix: str, *parts: str | int, length: int = 8) -> str:
    """A readable id that follows from its parts alone, in base32 without look-alikes."""
    number = int(digest_of([*parts]), 16)
    letters = []
    for _ in range(length):
        number, index = divmod(number, 32)
        letters.append(_BASE32[index])
    return f"{prefix}-{''.join(letters)}"
