"""Where a line of main comes from: the run and the attempt that built it, or whoever else did.

git says which commit brought a line (``store/blame.py``), the ledger what that commit is
(``tick/landings.py``). Which attempt of the run had the line first is asked of git too: the work
trees that the attempts left are put after one another as commits, with the landing on top.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from lifeos.core.chronicle import Adopted, RunPast, chronicle_of
from lifeos.core.records import Finished
from lifeos.model import Stage
from lifeos.store.blame import Blamed, Span, blame
from lifeos.store.entries import Entry, attempt_path, entries_with
from lifeos.store.git import GitError
from lifeos.store.history import ledger_commits
from lifeos.store.ledger import Ledger
from lifeos.store.objects import LIFEOS, MissingObject
from lifeos.store.redactions import placeholders, renamed
from lifeos.store.trees import lookup
from lifeos.tick.landings import Landed, Landings, TakenBack
from lifeos.tick.past import by_run

_DEEPEST = 8
"""Reverts of reverts that are followed back for one line."""
Built = tuple[int, str, str]
"""An attempt that left work: number, base and tree."""
_RULES = ('"topic":"genesis"', '"topic":"governance"', '"topic":"repinned"')


class Via(StrEnum):
    """How a line came to main."""

    RUN = "run"  # an attempt of a run built it, and it landed
    BOOKKEEPING = "bookkeeping"  # lifeos wrote it: a mark, an id, a question
    ANSWER = "answer"  # it is part of an answer to a question
    REVERT = "revert"  # it was brought back, when what a run had landed was taken back
    OFFERED = "offered"  # it is of a landing PR, and the ledger has no landing of it
    OUTSIDE = "outside"  # somebody brought it without lifeos


@dataclass(frozen=True)
class Origin:
    """Where lines come from. ``commit`` is the one of main that brought them.

    ``attempt`` 0: none of the run's, or it cannot be told, and ``unsure`` says why. ``anchor`` is
    the transition that bookkeeping follows from. ``before``: from before the ledger began.
    ``pretends``: in lifeos's name, and the ledger knows nothing of it. ``item`` is the question
    that it answers, that it was landed by, or that was asked about it.
    """

    via: Via
    commit: str
    landed: Landed | None = None
    attempt: int = 0
    unsure: str = ""
    item: str = ""
    anchor: str = ""
    taken_back: TakenBack | None = None
    before: bool = False
    pretends: bool = False
    earlier: Origin | None = None


@dataclass(frozen=True)
class Traced:
    """Line ``line`` of the file; where it was brought it is line ``there`` of ``path``."""

    line: int
    path: str
    there: int
    origin: Origin


@dataclass(frozen=True)
class RunStory:
    """A run by its transitions, oldest first, and every set of rules that came to rule."""

    entries: tuple[Entry, ...]
    past: RunPast
    adopted: tuple[Adopted, ...]


class Tracer:
    """Traces lines of one repository. What it reads of runs is read once."""

    def __init__(self, ledger: Ledger, landings: Landings) -> None:
        self._ledger = ledger
        self._repo = ledger.repo
        self.landings = landings
        self._stories: dict[str, RunStory] = {}
        self._anchors: dict[str, str] | None = None

    def trace(self, main: str, path: str, spans: Sequence[Span] = ()) -> tuple[Traced, ...]:
        """Lines of a file at a commit of main, or all of them. Raises ``GitError``."""
        return tuple(self._origins(blame(self._repo, main, path, spans), main, 0))

    def of_commit(self, commit: str, main: str) -> Origin:
        """What a commit of main is, where lines cannot be told apart."""
        landed = self.landings.landed.get(commit)
        if landed is None:
            return self._without_run(commit, main)
        return Origin(Via.RUN, commit, landed=landed, item=landed.item)

    def stories(self, runs: Iterable[str]) -> dict[str, RunStory]:
        """Those of these runs that the ledger knows, read at once."""
        wanted = tuple(dict.fromkeys(runs))
        self._read(wanted)
        return {run: self._stories[run] for run in wanted if run in self._stories}

    # --- lines -------------------------------------------------------------------------------

    def _origins(self, lines: Sequence[Blamed], main: str, depth: int) -> Iterator[Traced]:
        groups: dict[tuple[str, str], list[Blamed]] = {}
        for one in lines:
            groups.setdefault((one.commit, one.path), []).append(one)
        wanted = {self.landings.landed[c].run for c, _ in groups if c in self.landings.landed}
        self._read(wanted)
        found: dict[int, Traced] = {}
        for (commit, path), group in groups.items():
            for one, origin in self._of_group(commit, path, group, main, depth):
                found[one.line] = Traced(one.line, path, one.there, origin)
        return (found[one.line] for one in lines)

    def _of_group(
        self, commit: str, path: str, group: list[Blamed], main: str, depth: int
    ) -> Iterator[tuple[Blamed, Origin]]:
        landed = self.landings.landed.get(commit)
        taken_back = self.landings.taken_back.get(commit)
        if landed is not None:
            yield from self._of_landing(commit, path, group, landed)
        elif taken_back is not None and depth < _DEEPEST:
            yield from self._of_revert(commit, path, group, taken_back, main, depth)
        else:
            origin = self._without_run(commit, main)
            yield from ((one, origin) for one in group)

    def _without_run(self, commit: str, main: str) -> Origin:
        """Everything that no run landed."""
        landings = self.landings
        if commit in landings.taken_back:
            return Origin(Via.REVERT, commit, taken_back=landings.taken_back[commit])
        if commit in landings.answers:
            return Origin(Via.ANSWER, commit, item=landings.answers[commit])
        if commit in landings.offered:
            return Origin(Via.OFFERED, commit, item=landings.offered[commit])
        if commit not in landings.after:
            return Origin(Via.OUTSIDE, commit, before=True)
        anchor = self._anchored(main).get(commit)
        if anchor:
            return Origin(Via.BOOKKEEPING, commit, anchor=anchor)
        made = self._repo.objects.commit(commit)
        pretends = LIFEOS.email in (made.author.identity.email, made.committer.identity.email)
        about = landings.asked_about.get(commit, "")
        return Origin(Via.OUTSIDE, commit, item=about, pretends=pretends)

    def _anchored(self, main: str) -> dict[str, str]:
        """The commits in lifeos's name that name a transition of this very ledger."""
        if self._anchors is None:
            listing = self._repo.git.run("rev-list", "--end-of-options", self._ledger.tip)
            own = {commit: commit for commit in listing.decode("ascii").split()}
            own |= renamed(self._repo, self._ledger.tip)
            named = ledger_commits(self._repo, main)
            self._anchors = {commit: own[anchor] for commit, anchor in named if anchor in own}
        return self._anchors

    # --- a run -------------------------------------------------------------------------------

    def _of_landing(
        self, commit: str, path: str, group: list[Blamed], landed: Landed
    ) -> Iterator[tuple[Blamed, Origin]]:
        """Which attempt had each line; a line that none had is lifeos's own bookkeeping."""
        base = Origin(Via.RUN, commit, landed=landed, item=landed.item)
        story = self._stories.get(landed.run)
        built = self._here(story, _built(story.past)) if story else ()
        if not built:
            unsure = "the ledger has no attempt of this run that left work"
            yield from ((one, replace(base, unsure=unsure)) for one in group)
            return
        pure = commit != landed.commit and not landed.item
        if pure and len(built) == 1:
            origin = replace(base, attempt=built[0][0])
            yield from ((one, origin) for one in group)
            return
        try:
            attempts = self._attempts(commit, path, [one.there for one in group], built)
        except (GitError, MissingObject) as error:
            unsure = f"which attempt had it cannot be told: {error.message}"
            yield from ((one, replace(base, unsure=unsure)) for one in group)
            return
        own = replace(base, via=Via.BOOKKEEPING, anchor=landed.noted)
        for one in group:
            attempt = attempts.get(one.there, 0)
            yield one, replace(base, attempt=attempt) if attempt else own

    def _here(self, story: RunStory, built: Sequence[Built]) -> Sequence[Built]:
        """As the ledger has them: content that was redacted is a placeholder in it."""
        if not placeholders(self._repo, self._ledger.tip):
            return built
        trees = {}
        for entry in story.entries:
            if isinstance(entry.record, Finished):
                path = f"{attempt_path(entry.record.run, entry.record.n)}/tree"
                trees[entry.record.n] = lookup(self._repo.objects, entry.tree, path)
        found = ((n, base, tree, trees.get(n)) for n, base, tree in built)
        return [(n, base, now.oid if now else tree) for n, base, tree, now in found]

    def _attempts(
        self, commit: str, path: str, lines: Sequence[int], built: Sequence[Built]
    ) -> dict[int, int]:
        """The attempt that first had each of these lines of a file of ``commit``."""
        made = self._repo.objects.commit(commit)
        numbers: dict[str, int] = {}
        last = ""
        for number, base, tree in built:
            last = self._put(tree, tuple(filter(None, (base, last))))
            numbers[last] = number
        top = self._put(made.tree, tuple(filter(None, (*made.parents[:1], last))))
        found = blame(self._repo, top, path, _spans(lines))
        return {one.line: numbers.get(one.commit, 0) for one in found}

    def _put(self, tree: str, parents: tuple[str, ...]) -> str:
        """A commit that only this question needs; later than its parents, as blame expects."""
        objects = self._repo.objects
        times = [objects.commit(parent).committer.when for parent in parents]
        return objects.write_commit(tree, parents, "a step", when=max(times, default=0) + 1)

    # --- what was taken back -----------------------------------------------------------------

    def _of_revert(
        self,
        commit: str,
        path: str,
        group: list[Blamed],
        taken_back: TakenBack,
        main: str,
        depth: int,
    ) -> Iterator[tuple[Blamed, Origin]]:
        """A line that a revert brought back has the origin that it had before."""
        origin = Origin(Via.REVERT, commit, taken_back=taken_back)
        landed = self.landings.landed.get(taken_back.landed)
        earlier: dict[int, Origin] = {}
        if landed is not None:
            made = self._repo.objects.commit(commit)
            top = self._put(made.tree, (*made.parents[:1], landed.onto))
            found = blame(self._repo, top, path, _spans([one.there for one in group]))
            old = [one for one in found if one.commit != top]
            earlier = {one.line: one.origin for one in self._origins(old, main, depth + 1)}
        for one in group:
            yield one, replace(origin, earlier=earlier.get(one.there))

    # --- reading -----------------------------------------------------------------------------

    def _read(self, runs: Iterable[str]) -> None:
        """Have the stories of these runs, by one reading of the ledger."""
        lacking = sorted(set(runs) - self._stories.keys())
        if not lacking:
            return
        items = [i for run in ("", *lacking) for i in self.landings.items.get(run, [])]
        words = [*(f"Lifeos-Run: {run}" for run in lacking), *_RULES]
        words += [f'"item":"{item}"' for item in items]
        entries = entries_with(self._repo, self._ledger.tip, words)
        told = chronicle_of((entry.commit, entry.record) for entry in entries)
        parts = by_run(entries)
        for past in told.runs:
            if past.id in lacking:
                self._stories[past.id] = RunStory(parts.get(past.id, ()), past, told.adopted)


def _built(run: RunPast) -> tuple[Built, ...]:
    """The attempts that left work."""
    return tuple(
        (attempt.n, attempt.base, attempt.facts.tree)
        for attempt in run.attempts
        if attempt.stage is Stage.BUILD and attempt.facts.tree
    )


def _spans(lines: Iterable[int]) -> list[Span]:
    """Lines as spans of lines that follow one another."""
    spans: list[Span] = []
    for line in sorted(set(lines)):
        if spans and spans[-1][1] + 1 == line:
            spans[-1] = (spans[-1][0], line)
        else:
            spans.append((line, line))
    return spans
