"""The models that agents work with: program, key, provider, price, and who judges whom."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from lifeos.cli.adopted import adopted
from lifeos.cli.health import Line, fail, ok, warn
from lifeos.core.policy.fitting import is_free, modelled, models_used
from lifeos.core.policy.models import UnknownPrice
from lifeos.core.policy.words import AgentKind
from lifeos.errors import LifeosError

if TYPE_CHECKING:
    from lifeos.core.policy import Governance
    from lifeos.core.policy.models import Model
    from lifeos.proxy import Route
    from lifeos.store.repo import Repo

_CONFIG = ".lifeos/config.yaml"
_COUNCIL = "council"


def models(
    repo: Repo, rules: Governance, environ: Mapping[str, str], *, offline: bool
) -> Iterator[Line]:
    """Everything about agents with a model; nothing where no agent has one.

    Unless ``offline``, each route that is used gets one cheap call. No key is ever shown.
    """
    agents = modelled(rules.config)
    if not agents:
        if rules.config.models:
            names = ", ".join(rules.config.models)
            yield ok("models", f"{names}: configured, and no agent uses one yet")
        return
    yield from _programs(rules)
    known = offline or adopted(repo, rules)
    for name, uses in models_used(rules.config, rules.council).items():
        yield _priced(rules, name, uses)
        if known:
            yield _called(rules, environ, name, offline=offline)
        else:
            # Whoever could name another address there would be sent the key.
            said = f"{name}: main's rules are not known to be adopted: no key is sent by them"
            yield warn("call", said, "lifeos tick adopts them, or asks an approver; then again")
    if "review" in agents:
        yield _independence(rules)


def _programs(rules: Governance) -> Iterator[Line]:
    """Whether the programs of the agents are here, in a version that is known to work."""
    from lifeos.agents import program_of

    agents = modelled(rules.config)
    for kind in dict.fromkeys(agents.values()):
        stages = ", ".join(name for name, its in agents.items() if its is kind)
        try:
            problem = program_of(kind, rules.config).problem()
        except LifeosError as error:
            yield fail("agent", f"{kind} ({stages}): {error.message}", error.fix)
            continue
        if problem is not None:
            yield fail("agent", f"{kind} ({stages}): {problem.message}", problem.fix)
        else:
            yield ok("agent", f"{kind} ({stages}): {_found(kind)}")
        if kind is AgentKind.OPENCODE:
            yield from _search()


def _search() -> Iterator[Line]:
    """OpenCode searches with ripgrep, which it could not fetch from inside of the sandbox."""
    from lifeos.agents.opencode_install import ripgrep

    if ripgrep(os.environ) is None:
        said = "ripgrep is missing: OpenCode reads files, and cannot search in them"
        yield warn("search", said, "install it: apt-get install ripgrep, or brew install ripgrep")


def _found(kind: AgentKind) -> str:
    """What is there of a program that can be started."""
    if kind is not AgentKind.OPENCODE:
        return "its settings can be used; whether its command line works, an attempt will show"
    from lifeos.agents.opencode_install import Found, find

    found = find(None, os.environ)
    return f"{found.version} at {found.binary}" if isinstance(found, Found) else "is here"


def _priced(rules: Governance, name: str, uses: tuple[str, ...]) -> Line:
    """What a model is, what it is for, and how its cost will be known."""
    model = rules.config.models[name]
    family = f"family {model.family}" if model.family else "family unknown"
    said = f"{name}: {model.id} of {model.provider}, {family}, for {', '.join(uses)}"
    return ok("model", f"{said}; {_price(model, rules.envelope.agent.unknown_price)}")


def _price(model: Model, unknown: UnknownPrice) -> str:
    if is_free(model):
        return "costs nothing"
    if model.price is not None:
        return f"${model.price.input:g} in, ${model.price.output:g} out per million tokens"
    if unknown is UnknownPrice.ESTIMATE:
        return "its price is what the provider says of each call, else a high estimate"
    return "its price is what the provider says of each call, else the call is refused"


def _called(rules: Governance, environ: Mapping[str, str], name: str, *, offline: bool) -> Line:
    """Whether the key is there, and what one cheap call says."""
    from lifeos.tick.modelled import route_of

    try:
        route = route_of(rules, environ, name)
    except LifeosError as error:
        return fail("key", f"{name}: {error.message}", error.fix)
    key = f"the key in {route.provider.key_env} is set" if route.key else "no key is needed"
    if offline:
        return ok("call", f"{name}: {key}; not called (--offline)")
    return _answered(rules, route, key)


def _answered(rules: Governance, route: Route, key: str) -> Line:
    from lifeos.proxy.probe import probe

    found = probe(route, time.time)
    # Attempts may still use it where the rules let a cost be estimated.
    unpriced = found.usage_reported is not None and not found.cost_by
    estimated = unpriced and rules.envelope.agent.unknown_price is UnknownPrice.ESTIMATE
    if found.problem and not estimated:
        return fail("call", f"{route.name}: {found.problem}", found.fix)
    said = f"{route.name}: answered in {found.seconds:.1f} s, {key}"
    doubts = []
    if not found.tools:
        doubts.append("it was offered a function and did not call it")
    if not found.usage_reported:
        doubts.append("it does not say how many tokens it used: lifeos counts them by size")
    if estimated:
        doubts.append("nobody says what it costs: each call counts as a high estimate")
    if not doubts:
        return ok("call", f"{said}; it calls functions and counts its tokens")
    fix = "see whether an attempt works with it, or choose another model"
    if estimated:
        fix = f"write `price:` under `models: {route.name}:` in {_CONFIG} (0 for a free one)"
    return warn("call", f"{said}; {', and '.join(doubts)}", fix)


def _independence(rules: Governance) -> Line:
    """Whether a grave change can have a reviewer of another model family than its builder's."""
    from lifeos.core.council import Header
    from lifeos.core.hearing import NEXT_INDEPENDENT, not_independent, seated
    from lifeos.core.policy.council import Touch
    from lifeos.model import Mode

    config, council = rules.config, rules.council
    sitters = seated(council.modes.seats(Mode.M2), council, config)
    families = ", ".join(sorted({sitter.family or "unknown" for sitter in sitters.values()}))
    builder = config.models[config.roles.build].family if config.agents.build.modelled else None
    problem = not_independent(Header(touches=(Touch.GOVERNANCE,)), sitters, builder)
    if not problem:
        who = "the builder has no model" if builder is None else f"the builder's is {builder}"
        return ok(_COUNCIL, f"independent where it is grave: families {families}; {who}")
    if council.emergency:
        said = f"not independent, and goes on by the emergency rule: {council.emergency}"
        return warn(_COUNCIL, said, "take `emergency:` out once another model family is there")
    said = f"no review of a grave change can be held: when {problem}"
    return warn(_COUNCIL, said, NEXT_INDEPENDENT)
