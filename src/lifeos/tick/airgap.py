"""Answers that come in a bundle, from somebody who cannot reach this repository.

What is taken over is at most this: commits on top of a commit of main, one after the other, each of
which puts one answer's file into the queue's folder and changes nothing else. Whose commits they
are, and whether an answer counts, is judged as ever, by what is then on main.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from lifeos.core.answers import FILE_LIMIT, answer_path, item_of
from lifeos.store.bundlefile import BadBundle, Bundle
from lifeos.store.encoding import encode_tree, parse_commit
from lifeos.store.git import GitError
from lifeos.store.objects import LIFEOS, Commit, MissingObject, Objects
from lifeos.store.remote import contains
from lifeos.store.repo import Repo
from lifeos.store.trees import FILE, FOLDER, Edit, TreeEntry, edit, parse_tree, read_tree
from lifeos.tick.reading import QUEUE

_MOST_COMMITS = 64
_COMMIT_BYTES = 64 * 1024
_ITEM = re.compile(r"Q-[0-9a-hjkmnp-tv-z]{8}")
_PERSON = rb"[^<>\x00-\x1f\x7f]* ?<[^<>\x00-\x1f\x7f]*> [0-9]{1,12} [+-][0-9]{4}"
_COMMIT = re.compile(
    rb"tree [0-9a-f]+\n(?:parent [0-9a-f]+\n)+"
    rb"author " + _PERSON + rb"\ncommitter " + _PERSON + rb"\n"
    rb"(?:gpgsig(?:-sha256)? [^\x00\n]*\n(?: [^\x00\n]*\n)+)*"
    rb"\n[^\x00]*"
)
_TRAILER = re.compile(rb"(?im)^lifeos-[a-z-]+[ \t]*:")


@dataclass(frozen=True)
class Brought:
    """One answer: its item, the commit that brings it, and the blob of its file."""

    item: str
    commit: str
    blob: str


@dataclass(frozen=True)
class Answers:
    """Commits up to ``tip`` on top of ``base``, a commit of main, each with one answer."""

    base: str
    tip: str
    brought: tuple[Brought, ...]
    commits: Mapping[str, bytes]
    blobs: Mapping[str, bytes]

    def store(self, objects: Objects) -> None:
        """Put them into the repository: no reference names them yet."""
        for data in self.blobs.values():
            objects.write_blob(data)
        tree = objects.commit(self.base).tree
        for one in self.brought:
            tree = edit(objects, tree, {answer_path(one.item): (FILE, one.blob)})
            objects.write_raw_commit(self.commits[one.commit])
        objects.flush()

    def edits(self) -> dict[str, Edit]:
        """What they change, for a main that has moved on."""
        return {answer_path(one.item): (FILE, one.blob) for one in self.brought}


def answers_in(repo: Repo, bundle: Bundle, ref: str, main: str) -> Answers:
    """The answers of a bundle for the branch ``ref``, now at ``main``. Raises ``BadBundle``.

    Nothing is stored, and every object of the bundle is accounted for.
    """
    chain, base = _chain(bundle, bundle.refs[ref])
    if not contains(repo, main, base):
        raise BadBundle(
            f"it stands on {base[:12]}, which is no commit of main here: it is of another"
            " repository, or of another history of this one",
            "export anew on this side, and answer on that",
        )
    left: dict[str, object] = dict(bundle.objects)
    brought: list[Brought] = []
    blobs: dict[str, bytes] = {}
    before = repo.objects.commit(base).tree
    for commit in chain:
        left.pop(commit.oid)
        one = _answer(repo.objects, bundle, commit, before, left)
        blobs[one.blob] = bundle.objects[one.blob][1]
        brought.append(one)
        before = commit.tree
    if left:
        raise BadBundle(f"it holds {len(left)} objects that are part of no answer")
    commits = {commit.oid: bundle.objects[commit.oid][1] for commit in chain}
    return Answers(base, bundle.refs[ref], tuple(brought), commits, blobs)


def _chain(bundle: Bundle, tip: str) -> tuple[list[Commit], str]:
    """Its commits, oldest first, and the commit that they stand on."""
    chain: list[Commit] = []
    here = tip
    while here in bundle.objects:
        kind, data = bundle.objects[here]
        if why := _unfit(kind, data):
            raise BadBundle(f"{here[:12]} {why}")
        commit = parse_commit(here, data)
        if len(commit.parents) != 1:
            raise BadBundle(f"{here[:12]} is a merge; answers are commits after one another")
        if LIFEOS.email in (commit.author.identity.email, commit.committer.identity.email):
            raise BadBundle(f"{here[:12]} is in lifeos's name, which answers nothing")
        chain.append(commit)
        if len(chain) > _MOST_COMMITS:
            raise BadBundle(f"it has more than {_MOST_COMMITS} commits")
        here = commit.parents[0]
    if not chain:
        raise BadBundle("there is no answer in it")
    return chain[::-1], here


def _unfit(kind: str, data: bytes) -> str:
    """Why an object is no commit that a person answers with, or ''."""
    if kind != "commit" or len(data) > _COMMIT_BYTES:
        return "is not a commit that a person makes"
    head, _, message = data.partition(b"\n\n")
    if b"\nencoding " in head:
        # git would show the names in it otherwise than they are written.
        return "is not in UTF-8 (git's i18n.commitEncoding): who made it could be read in two ways"
    if not _COMMIT.fullmatch(data):
        return "is not a commit that a person makes"
    if _TRAILER.search(message):
        return "has a line `Lifeos-…:` in its message, as only lifeos's own commits do"
    return ""


def _answer(
    objects: Objects, bundle: Bundle, commit: Commit, before: str, left: dict[str, object]
) -> Brought:
    """The one answer that a commit brings. What it is made of is taken out of ``left``."""
    short = commit.oid[:12]
    was, now = (_queue(_way(objects, bundle, tree)) for tree in (before, commit.tree))
    changed = [name for name in now.keys() | was.keys() if now.get(name) != was.get(name)]
    if len(changed) != 1 or changed[0] not in now:
        raise BadBundle(f"{short} does not bring one answer, and nothing else")
    name, entry = changed[0], now[changed[0]]
    item = item_of(name)
    if item is None or not _ITEM.fullmatch(item) or f"{QUEUE}/{name}" != answer_path(item):
        raise BadBundle(f"{short} brings {ascii(name)[:80]}, which is no answer")
    kind, data = bundle.objects.get(entry.oid, ("", b""))
    if entry.mode != FILE or kind != "blob" or len(data) > FILE_LIMIT:
        raise BadBundle(f"{short} brings an answer that is no small file")
    made = _with(objects, _way(objects, bundle, before), entry)
    if made[0] != commit.tree:
        raise BadBundle(f"{short} changes more than the queue: only answers are taken over")
    for oid in (entry.oid, *made):
        left.pop(oid, None)
    return Brought(item, commit.oid, entry.oid)


Folder = dict[str, TreeEntry]


def _way(objects: Objects, bundle: Bundle, tree: str) -> list[Folder]:
    """The folders on the way to the queue, from the top; nothing below one that is not there."""
    found = [_folder(objects, bundle, tree)]
    for part in QUEUE.split("/"):
        entry = found[-1].get(part)
        is_folder = entry is not None and entry.mode == FOLDER
        found.append(_folder(objects, bundle, entry.oid) if entry and is_folder else {})
    return found


def _queue(way: list[Folder]) -> Folder:
    return way[-1]


def _folder(objects: Objects, bundle: Bundle, tree: str) -> Folder:
    """A folder as the bundle has it, or this repository."""
    kind, data = bundle.objects.get(tree, ("", b""))
    try:
        if kind == "tree":
            entries = parse_tree(tree, data, len(objects.null) // 2)
        else:
            entries = read_tree(objects, tree)
    except (MissingObject, GitError):
        raise BadBundle(f"the folder {tree[:12]} is missing or damaged") from None
    return {entry.name: entry for entry in entries}


def _with(objects: Objects, way: list[Folder], entry: TreeEntry) -> list[str]:
    """The ids of the folders on the way with this file in the last of them, from the top."""
    ids: list[str] = []
    last = entry
    for folder, name in zip(way[::-1], ("", *QUEUE.split("/"))[::-1], strict=True):
        data = encode_tree({**folder, last.name: last}.values())
        last = TreeEntry(FOLDER, name, objects.hash("tree", data))
        ids.insert(0, last.oid)
    return ids
