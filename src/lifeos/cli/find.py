"""What people call things: a run, a task, an item, an attempt, a commit; found on the ledger."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lifeos.core.canonical import short_id
from lifeos.errors import UsageError

if TYPE_CHECKING:
    from lifeos.store.ledger import Ledger

_RUN = re.compile(r"R-[0-9a-z]{8}")
_ITEM = re.compile(r"Q-[0-9a-z]{8}")
_COMMIT = re.compile(r"[0-9a-f]{4,64}")
_ATTEMPT = re.compile(r"(.+)[:/]([1-9][0-9]{0,5})")


class Missing(UsageError):
    """Nothing on the ledger has this name."""

    def __init__(self, name: str, kind: str = "run, task, item or transition") -> None:
        super().__init__(
            f"the ledger knows no {kind} called {name[:80]!r}",
            "lifeos log shows what has happened, lifeos backlog list the tasks",
        )


@dataclass(frozen=True)
class RunName:
    """A run; ``n`` is one of its attempts, 0 for the whole run."""

    run: str
    n: int = 0


@dataclass(frozen=True)
class ItemName:
    """A queue item."""

    item: str


@dataclass(frozen=True)
class CommitName:
    """One transition."""

    commit: str


def find(ledger: Ledger, name: str) -> RunName | ItemName | CommitName:
    """What is meant: RUN, TASK, ITEM, a commit, RUN:N or TASK:N. Raises ``Missing``."""
    attempt = _ATTEMPT.fullmatch(name)
    if attempt:
        return RunName(find_run(ledger, attempt[1]), int(attempt[2]))
    if _ITEM.fullmatch(_cased(name)):
        return ItemName(_cased(name))
    if _COMMIT.fullmatch(name):
        found = _commit(ledger, name)
        if found is not None:
            return found
    return RunName(find_run(ledger, name))


def find_run(ledger: Ledger, name: str) -> str:
    """The run of this id, or the last run of this task. Raises ``Missing``."""
    from lifeos.core.records import Opened
    from lifeos.store.story import newest

    if _RUN.fullmatch(_cased(name)):
        run = _cased(name)
        if run in ledger.snapshot.runs or _opened(ledger, run):
            return run
        raise Missing(name, "run")
    for run_state in ledger.snapshot.runs.values():
        if name in (run_state.task, run_state.title):
            return run_state.id
    ended = ledger.ended(name) if _plain(name) else None
    if ended is not None:
        return ended.run
    if '"' not in name and "\\" not in name and "\n" not in name:
        words = [f'"title":"{name}"', f'"task":"{name}"']
        for entry in newest(ledger.repo, ledger.tip, words=words):
            record = entry.record
            if isinstance(record, Opened) and name in (record.title, record.task):
                return record.run
    raise Missing(name)


def runs_of_task(ledger: Ledger, task: str) -> list[str]:
    """Every run that this task has had, by its ids: they follow from the count."""
    last = 0
    for run in ledger.snapshot.runs.values():
        if run.task == task:
            last = run.ordinal
    ended = ledger.ended(task) if _plain(task) else None
    last = max(last, ended.ordinal if ended else 0)
    root = ledger.snapshot.root
    return [short_id("R", root, task, ordinal) for ordinal in range(1, last + 1)]


def _opened(ledger: Ledger, run: str) -> bool:
    from lifeos.store.story import newest

    words = [f"Lifeos-Run: {run}"]
    return next(newest(ledger.repo, ledger.tip, words=words, limit=1), None) is not None


def _commit(ledger: Ledger, name: str) -> RunName | CommitName | None:
    """A transition by its commit, or the run that landed a commit of main."""
    from lifeos.core.records import Closed, Noted
    from lifeos.store.history import is_ancestor
    from lifeos.store.redactions import renamed
    from lifeos.store.story import newest

    repo = ledger.repo
    result = repo.git.call("rev-parse", "--verify", "--quiet", f"{name}^{{commit}}")
    commit = result.out.decode().strip() if result.status == 0 else name
    if result.status == 0 and is_ancestor(repo, commit, ledger.tip):
        return CommitName(commit)
    renamed_to = renamed(repo, ledger.tip).get(commit)  # its id before something was redacted
    if renamed_to is not None:
        return CommitName(renamed_to)
    if result.status != 0:
        return None
    for entry in newest(repo, ledger.tip, words=[commit]):
        record = entry.record
        if isinstance(record, Closed) and record.landed == commit:
            return RunName(record.run)
        if isinstance(record, Noted) and record.commit == commit and record.run:
            return RunName(record.run)
    return _landed_with(ledger, commit)


def _landed_with(ledger: Ledger, commit: str) -> RunName | None:
    """The run whose landing brought this commit to main: its pure work, say."""
    from lifeos.tick.landings import landings_on
    from lifeos.tick.verify import main_of

    main = main_of(ledger.repo, ledger.tip)
    landed = landings_on(ledger, main).landed.get(commit) if main else None
    return RunName(landed.run) if landed else None


def _plain(name: str) -> bool:
    """Whether a name can be that of a task: it becomes part of a path."""
    return re.fullmatch(r"[A-Za-z0-9-]{1,64}", name) is not None


def _cased(name: str) -> str:
    return name[:1].upper() + name[1:].lower()
