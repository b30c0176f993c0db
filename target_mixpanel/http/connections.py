"""How does requests tell which socket it uses, and keep to one exchange?"""

import socket
from collections.abc import Callable
from contextlib import suppress
from http.cookiejar import DefaultCookiePolicy
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool


class SessionWithoutMemory(requests.Session):
    """A session that knows no redirects and keeps no cookies."""

    def __init__(self) -> None:
        super().__init__()
        self.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))

    def get_redirect_target(self, resp: requests.Response) -> None:  # noqa: ARG002
        # Asked not to follow a redirect, requests still reads its whole body and parses its
        # Location, which need not be a URL.
        return None


class SocketAdapter(HTTPAdapter):
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


def shut(connected: Any) -> None:
    """End what is sent and received over a socket, whichever thread waits for it."""
    with suppress(OSError):
        # TLS within a proxy's TLS is no socket but has one. The plain method: SSLSocket's own
        # takes its state from under the thread that reads.
        plain = getattr(connected, "socket", connected)
        socket.socket.shutdown(plain, socket.SHUT_RDWR)
