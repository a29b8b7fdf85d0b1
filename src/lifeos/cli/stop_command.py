"""``lifeos stop``: set the kill switch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from lifeos.cli.frame import Json, frame_of, show, show_json
from lifeos.cli.switch import is_set, stop_files
from lifeos.errors import Exit, LifeosError, UsageError
from lifeos.model import Frozen
from lifeos.tick.reading import STOP

if TYPE_CHECKING:
    from pathlib import Path

    from lifeos.cli.frame import Frame
    from lifeos.store.trees import Edit
    from lifeos.tick.reading import Main


class StopData(Frozen):
    """``lifeos.stop/v1``. ``files`` are those written now, ``there`` those that were there."""

    files: tuple[str, ...]
    there: tuple[str, ...]
    on_main: bool
    commit: str | None = None
    not_pushed: str = ""


def command(
    context: typer.Context,
    message: Annotated[str, typer.Option("--message", "-m", help="Why.", metavar="TEXT")] = "",
    commit: Annotated[
        bool, typer.Option("--commit", help="Also on main, for every clone; in your name.")
    ] = False,
    json: Json = False,
) -> int:
    """Stop: attempts under way are ended, and nothing new begins, until lifeos resume.

    Anyone may. It acts at once, by the file .lifeos/STOP in the work tree. With --commit it is on
    main too, and then only an approver can take it away.
    """
    frame = frame_of(context)
    written: list[str] = []
    there: list[str] = []
    with frame.repo() as repo:
        paths = stop_files(repo)
        content = _content(paths, message)
        for path in paths:
            (there if is_set(path) else written).append(str(path))
            # The same everywhere: another content would be in the way of the one on main.
            if not path.is_symlink():
                _write(path, content)
        if not (written or there or commit):
            raise UsageError("this repository has no work tree", "lifeos stop --commit")
    made, on_main, unpushed = _commit(frame, content, message) if commit else (None, False, "")
    data = StopData(
        files=tuple(written),
        there=tuple(there),
        on_main=on_main,
        commit=made,
        not_pushed=unpushed,
    )
    if json:
        show_json("stop", data)
    else:
        show(_text(data))
    return Exit.OK


def _content(paths: tuple[Path, ...], why: str) -> bytes:
    """What the file says: the reason given now, else the one that is there."""
    for path in paths:
        if not why.strip() and path.is_file() and not path.is_symlink():
            return path.read_bytes()
    return (why.strip() or "stopped by a person").encode("utf-8", "replace") + b"\n"


def _write(path: Path, content: bytes) -> None:
    try:
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
    except OSError as error:
        raise LifeosError(
            f"{path} cannot be written: {error.strerror}", "lifeos stop --commit sets it on main"
        ) from error


def _commit(frame: Frame, content: bytes, why: str) -> tuple[str | None, bool, str]:
    """Set it on main. The commit (None: it was there), that it is there, and what is to be done."""
    from lifeos.cli.here import look
    from lifeos.cli.on_main import OnMain, not_pushed
    from lifeos.core.clean import for_commit
    from lifeos.store.trees import FILE, lookup

    with look(frame, fresh=True) as here:
        if lookup(here.repo.objects, here.main.tree, STOP):
            return None, True, ""

        def plan(_main: Main) -> list[dict[str, Edit]]:
            return [{STOP: (FILE, here.repo.objects.write_blob(content))}]

        message = f"stop lifeos\n\n{for_commit(why)}".rstrip() + "\n"
        made = OnMain.under(here.repo, here.rules).commit(plan, message)
        return made, True, not_pushed(here.repo, here.rules, made)


def _text(data: StopData) -> str:
    lines = ["stopped: attempts under way are ended, nothing new begins"]
    lines += [f"wrote {path}" for path in data.files]
    lines += [f"{path} was there already" for path in data.there]
    if data.commit:
        lines.append(f"committed {data.commit[:12]} on main")
    elif data.on_main:
        lines.append("it is on main already")
    if data.not_pushed:
        lines.append(data.not_pushed)
    lines.append("to go on: lifeos resume")
    return "\n".join(lines)
