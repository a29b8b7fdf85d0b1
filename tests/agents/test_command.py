# ruff: noqa: E501 - scripts with one step a line
"""Any coding agent as a command: a small real one, in the real sandbox, at the real model proxy."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from lifeos.agents.command import Command
from lifeos.agents.program import Call, Said
from lifeos.bubblewrap import Bubblewrap
from lifeos.core.jsonfind import find
from lifeos.core.policy.config import CommandAgent
from lifeos.core.policy.envelope import AgentLimits, Limits
from lifeos.model import FailureClass
from lifeos.proxy import Door, Meter, opened
from lifeos.sandbox import NoSandbox
from proxy_scene import KEY, meter_of, route_to
from scripted_model import Script, ScriptedModel, error, hang, steps, text, tool

pytestmark = pytest.mark.sandbox

LIMITS = Limits(seconds=30, memory_mb=1024, processes=64, disk_mb=64, output_kb=64)
STAND_IN = Path(__file__).with_name("stand_in.py")
NOTHING = steps(text("done"))


@dataclass(frozen=True)
class Scene:
    """An open door, and a folder to work in."""

    door: Door
    meter: Meter
    model: ScriptedModel
    folder: Path
    tool: Path

    def agent(self, arguments: str = "", **settings: Any) -> Command:
        """The stand-in agent with these arguments."""
        settings.setdefault("run", f"stand-in {arguments}")
        return Command(CommandAgent(tools=(str(self.tool),), **settings))

    def call(self, **changes: Any) -> Call:
        """A call with wide limits."""
        made = Call(
            prompt="Please do it.",
            title="Do it",
            folder=self.folder,
            writable=True,
            limits=LIMITS,
            agent_limits=AgentLimits(),
            environment={"LANG": "C.UTF-8"},
            sandbox=Bubblewrap(),
            door=self.door,
            model=route_to("http://127.0.0.1:1/v1").model,
            wire=route_to("http://127.0.0.1:1/v1").provider.wire,
        )
        return replace(made, **changes)

    def runs(self, run: str, *, settings: dict[str, Any] | None = None, **changes: Any) -> Said:
        """What a plain command line leaves."""
        return self.agent(run=run, **(settings or {})).call(self.call(**changes))


@contextmanager
def scene(tmp_path: Path, script: Script = NOTHING, **limits: Any) -> Iterator[Scene]:
    """A model behind a door. ``limits`` are those of the meter."""
    folder, tool_folder = tmp_path / "work", tmp_path / "tool"
    folder.mkdir(parents=True)
    (tool_folder / "bin").mkdir(parents=True)
    program = tool_folder / "bin/stand-in"
    program.write_bytes(b"#!/usr/bin/env python3\n" + STAND_IN.read_bytes())
    program.chmod(0o755)
    meter = meter_of(**limits)
    with (
        ScriptedModel(script, titles=False) as model,
        opened(route_to(model.url), meter, stage="build", clock=time.time) as door,
    ):
        yield Scene(door, meter, model, folder, tool_folder)


def test_it_works_through_the_door(tmp_path: Path) -> None:
    """The agent gets its prompt, reaches the model, changes the folder, and its last words count."""
    script = steps(
        tool("write", filePath="src/a.txt", content="hello"),
        tool("bash", command="cat src/a.txt"),
        text("All done."),
    )
    with scene(tmp_path, script) as it:
        said = it.agent().call(it.call())
        prompts = [asked.body["messages"][0]["content"] for asked in it.model.requests]
    assert (said.failure, said.message) == (None, "")
    assert said.text.endswith("All done.")
    assert (it.folder / "src/a.txt").read_text() == "hello"
    assert prompts == ["Please do it."] * 3
    assert it.meter.usage.requests == 3
    assert b"bash: status 0\nhello" in said.log


@pytest.mark.parametrize("prompt", ["file", "stdin"])
def test_the_prompt_comes_as_wanted(tmp_path: Path, prompt: str) -> None:
    """As a file that cannot be written, or on standard input; with the other one empty."""
    run = 'cat; cat "$LIFEOS_PROMPT"; echo x >> "$LIFEOS_PROMPT" || echo refused'
    with scene(tmp_path) as it:
        said = it.runs(run, settings={"prompt": prompt}, prompt="Grüße\n")
    shown = 2 if prompt == "stdin" else 1
    assert said.text == "Grüße\n" * shown + "refused"


def test_what_it_finds_in_its_environment(tmp_path: Path) -> None:
    """The model's address and name, a key that opens nothing, the settings' own; nothing else."""
    settings = {
        "environment": {"OPENAI_API_BASE": "${LIFEOS_MODEL_URL}", "A_KEY": "${LIFEOS_MODEL_KEY}"}
    }
    with scene(tmp_path) as it:
        said = it.runs("env", settings=settings)
        plain = it.runs("env")
    found = dict(line.split("=", 1) for line in said.text.splitlines())
    assert found["LIFEOS_MODEL_URL"] == found["OPENAI_API_BASE"] == "http://127.0.0.1:11434/v1"
    assert found["LIFEOS_MODEL"] == "m"
    assert found["LIFEOS_MODEL_KEY"] == found["A_KEY"] == "none-needed"
    assert found["LANG"] == "C.UTF-8"
    assert "OPENAI_API_BASE" not in plain.text
    assert KEY not in said.text


def test_its_message_can_be_in_a_file_or_in_json(tmp_path: Path) -> None:
    """Where the settings say, and what it says it cost is only reported."""
    with scene(tmp_path, steps(text("From the file."))) as it:
        answer = it.agent("--answer last.md", answer="last.md").call(it.call())
        settings = {"json_text": "result.text", "json_cost": "total_cost_usd"}
        as_json = it.agent("--json", **settings).call(it.call())
        missing = it.agent("--json", json_text="result.words").call(it.call())
    assert (answer.text, answer.failure) == ("From the file.", None)
    assert (as_json.text, as_json.reported.cost) == ("From the file.", 0.25)
    assert missing.failure is FailureClass.TOOL_ERROR
    assert "nothing at result.words" in missing.message


def test_an_answer_that_leads_elsewhere_is_not_read(tmp_path: Path) -> None:
    """A link to a file of the machine finds nothing: it is followed inside."""
    secret = tmp_path / "secret"
    secret.write_text("canary-5d1c")
    with scene(tmp_path) as it:
        said = it.runs(f'ln -s {secret} "$HOME/a.md"', settings={"answer": "a.md"})
        pipe = it.runs('mkfifo "$HOME/a.md"', settings={"answer": "a.md"},
                       limits=LIMITS.model_copy(update={"seconds": 2}))  # fmt: skip
    assert (said.text, said.failure) == ("", None)
    assert "canary-5d1c" not in said.log.decode()
    assert pipe.failure is FailureClass.TIMEOUT


@pytest.mark.parametrize(
    ("run", "settings", "failure", "message"),
    [
        ("echo ok; exit 3", {}, FailureClass.TOOL_ERROR, "status 3: ok"),
        ("echo ERROR: none", {"failure": "ERROR:"}, FailureClass.TOOL_ERROR, "'ERROR:'"),
        ("echo ERROR: none >&2", {"failure": "ERROR:"}, FailureClass.TOOL_ERROR, "'ERROR:'"),
        ("echo hm", {"success": "DONE"}, FailureClass.TOOL_ERROR, "lacks 'DONE'"),
        ("echo DONE; exit 1", {"success": "DONE"}, FailureClass.TOOL_ERROR, "status 1"),
        ("no-such-agent", {}, FailureClass.ENVIRONMENT_ERROR, "command.tools"),
        ("echo DONE", {"success": "DONE"}, None, ""),
        ("kill -9 $$", {}, FailureClass.TOOL_ERROR, "status 137"),
    ],
)
def test_how_it_can_fail_by_itself(
    tmp_path: Path,
    run: str,
    settings: dict[str, Any],
    failure: FailureClass | None,
    message: str,
) -> None:
    """Status, words of failure, words of success that are missing."""
    with scene(tmp_path) as it:
        said = it.runs(run, settings=settings)
    assert said.failure is failure
    assert message in said.message


def test_status_0_after_an_error_of_the_model_is_no_success(tmp_path: Path) -> None:
    """An agent that ends well where the provider refused: what the meter saw counts."""
    with scene(tmp_path, steps(error(401))) as it:
        refused = it.agent().call(it.call())
    assert refused.failure is FailureClass.CONFIG_ERROR
    with scene(tmp_path / "b", steps(error(429, headers={"retry-after": "7200"}))) as it:
        later = it.agent().call(it.call())
    assert later.failure is FailureClass.QUOTA
    assert later.wake_after is not None


def test_it_is_ended_when_the_meter_says_so(tmp_path: Path) -> None:
    """Requests without end are cut off by their number, and so is the same again and again."""
    forever = lambda turn: tool("bash", command=f"echo {turn.number}")  # noqa: E731 - one use
    with scene(tmp_path, forever, requests=3) as it:
        counted = it.agent().call(it.call())
        assert len(it.model.requests) == 3
    assert counted.failure is FailureClass.BUDGET_EXCEEDED
    same = lambda _turn: tool("bash", command="true")  # noqa: E731 - one use
    with scene(tmp_path / "b", same, repeats=2) as it:
        looped = it.agent().call(it.call())
    assert looped.failure is FailureClass.TOOL_ERROR
    assert "in a row" in looped.message


def test_it_is_ended_when_it_hangs(tmp_path: Path) -> None:
    """By silence, by the clock, or by a person; each is told as what it was."""
    with scene(tmp_path, steps(hang())) as it:
        silent = it.agent().call(it.call(agent_limits=AgentLimits(silence=1)))
    assert (silent.failure, "no sign of life" in silent.message) == (FailureClass.TIMEOUT, True)
    with scene(tmp_path / "b") as it:
        short = LIMITS.model_copy(update={"seconds": 1})
        late = it.runs("while :; do echo x; sleep 0.1; done", limits=short)
        stopped = it.runs("sleep 60", should_stop=lambda: True)
    assert (late.failure, "within 1 seconds" in late.message) == (FailureClass.TIMEOUT, True)
    assert (stopped.failure, stopped.stopped) == (FailureClass.INTERRUPTED, True)


def test_output_is_a_sign_of_life(tmp_path: Path) -> None:
    """An agent that only prints is not silent."""
    with scene(tmp_path) as it:
        said = it.runs(
            "for i in 1 2 3 4 5 6 7 8; do sleep 0.3; echo $i; done",
            agent_limits=AgentLimits(silence=1),
        )
    assert said.failure is None


def test_a_flood_is_cut_and_the_answer_is_kept(tmp_path: Path) -> None:
    """Output beyond the limit is let go in the middle."""
    run = 'echo said > "$HOME/a"; head -c 20000000 /dev/zero | tr "\\0" x; echo; echo the end'
    with scene(tmp_path) as it:
        said = it.runs(run, settings={"answer": "a"})
    assert len(said.log) < 70_000
    assert b"left out" in said.log
    assert (said.text, said.failure) == ("said", None)


def test_nothing_of_it_is_left(tmp_path: Path) -> None:
    """What it put into the background, in a session of its own, ends with it."""
    mark = f"lifeos-left-{os.getpid()}"
    run = f"(setsid sh -c 'sleep 300; : {mark}' >/dev/null 2>&1 &) ; sleep 0.2; echo gone"
    with scene(tmp_path) as it:
        said = it.runs(run)
        assert said.text == "gone"
        shown = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True)
    assert [line for line in shown.stdout.splitlines() if f": {mark}" in line] == []


def test_it_reaches_nothing_but_the_model(tmp_path: Path) -> None:
    """No network, no key of the provider, no home of the person; design and plan: no writing."""
    script = steps(
        tool("bash", command="python3 -c \"import socket as s; s.create_connection(('192.0.2.1', 80), 2)\""),
        tool("bash", command="env; cat /proc/*/environ /proc/*/cmdline 2>/dev/null | tr '\\0' '\\n'"),
        tool("bash", command=f"ls {tmp_path}; ls -A ~; cat /etc/shadow"),
        tool("write", filePath="new.txt", content="x"),
        text("done"),
    )  # fmt: skip
    (tmp_path / "home-of-a-person").mkdir()
    with scene(tmp_path, script) as it:
        said = it.agent().call(it.call(writable=False))
        results = [
            m["content"] for m in it.model.requests[-1].body["messages"] if m["role"] == "tool"
        ]
    assert "unreachable" in results[0]
    assert KEY not in said.log.decode()
    assert all(KEY not in result for result in results)
    assert "home-of-a-person" not in results[2]
    assert "root:" not in results[2]
    assert "Read-only" in results[3]
    assert list(it.folder.iterdir()) == []


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"run": "x", "tools": ("relative",)}, "not an absolute path"),
        ({"run": "x", "tools": ("/no/such/folder",)}, "not a folder"),
        ({"run": "x", "tools": ("/",)}, "whole home"),
        ({"run": "x", "tools": ("HOME",)}, "whole home"),
        ({"run": "x", "environment": {"A": "${LIFEOS_KEY}"}}, "no ${LIFEOS_KEY}"),
    ],
)
def test_settings_that_cannot_be_used(
    tmp_path: Path, settings: dict[str, Any], message: str
) -> None:
    """They are named with what to do, and nothing is started."""
    if settings.get("tools") == ("HOME",):
        settings = {**settings, "tools": (str(Path.home()),)}
    agent = Command(CommandAgent(**settings))
    problem = agent.problem()
    assert problem is not None
    assert message in problem.message
    assert problem.fix
    with scene(tmp_path) as it:
        said = agent.call(it.call())
    assert said.failure is FailureClass.CONFIG_ERROR
    assert it.model.requests == []


def test_without_a_sandbox_it_is_not_started(tmp_path: Path) -> None:
    """There is no other way to the model, and nothing to hold it."""
    with scene(tmp_path) as it:
        said = it.agent().call(it.call(sandbox=NoSandbox()))
    assert said.failure is FailureClass.ENVIRONMENT_ERROR
    assert "sandbox: bwrap" in said.message


def test_good_settings_are_no_problem(tmp_path: Path) -> None:
    """As they stand in the documents."""
    settings = CommandAgent(run="agent", tools=(str(tmp_path), sys.prefix))
    assert Command(settings).problem() is None


@pytest.mark.parametrize(
    ("output", "path", "found"),
    [
        ('{"result": "x"}', "result", ("x",)),
        ('{"a": {"b": [{"c": 1}, {"c": 2}, {}]}}', "a.b[].c", (1, 2)),
        ('[{"t": "x"}]', "[].t", ("x",)),
        ('noise\n{"t": 1}\n{"u": 2}\nmore', "t", (1,)),
        ('{"t": 1}\n{"t": 2}', "t", (2,)),
        ("{}", "t", ()),
        ("[" * 100_000, "t", ()),
        ('{"a": "text"}', "a.b", ()),
        ('{"a": {"b": 1}}', "a[]", ()),
        ("", "a", ()),
    ],
)
def test_json_in_output(output: str, path: str, found: tuple[object, ...]) -> None:
    """One document, or one a line, the last that has it; what is no JSON is passed over."""
    assert find(output, path) == found


def test_the_stand_in_can_fail(tmp_path: Path) -> None:
    """Outside, with a model that is not there, it ends with an error: the tests above need it."""
    prompt = tmp_path / "p"
    prompt.write_text("x")
    environment = {
        "PATH": os.environ["PATH"],
        "LIFEOS_PROMPT": str(prompt),
        "LIFEOS_MODEL": "m",
        "LIFEOS_MODEL_URL": "http://127.0.0.1:9",
        "LIFEOS_MODEL_KEY": "x",
    }
    program = [sys.executable, str(STAND_IN)]
    done = subprocess.run(
        program, env=environment, capture_output=True, check=False, stdin=subprocess.DEVNULL
    )
    assert done.returncode != 0
