"""The bytes of trees and commits, as git writes and reads them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from lifeos.store.git import GitError

OID = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
"""A full object id, of either hash."""


@dataclass(frozen=True)
class Identity:
    """The name and mail address of an author or committer."""

    name: str
    email: str


LIFEOS = Identity("lifeos", "lifeos@localhost")


@dataclass(frozen=True)
class Stamp:
    """Who and when, as a commit has it. ``when`` is in seconds since 1970, ``zone`` as written."""

    identity: Identity
    when: int
    zone: str


@dataclass(frozen=True)
class Commit:
    """A commit, read. ``message`` is exactly what stands after the headers."""

    oid: str
    tree: str
    parents: tuple[str, ...]
    author: Stamp
    committer: Stamp
    message: str
    signature: str = ""


class Entry(Protocol):
    """What ``write_tree`` needs of an entry."""

    @property
    def mode(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def oid(self) -> str: ...


def encode_tree(entries: Iterable[Entry]) -> bytes:
    """The content of a tree object. Raises ``ValueError`` for a name twice or an empty one."""
    seen: set[str] = set()
    items: list[tuple[bytes, bytes]] = []
    for entry in entries:
        name = entry.name.encode("utf-8", "surrogateescape")
        if not name or b"/" in name or b"\0" in name or entry.name in seen:
            raise ValueError(f"{entry.name!r} cannot be a name in a tree, or is there twice")
        if not OID.fullmatch(entry.oid):
            raise ValueError(f"{entry.oid!r} is not an object id")
        seen.add(entry.name)
        mode = entry.mode.lstrip("0").encode()
        # git orders a folder as if its name ended in a slash
        order = name + b"/" if mode == b"40000" else name
        items.append((order, b"%s %s\0%s" % (mode, name, bytes.fromhex(entry.oid))))
    items.sort()
    return b"".join(item for _, item in items)


def encode_commit(
    tree: str,
    parents: Sequence[str],
    message: str,
    *,
    when: int,
    author: Identity,
    committer: Identity,
) -> bytes:
    """The content of a commit object. Raises ``ValueError`` for what git would not read back."""
    if "\0" in message:
        raise ValueError("a commit message cannot hold NUL")
    for oid in (tree, *parents):
        if not OID.fullmatch(oid):
            raise ValueError(f"{oid!r} is not an object id")
    if when < 0:
        raise ValueError(f"{when} is before 1970")
    for identity in (author, committer):
        if any(char in text for text in (identity.name, identity.email) for char in "<>\n\0"):
            raise ValueError(f"{identity} cannot stand in a commit")
    lines = [f"tree {tree}", *(f"parent {parent}" for parent in parents)]
    lines.append(f"author {author.name} <{author.email}> {when} +0000")
    lines.append(f"committer {committer.name} <{committer.email}> {when} +0000")
    return ("\n".join(lines) + "\n\n" + message).encode("utf-8")


_STAMP = re.compile(r"(.*?) ?<(.*)> (-?\d+) ([+-]\d+)", re.DOTALL)


def parse_commit(oid: str, data: bytes) -> Commit:
    """Read a commit object. Bytes that are not utf-8 come out as surrogates, never changed."""
    head, _, message = data.decode("utf-8", "surrogateescape").partition("\n\n")
    headers: list[tuple[str, str]] = []
    for line in head.split("\n"):
        if line.startswith(" ") and headers:
            key, value = headers[-1]
            headers[-1] = (key, f"{value}\n{line[1:]}")
        else:
            key, _, value = line.partition(" ")
            headers.append((key, value))
    first: dict[str, str] = {}
    for key, value in headers:
        first.setdefault(key, value)
    try:
        return Commit(
            oid=oid,
            tree=first["tree"],
            parents=tuple(value for key, value in headers if key == "parent"),
            author=_parse_stamp(first["author"]),
            committer=_parse_stamp(first["committer"]),
            message=message,
            signature=first.get("gpgsig", first.get("gpgsig-sha256", "")),
        )
    except (KeyError, ValueError) as error:
        raise GitError(("cat-file", oid), 0, f"{oid} is a damaged commit: {error}") from None


def _parse_stamp(text: str) -> Stamp:
    match = _STAMP.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is not a person and a time")
    return Stamp(Identity(match[1], match[2]), int(match[3]), match[4])
