"""What one verification knows of the content that was taken out of the ledger."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from lifeos.store.exchange import Exchange
from lifeos.store.redactions import (
    Known,
    Redaction,
    chain_of,
    former_ids,
    placeholder_id,
    proved,
    redactions_of,
    undoing,
)
from lifeos.store.repo import Repo
from lifeos.store.treecache import Difference, Folder


@dataclass
class Redacted:
    """The redactions of a ledger. Only of those that are proved, anything is believed."""

    known: tuple[Known, ...] = ()
    good: frozenset[str] = frozenset()  # the orders of those that are proved
    former: Mapping[str, str] = field(
        default_factory=dict
    )  # ids that transitions had, to those now
    works: dict[str, str] = field(default_factory=dict)  # trees of works as they were, to those now
    _old: dict[str, set[str]] = field(default_factory=dict)  # the same ids, by those now
    _placeholders: dict[str, Redaction] = field(default_factory=dict)
    _undo: Exchange | None = None

    @classmethod
    def of(cls, repo: Repo, tip: str) -> Redacted:
        """Those of a ledger. Raises ``LedgerBroken`` or ``GitError`` for what cannot be read."""
        known = redactions_of(repo, tip)
        if not known:
            return cls()
        chain = chain_of(repo, tip)
        good = [one for number, one in enumerate(known) if proved(repo, chain, known, number)]
        found = cls(
            known=known,
            good=frozenset(one.about.order for one in good),
            former=former_ids(good, chain),
            _placeholders={placeholder_id(repo, one.about): one.about for one in good},
            _undo=undoing(repo, good),
        )
        for old, now in found.former.items():
            found._old.setdefault(now, set()).add(old)
        return found

    @property
    def folders(self) -> Mapping[str, Folder]:
        """The folders of works as they were, as far as they were asked about."""
        return self._undo.folders if self._undo else {}

    def took(self, blob: str) -> bool:
        """Whether this content was taken out."""
        return any(about.blob == blob for about in self._placeholders.values())

    def noted_at(self, number: int) -> Redaction | None:
        """The redaction that is transition ``number``."""
        return next((one.about for one in self.known if one.about.noted == number), None)

    def since(self, number: int) -> frozenset[str]:
        """The paths of what was redacted after transition ``number``."""
        later = (about for about in self._placeholders.values() if about.noted > number)
        return frozenset(path for about in later for path in about.paths)

    def is_placeholder(
        self, differences: Sequence[Difference], path: str, number: int, digest: str = ""
    ) -> bool:
        """Whether transition ``number`` put a placeholder at this path, for what had this digest.

        One that a transition after the redaction put somewhere is no proof of anything.
        """
        for one in differences:
            if one.path == path and one.after is not None:
                about = self._placeholders.get(one.after.oid)
                return about is not None and number < about.noted and digest in ("", about.digest)
        return False

    def as_it_was(self, work: str) -> str:
        """The id that the tree of a work had before anything in it was redacted."""
        if self._undo is None:
            return work
        old = self._undo.tree(work)
        if old != work:
            self.works[old] = work
        return old

    def ids_of(self, commit: str) -> frozenset[str]:
        """The ids that a transition had, and has."""
        return frozenset({commit, *self._old.get(commit, ())})
