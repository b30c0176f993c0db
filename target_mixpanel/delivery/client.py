"""How does one request travel, and what comes back, whatever the network does?"""

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import Any, Final, Self

import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import HTTPError

from target_mixpanel.delivery.endpoints import Endpoint
from target_mixpanel.delivery.verdict import Answer, NoAnswer, NotConnected, Reply

CONNECT_TIMEOUT_S: Final = 10.0
"""A host that does not answer in this time is not there; the retry will see."""

REPLY_MAX_BYTES: Final = 1_048_576
"""Of a reply, decoded, what is read; the largest documented one blames 2,000 rows in 0.5 MB."""

_CHUNK_BYTES: Final = 65_536


class Client:
    """
    Send payloads to one endpoint over one kept connection. For one thread at a time.

    The only retries are the courier's: this repeats nothing, follows no redirect, and sends the
    endpoint's own credentials, whatever a .netrc says. Proxies and CA bundles of the environment
    are honoured.
    """

    def __init__(self, endpoint: Endpoint, *, timeout_s: float) -> None:
        self._endpoint = endpoint
        self._timeout_s = timeout_s
        self._socket: socket.socket | None = None
        self._session = requests.Session()
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, _Adapter(self._remember))
        self._environment = self._session.merge_environment_settings(
            endpoint.url,
            {},
            stream=True,
            verify=None,
            cert=None,
        )
        # What the environment says is known now; asking it again for each request costs more than
        # compressing the request.
        self._session.trust_env = False

    def send(self, body: bytes) -> Reply:
        """Send *body* and return what came back; raises nothing that a network can cause."""
        request = requests.Request(
            "POST",
            self._endpoint.url,
            headers=dict(self._endpoint.headers),
            data=body,
            auth=self._endpoint.auth,
        )
        timeout = (min(CONNECT_TIMEOUT_S, self._timeout_s), self._timeout_s)
        is_over = threading.Event()
        try:
            with (
                self._deadline(is_over),
                self._session.send(
                    self._session.prepare_request(request),
                    timeout=timeout,
                    allow_redirects=False,
                    **self._environment,
                ) as response,
            ):
                return _read(response)
        except (requests.RequestException, HTTPError, OSError) as error:
            if is_over.is_set():
                return NoAnswer(f"no whole answer within {self._timeout_s:g} s")
            return _failure(error)

    @contextmanager
    def _deadline(self, is_over: threading.Event) -> Iterator[None]:
        """Cut the connection when the exchange takes too long in all: requests only limits gaps."""

        def cut() -> None:
            is_over.set()
            if self._socket is not None:
                with suppress(OSError):
                    self._socket.shutdown(socket.SHUT_RDWR)

        timer = threading.Timer(self._timeout_s, cut)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()

    def _remember(self, connected: socket.socket) -> None:
        self._socket = connected

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._session.close()


class _Adapter(HTTPAdapter):
    """Requests' transport, except that it tells which socket it uses."""

    def __init__(self, on_connect: Callable[[socket.socket], None]) -> None:
        self._pools = _pool_classes(on_connect)
        super().__init__(pool_connections=1, pool_maxsize=1, max_retries=0)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = self._pools

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:
        manager = super().proxy_manager_for(proxy, **kwargs)
        manager.pool_classes_by_scheme = self._pools
        return manager


def _pool_classes(on_connect: Callable[[socket.socket], None]) -> dict[str, type]:
    class PlainConnection(HTTPConnection):
        def connect(self) -> None:
            super().connect()
            on_connect(self.sock)

    class TlsConnection(HTTPSConnection):
        def connect(self) -> None:
            super().connect()
            on_connect(self.sock)

    class PlainPool(HTTPConnectionPool):
        ConnectionCls = PlainConnection

    class TlsPool(HTTPSConnectionPool):
        ConnectionCls = TlsConnection

    return {"http": PlainPool, "https": TlsPool}


def _read(response: requests.Response) -> Reply:
    body = bytearray()
    for chunk in response.iter_content(_CHUNK_BYTES):
        body += chunk
        if len(body) > REPLY_MAX_BYTES:
            return NoAnswer("a reply larger than any of Mixpanel's")
    return Answer(
        status=response.status_code,
        body=bytes(body),
        retry_after=response.headers.get("Retry-After"),
        location=response.headers.get("Location"),
    )


def _failure(error: BaseException) -> Reply:
    """Name the failure by its innermost cause; the messages of the outer ones repeat the URL."""
    cause = error
    for cause in _causes(error):
        if isinstance(cause, ssl.SSLCertVerificationError):
            return NotConnected(cause.verify_message)
        if isinstance(cause, ssl.SSLError) and not isinstance(
            cause,
            (ssl.SSLEOFError, ssl.SSLZeroReturnError),
        ):
            return NotConnected(cause.reason or type(cause).__name__)
    if isinstance(cause, OSError) and cause.strerror:
        return NoAnswer(f"{type(cause).__name__}: {cause.strerror}")
    return NoAnswer(type(cause).__name__)


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
