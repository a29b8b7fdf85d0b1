"""Secrets in text: found by the values that are known, then by the shapes that are known.

A known value is sought in every spelling that costs no more than a search: what is encrypted or
packed is beyond this, and is kept away by not giving keys to what is not trusted.
"""

from __future__ import annotations

import base64
import json
import math
import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from urllib.parse import quote, urlsplit

from lifeos.core.secretshapes import (
    KEY_BEGIN,
    KEY_END,
    KEY_LONGEST,
    NAMED,
    PLACEHOLDER,
    SHAPES,
)

MIN_VALUE = 6
"""Known values shorter than this are not looked for: they would be found in every file."""

MIN_SPLIT = 16
"""Known values from this length on are found even when cut up by what joins literals in code."""


@dataclass(frozen=True)
class Leak:
    """One secret in a text: which rule found it, its line (from 1), and its place in characters.

    It does not carry the secret: a finding may be recorded, a secret may not.
    """

    rule: str
    line: int
    start: int
    end: int

    @property
    def known(self) -> bool:
        """Whether it is a value that was handed in, not just the shape of a secret."""
        return self.rule.startswith(_VALUE_OF)


_VALUE_OF = "value of "

_SECRET_NAME = re.compile(
    r"TOKEN|SECRET|PASSW|PASSPHRASE|API_?KEY|ACCESS_?KEY|PRIVATE|CREDENTIAL|(?:^|_)(?:PASS|PWD|PAT|KEY)$",
    re.IGNORECASE,
)


def values_of(
    environ: Mapping[str, str],
    *,
    keys: Collection[str] = (),
    handed_through: Collection[str] = (),
) -> tuple[tuple[str, str], ...]:
    """The secrets in an environment, as (name, value): what must appear in no work and no record.

    ``keys`` are variables that hold the keys of providers, whatever they are called; they are
    secrets even where ``handed_through`` (what the envelope lets inside) names them. Passwords in
    addresses (``https://user:password@host``) are secrets of their variable.
    """
    found: list[tuple[str, str]] = []
    for name, value in sorted(environ.items()):
        if name in keys or (_SECRET_NAME.search(name) and name not in handed_through):
            found.append((name, value.strip()))
        elif "://" in value and (password := _password(value)):
            found.append((name, password))
    return tuple(found)


def _password(address: str) -> str:
    """The password in an address; empty without one."""
    try:
        return urlsplit(address.strip()).password or ""
    except ValueError:
        return ""


def scan(text: str, values: Sequence[tuple[str, str]] = ()) -> tuple[Leak, ...]:
    """Every secret in ``text``, in order of place. ``values`` are known secrets as (name, value).

    Known values are looked for as they are, backwards, and as base64, base32, hex, URL encoding and
    JSON text; those of ``MIN_SPLIT`` characters or more also cut up.
    """
    found = [*_known(text, values), *_shaped(text)]
    lines = _Lines(text)
    unique = sorted({(start, -end, rule) for rule, start, end in found})
    return tuple(Leak(rule, lines.at(start), start, -end) for start, end, rule in unique)


def redact(text: str, values: Sequence[tuple[str, str]] = ()) -> str:
    """``text`` with every secret replaced by ``[redacted: rule]``; stable when applied twice."""
    return cut(text, scan(text, values))


def cut(text: str, leaks: Sequence[Leak]) -> str:
    """``text`` without the places that ``leaks`` (found in this very text) name."""
    parts: list[str] = []
    done = 0
    for leak in sorted(leaks, key=lambda leak: (leak.start, -leak.end)):
        if leak.start >= done:
            parts += [text[done : leak.start], f"[redacted: {leak.rule}]"]
        done = max(done, leak.end)
    return "".join([*parts, text[done:]])


def line_of(text: str, leak: Leak, leaks: Sequence[Leak], longest: int = 200) -> str:
    """The line of ``leak`` without any of ``leaks``, at most ``longest`` characters."""
    begin = text.rfind("\n", 0, leak.start) + 1
    stop = min(
        end if (end := text.find("\n", leak.start)) >= 0 else len(text), leak.start + 2 * longest
    )
    begin = max(begin, leak.start - longest // 2)
    inside = [
        replace(other, start=max(other.start, begin) - begin, end=min(other.end, stop) - begin)
        for other in leaks
        if other.start < stop and other.end > begin
    ]
    return cut(text[begin:stop], inside).strip()[:longest]


def as_text(data: bytes) -> str:
    """A blob as text to search: bad UTF-8 replaced, NULs dropped (so UTF-16 hides no ASCII)."""
    return data.replace(b"\0", b"").decode("utf-8", "replace")


Span = tuple[str, int, int]


def _shaped(text: str) -> Iterator[Span]:
    """Secrets by their shape."""
    for shape in SHAPES:
        if any(hint in text for hint in shape.hints):
            for match in re.finditer(shape.pattern, text):
                if not match.group().endswith("EXAMPLE"):  # the provider's own documentation keys
                    yield shape.rule, match.start(), match.end()
    for match in KEY_BEGIN.finditer(text):
        closing = KEY_END.search(text, match.end(), match.end() + KEY_LONGEST)
        yield "private key", match.start(), closing.end() if closing else match.end()
    for pattern in NAMED:
        for match in pattern.finditer(text):
            if _looks_random(match["value"]):
                yield "password in text", match.start("value"), match.end("value")


def _looks_random(value: str) -> bool:
    """Whether a value given to something named like a password looks like a real one.

    Letters and digits both, at least 3 bits of entropy a character, and nothing a placeholder says.
    """
    if PLACEHOLDER.search(value):
        return False
    mixed = any(c.isdigit() for c in value) and any(c.isalpha() for c in value)
    return mixed and _entropy(value) >= 3.0


def _entropy(value: str) -> float:
    """Shannon entropy in bits a character."""
    total = len(value)
    return -sum(n / total * math.log2(n / total) for n in Counter(value).values())


def _known(text: str, values: Sequence[tuple[str, str]]) -> Iterator[Span]:
    """Known values in ``text``, in every form of them."""
    wanted = [(name, value) for name, value in values if len(value) >= MIN_VALUE]
    if not wanted:
        return
    lower = text.lower() if text.isascii() else _ascii_lower(text)
    for name, value in wanted:
        rule = _VALUE_OF + name
        for form, folded in forms(value):
            yield from ((rule, *span) for span in _occurrences(lower if folded else text, form))
    long = [(name, value) for name, value in wanted if len(value) >= MIN_SPLIT]
    if long:
        yield from _split(text, long)


def _split(text: str, values: Sequence[tuple[str, str]]) -> Iterator[Span]:
    """Known values whose spelling is cut up: over lines, in parts of a literal, byte by byte."""
    squeezed, places = _squeeze(text)
    lower = _ascii_lower(squeezed)
    for name, value in values:
        for form, folded in (*forms(value), *_by_byte(value)):
            part = _squeeze(form)[0]
            if len(part) >= MIN_SPLIT:
                for start, end in _occurrences(lower if folded else squeezed, part):
                    yield _VALUE_OF + name, places[start], places[end - 1] + 1


def _by_byte(value: str) -> tuple[tuple[str, bool], ...]:
    """Spellings of each byte by itself, as they are when what joins them is left out."""
    raw = value.encode()
    return tuple(
        ("".join(form.format(byte) for byte in raw), True)
        for form in ("x{:02x}", "0x{:02x}", "u00{:02x}", "{:d}")
    )


def forms(value: str) -> tuple[tuple[str, bool], ...]:
    """The spellings of a known value, each with whether it is to be sought in lower case.

    Base64 comes in three alignments, without the characters that depend on the neighbours.
    """
    raw = value.encode()
    spelled = {
        (value, False),
        (json.dumps(value)[1:-1], False),
        (quote(value, safe="").lower(), True),
        (value[::-1], False),
        (base64.b32encode(raw).decode().rstrip("=").lower(), True),
    }
    spelled |= {(raw.hex(), True), ("".join(f"%{byte:02x}" for byte in raw), True)}
    for shift in range(3):
        head = -(-shift * 8 // 6)  # characters that hold bits of what stands before
        tail = (shift + len(raw)) * 8 // 6  # characters that are complete
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            form = encode(b"\0" * shift + raw).decode()[head:tail]
            if len(form) >= MIN_VALUE:
                spelled.add((form, False))
    # In lower case a URL-encoded value that needed no encoding is the value itself: that would
    # ignore case.
    plain = value.lower()
    return tuple(sorted((form, low) for form, low in spelled if not (low and form == plain)))


def _ascii_lower(text: str) -> str:
    """Lower case that never changes the length (``İ`` would become two characters)."""
    return text.translate({code: code + 32 for code in range(65, 91)})


def _occurrences(text: str, part: str) -> Iterator[tuple[int, int]]:
    """Where ``part`` occurs in ``text``, without overlaps."""
    place = text.find(part)
    while part and place >= 0:
        yield place, place + len(part)
        place = text.find(part, place + len(part))


_JOINTS = re.compile(r"[^\s'\"`+,\\()\[\]]+")


def _squeeze(text: str) -> tuple[str, list[int]]:
    """``text`` without what joins parts of a literal in source code, and where each character
    stood.
    """
    kept: list[str] = []
    places: list[int] = []
    for match in _JOINTS.finditer(text):
        kept.append(match.group())
        places.extend(range(match.start(), match.end()))
    return "".join(kept), places


class _Lines:
    """Line numbers of places in one text."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._place = 0
        self._line = 1

    def at(self, place: int) -> int:
        """The line of ``place``, from 1; places must be asked in rising order."""
        self._line += self._text.count("\n", self._place, place)
        self._place = place
        return self._line
