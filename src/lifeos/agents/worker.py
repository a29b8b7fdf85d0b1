"""The agent of a model: it asks a program for a design, a plan or a build, and reads the answer.

The design and the plan are answers in a schema, from a program that sees the tree read-only. A
build is what is in the folder afterwards; its last message is only shown.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from lifeos.agents import Modelled, Reply, Request
from lifeos.agents.asking import Asked, ask
from lifeos.agents.program import Call, Program, version_of
from lifeos.agents.shipped import prompt as shipped
from lifeos.core import prompts
from lifeos.core.clean import one_line
from lifeos.core.prompts import Bounds, NonceInside, Part
from lifeos.core.replies import build, design, plan, schema_text
from lifeos.errors import Problem
from lifeos.model import FailureClass, Risk, Stage

_LONGEST_MESSAGE = 500
NOT_MODELLED = (
    "no model is set up for this stage: name a provider under `providers`, a model called `main` "
    "under `models` in .lifeos/config.yaml, and run `lifeos doctor`"
)


@dataclass(frozen=True)
class Worker:
    """``agents: {build: opencode}`` and its like. A retry goes on from what the last one left."""

    program: Program
    paid: bool = field(default=True, init=False)
    resumes: bool = field(default=True, init=False)

    @property
    def name(self) -> str:
        """The name of its program."""
        return self.program.name

    @property
    def version(self) -> str:
        """The version of its program; "" where it is not known."""
        return version_of(self.program)

    def run(self, request: Request, folder: Path | None) -> Reply:
        """Carry out a stage. ``folder`` is needed for all of them: the base, or the work folder."""
        modelled = request.modelled
        if modelled is None:
            return Reply(failure=FailureClass.CONFIG_ERROR, message=NOT_MODELLED)
        if folder is None:
            raise ValueError(f"a model was asked to do {request.stage} without a folder")
        problem = self.program.problem()
        if problem is not None:
            return Reply(failure=FailureClass.CONFIG_ERROR, message=_told(problem))
        try:
            match request.stage:
                case Stage.DESIGN:
                    return _design(self.program, request, modelled, folder)
                case Stage.PLAN:
                    return _plan(self.program, request, modelled, folder)
                case Stage.BUILD:
                    return _build(self.program, request, modelled, folder)
                case _:
                    raise ValueError(f"a model was asked to do {request.stage}")
        except NonceInside as error:
            return Reply(
                failure=FailureClass.VALIDATION_ERROR, message=f"{error}: nothing was asked"
            )


def _design(program: Program, request: Request, modelled: Modelled, folder: Path) -> Reply:
    task, again = request.task, bool(request.feedback.strip())
    schema = schema_text(design.DesignReply, design.EXAMPLE)
    call = _call(request, modelled, folder, "designer", schema)

    def parse(text: str) -> design.DesignReply:
        return design.read(text, task, again=again)

    asked = ask(program, call, parse, nonce=modelled.nonce)
    if asked.value is None:
        return _reply(asked, request)
    text = design.to_markdown(asked.value, task, request.governance, request.feedback)
    return _reply(asked, request, text, risk=asked.value.risk_level)


def _plan(program: Program, request: Request, modelled: Modelled, folder: Path) -> Reply:
    task, again = request.task, bool(request.feedback.strip())
    schema = schema_text(plan.PlanReply, plan.EXAMPLE)
    call = _call(request, modelled, folder, "planner", schema)

    def parse(text: str) -> plan.PlanReply:
        return plan.read(text, task, request.governance, again=again)

    asked = ask(program, call, parse, nonce=modelled.nonce)
    if asked.value is None:
        return _reply(asked, request)
    text = plan.to_markdown(asked.value, task, request.design, request.feedback)
    return _reply(asked, request, text, risk=asked.value.risk_level)


def _build(program: Program, request: Request, modelled: Modelled, folder: Path) -> Reply:
    role = "doc_steward" if modelled.docs else "builder"
    call = _call(request, modelled, folder, role, None)
    asked = ask(program, call, build.summary, nonce=modelled.nonce)
    if asked.value is None:
        return _reply(asked, request)
    reply = _reply(asked, request, message=build.first_line(asked.value))
    return replace(reply, files={**reply.files, "summary.txt": asked.value.encode()})


def _call(
    request: Request, modelled: Modelled, folder: Path, role: str, schema: str | None
) -> Call:
    writable = request.stage is Stage.BUILD
    limits = modelled.door.meter.allowance.limits
    return Call(
        prompt=prompts.render(
            role,
            modelled.prompts,
            shipped(role),
            tuple(_parts(request, modelled)),
            modelled.nonce,
            schema,
            bounds=_bounds(request, modelled, writable),
        ),
        title=one_line(f"{request.task.id} {request.stage} {request.n}", 80),
        folder=folder,
        writable=writable,
        limits=request.limits,
        agent_limits=limits,
        environment=request.environment,
        sandbox=request.sandbox,
        door=modelled.door,
        model=modelled.route.model,
        wire=modelled.route.provider.wire,
        prepared=request.prepared,
        should_stop=request.should_stop,
        progress=modelled.progress,
        trace=request.trace,
    )


def _parts(request: Request, modelled: Modelled) -> Iterator[Part]:
    yield Part("task.md", "The task:", prompts.task_text(request.task))
    yield prompts.notes(modelled.instructions)
    yield Part("design.md", "The design so far:", request.design)
    yield Part("plan.md", "The plan so far:", request.plan)
    yield Part(
        "feedback.md",
        "What failed last time, or what a person or a review asked for:",
        request.feedback,
    )


def _bounds(request: Request, modelled: Modelled, writable: bool) -> Bounds:
    allowance, governance = modelled.door.meter.allowance, request.governance
    bounds = Bounds(
        writable=writable,
        seconds=request.limits.seconds,
        tokens=allowance.tokens,
        requests=allowance.limits.requests,
        commands=allowance.limits.commands,
        command_seconds=allowance.limits.command_seconds,
        attempt=request.n,
        again=bool(request.feedback.strip()),
    )
    if governance is None:
        return bounds
    envelope, budgets = governance.envelope, governance.loop.budgets
    return replace(
        bounds,
        write=envelope.write,
        protect=envelope.protect,
        diff_lines=budgets.diff_lines,
        diff_files=budgets.diff_files,
    )


def _reply(
    asked: Asked[object],
    request: Request,
    artifact: str = "",
    *,
    message: str = "",
    risk: Risk = Risk.LOW,
) -> Reply:
    """The reply. What it used is the meter's to say. A claimed risk never lowers the task's own."""
    own = request.task.risk or Risk.LOW
    return Reply(
        artifact=artifact,
        failure=asked.failure,
        message=one_line(asked.message or message, _LONGEST_MESSAGE),
        log=asked.log,
        stopped=asked.last.stopped,
        ran=asked.ran,
        risk=max(own, risk, key=lambda each: each.rank),
        wake_after=asked.last.wake_after,
        reported=asked.reported,
    )


def _told(problem: Problem) -> str:
    return one_line(f"{problem.message}: {problem.fix}" if problem.fix else problem.message, 500)
