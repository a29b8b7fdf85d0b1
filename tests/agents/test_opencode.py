"""The real OpenCode in the real sandbox behind the real proxy, with a model that does as scripted.

The program is taken from the PATH, or from the variable LIFEOS_TEST_OPENCODE.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from conftest import require
from escape_repository import SECRETS, a_machine
from lifeos.agents.opencode import OpenCode
from lifeos.agents.opencode_install import find, ripgrep
from lifeos.agents.program import Call, Said
from lifeos.bubblewrap import Bubblewrap
from lifeos.core.policy.envelope import AgentLimits, Limits
from lifeos.core.policy.models import Model, Price, Provider, Wire
from lifeos.errors import Problem
from lifeos.model import FailureClass
from lifeos.process import Ended
from lifeos.proxy import Allowance, Meter, Route, opened
from lifeos.sandbox import NoSandbox
from scripted_model import (
    Asked,
    Script,
    ScriptedModel,
    Step,
    Turn,
    error,
    hang,
    in_order,
    no_finish,
    stall,
    steps,
    stream_forever,
    text,
    tool,
)
from scripted_team import HOW, place

BINARY = place()
RECORDED = Path(__file__).with_name("recorded_error.jsonl")
KEY = "sk-canary-5d1e2c7b9a"
DONE = text("All done.")

pytestmark = pytest.mark.sandbox


@pytest.fixture(autouse=True)
def installed() -> None:
    """The program has to be here."""
    found = find(BINARY, {"PATH": os.environ["PATH"]})
    require("OpenCode", not isinstance(found, Problem), HOW)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The tree that an agent gets."""
    work = tmp_path / "work"
    work.mkdir()
    (work / "README.md").write_text("# Read me\n", encoding="utf-8")
    return work


@dataclass
class Seen:
    """One call, and what was seen of it from outside."""

    said: Said
    requests: list[Asked]
    meter: Meter
    progress: list[str] = field(default_factory=list)

    def offered(self) -> list[str]:
        """The names of the tools in the first request."""
        return sorted(each["function"]["name"] for each in self.requests[0].body["tools"])

    def all_sent(self) -> str:
        """Everything that reached the model."""
        return "".join(asked.raw.decode() for asked in self.requests)


def call(script: Script, folder: Path, **changes: Any) -> Seen:
    """One call with the given fields of ``Call`` changed. ``tokens``: what the attempt may use."""
    agent_limits = changes.setdefault("agent_limits", AgentLimits(silence=60))
    allowance = Allowance(agent_limits, changes.pop("tokens", 10_000_000), None)
    wire = changes.setdefault("wire", Wire.CHAT)
    environ = changes.pop("environ", {"PATH": os.environ["PATH"]})
    model = Model(provider="scripted", id="maker/model-1", price=Price(input=3.0, output=15.0))
    progress: list[str] = []
    with ScriptedModel(script) as server:
        route = Route("m", "scripted", Provider(url=server.url, wire=wire), model, KEY)
        meter = Meter(allowance)
        say = progress.append
        with opened(route, meter, stage="build", clock=time.time, told=say) as door:
            given: dict[str, Any] = {
                "prompt": "Do it.",
                "title": "- A title\n",
                "folder": folder,
                "writable": True,
                "limits": Limits(),
                "environment": {"LANG": "C.UTF-8", "OPENCODE_PERMISSION": '{"*":"allow"}'},
                "sandbox": Bubblewrap(),
                "model": model,
                "progress": progress.append,
            }
            said = OpenCode(BINARY, environ).call(Call(**(given | {"door": door} | changes)))
        assert server.faults == []
        return Seen(said, list(server.requests), meter, progress)


def test_a_build_writes_and_runs(folder: Path) -> None:
    """Files appear, commands are told with their status, progress and usage come along."""
    script = steps(
        tool("write", filePath="src/new.py", content="print('hello')\n"),
        tool("bash", command="python3 src/new.py && exit 3", description="Run it"),
        tool("edit", filePath="README.md", oldString="Read me", newString="Read this"),
        DONE,
    )
    seen = call(script, folder, prompt='-x "quoted" @README.md /init $HOME\n\nends here')
    said = seen.said
    assert (said.failure, said.message, said.text) == (None, "", "All done.")
    assert (folder / "src" / "new.py").read_text(encoding="utf-8") == "print('hello')\n"
    assert (folder / "README.md").read_text(encoding="utf-8") == "# Read this\n"
    assert not (folder / ".git").exists()
    (ran,) = said.ran
    assert (ran.command, ran.status, ran.denied) == ("python3 src/new.py && exit 3", 3, False)
    assert ran.seconds is not None
    shown = [line.split(" (")[0] for line in seen.progress]
    assert shown == [
        "writes: src/new.py",
        "runs: python3 src/new.py && exit 3",
        "edits: README.md",
        "has answered",
    ]
    assert said.reported.requests == 4
    assert said.reported.tokens == seen.meter.usage.tokens == 4 * 120
    assert said.reported.cost == pytest.approx(seen.meter.usage.cost)
    assert b"hello" in said.log
    assert seen.requests[0].body["messages"][-1] == {
        "role": "user",
        "content": '-x "quoted" @README.md /init $HOME\n\nends here',
    }


@pytest.mark.parametrize("wire", list(Wire))
def test_looking_only(folder: Path, wire: Wire) -> None:
    """Over both protocols: a prompt of 300 KB arrives whole, and nothing in the tree changes."""
    script = steps(
        tool("write", filePath="/work/new.txt", content="x"),
        tool("edit", filePath="/work/README.md", oldString="Read me", newString="x"),
        tool("bash", command="touch /work/new.txt", description="x"),
        DONE,
    )
    prompt = "".join(f"line {n} of a long prompt\n" for n in range(12_000)) + "the end"
    seen = call(script, folder, writable=False, wire=wire, prompt=prompt)
    assert (seen.said.failure, seen.said.text) == (None, "All done.")
    assert [path.name for path in folder.iterdir()] == ["README.md"]
    assert (folder / "README.md").read_text(encoding="utf-8") == "# Read me\n"
    assert seen.said.ran == ()
    refused = [line for line in seen.progress if line.endswith("which is not allowed")]
    assert [line.split(",")[0] for line in refused] == ["writes", "edits", "runs"]
    content = next(m for m in seen.requests[0].body["messages"] if m["role"] == "user")["content"]
    assert (content if isinstance(content, str) else content[0]["text"]) == prompt


CANARIES = {
    "AGENTS.md": "CANARY-agents",
    "CLAUDE.md": "CANARY-claude",
    "CONTEXT.md": "CANARY-context",
    "sub/AGENTS.md": "NESTED-agents",
    "sub/file.txt": "a file",
    ".mcp.json": '{"mcpServers": {"x": {"command": "touch", "args": ["/work/RAN-mcp"]}}}',
    "opencode.json": json.dumps(
        {
            "instructions": ["CANARY.md"],
            "permission": {"*": "allow", "webfetch": "allow"},
            "plugin": ["./plugin.ts"],
            "mcp": {"x": {"type": "local", "command": ["touch", "/work/RAN-local-mcp"]}},
            "formatter": {"x": {"command": ["touch", "/work/RAN-fmt"], "extensions": [".txt"]}},
            "lsp": {"x": {"command": ["touch", "/work/RAN-lsp"], "extensions": [".txt"]}},
            "agent": {"build": {"prompt": "CANARY-config-agent"}},
            "model": "lifeos/other",
        }
    ),
    "CANARY.md": "CANARY-instructions",
    "plugin.ts": 'require("fs").writeFileSync("/work/RAN-config-plugin", "");\n'
    "export const P = async () => ({});\n",
    ".opencode/plugin/p.ts": 'require("fs").writeFileSync("/work/RAN-plugin", "");\n'
    "export const P = async () => ({});\n",
    ".opencode/tool/canarytool.ts": 'require("fs").writeFileSync("/work/RAN-tool", "");\n'
    'export default { description: "CANARY-tool", args: {}, execute: async () => "x" };\n',
    ".opencode/agent/build.md": "---\npermission:\n  webfetch: allow\n---\nCANARY-agent\n",
    ".opencode/command/init.md": "---\ndescription: CANARY-command\n---\nCANARY-command\n",
    ".opencode/skill/s/SKILL.md": "---\nname: s\ndescription: CANARY-skill\n---\nCANARY-skill\n",
    ".claude/skills/s/SKILL.md": "---\nname: s\ndescription: CANARY-cskill\n---\nCANARY-skill\n",
}


def test_nothing_of_the_repository_configures_it(folder: Path) -> None:
    """No configuration, instruction, plugin, tool, server or agent of the tree takes effect.

    One text does reach the model: the AGENTS.md beside a file that it reads, as a tool's result.
    """
    for name, content in CANARIES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content, encoding="utf-8")
    script = steps(
        tool("read", filePath="/work/sub/file.txt"),
        tool("write", filePath="/work/sub/new.txt", content="x"),
        tool("bash", command="printf plain >/work/sub/plain.txt", description="x"),
        DONE,
    )
    seen = call(script, folder)
    assert (seen.said.failure, seen.said.text) == (None, "All done.")
    assert list(folder.rglob("RAN*")) == []
    assert "CANARY" not in seen.all_sent()
    assert seen.offered() == sorted({"bash", "edit", "read", "todowrite", "write"} | _search())
    nested = [
        message["role"]
        for message in seen.requests[-1].body["messages"]
        if "NESTED" in json.dumps(message)
    ]
    assert nested == ["tool"]


def _search() -> set[str]:
    return {"glob", "grep"} if ripgrep({"PATH": os.environ["PATH"]}) else set()


FILL = "for n in 1 2 3; do head -c 30000000 /dev/zero >fill$n; done; sleep 60"
LATER = {"retry-after": "3600"}
TOO_LONG = {
    "error": {
        "message": "This model's maximum context length is 128000 tokens.",
        "code": "context_length_exceeded",
    }
}
ENDS = [
    ("refused", steps(error(401)), {}, FailureClass.CONFIG_ERROR, "401"),
    ("no model", steps(error(404)), {}, FailureClass.CONFIG_ERROR, "404"),
    ("quota", steps(error(429, None, LATER)), {}, FailureClass.QUOTA, ""),
    ("cut off", steps(text("half", finish="length")), {}, FailureClass.VALIDATION_ERROR, "cut off"),
    (
        "runs on",
        steps(tool("bash", command="sleep 999", timeout=900_000, description="x"), DONE),
        {"agent_limits": AgentLimits(silence=1, command_seconds=1)},
        FailureClass.TIMEOUT,
        "for 7 seconds",
    ),
    (
        "provider hangs",
        steps(hang()),
        {"agent_limits": AgentLimits(silence=2)},
        FailureClass.QUOTA,
        "did not answer in time",
    ),
    (
        "provider stalls",
        steps(stall()),
        {"agent_limits": AgentLimits(silence=2)},
        None,
        "",
    ),
    ("takes long", steps(hang()), {"limits": Limits(seconds=3)}, FailureClass.TIMEOUT, "3 seconds"),
    ("talks on", steps(stream_forever()), {}, FailureClass.BUDGET_EXCEEDED, "wrote on"),
    (
        "circles",
        steps(tool("bash", command="true", description="x")),
        {},
        FailureClass.TOOL_ERROR,
        "same 3 times",
    ),
    (
        "tokens",
        steps(tool("read", filePath="README.md").using(4000, 900), DONE),
        {"tokens": 16_000},
        FailureClass.BUDGET_EXCEEDED,
        "16000 tokens",
    ),
    ("no end", steps(no_finish()), {}, FailureClass.TOOL_ERROR, "same 3 times"),
    ("too long", steps(error(400, TOO_LONG)), {}, None, ""),
    (
        "disk",
        steps(tool("bash", command=FILL, description="x"), DONE),
        {"limits": Limits(disk_mb=50)},
        FailureClass.TOOL_ERROR,
        "limit of disk",
    ),
]


@pytest.mark.parametrize(
    ("script", "changes", "failure", "words"),
    [end[1:] for end in ENDS],
    ids=[end[0] for end in ENDS],
)
def test_how_it_fails(
    folder: Path, script: Script, changes: dict[str, Any], failure: FailureClass | None, words: str
) -> None:
    """Each end that is none has its class, whatever the exit status says, and words for people.

    Where OpenCode and the door may both be first to say it, any failure will do (None).
    """
    seen = call(script, folder, **changes)
    assert seen.said.failure is (failure or seen.said.failure), seen.said.message
    assert seen.said.failure is not None
    assert words in seen.said.message
    assert seen.said.message
    if words != "3 seconds":
        assert seen.requests  # it came so far as to ask its model
    if failure is FailureClass.QUOTA:
        assert seen.said.wake_after in {None, 3600}


HOSTILE = """
import glob, json, os, socket, subprocess, urllib.request
W = json.loads(FACTS)
marks = [mark[::-1] for mark in W["marks"]]
found, looked = [], 0
places = ["/proc/*/environ", "/proc/*/cmdline", "/run/lifeos/*"]
places += [root + W["home"] + "/.ssh/*" for root in ("", "/proc/*/root")]
for name in [name for place in places for name in glob.glob(place)]:
    try:
        text = open(name, encoding="latin-1").read()
    except OSError:
        continue
    looked += 1
    found += [name for mark in marks if mark in text]
print("looked", looked > 4)
print("keys", found)
print("processes", len([name for name in os.listdir("/proc") if name.isdigit()]) < 20)
for address in ("127.0.0.1", "10.0.2.2", "169.254.169.254"):
    try:
        socket.create_connection((address, W["port"]), 2)
        print("reached", address)
    except OSError:
        print("unreachable", address)
def asks(path, **fields):
    body = {"model": "maker/model-1", "messages": [{"role": "user", "content": "hi"}], **fields}
    sent = json.dumps(body).encode() if fields else None
    kind = {"content-type": "application/json"}
    request = urllib.request.Request("http://127.0.0.1:11434/v1/" + path, sent, kind)
    try:
        return urllib.request.urlopen(request, timeout=20).status
    except OSError as error:
        return getattr(error, "code", error)
own = {"type": "function", "function": {"name": "own", "parameters": {"type": "object"}}}
print("models", asks("models"))
print("own tool", asks("chat/completions", tools=[own]))
print("provider's tool", asks("chat/completions", tools=[{"type": "web_search"}]))
quiet = dict.fromkeys(("stdout", "stderr"), subprocess.DEVNULL)
print("left", subprocess.Popen(["sleep", W["seconds"]], start_new_session=True, **quiet).pid > 1)
open("/tmp/lifeos-agent-was-here", "w").close()
print("done")
"""


def test_an_agent_that_tries_to_get_out(
    folder: Path, sealed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No key, no process and no address of the machine, and nothing that runs at the provider.

    The model sees that all of it was tried. What is left running is gone.
    """
    monkeypatch.setenv("SECRET_OF_THE_MACHINE", KEY)
    secrets = (*SECRETS, KEY)
    with a_machine(sealed) as machine:
        facts = {"home": str(machine.home), "port": machine.port, "seconds": f"98765.{os.getpid()}"}
        facts["marks"] = [secret[::-1] for secret in secrets]
        code = HOSTILE.replace("FACTS", repr(json.dumps(facts)))
        (folder / "hostile.py").write_text(code, encoding="utf-8")
        script = steps(
            tool("webfetch", url=f"http://127.0.0.1:{machine.port}/", format="text"),
            tool("websearch", query="secrets"),
            tool("read", filePath="/etc/hostname"),
            tool("bash", command="python3 hostile.py 2>&1", description="x"),
            DONE,
        )
        seen = call(script, folder)
        assert machine.touched() == []
    assert seen.said.failure is None, seen.said.message
    report = str(seen.requests[-1].body["messages"][-1]["content"]).splitlines()
    assert report == [
        "looked True",
        "keys []",
        "processes True",
        *(f"unreachable {name}" for name in ("127.0.0.1", "10.0.2.2", "169.254.169.254")),
        "models 404",
        "own tool 200",
        "provider's tool 400",
        "left True",
        "done",
    ]
    assert seen.meter.refused == 2
    assert "web_search" not in seen.all_sent()
    for secret in secrets:
        assert secret not in seen.all_sent()
        assert secret.encode() not in seen.said.log
    assert not Path("/tmp/lifeos-agent-was-here").exists()  # noqa: S108 - the agent's, not ours
    lines = [path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline") if path.exists()]
    assert not [line for line in lines if str(facts["seconds"]).encode() in line]


class Deaf(Bubblewrap):
    """The real sandbox, in which nothing is ended early: how did the program itself end?"""

    def __init__(self, stream: bytes = b"") -> None:
        super().__init__()
        self.stream = stream
        self.ended: list[Ended] = []

    def run(self, command: Sequence[str], **given: Any) -> Ended:
        """Run it; or, where there is a recorded stream, what prints that and ends with 0."""
        del given["should_stop"]
        if self.stream:
            command, given["stdin"] = ("cat",), self.stream
        self.ended.append(super().run(command, **given))
        return self.ended[-1]


def test_it_ends_with_0_though_it_was_cut_off(folder: Path) -> None:
    """The real program; its exit status proves nothing."""
    sandbox = Deaf()
    said = call(steps(text("half", finish="length")), folder, sandbox=sandbox).said
    assert [ended.status for ended in sandbox.ended] == [0]
    assert said.failure is FailureClass.VALIDATION_ERROR


def test_a_recorded_error_counts_though_the_exit_status_is_0(folder: Path) -> None:
    """A stream as OpenCode 1.18.33 printed it: an error, and then an end like that of good work.

    Its own exit status was 1 then, as with all errors that were tried; here it is 0.
    """
    sandbox = Deaf(RECORDED.read_bytes())
    said = call(steps(DONE), folder, sandbox=sandbox).said
    assert [ended.status for ended in sandbox.ended] == [0]
    events = [json.loads(line) for line in sandbox.ended[0].out.splitlines()]
    kinds = [event["type"] for event in events]
    assert kinds.index("error") < kinds.index("step_finish", kinds.index("error"))
    last = [event for event in events if event["type"] == "step_finish"][-1]
    assert last["part"]["reason"] == "stop"
    assert said.failure is FailureClass.TOOL_ERROR
    assert "too long" in said.message


def test_commands_are_limited_and_the_stop_switch_ends_it(folder: Path) -> None:
    """A command that fits no pattern is denied, one that takes too long is ended; then: stop."""
    limits = AgentLimits(commands=("echo *", "sleep *"), command_seconds=1, silence=60)
    does = in_order(
        tool("bash", command="touch denied.txt", description="x"),
        tool("bash", command="echo fine", description="x"),
        tool("bash", command="sleep 1000", description="x"),
        hang(),
    )
    stop = threading.Event()

    def script(turn: Turn) -> Step:
        if turn.number == 3:  # the long command has been ended
            stop.set()
        return does(turn)

    seen = call(script, folder, agent_limits=limits, should_stop=stop.is_set)
    assert [(ran.denied, ran.status) for ran in seen.said.ran] == [
        (True, None),
        (False, 0),
        (False, None),
    ]
    assert not (folder / "denied.txt").exists()
    assert seen.said.stopped
    assert seen.said.failure is FailureClass.INTERRUPTED


def test_what_is_missing_is_said_with_what_to_do(tmp_path: Path) -> None:
    """No program, a script without its program, another version, no sandbox, a link as settings."""
    script = tmp_path / "opencode"
    script.write_text("#!/bin/sh\necho 1.18.33\n", encoding="utf-8")
    script.chmod(0o755)
    problems = [
        OpenCode(None, {"PATH": str(tmp_path / "none")}).problem(),
        OpenCode(script, {}).problem(),
        OpenCode(Path(sys.executable), {}).problem(),
    ]
    told = [str(problem) for problem in problems]
    assert all("npm install -g opencode-ai@1.18.33" in line for line in told), told
    assert [line for line in told if "Python" in line] == []
    assert "is not installed" in told[0]
    assert "is a script" in told[1]
    assert "known to work is 1.18" in told[2]


def test_without_a_sandbox_it_is_not_started(folder: Path) -> None:
    """It would have the machine to itself."""
    seen = call(steps(DONE), folder, sandbox=NoSandbox())
    assert seen.said.failure is FailureClass.CONFIG_ERROR
    assert seen.requests == []


def test_a_link_in_the_place_of_its_settings_is_refused(folder: Path) -> None:
    """It would lead past what covers them."""
    (folder / "conf").mkdir()
    (folder / ".opencode").symlink_to("conf")
    seen = call(steps(DONE), folder)
    assert seen.said.failure is FailureClass.ENVIRONMENT_ERROR
    assert ".opencode is a symbolic link" in seen.said.message
    assert seen.requests == []
