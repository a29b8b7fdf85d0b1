"""The settings of agents with a model: changing one alone changes what happens.

Each entry of ``EFFECTS`` is played twice, with the setting as it was before and with the setting
changed, on the smallest real thing that shows it: the model proxy before a scripted model, a
command in the sandbox, a sitting of the council, or a whole tick with a small agent that obeys the
scripted model. ``tests/test_settings.py`` knows all settings there are, and asks that each is here
or there.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from conftest import EMAIL
from lifeos.agents.command import Command
from lifeos.agents.opencode import Watch, environment
from lifeos.agents.program import Call, Said
from lifeos.agents.shipped import prompt as shipped
from lifeos.bubblewrap import Bubblewrap
from lifeos.core.commandlines import foreign_commands
from lifeos.core.policy import Governance
from lifeos.core.policy.models import Wire
from lifeos.core.receipt import AgentFacts
from lifeos.core.records import Finished
from lifeos.core.review import Review
from lifeos.core.state import Claim
from lifeos.governance import load_set
from lifeos.initial import render_init
from lifeos.model import FailureClass, Stage, Usage, Verdict
from lifeos.proxy import Door, Meter, opened
from lifeos.tick.attempt import Job
from lifeos.tick.modelled import allowance_of, route_of
from lifeos.tick.ready import unready
from lifeos.tick.sitting import Sitting
from loop_scene import Scene, Settings, begin_scene, governance_with
from proxy_scene import PATHS
from scripted_model import ScriptedModel, Step, Turn, steps, text, tool
from scripted_team import Team, design, role_of
from test_sitting import GRAVE, Scripted
from test_sitting import Scene as Council
from test_sitting import reply as seat_reply

KEYS = {"TEAM_KEY": "k-secret", "OTHER_KEY": "k-other"}
STAND_IN = Path(__file__).parent / "agents/stand_in.py"
BACKLOG = """\
# Backlog

- [ ] **LO-aaaaaa** Say hello in the guide #docs
  - scope: `{scope}`
  - risk: low

  It is to say hello.

  Acceptance:
  - [ ] it says hello: `grep -q hello {file}`

  ```sh recipe
  mkdir -p {folder} && echo hello > {file}
  ```
"""
DOCS = BACKLOG.format(scope="docs/**", folder="docs", file="docs/guide.md")
CODE = BACKLOG.format(scope="src/**", folder="src", file="src/x.txt")


@dataclass
class Place:
    """Where one setting is looked at: the rules, a folder, and two models to ask."""

    settings: Settings
    folder: Path
    first: ScriptedModel
    second: ScriptedModel

    @property
    def governance(self) -> Governance:
        """The rules, as they are loaded from their files."""
        files = {path: data.encode() for path, data in governance_with(self.settings).items()}
        loaded = load_set({**render_init("Ann", EMAIL, "main", ()), **files})
        assert loaded.governance is not None, loaded.problems
        return loaded.governance

    def job(self) -> Job:
        """A build that nothing was used for yet."""
        claim = Claim(
            stage=Stage.BUILD, n=1, nonce="n", worker="w", lease_until=0, reserved=5.0, base="b"
        )
        run: Any = SimpleNamespace(grants=0, usage=Usage())
        task: Any = None  # nothing of it is looked at here
        return Job(run=run, claim=claim, governance=self.governance, task=task, task_text="")

    @contextmanager
    def door(self) -> Iterator[tuple[Door, Meter]]:
        """The model proxy, as a build has it."""
        meter = Meter(allowance_of(self.job()))
        route = route_of(self.governance, KEYS, "main")
        with opened(route, meter, stage="build", clock=time.time) as door:
            yield door, meter


# --- asking the model through the proxy --------------------------------------------------------


def _post(door: Door, said: str = "hello") -> int:
    transport = httpx.HTTPTransport(uds=str(door.socket))
    body = {"model": "main", "messages": [{"role": "user", "content": said}], "max_tokens": 9000}
    with httpx.Client(transport=transport, base_url="http://door", timeout=30) as client:
        return client.post(PATHS[Wire.CHAT], json=body).status_code


def answered(place: Place) -> tuple[int, int, int]:
    """The status of a request to the usual path, and how many requests each provider got."""
    with place.door() as (door, _):
        status = _post(door)
    return status, len(place.first.requests), len(place.second.requests)


def sent(name: str) -> Callable[[Place], object]:
    """A field of what the provider is sent."""

    def act(place: Place) -> object:
        with place.door() as (door, _):
            _post(door)
        return place.first.requests[0].body[name]

    return act


def key(place: Place) -> str:
    """The key that the provider is shown."""
    with place.door() as (door, _):
        _post(door)
    return place.first.requests[0].headers["authorization"]


def cost(place: Place) -> float:
    """What a call of a million tokens of each kind costs, in dollars."""
    with place.door() as (door, meter):
        _post(door)
    return round(meter.usage.cost, 6)


def stop(times: int, said: str = "") -> Callable[[Place], str]:
    """Why the proxy ends the attempt after so many requests; each is another one, or ``said``."""

    def act(place: Place) -> str:
        with place.door() as (door, meter):
            for number in range(times):
                _post(door, said or f"request {number}")
        return meter.stop or ""

    return act


def kept(place: Place) -> bool:
    """Whether anything is kept of the conversation."""
    with place.door() as (door, meter):
        _post(door)
    return b"hello" in meter.transcript()


# --- what an agent is given ----------------------------------------------------------------------


def call_of(place: Place, door: Door) -> Call:
    """A build with the limits of the rules."""
    governance = place.governance
    route = route_of(governance, KEYS, "main")
    work = place.folder / "work"
    work.mkdir()
    return Call(
        prompt="Please do it.",
        title="Do it",
        folder=work,
        writable=True,
        limits=governance.envelope.limits,
        agent_limits=allowance_of(place.job()).limits,
        environment={},
        sandbox=Bubblewrap(),
        door=door,
        model=route.model,
        wire=route.provider.wire,
    )


def _watched(place: Place, seconds: float, *ends: str) -> Watch:
    """A watch that has heard nothing for so long, after calls that ended in this way."""
    meter: Any = SimpleNamespace(stop="", receipts=[SimpleNamespace(end=end) for end in ends])
    now = [0.0]
    door = Door(socket=Path("/none"), meter=meter, heard=lambda: now[0] - 1)
    watch = Watch(call_of(place, door), lambda: now[0])
    now[0] = seconds
    watch.look()
    return watch


def silent(place: Place) -> str:
    """Whether an agent is ended of which nothing was heard for 2000 seconds."""
    return _watched(place, 2000).why


def patience(place: Place) -> str:
    """Whether it is while its command runs; and what it is told that a command may take, in ms."""
    watch = _watched(place, 2000, "tool_calls")
    given = environment(watch.call, searches=True)
    return f"{watch.why} {given['OPENCODE_EXPERIMENTAL_BASH_DEFAULT_TIMEOUT_MS']}".strip()


def breaches(place: Place) -> int:
    """How many breaches a command is."""
    allowed = place.governance.envelope.agent.commands
    return len(foreign_commands([("curl example.invalid", False)], allowed))


def called(place: Place) -> tuple[str, FailureClass | None]:
    """What the program behind `command` says, and how it fails."""
    said = _called(place)
    return said.text, said.failure


def _called(place: Place) -> Said:
    settings = place.governance.config.command
    assert settings is not None
    with place.door() as (door, _):
        return Command(settings).call(call_of(place, door))


# --- the council ---------------------------------------------------------------------------------


def _sit(place: Place, **more: Any) -> Sitting:
    governance = place.governance
    means = {
        "route": lambda name: route_of(governance, KEYS, name),
        "model": governance.config.roles.review,
    }
    program = Scripted({"risk": [seat_reply("accept")]})
    return Council(program, council=governance.council, means=means, **more).sit()


def _review(place: Place, **more: Any) -> Review:
    review = _sit(place, **more).review
    assert review is not None
    return review


def seated(place: Place) -> str:
    """The model that the seat for risk sits on."""
    return next(run.sitter.model for run in _review(place).seats if run.seat == "risk")


def shadows(place: Place) -> list[tuple[str, str]]:
    """Who sits beside."""
    return [(each.run.seat, each.run.sitter.model) for each in _review(place).shadow]


def grave(place: Place) -> str:
    """What becomes of a grave change: the failure, or the verdict and why it may be held."""
    sitting = _sit(place, header=GRAVE)
    if sitting.review is None:
        return str(sitting.failure)
    return " ".join([sitting.review.verdict.value, sitting.review.emergency]).strip()


# --- whole ticks ---------------------------------------------------------------------------------


@dataclass
class Crew:
    """A team that remembers which model each role was asked on."""

    team: Team
    models: list[tuple[str, str]] = field(default_factory=list)

    def __call__(self, turn: Turn) -> Step:
        """The team's answer."""
        self.models.append((role_of(turn), str(turn.body["model"])))
        return self.team(turn)


BUILT = steps(tool("bash", command="mkdir -p docs src; echo hello > docs/guide.md"), text("Done."))
BUILT_CODE = steps(tool("bash", command="mkdir -p src; echo hello > src/x.txt"), text("Done."))


def ticked(
    place: Place,
    script: Callable[[Turn], Step],
    backlog: str = DOCS,
    keys: Mapping[str, str] = KEYS,
    files: Mapping[str, str] | None = None,
) -> Scene:
    """The repository after one tick, in which the stand-in agent obeyed this script."""
    folder = place.folder / "tool"
    (folder / "bin").mkdir(parents=True)
    program = folder / "bin/stand-in"
    program.write_bytes(b"#!/usr/bin/env python3\n" + STAND_IN.read_bytes())
    program.chmod(0o755)
    place.first.script = script
    settings = {"config.command": {"run": "stand-in", "tools": [str(folder)]}, **place.settings}
    scene = begin_scene(place.folder / "repo", settings, files, backlog)
    scene.environ.update(keys)
    scene.tick()
    assert place.first.faults == []
    return scene


def asked(backlog: str, paths: tuple[str, ...], builder: Callable[[Turn], Step]) -> Callable[
    [Place], list[tuple[str, str]]
]:  # fmt: skip
    """Which role a tick asked on which model, each pair once."""

    def act(place: Place) -> list[tuple[str, str]]:
        crew = Crew(Team(builder, paths))
        ticked(place, crew, backlog)
        return sorted(set(crew.models))

    return act


def artifact(scene: Scene, stage: Stage, name: str) -> str:
    """An artifact of the first attempt at a stage."""
    record = next(r for r in scene.records() if isinstance(r, Finished) and r.stage is stage)
    return scene.git("show", f"lifeos/ledger:runs/{record.run}/{record.n}/{name}")


def review_of(scene: Scene) -> Review:
    """The review of the design."""
    return Review.model_validate_json(artifact(scene, Stage.DESIGN_REVIEW, "review.json"))


def reviewed_by(place: Place) -> str:
    """Who reviewed the design."""
    return review_of(ticked(place, Team(BUILT, ("docs/**",)))).by


def independent(place: Place) -> str:
    """What becomes of the review of a build that is as grave as the rules themselves."""
    scene = ticked(place, Team(BUILT, ("docs/**",)))
    reviewed = [
        record.facts.outcome.value
        for record in scene.records()
        if isinstance(record, Finished) and record.stage is Stage.BUILD_REVIEW and record.facts
    ]
    return reviewed[0]


def recorded_cost(place: Place) -> float:
    """What the record of a build has of what its program said it cost."""
    scene = ticked(place, Team(BUILT, ("docs/**",)))
    return AgentFacts.model_validate_json(artifact(scene, Stage.BUILD, "agent.json")).said_cost


in_docs = asked(DOCS, ("docs/**",), BUILT)
in_code = asked(CODE, ("src/**",), BUILT_CODE)

# --- the settings --------------------------------------------------------------------------------


@dataclass(frozen=True)
class Effect:
    """One setting by its place in the files, a new value, how to look, what is seen, and on what.

    ``says`` is how the first model answers where no tick is played.
    """

    place: str
    value: object
    act: Callable[[Place], object]
    before: object
    changed: object
    settings: Settings = field(default_factory=dict)
    says: Step = field(default_factory=lambda: text("done"))
    boxed: bool = False  # needs the sandbox

    @property
    def setting(self) -> str:
        """Its name, as `test_settings.py` has it: the entries of lists and maps are `[]`."""
        named = re.sub(r"^(config\.(?:models|providers))\.[^.]+\.", r"\1[].", self.place)
        return re.sub(r"\.\d+\.", "[].", named)

    def played(self, *, changed: bool) -> dict[str, object]:
        """The settings to play with."""
        found: dict[str, Any] = json.loads(json.dumps({**_ROUTED, **self.settings}))
        if not changed:
            return found
        base = next((name for name in found if self.place.startswith(f"{name}.")), None)
        if base is None:
            return {**found, self.place: self.value}
        *steps_in, last = self.place.removeprefix(f"{base}.").split(".")
        at = found[base]
        for step in steps_in:
            at = at[int(step)] if isinstance(at, list) else at[step]
        assert last in at, self.place
        at[last] = self.value
        return found


_MAIN = {
    "provider": "team",
    "id": "m",
    "family": "alpha",
    "price": {"input": 1.0, "output": 2.0, "cached": 0.5},
    "context": 128_000,
    "output": 1000,
}
_ROUTED: Settings = {
    "config.providers": {
        "team": {"url": "@first", "key_env": "TEAM_KEY", "wire": "chat"},
        "other": {"url": "@second", "key_env": "OTHER_KEY"},
    },
    "config.models": {"main": _MAIN, "beta": {**_MAIN, "id": "b"}},
}
_UNPRICED: Settings = {
    "config.models": {"main": {**_MAIN, "price": None}},
    "envelope.agent.estimate": {"input": 1.0, "output": 2.0, "cached": 0.5},
}
_ESTIMATED: Settings = {**_UNPRICED, "envelope.agent.unknown_price": "estimate"}
_MILLION = text("done").using(10_000, 1000, cached=4000)  # 6000, 4000 and 1000 of each kind
_COST = 0.010  # 6000 for 1, 4000 for 0.5 and 1000 for 2 dollars a million
_COUNCIL: Settings = {
    "config.agents.review": "command",
    "config.sandbox": "bwrap",
    "config.command": {"run": "true"},
}


def command(run: str, **more: object) -> Settings:
    """The program behind `command`."""
    empty: dict[str, object] = dict.fromkeys(("answer", "json_text", "json_cost"))
    known = {**empty, "success": None, "failure": None, "tools": [], "environment": {}}
    return {"config.command": {"run": run, "prompt": "file", **known, **more}}


def agent(*stages: str) -> Settings:
    """These stages by the stand-in agent, the others by recipe and rule."""
    return {"config.sandbox": "bwrap"} | {f"config.agents.{stage}": "command" for stage in stages}


TOLD = '{"result": "said", "usd": 0.25}'
GREEN = ("said", None)
BROKEN = FailureClass.TOOL_ERROR

EFFECTS: tuple[Effect, ...] = (
    # providers and models
    Effect("config.providers.team.url", "@second", answered, (200, 1, 0), (200, 0, 1)),
    Effect("config.providers.team.key_env", "OTHER_KEY", key, "Bearer k-secret", "Bearer k-other"),
    Effect("config.providers.team.wire", "messages", answered, (200, 1, 0), (404, 0, 0)),
    Effect("config.models.main.provider", "other", answered, (200, 1, 0), (200, 0, 1)),
    Effect("config.models.main.id", "z", sent("model"), "m", "z"),
    Effect("config.models.main.output", 500, sent("max_tokens"), 1000, 500),
    Effect(
        "config.models.main.context",
        500,
        stop(1, "x" * 20_000),
        "tokens",
        "",
        {"envelope.agent.tokens": 5000},
    ),
    Effect("config.models.main.family", "beta", grave, "config_error", "accept", _COUNCIL),
    Effect(
        "config.models.main.family",
        "beta",
        independent,
        "config_error",
        "accept",
        {
            **agent("build", "review"),
            # A part of the scope: only the change itself tells, so it is begun.
            "council.classify": [{"paths": ["docs/guide.md"], "touches": ["governance"]}],
            "council.modes.M2": ["governance"],
            "council.seats": {"governance": "beta"},
        },
        boxed=True,
    ),
    Effect("config.models.main.price.input", 2.0, cost, _COST, 0.016, says=_MILLION),
    Effect("config.models.main.price.cached", 1.0, cost, _COST, 0.012, says=_MILLION),
    Effect("config.models.main.price.output", 3.0, cost, _COST, 0.011, says=_MILLION),
    # envelope.agent
    Effect("envelope.agent.unknown_price", "estimate", stop(1), "price", "", _UNPRICED),
    Effect("envelope.agent.estimate.input", 2.0, cost, _COST, 0.016, _ESTIMATED, _MILLION),
    Effect("envelope.agent.estimate.cached", 1.0, cost, _COST, 0.012, _ESTIMATED, _MILLION),
    Effect("envelope.agent.estimate.output", 3.0, cost, _COST, 0.011, _ESTIMATED, _MILLION),
    Effect("envelope.agent.requests", 2, stop(3), "", "requests"),
    Effect("envelope.agent.tokens", 100, stop(1), "", "tokens"),
    Effect("envelope.agent.repeats", 2, stop(3, "again"), "", "repeats"),
    Effect("envelope.agent.transcript_kb", 0, kept, True, False),
    Effect("envelope.agent.silence", 100, silent, "", "silence", {"envelope.agent.silence": 3000}),
    Effect(
        "envelope.agent.command_seconds",
        10,
        patience,
        "3000000",
        "silence 10000",
        {"envelope.agent.command_seconds": 3000},
    ),
    Effect("envelope.agent.commands", ["pytest *"], breaches, 0, 1),
    # the program behind `command`
    Effect(
        "config.command.run", "echo other", called, GREEN, ("other", None), command("echo said")
    ),
    Effect(
        "config.command.prompt",
        "stdin",
        called,
        ("", None),
        ("Please do it.", None),
        command("cat"),
        boxed=True,
    ),
    Effect(
        "config.command.answer",
        "a.md",
        called,
        ("out", None),
        GREEN,
        command('echo out; echo said > "$HOME/a.md"'),
    ),
    Effect(
        "config.command.json_text",
        "result",
        called,
        (TOLD, None),
        GREEN,
        command(f"echo '{TOLD}'"),
    ),
    Effect(
        "config.command.json_cost",
        "usd",
        recorded_cost,
        0.0,
        0.25,
        {**command(f"mkdir docs; echo hello > docs/guide.md; echo '{TOLD}'"), **agent("build")},
    ),
    Effect("config.command.success", "DONE", called, GREEN, ("said", BROKEN), command("echo said")),
    Effect("config.command.failure", "said", called, GREEN, ("said", BROKEN), command("echo said")),
    Effect(
        "config.command.tools",
        ["@tool"],
        called,
        ("", FailureClass.ENVIRONMENT_ERROR),
        GREEN,
        command("say-it"),
    ),
    Effect(
        "config.command.environment",
        {"COLOUR": "green"},
        called,
        ("none", None),
        ("green", None),
        command('echo "${COLOUR:-none}"'),
    ),
    # the council
    Effect("council.seats", {"risk": "beta"}, seated, "m", "b", _COUNCIL),
    Effect(
        "council.shadow.0.seat",
        "chair",
        shadows,
        [("risk", "b")],
        [("chair", "b")],
        {**_COUNCIL, "council.shadow": [{"seat": "risk", "model": "beta"}]},
    ),
    Effect(
        "council.shadow.0.model",
        "main",
        shadows,
        [("risk", "b")],
        [("risk", "m")],
        {**_COUNCIL, "council.shadow": [{"seat": "risk", "model": "beta"}]},
    ),
    Effect(
        "council.emergency",
        "beta is down",
        grave,
        "config_error",
        "accept beta is down",
        _COUNCIL,
    ),
    # who works on what
    Effect("config.agents.review", "command", reviewed_by, "rule", "council", agent(), boxed=True),
    Effect(
        "config.agents.design", "command", in_docs, [], [("designer", "m")], agent(), boxed=True
    ),
    Effect("config.agents.plan", "command", in_docs, [], [("planner", "m")], agent(), boxed=True),
    Effect(
        "config.agents.build", "command", in_docs, [], [("doc_steward", "m")], agent(), boxed=True
    ),
    Effect(
        "config.roles.design",
        "beta",
        in_docs,
        [("designer", "m")],
        [("designer", "b")],
        agent("design"),
        boxed=True,
    ),
    Effect(
        "config.roles.plan",
        "beta",
        in_docs,
        [("planner", "m")],
        [("planner", "b")],
        agent("plan"),
        boxed=True,
    ),
    Effect(
        "config.roles.build",
        "beta",
        in_code,
        [("builder", "m")],
        [("builder", "b")],
        agent("build"),
        boxed=True,
    ),
    Effect(
        "config.roles.docs",
        "beta",
        in_docs,
        [("doc_steward", "m")],
        [("doc_steward", "b")],
        agent("build"),
        boxed=True,
    ),
    Effect(
        "config.roles.review",
        "beta",
        in_docs,
        [("seat_unified", "m")],
        [("seat_unified", "b")],
        agent("review"),
        boxed=True,
    ),
)


# --- playing them --------------------------------------------------------------------------------


@contextmanager
def placed(folder: Path, settings: Mapping[str, object], says: Step) -> Iterator[Place]:
    """A place under these settings, with two models behind addresses, and a tool of its own."""
    tool_folder = folder / "tools"
    (tool_folder / "bin").mkdir(parents=True)
    program = tool_folder / "bin/say-it"
    program.write_text("#!/bin/sh\necho said\n")
    program.chmod(0o755)
    with (
        ScriptedModel(steps(says), titles=False) as first,
        ScriptedModel(steps(says), titles=False) as second,
    ):
        written = json.dumps(settings)
        for mark, means in {
            "@first": first.url,
            "@second": second.url,
            "@tool": str(tool_folder),
        }.items():
            written = written.replace(mark, means)
        yield Place(json.loads(written), folder, first, second)


def play(effect: Effect, folder: Path, *, changed: bool) -> object:
    """What is seen with the setting as before, or changed."""
    with placed(folder / str(changed), effect.played(changed=changed), effect.says) as place:
        return effect.act(place)


def _named(effect: Effect) -> Any:
    boxed = effect.boxed or effect.setting.startswith("config.command.")
    return pytest.param(effect, id=effect.setting, marks=[pytest.mark.sandbox] if boxed else [])


@pytest.mark.parametrize("effect", [_named(effect) for effect in EFFECTS])
def test_changing_only_this_changes_what_happens(effect: Effect, tmp_path: Path) -> None:
    """Before one thing is seen, and with this one setting changed another."""
    assert play(effect, tmp_path, changed=False) == effect.before
    assert play(effect, tmp_path, changed=True) == effect.changed
    assert effect.before != effect.changed


@pytest.mark.sandbox
def test_a_prompt_of_the_repository_is_what_the_model_gets(tmp_path: Path) -> None:
    """The file in .lifeos/prompts/ takes the place of the shipped text of the role."""
    own = "You draw up designs for the guild of lamplighters."
    seen: list[list[str]] = []
    for files in (None, {".lifeos/prompts/designer.md": own + "\n"}):
        prompts: list[str] = []

        def script(turn: Turn, heard: list[str] = prompts) -> Step:
            heard.append(turn.user)
            return design(turn)

        settings = json.loads(json.dumps({**_ROUTED, **agent("design")}))
        with placed(tmp_path / str(len(seen)), settings, text("done")) as place:
            ticked(place, script, files=files)
        seen.append([name for name in (own, shipped("designer").strip()) if name in prompts[0]])
    assert seen == [[shipped("designer").strip()], [own]]


@pytest.mark.sandbox
def test_a_shadow_without_its_key_stops_nothing(tmp_path: Path) -> None:
    """It is recorded as absent, with what to do; nothing else is different."""
    beside = {**agent("review"), "council.shadow": [{"seat": "risk", "model": "late"}]}
    models = {"main": _MAIN, "late": {**_MAIN, "provider": "other"}}
    settings = {**_ROUTED, **beside, "config.models": models}
    keys = {"TEAM_KEY": "k-secret"}
    with placed(tmp_path, settings, text("done")) as place:
        known = replace(place, settings={**place.settings, "config.command": {"run": "true"}})
        assert unready(known.governance, keys) == (frozenset(), ())
        scene = ticked(place, Team(BUILT, ("docs/**",)), keys=keys)
        assert place.second.requests == []
    review = review_of(scene)
    assert (review.by, review.verdict) == ("council", Verdict.ACCEPT)
    (shadow,) = review.shadow
    assert shadow.run.verdict is None
    assert "OTHER_KEY is not set" in shadow.run.missing
    assert any("shadow-1-risk: no verdict" in line for line in scene.said)
    assert scene.item().rule == "autonomy:supervised"


@pytest.mark.sandbox
def test_the_packet_says_who_worked_and_who_sat(tmp_path: Path) -> None:
    """Read from what the attempts left; `lifeos verify` finds that page and data say the same."""
    settings = json.loads(json.dumps({**_ROUTED, **agent("build", "review")}))
    with placed(tmp_path, settings, text("done")) as place:
        scene = ticked(place, Team(BUILT, ("docs/**",)))
        asked_for = len(place.first.requests)
    value = json.loads(artifact(scene, Stage.PACKET, "packet.json"))["predicate"]
    assert [verdict["rule"] for verdict in value["verdicts"]] == ["no_blocking_finding"] * 3
    (seat,) = value["verdicts"][0]["seats"]
    assert (seat["seat"], seat["verdict"], seat["sitter"]["model"]) == ("unified", "accept", "m")
    stages = ["design_review", "plan_review", "build", "build_review"]
    assert [line["stage"] for line in value["models"]] == stages
    assert {line["agent"] for line in value["models"]} == {"command"}
    assert sum(line["requests"] for line in value["models"]) == asked_for
    assert value["usage"]["requests"] == asked_for
    assert sum(line["cost"] for line in value["models"]) == pytest.approx(value["usage"]["cost"])
    page = artifact(scene, Stage.PACKET, "packet.md")
    assert page.index("## Council") < page.index("## Models") < page.index("## Checks")
    verified = subprocess.run(
        [sys.executable, "-m", "lifeos", "verify"],
        cwd=scene.folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert verified.returncode == 0, verified.stdout + verified.stderr


@pytest.mark.parametrize("seats", [{}, {"risk": "late"}])
def test_a_seat_without_its_key_stops_the_reviews_before_they_begin(
    tmp_path: Path, seats: dict[str, str]
) -> None:
    """A model that decides must be there; the problem names the variable, once."""
    models = {"main": _MAIN, "late": {**_MAIN, "provider": "other"}}
    settings = {**_ROUTED, **_COUNCIL, "config.models": models, "council.seats": seats}
    with placed(tmp_path, settings, text("done")) as place:
        stages, problems = unready(place.governance, {"TEAM_KEY": "k-secret"})
    reviews = {Stage.DESIGN_REVIEW, Stage.PLAN_REVIEW, Stage.BUILD_REVIEW}
    assert stages == (reviews if seats else set())
    assert ["OTHER_KEY" in str(problem) for problem in problems] == [True] * len(seats)
