"""The fields of a task: what the known keys mean, wherever they are written."""

from __future__ import annotations

from dataclasses import dataclass, field

from lifeos.core import globs
from lifeos.core.backlog.entry import Acceptance
from lifeos.core.backlog.inline import command_at_end, list_values, plain
from lifeos.errors import Place, Problem
from lifeos.model import Priority, Risk

KEYS = ("depends", "scope", "risk", "priority", "owner", "context", "dod", "acceptance")
_LISTS = ("depends", "scope")
PRIORITIES: dict[str, Priority] = {"p0": 0, "p1": 1, "p2": 2, "p3": 3}
RISKS = {risk.value: risk for risk in Risk}


@dataclass
class Fields:
    """What has been read of one task so far."""

    file: str
    depends: list[str] = field(default_factory=list)
    places: dict[str, int] = field(default_factory=dict)  # line of each dependency, from 1
    scope: list[str] = field(default_factory=list)
    risk: Risk | None = None
    priority: Priority | None = None
    texts: dict[str, str] = field(default_factory=dict)  # owner, context, dod
    acceptance: list[Acceptance] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    warnings: list[Problem] = field(default_factory=list)
    _seen: set[str] = field(default_factory=set)

    def take(self, key: str, values: list[str], line: int, column: int = 1) -> bool:
        """Read one field; False if the key is not known, so that the text stays prose.

        ``values`` are the text behind the colon and those of nested bullets.
        """
        if key not in KEYS:
            self._warn_if_misspelt(key, line, column)
            return False
        values = [value for value in values if value.strip()]
        if key in self._seen and key not in (*_LISTS, "acceptance"):
            self._wrong(line, column, f"'{key}:' is there twice", "keep one of them")
        self._seen.add(key)
        if not values:
            self._wrong(line, column, f"'{key}:' has no value", "fill it in or remove the line")
        elif key == "depends":
            self._take_depends(values, line)
        elif key == "scope":
            self._take_scope(values, line, column)
        elif key == "acceptance":
            self.acceptance += [acceptance_item(value) for value in values]
        else:
            self._take_text(key, " ".join(values), line, column)
        return True

    def _take_depends(self, values: list[str], line: int) -> None:
        for value in values:
            for name in list_values(value):
                task_id = name.strip("*")
                self.places.setdefault(task_id, line)
                if task_id not in self.depends:
                    self.depends.append(task_id)

    def _take_scope(self, values: list[str], line: int, column: int) -> None:
        for value in values:
            for pattern in list_values(value):
                reason = globs.fault(pattern)
                if reason:
                    fix = "write paths like src/webhook/** relative to the repository's root"
                    self._wrong(line, column, f"the scope '{pattern[:80]}' {reason}", fix)
                self.scope += (name for name in as_globs(pattern) if name not in self.scope)

    def _take_text(self, key: str, value: str, line: int, column: int) -> None:
        text = plain(value)
        if key == "risk":
            self.risk = RISKS.get(text.lower())
            if self.risk is None:
                message = f"the risk '{text[:40]}' is not known"
                self._wrong(line, column, message, "write low, medium or high")
        elif key == "priority":
            self.priority = PRIORITIES.get(text.lower())
            if self.priority is None:
                message = f"the priority '{text[:40]}' is not known"
                self._wrong(line, column, message, "write P0, P1, P2 or P3")
        else:
            self.texts[key] = value.strip()

    def _warn_if_misspelt(self, key: str, line: int, column: int) -> None:
        # Imported here: only a backlog with unknown keys pays for it.
        from difflib import get_close_matches

        close = get_close_matches(key, KEYS, n=1, cutoff=0.75)
        if close:
            self.warnings.append(
                Problem(
                    Place(self.file, line, column),
                    f"'{key}:' is read as prose: there is no such field",
                    f"write '{close[0]}:'",
                )
            )

    def _wrong(self, line: int, column: int, message: str, fix: str) -> None:
        self.problems.append(Problem(Place(self.file, line, column), message, fix))


def acceptance_item(text: str) -> Acceptance:
    """One acceptance item, with or without a box."""
    box = text[:4]
    done = box in ("[x] ", "[X] ")
    what, command = command_at_end(text[4:] if done or box == "[ ] " else text)
    return Acceptance(what, command, done)


def as_globs(pattern: str) -> list[str]:
    """A scope as patterns: people name a folder as ``src/webhook`` and mean what is below it."""
    if pattern.endswith("/"):
        return [f"{pattern}**"]
    last = pattern.rpartition("/")[2]
    if any(wild in pattern for wild in "*?") or "." in last:
        return [pattern]
    return [pattern, f"{pattern}/**"]
