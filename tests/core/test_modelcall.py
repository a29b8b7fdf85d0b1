"""What an agent may ask of a model, what an answer cost, and what an error means: as values."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifeos.core.modelanswer import Reading, price_of, stops_for_price, used
from lifeos.core.modelcall import MAX_BYTES, MAX_DEPTH, Checked, Refused, check
from lifeos.core.modelerror import Asked, Meaning, judge, unreachable, wait_of
from lifeos.core.modelloop import actions, looped
from lifeos.core.policy.models import Model, Price, UnknownPrice, Wire
from lifeos.core.receipt import PricedBy

MODEL = Model(provider="local", id="vendor/model-1", output=1000)
USER = {"role": "user", "content": "hello"}
FUNCTION = {"type": "function", "function": {"name": "write", "parameters": {"type": "object"}}}
CUSTOM = {"name": "write", "input_schema": {"type": "object"}}
ASKED = Asked("main", "vendor/model-1", "cloud", "https://api.example.com/v1", "CLOUD_KEY")


def body(**fields: Any) -> bytes:
    return json.dumps({"model": MODEL.id, "messages": [USER], **fields}).encode()


def chat(**fields: Any) -> Checked:
    return check(body(**fields), Wire.CHAT, MODEL, "main")


def anthropic(**fields: Any) -> Checked:
    return check(body(**fields), Wire.MESSAGES, MODEL, "main")


def sent(checked: Checked) -> dict[str, Any]:
    read = json.loads(checked.body)
    assert isinstance(read, dict)
    return read


def says(*parts: Any) -> list[Any]:
    return [{"role": "user", "content": list(parts)}]


ADDRESS = "https://attacker.invalid/x.png"

CHAT_BYPASSES: dict[str, dict[str, Any]] = {
    "another model": {"model": "vendor/dear"},
    "a suffix that adds a web search": {"model": "vendor/model-1:online"},
    "no model": {"model": None},
    "fallback models": {"models": ["vendor/dear"]},
    "a route": {"route": "fallback"},
    "another provider": {"provider": {"order": ["x"]}},
    "plugins": {"plugins": [{"id": "web"}]},
    "transforms": {"transforms": ["middle-out"]},
    "web search options": {"web_search_options": {}},
    "search parameters": {"search_parameters": {"mode": "on"}},
    "a hosted tool": {"tools": [{"type": "web_search"}]},
    "a hosted tool beside a function": {"tools": [FUNCTION, {"type": "code_interpreter"}]},
    "a remote server of tools": {"tools": [{"type": "mcp", "server_url": ADDRESS}]},
    "a tool without a type": {"tools": [{"function": {"name": "x"}}]},
    "a function with more to it": {"tools": [{**FUNCTION, "server_url": ADDRESS}]},
    "a function with more inside": {
        "tools": [{"type": "function", "function": {"name": "x", "server_url": ADDRESS}}]
    },
    "old functions": {"functions": [{"name": "x"}]},
    "a hosted tool by choice": {"tool_choice": {"type": "web_search"}},
    "an image at an address": {
        "messages": says({"type": "image_url", "image_url": {"url": ADDRESS}})
    },
    "an image at an address, as a text": {
        "messages": says({"type": "image_url", "image_url": ADDRESS})
    },
    "an image in a file": {
        "messages": says({"type": "image_url", "image_url": {"url": "file:///etc/passwd"}})
    },
    "a file": {"messages": says({"type": "file", "file": {"file_id": "f"}})},
    "a sound": {"messages": says({"type": "input_audio", "input_audio": {"data": ""}})},
    "a film": {"messages": says({"type": "video_url", "video_url": {"url": ADDRESS}})},
    "an older answer by its id": {"previous_response_id": "resp_1"},
    "a sound by its id": {"messages": [{"role": "assistant", "audio": {"id": "a"}}]},
    "a conversation that is kept": {"store": True},
    "many answers": {"n": 2},
    "no answer counted": {"n": 0},
    "truth as a number": {"n": True},
    "a stream that is no yes or no": {"stream": "false"},
    "a background job": {"background": True},
    "sound as an answer": {"modalities": ["audio"]},
    "a prediction, which is charged": {"prediction": {"type": "content", "content": "x"}},
    "an extra body": {"extra_body": {"plugins": []}},
    "an unknown role": {"messages": [{"role": "root", "content": "x"}]},
    "messages that are no list": {"messages": "hello"},
    "no messages": {"messages": []},
    "a message that is a text": {"messages": ["hello"]},
    "a negative limit": {"max_tokens": -1},
    "a limit of text": {"max_tokens": "9"},
    "truth as a limit": {"max_tokens": True},
}


@pytest.mark.parametrize("name", CHAT_BYPASSES)
def test_a_bypass_of_the_chat_protocol_is_refused(name: str) -> None:
    """Each way to another model, a remote address, a hosted tool, or an uncounted answer."""
    with pytest.raises(Refused):
        chat(**CHAT_BYPASSES[name])


MESSAGES_BYPASSES: dict[str, dict[str, Any]] = {
    "another model": {"model": "claude-dear"},
    "a hosted tool": {"tools": [{"type": "web_search_20250305", "name": "web_search"}]},
    "hosted code": {"tools": [{"type": "code_execution_20250522", "name": "code_execution"}]},
    "hosted fetching": {"tools": [CUSTOM, {"type": "web_fetch_20250910", "name": "web_fetch"}]},
    "a hosted type on a full tool": {"tools": [{**CUSTOM, "type": "web_search_20250305"}]},
    "callers of a tool": {"tools": [{**CUSTOM, "allowed_callers": ["code_execution"]}]},
    "remote servers of tools": {"mcp_servers": [{"url": ADDRESS}]},
    "a container": {"container": "c"},
    "a place that costs more": {"inference_geo": "us"},
    "a speed that costs more": {"speed": "fast"},
    "an image at an address": {
        "messages": says({"type": "image", "source": {"type": "url", "url": ADDRESS}})
    },
    "an image as a file": {
        "messages": says({"type": "image", "source": {"type": "file", "file_id": "f"}})
    },
    "a document at an address": {
        "messages": says({"type": "document", "source": {"type": "url", "url": ADDRESS}})
    },
    "an address inside a result": {
        "messages": says(
            {
                "type": "tool_result",
                "tool_use_id": "t",
                "content": [{"type": "image", "source": {"type": "url", "url": ADDRESS}}],
            }
        )
    },
    "a result inside a result": {
        "messages": says(
            {"type": "tool_result", "content": [{"type": "tool_result", "content": "x"}]}
        )
    },
    "a search of the provider": {
        "messages": says({"type": "server_tool_use", "name": "web_search", "input": {}})
    },
    "an upload": {"messages": says({"type": "container_upload", "file_id": "f"})},
    "a block without a type": {"messages": says({"text": "x"})},
    "a system of blocks with an image": {
        "system": [{"type": "image", "source": {"type": "url", "url": ADDRESS}}]
    },
    "an unknown role": {"messages": [{"role": "developer", "content": "x"}]},
    "a field of the other protocol": {"n": 3},
}


@pytest.mark.parametrize("name", MESSAGES_BYPASSES)
def test_a_bypass_of_the_messages_protocol_is_refused(name: str) -> None:
    """The same for the other protocol."""
    with pytest.raises(Refused):
        anthropic(**MESSAGES_BYPASSES[name])


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"null",
        b"[]",
        b'"text"',
        b"{",
        b"{} {}",
        b"\xff\xfe{}",
        b'{"model": NaN}',
        b'{"model": "vendor/model-1", "messages": [{"role": "user"}], "temperature": Infinity}',
        b'{"model": "vendor/model-1", "messages": [{"role": "user"}], "temperature": 1e999}',
        b'{"model": "vendor/model-1", "messages": [{"role": "user"}], "seed": '
        + b"9" * 5000
        + b"}",
        b'{"model": "vendor/model-1", "messages": [{"role": "user", "content": "\\ud800"}]}',
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b'{"model": "vendor/model-1", "messages": ' + b"[" * 100 + b"]" * 100 + b"}",
        b'{"model": "' + b"x" * MAX_BYTES + b'"}',
    ],
    ids=range(16),
)
def test_a_body_that_is_no_sound_json_is_refused(raw: bytes) -> None:
    """Not an object, not UTF-8, not finite, too deep, too large."""
    with pytest.raises(Refused):
        check(raw, Wire.CHAT, MODEL, "main")


def test_the_depth_that_is_allowed_is_allowed() -> None:
    """A schema of a tool may be nested well; the limit itself holds."""
    schema: dict[str, Any] = {}
    for _ in range(MAX_DEPTH - 10):
        schema = {"items": schema}
    tool = {"type": "function", "function": {"name": "x", "parameters": schema}}
    assert sent(chat(tools=[tool]))["tools"] == [tool]
    for _ in range(20):
        schema = {"items": schema}
    with pytest.raises(Refused, match="deep"):
        chat(tools=[{"type": "function", "function": {"name": "x", "parameters": schema}}])


def test_of_two_fields_with_one_name_the_one_judged_is_the_one_sent() -> None:
    """Another reader of JSON could take the first: what goes on was written anew."""
    raw = b'{"model": "vendor/dear", "model": "vendor/model-1", "messages": [{"role": "user"}]}'
    checked = check(raw, Wire.CHAT, MODEL, "main")
    assert checked.body.count(b'"model"') == 1
    assert sent(checked)["model"] == MODEL.id


def test_an_ordinary_chat_goes_through() -> None:
    """What coding agents send; usage is asked for, the name of the configuration is understood."""
    conversation = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": [{"type": "text", "text": "hi"}]},
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [
                {"id": "1", "type": "function", "function": {"name": "write", "arguments": "{}"}}
            ],
        },
        {"role": "tool", "tool_call_id": "1", "content": "done"},
    ]
    checked = chat(
        model="main",
        messages=conversation,
        tools=[FUNCTION],
        tool_choice="auto",
        temperature=0,
        stream=True,
        stream_options={"include_usage": False},
        user="somebody",
        store=False,
        n=1,
        max_tokens=32_000,
    )
    read = sent(checked)
    assert read["model"] == MODEL.id
    assert read["messages"] == conversation
    assert read["stream_options"] == {"include_usage": True}
    assert read["max_tokens"] == MODEL.output
    assert {"user", "store", "n"}.isdisjoint(read)


def test_an_ordinary_call_of_messages_goes_through() -> None:
    """The metadata stays here; the long cache, which costs more, becomes the short one."""
    long_cache = {"type": "ephemeral", "ttl": "1h"}
    checked = anthropic(
        system=[{"type": "text", "text": "Be brief.", "cache_control": long_cache}],
        tools=[{**CUSTOM, "type": "custom", "cache_control": long_cache}],
        tool_choice={"type": "auto"},
        metadata={"user_id": "somebody"},
        thinking={"type": "enabled", "budget_tokens": 500},
        stream=True,
        max_tokens=500,
    )
    read = sent(checked)
    assert read["system"][0]["cache_control"] == {"type": "ephemeral"}
    assert read["tools"] == [{**CUSTOM, "cache_control": {"type": "ephemeral"}}]
    assert read["max_tokens"] == 500
    assert "metadata" not in read
    assert "stream_options" not in read


@pytest.mark.parametrize(
    ("host", "asked", "field", "limit"),
    [
        ("api.example.com", {}, "max_tokens", 1000),
        ("api.example.com", {"max_tokens": 10}, "max_tokens", 10),
        ("api.example.com", {"max_completion_tokens": 10}, "max_completion_tokens", 10),
        (
            "api.example.com",
            {"max_completion_tokens": 9, "max_tokens": 8},
            "max_completion_tokens",
            8,
        ),
        ("api.openai.com", {}, "max_completion_tokens", 1000),
        ("api.openai.com", {"max_tokens": 10}, "max_completion_tokens", 10),
        ("notapi.openai.com.example.com", {}, "max_tokens", 1000),
    ],
)
def test_each_answer_has_a_limit(host: str, asked: dict[str, int], field: str, limit: int) -> None:
    """In the word that the provider knows; the lower of two counts."""
    read = sent(check(body(**asked), Wire.CHAT, MODEL, "main", host=host))
    assert {k: v for k, v in read.items() if k.startswith("max")} == {field: limit}


def test_a_limit_can_only_be_lowered() -> None:
    """What is left of the attempt may be less than what the agent asked for, never more."""
    assert sent(chat(max_tokens=100).limited(40))["max_tokens"] == 40
    assert sent(chat(max_tokens=100).limited(400))["max_tokens"] == 100


def test_the_cost_is_asked_for_where_it_has_to_be() -> None:
    """One provider tells it only on request; and the agent's own wish is not passed on."""
    asked = check(body(usage={"include": False}), Wire.CHAT, MODEL, "main", host="openrouter.ai")
    assert sent(asked)["usage"] == {"include": True}
    assert "usage" not in sent(chat(usage={"include": True}))


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
        lambda inner: (
            st.lists(inner, max_size=4)
            | st.dictionaries(
                st.sampled_from(
                    ["role", "content", "type", "text", "tools", "function", "source", "url"]
                )
                | st.text(max_size=5),
                inner,
                max_size=4,
            )
        ),
        max_leaves=20,
    )
)
def test_whatever_comes_is_refused_or_goes_on_as_known_fields(junk: Any) -> None:
    """No other error; and what goes on has this model, a limit, and no field beyond the list."""
    for wire in Wire:
        for fields in (
            {"messages": junk},
            {"tools": junk},
            {"system": junk},
            {"tool_choice": junk},
        ):
            raw = json.dumps({"model": MODEL.id, "messages": [USER], **fields}).encode()
            try:
                checked = check(raw, wire, MODEL, "main")
            except Refused:
                continue
            read = sent(checked)
            assert read["model"] == MODEL.id
            assert 1 <= read["max_tokens"] <= MODEL.output
            assert set(read) <= {"model", "messages", "tools", "tool_choice", "stream"} | {
                "max_tokens",
                "system",
            }


@given(st.binary(max_size=200))
def test_bytes_that_are_no_request_are_refused(raw: bytes) -> None:
    """Never any other error."""
    with pytest.raises(Refused):
        check(raw, Wire.CHAT, MODEL, "main")


def call(arguments: str, ident: str = "1", name: str = "read") -> dict[str, Any]:
    function = {"name": name, "arguments": arguments}
    return {
        "role": "assistant",
        "tool_calls": [{"id": ident, "type": "function", "function": function}],
    }


def result(ident: str = "1") -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": ident, "content": ident}


@pytest.mark.parametrize(
    ("conversation", "loop"),
    [
        (
            [call('{"a":1}', "1"), result(), call('{ "a": 1 }', "2"), result(), call('{"a":1}')],
            True,
        ),
        ([call('{"a":1}'), call('{"a":1}')], False),
        ([call('{"a":1}'), call('{"a":2}'), call('{"a":1}')], False),
        ([call("{}"), call("{}", name="write"), call("{}")], False),
        ([call("{}"), call("{}"), {"role": "user", "content": "go on"}, call("{}")], False),
        ([call("{}", name="x"), call("[]"), call("[]"), call("[]")], True),
        ([call("not json"), call("not json"), call("not json")], True),
        ([call("[" * 5000), call("[" * 5000), call("[" * 5000)], True),
        ([{"role": "assistant", "content": "and on"}] * 3, True),
    ],
)
def test_the_same_call_again_and_again_is_a_loop(conversation: list[Any], loop: bool) -> None:
    """Three in a row since the user spoke; ids and spaces do not make a difference."""
    assert looped(actions(chat(messages=[USER, *conversation])), 3) is loop


def test_a_loop_is_seen_in_the_other_protocol() -> None:
    """There results come as the user's, and do not break the row."""
    turns: list[Any] = [USER]
    for ident in "abc":
        use = {"type": "tool_use", "id": ident, "name": "read", "input": {"a": 1}}
        turns.append({"role": "assistant", "content": [use]})
        turns.append(
            {
                "role": "user",
                "content": [{"type": "tool_result", "tool_use_id": ident, "content": ident}],
            }
        )
    assert looped(actions(anthropic(messages=turns)), 3)
    assert not looped(actions(anthropic(messages=turns[:5])), 3)


def event(**fields: Any) -> bytes:
    return b"data: " + json.dumps(fields).encode()


def reading(wire: Wire, *lines: bytes) -> Reading:
    read = Reading(wire)
    for line in lines:
        read.line(line)
    return read


def test_a_chat_stream_is_read() -> None:
    """Text, calls in pieces, reason, tokens, cost."""
    first = {"index": 0, "id": "c", "function": {"name": "write", "arguments": '{"a"'}}
    read = reading(
        Wire.CHAT,
        b": a comment",
        event(choices=[{"delta": {"content": "Hi "}}]),
        event(choices=[{"delta": {"content": "you", "reasoning_content": "hm"}}]),
        event(choices=[{"delta": {"tool_calls": [first]}}]),
        event(
            choices=[{"delta": {"tool_calls": [{"index": 0, "function": {"arguments": ":1}"}}]}}]
        ),
        event(choices=[{"delta": {}, "finish_reason": "tool_calls"}]),
        event(
            choices=[],
            usage={
                "prompt_tokens": 100,
                "completion_tokens": 9,
                "prompt_tokens_details": {"cached_tokens": 60},
                "cost": 0.25,
            },
        ),
        b"data: [DONE]",
    )
    assert (read.text, read.calls, read.end) == (
        "Hi you",
        {"0": ["write", '{"a":1}']},
        "tool_calls",
    )
    assert (read.tokens_in, read.tokens_out, read.cached, read.cost) == (100, 9, 60, 0.25)
    assert read.counted
    assert not read.truncated
    assert read.size == len('Hi youhm{"a":1}')


def test_a_messages_stream_is_read() -> None:
    """What is cached and what is written to the cache were sent, too."""
    read = reading(
        Wire.MESSAGES,
        event(
            type="message_start",
            message={
                "content": [],
                "usage": {
                    "input_tokens": 10,
                    "cache_read_input_tokens": 60,
                    "cache_creation_input_tokens": 30,
                    "output_tokens": 1,
                },
            },
        ),
        event(type="content_block_start", index=0, content_block={"type": "text", "text": ""}),
        event(type="content_block_delta", index=0, delta={"type": "text_delta", "text": "Hi"}),
        event(
            type="content_block_start",
            index=1,
            content_block={"type": "tool_use", "id": "t", "name": "write", "input": {}},
        ),
        event(type="content_block_delta", index=1, delta={"partial_json": '{"a":1}'}),
        event(type="message_delta", delta={"stop_reason": "tool_use"}, usage={"output_tokens": 12}),
        event(type="message_stop"),
    )
    assert (read.text, read.calls, read.end) == ("Hi", {"1": ["write", '{"a":1}']}, "tool_use")
    assert (read.tokens_in, read.tokens_out, read.cached, read.written) == (100, 12, 60, 30)


@pytest.mark.parametrize(
    "usage",
    [
        {},
        {"prompt_tokens": -1, "completion_tokens": 2},
        {"prompt_tokens": "5", "completion_tokens": 2},
        {"prompt_tokens": True, "completion_tokens": 2},
        {"prompt_tokens": 5, "completion_tokens": 10**12},
        {"prompt_tokens": 0, "completion_tokens": 0},
        {"prompt_tokens": 5, "completion_tokens": 0},
    ],
)
def test_counts_that_cannot_be_true_are_no_counts(usage: dict[str, Any]) -> None:
    """Then the tokens are estimated from bytes, on the safe side, and the receipt says so."""
    read = reading(
        Wire.CHAT,
        event(choices=[{"delta": {"content": "x" * 300}}]),
        event(choices=[], usage=usage),
    )
    model = Model(provider="p", id="m", price=Price(input=1, output=2))
    spent = used(read, 3000, model, Price(input=9, output=9), reached=True)
    assert not spent.counted
    assert spent.tokens_in >= 1000
    assert spent.tokens_out >= 100


@pytest.mark.parametrize("cost", [-1, True, "1", None, [1]])
def test_a_cost_that_is_none_is_as_if_unsaid(cost: Any) -> None:
    """And a provider cannot lower what an earlier event said."""
    usage = {"prompt_tokens": 1, "completion_tokens": 1}
    read = reading(
        Wire.CHAT, event(usage={**usage, "cost": 0.5}), event(usage={**usage, "cost": cost})
    )
    assert read.cost == 0.5
    assert reading(Wire.CHAT, event(usage={**usage, "cost": cost})).cost is None


def test_infinity_is_no_cost() -> None:
    """Python's reader of JSON takes it."""
    assert reading(Wire.CHAT, b'data: {"usage": {"cost": Infinity}}').cost is None
    assert reading(Wire.CHAT, b'data: {"usage": {"cost": NaN}}').cost is None


@given(st.binary(max_size=300) | st.text(max_size=300).map(str.encode))
def test_no_line_of_a_stream_is_an_error(line: bytes) -> None:
    """Junk of a provider is passed over."""
    for wire in Wire:
        reading(wire, b"data:" + line, line)


@given(
    st.dictionaries(
        st.sampled_from(
            ["choices", "usage", "message", "delta", "content_block", "content", "error"]
        ),
        st.recursive(
            st.none() | st.integers() | st.floats() | st.text(max_size=5),
            lambda inner: (
                st.lists(inner, max_size=3)
                | st.dictionaries(
                    st.sampled_from(
                        ["delta", "tool_calls", "function", "usage", "content", "index"]
                    ),
                    inner,
                    max_size=3,
                )
            ),
            max_leaves=10,
        ),
    )
)
def test_no_shape_of_an_event_is_an_error(value: Any) -> None:
    """Whatever stands where a list or an object is expected."""
    for wire in Wire:
        read = reading(wire, event(**value))
        assert read.cost is None or read.cost >= 0


def test_prices() -> None:
    """Per million; cached ones by their own price; writing to a cache costs a quarter more."""
    price = Price(input=4, output=10, cached=1)
    assert price_of(price, 1_000_000, 1_000_000) == 14
    assert price_of(price, 1_000_000, 0, cached=500_000) == 2.5
    assert price_of(price, 1_000_000, 0, written=1_000_000) == 5
    assert price_of(Price(input=4, output=10), 1_000_000, 0, cached=1_000_000) == 4
    assert price_of(price, 10, 0, cached=1000, written=1000) == price_of(price, 10, 0, cached=10)


def test_where_a_cost_is_known_from() -> None:
    """The configuration, else the provider, else an estimate; which may end the attempt."""
    usage = {"prompt_tokens": 1_000_000, "completion_tokens": 1}
    estimate = Price(input=50, output=0)
    told = reading(Wire.CHAT, event(usage={**usage, "cost": 3.0}))
    untold = reading(Wire.CHAT, event(usage=usage))
    priced = Model(provider="p", id="m", price=Price(input=7, output=0))
    unpriced = Model(provider="p", id="m")
    by_us = used(told, 10, priced, estimate, reached=True)
    by_them = used(told, 10, unpriced, estimate, reached=True)
    by_guess = used(untold, 10, unpriced, estimate, reached=True)
    assert (by_us.cost, by_us.priced_by) == (7, PricedBy.CONFIGURATION)
    assert (by_them.cost, by_them.priced_by) == (3, PricedBy.PROVIDER)
    assert (by_guess.cost, by_guess.priced_by) == (50, PricedBy.ESTIMATE)
    assert stops_for_price(by_guess, UnknownPrice.REFUSE)
    assert not stops_for_price(by_guess, UnknownPrice.ESTIMATE)
    assert not stops_for_price(by_them, UnknownPrice.REFUSE)


NOW = 1_735_689_600.0


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "7"}, 7),
        ({"retry-after-ms": "1500", "retry-after": "9"}, 1.5),
        ({"retry-after": "Wed, 01 Jan 2025 00:01:00 GMT"}, 60),
        ({"retry-after": "Tue, 31 Dec 2024 00:00:00 GMT"}, 0),
        ({"x-ratelimit-reset": "1735689630"}, 30),
        ({"x-ratelimit-reset": "1735689630000"}, 30),
        ({"x-ratelimit-reset": "45"}, 45),
        ({"anthropic-ratelimit-tokens-reset": "2025-01-01T00:02:00Z"}, 120),
        ({"retry-after": "99999999999"}, 7 * 24 * 3600),
        ({"retry-after": "-5"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "", "x-ratelimit-reset": "x"}, None),
    ],
)
def test_how_long_to_wait(headers: dict[str, str], seconds: float | None) -> None:
    """From whichever header says it; nonsense is as if unsaid, and no wait is endless."""
    assert wait_of(headers, NOW) == seconds


@pytest.mark.parametrize(
    ("status", "headers", "body", "meaning"),
    [
        (401, {}, "", Meaning.CONFIG),
        (403, {}, "", Meaning.CONFIG),
        (404, {}, "", Meaning.CONFIG),
        (302, {"location": ADDRESS}, "", Meaning.CONFIG),
        (400, {}, "The model `x` does not exist", Meaning.CONFIG),
        (400, {}, '{"error": {"code": "model_not_found"}}', Meaning.CONFIG),
        (400, {}, "vendor/x is not a valid model ID", Meaning.CONFIG),
        (400, {}, "invalid model: x", Meaning.CONFIG),
        (400, {}, "context length exceeded", Meaning.REQUEST),
        (413, {}, "", Meaning.REQUEST),
        (402, {}, "", Meaning.QUOTA),
        (429, {}, "insufficient_quota", Meaning.QUOTA),
        (400, {}, "Your credit balance is too low", Meaning.QUOTA),
        (403, {}, "Key limit exceeded", Meaning.QUOTA),
        (403, {}, "your input was flagged", Meaning.REQUEST),
        (429, {}, "", Meaning.AGAIN),
        (429, {"retry-after": "5"}, "", Meaning.AGAIN),
        (429, {"retry-after": "60"}, "", Meaning.QUOTA),
        (500, {}, "", Meaning.AGAIN),
        (503, {}, "", Meaning.AGAIN),
        (503, {"retry-after": "900"}, "", Meaning.QUOTA),
        (529, {}, "overloaded", Meaning.AGAIN),
    ],
)
def test_what_an_error_means(
    status: int, headers: dict[str, str], body: str, meaning: Meaning
) -> None:
    """Change the configuration, wait, try again, or ask otherwise; each with a word for people."""
    trouble = judge(status, headers, body, ASKED, NOW)
    assert trouble.meaning is meaning
    assert "cloud" in trouble.text
    if meaning is Meaning.CONFIG:
        assert trouble.fix


def test_no_answer_at_all() -> None:
    """May be over soon, but a certificate that is not valid is not."""
    assert unreachable(ASKED, "no connection").meaning is Meaning.AGAIN
    assert unreachable(ASKED, "no", certificate=True).meaning is Meaning.CONFIG
