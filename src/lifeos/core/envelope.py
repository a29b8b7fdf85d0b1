"""What an attempt may change, judged on what it did change (git's raw diff), never on what it says.

Allowed is what policy *and* the task's scope allow; protected wins over both, and is decided on a
folded name: one that some file system, or some eye, takes for a protected one is protected.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import NamedTuple

from lifeos.core import globs, leaks
from lifeos.core.policy.envelope import Envelope
from lifeos.model import Change, FailureClass, ItemKind

GOVERNED = ("policies/**", ".lifeos/**")
"""The rules themselves. Protected whatever ``envelope.yaml`` says: it may not give itself away."""

ABSENT, LINK, MODULE = "000000", "120000", "160000"
FILES = ("100644", "100755")
EXCERPT = 200
"""Characters of an offending line that a breach shows."""


class BreachKind(StrEnum):
    """In which way a change leaves the envelope."""

    GOVERNANCE = "governance"
    PROTECTED = "protected"
    OUTSIDE = "outside"
    NEW_FILE = "new_file"
    BINARY = "binary"
    SYMLINK = "symlink"
    SUBMODULE = "submodule"
    MODE = "mode"
    SIZE = "size"
    COLLISION = "collision"
    NAME = "name"
    NESTED_GIT = "nested_git"
    SPECIAL = "special"
    PINNED = "pinned"
    ENVIRONMENT = "environment"
    SECRET = "secret"  # noqa: S105 - the name of a kind, not a password
    UNREAD = "unread"
    GUARDRAIL = "guardrail"
    BUDGET = "budget"
    COMMAND = "command"


@dataclass(frozen=True)
class Breach:
    """One way in which one path leaves the envelope. Safe to record: ``excerpt`` is redacted.

    ``line`` counts from 1 in the new content; 0 means the path as a whole.
    """

    kind: BreachKind
    path: str
    message: str
    line: int = 0
    excerpt: str = ""

    def __str__(self) -> str:
        place = f"{self.path}:{self.line}" if self.line else self.path
        return f"{place}: {self.message}" if place else self.message


_UNSEEN = {BreachKind.SIZE, BreachKind.BINARY, BreachKind.SYMLINK, BreachKind.UNREAD}
"""After one of these the content need not have been handed in."""


class Budget(NamedTuple):
    """The largest change that is made without asking, in lines (added and removed) and files."""

    diff_lines: int
    diff_files: int


def judge(
    changes: Sequence[Change],
    *,
    envelope: Envelope,
    budget: Budget,
    scope: tuple[str, ...] = (),
    pinned: tuple[str, ...] = (),
    prepare_inputs: tuple[str, ...] = (),
    contents: Mapping[str, bytes],
    tree_paths: Collection[str] = (),
    nested_git: tuple[str, ...] = (),
    special: tuple[str, ...] = (),
    secret_values: Sequence[tuple[str, str]] = (),
) -> tuple[Breach, ...]:
    """Every breach of ``changes``, in order of path; empty means that all of it is allowed.

    ``scope`` are the task's globs (none: no narrowing), ``pinned`` the pinned globs of all checks,
    ``prepare_inputs`` the inputs of all prepare commands. ``contents`` are blobs by id: every new
    one of at most ``max_file_bytes`` (one that is missing cannot be judged, and is a breach), and
    the old ones as far as known (a pattern that the base already has is not this change's leak).
    ``tree_paths`` are all paths of the new tree. ``nested_git`` and ``special`` are what the import
    refused. ``secret_values`` are (name, value).
    """
    found = [
        Breach(BreachKind.NESTED_GIT, path, "a git repository inside the tree")
        for path in nested_git
    ]
    found += [Breach(BreachKind.SPECIAL, path, "not a file, folder or link") for path in special]
    rules = _Rules(envelope, scope, pinned, prepare_inputs)
    for change in changes:
        bad = [*rules.names(change), *_sort_of_file(change, envelope)]
        if envelope.symlinks and change.new_mode == LINK:
            bad += _link_target(change, contents)
        found += bad
        if envelope.secrets:
            must_read = _UNSEEN.isdisjoint(breach.kind for breach in bad)
            found += _secrets(change, contents, secret_values, envelope, must_read=must_read)
    found += _collisions(changes, tree_paths)
    found += _too_large(changes, budget)
    clean = {_redacted(breach, secret_values) for breach in found}
    return tuple(sorted(clean, key=lambda b: (b.path, b.line, b.kind, b.message)))


def _redacted(breach: Breach, values: Sequence[tuple[str, str]]) -> Breach:
    """``breach`` without the secrets that a name can carry."""
    path, message = (leaks.redact(text, values) for text in (breach.path, breach.message))
    return replace(breach, path=path, message=message)


def failure_class(breaches: Iterable[Breach]) -> FailureClass | None:
    """The class of an attempt with these breaches; the gravest wins, None without any.

    A change of prepare inputs is an ``envelope_violation`` too, so that nothing lets it pass by
    accident; :func:`item_kind` says that it is asked differently.
    """
    kinds = {breach.kind for breach in breaches}
    if BreachKind.GOVERNANCE in kinds:
        return FailureClass.GOVERNANCE_VIOLATION
    if kinds - {BreachKind.BUDGET}:
        return FailureClass.ENVELOPE_VIOLATION
    return FailureClass.BUDGET_EXCEEDED if kinds else None


def item_kind(breaches: Iterable[Breach]) -> ItemKind | None:
    """What a person is asked about these breaches; None without any."""
    kinds = {breach.kind for breach in breaches}
    if kinds - {BreachKind.BUDGET, BreachKind.ENVIRONMENT}:
        return ItemKind.BREACH
    if BreachKind.ENVIRONMENT in kinds:
        return ItemKind.ENVIRONMENT
    return ItemKind.BUDGET if kinds else None


def fold(path: str) -> str:
    """``path`` as the most forgiving file system or reader would take it.

    Compatibility forms and case are folded, invisible characters dropped, and dots and spaces at
    the end of a part (which Windows drops) too.
    """
    if path.isascii():
        plain = path.lower()
    else:
        plain = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", path).casefold())
        plain = "".join(c for c in plain if not _invisible(c))
    if ". " in plain or "./" in plain or " /" in plain or plain.endswith((".", " ")):
        plain = "/".join(part.rstrip(". ") or part for part in plain.split("/"))
    return plain


def _invisible(char: str) -> bool:
    """Format characters and variation selectors."""
    return unicodedata.category(char) == "Cf" or "\ufe00" <= char <= "\ufe0f" or char == "\u034f"


class _Rules:
    """The globs that judge a name."""

    def __init__(
        self,
        envelope: Envelope,
        scope: tuple[str, ...],
        pinned: tuple[str, ...],
        prepare_inputs: tuple[str, ...],
    ) -> None:
        self._envelope = envelope
        self._scope = scope
        self._folded = (
            (
                BreachKind.GOVERNANCE,
                _folded(GOVERNED),
                "is governance; it is changed by a proposal",
            ),
            (
                BreachKind.PROTECTED,
                _folded(envelope.protect),
                "is protected by policies/envelope.yaml",
            ),
            (
                BreachKind.PINNED,
                _folded(pinned),
                "is pinned: a change may not alter the check that judges it",
            ),
            (BreachKind.ENVIRONMENT, _folded(prepare_inputs), "is an input of a prepare command"),
        )

    def names(self, change: Change) -> Iterator[Breach]:
        """What is wrong with the names of ``change``, both of them if it is a rename."""
        for path in {change.path, change.old_path} - {""}:
            yield from self._name(path)
        if change.status in "AR":
            yield from _bad_name(change.path)
            if not globs.any_match(self._envelope.new_files, change.path):
                yield Breach(BreachKind.NEW_FILE, change.path, "a new file is not allowed here")

    def _name(self, path: str) -> Iterator[Breach]:
        plain = fold(path)
        for kind, patterns, message in self._folded:
            if globs.any_match(patterns, plain):
                yield Breach(kind, path, message)
                return
        if not globs.any_match(self._envelope.write, path):
            yield Breach(BreachKind.OUTSIDE, path, "is outside what policies/envelope.yaml allows")
        elif self._scope and not globs.any_match(self._scope, path):
            yield Breach(BreachKind.OUTSIDE, path, "is outside the task's scope")


def touches_protected(paths: Iterable[str], envelope: Envelope) -> bool:
    """Whether one of the paths is protected: only work that a person accepted has such a path."""
    protected = _folded((*GOVERNED, *envelope.protect))
    return any(globs.any_match(protected, fold(path)) for path in paths)


def _folded(patterns: Iterable[str]) -> tuple[str, ...]:
    """The globs in folded form; with a whole folder goes its name (a file or link in its place
    hides it).
    """
    plain = [fold(pattern) for pattern in patterns]
    return (*plain, *(pattern[:-3] for pattern in plain if pattern.endswith("/**")))


def _bad_name(path: str) -> Iterator[Breach]:
    """Names that git, a file system or a reader may take for something else."""
    parts = path.split("/")
    if any(part in ("", ".", "..") for part in parts) or "\\" in path:
        yield Breach(BreachKind.NAME, path, "the name leads out of its folder")
    if any(_is_dot_git(part) for part in parts):
        yield Breach(BreachKind.NAME, path, "the name can be taken for .git")
    if any(unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp") for c in path):
        yield Breach(
            BreachKind.NAME, path, "the name has control, invisible or undecodable characters"
        )


def _is_dot_git(part: str) -> bool:
    """Whether some file system takes ``part`` for ``.git`` (case, NTFS short names and streams,
    invisibles).
    """
    plain = fold(part).split(":", 1)[0].rstrip(". ")
    return plain in (".git", "git~1")


def _sort_of_file(change: Change, envelope: Envelope) -> Iterator[Breach]:
    """Links, submodules, modes, binaries and size."""
    modes = (change.old_mode, change.new_mode)
    path = change.path
    if MODULE in modes:
        yield Breach(BreachKind.SUBMODULE, path, "submodules may not be changed")
    if change.new_mode == ABSENT:
        return
    if change.new_mode not in (*FILES, LINK, MODULE):
        yield Breach(BreachKind.SPECIAL, path, f"has the unusual mode {change.new_mode}")
    if change.new_mode == LINK and not envelope.symlinks:
        yield Breach(BreachKind.SYMLINK, path, "symbolic links are not allowed")
    if modes[0] != modes[1] and modes[0] in FILES and modes[1] in FILES and not envelope.modes:
        yield Breach(BreachKind.MODE, path, f"the mode changed from {modes[0]} to {modes[1]}")
    if change.binary and not envelope.binaries:
        yield Breach(BreachKind.BINARY, path, "binary content is not allowed")
    if change.size > envelope.max_file_bytes:
        text = f"{change.size} bytes are more than max_file_bytes ({envelope.max_file_bytes})"
        yield Breach(BreachKind.SIZE, path, text)


def _link_target(change: Change, contents: Mapping[str, bytes]) -> Iterator[Breach]:
    """A link, even an allowed one, must stay inside the tree and out of git's folder."""
    target = contents.get(change.new_id)
    if target is None:
        yield Breach(BreachKind.UNREAD, change.path, "the link's target was not read")
        return
    text = target.decode("utf-8", "replace")
    depth = change.path.count("/")
    for part in text.split("/"):
        depth += -1 if part == ".." else part not in ("", ".")
        if depth < 0 or _is_dot_git(part):
            break
    else:
        if not text.startswith("/"):
            return
    yield Breach(
        BreachKind.SYMLINK, change.path, "the link leads out of the tree", 0, text[:EXCERPT]
    )


def _secrets(
    change: Change,
    contents: Mapping[str, bytes],
    values: Sequence[tuple[str, str]],
    envelope: Envelope,
    *,
    must_read: bool,
) -> Iterator[Breach]:
    """Secrets in the new name and the new content of one change.

    Where the policy expects test data, only the values of this machine's own secrets are sought.
    """
    if change.new_mode in (ABSENT, MODULE):
        return
    if leaks.scan(change.path, values):
        yield Breach(BreachKind.SECRET, change.path, "a secret is in the name")
    data = contents.get(change.new_id)
    if data is None:
        if must_read and change.new_id != change.old_id:
            yield Breach(BreachKind.UNREAD, change.path, "the new content was not read")
        return
    text = leaks.as_text(data)
    found = leaks.scan(text, values)
    if globs.any_match(envelope.fake_secrets, change.path):
        found = tuple(leak for leak in found if leak.known)
    before = leaks.as_text(contents.get(change.old_id, b"")) if found else ""
    for leak in found:
        if leak.known or text[leak.start : leak.end] not in before:
            excerpt = leaks.line_of(text, leak, found)
            yield Breach(BreachKind.SECRET, change.path, leak.rule, leak.line, excerpt)


def _collisions(changes: Sequence[Change], tree_paths: Collection[str]) -> Iterator[Breach]:
    """New names that differ from another name of the tree only in case or Unicode form, folders
    included.
    """
    fresh = [change.path for change in changes if change.status in "AR"]
    spelled: dict[str, set[str]] = {fold(step): set() for path in fresh for step in _steps(path)}
    seen: set[str] = set()
    for path in (*fresh, *tree_paths) if fresh else ():
        for step in _steps(path):
            if step not in seen:
                seen.add(step)
                if (group := spelled.get(fold(step))) is not None:
                    group.add(step)
    for path in fresh:
        for step in _steps(path):
            others = sorted(spelled[fold(step)] - {step})
            if others:
                text = f"{step} and {others[0]} differ only in case or form"
                yield Breach(BreachKind.COLLISION, path, text)
                break


def _steps(path: str) -> Iterator[str]:
    """``a``, ``a/b``, ``a/b/c`` for ``a/b/c``."""
    place = path.find("/")
    while place >= 0:
        yield path[:place]
        place = path.find("/", place + 1)
    yield path


def _too_large(changes: Sequence[Change], budget: Budget) -> Iterator[Breach]:
    """The size of the whole change against the budget."""
    lines = sum((change.added or 0) + (change.removed or 0) for change in changes)
    if lines > budget.diff_lines:
        text = f"{lines} changed lines are more than budgets.diff_lines ({budget.diff_lines})"
        yield Breach(BreachKind.BUDGET, "", text)
    if len(changes) > budget.diff_files:
        text = (
            f"{len(changes)} changed files are more than budgets.diff_files ({budget.diff_files})"
        )
        yield Breach(BreachKind.BUDGET, "", text)
