"""The outer side of a door: the calls to the provider, which alone carry the key."""

from __future__ import annotations

import contextlib
import http.cookiejar
import re
import socket
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from lifeos import __version__
from lifeos.core.leaks import MIN_VALUE, forms
from lifeos.core.policy.models import Wire
from lifeos.proxy.route import Route

if TYPE_CHECKING:
    import httpx

_KEY = re.compile(r"[!-~]*")
_TAILS: Mapping[Wire, str] = {Wire.CHAT: "/chat/completions", Wire.MESSAGES: "/messages"}
_CONNECT, _WRITE = 15.0, 60.0


class Unreached(Exception):
    """No answer, or it broke off. ``sent``: the provider may have worked for it all the same."""

    def __init__(self, why: str, *, sent: bool, certificate: bool = False) -> None:
        super().__init__(why)
        self.sent = sent
        self.certificate = certificate


class Unfit(Exception):
    """The key or the machine's settings do not allow any call; says why and what to do."""


@dataclass(frozen=True)
class Answer:
    """The begin of an answer; the bytes follow as they come."""

    status: int
    headers: Mapping[str, str]
    pieces: Iterator[bytes]


class Outlet:
    """Calls to one provider with one key. A context manager; may be used by several threads.

    Redirects are not followed and no cookie is kept. A proxy of the environment (``HTTPS_PROXY``)
    is used for https only: it sees no key there. Without TLS, which is for this machine alone, a
    proxy would see it, so there none is used.
    """

    def __init__(self, route: Route, silence: float) -> None:
        self.route = route
        self.host = urlsplit(route.provider.url).hostname or ""
        self._silence = silence
        self._client: httpx.Client | None = None
        self._lock = threading.Lock()
        self._sockets: set[socket.socket] = set()

    def __enter__(self) -> Outlet:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._client is not None:
            self._client.close()

    @property
    def url(self) -> str:
        """The one address that is called."""
        return self.route.provider.url + _TAILS[self.route.provider.wire]

    def _opened(self) -> httpx.Client:
        import httpx

        tls = self.route.provider.url.startswith("https://")
        with self._lock:
            if self._client is None:
                policy = http.cookiejar.DefaultCookiePolicy(allowed_domains=[])
                try:
                    self._client = httpx.Client(
                        timeout=httpx.Timeout(self._silence, connect=_CONNECT, write=_WRITE),
                        limits=httpx.Limits(max_connections=64, max_keepalive_connections=8),
                        cookies=http.cookiejar.CookieJar(policy),
                        follow_redirects=False,
                        trust_env=tls,
                        verify=tls,  # without TLS there is nothing to verify, but much to load
                    )
                except (ImportError, ValueError, OSError) as error:
                    kind = type(error).__name__  # its text may show a proxy's password
                    raise Unfit(
                        f"the proxy or certificate settings of the environment do not work ({kind})"
                        "; correct $HTTPS_PROXY, $ALL_PROXY or $SSL_CERT_FILE"
                    ) from None
            return self._client

    def _headers(self) -> dict[str, str]:
        key = self.route.key
        if not _KEY.fullmatch(key):
            raise Unfit(
                f"the key in ${self.route.provider.key_env} has spaces, line ends or characters "
                "that no key has; set it again"
            )
        headers = {
            "content-type": "application/json",
            "accept": "*/*",
            "accept-encoding": "identity",
            "user-agent": f"lifeos/{__version__}",
        }
        if self.route.provider.wire is Wire.MESSAGES:
            headers["anthropic-version"] = "2023-06-01"
        if key:
            bearer = self.route.provider.wire is Wire.CHAT
            headers |= {"authorization": f"Bearer {key}"} if bearer else {"x-api-key": key}
        return headers

    @contextlib.contextmanager
    def call(self, body: bytes) -> Iterator[Answer]:
        """Send one request. Raises ``Unreached`` (also from the pieces) and ``Unfit``."""
        import httpx

        client, headers = self._opened(), self._headers()
        try:
            with client.stream(
                "POST", self.url, content=body, headers=headers, extensions={"trace": self._trace}
            ) as response:
                names = {name.lower(): value for name, value in response.headers.items()}
                yield Answer(response.status_code, names, _pieces(response))
        except httpx.HTTPError as error:
            raise _unreached(error) from None
        except httpx.InvalidURL:
            name = self.route.provider_name
            raise Unfit(
                f"the address of provider {name} is not valid; correct `providers: {name}: url:` "
                "in .lifeos/config.yaml"
            ) from None

    def _trace(self, event: str, info: Mapping[str, object]) -> None:
        """Remember each connection, so that ``abort`` can end a call that waits for an answer."""
        if event.endswith(("connect_tcp.complete", "start_tls.complete")):
            stream = info.get("return_value")
            found = getattr(stream, "get_extra_info", lambda _name: None)("socket")
            if isinstance(found, socket.socket):
                with self._lock:
                    self._sockets = {s for s in self._sockets if s.fileno() >= 0} | {found}

    def abort(self) -> None:
        """End all calls that are under way; they raise ``Unreached``."""
        with self._lock:
            sockets = tuple(self._sockets)
        for each in sockets:
            with contextlib.suppress(OSError):  # it is closed already, which is what was wanted
                socket.socket.shutdown(each, socket.SHUT_RDWR)


def _pieces(response: httpx.Response) -> Iterator[bytes]:
    import httpx

    try:
        yield from response.iter_raw()
    except httpx.HTTPError as error:
        raise _unreached(error) from None


def _unreached(error: httpx.HTTPError) -> Unreached:
    """In our own words: the library's could show an address with a proxy's password."""
    import httpx

    never = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError)
    sent = not isinstance(error, never)
    if "CERTIFICATE_VERIFY_FAILED" in str(error):
        return Unreached("the certificate is not valid", sent=False, certificate=True)
    if isinstance(error, httpx.TimeoutException):
        return Unreached("it did not answer in time", sent=sent)
    if isinstance(error, httpx.ProxyError):
        return Unreached("the proxy of the environment refuses", sent=False)
    return Unreached("the connection broke off" if sent else "no connection", sent=sent)


class Redactor:
    """Takes the key out of bytes, in each spelling that the search for secrets knows."""

    def __init__(self, key: str) -> None:
        self._pattern: re.Pattern[bytes] | None = None
        if len(key) >= MIN_VALUE:
            spelled = sorted(forms(key), key=lambda form: -len(form[0]))
            parts = [
                (b"(?i:%s)" if low else b"(?:%s)") % re.escape(form.encode())
                for form, low in spelled
                if len(form) >= MIN_VALUE
            ]
            self._pattern = re.compile(b"|".join(parts))

    def clean(self, data: bytes) -> bytes:
        """The same without the key."""
        return data if self._pattern is None else self._pattern.sub(b"[redacted]", data)
