"""Carrying out one attempt: the untrusted part. It reads the store and writes one bundle.

It decides nothing and records nothing. Whatever goes wrong in it becomes a failure class with a
message and a log, so that the policy, not an exception, says what happens next.
"""

from __future__ import annotations

import os
import shutil
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from lifeos.agents import Agent, Reply, Request, choose
from lifeos.core import leaks
from lifeos.core.backlog.entry import Task
from lifeos.core.canonical import sha256
from lifeos.core.council import AurType, Header, measure, seats, select_mode
from lifeos.core.policy import Governance
from lifeos.core.policy.words import AgentKind
from lifeos.core.records import AttemptFacts
from lifeos.core.review import Review
from lifeos.core.reviewpage import to_markdown
from lifeos.core.rulereview import review_design, review_plan
from lifeos.core.state import Claim, Run, Success
from lifeos.errors import LifeosError, is_of_the_machine
from lifeos.model import Change, FailureClass, Mode, Stage, Verdict
from lifeos.prepare import PrepareFailed
from lifeos.sandbox import Sandbox, scrubbed_env
from lifeos.store.diff import diff
from lifeos.store.git import GitError
from lifeos.store.materialize import materialize
from lifeos.store.repo import Repo
from lifeos.tick.purse import Purse

MESSAGE_LIMIT = 500
LOG_LIMIT = 512 * 1024


@dataclass(frozen=True)
class Job:
    """Everything one attempt is given. ``design``, ``plan`` and ``feedback`` are texts so far."""

    run: Run
    claim: Claim
    governance: Governance
    task: Task
    task_text: str
    design: str = ""
    plan: str = ""
    feedback: str = ""
    checks: str = ""  # checks.json of the build under review
    purse: Purse = field(default_factory=Purse)


@dataclass(frozen=True)
class Site:
    """Where attempts are carried out: the store, lifeos's private folder, the surroundings."""

    repo: Repo
    folder: Path
    sandbox: Sandbox
    environ: Mapping[str, str]
    timer: Callable[[], float]
    clock: Callable[[], float]
    should_stop: Callable[[], bool]
    progress: Callable[[str], None]
    trace: Callable[[str], None]

    def handed_through(self, governance: Governance) -> dict[str, str]:
        """The variables that the envelope lets into the sandbox."""
        return scrubbed_env(governance.envelope.environment, self.environ)

    def secret_values(self, governance: Governance) -> tuple[tuple[str, str], ...]:
        """Names and values of this process's environment that must not appear in any work."""
        config = governance.config
        keys = {each.key_env for each in config.providers.values()} | {config.forge.secret}
        keys |= set(config.notify.apprise)
        handed = governance.envelope.environment
        return leaks.values_of(self.environ, keys=keys - {""}, handed_through=handed)


@dataclass(frozen=True)
class Result:
    """What came of an attempt. Nothing in it is decided yet."""

    facts: AttemptFacts
    artifacts: Mapping[str, bytes]


def carry_out(site: Site, job: Job) -> Result:
    """One attempt at the claimed stage, from start to end.

    Raises nothing that is foreseeable but ``OSError`` and ``GitError`` where the machine refuses
    (a full disk).
    """
    started = site.timer()
    try:
        result = _STAGES[job.claim.stage](site, job)
    except PrepareFailed as error:
        result = failed(error.failure_class, error.message, error.excerpt.encode())
    except Exception as error:
        if _of_the_machine(error):
            raise  # nothing could be recorded either, and it says nothing about the work
        result = _broken(error)
    seconds = round(site.timer() - started, 3)
    spent = result.facts.usage.model_copy(update={"seconds": seconds})
    facts = result.facts.model_copy(update={"usage": spent})
    return redacted(site, job, Result(facts=facts, artifacts=result.artifacts))


def redacted(site: Site, job: Job, result: Result) -> Result:
    """A result as it may be recorded: no secret in its message or its artifacts."""
    message = clean_message(site, job, result.facts.message)
    facts = result.facts.model_copy(update={"message": message})
    return Result(facts=facts, artifacts=_redacted(site, job, result.artifacts))


def _of_the_machine(error: Exception) -> bool:
    if isinstance(error, OSError):
        return is_of_the_machine(error)
    return isinstance(error, GitError) and error.of_the_machine


def _broken(error: Exception) -> Result:
    """An attempt that breaks is a fact for the policy."""
    if isinstance(error, LifeosError):
        return failed(FailureClass.ENVIRONMENT_ERROR, error.message, str(error).encode())
    log = traceback.format_exc().encode()
    return failed(FailureClass.UNKNOWN, f"{type(error).__name__}: {error}", log)


def clean_message(site: Site, job: Job, message: str) -> str:
    """One line for people, without secrets, of a sensible length."""
    line = " ".join(leaks.redact(message, site.secret_values(job.governance)).split())
    return line if len(line) <= MESSAGE_LIMIT else line[: MESSAGE_LIMIT - 1] + "…"


def _redacted(site: Site, job: Job, artifacts: Mapping[str, bytes]) -> dict[str, bytes]:
    """Artifacts are recorded for ever: what looks like a secret does not get there."""
    values = site.secret_values(job.governance)
    return {
        name: leaks.redact(data[:LOG_LIMIT].decode("utf-8", "replace"), values).encode()
        for name, data in artifacts.items()
    }


def failed(failure: FailureClass, message: str, log: bytes = b"", /, **facts: object) -> Result:
    """A failed attempt with its log, which is also the feedback for the next one."""
    artifacts = {"feedback.md": f"{failure}: {message}\n".encode()}
    if log:
        artifacts["log.txt"] = log
    known = {"outcome": failure, "message": message, **facts}
    known.setdefault("error", sha256(f"{failure}\n{message}"))
    return Result(facts=AttemptFacts.model_validate(known), artifacts=artifacts)


def request_of(site: Site, job: Job, sandbox: Sandbox, prepared: Path | None) -> Request:
    """What an agent is asked."""
    governance = job.governance
    envelope, budgets = governance.envelope, governance.loop.budgets
    seconds = min(envelope.limits.seconds, budgets.seconds_per_attempt)
    return Request(
        stage=job.claim.stage,
        task=job.task,
        run=job.run.id,
        n=job.claim.n,
        design=job.design,
        plan=job.plan,
        feedback=job.feedback,
        limits=envelope.limits.model_copy(update={"seconds": seconds}),
        environment=site.handed_through(governance),
        sandbox=sandbox,
        prepared=prepared,
        governance=governance,
        should_stop=site.should_stop,
        trace=site.trace,
    )


def agent_of(job: Job, stage: Stage) -> Agent:
    """The adapter that carries out a stage of this run."""
    config = job.governance.config
    return choose(config.agents.adapter(stage) or AgentKind.RECIPE, config)


def failed_reply(site: Site, reply: Reply) -> Result | None:
    """The result of an agent that could not do its part, or None if it did."""
    if reply.stopped:
        message = "stopped by the stop switch"
        return failed(FailureClass.INTERRUPTED, message, stopped=True, usage=reply.usage)
    if reply.failure is None:
        return None
    wake = int(site.clock()) + reply.wake_after if reply.wake_after else None
    return failed(reply.failure, reply.message, reply.log, usage=reply.usage, wake_at=wake)


def with_artifacts(result: Result, more: Mapping[str, bytes]) -> Result:
    """The result with more artifacts; its own go before those of the same name."""
    return Result(result.facts, {**more, **result.artifacts})


def base_tree(site: Site, job: Job) -> str:
    """The tree of the commit that the attempt works on."""
    return site.repo.objects.commit(job.claim.base).tree


def council(job: Job, changes: tuple[Change, ...], kind: AurType) -> tuple[Header, Mode, str]:
    """The measured header, the mode it asks for, and why."""
    run, rules = job.run, job.governance.council
    header = measure(changes, run.tags, run.risk, run.scope, rules, aur_type=kind)
    mode, reason = select_mode(header, has_scope=bool(run.scope))
    return header, mode, reason


def _text_stage(site: Site, job: Job) -> Result:
    """Design and plan: the agent writes an artifact; it may look at the tree, not change it."""
    agent = agent_of(job, job.claim.stage)
    request = request_of(site, job, site.sandbox, None)
    if not agent.paid:
        return _text_result(site, job, agent.run(request, None))
    from lifeos.tick.modelled import run_modelled

    site.progress(f"  {agent.name} writes the {job.claim.stage}")
    with work_folder(site, job, base_tree(site, job)) as folder:
        reply, kept = run_modelled(site, job, agent, request, folder)
    return with_artifacts(_text_result(site, job, reply), kept)


def _text_result(site: Site, job: Job, reply: Reply) -> Result:
    result = failed_reply(site, reply)
    if result is not None:
        return result
    if not reply.artifact.strip():
        message = f"the agent wrote no {job.claim.stage}"
        return failed(FailureClass.VALIDATION_ERROR, message, reply.log, usage=reply.usage)
    text = reply.artifact.encode()
    facts = AttemptFacts(
        outcome=Success.OK, artifact=sha256(text), usage=reply.usage, risk=reply.risk
    )
    return Result(facts=facts, artifacts={f"{job.claim.stage}.md": text})


@contextmanager
def work_folder(site: Site, job: Job, tree: str) -> Iterator[Path]:
    """A folder of lifeos's own with the files of a tree, for the time of the block."""
    folder = site.folder / "work" / f"{job.run.id}.{job.claim.n}"
    _clear(folder)
    try:
        materialize(site.repo, tree, folder)
        yield folder
    finally:
        _clear(folder)


def _clear(folder: Path) -> None:
    if os.path.lexists(folder):
        shutil.rmtree(folder)


def _design(site: Site, job: Job) -> Result:
    from lifeos.tick.evidence import base_evidence, base_failure

    base = base_evidence(site, job)
    red = base_failure(job, base)
    if red is not None:
        return red
    result = _text_stage(site, job)
    facts = result.facts.model_copy(update={"proves_nothing": base.proves_nothing})
    return Result(facts=facts, artifacts={**result.artifacts, "base.json": base.to_json()})


def _review(site: Site, job: Job) -> Result:
    """Design and plan reviews: by rule, and where that accepts, by the council if models sit."""
    review = review_by_rule(job)
    if not job.governance.config.agents.review.modelled:
        return reviewed(review)
    from lifeos.tick.reviewing import by_council

    return by_council(site, job, review)


def review_by_rule(job: Job) -> Review:
    """What rules say of the design or the plan under review. Nothing is run for it."""
    is_design = job.claim.stage is Stage.DESIGN_REVIEW
    kind = AurType.DESIGN if is_design else AurType.PLAN
    header, mode, reason = council(job, (), kind)
    ask = review_design if is_design else review_plan
    return ask(
        job.task,
        job.design if is_design else job.plan,
        header,
        mode,
        mode_reason=reason,
        seats=seats(mode, header, job.governance.council),
        by_recipe=not job.governance.config.agents.build.modelled,
    )


def reviewed(review: Review) -> Result:
    """The result of a review."""
    text = to_markdown(review)
    against = review.verdict is not Verdict.ACCEPT
    message = "; ".join(str(f) for f in review.findings) or (review.note if against else "")
    facts = AttemptFacts(
        outcome=review.verdict,
        message=message,
        error=sha256(text) if against else "",
        mode=review.mode,
        forced=review.forced,
        causes=review.causes,
    )
    artifacts = {"review.md": text.encode(), "review.json": review.model_dump_json().encode()}
    if against:
        artifacts["feedback.md"] = text.encode()
    return Result(facts=facts, artifacts=artifacts)


def _build(site: Site, job: Job) -> Result:
    from lifeos.tick.build import build

    return build(site, job)


def _build_review(site: Site, job: Job) -> Result:
    from lifeos.tick.build import review

    return review(site, job)


def _packet(_site: Site, _job: Job) -> Result:
    """The evidence is assembled by the trusted side, from the ledger; nothing is run for it."""
    return Result(facts=AttemptFacts(outcome=Success.OK), artifacts={})


def work_changes(site: Site, job: Job) -> tuple[Change, ...]:
    """What the run's work changes, against the base of its build."""
    return diff(site.repo, base_tree(site, job), job.run.work)


_STAGES: Mapping[Stage, Callable[[Site, Job], Result]] = {
    Stage.DESIGN: _design,
    Stage.DESIGN_REVIEW: _review,
    Stage.PLAN: _text_stage,
    Stage.PLAN_REVIEW: _review,
    Stage.BUILD: _build,
    Stage.BUILD_REVIEW: _build_review,
    Stage.PACKET: _packet,
}
