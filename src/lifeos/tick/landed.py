"""What a forge merged: whether it is the work of a run, and what main was before it."""

from __future__ import annotations

from lifeos.core.state import Run
from lifeos.store.merge import merge
from lifeos.store.objects import MissingObject
from lifeos.store.repo import Repo
from lifeos.tick.context import Context
from lifeos.tick.reading import content_of
from lifeos.tick.work import work_commit


def landed_on(ctx: Context, run: Run, commit: str) -> str | None:
    """What main was before a forge merged the work of this run; None if that is not what it got.

    Told from the trees alone, so that anybody can do it again from a clone: main before it with
    the work is what main is after it, but for marks and the queue. By a rebase the work came as a
    commit of its own, and main before that is meant.
    """
    made = ctx.repo.objects.commit(commit)
    first = made.parents[0]
    onto = first if _brings(ctx, run, first, commit) else None
    if onto is not None and len(made.parents) == 1:
        parents = ctx.repo.objects.commit(first).parents
        if len(parents) == 1 and _brings(ctx, run, parents[0], first):
            return parents[0]
    return onto


def _brings(ctx: Context, run: Run, before: str, after: str) -> bool:
    merged = merge(ctx.repo, before, work_commit(ctx, run))
    if merged.tree is None:
        return False
    prefix = ctx.rules.config.id_prefix
    now = ctx.repo.objects.commit(after).tree
    return content_of(ctx.repo, merged.tree, prefix) == content_of(ctx.repo, now, prefix)


def before_merge(repo: Repo, commit: str, head: str) -> str:
    """What main was before a pull request with this head was merged by this commit.

    By a merge or a squash that is its first parent. By a rebase each commit of the head came over
    by itself: with its message, and making of the commit before it what it made there. "" where
    there was nothing before.
    """
    parents = repo.objects.commit(commit).parents
    if len(parents) != 1:
        return parents[0] if parents else ""
    here, there = commit, head
    try:
        for _ in range(_own(repo, commit, head)):
            if not _alike(repo, here, there):
                break
            here, there = (repo.objects.commit(each).parents[0] for each in (here, there))
    except MissingObject:
        return parents[0]  # the head is not here: what is known for sure is the first parent
    return here if here != commit else parents[0]


def _own(repo: Repo, commit: str, head: str) -> int:
    """How many commits the head has of its own, beside what main had."""
    repo.objects.commit(head)  # or it is said that it is not here
    count = repo.git.run("rev-list", "--count", "--end-of-options", head, f"^{commit}")
    return int(count)


def _alike(repo: Repo, made: str, own: str) -> bool:
    """Whether one commit is what a rebase makes of the other."""
    new, old = repo.objects.commit(made), repo.objects.commit(own)
    if new.message != old.message or (len(new.parents), len(old.parents)) != (1, 1):
        return False
    onto, base = (repo.objects.commit(each.parents[0]).tree for each in (new, old))
    parted = repo.objects.write_commit(base, (), "before it", when=0)
    sides = [
        repo.objects.write_commit(tree, (parted,), "a side", when=0) for tree in (onto, old.tree)
    ]
    return merge(repo, *sides).tree == new.tree
