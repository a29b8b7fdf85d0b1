"""A review by rule: what can be said without judgement. No model sits, and the review says so.

Where a council of models sits, this is its floor: what rules refuse, no model is asked about.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from lifeos.core import globs
from lifeos.core.artifacts import expected_paths
from lifeos.core.backlog.entry import Task
from lifeos.core.checkreport import CheckResult
from lifeos.core.council import Header
from lifeos.core.markdown import outside_fences
from lifeos.core.policy.council import Seat
from lifeos.core.review import Finding, Proven, Review, Severity, because, in_order
from lifeos.model import Change, FailureClass, Mode, Verdict

IMPOSSIBLE = "impossible"
"""The kind of a finding that no attempt can mend: the verdict is reject."""

_NO_RECIPE = (
    "the task has no `sh recipe` block and the plan no step, so nothing would be built: "
    "add a recipe block to the task"
)
_STEP = re.compile(r"\d{1,3}[.)] +\S")
_WORD = re.compile(r"[^\W_]+")
_LEFTOVER = re.compile(
    r"(.*\.(orig|rej|swp|swo|bak)|.*~|\.#.*|#.*#|\.DS_Store|Thumbs\.db)", re.IGNORECASE
)
_OURS, _THEIRS = re.compile(r"<{7}( |$)"), re.compile(r">{7}( |$)")
_UNFINISHED = re.compile(r"\b(TODO|FIXME|XXX)\b")
MOST_PER_FILE = 10
"""Unfinished lines that are listed of one file."""


def review_design(
    task: Task,
    artifact: str,
    header: Header,
    mode: Mode,
    *,
    mode_reason: str = "",
    seats: Sequence[Seat] = (),
    by_recipe: bool = True,
) -> Review:
    """Whether the design says what the task asks. ``seats`` are those of the mode.

    ``by_recipe``: the builder only carries out what the task spells out, so that has to say
    something.
    """
    found: list[Finding] = []
    said = _words(artifact)
    if by_recipe and _says_nothing(task):
        found.append(_IMPOSSIBLE)
    elif not said.strip():
        found.append(_finding(Severity.P0, "empty", "the design is empty"))
    else:
        found += _not_named([item.text for item in task.acceptance], said, "design")
    return _reviewed(found, header, mode, mode_reason, seats)


def review_plan(
    task: Task,
    artifact: str,
    header: Header,
    mode: Mode,
    *,
    mode_reason: str = "",
    seats: Sequence[Seat] = (),
    by_recipe: bool = True,
) -> Review:
    """Whether the plan has steps and names every acceptance command."""
    found: list[Finding] = []
    steps = [line for _, line in outside_fences(artifact) if _STEP.match(line)]
    if by_recipe and _says_nothing(task):
        found.append(_IMPOSSIBLE)
    elif by_recipe and not steps and not task.recipe:
        found.append(_finding(Severity.P0, IMPOSSIBLE, _NO_RECIPE))
    elif not steps:
        found.append(_finding(Severity.P0, "no_steps", "the plan has no numbered step"))
    else:
        commands = [item.command for item in task.acceptance if item.command]
        found += _not_named(commands, _words(artifact), "plan")
        if not expected_paths(artifact):
            message = "the plan names no path that it expects to change"
            found.append(_finding(Severity.P2, "no_paths", message))
    return _reviewed(found, header, mode, mode_reason, seats)


def review_build(
    task: Task,
    plan: str,
    changes: Sequence[Change],
    header: Header,
    mode: Mode,
    *,
    mode_reason: str = "",
    seats: Sequence[Seat] = (),
    checks: Sequence[CheckResult] = (),
    acceptance: Sequence[Proven] = (),
    proves_nothing: Collection[str] = (),
    waived: Collection[FailureClass] = (),
    accepted: bool = False,
    contents: Mapping[str, bytes],
) -> Review:
    """Whether the change does what was asked, as far as rules can tell.

    ``proves_nothing`` are the acceptance commands that passed on the base already, ``waived`` the
    failure classes that a person waived for this very tree, ``accepted`` whether a person took this
    very tree as it is, wherever it reaches; ``contents`` are blobs by id (new, and old as far as
    known), as in ``envelope.judge``. A breach never gets this far: it is asked about at the build.
    """
    found: list[Finding] = []
    if not changes:
        text = "nothing was changed"
        found.append(_finding(Severity.P0, "no_change", text, cause=FailureClass.NO_CHANGE))
    if not accepted:
        found += _of_scope(task, changes)
    found += _of_checks(checks, waived)
    found += _of_acceptance(task, acceptance, proves_nothing, waived)
    found += _of_plan(plan, changes)
    for change in changes:
        found += _of_content(change, contents)
    return _reviewed(found, header, mode, mode_reason, seats)


def _finding(
    severity: Severity,
    kind: str,
    message: str,
    *,
    path: str = "",
    line: int = 0,
    cause: FailureClass | None = None,
) -> Finding:
    return Finding(severity=severity, kind=kind, message=message, path=path, line=line, cause=cause)


def _reviewed(
    found: Iterable[Finding], header: Header, mode: Mode, reason: str, seats: Sequence[Seat]
) -> Review:
    """The review with its verdict: what blocks is mended, what cannot be mended is rejected."""
    findings = tuple(sorted(found, key=in_order))
    blocking = [finding for finding in findings if finding.severity is not Severity.P2]
    verdict = Verdict.REVISE if blocking else Verdict.ACCEPT
    if any(finding.kind == IMPOSSIBLE for finding in blocking):
        verdict = Verdict.REJECT
    causes = dict.fromkeys(f.cause or FailureClass.REVIEW_REJECTION for f in blocking)
    return Review(
        verdict=verdict,
        findings=findings,
        mode=mode,
        mode_reason=reason,
        header=header,
        seats_missing=tuple(seat.value for seat in seats),
        causes=tuple(causes),
        forced=mode is not Mode.M0,
        note=_note(mode, reason, seats),
    )


def _note(mode: Mode, reason: str, seats: Sequence[Seat]) -> str:
    """What this review is not."""
    names = ", ".join(seats) or "none named"
    text = (
        f"One review by rule; no model sat. The seats of mode {mode}{because(reason)} were not "
        f"filled: {names}."
    )
    if mode is Mode.M0:
        return text
    return f"{text} Rules cannot take their place, so a person decides before this lands."


def _says_nothing(task: Task) -> bool:
    texts = (task.description, task.context, task.dod, *task.recipe)
    return not task.acceptance and not any(text.strip() for text in texts)


_IMPOSSIBLE = _finding(
    Severity.P0,
    IMPOSSIBLE,
    "the task has a title only: say what is to be done, or how it is proven, or add a recipe",
)


def _words(text: str) -> str:
    """A text as its letters and digits, so that escapes, line breaks and ticks do not matter."""
    return f" {' '.join(_WORD.findall(text.casefold()))} "


def _not_named(wanted: Iterable[str], said: str, where: str) -> Iterator[Finding]:
    for text in wanted:
        words = _words(text)
        if words.strip() and words not in said:
            message = f"the {where} does not name: {text}"
            yield _finding(Severity.P1, "not_named", message)


def _of_scope(task: Task, changes: Sequence[Change]) -> Iterator[Finding]:
    paths = sorted({path for c in changes for path in (c.path, c.old_path) if path})
    for path in paths if task.scope else ():
        if not globs.any_match(task.scope, path):
            yield _finding(
                Severity.P0,
                "out_of_scope",
                "was changed, and is outside of the task's scope",
                path=path,
                cause=FailureClass.ENVELOPE_VIOLATION,
            )


def _of_checks(
    checks: Sequence[CheckResult], waived: Collection[FailureClass]
) -> Iterator[Finding]:
    for check in checks:
        if check.passed:
            continue
        cause = check.failure_class or FailureClass.UNKNOWN
        said = f"the check {check.name} is {check.status}: {check.message}"
        if cause in waived:
            yield _finding(Severity.P2, "check_waived", f"{said} (waived by a person)")
        else:
            yield _finding(Severity.P0, "check", said, cause=cause)


def _of_acceptance(
    task: Task,
    results: Sequence[Proven],
    proves_nothing: Collection[str],
    waived: Collection[FailureClass],
) -> Iterator[Finding]:
    """Every acceptance command was run and passed, unless a person waived failing tests."""
    commands = list(dict.fromkeys(item.command for item in task.acceptance if item.command))
    grave = Severity.P2 if FailureClass.TEST_FAILURE in waived else Severity.P0
    ran = {result.command for result in results}
    for result in results:
        if not result.passed:
            message = (
                f"not accepted: {result.text} ({result.command}: {result.message or 'failed'})"
            )
            yield _finding(grave, "acceptance", message, cause=FailureClass.TEST_FAILURE)
    # Where a check was waived, the commands were not run: lifeos runs them on green trees only.
    missing = Severity.P2 if waived else Severity.P0
    for command in commands:
        if command not in ran:
            message = f"the acceptance command was not run: {command}"
            cause = FailureClass.TEST_FAILURE
            yield _finding(missing, "acceptance_not_run", message, cause=cause)
    empty = [command for command in commands if command in proves_nothing]
    for command in empty:
        message = f"proves nothing, it passed before the change too: {command}"
        yield _finding(Severity.P2, "proves_nothing", message)
    if len(empty) == len(commands):
        message = "no acceptance command tells the change from its absence: a person must look"
        yield _finding(Severity.P2, "unproven", message)


def _of_plan(plan: str, changes: Sequence[Change]) -> Iterator[Finding]:
    """The real paths against the expected ones, in both directions."""
    expected = expected_paths(plan)
    if not expected:
        return
    real = sorted({path for c in changes for path in (c.path, c.old_path) if path})
    for path in real:
        if not any(_expects(pattern, path) for pattern in expected):
            message = "was changed, and the plan did not expect it"
            yield _finding(Severity.P2, "unexpected_path", message, path=path)
    for pattern in expected:
        if not any(_expects(pattern, path) for path in real):
            message = "the plan expected a change here, and there is none"
            yield _finding(Severity.P2, "unchanged_path", message, path=pattern)


def _expects(pattern: str, path: str) -> bool:
    return path.startswith(f"{pattern}/") or globs.matches(pattern, path)


def _of_content(change: Change, contents: Mapping[str, bytes]) -> Iterator[Finding]:
    """Leftovers of tools, conflict markers and unfinished work that this change brings in."""
    path = change.path
    if change.status in "AR" and _LEFTOVER.fullmatch(path.rpartition("/")[2]):
        message = "looks like a leftover of an editor or a merge"
        yield _finding(Severity.P1, "leftover", message, path=path)
    added = _added(contents.get(change.old_id, b""), contents.get(change.new_id, b""))
    ours = [line for line, text in added if _OURS.match(text)]
    if ours and any(_THEIRS.match(text) for _, text in added):
        message = "has conflict markers"
        yield _finding(Severity.P0, "conflict_marker", message, path=path, line=ours[0])
    unfinished = [(line, text) for line, text in added if _UNFINISHED.search(text[:2000])]
    for line, text in unfinished[:MOST_PER_FILE]:
        message = f"adds unfinished work: {text.strip()[:120]}"
        yield _finding(Severity.P2, "unfinished", message, path=path, line=line)


def _added(old: bytes, new: bytes) -> list[tuple[int, str]]:
    """The lines of ``new`` beyond those of ``old``, with their numbers; none of binary content.

    Lines that only moved are not added. Takes time in proportion to the texts.
    """
    if b"\0" in new:
        return []
    left = Counter(old.split(b"\n"))
    found = []
    for number, line in enumerate(new.split(b"\n"), 1):
        if left[line] > 0:
            left[line] -= 1
        else:
            found.append((number, line.decode("utf-8", "replace")))
    return found
