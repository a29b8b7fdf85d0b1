"""What an agent, a council and checks would have left: made from a step of the plan.

Only what is outside of lifeos is made up: texts, trees, answers of seats, results of checks. What
they come to is judged by the functions that judge real attempts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from lifeos.agents import Reply
from lifeos.checks import AcceptanceResult
from lifeos.core.canonical import sha256
from lifeos.core.checkreport import CheckReport, CheckResult, CheckStatus, merged
from lifeos.core.hearing import Absent, Answer, NotHeld, seated, summoned
from lifeos.core.policy.config import Check
from lifeos.core.policy.council import Seat
from lifeos.core.receipt import RECEIPTS, AgentFacts, PricedBy, Receipt, total
from lifeos.core.records import AttemptFacts
from lifeos.core.replies.seat import SeatReply, Subject, checked, seat_nonce
from lifeos.core.review import Review, SeatRun, Sitter
from lifeos.core.state import Success
from lifeos.core.synthesis import synthesise
from lifeos.model import Change, FailureClass, Stage, Verdict
from lifeos.store.materialize import Imported
from lifeos.store.trees import edit, lookup
from lifeos.tick.attempt import (
    Job,
    Result,
    Site,
    base_tree,
    failed,
    failed_reply,
    review_by_rule,
    reviewed,
    with_artifacts,
)
from lifeos.tick.build import Evidence, evidence_of, judged
from lifeos.tick.build import review_by_rule as build_by_rule
from lifeos.tick.evidence import BaseEvidence
from lifeos.tick.modelled import hearing_of, role_of
from past import project
from past.plan import Step, Story
from past.scripts import SCHEMA_SEAT

AGENT, VERSION = "opencode", "1.0.0"
WOKEN_AFTER = 1800
"""Seconds after which a provider that refused may be asked again."""


def carried_out(site: Site, job: Job, story: Story, step: Step, now: float) -> Result:
    """The result of one attempt, which ended ``now`` (seconds UTC) and went as the plan says."""
    match job.claim.stage:
        case Stage.DESIGN | Stage.PLAN:
            result = _text(job, story, step)
        case Stage.DESIGN_REVIEW | Stage.PLAN_REVIEW:
            result = _sat(job, step, review_by_rule(job), now)
        case Stage.BUILD:
            result = _built(site, job, story, step)
        case Stage.BUILD_REVIEW:
            floor = build_by_rule(site, job, ())
            result = _sat(job, step, floor, now)
        case Stage.PACKET | Stage.CLOSE:
            return Result(AttemptFacts(outcome=Success.OK), {})
    calls = _receipts(job, step, now)
    usage = total(calls).model_copy(update={"seconds": float(step.seconds)})
    facts = result.facts.model_copy(update={"usage": usage})
    result = with_artifacts(
        Result(facts, result.artifacts), {"receipts.json": RECEIPTS.dump_json(calls, indent=1)}
    )
    if facts.outcome is FailureClass.QUOTA:
        wake = {"wake_at": int(now) + WOKEN_AFTER}
        result = Result(result.facts.model_copy(update=wake), result.artifacts)
    return result


# --- texts --------------------------------------------------------------------------------------


def _text(job: Job, story: Story, step: Step) -> Result:
    stage = job.claim.stage
    write = project.design_of if stage is Stage.DESIGN else project.plan_of
    acceptance = [(each.text, each.command or "") for each in job.task.acceptance]
    text = write(story, acceptance, job.claim.n).encode()
    facts = AttemptFacts(outcome=Success(step.outcome), artifact=sha256(text))
    artifacts = {f"{stage}.md": text, "agent.json": _agent(job, role_of(job, stage))}
    if stage is Stage.DESIGN:
        report = CheckReport(results=tuple(_passed(c) for c in _checks(job)))
        artifacts["base.json"] = BaseEvidence(report=report).to_json()
    return Result(facts, artifacts)


def _agent(job: Job, name: str = "") -> bytes:
    model = job.governance.config.models.get(name)
    who = AgentFacts(agent=AGENT, version=VERSION)
    if model is not None:
        told = {"provider": model.provider, "id": model.id, "family": model.family}
        who = who.model_copy(update={"model": name, **told})
    return who.model_dump_json(indent=1).encode()


def _receipts(job: Job, step: Step, now: float) -> tuple[Receipt, ...]:
    """One receipt a request; the first bears what does not divide."""
    if not step.requests:
        return ()
    stage = job.claim.stage
    model = job.governance.config.models[role_of(job, stage)]
    tokens, more = divmod(step.tokens, step.requests)
    mills, rest = divmod(step.mills, step.requests)
    took = step.seconds / step.requests
    found = []
    for number in range(step.requests):
        used = tokens + (more if number == 0 else 0)
        began = now - step.seconds + number * took
        found.append(
            Receipt(
                provider=model.provider,
                model=model.id,
                stage=stage.value,
                started=round(began, 3),
                ended=round(began + took, 3),
                status=429 if step.outcome == "quota" else 200,
                tokens_in=used - used // 5,
                tokens_out=used // 5,
                cost=(mills + (rest if number == 0 else 0)) / 1000,
                priced_by=PricedBy.ESTIMATE if step.estimated else PricedBy.CONFIGURATION,
                counted=not step.estimated,
                request=sha256(f"request {number % 8}"),  # few: nothing else in here is noise
                response=sha256(f"response {number % 8}"),
                end="refused" if step.outcome == "quota" else "stop",
            )
        )
    return tuple(found)


# --- builds -------------------------------------------------------------------------------------

_FAILED = {
    "timeout": (FailureClass.TIMEOUT, "the agent did not end within 1800 seconds"),
    "quota": (FailureClass.QUOTA, "the provider refuses: too many requests"),
}


def _built(site: Site, job: Job, story: Story, step: Step) -> Result:
    who = {"agent.json": _agent(job, role_of(job, Stage.BUILD))}
    if step.outcome in _FAILED:
        failure, message = _FAILED[step.outcome]
        refused = failed_reply(site, Reply(failure=failure, message=message))
        assert refused is not None
        return with_artifacts(refused, who)
    accepted = bool(job.run.accepted) and job.run.accepted == job.run.work
    tree = job.run.work if accepted else _tree(site, job, story, step)

    def evidence(_tree: str, _changes: tuple[Change, ...]) -> Evidence:
        return _evidence(job, story, step)

    result = judged(site, job, Imported(tree=tree), Reply(), evidence, accepted=accepted)
    return with_artifacts(result, {} if accepted else who)


def _tree(site: Site, job: Job, story: Story, step: Step) -> str:
    """The base with this story's work in it. Each attempt writes it a little differently."""
    base, objects = base_tree(site, job), site.repo.objects
    if step.outcome == "no_change":
        return base
    files: dict[str, str] = {}
    for path in project.paths_of(story):
        leaf = lookup(objects, base, path)
        files[path] = objects.read(leaf.oid)[1].decode() if leaf else ""
    made = project.worked(story, files, job.claim.n, failing=step.outcome != "ok")
    if step.outcome == "envelope_violation":
        made[step.detail] = f"[tool:pytest]\n# for {story.name}\naddopts = -q\n"
    return edit(
        objects,
        base,
        {path: ("100644", objects.write_blob(t.encode())) for path, t in made.items()},
    )


def _checks(job: Job) -> tuple[Check, ...]:
    return job.governance.config.checks


def _evidence(job: Job, story: Story, step: Step) -> Evidence:
    """The fast checks, and when they pass the slow ones, and then the acceptance commands."""
    results: list[CheckResult] = []
    for fast in (True, False):
        results += [_check(c, job, story, step) for c in _checks(job) if c.fast is fast]
        if not all(result.passed for result in results):
            return Evidence(report=CheckReport(results=tuple(results)))
    acceptance = tuple(
        AcceptanceResult(text=a.text, command=a.command, passed=True, exit_code=0, seconds=1.5)
        for a in job.task.acceptance
        if a.command
    )
    return Evidence(report=CheckReport(results=tuple(results)), acceptance=acceptance)


_RED = {
    "lint_error": "lint",
    "formatting_error": "format",
    "test_failure": "tests",
    "test_flake": "tests",
}


def _check(check: Check, job: Job, story: Story, step: Step) -> CheckResult:
    if _RED.get(step.outcome) != check.name:
        return _passed(check)
    tests = project.tests_of(step.detail) if check.junit else ()
    named = (step.detail,) if check.junit else ()
    message = f"exit 1: {step.detail} failed (try {job.claim.n})"
    excerpt = f"FAILED {step.detail}: assert {job.claim.n} == 0"
    if step.outcome == "lint_error":
        place = f"{project.source(story)}:{project.place(story, job.claim.n)}"
        message = f"exit 1: {place}: E501 line too long"
        excerpt = f"{place}: E501 Line too long (1{job.claim.n:02d} > 100)\nFound 1 error."
    own = ("lint_error", "formatting_error")
    kind = FailureClass(step.outcome) if step.outcome in own else FailureClass.TEST_FAILURE
    red = CheckResult(
        name=check.name,
        kind=check.kind,
        command=check.run,
        status=CheckStatus.FAILED,
        failure_class=kind,
        exit_code=1,
        seconds=_seconds(check),
        tests=tests,
        failed_tests=named,
        message=message,
        excerpt=excerpt,
    )
    again = _passed(check) if step.outcome == "test_flake" else red
    return merged(red, [again] * check.reruns) if check.junit else red


def _passed(check: Check) -> CheckResult:
    return CheckResult(
        name=check.name,
        kind=check.kind,
        command=check.run,
        status=CheckStatus.PASSED,
        exit_code=0,
        seconds=_seconds(check),
        tests=project.tests_of("") if check.junit else (),
    )


def _seconds(check: Check) -> float:
    return 2.5 if check.fast else 21.0


# --- councils -----------------------------------------------------------------------------------


def _sat(job: Job, step: Step, floor: Review, now: float) -> Result:
    """What the council of this mode comes to, with seats that answer as the plan says."""
    assert floor.verdict is Verdict.ACCEPT, (job.run.title, floor)
    evidence = evidence_of(job)
    hearing = hearing_of(job, floor, evidence.report.results, evidence.acceptance)
    wanted = [seat for seat in summoned(hearing).seats if seat not in hearing.waived]
    sitters = seated(wanted, job.governance.council, job.governance.config)
    absent = []
    if step.outcome == "validation_error":
        seat = _schema_seat(wanted)
        away = _seat_run(seat, sitters[seat], step, now).model_copy(
            update={"rounds": 3, "missing": "its answer does not fit: `findings.0.reference`"}
        )
        absent = [Absent(run=away, failure=FailureClass.VALIDATION_ERROR)]
        wanted.remove(seat)
    answers = [_answer(job, seat, sitters[seat], step, now) for seat in wanted]
    shadows = [
        _answer(job, shadow.seat, _shadow(job, shadow.model), _beside(step), now)
        for shadow in job.governance.council.shadow
    ]
    review = synthesise(hearing, answers, absent, shadows)
    if isinstance(review, NotHeld):
        result = failed(review.failure, review.message, missing=review.missing)
    else:
        result = reviewed(review)
    forced = result.facts.forced or job.run.forced
    facts = result.facts.model_copy(update={"forced": forced})
    return with_artifacts(Result(facts, result.artifacts), {"agent.json": _agent(job)})


def _beside(step: Step) -> Step:
    """What a shadow seat makes of it: now and then the opposite."""
    if step.tokens % 5:
        return step
    return replace(step, outcome="revise" if step.outcome == "accept" else "accept")


def _schema_seat(wanted: list[Seat]) -> Seat:
    return Seat(SCHEMA_SEAT) if Seat(SCHEMA_SEAT) in wanted else wanted[-1]


def _shadow(job: Job, name: str) -> Sitter:
    model = job.governance.config.models[name]
    return Sitter(name=name, provider=model.provider, model=model.id, family=model.family)


def _seat_run(seat: Seat, sitter: Sitter, step: Step, _now: float) -> SeatRun:
    return SeatRun(
        seat=seat.value,
        sitter=sitter,
        rounds=1,
        tokens=step.tokens // 8,
        cost=step.mills // 8 / 1000,
        seconds=float(step.seconds // 2),
    )


def _answer(job: Job, seat: Seat, sitter: Sitter, step: Step, now: float) -> Answer:
    """What this seat says."""
    name, text = _subject(job)
    reply = _reply(job, seat, step, name, text)
    run = _seat_run(seat, sitter, step, now).model_copy(
        update={"verdict": reply.verdict, "confidence": reply.confidence}
    )
    subject = Subject(texts={name: text.encode()})
    return Answer(run=run, checked=checked(reply, subject, reply.nonce))


def _subject(job: Job) -> tuple[str, str]:
    match job.claim.stage:
        case Stage.DESIGN_REVIEW:
            return "design.md", job.design
        case Stage.PLAN_REVIEW:
            return "plan.md", job.plan
        case _:
            return "task.md", job.task_text


OBJECTS = frozenset({Seat.CHAIR, Seat.TESTING, Seat.UNIFIED})
"""The seats that find what a review sends back. The others accept."""


def _reply(job: Job, seat: Seat, step: Step, name: str, text: str) -> SeatReply:
    quote = text.splitlines()[0]
    place = {"path": name, "line": 1, "quote": quote}
    said: dict[str, object] = {
        "nonce": seat_nonce(job.claim.nonce, sha256(text)),
        "verdict": "accept",
        "evidence": [place],
        "confidence": 0.6,
    }
    against = step.outcome in ("revise", "reject") and seat in OBJECTS
    if against:
        grave = "P0" if step.outcome == "reject" else "P1"
        claim = f"It does not say what happens when there is nothing to work on ({job.claim.n})."
        said |= {
            "verdict": step.outcome,
            "findings": [_finding(grave, "correctness", claim, place)],
        }
    elif seat is Seat.RISK and step.outcome == "accept":  # always the other way than the others
        claim = "The names could be shorter."
        said |= {"verdict": "revise", "findings": [_finding("P2", "other", claim, place)]}
    elif seat is Seat.CO_CHAIR and step.detail == "forced":
        claim = "I would have done it the other way round."
        said |= {"verdict": "revise", "findings": [_finding("P2", "structure", claim, place)]}
    elif seat is Seat.CO_CHAIR and step.outcome in ("revise", "reject"):
        claim = "It does not say what happens when there is nothing to work on."
        said |= {"verdict": "revise", "findings": [_finding("P1", "correctness", claim, place)]}
    return SeatReply.model_validate(said)


def _finding(
    severity: str, category: str, claim: str, place: Mapping[str, object]
) -> dict[str, object]:
    return {"severity": severity, "category": category, "claim": claim, "reference": place}
