"""``lifeos demo``: show a whole run in a scratch repository, in a minute."""

from __future__ import annotations

import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Annotated

import typer

from lifeos.cli.frame import Json, show_json
from lifeos.cli.paint import paint
from lifeos.errors import Exit, LifeosError, UsageError
from lifeos.model import Frozen


class DemoStep(Frozen):
    """One command that the demo ran, its exit code and its wall clock."""

    command: str
    exit_code: int
    seconds: float


class DemoData(Frozen):
    """``lifeos.demo/v1``. ``folder``: where the repository is kept, None when it is gone."""

    good: bool
    seconds: float
    steps: tuple[DemoStep, ...] = ()
    folder: str | None = None


def command(
    keep: Annotated[
        Path | None,
        typer.Option(help="Make the repository here, and leave it there.", metavar="DIR"),
    ] = None,
    json: Json = False,
) -> int:
    """Show a whole run in a scratch repository: no key, no network, about ten seconds.

    Nothing of yours is read or changed: home folder, git configuration and identity are its own.
    """
    from lifeos.cli.tour import Tour

    folder = _folder(keep)
    output = sys.stderr if json else sys.stdout
    began = time.monotonic()
    tour = Tour(folder, output)
    failure: LifeosError | None = None
    try:
        tour.walk()
    except LifeosError as error:
        failure = error
    finally:
        if keep is None:
            shutil.rmtree(folder, ignore_errors=True)
    if json:
        data = DemoData(
            good=failure is None,
            seconds=round(time.monotonic() - began, 3),
            steps=tuple(
                DemoStep(command=line, exit_code=code, seconds=round(seconds, 3))
                for line, code, seconds in tour.steps
            ),
            folder=str(tour.project) if keep is not None else None,
        )
        show_json("demo", data)
    if failure is not None:
        raise failure
    where = f"The repository is in {tour.project}." if keep else "The scratch repository is gone."
    output.write(f"\n{paint(where, 'dim')}\n")
    output.write("next, in a repository of yours: lifeos init --commit, then lifeos doctor\n")
    return Exit.OK


def _folder(keep: Path | None) -> Path:
    if keep is None:
        return Path(tempfile.mkdtemp(prefix="lifeos-demo-"))
    if keep.exists() and (not keep.is_dir() or any(keep.iterdir())):
        raise UsageError(f"{keep} is there already", "name a folder that does not exist yet")
    keep.mkdir(parents=True, exist_ok=True)
    return keep.resolve()
