"""Whether the agents with a model can be started here: their programs and their keys.

Looked at before anything is claimed. A missing key is nobody's failure: no attempt is begun, the
tick says what to do, and everything else goes on. The same holds for a task that is grave by its
own words, where the rules have no reviewer who could be independent.
"""

from __future__ import annotations

from collections.abc import Mapping

from lifeos.agents import program_of
from lifeos.core.backlog.entry import Task
from lifeos.core.council import AurType, at_least, measure, seats, select_mode
from lifeos.core.hearing import NEXT_INDEPENDENT, not_independent, seated
from lifeos.core.policy import Governance
from lifeos.core.policy.council import ChangeClass
from lifeos.core.table import REVIEWS
from lifeos.errors import Place, Problem, UsageError
from lifeos.model import Risk, Stage
from lifeos.tick.modelled import route_of

_FILE = ".lifeos/config.yaml"


def unready(
    governance: Governance, environ: Mapping[str, str]
) -> tuple[frozenset[Stage], tuple[Problem, ...]]:
    """The stages whose agent cannot be started, and each reason once."""
    found: dict[str, Problem] = {}
    stages = set()
    for stage in Stage:
        for problem in _of_stage(governance, stage, environ):
            stages.add(stage)
            found.setdefault(str(problem), problem)
    return frozenset(stages), tuple(found.values())


def unreviewable(rules: Governance, task: Task) -> Problem | None:
    """Why no review of this task could be held by these rules, as far as its text tells.

    A design and a plan are judged by the task's scope and tags; of a build only what any change
    within the scope touches is known. What is only measured, the review finds out.
    """
    config, council = rules.config, rules.council
    if not config.agents.review.modelled or council.emergency:
        return None
    risk = task.risk or Risk.LOW
    scoped = measure((), task.tags, risk, task.scope, council, aur_type=AurType.PLAN)
    docs = bool(task.scope) and scoped.change_class is ChangeClass.DOCS
    builder = config.roles.docs if docs else config.roles.build
    for kind, role, header in (
        (config.agents.design, config.roles.design, scoped),
        (config.agents.plan, config.roles.plan, scoped),
        (config.agents.build, builder, at_least(task.tags, task.scope, council)),
    ):
        if not kind.modelled:
            continue
        mode, _ = select_mode(header, has_scope=bool(task.scope))
        sitters = seated(seats(mode, header, council), council, config)
        problem = not_independent(header, sitters, config.models[role].family)
        if problem:
            message = f"{task.id or task.title} is not begun, no review could be held: {problem}"
            return Problem(Place("BACKLOG.md", task.line), message, NEXT_INDEPENDENT)
    return None


def _of_stage(
    governance: Governance, stage: Stage, environ: Mapping[str, str]
) -> tuple[Problem, ...]:
    config = governance.config
    kind = config.agents.adapter(stage)
    if kind is None or not kind.modelled:
        return ()
    missing = program_of(kind, config).problem()
    problems = [missing] if missing else []
    names = config.roles.models(stage)
    if stage in REVIEWS:
        names = (*names, *governance.council.seats.values())
    for name in names:
        try:
            route_of(governance, environ, name)
        except UsageError as error:
            problems.append(Problem(Place(_FILE), error.message, error.fix))
    return tuple(problems)
