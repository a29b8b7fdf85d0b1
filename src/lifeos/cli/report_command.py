"""``lifeos report``: all of it on one page, for a browser, a phone or a job summary."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lifeos.cli.at import At
from lifeos.cli.frame import Json, frame_of, progress, show_json
from lifeos.cli.here import look
from lifeos.core.report.data import ReportData
from lifeos.errors import Exit, UsageError

if TYPE_CHECKING:
    from lifeos.store.repo import Repo

__all__ = ["ReportData", "command"]  # what `lifeos schema` describes
STANDARD = "-"
"""The name of standard output."""


def command(
    context: typer.Context,
    output: Annotated[
        str,
        typer.Option(
            "-o", "--output", help="Where to write it; - is standard output.", metavar="FILE"
        ),
    ] = "",
    at: At = "",
    since: Annotated[
        str,
        typer.Option(help="Where the trends begin: a date, a time, or 30d ago.", metavar="WHEN"),
    ] = "",
    runs: Annotated[
        int, typer.Option(min=0, max=5000, help="Show how the last N runs went.", metavar="N")
    ] = 50,
    md: Annotated[
        bool, typer.Option("--md", help="As Markdown with Mermaid, for a job summary.")
    ] = False,
    open_: Annotated[bool, typer.Option("--open", help="Open it in the browser.")] = False,
    json: Json = False,
) -> int:
    """Write what waits, runs, landed and was spent onto one page; nothing else is changed.

    The page is one file without scripts that reaches nothing on the network: it can be mailed or
    kept. Without -o it is `.git/lifeos/report.html`, and Markdown goes to standard output.
    """
    from lifeos.cli.reported import source_of
    from lifeos.core.report.tell import report

    if open_ and (md or json or output == STANDARD):
        raise UsageError("only a page in a file can be opened", "leave out --md, --json and -o -")
    with look(frame_of(context)) as here:
        data = report(source_of(here, at, since, runs))
        if json:
            show_json("report", data)
            return Exit.OK
        text = _text(data, md=md)
        target = _target(here.repo, output, md=md)
    if target is None:
        sys.stdout.write(text)
        return Exit.OK
    _write(target, text)
    progress(f"written to {target}")
    if open_:
        _show(target)
    return Exit.OK


def _text(data: ReportData, *, md: bool) -> str:
    if md:
        from lifeos.core.report.page import page as markdown

        return markdown(data)
    from lifeos.report.html import page

    return page(data)


def _target(repo: Repo, output: str, *, md: bool) -> Path | None:
    """The file to write; None for standard output."""
    if output == STANDARD or (md and not output):
        return None
    return Path(output) if output else repo.private_dir / "report.html"


def _write(target: Path, text: str) -> None:
    """Write it in full or not at all: what a browser has open must not be half a page.

    A link is followed. What is no plain file (a device, a pipe) is written into: to put a file in
    its place would take it away from everybody.
    """
    place = Path(os.path.realpath(target))
    fresh = place.with_name(f".{place.name}.{os.getpid()}.new")
    try:
        if place.exists() and not place.is_file():
            place.write_text(text, encoding="utf-8", errors="replace")
            return
        fresh.write_text(text, encoding="utf-8", errors="replace")
        fresh.replace(place)
    except OSError as error:
        fresh.unlink(missing_ok=True)
        raise UsageError(
            f"{target} cannot be written: {error.strerror or error}", "name another file with -o"
        ) from error


def _show(target: Path) -> None:
    import webbrowser

    address = target.resolve().as_uri()
    if not webbrowser.open(address):
        progress(f"no browser was found here; open {address}")
