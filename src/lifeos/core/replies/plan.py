"""The planner's answer, and the plan that becomes of it: numbered steps and the paths expected."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import Field

from lifeos.core import artifacts, globs
from lifeos.core.backlog.entry import Task
from lifeos.core.canonical import sha256
from lifeos.core.markdown import bullets, code, document, fenced, inline, section
from lifeos.core.policy.governance import Governance
from lifeos.core.replies import Short, Unfit, Words, fitted
from lifeos.core.replies.coverage import missing_items, prose, unfit_paths
from lifeos.model import Frozen, Risk

_WILD = ("*", "?")


class Step(Frozen):
    """One step of the build."""

    what: Words = Field(description="What is done, so that it can be carried out without asking.")
    why: Words = Field(description="What needs it: an acceptance item, the design, a finding.")
    paths: tuple[Short, ...] = Field((), max_length=60, description="The files that it changes.")


class Test(Frozen):
    """A test to write or to run."""

    test: Short = Field(description="Its file and name, or the command.")
    proves: Words = Field(description="What it shows, and that it fails without the change.")


class Covered(Frozen):
    """Which steps meet one acceptance item."""

    item: int = Field(ge=1, le=1000, description="The number of the task's acceptance item.")
    steps: tuple[int, ...] = Field(min_length=1, max_length=40, description="Steps, from 1.")


class PlanReply(Frozen):
    """A planner's answer."""

    summary: Words
    steps: tuple[Step, ...] = Field(min_length=1, max_length=40, description="In their order.")
    expected_paths: tuple[Short, ...] = Field(
        min_length=1,
        max_length=200,
        description="Every path that will be changed, made or deleted; patterns only if needed.",
    )
    acceptance: tuple[Covered, ...] = Field(
        (), max_length=200, description="One entry for every acceptance item of the task."
    )
    tests: tuple[Test, ...] = Field((), max_length=40)
    undo: Words = Field(description="What has to be undone beside the files, and how.")
    risks: tuple[Words, ...] = Field((), max_length=20)
    risk_level: Risk = Field(description="How risky this is; it can only raise the task's risk.")
    different: str = Field(
        "", max_length=3000, description="After feedback: the cause, and what is different now."
    )


EXAMPLE: dict[str, object] = {
    "summary": "A mapping of greetings, a parameter with a default, and two tests.",
    "steps": [
        {
            "what": "Write test_greets_in_german and test_unknown_language_is_english; see both "
            "fail.",
            "why": "Acceptance item 1.",
            "paths": ["tests/test_greet.py"],
        },
        {
            "what": "Add GREETINGS and the parameter `language: str = 'en'` to `greet`.",
            "why": "Design, approach.",
            "paths": ["src/greet.py"],
        },
    ],
    "expected_paths": ["src/greet.py", "tests/test_greet.py"],
    "acceptance": [{"item": 1, "steps": [1, 2]}],
    "tests": [
        {
            "test": "pytest tests/test_greet.py",
            "proves": "The new language and the fallback; red before step 2.",
        }
    ],
    "undo": "Nothing beside the files: no data and no public name changes.",
    "risks": [],
    "risk_level": "low",
    "different": "",
}


def read(
    text: str, task: Task, governance: Governance | None = None, *, again: bool = False
) -> PlanReply:
    """The answer in a planner's last message. Raises Unfit with all that is to be mended.

    ``again``: there is feedback, so it has to say what is different.
    """
    reply = fitted(text, PlanReply)
    wrong = [
        *missing_items(task, (covered.item for covered in reply.acceptance), "covered"),
        *_unknown_steps(reply),
        *unfit_paths(reply.expected_paths, "expected_paths"),
        *_not_allowed(reply, task, governance),
    ]
    if again and not reply.different.strip():
        wrong.append("- `different`: say the cause of the feedback, and what is different now")
    if wrong:
        raise Unfit("\n".join(["the plan does not fit the task:", *wrong]))
    return reply


def to_markdown(reply: PlanReply, task: Task, design: str, feedback: str = "") -> str:
    """The plan as Markdown. What the model wrote is text in it, never markup."""
    tests = bullets(f"{code(t.test, 300)}: {inline(t.proves, 1500)}" for t in reply.tests)
    risks = bullets(inline(risk, 1500) for risk in reply.risks)
    again = feedback.strip() or reply.different.strip()
    return document(
        f"# Plan: {inline(task.title)}",
        f"Written by a model. It follows the design with SHA-256 `{sha256(design)[:12]}`, and "
        f"holds the risk to be {reply.risk_level}.",
        prose(reply.summary),
        section("Steps", "\n".join(_numbered(reply))),
        section("Acceptance", _acceptance(reply, task)),
        section("Tests", tests or "None beside the checks and the acceptance commands."),
        section(
            artifacts.EXPECTED, bullets(code(p, 300) for p in dict.fromkeys(reply.expected_paths))
        ),
        section("How to undo it", prose(reply.undo)),
        section("Risks", risks or "None were named."),
        section("Rework", fenced(feedback) if feedback.strip() else "", prose(reply.different))
        if again
        else "",
    )


def _numbered(reply: PlanReply) -> Iterator[str]:
    for number, step in enumerate(reply.steps, 1):
        yield f"{number}. {inline(step.what, 1500)}"
        yield f"   - because: {inline(step.why, 1500)}"
        if step.paths:
            yield f"   - at {', '.join(code(path, 300) for path in step.paths)}"


def _acceptance(reply: PlanReply, task: Task) -> str:
    if not task.acceptance:
        return "The task has no acceptance items: only the checks judge it."
    steps = {covered.item: covered.steps for covered in reply.acceptance}
    lines = []
    for number, item in enumerate(task.acceptance, 1):
        lines.append(f"- {inline(item.text, 4000)}")
        lines.append(f"  - by step {', '.join(map(str, steps[number]))}")
        if item.command:
            lines.append(f"  - proven by {code(item.command, 4000)}, which lifeos runs")
    return "\n".join(lines)


def _unknown_steps(reply: PlanReply) -> Iterator[str]:
    for covered in reply.acceptance:
        for number in covered.steps:
            if not 1 <= number <= len(reply.steps):
                yield f"- acceptance item {covered.item}: there is no step {number}"


def _not_allowed(reply: PlanReply, task: Task, governance: Governance | None) -> Iterator[str]:
    """Expected changes that would be a breach: better said now than after the build."""
    for path in dict.fromkeys(reply.expected_paths):
        if task.scope and not _within(path, task.scope):
            yield f"- expected_paths: `{path[:120]}` is outside of the task's scope"
        if governance and globs.any_match(governance.envelope.protect, path, folded=True):
            yield f"- expected_paths: `{path[:120]}` is protected, no run may change it"


def _within(path: str, scope: tuple[str, ...]) -> bool:
    if globs.any_match(scope, path):
        return True
    open_ended = path.endswith("/") or any(sign in path for sign in _WILD)
    return open_ended and any(globs.may_overlap(pattern, path) for pattern in scope)
