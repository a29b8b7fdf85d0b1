"""What must hold between the files where agents with a model are concerned.

Providers and models that no agent uses are allowed: they can be prepared before switching.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lifeos.core.policy.words import AgentKind, SandboxKind

if TYPE_CHECKING:
    from lifeos.core.policy.config import Config
    from lifeos.core.policy.council import Council
    from lifeos.core.policy.envelope import Envelope
    from lifeos.core.policy.loop import Loop
    from lifeos.core.policy.models import Model

LOOP = "policies/loop.yaml"
COUNCIL = "policies/council.yaml"
ENVELOPE = "policies/envelope.yaml"
CONFIG = ".lifeos/config.yaml"

KEY_THAT_OPENS_NOTHING = "${LIFEOS_MODEL_KEY}"
"""What the variable of a key may be set to, for a program that insists on one."""

ROLES_OF: Mapping[str, tuple[str, ...]] = {
    "design": ("design",),
    "plan": ("plan",),
    "build": ("build", "docs"),
    "review": ("review",),
}
"""The roles whose model each agent is given."""


@dataclass(frozen=True)
class Conflict:
    """Two settings that are right alone and wrong together; ``key`` is the one to change."""

    file: str
    key: tuple[str, ...]
    message: str
    fix: str


def modelled(config: Config) -> dict[str, AgentKind]:
    """The agents that work with a model, by what they do: design, plan, build, review."""
    kinds: dict[str, AgentKind] = {name: getattr(config.agents, name) for name in ROLES_OF}
    return {name: kind for name, kind in kinds.items() if kind.modelled}


def models_used(config: Config, council: Council) -> dict[str, tuple[str, ...]]:
    """The models that some agent is given, and for what: roles, `seat NAME`, `shadow NAME`."""
    found: dict[str, list[str]] = {}
    agents = modelled(config)
    for name in agents:
        for role in ROLES_OF[name]:
            found.setdefault(getattr(config.roles, role), []).append(role)
    if "review" in agents:
        for seat, model in council.seats.items():
            found.setdefault(model, []).append(f"seat {seat}")
        for shadow in council.shadow:
            found.setdefault(shadow.model, []).append(f"shadow {shadow.seat}")
    return {model: tuple(uses) for model, uses in found.items()}


def conflicts(
    loop: Loop, council: Council, envelope: Envelope, config: Config
) -> Iterator[Conflict]:
    """What is wrong between agents, models, seats, sandbox, budgets and environment."""
    yield from _of_agents(config)
    yield from _of_wording(loop, config)
    yield from _of_models(config)
    yield from _of_seats(council, config)
    yield from _of_money(loop, council, config)
    yield from _of_keys(envelope, config)
    yield from _of_commands(envelope, config)


def _of_agents(config: Config) -> Iterator[Conflict]:
    agents = modelled(config)
    if agents and config.sandbox is SandboxKind.NONE:
        names = ", ".join(f"agents.{name}" for name in agents)
        yield Conflict(
            CONFIG,
            ("sandbox",),
            f"`sandbox: none` cannot hold an agent with a model ({names}): it could do whatever you"
            " can",
            "write `sandbox: bwrap`, or `recipe` for these agents",
        )
    for name, kind in agents.items():
        if kind is AgentKind.COMMAND and config.command is None:
            yield Conflict(
                CONFIG,
                ("agents", name),
                f"agents.{name} is `command`, and there is no `command:` that says what to start",
                "add `command: {run: ...}`; docs/agents-command.md has two to copy",
            )


def _of_wording(loop: Loop, config: Config) -> Iterator[Conflict]:
    if loop.improve.worded and not config.agents.review.modelled:
        yield Conflict(
            LOOP,
            ("improve", "worded"),
            "improve.worded wants an agent with a model, and agents.review is "
            f"`{config.agents.review}`",
            f"write `worded: false`, or an agent with a model under agents.review in {CONFIG}",
        )


def _of_commands(envelope: Envelope, config: Config) -> Iterator[Conflict]:
    """Only OpenCode says which commands it ran; of another program nobody could tell."""
    if AgentKind.COMMAND in modelled(config).values() and "*" not in envelope.agent.commands:
        yield Conflict(
            ENVELOPE,
            ("agent", "commands"),
            "which commands a program of `command:` runs cannot be seen, so they cannot be limited",
            'write `commands: ["*"]` (the sandbox holds in any case), or use another agent',
        )


def _of_models(config: Config) -> Iterator[Conflict]:
    for name, model in config.models.items():
        if model.provider not in config.providers:
            yield Conflict(
                CONFIG,
                ("models", name, "provider"),
                f"the model `{name}` is of the provider `{model.provider}`, which is not under"
                " `providers`",
                _known(config.providers, f"add `providers: {{{model.provider}: {{url: ...}}}}`"),
            )
    agents = modelled(config)
    users = {role: name for name in agents for role in ROLES_OF[name]}
    for role in type(config.roles).model_fields:
        model_name: str = getattr(config.roles, role)
        # `main` is the default: without an agent that needs it, nobody has asked for it.
        if model_name in config.models or (role not in users and model_name == "main"):
            continue
        why = f"agents.{users[role]} is `{agents[users[role]]}` and" if role in users else ""
        yield Conflict(
            CONFIG,
            ("roles", role),
            f"{why} roles.{role} is the model `{model_name}`, which is not under `models`".strip(),
            _known(config.models, f"add `models: {{{model_name}: {{provider: ..., id: ...}}}}`"),
        )


def _of_seats(council: Council, config: Config) -> Iterator[Conflict]:
    named: list[tuple[tuple[str, ...], str]] = [
        *((("seats", str(seat)), model) for seat, model in council.seats.items()),
        *((("shadow",), shadow.model) for shadow in council.shadow),
    ]
    for key, model in named:
        if model not in config.models:
            yield Conflict(
                COUNCIL,
                key,
                f"`{model}` is not under `models` in {CONFIG}",
                _known(config.models, f"add it to {CONFIG}"),
            )
    if config.agents.review.modelled:
        return
    for name in ("seats", "shadow", "emergency"):
        if getattr(council, name):
            yield Conflict(
                COUNCIL,
                (name,),
                f"`{name}` would have no effect: reviews are by rule (agents.review is `recipe`)",
                f"set `review: opencode` under `agents:` in {CONFIG}, or leave `{name}` empty",
            )


def _of_money(loop: Loop, council: Council, config: Config) -> Iterator[Conflict]:
    if loop.budgets.reserve_per_attempt > 0:
        return
    paid = [
        name
        for name in models_used(config, council)
        if name in config.models and not is_free(config.models[name])
    ]
    if paid:
        yield Conflict(
            LOOP,
            ("budgets", "reserve_per_attempt"),
            "an attempt may spend what was set aside for it, and that is 0: none could call the"
            f" model {', '.join(paid)}",
            "set what one attempt may cost at most, such as 1.0; or give the model"
            " `price: {input: 0, output: 0}` if it costs nothing",
        )


def is_free(model: Model) -> bool:
    """Whether a model is known to cost nothing, as one on a machine of your own."""
    price = model.price
    return price is not None and not (price.input or price.output or price.cached)


def _of_keys(envelope: Envelope, config: Config) -> Iterator[Conflict]:
    if config.forge.secret in envelope.environment:
        yield Conflict(
            ENVELOPE,
            ("environment",),
            f"{config.forge.secret} holds the token of the forge: handed through, it would be"
            " inside the sandbox",
            f"take {config.forge.secret} out of `environment`",
        )
    for variable in config.notify.apprise:
        if variable in envelope.environment:
            yield Conflict(
                ENVELOPE,
                ("environment",),
                f"{variable} holds the address that notices go to: handed through, it would be"
                " inside the sandbox",
                f"take {variable} out of `environment`",
            )
    for name, provider in config.providers.items():
        if not provider.key_env:
            continue
        if provider.key_env in envelope.environment:
            yield Conflict(
                ENVELOPE,
                ("environment",),
                f"{provider.key_env} holds the key of the provider `{name}`: handed through, it"
                " would be inside the sandbox",
                f"take {provider.key_env} out of `environment`; lifeos adds the key outside",
            )
        set_to = config.command.environment.get(provider.key_env) if config.command else None
        if set_to not in {None, KEY_THAT_OPENS_NOTHING}:
            yield Conflict(
                CONFIG,
                ("command", "environment", provider.key_env),
                f"{provider.key_env} holds the key of the provider `{name}`, which never enters the"
                " sandbox",
                f'write `{provider.key_env}: "{KEY_THAT_OPENS_NOTHING}"`; lifeos adds the real one',
            )


def _known(names: Mapping[str, object], otherwise: str) -> str:
    return f"use one of {', '.join(names)}, or {otherwise}" if names else otherwise
