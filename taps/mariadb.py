"""How do the tests get a MariaDB that writes a log of its rows?"""

import json
import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from taps import debian
from taps.places import run
from taps.servers import QueryError, serving

USER: Final = "tap"
PASSWORD: Final = "only-for-the-tests"
DATABASE: Final = "shop"

_SYSTEM_TABLES: Final = (
    "mysql_system_tables.sql",
    "mysql_performance_tables.sql",
    "mysql_system_tables_data.sql",
)
"""What MariaDB's own installer feeds a new server; it is a script that needs more packages."""

_ACCOUNT: Final = f"""
CREATE DATABASE {DATABASE} DEFAULT CHARACTER SET utf8mb4;
CREATE USER {USER}@'127.0.0.1' IDENTIFIED BY '{PASSWORD}';
GRANT ALL ON *.* TO {USER}@'127.0.0.1';
"""


@dataclass(frozen=True)
class MariaDB:
    """A running server: by a socket for us, on a port of the loopback address for the tap."""

    root: Path
    socket: Path
    port: int

    def run(self, sql: str, database: str = DATABASE) -> list[str]:
        """
        Run *sql*; return its rows as the client prints them.

        Raises:
            QueryError: A statement failed.
        """
        command: list[str | Path] = [
            *(self.root / "usr" / "bin" / "mariadb", "--no-defaults", f"--socket={self.socket}"),
            *("--user=root", "--batch", "--raw", "--skip-column-names"),
            *("--default-character-set=utf8mb4", f"--database={database}"),
        ]
        done = subprocess.run(
            command,
            env=environment(self.root),
            input=sql.encode(),
            capture_output=True,
            check=False,
        )
        if done.returncode:
            raise QueryError(done.stderr.decode(errors="replace"))
        return done.stdout.decode().splitlines()

    def rows(self, select: str) -> list[Any]:
        """Return what *select*, whose one column is JSON, yields."""
        return [json.loads(line) for line in self.run(select)]


@contextmanager
def running(folder: Path) -> Iterator[MariaDB]:
    """
    Start a MariaDB below *folder*; stop it at the end.

    Raises:
        SetUpError: It did not start.
    """
    root, files = debian.mariadb_root(), folder / "data"
    files.mkdir(mode=0o700)
    share = root / "usr" / "share" / "mysql"
    command: list[str | Path] = [
        *(root / "usr" / "sbin" / "mariadbd", "--no-defaults", f"--datadir={files}"),
        *(f"--basedir={root / 'usr'}", f"--lc-messages-dir={share}", "--skip-name-resolve"),
        *(["--user=root"] if os.geteuid() == 0 else []),
    ]
    tables = "".join((share / name).read_text() for name in _SYSTEM_TABLES)
    create = f"CREATE DATABASE mysql;\nUSE mysql;\n{tables}"
    run([*command, "--bootstrap"], env=environment(root), stdin=create)
    server = MariaDB(root, folder / "socket", _free_port())
    reached = [f"--socket={server.socket}", "--bind-address=127.0.0.1", f"--port={server.port}"]
    logged = ["--log-bin=log", "--binlog-format=ROW", "--server-id=1"]
    with serving(
        [*command, *reached, *logged, "--default-time-zone=+00:00"],
        log=folder / "mariadb.log",
        env=environment(root),
        is_ready=lambda: server.run("SELECT 1", database="mysql"),
        stop_by=signal.SIGTERM,
        identity={},
    ):
        server.run(_ACCOUNT, database="mysql")
        yield server


def environment(root: Path) -> dict[str, str]:
    """Return what a program of MariaDB's is told of its surroundings."""
    return {"PATH": os.defpath, "LC_ALL": "C", "LD_LIBRARY_PATH": debian.library_path(root)}


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    return port
