"""What lifeos costs around a model: one call through its proxy, one attempt by a program."""

from __future__ import annotations

import http.client
import json
import shutil
import socket
import sys
import time
from itertools import count
from pathlib import Path
from typing import Any

from clock import calls
from lifeos.core.policy.envelope import AgentLimits
from lifeos.core.policy.models import Model, Price, Provider
from lifeos.core.records import Claimed, Finished
from lifeos.model import Stage
from lifeos.proxy import Allowance, Meter, Route, opened
from lifeos.store.ledger import BRANCH
from lifeos.store.repo import Repo
from lifeos.tick.begin import begin
from lifeos.tick.context import Context, World
from lifeos.tick.loop import Tick
from page import Row, ms
from scene import Scene, new_repository

sys.path.append(str(Path(__file__).resolve().parent.parent / "tests"))
from scripted_model import ScriptedModel, text

NUMBERS = count()
TASK = """
- [ ] **LO-aaaaaa** Greet whoever comes
  - scope: `greeting.txt`
  - risk: low

  Say hello.
"""
PROGRAM = "echo hello > greeting.txt; echo done"


def rows(scene: Scene) -> list[Row]:
    """Every row about agents with a model."""
    with ScriptedModel(lambda _turn: text("Done."), titles=False) as model:
        return [_proxy(scene, model), _attempt(scene, model)]


class _Door(http.client.HTTPConnection):
    """A connection to a Unix socket."""

    def __init__(self, path: Path) -> None:
        super().__init__("door")
        self.path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(str(self.path))


def _body() -> bytes:
    """20 KB, another one each time: who asks the same again and again is stopped."""
    return json.dumps(
        {
            "model": "m",
            "stream": True,
            "messages": [{"role": "user", "content": f"{next(NUMBERS)} {'word ' * 4000}"}],
            "tools": [{"type": "function", "function": {"name": "f", "parameters": {}}}],
        }
    ).encode()


def _ask(connection: http.client.HTTPConnection) -> None:
    headers = {"content-type": "application/json"}
    connection.request("POST", "/v1/chat/completions", _body(), headers)
    answer = connection.getresponse()
    said = answer.read()
    connection.close()
    assert answer.status == 200, said
    assert b"Done." in said


def _proxy(scene: Scene, model: ScriptedModel) -> Row:
    """The same call of 20 KB, straight to the model's server and through the proxy."""
    host = model.url.removeprefix("http://").removesuffix("/v1")
    settings = Model(provider="p", id="m", price=Price(input=0.0, output=0.0))
    route = Route("main", "p", Provider(url=model.url), settings, "")
    meter = Meter(Allowance(AgentLimits(requests=10_000), 1_000_000_000, None))
    with opened(route, meter, stage="bench", clock=time.time) as door:
        best = calls(
            {
                "straight": lambda: _ask(http.client.HTTPConnection(host)),
                "proxy": lambda: _ask(_Door(door.socket)),
            },
            scene.size.rounds * 10,
        )
    more = best["proxy"] - best["straight"]
    return Row(
        "a call of a model, through the proxy",
        "(no figure is promised)",
        f"{ms(more)} more than the {ms(best['straight'])} without",
        None,
        "20 KB sent, a streamed answer, on loopback; the check of the request, the counting, the"
        " receipt and the transcript are in it.",
    )


def _settings(url: str) -> str:
    settings: dict[str, Any] = {
        "version": 1,
        "agents": {"build": "command"},
        "providers": {"p": {"url": url}},
        "models": {"main": {"provider": "p", "id": "m", "price": {"input": 0, "output": 0}}},
        "command": {"run": PROGRAM},
    }
    return json.dumps(settings)  # which is YAML, too


def _attempt(scene: Scene, model: ScriptedModel) -> Row:
    """A whole tick whose builder is a program that does next to nothing."""
    path = scene.folder / "agent"
    moments: list[float] = []

    def trace(event: str) -> None:
        if event == f"ref:after:{BRANCH}":
            moments.append(time.perf_counter())

    best = float("inf")
    for _ in range(scene.size.rounds):
        shutil.rmtree(path, ignore_errors=True)
        new_repository(path, TASK, _settings(model.url)).close()
        with Repo.open(path, trace) as repo:
            moments.clear()
            world = World(trace=trace)
            ledger = begin(repo, world)
            Tick(Context(repo=repo, ledger=ledger, world=world)).run()
            records = [entry.record for entry in ledger.entries()]
        for number, record in enumerate(records):
            if isinstance(record, Finished) and record.stage is Stage.BUILD:
                assert isinstance(records[number - 1], Claimed)
                assert record.facts is not None
                assert record.facts.tree, record.facts.message
                best = min(best, (moments[number] - moments[number - 2]) * 1000)
    return Row(
        "lifeos around an attempt by a program with a model",
        "under 100 ms",
        ms(best),
        best < 100,
        "the same as above, with the door, the forwarder inside, the prompt, the receipts and the"
        " transcript; the program is one `echo`, the model is not asked.",
    )
