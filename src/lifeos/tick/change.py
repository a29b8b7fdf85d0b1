"""Putting an approved proposal on main: exactly what was approved, or nothing.

As with the work of a run, the exact commit is noted on the ledger before main moves, main moves by
compare-and-swap, and the next look at main finds the noted commit there. A process that dies in
between leaves nothing to guess.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from pydantic import ValidationError

from lifeos.core.canonical import sha256
from lifeos.core.clean import for_commit, one_line
from lifeos.core.improve.proposal import AddTask, Proposal
from lifeos.core.records import Noted, Topic
from lifeos.core.state import Trial
from lifeos.core.unified import DoesNotApply, applied, patches
from lifeos.errors import LedgerBroken, UsageError
from lifeos.governance import governance_digest
from lifeos.store.entries import TITLE_LIMIT
from lifeos.store.ledger import Ledger
from lifeos.store.objects import MissingObject
from lifeos.store.repo import Repo
from lifeos.store.trees import FILE, Edit, edit, lookup
from lifeos.tick.context import Context
from lifeos.tick.drafting import adds_task, bytes_of, has_task, text_of, with_task
from lifeos.tick.proposals import place_of
from lifeos.tick.publish import trailers
from lifeos.tick.reading import BACKLOG, Main, content_of, governance_files, main_at, read_file

ANSWERED = "Lifeos-Item: "
"""The trailer of a proposal's commit on main: the question whose approval let it land."""


def proposal_of(ledger: Ledger, item: str, about: str) -> Proposal:
    """The proposal of a question, as it is on the ledger. Raises ``LedgerBroken``."""
    data = ledger.read(f"{place_of(item)}/proposal.json")
    if data is None or sha256(data) != about:
        raise LedgerBroken(f"the proposal of {item} is not on the ledger as it was asked")
    try:
        return Proposal.model_validate_json(data)
    except ValidationError as error:
        raise LedgerBroken(f"the proposal of {item} cannot be read by this lifeos") from error


def changed_tree(repo: Repo, tree: str, proposal: Proposal, prefix: str) -> str:
    """A tree of main with the proposal's change, and nothing else. Raises ``DoesNotApply``.

    A new task goes where it now belongs if what is around its place has changed: it is the same
    task. Everything else has to be where it was.
    """
    texts = {}
    for path in proposal.paths:
        data = read_file(repo, tree, path)
        if data is not None:
            texts[path] = text_of(data)
        elif lookup(repo.objects, tree, path) is not None:
            raise DoesNotApply(f"{path} is no regular file any more")
    after = _changed(texts, proposal, prefix)
    edits: dict[str, Edit] = {}
    for path, text in after.items():
        leaf = lookup(repo.objects, tree, path)
        mode = leaf.mode if leaf else FILE
        edits[path] = None if text is None else (mode, repo.objects.write_blob(bytes_of(text)))
    try:
        return edit(repo.objects, tree, edits)
    except UsageError as error:
        raise DoesNotApply(error.message) from error


def _changed(texts: Mapping[str, str], proposal: Proposal, prefix: str) -> Mapping[str, str | None]:
    if isinstance(proposal.edit, AddTask):
        return _with_task(texts, proposal, proposal.edit, prefix)
    return applied(patches(proposal.diff), texts)


def _with_task(
    texts: Mapping[str, str], proposal: Proposal, task: AddTask, prefix: str
) -> Mapping[str, str | None]:
    """The backlog with one task more, by the diff or where it belongs; read again, nothing else."""
    before = bytes_of(texts.get(BACKLOG, ""))
    if has_task(before, task, prefix):
        raise DoesNotApply(f"{BACKLOG} has a task {task.id}, or one of that title, already")
    try:
        after = applied(patches(proposal.diff), texts)
    except DoesNotApply:
        if BACKLOG not in texts:
            raise
        try:
            return {BACKLOG: text_of(with_task(before, task, prefix))}
        except UsageError as error:
            raise DoesNotApply(error.message) from error
    if not adds_task(before, bytes_of(after.get(BACKLOG) or ""), task, prefix):
        raise DoesNotApply(f"{BACKLOG} would say something else of another task")
    return after


def why_unfit(ctx: Context, main: Main, item: str, about: str) -> str:
    """Why a proposal cannot be put on main as main is, or ''."""
    proposal = proposal_of(ctx.ledger, item, about)
    try:
        changed_tree(ctx.repo, main.tree, proposal, ctx.rules.config.id_prefix)
    except DoesNotApply as error:
        return str(error)
    return ""


def land_proposal(ctx: Context, item: str) -> bool:
    """Note the commit and move main to it. False: main is not as it was decided on; look again.

    Raises ``InTheWay`` when the person's uncommitted files are where it must go.
    """
    trial = ctx.ledger.snapshot.trials[item]
    proposal = proposal_of(ctx.ledger, item, trial.about)
    if trial.merged:
        return _note_merged(ctx, trial, proposal)
    main = main_at(ctx.repo, ctx.main())
    files = governance_files(ctx.repo, main.tree)
    if governance_digest(files) != ctx.ledger.snapshot.governance:
        return False
    try:
        tree = changed_tree(ctx.repo, main.tree, proposal, ctx.rules.config.id_prefix)
    except DoesNotApply:
        return False
    message = message_of(ctx, proposal, item, trial.who)
    commit = ctx.repo.objects.write_commit(tree, (main.commit,), message, when=ctx.now())
    splices = splices_of(proposal, ctx.rules.config.id_prefix)
    ctx.look_clear(commit, main.commit, splices)
    _note(ctx, item, Main(commit, tree), main.commit, governs=proposal.governs)
    ctx.world.progress(f"land the proposal of {item}: {proposal.title}")
    return ctx.move_main(commit, main.commit, splices)


def message_of(ctx: Context, proposal: Proposal, item: str, who: str = "") -> str:
    """The message of its commit on main."""
    title = one_line(f"Improve: {proposal.title}", TITLE_LIMIT)
    by = f", approved by {one_line(who)}" if who else ""
    body = for_commit("\n".join([*proposal.evidence, f"Proposed as {item}{by}."]))
    return f"{title}\n\n{body}\n\n{ANSWERED}{item}\n{trailers(ctx)}"


def splices_of(proposal: Proposal, prefix: str) -> Mapping[str, Callable[[bytes], bytes]]:
    """How a new task comes into a backlog that a person is editing."""
    task = proposal.edit
    if not isinstance(task, AddTask):
        return {}
    return {BACKLOG: lambda data: with_task(data, task, prefix)}


def _note(ctx: Context, item: str, made: Main, onto: str, *, governs: bool) -> None:
    digest = governance_digest(governance_files(ctx.repo, made.tree)) if governs else ""
    note = Noted(
        at=ctx.now(),
        topic=Topic.LANDING,
        item=item,
        commit=made.commit,
        onto=onto,
        tree=made.tree,
        digest=digest,
    )
    ctx.ledger.append(note)
    ctx.ledger.flush()


def _note_merged(ctx: Context, trial: Trial, proposal: Proposal) -> bool:
    """Note what a forge merged. It was judged when its answer was taken; main has it already."""
    if any(change.commit == trial.merged for change in trial.changes):
        return False
    onto = merged_onto(ctx.repo, trial.merged, proposal, ctx.rules.config.id_prefix)
    if onto is None:
        raise LedgerBroken(
            f"{trial.merged[:12]} on main is not the proposal of {trial.item} that was approved",
            f"git show {trial.merged[:12]}; lifeos verify",
        )
    made = main_at(ctx.repo, trial.merged)
    _note(ctx, trial.item, made, onto, governs=proposal.governs)
    return True


def merged_onto(repo: Repo, commit: str, proposal: Proposal, prefix: str) -> str | None:
    """What main was before a forge merged this proposal; None if that is not what it brought.

    Told from the trees alone, but for marks, ids and the queue. A merge, a squash and a rebase of
    one commit all have main before it as their first parent.
    """
    try:
        made = repo.objects.commit(commit)
        onto = made.parents[0]
        before = repo.objects.commit(onto).tree
        tree = changed_tree(repo, before, proposal, prefix)
    except (DoesNotApply, MissingObject, IndexError, KeyError, ValueError):
        return None
    same = content_of(repo, tree, prefix) == content_of(repo, made.tree, prefix)
    return onto if same else None
