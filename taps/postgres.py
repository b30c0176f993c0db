"""How do the tests get a PostgreSQL whose log can be read?"""

import json
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, Self

from taps import debian
from taps.places import run
from taps.servers import QueryError, serving, unprivileged

USER: Final = "postgres"

_SETTINGS: Final = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "timezone": "UTC",
    "lc_monetary": "C",
    "wal_level": "logical",
    # The data is gone in a minute: nothing has to survive a power cut.
    "fsync": "off",
}

_ALLOW_WAL2JSON: Final = r"""
SELECT format('ALTER SYSTEM SET %I = wal2json', name)
FROM pg_settings WHERE name = 'output_plugin_libraries' \gexec
SELECT pg_reload_conf();
"""
"""Newer releases load only the named plugins, older ones do not know the setting."""


@dataclass(frozen=True)
class Postgres:
    """A running server, reached by a socket in a folder that only its owner can enter."""

    root: Path
    socket_folder: Path
    database: str = "postgres"

    @property
    def url(self) -> str:
        """The address as SQLAlchemy reads it; the folder wins over the host."""
        return f"postgresql://{USER}:none@localhost/{self.database}?host={self.socket_folder}"

    def created(self, database: str) -> Self:
        """Return the same server with a new database."""
        self.run(f"CREATE DATABASE {database}")
        return replace(self, database=database)

    def run(self, sql: str) -> list[str]:
        """
        Run *sql*; return its rows as psql prints them.

        Raises:
            QueryError: A statement failed.
        """
        command: list[str | Path] = [
            *(programs(self.root) / "psql", f"--host={self.socket_folder}", f"--username={USER}"),
            *("--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--set=ON_ERROR_STOP=1"),
            *("--dbname", self.database, "--file=-"),
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
def running(folder: Path) -> Iterator[Postgres]:
    """
    Start a PostgreSQL below *folder*; stop it at the end.

    It refuses to run as root. As root, it runs as nobody from a copy that nobody can read.

    Raises:
        SetUpError: It did not start.
    """
    identity = unprivileged()
    root = debian.postgres_root()
    if identity:
        root = Path(shutil.copytree(root, folder / "root", symlinks=True))
    cluster, socket_folder = folder / "cluster", folder / "socket"
    for private in (cluster, socket_folder):
        private.mkdir(mode=0o700)
        if identity:
            os.chown(private, identity["user"], identity["group"])
    server = Postgres(root, socket_folder)
    initdb: list[str | Path] = [
        *(programs(root) / "initdb", f"--pgdata={cluster}", f"--username={USER}"),
        *("--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync", "--no-instructions"),
    ]
    run(initdb, env=environment(root), cwd=folder, identity=identity)
    settings = [f"--{name}={value}" for name, value in _SETTINGS.items()]
    with serving(
        [programs(root) / "postgres", "-D", cluster, f"-k{socket_folder}", *settings],
        log=folder / "postgres.log",
        env=environment(root),
        is_ready=lambda: server.run("SELECT 1"),
        stop_by=signal.SIGINT,
        identity=identity,
    ):
        server.run(_ALLOW_WAL2JSON)
        yield server


def programs(root: Path) -> Path:
    """Return the folder of the one version that is unpacked below *root*."""
    return next(root.glob("usr/lib/postgresql/*/bin"))


def environment(root: Path) -> dict[str, str]:
    """Return what a program of PostgreSQL's is told of its surroundings."""
    return {"PATH": os.defpath, "LC_ALL": "C", "LD_LIBRARY_PATH": debian.library_path(root)}
