"""How does one request travel, and what comes back, whatever the network does?"""

import base64
import json
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from http.cookiejar import DefaultCookiePolicy
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import quote

import requests
from requests.adapters import HTTPAdapter
from requests.exceptions import InvalidSchema, InvalidURL
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import HTTPError, LocationParseError

from target_mixpanel.delivery.encode import Body
from target_mixpanel.delivery.endpoints import Endpoint
from target_mixpanel.delivery.verdict import Answer, NoAnswer, NotConnected, Reply
from target_mixpanel.errors import EndpointError, printable

CONNECT_TIMEOUT_S: Final = 10.0
"""A host that does not answer in this time is not there; the retry will see."""

REPLY_MAX_BYTES: Final = 1_048_576
"""Of a reply, decoded, what is read; the largest documented one blames 2,000 rows in 0.5 MB."""

_CHUNK_BYTES: Final = 65_536
_SHORT: Final = 3
"""A secret of so few characters is none, and stands in every reply."""


class Client:
    """
    Send payloads to the endpoints of one host over one kept connection. For one thread at a time.

    The only retries are the courier's: this repeats nothing, follows no redirect, and sends the
    endpoint's own credentials, whatever a .netrc says. Proxies and CA bundles of the environment
    are honoured.
    """

    def __init__(self, endpoints: Sequence[Endpoint], *, timeout_s: float) -> None:
        """
        Take from the environment what it says about proxies and CA bundles, once.

        Args:
            endpoints: All that this run sends to, one at least: what a reply of any repeats of the
                secrets of any is redacted.
            timeout_s: Of a whole exchange.

        Raises:
            EndpointError: The CA bundle it names is not there.
        """
        self._timeout_s = timeout_s
        self._secrets = _forms(endpoints)
        self._socket: socket.socket | None = None
        self._was_sent = False
        """Whether the request under way has, or had, a connection to be written to."""
        self._is_over = threading.Event()
        """Of the exchange under way: its time is up."""
        self._session = _Session()
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, _Adapter(self._remember, self._note_sending))
        self._environment = self._session.merge_environment_settings(
            endpoints[0].url,
            {},
            stream=True,
            verify=None,
            cert=None,
        )
        bundle = self._environment["verify"]
        if isinstance(bundle, str) and not Path(bundle).exists():
            raise EndpointError(
                f"REQUESTS_CA_BUNDLE: {printable(bundle)} is not there; correct or unset it",
            )
        # What the environment says is known now; asking it again for each request costs more than
        # compressing the request.
        self._session.trust_env = False

    def send(self, endpoint: Endpoint, body: Body) -> Reply:
        """Send *body* and return what came back; raises nothing that a network can cause."""
        if not isinstance(body, bytes):
            body.seek(0)  # an earlier attempt may have read it
        self._was_sent = False
        request = requests.Request(
            endpoint.method,
            endpoint.url,
            headers=dict(endpoint.headers),
            data=body,
            auth=endpoint.auth,
        )
        timeout = (min(CONNECT_TIMEOUT_S, self._timeout_s), self._timeout_s)
        try:
            with (
                self._deadline() as is_over,
                self._session.send(
                    self._session.prepare_request(request),
                    timeout=timeout,
                    allow_redirects=False,
                    **self._environment,
                ) as response,
            ):
                reply = _read(response, self._secrets)
        except (requests.RequestException, HTTPError, OSError) as error:
            reply = _failure(error, was_sent=self._was_sent)
        # A reply that ends with its connection looks whole after the cut, too.
        if is_over():
            return NoAnswer(f"no whole answer within {self._timeout_s:g} s", self._was_sent)
        return reply

    @contextmanager
    def _deadline(self) -> Iterator[Callable[[], bool]]:
        """
        Cut the connection when the exchange takes too long in all: requests only limits gaps.

        Yields:
            Whether the time is up.
        """
        is_over = self._is_over = threading.Event()
        end = time.monotonic() + self._timeout_s

        def cut() -> None:
            is_over.set()
            if self._socket is not None:
                _shut(self._socket)

        timer = threading.Timer(self._timeout_s, cut)
        timer.daemon = True
        timer.start()
        try:
            # The socket's own timeout may be heard of before the timer's thread has come to run.
            yield lambda: is_over.is_set() or time.monotonic() >= end
        finally:
            timer.cancel()

    def _remember(self, connected: socket.socket) -> None:
        self._socket = connected
        if self._is_over.is_set():
            _shut(connected)  # connecting took all the time there was

    def _note_sending(self) -> None:
        self._was_sent = True

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._session.close()
        if self._socket is not None:
            # After a failure the pool lives on in its traceback, and its connection with it, until
            # the garbage collector comes by.
            self._socket.close()


class _Session(requests.Session):
    """A session that knows no redirects and keeps no cookies."""

    def __init__(self) -> None:
        super().__init__()
        self.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))

    def get_redirect_target(self, resp: requests.Response) -> None:  # noqa: ARG002
        # Asked not to follow a redirect, requests still reads its whole body and parses its
        # Location, which need not be a URL.
        return None


class _Adapter(HTTPAdapter):
    """Requests' transport, except that it tells which socket it uses, and when."""

    def __init__(
        self,
        on_connect: Callable[[socket.socket], None],
        on_request: Callable[[], None],
    ) -> None:
        self._pools = _pool_classes(on_connect, on_request)
        super().__init__(pool_connections=1, pool_maxsize=1, max_retries=0)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = self._pools

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:
        manager = super().proxy_manager_for(proxy, **kwargs)
        manager.pool_classes_by_scheme = self._pools
        return manager


def _pool_classes(
    on_connect: Callable[[socket.socket], None],
    on_request: Callable[[], None],
) -> dict[str, type]:
    # Told twice: while a proxy opens its tunnel there is only the first socket, and TLS wraps it.
    class PlainConnection(HTTPConnection):
        def _new_conn(self) -> socket.socket:
            connected = super()._new_conn()
            on_connect(connected)
            return connected

        def request(self, *args: Any, **kwargs: Any) -> None:
            if self.is_closed:
                self.connect()  # apart, or a connection that fails would look like a request
            on_request()
            super().request(*args, **kwargs)

    class TlsConnection(HTTPSConnection):
        def _new_conn(self) -> socket.socket:
            connected = super()._new_conn()
            on_connect(connected)
            return connected

        def connect(self) -> None:
            super().connect()
            on_connect(self.sock)

        def request(self, *args: Any, **kwargs: Any) -> None:
            if self.is_closed:
                self.connect()
            on_request()
            super().request(*args, **kwargs)

    class PlainPool(HTTPConnectionPool):
        ConnectionCls = PlainConnection

    class TlsPool(HTTPSConnectionPool):
        ConnectionCls = TlsConnection

    return {"http": PlainPool, "https": TlsPool}


def _shut(connected: Any) -> None:
    """End what is sent and received over a socket, whichever thread waits for it."""
    with suppress(OSError):
        # TLS within a proxy's TLS is no socket but has one. The plain method: SSLSocket's own
        # takes its state from under the thread that reads.
        plain = getattr(connected, "socket", connected)
        socket.socket.shutdown(plain, socket.SHUT_RDWR)


def _forms(endpoints: Sequence[Endpoint]) -> tuple[bytes, ...]:
    """Return what a server could repeat of our secrets, the longest first."""
    auths = {endpoint.auth for endpoint in endpoints if endpoint.auth is not None}
    secrets = {secret for endpoint in endpoints for secret in endpoint.secrets}
    texts = [*map(":".join, auths), *(f"{secret}:" for secret in secrets)]
    pairs = [base64.b64encode(text.encode("latin-1", "replace")) for text in texts]
    plain = [*(part for auth in auths for part in auth), *secrets]
    spelled = [*plain, *map(quote, plain), *(json.dumps(text)[1:-1] for text in plain)]
    parts = {*pairs, *(text.encode() for text in spelled)}
    return tuple(sorted((part for part in parts if len(part) > _SHORT), key=len, reverse=True))


def _read(response: requests.Response, secrets: Sequence[bytes]) -> Reply:
    """Read a response, and forget at once what it repeats of our credentials."""
    body = bytearray()
    for chunk in response.iter_content(_CHUNK_BYTES):
        body += chunk
        if len(body) > REPLY_MAX_BYTES:
            return NoAnswer("a reply larger than any of Mixpanel's")
    location = response.headers.get("Location")
    for secret in secrets:
        body = body.replace(secret, b"[redacted]")
        if location is not None:
            location = location.replace(secret.decode("latin-1"), "[redacted]")
    return Answer(
        status=response.status_code,
        body=bytes(body),
        retry_after=response.headers.get("Retry-After"),
        location=location,
        date=response.headers.get("Date"),
    )


_TLS_CUT_OFF: Final = (ssl.SSLEOFError, ssl.SSLZeroReturnError, ssl.SSLSyscallError)
"""The network's failures in TLS's words; a repeat may go better."""

_UNUSABLE: Final = (InvalidURL, InvalidSchema, LocationParseError)
"""What a proxy's address can be; the endpoint's own was looked at among the settings."""


def _failure(error: BaseException, *, was_sent: bool) -> Reply:
    """Name the failure by its innermost cause; the messages of the outer ones repeat the URL."""
    cause = error
    for cause in _causes(error):
        if isinstance(cause, _UNUSABLE):
            return NotConnected(f"no connection ({type(cause).__name__})")
        if isinstance(cause, ssl.SSLCertVerificationError):
            return NotConnected(f"TLS failed ({cause.verify_message})")
        if isinstance(cause, ssl.SSLError) and not isinstance(cause, _TLS_CUT_OFF):
            return NotConnected(f"TLS failed ({cause.reason or type(cause).__name__})")
    if isinstance(cause, OSError) and cause.strerror:
        return NoAnswer(f"{type(cause).__name__}: {cause.strerror}", was_sent)
    if type(cause) is OSError:
        return NoAnswer(printable(str(cause)), was_sent)  # a proxy's refusal
    kind = type(cause)
    return NoAnswer(f"{kind.__module__}.{kind.__name__}".removeprefix("builtins."), was_sent)


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield *error* and what it wraps, outermost first; requests and urllib3 wrap in three ways."""
    seen: set[int] = set()
    pending: list[object] = [error]
    while pending:
        here = pending.pop()
        if not isinstance(here, BaseException) or id(here) in seen:
            continue
        seen.add(id(here))
        yield here
        pending += [here.__context__, here.__cause__, getattr(here, "reason", None), *here.args]
