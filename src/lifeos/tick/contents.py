"""What the work of open runs is, apart from lifeos's own bookkeeping: what a question is about.

Ids are told from titles by the prefix of the set that the run pins, wherever this is computed (to
ask, to answer, to verify): a run that takes over another set is asked about anew. The content of a
tree never changes, and to find it costs a look at the whole backlog; so it is remembered in a file,
on the terms of `backlog_cache`. `lifeos verify` computes it anew all the same.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable, Mapping

from lifeos import __version__
from lifeos.core.state import Run
from lifeos.store.repo import Repo
from lifeos.tick.backlog_cache import parser, recalled, remember
from lifeos.tick.context import Context
from lifeos.tick.reading import content_of

MOST = 1000
"""How many trees are remembered: of open runs, there are seldom more."""


def contents_of(ctx: Context, runs: Iterable[Run]) -> dict[str, str]:
    """The content digest of each run's work, by the run's id; nothing for one without work."""
    wanted = {run.id: f"{_prefix(ctx, run)} {run.work}" for run in runs if run.work}
    if not ctx.contents.keys() >= set(wanted.values()):
        ctx.contents.update(_recalled(ctx.repo))
    lacking = [key for key in dict.fromkeys(wanted.values()) if key not in ctx.contents]
    for key in lacking:
        ctx.contents[key] = _computed(ctx, key)
    if lacking:
        _remember(ctx.repo, ctx.contents)
    return {run: ctx.contents[key] for run, key in wanted.items()}


def _prefix(ctx: Context, run: Run) -> str:
    return ctx.governance(run.governance).config.id_prefix


def _computed(ctx: Context, key: str) -> str:
    prefix, _, tree = key.partition(" ")
    known = {}
    if prefix == ctx.rules.config.id_prefix:  # by which the tick reads the backlog of main
        known = {oid: backlog for oid, (_, backlog) in ctx.backlogs.items()}
    return content_of(ctx.repo, tree, prefix, known)


def _key() -> str:
    return json.dumps([__version__, *parser()])


def _recalled(repo: Repo) -> Mapping[str, str]:
    body = recalled(repo.private_dir / "cache" / "contents", _key())
    try:
        value = json.loads(body) if body else {}
    except ValueError:
        return {}
    good = isinstance(value, dict) and all(isinstance(one, str) for one in value.values())
    return value if good else {}  # of another shape, in spite of its key: computed anew


def _remember(repo: Repo, contents: Mapping[str, str]) -> None:
    newest = dict(list(contents.items())[-MOST:])
    with contextlib.suppress(OSError):  # without it the next process computes them again
        remember(repo.private_dir / "cache" / "contents", _key(), json.dumps(newest).encode())
