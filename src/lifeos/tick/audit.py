"""What one verification knows while it goes through the ledger, and what it has found."""

from __future__ import annotations

from dataclasses import dataclass, field

from lifeos.core.chronicle import Chronicler
from lifeos.core.policy import Governance
from lifeos.core.records import Noted
from lifeos.core.state import Snapshot
from lifeos.governance import load_set
from lifeos.model import Frozen
from lifeos.store.repo import Repo
from lifeos.store.trees import lookup, walk
from lifeos.tick.reading import content_of


class Finding(Frozen):
    """One thing that is not as the ledger claims. ``commit`` is where."""

    commit: str
    what: str


@dataclass
class Audit:
    """One verification at work. ``snapshot`` is the state before the transition looked at."""

    repo: Repo
    main: str | None
    snapshot: Snapshot = field(default_factory=Snapshot)
    findings: list[Finding] = field(default_factory=list)
    unchecked: dict[str, None] = field(default_factory=dict)
    nonces: set[str] = field(default_factory=set)
    commits: set[str] = field(default_factory=set)
    landings: dict[str, Noted] = field(default_factory=dict)  # the last one noted, by run
    noted: set[str] = field(default_factory=set)  # every commit noted as a landing
    works: set[str] = field(default_factory=set)  # the pure work of those
    tree: str = ""  # of the transition before
    since: Chronicler | None = None  # what happened from the first proposal that landed on
    counts: dict[str, int] = field(default_factory=dict)
    _sets: dict[str, Governance | None] = field(default_factory=dict)
    _contents: dict[str, str] = field(default_factory=dict)

    def find(self, commit: str, what: str) -> None:
        """Note a finding."""
        self.findings.append(Finding(commit=commit, what=what))

    def count(self, what: str, number: int = 1) -> None:
        """Count something that was checked."""
        self.counts[what] = self.counts.get(what, 0) + number

    def skip(self, what: str) -> None:
        """Note what cannot be checked."""
        self.unchecked[what] = None

    def governance(self, tree: str, digest: str) -> Governance | None:
        """A set as a tree of the ledger has it; None when this lifeos cannot read it."""
        if digest not in self._sets:
            folder = lookup(self.repo.objects, tree, f"governance/{digest}")
            leaves = list(walk(self.repo.objects, folder.oid)) if folder else []
            contents = self.repo.objects.read_many(leaf.oid for leaf in leaves)
            files = {leaf.path: item[2] for leaf, item in zip(leaves, contents, strict=True)}
            loaded = load_set(files).governance
            fits = loaded is not None and loaded.digest == digest
            self._sets[digest] = loaded if fits else None
        return self._sets[digest]

    def content(self, tree: str, prefix: str) -> str:
        """The content of a tree of main or of a work: without lifeos's own bookkeeping."""
        key = f"{prefix} {tree}"
        if key not in self._contents:
            self._contents[key] = content_of(self.repo, tree, prefix)
        return self._contents[key]

    def prefix(self, tree: str) -> str:
        """What ids begin with, by the adopted set."""
        rules = self.governance(tree, self.snapshot.governance)
        return rules.config.id_prefix if rules else "LO"
