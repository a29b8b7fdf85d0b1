"""``lifeos show``: one run, task, item, attempt or transition on one screen."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from lifeos.cli.find import CommitName, ItemName, Missing, RunName, find
from lifeos.cli.frame import Json, frame_of, show, show_json
from lifeos.errors import UsageError
from lifeos.model import Frozen

if TYPE_CHECKING:
    from lifeos.cli.passage import ItemData, Passage
    from lifeos.store.ledger import Ledger


class ArtifactData(Frozen):
    """``lifeos.artifact/v1``: one file that a run left."""

    run: str
    name: str
    text: str


def command(
    context: typer.Context,
    what: Annotated[
        str,
        typer.Argument(
            help="A run, task, item, transition, or attempt (RUN:3). Default: the last run.",
            metavar="[RUN|TASK|ITEM|COMMIT|RUN:N]",
        ),
    ] = "",
    number: Annotated[
        int, typer.Argument(help="An attempt of the run.", metavar="[N]", min=0, show_default=False)
    ] = 0,
    name: Annotated[
        str, typer.Argument(help="Print this artifact of it, for reading.", metavar="[NAME]")
    ] = "",
    artifact: Annotated[
        str, typer.Option(help="Print one thing it left: plan.md, patch.diff ...", metavar="NAME")
    ] = "",
    packet: Annotated[bool, typer.Option("--packet", help="Print the run's packet.")] = False,
    json: Json = False,
) -> int:
    """Show one run, task, item, attempt or transition in detail.

    `show RUN N` is attempt N and lists what it left, `show RUN N NAME` prints one of these for
    reading: without secrets, and without what could drive a terminal. `--artifact` in a pipe gives
    the bytes as they are.
    """
    frame = frame_of(context)
    with frame.repo() as repo:
        ledger = frame.ledger(repo)
        found = find(ledger, what) if what else _last(ledger)
        if number:
            found = _numbered(found, number)
        if name:
            _read_artifact(ledger, found, name, json=json)
            return 0
        if artifact or packet:
            _show_artifact(ledger, found, "packet.md" if packet else artifact, json=json)
            return 0
        match found:
            case RunName(n=0):
                _show_run(ledger, found.run, json=json)
            case RunName():
                _show_attempt(ledger, found, json=json)
            case ItemName():
                _show_item(ledger, found.item, json=json)
            case CommitName():
                _show_transition(ledger, found.commit, json=json)
    return 0


def _last(ledger: Ledger) -> RunName:
    """The run that waits for a person, or else the one that something happened to last."""
    from lifeos.store.story import newest

    for run in ledger.snapshot.runs.values():
        if run.item:
            return RunName(run.id)
    for entry in newest(ledger.repo, ledger.tip, words=["Lifeos-Run: "]):
        run_id = getattr(entry.record, "run", None)
        if run_id:
            return RunName(run_id)
    raise UsageError("no run has begun yet", "write a task into BACKLOG.md, then lifeos tick")


def _numbered(found: RunName | ItemName | CommitName, number: int) -> RunName:
    if not isinstance(found, RunName) or found.n:
        raise UsageError("only a run has numbered attempts", "lifeos show RUN N")
    return RunName(found.run, number)


def _show_run(ledger: Ledger, run: str, *, json: bool) -> None:
    from lifeos.cli.passage import passage_of, run_data
    from lifeos.cli.screen import run_screen

    data = run_data(ledger, passage_of(ledger, run))
    if json:
        show_json("show", data)
    else:
        show(run_screen(data))


def _show_attempt(ledger: Ledger, name: RunName, *, json: bool) -> None:
    from lifeos.cli.passage import attempts_of, passage_of, redacted_of
    from lifeos.cli.screen import attempt_screen
    from lifeos.cli.workers import work_of

    passage = passage_of(ledger, name.run)
    attempts = attempts_of(passage)
    data = next((attempt for attempt in attempts if attempt.n == name.n), None)
    if data is None:
        had = f"it has {len(attempts)}" if attempts else "none has ended yet"
        raise UsageError(
            f"run {name.run} has no attempt {name.n}: {had}", f"lifeos show {name.run}"
        )
    redacted = redacted_of(ledger, passage, data.n)
    data = data.model_copy(update={"work": work_of(ledger, passage, data), "redacted": redacted})
    if json:
        show_json("show-attempt", data)
    else:
        show(attempt_screen(name.run, data))


def _show_item(ledger: Ledger, item: str, *, json: bool) -> None:
    from lifeos.cli.screen import item_screen

    data = _item(ledger, item)
    if json:
        show_json("show-item", data)
    else:
        show(item_screen(data))


def _item(ledger: Ledger, item: str) -> ItemData:
    """A question, open or not, from the transitions that name it."""
    from lifeos.cli.passage import answered, item_data, items_of, passage_of
    from lifeos.core.records import Held, Resolved
    from lifeos.store.story import newest

    data: ItemData | None = None
    for entry in reversed(list(newest(ledger.repo, ledger.tip, words=[f'"item":"{item}"']))):
        record = entry.record
        if isinstance(record, Held) and record.item == item:
            data = item_data(record, None)
        elif data is not None and isinstance(record, Resolved) and record.item == item:
            data = answered(data, record)
    if data is None:
        raise Missing(item, "item")
    if data.run:
        data = next(i for i in items_of(ledger, passage_of(ledger, data.run)) if i.item == item)
    elif data.state == "open" and item not in ledger.snapshot.items:
        data = data.model_copy(update={"state": "superseded"})
    text = ledger.read(f"queue/{item}.md") or b""
    return data.model_copy(update={"pending": text.decode("utf-8", "replace")})


def _show_transition(ledger: Ledger, commit: str, *, json: bool) -> None:
    from lifeos.cli.log_command import transition_of
    from lifeos.cli.screen import transition_screen
    from lifeos.store.story import newest

    entry = next(newest(ledger.repo, commit, limit=1))
    data = transition_of(entry)
    if json:
        show_json("show-transition", data)
    else:
        show(transition_screen(data, entry.record))


# --- artifacts ------------------------------------------------------------------------------


def _show_artifact(
    ledger: Ledger, found: RunName | ItemName | CommitName, name: str, *, json: bool
) -> None:
    run, data = _bytes_of(ledger, found, name)
    if json:
        text = data.decode("utf-8", "replace")
        show_json("artifact", ArtifactData(run=run, name=name, text=text))
    elif sys.stdout.isatty():
        show(data.decode("utf-8", "replace"))
    else:  # as it is, so that it can be applied, compared and digested
        sys.stdout.buffer.write(data)


def _read_artifact(
    ledger: Ledger, found: RunName | ItemName | CommitName, name: str, *, json: bool
) -> None:
    """One artifact for reading. It was redacted when it was recorded; here once more, also for the
    secrets that this environment knows and that one did not.
    """
    from lifeos.core.leaks import redact, values_of

    run, data = _bytes_of(ledger, found, name)
    text = redact(data.decode("utf-8", "replace"), values_of(os.environ))
    if json:
        show_json("artifact", ArtifactData(run=run, name=name, text=text))
    else:
        show(text)


def _bytes_of(
    ledger: Ledger, found: RunName | ItemName | CommitName, name: str
) -> tuple[str, bytes]:
    """The run that left it, and the artifact."""
    from lifeos.cli.passage import passage_of

    run = found
    if isinstance(found, ItemName):
        item = _item(ledger, found.item)
        run = RunName(item.run) if item.run else found
    if not isinstance(run, RunName):
        raise UsageError(
            "only a run or an attempt has artifacts", "lifeos show RUN --artifact NAME"
        )
    return run.run, _artifact(ledger, passage_of(ledger, run.run), run.n, name)


def _artifact(ledger: Ledger, passage: Passage, n: int, name: str) -> bytes:
    """A file that the run or the attempt left; of several the newest. Raises ``UsageError``."""
    from lifeos.cli.passage import attempts_of
    from lifeos.store.endings import packet_path
    from lifeos.store.entries import attempt_path
    from lifeos.tick.past import artifacts_of
    from lifeos.tick.reading import read_file

    if n:
        names = next((a.artifacts for a in attempts_of(passage) if a.n == n), ())
        kept = {
            one: read_file(ledger.repo, passage.tree, f"{attempt_path(passage.run, n)}/{one}")
            or b""
            for one in names
        }
    else:
        kept = artifacts_of(ledger.repo, passage.tree, passage.run)
        for one in ("packet.md", "packet.json"):
            final = ledger.read(f"{packet_path(passage.run)}/{one}")
            if final is not None:
                kept[one] = final
    change = _patch(ledger, passage, n)
    if change:
        kept.setdefault("patch.diff", change)
    if name not in kept:
        there = ", ".join(sorted(kept)) or "nothing"
        what = f"{passage.run}:{n}" if n else passage.run
        raise UsageError(f"{what} has no {name[:80]!r}", f"it has: {there}")
    return kept[name]


def _patch(ledger: Ledger, passage: Passage, n: int) -> bytes:
    """What the work changes, against the commit that it was built on; b"" without work."""
    from lifeos.cli.passage import attempts_of
    from lifeos.store.diff import patch
    from lifeos.store.entries import attempt_path
    from lifeos.store.trees import lookup

    base = passage.opened.base
    for entry in passage.entries:
        if entry.record.kind == "claimed" and (not n or entry.record.n <= n):
            base = entry.record.base
    built = [a for a in attempts_of(passage) if a.tree and (not n or a.n == n)]
    if not built:
        return b""
    path = f"{attempt_path(passage.run, built[-1].n)}/tree"
    work = lookup(ledger.repo.objects, passage.tree, path)  # another one, if it was redacted
    return patch(ledger.repo, base, work.oid if work else built[-1].tree)
