"""GitHub's own description of its API, as a judge between lifeos and the forge of the tests.

Prism (a validating proxy) stands between the two, with the description that GitHub publishes. It
refuses a request that GitHub would not take (422), and an answer that GitHub would not give (500).
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from conftest import require

NODE = Path(__file__).parent / "node" / "node_modules"
DESCRIPTION = NODE / "@octokit/openapi/generated/api.github.com.json"
PRISM = NODE / "@stoplight/prism-cli/dist/index.js"
HOW = "npm ci --ignore-scripts --no-audit --no-fund in tests/forge/node, and Node.js 20 or newer"

REPO = "/repos/{owner}/{repo}"
PATHS = {
    "/user": "get",
    "/installation/repositories": "get",
    REPO: "get",
    f"{REPO}/rules/branches/{{branch}}": "get",
    f"{REPO}/rulesets/{{ruleset_id}}": "get",
    f"{REPO}/branches/{{branch}}/protection": "get",
    f"{REPO}/actions/permissions": "get",
    f"{REPO}/actions/permissions/workflow": "get",
    f"{REPO}/actions/workflows/{{workflow_id}}/dispatches": "post",
    f"{REPO}/environments": "get",
    f"{REPO}/environments/{{environment_name}}/deployment-branch-policies": "get",
    f"{REPO}/collaborators": "get",
    f"{REPO}/teams": "get",
    f"{REPO}/pulls": "get post",
    f"{REPO}/pulls/{{pull_number}}": "get patch",
    f"{REPO}/pulls/{{pull_number}}/reviews": "get",
    f"{REPO}/issues/{{issue_number}}/comments": "get post",
    f"{REPO}/issues/{{issue_number}}/events": "get",
    f"{REPO}/activity": "get",
    f"{REPO}/commits/{{commit_sha}}/pulls": "get",
}
"""All that lifeos asks and sends, by method. The whole description would take ten seconds."""


def required() -> None:
    """Skip the running test where the judge is missing; in CI, fail it."""
    there = DESCRIPTION.is_file() and PRISM.is_file() and shutil.which("node") is not None
    require("GitHub's API description and Prism", there, HOW)


def description(base: str) -> dict[str, Any]:
    """GitHub's description, cut to ``PATHS``, below ``base`` as on an Enterprise server."""
    whole = json.loads(DESCRIPTION.read_text(encoding="utf-8"))
    paths = {
        base + path: {method: whole["paths"][path][method] for method in methods.split()}
        for path, methods in PATHS.items()
    }
    kept: dict[str, dict[str, Any]] = {}
    waiting = list(_references(paths))
    while waiting:
        kind, name = waiting.pop().removeprefix("#/components/").split("/")
        if name not in kept.setdefault(kind, {}):
            kept[kind][name] = whole["components"][kind][name]
            waiting += _references(kept[kind][name])
    return {"openapi": whole["openapi"], "info": whole["info"], "paths": paths, "components": kept}


def _references(value: object) -> Iterator[str]:
    if isinstance(value, Mapping):
        if isinstance(found := value.get("$ref"), str):
            yield found
        for inner in value.values():
            yield from _references(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _references(inner)


def free_port() -> int:
    """A port of loopback that nobody uses now."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@contextlib.contextmanager
def judged(upstream: str, folder: Path, base: str) -> Iterator[int]:
    """The port at which the judge listens; it hands on to ``upstream`` what GitHub would take."""
    file, log, port = folder / "github.json", folder / "prism.log", free_port()
    file.write_text(json.dumps(description(base)), encoding="utf-8")
    command = ["node", str(PRISM), "proxy", "--errors", "-h", "127.0.0.1", "-p", str(port)]
    with log.open("wb") as out:
        process = subprocess.Popen(
            [*command, str(file), upstream],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            env={"PATH": os.environ["PATH"], "HOME": str(folder), "NO_COLOR": "1"},
        )
    try:
        _wait(process, port, log)
        yield port
    finally:
        process.terminate()
        process.wait(timeout=20)


def _wait(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    end = time.monotonic() + 60
    while time.monotonic() < end and process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.05)
    raise AssertionError(f"Prism did not start:\n{log.read_text(errors='replace')[-3000:]}")
