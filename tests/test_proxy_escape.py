"""Ways in which an agent could try to get more out of a door than the one call it is for.

Raw bytes on a real socket. In each case nothing but an ordinary call reaches the provider.
"""

from __future__ import annotations

import json
import os
import socket
import stat
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from lifeos.core.modelcall import MAX_BYTES
from lifeos.core.policy.envelope import Limits
from lifeos.proxy import opened
from lifeos.sandbox import Mount, choose
from proxy_scene import KEY, Scene, meter_of, ordinary, received, request, route_to, scene
from scripted_model import ScriptedModel, steps, text

BODY = ordinary()
OTHER = b'{"model": "dear", "messages": [{"role": "user", "content": "hi"}]}'
CHUNKED = b"%x\r\n%s\r\n0\r\n\r\n" % (len(BODY), BODY)


@pytest.fixture
def here() -> Iterator[Scene]:
    """A door whose requests have to come in a second."""
    with scene(steps(text("ok")), meter_of(requests=1000)) as made:
        yield made


def head(*lines: str) -> bytes:
    return "\r\n".join([*lines, "", ""]).encode()


POST = "POST /v1/chat/completions HTTP/1.1"
LENGTH = f"Content-Length: {len(BODY)}"

REFUSED: dict[str, bytes] = {
    "another method": request(b"", line="GET /v1/chat/completions HTTP/1.1"),
    "deleting": request(b"", line="DELETE /v1/chat/completions HTTP/1.1"),
    "a tunnel": request(b"", line="CONNECT example.com:443 HTTP/1.1"),
    "a trace, which would show headers": request(b"", line="TRACE /v1/chat/completions HTTP/1.1"),
    "a small method": request(BODY, line="post /v1/chat/completions HTTP/1.1"),
    "the list of models": request(b"", line="GET /v1/models HTTP/1.1"),
    "another endpoint": request(BODY, line="POST /v1/responses HTTP/1.1"),
    "files of the provider": request(BODY, line="POST /v1/files HTTP/1.1"),
    "the key of the provider": request(b"", line="GET /v1/key HTTP/1.1"),
    "the other protocol": request(BODY, line="POST /v1/messages HTTP/1.1"),
    "a way up": request(BODY, line="POST /v1/x/../chat/completions HTTP/1.1"),
    "a way up, encoded": request(BODY, line="POST /v1/chat/%2e%2e/chat/completions HTTP/1.1"),
    "an encoded letter": request(BODY, line="POST /v1/chat/completion%73 HTTP/1.1"),
    "two slashes": request(BODY, line="POST //v1/chat/completions HTTP/1.1"),
    "two slashes inside": request(BODY, line="POST /v1//chat/completions HTTP/1.1"),
    "a slash at the end": request(BODY, line="POST /v1/chat/completions/ HTTP/1.1"),
    "a query": request(BODY, line="POST /v1/chat/completions?key=1 HTTP/1.1"),
    "a fragment": request(BODY, line="POST /v1/chat/completions#x HTTP/1.1"),
    "a parameter": request(BODY, line="POST /v1/chat/completions;x=1 HTTP/1.1"),
    "an absolute address": request(
        BODY, line="POST http://attacker.invalid/v1/chat/completions HTTP/1.1"
    ),
    "an absolute address of a secret": request(
        b"", line="GET http://169.254.169.254/latest/meta-data HTTP/1.1"
    ),
    "a star": request(b"", line="OPTIONS * HTTP/1.1"),
    "capital letters": request(BODY, line="POST /V1/Chat/Completions HTTP/1.1"),
    "two different lengths": head(POST, "Host: door", LENGTH, "Content-Length: 3") + BODY,
    "a list of lengths": head(POST, "Host: door", f"Content-Length: {len(BODY)}, 3") + BODY,
    "a negative length": head(POST, "Host: door", "Content-Length: -1") + BODY,
    "a length with a sign": head(POST, "Host: door", f"Content-Length: +{len(BODY)}") + BODY,
    "a length in hex": head(POST, "Host: door", "Content-Length: 0x10") + BODY,
    "a length beyond all": head(POST, "Host: door", "Content-Length: " + "9" * 30) + BODY,
    "a length and chunks": head(POST, "Host: door", LENGTH, "Transfer-Encoding: chunked") + CHUNKED,
    "chunks and a length": head(POST, "Host: door", "Transfer-Encoding: chunked", LENGTH) + CHUNKED,
    "compressed chunks": head(POST, "Host: door", "Transfer-Encoding: gzip, chunked") + CHUNKED,
    "chunks spelled otherwise": head(POST, "Host: door", "Transfer-Encoding: xchunked") + CHUNKED,
    "chunks with a bad size": head(POST, "Host: door", "Transfer-Encoding: chunked")
    + b"-5\r\nhello\r\n0\r\n\r\n",
    "a compressed body": head(POST, "Host: door", LENGTH, "Content-Encoding: gzip") + BODY,
    "an upgrade": head(POST, "Host: door", LENGTH, "Upgrade: h2c", "Connection: Upgrade") + BODY,
    "two hosts": head(POST, "Host: door", "Host: other", LENGTH) + BODY,
    "no host": head(POST, LENGTH) + BODY,
    "a space before the colon": head(POST, "Host: door", "Content-Length : 3", LENGTH) + BODY,
    "a folded header that is bad": b"POST /v1/chat/completions HTTP/1.1\r\n folded\r\n\r\n",
    "a line end in a header": head(POST, "Host: door", LENGTH, "X: a\rGET / HTTP/1.1") + BODY,
    "a NUL in a header": head(POST, "Host: door", LENGTH, "X: a\0b") + BODY,
    "a NUL in the path": request(BODY, line="POST /v1/chat/completions\0 HTTP/1.1"),
    "another protocol": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "an old protocol": b"GET /v1/models\r\n\r\n",
    "a future protocol": request(BODY, line="POST /v1/chat/completions HTTP/9.9"),
    "a hello of TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 64,
    "junk": b"\xff\xfe\x00junk\r\n\r\n",
    "a flood of headers": head(POST, "Host: door", *(f"X-{n}: {'y' * 90}" for n in range(2000))),
    "one long header": head(POST, "Host: door", "X: " + "y" * 200_000),
    "one long path": request(BODY, line=f"POST /{'a' * 100_000} HTTP/1.1"),
    "a body that is too large": head(POST, "Host: door", f"Content-Length: {MAX_BYTES + 1}"),
    "chunks that are too large": head(POST, "Host: door", "Transfer-Encoding: chunked")
    + b"%x\r\n" % (MAX_BYTES + 2)
    + b"x" * (MAX_BYTES + 2)
    + b"\r\n0\r\n\r\n",
    "another model": request(OTHER),
    "a search by the provider": request(ordinary(tools=[{"type": "web_search"}])),
    "no JSON": request(b"hello"),
    "an empty body": request(b""),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_way_around_is_refused(here: Scene, name: str) -> None:
    """Answered with an error, counted as refused, and nothing reaches the provider."""
    answer = here.raw(REFUSED[name], half_closed=True)
    errors = (b"HTTP/1.1 4", b"HTTP/1.1 501", b"HTTP/1.1 505")
    assert answer == b"" or answer.startswith(errors), answer[:80]
    assert here.model.requests == []
    assert here.meter.refused == 1
    assert here.meter.usage.requests == 0
    assert KEY.encode() not in answer


@pytest.mark.parametrize("name", ["a body that is too large", "chunks that are too large"])
def test_a_large_body_is_refused_while_it_comes(here: Scene, name: str) -> None:
    """By what its head says, or at the byte beyond; not once all of it is in memory."""
    assert here.raw(REFUSED[name], half_closed=True).startswith(b"HTTP/1.1 413")


def test_what_is_refused_would_go_through_otherwise(here: Scene) -> None:
    """The requests above differ from this one in one point each."""
    assert here.raw(request(BODY)).startswith(b"HTTP/1.1 200")
    chunked = head(POST, "Host: door", "Transfer-Encoding: chunked") + CHUNKED
    assert here.raw(chunked).startswith(b"HTTP/1.1 200")
    assert len(here.model.requests) == 2


@pytest.mark.parametrize(
    "second",
    [request(OTHER), request(BODY), request(b"", line="GET /v1/models HTTP/1.1"), b"junk"],
)
def test_what_follows_a_request_is_not_answered(here: Scene, second: bytes) -> None:
    """One request for each connection: nothing can hide behind the first."""
    answer = here.raw(request(BODY) + second)
    assert answer.count(b"HTTP/1.1 ") == 1
    assert b"connection: close" in answer.lower()
    assert len(here.model.requests) == 1


def test_a_body_hides_nothing_behind_its_length(here: Scene) -> None:
    """A length that ends inside of the body: what is left is no second request."""
    smuggled = request(BODY, line="POST /v1/files HTTP/1.1")
    data = head(POST, "Host: door", LENGTH) + BODY + smuggled
    assert here.raw(data).startswith(b"HTTP/1.1 200")
    assert [asked.path for asked in here.model.requests] == ["/v1/chat/completions"]


@pytest.mark.parametrize(
    "begin",
    [
        b"",
        b"POST /v1/chat/comp",
        head(POST, "Host: door", LENGTH),
        head(POST, "Host: door", LENGTH) + BODY[:-1],
        head(POST, "Host: door", "Transfer-Encoding: chunked") + b"5\r\nhel",
    ],
    ids=["nothing", "half a line", "no body", "a body short of a byte", "half a chunk"],
)
def test_a_request_that_does_not_come_is_not_waited_for(begin: bytes) -> None:
    """The connection is closed at its deadline; others are answered meanwhile."""
    with scene(steps(text("ok")), seconds=0.3) as here, socket.socket(socket.AF_UNIX) as slow:
        slow.settimeout(30)
        slow.connect(str(here.door.socket))
        slow.sendall(begin)
        assert here.raw(request(BODY)).startswith(b"HTTP/1.1 200")
        assert received(slow).startswith(b"HTTP/1.1 408")
        assert len(here.model.requests) == 1


def test_a_request_a_byte_at_a_time_does_not_get_more_time() -> None:
    """The deadline is for the whole, not for each byte."""
    with scene(steps(text("ok")), seconds=0.5) as here, socket.socket(socket.AF_UNIX) as slow:
        slow.settimeout(0.05)
        slow.connect(str(here.door.socket))
        got = b""
        slow.sendall(head(POST, "Host: door", LENGTH))
        for _ in range(600):
            try:
                slow.sendall(b" ")
                got = slow.recv(100)
            except TimeoutError:
                continue
            except (BrokenPipeError, ConnectionResetError):
                break
            break
        else:
            pytest.fail("it was still waited for")
        assert here.model.requests == []
        assert got.startswith((b"HTTP/1.1 408", b"HTTP/1.1 400"))


def test_a_body_cut_short_is_not_sent_on(here: Scene) -> None:
    """What came is not a whole request."""
    answer = here.raw(head(POST, "Host: door", LENGTH) + BODY[:-1], half_closed=True)
    assert answer.startswith(b"HTTP/1.1 400")
    assert here.model.requests == []


def test_connections_that_do_nothing_are_limited() -> None:
    """Beyond the limit one is closed at once; when they have gone, the door answers again."""
    with scene(steps(text("ok")), seconds=30) as here:
        idle = [socket.socket(socket.AF_UNIX) for _ in range(16)]
        for connection in idle:
            connection.connect(str(here.door.socket))
        with socket.socket(socket.AF_UNIX) as one_more:
            one_more.settimeout(30)
            one_more.connect(str(here.door.socket))
            assert received(one_more) == b""
        for connection in idle:
            connection.close()
        for _ in range(1000):
            if here.raw(request(BODY)).startswith(b"HTTP/1.1 200"):
                return
        pytest.fail("the door did not answer again")


def test_connections_that_come_and_go_are_no_refusals(here: Scene) -> None:
    """A program that looks whether somebody is there."""
    for _ in range(5):
        assert here.raw(b"", half_closed=True) == b""
    assert here.meter.refused == 0


def test_a_client_may_ask_before_it_sends_a_body(here: Scene) -> None:
    """As some do with large ones."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(30)
        connection.connect(str(here.door.socket))
        connection.sendall(head(POST, "Host: door", LENGTH, "Expect: 100-continue"))
        assert connection.recv(100).startswith(b"HTTP/1.1 100")
        connection.sendall(BODY)
        assert received(connection).startswith(b"HTTP/1.1 200")


def test_what_goes_on_is_not_what_came(here: Scene) -> None:
    """Spaces, doubled and left out fields are gone: the body is written anew."""
    odd = b'{ "user": "x", "model":"dear", "model" : "m",\n'
    odd += b'"messages": [{"role":"user","content":"\\u00e4"}] }'
    here.raw(request(odd))
    sent = here.model.requests[0].raw
    assert json.loads(sent)["model"] == "m"
    assert sent.count(b"model") == 1
    assert b'user":"x' not in sent
    assert "ä".encode() in sent


def test_only_we_can_enter_the_folder_of_the_socket(here: Scene) -> None:
    """Others of this machine cannot knock; the sandbox gets the socket by a mount."""
    folder = here.door.socket.parent
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE(here.door.socket.stat().st_mode) == 0o666
    assert list(folder.iterdir()) == [here.door.socket]


def test_a_long_temporary_folder_is_no_obstacle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The address of a Unix socket has about 100 bytes."""
    long = tmp_path / ("x" * 120)
    long.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(long))
    with scene(steps(text("ok"))) as here:
        assert len(os.fsencode(here.door.socket)) <= 100
        assert here.raw(request(BODY)).startswith(b"HTTP/1.1 200")


INSIDE = """
import http.client, json, socket, sys
class Door(http.client.HTTPConnection):
    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect("/run/model")
def ask(method, path, body=None):
    door = Door("door")
    door.request(method, path, body)
    return door.getresponse()
print(ask("POST", "/v1/chat/completions", sys.stdin.read()).status)
print(ask("GET", "/v1/models").status)
"""


@pytest.mark.sandbox
def test_the_sandboxs_user_reaches_it(tmp_path: Path) -> None:
    """Through a mount of the socket alone, read-only, as another user."""
    folder = tmp_path / "work"
    folder.mkdir()
    with (
        ScriptedModel(steps(text("ok")), titles=False) as model,
        opened(route_to(model.url), meter_of(), stage="build", clock=time.time) as door,
    ):
        ended = choose("bwrap").run(
            ["python3", "-c", INSIDE],
            folder=folder,
            limits=Limits(),
            env={},
            stdin=BODY,
            sockets=[Mount(door.socket, "/run/model")],
        )
    assert ended.out.split() == [b"200", b"404"], ended.err
    assert len(model.requests) == 1
