"""The transitions as they stand in git: one commit each, written, read and replayed."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass

from lifeos.core.canonical import canonical_json, sha256
from lifeos.core.clean import for_commit, one_line
from lifeos.core.machine import apply
from lifeos.core.records import (
    RECORD_LIMIT,
    AnyRecord,
    AttemptFacts,
    Finished,
    format_message,
    parse_message,
    subject,
    to_json,
)
from lifeos.core.state import Snapshot
from lifeos.errors import IllegalTransition, LedgerBroken, UsageError
from lifeos.store.repo import Repo
from lifeos.store.trees import lookup

LOG_FORMAT = "--format=%H %T %ae %P%n%B%x00"
_SEQ = "Lifeos-Seq: "
_END = b"\0\n"
_FEW = 64
TITLE_LIMIT = 100


@dataclass(frozen=True)
class Entry:
    """One transition as it stands: its commit, that commit's tree and parents, the record."""

    commit: str
    tree: str
    parents: tuple[str, ...]
    seq: int
    record: AnyRecord
    author: str = ""


def attempt_path(run: str, n: int) -> str:
    """The folder of one attempt's artifacts."""
    return f"runs/{run}/{n}"


def read_entries(repo: Repo, tip: str, since: str | None = None) -> Iterator[Entry]:
    """The transitions from after ``since`` (or the first) up to ``tip``, oldest first.

    Raises ``LedgerBroken``, naming the commit, for anything that is not one record a commit in
    one line of history.
    """
    span = f"{since}..{tip}" if since else tip
    pieces = repo.git.stream("log", "--reverse", LOG_FORMAT, "--end-of-options", span)
    with closing(pieces):
        for block in _blocks(pieces):
            yield _entry(repo, block)


def entries_with(repo: Repo, tip: str, words: Collection[str]) -> list[Entry]:
    """The transitions up to ``tip`` whose message has one of these words, oldest first.

    All are read, and only those parsed: git's own search takes longer than reading does. A message
    may have a word by chance (in a title): compare the record too.
    """
    found: list[Entry] = []
    pieces = repo.git.stream("log", LOG_FORMAT, "--end-of-options", tip)
    with closing(pieces):
        for block in _blocks(pieces):
            if any(word in block for word in words):
                found.append(_entry(repo, block))
    return found[::-1]


def parse_entries(repo: Repo, listing: bytes) -> Iterator[Entry]:
    """The transitions in what ``git log`` with ``LOG_FORMAT`` printed, in that order."""
    for block in _blocks((listing,)):
        yield _entry(repo, block)


def _blocks(pieces: Iterable[bytes]) -> Iterator[str]:
    """The commits in what ``git log`` prints. They are read while git looks for the next ones."""
    rest = b""
    for piece in pieces:
        data = rest + piece
        end = data.rfind(_END) + len(_END)
        if end < len(_END):
            rest = data
            continue
        rest = data[end:]
        for block in data[: end - len(_END)].decode("utf-8", "replace").split("\0\n"):
            if block.strip("\0\n"):
                yield block
    last = rest.decode("utf-8", "replace")
    if last.strip("\0\n"):
        yield last


def _entry(repo: Repo, block: str) -> Entry:
    head, _, message = block.partition("\n")
    commit, tree, author, *parents = head.split(" ")
    return _made(repo, commit, tree, tuple(filter(None, parents)), author, message)


def few_entries(repo: Repo, tip: str, since: str) -> list[Entry] | None:
    """The transitions after ``since``, read without a process of their own; None if too many.

    Who waits for the ledger's lock has missed a few each time, and starting git costs as much as
    thirty of them.
    """
    found: list[Entry] = []
    here = tip
    while here != since:
        if len(found) == _FEW:
            return None
        commit = repo.objects.commit(here)
        email = commit.author.identity.email
        # As in what git lists: bytes that are not UTF-8 are not kept as they are.
        message = commit.message.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
        found.append(_made(repo, here, commit.tree, commit.parents, email, message))
        if not commit.parents:
            return None  # another beginning: what that means is said where all is read
        here = commit.parents[0]
    return found[::-1]


def _made(
    repo: Repo, commit: str, tree: str, parents: tuple[str, ...], author: str, message: str
) -> Entry:
    if len(parents) > 1:
        raise LedgerBroken(f"commit {commit} of the ledger is a merge: transitions are one line")
    record = parse_message(message, commit)
    return Entry(
        commit=commit,
        tree=tree,
        parents=parents,
        seq=seq_of(message, commit),
        record=_whole(repo, tree, record, commit),
        author=author,
    )


def seq_of(message: str, commit: str) -> int:
    last = message.rfind(f"\n{_SEQ}") + 1 + len(_SEQ)
    plain = message[last:].removesuffix("\n")
    if last > len(_SEQ) and plain.isdecimal():  # where it always is, unless somebody wrote it
        return int(plain)
    for line in reversed(message.rstrip().split("\n")):
        if line.startswith(_SEQ) and line[len(_SEQ) :].isdecimal():
            return int(line[len(_SEQ) :])
    raise LedgerBroken(f"commit {commit} of the ledger has no {_SEQ.strip()} trailer")


def replay(
    snapshot: Snapshot,
    entries: Iterator[Entry],
    each: Callable[[Snapshot, Entry], None] | None = None,
) -> Snapshot:
    """The snapshot after these transitions. ``each`` sees the snapshot before each of them.

    Raises ``LedgerBroken`` naming the commit whose record is not possible where it stands.
    """
    for entry in entries:
        if each is not None:
            each(snapshot, entry)
        try:
            snapshot = apply(snapshot, entry.record, entry.commit)
        except IllegalTransition as error:
            raise LedgerBroken(f"ledger commit {entry.commit}: {error}") from error
        if snapshot.seq != entry.seq:
            raise LedgerBroken(
                f"ledger commit {entry.commit} says it is transition {entry.seq},"
                f" but it is the {snapshot.seq}th: something was dropped or put in"
            )
    return snapshot


def commit_message(record: AnyRecord, seq: int, prose: str) -> str:
    """The message of the commit that is transition number ``seq``."""
    title = one_line(subject(record), TITLE_LIMIT)
    return format_message(record, title, for_commit(prose)) + f"{_SEQ}{seq}\n"


def within_limit(record: AnyRecord) -> tuple[AnyRecord, dict[str, bytes]]:
    """A record whose line is short enough; facts that are too large go to the tree by digest."""
    if len(to_json(record).encode()) <= RECORD_LIMIT:
        return record, {}
    if not isinstance(record, Finished) or record.facts is None:
        raise UsageError(
            f"the record of {subject(record)[:80]} is larger than {RECORD_LIMIT} bytes",
            "shorten the task's title, the comment or the scope",
        )
    facts = canonical_json(record.facts.model_dump(mode="json")).encode()
    small = record.model_copy(update={"facts": None, "facts_digest": sha256(facts)})
    return small, {f"{attempt_path(record.run, record.n)}/facts.json": facts}


def _whole(repo: Repo, tree: str, record: AnyRecord, commit: str) -> AnyRecord:
    """The record with its facts, read from the tree where they were too large."""
    if not isinstance(record, Finished) or not record.facts_digest:
        return record
    path = f"{attempt_path(record.run, record.n)}/facts.json"
    leaf = lookup(repo.objects, tree, path)
    data = repo.objects.read(leaf.oid)[1] if leaf else b""
    if sha256(data) != record.facts_digest:
        raise LedgerBroken(f"ledger commit {commit}: {path} is not what the record names")
    return record.model_copy(update={"facts": AttemptFacts.model_validate(json.loads(data))})
