"""git bundles as files: written by git, and read here byte by byte where they come from outside.

A bundle is a short text (what it needs, which references it brings) with a pack behind it. Whoever
hands one over may be anybody, so git is not asked to unpack it: every object is inflated here up to
a limit, and named by its own content. Only whole objects are read. A pack with deltas is refused,
since a delta can be made of what is not in it; ``write_answers`` makes none.
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lifeos.errors import UsageError
from lifeos.store.objects import ObjectKind, Objects
from lifeos.store.repo import Repo

MOST_BYTES = 4 * 1024 * 1024
"""The size of a bundle that is read, of each object in it, and a quarter of all of them."""
_MOST_OBJECTS = 1000
_HEAD_BYTES = 64 * 1024
_MOST_LINES = 200
_SIGNATURE = re.compile(rb"# v([23]) git bundle")
_LINE = re.compile(rb"(-?)([0-9a-f]{40}(?:[0-9a-f]{24})?)(?: ([^\x00-\x1f]*))?")
_REF = re.compile(r"refs/[A-Za-z0-9][A-Za-z0-9/._-]{0,200}")
_KINDS: Mapping[int, ObjectKind] = {1: "commit", 2: "tree", 3: "blob", 4: "tag"}
_DELTAS = frozenset({6, 7})


class BadBundle(UsageError):
    """A bundle that is not what it has to be; nothing of it was taken over."""

    def __init__(self, why: str, fix: str = "") -> None:
        super().__init__(
            f"this bundle is refused, and nothing of it was taken over: {why}",
            fix or "make it anew there: lifeos export --answers FILE",
        )


@dataclass(frozen=True)
class Bundle:
    """What a bundle says it needs and brings, and its objects by their ids."""

    needs: tuple[str, ...]
    refs: Mapping[str, str]
    objects: Mapping[str, tuple[ObjectKind, bytes]]


# --- writing ----------------------------------------------------------------------------------


def write_state(repo: Repo, file: Path, refs: Sequence[str], without: Sequence[str]) -> None:
    """Write these references with their history, but for what is part of ``without``."""
    fresh = _beside(file)
    spans = [f"^{commit}" for commit in without]
    try:
        repo.git.run("bundle", "create", "--quiet", str(fresh), *refs, *spans, timeout=3600)
        fresh.replace(file)
    finally:
        fresh.unlink(missing_ok=True)


def write_answers(repo: Repo, file: Path, ref: str, tip: str, base: str) -> None:
    """Write the commits after ``base`` up to ``tip``, under the name ``ref``, whole and alone."""
    options = ("--stdout", "--revs", "--window=0", "--no-reuse-delta", "--no-reuse-object")
    pack = repo.git.run("pack-objects", "--quiet", *options, stdin=f"{tip}\n^{base}\n".encode())
    if repo.hash_name == "sha1":
        head = "# v2 git bundle\n"
    else:
        head = f"# v3 git bundle\n@object-format={repo.hash_name}\n"
    fresh = _beside(file)
    try:
        fresh.write_bytes(f"{head}-{base} \n{tip} {ref}\n\n".encode() + pack)
        fresh.replace(file)
    finally:
        fresh.unlink(missing_ok=True)


def _beside(file: Path) -> Path:
    """A new file beside it, to be put in its place when it is whole."""
    folder = file.absolute().parent
    if not folder.is_dir():
        raise UsageError(f"{folder} is not a folder", "make it, or name another place")
    if file.is_dir():
        raise UsageError(f"{file} is a folder", "name a file in it")
    if file.exists() and not file.is_file():  # a device, a pipe: others need it as it is
        raise UsageError(f"{file} is no plain file", "name a file")
    if not os.access(folder, os.W_OK):
        raise UsageError(f"{folder} cannot be written", "name another place")
    return folder / f".{file.name}.{secrets.token_hex(4)}"


# --- reading ----------------------------------------------------------------------------------


def read_bundle(file: Path, objects: Objects, ref: str) -> Bundle:
    """A bundle of at most ``MOST_BYTES`` that brings ``ref``, and no other reference.

    Raises ``BadBundle``; nothing is stored.
    """
    try:
        with file.open("rb") as opened:
            data = opened.read(MOST_BYTES + 1)
    except OSError as error:
        raise UsageError(f"{file} cannot be read: {error.strerror}", "name a bundle") from None
    if len(data) > MOST_BYTES:
        raise BadBundle(f"it has more than {MOST_BYTES:,} bytes; answers are small")
    head, end, pack = data[:_HEAD_BYTES].partition(b"\n\n")[0], b"\n\n", b""
    if end not in data[:_HEAD_BYTES]:
        raise BadBundle("it does not begin as a git bundle does")
    pack = data[len(head) + len(end) :]
    needs, refs = _head(head, objects)
    if set(refs) != {ref}:
        names = ", ".join(sorted(set(refs) - {ref})) or "nothing"
        raise BadBundle(f"it brings {names[:200]}; only {ref} can be taken from it")
    return Bundle(needs, refs, dict(_unpacked(pack, objects)))


def _head(head: bytes, objects: Objects) -> tuple[tuple[str, ...], dict[str, str]]:
    first, *lines = head.split(b"\n")
    signature = _SIGNATURE.fullmatch(first)
    if signature is None or len(lines) > _MOST_LINES:
        raise BadBundle("it does not begin as a git bundle does")
    said = [line for line in lines if line.startswith(b"@")]
    wanted = [] if objects.hash_name == "sha1" else [f"@object-format={objects.hash_name}".encode()]
    if said != wanted:
        raise BadBundle("it is of a repository of another format, or asks for more than git does")
    needs: list[str] = []
    refs: dict[str, str] = {}
    size = len(objects.null)
    for line in lines[len(said) :]:
        match = _LINE.fullmatch(line)
        if match is None or len(match[2]) != size:
            raise BadBundle("its first lines are not those of a git bundle")
        oid, name = match[2].decode(), (match[3] or b"").decode("utf-8", "replace")
        if match[1]:
            needs.append(oid)
        elif not _REF.fullmatch(name) or ".." in name or name in refs:
            raise BadBundle(f"it brings a reference with an odd name: {name[:80]!r}")
        else:
            refs[name] = oid
    return tuple(needs), refs


def _unpacked(pack: bytes, objects: Objects) -> Iterator[tuple[str, tuple[ObjectKind, bytes]]]:
    """The objects of a pack (gitformat-pack), each under the name that its content gives it."""
    size = len(objects.null) // 2
    check = hashlib.new(objects.hash_name, usedforsecurity=False)
    check.update(pack[:-size])
    if len(pack) < 12 + size or pack[:4] != b"PACK" or check.digest() != pack[-size:]:
        raise BadBundle("its pack is damaged, or cut off")
    if pack[4:8] not in (b"\x00\x00\x00\x02", b"\x00\x00\x00\x03"):
        raise BadBundle("its pack is of a version that is not known")
    count = int.from_bytes(pack[8:12], "big")
    if count > _MOST_OBJECTS:
        raise BadBundle(f"it has {count:,} objects; answers have few")
    position, end, total = 12, len(pack) - size, 0
    for _ in range(count):
        kind, length, position = _entry(pack, position, end)
        total += length
        if length > MOST_BYTES or total > 4 * MOST_BYTES:
            raise BadBundle("what is in it is too large")
        data, position = _inflated(pack, position, end, length)
        yield objects.hash(kind, data), (kind, data)
    if position != end:
        raise BadBundle("there is more in its pack than it says")


def _entry(pack: bytes, position: int, end: int) -> tuple[ObjectKind, int, int]:
    """Kind and size of the next object, and where its content begins."""
    if position >= end:
        raise BadBundle("its pack is cut off")
    byte = pack[position]
    kind, length, shift = (byte >> 4) & 7, byte & 15, 4
    while byte & 128:
        position += 1
        if position >= end or shift > 60:
            raise BadBundle("its pack is damaged")
        byte = pack[position]
        length |= (byte & 127) << shift
        shift += 7
    if kind in _DELTAS:
        raise BadBundle("it was not made by lifeos: its objects are not whole")
    if kind not in _KINDS:
        raise BadBundle("its pack has an object of no kind")
    return _KINDS[kind], length, position + 1


def _inflated(pack: bytes, position: int, end: int, length: int) -> tuple[bytes, int]:
    """The content of an object, never more than it says, and where the next one begins."""
    unpacker = zlib.decompressobj()
    try:
        data = unpacker.decompress(pack[position:end], length + 1)
        if len(data) == length and not unpacker.eof:
            data += unpacker.decompress(unpacker.unconsumed_tail, 1)
    except zlib.error:
        raise BadBundle("its pack is damaged") from None
    if len(data) != length or not unpacker.eof:
        raise BadBundle("an object in its pack is not as long as it says")
    return data, end - len(unpacker.unused_data)
