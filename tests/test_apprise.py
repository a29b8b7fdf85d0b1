"""Notices by Apprise, to a server on this machine that writes down what arrives."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from conftest import require
from lifeos.notify import apprise_is_here
from test_notify import project, tick

TOKEN = "s3cr3t-path-of-the-address"  # noqa: S105  (it opens nothing)
NAMED = {"config.notify": {"apprise": ["TELL_URL"]}}


class Server:
    """Takes what is posted to it; answers with ``status``."""

    def __init__(self) -> None:
        self.got: list[tuple[str, dict[str, Any]]] = []
        self.status = 200
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                size = int(self.headers.get("Content-Length", 0))
                outer.got.append((self.path, json.loads(self.rfile.read(size))))
                self.send_response(outer.status)
                self.end_headers()

            def log_message(self, *_args: object) -> None:
                """Say nothing."""

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.http.serve_forever, daemon=True)
        self.thread.start()

    @property
    def url(self) -> str:
        """Its address as Apprise writes it; its path is as secret as a webhook's."""
        return f"json://127.0.0.1:{self.http.server_port}/{TOKEN}"


@pytest.fixture
def server() -> Iterator[Server]:
    """A server, while Apprise is here."""
    require("Apprise", apprise_is_here(), "script/env dev, or pip install '.[apprise]'")
    server = Server()
    yield server
    server.http.shutdown()
    server.http.server_close()


def test_a_question_arrives_once(tmp_path: Path, server: Server) -> None:
    """Title and text, by the real Apprise; a second tick sends nothing."""
    scene = project(tmp_path, NAMED)
    scene.cli("tick", TELL_URL=server.url)
    scene.commit({"notes.txt": "1\n"})
    scene.cli("tick", TELL_URL=server.url)
    ((path, posted),) = server.got
    assert path == f"/{TOKEN}"
    assert posted["title"] == "repo: a question waits for you"
    assert f"lifeos approve {scene.item().id}" in posted["message"]


def test_what_fails_is_said_without_the_address(tmp_path: Path, server: Server) -> None:
    """Not in what the tick says, nor in its files; also where Apprise itself would log it."""
    scene = project(tmp_path, NAMED)
    server.status = 500
    said = scene.cli("tick", "--json", TELL_URL=server.url)
    assert "apprise TELL_URL: Apprise could not deliver it" in said.data["untold"][0]
    assert len(server.got) == 1
    kept = b"".join(p.read_bytes() for p in (scene.folder / ".git/lifeos").glob("*") if p.is_file())
    for text in (said.out, said.err, kept.decode("utf-8", "replace")):
        assert TOKEN not in text


def test_the_address_is_no_part_of_any_text(tmp_path: Path, server: Server) -> None:
    """A task that names it gives nothing away: the variable's value is a secret."""
    scene = project(tmp_path, NAMED)
    backlog = (scene.folder / "BACKLOG.md").read_text()
    scene.commit({"BACKLOG.md": backlog.replace("Say hello in the guide", f"Call {server.url}")})
    scene.environ["TELL_URL"] = server.url
    tick(scene)
    ((_, posted),) = server.got
    assert TOKEN not in json.dumps(posted)
    assert "[redacted: value of TELL_URL]" in posted["message"]


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("", "the variable TELL_URL is not set"),
        ("nothing-that-is-known://x", "what the variable holds is no URL that Apprise knows"),
    ],
    ids=["not set", "not understood"],
)
def test_a_wrong_address_is_named_by_its_variable(
    tmp_path: Path, server: Server, value: str, said: str
) -> None:
    """By the tick, and an unset one by doctor too."""
    scene = project(tmp_path, NAMED)
    (problem,) = scene.cli("tick", "--json", TELL_URL=value).data["untold"]
    assert said in problem
    assert "nothing-that" not in problem
    looked = scene.cli("doctor", "--offline", "--json", code=None, TELL_URL=value).data["lines"]
    fails = [line for line in looked if line["name"] == "notices" and line["level"] == "fail"]
    assert bool(fails) is (not value)
    assert server.got == []


def test_doctor_says_that_all_is_there(tmp_path: Path, server: Server) -> None:
    """And sends nothing."""
    scene = project(tmp_path, NAMED)
    said = scene.cli("doctor", "--offline", code=None, TELL_URL=server.url).out
    assert "apprise: TELL_URL is set" in said
    assert TOKEN not in said
    assert server.got == []


def test_without_the_extra_validate_and_doctor_say_how_to_get_it(tmp_path: Path) -> None:
    """On a machine where nothing called apprise can be imported."""
    scene = project(tmp_path, NAMED)
    where = without_apprise(tmp_path)
    checked = scene.cli("validate", PYTHONPATH=where)
    assert "needs Apprise, which is not installed here" in checked.out
    assert "-m pip install apprise" in checked.out
    looked = scene.cli("doctor", "--offline", code=1, PYTHONPATH=where)
    assert "Apprise is not installed" in looked.out
    assert "-m pip install apprise" in looked.out


def without_apprise(folder: Path) -> str:
    """A folder for PYTHONPATH in which Python learns that there is no such module."""
    place = folder / "without"
    place.mkdir()
    (place / "sitecustomize.py").write_text("import sys\nsys.modules['apprise'] = None\n")
    return str(place)


def test_a_url_in_the_file_is_refused_and_not_said_again(tmp_path: Path) -> None:
    """What was written in the variable's place may be the secret itself."""
    scene = project(tmp_path, {"config.notify": {"apprise": [f"json://example.org/{TOKEN}"]}})
    said = scene.cli("validate", code=2)
    assert "must be the name of an environment variable, never the address itself" in said.out
    assert TOKEN not in said.out + said.err


def test_a_hanging_server_is_left_after_the_deadline(tmp_path: Path, server: Server) -> None:
    """Apprise runs in a process of its own, which is ended like a command."""
    scene = project(tmp_path, {"config.notify": {"apprise": ["TELL_URL"], "timeout": 1}})
    silent = threading.Event()
    handler = server.http.RequestHandlerClass
    handler.do_POST = lambda _self: silent.wait(20)  # type: ignore[attr-defined]  # a handler's
    scene.environ["TELL_URL"] = server.url
    try:
        (problem,) = tick(scene).told.problems
    finally:
        silent.set()
    assert "it did not end within 1 s" in problem
