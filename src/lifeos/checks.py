"""Running the checks: by lifeos, on the tree and nothing else, in the sandbox.

Each run gets a folder of its own, filled from the tree: what an agent left running, or an earlier
check wrote, is not in it. Pinned files are those of the base, so that a change cannot weaken the
check that judges it. Nothing that a check writes is kept but its report.
"""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from pydantic import ValidationError

from lifeos.core import globs, junit
from lifeos.core.checkreport import (
    CheckReport,
    CheckResult,
    CheckStatus,
    Run,
    judge_run,
    merged,
    plain,
)
from lifeos.core.policy.config import Check
from lifeos.core.policy.envelope import Limits
from lifeos.core.policy.words import CheckKind
from lifeos.errors import UsageError
from lifeos.model import Frozen
from lifeos.process import never, untraced
from lifeos.sandbox import Sandbox
from lifeos.store.materialize import materialize
from lifeos.store.repo import Repo
from lifeos.store.trees import Edit, Leaf, edit, walk


@dataclass(frozen=True)
class Ground:
    """Where checks run, and on what.

    ``tree`` is judged, ``base`` gives the pinned files (the same id for a run on the base itself).
    ``scratch`` is a folder of lifeos's for throw-away folders. ``limits`` are those of the sandbox;
    the seconds are each check's own. ``environment`` is all that is handed through. ``layer`` is a
    prepared environment that appears beneath the tree.
    """

    repo: Repo
    tree: str
    base: str
    sandbox: Sandbox
    scratch: Path
    limits: Limits
    environment: Mapping[str, str] = field(default_factory=dict)
    layer: Path | None = None
    tools: Sequence[Path] | None = None
    should_stop: Callable[[], bool] = never
    on_output: Callable[[bytes], None] | None = None
    trace: Callable[[str], None] = untraced

    @cached_property
    def leaves(self) -> dict[str, Leaf]:
        """The files of the tree that is judged."""
        return {leaf.path: leaf for leaf in walk(self.repo.objects, self.tree)}

    @cached_property
    def base_leaves(self) -> dict[str, Leaf]:
        """The files of the base."""
        return {leaf.path: leaf for leaf in walk(self.repo.objects, self.base)}


class AcceptanceResult(Frozen):
    """One acceptance command of a task. ``excerpt`` is not redacted, as in ``CheckResult``."""

    text: str
    command: str
    passed: bool
    exit_code: int | None = None
    seconds: float = 0.0
    message: str = ""
    excerpt: str = ""


def run_checks(
    checks: Sequence[Check],
    ground: Ground,
    *,
    fast_only: bool = False,
    expected: Mapping[str, Collection[str]] | None = None,
    base_test_files: Collection[str] = (),
) -> CheckReport:
    """Run ``checks`` (with ``fast_only`` those that say so), each on a fresh copy of the tree.

    ``expected``: by name of the check, the tests that ran on the base; all must run again.
    ``base_test_files``: the test files that were changed (``guardrails.changed_test_files``): test
    checks that passed run once more with the base's version of those. After a stop nothing further
    is run, and the last result says so.
    """
    names = expected or {}
    results: list[CheckResult] = []
    again: list[CheckResult] = []
    for check in checks:
        if fast_only and not check.fast:
            continue
        wanted = names.get(check.name, ())
        result = _with_reruns(check, ground, wanted, frozenset())
        results.append(result)
        if base_test_files and result.passed and check.kind is CheckKind.TEST:
            old = _with_reruns(check, ground, wanted, frozenset(base_test_files))
            if old.status is not CheckStatus.STOPPED:
                again.append(old)
            else:
                results[-1] = old
        if results[-1].status is CheckStatus.STOPPED:
            break
    return CheckReport(results=tuple(results), base_tests=tuple(again))


def run_acceptance(
    commands: Sequence[tuple[str, str]],
    ground: Ground,
    *,
    pinned: tuple[str, ...] = (),
    seconds: int,
) -> tuple[AcceptanceResult, ...]:
    """Run a task's acceptance commands, given as (text, command); each passes only with exit 0.

    ``pinned``: the pinned globs of all checks; these files are the base's here too.
    """
    found = []
    for number, (text, command) in enumerate(commands, 1):
        try:
            check = Check(
                name=f"acceptance-{number}",
                run=command,
                kind=CheckKind.TEST,
                timeout=seconds,
                pinned=pinned,
                reruns=0,
            )
        except ValidationError as error:  # empty, or too long to be a command
            message = str(error.errors()[0]["msg"])
            found.append(
                AcceptanceResult(text=text, command=command, passed=False, message=message)
            )
            continue
        result = _with_reruns(check, ground, (), frozenset())
        found.append(_accepted(text, result))
        if result.status is CheckStatus.STOPPED:
            break
    return tuple(found)


def _accepted(text: str, result: CheckResult) -> AcceptanceResult:
    return AcceptanceResult(
        text=text,
        command=result.command,
        passed=result.passed,
        exit_code=result.exit_code,
        seconds=result.seconds,
        message=result.message,
        excerpt=result.excerpt,
    )


def _with_reruns(
    check: Check, ground: Ground, expected: Collection[str], from_base: frozenset[str]
) -> CheckResult:
    """A check; when it fails, again on the same tree until it passes or ``reruns`` are used up."""
    tree = _tree_for(check, ground, from_base)
    first = _run(check, ground, tree, expected)
    again: list[CheckResult] = []
    while first.status is CheckStatus.FAILED and len(again) < check.reruns:
        again.append(_run(check, ground, tree, expected))
        if again[-1].status in (CheckStatus.PASSED, CheckStatus.STOPPED):
            break
    return merged(first, again) if again else first


def _tree_for(check: Check, ground: Ground, from_base: frozenset[str]) -> str:
    """The tree that the check sees: pinned files (and ``from_base``) as in the base, no report.

    What the base does not have at a pinned name is not there. A report that was committed would
    speak for a check that never wrote one.
    """
    new, base = ground.leaves, ground.base_leaves

    def pinned(path: str) -> bool:
        return path in from_base or globs.any_match(check.pinned, path, folded=True)

    changes: dict[str, Edit] = {}
    for path, leaf in base.items():
        if new.get(path) != leaf and pinned(path):
            changes[path] = (leaf.mode, leaf.oid)
    # Removed last to first: a file in the place of a folder that the base's files need.
    blocking = {above for path in changes for above in _above(path) if above in new}
    gone = {path for path in new if path not in base and pinned(path)}
    if check.junit and (check.junit in new or check.junit in changes):
        gone.add(check.junit)
    return edit(ground.repo.objects, ground.tree, changes | dict.fromkeys(blocking | gone))


def _above(path: str) -> Iterator[str]:
    while "/" in path:
        path = path.rpartition("/")[0]
        yield path


def _run(check: Check, ground: Ground, tree: str, expected: Collection[str]) -> CheckResult:
    """One run in a fresh folder."""
    if ground.should_stop():
        return judge_run(check, Run(exit_code=0, stopped=True))
    with _folder(ground.scratch) as folder:
        materialize(ground.repo, tree, folder)
        try:
            ended = ground.sandbox.run(
                ("/bin/sh", "-c", check.run),
                folder=folder,
                limits=ground.limits.model_copy(update={"seconds": check.timeout}),
                env=dict(ground.environment),
                overlay_lower=ground.layer,
                tools=ground.tools,
                should_stop=ground.should_stop,
                on_output=ground.on_output,
                trace=ground.trace,
            )
        except UsageError as error:
            return judge_run(check, Run(exit_code=0, not_started=str(error)))
        run = Run(
            exit_code=ended.status,
            out=plain(ended.out),
            err=plain(ended.err),
            seconds=ended.seconds,
            timed_out=ended.timed_out,
            stopped=ended.stopped,
            exceeded=ended.exceeded,
            report=_read(folder, check.junit) if check.junit else None,
        )
    return judge_run(check, run, expected)


@contextmanager
def _folder(scratch: Path) -> Iterator[Path]:
    """An empty folder that is gone afterwards, with whatever was put there."""
    scratch.mkdir(parents=True, exist_ok=True)
    above = Path(tempfile.mkdtemp(prefix="check-", dir=scratch))
    try:
        folder = above / "tree"
        folder.mkdir()
        yield folder
    finally:
        # Untrusted code wrote there: what cannot be removed is left to the next clean-up.
        shutil.rmtree(above, ignore_errors=True)


def _read(folder: Path, path: str) -> bytes | None:
    """A file that untrusted code wrote: no links, pipes or floods; None if it is not a plain file.

    One byte more than a report may have is read, so that the parser refuses it as too large.
    """
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    *parents, name = path.split("/")
    opened: list[int] = []
    try:
        opened.append(os.open(folder, flags | os.O_DIRECTORY))
        for part in parents:
            opened.append(os.open(part, flags | os.O_DIRECTORY, dir_fd=opened[-1]))
        opened.append(os.open(name, flags, dir_fd=opened[-1]))
        if not stat.S_ISREG(os.fstat(opened[-1]).st_mode):
            return None
        with open(opened.pop(), "rb") as file:  # noqa: PTH123 - a descriptor
            return file.read(junit.LARGEST + 1)
    except OSError:
        return None
    finally:
        for descriptor in opened:
            os.close(descriptor)
