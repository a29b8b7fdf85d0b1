"""One call of a model, from the agent's request to the receipt."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Iterator

from lifeos.core.modelanswer import Reading, Used, stops_for_price, used
from lifeos.core.modelcall import Refused, check, digest
from lifeos.core.modelerror import Meaning, Trouble, judge, unreachable
from lifeos.core.modelloop import actions, looped
from lifeos.core.receipt import Receipt
from lifeos.core.toolwords import about_call
from lifeos.proxy.inlet import Gone, Inlet, Misspoken
from lifeos.proxy.line import Line
from lifeos.proxy.meter import Grant, Stop, Wish
from lifeos.proxy.outlet import Answer, Unfit, Unreached

MAX_ANSWER = 32 * 1024 * 1024
MAX_LINE = 4 * 1024 * 1024
_MAX_ERROR = 64 * 1024
_LONG_TOKEN = 8  # bytes; an answer whose tokens are longer than this on average goes on too long
_STREAM = "text/event-stream"


class Exchange:
    """One connection of the agent: one request, one answer, at most one call."""

    def __init__(self, line: Line, inlet: Inlet) -> None:
        self._line = line
        self._inlet = inlet
        self._party = line.party
        self._meter = line.party.meter
        self._grant: Grant | None = None
        self._reading = Reading(line.party.route.provider.wire)
        self._hash = hashlib.sha256()
        self._body = b""
        self._started = 0.0
        self._size = 0
        self._status = 0
        self._sent = False
        self._end = ""
        self._request = ""

    def serve(self) -> None:
        """Answer the request, whatever it is."""
        wire = self._party.route.provider.wire
        try:
            try:
                body = self._inlet.request(wire)
                if body is not None:
                    self._admit(body)
            except (Misspoken, Refused) as error:
                self._meter.refuse()
                self._line.note(role="refused", text=str(error))
                self._inlet.refuse(getattr(error, "status", 400), str(error))
        except Gone:
            self._end = self._end or "the agent closed the connection"
        finally:
            self.settle()

    def _admit(self, body: bytes) -> None:
        """Let a request through to the provider, if it may go there."""
        route, limits = self._party.route, self._meter.allowance.limits
        wire = route.provider.wire
        checked = check(body, wire, route.model, route.name, host=self._line.outlet.host)
        if self._meter.stop:
            self._refuse_ended()
            return
        if looped(actions(checked), limits.repeats):
            self._meter.end(Stop.REPEATS, f"the agent did the same {limits.repeats} times in a row")
        self._request = digest({"body": dict(checked.fields)})
        if self._line.repeated(self._request):
            self._meter.end(Stop.REPEATS, f"the agent asked the same {limits.repeats} times")
        wish = Wish(route, len(checked.body), checked.limit)
        self._grant = self._meter.reserve(wish, self._line.waiting)
        if self._grant is None:
            self._refuse_ended()
            return
        self._line.tell(checked)
        self._body = checked.limited(self._grant.tokens_out).body
        self._started = self._party.clock()
        self._inlet.patience(max(1, limits.silence))
        self._call()

    def _refuse_ended(self) -> None:
        self._inlet.refuse(400, f"this attempt ends: {self._meter.message}")

    def _call(self) -> None:
        try:
            with self._line.outlet.call(self._body) as answer:
                self._line.touch()
                self._sent, self._status = True, answer.status
                if answer.status == 200:
                    self._relay(answer)
                else:
                    self._failed(answer)
        except Unfit as error:
            self._meter.end(Stop.CONFIG, str(error))
            self._refuse_ended()
        except Unreached as error:
            self._unreached(error)

    def _unreached(self, error: Unreached) -> None:
        self._sent = self._sent or error.sent
        self._end = self._end or str(error)
        if self._line.closing.is_set() or self._meter.stop:
            return
        trouble = unreachable(self._party.route.asked, str(error), certificate=error.certificate)
        self._line.ill(trouble, str(error))
        if not self._inlet.answered:
            self._trouble(503, trouble, b"")

    def _failed(self, answer: Answer) -> None:
        """The provider says that it will not."""
        body = bytearray()
        for piece in answer.pieces:
            self._take(piece)
            body += piece[: _MAX_ERROR - len(body)]
            if len(body) >= _MAX_ERROR:
                break
        clean = self._line.redactor.clean(bytes(body))
        said = clean.decode("utf-8", "replace")
        now = self._party.clock()
        trouble = judge(answer.status, answer.headers, said, self._party.route.asked, now)
        self._end = f"error {answer.status}"
        self._sent = False  # nothing is charged for it
        self._line.note(role="error", text=f"{answer.status} {said}")
        self._line.ill(trouble, f"{answer.status} {hashlib.sha256(clean).hexdigest()}")
        self._trouble(answer.status, trouble, clean)

    def _trouble(self, status: int, trouble: Trouble, said: bytes) -> None:
        """Tell the agent: the provider's own words where it can do something about them."""
        self.settle()
        if self._meter.stop:
            self._refuse_ended()
        elif trouble.meaning is Meaning.REQUEST and _is_json(said):
            self._inlet.whole(status, said)
        elif trouble.meaning is Meaning.REQUEST:
            self._inlet.refuse(status, trouble.message)
        else:
            wait = 1.0 if trouble.wait is None else trouble.wait
            # As one status: what the provider's means was judged here.
            headers = (("retry-after-ms", str(round(wait * 1000))),)
            self._inlet.refuse(429 if status == 429 else 503, trouble.message, headers)

    def _relay(self, answer: Answer) -> None:
        """Pass an answer on as it comes, as long as it may go on."""
        if answer.headers.get("content-encoding", "identity") != "identity":
            self._meter.end(Stop.CONFIG, "the provider compresses answers, though asked not to")
            self._end = "compressed"
            self._refuse_ended()
            return
        if answer.headers.get("content-type", "").lower().startswith(_STREAM):
            self._stream(answer)
        else:
            self._whole(answer)

    def _complete(self) -> None:
        """All was read. Before the agent knows: it may end, or ask on, as soon as it does."""
        if self._reading.end == "error":
            trouble = unreachable(self._party.route.asked, "it broke off with an error")
            self._line.ill(trouble, "in the stream")
        else:
            self._line.well(self._request)
        self.settle()

    def _stream(self, answer: Answer) -> None:
        self._inlet.begin(200, _STREAM, (("cache-control", "no-cache"),))
        for lines in self._lines(answer.pieces):
            for line in lines.split(b"\n"):
                self._reading.line(line)
            if self._reading.done:
                break
            self._inlet.piece(self._line.redactor.clean(lines))
            if self._too_long():
                return
        if self._end:
            return
        self._complete()
        if self._reading.done:
            self._inlet.piece(self._line.redactor.clean(lines))
        self._inlet.end()
        with contextlib.suppress(Unreached):  # nothing that follows matters
            next(answer.pieces, b"")  # the end, as a rule: so the connection can serve again

    def _lines(self, pieces: Iterator[bytes]) -> Iterator[bytes]:
        """Whole lines, as many as each piece completes: no key stands across two of them."""
        rest = b""
        for piece in pieces:
            self._take(piece)
            head, newline, tail = piece.rpartition(b"\n")
            if newline:
                yield rest + head + newline
                rest = tail
            else:
                rest += piece
            if len(rest) > MAX_LINE or self._size > MAX_ANSWER:
                self._beyond("its answer has no end")
                return
        if rest:
            yield rest

    def _whole(self, answer: Answer) -> None:
        body = bytearray()
        for piece in answer.pieces:
            self._take(piece)
            body += piece
            if len(body) > MAX_ANSWER:
                self._beyond("its answer has no end")
                self._refuse_ended()
                return
        self._reading.whole(bytes(body))
        if not _is_json(bytes(body)):
            self._end = "not JSON"
            self._trouble(
                502, Trouble(Meaning.REQUEST, "the provider did not answer with JSON"), b""
            )
            return
        self._complete()
        self._inlet.whole(200, self._line.redactor.clean(bytes(body)))

    def _take(self, piece: bytes) -> None:
        self._line.touch()
        self._hash.update(piece)
        self._size += len(piece)

    def _too_long(self) -> bool:
        """Whether the answer must be cut: it went beyond its limit, or the attempt has to end."""
        if self._meter.stop or self._line.closing.is_set():
            self._end = f"ended: {self._meter.stop or 'closed'}"
            return True
        most = self._grant.tokens_out if self._grant else 0
        if self._reading.size > most * _LONG_TOKEN + 4096:
            self._beyond(f"it wrote on beyond the {most} tokens that were asked for")
            return True
        return False

    def _beyond(self, why: str) -> None:
        self._end = "too long"
        self._meter.end(
            Stop.TOKENS,
            f"provider {self._party.route.provider_name} was cut off: {why}; use another",
        )

    def settle(self) -> None:
        """Put the receipt where the grant was. May be called twice, by two threads."""
        grant = self._grant
        if grant is None:
            return
        limits, model = self._meter.allowance.limits, self._party.route.model
        size = len(self._body)
        spent = used(self._reading, size, model, limits.estimate, reached=self._sent)
        if not self._meter.settle(grant, self._receipt(spent)):
            return
        if not self._sent:
            return
        self._meter.learn(self._party.route, spent)
        for name, arguments in self._reading.calls.values():
            self._party.told(about_call(name, arguments))
        calls = [f"{name}({arguments})" for name, arguments in self._reading.calls.values()]
        end = self._end or self._reading.end or "no reason"
        self._line.note(role="assistant", text=self._reading.text, calls=calls, end=end)
        if self._status == 200 and not self._end and stops_for_price(spent, limits.unknown_price):
            self._end_for_price()

    def _receipt(self, spent: Used) -> Receipt:
        route = self._party.route
        return Receipt(
            provider=route.provider_name,
            model=route.model.id,
            stage=self._party.stage,
            seat=self._party.seat,
            started=self._started,
            ended=max(self._started, self._party.clock()),
            status=self._status,
            tokens_in=spent.tokens_in,
            tokens_cached=spent.cached,
            tokens_out=spent.tokens_out,
            cost=spent.cost,
            priced_by=spent.priced_by,
            counted=spent.counted,
            request=hashlib.sha256(self._body).hexdigest(),
            response=self._hash.hexdigest(),
            truncated=self._sent and (bool(self._end) or self._reading.truncated),
            end=self._end or self._reading.end or ("no reason" if self._sent else "not sent"),
        )

    def _end_for_price(self) -> None:
        name = self._party.route.name
        self._meter.end(
            Stop.PRICE,
            f"nobody says what the model {name!r} costs; write its `price:` under "
            f"`models: {name}:` in .lifeos/config.yaml (0 for a free one), or "
            "`agent: unknown_price: estimate` in policies/envelope.yaml",
        )


def _is_json(body: bytes) -> bool:
    try:
        return isinstance(json.loads(body), dict)
    except (ValueError, RecursionError):
        return False
