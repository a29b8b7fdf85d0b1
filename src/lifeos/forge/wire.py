"""Requests to GitHub's REST API: one host, one token, bounded answers, errors by kind.

A question is asked again after an outage. A write never is: whoever sends it learns by `Unclear`
that it may have been done, and looks.

The token goes to the host of the settings and to no other: redirects are not followed, the next
page is asked by its number and not by an address that an answer names, and no error holds the
token or text of the HTTP library, which could show a proxy's password.
"""

from __future__ import annotations

import http.cookiejar
import json
import random
import re
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import httpx

from lifeos import __version__
from lifeos.core.clean import one_line
from lifeos.core.leaks import redact
from lifeos.forge import (
    Conflicting,
    ForbiddenBySetting,
    Invalid,
    NotFound,
    Outage,
    RateLimited,
    Refused,
    Strange,
    TooMuch,
    Unclear,
)

Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]

_TOKEN = re.compile(r"[!-~]+")
_LOCAL = re.compile(r"(127\.0\.0\.1|localhost|\[::1\])(:\d+)?")
_NEXT = re.compile(r'<[^>]*>\s*;[^,]*\brel="?next"?', re.IGNORECASE)
_HIDDEN = "[redacted]"
_MAX_BYTES = 8 << 20
_MAX_PAGES = 50
_PER_PAGE = 100
_FEW = 10  # of the longest texts that GitHub takes so many are within ``_MAX_BYTES``
_AGAIN = frozenset({500, 502, 503, 504})
_NOT_ADMIN = re.compile(
    r"not accessible by|must have admin|must have push|needs? the .* scope|admin rights", re.I
)


@dataclass(frozen=True)
class Patience:
    """How long is waited, in seconds, and how often a question is asked. A question is a GET."""

    connect: float = 10.0
    silence: float = 20.0
    whole: float = 60.0
    tries: int = 3
    pause: float = 0.5


PATIENCE = Patience()
"""What people are asked to wait: a doctor asks about twenty questions."""


@dataclass(frozen=True)
class Answer:
    """A whole answer: status, headers in lower case, and what its JSON says."""

    status: int
    headers: Mapping[str, str]
    value: Json

    @property
    def has_next(self) -> bool:
        """Whether there is another page."""
        return bool(_NEXT.search(self.headers.get("link", "")))


def api_base(host: str) -> str:
    """Where the API of a host is: GitHub.com, data residency (ghe.com), Enterprise Server.

    Only a server on this machine is reached without TLS.
    """
    if host == "github.com":
        return "https://api.github.com"
    if host.endswith(".ghe.com"):
        return f"https://api.{host}"
    scheme = "http" if _LOCAL.fullmatch(host) else "https"
    return f"{scheme}://{host}/api/v3"


def web_base(host: str) -> str:
    """Where the pages of a host are."""
    return f"{'http' if _LOCAL.fullmatch(host) else 'https'}://{host}"


class Wire:
    """Asks one host with one token. ``clock`` counts seconds; ``sleep`` waits."""

    def __init__(
        self,
        host: str,
        token: str,
        patience: Patience,
        *,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.host = host
        self._base = api_base(host)
        self._token = token
        self._patience = patience
        self._clock = clock
        self._sleep = sleep
        if not _TOKEN.fullmatch(token):
            said = "the token has spaces, line ends or characters that no token has"
            raise Refused(said, "set its variable again")
        self._client = self._opened()

    def _opened(self) -> httpx.Client:
        tls = self._base.startswith("https://")
        policy = http.cookiejar.DefaultCookiePolicy(allowed_domains=[])
        try:
            return httpx.Client(
                timeout=httpx.Timeout(self._patience.silence, connect=self._patience.connect),
                cookies=http.cookiejar.CookieJar(policy),
                follow_redirects=False,
                trust_env=tls,  # without TLS a proxy of the environment would see the token
                verify=tls,
                headers={
                    "accept": "application/vnd.github+json",
                    "accept-encoding": "identity",
                    "x-github-api-version": "2022-11-28",
                    "user-agent": f"lifeos/{__version__}",
                },
            )
        except (ImportError, ValueError, OSError) as error:
            kind = type(error).__name__
            said = f"the proxy or certificate settings of the environment do not work ({kind})"
            raise Outage(said, "correct $HTTPS_PROXY, $ALL_PROXY or $SSL_CERT_FILE") from None

    def close(self) -> None:
        """Let go of the connection."""
        self._client.close()

    def get(self, path: str, **query: str | int) -> Answer:
        """Ask; a question that got no answer is asked again. Raises the errors of `lifeos.forge`.

        ``path`` is below the API's base, its parts already quoted.
        """
        for again in range(self._patience.tries - 1, -1, -1):
            try:
                return self._judged(path, self._once("GET", path, query))
            except Outage as error:
                if not again or isinstance(error, TooMuch):
                    raise
            # Not all at the same moment: whoever lost the same server comes back at other times.
            self._sleep(self._patience.pause * (1 + random.random()))  # noqa: S311 - no secret
        raise AssertionError("at least one try is made")

    def send(self, method: str, path: str, body: Mapping[str, Json], needs: str) -> Answer:
        """Write, once. ``needs``: the right that is named where the token lacks it.

        Raises the errors of `lifeos.forge`; ``Unclear`` where it may have been done.
        """
        try:
            return self._judged(path, self._once(method, path, {}, body), needs)
        except _Unsent:
            raise
        except Outage as error:
            raise Unclear(f"{error.message}; it may have been done", error.fix) from None

    def pages(self, path: str, key: str = "", **query: str | int) -> Iterator[Json]:
        """All entries of a list over its pages; ``key``: where in the answer the list is.

        A page of texts that are too long together is asked for in parts. Raises ``TooMuch`` when
        the list goes on after ``_MAX_PAGES`` requests.
        """
        size, page = _PER_PAGE, 1
        for _ in range(_MAX_PAGES):
            try:
                answer = self.get(path, per_page=size, page=page, **query)
            except TooMuch:
                if size == _FEW:
                    raise
                size, page = _FEW, (page - 1) * (size // _FEW) + 1
                continue
            value = answer.value
            if key:
                value = value.get(key) if isinstance(value, dict) else None
            if not isinstance(value, list):
                raise self.odd(path)
            yield from value
            if not answer.has_next:
                return
            if size == _FEW and page * _FEW % _PER_PAGE == 0:
                size, page = _PER_PAGE, page * _FEW // _PER_PAGE
            page += 1
        raise TooMuch(f"{self.host} has more than is read at {path}")

    def _once(
        self,
        method: str,
        path: str,
        query: Mapping[str, str | int],
        content: Mapping[str, Json] | None = None,
    ) -> Answer:
        end = time.monotonic() + self._patience.whole
        body = bytearray()
        headers = {"authorization": f"Bearer {self._token}"}
        sent = None
        if content is not None:  # ASCII: half of a character would otherwise be no JSON
            sent = json.dumps(content).encode("ascii")
            headers["content-type"] = "application/json"
        try:
            with self._client.stream(
                method, self._base + path, params=query, headers=headers, content=sent
            ) as response:
                for piece in response.iter_raw():
                    body += piece
                    if len(body) > _MAX_BYTES:
                        said = f"{self.host} answers with more than {_MAX_BYTES >> 20} MB"
                        raise TooMuch(f"{said} at {path}")
                    if time.monotonic() > end:
                        raise Outage(f"{self.host} did not answer in time", _LATER)
        except httpx.HTTPError as error:
            kind = _Unsent if isinstance(error, _NOT_SENT) else Outage
            raise kind(f"{self.host} {_why(error)}", _LATER) from None
        except httpx.InvalidURL:
            raise NotFound(
                f"{self.host} is no address", "correct `forge: host:` in .lifeos/config.yaml"
            ) from None
        names = {
            name.lower(): value.replace(self._token, _HIDDEN)
            for name, value in response.headers.items()
        }
        return Answer(response.status_code, names, self._read(path, response.status_code, body))

    def _read(self, path: str, status: int, body: bytearray) -> Json:
        try:
            # A server that sends the token back must not get it onto a screen or into a log.
            text = bytes(body).replace(self._token.encode(), _HIDDEN.encode())
            value: Json = json.loads(text) if text else None
            if b"\\" in text:  # letters can be written in other ways than as themselves
                plain = json.dumps(value, ensure_ascii=False)
                value = json.loads(plain.replace(self._token, _HIDDEN))
        except (ValueError, RecursionError):
            if 200 <= status < 300:
                raise self.odd(path) from None
            return None
        return value

    def odd(self, path: str) -> Strange:
        """The error for an answer that lacks what GitHub always gives."""
        fix = f"see whether `forge: host:` is right: {self._base} must be GitHub's API"
        return Strange(f"what {self.host} answers at {path} is not what GitHub answers", fix)

    def _judged(self, path: str, answer: Answer, needs: str = "") -> Answer:
        """The answer, or the error that it stands for. ``needs``: the right for a write."""
        status = answer.status
        if 200 <= status < 300:
            return answer
        if 300 <= status < 400:
            said = f"{self.host} sends elsewhere at {path} ({status}); the token does not follow"
            raise NotFound(said, "correct `forge: host:` and `repository:` in .lifeos/config.yaml")
        said = self._said(answer)
        limited = status in {403, 422} and self._limited(answer, said)
        if status == 429 or limited:
            raise self._wait(answer)
        if status == 401:
            raise Refused(
                f"{self.host} does not know the token: {said}",
                "it has expired or was revoked, or is for another host: set a new one",
            )
        if status in {403, 451}:
            raise self._forbidden(path, answer, said, needs)
        if status == 404:
            text = f"{self.host} has no {path}, or not for this token: {said}"
            raise NotFound(text, "see whether it is there, and whether the token may reach it")
        if status in {405, 409, 412}:
            raise Conflicting(f"{self.host}: {said}", "look at it again")
        if status in _AGAIN or status > 500:
            raise Outage(f"{self.host} is out of order ({status})", _LATER)
        text = f"{self.host} refuses the request at {path} ({status}): {said}"
        raise Invalid(text, "mend what it names") if needs else Outage(text)

    def _said(self, answer: Answer) -> str:
        """The forge's own words: one line, cleaned, and without the token."""
        value = answer.value if isinstance(answer.value, dict) else {}
        message = value.get("message")
        if not isinstance(message, str):
            return f"status {answer.status}"
        more = value.get("errors")
        parts = [message, *map(_detail, more[:5])] if isinstance(more, list) else [message]
        text = "; ".join(part[:2000] for part in parts if part)
        return one_line(redact(text, (("token", self._token),)), 300)

    @staticmethod
    def _limited(answer: Answer, said: str) -> bool:
        spent = answer.headers.get("x-ratelimit-remaining") == "0"
        hasty = "rate limit" in said.lower() or "submitted too quickly" in said.lower()
        if answer.status == 422:  # of itself it is no limit, and the count may be spent by it
            return hasty
        return spent or "retry-after" in answer.headers or hasty

    def _wait(self, answer: Answer) -> RateLimited:
        """How long: what the answer asks for, else a minute, as GitHub wants it."""
        after = answer.headers.get("retry-after", "")
        reset = answer.headers.get("x-ratelimit-reset", "")
        if after.isascii() and after.isdigit():
            seconds, kind = int(after[:6]), "for a moment"
        elif (
            answer.headers.get("x-ratelimit-remaining") == "0"
            and reset.isascii()
            and reset.isdigit()
        ):
            seconds, kind = int(reset[:12]) - int(self._clock()), "until its hour is over"
        else:
            seconds, kind = 60, "for a moment"
        seconds = min(max(seconds, 1), 86_400)
        said = f"{self.host} allows this token no more requests {kind}: {seconds} seconds"
        return RateLimited(said, f"wait {seconds} seconds, then the same again", wait=seconds)

    def _setting(self, said: str) -> ForbiddenBySetting | None:
        for sign, setting, fix in _SETTINGS:
            if sign in said.lower():
                return ForbiddenBySetting(f"{self.host}: {said}", fix, setting=setting)
        return None

    def _forbidden(self, path: str, answer: Answer, said: str, write: str) -> Exception:
        if setting := self._setting(said):
            return setting
        needs = one_line(answer.headers.get("x-accepted-github-permissions", ""), 100)
        if write:
            fix = f"give the token {needs or write}"
            return Refused(f"the token may not write at {path}: {said}", fix)
        if not _NOT_ADMIN.search(said):
            needs = needs or "read rights to what is looked at"
        fix = f"give the token {needs or 'Administration: read'}, or ask with an admin's"
        return Refused(f"the token may not see {path}: {said}", fix)


class _Unsent(Outage):
    """There was no connection, so nothing was asked for."""


_NOT_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.ProxyError, httpx.UnsupportedProtocol)
_LATER = "see whether it can be reached, wait, then the same again"

_SETTINGS = (
    (
        "upgrade to",
        "the plan",
        "make the repository public, or take a plan that has rules for private ones",
    ),
    ("saml", "SAML single sign-on", "authorise the token for the organisation's single sign-on"),
    ("ip allow list", "the IP allow list", "run it from an address of the organisation's list"),
    (
        "forbids access via a",
        "the organisation's policy for tokens",
        "use a token of the kind that the organisation allows",
    ),
    (
        "not permitted to create or approve",
        "Allow GitHub Actions to create and approve pull requests",
        "tick it in the repository's Settings, Actions, General, Workflow permissions (where it is "
        "grey, the organisation's settings forbid it), or use the token of a GitHub App",
    ),
    ("repository was archived", "the archive", "unarchive the repository in its Settings"),
    ("access blocked", "a block of the repository", "ask the forge's support"),
)
"""A sign in GitHub's words, the setting that it stands for, and what to do."""


def _detail(error: Json) -> str:
    """One of the things that a validation found wrong: GitHub's sentence, else its code."""
    if isinstance(error, str):
        return error
    if not isinstance(error, dict):
        return ""
    if isinstance(message := error.get("message"), str):
        return message
    words = (error.get("resource"), error.get("field"), error.get("code"))
    return " ".join(word for word in words if isinstance(word, str))


def _why(error: httpx.HTTPError) -> str:
    """In our own words: the library's could show an address with a proxy's password."""
    if "CERTIFICATE_VERIFY_FAILED" in str(error):
        return "shows a certificate that is not valid"
    if isinstance(error, httpx.TimeoutException):
        return "did not answer in time"
    if isinstance(error, httpx.ProxyError):
        return "cannot be reached: the proxy of the environment refuses"
    if isinstance(error, httpx.ConnectError):
        return "cannot be reached"
    return "broke off its answer"
