"""``lifeos why``: where a line comes from, back to who let it land and under which rules."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lifeos.cli.frame import Json, frame_of, show, show_json
from lifeos.cli.here import look
from lifeos.cli.provenance import Teller, WhyRange, WhyRun
from lifeos.errors import Exit, UsageError
from lifeos.model import Frozen

if TYPE_CHECKING:
    from lifeos.cli.here import Here
    from lifeos.store.blame import Span
    from lifeos.store.ledger import Ledger
    from lifeos.store.repo import Repo
    from lifeos.store.trees import Leaf
    from lifeos.tick.origin import Origin, Traced, Tracer

_LINES = re.compile(r"(.+):([0-9]{1,9})(?:-([0-9]{1,9}))?", re.DOTALL)
_TEXT = frozenset({"100644", "100755", "120000"})
_BINARY_WITHIN = 8000
"""Bytes in which a NUL makes content binary, as git has it."""


class WhyData(Frozen):
    """``lifeos.why/v1``: lines ``first`` to ``last`` of the ``lines`` of a file at ``commit``.

    ``text`` are those lines, where not the whole file was asked about. ``differs``: the file in
    the work tree is another one, and may have other line numbers.
    """

    file: str
    branch: str
    commit: str
    lines: int
    first: int
    last: int
    text: tuple[str, ...] = ()
    ranges: tuple[WhyRange, ...] = ()
    runs: tuple[WhyRun, ...] = ()
    differs: bool = False


@dataclass(frozen=True)
class Asked:
    """What was asked: a file of main's tree, and lines of it (None: all of them)."""

    path: str
    span: Span | None = None


def command(
    context: typer.Context,
    what: Annotated[
        str, typer.Argument(help="A file, a line of it, or some.", metavar="FILE[:LINE|:FROM-TO]")
    ],
    at: Annotated[
        str, typer.Option("--at", help="As main was at this commit.", metavar="REVISION")
    ] = "",
    json: Json = False,
) -> int:
    """Say where a line of main comes from: run, attempt, plan, reviews, approval, cost and rules.

    Each hop names the command that shows more of it. For a whole file: its lines by landing.
    Lines that did not come through lifeos are said so.
    """
    frame = frame_of(context)
    with look(frame) as here:
        ledger = here.ledger
        if ledger is None:
            raise UsageError("there is no ledger here yet", "lifeos init, commit, then lifeos tick")
        data = why_data(here, ledger, what, at, frame.start)
    if json:
        show_json("why", data)
    else:
        from lifeos.cli.why_screen import screen

        show(screen(data))
    return Exit.OK


def why_data(
    here: Here, ledger: Ledger, what: str, at: str, start: Path, tracer: Tracer | None = None
) -> WhyData:
    """What `lifeos why` shows. Raises ``UsageError`` for what main does not have.

    ``tracer`` is one that was made for another file: what it has read of the ledger is not read
    again.
    """
    from lifeos.tick.reading import main_at

    repo = here.repo
    main = main_at(repo, _revision(here, ledger, at)) if at else here.main
    asked, leaf = _asked(here, main.tree, what, start)
    content = repo.objects.read(leaf.oid)[1]
    count = len(content.split(b"\n")) - (not content or content.endswith(b"\n"))
    _require_lines(asked, count, here.branch)
    if tracer is None:
        tracer = tracer_of(here, ledger)
    teller = Teller(ledger, tracer.landings, tracer)
    origins: list[Origin]
    ranges: tuple[WhyRange, ...]
    if not count or b"\0" in content[:_BINARY_WITHIN]:
        whole = _whole(repo, tracer, main.commit, asked.path)
        ranges, origins = (teller.whole(asked.path, whole),), [whole]
    else:
        traced = _traced(tracer, main.commit, asked)
        ranges, origins = teller.ranges(traced), [one.origin for one in traced]
    first, last = asked.span or (min(1, count), count)
    shown = content.split(b"\n")[first - 1 : last] if asked.span else ()
    return WhyData(
        file=asked.path,
        branch=here.branch,
        commit=main.commit,
        lines=count,
        first=first,
        last=last,
        text=tuple(line.decode("utf-8", "replace") for line in shown),
        ranges=ranges,
        runs=teller.runs(dict.fromkeys(origins)),
        differs=not at and _differs(repo, asked.path, content),
    )


def tracer_of(here: Here, ledger: Ledger) -> Tracer:
    """What traces lines of main as it is now."""
    from lifeos.tick.landings import landings_on
    from lifeos.tick.origin import Tracer

    return Tracer(ledger, landings_on(ledger, here.main.commit))


def _traced(tracer: Tracer, main: str, asked: Asked) -> tuple[Traced, ...]:
    return tracer.trace(main, asked.path, [asked.span] if asked.span else [])


def _whole(repo: Repo, tracer: Tracer, main: str, path: str) -> Origin:
    """Of content without lines: the commit that brought it as it is."""
    from lifeos.store.history import introducing

    found = introducing(repo, main, path)
    return tracer.of_commit(found.commit if found else main, main)


def _require_lines(asked: Asked, count: int, branch: str) -> None:
    if asked.span is None:
        return
    first, last = asked.span
    if not 1 <= first <= last <= count:
        lines = f"{first}" if first == last else f"{first}-{last}"
        raise UsageError(
            f"{asked.path} has no line {lines} on {branch}: it has {count}",
            f"lifeos why {asked.path}",
        )


# --- what is meant ------------------------------------------------------------------------------


def _revision(here: Here, ledger: Ledger, text: str) -> str:
    """A commit of main by any name that git knows. Raises ``UsageError``."""
    from lifeos.store.history import is_ancestor

    args = ("rev-parse", "--verify", "--quiet", "--end-of-options", f"{text}^{{commit}}")
    result = here.repo.person.call(*args)
    commit = result.out.decode("ascii", "replace").strip()
    if result.status != 0 or not commit:
        raise UsageError(
            f"{text[:80]!r} is no commit here", f"git log {here.branch} shows the commits"
        )
    if not is_ancestor(here.repo, commit, here.main.commit):
        known = is_ancestor(here.repo, commit, ledger.tip)
        what = "a transition of the ledger, " if known else ""
        raise UsageError(
            f"{commit[:12]} is {what}not a commit of {here.branch}",
            f"git log {here.branch} shows its commits",
        )
    return commit


def _asked(here: Here, tree: str, what: str, start: Path) -> tuple[Asked, Leaf]:
    """The file, and the lines of it; a name that ends like a line number may be a file too."""
    repo, branch = here.repo, here.branch
    match = _LINES.fullmatch(what)
    found = _leaf(repo, tree, what, start)
    if found is None and match is not None:
        found = _leaf(repo, tree, match[1], start)
        if found is not None:
            first = int(match[2])
            return Asked(found.path, (first, int(match[3] or first))), found
    if found is None:
        raise _not_there(repo, branch, tree, match[1] if match else what, start)
    return Asked(found.path), found


def _not_there(repo: Repo, branch: str, tree: str, name: str, start: Path) -> UsageError:
    """No such file; or there is one, and what stands behind its colon names no line."""
    file, colon, line = name.rpartition(":")
    if colon and file and _leaf(repo, tree, file, start) is not None:
        return UsageError(
            f"{line[:80]!r} names no line of {file}", f"lifeos why {file}:LINE, or {file}:FROM-TO"
        )
    return UsageError(
        f"{branch} has no file {name[:200]!r}", f"git ls-tree -r --name-only {branch}"
    )


def _leaf(repo: Repo, tree: str, name: str, start: Path) -> Leaf | None:
    """The file of this name in a tree: seen from where the command was started, or from the top."""
    from lifeos.store.trees import lookup

    for path in dict.fromkeys(_paths(repo, name, start)):
        leaf = lookup(repo.objects, tree, path)
        if leaf is not None and leaf.mode == "040000":
            raise UsageError(f"{path} is a folder", f"lifeos why {path}/FILE")
        if leaf is not None and leaf.mode not in _TEXT:
            raise UsageError(f"{path} is a submodule: its lines are in another repository")
        if leaf is not None:
            return leaf
    return None


def _paths(repo: Repo, name: str, start: Path) -> list[str]:
    plain = os.path.normpath(name).replace(os.sep, "/")
    found = [] if plain.startswith(("/", "..")) else [plain]
    root = repo.work_tree
    if root is not None:
        full = Path(os.path.normpath(start.absolute() / name))
        if full.is_relative_to(root.absolute()):
            found.insert(0, full.relative_to(root.absolute()).as_posix())
    return [path for path in found if path not in {"", "."}]


def _differs(repo: Repo, path: str, content: bytes) -> bool:
    """Whether the work tree has another text in this file."""
    if repo.work_tree is None:
        return False
    file = repo.work_tree / path
    if not file.is_file() or file.is_symlink():
        return False
    return file.read_bytes().replace(b"\r\n", b"\n") != content.replace(b"\r\n", b"\n")
