"""What a run has been through, read back from the ledger, and its packet."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from pydantic import ValidationError

from lifeos.core.canonical import sha256
from lifeos.core.facts import End
from lifeos.core.packet import Packet, assemble, markdown, statement
from lifeos.core.packetfacts import ModelLine
from lifeos.core.packetmodels import model_lines
from lifeos.core.records import Finished
from lifeos.core.review import Review
from lifeos.core.state import Run
from lifeos.store.entries import Entry, attempt_path, read_entries
from lifeos.store.ledger import Ledger
from lifeos.store.repo import Repo
from lifeos.store.trees import lookup, walk
from lifeos.tick.build import Evidence
from lifeos.tick.context import Context
from lifeos.tick.evidence import BaseEvidence


def entries_of(ctx: Context, run: Run) -> tuple[Entry, ...]:
    """The transitions of an open run and of its items, oldest first."""
    return entries_of_run(ctx.ledger, run)


def entries_of_run(ledger: Ledger, run: Run) -> tuple[Entry, ...]:
    """The same, for those who only look."""
    repo, age = ledger.repo, ledger.snapshot.seq - run.opened_seq
    since = repo.git.run("rev-parse", "--verify", "--end-of-options", f"{ledger.tip}~{age}")
    return about_run(read_entries(repo, ledger.tip, since.decode().strip()), run.id)


def about_run(entries: Iterable[Entry], run: str) -> tuple[Entry, ...]:
    """Of some transitions, those about one run."""
    return by_run(entries).get(run, ())


def by_run(entries: Iterable[Entry]) -> dict[str, tuple[Entry, ...]]:
    """Some transitions by the run that each is about, or whose item it is about."""
    found: dict[str, list[Entry]] = {}
    owners: dict[str, str] = {}
    for entry in entries:
        record = entry.record
        run = getattr(record, "run", None) or owners.get(getattr(record, "item", ""))
        if run is None:
            continue
        found.setdefault(run, []).append(entry)
        if record.kind == "held":
            owners[record.item] = run
    return {run: tuple(each) for run, each in found.items()}


def artifacts_of(repo: Repo, tree: str, run: str) -> dict[str, bytes]:
    """The newest artifact of each name that a run has in a tree of the ledger."""
    folder = lookup(repo.objects, tree, f"runs/{run}")
    if folder is None:
        return {}
    newest: dict[str, tuple[int, str]] = {}
    for leaf in walk(repo.objects, folder.oid):
        number, _, name = leaf.path.partition("/")
        if number.isdecimal() and "/" not in name:
            newest[name] = max(newest.get(name, (-1, "")), (int(number), leaf.oid))
    return {name: repo.objects.read(oid)[1] for name, (_, oid) in newest.items()}


def _assemble(ctx: Context, run: Run, end: End | None) -> Packet:
    entries = entries_of(ctx, run)
    finished = [entry.record for entry in entries if isinstance(entry.record, Finished)]
    kept = artifacts_of(ctx.repo, ctx.ledger.tree, run.id)
    evidence = Evidence.model_validate_json(kept.get("checks.json", b"{}"))
    base = BaseEvidence.model_validate_json(kept.get("base.json", b"{}"))
    task = ctx.ledger.read(f"runs/{run.id}/task.md") or b""
    return assemble(
        run,
        task.decode("utf-8", "replace"),
        [(entry.commit, entry.record) for entry in entries],
        artifacts={
            f"{attempt_path(run.id, record.n)}/{name}": digest
            for record in finished
            for name, digest in record.evidence.items()
        },
        checks=evidence.report.results,
        acceptance=evidence.acceptance,
        proves_nothing=base.proves_nothing,
        reviews=_reviews(ctx, run, finished),
        models=_models(ctx, run, finished),
        sandbox=ctx.governance(run.governance).config.sandbox.value,
        ledger_root=ctx.ledger.snapshot.root,
        ledger_tip=ctx.ledger.tip,
        versions=ctx.world.versions(),
        outcome=end.outcome if end else None,
        landed=end.landed if end else "",
        reason=end.reason if end else "",
        at=ctx.now(),
    )


def _reviews(ctx: Context, run: Run, finished: list[Finished]) -> Mapping[int, Review]:
    found = {}
    for record in finished:
        if "review.json" in record.evidence:
            data = ctx.ledger.read(f"{attempt_path(run.id, record.n)}/review.json")
            if data:
                found[record.n] = Review.model_validate_json(data)
    return found


def _models(ctx: Context, run: Run, finished: list[Finished]) -> list[ModelLine]:
    """What each attempt asked of models; nothing of one whose receipts were redacted to pieces."""
    from lifeos.core.receipt import RECEIPTS, AgentFacts  # most runs have no model

    lines: list[ModelLine] = []
    for record in finished:
        who, calls = (
            ctx.ledger.read(f"{attempt_path(run.id, record.n)}/{name}")
            if name in record.evidence
            else None
            for name in ("agent.json", "receipts.json")
        )
        try:
            agent = AgentFacts.model_validate_json(who) if who else None
            receipts = RECEIPTS.validate_json(calls) if calls else ()
        except ValidationError:
            continue  # the digests of what is there are in the packet all the same
        lines += model_lines(record.n, record.stage, agent, receipts)
    return lines


def open_packet(ctx: Context, run: Run) -> dict[str, bytes]:
    """The packet before the last checkpoint: what the CEO decides on."""
    packet = _assemble(ctx, run, None)
    return {"packet.json": statement(packet).encode(), "packet.md": markdown(packet).encode()}


def final_packet(ctx: Context, run: Run, end: End) -> tuple[dict[str, bytes], str]:
    """The packet of a run that ends, and the digest of its statement."""
    packet = _assemble(ctx, run, end)
    text = statement(packet).encode()
    return {"packet.json": text, "packet.md": markdown(packet).encode()}, sha256(text)
