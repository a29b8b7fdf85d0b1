"""The texts of the design and the plan, derived from the task and the rules by rule alone.

Equal input gives equal text. What a task's author wrote is shown as text, never as markup.
"""

from __future__ import annotations

from collections.abc import Iterator

from lifeos.core import globs
from lifeos.core.backlog.entry import Acceptance, Task
from lifeos.core.canonical import sha256
from lifeos.core.markdown import bullets, code, document, fenced, inline, outside_fences, section
from lifeos.core.policy.envelope import Envelope
from lifeos.core.policy.governance import Governance
from lifeos.core.recipetext import Reading, outside, read
from lifeos.core.testcode import TEST_FILES
from lifeos.model import Risk

EXPECTED = "Expected paths"
BY_RULE = "Written by rule from the task's own words; no model was asked."
NO_STEPS = (
    "None: the task has no `sh recipe` block, and the built-in agent carries out nothing else. Add "
    "one to the task in BACKLOG.md."
)
MOST_LISTED = 20
_PLAIN_CODE = "- `"


def design(task: Task, governance: Governance | None = None, feedback: str = "") -> str:
    """The design of a task as Markdown: what is asked, and what stands in its way."""
    reading = read(() if _by_model(governance) else task.recipe)
    return document(
        f"# Design: {inline(task.title)}",
        f"{BY_RULE} {_about(task)}",
        section("What is asked", *asked(task)),
        section("Scope", *scope(task, governance)),
        section("Acceptance", _acceptance(task)),
        section("Constraints", bullets(constraints(task, governance))) if governance else "",
        section("Risks", bullets(_risks(task, reading, governance)) or "None found by rule."),
        section("Open questions", bullets(_questions(task, governance)) or "None found by rule."),
        section("What was said of the last design", fenced(feedback)) if feedback.strip() else "",
    )


def plan(task: Task, design: str, governance: Governance | None = None, feedback: str = "") -> str:
    """The plan of a task as Markdown: numbered steps, the paths expected, and the way back."""
    reading = read(() if _by_model(governance) else task.recipe)
    return document(
        f"# Plan: {inline(task.title)}",
        f"{BY_RULE} It follows the design with SHA-256 `{sha256(design)[:12]}`. {_about(task)}",
        section("Steps", "\n".join(_numbered(_steps(task, governance))).rstrip() or NO_STEPS),
        section(EXPECTED, *_expected(task, reading)),
        section("How to undo it", _UNDO),
        section("Rework", *_rework(task, reading, feedback, governance)),
    )


def expected_paths(plan: str) -> tuple[str, ...]:
    """The path patterns that a plan's section "Expected paths" names; empty when it has none."""
    found: list[str] = []
    inside = False
    for _, line in outside_fences(plan):
        if line.startswith("#"):
            inside = line.lstrip("#").strip() == EXPECTED
        elif inside and line.startswith(_PLAIN_CODE) and line.rstrip().endswith("`"):
            found.append(line.rstrip()[len(_PLAIN_CODE) : -1].strip("` "))
    return tuple(found)


def _about(task: Task) -> str:
    """The task in one sentence: id, risk, tags. Its priority says when it is done, not how."""
    risk = f"risk {task.risk}" if task.risk else "no risk given"
    tags = f", tagged {', '.join(inline(tag, 40) for tag in task.tags)}" if task.tags else ""
    return f"Task {code(task.id or 'without an id')}, {risk}{tags}."


def asked(task: Task) -> Iterator[str]:
    """Markdown of what the task says: title, description, facts."""
    yield f"{inline(task.title)}."
    if task.description.strip():
        yield fenced(task.description)
    facts = (
        ("Context", task.context),
        ("Done when", task.dod),
        ("Owner", task.owner),
        ("After", ", ".join(task.depends)),
    )
    yield bullets(f"{name}: {inline(text, 500)}" for name, text in facts if text.strip())


def scope(task: Task, governance: Governance | None) -> Iterator[str]:
    """Markdown of what may change."""
    if not task.scope:
        yield (
            "The task names no scope: whatever `policies/envelope.yaml` allows may change, and "
            "while this run builds no other may."
        )
    else:
        yield "Only these paths may change; a change of any other is a breach:"
        yield bullets(code(pattern) for pattern in task.scope)
    if governance:
        near = _near(governance.envelope.protect, task.scope)
        if near:
            yield "Excluded all the same, because they are protected:"
            yield bullets(_shortened(near))


def _near(patterns: tuple[str, ...], scope: tuple[str, ...]) -> tuple[str, ...]:
    """The patterns that could meet the scope; all of them without a scope."""
    if not scope:
        return patterns
    return tuple(p for p in patterns if any(globs.may_overlap(p, each) for each in scope))


def _shortened(patterns: tuple[str, ...]) -> list[str]:
    shown = [code(pattern) for pattern in patterns[:MOST_LISTED]]
    more = len(patterns) - len(shown)
    return [*shown, f"and {more} more"] if more > 0 else shown


def _acceptance(task: Task) -> str:
    if not task.acceptance:
        return "The task has no acceptance items: only the checks judge it."
    return "\n".join(
        f"{number}. {inline(item.text, 500)}\n   - {_proof(item)}"
        for number, item in enumerate(task.acceptance, 1)
    )


def _proof(item: Acceptance) -> str:
    if item.command is None:
        return "no command proves this: a person looks at it"
    return f"proven by {code(item.command, 4000)}"


def constraints(task: Task, governance: Governance) -> Iterator[str]:
    """Sentences of Markdown: what the rules allow, as far as the task could meet it."""
    envelope, budgets = governance.envelope, governance.loop.budgets
    if envelope.write != ("**",):
        yield f"Policy lets tasks change only {', '.join(map(code, envelope.write))}."
    if envelope.new_files != ("**",):
        yield f"New files only at {', '.join(map(code, envelope.new_files))}."
    for check in governance.config.checks:
        if pinned := _near(check.pinned, task.scope):
            names = ", ".join(_shortened(pinned))
            yield f"Pinned by the check {code(check.name)}, taken from main: {names}."
    for step in governance.config.prepare:
        if inputs := _near(step.inputs, task.scope):
            names = ", ".join(_shortened(inputs))
            yield f"Inputs of {code(step.name)}, asked about when changed: {names}."
    yield (
        f"At most {budgets.diff_lines} changed lines in {budgets.diff_files} files, "
        f"{envelope.max_file_bytes} bytes a file."
    )
    yield f"At most {budgets.seconds_per_attempt} seconds an attempt."
    yield from _forbidden(envelope)


def _forbidden(envelope: Envelope) -> Iterator[str]:
    kinds = (
        ("binary files", envelope.binaries),
        ("symbolic links", envelope.symlinks),
        ("submodules", False),
        ("executable bits", envelope.modes),
    )
    names = [name for name, allowed in kinds if not allowed]
    if names:
        yield f"No changes of {', '.join(names)}."


def _risks(task: Task, reading: Reading, governance: Governance | None) -> Iterator[str]:
    if task.risk is Risk.HIGH:
        yield "The task itself says that its risk is high."
    if not task.scope:
        yield "No scope: a mistake can reach every path that policy allows."
    yield from _proof_risks(task)
    tests = [path for path in (reading.writes or task.scope) if _is_test(path)]
    if tests:
        yield f"It may touch tests ({_listed(tests)}): what judges the work could change with it."
    if reading.deletes:
        yield f"The recipe deletes or moves: {_listed(reading.deletes)}."
    if reading.network:
        yield f"The recipe seems to need a network, and has none: {_listed(reading.network)}."
    if away := outside(reading.writes, task.scope):
        yield f"The recipe seems to change paths outside of the scope: {_listed(away)}."
    elif away := outside(reading.mentions, task.scope):
        yield f"The recipe names paths that it may only read, out of scope: {_listed(away)}."
    if governance and (kept := _protected(reading, governance.envelope)):
        yield f"The recipe seems to change protected paths: {_listed(kept)}."


def _proof_risks(task: Task) -> Iterator[str]:
    commands = [item.command for item in task.acceptance if item.command]
    if not commands:
        yield "No acceptance command: nothing but the checks tells whether the work is right."
    elif len(commands) < len(task.acceptance):
        unproven = len(task.acceptance) - len(commands)
        yield f"{unproven} of {len(task.acceptance)} acceptance items have no command."


def _is_test(path: str) -> bool:
    if "*" in path or "?" in path:
        return any(part in ("test", "tests", "__tests__", "spec") for part in path.split("/"))
    return globs.any_match(TEST_FILES, path)


def _protected(reading: Reading, envelope: Envelope) -> list[str]:
    return [p for p in reading.writes if globs.any_match(envelope.protect, p, folded=True)]


def _listed(texts: tuple[str, ...] | list[str], most: int = 5) -> str:
    shown = ", ".join(code(text, 80) for text in texts[:most])
    return f"{shown} and {len(texts) - most} more" if len(texts) > most else shown


def _questions(task: Task, governance: Governance | None) -> Iterator[str]:
    if not task.recipe and not _by_model(governance):
        yield "What is to be done? The task has no `sh recipe` block for the built-in agent."
    if not task.scope:
        yield "Which paths may change? Write `scope:` into the task."
    if not any(item.command for item in task.acceptance):
        yield "How is it proven? End an acceptance item with a command: `: pytest tests/test_x.py`."
    for line in task.description.splitlines():
        if line.rstrip().endswith("?"):
            yield f"From the description: {inline(line, 300)}"


def _by_model(governance: Governance | None) -> bool:
    """Whether an agent with a model builds: it needs no recipe, and carries none out."""
    return governance is not None and governance.config.agents.build.modelled


def _steps(task: Task, governance: Governance | None) -> Iterator[str]:
    """The steps, each a text whose further lines belong to it."""
    blocks = () if _by_model(governance) else task.recipe
    for number, block in enumerate(blocks, 1):
        of = f" {number} of {len(blocks)}" if len(blocks) > 1 else ""
        text = [f"Run the recipe block{of} with `sh -eu` in the sandbox, at the top of the tree."]
        said = read((block,))
        if said.writes:
            text.append(f"By its words it changes {_listed(said.writes)}.")
        if said.deletes:
            text.append(f"It deletes or moves: {_listed(said.deletes)}.")
        yield f"{' '.join(text)}\n\n{fenced(block, 'sh')}"
    if not task.recipe and not _by_model(governance):
        return
    if _by_model(governance):
        yield "The builder, an agent with a model, makes the change that the task describes."
    yield "Compare the tree with the base: scope, protected paths, size, secrets."
    checks = governance.config.checks if governance else ()
    if checks:
        lines = [
            f"- {code(check.name)} ({check.kind}, "
            f"{'after every attempt' if check.fast else 'before a checkpoint'}): "
            f"{code(check.run, 4000)}"
            for check in checks
        ]
        yield "Run the checks:\n\n" + "\n".join(lines)
    commands = [item for item in task.acceptance if item.command]
    if commands:
        lines = [f"- {code(item.command or '', 4000)}: {inline(item.text)}" for item in commands]
        yield "Run the acceptance commands, on the base too:\n\n" + "\n".join(lines)


def _numbered(steps: Iterator[str]) -> Iterator[str]:
    for number, step in enumerate(steps, 1):
        first, *rest = step.split("\n")
        yield f"{number}. {first}"
        yield from (f"   {line}".rstrip() for line in rest)
        yield ""


def _expected(task: Task, reading: Reading) -> Iterator[str]:
    away = set(outside(reading.writes, task.scope))
    named = [path for path in reading.writes if path not in away]
    if named:
        yield bullets(code(path) for path in named)
    elif task.scope:
        yield "No path is named beside the scope, which is all that is known:"
        yield bullets(code(pattern) for pattern in task.scope)
    else:
        yield "Not known: neither the recipe nor the task names a path."


_UNDO = (
    "Until it lands, nothing on main changes: a failed or rejected attempt is simply left behind, "
    "and the next begins on the base again. Afterwards `lifeos revert RUN` takes the work back in "
    "a commit of its own."
)


def _rework(
    task: Task, reading: Reading, feedback: str, governance: Governance | None
) -> Iterator[str]:
    if not feedback.strip():
        yield "Nothing has failed yet."
        return
    yield "What failed last time, or was asked for:"
    yield fenced(feedback)
    if reading.reads_feedback:
        yield (
            "What is different now: the recipe reads this text from `$LIFEOS_FEEDBACK` and can act "
            "on it; it begins on the base again."
        )
    elif _by_model(governance):
        yield "What is different now: the builder is given this text, and has to meet it."
    elif task.recipe:
        yield (
            "What is different now: nothing in the recipe, which does not read `$LIFEOS_FEEDBACK`. "
            "Only a newer base or another environment can change the result; otherwise change the "
            "task in BACKLOG.md."
        )
