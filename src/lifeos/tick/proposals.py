"""What the ledger keeps of a proposal, while it is asked, on trial, or to be drafted anew.

Then its folder leaves the tip, so that none grows with the age of the project; history keeps it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lifeos.core.records import Noted, Topic
from lifeos.store.trees import lookup
from lifeos.tick.context import Context
from lifeos.tick.reading import governance_files

if TYPE_CHECKING:
    from lifeos.tick.drafting import Drafted


def place_of(item: str) -> str:
    """Where the ledger keeps a proposal."""
    return f"proposals/{item}"


def files_of_proposal(drafted: Drafted, item: str) -> dict[str, bytes]:
    """The artifacts of a question about a proposal."""
    files = {
        f"{place_of(item)}/proposal.json": drafted.proposal.to_json(),
        f"{place_of(item)}/change.diff": drafted.proposal.diff.encode(),
    }
    if drafted.backtest:
        files[f"{place_of(item)}/backtest.json"] = drafted.backtest
    if drafted.wording:
        files[f"{place_of(item)}/wording.json"] = drafted.wording
    return files


def folder_of(ctx: Context, item: str) -> tuple[str, ...]:
    """The folder of a proposal, to be dropped; nothing where there is none."""
    path = place_of(item)
    return (path,) if lookup(ctx.repo.objects, ctx.ledger.tree, path) else ()


def close_proposal(ctx: Context, record: Noted) -> None:
    """Record how a proposal goes on. What is not needed any more leaves the tip."""
    artifacts: dict[str, bytes] = {}
    drop: tuple[str, ...] = ()
    match record.topic:
        case Topic.LANDED:
            artifacts = _rules(ctx, record)
            trial = ctx.ledger.snapshot.trials[record.item]
            if trial.proposed.window is None:
                drop = folder_of(ctx, record.item)
            said = f"{record.item} is on main as {record.commit[:12]}"
        case Topic.MEASURED if record.measured is not None:
            found = record.measured
            if found.holds is not False:  # else what takes it back is drafted from it
                drop = folder_of(ctx, record.item)
            value = "nothing" if found.value is None else f"{found.value:g}"
            said = f"{record.item}: {found.measure} is {value}, and was {found.before:g}"
        case _:
            drop = folder_of(ctx, record.item)
            said = f"{record.item} is not drafted again: {record.text}"
    ctx.ledger.append(record, artifacts=artifacts, drop=drop)
    ctx.world.progress(said)


def _rules(ctx: Context, record: Noted) -> dict[str, bytes]:
    """The files of the set that came with it."""
    path = f"governance/{record.digest}"
    if not record.digest or lookup(ctx.repo.objects, ctx.ledger.tree, path):
        return {}
    files = governance_files(ctx.repo, ctx.repo.objects.commit(record.commit).tree)
    return {f"{path}/{name}": data for name, data in files.items()}
