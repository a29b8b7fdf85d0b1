"""How a run of each kind goes: its attempts and checkpoints in order, from design to end."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from past.plan import ADA, BOB, HOUR, Dice, Passage, Question, Step

_BROKEN_TEST = "tests.test_{area}.test_{name}"
FLAKY = "tests.test_mail.test_reconnects"
SCHEMA_SEAT = "co_chair"


@dataclass
class _Script:
    """A script in the making, with what an attempt of each stage usually takes."""

    dice: Dice
    label: str
    parts: list[Step | Question] = field(default_factory=list)

    def step(self, stage: str, outcome: str, detail: str = "", tokens: int = 0) -> None:
        """One more attempt."""
        where = (self.label, len(self.parts))
        low, high, seconds = _USUAL[stage]
        used = tokens or (self.dice.whole(low, high, *where, "tokens") if high else 0)
        if outcome in ("quota", "interrupted"):
            used //= 10
        if outcome == "interrupted":
            used = 0  # what it spent went with it
        took = self.dice.whole(seconds // 2, seconds * 2, *where, "seconds") if seconds else 0
        self.parts.append(
            Step(
                stage=stage,
                outcome=outcome,
                seconds=took,
                tokens=used,
                mills=used * 6 // 1000,
                requests=max(1, used // 9000) if used else 0,
                estimated=bool(used) and self.dice.at(*where, "estimated") < 0.08,
                detail=detail,
            )
        )

    def ask(
        self, kind: str, rule: str, decision: str, after: int = 0, comment: str = "", who: str = ""
    ) -> None:
        """One more checkpoint; without ``after`` it takes a person minutes to hours."""
        where = (self.label, len(self.parts))
        usual = self.dice.whole(6 * 60, 5 * HOUR, *where, "after")
        if decision in ("revise", "reject"):
            comment = comment or "This is not worth it."
        person = who or (ADA if self.dice.at(*where, "who") < 0.7 else BOB)
        if decision in ("expire", "open", "superseded"):
            person = ""
        self.parts.append(Question(kind, rule, decision, person, after or usual, comment))


_USUAL = {  # fewest and most tokens, usual seconds
    "design": (6_000, 14_000, 60),
    "design_review": (9_000, 20_000, 50),
    "plan": (7_000, 16_000, 70),
    "plan_review": (9_000, 20_000, 50),
    "build": (30_000, 70_000, 300),
    "build_review": (15_000, 30_000, 80),
    "packet": (0, 0, 0),
}


@dataclass(frozen=True)
class Told:
    """What a script is written from."""

    kind: str
    marks: frozenset[str]
    area: str
    name: str
    supervised: bool
    risk: str

    @property
    def test(self) -> str:
        """The test that fails where one does."""
        return _BROKEN_TEST.format(area=self.area, name=self.name)


def _design(out: _Script, told: Told) -> None:
    out.step("design", "ok")
    if "design_revise" in told.marks:
        out.step("design_review", "revise")
        out.step("design", "ok")
    out.step("design_review", "accept")
    if told.kind == "docs":
        quick = out.dice.whole(3, 6, out.label, "quick")
        out.ask("stage_review", "checkpoint:docs-wording", "approve", quick, who=ADA)


def _plan(out: _Script, told: Told) -> None:
    out.step("plan", "ok")
    if told.kind == "schema_dead":
        for _ in range(3):
            out.step("plan_review", "validation_error", SCHEMA_SEAT)
        out.ask("escalation", "exhausted:validation_error", "reject", comment="Not this way.")
        return
    if "schema" in told.marks:
        out.step("plan_review", "validation_error", SCHEMA_SEAT)
    if "plan_revise" in told.marks:
        out.step("plan_review", "revise")
        out.step("plan", "ok")
    out.step("plan_review", "accept")


@dataclass(frozen=True)
class _Halt:
    """Builds that end in a question: the same outcome so often, and what is then asked."""

    outcome: str
    times: int
    kind: str
    rule: str


_TESTS = _Halt("test_failure", 4, "waiver", "exhausted:test_failure")
_BREACH = _Halt("envelope_violation", 1, "breach", "ends_at_once:envelope_violation")
_BUDGET = _Halt("ok", 1, "budget", "budget:tokens_per_run")
_HALTS = {
    "waived": (_TESTS, "approve"),
    "not_waived": (_TESTS, "reject"),
    "open_waiver": (_TESTS, "open"),
    "flake_waived": (_Halt("test_flake", 2, "waiver", "exhausted:test_flake"), "approve"),
    "breach_ok": (_BREACH, "approve"),
    "breach_no": (_BREACH, "reject"),
    "open_breach": (_BREACH, "open"),
    "budget_ok": (_BUDGET, "approve"),
    "budget_no": (_BUDGET, "reject"),
    "open_budget": (_BUDGET, "open"),
    "stuck": (_Halt("no_change", 2, "escalation", "no_progress:same_tree"), "reject"),
}
"""By kind of run: how its builds halt, and what is decided about it."""

_DEAD = {
    "lint_dead": ("lint_error",) * 4,
    "open_quota": ("quota",),
    "open_cut": ("interrupted",),
}
"""The builds of runs that never get further, without a question."""


def _failures(told: Told) -> Iterator[str]:
    """The failed builds that come before one that goes on."""
    if told.kind == "lint":
        yield "lint_error"
    if "test" in told.marks:
        yield "test_failure"
    if "flake" in told.marks:
        yield "test_flake"
    if told.kind in ("timeout", "interrupted", "quota"):
        yield told.kind


def _detail(told: Told, outcome: str) -> str:
    match outcome:
        case "test_failure":
            return told.test
        case "test_flake":
            return FLAKY
        case "envelope_violation":
            return f"tools/{told.name}.cfg"
        case _:
            return ""


def _build(out: _Script, told: Told) -> bool:
    """The builds up to one that goes on. Whether there is one."""
    for outcome in (*_failures(told), *_DEAD.get(told.kind, ())):
        out.step("build", outcome, _detail(told, outcome))
    if told.kind in _DEAD:
        return False
    if told.kind not in _HALTS:
        out.step("build", "ok")
        return True
    halt, decision = _HALTS[told.kind]
    for _ in range(halt.times):
        much = out.dice.whole(390_000, 430_000, out.label, "much") if halt is _BUDGET else 0
        out.step("build", halt.outcome, _detail(told, halt.outcome), tokens=much)
    out.ask(halt.kind, halt.rule, decision)
    if told.kind == "breach_ok":
        out.step("build", "ok", "accepted")
    return decision == "approve"


def _build_review(out: _Script, told: Told) -> bool:
    if told.kind == "review_reject":
        out.step("build_review", "reject")
        out.ask("escalation", "review_rejects", "reject", comment="I agree with the review.")
        return False
    if "build_revise" in told.marks:
        out.step("build_review", "revise")
        out.step("plan", "ok")
        out.step("plan_review", "accept")
        out.step("build", "ok")
    out.step("build_review", "accept", "forced" if "forced" in told.kind else "")
    return _payments(out, told) if told.area == "pay" else True


def _payments(out: _Script, told: Told) -> bool:
    """The checkpoint that people take time for."""
    rule = "checkpoint:payments"
    slow = out.dice.whole(3 * HOUR, 26 * HOUR, out.label, "slow")
    if told.kind == "open_pay":
        out.ask("stage_review", rule, "open")
        return False
    if told.kind == "pay_reject":
        out.ask("stage_review", rule, "reject", slow, "This is not what was asked for.")
        return False
    if told.kind == "pay_revise":
        out.ask("stage_review", rule, "revise", slow, "Say the currency, too.")
        out.step("build", "ok")
        out.step("build_review", "accept")
        slow = out.dice.whole(2 * HOUR, 20 * HOUR, out.label, "slow again")
    out.ask("stage_review", rule, "approve", slow)
    return True


def _land(out: _Script, told: Told) -> str:
    """The landing, and how the run ends."""
    out.step("packet", "ok")
    rule = _landing_rule(told)
    if not rule:
        return "pass"
    comment = ""
    match told.kind:
        case "carried":  # the rules change while it waits, and it is asked anew
            out.ask("stage_review", rule, "superseded")
        case "edited":
            out.ask("stage_review", rule, "edit")
            out.ask("escalation", "task_changed", "approve")
        case "land_reject":
            out.ask("stage_review", rule, "reject", comment="We do not want this after all.")
            return "rejected"
        case "land_revise":
            comment = "The name says too little."
            out.ask("stage_review", rule, "revise", comment=comment)
            out.step("build", "ok")
            out.step("build_review", "accept")
            out.step("packet", "ok")
        case "expired":
            out.ask("stage_review", rule, "expire", 96 * HOUR)
            return "rejected"
        case "cancelled":
            out.ask("stage_review", rule, "cancel")
            return "cancelled"
        case "open_land" | "open_forced":
            out.ask("stage_review", rule, "open")
            return "open"
        case "open_ready":
            out.ask("stage_review", rule, "approve_last", who=BOB)
            return "open"
        case _:
            pass
    out.ask("stage_review", rule, "approve")
    return "pass"


_ASKED_ON_THE_WAY = {"breach_ok", "waived", "flake_waived"}


def _landing_rule(told: Told) -> str:
    if told.kind == "safety":
        return "council:M2" if not told.supervised else "autonomy:supervised"
    if "forced" in told.kind:
        return "council:M1"
    if told.supervised:
        return "autonomy:supervised"
    exceptional = told.kind in _ASKED_ON_THE_WAY or told.risk == "high"
    return "autonomy:exceptions" if exceptional else ""


def passage(dice: Dice, label: str, told: Told) -> Passage:
    """The script of one run from its design to its end."""
    out = _Script(dice, label)
    if told.kind in ("foreign_ok", "foreign_no"):
        refuses = told.kind == "foreign_no"
        out.ask("commands", "commands:unapproved", "reject" if refuses else "approve")
        if refuses:
            return Passage(tuple(out.parts), "rejected")
    _design(out, told)
    _plan(out, told)
    outcome = "blocked"
    if told.kind == "schema_dead":
        return Passage(tuple(out.parts), outcome)
    if _build(out, told) and _build_review(out, told):
        outcome = _land(out, told)
    elif told.kind in ("breach_no", "pay_reject"):
        outcome = "rejected"
    elif told.kind.startswith("open_"):
        outcome = "open"
    return Passage(tuple(out.parts), outcome)
