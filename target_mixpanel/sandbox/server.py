"""When does the sandbox listen, and when does it stop?"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from typing import TYPE_CHECKING, Final

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from target_mixpanel.sandbox.app import make_app
from target_mixpanel.sandbox.project import Project

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

    from starlette.types import ASGIApp, Receive, Scope, Send

    from target_mixpanel.sandbox.settings import SandboxSettings


LOOPBACK: Final = "127.0.0.1"
"""The sandbox's credentials are public: nobody else may reach it."""

BACKLOG: Final = 1_024
"""Connections that may wait to be accepted: a test may open hundreds at once."""


class Server(uvicorn.Server):
    """uvicorn, but it stops at once: open connections are cut, not awaited."""

    def __init__(
        self, app: ASGIApp, settings: SandboxSettings, on_started: Callable[[], None]
    ) -> None:
        config = uvicorn.Config(
            _cancellable(app),
            http=Protocol,
            ws="none",
            lifespan="off",
            log_config=None,
            log_level="error",
            access_log=False,
            loop="asyncio",
            date_header=False,
            server_header=False,
            proxy_headers=False,
            backlog=BACKLOG,
            timeout_keep_alive=settings.keep_alive_s,
        )
        super().__init__(config)
        self._on_started = on_started
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping = asyncio.Event()

    def stop(self) -> None:
        """End the server, from any thread or signal handler."""
        self.should_exit = True
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # it has ended already
                self._loop.call_soon_threadsafe(self._stopping.set)

    def handle_exit(self, _sig: int, _frame: FrameType | None) -> None:
        self.stop()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        self._loop = asyncio.get_running_loop()
        await super().startup(sockets)
        self._on_started()

    async def main_loop(self) -> None:
        await self._stopping.wait()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for server in self.servers:
            server.close()
        for listener in sockets or []:
            listener.close()
        for connection in list(self.server_state.connections):
            connection.transport.abort()
        await asyncio.sleep(0)  # lets the aborted connections close
        tasks = list(self.server_state.tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _cancellable(app: ASGIApp) -> ASGIApp:
    async def run(scope: Scope, receive: Receive, send: Send) -> None:
        # Only shutdown cancels, and nobody is left to hear of it.
        with contextlib.suppress(asyncio.CancelledError):
            await app(scope, receive, send)

    return run


class Protocol(H11Protocol):
    """Hands its transport to the app, which resets or stutters where HTTP would not."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.app_state = {**self.app_state, "transport": transport}


def listen(port: int) -> socket.socket:
    """
    Bind the loopback address.

    Raises:
        OSError: The port is taken or not allowed.
    """
    # asyncio switches off Nagle's delay only where the protocol is spelled out.
    listener = socket.socket(proto=socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((LOOPBACK, port))
        listener.listen(BACKLOG)
    except OSError:
        listener.close()
        raise
    return listener


def serve(port: int, settings: SandboxSettings) -> None:
    """
    Listen until SIGINT or SIGTERM, and say where.

    Raises:
        OSError: The port is taken or not allowed.
    """
    listener = listen(port)
    url = f"http://{LOOPBACK}:{listener.getsockname()[1]}"

    def announce() -> None:
        print(f"Mixpanel sandbox on {url}", flush=True)  # noqa: T201 - the first line is a promise

    Server(make_app(Project(settings)), settings, on_started=announce).run([listener])
