"""The designer's answer, and the design that becomes of it: the same sections as by rule."""

from __future__ import annotations

from pydantic import Field

from lifeos.core import artifacts
from lifeos.core.backlog.entry import Task
from lifeos.core.markdown import bullets, code, document, fenced, inline, section
from lifeos.core.policy.governance import Governance
from lifeos.core.replies import Prose, Short, Unfit, Words, fitted
from lifeos.core.replies.coverage import missing_items, prose, unfit_paths
from lifeos.model import Frozen, Risk

BY_MODEL = (
    "Written by a model. What is asked, the scope and the constraints were put in by lifeos; all "
    "else are the model's claims."
)


class Alternative(Frozen):
    """Another way, and why it was not taken."""

    option: Words
    rejected_because: Words


class Proof(Frozen):
    """How one acceptance item will be proven."""

    item: int = Field(ge=1, le=1000, description="The number of the task's acceptance item.")
    proof: Words = Field(
        description="What shows it: a command, a test by name, or what to look at."
    )


class RiskSaid(Frozen):
    """What can go wrong, and what is done about it."""

    risk: Words
    answer: Words = Field(description="How the design avoids it, notices it, or takes it back.")


class DesignReply(Frozen):
    """A designer's answer."""

    summary: Words = Field(description="What will be different for users, in a few sentences.")
    approach: Prose = Field(description="The change: which parts, which interfaces, which data.")
    alternatives: tuple[Alternative, ...] = Field((), max_length=6)
    acceptance: tuple[Proof, ...] = Field(
        (), max_length=200, description="One entry for every acceptance item of the task."
    )
    scope: tuple[Short, ...] = Field(
        max_length=100, description="Paths or patterns that the change needs, within the scope."
    )
    risks: tuple[RiskSaid, ...] = Field((), max_length=20)
    questions: tuple[Words, ...] = Field(
        (), max_length=10, description="What only a person can decide."
    )
    risk_level: Risk = Field(description="How risky this is; it can only raise the task's risk.")
    different: str = Field(
        "", max_length=3000, description="After feedback: the cause, and what is different now."
    )


EXAMPLE: dict[str, object] = {
    "summary": "`greet` says hello in the user's language.",
    "approach": "`greet(name, language)` in src/greet.py looks the word up in a constant mapping; "
    "an unknown language falls back to English. Callers that give no language see no change.",
    "alternatives": [
        {"option": "gettext catalogues", "rejected_because": "Build steps for three words."}
    ],
    "acceptance": [{"item": 1, "proof": "pytest tests/test_greet.py::test_greets_in_german"}],
    "scope": ["src/greet.py", "tests/test_greet.py"],
    "risks": [{"risk": "A caller passes None.", "answer": "None means English, as today; tested."}],
    "questions": [],
    "risk_level": "low",
    "different": "",
}


def read(text: str, task: Task, *, again: bool = False) -> DesignReply:
    """The answer in a designer's last message. Raises Unfit with all that is to be mended.

    ``again``: there is feedback, so it has to say what is different.
    """
    reply = fitted(text, DesignReply)
    wrong = [
        *missing_items(task, (proof.item for proof in reply.acceptance), "proven"),
        *unfit_paths(reply.scope, "scope"),
    ]
    if again and not reply.different.strip():
        wrong.append("- `different`: say the cause of the feedback, and what is different now")
    if wrong:
        raise Unfit("\n".join(["the design does not fit the task:", *wrong]))
    return reply


def to_markdown(
    reply: DesignReply, task: Task, governance: Governance | None = None, feedback: str = ""
) -> str:
    """The design as Markdown. What the model wrote is text in it, never markup."""
    rules = bullets(artifacts.constraints(task, governance)) if governance else ""
    others = bullets(
        f"{inline(other.option, 1500)}: {inline(other.rejected_because, 1500)}"
        for other in reply.alternatives
    )
    risks = bullets(f"{inline(r.risk, 1500)}: {inline(r.answer, 1500)}" for r in reply.risks)
    questions = bullets(inline(question, 1500) for question in reply.questions)
    needed = bullets(code(path, 300) for path in dict.fromkeys(reply.scope))
    return document(
        f"# Design: {inline(task.title)}",
        f"{BY_MODEL} It holds the risk to be {reply.risk_level}.",
        prose(reply.summary),
        section("What is asked", *artifacts.asked(task)),
        section("Approach", prose(reply.approach)),
        section("Alternatives", others or "None were considered."),
        section("Scope", *artifacts.scope(task, governance)),
        section("Paths it needs", needed) if needed else "",
        section("Acceptance", _acceptance(reply, task)),
        section("Constraints", rules) if rules else "",
        section("Risks", risks or "None were named."),
        section("Open questions", questions or "None."),
        section("What is different now", prose(reply.different)) if reply.different.strip() else "",
        section("What was said of the last design", fenced(feedback)) if feedback.strip() else "",
    )


def _acceptance(reply: DesignReply, task: Task) -> str:
    """The items in the task's own words, each with the proof that the model names."""
    if not task.acceptance:
        return "The task has no acceptance items: only the checks judge it."
    proofs = {proof.item: proof.proof for proof in reply.acceptance}
    lines = []
    for number, item in enumerate(task.acceptance, 1):
        lines.append(f"{number}. {inline(item.text, 4000)}")
        if item.command:
            lines.append(f"   - proven by {code(item.command, 4000)}, which lifeos runs")
        lines.append(f"   - {inline(proofs[number], 1500)}")
    return "\n".join(lines)
