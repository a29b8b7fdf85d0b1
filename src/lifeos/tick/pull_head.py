"""The head of a queue PR: exactly what its merge brings to main.

For an approval that is the file of the answer. For a landing (`main_writes: pr`) it is the work as
one commit on main and the bookkeeping as another, so that a merge, a squash and a rebase all bring
the same tree. For what reached main unasked it is what takes that back.
"""

from __future__ import annotations

from lifeos.core.answers import answer_path, answer_text
from lifeos.core.backlog.entry import Mark
from lifeos.core.clean import for_commit, one_line
from lifeos.core.pullpage import TAKEN_BACK
from lifeos.core.pulls import is_landing
from lifeos.core.state import Item, PullRequest, Run
from lifeos.core.table import TAKES_BACK
from lifeos.core.unified import DoesNotApply
from lifeos.model import Decision
from lifeos.store.entries import TITLE_LIMIT
from lifeos.store.merge import merge
from lifeos.store.repo import Repo
from lifeos.store.trees import FILE, Edit, lookup
from lifeos.tick.bookkeeping import Marks, queue_edits, wanted_marks, with_bookkeeping
from lifeos.tick.context import Context
from lifeos.tick.publish import trailers
from lifeos.tick.reading import BACKLOG, QUEUE, Main, main_at, read_file
from lifeos.tick.tasks import read_tasks
from lifeos.tick.work import work_commit


def head_of(ctx: Context, item: Item) -> PullRequest | None:
    """What the queue PR of this item is to bring to main as it is; it has no number yet.

    None where the work does not merge with main: the question is withdrawn, and it is done anew.
    """
    main = main_at(ctx.repo, ctx.main())
    run = ctx.ledger.snapshot.runs.get(item.run or "")
    if item.proposed is not None and is_landing(item, ctx.writes_by_pull_request):
        return _proposal(ctx, main, item)
    if run is not None and is_landing(item, ctx.writes_by_pull_request):
        head = _landing(ctx, main, item, run)
        return PullRequest(head=head, commits=2, landing=True) if head else None
    return _approval(ctx, main, item)


def _approval(ctx: Context, main: Main, item: Item) -> PullRequest:
    tree, parent = main.tree, main.commit
    if item.rule in TAKES_BACK and (undone := without_commit(ctx.repo, main.tree, item)):
        title = f"Take back {item.about[:12]}, {TAKEN_BACK[item.rule]}"
        parent = _commit(ctx, undone, parent, title)
        tree = undone
    path = answer_path(item.id)
    text = answer_text(item.id, Decision.APPROVE, item.subject)
    edits: dict[str, Edit] = {path: (FILE, ctx.repo.objects.write_blob(text))}
    if ctx.writes_by_pull_request:
        edits |= _queue(ctx, main, item)
    head = _commit(ctx, with_bookkeeping(ctx, tree, edits), parent, f"Approve {item.id}")
    return PullRequest(head=head, commits=1 if parent == main.commit else 2)


def _proposal(ctx: Context, main: Main, item: Item) -> PullRequest | None:
    """A proposal as one commit on main; None where it does not fit main any more."""
    from lifeos.tick.change import changed_tree, message_of, proposal_of

    proposal = proposal_of(ctx.ledger, item.id, item.about)
    try:
        tree = changed_tree(ctx.repo, main.tree, proposal, ctx.rules.config.id_prefix)
    except DoesNotApply:
        return None
    tree = with_bookkeeping(ctx, tree, _queue(ctx, main, item))
    message = message_of(ctx, proposal, item.id)
    head = ctx.repo.objects.write_commit(tree, (main.commit,), message, when=ctx.now())
    return PullRequest(head=head, landing=True)


def _queue(ctx: Context, main: Main, item: Item | None) -> dict[str, Edit]:
    """The queue's files that main lacks: of this item alone, and what is there without one.

    Those of other items come with their own pull requests.
    """
    edits, _, _ = queue_edits(ctx, main)
    own = f"{QUEUE}/{item.id}.md" if item else ""
    return {path: change for path, change in edits.items() if change is None or path == own}


def _landing(ctx: Context, main: Main, item: Item, run: Run) -> str | None:
    merged = merge(ctx.repo, main.commit, work_commit(ctx, run))
    if merged.tree is None:
        return None
    body = for_commit(f"Built by run {run.id}.")
    work = _commit(ctx, merged.tree, main.commit, f"{run.title} ({run.task})", body)
    edits = _queue(ctx, main, None)
    leaf = lookup(ctx.repo.objects, merged.tree, BACKLOG)
    data = read_file(ctx.repo, merged.tree, BACKLOG)
    if leaf is not None and data is not None:
        after = _marks(ctx, main, run).splice(data)
        edits[BACKLOG] = (leaf.mode, ctx.repo.objects.write_blob(after))
    tree = with_bookkeeping(ctx, merged.tree, edits)
    return _commit(ctx, tree, work, f"Land {run.task}: {run.title}", f"Asked by {item.id}.")


def _marks(ctx: Context, main: Main, run: Run) -> Marks:
    """The box of this task ticked, and its id if main has none for it yet."""
    titles = wanted_marks(ctx, read_tasks(ctx, main)).titles
    own = {run.task: titles[run.task]} if run.task in titles else {}
    return Marks(ctx.rules.config.id_prefix, {run.task: Mark.DONE}, own)


def without_commit(repo: Repo, main: str, item: Item) -> str | None:
    """A tree of main without what the item is about; None where that cannot be prepared.

    Later changes may stand on it, or what main was before it cannot be told.
    """
    if not item.onto:
        return None
    objects = repo.objects
    made = objects.commit(item.about)
    parted = objects.write_commit(made.tree, (), "what is taken back", when=0)
    sides = [
        objects.write_commit(tree, (parted,), name, when=0)
        for tree, name in (
            (main, "main"),
            (objects.commit(item.onto).tree, "before it"),
        )
    ]
    return merge(repo, *sides).tree


def _commit(ctx: Context, tree: str, parent: str, title: str, body: str = "") -> str:
    middle = f"{body}\n\n" if body else ""
    message = f"{one_line(title, TITLE_LIMIT)}\n\n{middle}{trailers(ctx)}"
    return ctx.repo.objects.write_commit(tree, (parent,), message, when=ctx.now())
