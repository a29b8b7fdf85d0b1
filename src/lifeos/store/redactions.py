"""Content taken out of the ledger, in such a way that the rest can still be proved.

A blob cannot be taken out of git's history and the history stay as it is: every later clone, pack
and bundle fails on what is missing. So the transitions from the first one that has the blob are
written anew with a placeholder in its place, and nothing else changed. Because ids are digests,
the ids that they had before follow from what they are now: put the blob's id (its content is not
needed) back where the placeholder is, and the old chain comes out, to the very tip that an approver
named in the order. Whoever altered anything else could not make that come out.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pydantic import ValidationError

from lifeos.core.clean import one_line
from lifeos.errors import LedgerBroken
from lifeos.model import Frozen
from lifeos.store.exchange import Exchange
from lifeos.store.git import GitError
from lifeos.store.objects import MissingObject
from lifeos.store.remote import contains
from lifeos.store.repo import Repo
from lifeos.store.trees import FOLDER, lookup, read_tree

FOLDER_NAME = "redactions"
ABOUT, FORMER = "about.json", "former"


class Redaction(Frozen):
    """What was taken out, and by whom. ``first`` and ``noted`` are numbers of transitions.

    ``blob`` and ``size`` are of what was there, ``digest`` its hex SHA-256. From transition
    ``first`` on the ledger was written anew; ``tip`` is what it was at before. ``order`` is the
    commit of main in which an approver ordered it. ``at`` in seconds UTC.
    """

    blob: str
    digest: str
    size: int
    paths: tuple[str, ...]
    first: int
    noted: int
    tip: str
    order: str
    who: str
    note: str
    at: int

    def placeholder(self) -> bytes:
        """What stands in its place, for whoever looks."""
        lines = (
            "This was redacted: its content is not part of the ledger any more.",
            f"why: {one_line(self.note, 1000)}",
            f"by: {self.who}, ordered in commit {self.order} of main",
            f"it was: blob {self.blob}, {self.size} bytes, sha256 {self.digest}",
        )
        return ("\n".join(lines) + "\n").encode()


@dataclass(frozen=True)
class Known:
    """A redaction as the ledger has it, with the ids that its transitions had before."""

    about: Redaction
    former: tuple[str, ...]


def folder_of(order: str) -> str:
    """Where the ledger's tree says what was taken out on this order."""
    return f"{FOLDER_NAME}/{order}"


def redactions_of(repo: Repo, tip: str) -> tuple[Known, ...]:
    """What the ledger says was taken out of it, in the order of the redactions.

    Nothing of it is proved: see ``proved``. Raises ``LedgerBroken`` for what cannot be read.
    """
    objects = repo.objects
    folder = lookup(objects, objects.commit(tip).tree, FOLDER_NAME)
    if folder is None or folder.mode != FOLDER:
        return ()
    found = []
    for entry in read_tree(objects, folder.oid):
        files = {one.name: one.oid for one in read_tree(objects, entry.oid)}
        try:
            about = Redaction.model_validate_json(objects.read(files[ABOUT])[1])
            former = tuple(objects.read(files[FORMER])[1].decode("ascii").split())
        except (KeyError, ValidationError, UnicodeDecodeError) as error:
            where = f"{FOLDER_NAME}/{entry.name}"
            raise LedgerBroken(f"ledger commit {tip}: {where} cannot be read") from error
        found.append(Known(about, former))
    return tuple(sorted(found, key=lambda one: one.about.noted))


def chain_of(repo: Repo, tip: str) -> list[str]:
    """The transitions up to a tip, oldest first: number n is at n - 1."""
    out = repo.git.run("rev-list", "--reverse", "--end-of-options", tip)
    return out.decode("ascii").split()


def placeholder_id(repo: Repo, about: Redaction) -> str:
    """The blob that stands in the place of what was taken out."""
    return repo.objects.hash("blob", about.placeholder())


def placeholders(repo: Repo, tip: str) -> dict[str, Redaction]:
    """The blobs that stand where something was taken out, by their ids."""
    return {placeholder_id(repo, one.about): one.about for one in redactions_of(repo, tip)}


def undoing(repo: Repo, known: Sequence[Known]) -> Exchange:
    """What puts the blobs of these redactions back where their placeholders are, by their ids."""
    blobs = {placeholder_id(repo, one.about): one.about.blob for one in known}
    return Exchange(repo, blobs, store=False)


def proved(
    repo: Repo,
    chain: Sequence[str],
    known: Sequence[Known],
    number: int,
    step: Callable[[int], None] = lambda _number: None,
) -> bool:
    """Whether the ledger before redaction ``number`` of ``known`` was what that says it was.

    ``chain`` is the ledger as it is. Everything in it up to that redaction is what it was, but for
    the content of what was taken out then and later. A later one may have written anew what lies
    before this one's first transition, so the ids are worked out from the earliest of all.
    """
    about, former = known[number].about, known[number].former
    later = known[number:]
    first = min(one.about.first for one in later)
    if not 1 < first <= about.first < about.noted <= len(chain):
        return False
    try:
        found = undoing(repo, later).chain(chain[first - 1 : about.noted - 1], step)
    except (MissingObject, GitError):
        return False
    return tuple(found[about.first - first :]) == former and found[-1] == about.tip


def former_ids(known: Sequence[Known], chain: Sequence[str]) -> dict[str, str]:
    """The ids that transitions had before, with the ones that they have now."""
    return {
        old: chain[one.about.first - 1 + place]
        for one in known
        for place, old in enumerate(one.former)
        if one.about.first - 1 + place < len(chain)
    }


def renamed(repo: Repo, tip: str) -> dict[str, str]:
    """The ids that transitions of a ledger had before something was taken out, with those now.

    Only what is proved: who could merely claim it could rewind the ledger unseen. What was proved
    once is remembered (``cache/redactions``) for exactly this: the files that say so, and the
    transitions up to the last of the redactions.
    """
    known = redactions_of(repo, tip)
    if not known:
        return {}
    chain = chain_of(repo, tip)
    mark = _mark(repo, tip, chain, known)
    note = repo.private_dir / "cache" / "redactions"
    with contextlib.suppress(OSError, UnicodeDecodeError):
        if mark and note.read_text(encoding="ascii") == mark:
            return former_ids(known, chain)
    good = [one for number, one in enumerate(known) if proved(repo, chain, known, number)]
    if mark and len(good) == len(known):
        with contextlib.suppress(OSError):  # without it the next process proves it again
            note.parent.mkdir(parents=True, exist_ok=True)
            note.write_text(mark, encoding="ascii")
    return former_ids(good, chain)


def known_as(repo: Repo, tip: str, commit: str) -> str:
    """The id that a transition of a ledger has now, by this one or one that it had; '' for none."""
    return commit if contains(repo, tip, commit) else renamed(repo, tip).get(commit, "")


def _mark(repo: Repo, tip: str, chain: Sequence[str], known: Sequence[Known]) -> str:
    """What is alike only where the same is proved; '' where a redaction is of no transition."""
    last = known[-1].about.noted
    folder = lookup(repo.objects, repo.objects.commit(tip).tree, FOLDER_NAME)
    return f"{folder.oid} {chain[last - 1]}\n" if folder and 0 < last <= len(chain) else ""
