"""What every command has in common: where it runs, how it opens things, how it shows them."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lifeos.errors import Busy, UsageError

if TYPE_CHECKING:
    from pydantic import BaseModel

    from lifeos.store.ledger import Ledger
    from lifeos.store.repo import Repo
    from lifeos.tick.context import Context, Limits, World

# What drives a terminal, or cannot be written at all; in JSON it can always stand as an escape.
_UNSAFE = re.compile("[\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff]")

Json = Annotated[bool, typer.Option("--json", help="Print data for programs.")]


@dataclass
class Frame:
    """One invocation. ``start`` is the directory it was started in."""

    start: Path

    def repo(self, trace: Callable[[str], None] | None = None) -> Repo:
        """The repository here; an error names ``git init``."""
        from lifeos.store.repo import Repo as RepoClass

        return RepoClass.open(self.start, trace) if trace else RepoClass.open(self.start)

    def ledger(self, repo: Repo) -> Ledger:
        """The ledger, or an error that names ``lifeos init``, or how a clone gets it."""
        from lifeos.cli.here import is_set_up, look_at, not_here_yet
        from lifeos.store.ledger import Ledger as LedgerClass

        ledger = LedgerClass.open(repo)
        if ledger is None and is_set_up(repo):
            ledger = look_at(repo).ledger  # of the remote, in a clone where no tick has run yet
        if ledger is None:
            raise not_here_yet(repo)
        return ledger

    def context(
        self,
        world: World | None = None,
        limits: Limits | None = None,
        *,
        offline: bool = False,
    ) -> Context:
        """Repository, ledger and surroundings, as the remote has them where one holds the truth.

        ``offline``: where it cannot be reached, by what this clone last saw of it.
        """
        from lifeos.tick.begin import attached, last_seen
        from lifeos.tick.context import World as WorldClass

        world = world or WorldClass()
        repo = self.repo(world.trace)
        try:
            found = attached(repo, world, limits)
        except Busy as busy:
            if not offline:
                raise
            progress(f"{busy.message}; this goes by what was last seen of it")
            found = last_seen(repo, world, limits)
        if found is None:
            raise UsageError("there is no ledger here yet", "lifeos init, commit, then lifeos tick")
        return found


def frame_of(context: typer.Context) -> Frame:
    """The frame of a command."""
    frame = context.obj
    if not isinstance(frame, Frame):
        raise TypeError("the command line was built without its frame")
    return frame


def show_json(schema: str, data: BaseModel) -> None:
    """Print ``{"schema": "lifeos.NAME/v1", "data": ...}``: the versioned form of an output."""
    value = {"schema": f"lifeos.{schema}/v1", "data": data.model_dump(mode="json")}
    text = json.dumps(value, indent=2, ensure_ascii=False)
    sys.stdout.write(_UNSAFE.sub(lambda found: f"\\u{ord(found[0]):04x}", text) + "\n")


def show(text: str) -> None:
    """Print text for people, without anything that could drive their terminal."""
    from lifeos.core.clean import for_terminal

    sys.stdout.write(for_terminal(text).rstrip("\n") + "\n")


def progress(line: str) -> None:
    """Show progress on standard error."""
    from lifeos.core.clean import for_terminal

    sys.stderr.write(for_terminal(line) + "\n")
    sys.stderr.flush()


def colours() -> bool:
    """Whether to use colours: on a terminal, and unless NO_COLOR is set (no-color.org)."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR")


def table(headings: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    """Columns, as wide as their widest cell; the last one as long as it is."""
    if not rows:
        return ""
    widths = [max(len(row[i]) for row in (headings, *rows)) for i in range(len(headings))]
    lines = []
    for row in (headings, *rows):
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)
