"""What runs left to be done: lines with TODO, flaky checks, documents that name what is gone.

Each becomes an entry for the backlog, never with commands. What a line or a file's name says is
quoted as text, without what could be read as more than that.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from lifeos.core.chronicle import RunPast
from lifeos.core.clean import one_line
from lifeos.core.improve.finding import newest
from lifeos.core.improve.look import Look
from lifeos.core.improve.measure import check_results
from lifeos.core.improve.proposal import AddTask, Category, Metric, Pattern
from lifeos.core.improve.trial import Measure, Window
from lifeos.core.leaks import redact

MOST_LISTED = 5
"""Lines, or names, that a new task lists; the rest is counted."""
_TODO = re.compile(r"(?<![\w-])(?:TODO|FIXME|XXX)(?![\w-])")
_DEFINES = re.compile(
    r"^\s*(?:export\s+)?(?:default\s+)?(?:pub\s+)?(?:async\s+)?"
    r"(?:def|class|function|func|fn|struct|interface|enum|trait)\s+([A-Za-z_]\w{3,60})"
)
_DOCUMENT = re.compile(r"(?:.*\.(?:md|rst|adoc)|docs?/.*\.txt)", re.IGNORECASE)
_HISTORY = re.compile(r"(?:.*/)?(?:CHANGELOG|HISTORY|NEWS|CHANGES|BACKLOG)[^/]*", re.IGNORECASE)
_CODE_SPAN = re.compile(r"`([^`\n]{1,200})`")


@dataclass(frozen=True)
class Landing:
    """What a run landed: the lines that it added and removed, by path."""

    run: RunPast
    added: Mapping[str, Sequence[str]]
    removed: Mapping[str, Sequence[str]]


@dataclass(frozen=True)
class Tree:
    """The texts of main now: documents, and all other text files."""

    documents: Mapping[str, str]
    code: Mapping[str, str]

    def has(self, path: str, line: str) -> bool:
        """Whether a file still has this very line."""
        text = self.code.get(path) or self.documents.get(path) or ""
        return line in text.split("\n")


def is_document(path: str) -> bool:
    """Whether a path is of a document for people that tells how things are now."""
    return _DOCUMENT.fullmatch(path) is not None and _HISTORY.fullmatch(path) is None


def wants_code(landings: Sequence[Landing]) -> bool:
    """Whether any of them removed a definition, so that all of main has to be read."""
    return any(True for landing in landings for _ in _gone(landing))


def follow_ups(look: Look, landings: Sequence[Landing], tree: Tree) -> tuple[Pattern, ...]:
    """Everything that was left to be done, in order of its key."""
    found = [*_todos(look, landings, tree), *_flakes(look), *_drift(look, landings, tree)]
    return tuple(sorted(found, key=lambda pattern: pattern.key))


# --- lines that say that something is left -----------------------------------------------------


def _todos(look: Look, landings: Sequence[Landing], tree: Tree) -> Iterator[Pattern]:
    for landing in landings:
        run = landing.run
        key = f"{Category.TODO}:{run.id}"
        left = [
            (path, line.strip())
            for path, lines in sorted(landing.added.items())
            for line in lines
            if _TODO.search(line) and not is_document(path) and tree.has(path, line)
        ]
        if not left or not any(counted.id == run.id for counted in look.runs(key)):
            continue
        paths = sorted({path for path, _ in left})
        count = f"{len(left)} line{'' if len(left) == 1 else 's'}"
        yield _task(
            key,
            Category.TODO,
            title=f"Do what {run.task} left for later in {_named(paths)}",
            why=f"{run.id} landed {count} with TODO, FIXME or XXX, and main still has them.",
            lines=[f"{_path(path)}: {_plain(text, 100)}" for path, text in left],
            paths=paths,
            rests_on=[run.closed],
            cases=len(left),
            runs=1,
        )


# --- checks that are red and then green --------------------------------------------------------


def _flakes(look: Look) -> Iterator[Pattern]:
    for check in look.rules.config.checks:
        key = f"{Category.FLAKE}:{check.name}"
        need = look.need(Category.FLAKE, key)
        flaky = [
            run
            for run in look.runs(key)
            if any(fact.status == "flaky" for fact in check_results(run, check.name))
        ]
        if len(flaky) < need.cases:
            continue
        commits = [
            attempt.commit
            for run in flaky
            for attempt in run.attempts
            if any(f.name == check.name and f.status == "flaky" for f in attempt.facts.checks)
        ]
        yield _task(
            key,
            Category.FLAKE,
            title=f"Mend what makes the check {check.name} flaky",
            why=f"In {len(flaky)} runs it was red and then green on the same tree.",
            lines=[f"{run.id} of {run.task}" for run in reversed(flaky)],
            paths=[],
            rests_on=commits,
            cases=len(flaky),
            runs=len(look.runs(key)),
        )


# --- documents that drifted --------------------------------------------------------------------


def _drift(look: Look, landings: Sequence[Landing], tree: Tree) -> Iterator[Pattern]:
    gone = {name: landing for landing in landings for name in _gone(landing)}
    lost = {name: landing for name, landing in gone.items() if not _anywhere(name, tree)}
    for path, text in sorted(tree.documents.items()):
        key = f"{Category.DOC_DRIFT}:{path}"
        said = {word for span in _CODE_SPAN.findall(text) for word in re.findall(r"\w+", span)}
        counted = {run.id for run in look.runs(key)}
        names = [name for name in sorted(lost) if name in said and lost[name].run.id in counted]
        if not names:
            continue
        commits = [lost[name].run.closed for name in names]
        yield _task(
            key,
            Category.DOC_DRIFT,
            title=f"Bring {_named([path])} up to date: it names what is gone from the code",
            why=f"{len(names)} name{'' if len(names) == 1 else 's'} in it, written as code, "
            "were removed by a landing, and nothing has them any more.",
            lines=[f"{name}, removed by {lost[name].run.task}" for name in names],
            paths=[path],
            rests_on=commits,
            cases=len(names),
            runs=len({lost[name].run.id for name in names}),
        )


def _gone(landing: Landing) -> Iterator[str]:
    """The names whose definition a landing removed, and did not put elsewhere."""
    kept = {
        found[1]
        for lines in landing.added.values()
        for line in lines
        if (found := _DEFINES.match(line))
    }
    for path, lines in landing.removed.items():
        for line in lines if not is_document(path) else ():
            found = _DEFINES.match(line)
            if found and found[1] not in kept:
                yield found[1]


def _anywhere(name: str, tree: Tree) -> bool:
    word = re.compile(rf"(?<!\w){re.escape(name)}(?!\w)")
    return any(word.search(text) for text in tree.code.values())


# --- the entry ---------------------------------------------------------------------------------


def _task(
    key: str,
    category: Category,
    *,
    title: str,
    why: str,
    lines: Sequence[str],
    paths: Sequence[str],
    rests_on: Sequence[str],
    cases: int,
    runs: int,
) -> Pattern:
    shown = [f"{line}." for line in lines[:MOST_LISTED]]
    if len(lines) > MOST_LISTED:
        shown.append(f"And {len(lines) - MOST_LISTED} more.")
    return Pattern(
        key=key,
        category=category,
        title=f"A task: {title}",
        evidence=(why, *shown),
        cases=cases,
        runs=runs,
        rests_on=newest(list(rests_on)),
        edit=AddTask(
            title=title,
            description="\n".join([why, *shown]),
            scope=tuple(path for path in paths if _is_plain(path)),
            tags=("improve",),
        ),
        metric=Metric(
            measure=Measure.TASKS_DONE,
            about={"tasks": ""},
            current=0.0,
            projected=1.0,
            window=Window(runs=20),
        ),
        risk="A task more, and nothing else. It has no commands.",
    )


def _named(paths: Sequence[str]) -> str:
    more = f" and {len(paths) - 1} more" if len(paths) > 1 else ""
    return f"{_path(paths[0])}{more}"


def _path(path: str) -> str:
    shown = _plain(path, 80)
    return shown if any(character.isalnum() for character in shown) else "a file"


def _plain(text: str, limit: int) -> str:
    """Foreign text as words: nothing in it can be a field, a tag, a span or a block."""
    words = re.sub(r"[`*_#\[\]<>|~\\]", " ", redact(text))
    return one_line(words, limit).strip("-+:. ")


def _is_plain(path: str) -> bool:
    parts = path.split("/")
    plain = all(re.fullmatch(r"[A-Za-z0-9_.-]*\w[A-Za-z0-9_.-]*", part) for part in parts)
    return plain and len(path) <= 200
