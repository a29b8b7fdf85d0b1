"""A ledger told record by record: what the tests of the pure core are written in."""

from __future__ import annotations

import re
from typing import Any

import pytest

from lifeos.core.decide import decide
from lifeos.core.facts import Facts, Step, TaskFact, Write
from lifeos.core.judge import Judgement, judge
from lifeos.core.machine import apply
from lifeos.core.policy import (
    Approvals,
    Check,
    CheckKind,
    Config,
    Council,
    Envelope,
    Governance,
    Loop,
)
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
)
from lifeos.core.state import Item, Outcome, Run, Snapshot, Success
from lifeos.errors import IllegalTransition
from lifeos.model import CloseOutcome, Decision, Stage, Verdict

START = 1_735_689_600  # 2025-01-01T00:00:00Z
MAIN = "main0"
TASK = TaskFact(id="T", title="A task", digest="text", scope=("src/**",))

_COUNCIL, _ENVELOPE = Council(version=1), Envelope(version=1)


def rules(
    digest: str = "rules", approvals: dict[str, Any] | None = None, **loop: Any
) -> Governance:
    """A set: the defaults, with these settings of the loop, and another check for each digest."""
    check = Check(name=digest, run="true", kind=CheckKind.TEST)
    return Governance(
        loop=Loop.model_validate({"version": 1, **loop}),
        council=_COUNCIL,
        envelope=_ENVELOPE,
        approvals=Approvals.model_validate({"version": 1, **(approvals or {})}),
        config=Config(version=1, checks=(check,)),
        digest=digest,
    )


RULES = rules()


def facts(outcome: Outcome = Success.OK, **more: Any) -> AttemptFacts:
    """What an attempt left."""
    return AttemptFacts(outcome=outcome, **more)


class Story:
    """A snapshot, the rules, main, and a clock that goes on by a minute with each record."""

    def __init__(self, governance: Governance = RULES, task: TaskFact = TASK) -> None:
        self.governance = governance
        self.sets = {governance.digest: governance}
        self.snapshot = Snapshot()
        self.records: list[AnyRecord] = []
        self.now = START
        self.world: dict[str, Any] = {"main": MAIN, "governance": governance.digest}
        self.tasks = {task.id: task}
        self.add(Noted(at=self.now, topic=Topic.GENESIS, digest=governance.digest), "root")

    # --- what happens -----------------------------------------------------------------------

    def add(self, record: AnyRecord, commit: str = "") -> Story:
        """One transition."""
        self.snapshot = apply(self.snapshot, record, commit)
        self.records.append(record)
        self.now = record.at + 60
        return self

    def open(self, task: str = "T", run: str = "R", **more: Any) -> Story:
        fact = self.tasks.setdefault(task, TASK.model_copy(update={"id": task}))
        return self.add(
            Opened(
                at=self.now,
                run=run,
                task=task,
                title=fact.title,
                task_digest=fact.digest,
                ordinal=0,
                base=MAIN,
                **{
                    "governance": self.snapshot.governance,
                    "scope": fact.scope,
                    "risk": fact.risk,
                    "commands": fact.commands,
                    **more,
                },
            )
        )

    def claimed(self, run: str = "R", **more: Any) -> Claimed:
        """The record of the run's next claim."""
        now = self.snapshot.runs[run]
        values = {
            "at": self.now,
            "run": run,
            "stage": now.stage,
            "n": now.attempts + 1,
            "nonce": f"nonce {run} {now.attempts + 1}",
            "worker": "here",
            "lease_until": self.now + 3600,
            "base": MAIN,
        }
        return Claimed.model_validate(values | more)

    def claim(self, run: str = "R", **more: Any) -> Story:
        return self.add(self.claimed(run, **more))

    def judged(self, facts: AttemptFacts, run: str = "R") -> Judgement:
        """What the policy says of the attempt under way."""
        now = self.snapshot.runs[run]
        assert now.claim
        return judge(now, now.claim.stage, facts, self.sets[now.governance], self.now)

    def finished(self, facts: AttemptFacts, run: str = "R", **more: Any) -> Finished:
        """The record of the attempt under way, as the policy decides it."""
        judgement, claim = self.judged(facts, run), self.snapshot.runs[run].claim
        assert claim
        values = {
            "at": self.now,
            "run": run,
            "stage": claim.stage,
            "n": claim.n,
            "nonce": claim.nonce,
            "facts": facts,
            "action": judgement.action,
            "rule": judgement.rule,
            "to": judgement.to,
            "ask": judgement.ask,
            "wake": judgement.wake,
        }
        return Finished.model_validate(values | more)

    def attempt(self, outcome: Outcome | None = None, run: str = "R", **more: Any) -> Story:
        """Claim and finish one attempt; without an outcome it succeeds."""
        self.claim(run)
        return self.add(self.finished(self.facts(outcome, run, **more), run))

    def facts(self, outcome: Outcome | None, run: str = "R", **more: Any) -> AttemptFacts:
        stage = self.snapshot.runs[run].stage
        if outcome is None:
            outcome = Verdict.ACCEPT if "review" in stage else Success.OK
        if stage is Stage.BUILD:
            more = {"tree": f"tree {len(self.records)}", "paths": ("src/a.py",), "lines": 3} | more
        if outcome is Success.OK and stage in (Stage.DESIGN, Stage.PLAN):
            more = {"artifact": f"the {stage}"} | more
        return facts(outcome, **more)

    def until(self, stage: Stage, run: str = "R") -> Story:
        """Succeed, and have everything approved, until the run is at this stage."""
        for _ in range(40):
            if self.run_of(run).stage is stage and not self.run_of(run).item:
                return self
            self.attempt(run=run) if self.run_of(run).status == "ready" else self.step()
            if self.run_of(run).item:
                self.answer(run=run)
        raise AssertionError(f"never at {stage}: {self.run_of(run)}")

    def hold(
        self, kind: str, rule: str, item: str = "Q", run: str | None = "R", **more: Any
    ) -> Story:
        stage = self.snapshot.runs[run].stage if run else None
        values = {"at": self.now, "item": item, "item_kind": kind, "run": run, "stage": stage}
        values |= {"question": "?", "rule": rule, "subject": f"subject of {item}"}
        return self.add(Held.model_validate(values | more))

    def answer(self, decision: Decision = Decision.APPROVE, run: str = "R", **more: Any) -> Story:
        """Answer the run's open item."""
        return self.resolve(self.run_of(run).item or "", decision, **more)

    def resolve(self, item: str, decision: Decision = Decision.APPROVE, **more: Any) -> Story:
        values = {"at": self.now, "item": item, "decision": decision, "main": MAIN}
        return self.add(Resolved.model_validate({**values, "who": "ada@example.org", **more}))

    def note(self, topic: Topic, **more: Any) -> Story:
        return self.add(Noted(at=self.now, topic=topic, **more))

    def close(self, outcome: CloseOutcome, run: str = "R", **more: Any) -> Story:
        return self.add(Closed(at=self.now, run=run, outcome=outcome, **more))

    # --- what is asked ----------------------------------------------------------------------

    def run_of(self, run: str = "R") -> Run:
        return self.snapshot.runs[run]

    @property
    def run(self) -> Run:
        """The run R."""
        return self.snapshot.runs["R"]

    @property
    def item(self) -> Item:
        """The only open item."""
        (item,) = self.snapshot.items.values()
        return item

    def gather(self, **more: Any) -> Facts:
        """What is so now; ``more`` for this once, ``self.world`` from now on."""
        return Facts(**{"tasks": self.tasks, "sets": self.sets, **self.world, **more})

    def steps(self, **more: Any) -> tuple[Step, ...]:
        return decide(self.snapshot, self.gather(**more), self.now)

    def step(self, **more: Any) -> Story:
        """Do the one thing of bookkeeping that is decided now."""
        (step,) = self.steps(**more)
        assert isinstance(step, Write), step
        return self.add(step.record)

    def refuses(self, record: AnyRecord, because: str) -> None:
        """The record is not possible now, and the attempt to apply it changes nothing."""
        before = self.snapshot.model_dump_json()
        with pytest.raises(IllegalTransition, match=re.escape(because)):
            apply(self.snapshot, record)
        assert self.snapshot.model_dump_json() == before
