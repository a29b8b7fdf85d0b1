"""The file of an answer, `.lifeos/queue/ITEM.approval.yaml`: written, read, and refused by name."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass

from lifeos.errors import UsageError
from lifeos.model import Decision

QUEUE = ".lifeos/queue"
COMMENT_LIMIT = 2000  # characters
FILE_LIMIT = 5000  # bytes; the file goes whole into a record of at most 8 KiB

_SUFFIX = ".approval.yaml"
_NEEDED = ("item", "decision", "subject")
_KEYS = (*_NEEDED, "comment")
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,63}")
_DIGEST = re.compile(r"[0-9a-f]{64}")
# What strict YAML refuses: control, direction and invisible characters (also as JSON escapes).
_HIDDEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]"
)


@dataclass(frozen=True)
class AnswerFile:
    """What an answer's file says; ``raw`` is the file."""

    item: str
    decision: Decision
    subject: str
    comment: str
    raw: str


@dataclass(frozen=True)
class Refusal:
    """Why an answer does not count, and what to do. It never resumes a run."""

    item: str
    reason: str
    fix: str

    def __str__(self) -> str:
        return f"the answer to {self.item} does not count: {self.reason}\n  fix: {self.fix}"


def answer_path(item: str) -> str:
    """Where the answer to an item is written. Raises ``UsageError`` for what is no item's id."""
    if not _ID.fullmatch(item):
        raise UsageError(f"{item[:80]!r} is not the id of a queue item", "lifeos queue lists them")
    return f"{QUEUE}/{item}{_SUFFIX}"


def item_of(name: str) -> str | None:
    """The item that a file of the queue folder answers, by its name; None: it is no answer.

    In any case of letters, so that a file written in another one is refused and not overlooked.
    """
    if not name.lower().endswith(_SUFFIX):
        return None
    item = name[: -len(_SUFFIX)]
    return item if _ID.fullmatch(item) else None


def stray_answer(name: str, *, folder: bool = False) -> Refusal | None:
    """Why something in the queue folder that a person may take for an answer is none.

    None for what is an answer by its name, and for what nobody takes for one. The name is shown
    with escapes: what makes it another one may not be visible.
    """
    if not folder and (item_of(name) is not None or "approval" not in name.lower()):
        return None
    shown = ascii(name)[1:-1][:120]
    if folder:
        return Refusal(
            shown,
            "it is in a folder of its own",
            f"answers lie in {QUEUE} itself: move the files there, or remove the folder",
        )
    return Refusal(
        shown,
        f"its name is not the id of a queue item with {_SUFFIX} behind it",
        "lifeos queue lists what is open; rename the file, or remove it from main",
    )


# --- the file ---------------------------------------------------------------------------------


def answer_text(item: str, decision: Decision, subject: str, comment: str = "") -> bytes:
    """The file of an answer. Raises ``UsageError`` for a comment that it cannot hold."""
    comment = comment.strip()
    answer_path(item)
    if len(comment) > COMMENT_LIMIT or _HIDDEN.search(comment):
        raise UsageError(
            "the comment is too long, or has control or invisible characters",
            f"write plain text of at most {COMMENT_LIMIT} characters",
        )
    if decision is not Decision.APPROVE and not comment:
        raise UsageError(f"{decision} needs a comment", "say what is wrong: -m 'TEXT'")
    lines = [
        "# The question that this answers.",
        f"item: {item}",
        "# approve, revise or reject; revise and reject need a comment.",
        f"decision: {decision}",
        "# Exactly what this is about: the subject in the question. If that changes, it is void.",
        f"subject: {_quoted(subject)}",
    ]
    if comment:
        lines += ["# For whoever works on it next.", f"comment: {_quoted(comment)}"]
    data = ("\n".join(lines) + "\n").encode()
    if len(data) > FILE_LIMIT:
        raise UsageError("the comment is too long", f"keep the file below {FILE_LIMIT} bytes")
    return data


def _quoted(text: str) -> str:
    """A YAML scalar that is text whatever it looks like (a digest may look like a number)."""
    return json.dumps(text, ensure_ascii=False)


def read_answer(item: str, value: object, raw: bytes) -> AnswerFile | Refusal:
    """What the file says. ``value`` is what strict YAML made of it, ``item`` the file's item."""
    problem = _problem(value, raw)
    if problem or not isinstance(value, Mapping):
        fix = f"write it with: lifeos approve {item} (or revise, reject), or as the question shows"
        return Refusal(item, problem, fix)
    return AnswerFile(
        item=value["item"],
        decision=Decision(value["decision"]),
        subject=value["subject"],
        comment=value.get("comment", "").strip(),
        raw=raw.decode("utf-8", "replace"),
    )


def _problem(value: object, raw: bytes) -> str:
    """What is wrong with the file; "" if it can be read."""
    if len(raw) > FILE_LIMIT:
        return f"the file has {len(raw)} bytes; at most {FILE_LIMIT} are read"
    if not isinstance(value, Mapping):
        return "the file is not a list of keys with values"
    for key in value:
        if key not in _KEYS:
            return f"the file has a key that means nothing here: {str(key)[:40]!r}"
    for key in _NEEDED:
        if key not in value:
            return f"the file has no {key}"
    for key, text in value.items():
        if not isinstance(text, str):
            return f"{key} is not text: {str(text)[:40]!r} ({type(text).__name__})"
    return _wrong_value(**value)


def _wrong_value(item: str, decision: str, subject: str, comment: str = "") -> str:
    if decision not in tuple(Decision):
        return f"the decision {decision[:40]!r} is none of approve, revise, reject"
    if not _ID.fullmatch(item):
        return f"the item {item[:40]!r} is not the id of a queue item"
    if not _DIGEST.fullmatch(subject):
        return "the subject is not the whole digest of 64 characters that the question shows"
    if len(comment) > COMMENT_LIMIT:
        return f"the comment has more than {COMMENT_LIMIT} characters"
    return ""
