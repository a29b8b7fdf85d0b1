"""Whether each transition changed in the ledger's tree what its record says, and nothing else."""

from __future__ import annotations

import json
from collections.abc import Iterator

from lifeos import __version__
from lifeos.core.backlog.parse import parse
from lifeos.core.canonical import sha256
from lifeos.core.packet import Packet, markdown
from lifeos.core.records import (
    AnyRecord,
    Claimed,
    Closed,
    Finished,
    Held,
    Noted,
    Opened,
    Resolved,
    Topic,
)
from lifeos.core.state import Snapshot
from lifeos.model import Decision, Stage
from lifeos.store.endings import Ended, closed_path, packet_path
from lifeos.store.entries import Entry, attempt_path
from lifeos.store.redactions import folder_of
from lifeos.tick.audit import Area, Audit
from lifeos.tick.proposals import place_of
from lifeos.tick.reading import BACKLOG

_PACKET = frozenset({"packet.json", "packet.md"})


def check_tree(audit: Audit, entry: Entry) -> None:
    """Before the record is applied: the changed paths, and the digests that the record names."""
    for one in audit.differences:
        path, before, after = one.path, one.before is not None, one.after is not None
        if path != "state.json" and not _may(audit.snapshot, entry.record, path, before, after):
            what = "changes" if before and after else "puts in" if after else "takes away"
            area = Area.PACKETS if path.startswith("packets/") else Area.EVIDENCE
            text = f"it {what} {path}, which a {entry.record.kind} does not"
            audit.find(entry.commit, text, area)
    record = entry.record
    if isinstance(record, Finished):
        _evidence(audit, entry, record)
    elif isinstance(record, Closed):
        _packet(audit, entry, record)
        _ended(audit, entry, record)


def check_state(audit: Audit, entry: Entry) -> None:
    """After the record is applied: what the tree says about the state is what follows."""
    for one in audit.differences:
        path = one.path
        if one.after is None:
            continue
        if path == "state.json":
            data = audit.read(entry.tree, path) or b""
            if data != audit.snapshot.model_dump_json().encode() and not _same(
                data, audit.snapshot
            ):
                audit.find(entry.commit, "its state.json does not follow from the records before")
        elif path.startswith("runs/") and path.endswith("/task.md"):
            _task(audit, entry, path)


def _same(data: bytes, snapshot: Snapshot) -> bool:
    try:
        return Snapshot.model_validate_json(data) == snapshot
    except ValueError:
        return False


def _may(  # noqa: C901, PLR0912  (one arm a kind of record: the list is the rule)
    snapshot: Snapshot, record: AnyRecord, path: str, before: bool, after: bool
) -> bool:
    """Whether a record of this kind may change this path."""
    fresh, gone = after and not before, before and not after
    queue_goes = gone and path.startswith("queue/")
    match record:
        case Opened():
            begins = path.startswith(f"runs/{record.run}/0/")
            return fresh and (begins or path == f"runs/{record.run}/task.md")
        case Claimed():
            return False
        case Finished():
            name = path.removeprefix(f"{attempt_path(record.run, record.n)}/")
            known = {*record.evidence, "tree", *(["facts.json"] if record.facts_digest else [])}
            return fresh and name in known
        case Held():
            return _may_asked(snapshot, record, path, fresh=fresh, gone=gone)
        case Resolved():
            item = snapshot.items.get(record.item)
            if item is not None and item.proposed is not None:
                leaves = record.decision is Decision.REJECT and _of_proposal(path, item.id)
                return queue_goes or (gone and leaves)
            adopts = item is not None and path.startswith(f"governance/{item.about}/")
            retold = item is not None and path == f"runs/{item.run}/task.md"
            return queue_goes or (fresh and adopts) or (after and retold)
        case Closed():
            run = snapshot.runs.get(record.run)
            told = run is not None and path == closed_path(run.task)
            packed = path.removeprefix(f"{packet_path(record.run)}/") in _PACKET
            ends = gone and path == f"runs/{record.run}"
            return queue_goes or ends or (fresh and packed) or (after and told)
        case Noted(topic=Topic.GENESIS | Topic.GOVERNANCE):
            return fresh and path.startswith(f"governance/{record.digest}/")
        case Noted(topic=Topic.LANDED):
            adopts = bool(record.digest) and path.startswith(f"governance/{record.digest}/")
            return (fresh and adopts) or (gone and _of_proposal(path, record.item))
        case Noted(topic=Topic.MEASURED | Topic.DROPPED):
            return gone and _of_proposal(path, record.item)
        case Noted(topic=Topic.REDACTED):
            return fresh and path.startswith(f"{folder_of(record.commit)}/")
        case Noted(topic=Topic.REVERTED):
            return after and path == closed_path(record.task)
        case Noted(topic=Topic.RESTARTED):
            return queue_goes or (after and path == f"runs/{record.run}/task.md")
        case Noted():
            return queue_goes


_PROPOSAL = frozenset({"proposal.json", "change.diff", "backtest.json", "wording.json"})


def _of_proposal(path: str, item: str) -> bool:
    folder = f"{place_of(item)}/"
    return path.startswith(folder) and path.removeprefix(folder) in _PROPOSAL


def _may_asked(snapshot: Snapshot, record: Held, path: str, *, fresh: bool, gone: bool) -> bool:
    """A question brings its file; one about a proposal that too, and the draft before it goes."""
    if path == f"queue/{record.item}.md":
        return fresh
    if record.proposed is None:
        return False
    due = snapshot.drafts.get(record.proposed.pattern)
    former = due is not None and _of_proposal(path, due.item)
    return (fresh and _of_proposal(path, record.item)) or (gone and former)


def _evidence(audit: Audit, entry: Entry, record: Finished) -> None:
    """Every artifact is the one that the record names, and the work tree too."""
    folder = attempt_path(record.run, record.n)
    wanted = {f"{folder}/{name}": digest for name, digest in record.evidence.items()}
    fresh = audit.changed(wanted)
    for path, digest in wanted.items():
        audit.count(Area.EVIDENCE)
        data = fresh.get(path)
        if audit.is_redacted(path, digest):
            continue
        if data is None or sha256(data) != digest:
            audit.find(entry.commit, f"{path} is not what the record names")
    work = audit.trees.lookup(entry.tree, f"{folder}/tree")
    built = record.facts.tree if record.facts and record.stage is Stage.BUILD else ""
    if (audit.redacted.as_it_was(work.oid) if work else "") != built:
        audit.find(entry.commit, f"{folder}/tree is not the work tree that the record names")


def _task(audit: Audit, entry: Entry, path: str) -> None:
    """The task's text is the one that the run's digest stands for."""
    if audit.is_redacted(path):
        return
    run = audit.snapshot.runs.get(path.split("/")[1])
    tasks = parse(audit.read(entry.tree, path) or b"", BACKLOG, audit.prefix(entry.tree)).tasks
    if run is not None and (not tasks or tasks[0].digest != run.task_digest):
        audit.find(entry.commit, f"{path} is not the task that the record names")


def _packet(audit: Audit, entry: Entry, record: Closed) -> None:
    """The packet is the recorded one, is about this ledger, and reads as it says."""
    folder = packet_path(record.run)
    files = audit.changed([f"{folder}/{name}" for name in _PACKET])
    data, page = files.get(f"{folder}/packet.json"), files.get(f"{folder}/packet.md")
    audit.count(Area.PACKETS)
    for what in _of_packet(audit, entry, record, data, page):
        audit.find(entry.commit, what, Area.PACKETS)


def _of_packet(
    audit: Audit, entry: Entry, record: Closed, data: bytes | None, page: bytes | None
) -> Iterator[str]:
    if audit.is_redacted(f"{packet_path(record.run)}/packet.json", record.packet):
        return
    if data is None or sha256(data) != record.packet:
        yield f"the packet of {record.run} is not what the record names"
        return
    try:
        packet = Packet.model_validate(json.loads(data)["predicate"])
    except (ValueError, KeyError, TypeError):
        yield f"the packet of {record.run} cannot be read"
        return
    audit.version = packet.versions.get("lifeos", "")
    says = (packet.run, packet.outcome, packet.landed, packet.ledger_root)
    before = audit.redacted.ids_of(next(iter(entry.parents), ""))
    told = (record.run, record.outcome, record.landed, audit.snapshot.root)
    if says != told or packet.ledger_tip not in before:
        yield f"the packet of {record.run} says something else than its record"
    if packet.versions.get("lifeos") != __version__:
        what = "the readable form of packets made by other versions of lifeos"
        audit.skip(what, Area.PACKETS)
    elif page != markdown(packet).encode() and not audit.is_redacted(
        f"{packet_path(record.run)}/packet.md"
    ):
        yield f"{packet_path(record.run)}/packet.md does not say what packet.json says"


def _ended(audit: Audit, entry: Entry, record: Closed) -> None:
    run = audit.snapshot.runs.get(record.run)
    if run is None:
        return  # not possible here, and said when the record is applied
    expected = Ended(
        task=run.task,
        run=run.id,
        ordinal=run.ordinal,
        outcome=record.outcome,
        task_digest=run.task_digest,
        landed=record.landed,
        ledger=next(iter(entry.parents), ""),
        at=record.at,
    )
    if read_ended(audit, entry.tree, run.task) != expected:
        audit.find(entry.commit, f"{closed_path(run.task)} does not say how {run.id} ended")


def read_ended(audit: Audit, tree: str, task: str) -> Ended | None:
    """How a task's last run ended, as a tree of the ledger says; None where it does not."""
    data = audit.read(tree, closed_path(task)) if tree else None
    try:
        return Ended.model_validate_json(data) if data else None
    except ValueError:
        return None
