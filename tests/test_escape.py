# ruff: noqa: E501 - tables with one attempt a line
"""Ways out of the sandbox. Each probe is a real attempt, made twice.

Outside (``sandbox: none``) it must succeed: a probe that cannot succeed proves nothing. Inside it
must not, and what it went for must be untouched, seen from outside. A probe prints ``REACHED`` when
it got there. Where a success outside would harm the machine, the control is left out, with the reason.
"""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from escape_probes import (
    CANARY,
    DOOR,
    LIMITS,
    PROBES,
    ROOT,
    SEAT,
    SEATS,
    START,
    Probe,
    World,
    a_world,
    look,
    seat_of,
)
from lifeos.bubblewrap import Bubblewrap
from lifeos.process import Ended
from lifeos.proxy import opened
from lifeos.sandbox import Mount, NoSandbox, Sandbox, python_tools
from proxy_scene import KEY, meter_of, route_to
from scripted_model import ScriptedModel, text

pytestmark = pytest.mark.sandbox


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """What the probes go for."""
    with a_world(tmp_path) as made:
        yield made


def attempt(sandbox: Sandbox, probe: Probe, world: World) -> Ended:
    """Make one probe's attempt."""
    return sandbox.run(
        ["python3", "-c", START + probe.code],
        folder=world.folder,
        limits=LIMITS,
        env={"W": json.dumps(world.facts)},
    )


@pytest.mark.parametrize("probe", PROBES, ids=lambda probe: probe.name)
def test_no_way_out(probe: Probe, world: World) -> None:
    """Inside the attempt fails, and seen from outside nothing was touched."""
    ended = attempt(Bubblewrap(), probe, world)
    assert b"REACHED" not in ended.out, ended.err
    assert b"SyntaxError" not in ended.err
    assert b"NameError" not in ended.err
    assert (ended.timed_out, ended.stopped) == (False, False)
    assert world.touched() == []


@pytest.mark.parametrize(
    "probe", [probe for probe in PROBES if probe.control == "yes"], ids=lambda probe: probe.name
)
def test_the_probe_succeeds_without_a_sandbox(probe: Probe, world: World) -> None:
    """Else the probe is broken, and its failure inside says nothing."""
    ended = attempt(NoSandbox(), probe, world)
    assert b"REACHED" in ended.out, ended.err


def test_the_outside_look_notices(world: World) -> None:
    """The check from outside is not blind: each thing that a probe could touch turns it red."""
    assert world.touched() == []
    (world.outside / "secret").write_text("broken")
    (world.outside / "new").touch()
    (world.folder.parent / "new").touch()
    (world.folder.parents[1] / ".git/hooks/post-commit").touch()
    (world.folder.parents[1] / ".github/workflows/new.yml").touch()
    world.victim.kill()
    world.victim.wait()
    socket.create_connection(("127.0.0.1", int(str(world.facts["tcp"]))), timeout=5).recv(1)
    expected = ["secret", "new file", "above", "hook", "workflow", "victim", "contact"]
    assert world.touched() == expected


def test_there_are_enough_probes() -> None:
    """A family that shrinks is a promise that got lost."""
    for probes, least in ((PROBES, 90), (SEATS, 40)):
        assert len(probes) >= least
        assert len({probe.name for probe in probes}) == len(probes)


@pytest.mark.parametrize("probe", SEATS, ids=lambda probe: probe.name)
def test_no_way_out_of_a_seat(probe: Probe, world: World) -> None:
    """What only reads writes nothing, and sees nothing of its neighbours."""
    tree, mounts, sockets, tool = seat_of(world)
    before = look(tree.parent)
    ended = Bubblewrap().run(
        ["python3", "-c", START + SEAT + probe.code],
        folder=tree, limits=LIMITS, env={"W": json.dumps(world.facts)}, mounts=mounts,
        sockets=sockets, tools=[*python_tools(), tool], read_only=True,
    )  # fmt: skip
    assert b"REACHED" not in ended.out, ended.err
    assert b"SyntaxError" not in ended.err
    assert b"NameError" not in ended.err
    assert look(tree.parent) == before


@pytest.mark.parametrize(
    "probe", [probe for probe in SEATS if probe.control == "yes"], ids=lambda probe: probe.name
)
def test_the_probe_of_a_seat_succeeds_without_a_sandbox(probe: Probe, world: World) -> None:
    """Else the probe is broken."""
    tree, _, _, tool = seat_of(world)
    ended = NoSandbox().run(
        ["python3", "-c", START + SEAT + probe.code],
        folder=tree, limits=LIMITS, env={"W": json.dumps(world.facts)},
        tools=[*python_tools(), tool],
    )  # fmt: skip
    assert b"REACHED" in ended.out, ended.err


KNOCK = """
s = socket.socket(socket.AF_UNIX); s.settimeout(5); s.connect(W["door_inside"])
s.sendall(W["knock"].encode()); s.shutdown(socket.SHUT_WR)
data = b""
try:
    while piece := s.recv(9999): data += piece
except OSError: pass
sys.stdout.write(data.decode("latin-1"))
"""
KNOCKS = {
    "a tunnel": "CONNECT 127.0.0.1:{tcp} HTTP/1.1\r\nHost: 127.0.0.1:{tcp}\r\n\r\n",
    "another server": "GET http://127.0.0.1:{tcp}/ HTTP/1.1\r\nHost: 127.0.0.1:{tcp}\r\n\r\n",
    "another host": "POST http://127.0.0.1:{tcp}/v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{{}}",
    "a file": "GET file://{secret} HTTP/1.1\r\nHost: x\r\n\r\n",
    "above the path": "POST /v1/chat/completions/../../files HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{{}}",
    "the models": "GET /v1/models HTTP/1.1\r\nHost: x\r\n\r\n",
    "another protocol": "GET /v1/chat/completions HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
    "a key of its own": "POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer mine\r\nContent-Length: 4\r\n\r\nnull",
    "nothing of HTTP": "\\0\\1\\2{secret}",
}


@pytest.mark.parametrize("name", KNOCKS)
def test_the_door_leads_to_the_model_only(name: str, world: World) -> None:
    """A real door, from inside: no other server is asked, and the key does not come back."""
    world.facts |= {"door_inside": DOOR}
    world.facts["knock"] = KNOCKS[name].format(tcp=world.facts["tcp"], secret=world.facts["secret"])
    with (
        ScriptedModel(lambda _turn: text("x"), titles=False) as model,
        opened(route_to(model.url), meter_of(), stage="build", clock=time.time) as door,
    ):
        ended = Bubblewrap().run(
            ["python3", "-c", START + KNOCK],
            folder=world.folder, limits=LIMITS, env={"W": json.dumps(world.facts)},
            sockets=[Mount(door.socket, DOOR)],
        )  # fmt: skip
    assert ended.status == 0, ended.err
    assert b" 200 " not in ended.out[:20]
    assert KEY.encode() not in ended.out
    assert CANARY.encode() not in ended.out
    assert model.requests == []
    assert world.touched() == []


@pytest.mark.skipif(not ROOT, reason="making a program setuid root needs root")
def test_a_setuid_program_gives_nothing(world: World) -> None:
    """A setuid-root ``id`` in a mounted tool folder; outside it makes an ordinary user root."""
    ordinary = ["setpriv", "--reuid=4321", "--regid=4321", "--clear-groups"]
    with tempfile.TemporaryDirectory(dir="/tmp") as name:
        tool = Path(name)
        tool.chmod(0o755)
        (tool / "bin").mkdir()
        shutil.copy("/usr/bin/id", tool / "bin/id")
        (tool / "bin/id").chmod(0o4755)
        outside = subprocess.run([*ordinary, tool / "bin/id"], capture_output=True, check=True)
        ended = Bubblewrap().run(
            ["/opt/lifeos/0/bin/id"], folder=world.folder, limits=LIMITS, env={}, tools=[tool]
        )
    assert b"euid=0" in outside.stdout
    assert ended.ok
    assert b"uid=0" not in ended.out
