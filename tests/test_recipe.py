"""The built-in agent: it does what the task spells out, in the sandbox, and says how it ended."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from lifeos.agents import Agent, Reply, Request, choose
from lifeos.agents.recipe import Recipe
from lifeos.core.backlog.entry import Mark, Task
from lifeos.core.policy import Config
from lifeos.core.policy.config import CommandAgent
from lifeos.core.policy.envelope import Limits
from lifeos.core.policy.words import AgentKind
from lifeos.errors import UsageError
from lifeos.model import FailureClass, Stage
from lifeos.sandbox import NoSandbox, Sandbox
from lifeos.sandbox import choose as choose_sandbox


def task(*blocks: str) -> Task:
    return Task(
        order=0,
        id="LO-7k2m4q",
        title="Bump the version",
        mark=Mark.OPEN,
        digest="d" * 64,
        line=1,
        span=(0, 1),
        mark_offset=3,
        title_offset=6,
        id_span=None,
        title_line="- [ ] Bump the version",
        recipe=blocks,
    )


def request(*blocks: str, sandbox: Sandbox | None = None, feedback: str = "") -> Request:
    return Request(
        stage=Stage.BUILD,
        task=task(*blocks),
        run="R-1",
        n=7,
        design="",
        plan="",
        feedback=feedback,
        limits=Limits(seconds=30),
        environment={"TZ": "UTC"},
        sandbox=sandbox or NoSandbox(),
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "work"
    path.mkdir()
    return path


@pytest.fixture
def agent() -> Agent:
    return Recipe()


def test_every_adapter_of_the_configuration_exists() -> None:
    """A kind that the configuration allows can be chosen, and goes by that name."""
    config = Config(version=1, command=CommandAgent(run="true"))
    assert [choose(kind, config).name for kind in AgentKind] == [kind.value for kind in AgentKind]


def test_a_command_agent_without_a_command_is_refused_by_the_setting() -> None:
    """Nothing half-built: the message names what was asked for, the fix what is missing."""
    with pytest.raises(UsageError) as refused:
        choose(AgentKind.COMMAND, Config(version=1))
    assert "command" in refused.value.message
    assert "`command:`" in refused.value.fix


def test_it_costs_nothing_and_begins_again_from_the_base(agent: Agent) -> None:
    """A recipe is written for the base: run twice over its own result it would apply twice."""
    assert (agent.paid, agent.resumes) == (False, False)


@pytest.mark.sandbox
def test_the_blocks_run_in_order_in_the_sandbox(agent: Agent, folder: Path) -> None:
    """Later blocks see what earlier ones wrote, at /work, and nothing but the folder remains."""
    blocks = ("echo 1.2.3 > VERSION; pwd", "sed -i s/3/4/ VERSION; touch /tmp/elsewhere")
    reply = agent.run(request(*blocks, sandbox=choose_sandbox("bwrap")), folder)
    assert (reply.failure, reply.stopped) == (None, False)
    assert {path.name for path in folder.iterdir()} == {"VERSION"}
    assert (folder / "VERSION").read_text() == "1.2.4\n"
    assert b"/work\n" in reply.log
    assert reply.usage.seconds > 0


@pytest.mark.sandbox
def test_the_feedback_can_be_read_and_not_written(agent: Agent, folder: Path) -> None:
    """The recipe finds the evidence of the last attempt at $LIFEOS_FEEDBACK, read-only."""
    block = 'cat "$LIFEOS_FEEDBACK" > seen; ! echo x 2>/dev/null >> "$LIFEOS_FEEDBACK"'
    asked = request(block, sandbox=choose_sandbox("bwrap"), feedback="tests: exit 1 — é\n")
    assert agent.run(asked, folder).failure is None
    assert (folder / "seen").read_text(encoding="utf-8") == "tests: exit 1 — é\n"


@pytest.mark.sandbox
def test_the_feedback_can_be_read_whatever_the_umask(agent: Agent, folder: Path) -> None:
    """Inside it is another user who reads it."""
    before = os.umask(0o077)
    try:
        asked = request('cat "$LIFEOS_FEEDBACK"', sandbox=choose_sandbox("bwrap"), feedback="why")
        reply = agent.run(asked, folder)
    finally:
        os.umask(before)
    assert reply.failure is None
    assert reply.log.endswith(b"why\n")


@pytest.mark.sandbox
def test_the_environment_is_what_was_handed_through_and_the_four_names(
    agent: Agent, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A secret of this process is not there; task, run and attempt are."""
    monkeypatch.setenv("CANARY_TOKEN", "canary")
    asked = request("env > seen", sandbox=choose_sandbox("bwrap"))
    assert agent.run(asked, folder).failure is None
    seen = dict(line.split("=", 1) for line in (folder / "seen").read_text().splitlines())
    ours = {name: value for name, value in seen.items() if name.startswith("LIFEOS_")}
    assert ours == {
        "LIFEOS_TASK": "LO-7k2m4q",
        "LIFEOS_RUN": "R-1",
        "LIFEOS_ATTEMPT": "7",
        "LIFEOS_FEEDBACK": "/run/lifeos/feedback.md",
    }
    assert seen["TZ"] == "UTC"
    assert "CANARY_TOKEN" not in seen


def test_without_a_sandbox_the_feedback_is_there_too(agent: Agent, folder: Path) -> None:
    """Nothing can be mounted there, so the variable has the file's own path."""
    asked = request('cat "$LIFEOS_FEEDBACK" > seen', feedback="why")
    assert agent.run(asked, folder).failure is None
    assert (folder / "seen").read_text() == "why"


def test_the_first_time_the_feedback_is_an_empty_file(agent: Agent, folder: Path) -> None:
    """A recipe may read it without asking whether it is there."""
    block = 'test -f "$LIFEOS_FEEDBACK" && test ! -s "$LIFEOS_FEEDBACK"'
    assert agent.run(request(block), folder).failure is None


def test_a_failing_block_ends_the_attempt_and_its_last_words_are_the_message(
    agent: Agent, folder: Path
) -> None:
    """tool_error, with what was said on the error output; the next block is not begun."""
    blocks = ("echo one >&2; echo the reason >&2; exit 3", "touch after")
    reply = agent.run(request(*blocks), folder)
    assert reply.failure is FailureClass.TOOL_ERROR
    assert "block 1 of 2 ended with status 3" in reply.message
    assert reply.message.endswith("the reason")
    assert not (folder / "after").exists()
    assert b"one\nthe reason\n" in reply.log


@pytest.mark.parametrize("block", ["false\ntouch after", 'echo "$NOT_SET"\ntouch after'])
def test_a_block_stops_at_its_first_error(agent: Agent, folder: Path, block: str) -> None:
    """``sh -eu``: a failing command or an unset variable is not stepped over."""
    assert agent.run(request(block), folder).failure is FailureClass.TOOL_ERROR
    assert not (folder / "after").exists()


def test_a_program_that_is_missing_is_a_dependency(agent: Agent, folder: Path) -> None:
    """Trying again cannot help; somebody has to provide it."""
    reply = agent.run(request("no-such-program-here --flag"), folder)
    assert reply.failure is FailureClass.DEPENDENCY_ERROR
    assert "no-such-program-here" in reply.message


def test_the_time_is_that_of_the_whole_attempt(agent: Agent, folder: Path) -> None:
    """A block that does not end is cut off as a timeout, and what follows is not begun."""
    asked = replace(request("sleep 60", "touch after"), limits=Limits(seconds=1))
    reply = agent.run(asked, folder)
    assert reply.failure is FailureClass.TIMEOUT
    assert not (folder / "after").exists()


def test_the_blocks_share_the_time(agent: Agent, folder: Path) -> None:
    """A block is not begun when those before it have used the time up."""
    asked = replace(request("sleep 1.05", "sleep 1.05", "touch after"), limits=Limits(seconds=2))
    reply = agent.run(asked, folder)
    assert reply.failure is FailureClass.TIMEOUT
    assert not (folder / "after").exists()


def test_the_stop_switch_ends_it(agent: Agent, folder: Path) -> None:
    """A stop is neither a success nor a failure of the task."""
    reply = agent.run(replace(request("sleep 60"), should_stop=lambda: True), folder)
    assert reply.stopped
    assert reply.failure is FailureClass.INTERRUPTED


@pytest.mark.parametrize(
    ("blocks", "said"),
    [((), "has none"), (("  \n",), "has none"), (("echo " + "x" * 100_001,), "block 1")],
)
def test_what_can_never_run_is_said_before_anything_does(
    agent: Agent, folder: Path, blocks: tuple[str, ...], said: str
) -> None:
    """A setting that cannot work, with the way to mend it; not an attempt that did nothing."""
    reply = agent.run(request(*blocks), folder)
    assert reply.failure is FailureClass.CONFIG_ERROR
    assert said in reply.message
    assert any(fix in reply.message for fix in ("```sh recipe", "put the program into a file"))


def test_a_flood_of_output_is_cut_in_the_middle(agent: Agent, folder: Path) -> None:
    """The log keeps its beginning and its end within output_kb, over all the blocks together."""
    blocks = tuple(f"echo begin{n}; head -c 3000 /dev/zero | tr '\\0' x; echo end{n}" for n in "12")
    asked = replace(request(*blocks), limits=Limits(seconds=30, output_kb=4))
    reply = agent.run(asked, folder)
    assert reply.failure is None
    assert len(reply.log) <= 4 * 1024
    assert b"begin1" in reply.log
    assert reply.log.endswith(b"end2\n")
    assert b"left out" in reply.log


def test_output_is_shown_as_it_comes(agent: Agent, folder: Path) -> None:
    """Progress for whoever watches."""
    seen: list[bytes] = []
    agent.run(replace(request("echo hello"), on_output=seen.append), folder)
    assert b"".join(seen) == b"hello\n"


def test_escapes_of_a_program_do_not_reach_the_message(agent: Agent, folder: Path) -> None:
    """The message is for a terminal; the log is kept as it came."""
    reply = agent.run(request("printf '\\033[31mred\\033[0m\\n' >&2; exit 1"), folder)
    assert reply.message.endswith(": red")
    assert b"\x1b[31m" in reply.log


@pytest.mark.parametrize(
    ("stage", "heading"), [(Stage.DESIGN, "# Design: "), (Stage.PLAN, "# Plan: ")]
)
def test_design_and_plan_are_texts(agent: Agent, stage: Stage, heading: str) -> None:
    """No folder, no process: the artifact is derived from the task."""
    reply = agent.run(replace(request("true"), stage=stage), None)
    assert reply == Reply(artifact=reply.artifact)
    assert reply.artifact.startswith(heading + "Bump the version")


@pytest.mark.parametrize("stage", [Stage.BUILD_REVIEW, Stage.PACKET, Stage.CLOSE])
def test_it_is_not_asked_for_what_lifeos_does_itself(agent: Agent, stage: Stage) -> None:
    """An agent that judged its own work would be a bug."""
    call: Callable[[], Reply] = lambda: agent.run(replace(request("true"), stage=stage), None)  # noqa: E731 - shown beside its use
    with pytest.raises(ValueError, match=stage):
        call()
