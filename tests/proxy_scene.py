"""A door to a scripted model, and the ways to knock at it."""

from __future__ import annotations

import contextlib
import json
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx

from lifeos.core.policy.envelope import AgentLimits
from lifeos.core.policy.models import Model, Price, Provider, Wire
from lifeos.core.receipt import Receipt
from lifeos.proxy import Allowance, Door, Meter, Route, opened
from lifeos.proxy.inlet import Bounds
from scripted_model import Script, ScriptedModel

KEY = "cloud-3f9a77c2e1b04d58-key"  # of no known shape: only its value can give it away
USER = {"role": "user", "content": "hello"}
FREE = Price(input=0, output=0)
PRICE = Price(input=10, output=100)
PATHS = {Wire.CHAT: "/v1/chat/completions", Wire.MESSAGES: "/v1/messages"}


def route_to(
    url: str, wire: Wire = Wire.CHAT, *, price: Price | None = PRICE, output: int = 1000
) -> Route:
    """A way to a model at an address."""
    provider = Provider(url=url, key_env="CLOUD_KEY", wire=wire)
    model = Model(provider="cloud", id="m", price=price, output=output)
    return Route("main", "cloud", provider, model, KEY)


def meter_of(tokens: int = 10_000_000, cost: float | None = None, **limits: Any) -> Meter:
    """A meter with these limits, and wide ones elsewhere."""
    return Meter(Allowance(AgentLimits(**limits), tokens, cost))


@dataclass(frozen=True)
class Scene:
    """One open door, the meter, and the model behind it."""

    door: Door
    meter: Meter
    model: ScriptedModel
    wire: Wire

    @property
    def receipts(self) -> tuple[Receipt, ...]:
        return self.meter.receipts

    def client(self) -> httpx.Client:
        """One that speaks through the door."""
        transport = httpx.HTTPTransport(uds=str(self.door.socket))
        return httpx.Client(transport=transport, base_url="http://door", timeout=30)

    def ask(self, *, stream: bool = True, said: str = "hello", **fields: Any) -> httpx.Response:
        """One ordinary request."""
        body = {"model": "m", "messages": [{"role": "user", "content": said}], "stream": stream}
        with self.client() as client:
            return client.post(PATHS[self.wire], json={**body, **fields})

    def raw(self, data: bytes, *, half_closed: bool = False) -> bytes:
        """Send bytes, and give all that comes back until the other side closes."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(30)
            connection.connect(str(self.door.socket))
            with contextlib.suppress(BrokenPipeError):  # it refused in the middle
                connection.sendall(data)
            if half_closed:
                connection.shutdown(socket.SHUT_WR)
            return received(connection)


def received(connection: socket.socket) -> bytes:
    """All until the end."""
    got = b""
    with contextlib.suppress(ConnectionResetError):  # closed with some of ours unread
        while piece := connection.recv(65536):
            got += piece
    return got


def request(body: bytes, *headers: str, line: str = "POST /v1/chat/completions HTTP/1.1") -> bytes:
    """One request as bytes, with its length."""
    lines = [line, "Host: door", f"Content-Length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


def ordinary(**fields: Any) -> bytes:
    """A body that is answered."""
    return json.dumps({"model": "m", "messages": [USER], **fields}).encode()


@contextlib.contextmanager
def scene(
    script: Script,
    meter: Meter | None = None,
    *,
    wire: Wire = Wire.CHAT,
    price: Price | None = PRICE,
    output: int = 1000,
    seconds: float = 60.0,
) -> Iterator[Scene]:
    """A door to a model with this script."""
    meter = meter or meter_of()
    with (
        ScriptedModel(script, titles=False) as model,
        opened(
            route_to(model.url, wire, price=price, output=output),
            meter,
            stage="build",
            seat="security",
            clock=time.time,
            bounds=Bounds(seconds=seconds, connections=16),
        ) as door,
    ):
        yield Scene(door, meter, model, wire)
