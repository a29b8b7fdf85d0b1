"""Agents, models, seats, sandbox and money fit together, or the set is refused with its place."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from lifeos.core.policy import FILES
from lifeos.core.policy.config import Config
from lifeos.core.policy.council import Council
from lifeos.core.policy.fitting import models_used
from lifeos.governance import load_set
from lifeos.initial import render_init

CONFIG = ".lifeos/config.yaml"
COUNCIL = "policies/council.yaml"
ENVELOPE = "policies/envelope.yaml"
LOOP = "policies/loop.yaml"

ALL = {"design": "opencode", "plan": "opencode", "build": "opencode", "review": "opencode"}
HOSTED = {"url": "https://models.example.org/v1", "key_env": "HOSTED_KEY"}
MAIN = {"provider": "hosted", "id": "vendor/model", "price": {"input": 3, "output": 15}}
OTHER = {**MAIN, "id": "other/model"}
FREE = {**MAIN, "price": {"input": 0, "output": 0}}
WORKS: Mapping[str, Any] = {
    "agents": ALL,
    "providers": {"hosted": HOSTED},
    "models": {"main": MAIN, "other": OTHER},
}


def files(**changed: Mapping[str, Any]) -> dict[str, bytes]:
    """The files that init writes; of those named (config, council ...) only this, a key a line."""
    found = dict(render_init("Ann", "ann@example.invalid", "main", ()))
    paths = {path.rpartition("/")[2].removesuffix(".yaml"): path for path in FILES}
    for name, settings in changed.items():
        lines = [f"{key}: {json.dumps(value)}" for key, value in {"version": 1, **settings}.items()]
        found[paths[name]] = "\n".join(lines).encode() + b"\n"
    return found


def line_of(data: bytes, text: str) -> int:
    """The line, from 1, on which a key stands."""
    return next(n for n, line in enumerate(data.decode().split("\n"), 1) if line.startswith(text))


def without(name: str, **more: Any) -> dict[str, Any]:
    """The configuration that works, without one setting, and with others."""
    return {key: value for key, value in {**WORKS, **more}.items() if key != name}


def test_what_the_documents_show_works() -> None:
    """Three lines for one provider, and a council on two families beside it."""
    council = {
        "seats": {"risk": "other"},
        "shadow": [{"seat": "risk", "model": "main"}],
        "emergency": "the other family is down",
    }
    assert load_set(files(config=WORKS, council=council)).problems == ()


def test_providers_and_models_can_be_there_before_an_agent_uses_them() -> None:
    """Also under other names than main, without a sandbox, and with nothing set aside."""
    config = {**WORKS, "agents": {}, "sandbox": "none", "models": {"big": MAIN}}
    nothing = {"budgets": {"reserve_per_attempt": 0}}
    assert load_set(files(config=config, loop=nothing)).problems == ()


def test_a_program_that_insists_on_a_key_gets_one_that_opens_nothing() -> None:
    """The variable of the real key may be set to it."""
    command = {"run": "x", "environment": {"HOSTED_KEY": "${LIFEOS_MODEL_KEY}"}}
    assert load_set(files(config={**WORKS, "command": command})).problems == ()


def test_a_model_that_costs_nothing_needs_nothing_set_aside() -> None:
    """Only a price of 0 says so: a model without a price may cost anything."""
    config = {**WORKS, "models": {"main": FREE}}
    loop = {"budgets": {"reserve_per_attempt": 0}}
    assert load_set(files(config=config, loop=loop)).problems == ()
    unknown = {key: value for key, value in MAIN.items() if key != "price"}
    config = {**WORKS, "models": {"main": unknown}}
    (problem,) = load_set(files(config=config, loop=loop)).problems
    assert "none could call the model main" in problem.message


@pytest.mark.parametrize(
    ("changed", "file", "line", "said", "fix"),
    [
        (
            {"config": {**WORKS, "sandbox": "none"}},
            CONFIG,
            "sandbox",
            "cannot hold an agent with a model (agents.design, agents.plan, agents.build,"
            " agents.review)",
            "write `sandbox: bwrap`",
        ),
        (
            {"config": {**WORKS, "agents": {"build": "command"}}},
            CONFIG,
            "agents",
            "agents.build is `command`, and there is no `command:`",
            "add `command: {run: ...}`",
        ),
        (
            {"config": {"agents": {"plan": "opencode"}}},
            CONFIG,
            "version",
            "agents.plan is `opencode` and roles.plan is the model `main`, which is not",
            "add `models: {main: {provider: ..., id: ...}}`",
        ),
        (
            {"config": {**WORKS, "roles": {"review": "oter"}}},
            CONFIG,
            "roles",
            "agents.review is `opencode` and roles.review is the model `oter`",
            "use one of main, other, or add",
        ),
        (
            {"config": {**WORKS, "agents": {}, "roles": {"docs": "oter"}}},
            CONFIG,
            "roles",
            "roles.docs is the model `oter`, which is not under `models`",
            "use one of main, other, or add",
        ),
        (
            {"config": without("providers")},
            CONFIG,
            "models",
            "the model `main` is of the provider `hosted`, which is not under `providers`",
            "add `providers: {hosted: {url: ...}}`",
        ),
        (
            {"config": WORKS, "council": {"seats": {"risk": "oter"}}},
            COUNCIL,
            "seats",
            "`oter` is not under `models`",
            "use one of main, other",
        ),
        (
            {"config": WORKS, "council": {"shadow": [{"seat": "risk", "model": "oter"}]}},
            COUNCIL,
            "shadow",
            "`oter` is not under `models`",
            "use one of main, other",
        ),
        *(
            (
                {"config": {**WORKS, "agents": {"build": "opencode"}}, "council": {name: value}},
                COUNCIL,
                name,
                f"`{name}` would have no effect: reviews are by rule",
                "set `review: opencode`",
            )
            for name, value in (
                ("seats", {"risk": "other"}),
                ("shadow", [{"seat": "risk", "model": "other"}]),
                ("emergency", "there is only one model"),
            )
        ),
        (
            {"config": WORKS, "loop": {"budgets": {"reserve_per_attempt": 0}}},
            LOOP,
            "budgets",
            "none could call the model main",
            "set what one attempt may cost",
        ),
        (
            {"config": WORKS, "envelope": {"environment": ["LANG", "HOSTED_KEY"]}},
            ENVELOPE,
            "environment",
            "HOSTED_KEY holds the key of the provider `hosted`",
            "take HOSTED_KEY out",
        ),
        (
            {"config": {**WORKS, "command": {"run": "x", "environment": {"HOSTED_KEY": "k"}}}},
            CONFIG,
            "command",
            "HOSTED_KEY holds the key of the provider `hosted`",
            'write `HOSTED_KEY: "${LIFEOS_MODEL_KEY}"`',
        ),
        (
            {
                "config": {**WORKS, "agents": {"build": "command"}, "command": {"run": "x"}},
                "envelope": {"agent": {"commands": ["pytest *"]}},
            },
            ENVELOPE,
            "agent",
            "they cannot be limited",
            'write `commands: ["*"]`',
        ),
        (
            {
                "config": {**WORKS, "agents": {"build": "opencode"}},
                "loop": {"improve": {"worded": True}},
            },
            LOOP,
            "improve",
            "improve.worded wants an agent with a model, and agents.review is `recipe`",
            "write `worded: false`",
        ),
    ],
)
def test_what_does_not_fit_is_refused_with_its_line_and_fix(
    changed: dict[str, Mapping[str, Any]], file: str, line: str, said: str, fix: str
) -> None:
    """One setting each; nothing can be adopted until it is mended."""
    written = files(**changed)
    loaded = load_set(written)
    assert loaded.governance is None
    matching = [problem for problem in loaded.problems if said in problem.message]
    assert matching, loaded.problems
    assert fix in matching[0].fix
    assert (matching[0].place.file, matching[0].place.line) == (file, line_of(written[file], line))
    assert matching == list(loaded.problems) or line in {"models"}  # both models lack it


def test_models_are_listed_with_what_they_are_used_for() -> None:
    """The build's model works where only documents change too, unless `docs` names another."""
    config = Config.model_validate(
        {"version": 1, **WORKS, "agents": {"build": "opencode", "review": "command"}}
    )
    council = Council.model_validate(
        {
            "version": 1,
            "seats": {"risk": "other"},
            "shadow": [{"seat": "testing", "model": "other"}],
        }
    )
    assert models_used(config, council) == {
        "main": ("build", "docs", "review"),
        "other": ("seat risk", "shadow testing"),
    }
