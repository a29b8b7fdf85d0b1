"""The ledger: one commit per transition on a branch that nobody checks out.

The tree of the tip holds what open runs need and what has to be found without walking history:

    runs/<run>/<n>/...        artifacts of the attempts of open runs; ``tree`` is the work tree
    packets/<xx>/<run>/...    the evidence of ended runs
    closed/<xx>/<task>        how the last run of a task ended
    governance/<digest>/...   the files of every adopted set
    redactions/<order>/...    what was taken out, and the ids that transitions had before
    state.json                a snapshot, fresh every ``STATE_EVERY`` transitions

When a run is closed its folder leaves the tip, so that no folder grows with the age of the
project; history keeps it, and ``closed/`` says which commit has it.

Where a remote holds the truth, transitions are made here and then pushed together (``flush``):
until then nobody else has them, and if somebody else was first they are dropped and decided anew.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from lifeos.core.machine import apply
from lifeos.core.records import (
    AnyRecord,
    Closed,
    Noted,
    Topic,
)
from lifeos.core.state import Snapshot
from lifeos.errors import Busy, LedgerBroken, UsageError
from lifeos.store.endings import ClosedFolder, Ended, closed_path, packet_path
from lifeos.store.entries import (
    Entry,
    commit_message,
    few_entries,
    read_entries,
    replay,
    seq_of,
    within_limit,
)
from lifeos.store.repo import Repo
from lifeos.store.trees import Edit, edit, lookup, walk

if TYPE_CHECKING:
    from lifeos.store.remote import Remote

T = TypeVar("T")

BRANCH = "refs/heads/lifeos/ledger"
SEEN = "refs/lifeos/seen"
STATE_EVERY = 256
_TURNS = 30
_FILE, _FOLDER = "100644", "040000"


class LedgerMoved(Exception):
    """Somebody else recorded a transition meanwhile: look again and decide again."""


class Ledger:
    """The ledger of a repository at one tip. ``snapshot`` follows from the records up to it."""

    def __init__(self, repo: Repo, tip: str, tree: str, snapshot: Snapshot) -> None:
        """Use ``Ledger.open`` or ``Ledger.begin``."""
        self.repo = repo
        self.tip = tip
        self.tree = tree
        self.snapshot = snapshot
        self.remote: Remote | None = None
        """Who has the ledger that counts; None: this repository."""
        self.when_kept: Callable[[], None] = _nothing
        """Called when the transitions appended so far are safe on the remote."""
        self._kept = (tip, tree, snapshot)
        self._closed = ClosedFolder()
        self._endings: dict[str, Ended] = {}

    # --- opening ----------------------------------------------------------------------------

    @classmethod
    def open(cls, repo: Repo) -> Ledger | None:
        """The ledger at its present tip, or None where there is none.

        Raises ``LedgerBroken`` when it does not contain what this clone has seen before.
        """
        tip = repo.refs.read(BRANCH)
        if tip is None:
            if repo.refs.read(SEEN):
                raise LedgerBroken(
                    "the branch lifeos/ledger is gone, and this clone has seen it",
                    f"git update-ref {BRANCH} {SEEN}",
                )
            return None
        return cls.at(repo, tip)

    @classmethod
    def of(cls, remote: Remote) -> Ledger | None:
        """The ledger of a remote as it was last fetched, or None where it has none.

        Raises ``UsageError`` or ``LedgerBroken`` when it lacks what this clone has.
        """
        repo, tip = remote.repo, remote.ledger
        local = repo.refs.read(BRANCH)
        if tip is None:
            if local or repo.refs.read(SEEN):
                raise LedgerBroken(
                    f"{remote.name} has no ledger, and this clone has seen one",
                    f"if this clone's is the one that counts: git push {remote.name} lifeos/ledger",
                )
            return None
        ledger = cls.at(repo, tip)
        ledger.remote = remote
        if local is not None and not _contains(repo, tip, local):
            if _had(repo, tip, local):
                raise _redacted_on(remote)
            raise LedgerBroken(
                f"lifeos/ledger of this clone has transitions that the one of {remote.name} lacks",
                f"git log {tip[:12]}..lifeos/ledger shows them: if they were recorded while the"
                f" rules said `remote: none`, git push {remote.name} lifeos/ledger; else the ledger"
                f" of {remote.name} was rewound: find out who did",
            )
        ledger._bring_local()
        return ledger

    @classmethod
    def at(cls, repo: Repo, tip: str) -> Ledger:
        """The ledger as it was at one of its commits."""
        commit = repo.objects.commit(tip)
        cached = _read_cache(repo, tip)
        snapshot = cached if cached is not None else _hydrate(repo, tip, commit.tree)
        return cls(repo, tip, commit.tree, snapshot)

    @classmethod
    def begin(
        cls,
        repo: Repo,
        *,
        files: Mapping[str, bytes],
        digest: str,
        main: str,
        nonce: str,
        at: int,
        remote: Remote | None = None,
    ) -> Ledger:
        """Create the ledger with the first set of governance, as the commit ``main`` has it.

        With a ``remote``, there. Raises ``UsageError`` when there is one already.
        """
        repo.require_complete()
        record = Noted(at=at, topic=Topic.GENESIS, digest=digest, commit=main, text=nonce)
        empty = repo.objects.write_tree(())
        tree = edit(repo.objects, empty, _governance(repo, digest, files))
        commit = repo.objects.write_commit(tree, (), commit_message(record, 1, ""), when=at)
        if remote is not None:
            from lifeos.store.remote import Update

            moved = remote.push(Update(BRANCH, commit, None))
        else:
            moved = repo.refs.compare_and_swap(BRANCH, commit, None, "lifeos")
        if not moved:
            raise UsageError("there is a ledger already: the branch lifeos/ledger")
        ledger = cls(repo, commit, tree, apply(Snapshot(), record, commit))
        ledger.remote = remote
        ledger._bring_local()
        return ledger

    # --- reading ----------------------------------------------------------------------------

    def read(self, path: str) -> bytes | None:
        """The content of a file in the tip's tree, or None."""
        leaf = lookup(self.repo.objects, self.tree, path)
        return self.repo.objects.read(leaf.oid)[1] if leaf else None

    def ended(self, task: str) -> Ended | None:
        """How the last run of a task ended, or None if none has."""
        data = self.read(closed_path(task))
        return Ended.model_validate_json(data) if data else None

    def endings(self, tasks: Collection[str]) -> dict[str, Ended]:
        """How the last runs of these tasks ended, for those of them that have ended.

        The folder is read once and then only where it changed: a tick asks before every step, for
        every task there is.
        """
        index = self._closed.of(self.repo.objects, self.tree)
        wanted = {task: index[task] for task in tasks if task in index}
        lacking = [oid for oid in wanted.values() if oid not in self._endings]
        for oid, _, data in self.repo.objects.read_many(lacking):
            self._endings[oid] = Ended.model_validate_json(data)
        return {task: self._endings[oid] for task, oid in wanted.items()}

    def governance(self, digest: str) -> dict[str, bytes]:
        """The files of an adopted set, by their path in the repository."""
        folder = lookup(self.repo.objects, self.tree, f"governance/{digest}")
        if folder is None:
            raise LedgerBroken(f"the set of governance {digest[:12]} is not on the ledger")
        leaves = list(walk(self.repo.objects, folder.oid))
        contents = self.repo.objects.read_many(leaf.oid for leaf in leaves)
        return {leaf.path: item[2] for leaf, item in zip(leaves, contents, strict=True)}

    def entries(self, since: str | None = None) -> Iterator[Entry]:
        """The transitions, oldest first; those after the commit ``since`` if it is given."""
        return read_entries(self.repo, self.tip, since)

    # --- writing ----------------------------------------------------------------------------

    def append(
        self,
        record: AnyRecord,
        *,
        artifacts: Mapping[str, bytes] | None = None,
        trees: Mapping[str, str] | None = None,
        drop: tuple[str, ...] = (),
        prose: str = "",
    ) -> str:
        """Record one transition, durably; with a remote, when ``flush`` is called. The commit's id.

        ``artifacts`` are files by path, ``trees`` whole folders by path and tree id; ``drop``
        are paths that leave the tip. Raises ``IllegalTransition`` when the record is not
        possible now, and ``LedgerMoved`` when the tip is no longer the one this was decided on;
        nothing is recorded then.
        """
        snapshot = apply(self.snapshot, record)
        changes: dict[str, Edit] = dict.fromkeys(drop)
        changes |= {path: (_FOLDER, oid) for path, oid in (trees or {}).items()}
        record, extra = within_limit(record)
        for path, data in {**(artifacts or {}), **extra}.items():
            changes[path] = (_FILE, self.repo.objects.write_blob(data))
        if snapshot.seq % STATE_EVERY == 0:
            state = self.repo.objects.write_blob(snapshot.model_dump_json().encode())
            changes["state.json"] = (_FILE, state)
        tree = edit(self.repo.objects, self.tree, changes) if changes else self.tree
        commit = self.repo.objects.write_commit(
            tree, (self.tip,), commit_message(record, snapshot.seq, prose), when=record.at
        )
        local = self.remote is None
        if local and not self.repo.refs.compare_and_swap(BRANCH, commit, self.tip, "lifeos"):
            raise LedgerMoved
        self.tip, self.tree, self.snapshot = commit, tree, snapshot
        if local:
            self._keep()
        return commit

    def replace(self, tip: str, record: AnyRecord, artifacts: Mapping[str, bytes]) -> str:
        """Put ``tip`` and one transition more in the place of the ledger. The new tip.

        Only for a tip that says the same (see ``redactions``). Raises ``LedgerMoved`` when the
        ledger is not where this one was read; nothing has changed then.
        """
        objects = self.repo.objects
        snapshot = apply(self.snapshot, record)
        changes: dict[str, Edit] = {
            path: (_FILE, objects.write_blob(data)) for path, data in artifacts.items()
        }
        if snapshot.seq % STATE_EVERY == 0:
            state = objects.write_blob(snapshot.model_dump_json().encode())
            changes["state.json"] = (_FILE, state)
        tree = edit(objects, objects.commit(tip).tree, changes)
        message = commit_message(record, snapshot.seq, "")
        commit = objects.write_commit(tree, (tip,), message, when=record.at)
        if self.remote is not None:
            from lifeos.store.remote import Update

            moved = self.remote.push(Update(BRANCH, commit, self._kept[0]))
        else:
            moved = self.repo.refs.compare_and_swap(BRANCH, commit, self._kept[0], "lifeos")
        if not moved:
            raise LedgerMoved
        self.tip, self.tree, self.snapshot = commit, tree, snapshot
        self._kept = (commit, tree, snapshot)
        local = self.repo.refs.read(BRANCH)
        if local != commit:
            self.repo.refs.compare_and_swap(BRANCH, commit, local, "lifeos")
        return commit

    def flush(self) -> None:
        """Push what was appended since the last time, as one step; without a remote, nothing.

        Raises ``LedgerMoved`` when somebody else was first: what was appended is dropped then.
        ``Busy`` when the remote cannot be reached, ``NotAuthorised`` when it refuses.
        """
        if self.remote is None or self.tip == self._kept[0]:
            return
        from lifeos.store.remote import Update

        if not self.remote.push(Update(BRANCH, self.tip, self._kept[0])):
            self._drop()
            raise LedgerMoved
        self._keep()
        self._bring_local()

    @property
    def kept(self) -> str:
        """The last transition that is safe: with a remote, that it has."""
        return self._kept[0]

    def _keep(self) -> None:
        self._kept = (self.tip, self.tree, self.snapshot)
        self.when_kept()

    def _drop(self) -> None:
        self.tip, self.tree, self.snapshot = self._kept

    def _bring_local(self) -> None:
        """Move the branch of this clone to what the remote has."""
        if self.remote is None:
            return
        local = self.repo.refs.read(BRANCH)
        if local != self.tip and (local is None or _contains(self.repo, self.tip, local)):
            self.repo.refs.compare_and_swap(BRANCH, self.tip, local, "lifeos")

    def close_run(
        self,
        record: Closed,
        *,
        packet: Mapping[str, bytes],
        drop: tuple[str, ...] = (),
        prose: str = "",
    ) -> str:
        """Record the end of a run with its packet; its artifacts leave the tip."""
        run = self.snapshot.runs[record.run]
        ended = Ended(
            task=run.task,
            run=run.id,
            ordinal=run.ordinal,
            outcome=record.outcome,
            task_digest=run.task_digest,
            landed=record.landed,
            ledger=self.tip,
            at=record.at,
        )
        artifacts = {f"{packet_path(run.id)}/{name}": data for name, data in packet.items()}
        artifacts[closed_path(run.task)] = ended.model_dump_json().encode()
        folder = f"runs/{run.id}"
        if lookup(self.repo.objects, self.tree, folder):
            drop = (*drop, folder)
        return self.append(record, artifacts=artifacts, drop=drop, prose=prose)

    def catch_up(self) -> bool:
        """Take in what others recorded; what was not pushed is dropped. Whether there was anything.

        With a remote, its main is fetched too.
        """
        if self.remote is None:
            tip = self.repo.refs.read(BRANCH)
        else:
            self._drop()
            self.remote.refresh()
            tip = self.remote.ledger
        if tip == self.tip:
            return False
        if tip is None:
            raise LedgerBroken("the branch lifeos/ledger has disappeared")
        few = few_entries(self.repo, tip, self.tip)
        entries = read_entries(self.repo, tip, self.tip) if few is None else iter(few)
        try:
            self.snapshot = replay(self.snapshot, entries)
        except LedgerBroken:
            self._require_not_redacted(tip)
            raise
        self.tip, self.tree = tip, self.repo.objects.commit(tip).tree
        self._kept = (self.tip, self.tree, self.snapshot)
        self._bring_local()
        return True

    def _require_not_redacted(self, tip: str) -> None:
        """Raise with the way out where the ledger was written anew while this command ran."""
        if _contains(self.repo, tip, self.tip) or not _had(self.repo, tip, self.tip):
            return
        if self.remote is not None:
            raise _redacted_on(self.remote)
        raise Busy(
            "something was redacted meanwhile: nothing was recorded", "run this command again"
        )

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Hold lifeos's lock on the ledger, with everything others recorded taken in.

        Inside it ``append`` cannot lose a race against another lifeos on this machine: it is the
        lock that references move under, so who waits for it waits once. With a remote, its end
        pushes, and can lose against another clone: see ``in_turn``.
        """
        with self.repo.refs.exclusive():
            self.catch_up()
            yield
            self.flush()

    def in_turn(self, act: Callable[[], T]) -> T:
        """What ``act`` gives, in a turn of its own; again where another clone was first."""
        for number in range(_TURNS):
            try:
                with self.turn():
                    done = act()
            except LedgerMoved:
                if self.remote is not None:
                    self.remote.pause(number)
                continue
            return done
        raise Busy("others keep recording: nothing was recorded", "run this command again")

    def save(self) -> None:
        """Remember the snapshot for this tip, and that this clone has seen it."""
        folder = self.repo.ensure_private() / "cache"
        folder.mkdir(exist_ok=True)
        text = f"{self.tip}\n{self.snapshot.model_dump_json()}"
        fresh = folder / "state.new"
        with self.repo.refs.exclusive():  # two processes may be at it, under the same name
            fresh.write_text(text, encoding="utf-8")
            fresh.replace(folder / "state")
        seen = self.repo.refs.read(SEEN)
        if seen != self.tip:
            self.repo.refs.compare_and_swap(SEEN, self.tip, seen, "lifeos")


def require_seen(repo: Repo, ledger: Ledger) -> None:
    """Raise ``LedgerBroken`` if the ledger lacks the tip that this clone has seen before."""
    seen = repo.refs.read(SEEN)
    if seen is None or seen == ledger.tip:
        return
    require_contains(repo, ledger, seen, "this clone has seen")


def _redacted_on(remote: Remote) -> LedgerBroken:
    return LedgerBroken(
        f"something was redacted in lifeos/ledger of {remote.name}, and this clone has the ledger"
        " as it was before",
        "lifeos redact --accept checks it, takes it over, and removes it here",
    )


def _nothing() -> None:
    """Nobody waits for it."""


def _contains(repo: Repo, tip: str, commit: str) -> bool:
    from lifeos.store.remote import contains

    return contains(repo, tip, commit)


def _had(repo: Repo, tip: str, commit: str) -> bool:
    """Whether a ledger has this transition under another id since something was redacted."""
    from lifeos.store.redactions import renamed

    return commit in renamed(repo, tip)


def require_contains(repo: Repo, ledger: Ledger, commit: str, who: str) -> None:
    """Raise ``LedgerBroken`` unless the commit is one of the ledger's.

    With a remote, the ledger may have been fetched just before the one who named the commit
    pushed it: then it is looked for again, in the ledger as it is now.
    """
    found = _contains(repo, ledger.tip, commit)
    if not found and ledger.remote is not None:
        now = ledger.remote.fetch(BRANCH)
        found = now is not None and all(_contains(repo, now, c) for c in (commit, ledger.kept))
    if not found and not _had(repo, ledger.tip, commit):
        raise LedgerBroken(
            f"the ledger does not contain {commit[:12]}, which {who}: it was rewound or replaced",
            "find out who moved lifeos/ledger; git reflog lifeos/ledger shows its former tips",
        )


def _hydrate(repo: Repo, tip: str, tree: str) -> Snapshot:
    leaf = lookup(repo.objects, tree, "state.json")
    if leaf is None:
        return replay(Snapshot(), read_entries(repo, tip))
    try:
        state = Snapshot.model_validate_json(repo.objects.read(leaf.oid)[1])
    except ValueError as error:
        raise LedgerBroken(f"ledger commit {tip}: its state.json cannot be read") from error
    missing = seq_of(repo.objects.commit(tip).message, tip) - state.seq
    if not 0 <= missing < STATE_EVERY:
        raise LedgerBroken(f"ledger commit {tip}: its state.json is of another place")
    since = repo.git.run("rev-parse", "--verify", "--end-of-options", f"{tip}~{missing}")
    return replay(state, read_entries(repo, tip, since.decode().strip()) if missing else iter(()))


def _read_cache(repo: Repo, tip: str) -> Snapshot | None:
    path: Path = repo.private_dir / "cache" / "state"
    try:
        cached, _, text = path.read_text(encoding="utf-8").partition("\n")
    except FileNotFoundError:
        return None
    if cached != tip:
        return None
    try:
        return Snapshot.model_validate_json(text)
    except ValueError:
        return None  # a cache of another version: it is made anew from the records


def _governance(repo: Repo, digest: str, files: Mapping[str, bytes]) -> dict[str, Edit]:
    return {
        f"governance/{digest}/{path}": (_FILE, repo.objects.write_blob(data))
        for path, data in files.items()
    }
