"""What a recipe says that it does, read from its words: a hint for people, never a judgement.

A shell program can hide anything it does; what counts is what it changed. Reading takes time in
proportion to the text.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass

from lifeos.core import globs

LONGEST_LINE = 2000
_OPERATOR = re.compile(r"[();<>|&]+$")
_ASSIGNED = re.compile(r"[A-Za-z_]\w*=")
_PATH = re.compile(r"[\w.@+*?-][\w./@+*?-]*")
_SUBSTITUTION = re.compile(r"[sy]?/.*/[a-zA-Z0-9]*$")
_HEREDOC = re.compile(r"<<-?\s*(['\"]?)(\w+)\1")

_KEYWORDS = frozenset({"do", "then", "else", "elif", "if", "while", "until", "!", "{", "}"})
_DELETE = frozenset({"rm", "rmdir", "unlink", "shred", "mv"})
_WRITE = _DELETE | {"tee", "touch", "cp", "truncate", "ln", "install", "chmod", "sed", "perl"}
_GIT_DELETE = frozenset({"rm", "mv", "clean"})
_NETWORK = frozenset({"curl", "wget", "ssh", "scp", "rsync", "apt", "apt-get", "nc", "ftp"})
_FETCHERS = {
    "git": ("clone", "fetch", "pull", "push"),
    "pip": ("install", "download"),
    "pip3": ("install", "download"),
    "npm": ("install", "ci", "update"),
    "yarn": ("install", "add"),
    "pnpm": ("install", "add"),
    "cargo": ("install", "update", "add"),
    "go": ("get", "install"),
    "gem": ("install",),
    "uv": ("sync", "lock", "add"),
    "docker": ("pull", "push"),
}


@dataclass(frozen=True)
class Reading:
    """What the blocks of a task say, each thing once and in the order of the text.

    ``writes`` are paths that a command seems to change, ``mentions`` all that look like paths of
    the repository; ``deletes`` and ``network`` are the commands that delete, and that need a
    network.
    """

    writes: tuple[str, ...] = ()
    mentions: tuple[str, ...] = ()
    deletes: tuple[str, ...] = ()
    network: tuple[str, ...] = ()
    reads_feedback: bool = False


def read(blocks: tuple[str, ...]) -> Reading:
    """Read the recipe blocks of a task."""
    writes: list[str] = []
    mentions: list[str] = []
    deletes: list[str] = []
    network: list[str] = []
    for words in (words for block in blocks for words in _commands(block)):
        plain = [word for word in words if not word.startswith(">")]
        named, written = _paths(words)
        mentions += named
        writes += written
        deletes += [" ".join(plain)] if _deletes(plain) else []
        network += [" ".join(plain)] if _needs_network(plain) else []
    return Reading(
        writes=tuple(dict.fromkeys(writes)),
        mentions=tuple(dict.fromkeys(mentions)),
        deletes=tuple(dict.fromkeys(deletes)),
        network=tuple(dict.fromkeys(network)),
        reads_feedback=any("LIFEOS_FEEDBACK" in block for block in blocks),
    )


def outside(paths: tuple[str, ...], scope: tuple[str, ...]) -> tuple[str, ...]:
    """The paths that no pattern of the scope covers, or could cover; none without a scope."""
    if not scope:
        return ()
    return tuple(p for p in paths if not any(globs.may_overlap(each, p) for each in scope))


def _commands(block: str) -> Iterator[list[str]]:
    """The simple commands, each as its words; the target of a redirection is marked with ``>``."""
    for line in _lines(block):
        words: list[str] = []
        target = False
        for token in _tokens(line):
            if _OPERATOR.fullmatch(token):
                target = ">" in token and not token.endswith("&")
                if not target and "<" not in token:
                    yield from [words] if words else []
                    words = []
                continue
            if target:
                words.append(f">{token}")
            elif words or not (_ASSIGNED.match(token) or token in _KEYWORDS):
                words.append(token)
            target = False
        if words:
            yield words


def _lines(block: str) -> Iterator[str]:
    """The lines of the program, continued ones joined, without what is in here-documents."""
    end = held = ""
    for raw in block.split("\n"):
        if end:
            end = "" if raw.strip() == end else end
            continue
        line = held + raw
        if line.endswith("\\") and len(line) < LONGEST_LINE:
            held = line[:-1]
            continue
        held = ""
        found = _HEREDOC.search(line[:LONGEST_LINE])
        if found:
            end = found.group(2)
            line = line.replace(found.group(), "", 1)
        yield line[:LONGEST_LINE]
    if held:
        yield held


def _tokens(line: str) -> list[str]:
    lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    try:
        return list(lexer)
    except ValueError:  # a quote that ends on another line: what it holds is data
        return []


def _paths(words: list[str]) -> tuple[list[str], list[str]]:
    """(mentioned, written) paths of one command."""
    program = words[0].rpartition("/")[2]
    in_place = program not in ("sed", "perl") or any(w.startswith(("-i", "-pi")) for w in words)
    writer = (program in _WRITE and in_place) or (program == "git" and _verb(words) in _GIT_DELETE)
    mentioned, written = [], []
    for position, word in enumerate(words):
        target = word.startswith(">")
        path = word[1:] if target else word
        if not _is_path(path) or (position == 0 and not target):
            continue
        named = target or (writer and position > 0)
        last = path.rstrip("/").rpartition("/")[2]
        if named and not _is_expression(path, program) and not _is_verb(position, program):
            mentioned.append(_clean(path))
            written.append(_clean(path))
        elif "/" in path and ("." in last or "*" in last) and not _SUBSTITUTION.match(path):
            mentioned.append(_clean(path))
    return mentioned, written


def _is_path(word: str) -> bool:
    """A relative path that is spelled out."""
    parts = word.split("/")
    return bool(_PATH.fullmatch(word)) and not word.startswith("-") and ".." not in parts


def _is_expression(word: str, program: str) -> bool:
    """Whether a word of ``sed`` or ``chmod`` is what to do, not where."""
    if program in ("sed", "perl"):
        return bool(_SUBSTITUTION.match(word)) or ("." not in word and "/" not in word)
    return program == "chmod" and bool(re.fullmatch(r"[0-7]{3,4}|[ugoa]*[+=-][rwxXst]+", word))


def _is_verb(position: int, program: str) -> bool:
    return program == "git" and position == 1


def _clean(path: str) -> str:
    return path.removeprefix("./").rstrip("/") or path


def _verb(words: list[str]) -> str:
    return next((word for word in words[1:] if not word.startswith("-")), "")


def _deletes(words: list[str]) -> bool:
    program = words[0].rpartition("/")[2] if words else ""
    return (
        program in _DELETE
        or (program == "git" and _verb(words) in _GIT_DELETE)
        or (program == "find" and "-delete" in words)
    )


def _needs_network(words: list[str]) -> bool:
    program = words[0].rpartition("/")[2] if words else ""
    if program in ("python", "python3") and words[1:3] == ["-m", "pip"]:
        return True
    return program in _NETWORK or _verb(words) in _FETCHERS.get(program, ())
