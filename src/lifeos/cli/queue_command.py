"""``lifeos queue``: what waits for the CEO."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated

import typer

from lifeos.cli.answering import ItemName
from lifeos.cli.cells import cell
from lifeos.cli.frame import Json, frame_of, show, show_json, table
from lifeos.cli.here import look
from lifeos.cli.moments import span, until
from lifeos.errors import Exit
from lifeos.model import Decision, Frozen, ItemKind, Trust

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lifeos.cli.here import Here
    from lifeos.core.facts import Answer
    from lifeos.core.state import Item
    from lifeos.tick.context import Context

app = typer.Typer(no_args_is_help=False)


class Given(Frozen):
    """An answer that is there and not yet taken. ``refused``: why it does not count, or ''."""

    decision: Decision | None = None
    who: str = ""
    commit: str = ""
    refused: str = ""


class Waiting(Frozen):
    """One open item. Times are seconds UTC; ``answers`` maps each possible answer to its effect.

    ``pull`` is the address of its pull request, where it is answered by one.
    """

    item: str
    kind: ItemKind
    task: str | None
    run: str | None
    stage: str | None
    title: str
    question: str
    rule: str
    subject: str
    opened: int
    expires: int | None
    answers: dict[Decision, str]
    given: Given | None = None
    pull: str = ""


class QueueData(Frozen):
    """``lifeos.queue/v1``."""

    items: tuple[Waiting, ...] = ()


class ItemData(Frozen):
    """``lifeos.item/v1``: an item, and its file as it stands for people."""

    item: Waiting
    text: str


@app.callback(invoke_without_command=True)
def bare(context: typer.Context, json: Json = False) -> int:
    """Show what waits for the CEO."""
    return list_items(context, json=json) if context.invoked_subcommand is None else Exit.OK


@app.command(name="list")
def list_items(context: typer.Context, json: Json = False) -> int:
    """Every open item, the oldest first."""
    with look(frame_of(context)) as here:
        items = _open_items(here)
    data = QueueData(items=tuple(sorted(items, key=lambda item: item.opened)))
    if json:
        show_json("queue", data)
    else:
        show(_list_text(data))
    return Exit.OK


@app.command(name="show")
def show_item(
    context: typer.Context,
    item: ItemName,
    json: Annotated[bool, typer.Option("--json", help="Print data for programs.")] = False,
) -> int:
    """One item as its file shows it, and whether an answer is there."""
    from lifeos.cli.items import find_item

    frame = frame_of(context)
    with look(frame) as here:
        ledger = here.ledger or frame.ledger(here.repo)
        found = find_item(ledger, item)
        waiting = next(one for one in _open_items(here) if one.item == found.id)
        text = (ledger.read(f"queue/{found.id}.md") or b"").decode("utf-8", "replace")
    if json:
        show_json("item", ItemData(item=waiting, text=text))
    else:
        lines = [text.rstrip() or waiting.question]
        lines += [f"\n{_given_text(waiting)}"] if waiting.given else []
        show("\n".join(lines))
    return Exit.OK


def _effects(item: Item) -> Mapping[Decision, str]:
    from lifeos.core.state import OnApprove
    from lifeos.core.table import effects

    again = item.on_approve is OnApprove.AGAIN
    return effects(item.kind, item.stage, item.rule, again=again)


def _open_items(here: Here) -> list[Waiting]:
    if here.ledger is None or not here.ledger.snapshot.items:
        return []
    given = _given(here)
    found = []
    for item in here.ledger.snapshot.items.values():
        run = here.ledger.snapshot.runs.get(item.run or "")
        found.append(
            Waiting(
                item=item.id,
                kind=item.kind,
                task=run.task if run else None,
                run=item.run,
                stage=item.stage.value if item.stage else None,
                title=run.title if run else "",
                question=item.question,
                rule=item.rule,
                subject=item.subject,
                opened=item.opened_at,
                expires=item.expires_at,
                answers=dict(_effects(item)),
                given=given.get(item.id),
                pull=item.pull.url if item.pull else "",
            )
        )
    return found


def _given(here: Here) -> dict[str, Given]:
    """The answers on main, as the next tick will see them, and those that are not on main.

    Costs little where there are none.
    """
    from lifeos.cli.answer_elsewhere import answer_elsewhere
    from lifeos.core.answers import item_of
    from lifeos.tick.reading import queue_files

    assert here.ledger is not None  # noqa: S101  (there are items)
    if here.rules.approvals.trust is Trust.MERGE:
        return {}  # only the forge knows: the next tick asks it
    named = {item_of(name) for name in queue_files(here.repo, here.main.tree)} - {None}
    answered = {name.lower() for name in named if name}
    found = {}
    for item in here.ledger.snapshot.items.values():
        if item.id.lower() in answered:
            found[item.id] = _judged(here, item)
        elif elsewhere := answer_elsewhere(here, item):
            found[item.id] = Given(refused=elsewhere)
    return found


def _judged(here: Here, item: Item) -> Given:
    from lifeos.cli.answering import judged
    from lifeos.cli.tasks import context_of

    ctx: Context = context_of(here)
    answer: Answer | None
    answer, why = judged(ctx, here.main, item)
    if answer is None:
        return Given(refused=why)
    return Given(decision=answer.decision, who=answer.who, commit=answer.commit)


def _list_text(data: QueueData) -> str:
    if not data.items:
        return "nothing waits for the CEO"
    now = time.time()
    rows = [
        (
            item.item,
            item.kind.value,
            item.task or "-",
            span(now - item.opened),
            until(item.expires, now),
            cell(item.question, 100),
        )
        for item in data.items
    ]
    lines = [table(("ITEM", "KIND", "TASK", "AGE", "EXPIRES", "QUESTION"), rows)]
    given = [_given_text(item) for item in data.items if item.given]
    if given:
        lines += ["", *given]
    free = next((item for item in data.items if item.given is None or item.given.refused), None)
    lines += [f"{item.item}: {cell(item.pull, 200)}" for item in data.items if item.pull]
    if free is None:
        lines += ["", "next: lifeos tick"]
    elif free.pull:
        lines += ["", "next: merge or close the pull requests, then lifeos tick"]
    else:
        possible = ", ".join(f"lifeos {decision}" for decision in free.answers)
        lines += ["", f"next: lifeos queue show {free.item}, then {possible}"]
    return "\n".join(lines)


def _given_text(item: Waiting) -> str:
    given = item.given
    if given is None:
        return ""
    if given.decision is None:
        return given.refused
    return (
        f"{item.item} is answered: {given.decision} by {given.who} (commit {given.commit[:12]});"
        " lifeos tick takes it"
    )
