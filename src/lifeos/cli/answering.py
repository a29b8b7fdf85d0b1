"""Answering a queue item: the answer's file, committed on main as the person.

Before main moves, the tick's own eyes look at the commit: what would not count is not committed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from lifeos.cli.frame import frame_of, show, show_json
from lifeos.cli.items import find_item
from lifeos.cli.on_main import OnMain, Plan, not_pushed, require_approver
from lifeos.errors import Exit, LifeosError, NotAuthorised, UsageError
from lifeos.model import Decision, Frozen, ItemKind, Trust

if TYPE_CHECKING:
    from lifeos.core.facts import Answer
    from lifeos.core.state import Item
    from lifeos.store.trees import Edit
    from lifeos.tick.context import Context
    from lifeos.tick.reading import Main

ItemName = Annotated[
    str, typer.Argument(help="The item: its id, the start of it, or its task.", metavar="ITEM")
]
Comment = Annotated[str, typer.Option("--message", "-m", help="A comment.", metavar="TEXT")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")]


class AnswerData(Frozen):
    """``lifeos.approve/v1``, and the same for revise and reject. ``commit`` None: a dry run."""

    item: str
    kind: ItemKind
    task: str | None
    run: str | None
    decision: Decision
    effect: str
    who: str
    branch: str
    commit: str | None = None
    replaced: str = ""
    not_pushed: str = ""


def answer(
    context: typer.Context,
    name: str,
    decision: Decision,
    comment: str,
    *,
    dry_run: bool,
    json: bool,
) -> int:
    """Answer the item that is meant, and say what happens next."""
    from lifeos.core.state import OnApprove
    from lifeos.core.table import effects

    ctx = frame_of(context).context(offline=True)
    with ctx.repo:
        item = find_item(ctx.ledger, name)
        _require_possible(item, decision, comment)
        _require_not_by_merge(ctx, item)
        then = ctx.governance(item.governance).approvals
        _, who = require_approver(ctx.repo, ctx.rules.approvals, then)
        earlier = _earlier_answer(ctx, item)
        _require_fresh(ctx, item)
        run = ctx.ledger.snapshot.runs.get(item.run or "")
        commit = None if dry_run else _commit(ctx, item, decision, comment)
        data = AnswerData(
            item=item.id,
            kind=item.kind,
            task=run.task if run else None,
            run=item.run,
            decision=decision,
            effect=effects(
                item.kind, item.stage, item.rule, again=item.on_approve is OnApprove.AGAIN
            )[decision],
            who=who,
            branch=ctx.rules.config.main,
            commit=commit,
            replaced=earlier,
            not_pushed=not_pushed(ctx.repo, ctx.rules, commit),
        )
    if json:
        show_json(decision.value, data)
    else:
        show(_text(data))
    return Exit.OK


def _require_possible(item: Item, decision: Decision, comment: str) -> None:
    from lifeos.core.table import ANSWERS

    possible = ANSWERS[item.kind]
    if decision not in possible:
        fixes = " or ".join(f"lifeos {one} {item.id}" for one in possible)
        raise UsageError(f"{decision} is no answer to {item.id} ({item.kind})", fixes)
    if decision is not Decision.APPROVE and not comment.strip():
        raise UsageError(
            f"{decision} needs a comment", f"say why: lifeos {decision} {item.id} -m 'TEXT'"
        )


def _require_not_by_merge(ctx: Context, item: Item) -> None:
    """Where only the forge says who answered, a commit would never count."""
    if ctx.rules.approvals.trust is not Trust.MERGE:
        return
    where = item.pull.url if item.pull and item.pull.url else "the one that lifeos tick opens"
    raise NotAuthorised(
        f"with trust `merge` {item.id} is answered by its pull request, and by nothing else",
        f"merge it, request changes, or close it: {where}",
    )


def _earlier_answer(ctx: Context, item: Item) -> str:
    """Why an answer that is on main already does not count; '' if there is none.

    Raises ``UsageError`` if it does count: one answer is enough.
    """
    from lifeos.tick.reading import main_at

    found, why = judged(ctx, main_at(ctx.repo, ctx.main()), item)
    if found is not None:
        raise UsageError(
            f"{item.id} is answered already: {found.decision} by {found.who}"
            f" (commit {found.commit[:12]})",
            "lifeos tick takes it",
        )
    return why


def judged(ctx: Context, main: Main, item: Item) -> tuple[Answer | None, str]:
    """The answer to an item that lies on this main, as the tick sees it, or why it does not count.

    (None, '') when there is no answer.
    """
    from lifeos.tick.answers import read_answers

    answers, refusals = read_answers(ctx, main, contents_of(ctx, item))
    found = next((one for one in answers if one.item == item.id), None)
    if found is not None:
        return found, ""
    refused = next((one for one in refusals if one.item.lower() == item.id.lower()), None)
    return None, str(refused) if refused else ""


def contents_of(ctx: Context, item: Item) -> dict[str, str]:
    """The content digest of the work that an item is about, by its run."""
    from lifeos.tick import contents

    run = ctx.ledger.snapshot.runs.get(item.run or "")
    return contents.contents_of(ctx, (run,) if run is not None else ())


def _require_fresh(ctx: Context, item: Item) -> None:
    from lifeos.tick.answers import present_subject

    if present_subject(ctx, item, contents_of(ctx, item)) != item.subject:
        raise UsageError(
            f"what {item.id} asks about has changed since it was asked",
            "lifeos tick, which asks anew; then answer the new question",
        )


def _commit(ctx: Context, item: Item, decision: Decision, comment: str) -> str:
    from lifeos.core.answers import answer_text

    content = answer_text(item.id, decision, item.subject, comment)

    def check(main: Main) -> None:
        found, why = judged(ctx, main, item)
        if found is None:
            raise LifeosError(why or f"the answer to {item.id} would not count")

    where = OnMain.under(ctx.repo, ctx.rules)
    return where.commit(_plan(ctx, item, content), _message(item, decision, comment), check=check)


def _plan(ctx: Context, item: Item, content: bytes) -> Plan:
    from lifeos.core.answers import answer_path
    from lifeos.store.trees import FILE, lookup

    path = answer_path(item.id)

    def changes(main: Main) -> list[dict[str, Edit]]:
        blob = ctx.repo.objects.write_blob(content)
        there = lookup(ctx.repo.objects, main.tree, path)
        put: dict[str, Edit] = {path: (FILE, blob)}
        # The same text by somebody else stays theirs until it has been away.
        return [{path: None}, put] if there is not None and there.oid == blob else [put]

    return changes


def _message(item: Item, decision: Decision, comment: str) -> str:
    from lifeos.core.clean import for_commit, one_line

    parts = [f"{decision} {item.id}", one_line(item.question, 300), for_commit(comment)]
    return "\n\n".join(part for part in parts if part) + "\n"


def _text(data: AnswerData) -> str:
    about = f" of {data.task}" if data.task else ""
    lines = []
    if data.replaced:
        lines.append(f"an earlier answer is replaced: {data.replaced.splitlines()[0]}")
    if data.commit is None:
        lines.append(f"would {data.decision} {data.item}{about} as {data.who}: {data.effect}")
        return "\n".join(lines)
    lines.append(f"{data.decision} {data.item}{about}: {data.effect}")
    lines.append(f"committed {data.commit[:12]} on {data.branch} as {data.who}")
    if data.not_pushed:
        lines.append(data.not_pushed)
    lines.append("next: lifeos tick")
    return "\n".join(lines)
