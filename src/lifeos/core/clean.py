"""Foreign text made harmless for the place it goes to: a commit, a terminal, Markdown, one line.

Foreign is all that people, agents, tools and forges wrote: titles, messages, comments, output. It
may say whatever it likes, but not act: not colour a terminal, hide a word, skip a workflow, close
an issue, call somebody, load a picture, or pass for a record or trailer of lifeos.

Every function here is idempotent for what it removes, takes any string (lone surrogates too), and
gives one that can be encoded in UTF-8.
"""

from __future__ import annotations

import re
import unicodedata

# Escape sequences: CSI and OSC/DCS/SOS/PM/APC with their ends, charset choices, single characters.
# Each piece is bounded by what it may not contain, so no input makes it slow.
_ESCAPES = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"
    r"|(?:\x1b[\]PX^_]|[\x9d\x90\x98\x9e\x9f])[^\x07\x1b\x9c\n]*(?:\x07|\x1b\\|\x9c)?"
    r"|\x1b[ -/]+[0-~]"
    r"|\x1b[0-~]?"
)
_LINE_ENDS = re.compile(r"\r\n?|[\x0b\x0c\x1c-\x1e\x85\u2028\u2029]")
# Letters and marks that show nothing, or only change how a neighbour looks. Category Cf (bidi,
# zero width, tags) is dropped as a whole.
_UNSEEN = frozenset(
    "\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u2800\u3164\uffa0"
    + "".join(map(chr, range(0xFE00, 0xFE10)))
    + "".join(map(chr, range(0xE0100, 0xE01F0)))
)
_DROPPED = frozenset({"Cc", "Cf", "Co", "Cn"})
_REPLACEMENT = "\ufffd"

# "[skip ci]", "[ci skip]", "[no ci]", "[skip actions]", "[skip-netlify]", "***NO_CI***" ...
_SKIPS = re.compile(r"\[([^\[\]\n]{0,60})\]")
_SKIP_WORD = re.compile(r"\b(?:skip|no)\b", re.IGNORECASE)
_NO_CI = re.compile(r"\*\s{0,9}NO_CI", re.IGNORECASE)
# An issue named so that a forge links or, after "fixes" and its like, closes it. There are many
# such words and they can be configured, so it is the reference that goes, wherever it stands.
_NUMBER = re.compile(r"(\w?)[#!](?=\d)")
_GH = re.compile(r"\b(GH)-(?=\d)", re.IGNORECASE)
_URL = re.compile(r"\b(https?)://", re.IGNORECASE)
_MENTION = re.compile(r"(?<![\w.+-])@(?=\w)")  # not the one inside an e-mail address
# What git, a forge or lifeos could read as a trailer, a divider or a record at the line's start.
# In the middle of a message git reads none, but others look at every line.
_TRAILER = re.compile(
    r"[A-Za-z0-9]+-[A-Za-z0-9_-]*[ \t]*[:=]"
    r"|(?:cc|bug|issue|close[sd]?|fix(?:e[sd])?|resolve[sd]?|implement(?:s|ed)?)[ \t]*[:=]"
    r"|\(cherry picked from commit ",
    re.IGNORECASE | re.ASCII,
)
_DIVIDER = re.compile(r"-{3}|diff -|Index: |From ")
_QUOTED = "> "


def visible(text: str) -> str:
    """The text without escape sequences, control, bidi and invisible characters; lines stay."""
    text = _LINE_ENDS.sub("\n", _ESCAPES.sub("", text))
    if text.isascii() and text.isprintable():
        return text
    return "".join(shown for character in text if (shown := _shown(character)))


def _shown(character: str) -> str:
    if character in "\n\t":
        return character
    category = unicodedata.category(character)
    if category == "Cs":
        return _REPLACEMENT
    return "" if category in _DROPPED or character in _UNSEEN else character


def for_terminal(text: str) -> str:
    """What a terminal may be given: nothing that moves, colours, hides or reorders."""
    return visible(text)


def one_line(text: str, limit: int = 200) -> str:
    """Inert text on one line of at most ``limit`` characters; a longer one ends in "…".

    Also good for the first line of a commit and the title of a pull request.
    """
    return _short(inert(text), limit)


def _short(text: str, limit: int) -> str:
    line = " ".join(text.split())
    return line if len(line) <= limit else line[: max(limit - 1, 0)].rstrip() + "…"


def inert(text: str) -> str:
    """Visible text without the words that CI systems and forges act on."""
    text = _SKIPS.sub(_without_brackets, visible(text))
    text = _NO_CI.sub("* NO CI", text)
    text = _GH.sub(r"\1 ", _NUMBER.sub(_numbered, text))
    return _MENTION.sub("(at)", _URL.sub(r"\1: ", text))


def _numbered(found: re.Match[str]) -> str:
    before = found.group(1)
    return f"{before} no. " if before else "no. "


def _without_brackets(found: re.Match[str]) -> str:
    inside = found.group(1)
    words = re.sub(r"[-_:.]", " ", inside)
    return f"({inside})" if _SKIP_WORD.search(words) else found.group(0)


def for_commit(text: str) -> str:
    """The body of a commit message: nothing in it is a trailer, a divider, a record or a command.

    Lines that could be one are quoted with "> "; the text neither begins nor ends with a blank.
    """
    lines = [line.rstrip() for line in inert(text).split("\n")]
    kept = [
        _QUOTED + line if _TRAILER.match(line) or _DIVIDER.match(line) else line for line in lines
    ]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(kept)).strip("\n")


def for_markdown(text: str) -> str:
    """The text as a fenced block. In it a forge renders no mention, link, picture or HTML."""
    content = visible(text).strip("\n")
    fence = "`" * max(3, _longest_run(content) + 1)
    return f"{fence}text\n{content}\n{fence}"


def code_span(text: str, limit: int = 200) -> str:
    """The text on one line as a code span; in a table too, where a pipe would end the cell."""
    line = _short(visible(text), limit).replace("|", "¦")
    if not line:
        return ""
    ticks = "`" * (_longest_run(line) + 1)
    pad = " " if line.startswith("`") or line.endswith("`") else ""
    return f"{ticks}{pad}{line}{pad}{ticks}"


def _longest_run(text: str) -> int:
    """How many backticks stand together at most."""
    return max((len(run) for run in re.findall(r"`+", text)), default=0)
