"""The built-in agent: it carries out what the task spells out. No model, no network, no judgement.

Each fenced ``sh recipe`` block runs with ``sh -eu`` at the top of the tree, in the sandbox, all of
them together within the attempt's time. A recipe finds in its environment what the envelope hands
through, and ``LIFEOS_TASK``, ``LIFEOS_RUN``, ``LIFEOS_ATTEMPT`` and ``LIFEOS_FEEDBACK``: the path
of a read-only file with what failed last time and what a person said, empty the first time.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from lifeos.agents import Reply, Request
from lifeos.core import artifacts
from lifeos.core.checkreport import plain
from lifeos.errors import UsageError
from lifeos.model import FailureClass, Stage, Usage
from lifeos.process import Ended
from lifeos.sandbox import Mount

FEEDBACK = "/run/lifeos/feedback.md"
"""Where a recipe finds the feedback inside the sandbox."""
LONGEST = 100_000
"""Bytes of one block: it is one argument of a program, and Linux takes 128 KiB."""
LAST_LINES = 3
LAST_CHARACTERS = 500


@dataclass(frozen=True)
class Recipe:
    """``agents: {build: recipe}``. A retry starts from the base: a recipe is written for it."""

    name: str = "recipe"
    paid: bool = False
    resumes: bool = False

    def run(self, request: Request, folder: Path | None) -> Reply:
        """Carry out a stage; ``folder`` is needed for a build only."""
        task, governance = request.task, request.governance
        match request.stage:
            case Stage.DESIGN:
                return Reply(artifacts.design(task, governance, request.feedback))
            case Stage.PLAN:
                text = artifacts.plan(task, request.design, governance, request.feedback)
                return Reply(text)
            case Stage.BUILD if folder is not None:
                return _build(request, folder)
            case _:
                raise ValueError(f"the recipe agent was asked to do {request.stage} in {folder}")


def _build(request: Request, folder: Path) -> Reply:
    """Run the blocks in order; the first that fails ends the attempt."""
    blocks = request.task.recipe
    unfit = _unfit(blocks)
    if unfit:
        return Reply(failure=FailureClass.CONFIG_ERROR, message=unfit)
    reply = Reply()
    with _feedback(request) as (variables, mounts):
        for number, block in enumerate(blocks, 1):
            left = request.limits.seconds - int(reply.usage.seconds)
            name = f"recipe block {number} of {len(blocks)}"
            if left < 1:
                message = f"{name} was not begun: {request.limits.seconds} seconds are used up"
                return replace(reply, failure=FailureClass.TIMEOUT, message=message)
            try:
                ended = _run(request, folder, block, left, variables, mounts)
            except UsageError as error:
                message = f"{name} could not be started: {error.message}"
                return replace(reply, failure=FailureClass.ENVIRONMENT_ERROR, message=message)
            reply = _after(reply, ended, name, request)
            if reply.failure is not None:
                return reply
    return replace(reply, message=f"{len(blocks)} recipe block{'s' * (len(blocks) > 1)} done")


def _unfit(blocks: tuple[str, ...]) -> str:
    """Why these blocks can never run; empty when they can."""
    if not any(block.strip() for block in blocks):
        return (
            "the built-in agent carries out `sh recipe` blocks; this task has none: "
            "add a fenced block that begins with ```sh recipe to the task in BACKLOG.md"
        )
    for number, block in enumerate(blocks, 1):
        if "\0" in block or len(block.encode(errors="surrogateescape")) > LONGEST:
            return (
                f"recipe block {number} has more than {LONGEST} bytes or a NUL character: "
                "put the program into a file of the repository and call it from the block"
            )
    return ""


@contextmanager
def _feedback(request: Request) -> Iterator[tuple[dict[str, str], tuple[Mount, ...]]]:
    """The variables of a recipe, and what has to be mounted for them."""
    with tempfile.TemporaryDirectory(prefix="lifeos-feedback-") as name:
        file = Path(name, "feedback.md")
        file.write_text(request.feedback, encoding="utf-8", errors="replace")
        file.chmod(0o444)  # inside it is read by another user
        inside = request.sandbox.kind != "none"
        variables = dict(request.environment) | {
            "LIFEOS_TASK": request.task.id,
            "LIFEOS_RUN": request.run,
            "LIFEOS_ATTEMPT": str(request.n),
            "LIFEOS_FEEDBACK": FEEDBACK if inside else str(file),
        }
        yield variables, (Mount(file, FEEDBACK),) if inside else ()


def _run(
    request: Request,
    folder: Path,
    block: str,
    seconds: int,
    variables: dict[str, str],
    mounts: tuple[Mount, ...],
) -> Ended:
    return request.sandbox.run(
        ("/bin/sh", "-eu", "-c", block),
        folder=folder,
        limits=request.limits.model_copy(update={"seconds": seconds}),
        env=variables,
        mounts=mounts,
        overlay_lower=request.prepared,
        should_stop=request.should_stop,
        on_output=request.on_output,
        trace=request.trace,
    )


def _after(reply: Reply, ended: Ended, name: str, request: Request) -> Reply:
    """The reply after one more block."""
    failure, why = _judged(ended, request.limits.seconds)
    lines = [line.strip() for line in plain(ended.err or ended.out).splitlines() if line.strip()]
    said = " / ".join(lines[-LAST_LINES:])[-LAST_CHARACTERS:]
    return Reply(
        failure=failure,
        message=f"{name} {why}{': ' if said else ''}{said}" if failure else "",
        log=_joined(reply.log, name, ended, request.limits.output_kb * 1024),
        usage=reply.usage.plus(Usage(seconds=ended.seconds)),
        stopped=ended.stopped,
    )


def _judged(ended: Ended, seconds: int) -> tuple[FailureClass | None, str]:
    """The failure class of how a block ended, and the words for it."""
    if ended.ok:
        return None, ""
    if ended.stopped:
        return FailureClass.INTERRUPTED, "was stopped"
    if ended.timed_out:
        return FailureClass.TIMEOUT, f"did not end within {seconds} seconds"
    if ended.exceeded:
        return FailureClass.TOOL_ERROR, f"exceeded the sandbox's limit on {ended.exceeded}"
    if ended.status in (126, 127):
        return FailureClass.DEPENDENCY_ERROR, f"needs a program that is not there ({ended.status})"
    return FailureClass.TOOL_ERROR, f"ended with status {ended.status}"


def _joined(log: bytes, name: str, ended: Ended, limit: int) -> bytes:
    """The log with one more block's output: standard output, then errors; capped in the middle."""
    parts = [part for part in (ended.out, ended.err) if part]
    ends = (part if part.endswith(b"\n") else part + b"\n" for part in parts)
    whole = log + f"== {name}\n".encode() + b"".join(ends)
    if len(whole) <= limit:
        return whole
    cut = b"\n[... output left out ...]\n"
    half = max((limit - len(cut)) // 2, 0)
    return whole[:half] + cut + whole[len(whole) - half :]
