"""What the parts of `lifeos ci` tell the page of a workflow: annotations, and the job's summary.

Only where GitHub Actions says that it is there. All that a part prints may quote titles, paths and
output; so from its first word to its last nothing in the log is a command.
"""

from __future__ import annotations

import atexit
import os
import secrets
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from lifeos.core.workflowcommand import Notice, annotated, resume, stop
from lifeos.errors import LifeosError
from lifeos.model import CloseOutcome

if TYPE_CHECKING:
    from lifeos.cli.here import Here
    from lifeos.cli.status_command import StatusData
    from lifeos.core.cisummary import Summary
    from lifeos.store.repo import Repo
    from lifeos.tick.report import Report

_LAST_RUNS = 10


class Page:
    """What the page of a workflow's run shows of a part: annotations and a summary."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        """Nothing yet."""
        self.environ = environ
        self.lines: dict[Notice, list[str]] = {level: [] for level in Notice}

    def show(
        self, repo: Repo, part: str, report: Report, did: str, refused: Sequence[str] = ()
    ) -> None:
        """Annotate what a person should see without reading the log; write the summary."""
        blocked = CloseOutcome.BLOCKED
        self.lines[Notice.ERROR] += [
            *(f"refused {each}" for each in refused),
            *map(str, report.problems),
            *report.refusals,
            *(f"{task}: {outcome}" for task, _, outcome in report.ended if outcome is blocked),
            *([str(report.unfinished)] if report.unfinished is not None else ()),
        ]
        self.lines[Notice.WARNING] += [*report.in_the_way, *report.resting]
        if target := self.environ.get("GITHUB_STEP_SUMMARY", ""):
            ended = tuple(f"{task}: {outcome}" for task, _, outcome in report.ended)
            _summarise(target, repo, part, (did, *ended), refused)


@contextmanager
def telling(environ: Mapping[str, str]) -> Iterator[Page]:
    """Around a part: its log is plain text, and its annotations come after it.

    They come when the process ends, since what goes wrong is printed last of all.
    """
    page = Page(environ)
    if environ.get("GITHUB_ACTIONS") == "true":
        token = secrets.token_hex(16)
        _say(stop(token))
        atexit.register(_end, token, page)
    try:
        yield page
    except LifeosError as error:
        page.lines[Notice.ERROR].append(str(error))
        raise


def tell_more(target: str, *, more: bool) -> None:
    """Tell the workflow whether another round may find something to do.

    What was recorded may let the next begin; where nothing was, another would change nothing.
    """
    if target:
        with open(target, "a", encoding="ascii") as file:  # noqa: PTH123  (appended to)
            file.write(f"more={'true' if more else 'false'}\n")


def _end(token: str, page: Page) -> None:
    sys.stdout.flush()
    found = (line for level in Notice for line in annotated(level, page.lines[level]))
    _say(resume(token), *found)


def _say(*lines: str) -> None:
    sys.stderr.write("".join(f"{line}\n" for line in lines))
    sys.stderr.flush()


def _summarise(
    target: str, repo: Repo, part: str, did: Sequence[str], refused: Sequence[str]
) -> None:
    """Append the summary of a job to its file; that of the last one looks back, too."""
    from lifeos.cli.here import look_at
    from lifeos.cli.status_command import status_data
    from lifeos.core.cisummary import LIMIT, page

    here = look_at(repo)
    text = page(_summary(part, status_data(here), did, refused)).encode("utf-8", "replace")
    if part == "collect":
        text += _looking_back(here, LIMIT - len(text))
    descriptor = os.open(target, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
    with open(descriptor, "ab") as file:  # noqa: PTH123  (a descriptor)
        file.write(text)


def _looking_back(here: Here, room: int) -> bytes:
    """The report's part about what was, in at most so many bytes."""
    from lifeos.cli.reported import source_of
    from lifeos.core.report.page import looking_back
    from lifeos.core.report.tell import report

    data = report(source_of(here, "", "", _LAST_RUNS))
    return looking_back(data, room).encode("utf-8", "replace")


def _summary(part: str, status: StatusData, did: Sequence[str], refused: Sequence[str]) -> Summary:
    from lifeos.core.cisummary import Asked, Row, Summary

    return Summary(
        part=part,
        did=did,
        refused=refused,
        waiting=[
            Asked(each.item, each.kind, each.task or "", each.question, each.answered, each.pull)
            for each in status.waiting
        ],
        runs=[Row(r.run, r.task, r.title, r.stage, r.status) for r in status.runs],
        ended=[Row(r.run, r.task, r.title, r.outcome, r.landed[:12]) for r in status.ended],
        stopped=bool(status.stopped),
    )
