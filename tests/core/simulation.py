"""A whole world in one seed: agents, people, clocks, rules and crashes around the pure core.

Nothing here knows what lifeos should decide. It performs what ``decide`` says, as the tick does,
lets everything else happen at random, and checks after each transition what must always hold.
A world is its seed: the same seed gives the same world, so a failure can be run alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from random import Random

from lifeos.core.decide import decide, next_wake
from lifeos.core.facts import (
    Answer,
    Attempt,
    Draft,
    End,
    Facts,
    Improving,
    Interrupt,
    LandProposal,
    OpenRun,
    Step,
    TaskFact,
    Write,
)
from lifeos.core.improve.steps import is_over
from lifeos.core.improve.transitions import patterns_taken
from lifeos.core.improve.trial import RULE, Measure, Measured, Proposed, Window
from lifeos.core.judge import Case, Judgement, judge, landing_checkpoint, stage_checkpoint
from lifeos.core.machine import apply
from lifeos.core.policy import (
    Approvals,
    Approver,
    Autonomy,
    Budgets,
    Bypass,
    CheckpointRule,
    Config,
    Council,
    Envelope,
    Expiry,
    ExpiryThen,
    Governance,
    Lease,
    Loop,
    OnGovernanceChange,
    OnTaskChange,
    Overlap,
    Progress,
    Route,
    Routing,
    Waivers,
)
from lifeos.core.policy.loop import RouteEnd
from lifeos.core.questions import stale
from lifeos.core.readiness import awake
from lifeos.core.records import (
    AnyRecord,
    AttemptFacts,
    Claimed,
    Closed,
    Finished,
    Held,
    Noted,
    Opened,
    Resolved,
    Topic,
    from_json,
    to_json,
)
from lifeos.core.spend import add_spend
from lifeos.core.state import Item, Run, RunStatus, Snapshot, Success
from lifeos.core.table import ANSWERS, TABLE
from lifeos.errors import IllegalTransition
from lifeos.model import (
    Action,
    CloseOutcome,
    Decision,
    FailureClass,
    ItemKind,
    Mode,
    Risk,
    Stage,
    Trust,
    Usage,
    Verdict,
)

START = 1_735_689_600  # 2025-01-01T00:00:00Z
STEPS_PER_TICK = 400
FILES = ("a/one.py", "a/two.py", "b/three.py", "docs/four.md")
SCOPES = ((), ("a/**",), ("b/**", "docs/**"), ("docs/four.md",))
ENDS: tuple[RouteEnd, ...] = (Action.ESCALATE, Action.TERMINATE, Action.WAIVE, Action.PAUSE)
OUTCOMES = {stage: tuple(outcome for at, outcome in TABLE if at is stage) for stage in Stage}


class Broken(AssertionError):
    """Something that must always hold did not."""


@dataclass
class Worker:
    """Who carries out a claim. Killed ones never report; some are seen to be dead, some are not."""

    run: str
    nonce: str
    n: int
    stage: Stage
    slow: bool = False
    killed: bool = False
    seen_dead: bool = False


@dataclass
class Chance:
    """How often what happens, in this world."""

    success: float
    kill: float
    slow: float
    answer: float
    approve: float
    event: float
    dear: float


@dataclass
class World:
    """One world. ``records`` is its ledger; ``history`` main's commits with the paths of each."""

    seed: int
    rng: Random = field(init=False)
    chance: Chance = field(init=False)
    snapshot: Snapshot = field(default_factory=Snapshot)
    records: list[AnyRecord] = field(default_factory=list)
    clock: int = START
    history: list[tuple[str, frozenset[str]]] = field(default_factory=list)
    sets: dict[str, Governance] = field(default_factory=dict)
    rules: str = ""  # the digest of main's set; "" while it is broken
    by_approver: bool = False
    stop: bool = False
    tasks: dict[str, TaskFact] = field(default_factory=dict)
    ended: dict[str, str] = field(default_factory=dict)  # task -> its text when its run ended
    workers: dict[str, Worker] = field(default_factory=dict)
    late: list[Worker] = field(default_factory=list)
    answers: dict[str, tuple[int, Answer]] = field(default_factory=dict)
    paid: frozenset[Stage] = frozenset()
    approvals: dict[str, tuple[str, ...]] = field(default_factory=dict)
    expected: dict[str, tuple[str, Stage]] = field(default_factory=dict)
    counter: int = 0
    draining: bool = False
    drafts: dict[str, Draft] = field(default_factory=dict)  # what a search found, by pattern
    searched: bool = False
    unfit: set[str] = field(default_factory=set)  # items whose change main has moved under
    asked_anew: dict[str, Draft | None] = field(default_factory=dict)  # by the item it follows
    approved: set[str] = field(default_factory=set)  # items of proposals that a person approved

    def __post_init__(self) -> None:
        self.rng = rng = Random(self.seed)  # noqa: S311 - chance that can be repeated is the point
        self.chance = Chance(
            success=rng.choice((0.3, 0.7, 0.9, 0.97)),
            kill=rng.choice((0.0, 0.05, 0.2)),
            slow=rng.choice((0.0, 0.3)),
            answer=rng.choice((0.2, 0.7, 1.0)),
            approve=rng.choice((0.4, 0.8, 0.97)),
            event=rng.choice((0.02, 0.1, 0.3)),
            dear=rng.choice((0.0, 0.5, 3.0)),
        )
        self.history.append((self.name("m"), frozenset()))
        if rng.random() < 0.7:
            self.paid = frozenset({Stage.DESIGN, Stage.PLAN, Stage.BUILD, Stage.BUILD_REVIEW})
        self.rules = self.new_rules()
        for _ in range(rng.randint(1, 4)):
            self.edit_task(self.name("T"))
        genesis = Noted(at=self.clock, topic=Topic.GENESIS, digest=self.rules)
        self.snapshot = apply(self.snapshot, genesis, "root")
        self.records.append(genesis)

    # --- the tick ---------------------------------------------------------------------------

    @property
    def main(self) -> str:
        return self.history[-1][0]

    @property
    def now(self) -> int:
        """The tick's clock, never earlier than the last transition."""
        return max(self.clock, self.snapshot.at)

    def name(self, prefix: str) -> str:
        self.counter += 1
        return f"{prefix}{self.counter}"

    def live(self, ticks: int) -> None:
        """Some ticks in which anything may happen, and then as many as it takes to come to rest."""
        for _ in range(ticks):
            self.tick()
            self.pass_time()
        self.drain()
        self.replay()

    def drain(self) -> None:
        """Nothing new comes, agents succeed, people refuse: then every run must end."""
        self.draining, self.stop, self.rules = True, False, self.snapshot.governance
        self.answers.clear()
        self.drafts.clear()
        for _ in range(120):
            self.tick()
            if not self.snapshot.runs:
                return
            wake = next_wake(self.snapshot, self.facts(), self.now)
            self.clock = max(self.now + 60, wake or 0)
        raise Broken(f"these runs never end: {self.snapshot.runs}")

    def tick(self) -> None:
        """As the real tick: decide, perform, and again, until there is nothing to do."""
        self.finish_slow()
        for _ in range(STEPS_PER_TICK):
            facts = self.facts()
            steps = decide(self.snapshot, facts, self.now)
            if not steps:
                self.check_rest()
                return
            for step in steps:
                self.check_rejected(step, facts)
                self.perform(step)
            self.finish_claimed()
            self.clock += self.rng.randint(0, 30)
            if not self.draining and self.rng.random() < self.chance.event:
                self.event()
        raise Broken(f"a tick does not end; it goes on with {steps}")

    def perform(self, step: Step) -> None:
        match step:
            case Write(record=record):
                self.record(record)
            case End():
                self.end(step)
            case Interrupt(run=run):
                self.interrupt(run)
            case Attempt():
                self.attempt(step)
            case OpenRun(task=task):
                self.open(task)
            case LandProposal(item=item):
                self.land_proposal(item)

    def facts(self) -> Facts:
        runs = self.snapshot.runs.values()
        approved = {run.id: run for run in runs if run.approved_on}
        moved = {name: self.paths_since(run.approved_on) for name, run in approved.items()}
        return Facts(
            main=self.main,
            stop=self.stop,
            governance=self.rules,
            governance_by_approver=self.by_approver,
            sets=self.sets,
            tasks={run.task: self.tasks[run.task] for run in runs if run.task in self.tasks},
            candidates=tuple(self.candidates()),
            answers=tuple(self.valid_answers()),
            landed=dict(self.landed()),
            lost=frozenset(name for name, worker in self.workers.items() if worker.seen_dead),
            contents={run.id: f"content of {run.work}" for run in runs if run.work},
            overlapping=frozenset(
                name for name, run in approved.items() if moved[name] & set(run.paths)
            ),
            moved=frozenset(name for name, run in approved.items() if run.approved_on != self.main),
            paid=self.paid,
            may_open=0 if self.draining else 2,
            improving=self.improving(),
        )

    def paths_since(self, commit: str) -> frozenset[str]:
        names = [name for name, _ in self.history]
        later = self.history[names.index(commit) + 1 :] if commit in names else self.history
        return frozenset(path for _, paths in later for path in paths)

    def candidates(self) -> Iterator[TaskFact]:
        busy = {run.task for run in self.snapshot.runs.values()}
        for task in self.tasks.values():
            again = task.id in self.snapshot.retries or self.ended.get(task.id) != task.digest
            if task.open and task.id not in busy and again:
                yield task

    def landed(self) -> Iterator[tuple[str, str]]:
        names = {name for name, _ in self.history}
        for run in self.snapshot.runs.values():
            if run.landing and run.landing.commit in names:
                yield run.id, run.landing.commit

    # --- proposals ----------------------------------------------------------------------------

    def draft(self, pattern: str) -> Draft:
        """Some proposal about a pattern."""
        rng = self.rng
        windows = (Window(runs=1), Window(runs=2), Window(days=1))
        return Draft(
            rule=f"{RULE}idle_rule",
            question="Something else?",
            about=self.name("proposal"),
            proposed=Proposed(
                pattern=pattern,
                window=None if pattern.startswith("revert:") else rng.choice(windows),
                governs=rng.random() < 0.7,
            ),
        )

    def search(self) -> None:
        """A look back is due, and finds this or that; or main has moved under what it found."""
        known = (*self.snapshot.items, *self.snapshot.trials)
        if known and self.rng.random() < 0.5:
            self.unfit.add(self.rng.choice(known))
            return
        self.searched = True
        for pattern in self.rng.sample(("p1", "p2", "p3"), self.rng.randint(0, 2)):
            self.drafts[pattern] = self.draft(pattern)

    def improving(self) -> Improving:
        due = self.snapshot.drafts
        for pattern, one in due.items():
            if one.item not in self.asked_anew:
                again = self.rng.random() < 0.7 and not self.draining
                self.asked_anew[one.item] = self.draft(pattern) if again else None
        anew = {pattern: self.asked_anew[one.item] for pattern, one in due.items()}
        ready = self.rules == self.snapshot.governance and not self.stop
        names = {name for name, _ in self.history}
        return Improving(
            drafts=tuple(d for d in (*anew.values(), *self.drafts.values()) if d and ready),
            undrafted={p: "no longer so" for p, d in anew.items() if d is None and ready},
            searched=self.searched and ready,
            unfitting=dict.fromkeys(self.unfit, "main has moved") if ready else {},
            landed={
                trial.item: change.commit
                for trial in self.snapshot.trials.values()
                for change in trial.changes
                if change.commit in names and not trial.landed
            },
            measured={
                trial.item: self.measure(trial.item)
                for trial in self.snapshot.trials.values()
                if is_over(trial, self.now)
            },
        )

    def measure(self, item: str) -> Measured:
        """The same for the same proposal."""
        holds = (True, False, None)[int(item.encode().hex(), 16) % 3]
        value = None if holds is None else 1.0
        return Measured(measure=Measure.FAILING, value=value, before=1, limit=1, holds=holds)

    def land_proposal(self, item: str) -> None:
        """Note the commit, and move main; now and then the process dies before it does."""
        trial = self.snapshot.trials[item]
        if item not in self.approved or self.stop:
            raise Broken(f"lands what nobody approved: {trial}")
        if self.rules != self.snapshot.governance:
            raise Broken(f"lands on rules that are not adopted: {trial}")
        commit, digest = self.name("m"), ""
        if trial.proposed.governs:
            before, self.rules = self.rules, self.new_rules()
            digest, self.rules = self.rules, before
        note = Noted(
            at=self.now,
            topic=Topic.LANDING,
            item=item,
            commit=commit,
            onto=self.main,
            tree="tree",
            digest=digest,
        )
        self.record(note)
        if self.rng.random() < self.chance.kill:
            return
        self.move_main(frozenset({"policies/loop.yaml"}), commit)
        if digest:
            self.rules, self.by_approver = digest, False

    # --- people -----------------------------------------------------------------------------

    def valid_answers(self) -> Iterator[Answer]:
        """Answers that have arrived and are about exactly what is asked."""
        for item in self.snapshot.items.values():
            if item.id not in self.answers:
                self.answers[item.id] = self.think(item)
            arrives, answer = self.answers[item.id]
            if arrives <= self.clock:
                yield answer

    def think(self, item: Item) -> tuple[int, Answer]:
        rng = self.rng
        decisions = tuple(ANSWERS[item.kind])
        decision = Decision.APPROVE if rng.random() < self.chance.approve else rng.choice(decisions)
        delay = 0 if rng.random() < self.chance.answer else rng.choice((600, 90_000, 10**9))
        if self.draining:
            decision, delay = Decision.REJECT, 0
        return self.clock + delay, Answer(
            item=item.id,
            decision=decision,
            who="ada@example.org",
            trust=Trust.COMMIT,
            commit=self.name("c"),
            comment=rng.choice(("", "make it simpler")),
        )

    def event(self) -> None:  # noqa: C901  (one arm a thing that may happen)
        """Something that nobody here controls."""
        rng = self.rng
        match rng.randrange(12):
            case 10 | 11:
                self.search()
            case 0:
                self.stop = not self.stop
            case 1 | 2:
                self.edit_task(rng.choice((*self.tasks, self.name("T"))))
            case 3 if self.tasks:
                name = rng.choice(tuple(self.tasks))
                if rng.random() < 0.5:
                    del self.tasks[name]
                else:
                    self.tasks[name] = self.tasks[name].model_copy(update={"open": False})
            case 4:
                self.rules = rng.choice((self.new_rules(), *self.sets, ""))
                self.by_approver = rng.random() < 0.5
            case 5 | 6:
                self.move_main(frozenset(rng.sample(FILES, rng.randint(0, 2))))
            case 7:
                self.clock -= rng.choice((10, 4000))
            case 8 if self.ended:
                task = rng.choice(tuple(self.ended))
                self.record(Noted(at=self.now, topic=Topic.RETRY, task=task, stage=Stage.DESIGN))
            case 9:
                self.cancel()
            case _:
                self.forge()

    def cancel(self) -> None:
        free = [run for run in self.snapshot.runs.values() if run.claim is None]
        if free:
            run = self.rng.choice(free)
            self.end(End(run=run.id, outcome=CloseOutcome.CANCELLED, reason="cancelled"))

    def edit_task(self, name: str) -> None:
        rng = self.rng
        self.tasks[name] = TaskFact(
            id=name,
            title=f"Task {name}",
            digest=self.name("text"),
            scope=rng.choice(SCOPES),
            risk=rng.choice(tuple(Risk)),
            commands=rng.choice(("", "", "commands one", "commands two")),
        )

    def move_main(self, paths: frozenset[str], commit: str = "") -> None:
        self.history.append((commit or self.name("m"), paths))

    def pass_time(self) -> None:
        """To the next thing due, or some time that is not, over days and months now and then."""
        wake = next_wake(self.snapshot, self.facts(), self.now)
        jumps = (60, 3600, 86_400, 40 * 86_400)
        jump = self.rng.choices(jumps, (8, 4, 2, 1))[0]
        self.clock = wake if wake and self.rng.random() < 0.4 else self.clock + jump
        for worker in self.workers.values():
            if worker.killed and self.rng.random() < 0.5:
                worker.seen_dead = True

    # --- rules ------------------------------------------------------------------------------

    def new_rules(self) -> str:
        digest = self.name("rules")
        rng = self.rng
        expiry = Expiry(hours=rng.choice((1, 168)), then=rng.choice(tuple(ExpiryThen)))
        # Now and then who may answer changes, and nothing else.
        others = [known.loop for known in self.sets.values()]
        self.sets[digest] = Governance(
            loop=rng.choice(others) if others and rng.random() < 0.3 else random_loop(rng),
            council=COUNCIL,
            envelope=ENVELOPE,
            approvals=Approvals(version=1, approvers=(rng.choice(PEOPLE),), expiry=expiry),
            config=CONFIG,
            digest=digest,
        )
        return digest

    def rules_of(self, run: Run) -> Loop:
        return self.sets[run.governance].loop

    # --- runs -------------------------------------------------------------------------------

    def open(self, task: TaskFact) -> None:
        self.record(
            Opened(
                at=self.now,
                run=self.name("R"),
                task=task.id,
                title=task.title,
                task_digest=task.digest,
                ordinal=task.ordinal,
                base=self.main,
                governance=self.snapshot.governance,
                scope=task.scope,
                risk=task.risk,
                commands=task.commands,
            )
        )

    def attempt(self, step: Attempt) -> None:
        run = self.snapshot.runs[step.run]
        self.check_claim(run, step)
        worker = Worker(step.run, self.name("nonce"), step.n, step.stage)
        lease = self.rules_of(run).lease
        self.record(
            Claimed(
                at=self.now,
                run=step.run,
                stage=step.stage,
                n=step.n,
                nonce=worker.nonce,
                worker="here",
                lease_until=self.now + lease.seconds,
                reserved=step.reserved,
                base=step.base,
            )
        )
        self.workers[step.run] = worker
        if not self.draining and self.rng.random() < self.chance.kill:
            worker.killed = True
            if step.stage is Stage.CLOSE and self.rng.random() < 0.7:
                self.land(worker, moves=self.rng.random() < 0.5)
        elif not self.draining and self.rng.random() < self.chance.slow:
            worker.slow = True

    def finish_claimed(self) -> None:
        """Attempts that were claimed side by side end in any order, after the last was claimed."""
        ready = [w for w in self.workers.values() if not w.killed and not w.slow]
        self.rng.shuffle(ready)
        for worker in ready:
            self.clock += self.rng.randint(0, 600)
            self.finish(worker)

    def finish_slow(self) -> None:
        """Attempts that were under way when the last tick ended."""
        for worker in tuple(self.workers.values()):
            if worker.slow and not worker.killed and (self.draining or self.rng.random() < 0.7):
                self.finish(worker)

    def finish(self, worker: Worker) -> None:
        likely = self.chance.success * (0.6 if worker.stage is Stage.BUILD else 1)
        good = self.draining or self.rng.random() < likely
        if worker.stage is Stage.CLOSE and good:
            self.land(worker, moves=True)
            return
        self.report(worker, self.random_facts(worker.stage, good))

    def land(self, worker: Worker, *, moves: bool) -> None:
        run = self.snapshot.runs[worker.run]
        commit = self.name("L")
        noted = Noted(
            at=self.now,
            topic=Topic.LANDING,
            run=run.id,
            commit=commit,
            onto=self.main,
            tree=run.work,
        )
        self.record(noted)
        if moves:
            self.move_main(frozenset(run.paths), commit)

    def interrupt(self, name: str) -> None:
        worker = self.workers[name]
        self.late.append(worker)
        self.report(worker, AttemptFacts(outcome=FailureClass.INTERRUPTED))

    def report(self, worker: Worker, facts: AttemptFacts) -> None:
        run = self.snapshot.runs[worker.run]
        judgement = judge(run, worker.stage, facts, self.sets[run.governance], self.now)
        del self.workers[worker.run]
        self.expect_checkpoint(run, worker.stage, facts, judgement)
        self.record(finished(self.now, worker, facts, judgement))

    def end(self, step: End) -> None:
        run = self.snapshot.runs[step.run]
        if step.outcome is CloseOutcome.PASS:
            self.check_pass(run, step)
        self.workers.pop(run.id, None)
        self.ended[run.task] = run.task_digest
        self.record(
            Closed(
                at=self.now,
                run=run.id,
                outcome=step.outcome,
                landed=step.landed,
                reason=step.reason,
            )
        )
        if step.outcome is CloseOutcome.PASS and run.task in self.tasks:
            done = self.tasks[run.task].model_copy(update={"open": False})
            self.tasks[run.task] = done

    def random_facts(self, stage: Stage, good: bool) -> AttemptFacts:
        rng = self.rng
        outcome = rng.choice(OUTCOMES[stage])
        if stage is Stage.BUILD and rng.random() < 0.5:
            outcome = rng.choice((FailureClass.TEST_FAILURE, FailureClass.TEST_FLAKE))
        if good:
            outcome = Verdict.ACCEPT if Verdict.ACCEPT in OUTCOMES[stage] else Success.OK
        built = stage is Stage.BUILD and (outcome is Success.OK or rng.random() < 0.8)
        review = "review" in stage.value
        dear = self.chance.dear if stage in self.paid else 0.0
        return AttemptFacts(
            outcome=outcome,
            message="said so",
            error=rng.choice(("", "e1", "e2")),
            tree=rng.choice(("t1", "t2", self.name("t"))) if built else "",
            paths=tuple(sorted(rng.sample(FILES, rng.randint(1, 3)))) if built else (),
            lines=rng.randint(1, 400) if built else 0,
            protected=rng.random() < 0.2,
            causes=tuple(rng.sample(tuple(FailureClass), rng.randint(0, 2))),
            mode=rng.choice(tuple(Mode)) if review else None,
            forced=review and rng.random() < 0.2,
            risk=rng.choice(tuple(Risk)),
            artifact=self.name("artifact") if stage in (Stage.DESIGN, Stage.PLAN) else "",
            stopped=self.stop and rng.random() < 0.5,
            environment=rng.random() < 0.2,
            usage=Usage(
                seconds=rng.randint(0, 900),
                tokens=rng.randint(0, 100_000),
                cost=round(rng.random() * dear, 2),
            ),
            wake_at=rng.choice((None, self.now + 500)),
            main=self.main,
        )

    # --- what must always hold --------------------------------------------------------------

    def record(self, record: AnyRecord) -> None:
        """One transition. What ``decide`` asked for must be possible; the state must stay sound."""
        try:
            after = apply(self.snapshot, record)
        except IllegalTransition as refused:
            raise Broken(f"decided, and then refused: {record}") from refused
        self.follow(record)
        self.follow_proposal(record)
        self.snapshot = after
        self.records.append(record)
        self.check_sound()

    def follow(self, record: AnyRecord) -> None:
        """Remember what people allowed, and for exactly what."""
        match record:
            case Resolved():
                item = self.snapshot.items[record.item]
                run = self.snapshot.runs.get(item.run or "")
                if run is None or record.decision is not Decision.APPROVE:
                    self.expected.pop(item.run or "", None)
                elif item.kind is ItemKind.STAGE_REVIEW:
                    if self.expected.get(run.id, ("",))[0] == item.rule:
                        del self.expected[run.id]
                    if run.stage is Stage.CLOSE:
                        self.approvals[run.id] = subject(run)
                elif item.kind is ItemKind.WAIVER:
                    self.expected.pop(run.id, None)
            case Noted(topic=Topic.RESTARTED):
                self.expected.pop(record.run or "", None)
            case Closed():
                self.expected.pop(record.run, None)
            case _:
                pass

    def follow_proposal(self, record: AnyRecord) -> None:
        """Remember what people approved; nothing else lands."""
        match record:
            case Held(proposed=Proposed(pattern=pattern)):
                self.drafts.pop(pattern, None)
            case Noted(topic=Topic.SEARCHED):
                self.searched = False
                self.drafts.clear()
            case Noted(topic=Topic.LANDED) if record.item not in self.approved:
                raise Broken(f"landed what nobody approved: {record}")
            case Resolved(decision=Decision.APPROVE) if self.snapshot.items[record.item].proposed:
                self.approved.add(record.item)
            case _:
                pass

    def expect_checkpoint(
        self, run: Run, stage: Stage, facts: AttemptFacts, judgement: Judgement
    ) -> None:
        """After a success, a checkpoint of the policy must be asked before the run goes on."""
        self.expected.pop(run.id, None)
        if facts.outcome not in (Success.OK, Verdict.ACCEPT):
            return
        rules = self.sets[run.governance]
        rule = stage_checkpoint(Case(run=run, stage=stage, facts=facts, rules=rules, now=self.now))
        if rule:
            self.expected[run.id] = (rule, tuple(Stage)[tuple(Stage).index(stage) + 1])
        if (judgement.action is Action.ADVANCE) and bool(rule) != (judgement.ask is not None):
            raise Broken(f"{judgement} does not ask by {rule}")

    def check_claim(self, run: Run, step: Attempt) -> None:
        """Before an attempt: money, gates, checkpoints, approvals."""
        loop = self.rules_of(run)
        if self.stop:
            raise Broken("claimed while STOP is set")
        if run.commands or not awake(run, self.facts(), self.now):
            raise Broken(f"claimed before it was allowed: {run}")
        if self.expected.get(run.id, ("", None))[1] is step.stage:
            raise Broken(f"claimed although {self.expected[run.id]} was never answered: {run}")
        self.check_money(run, step, loop.budgets)
        needs = step.stage is Stage.CLOSE and bool(landing_checkpoint(run, loop))
        if needs and (self.approvals.get(run.id) != subject(run) or not run.approved_on):
            raise Broken(f"landing without an approval of exactly this: {run}")

    def check_money(self, run: Run, step: Attempt, budgets: Budgets) -> None:
        """No budget is exceeded by a claim, unless a person granted it."""
        times = 1 + run.grants
        if run.usage.cost > budgets.cost_per_run * times:
            raise Broken(f"cost_per_run is used up: {run}")
        if run.usage.tokens > budgets.tokens_per_run * times:
            raise Broken(f"tokens_per_run is used up: {run}")
        spend = add_spend(self.snapshot.spend, self.now, 0.0)
        if step.stage in self.paid:
            limits = self.sets[self.snapshot.governance].loop.budgets
            need = self.snapshot.reserved + step.reserved
            day = spend.day_cost + need <= limits.cost_per_day
            month = spend.month_cost + need <= limits.cost_per_month
            if not (day or "cost_per_day" in run.granted):
                raise Broken(f"cost_per_day does not hold: {spend} + {need}")
            if not (month or "cost_per_month" in run.granted):
                raise Broken(f"cost_per_month does not hold: {spend} + {need}")

    def check_rejected(self, step: Step, facts: Facts) -> None:
        """A question that a person has rejected is not taken back: neither it nor its run."""
        rejected = {a.item for a in facts.answers if a.decision is Decision.REJECT}
        runs = {item.run for item in self.snapshot.items.values() if item.id in rejected} - {None}
        match step:
            case Write(record=Noted(item=item, run=run)) if item in rejected or run in runs:
                raise Broken(f"a rejection is passed over: {step}")
            case End(run=run) if run in runs:
                raise Broken(f"ends otherwise than by its rejection: {step}")
            case _:
                pass

    def check_pass(self, run: Run, step: End) -> None:
        if run.landing is None or run.landing.commit != step.landed or not run.work:
            raise Broken(f"passed without landing: {run}")
        if step.landed not in {name for name, _ in self.history}:
            raise Broken(f"passed, but main does not have {step.landed}")

    def check_sound(self) -> None:
        """The snapshot hangs together, whatever came before."""
        asked = [item.proposed.pattern for item in self.snapshot.items.values() if item.proposed]
        asked += [trial.proposed.pattern for trial in self.snapshot.trials.values()]
        if len(asked) != len(set(asked)):
            raise Broken(f"two proposals about one pattern: {asked}")
        if set(self.snapshot.trials) - self.approved:
            raise Broken(f"on trial without an approval: {self.snapshot.trials}")
        held = {run.item: run for run in self.snapshot.runs.values() if run.item}
        for item in self.snapshot.items.values():
            run = held.pop(item.id, None)
            if (run is None) != (item.run is None) or (run and run.id != item.run):
                raise Broken(f"nobody waits for {item}")
        if held:
            raise Broken(f"these wait for nothing: {held}")
        tasks = [run.task for run in self.snapshot.runs.values()]
        if len(tasks) != len(set(tasks)):
            raise Broken("two runs of one task")
        for run in self.snapshot.runs.values():
            parts = {
                RunStatus.CLAIMED: run.claim is not None,
                RunStatus.HELD: run.item is not None,
                RunStatus.ASKING: run.ask is not None,
                RunStatus.PAUSED: run.wake is not None,
                RunStatus.ENDING: run.end is not None,
                RunStatus.READY: run.ask is None,
            }
            if not parts[run.status] or (run.claim is not None) != (run.status == "claimed"):
                raise Broken(f"not a sound run: {run}")

    def check_rest(self) -> None:
        """When nothing is to be done, every run waits for somebody, some time, or something."""
        facts = self.facts()
        busy = any(run.claim for run in self.snapshot.runs.values())
        asked = any(item.run is None for item in self.snapshot.items.values())
        for run in self.snapshot.runs.values():
            elsewhere = run.governance != self.snapshot.governance and asked
            if self.stop or not self.rules or elsewhere:
                continue
            if run.status not in (RunStatus.CLAIMED, RunStatus.HELD, RunStatus.PAUSED) and not busy:
                raise Broken(f"waits for nothing: {run}")
            if run.status is RunStatus.PAUSED and awake(run, facts, self.now) and not busy:
                raise Broken(f"awake, and nothing is done: {run}")
        for item in self.snapshot.items.values():
            if stale(self.snapshot, facts, item):
                raise Broken(f"asks about what is no longer so: {item}")

    def forge(self) -> None:
        """Records that may not count: late workers, foreign nonces, old times, closed items."""
        before = self.snapshot
        facts = AttemptFacts(outcome=Success.OK)
        attempts = [
            *self.late,
            *(Worker(w.run, "foreign", w.n, w.stage) for w in self.workers.values()),
        ]
        forged: list[AnyRecord] = [
            Resolved(at=self.now, item="Q-none", decision=Decision.APPROVE, who="eve@example.org"),
            Noted(at=before.at - 1, topic=Topic.STOPPED),
            Noted(at=self.now, topic=Topic.GENESIS, digest="x"),
        ]
        for item in before.items:
            for topic in (Topic.LANDING, Topic.LANDED):
                forged.append(Noted(at=self.now, topic=topic, item=item, commit="x", digest="d"))
        forged += [twin(self.now, pattern) for pattern in patterns_taken(before)]
        for worker in attempts:
            judgement = Judgement(action=Action.ADVANCE, rule="success", to=worker.stage)
            forged.append(finished(self.now, worker, facts, judgement))
        for run in before.runs.values():
            forged.append(Closed(at=self.now, run=run.id, outcome=CloseOutcome.PASS, landed="x"))
        image = before.model_dump_json()
        for record in forged:
            try:
                apply(before, record)
            except IllegalTransition:
                continue
            raise Broken(f"accepted a forged record: {record}")
        if self.snapshot.model_dump_json() != image:
            raise Broken("a refused record changed the state")

    def replay(self) -> None:
        """The ledger alone gives the same state, decided again by the same rules."""
        snapshot, half = Snapshot(), len(self.records) // 2
        for number, written in enumerate(self.records):
            record = from_json(to_json(written))
            if record != written:
                raise Broken(f"not the same after reading it back: {written}")
            if isinstance(record, Finished) and record.facts:
                run = snapshot.runs[record.run]
                rules = self.sets[run.governance]
                again = judge(run, record.stage, record.facts, rules, record.at)
                if (again.action, again.rule, again.to, again.ask, again.wake) != (
                    record.action,
                    record.rule,
                    record.to,
                    record.ask,
                    record.wake,
                ):
                    raise Broken(f"decided otherwise when asked again: {record}")
            if number == half:
                snapshot = Snapshot.model_validate_json(snapshot.model_dump_json())
            snapshot = apply(snapshot, record, "" if number else "root")
        if snapshot != self.snapshot:
            raise Broken("the replay gives another state")
        if Snapshot.model_validate(snapshot.model_dump()) != snapshot:
            raise Broken("the snapshot is not valid")


def finished(at: int, worker: Worker, facts: AttemptFacts, judgement: Judgement) -> Finished:
    """The record of an attempt."""
    return Finished(
        at=at,
        run=worker.run,
        stage=worker.stage,
        n=worker.n,
        nonce=worker.nonce,
        facts=facts,
        action=judgement.action,
        rule=judgement.rule,
        to=judgement.to,
        ask=judgement.ask,
        wake=judgement.wake,
    )


def twin(at: int, pattern: str) -> Held:
    """A second question about the same pattern."""
    return Held(
        at=at,
        item="Q-twin",
        item_kind=ItemKind.PROPOSAL,
        question="?",
        rule=f"{RULE}idle_rule",
        subject="s",
        proposed=Proposed(pattern=pattern),
    )


def subject(run: Run) -> tuple[str, ...]:
    """What an approval to land is about."""
    return (run.id, run.task_digest, run.design, run.plan, run.work, run.governance)


def random_loop(rng: Random) -> Loop:
    """Any valid loop policy, with the numbers small enough that every limit is met."""
    routes = {
        failure.value: Route(
            retries=rng.randint(0, 3), backoff=rng.choice((0, 0, 30, 900)), then=rng.choice(ENDS)
        )
        for failure in FailureClass
        if rng.random() < 0.4
    }
    stages = [stage for stage in Stage if stage is not Stage.CLOSE]
    names = rng.sample(("alpha", "beta", "gamma"), rng.randint(0, 3))
    return Loop(
        version=1,
        autonomy=rng.choice(tuple(Autonomy)),
        budgets=BUDGETS
        if rng.random() < 0.5
        else Budgets(
            attempts_per_stage=rng.randint(1, 6),
            attempts_per_class=rng.randint(1, 8),
            attempts_per_run=rng.randint(3, 30),
            tokens_per_run=rng.choice((100_000, 2_000_000)),
            cost_per_run=rng.choice((2.0, 10.0)),
            cost_per_day=rng.choice((2.0, 50.0)),
            cost_per_month=rng.choice((5.0, 500.0)),
            reserve_per_attempt=rng.choice((0.0, 0.5, 1.0)),
            seconds_per_attempt=900,
            seconds_per_run=rng.choice((3000, 14_400)),
            open_runs=rng.randint(1, 4),
        ),
        routing=Routing.defaults(**routes),
        progress=Progress(
            same_tree=rng.randint(2, 5),
            oscillation=rng.random() < 0.5,
            same_error=rng.randint(2, 6),
        ),
        checkpoints=tuple(random_checkpoint(rng, name, rng.choice(stages)) for name in names),
        waivers=Waivers()
        if rng.random() < 0.6
        else Waivers(classes=tuple(rng.sample(tuple(FailureClass), 4))),
        bypass=Bypass(
            classes=tuple(rng.sample(tuple(FailureClass), 4)),
            lines=rng.randint(0, 400),
            files=rng.randint(0, 3),
        ),
        lease=Lease(seconds=rng.choice((900, 3600)), grace=rng.choice((0, 300))),
        on_task_change=rng.choice(tuple(OnTaskChange)),
        on_governance_change=rng.choice(tuple(OnGovernanceChange)),
        reapprove=rng.choice(tuple(Overlap)),
        recheck=rng.choice(tuple(Overlap)),
    )


def random_checkpoint(rng: Random, name: str, stage: Stage) -> CheckpointRule:
    """Any valid checkpoint."""
    return CheckpointRule(
        name=name,
        stage=stage,
        risk=rng.choice((None, *Risk)),
        paths=rng.choice(((), ("a/**",), ("docs/*.md",))),
        lines=rng.choice((None, 100)),
        files=rng.choice((None, 2)),
    )


BUDGETS = Budgets(seconds_per_attempt=900)
PEOPLE = tuple(Approver(name=name, email=f"{name}@example.org") for name in ("ada", "bob"))
COUNCIL, ENVELOPE, CONFIG = Council(version=1), Envelope(version=1), Config(version=1)
