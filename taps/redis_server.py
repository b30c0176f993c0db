"""How do the tests get a Redis? The real one, the machine's or from Debian's archive."""

import fcntl
import os
import shutil
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import redis

from taps import debian
from taps.places import HOME
from taps.servers import QueryError, serving


def program() -> tuple[str, dict[str, str]]:
    """
    Return redis-server and its environment, fetched where the machine has none.

    Raises:
        SetUpError: It cannot be had.
    """
    own = shutil.which("redis-server")
    if own is not None:
        return own, dict(os.environ)
    HOME.mkdir(exist_ok=True)
    with (HOME / "redis.lock").open("w") as lock:  # several workers may want it at once
        fcntl.flock(lock, fcntl.LOCK_EX)
        debian.install_redis()
    root = debian.redis_root()
    environment = {"PATH": os.defpath, "LD_LIBRARY_PATH": debian.library_path(root)}
    return str(root / "usr/bin/redis-server"), environment


class RedisServer:
    """A running redis-server that can be stopped and started again at the same port."""

    def __init__(
        self, folder: Path, *options: str, password: str = "", certificate: Path | None = None
    ) -> None:
        self.folder = folder
        self.port = _free_port()
        self.password = password
        self._scheme = "redis" if certificate is None else "rediss"
        self._options = [*options, *_listening(self.port, certificate)]
        if password:
            self._options.append(f"requirepass {password}")
        self._running = None

    @property
    def url(self) -> str:
        user = f":{quote(self.password, safe='')}@" if self.password else ""
        return f"{self._scheme}://{user}127.0.0.1:{self.port}/0"

    @property
    def client(self) -> redis.Redis:
        return redis.Redis(port=self.port, password=self.password or None, protocol=2)

    @property
    def pid(self) -> int:
        with self.client as client:
            return int(client.info("server")["process_id"])

    def start(self) -> None:
        self._running = self._serving()
        self._running.__enter__()

    def stop(self) -> None:
        if self._running is not None:
            self._running.__exit__(None, None, None)
            self._running = None

    def _serving(self):
        command, environment = program()
        configuration = self.folder / f"redis-{self.port}.conf"
        lines = ["bind 127.0.0.1", 'save ""', f"dir {self.folder}", *self._options]
        configuration.write_text("".join(f"{line}\n" for line in lines))
        return serving(
            [command, configuration],
            log=self.folder / f"redis-{self.port}.log",
            env=environment,
            is_ready=self._ping,
            stop_by=signal.SIGKILL,
            identity={},
        )

    def _ping(self) -> None:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=5):
                pass
        except OSError as error:
            raise QueryError from error


def _listening(port: int, certificate: Path | None) -> list[str]:
    if certificate is None:
        return [f"port {port}"]
    files = [f"tls-cert-file {certificate}", f"tls-key-file {certificate.with_suffix('.key')}"]
    return ["port 0", f"tls-port {port}", "tls-auth-clients no", *files]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def running(folder: Path, *options: str, **more: Any) -> Iterator[RedisServer]:
    """
    Run a Redis until the end of the block.

    Args:
        folder: For its files.
        options: Lines of its configuration.
        more: A password, a certificate.

    Raises:
        SetUpError: It cannot be had, or did not start.
    """
    server = RedisServer(folder, *options, **more)
    server.start()
    try:
        yield server
    finally:
        server.stop()
