"""What OpenCode prints, read as it comes: values in, values out."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifeos.core.opencode_events import (
    LONGEST_LINE,
    MOST_COMMANDS,
    STRAY,
    Fault,
    Finish,
    Stream,
    Text,
    Tool,
    outcome,
    read,
)
from lifeos.model import FailureClass


def line(kind: str, **more: Any) -> bytes:
    return json.dumps({"type": kind, "sessionID": "ses_1", **more}).encode() + b"\n"


def said(text: str, message: str = "msg_1") -> bytes:
    return line("text", part={"type": "text", "messageID": message, "text": text})


def finished(reason: str) -> bytes:
    used = {"input": 100, "output": 20, "reasoning": 3, "cache": {"read": 7, "write": 0}}
    return line("step_finish", part={"reason": reason, "tokens": used, "cost": 0.25})


def used(name: str, given: dict[str, Any], **state: Any) -> bytes:
    whole = {"status": "completed", "input": given, **state}
    return line("tool_use", part={"tool": name, "state": whole})


def failed(name: str, error: str, number: int = 0) -> bytes:
    return used(name, {"n": number}, status="error", error=error)


def fault(status: int = 0, name: str = "APIError", message: str = "no") -> bytes:
    data = {"message": message, **({"statusCode": status} if status else {})}
    return line("error", error={"name": name, "data": data})


def heard(*lines: bytes, repeats: int = 3) -> Stream:
    stream = Stream(repeats)
    for each in lines:
        stream.feed(each)
    stream.end()
    return stream


def test_a_run_that_is_done() -> None:
    """The last message only, all of its parts; tokens and cost are added up."""
    stream = heard(
        said("First I look.", "msg_1"),
        finished("tool-calls"),
        said("It is", "msg_2"),
        said("done.", "msg_2"),
        finished("stop"),
    )
    assert stream.text == "It is\ndone."
    assert (stream.steps, stream.tokens, stream.cost) == (2, 260, 0.5)
    assert outcome(stream, 0).failure is None


def test_a_command_is_told_with_its_status_and_time() -> None:
    """As it ran; what was denied is marked, and other tools are no commands."""
    run = used(
        "bash", {"command": "pytest -q"}, metadata={"exit": 3}, time={"start": 1000, "end": 3500}
    )
    denial = "The user has specified a rule which prevents you from using this specific tool call."
    denied = used("bash", {"command": "rm x"}, status="error", error=denial)
    stream = heard(run, denied, used("write", {"filePath": "/work/a/b.py", "content": "x"}))
    assert [(t.command, t.status, t.seconds, t.denied) for t in stream.commands] == [
        ("pytest -q", 3, 2.5, False),
        ("rm x", None, None, True),
    ]
    event = read(used("write", {"filePath": "/work/a/b.py", "content": "x"}))
    assert isinstance(event, Tool)
    assert event.about == "writes: a/b.py"


@pytest.mark.parametrize(
    ("lines", "status", "failure", "words"),
    [
        ([finished("length")], 0, FailureClass.VALIDATION_ERROR, "cut off"),
        ([finished("tool-calls")], 0, FailureClass.TOOL_ERROR, "did not come to an end"),
        ([finished("unknown")], 0, FailureClass.TOOL_ERROR, "did not come to an end"),
        ([finished("stop"), finished("tool-calls")], 0, FailureClass.TOOL_ERROR, "tool-calls"),
        ([finished("stop"), fault(500)], 0, FailureClass.TOOL_ERROR, "no"),
        ([finished("stop")], 1, FailureClass.TOOL_ERROR, "status 1"),
        ([b"Error: bad configuration\n"], 1, FailureClass.TOOL_ERROR, "bad configuration"),
        ([], 0, FailureClass.TOOL_ERROR, "before its first step"),
        ([fault(401)], 1, FailureClass.CONFIG_ERROR, "401"),
        ([fault(403)], 1, FailureClass.CONFIG_ERROR, "403"),
        ([fault(404)], 1, FailureClass.CONFIG_ERROR, "404"),
        ([fault(400)], 1, FailureClass.CONFIG_ERROR, "400"),
        ([fault(402)], 1, FailureClass.QUOTA, "402"),
        ([fault(429)], 1, FailureClass.QUOTA, "429"),
        ([fault(503)], 1, FailureClass.QUOTA, "503"),
        ([fault(529)], 1, FailureClass.QUOTA, "529"),
        ([fault(name="ContextOverflowError")], 1, FailureClass.TOOL_ERROR, "too long"),
        ([fault(message="Model not found: a/b")], 1, FailureClass.CONFIG_ERROR, "not found"),
    ],
)
def test_what_is_no_success(
    lines: list[bytes], status: int, failure: FailureClass, words: str
) -> None:
    """Whatever the exit status says: an error event, or no ``stop`` at the end, is a failure."""
    found = outcome(heard(*lines), status)
    assert found.failure is failure
    assert words in found.message


@pytest.mark.parametrize(
    "lines",
    [
        [used("bash", {"command": "true"})] * 3,
        [failed("edit", "no such text", n) for n in range(3)],
        [finished("unknown")] * 3,
    ],
)
def test_the_same_in_a_row_is_a_loop(lines: list[bytes]) -> None:
    """A call, an error, or a step without an end; twice is none, and neither is a turn between."""
    assert heard(*lines).loop
    assert outcome(heard(*lines, finished("stop")), 0).failure is FailureClass.TOOL_ERROR
    assert heard(*lines[:2]).loop == ""
    assert heard(*lines, repeats=4).loop == ""
    other = [used("read", {"filePath": "x"}), finished("stop")]
    assert heard(*lines[:2], *other, *lines[:2]).loop == ""


def test_more_commands_than_can_be_kept_end_it() -> None:
    """None is forgotten silently."""
    lines = [used("bash", {"command": f"echo {n}"}) for n in range(MOST_COMMANDS + 1)]
    stream = heard(*lines)
    assert len(stream.commands) == MOST_COMMANDS
    assert "more than" in stream.loop


def test_pieces_of_any_size() -> None:
    """The same events, wherever the bytes are cut; the last line needs no end."""
    whole = said("Grüße") + b"stray\n\n" + used("read", {"filePath": "x"}) + finished("stop")
    kinds = [Text, Tool, Finish]
    for size in (1, 2, 7, 1000):
        stream = Stream(3)
        events = []
        for at in range(0, len(whole) - 1, size):
            events += stream.feed(whole[:-1][at : at + size])
        events += stream.end()
        assert [type(event) for event in events] == kinds
        assert stream.text == "Grüße"
        assert stream.stray == b"stray\n"


def test_a_line_without_end_and_a_flood_take_no_memory() -> None:
    """What is too long is left out and counted; what follows it is read."""
    stream = Stream(3)
    piece = b"x" * (1 << 20)
    for _ in range(3 * LONGEST_LINE // len(piece)):
        stream.feed(piece)
        assert len(stream._line) <= LONGEST_LINE  # the promise is about this buffer
    stream.feed(b"\n" + said("here") + b"noise\n" * 10_000)
    assert stream.skipped == 1
    assert stream.text == "here"
    assert len(stream.stray) <= STRAY


def test_words_for_people_are_one_short_line() -> None:
    """Foreign text cannot write on the screen: no control or direction characters, no length."""
    event = read(used("bash", {"command": "echo \x1b[2J\u202e\n" + "x" * 5000}))
    assert isinstance(event, Tool)
    assert event.about.isprintable()
    assert len(event.about) < 120
    error = read(fault(message="a\nb\x07" + "c" * 5000))
    assert isinstance(error, Fault)
    assert error.message.isprintable()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
STATES = st.fixed_dictionaries(
    {}, optional=dict.fromkeys(("input", "metadata", "time", "error", "status"), JSON)
)
PARTS = JSON | st.fixed_dictionaries(
    {},
    optional={
        **dict.fromkeys(("text", "messageID", "reason", "tokens", "cost"), JSON),
        "tool": st.sampled_from(["bash", "edit", "invalid"]) | JSON,
        "state": STATES | JSON,
    },
)
EVENTS = st.builds(
    lambda kind, part, error: json.dumps({"type": kind, "part": part, "error": error}).encode(),
    st.sampled_from(["tool_use", "text", "step_finish", "error", "other"]) | JSON,
    PARTS,
    JSON,
)


@given(st.lists(EVENTS | st.binary() | JSON.map(lambda value: json.dumps(value).encode())))
def test_no_junk_breaks_it(lines: list[bytes]) -> None:
    """Whatever is printed: no exception, figures that add up, text that can be written down."""
    stream = Stream(3)
    for each in lines:
        stream.feed(each + b"\n")
    stream.end()
    assert stream.tokens >= 0
    assert stream.cost >= 0
    stream.text.encode()
    found = outcome(stream, 0)
    found.message.encode()
    assert found.failure is None or found.message
    if found.failure is None:
        assert stream.finish is not None
        assert stream.finish.reason == "stop"
