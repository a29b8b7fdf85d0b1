"""What an agent is about to do, in one line for people, from its call of a tool."""

from __future__ import annotations

import json
from collections.abc import Mapping

ABOUT = 100  # characters of a description for people

#: What to show of a tool's input, and the word before it; names as common agents have them.
_SHOWN = {
    "bash": ("runs", "command"),
    "shell": ("runs", "command"),
    "edit": ("edits", "filePath"),
    "write": ("writes", "filePath"),
    "read": ("reads", "filePath"),
    "grep": ("searches for", "pattern"),
    "glob": ("looks for", "pattern"),
    "list": ("lists", "path"),
    "webfetch": ("asks for", "url"),
    "websearch": ("searches the web for", "query"),
}


def about(name: str, given: Mapping[str, object]) -> str:
    """``runs: pytest -q``. The spelling of names and of ``file_path`` differs between agents."""
    word, key = _SHOWN.get(name.casefold(), (f"uses {name}", ""))
    value = given.get(key) if key else None
    if value is None and key == "filePath":
        value = given.get("file_path")
    shown = printable(value.removeprefix("/work/")) if isinstance(value, str) else ""
    return f"{printable(word, 60)}: {shown}" if shown else printable(word, 60)


def about_call(name: str, arguments: str) -> str:
    """The same from a call as a model writes it: the arguments are JSON in a text."""
    try:
        given = json.loads(arguments)
    except (ValueError, RecursionError):
        given = {}
    return about(name, given if isinstance(given, dict) else {})


def printable(text: str, most: int = ABOUT) -> str:
    """Foreign text as one short line without control characters, else word for word: a command is
    shown as it is typed. (``clean.one_line`` also takes out what a forge acts on.)
    """
    plain = " ".join("".join(c if c.isprintable() else " " for c in text[: most * 4]).split())
    return plain if len(plain) <= most else plain[: most - 1] + "…"
