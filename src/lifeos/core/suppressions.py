"""Comments that switch off a rule where they stand: ``# noqa``, ``eslint-disable`` and the like."""

from __future__ import annotations

import re
import tokenize
from collections import Counter
from collections.abc import Iterator, Sequence

from lifeos.core.strictness import Relaxed

LONGEST = 400
"""Characters of a line that are looked at."""

_PYTHON = re.compile(
    r"#\s{0,4}(?:(?:ruff|flake8):\s{0,4})?(?:noqa\b"
    r"(?::\s{0,4}[A-Z]{1,5}\d{0,5}(?:[,\s]{1,3}[A-Z]{1,5}\d{1,5}){0,20})?"
    r"|type:\s{0,4}ignore(?:\[[^\]]{0,100}\])?"
    r"|pyright:\s{0,4}(?:ignore|basic)(?:\[[^\]]{0,100}\])?"
    r"|mypy:\s{0,4}[\w-]{1,40}|pylint:\s{0,4}(?:disable|skip-file)[\w=, -]{0,100}"
    r"|nosec\b[\w, ]{0,40}"
    r"|pragma:\s{0,4}no\s{0,2}(?:cover|branch|mutate))"
)  # fmt: skip
_OTHER = re.compile(
    r"(?:eslint-disable(?:-next-line|-line)?|tslint:disable(?:-next-line|-line)?"
    r"|@ts-(?:ignore|nocheck|expect-error)|(?:istanbul|c8|v8) ignore|biome-ignore|oxlint-disable"
    r"|//\s{0,2}nolint|NOLINT(?:NEXTLINE|BEGIN)?\b|#!?\[allow\(|@SuppressWarnings"
    r"|@file:Suppress|@Suppress\(|rubocop:(?:disable|todo)|shellcheck disable="
    r"|phpstan-ignore|phpcs:ignore"
    r"|#pragma warning disable|ExcludeFromCodeCoverage|LCOV_EXCL|:nocov:"
    r"|swiftlint:disable|gosec:|#nosec)"
    r"[^\n*]{0,80}"
)  # fmt: skip
_ENDINGS = (
    *("js", "jsx", "ts", "tsx", "mjs", "cjs", "mts", "cts", "vue", "svelte", "go", "rs", "java"),
    *("kt", "kts", "rb", "c", "h", "cc", "cpp", "hpp", "cs", "php", "swift", "scala", "sh", "bash"),
)


def silenced(texts: Sequence[tuple[str, str, str | None]]) -> Iterator[Relaxed]:
    """Comments of this sort that are new; ``texts`` are (path, old, new) of all changed files.

    A comment that moved to another line or file is not new, nor is one on a line that changed; one
    that covers more than before (``# noqa: E501`` to ``# noqa``) is. In a new file none is asked
    about: nothing there was held to a rule before, and honest code often needs some.
    """
    balance: Counter[str] = Counter()
    for path, old, new in texts:
        balance.subtract(mark for _, mark, _ in _marks(path, old))
        balance.update(mark for _, mark, _ in _marks(path, new or ""))
    for path, old, new in texts:
        if not old:
            continue
        known = Counter(line for _, _, line in _marks(path, old))
        for number, mark, line in _marks(path, new or ""):
            known[line] -= 1
            if known[line] < 0 and balance[mark] > 0:
                balance[mark] -= 1
                yield Relaxed(path, f"a rule is switched off: {mark[:80]}", number, line)


def _marks(path: str, text: str) -> Iterator[tuple[int, str, str]]:
    """Line, comment and the whole line of each."""
    ending = path.rpartition(".")[2].lower()
    if ending in ("py", "pyi"):
        yield from _in_python(text)
    elif ending in _ENDINGS:
        for number, line in enumerate(text.split("\n"), 1):
            for match in _OTHER.finditer(line[:LONGEST]):
                yield number, " ".join(match.group().split()), line.strip()[:200]


def _in_python(text: str) -> Iterator[tuple[int, str, str]]:
    """By its comments, so that a text that speaks of them is none."""
    if "#" not in text:
        return
    found: list[tuple[int, str, str]] = []
    try:
        for token in tokenize.generate_tokens(iter(text.splitlines(keepends=True)).__next__):
            if token.type == tokenize.COMMENT:
                for match in _PYTHON.finditer(token.string[:LONGEST]):
                    mark = " ".join(match.group().split())
                    found.append((token.start[0], mark, token.line.strip()[:200]))
    except (tokenize.TokenError, SyntaxError, RecursionError, MemoryError):
        pass  # that it does not parse is said by the check of its syntax
    yield from found
