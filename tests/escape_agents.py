"""Agents that obey, and what they are told to run: all probes in one file, a line for each."""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from escape_probes import START, Probe, World
from lifeos.agents.command import Command
from lifeos.agents.opencode import OpenCode
from lifeos.agents.program import Call, Program, Said
from lifeos.bubblewrap import Bubblewrap
from lifeos.core.policy.config import CommandAgent
from lifeos.core.policy.envelope import AgentLimits, Limits
from lifeos.model import FailureClass
from lifeos.proxy import Meter, opened
from proxy_scene import meter_of, route_to
from scripted_model import Asked, Script, ScriptedModel
from scripted_team import opencode

STAND_IN = Path(__file__).parent / "agents/stand_in.py"
REACHED, HELD, BROKEN = "REACHED", "held", "broken"
_LINE = re.compile(r"^probe: (.+): (REACHED|held|broken|went silent)(?: (.*))?$", re.MULTILINE)

# Each probe has a process of its own, and that one a parent of its own (a probe stops its parent).
# What a probe leaves in the folder is cleared away: the next one must not fail because of it.
_TOGETHER = """
import select, shutil

def child(probe, out):
    def say(word):
        os.write(out, word.encode())
        os._exit(0)
    names = {**globals(), "reached": lambda: say("REACHED"), "__name__": "probe"}
    try:
        exec(compile(PREAMBLE + probe["code"], probe["name"], "exec"), names)
    except (SyntaxError, NameError, AttributeError, TypeError, ImportError) as error:
        say(f"broken {type(error).__name__} {error}")
    except BaseException as error:
        say(f"held {type(error).__name__}")
    say("held in silence")

def parent(probe, out):
    made = os.fork()
    if made == 0:
        child(probe, out)
    _, status = os.waitpid(made, 0)
    if os.WIFSIGNALED(status):
        os.write(out, f"held signal {os.WTERMSIG(status)}".encode())
    os._exit(0)

def attempt(probe):
    reading, writing = os.pipe()
    made = os.fork()
    if made == 0:
        parent(probe, writing)
    os.close(writing)
    ready, _, _ = select.select([reading], [], [], 20)
    said = os.read(reading, 500).decode() if ready else ""
    os.close(reading)
    os.kill(made, signal.SIGCONT)
    os.kill(made, signal.SIGKILL)
    os.waitpid(made, 0)
    # A probe that forks says it twice.
    return "REACHED" if said.startswith("REACHED") else said or "went silent"

before = set(os.listdir("."))
for probe in PROBES:
    print(f"probe: {probe['name']}: {attempt(probe)}", flush=True)
    for name in set(os.listdir(".")) - before:
        path = Path(name)
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
"""


def together(probes: Sequence[Probe], world: World, preamble: str = "") -> str:
    """One Python file that makes all these attempts, and prints a line for each."""
    table = [{"name": probe.name, "code": probe.code} for probe in probes]
    given = {"PROBES": table, "PREAMBLE": preamble}
    start = START.replace('os.environ["W"]', repr(json.dumps(world.facts)))
    assert start != START
    return start + "".join(f"{name} = {value!r}\n" for name, value in given.items()) + _TOGETHER


def came_of(report: str) -> dict[str, str]:
    """What the report says of each probe: REACHED, held, broken or "went silent"."""
    return {found[1]: found[2] for found in _LINE.finditer(report)}


@dataclass(frozen=True)
class Obeyed:
    """One call of a program, and what was seen of it from outside."""

    said: Said
    requests: list[Asked]
    meter: Meter

    def results(self) -> str:
        """What the tools gave back to the model: it is in the last request."""
        messages = self.requests[-1].body["messages"]
        return "\n".join(str(m["content"]) for m in messages if m["role"] == "tool")

    def sent(self) -> str:
        """Everything that reached the model."""
        return "".join(asked.raw.decode() for asked in self.requests)


def program_of(kind: str, tools: Path, more: Sequence[Path] = ()) -> Program:
    """The real OpenCode, or the stand-in for any other agent (made in the folder ``tools``)."""
    if kind == "opencode":
        return OpenCode(opencode(), {"PATH": os.environ["PATH"]})
    program = tools / "bin/stand-in"
    program.parent.mkdir(parents=True)
    program.write_bytes(b"#!/usr/bin/env python3\n" + STAND_IN.read_bytes())
    program.chmod(0o755)
    return Command(CommandAgent(run="stand-in", tools=(str(tools), *map(str, more))))


def obey(program: Program, script: Script, folder: Path, *, writable: bool = True) -> Obeyed:
    """One call of a program whose model does as scripted."""
    meter = meter_of()
    with ScriptedModel(script) as model:
        route = route_to(model.url, output=8000)
        with opened(route, meter, stage="build", clock=time.time) as door:
            said = program.call(
                Call(
                    prompt="Do what you are told.",
                    title="Obey",
                    folder=folder,
                    writable=writable,
                    limits=Limits(seconds=120),
                    agent_limits=AgentLimits(silence=60),
                    environment={"LANG": "C.UTF-8"},
                    sandbox=Bubblewrap(),
                    door=door,
                    model=route.model,
                    wire=route.provider.wire,
                )
            )
        assert model.faults == []
        assert said.failure in {None, FailureClass.NO_CHANGE}, said.message
        return Obeyed(said, list(model.requests), meter)
