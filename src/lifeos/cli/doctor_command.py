"""``lifeos doctor``: check the surroundings: git, sandbox, identity, protections."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from lifeos.cli.frame import Frame, Json, frame_of, show_json
from lifeos.cli.health import Level, Line, fail
from lifeos.cli.paint import paint
from lifeos.errors import Exit, LifeosError
from lifeos.model import Frozen

if TYPE_CHECKING:
    from lifeos.store.repo import Repo

_STYLE = {Level.OK: "green", Level.WARN: "yellow", Level.FAIL: "red"}


class DoctorData(Frozen):
    """``lifeos.doctor/v1``: one line a thing looked at; ``good``: nothing failed."""

    good: bool
    lines: tuple[Line, ...] = ()


def command(
    context: typer.Context,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="Only what is not as it should be.")
    ] = False,
    offline: Annotated[
        bool, typer.Option("--offline", help="Ask neither models nor the forge.")
    ] = False,
    json: Json = False,
) -> int:
    """Check git, sandbox, identity, models, forge, notices and leftovers; exit 1 on a failure.

    Each model that an agent uses gets one call of a few tokens, and the forge is asked what it
    really enforces, unless `--offline`. Files are checked by `lifeos validate`, history by
    `lifeos verify`.
    """
    frame = frame_of(context)
    if json:
        lines = tuple(examine(frame, offline=offline))
        show_json("doctor", DoctorData(good=_good(lines), lines=lines))
        return Exit.OK if _good(lines) else Exit.FAILED
    seen = []
    for line in examine(frame, offline=offline):  # shown one by one: the sandbox takes a moment
        seen.append(line)
        if not quiet or line.level is not Level.OK:
            _print(line)
    return _summary(tuple(seen))


def _good(lines: tuple[Line, ...]) -> bool:
    return all(line.level is not Level.FAIL for line in lines)


def _print(line: Line) -> None:
    head = paint(f"{line.level:<4}", _STYLE[line.level], "bold")
    sys.stdout.write(f"{head}  {line.name:<11}  {paint(line.said)}\n")
    if line.fix:
        sys.stdout.write(f"{'':<19}{paint(f'fix: {line.fix}')}\n")
    sys.stdout.flush()


def _summary(lines: tuple[Line, ...]) -> int:
    failed = sum(line.level is Level.FAIL for line in lines)
    warned = sum(line.level is Level.WARN for line in lines)
    if failed:
        noun = "thing" if failed == 1 else "things"
        text = f"{failed} {noun} must be mended, {warned} to look at; next: the fixes above"
    elif warned:
        text = f"lifeos can work here; {warned} to look at"
    else:
        text = "lifeos can work here"
    sys.stdout.write(f"\n{text}\n")
    return Exit.FAILED if failed else Exit.OK


def examine(frame: Frame, *, offline: bool) -> Iterator[Line]:
    """Everything looked at, one line each, in the order in which it should be mended."""
    from lifeos.cli import (
        health_forge,
        health_machine,
        health_models,
        health_notices,
        health_repo,
    )

    yield from health_machine.programs()
    try:
        repo = frame.repo()
    except LifeosError as error:
        yield fail("repository", error.message, error.fix)
        return
    with repo:
        yield from health_repo.layout(repo)
        rules, lines = health_repo.rules_of(repo)
        yield from lines
        yield from health_repo.person(repo, rules)
        yield from health_repo.ledger(repo, rules, int(time.time()))
        if rules is not None:
            yield from health_machine.sandbox(rules)
            yield from health_models.models(repo, rules, os.environ, offline=offline)
            yield from health_repo.remote(repo, rules, offline=offline)
            yield from health_machine.trust(rules, has_remote=_has_remote(repo))
            yield from health_forge.forge(repo, rules, os.environ, offline=offline)
            yield from health_notices.notices(repo, rules, os.environ)
        yield from health_machine.leftovers(repo)
        yield health_machine.disk(repo)


def _has_remote(repo: Repo) -> bool:
    return any(key.startswith("remote.") for key in repo.config)
