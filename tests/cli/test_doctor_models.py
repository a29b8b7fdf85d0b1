"""``lifeos doctor`` and models: program, key, provider, price, council; each fault by its name."""

from __future__ import annotations

import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from loop_scene import Settings, begin_scene
from scripted_model import Script, ScriptedModel, Step, error, text, tool
from told import Said, lifeos

KEY = "key-for-the-tests-0123456789"
PRICE = {"input": 3, "output": 15}
GOOD = tool("ok")


def rules(url: str, price: object = PRICE, **more: object) -> dict[str, object]:
    """A build by a program of ours, with one model at ``url``. Everything else by default."""
    return {
        "config.sandbox": "bwrap",
        "config.agents.build": "command",
        "config.command": {"run": "true"},
        "config.providers": {"here": {"url": url, "key_env": "HERE_KEY"}},
        "config.models": {
            "main": {"provider": "here", "id": "vendor/model", "family": "vendor", "price": price}
        },
        **more,
    }


def examined(folder: Path, settings: Settings, *options: str, key: str = KEY) -> tuple[Said, Any]:
    """What doctor says of a new repository with these rules: its lines by name."""
    scene = begin_scene(folder, settings)
    environ = {"HERE_KEY": key} if key else {}
    said = lifeos(scene.folder, "doctor", "--json", *options, **environ)
    assert KEY not in said.out + said.err
    data = said.data("doctor")
    assert said.code == (0 if data["good"] else 1)
    found: dict[str, list[Any]] = {}
    for line in data["lines"]:
        assert line["level"] == "ok" or line["fix"], line
        found.setdefault(line["name"], []).append(line)
    return said, found


@contextmanager
def answering(step: Step) -> Iterator[ScriptedModel]:
    """A model on loopback that does this, whatever it is asked."""
    script: Script = lambda _turn: step  # noqa: E731 - a script is a value
    with ScriptedModel(script) as model:
        yield model


def test_a_model_that_works_is_called_once_with_its_key(tmp_path: Path) -> None:
    """One call, whatever it is used for; family, price and use are said."""
    with answering(GOOD) as model:
        _, lines = examined(tmp_path / "repo", rules(model.url))
        assert len(model.requests) == 1
        assert model.requests[0].headers["authorization"] == f"Bearer {KEY}"
    (call,), (about,) = lines["call"], lines["model"]
    assert call["level"] == "ok"
    assert "calls functions and counts its tokens" in call["said"]
    assert "HERE_KEY is set" in call["said"]
    assert about["said"] == (
        "main: vendor/model of here, family vendor, for build, docs; "
        "$3 in, $15 out per million tokens"
    )


@pytest.mark.parametrize(
    ("step", "said", "fix"),
    [
        (error(401), "does not accept the key (401)", "set $HERE_KEY"),
        (error(404), "does not know the model vendor/model", "correct `models: main: id:`"),
        (error(429), "refuses more requests for now (429)", "or wait"),
        (error(402), "has no credit left (402)", "add credit"),
        (error(503), "is not able to answer now (503)", "or wait"),
        (
            error(400, {"error": {"message": "this model does not support tools"}}),
            "takes no tools",
            "choose another `id:`",
        ),
    ],
)
def test_what_is_wrong_is_told_apart(tmp_path: Path, step: Step, said: str, fix: str) -> None:
    """Key, model, limit, credit, outage, tools: each with its own fix, and exit 1."""
    with answering(step) as model:
        ended, lines = examined(tmp_path / "repo", rules(model.url))
    (call,) = lines["call"]
    assert (ended.code, call["level"]) == (1, "fail")
    assert said in call["said"]
    assert fix in call["fix"]


def test_nothing_listens(tmp_path: Path) -> None:
    """The address is named, and what to look at."""
    with socket.socket() as place:
        place.bind(("127.0.0.1", 0))  # taken, and never listening
        url = f"http://127.0.0.1:{place.getsockname()[1]}/v1"
        ended, lines = examined(tmp_path / "repo", rules(url))
    assert ended.code == 1
    assert f"cannot be reached at {url}" in lines["call"][0]["said"]
    assert "check the network and the address" in lines["call"][0]["fix"]


def test_a_key_that_is_not_set(tmp_path: Path) -> None:
    """Nothing is called without it, and the variable is named."""
    with answering(GOOD) as model:
        ended, lines = examined(tmp_path / "repo", rules(model.url), key="")
        assert model.requests == []
    assert ended.code == 1
    assert "HERE_KEY is not set" in lines["key"][0]["said"]
    assert "export HERE_KEY" in lines["key"][0]["fix"]


def test_offline_calls_nobody(tmp_path: Path) -> None:
    """The rest is still looked at."""
    with answering(error(500)) as model:
        _, lines = examined(tmp_path / "repo", rules(model.url), "--offline")
        assert model.requests == []
    assert lines["call"][0]["said"].endswith("not called (--offline)")
    assert "family vendor" in lines["model"][0]["said"]


@pytest.mark.parametrize(
    ("step", "said"),
    [
        (text("ok"), "it was offered a function and did not call it"),
        (GOOD.uncounted(), "it does not say how many tokens it used"),
    ],
)
def test_what_may_be_in_the_way_is_a_warning(tmp_path: Path, step: Step, said: str) -> None:
    """It works, with a doubt."""
    with answering(step) as model:
        _, lines = examined(tmp_path / "repo", rules(model.url))
    assert lines["call"][0]["level"] == "warn"
    assert said in lines["call"][0]["said"]


def test_a_cost_that_nobody_tells(tmp_path: Path) -> None:
    """By default the model cannot be used; a provider that tells its cost, or a rule, mends it."""
    with answering(GOOD) as model:
        ended, lines = examined(tmp_path / "one", rules(model.url, price=None))
        assert (ended.code, lines["call"][0]["level"]) == (1, "fail")
        assert "nobody says what the model 'main' costs" in lines["call"][0]["said"]
        assert "else the call is refused" in lines["model"][0]["said"]
        estimate = {"envelope.agent.unknown_price": "estimate"}
        _, lines = examined(tmp_path / "two", rules(model.url, price=None, **estimate))
        assert lines["call"][0]["level"] == "warn"
        assert "counts as a high estimate" in lines["call"][0]["said"]
    with answering(GOOD.using(100, 20, cost=0.01)) as model:
        _, lines = examined(tmp_path / "three", rules(model.url, price=None))
        assert lines["call"][0]["level"] == "ok"


def test_a_model_of_ones_own_needs_no_key_and_costs_nothing(tmp_path: Path) -> None:
    """As with a server on this machine."""
    with answering(GOOD) as model:
        free = rules(model.url, price={"input": 0, "output": 0})
        free["config.providers"] = {"here": {"url": model.url}}
        _, lines = examined(tmp_path / "repo", free, key="")
        assert "authorization" not in model.requests[0].headers
    assert "no key is needed" in lines["call"][0]["said"]
    assert "costs nothing" in lines["model"][0]["said"]


def test_the_other_protocol(tmp_path: Path) -> None:
    """`wire: messages` is another path, and another header for the key."""
    with answering(GOOD) as model:
        settings = rules(model.url)
        settings["config.providers"] = {
            "here": {"url": model.url, "key_env": "HERE_KEY", "wire": "messages"}
        }
        _, lines = examined(tmp_path / "repo", settings)
        assert [asked.path for asked in model.requests] == ["/v1/messages"]
        assert model.requests[0].headers["x-api-key"] == KEY
    assert lines["call"][0]["level"] == "ok"


def test_the_program_of_an_agent_is_looked_for(tmp_path: Path) -> None:
    """Not on the PATH: how to get it. The model is looked at all the same."""
    settings = rules("http://127.0.0.1:9/v1", **{"config.agents.build": "opencode"})
    nowhere = tmp_path / "bin"
    nowhere.mkdir()
    for program in ("git", "bwrap", "sh"):
        found = shutil.which(program)
        if found:
            (nowhere / program).symlink_to(found)
    scene = begin_scene(tmp_path / "repo", settings)
    said = lifeos(scene.folder, "doctor", "--json", "--offline", PATH=str(nowhere), HERE_KEY=KEY)
    lines = {line["name"]: line for line in said.data("doctor")["lines"]}
    assert said.code == 1
    assert "OpenCode is not installed" in lines["agent"]["said"]
    assert "opencode-ai@" in lines["agent"]["fix"]
    assert lines["call"]["level"] == "ok"


def reviewed(url: str, family: str, seats: dict[str, str], **more: object) -> dict[str, object]:
    """A council beside the build, with a second model of this family."""
    one = {"provider": "here", "price": PRICE}
    both = {
        "main": {**one, "id": "vendor/model", "family": "vendor"},
        "other": {**one, "id": "other/model", "family": family},
    }
    return rules(
        url,
        **{
            "config.agents.plan": "command",
            "config.agents.review": "command",
            "config.models": both,
            "council.seats": seats,
            **more,
        },
    )


@pytest.mark.parametrize(
    ("family", "seats", "emergency", "level", "said"),
    [
        ("other", {"risk_adversarial": "other"}, None, "ok", "families other, vendor"),
        ("vendor", {"risk_adversarial": "other"}, None, "warn", "no review of a grave change"),
        ("", {"governance": "other"}, None, "warn", "no review of a grave change"),
        ("other", {"testing": "other"}, None, "warn", "no review of a grave change"),
        ("", {"governance": "other"}, "one key only", "warn", "emergency rule: one key only"),
    ],
)
def test_whether_the_council_can_be_independent(
    tmp_path: Path,
    family: str,
    seats: dict[str, str],
    emergency: str | None,
    level: str,
    said: str,
) -> None:
    """Risk or governance on another known family than the builder's; the fix is named."""
    settings = reviewed("http://127.0.0.1:9/v1", family, seats, **{"council.emergency": emergency})
    _, lines = examined(tmp_path / "repo", settings, "--offline")
    (council,) = lines["council"]
    assert "plan" not in lines
    assert council["level"] == level
    assert said in council["said"]
    assert [line["said"].partition(":")[0] for line in lines["call"]] == ["main", "other"]


def test_models_that_no_agent_uses_are_not_called(tmp_path: Path) -> None:
    """They may be prepared before switching."""
    with answering(error(500)) as model:
        _, lines = examined(
            tmp_path / "repo", rules(model.url, **{"config.agents.build": "recipe"})
        )
        assert model.requests == []
    assert lines["models"][0]["said"] == "main: configured, and no agent uses one yet"
    assert "call" not in lines


def test_no_key_is_sent_by_rules_that_nobody_adopted(tmp_path: Path) -> None:
    """Else whoever can write to main names an address of their own, and is sent the key."""
    with answering(GOOD) as model, answering(GOOD) as thief:
        scene = begin_scene(tmp_path / "repo", rules(model.url))
        scene.environ["HERE_KEY"] = KEY
        scene.tick()
        asked = len(model.requests)
        name = ".lifeos/config.yaml"
        scene.commit(scene.edit(name, model.url, thief.url), author="eve@example.org")
        said = lifeos(scene.folder, "doctor", "--json", HERE_KEY=KEY)
        assert not thief.requests
        assert len(model.requests) == asked
    (call,) = [line for line in said.data("doctor")["lines"] if line["name"] == "call"]
    assert call["level"] == "warn"
    assert "not known to be adopted" in call["said"]
