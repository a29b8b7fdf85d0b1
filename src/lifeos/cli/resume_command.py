"""``lifeos resume``: take the kill switch away."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from lifeos.cli.frame import Json, frame_of, show, show_json
from lifeos.cli.here import is_set_up, look_at
from lifeos.cli.switch import is_set, stop_files
from lifeos.errors import Exit, LifeosError, NotAuthorised
from lifeos.model import Frozen, Trust
from lifeos.tick.reading import STOP

if TYPE_CHECKING:
    from pathlib import Path

    from lifeos.cli.here import Here
    from lifeos.store.trees import Edit
    from lifeos.tick.reading import Main


class ResumeData(Frozen):
    """``lifeos.resume/v1``: what was taken away, and the commit if it was on main."""

    files: tuple[str, ...]
    commit: str | None = None
    not_pushed: str = ""


def command(context: typer.Context, json: Json = False) -> int:
    """Take .lifeos/STOP away: from the work tree, and from main in your name if it is there.

    From main only an approver may take it; else this exits 4, and nothing is changed.
    """
    made, unpushed = None, ""
    with frame_of(context).repo() as repo:
        if is_set_up(repo):
            made, unpushed = _from_main(look_at(repo, fresh=True))
        gone = [path for path in stop_files(repo) if is_set(path)]
        for path in gone:
            _remove(path)
    data = ResumeData(files=tuple(map(str, gone)), commit=made, not_pushed=unpushed)
    if json:
        show_json("resume", data)
    else:
        show(_text(data))
    return Exit.OK


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise LifeosError(
            f"{path} cannot be removed: {error.strerror}", "remove it by hand"
        ) from error


def _from_main(here: Here) -> tuple[str | None, str]:
    """Take it from main if it counts there. The commit, and what else is to be done."""
    from lifeos.cli.on_main import OnMain, not_pushed, require_approver
    from lifeos.store.trees import FILE, lookup

    there = lookup(here.repo.objects, here.main.tree, STOP) is not None
    if not there and not _removed_in_vain(here):
        return None, ""
    if here.rules.approvals.trust is Trust.MERGE:
        raise NotAuthorised(
            "with trust `merge` a commit proves nothing about who made it",
            f"remove {STOP} on {here.branch} by a pull request that an approver merges",
        )
    require_approver(here.repo, here.rules.approvals)

    def plan(main: Main) -> list[dict[str, Edit]]:
        away: dict[str, Edit] = {STOP: None}
        if lookup(here.repo.objects, main.tree, STOP):
            return [away]
        # Somebody who is no approver took it away: it counts when an approver does.
        back: dict[str, Edit] = {STOP: (FILE, here.repo.objects.write_blob(b""))}
        return [back, away]

    made = OnMain.under(here.repo, here.rules).commit(plan, "resume lifeos\n")
    return made, not_pushed(here.repo, here.rules, made)


def _removed_in_vain(here: Here) -> bool:
    """Whether somebody who is no approver took it from main, so that it still holds."""
    from lifeos.store.history import removing
    from lifeos.tick.authority import by_approver

    if here.ledger is None or not here.ledger.snapshot.stop:
        return False
    removed = removing(here.repo, here.main.commit, STOP)
    return removed is not None and not by_approver(here.repo, removed, here.rules.approvals)


def _text(data: ResumeData) -> str:
    lines = [f"removed {path}" for path in data.files]
    if data.commit:
        lines.append(f"committed {data.commit[:12]} on main")
    if data.not_pushed:
        lines.append(data.not_pushed)
    return "\n".join([*(lines or ["it was not stopped"]), "next: lifeos tick"])
