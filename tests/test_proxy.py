"""The model proxy with real sockets and a real client: what it counts, and when it says stop."""

from __future__ import annotations

import hashlib
import json
import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext

import httpx
import pytest

from lifeos.core.policy.models import Wire
from lifeos.core.receipt import PricedBy
from lifeos.model import Usage
from lifeos.proxy import opened
from lifeos.proxy.meter import Stop
from lifeos.proxy.probe import probe
from proxy_scene import FREE, KEY, PATHS, PRICE, Scene, meter_of, ordinary, request, route_to, scene
from scripted_model import (
    ScriptedModel,
    Step,
    Turn,
    cut,
    error,
    flood,
    gated,
    hang,
    in_order,
    no_finish,
    stall,
    steps,
    stream_forever,
    text,
    tool,
    tools,
)


@pytest.mark.parametrize("wire", Wire)
@pytest.mark.parametrize("stream", [True, False])
def test_a_call_goes_through_and_is_counted(wire: Wire, stream: bool) -> None:
    """Both protocols, as a stream and whole: tokens, cost, reason, digests of what really went."""
    script = steps(tool("write", filePath="a").using(1000, 50, cached=400))
    with scene(script, wire=wire) as here:
        answer = here.ask(stream=stream)
    (receipt,) = here.receipts
    assert answer.status_code == 200
    assert "filePath" in answer.text
    assert (receipt.tokens_in, receipt.tokens_cached, receipt.tokens_out) == (1000, 400, 50)
    assert receipt.cost == pytest.approx(1000 * 10e-6 + 50 * 100e-6)
    assert receipt.priced_by is PricedBy.CONFIGURATION
    assert receipt.counted
    assert not receipt.truncated
    assert receipt.end in {"tool_calls", "tool_use"}
    assert (receipt.stage, receipt.seat, receipt.status) == ("build", "security", 200)
    assert receipt.request == hashlib.sha256(here.model.requests[0].raw).hexdigest()
    assert receipt.response == hashlib.sha256(answer.content).hexdigest()
    assert here.meter.usage == Usage(tokens=1050, cost=receipt.cost, requests=1)
    assert not here.meter.stop


def test_a_stream_is_really_streamed() -> None:
    """The first piece is here while the model has not yet written the second."""
    gate = threading.Event()
    with (
        scene(steps(gated("first", gate, "second"))) as here,
        here.client() as client,
        client.stream("POST", "/v1/chat/completions", content=ordinary(stream=True)) as answer,
    ):
        pieces = answer.iter_text()
        got = ""
        while "first" not in got:
            got += next(pieces)
        assert "second" not in got
        assert not here.receipts
        gate.set()
        got += "".join(pieces)
    assert "second" in got
    assert here.receipts[0].end == "stop"


def test_the_key_is_added_outside_and_headers_stay_inside() -> None:
    """What the agent sends as headers does not reach the provider; nothing is kept as a cookie."""
    cookie = {"set-cookie": "session=1; Path=/", "x-internal": "secret"}
    with scene(in_order(error(500, headers=cookie), text("ok"))) as here, here.client() as client:
        headers = {
            "authorization": "Bearer mine",
            "cookie": "a=b",
            "x-api-key": "mine",
            "openai-organization": "other",
            "x-forwarded-for": "1.2.3.4",
            "anthropic-beta": "web-search",
        }
        first = client.post("/v1/chat/completions", content=ordinary(), headers=headers)
        client.post("/v1/chat/completions", content=ordinary(), headers=headers)
    assert {"set-cookie", "x-internal"}.isdisjoint(first.headers)
    for asked in here.model.requests:
        assert asked.headers["authorization"] == f"Bearer {KEY}"
        assert set(asked.headers) <= {"host", "connection", "content-type", "accept"} | {
            "accept-encoding",
            "user-agent",
            "authorization",
            "content-length",
        }


def test_the_other_protocol_carries_its_key_in_its_own_header() -> None:
    """And its version, which the provider asks for."""
    with scene(steps(text("ok")), wire=Wire.MESSAGES) as here:
        here.ask()
    headers = here.model.requests[0].headers
    assert headers["x-api-key"] == KEY
    assert headers["anthropic-version"] == "2023-06-01"
    assert "authorization" not in headers


@pytest.mark.parametrize("stream", [True, False])
def test_a_key_that_the_provider_repeats_does_not_come_in(stream: bool) -> None:
    """Not in an answer, a call, an error, the transcript, the receipts or the meter's words."""
    spellings = [KEY, KEY.encode().hex().upper(), KEY[::-1]]
    said = "your key is " + " or ".join(spellings)
    script = in_order(
        text(said), tool("write", content=said), error(400, {"error": {"message": said}})
    )
    with scene(script) as here:
        came = "".join(here.ask(stream=stream, said=str(n)).text for n in range(3))
    kept = here.meter.transcript().decode() + here.meter.message + repr(here.receipts)
    for spelling in spellings:
        assert spelling not in came
        assert spelling not in kept
    assert came.count("[redacted]") == 9
    assert "your key is" in kept


def test_a_route_does_not_show_its_key() -> None:
    """A traceback shows arguments."""
    assert KEY not in repr(route_to("http://127.0.0.1:1/v1"))


def test_the_transcript_has_each_message_once() -> None:
    """Agents send the whole conversation with every call."""
    with scene(in_order(text("the first answer"), text("the second answer"))) as here:
        here.ask(said="a question")
        here.ask(
            messages=[
                {"role": "user", "content": "a question"},
                {"role": "assistant", "content": "the first answer"},
                {"role": "user", "content": "a further question"},
            ]
        )
    lines = [json.loads(line) for line in here.meter.transcript().splitlines()]
    assert [line["text"] for line in lines] == [
        "a question",
        "the first answer",
        "the first answer",
        "a further question",
        "the second answer",
    ]
    assert all(line["seat"] == "security" for line in lines)


def test_a_transcript_keeps_its_limit() -> None:
    """The begin and the end stay; a line says how much was left out between."""
    with scene(steps(text("y" * 900)), meter_of(transcript_kb=4)) as here:
        for n in range(12):
            here.ask(said=f"question {n}")
    kept = here.meter.transcript()
    lines = [json.loads(line) for line in kept.splitlines()]
    assert len(kept) <= 4096
    assert lines[0]["text"] == "question 0"
    assert any(line.get("left_out", 0) > 0 for line in lines)
    with scene(steps(text("y")), meter_of(transcript_kb=0)) as here:
        here.ask()
    assert here.meter.transcript() == b""


def ended(here: Scene, stop: str) -> None:
    """The attempt has to end for this, and no further request goes out."""
    assert here.meter.stop == stop
    assert here.meter.message
    before = len(here.model.requests)
    refused = here.ask(said="once more")
    assert refused.status_code == 400
    assert "lifeos" in refused.text
    assert len(here.model.requests) == before


def test_the_limit_of_requests() -> None:
    """The one beyond is not sent."""
    with scene(steps(text("ok")), meter_of(requests=2)) as here:
        statuses = [here.ask(said=str(n)).status_code for n in range(3)]
        assert statuses == [200, 200, 400]
        ended(here, "requests")
    assert here.meter.usage.requests == 2
    assert "policies/envelope.yaml" in here.meter.message


def test_requests_that_are_not_allowed_are_limited_too() -> None:
    """Nobody can hammer on the door without end."""
    with scene(steps(text("ok")), meter_of(requests=3)) as here:
        for _ in range(3):
            assert here.ask(model="dear").status_code == 400
        assert here.meter.refused == 3
        ended(here, "requests")
    assert here.model.requests == []


def test_the_limit_of_tokens() -> None:
    """A call whose worst case does not fit any more is not sent, or its answer is made shorter."""
    with scene(
        lambda turn: text("ok").using(100, min(900, turn.body["max_tokens"])), meter_of(tokens=2000)
    ) as here:
        for n in range(5):
            here.ask(said=str(n))
        limits = [asked.body["max_tokens"] for asked in here.model.requests]
        assert limits[0] == 1000
        assert limits[1] < 1000
        ended(here, "tokens")
    assert here.meter.usage.tokens <= 2000
    assert "tokens_per_run" in here.meter.message


def test_the_limit_of_cost() -> None:
    """By the price of the configuration."""
    meter = meter_of(cost=0.12)  # a whole answer costs a little over 0.10
    with scene(
        lambda turn: text("ok").using(100, min(900, turn.body["max_tokens"])), meter
    ) as here:
        for n in range(4):
            here.ask(said=str(n))
        ended(here, "cost")
    assert 0 < meter.usage.cost <= 0.12
    assert "reserve_per_attempt" in meter.message


def test_a_free_model_has_no_limit_of_cost() -> None:
    """Even when nothing may be spent."""
    with scene(steps(text("ok")), meter_of(cost=0.0), price=FREE) as here:
        assert here.ask().status_code == 200
    assert here.meter.usage.cost == 0


@pytest.mark.parametrize("limit", ["tokens", "cost", "requests"])
def test_seats_side_by_side_cannot_use_more_than_one_alone(limit: str) -> None:
    """Sixteen at once, each takes all that it may: together they stay within the limit."""

    def greedy(turn: Turn) -> Step:
        time.sleep(0.3)  # so that they overlap
        return text("x").using(40, turn.body["max_tokens"])

    meters = {
        "tokens": lambda: meter_of(tokens=5000),
        "cost": lambda: meter_of(cost=0.5),
        "requests": lambda: meter_of(requests=5),
    }
    meter = meters[limit]()
    with scene(greedy, meter) as here, ThreadPoolExecutor(16) as pool:
        asks = range(16)  # whole answers: a stream that is under way is cut by the stop
        answers = list(pool.map(lambda n: here.ask(said=str(n), stream=False).status_code, asks))
    assert meter.stop == limit
    assert answers.count(200) == meter.usage.requests >= 4
    assert meter.usage.tokens <= 5000 or limit != "tokens"
    assert meter.usage.cost <= 0.5 or limit != "cost"
    assert meter.usage.requests <= 5 or limit != "requests"


def test_a_call_waits_while_only_others_stand_in_its_way() -> None:
    """What they set aside comes back: two calls fit one after the other, not side by side."""
    gate = threading.Event()
    first_sent = threading.Event()

    def script(turn: Turn) -> Step:
        if turn.user == "first":
            first_sent.set()
            return gated("a", gate, "b").using(10, 10)
        return text("ok").using(10, 10)

    with (
        scene(script, meter_of(tokens=1500)) as here,
        ThreadPoolExecutor(2) as pool,
    ):
        first = pool.submit(here.ask, said="first")
        assert first_sent.wait(30)
        second = pool.submit(here.ask, said="second")
        assert not second.done()
        gate.set()
        assert (first.result(30).status_code, second.result(30).status_code) == (200, 200)
    assert not here.meter.stop


def test_an_answer_without_end_is_cut() -> None:
    """A provider that does not keep to the limit of an answer, and never says what it used."""
    with scene(steps(stream_forever("and on " * 50)), output=300) as here:
        with here.client() as client, pytest.raises(httpx.RemoteProtocolError):
            client.post("/v1/chat/completions", content=ordinary(stream=True))
        ended(here, "tokens")
    (receipt,) = here.receipts
    assert receipt.truncated
    assert not receipt.counted
    assert 300 < receipt.tokens_out < 100_000  # cut soon, not at the limit of bytes
    assert receipt.end == "too long"


@pytest.mark.parametrize("stream", [True, False])
def test_a_flood_is_cut(stream: bool) -> None:
    """A line without end does not fill the memory, and the agent does not see it."""
    with (
        scene(steps(flood(1 << 30))) as here,
        here.client() as client,
        pytest.raises(httpx.RemoteProtocolError),
    ):
        client.post("/v1/chat/completions", content=ordinary(stream=stream))
    assert here.meter.stop == "tokens"
    assert here.receipts[0].end == "too long"


@pytest.mark.parametrize(
    ("step", "end"), [(cut(), "the connection broke off"), (no_finish(), "no reason")]
)
def test_an_answer_that_breaks_off_is_truncated(step: Step, end: str) -> None:
    """What was read so far is counted, by us."""
    seen = pytest.raises(httpx.RemoteProtocolError) if step.kind == "cut" else nullcontext()
    with scene(steps(step.uncounted())) as here, here.client() as client, seen:
        client.post("/v1/chat/completions", content=ordinary(stream=True))
    (receipt,) = here.receipts
    assert receipt.truncated
    assert receipt.end == end
    assert not receipt.counted
    assert receipt.tokens_in > 0
    assert receipt.tokens_out > 0


def test_a_length_that_was_reached_is_told() -> None:
    """The provider's own word for a cut answer."""
    with scene(steps(text("half of", finish="length"))) as here:
        here.ask()
    assert here.receipts[0].truncated
    assert here.receipts[0].end == "length"


def test_the_same_call_again_and_again_ends_the_attempt() -> None:
    """Nothing is sent for the one that makes it a loop."""
    call = {"id": "1", "type": "function", "function": {"name": "read", "arguments": "{}"}}
    turn = [
        {"role": "assistant", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "1", "content": "x"},
    ]
    user = {"role": "user", "content": "go"}
    with scene(steps(text("ok")), meter_of(repeats=4)) as here:
        assert here.ask(messages=[user, *turn * 3]).status_code == 200
        assert here.ask(messages=[user, *turn * 4]).status_code == 400
        ended(here, "repeats")


def test_the_same_request_again_and_again_ends_the_attempt() -> None:
    """A program that starts over with what was answered already."""
    with scene(steps(no_finish())) as here:
        assert [here.ask().status_code for _ in range(4)] == [200, 200, 200, 400]
        ended(here, "repeats")


def test_the_same_error_again_and_again_ends_the_attempt() -> None:
    """One that asking again does not mend; the agent gets the provider's own words for it."""
    too_long = error(400, {"error": {"message": "context length exceeded"}})
    with scene(steps(too_long)) as here:
        answers = [here.ask(said=str(n)) for n in range(3)]
        assert [answer.status_code for answer in answers] == [400, 400, 400]
        assert "context length" in answers[0].text
        ended(here, "repeats")
    assert all(r.cost == 0 and r.tokens == 0 and r.end == "error 400" for r in here.receipts)


def test_different_errors_do_not() -> None:
    """In a row means the same one."""
    one, other = error(400, {"error": "a"}), error(400, {"error": "b"})
    with scene(in_order(one, other, one, other, text("ok"))) as here:
        for n in range(5):
            here.ask(said=str(n))
    assert not here.meter.stop


@pytest.mark.parametrize("status", [401, 403, 404])
def test_an_error_that_a_person_has_to_mend_ends_the_attempt_at_once(status: int) -> None:
    """With what is wrong and what to do; the key is not in it."""
    with scene(steps(error(status))) as here:
        here.ask()
        ended(here, "config")
    assert str(status) in here.meter.message
    assert ("$CLOUD_KEY" in here.meter.message) == (status != 404)
    assert KEY not in here.meter.message


def test_a_redirect_is_not_followed() -> None:
    """The key goes to no other address."""
    with scene(steps(text("ok"))) as target:
        away = error(307, headers={"location": target.model.url + "/chat/completions"})
        with scene(steps(away)) as here:
            here.ask()
            ended(here, "config")
        assert target.model.requests == []


@pytest.mark.parametrize(
    ("step", "wake"),
    [
        (error(429, headers={"retry-after": "90"}), 90),
        (error(503, headers={"retry-after": "90"}), 90),
        (error(402), 3600),
        (error(429, {"error": {"code": "insufficient_quota"}}), 3600),
    ],
)
def test_a_long_wait_ends_the_attempt(step: Step, wake: int) -> None:
    """The task waits, not the agent."""
    with scene(steps(step)) as here:
        here.ask()
        ended(here, "quota")
    assert here.meter.wake_after == wake


@pytest.mark.parametrize("status", [429, 500, 503, 529])
def test_a_short_wait_is_the_agents_own(status: int) -> None:
    """It is told how long; the third refusal in a row ends the attempt."""
    busy = error(status, headers={"retry-after-ms": "5"})
    with scene(in_order(busy, busy, text("ok"), busy, busy, busy)) as here:
        answers = [here.ask(said=str(n)) for n in range(5)]
        assert [a.status_code == 200 for a in answers] == [False, False, True, False, False]
        assert answers[0].headers["retry-after-ms"] == "5"
        assert answers[0].status_code in {429, 503}
        assert not here.meter.stop
        here.ask(said="5")
        ended(here, "quota")
    assert here.meter.wake_after == 60


def test_an_error_inside_of_an_answer_is_a_refusal_as_well() -> None:
    """Some providers say 200 first, and then that they are overloaded."""
    events = b'data: {"type": "error", "error": {"type": "overloaded_error"}}\n\n'
    broken = error(200, events, headers={"content-type": "text/event-stream"})
    with scene(steps(broken)) as here:
        for n in range(3):
            assert here.ask(said=str(n)).status_code == 200
        ended(here, "quota")
    assert here.receipts[0].end == "error"


def test_a_compressed_answer_is_not_passed_on() -> None:
    """The key could not be found in it, nor what was used."""
    odd = error(200, b"\x1f\x8b", headers={"content-encoding": "gzip"})
    with scene(steps(odd)) as here:
        here.ask()
        ended(here, "config")
    assert here.receipts[0].end == "compressed"


def test_the_query_of_a_common_agent_goes_nowhere() -> None:
    """It is accepted for one protocol, exactly as it is written there, and not passed on."""
    with scene(steps(text("ok")), wire=Wire.MESSAGES) as here, here.client() as client:
        assert client.post("/v1/messages?beta=true", content=ordinary()).status_code == 200
        assert client.post("/v1/messages?beta=false", content=ordinary()).status_code == 404
    assert [asked.path for asked in here.model.requests] == ["/v1/messages"]


def test_a_proxy_of_the_environment_does_not_see_a_call_without_tls(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It would see the key."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        address = f"http://127.0.0.1:{other.getsockname()[1]}"
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "HTTPS_PROXY"):
            monkeypatch.setenv(name, address)
        with scene(steps(text("ok"))) as here:
            assert here.raw(request(ordinary())).startswith(b"HTTP/1.1 200")
        other.settimeout(0)
        with pytest.raises(BlockingIOError):
            other.accept()


def test_a_provider_that_is_down_is_a_wait() -> None:
    """Nobody listens there: the third time the attempt ends, with nothing charged."""
    with ScriptedModel(steps(text("ok"))) as closed:
        url = closed.url
    meter = meter_of()
    with opened(route_to(url), meter, stage="build", clock=time.time) as door:
        here = Scene(door, meter, closed, Wire.CHAT)
        statuses = [here.ask(said=str(n)).status_code for n in range(3)]
    assert statuses == [503, 503, 400]
    assert (meter.stop, meter.wake_after) == ("quota", None)
    assert url in meter.message
    assert [(r.status, r.tokens, r.cost) for r in meter.receipts] == [(0, 0, 0.0)] * 3


def test_a_provider_without_an_answer_is_charged_for_what_was_sent() -> None:
    """It may have worked for it; the estimate is ours."""
    with scene(steps(hang(0.0)), meter_of(silence=30)) as here:
        assert here.ask().status_code == 503
    (receipt,) = here.receipts
    assert not receipt.counted
    assert receipt.tokens_in > 0
    assert receipt.cost > 0


def test_a_price_that_nobody_tells_ends_the_attempt() -> None:
    """The first call tells whether the provider does; it is counted by the estimate."""
    with scene(steps(text("ok")), price=None) as here:
        assert here.ask().status_code == 200
        ended(here, "price")
    assert here.receipts[0].priced_by is PricedBy.ESTIMATE
    assert "`price:`" in here.meter.message


def test_a_price_that_nobody_tells_may_be_estimated() -> None:
    """Where the rules say so; on the safe side, and the receipt says it."""
    with scene(
        steps(text("ok").using(1000, 100)), meter_of(unknown_price="estimate"), price=None
    ) as here:
        here.ask()
    assert not here.meter.stop
    assert here.receipts[0].priced_by is PricedBy.ESTIMATE
    assert here.receipts[0].cost == pytest.approx(0.0225)


def test_a_provider_may_tell_the_cost() -> None:
    """And what it told makes room: the estimate would allow only one such call."""
    meter = meter_of(cost=0.08)
    with scene(steps(text("ok").using(100, 100, cost=0.002)), meter, price=None) as here:
        statuses = {here.ask(said=str(n)).status_code for n in range(6)}
        limits = {asked.body["max_tokens"] for asked in here.model.requests}
    assert statuses == {200}
    assert limits == {1000}
    assert not meter.stop
    assert meter.usage.cost == pytest.approx(0.012)
    assert here.receipts[0].priced_by is PricedBy.PROVIDER


@pytest.mark.parametrize("step", [stall(), hang(), stream_forever("a")])
def test_a_door_that_closes_ends_the_call_and_keeps_its_receipt(step: Step) -> None:
    """Also of one that waits for its first byte; what it may have cost is counted."""
    with scene(steps(step)) as here:
        connection = socket.socket(socket.AF_UNIX)
        connection.connect(str(here.door.socket))
        connection.sendall(request(ordinary(stream=True)))
        while not here.model.requests:
            time.sleep(0.01)
        time.sleep(0.05)
    connection.close()
    (receipt,) = here.receipts
    assert receipt.tokens_in > 0
    assert receipt.truncated
    assert not here.door.socket.parent.exists()
    assert not here.meter.stop


def test_an_agent_that_leaves_ends_the_call() -> None:
    """The provider is not left writing for nobody."""
    with scene(steps(stream_forever("and on ")), output=1_000_000) as here:
        body = ordinary(stream=True)
        with here.client() as client, client.stream("POST", PATHS[here.wire], content=body) as got:
            next(got.iter_raw())
        until(lambda: bool(here.receipts))
    assert here.receipts[0].end == "the agent closed the connection"
    assert not here.receipts[0].counted
    assert not here.meter.stop


def test_a_stop_cuts_what_is_under_way() -> None:
    """Another seat's limit, or a person: money is not spent on."""
    with (
        scene(steps(stream_forever("and on ")), output=1_000_000) as here,
        ThreadPoolExecutor(1) as pool,
    ):
        asked = pool.submit(here.ask)
        until(lambda: bool(here.model.requests))
        here.meter.end(Stop.COST, "enough")
        assert asked.exception(30) is not None
        until(lambda: bool(here.receipts))
    assert here.receipts[0].end == "ended: cost"


def test_the_first_reason_to_stop_stays() -> None:
    """What comes after is a consequence."""
    meter = meter_of()
    meter.end(Stop.QUOTA, "wait", 7)
    meter.end(Stop.CONFIG, "other")
    assert (meter.stop, meter.message, meter.wake_after) == ("quota", "wait", 7)


def test_what_was_heard_is_told() -> None:
    """Seconds since a byte went through, by the clock that was handed in."""
    now = [1000.0]
    with (
        ScriptedModel(steps(text("ok")), titles=False) as model,
        opened(route_to(model.url), meter_of(), stage="plan", clock=lambda: now[0]) as door,
    ):
        now[0] = 1060.0
        assert door.heard() == 60
        Scene(door, door.meter, model, Wire.CHAT).ask()
        assert door.heard() == 0
        now[0] = 900.0  # set back
        assert door.heard() == 0


def test_several_doors_share_a_meter() -> None:
    """The seats of a council: one allowance for all of them."""
    meter = meter_of(requests=2)
    with ScriptedModel(steps(text("ok")), titles=False) as model:
        for seat in ("one", "two", "three"):
            route = route_to(model.url)
            with opened(route, meter, stage="build_review", seat=seat, clock=time.time) as door:
                Scene(door, meter, model, Wire.CHAT).ask()
    assert [receipt.seat for receipt in meter.receipts] == ["one", "two"]
    assert meter.stop == "requests"


def test_a_key_that_is_none_is_named_and_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    """A line end at the end of a variable is the usual one. The library's message would show it."""
    monkeypatch.delenv("CLOUD_KEY", raising=False)
    meter = meter_of()
    with ScriptedModel(steps(text("ok")), titles=False) as model:
        good = route_to(model.url)
        bad = type(good)(good.name, good.provider_name, good.provider, good.model, KEY + "\n")
        with opened(bad, meter, stage="build", clock=time.time) as door:
            answer = Scene(door, meter, model, Wire.CHAT).ask()
        found = probe(bad, time.time)
    assert meter.stop == "config"
    assert "$CLOUD_KEY" in meter.message
    assert model.requests == []
    assert KEY not in answer.text + meter.message + repr(found)
    assert not found.ok


def until(true: Callable[[], bool]) -> None:
    """Wait for it; a test that waits in vain fails."""
    for _ in range(3000):
        if true():
            return
        time.sleep(0.01)
    pytest.fail("it did not come to that")


@pytest.mark.parametrize("wire", Wire)
def test_a_probe_says_that_all_is_well(wire: Wire) -> None:
    """One call, of few tokens, with a function on offer."""
    with ScriptedModel(steps(tool("ok")), titles=False) as model:
        found = probe(route_to(model.url, wire), time.time)
    assert found.ok
    assert (found.tools, found.usage_reported, found.cost_by) == (True, True, "configuration")
    assert len(model.requests) == 1
    assert model.requests[0].body["max_tokens"] == 16
    assert model.requests[0].body["tools"]


@pytest.mark.parametrize(
    ("step", "word"),
    [
        (error(401), "key"),
        (error(404), "does not know the model"),
        (error(404, {"error": "No endpoints found that support tool use"}), "tools"),
        (error(402), "credit"),
        (error(429), "for now"),
        (error(503), "not able"),
        (error(400, {"error": "what"}), "refuses the request"),
        (error(302, headers={"location": "http://127.0.0.1:1/"}), "does not answer"),
        (error(200, b"<html>hello</html>"), "no answer of a model"),
        (hang(0.0), "cannot be reached"),
    ],
)
def test_a_probe_tells_faults_apart(step: Step, word: str) -> None:
    """Each with what to do, and without the key."""
    with ScriptedModel(steps(step), titles=False) as model:
        found = probe(route_to(model.url), time.time)
    assert not found.ok
    assert word in found.problem
    assert found.fix
    assert KEY not in repr(found)


def test_a_probe_says_where_a_cost_comes_from() -> None:
    """Nobody telling it is a fault; a provider that tells is well."""
    told, untold = text("ok").using(5, 5, cost=0.01), text("ok")
    with ScriptedModel(in_order(told, untold), titles=False) as model:
        first = probe(route_to(model.url, price=None), time.time)
        second = probe(route_to(model.url, price=None), time.time)
    assert (first.cost_by, first.ok, first.tools) == ("provider", True, None)
    assert (second.cost_by, second.ok) == ("", False)
    assert "price:" in second.fix
    assert PRICE.input > 0


def test_what_the_agent_will_do_is_told_before_it_can_begin() -> None:
    """People see the command while it runs, whatever the agent's program shows, and when."""
    told: list[str] = []
    ran, edited = {"command": "pytest -q\x1b[2J"}, {"file_path": "/work/src/a.py"}
    does = steps(tools([("bash", ran), ("Edit", edited)]))
    with ScriptedModel(does, titles=False) as model:
        way = opened(
            route_to(model.url), meter_of(), stage="build", clock=time.time, told=told.append
        )
        with way as door:
            transport = httpx.HTTPTransport(uds=str(door.socket))
            with httpx.Client(transport=transport, base_url="http://door") as client:
                answer = client.post("/v1/chat/completions", content=ordinary())
            assert answer.status_code == 200
            assert told == ["runs: pytest -q [2J", "edits: src/a.py"]
