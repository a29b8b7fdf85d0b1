"""The past is lived: real ticks on a real repository, with people who commit at their times."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from lifeos.core.policy import Governance
from lifeos.core.records import (
    AttemptFacts,
    Claimed,
    Closed,
    Finished,
    Noted,
    Opened,
    Resolved,
    Topic,
)
from lifeos.core.state import Item
from lifeos.model import ItemKind, Stage
from lifeos.store.entries import Entry, read_entries
from lifeos.store.ledger import Ledger
from lifeos.store.repo import Repo
from lifeos.tick.attempt import Job, Site
from lifeos.tick.begin import begin
from lifeos.tick.bundle import Bundle, save
from lifeos.tick.ci_site import trusted_site
from lifeos.tick.context import Context, Limits, World
from lifeos.tick.gather import Gatherer
from lifeos.tick.loop import Tick
from past import project
from past.attempts import carried_out
from past.people import Clock, People, opened, rules_of
from past.plan import (
    ADA,
    BEGIN,
    BOB,
    DAY,
    HOUR,
    MONDAY,
    SOMEBODY,
    Passage,
    Plan,
    Question,
    Step,
    Story,
)
from past.stories import ERAS

RULES = Path(__file__).parent / "rules"
LOOK = 0.2
"""Seconds that pass at each look at the clock."""
WORKER = "4321 98765 0f8fad5b-d9cb-469f-a165-70867728950e shop.example.invalid"
VERSIONS = {"lifeos": "0.1.0", "python": "3.12.0"}
NAMES = {ADA: "Ada", BOB: "Bob", SOMEBODY: "Somebody"}
STOP = ".lifeos/STOP"
STOPPED_IN = 4
"""The week with a Wednesday on which the loop stands still."""
HOURS = (8, 9, 10, 12, 13, 14, 16)
"""When the loop is started on a working day (UTC)."""


_OF_RUNS = {Topic.LANDING, Topic.SUPERSEDED, Topic.REPINNED}
"""What the story of a run tells already."""


class CutOff(Exception):
    """The machine went off in the middle of an attempt."""


@dataclass
class Told:
    """What happened to one run, as the one who made it happen saw it."""

    story: Story
    ordinal: int
    passage: Passage
    run: str = ""
    place: int = 0  # in the script
    opened_at: int = 0
    attempts: list[Step] = field(default_factory=list)
    claimed: list[int] = field(default_factory=list)
    finished: list[int] = field(default_factory=list)
    questions: list[dict[str, object]] = field(default_factory=list)
    closed_at: int | None = None
    landed: str = ""
    reverted_at: int | None = None
    reverted: str = ""

    def next(self) -> Step | Question | None:
        """What the script says next."""
        script = self.passage.script
        return script[self.place] if self.place < len(script) else None


class PastTick(Tick):
    """A tick whose attempts go as the plan says. All else is the real one."""

    def __init__(self, ctx: Context, play: Play) -> None:
        super().__init__(ctx)
        self.gatherer = Gatherer(ctx, elsewhere=True)
        self.play = play

    def _site(self) -> Site:
        return trusted_site(self.ctx)

    def _carry(self, site: Site, job: Job) -> None:
        facts, artifacts = self.play.attempt(site, job)
        claim = job.claim
        bundle = Bundle(job.run.id, claim.stage, claim.n, claim.nonce, facts, artifacts)
        site.repo.objects.flush()
        save(self.bundles, bundle, site.trace)


@dataclass
class Play:
    """The repository and the time in it, while the plan is being lived."""

    folder: Path
    plan: Plan
    enough: int | None = None  # stop when so many runs have ended
    clock: Clock = field(default_factory=lambda: Clock(BEGIN))
    told: list[Told] = field(default_factory=list)
    nonces: int = 0
    events: list[dict[str, object]] = field(default_factory=list)
    say: Callable[[str], None] = lambda _line: None
    _queue: list[tuple[float, int, Callable[[], None]]] = field(default_factory=list)
    _events: int = 0
    _seen: str = ""
    _sets: dict[str, Governance] = field(default_factory=dict)  # read once, not in each tick
    _asked: set[str] = field(default_factory=set)
    _owners: dict[str, Told] = field(default_factory=dict)

    @property
    def people(self) -> People:
        """Those who commit."""
        return People(self.folder, self.clock)

    # --- the time -----------------------------------------------------------------------------

    def at(self, when: float, act: Callable[[], None]) -> None:
        """Let something happen at that time, or as soon as the loop is idle after it."""
        self._events += 1
        heapq.heappush(self._queue, (when, self._events, act))

    def live(self) -> None:
        """From the first commit to the end of the plan."""
        self._begin()
        last = self.plan.weeks - 1
        for week in range(last):
            self._week(week, days=5 if week < last - 1 else 2)
        self.at(MONDAY + (last - 1) * 7 * DAY + DAY + 11 * HOUR, lambda: self._last(last))
        while self._queue and not self._enough():
            when, _, act = heapq.heappop(self._queue)
            self.clock.now = max(self.clock.now, when)
            act()

    def _enough(self) -> bool:
        ended = sum(told.closed_at is not None for told in self.told)
        return self.enough is not None and ended >= self.enough

    def _begin(self) -> None:
        self.folder.mkdir(parents=True)
        self.people.git("init", "--quiet", "--initial-branch=main")
        self.people.git("config", "user.name", NAMES[ADA])
        self.people.git("config", "user.email", ADA)
        self.people.commit(project.first_files(), "Begin the shop", ADA)
        head = "# Backlog\n\nWhat the shop is to have. The loop takes it from here.\n\n## P1\n"
        self.people.commit({"BACKLOG.md": head, **rules_of(0)}, "Let lifeos in", ADA)
        self.tick(0)

    def _last(self, week: int) -> None:
        """The last afternoon: one run is refused by the provider, one is cut off, one is ready."""
        refused, cut = self.plan.week(week)
        self._queue.clear()
        self._bring((refused,))
        self.tick(1)
        self._bring((cut,))
        (ready,) = (one for one in self.told if one.story.kind == "open_ready")
        with Repo.open(self.folder) as repo:
            ledger = opened(repo)
            (item,) = (i for i in ledger.snapshot.items.values() if i.run == ready.run)
        self.people.answer(item, "approve", BOB, "")
        self.tick(1, cut.task)
        self._queue.clear()

    def _week(self, week: int, days: int) -> None:
        monday = MONDAY + week * 7 * DAY
        if week in ERAS[1:]:
            self.at(monday - HOUR, lambda: self._change_rules(ERAS.index(week)))
        self.at(monday, lambda: self._bring(self.plan.week(week)))
        if week == STOPPED_IN:
            wednesday = monday + 2 * DAY + 7 * HOUR
            self.at(
                wednesday, lambda: self._switch({STOP: "wait: the shop is being counted\n"}, BOB)
            )
            self.at(wednesday + 2 * HOUR, lambda: self._switch({STOP: None}, ADA))
        for day in range(days):
            for hour in HOURS:
                start = monday - monday % DAY + day * DAY + hour * HOUR + 1800
                self.at(start, lambda: self.tick(1))

    def _bring(self, stories: tuple[Story, ...]) -> None:
        """The tasks of a week, by those who bring them."""
        self.people.bring(stories)
        for story in stories:
            self.told += [Told(story, n, passage) for n, passage in enumerate(story.passages, 1)]
        self.tick(0)

    def _switch(self, files: Mapping[str, str | None], who: str) -> None:
        """The kill switch set, or taken away."""
        self.people.commit(files, "Stop" if files[STOP] else "Go on", who)
        self.tick(0)

    def _change_rules(self, era: int) -> None:
        """Other rules: by Ada they count at once; by somebody else they are asked about."""
        waiting = [t.story.kind for t in self.told if t.closed_at is None]
        assert waiting in ([], ["carried"]), waiting
        self.people.commit(dict(rules_of(era)), "Change the rules", ADA if era == 1 else SOMEBODY)
        self.tick(0)

    # --- the loop -----------------------------------------------------------------------------

    def world(self) -> World:
        """What the tick is given of the outside."""
        return World(
            clock=self.clock.look,
            timer=lambda: 0.0,
            nonce=self._nonce,
            environ={},
            progress=self.say,
            pause=lambda _number: None,
            worker=lambda: WORKER,
            versions=lambda: VERSIONS,
        )

    def _nonce(self) -> str:
        self.nonces += 1
        return f"{self.nonces:032x}"

    def tick(self, tasks: int, task: str = "") -> None:
        """One tick that may open so many tasks; then people hear of what it asks."""
        with Repo.open(self.folder) as repo:
            ledger = Ledger.open(repo) or begin(repo, self.world())
            limits = Limits(tasks=tasks, task=task)
            ctx = Context(repo, ledger, self.world(), limits, sets=self._sets)
            try:
                report = PastTick(ctx, self).run()
            except CutOff:
                self.at(self.clock.now + 2 * HOUR, lambda: self.tick(0))
            else:
                assert not report.in_the_way, report.in_the_way
                assert not report.problems, report.problems
                assert not report.refusals, report.refusals
        with Repo.open(self.folder) as repo:
            self._hear(repo, opened(repo))

    def attempt(self, site: Site, job: Job) -> tuple[AttemptFacts, Mapping[str, bytes]]:
        """One attempt as the plan says; it takes its time."""
        told = self._of_run(job.run.id, job.run.task)
        step = told.next()
        where = f"{job.claim.stage} {job.claim.n} of {told.story.task} ({told.story.kind})"
        assert isinstance(step, Step), f"{where}: the plan has {step}"
        assert step.stage == job.claim.stage.value, f"{where}: the plan has {step}"
        told.place += 1
        told.attempts.append(step)
        self.clock.now += step.seconds
        if step.outcome == "interrupted":
            raise CutOff(where)
        result = carried_out(site, job, told.story, step, self.clock.now)
        assert str(result.facts.outcome) == step.outcome, f"{where}: {result.facts} for {step}"
        return result.facts, result.artifacts

    def _of_run(self, run: str, task: str) -> Told:
        for told in self.told:
            if told.run == run:
                return told
        told = next(t for t in self.told if t.story.task == task and not t.run)
        told.run = run
        return told

    # --- what people do about it --------------------------------------------------------------

    def _hear(self, repo: Repo, ledger: Ledger) -> None:
        for entry in read_entries(repo, ledger.tip, self._seen or None):
            self._heard(entry)
        self._seen = ledger.tip
        for item in ledger.snapshot.items.values():
            if item.id not in self._asked:
                self._asked.add(item.id)
                self._answer_later(item, ledger)
        for run in ledger.snapshot.runs.values():
            if run.wake is not None and run.wake.at is not None:
                self.at(run.wake.at + 1, lambda: self.tick(0))

    def _heard(self, entry: Entry) -> None:
        record = entry.record
        match record:
            case Opened():
                self._of_run(record.run, record.task).opened_at = record.at
            case Closed():
                told = self._of_run(record.run, "")
                told.closed_at, told.landed = record.at, record.landed
                self._ended(told, record)
                self._settle(told, over_at=record.at)
            case Claimed() if record.stage is not Stage.CLOSE:
                self._of_run(record.run, "").claimed.append(record.at)
            case Finished():
                told = self._of_run(record.run, "")
                told.finished.append(record.at)
                assert record.facts is not None
                assert str(record.facts.outcome) == told.attempts[len(told.finished) - 1].outcome
            case Resolved() if record.item in self._owners:
                self._settle(self._owners[record.item], answered_at=record.at)
            case Resolved():
                told_of = {"item": record.item, "decision": record.decision.value}
                self._event("governance answered", record.at, who=record.who, **told_of)
            case Noted() if record.topic not in _OF_RUNS:
                if record.topic is Topic.REVERTED:
                    self._of_run(record.run or "", "").reverted_at = record.at
                about = {"run": record.run or "", "task": record.task, "digest": record.digest}
                self._event(record.topic.value, record.at, **about)
            case _:
                pass

    def _event(self, what: str, at: int, **about: str) -> None:
        self.events.append({"what": what, "at": at, **about})

    def _settle(self, told: Told, **times: int) -> None:
        """The question that was open last is over."""
        for question in told.questions[-1:]:
            if question["answered_at"] is None and question["over_at"] is None:
                question.update(times)

    def _ended(self, told: Told, record: Closed) -> None:
        story, passage = told.story, told.passage
        what = f"{story.task} ({story.kind}) ended {record.outcome}: {record.reason}"
        assert passage.outcome == record.outcome.value, what
        assert told.next() is None, f"{what}; the plan has {told.next()}"
        if passage.retried_after is not None:
            self.at(record.at + passage.retried_after, lambda: self._retry(story, record.run))
        if story.reverted_after is not None:
            self.at(record.at + story.reverted_after, lambda: self._revert(told))

    def _answer_later(self, item: Item, ledger: Ledger) -> None:
        if item.run is None:
            assert item.kind is ItemKind.GOVERNANCE, item
            self.at(item.opened_at + 50 * 60, lambda: self._answer(item, "approve", BOB, ""))
            return
        task = ledger.snapshot.runs[item.run].task
        told = self._of_run(item.run, task)
        question = told.next()
        where = f"{told.story.task} ({told.story.kind}) asks {item.kind} {item.rule}"
        assert isinstance(question, Question), f"{where}: the plan has {question}"
        asked = (item.kind.value, item.rule)
        assert (question.kind, question.rule) == asked, f"{where}: the plan has {question}"
        told.place += 1
        self._owners[item.id] = told
        self._settle(told, over_at=item.opened_at)
        told.questions.append(
            {**asdict(question), "item": item.id, "stage": str(item.stage)}
            | {"asked_at": item.opened_at, "answered_at": None, "over_at": None}
        )
        when = item.opened_at + question.after
        match question.decision:
            case "open" | "superseded" | "approve_last":
                pass
            case "expire":
                self.at(when + 1, lambda: self.tick(0))
            case "cancel":
                self.at(when, lambda: self._cancel(told.story, question.who))
            case "edit":
                self.at(when, lambda: self._edit(told.story, question.who))
            case decision:
                self.at(when, lambda: self._answer(item, decision, question.who, question.comment))

    def _answer(self, item: Item, decision: str, who: str, comment: str) -> None:
        self.people.answer(item, decision, who, comment)
        self.tick(0)

    def _cancel(self, story: Story, who: str) -> None:
        self.people.cancel(story, who)
        self.tick(0)

    def _edit(self, story: Story, who: str) -> None:
        self.people.edit(story, who)
        self.tick(0)

    def _retry(self, story: Story, run: str) -> None:
        with Repo.open(self.folder) as repo:
            self.people.retry(opened(repo), story, run)
        self.tick(1)

    def _revert(self, told: Told) -> None:
        """A landing is taken back, when nobody works on the same files."""
        with Repo.open(self.folder) as repo:
            ledger = opened(repo)
            mine = set(project.paths_of(told.story))
            if any(mine & {*run.scope} for run in ledger.snapshot.runs.values()):
                self.at(self.clock.now + HOUR, lambda: self._revert(told))
                return
            told.reverted = self.people.revert(ledger, told.story)
        self.tick(0)
