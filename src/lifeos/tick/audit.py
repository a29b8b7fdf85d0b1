"""What one verification knows while it goes through the ledger, and what it has found."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from itertools import pairwise
from types import MappingProxyType

from lifeos.core.chronicle import Chronicler
from lifeos.core.policy import Governance
from lifeos.core.records import Noted
from lifeos.core.state import Snapshot
from lifeos.governance import governance_digest, load_set
from lifeos.model import Frozen
from lifeos.store.branch import Made, commits_of
from lifeos.store.git import GitError
from lifeos.store.objects import Commit, MissingObject
from lifeos.store.repo import Repo
from lifeos.store.treecache import Difference, TreeCache
from lifeos.store.trees import FOLDER, walk
from lifeos.tick.contentid import ContentIds
from lifeos.tick.reading import governance_files
from lifeos.tick.redacted import Redacted

_WORK = re.compile(r"runs/[^/]+/\d+/tree")
_RUN = re.compile(r"runs/[^/]+")
_REGULAR = frozenset({"100644", "100755"})


class Area(StrEnum):
    """What is checked, in the order in which it is told."""

    REPLAY = "replay"
    STAGES = "stage order"
    DECISIONS = "decisions"
    EVIDENCE = "evidence"
    PACKETS = "packets"
    APPROVALS = "approvals"
    RULES = "rules"
    BUDGETS = "budgets"
    PROTECTED = "protected paths"
    LANDINGS = "landings"
    PROPOSALS = "proposals"
    MAIN = "commits on main"
    REDACTIONS = "redactions"


class Finding(Frozen):
    """One thing that is not as the ledger claims. ``commit`` is where."""

    commit: str
    what: str
    area: Area = Area.REPLAY


@dataclass(frozen=True)
class OddPage:
    """A page of a question that this lifeos writes otherwise; ``before``: the version until then.

    "": no packet has told it.
    """

    commit: str
    path: str
    before: str


@dataclass
class Audit:
    """One verification at work. ``snapshot`` is the state before the transition looked at."""

    repo: Repo
    main: str | None
    snapshot: Snapshot = field(default_factory=Snapshot)
    area: Area = Area.REPLAY  # what the check that is under way is about
    findings: list[Finding] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    unchecked: dict[str, Area] = field(default_factory=dict)
    nonces: set[str] = field(default_factory=set)
    commits: set[str] = field(default_factory=set)
    numbers: dict[str, int] = field(default_factory=dict)  # of the transitions, by their commits
    asked: dict[str, int] = field(default_factory=dict)  # the transition that opened an item
    over: dict[str, int] = field(default_factory=dict)  # and the one with which it was over
    passed: dict[str, tuple[str, str]] = field(default_factory=dict)
    """The task and the landing of each run that passed."""
    landings: dict[str, Noted] = field(default_factory=dict)  # the last one noted, by run
    noted: set[str] = field(default_factory=set)  # every commit noted as a landing
    works: set[str] = field(default_factory=set)  # the pure work of those
    pulls: dict[str, tuple[str, str]] = field(default_factory=dict)
    """Main's commits of queue PRs, with the answer that each may bring: its name, and its blob."""
    doubted: set[str] = field(default_factory=set)  # those of PRs that cannot be lifeos's
    tree: str = ""  # of the transition before
    since: Chronicler | None = None  # what happened from the first proposal that landed on
    differences: tuple[Difference, ...] = ()  # between that and the one looked at
    version: str = ""  # of the lifeos that made the last packet
    odd_pages: list[OddPage] = field(default_factory=list)
    counts: dict[Area, int] = field(default_factory=dict)
    answers: int = 0  # those that could be traced to who brought them
    anchors: int = 0  # commits of main in lifeos's name
    _sets: dict[str, Governance | None] = field(default_factory=dict)
    _found_rules: dict[tuple[str, ...], tuple[str, Mapping[str, bytes]]] = field(
        default_factory=dict
    )
    redacted: Redacted = field(default_factory=Redacted)
    _broken: dict[str, bool] = field(default_factory=dict)
    _blobs: dict[str, bytes] = field(default_factory=dict)

    @cached_property
    def trees(self) -> TreeCache:
        """The folders of ledger and main."""
        return TreeCache(self.repo.objects, _is_whole, self.redacted.folders)

    @cached_property
    def _ids(self) -> ContentIds:
        return ContentIds(self.repo.objects, self.trees)

    @cached_property
    def on_main(self) -> Mapping[str, Made]:
        """The commits of main, newest first, by their ids; empty where there is no main."""
        return commits_of(self.repo, self.main) if self.main else MappingProxyType({})

    def find(self, commit: str, what: str, area: Area | None = None) -> None:
        """Note a finding, of the check that is under way or of another area."""
        self.findings.append(Finding(commit=commit, what=what, area=area or self.area))

    @property
    def unadopted(self) -> set[str]:
        """The commits that are said already to have changed the rules without leave."""
        return {one.commit for one in self.findings if one.area is Area.RULES}

    def note(self, what: str) -> None:
        """Note what people should know, and what is no fault of anybody's."""
        self.notes.append(what)

    def count(self, area: Area, number: int = 1) -> None:
        """Count something that was checked."""
        self.counts[area] = self.counts.get(area, 0) + number

    def skip(self, what: str, area: Area | None = None) -> None:
        """Note what cannot be checked."""
        self.unchecked.setdefault(what, area or self.area)

    def is_redacted(self, path: str, digest: str = "") -> bool:
        """Whether the transition looked at put a placeholder there, for what had this digest."""
        number = self.snapshot.seq  # of the transition before, or of this one
        return self.redacted.is_placeholder(self.differences, path, number, digest)

    def is_transition(self, commit: str) -> bool:
        """Whether the ledger has this transition, under this id or since under another."""
        return commit in self.commits or commit in self.redacted.former

    # --- reading -----------------------------------------------------------------------------

    def fetch(self, trees: Sequence[str | None]) -> None:
        """Have what the checks of these transitions will read, each tree after the one before.

        What is missing is left out: the check that needs it says so, with the place.
        """
        pairs = list(pairwise(trees))
        self.trees.fetch(pairs)
        wanted: dict[str, None] = {}
        for old, new in pairs:
            with contextlib.suppress(MissingObject, GitError):
                for one in self.trees.differences(old, new):
                    if one.after is not None and one.after.mode in _REGULAR:
                        wanted[one.after.oid] = None
        self._blobs = {}
        with contextlib.suppress(MissingObject, GitError):
            for oid, _, data in self.repo.objects.read_many(wanted):
                self._blobs[oid] = data

    def blob(self, oid: str) -> bytes:
        """The content of a blob. Raises ``MissingObject``."""
        known = self._blobs.get(oid)
        return self.repo.objects.read(oid)[1] if known is None else known

    def read(self, tree: str, path: str) -> bytes | None:
        """The content of a regular file, or None when there is none at that path."""
        leaf = self.trees.lookup(tree, path)
        if leaf is None or leaf.mode not in _REGULAR:
            return None
        return self.blob(leaf.oid)

    def changed(self, paths: Collection[str]) -> dict[str, bytes]:
        """The content of those regular files among these that the transition changed."""
        return {
            one.path: self.blob(one.after.oid)
            for one in self.differences
            if one.after is not None and one.after.mode in _REGULAR and one.path in paths
        }

    def commit(self, oid: str) -> Commit | None:
        """A commit, or None where it is not here."""
        try:
            return self.repo.objects.commit(oid)
        except (MissingObject, ValueError):
            return None

    def tree_of(self, commit: str) -> str | None:
        """The tree of a commit, or None where it is not here. Without a question for main's."""
        known = self.on_main.get(commit)
        if known is not None:
            return known.tree
        read = self.commit(commit)
        return read.tree if read else None

    def is_on_main(self, commit: str) -> bool:
        """Whether main has this commit."""
        return commit in self.on_main

    def governance(self, tree: str, digest: str) -> Governance | None:
        """A set as a tree of the ledger has it; None when this lifeos cannot read it."""
        if digest not in self._sets:
            folder = self.trees.lookup(tree, f"governance/{digest}")
            leaves = list(walk(self.repo.objects, folder.oid)) if folder else []
            contents = self.repo.objects.read_many(leaf.oid for leaf in leaves)
            files = {leaf.path: item[2] for leaf, item in zip(leaves, contents, strict=True)}
            loaded = load_set(files).governance
            fits = loaded is not None and loaded.digest == digest
            self._sets[digest] = loaded if fits else None
        return self._sets[digest]

    def rules_at(self, tree: str) -> str:
        """The digest of the rules in a tree of main."""
        return self._rules(tree)[0]

    def broken_at(self, tree: str) -> bool:
        """Whether this lifeos cannot read the rules in a tree of main."""
        key, files = self._rules(tree)
        if key not in self._broken:
            self._broken[key] = load_set(files).governance is None
        return self._broken[key]

    def _rules(self, tree: str) -> tuple[str, Mapping[str, bytes]]:
        key = self._rules_key(tree)
        if key not in self._found_rules:
            files = governance_files(self.repo, tree)
            self._found_rules[key] = (governance_digest(files), files)
        return self._found_rules[key]

    def _rules_key(self, tree: str) -> tuple[str, ...]:
        """What changes whenever the rules can have changed; as ``reading.governance_key``."""
        top = self.trees.folder(tree)
        key = [top[name].oid for name in ("policies",) if name in top]
        inner = top.get(".lifeos")
        if inner is not None and inner.mode == FOLDER:
            below = self.trees.folder(inner.oid).values()
            key += [f"{one.name} {one.oid}" for one in below if one.name != "queue"]
        return tuple(key)

    def content(self, tree: str, prefix: str) -> str:
        """The content of a tree of main or of a work: without lifeos's own bookkeeping."""
        return self._ids.of(tree, prefix)

    def prefix(self, tree: str) -> str:
        """What ids begin with, by the adopted set."""
        rules = self.governance(tree, self.snapshot.governance)
        return rules.config.id_prefix if rules else "LO"


def _is_whole(path: str, gone: bool) -> bool:
    return _WORK.fullmatch(path) is not None or (gone and _RUN.fullmatch(path) is not None)
