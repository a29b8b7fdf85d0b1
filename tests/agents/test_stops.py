"""Whatever program it is: what the meter ends an attempt for decides what it has failed as."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from lifeos.agents.command import Command
from lifeos.agents.opencode import OpenCode
from lifeos.agents.program import Call, Program
from lifeos.bubblewrap import Bubblewrap
from lifeos.core.policy.config import CommandAgent
from lifeos.core.policy.envelope import AgentLimits, Limits
from lifeos.model import FailureClass
from lifeos.proxy import opened
from lifeos.proxy.meter import Stop
from proxy_scene import meter_of, route_to
from scripted_team import opencode

FAILS = {
    Stop.REQUESTS: FailureClass.BUDGET_EXCEEDED,
    Stop.TOKENS: FailureClass.BUDGET_EXCEEDED,
    Stop.COST: FailureClass.BUDGET_EXCEEDED,
    Stop.REPEATS: FailureClass.TOOL_ERROR,
    Stop.QUOTA: FailureClass.QUOTA,
    Stop.CONFIG: FailureClass.CONFIG_ERROR,
    Stop.PRICE: FailureClass.CONFIG_ERROR,
}


def _command() -> Program:
    return Command(CommandAgent(run="sleep 60"))


def _opencode() -> Program:
    return OpenCode(binary=opencode())


@pytest.mark.sandbox
@pytest.mark.parametrize("stop", Stop)
@pytest.mark.parametrize("made", [_command, _opencode])
def test_a_program_fails_as_what_the_meter_ended_it_for(
    tmp_path: Path, made: Callable[[], Program], stop: Stop
) -> None:
    """For each word that a meter has, and with the reason that it gave."""
    program = made()
    route, meter = route_to("http://127.0.0.1:1/v1"), meter_of()
    meter.end(stop, "enough of it")
    with opened(route, meter, stage="build", clock=time.time) as door:
        call = Call(
            prompt="Do it.",
            title="LO-1 build 1",
            folder=tmp_path,
            writable=True,
            limits=Limits(seconds=30),
            agent_limits=AgentLimits(),
            environment={},
            sandbox=Bubblewrap(),
            door=door,
            model=route.model,
            wire=route.provider.wire,
        )
        said = program.call(call)
    assert (said.failure, said.message) == (FAILS[stop], "enough of it")
