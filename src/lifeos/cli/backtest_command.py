"""``lifeos backtest``: what would have differed if other rules had ruled."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated

import typer

from lifeos.cli.at import At, ledger_at
from lifeos.cli.candidate import Candidate, candidate_of
from lifeos.cli.frame import Json, frame_of, show_json
from lifeos.core.backtest.model import BackTest
from lifeos.errors import Exit, UsageError
from lifeos.model import Frozen

if TYPE_CHECKING:
    from lifeos.cli.here import Here


class BackTestData(Frozen):
    """``lifeos.backtest/v1``: the rules that were tried, and what would have differed.

    ``weaker`` counts the differences by which something that a person refused could have landed
    without anybody being asked.
    """

    candidate: Candidate
    weaker: int
    found: BackTest


def command(
    context: typer.Context,
    policies: Annotated[
        str,
        typer.Option(
            help="A folder with policies, or a commit; by default the work tree's.",
            metavar="DIR|COMMIT",
        ),
    ] = "",
    since: Annotated[
        str, typer.Option(help="Runs opened from then on: a date, a time, 30d.", metavar="WHEN")
    ] = "",
    at: At = "",
    details: Annotated[
        bool, typer.Option("--details", help="Each difference, with its place on the ledger.")
    ] = False,
    fail_on_weaker: Annotated[
        bool,
        typer.Option(
            "--fail-on-weaker", help="Exit 1 if what you refused could have landed unasked."
        ),
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")] = False,
    json: Json = False,
) -> int:
    """Take the recorded decisions again under other rules, and say what would have differed.

    Nothing is run and nothing is written. What the record does not tell is said, not guessed.
    """
    from lifeos.cli.here import look
    from lifeos.core.when import when

    begin = when(since, int(time.time())) if since else 0
    with look(frame_of(context)) as here:
        data = _tried(here, at, policies, begin, quiet=quiet or json)
    if json:
        show_json("backtest", data)
    else:
        from lifeos.cli.backtest_page import page

        page(data.candidate, data.found, details=details)
    return Exit.FAILED if fail_on_weaker and data.weaker else Exit.OK


def _tried(here: Here, at: str, policies: str, since: int, *, quiet: bool) -> BackTestData:
    from lifeos.cli.counting import counting
    from lifeos.tick.tried import tried

    if here.ledger is None:
        raise UsageError("there is no ledger here yet", "lifeos init --commit, then lifeos tick")
    here.repo.require_complete()
    candidate = candidate_of(here, policies)
    ledger = ledger_at(here.ledger, at)
    with counting(quiet=quiet) as watch:
        found = tried(ledger, candidate.rules, since=since, progress=watch)
    return BackTestData(candidate=candidate.candidate, weaker=len(found.weaker), found=found)
