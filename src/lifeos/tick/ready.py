"""Whether the agents with a model can be started here: their programs and their keys.

Looked at before anything is claimed. A missing key is nobody's failure: no attempt is begun, the
tick says what to do, and everything else goes on.
"""

from __future__ import annotations

from collections.abc import Mapping

from lifeos.agents import program_of
from lifeos.core.policy import Governance
from lifeos.core.table import REVIEWS
from lifeos.errors import Place, Problem, UsageError
from lifeos.model import Stage
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
