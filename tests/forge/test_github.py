"""The client of GitHub, before a server that is slow, broken, elsewhere, or had enough."""

from __future__ import annotations

import json
import os
import shutil
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from conftest import require
from lifeos.errors import Exit, LifeosError
from lifeos.forge import (
    Conflicting,
    ForbiddenBySetting,
    NotFound,
    Outage,
    RateLimited,
    Refused,
    TooMuch,
)
from lifeos.forge.github import GitHub
from lifeos.forge.wire import Patience, Wire, api_base

TOKEN = "ghx_Canary7Zq2"  # noqa: S105 - opens nothing
QUICK = Patience(connect=2, silence=0.4, whole=1.0, tries=3, pause=0.01)
NOW = 1_735_689_600
Act = Callable[["Handler"], None]


class Handler(BaseHTTPRequestHandler):
    """Does what the test says, request by request; the last thing again and again."""

    acts: list[Act]
    seen: list[tuple[str, str]]

    def do_GET(self) -> None:
        """One request."""
        self.seen.append((self.path, self.headers.get("authorization", "")))
        act = self.acts.pop(0) if len(self.acts) > 1 else self.acts[0]
        act(self)

    def log_message(self, *_: Any) -> None:
        """Nothing: what was asked is in ``seen``."""


@contextmanager
def server(*acts: Act) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """A server of the test's own: its host, and what it was asked with which authorization."""
    seen: list[tuple[str, str]] = []
    kind = type("Scripted", (Handler,), {"acts": list(acts), "seen": seen})
    running = ThreadingHTTPServer(("127.0.0.1", 0), kind)
    running.daemon_threads = True
    threading.Thread(target=running.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield f"127.0.0.1:{running.server_port}", seen
    finally:
        running.shutdown()
        running.server_close()


def says(status: int, value: Any, **headers: str) -> Act:
    """An answer with this status, body and headers (``_`` for ``-``)."""

    def act(handler: Handler) -> None:
        body = value if isinstance(value, bytes) else json.dumps(value).encode()
        handler.send_response(status)
        handler.send_header("content-length", str(len(body)))
        for name, text in headers.items():
            handler.send_header(name.replace("_", "-"), text)
        handler.end_headers()
        handler.wfile.write(body)

    return act


def asked(host: str, **patience: Any) -> Any:
    """One question to a host."""
    limits = QUICK if not patience else Patience(**{**QUICK.__dict__, **patience})
    wire = Wire(host, TOKEN, limits, clock=lambda: NOW, sleep=lambda _: None)
    try:
        return wire.get("/user").value
    finally:
        wire.close()


def failed(kind: type[LifeosError], *acts: Act) -> Any:
    """The error of one question; it shows no token, and says what to do."""
    with server(*acts) as (host, _), pytest.raises(kind) as caught:
        asked(host)
    assert TOKEN not in str(caught.value)
    return caught.value


def test_where_the_api_of_a_host_is() -> None:
    """GitHub.com, data residency, Enterprise Server; without TLS only on this machine."""
    assert api_base("github.com") == "https://api.github.com"
    assert api_base("octo.ghe.com") == "https://api.octo.ghe.com"
    assert api_base("git.example.org:8443") == "https://git.example.org:8443/api/v3"
    assert api_base("127.0.0.1:80") == "http://127.0.0.1:80/api/v3"
    assert api_base("127.0.0.1.example.org") == "https://127.0.0.1.example.org/api/v3"


@pytest.mark.parametrize(
    ("act", "wait"),
    [
        (says(429, {"message": "slow down"}, retry_after="17"), 17),
        (says(403, {"message": "You have exceeded a secondary rate limit"}, retry_after="5"), 5),
        (says(403, {"message": "You have exceeded a secondary rate limit."}), 60),
        (
            says(
                403,
                {"message": "API rate limit exceeded for installation"},
                x_ratelimit_remaining="0",
                x_ratelimit_reset=str(NOW + 1234),
            ),
            1234,
        ),
        (says(429, {}, retry_after="soon"), 60),
        (says(429, {}, x_ratelimit_remaining="0", x_ratelimit_reset="9" * 40), 86_400),
    ],
)
def test_how_long_to_wait(act: Act, wait: int) -> None:
    """The primary and the secondary limit say how long; it is not asked again before."""
    with server(act) as (host, seen), pytest.raises(RateLimited) as caught:
        asked(host)
    assert caught.value.wait == wait
    assert caught.value.exit_code is Exit.BUSY
    assert f"wait {wait} seconds" in caught.value.fix
    assert len(seen) == 1


def test_errors_are_told_apart() -> None:
    """Each kind has its exit code and its next action."""
    error = failed(Refused, says(401, {"message": f"Bad credentials {TOKEN}"}))
    assert error.exit_code is Exit.NOT_AUTHORISED
    assert "set a new one" in error.fix
    said = "Resource not accessible by integration"
    needs = "administration=read"
    error = failed(Refused, says(403, {"message": said}, x_accepted_github_permissions=needs))
    assert "give the token administration=read" in error.fix
    error = failed(
        ForbiddenBySetting,
        says(403, {"message": "Resource protected by organization SAML enforcement. You must …"}),
    )
    assert error.setting == "SAML single sign-on"
    assert error.exit_code is Exit.NOT_AUTHORISED
    error = failed(ForbiddenBySetting, says(403, {"message": "Upgrade to GitHub Pro or make …"}))
    assert error.setting == "the plan"
    assert failed(NotFound, says(404, {"message": "Not Found"})).exit_code is Exit.USAGE
    assert failed(Conflicting, says(409, {"message": "x"})).exit_code is Exit.BUSY
    assert "(422)" in failed(Outage, says(422, {"message": "Validation Failed"})).message


def test_what_the_forge_says_cannot_drive_a_terminal() -> None:
    """Its words are foreign text: one line, cleaned, short."""
    error = failed(NotFound, says(404, {"message": "\x1b[2Jgone\nfix: rm -rf /" + "x" * 5000}))
    assert "\x1b" not in str(error)
    assert "\n" not in error.message
    assert len(error.message) < 400


def test_a_question_is_asked_again_after_an_outage() -> None:
    """Three times at most; a question changes nothing, so asking again cannot either."""
    good = says(200, {"id": 1})
    with server(says(502, b"<html>"), says(503, b""), good) as (host, seen):
        assert asked(host) == {"id": 1}
        assert len(seen) == 3
    with server(says(500, b"")) as (host, seen), pytest.raises(Outage):
        asked(host)
    assert len(seen) == 3


def _cut(handler: Handler) -> None:
    handler.send_response(200)
    handler.send_header("content-length", "1000")
    handler.end_headers()
    handler.wfile.write(b'{"id": 1')


def _silent(_: Handler) -> None:
    time.sleep(1.0)


def _drips(handler: Handler) -> None:
    """A byte now and then: never silent for long, and never done."""
    handler.send_response(200)
    handler.send_header("content-length", "1000")
    handler.end_headers()
    with_end = time.monotonic() + 4
    while time.monotonic() < with_end:
        try:
            handler.wfile.write(b" ")
            handler.wfile.flush()
        except OSError:
            return
        time.sleep(0.1)


@pytest.mark.parametrize(
    ("act", "why"),
    [
        (_cut, "broke off"),
        (_silent, "in time"),
        (_drips, "in time"),
        (says(200, b"{nonsense"), "is not what GitHub answers"),
        (says(200, b"[" * 100_000), "is not what GitHub answers"),
        (says(200, b"\xff\xfe\x00"), "is not what GitHub answers"),
        (says(200, b" " * (9 << 20)), "more than 8 MB"),
    ],
)
def test_half_of_an_answer_is_none(act: Act, why: str) -> None:
    """Cut, silent, dripping, junk, huge: an outage, never half of a value."""
    with server(act) as (host, _), pytest.raises(Outage, match=why):
        asked(host, tries=1)


@pytest.mark.parametrize("value", [[], {}, {"id": "1", "login": 5}, None, "x"])
def test_an_answer_of_another_shape_is_an_outage(value: Any) -> None:
    """What GitHub always gives and is not there: then it is not GitHub. No crash, no guess."""
    with server(says(200, value)) as (host, _):
        forge = GitHub(host, "octo/hello", TOKEN, QUICK)
        for ask in (forge.identity, forge.repository, forge.actions, forge.environments):
            with pytest.raises(Outage, match="is not what GitHub answers"):
                ask()
        forge.close()


def test_a_redirect_is_not_followed() -> None:
    """The token goes to the host of the settings and to no other, and not to another path."""
    with server(says(200, {"id": 1})) as (thief, stolen):
        moved = says(301, b"", location=f"http://{thief}/api/v3/user")
        with server(moved) as (host, seen), pytest.raises(NotFound, match="does not follow"):
            asked(host)
    assert stolen == []
    assert len(seen) == 1


def test_the_next_page_is_asked_by_number() -> None:
    """Three pages; where an answer says that the next one is elsewhere, nobody is asked there."""
    with server(says(200, [])) as (thief, stolen):
        more = {"link": f'<http://{thief}/?page=2>; rel="next", <http://x.invalid>; rel="last"'}
        pages = [says(200, [1], **more), says(200, [2], **more), says(200, [3])]
        with server(*pages) as (host, seen):
            wire = Wire(host, TOKEN, QUICK)
            assert list(wire.pages("/x")) == [1, 2, 3]
            wire.close()
    assert stolen == []
    assert [path for path, _ in seen] == [
        f"/api/v3/x?per_page=100&page={number}" for number in (1, 2, 3)
    ]


def _long_texts(handler: Handler) -> None:
    """A list of 230 entries, of which a hundred together are longer than is read of an answer."""
    query = parse_qs(urlsplit(handler.path).query)
    size, page = int(query["per_page"][0]), int(query["page"][0])
    entries = list(range(230))[(page - 1) * size : page * size]
    if len([each for each in entries if 100 <= each < 200]) > 10:
        says(200, b" " * (9 << 20))(handler)
        return
    more = {"link": '<x>; rel="next"'} if page * size < 230 else {}
    says(200, entries, **more)(handler)


def test_a_page_of_long_texts_is_asked_for_in_parts() -> None:
    """Each entry once, in order; the page is not asked for again as it was, and the rest by
    hundreds."""
    with server(_long_texts) as (host, seen):
        wire = Wire(host, TOKEN, QUICK)
        assert list(wire.pages("/x")) == list(range(230))
        wire.close()
    pages = [(100, 1), (100, 2), *((10, page) for page in range(11, 21)), (100, 3)]
    assert [path for path, _ in seen] == [
        f"/api/v3/x?per_page={size}&page={page}" for size, page in pages
    ]


def test_an_entry_that_is_too_long_is_a_fact_about_its_list() -> None:
    """Asked for in parts, and once: the same would come again."""
    with server(says(200, b" " * (9 << 20))) as (host, seen):
        wire = Wire(host, TOKEN, QUICK)
        with pytest.raises(TooMuch, match="more than 8 MB at /x"):
            list(wire.pages("/x"))
        wire.close()
    assert len(seen) == 2


def test_a_list_without_end_is_an_outage() -> None:
    """A server that always has one more page does not hold lifeos for ever."""
    with server(says(200, [1], link='<x>; rel="next"')) as (host, seen):
        wire = Wire(host, TOKEN, QUICK)
        with pytest.raises(TooMuch, match="more than"):
            list(wire.pages("/x"))
        wire.close()
    assert len(seen) == 50


def test_a_token_that_is_sent_back_shows_nowhere() -> None:
    """Neither in a value, nor in a header, nor in an error."""
    back = {"id": 1, "login": f"me {TOKEN}", "type": "User", "email": TOKEN}
    with server(says(200, back, x_oauth_scopes=TOKEN)) as (host, seen):
        forge = GitHub(host, "octo/hello", TOKEN, QUICK)
        assert TOKEN not in repr(forge.identity())
        forge.close()
    assert seen[0][1] == f"Bearer {TOKEN}"


@pytest.mark.parametrize("token", ["a b", "a\nb", "ä", "a\x7fb"])
def test_what_is_no_token_is_not_sent(token: str) -> None:
    """A line end in it would be another header; the error does not show it."""
    with pytest.raises(Refused) as caught:
        Wire("127.0.0.1:9", token, QUICK)
    assert token not in str(caught.value)


def test_a_proxy_of_the_environment_does_not_see_the_token() -> None:
    """Without TLS, which is for this machine alone, no proxy is used."""
    with server(says(200, {})) as (proxy, through), server(says(200, {"id": 1})) as (host, seen):
        code = (
            "from lifeos.forge.wire import *\n"
            f"w = Wire({host!r}, 'tok', Patience()); print(w.get('/user').value); w.close()"
        )
        environ = os.environ | {"HTTP_PROXY": f"http://{proxy}", "ALL_PROXY": f"http://{proxy}"}
        done = subprocess.run(
            [sys.executable, "-c", code], env=environ, capture_output=True, check=True, timeout=60
        )
    assert done.stdout.strip() == b"{'id': 1}"
    assert len(seen) == 1
    assert through == []


def test_no_certificate_is_taken_on_trust(tmp_path: Path) -> None:
    """A server whose certificate nobody signed is asked nothing: it would see the token."""
    key, cert = tmp_path / "key.pem", tmp_path / "cert.pem"
    program = shutil.which("openssl")
    require("openssl", program is not None, "apt-get install openssl")
    made = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost"]
    made += ["-addext", "subjectAltName=IP:127.0.0.2", "-keyout", str(key), "-out", str(cert)]
    subprocess.run(made, check=True, capture_output=True, timeout=60)
    seen: list[tuple[str, str]] = []
    kind = type("Tls", (Handler,), {"acts": [says(200, {"id": 1})], "seen": seen})
    try:  # 127.0.0.1 is asked without TLS
        running = ThreadingHTTPServer(("127.0.0.2", 0), kind)
    except OSError:
        pytest.skip("needs the whole of 127.0.0.0/8 as loopback, as Linux has it")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    running.socket = context.wrap_socket(running.socket, server_side=True)
    threading.Thread(target=running.serve_forever, args=(0.02,), daemon=True).start()
    try:
        with pytest.raises(Outage, match="certificate that is not valid"):
            asked(f"127.0.0.2:{running.server_port}", tries=1)
    finally:
        running.shutdown()
        running.server_close()
    assert seen == []
