"""The way out with TLS: whom the proxy believes, and that it can let go of a silent provider."""

from __future__ import annotations

import shutil
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from conftest import require
from lifeos.core.policy.models import Wire
from lifeos.proxy import opened
from lifeos.proxy.probe import probe
from proxy_scene import KEY, Scene, meter_of, ordinary, request, route_to
from scripted_model import ScriptedModel, steps, text


@dataclass
class Secure:
    """A server with TLS and a certificate that nobody knows; it answers nothing."""

    listener: socket.socket
    context: ssl.SSLContext
    certificate: Path
    heard: bytes = b""
    closed: threading.Event = field(default_factory=threading.Event)

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.listener.getsockname()[1]}/v1"

    def serve(self) -> None:
        """Take one connection after the other, and keep what it says in the clear of TLS."""
        while True:
            try:
                plain, _ = self.listener.accept()
            except OSError:
                return
            try:
                with self.context.wrap_socket(plain, server_side=True) as connection:
                    while piece := connection.recv(65536):
                        self.heard += piece
            except OSError:
                continue
            finally:
                plain.close()
            self.closed.set()


@pytest.fixture
def secure(tmp_path: Path) -> Iterator[Secure]:
    program = shutil.which("openssl")
    require("openssl", program is not None, "apt-get install openssl")
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"),
            *("-keyout", str(key), "-out", str(certificate), "-subj", "/CN=127.0.0.1"),
            *("-addext", "subjectAltName=IP:127.0.0.1"),
        ],
        check=True,
        capture_output=True,
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    listener = socket.create_server(("127.0.0.1", 0))
    made = Secure(listener, context, certificate)
    thread = threading.Thread(target=made.serve, daemon=True)
    thread.start()
    yield made
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join(10)


def test_a_certificate_that_is_not_known_gets_no_key(secure: Secure) -> None:
    """The attempt ends with what to do; nothing was said to the other side."""
    meter = meter_of()
    with (
        ScriptedModel(steps(text("ok"))) as unused,
        opened(route_to(secure.url), meter, stage="build", clock=time.time) as door,
    ):
        assert Scene(door, meter, unused, Wire.CHAT).ask().status_code == 400
        found = probe(route_to(secure.url), time.time)
    assert meter.stop == "config"
    assert "certificate" in meter.message
    assert "certificate" in found.problem
    assert secure.heard == b""


def test_a_certificate_of_the_environment_is_believed(
    secure: Secure, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As organisations have them. And a call that waits ends with the door, here as well."""
    monkeypatch.setenv("SSL_CERT_FILE", str(secure.certificate))
    meter = meter_of()
    with (
        opened(route_to(secure.url), meter, stage="build", clock=time.time) as door,
        socket.socket(socket.AF_UNIX) as connection,
    ):
        connection.connect(str(door.socket))
        connection.sendall(request(ordinary(stream=True)))
        for _ in range(1000):
            if b"hello" in secure.heard:
                break
            time.sleep(0.01)
    assert f"Bearer {KEY}".encode() in secure.heard
    assert secure.closed.wait(10)
    (receipt,) = meter.receipts
    assert (receipt.status, receipt.counted) == (0, False)
    assert receipt.tokens_in > 0
