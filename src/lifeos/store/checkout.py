"""Moving a branch that somebody has checked out, and bringing their work tree along.

A branch that moves alone leaves index and files behind, and the next `git commit -a` there reverts
what moved. So index and files go first, then the reference, and an intent on disk lets whoever
comes after a kill finish or undo it. Nothing uncommitted, untracked or ignored is overwritten:
lifeos looks at every path itself, because git's own `read-tree -m -u` overwrites ignored files.

The order is: lock the indexes, look, prepare everything aside, write the intent, put the files in
place, install the indexes, move the reference by compare-and-swap, remove the intent.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

from lifeos.errors import Busy, Failed
from lifeos.store.git import FilterFailed, Git
from lifeos.store.intent import (
    Intent,
    Site,
    clear_stage,
    forget,
    read_intent,
    stage_of,
    traces,
    write_intent,
)
from lifeos.store.lock import Lock
from lifeos.store.repo import Repo
from lifeos.store.steps import TO_WRITE, Plan, Splice, Step, changes, look
from lifeos.store.trees import lookup
from lifeos.store.worktree import (
    ABSENT,
    FOLDER,
    IndexLock,
    Worktree,
    back_up,
    clear_if_dead,
    found_at,
    put,
    take_away,
    worktrees,
)

_NO_SPLICES: Mapping[str, Splice] = {}
_SHOWN = 10


class InTheWay(Busy):
    """Something of the person's would be overwritten, or is under way; nothing has moved."""

    def __init__(self, folder: Path, paths: Sequence[str], what: str, fix: str) -> None:
        shown = ", ".join(paths[:_SHOWN])
        more = f" and {len(paths) - _SHOWN} more" if len(paths) > _SHOWN else ""
        super().__init__(f"{folder}: {what}: {shown}{more}", fix)
        self.paths = tuple(paths)


class Outcome(StrEnum):
    """What became of a move that was cut short."""

    COMPLETED = "completed"  # the branch is at the new commit, and so is the work tree
    UNDONE = "undone"  # as if nothing had been tried


@dataclass(frozen=True)
class MoveResult:
    """Whether the branch moved (False: somebody else moved it), and the trees that followed."""

    moved: bool
    worktrees: tuple[Path, ...] = ()


@dataclass(frozen=True)
class Recovered:
    """A move that was cut short and is settled now. ``left``: files edited since, left alone."""

    branch: str
    outcome: Outcome
    left: tuple[str, ...] = ()


def move_branch(
    repo: Repo,
    branch: str,
    new: str,
    old: str,
    reason: str,
    splices: Mapping[str, Splice] = _NO_SPLICES,
    look_only: bool = False,
) -> MoveResult:
    """Move a branch (full name) from ``old`` to ``new``, with every work tree that has it out.

    ``splices``: for a path that both sides changed (BACKLOG.md), how lifeos's change is made in
    the person's version, staged and unstaged. ``reason`` goes to the reflog. ``look_only``: raise
    what would be raised, and move nothing.
    Raises ``InTheWay`` when nothing has moved, ``Busy`` when an index is locked.
    """
    try:
        return _move_with_trees(repo, branch, new, old, reason, splices, look_only)
    except FilterFailed as error:
        raise InTheWay(
            repo.work_tree or repo.common_dir,
            [error.path],
            f"git's filter {error.name}, which your configuration calls required, does not work",
            error.fix,
        ) from error


def _move_with_trees(
    repo: Repo,
    branch: str,
    new: str,
    old: str,
    reason: str,
    splices: Mapping[str, Splice],
    look_only: bool,
) -> MoveResult:
    with Lock(repo.ensure_private() / "checkout.lock"):
        _settle(repo)
        trees = _concerned(repo, branch)
        if not trees:
            moved = not look_only and repo.refs.compare_and_swap(branch, new, old, reason)
            return MoveResult(moved)
        with _locked(repo, trees):
            if repo.refs.read(branch) != old:
                return MoveResult(moved=False)
            intent = Intent(branch, old, new, reason, nonce=secrets.token_hex(4))
            plans = _look(repo, trees, intent, splices)
            if look_only:
                _try_filters(repo, plans, intent)
                return MoveResult(moved=False)
            return _move(repo, plans, intent)


def recover(repo: Repo) -> Recovered | None:
    """Settle what a killed lifeos left of a move; starts no process when there is nothing.

    It is finished where the branch is still where it was and nobody touched the files since;
    else it is undone. A file edited since is never overwritten.
    """
    locks = [folder / "index.lock" for folder in _git_dirs(repo)]
    if not any(os.path.lexists(path) for path in (*traces(repo), *locks)):
        return None
    with Lock(repo.ensure_private() / "checkout.lock"):
        return _settle(repo)


def _git_dirs(repo: Repo) -> list[Path]:
    linked = repo.common_dir / "worktrees"
    return [repo.common_dir, *(sorted(linked.iterdir()) if linked.is_dir() else ())]


@contextmanager
def _locked(repo: Repo, trees: Iterable[Worktree]) -> Iterator[None]:
    with ExitStack() as locks:
        for tree in trees:
            locks.enter_context(IndexLock(tree, repo.private_dir, repo.trace))
        yield


def _concerned(repo: Repo, branch: str) -> list[Worktree]:
    """The work trees that have the branch checked out. Raises ``InTheWay`` if one is not ready."""
    found = []
    for tree in worktrees(repo):
        if branch not in (tree.head_ref, tree.rebasing()):
            continue
        if tree.path.is_dir():
            _require_quiet(tree)
            found.append(tree)
        elif (tree.git_dir / "locked").exists():
            raise InTheWay(
                tree.path,
                [branch],
                "this work tree is not here, is kept by git worktree lock, and has it checked out",
                "make the folder available, or run git worktree unlock and git worktree prune",
            )
    return found


def _require_quiet(tree: Worktree) -> None:
    busy = tree.in_progress()
    if busy is not None:
        raise InTheWay(
            tree.path,
            [busy],
            "a merge, rebase, cherry-pick or revert is under way",
            "finish or abort it (git status says how), then run lifeos tick again",
        )


# --- moving -----------------------------------------------------------------------------------


def _look(
    repo: Repo, trees: Sequence[Worktree], intent: Intent, splices: Mapping[str, Splice]
) -> list[Plan]:
    """What is to be done in each work tree. Raises ``InTheWay``."""
    wanted = changes(repo, intent.old, intent.new)
    plans = [look(tree, wanted, splices) for tree in trees]
    for plan in plans:
        if plan.blocked:
            raise InTheWay(
                plan.tree.path,
                sorted(set(plan.blocked)),
                "not committed, and in the way of new commits on the branch that is checked out",
                "commit, stash or move these files, then run lifeos tick again",
            )
    return plans


def _move(repo: Repo, plans: Sequence[Plan], intent: Intent) -> MoveResult:
    trees = [plan.tree for plan in plans]
    folder = stage_of(repo, intent)
    sites = tuple(_stage(folder / str(n), plan) for n, plan in enumerate(plans))
    repo.objects.flush()
    intent = replace(intent, sites=sites)
    repo.trace("checkout:staged")
    write_intent(repo, intent)
    repo.trace("checkout:intended")
    try:
        edited = _forward(repo, intent, trees)
        moved = not edited and _swap(repo, intent)
    except BaseException:
        if repo.refs.read(intent.branch) != intent.new:
            _undo(repo, intent, trees)
        forget(repo)
        raise
    if not moved:
        _undo(repo, intent, trees)
    forget(repo)
    if edited:
        raise InTheWay(
            trees[0].path,
            edited,
            "edited while lifeos was bringing them along",
            "commit or stash these files, then run lifeos tick again",
        )
    return MoveResult(moved, tuple(tree.path for tree in trees) if moved else ())


def _swap(repo: Repo, intent: Intent) -> bool:
    return repo.refs.compare_and_swap(intent.branch, intent.new, intent.old, intent.reason)


def _stage(folder: Path, plan: Plan) -> Site:
    """Prepare the new files, and keep the old ones, all aside. Gives the finished steps."""
    tree = plan.tree
    fresh = folder / "new"
    fresh.mkdir(parents=True)
    (folder / "old").mkdir()
    _write(plan, folder)
    for path, data in plan.spliced.items():
        target = fresh / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
        target.chmod((tree.path / path).stat().st_mode & 0o7777)
    steps = tuple(_finished(tree, folder, step) for step in plan.steps)
    return Site(str(tree.git_dir), str(tree.path), steps)


def _write(plan: Plan, folder: Path, *, back: bool = False) -> None:
    """Git writes the new files, with the person's filters and the new attributes, aside.

    ``back``: it also reads them again, as it will when they are in place.
    """
    written = [
        s.path for s in plan.steps if s.file_after == TO_WRITE and s.path not in plan.spliced
    ]
    if written:
        git = Git(plan.tree.git_dir, work_tree=folder / "new", trace=plan.tree.repo.trace)
        listed = b"".join(os.fsencode(path) + b"\0" for path in written)
        copy = _index_copy(plan.tree, folder, {s: s.index_after for s in plan.steps})
        env = {"GIT_INDEX_FILE": str(copy)}
        git.run("checkout-index", "-f", "-z", "--stdin", stdin=listed, env=env)
        if back:
            git.run("update-index", "-q", "--refresh", ok=(0, 1), env=env)


def _try_filters(repo: Repo, plans: Sequence[Plan], intent: Intent) -> None:
    """Raise ``FilterFailed`` if the person's filters would fail on the new files."""
    folder = stage_of(repo, intent)
    try:
        for n, plan in enumerate(plans):
            (folder / str(n) / "new").mkdir(parents=True)
            _write(plan, folder / str(n), back=True)
    finally:
        clear_stage(repo)


def _finished(tree: Worktree, folder: Path, step: Step) -> Step:
    """The step with the exact file that is to be; the one that is there now is kept."""
    if step.file_after == TO_WRITE:
        after = found_at(folder / "new", step.path)
        if after == ABSENT:
            raise Failed(f"git did not write {step.path}", "git fsck, then run lifeos tick again")
        step = replace(step, file_after=after)
        _sync_file(folder / "new" / step.path)
    if step.file_before not in (ABSENT, FOLDER, step.file_after):
        back_up(tree.path / step.path, folder / "old" / str(step.number))
    return step


def _sync_file(path: Path) -> None:
    if not path.is_symlink():
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _index_copy(tree: Worktree, folder: Path, wanted: Mapping[Step, str]) -> Path:
    """A copy of the index as it is now, with these entries."""
    copy = folder / f"index.{secrets.token_hex(4)}"
    sparse = [step.path for step, entry in wanted.items() if step.skip and entry != ABSENT]
    tree.copy_index(copy, {step.path: entry for step, entry in wanted.items()}, sparse)
    return copy


def _forward(repo: Repo, intent: Intent, trees: Sequence[Worktree]) -> list[str]:
    """Bring files and indexes to the new commit. Stops at the first edit, and names it."""
    for n, (tree, site) in enumerate(zip(trees, intent.sites, strict=True)):
        folder = stage_of(repo, intent) / str(n)
        for step in _in_order(site.steps, back=False):
            source = folder / "new" / step.path
            if not _place(tree, step, source, intent.nonce, back=False):
                return [step.path]
        _install(tree, folder, {step: step.index_after for step in site.steps})
    return []


def _undo(repo: Repo, intent: Intent, trees: Iterable[Worktree]) -> list[str]:
    """Take back what was done, unless what is checked out now has it. Gives the edited files."""
    intent = replace(intent, undoing=True)
    write_intent(repo, intent)
    by_path = {str(tree.path): tree for tree in trees}
    left: list[str] = []
    for n, site in enumerate(intent.sites):
        tree = by_path.get(site.path)
        if tree is None:
            continue
        folder = stage_of(repo, intent) / str(n)
        steps = [step for step in site.steps if _entry_in_head(tree, step.path) != step.new]
        for step in _in_order(steps, back=True):
            source = folder / "old" / str(step.number)
            if not _place(tree, step, source, intent.nonce, back=True):
                left.append(step.path)
        index = tree.index()
        wanted = {}
        for step in steps:
            entry = index[step.path].entry if step.path in index else ABSENT
            if entry == step.index_after:
                wanted[step] = step.index_before
        _install(tree, folder, wanted)
    return left


def _entry_in_head(tree: Worktree, path: str) -> str:
    head = tree.head_id()
    if head is None:
        return ABSENT
    objects = tree.repo.objects
    leaf = lookup(objects, objects.commit(head).tree, path)
    return f"{leaf.mode} {leaf.oid}" if leaf is not None and leaf.mode != "040000" else ABSENT


def _in_order(steps: Iterable[Step], *, back: bool) -> list[Step]:
    """Removals first: a folder must be empty before a file can take its place, or a file gone."""
    return sorted(steps, key=lambda s: (s.file_before if back else s.file_after) != ABSENT)


def _place(tree: Worktree, step: Step, source: Path, nonce: str, *, back: bool) -> bool:
    """Put one file in place, or take it away. False: it is not what it was, and is left alone."""
    before, after = step.file_before, step.file_after
    if back:
        before, after = after, before
    now = step.found(tree.path)
    if now == after:
        return True
    target = tree.path / step.path
    if step.submodule and FOLDER in (now, after):
        if after == FOLDER and now == ABSENT:
            target.mkdir(parents=True)
        elif now == FOLDER and not any(target.iterdir()):
            target.rmdir()
        return True
    if now != before or (after != ABSENT and not os.path.lexists(source)):
        return False
    tree.repo.trace("checkout:before:file")
    if after == ABSENT:
        take_away(tree.path, step.path)
    else:
        if target.is_dir() and not target.is_symlink():
            _remove_empty(target)
        put(tree.path, step.path, source, f".lifeos-{nonce}-{step.number}")
    tree.repo.trace("checkout:after:file")
    return True


def _remove_empty(folder: Path) -> None:
    for inner, _, _ in os.walk(folder, topdown=False):
        Path(inner).rmdir()


def _install(tree: Worktree, folder: Path, wanted: Mapping[Step, str]) -> None:
    if not wanted:
        return
    copy = _index_copy(tree, folder, wanted)
    tree.repo.trace("checkout:before:index")
    tree.install_index(copy)
    tree.repo.trace("checkout:after:index")


# --- after a kill -------------------------------------------------------------------------------


def _settle(repo: Repo) -> Recovered | None:
    """Finish or undo what was cut short. Called under lifeos's lock."""
    for folder in _git_dirs(repo):
        clear_if_dead(folder / "index.lock")
    intent = read_intent(repo)
    if intent is None:
        clear_stage(repo)
        return None
    sites = {site.path: site for site in intent.sites}
    trees = [t for t in worktrees(repo) if str(t.path) in sites and t.path.is_dir()]
    with _locked(repo, trees):
        now = repo.refs.read(intent.branch)
        if not intent.undoing and now is not None and _reached(repo, intent.new, now):
            forget(repo)
            return Recovered(intent.branch, Outcome.COMPLETED)
        if now == intent.old and _can_finish(repo, intent, trees):
            order = {str(tree.path): tree for tree in trees}
            edited = _forward(repo, intent, [order[site.path] for site in intent.sites])
            if not edited and _swap(repo, intent):
                forget(repo)
                return Recovered(intent.branch, Outcome.COMPLETED)
        left = _undo(repo, intent, trees)
        forget(repo)
        return Recovered(intent.branch, Outcome.UNDONE, tuple(left))


def _reached(repo: Repo, new: str, now: str) -> bool:
    if now == new:
        return True
    result = repo.git.call("merge-base", "--is-ancestor", new, now)
    return result.status == 0


def _can_finish(repo: Repo, intent: Intent, trees: Sequence[Worktree]) -> bool:
    """Whether every path is as it was left: before or after its step, in index and file."""
    here = {str(tree.path): tree for tree in trees}
    if intent.undoing or set(here) != {site.path for site in intent.sites}:
        return False
    for n, site in enumerate(intent.sites):
        tree = here[site.path]
        if tree.head_ref != intent.branch or tree.in_progress():
            return False
        index = tree.index()
        for step in site.steps:
            entry = index[step.path].entry if step.path in index else ABSENT
            if entry not in (step.index_before, step.index_after):
                return False
            source = stage_of(repo, intent) / str(n) / "new" / step.path
            if not (step.submodule or _file_can_follow(step, step.found(tree.path), source)):
                return False
    return True


def _file_can_follow(step: Step, now: str, source: Path) -> bool:
    if now == step.file_after:
        return True
    return now == step.file_before and (step.file_after == ABSENT or os.path.lexists(source))
