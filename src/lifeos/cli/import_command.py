"""``lifeos import``: take over answers that were given on a machine without a network."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lifeos.cli.frame import Json, frame_of, show, show_json
from lifeos.errors import Exit, NotAuthorised, UsageError
from lifeos.model import Decision, Frozen, Trust

if TYPE_CHECKING:
    from lifeos.tick.airgap import Answers
    from lifeos.tick.context import Context
    from lifeos.tick.reading import Main


class TakenOver(Frozen):
    """One answer. ``decision`` None: its question is not open any more, and it does nothing."""

    item: str
    commit: str
    decision: Decision | None
    who: str


class ImportData(Frozen):
    """``lifeos.import/v1``. ``main`` is what main is at now, ``merged`` whether it had moved on."""

    file: str
    branch: str
    before: str
    main: str
    merged: bool
    answers: tuple[TakenOver, ...]
    not_pushed: str = ""


def command(
    context: typer.Context,
    file: Annotated[
        Path, typer.Argument(help="A bundle of `lifeos export --answers`.", metavar="FILE")
    ],
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be taken over, and do nothing.")
    ] = False,
    json: Json = False,
) -> int:
    """Take over answers from a bundle: commits on main that each bring one answer, nothing else.

    The file may come from anybody. Whatever else is in it is refused, and so is an answer that
    would not count. Main goes on to these commits, or is merged with them if it has moved.
    """
    ctx = frame_of(context).context()
    with ctx.repo:
        data = _import(ctx, file, dry_run=dry_run)
    if json:
        show_json("import", data)
    else:
        show(_text(data, dry_run=dry_run))
    return Exit.OK


def _import(ctx: Context, file: Path, *, dry_run: bool) -> ImportData:
    from lifeos.cli.on_main import OnMain, not_pushed
    from lifeos.store.bundlefile import read_bundle
    from lifeos.store.remote import contains
    from lifeos.tick.airgap import answers_in

    _require_trust(ctx)
    where = OnMain.under(ctx.repo, ctx.rules)
    before = ctx.main()
    bundle = read_bundle(file, ctx.repo.objects, where.ref)
    answers = answers_in(ctx.repo, bundle, where.ref, before)
    if contains(ctx.repo, before, answers.tip):
        raise UsageError(f"{ctx.rules.config.main} has these answers already", "lifeos tick")
    answers.store(ctx.repo.objects)
    found: list[TakenOver] = []

    def check(main: Main) -> None:
        found[:] = _judged(ctx, answers, main)

    if dry_run:
        check(_build(ctx, answers, before, where.sign))
        main = before
    else:
        items = ", ".join(dict.fromkeys(one.item for one in answers.brought))
        reason = f"take over answers: {items}"
        main = where.move(lambda old: _build(ctx, answers, old, where.sign), reason, {}, check)
    return ImportData(
        file=str(file),
        branch=ctx.rules.config.main,
        before=before,
        main=main,
        merged=not dry_run and main != answers.tip,
        answers=tuple(found),
        not_pushed="" if dry_run else not_pushed(ctx.repo, ctx.rules, main),
    )


def _require_trust(ctx: Context) -> None:
    """With trust `commit` anybody could have written the names in a file from elsewhere."""
    trust = ctx.rules.approvals.trust
    if trust is Trust.SIGNATURE:
        return
    what = "only the forge says who answered" if trust is Trust.MERGE else "names prove nothing"
    raise NotAuthorised(
        f"answers from elsewhere count with trust `signature` alone; with `{trust}` {what}",
        "set `trust: signature` in policies/approvals.yaml, with the approvers' keys",
    )


def _build(ctx: Context, answers: Answers, old: str, sign: bool) -> Main:
    """Main with these answers: their own commits, or a merge of them where main has moved."""
    from lifeos.store.person import commit_tree
    from lifeos.store.remote import contains
    from lifeos.store.trees import edit, lookup
    from lifeos.tick.reading import main_at

    objects = ctx.repo.objects
    if contains(ctx.repo, answers.tip, old):
        return main_at(ctx.repo, answers.tip)
    main = main_at(ctx.repo, old)
    base = objects.commit(answers.base).tree
    for path in answers.edits():
        if lookup(objects, main.tree, path) != lookup(objects, base, path):
            raise UsageError(
                f"{path} is on {ctx.rules.config.main} already, and says something else",
                "lifeos queue; nothing was taken over",
            )
    tree = edit(objects, main.tree, answers.edits())
    objects.flush()
    items = ", ".join(dict.fromkeys(one.item for one in answers.brought))
    message = f"Merge answers from elsewhere: {items}\n"
    return main_at(
        ctx.repo, commit_tree(ctx.repo, tree, old, answers.tip, message=message, sign=sign)
    )


def _judged(ctx: Context, answers: Answers, main: Main) -> list[TakenOver]:
    """Every answer as the tick would see it on this main. One that does not count refuses all."""
    from lifeos.cli.answering import judged

    _require_approvers(ctx, answers)
    found = []
    for item_id in dict.fromkeys(one.item for one in answers.brought):
        commit = next(one.commit for one in answers.brought[::-1] if one.item == item_id)
        item = ctx.ledger.snapshot.items.get(item_id)
        if item is None:
            email = ctx.repo.objects.commit(commit).author.identity.email
            found.append(TakenOver(item=item_id, commit=commit, decision=None, who=email))
            continue
        answer, why = judged(ctx, main, item)
        if answer is None:
            raise UsageError(
                f"nothing was taken over: {why or f'the answer to {item_id} would not count'}"
            )
        found.append(
            TakenOver(item=item_id, commit=commit, decision=answer.decision, who=answer.who)
        )
    return found


def _require_approvers(ctx: Context, answers: Answers) -> None:
    """Every commit is an approver's, also one whose question is over, or that a later one amends.

    It comes onto main with all that it says in an approver's name: forges act on messages.
    """
    from lifeos.core.answers import answer_path
    from lifeos.tick.answers import wrong_maker

    for one in answers.brought:
        wrong = wrong_maker(ctx, one.commit, answer_path(one.item))
        if wrong is not None:
            why, fix = wrong
            raise UsageError(
                f"nothing was taken over: the answer to {one.item} does not count: {why}", fix
            )


def _text(data: ImportData, *, dry_run: bool) -> str:
    lines = []
    for one in data.answers:
        if one.decision is None:
            lines.append(f"{one.item}: not open any more; its answer does nothing")
        else:
            lines.append(f"{one.item}: {one.decision} by {one.who}, signed ({one.commit[:12]})")
    if dry_run:
        return "\n".join(["would take over:", *(f"  {line}" for line in lines)])
    how = "merged with" if data.merged else "now ends with"
    lines.append(f"{data.branch} {how} these answers: {data.main[:12]}")
    if data.not_pushed:
        lines.append(data.not_pushed)
    lines.append("next: lifeos tick")
    return "\n".join(lines)
