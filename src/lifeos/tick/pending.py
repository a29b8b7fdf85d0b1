"""The pending file: what a person needs to decide in a minute, from a phone."""

from __future__ import annotations

from datetime import UTC, datetime

from lifeos.core.canonical import canonical_json
from lifeos.core.clean import for_markdown, one_line
from lifeos.core.machine import ANSWERS
from lifeos.core.records import Finished, Held
from lifeos.core.state import Run
from lifeos.model import Decision, ItemKind
from lifeos.store.diff import diffstat
from lifeos.store.ledger import attempt_path
from lifeos.tick.context import Context
from lifeos.tick.gather import Gathered
from lifeos.tick.past import entries_of
from lifeos.tick.reading import governance_files, main_at
from lifeos.tick.tasks import task_commands
from lifeos.tick.work import work_ref

_SHOWN = 6000
"""Characters of a foreign text that the file shows; the rest is one command away."""


def pending_file(ctx: Context, gathered: Gathered, held: Held) -> bytes:
    """The file under ``.lifeos/queue/`` that stands for an item about to be opened."""
    run = ctx.ledger.snapshot.runs.get(held.run or "")
    parts = [_front_matter(held, run), f"# {one_line(held.question, 300)}"]
    parts.append(_what(held, run))
    parts.append(_answers(held))
    if run is not None:
        parts += _about_run(ctx, gathered, held, run)
    elif held.item_kind is ItemKind.GOVERNANCE:
        parts.append(_about_governance(ctx, gathered))
    parts.append(_by_hand(held))
    return ("\n\n".join(part for part in parts if part) + "\n").encode()


def moment(at: int) -> str:
    """A time for people: ISO 8601, UTC, to the second."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _front_matter(held: Held, run: Run | None) -> str:
    fields = {
        "item": held.item,
        "kind": held.item_kind.value,
        "state": "CEO_REVIEW",
        "task": run.task if run else None,
        "run": held.run,
        "stage": held.stage.value if held.stage else None,
        "subject": held.subject,
        "opened": moment(held.at),
        "expires": moment(held.expires_at) if held.expires_at else None,
    }
    lines = [f"{key}: {canonical_json(value)}" for key, value in fields.items()]
    return "\n".join(["---", *lines, "---"])


def _what(held: Held, run: Run | None) -> str:
    about = f"Task **{run.task}**: {one_line(run.title, 200)}. " if run else ""
    return f"{about}Asked by the rule `{held.rule}`."


def _answers(held: Held) -> str:
    rows = [f"- **{decision}**: {effect}" for decision, effect in ANSWERS[held.item_kind].items()]
    return "\n".join(["## What each answer does", "", *rows])


def _about_run(ctx: Context, gathered: Gathered, held: Held, run: Run) -> list[str]:
    parts = []
    if held.item_kind is ItemKind.COMMANDS:
        task = gathered.tasks.find(run.task)
        commands = task_commands(task) if task else ()
        shown = "\n\n".join(for_markdown(command) for command in commands)
        parts.append(f"## The commands, verbatim\n\n{shown}")
    if held.rule == "task_changed":
        task = gathered.tasks.find(run.task)
        if task is not None:
            start, end = task.span
            text = gathered.tasks.data[start:end].decode("utf-8", "replace")
            parts.append(f"## The task's new text\n\n{for_markdown(text[:_SHOWN])}")
    if run.work:
        parts.append(_change(ctx, run))
    parts += _texts(ctx, run)
    parts.append(_story(ctx, run))
    return parts


def _change(ctx: Context, run: Run) -> str:
    base = ctx.repo.objects.commit(run.base).tree
    stat = diffstat(ctx.repo, base, run.work)
    look = f"    git show {work_ref(run.id)}\n    lifeos show {run.id}"
    return f"## The change\n\n{for_markdown(stat[:_SHOWN])}\n\nTo see it:\n\n{look}"


def _texts(ctx: Context, run: Run) -> list[str]:
    """What failed, and what the last review said, as far as it is about the present state."""
    parts = []
    last = max(run.last_n.values(), default=0)
    feedback = ctx.ledger.read(f"{attempt_path(run.id, last)}/feedback.md")
    if feedback:
        text = feedback.decode("utf-8", "replace")[:_SHOWN]
        parts.append(f"## What went wrong\n\n{for_markdown(text)}")
    reviews = [stage for stage in run.last_n if stage.value.endswith("_review")]
    if reviews:
        newest = max(run.last_n[stage] for stage in reviews)
        review = ctx.ledger.read(f"{attempt_path(run.id, newest)}/review.md")
        if review:
            parts.append(review.decode("utf-8", "replace")[:_SHOWN].strip())
    return parts


def _story(ctx: Context, run: Run) -> str:
    rows = ["| attempt | outcome | what the policy decided |", "| --- | --- | --- |"]
    for entry in entries_of(ctx, run):
        record = entry.record
        if isinstance(record, Finished) and record.facts is not None:
            checks = ", ".join(f"{c.name} {c.status}" for c in record.facts.checks)
            outcome = f"{record.facts.outcome}" + (f" ({one_line(checks, 120)})" if checks else "")
            rows.append(
                f"| {record.stage} {record.n} | {outcome} | {record.action}: {record.rule} |"
            )
    usage = run.usage
    cost = f"Cost so far: ${usage.cost:.2f}, {usage.tokens} tokens, {usage.seconds:.0f} s."
    return "\n".join(["## So far", "", *rows, "", cost])


def _about_governance(ctx: Context, gathered: Gathered) -> str:
    """Which files of the rules differ between main and the adopted set."""
    files = governance_files(ctx.repo, main_at(ctx.repo, gathered.facts.main).tree)
    adopted = ctx.ledger.governance(ctx.ledger.snapshot.governance)
    rows = []
    for path in sorted(files.keys() | adopted.keys()):
        if files.get(path) != adopted.get(path):
            verb = "new" if path not in adopted else "gone" if path not in files else "changed"
            rows.append(f"- `{one_line(path, 200)}` ({verb})")
    listed = "\n".join(rows) or "- the open runs are still under the set they were opened with"
    return f"## What differs from the adopted set\n\n{listed}\n\n    git log -p -- policies .lifeos"


def _by_hand(held: Held) -> str:
    example = Decision.APPROVE
    lines = [
        f"item: {held.item}",
        f"decision: {example}",
        f'subject: "{held.subject}"',
        'comment: ""',
    ]
    file = f".lifeos/queue/{held.item}.approval.yaml"
    return "\n".join(
        [
            "## To answer",
            "",
            f"    lifeos approve {held.item}",
            *(
                f'    lifeos {decision} {held.item} -m "why"'
                for decision in ANSWERS[held.item_kind]
                if decision is not Decision.APPROVE
            ),
            "",
            f"Or commit this as `{file}`:",
            "",
            *(f"    {line}" for line in lines),
        ]
    )
