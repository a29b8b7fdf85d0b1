"""A real browser: Chromium without a window, told what to do over its own protocol by two pipes.

No driver and no port is needed: ``--remote-debugging-pipe`` reads commands from descriptor 3 and
writes answers and events to descriptor 4, as JSON that ends in a zero byte.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from conftest import require

NAMES = ("chromium", "chromium-browser", "google-chrome")
PATIENCE = 60  # seconds; a browser on a busy machine is slow, and nothing here is timed
_QUIET = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-dev-shm-usage",
    "--disable-extensions",
    "--disable-sync",
    "--hide-scrollbars",
    "--force-color-profile=srgb",
    "--remote-debugging-pipe",
)
# Puts the pipes where the browser looks for them, and becomes the browser.
_AT_3_AND_4 = """\
import fcntl, os, sys
pipes = [fcntl.fcntl(int(number), fcntl.F_DUPFD, 10) for number in sys.argv[1:3]]
os.dup2(pipes[0], 3)
os.dup2(pipes[1], 4)
os.execv(sys.argv[3], sys.argv[3:])
"""
_TOLD = ("Log.entryAdded", "Runtime.consoleAPICalled", "Runtime.exceptionThrown")


@dataclass
class Shown:
    """A page as it stands, with what the browser had to say of it.

    ``problems`` are its messages of any level (a policy that was broken is one of them),
    ``requests`` every address that it asked for.
    """

    browser: Browser
    session: str
    problems: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    def ask(self, expression: str) -> Any:  # Any: what JavaScript gives
        """The value of an expression in the page; the page's own policy does not stop us."""
        found = self.browser.call(
            "Runtime.evaluate",
            {"expression": expression, "returnByValue": True, "awaitPromise": True},
            self.session,
        )
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    def see(self, **media: str) -> None:
        """What the person has chosen: ``prefers_color_scheme="dark"``."""
        features = [{"name": k.replace("_", "-"), "value": v} for k, v in media.items()]
        self.browser.call("Emulation.setEmulatedMedia", {"features": features}, self.session)

    def size(self, width: int, height: int, scale: float = 1) -> None:
        """The size of the screen in pixels of a page."""
        self.browser.call(
            "Emulation.setDeviceMetricsOverride",
            {
                "width": width,
                "height": height,
                "deviceScaleFactor": scale,
                "mobile": width < 600,
            },
            self.session,
        )

    def picture(self, *, whole: bool = False, clip: dict[str, float] | None = None) -> bytes:
        """What is seen, as PNG; ``whole``: all of the page."""
        options: dict[str, object] = {"format": "png", "captureBeyondViewport": whole}
        if clip:
            options["clip"] = {"scale": 1, **clip}
        found = self.browser.call("Page.captureScreenshot", options, self.session)
        return base64.b64decode(found["data"])


class Browser:
    """One browser, for many pages."""

    def __init__(self, process: subprocess.Popen[bytes], write: int, read: int) -> None:
        """The two pipes, as this side has them."""
        self.process, self._write, self._read = process, write, read
        self._buffer, self._count = b"", 0
        self._pages: dict[str, Shown] = {}

    def call(
        self, method: str, params: dict[str, Any] | None = None, session: str = ""
    ) -> dict[str, Any]:
        """One command and its answer; events that come meanwhile go to their pages."""
        self._count += 1
        number = self._count
        message: dict[str, Any] = {"id": number, "method": method, "params": params or {}}
        if session:
            message["sessionId"] = session
        os.write(self._write, json.dumps(message).encode() + b"\0")
        while True:
            found = self._next()
            if found.get("id") == number:
                assert "error" not in found, (method, found["error"])
                result: dict[str, Any] = found["result"]
                return result

    def wait(self, method: str, session: str) -> None:
        """Until an event of a page comes."""
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            found = self._next()
            if found.get("method") == method and found.get("sessionId") == session:
                return
        raise AssertionError(f"{method} did not come")

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._buffer:
            part = os.read(self._read, 1 << 16)
            assert part, f"the browser ended: {self.process.poll()}"
            self._buffer += part
        line, _, self._buffer = self._buffer.partition(b"\0")
        found: dict[str, Any] = json.loads(line)
        self._note(found)
        return found

    def _note(self, found: dict[str, Any]) -> None:
        page = self._pages.get(found.get("sessionId", ""))
        method = found.get("method", "")
        if page is None:
            return
        if method in _TOLD:
            page.problems.append(json.dumps(found["params"])[:600])
        elif method == "Network.requestWillBeSent":
            page.requests.append(found["params"]["request"]["url"])

    def open(self, address: str, *, width: int = 1280, scripts: bool = True) -> Shown:
        """Go to an address in a page of its own, and wait until it is loaded."""
        target = self.call("Target.createTarget", {"url": "about:blank"})["targetId"]
        session = self.call("Target.attachToTarget", {"targetId": target, "flatten": True})[
            "sessionId"
        ]
        shown = self._pages[session] = Shown(self, session)
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable", {}, session)
        self.call("Emulation.setScriptExecutionDisabled", {"value": not scripts}, session)
        shown.size(width, 844 if width < 600 else 900)
        self.call("Page.navigate", {"url": address}, session)
        self.wait("Page.loadEventFired", session)
        return shown


def program() -> str | None:
    """The browser's program, where there is one."""
    return next((found for name in NAMES if (found := shutil.which(name))), None)


@contextmanager
def browser(folder: Path) -> Iterator[Browser]:
    """A browser with a fresh profile in a folder; the test is skipped where there is none."""
    found = program()
    require("chromium", found is not None, "apt-get install chromium")
    assert found is not None
    theirs_in, ours_out = os.pipe()
    ours_in, theirs_out = os.pipe()
    command = [sys.executable, "-c", _AT_3_AND_4, str(theirs_in), str(theirs_out)]
    command += [found, *_QUIET, f"--user-data-dir={folder}"]
    process = subprocess.Popen(
        command,
        pass_fds=(theirs_in, theirs_out),
        env={**os.environ, "HOME": str(folder)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    os.close(theirs_in)
    os.close(theirs_out)
    try:
        yield Browser(process, ours_out, ours_in)
    finally:
        os.close(ours_out)  # its end of the pipe: the browser leaves by itself
        os.close(ours_in)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, 9)
            process.wait()
