"""The state machine drawn from its own table: a picture and tables for the documentation.

Nothing here is written by hand that the table could say: a stage, outcome, action, answer or class
that changes in `machine.py` or in the default policy changes the page, and a test notices.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from lifeos.core.policy import Loop, Route, Routing
from lifeos.core.state import Outcome
from lifeos.core.table import ANSWERS, REWORK_TARGETS, REWORKED_AT_CLOSE, STAGES, TABLE, next_stage
from lifeos.model import Action, Decision, FailureClass, Stage

ALWAYS = (Action.ESCALATE, Action.TERMINATE, Action.PAUSE)
"""May follow any outcome anywhere; left out of the table so that the rest can be read."""

_INTRO = """\
# The state machine

<!-- Written by docs/build.py from the code; edit there. -->

A run goes through the stages in order. Each attempt at a stage has one outcome; the policy chooses
one of the actions that may follow it, and the record names the rule that chose. What is not on this
page cannot happen: such a record is refused, and nothing changes.
"""

_PICTURE = """\
Not drawn: `retry`, which tries the same stage again. A failed review or landing is reworked from
the plan; trivial rework (`bypass`) goes straight to the build. What a forge has landed already and
is not found good on main is not reworked: the run ends blocked, and a `proposal` asks whether to
take it back.
"""

_ALWAYS = """\
Any outcome may also be followed by `escalate` (a person is asked), `terminate` (the run ends
blocked) or `pause` (the run waits for a time, for main to move, for STOP to go, or for a budget).
"""

_ANSWERS = """\
A checkpoint opens an item in the queue; its state is `CEO_REVIEW`. Reject wins when several answers
arrive, and time never approves. Of what is on main and should perhaps not be, a `proposal` asks
whether to take it back: approve does, reject leaves it, and nothing new begins before that.
"""

_CLASSES = """\
The defaults of `routing` in `policies/loop.yaml`. An action in brackets is what happens where the
class's own cannot: a waiver is asked only where the work is built, and only for the classes in
`waivers`.
"""


def page() -> str:
    """docs/reference/state-machine.md, whole."""
    parts = (
        _INTRO,
        f"```mermaid\n{mermaid()}```\n",
        _PICTURE,
        "## What may follow which outcome\n",
        _ALWAYS,
        outcomes(),
        "## What an answer does\n",
        _ANSWERS,
        answers(),
        "## Failure classes\n",
        _CLASSES,
        classes(Loop(version=1)),
    )
    return "\n".join(parts)


def mermaid() -> str:
    """The stages and what leads from one to another, for GitHub's renderer."""
    lines = ["stateDiagram-v2", '    state "a run" as run {', "        [*] --> design"]
    for stage in STAGES:
        for target, outcomes_there in _edges(stage).items():
            lines.append(f"        {stage} --> {target}: {_listed(outcomes_there)}")
    lines += [
        "        close --> [*]: pass",
        "    }",
        "    run --> CEO_REVIEW: checkpoint, escalate, waive",
        "    CEO_REVIEW --> run: approve, revise",
        "    run --> paused: pause",
        "    paused --> run: time, main, STOP gone",
        "    CEO_REVIEW --> ended: reject",
        "    run --> ended: terminate, cancel",
        "    ended --> [*]",
    ]
    return "\n".join(lines) + "\n"


def _edges(stage: Stage) -> Mapping[Stage, Sequence[str]]:
    """The stages that an attempt at this one can lead to, each with the outcomes that do."""
    edges: dict[Stage, list[str]] = {}
    for (where, outcome), actions in TABLE.items():
        if where is not stage:
            continue
        if Action.ADVANCE in actions:
            edges.setdefault(next_stage(stage), []).append(str(outcome))
        if Action.REWORK in actions:
            # Ten failures of the merged tree are one word in the picture.
            merged = stage is Stage.CLOSE and outcome in REWORKED_AT_CLOSE
            for target in sorted(REWORK_TARGETS[stage], key=STAGES.index):
                word = "conflict, red checks" if merged else str(outcome)
                bypass = f"{word} (bypass)" if _is_bypass(stage, target) else word
                if bypass not in edges.setdefault(target, []):
                    edges[target].append(bypass)
    return edges


def _is_bypass(stage: Stage, target: Stage) -> bool:
    return target is Stage.BUILD and Stage.PLAN in REWORK_TARGETS[stage]


def outcomes() -> str:
    """One row for the outcomes that behave alike: where, and what may follow."""
    alike: dict[tuple[tuple[Stage, ...], frozenset[Action]], list[Outcome]] = {}
    for outcome in dict.fromkeys(outcome for _, outcome in TABLE):
        by_actions: dict[frozenset[Action], list[Stage]] = {}
        for stage in STAGES:
            if (stage, outcome) in TABLE:
                actions = TABLE[stage, outcome] - set(ALWAYS)
                by_actions.setdefault(actions, []).append(stage)
        for actions, stages in by_actions.items():
            alike.setdefault((tuple(stages), actions), []).append(outcome)
    rows = [
        (_coded(outcomes_here), _stages(stages), _coded(a for a in Action if a in actions) or "-")
        for (stages, actions), outcomes_here in alike.items()
    ]
    return table(("outcome", "at", "may be followed by"), rows)


def _stages(stages: Sequence[Stage]) -> str:
    return "every stage" if set(stages) == set(STAGES) else _coded(stages)


def answers() -> str:
    """What each answer to each kind of item does."""
    rows = [
        (f"`{kind}`", *(row.get(decision, "-") for decision in Decision))
        for kind, row in ANSWERS.items()
    ]
    return table(("item", *(str(decision) for decision in Decision)), rows)


def classes(loop: Loop) -> str:
    """Every failure class: what it is, its retries, and its end."""
    rows = [
        (
            f"`{failure}`",
            _described(failure),
            str(loop.routing.route(failure).retries),
            _end(failure, loop),
        )
        for failure in FailureClass
    ]
    return table(("class", "what it is", "retries", "then"), rows)


def _described(failure: FailureClass) -> str:
    return Routing.model_fields[failure.value].description or ""


def _end(failure: FailureClass, loop: Loop) -> str:
    route: Route = loop.routing.route(failure)
    text = f"`{route.then}`"
    if route.then is Action.PAUSE and failure is FailureClass.BUDGET_EXCEEDED:
        return f"{text} and ask"
    if route.then is Action.PAUSE:
        return f"{text} for {route.backoff} s"
    if route.then is Action.WAIVE:
        return f"{text} (`{Action.ESCALATE}`)"
    return text


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)


def _coded(words: Iterable[str]) -> str:
    return ", ".join(f"`{word}`" for word in words)


def _listed(words: Iterable[str]) -> str:
    return ", ".join(words)
