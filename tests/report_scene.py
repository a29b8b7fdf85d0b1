"""A made-up past of any length, the same every time: what the report is drawn and tested from.

Nothing here went through the loop; it has what a long one has, in every mixture: runs that landed
alone and after questions, that failed, were sent back, rejected, taken back, and are open.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import replace

from lifeos.core.backlog.parse import parse
from lifeos.core.backlog.select import explain
from lifeos.core.board import board
from lifeos.core.canonical import sha256, short_id
from lifeos.core.chronicle import EXPIRY, AttemptPast, Chronicle, QuestionPast, RunPast
from lifeos.core.policy import Budgets
from lifeos.core.records import AttemptFacts, BreachFact, CheckFact, Claimed
from lifeos.core.report.tell import Source
from lifeos.core.state import Claim, Item, Outcome, Run, RunStatus, Snapshot, Spend, Success, Wake
from lifeos.core.table import REVIEWS, STAGES
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

NOW = 1_767_225_600  # 2026-01-01T00:00:00Z
HOUR, DAY = 3600, 86_400
MAIN = "5" * 40
TITLES = (
    "Retry the webhook on 5xx",
    "Say in the guide how to rotate a key",
    "Answer a HEAD request without a body",
    "Round invoices half to even, as the tax office does, and write down why in the changelog",
    "Drop Python 3.10",
    "Keep the order of columns in exports",
)


class Past:
    """Builds runs one after the other; ``dice`` decides, and gives the same each time."""

    def __init__(self, seed: int = 1) -> None:
        self.dice = random.Random(seed)  # noqa: S311 - dice that fall the same each time
        self.runs: list[RunPast] = []

    def run(self, at: int, number: int) -> RunPast:
        """One run, opened at a time, with whatever happens to it."""
        task = short_id("LO", "scene", number, length=6)
        one = RunPast(
            id=short_id("R", task, 1),
            task=task,
            title=TITLES[number % len(TITLES)],
            ordinal=1,
            at=at,
            commit=oid(task, "opened"),
            base=MAIN,
            risk=Risk.HIGH if number % 11 == 0 else Risk.LOW,
        )
        course = _Course(one, self.dice, number)
        for stage in STAGES[:-1]:
            if not course.stage(stage):
                break
        self.runs.append(course.ended())
        return self.runs[-1]


class _Course:
    """One run on its way."""

    def __init__(self, run: RunPast, dice: random.Random, number: int) -> None:
        self.run, self.dice, self.number = run, dice, number
        self.at = run.at
        self.attempts: list[AttemptPast] = []
        self.questions: list[QuestionPast] = []
        self.over: CloseOutcome | None = None

    def stage(self, stage: Stage) -> bool:
        """Attempts at one stage until it is passed; False where the run is over."""
        for _ in range(4):
            outcome = self._outcome(stage)
            good = outcome in (Success.OK, Verdict.ACCEPT)
            self._attempt(stage, outcome, good=good)
            if good:
                return True
        self._ask(ItemKind.ESCALATION, stage, "failures.test_failure: what now?")
        if self.dice.random() < 0.5:
            self.over = CloseOutcome.BLOCKED
        return self.over is None

    def _outcome(self, stage: Stage) -> Outcome:
        roll = self.dice.random()
        if stage in REVIEWS:
            return Verdict.ACCEPT if roll < 0.8 else Verdict.REVISE
        if stage is Stage.BUILD and roll < 0.35:
            return self.dice.choice(
                [
                    FailureClass.TEST_FAILURE,
                    FailureClass.LINT_ERROR,
                    FailureClass.TEST_FLAKE,
                    FailureClass.QUOTA,
                    FailureClass.INTERRUPTED,
                    FailureClass.ENVELOPE_VIOLATION,
                ]
            )
        return Success.OK

    def _attempt(self, stage: Stage, outcome: Outcome, *, good: bool) -> None:
        seconds = self.dice.randint(4, 900) if stage is Stage.BUILD else self.dice.randint(2, 60)
        claimed = self.at + self.dice.randint(1, 20)
        self.at = claimed + seconds
        n = len(self.attempts) + 1
        self.attempts.append(
            AttemptPast(
                run=self.run.id,
                stage=stage,
                n=n,
                base=MAIN,
                claimed_at=claimed,
                at=self.at,
                commit=oid(self.run.id, str(n)),
                facts=_facts(stage, outcome, seconds),
                action=Action.ADVANCE if good else Action.RETRY,
                rule="advance" if good else f"failures.{outcome}",
                to=stage,
            )
        )

    def _ask(self, kind: ItemKind, stage: Stage, text: str) -> None:
        waited = self.dice.choice([6, 5 * 60, 3 * HOUR, 20 * HOUR, 3 * DAY])
        roll = self.dice.random()
        decision = Decision.APPROVE if roll < 0.8 else Decision.REVISE
        nobody = roll > 0.97
        item = short_id("Q", self.run.id, len(self.questions))
        self.questions.append(
            QuestionPast(
                item=item,
                kind=kind,
                rule="checkpoints.before_close",
                question=text,
                subject=sha256(item),
                at=self.at,
                commit=oid(item, "held"),
                run=self.run.id,
                stage=stage,
                decision=decision,
                who=EXPIRY if nobody else "ada@example.invalid",
                trust=None if nobody else Trust.SIGNATURE,
                comment="" if decision is Decision.APPROVE else "Keep the old name as an alias.",
                answered_at=self.at + waited,
                answer=oid(item, "answer"),
            )
        )
        self.at += waited

    def ended(self) -> RunPast:
        """The run as it ended."""
        asks = self.dice.random() < max(0.2, 0.9 - self.number / 80)
        if self.over is None and asks:
            text = f"May the work of {self.run.id} ({self.run.task}) land on main?"
            self._ask(ItemKind.STAGE_REVIEW, Stage.CLOSE, text)
            if self.dice.random() < 0.1:
                self.over = CloseOutcome.REJECTED
        outcome = self.over or CloseOutcome.PASS
        passed = outcome is CloseOutcome.PASS
        self.at += 3
        return self.run.model_copy(
            update={
                "attempts": tuple(self.attempts),
                "questions": tuple(self.questions),
                "outcome": outcome,
                "closed_at": self.at,
                "closed": oid(self.run.id, "closed"),
                "landed": oid(self.run.id, "landed") if passed else "",
                "reason": "" if passed else "the build did not get green",
                "reverted_at": self.at + DAY if passed and self.number % 29 == 7 else None,
            }
        )


def oid(*parts: str) -> str:
    """An object id of nothing."""
    return sha256(" ".join(parts))[:40]


def _facts(stage: Stage, outcome: Outcome, seconds: int) -> AttemptFacts:
    known: dict[str, object] = {
        "outcome": outcome,
        "usage": Usage(seconds=seconds, tokens=seconds * 90, cost=seconds / 900, requests=3),
    }
    if stage in REVIEWS:
        known["mode"] = Mode.M1
    if stage is Stage.BUILD:
        red = isinstance(outcome, FailureClass)
        known |= {
            "paths": ("src/hook.py", "tests/test_hook.py"),
            "lines": 20 + seconds % 80,
            "checks": (
                CheckFact(
                    name="tests",
                    status="failed" if red else "passed",
                    failure=FailureClass.TEST_FAILURE if red else None,
                ),
                CheckFact(name="lint", status="passed"),
            ),
        }
        if red:
            known["message"] = "2 of 41 tests failed: test_retries_three_times, test_gives_up"
        if outcome is FailureClass.ENVELOPE_VIOLATION:
            breach = BreachFact(
                kind="out_of_scope", path="src/other/module.py", line=3, message="not in its scope"
            )
            known["breaches"] = (breach,)
    return AttemptFacts.model_validate(known)


BACKLOG = """\
## P0

- [ ] **LO-open01** Rename the field `amount` in the public interface
  - scope: `src/api/**`
- [ ] **LO-open02** Shorten the nightly export
  - scope: `src/export/**`

## P1

- [ ] **LO-next01** Warn before a key expires
  - scope: `src/keys/**`
- [ ] **LO-next02** Write the migration guide
  - scope: `docs/**`
  - depends: LO-open01
- [!] **LO-bloc01** Talk to the old gateway
- [x] **LO-done01** Log each retry once
- [x] **LO-done02** Answer 429 with Retry-After
- [-] **LO-drop01** Support XML
"""


def _open_run(task: str, title: str, status: RunStatus, stage: Stage, **more: object) -> Run:
    known: dict[str, object] = {
        "id": short_id("R", task, 1),
        "task": task,
        "title": title,
        "task_digest": sha256(task),
        "ordinal": 1,
        "opened_seq": 1,
        "opened_at": NOW - 5 * HOUR,
        "base": MAIN,
        "governance": sha256("governance"),
        "status": status,
        "stage": stage,
        "attempts": 5,
        "usage": Usage(cost=1.25, tokens=9000, estimated=True),
    }
    return Run.model_validate(known | more)


def open_runs() -> tuple[Run, ...]:
    """One that waits for the CEO, one under way, one that is paused."""
    claim = Claim(
        stage=Stage.BUILD,
        n=6,
        nonce="0" * 32,
        worker="w",
        lease_until=NOW + HOUR,
        reserved=1.0,
        base=MAIN,
    )
    return (
        _open_run(
            "LO-open01",
            "Rename the field `amount` in the public interface",
            RunStatus.HELD,
            Stage.CLOSE,
            item="Q-asking01",
        ),
        _open_run(
            "LO-open02",
            "Shorten the nightly export",
            RunStatus.CLAIMED,
            Stage.BUILD,
            claim=claim,
        ),
        _open_run(
            "LO-gone01",
            "Move the queue to the new broker",
            RunStatus.PAUSED,
            Stage.BUILD,
            wake=Wake(at=NOW + 2 * HOUR),
        ),
    )


def _as_past(run: Run) -> RunPast:
    past = Past(7)
    whole = past.run(run.opened_at, 3)
    claim = None
    if run.claim is not None:
        claim = Claimed(
            at=NOW - 240,
            run=run.id,
            stage=run.claim.stage,
            n=run.claim.n,
            nonce=run.claim.nonce,
            worker="w",
            lease_until=run.claim.lease_until,
            base=MAIN,
        )
    asked: tuple[QuestionPast, ...] = ()
    if run.item:
        asked = (
            QuestionPast(
                item=run.item,
                kind=ItemKind.STAGE_REVIEW,
                rule="checkpoints.before_close",
                question=QUESTION,
                subject=sha256(run.item),
                at=NOW - 3 * HOUR,
                commit=oid(run.item),
                run=run.id,
                stage=run.stage,
            ),
        )
    return whole.model_copy(
        update={
            "id": run.id,
            "task": run.task,
            "title": run.title,
            "attempts": tuple(
                one.model_copy(update={"run": run.id}) for one in whole.attempts[: run.attempts]
            ),
            "questions": asked,
            "claim": claim,
            "outcome": None,
            "closed_at": None,
            "closed": "",
            "landed": "",
            "reason": "",
            "reverted_at": None,
        }
    )


QUESTION = (
    "May the work of R-x (LO-open01: 41 lines in 3 files) land on main? All checks are green."
)


def source(runs: int = 120, text: str = BACKLOG, **more: object) -> Source:
    """A past of so many ended runs over some months, and what is open now."""
    past = Past()
    for number in range(runs):
        past.run(NOW - (runs - number) * 26 * HOUR, number)
    still = open_runs() if runs else ()
    everything = (*past.runs, *(_as_past(run) for run in still))
    chronicle = Chronicle(
        root=oid("root") if runs else "",
        tip=oid("tip") if runs else "",
        seq=runs * 21,
        at=NOW,
        runs=everything,
    )
    item = Item(
        id="Q-asking01",
        kind=ItemKind.STAGE_REVIEW,
        run=still[0].id if still else None,
        stage=Stage.CLOSE,
        subject=sha256("Q-asking01"),
        question=QUESTION,
        rule="checkpoints.before_close",
        opened_at=NOW - 3 * HOUR,
        expires_at=NOW + 6 * DAY,
        governance=sha256("governance"),
    )
    snapshot = Snapshot(
        root=chronicle.root,
        seq=chronicle.seq,
        at=NOW,
        runs={run.id: run for run in still},
        items={item.id: item} if still else {},
        spend=Spend(day="2026-01-01", day_cost=7.4, month="2026-01", month_cost=7.4),
    )
    made = Source(
        project="acme/billing",
        branch="main",
        main=MAIN,
        chronicle=chronicle,
        snapshot=snapshot,
        board=board(explain(parse(text.encode()), {}, ()), snapshot),
        budgets=Budgets(),
        trust=Trust.COMMIT,
        now=NOW,
        packets=_packets(everything),
    )
    return replace(made, **more)  # type: ignore[arg-type]  # what a test changes is its business


def _packets(runs: tuple[RunPast, ...]) -> Mapping[str, str]:
    return {run.id: PACKET.format(run=run.id, task=run.task) for run in runs if run.closed_at}


PACKET = """\
# {task}: A task

Run `{run}` passed.

|  |  |
| --- | --- |
| asked | A task |
| outcome | **pass** |

## Checks

| check | status | exit | time | tests | command | message |
| --- | --- | --- | --- | --- | --- | --- |
| `tests` | passed | 0 | 3.1 s | 41 | `python -m pytest -q --a-rather-long-option=some/place` | |

## Notes

- one
- two
"""
