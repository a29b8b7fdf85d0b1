"""Secrets in text: found by the values that are known, then by the shapes that are known.

Every pattern is linear: fixed prefixes, bounded repeats, and a look-behind that keeps a match from
starting inside the run of characters that it would repeat (else a megabyte of ``eyJ-eyJ-…`` is
scanned a thousand times).
"""

from __future__ import annotations

import base64
import json
import math
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from urllib.parse import quote

MIN_VALUE = 6
"""Known values shorter than this are not looked for: they would be found in every file."""

MIN_SPLIT = 16
"""Known values from this length on are found even when cut up by quotes, spaces, commas and plus
signs.
"""


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

_WORD = r"(?<![A-Za-z0-9_-])"
_SHAPES: tuple[tuple[str, re.Pattern[str]], ...] = tuple(
    (rule, re.compile(pattern))
    for rule, pattern in (
        ("AWS access key", r"(?<![A-Za-z0-9])(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16}(?![A-Za-z0-9])"),
        ("GitHub token", r"(?<![A-Za-z0-9])gh[pousr]_[A-Za-z0-9]{36,255}"),
        ("GitHub token", r"(?<![A-Za-z0-9_])github_pat_[A-Za-z0-9_]{22,255}"),
        ("GitLab token", _WORD + r"glpat-[A-Za-z0-9_-]{20,255}"),
        ("Slack token", _WORD + r"xox[abeoprs]-[A-Za-z0-9-]{10,255}"),
        (
            "Slack webhook",
            r"hooks\.slack\.com/services/T[A-Za-z0-9]{6,16}/B[A-Za-z0-9]{6,16}/\w{16,64}",
        ),
        ("Google API key", _WORD + r"AIza[A-Za-z0-9_-]{35}(?![A-Za-z0-9_-])"),
        ("Stripe key", r"(?<![A-Za-z0-9_])[rs]k_(?:live|test)_[A-Za-z0-9]{16,255}"),
        ("model provider key", _WORD + r"sk-(?:ant-|proj-|or-|svcacct-)[A-Za-z0-9_-]{24,255}"),
        ("model provider key", _WORD + r"sk-[A-Za-z0-9]{40,255}"),
        ("npm token", r"(?<![A-Za-z0-9_])npm_[A-Za-z0-9]{36}(?![A-Za-z0-9])"),
        ("PyPI token", _WORD + r"pypi-AgE[A-Za-z0-9_-]{50,255}"),
        (
            "JSON web token",
            _WORD
            + r"eyJ[A-Za-z0-9_-]{10,4000}+\.eyJ[A-Za-z0-9_-]{10,4000}+\.[A-Za-z0-9_-]{10,1000}",
        ),
    )
)
_KEY_BEGIN = re.compile(r"-----BEGIN (?:[A-Z0-9]{1,20} ){0,3}PRIVATE KEY(?: BLOCK)?-----")
_KEY_END = re.compile(r"-----END (?:[A-Z0-9]{1,20} ){0,3}PRIVATE KEY(?: BLOCK)?-----")
_KEY_LONGEST = 20_000

_ASSIGNED = re.compile(
    r"(?:passw(?:or)?d|passphrase|secret|token|api[_-]?key|access[_-]?key|private[_-]?key|credential)s?"
    r"[A-Za-z0-9_-]{0,20}['\"]?\]?[ \t]{0,8}(?::=|=>|[:=])[ \t]{0,8}(['\"])([^'\"\s]{8,200})\1",
    re.IGNORECASE,
)
_DOTENV = re.compile(
    r"^[+\- ]?(?:export )?[A-Z0-9_]{0,40}(?:PASSWORD|SECRET|TOKEN|API_?KEY|ACCESS_KEY)"
    r"[A-Z0-9_]{0,40}=([^\s'\"#]{12,200})[ \t]*$",
    re.MULTILINE,
)
_PLACEHOLDER = re.compile(
    r"example|changeme|change-me|placeholder|your[-_ ]|dummy|fake|sample|redacted|xxxx|1234567"
    r"|\.\.\.|\*\*\*|\$\{|\$\(|\{\{|%\(|<[a-z]|process\.env|os\.environ|getenv|secrets\.|://",
    re.IGNORECASE,
)


def scan(text: str, values: Sequence[tuple[str, str]] = ()) -> tuple[Leak, ...]:
    """Every secret in ``text``, in order of place. ``values`` are known secrets as (name, value).

    Known values are looked for as they are and as base64, hex, URL encoding and JSON text.
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
    for rule, pattern in _SHAPES:
        for match in pattern.finditer(text):
            if not match.group().endswith("EXAMPLE"):  # the provider's own documentation keys
                yield rule, match.start(), match.end()
    for match in _KEY_BEGIN.finditer(text):
        closing = _KEY_END.search(text, match.end(), match.end() + _KEY_LONGEST)
        yield "private key", match.start(), closing.end() if closing else match.end()
    for match in _ASSIGNED.finditer(text):
        if _looks_random(match.group(2)):
            yield "password in text", match.start(2), match.end(2)
    for match in _DOTENV.finditer(text):
        if _looks_random(match.group(1)):
            yield "password in text", match.start(1), match.end(1)


def _looks_random(value: str) -> bool:
    """Whether a value given to something named like a password looks like a real one.

    Letters and digits both, at least 3 bits of entropy a character, and nothing a placeholder says.
    """
    if _PLACEHOLDER.search(value):
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
    if any(len(value) >= MIN_SPLIT for _, value in wanted):
        squeezed, places = _squeeze(text)
        for name, value in wanted:
            part = _squeeze(value)[0]
            if len(part) >= MIN_SPLIT:
                for start, end in _occurrences(squeezed, part):
                    yield _VALUE_OF + name, places[start], places[end - 1] + 1


def forms(value: str) -> tuple[tuple[str, bool], ...]:
    """The spellings of a known value, each with whether it is to be sought in lower case.

    Base64 comes in three alignments, without the characters that depend on the neighbours.
    """
    raw = value.encode()
    spelled = {
        (value, False),
        (json.dumps(value)[1:-1], False),
        (quote(value, safe="").lower(), True),
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
