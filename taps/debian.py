"""How does one get the servers that no package of Python's brings, without installing them?"""

import os
import re
import shutil
from pathlib import Path
from typing import Final

from taps.places import HOME, SetUpError, install_once, run

MARIADB_PACKAGES: Final = ("mariadb-server-core", "mariadb-client-core")
REDIS_PACKAGES: Final = ("redis-server",)

_SERVER_WITH_JSON: Final = re.compile(r"postgresql-(\d+)-wal2json")
"""What pipelinewise-tap-postgres reads the log through; the release's server is of its version."""


def install_postgres() -> None:
    """
    Unpack PostgreSQL and wal2json, unless they are.

    Raises:
        SetUpError: This machine has no Debian to take them from.
    """
    install_once(postgres_root(), "postgresql wal2json", _unpack_postgres)


def install_mariadb() -> None:
    """
    Unpack MariaDB, unless it is.

    Raises:
        SetUpError: This machine has no Debian to take it from.
    """
    install_once(mariadb_root(), " ".join(MARIADB_PACKAGES), _unpack_mariadb)


def install_redis() -> None:
    """
    Unpack Redis, unless it is.

    Raises:
        SetUpError: This machine has no Debian to take it from.
    """
    install_once(redis_root(), " ".join(REDIS_PACKAGES), _unpack_redis)


def postgres_root() -> Path:
    """Where PostgreSQL's packages are unpacked, as below `/`."""
    return HOME / "debian" / "postgres"


def mariadb_root() -> Path:
    """Where MariaDB's packages are unpacked, as below `/`."""
    return HOME / "debian" / "mariadb"


def redis_root() -> Path:
    """Where Redis' packages are unpacked, as below `/`."""
    return HOME / "debian" / "redis"


def library_path(root: Path) -> str:
    """Return the folders below *root* in which a program of its finds what it is linked with."""
    folders = [*root.glob("usr/lib/*-linux-gnu*"), *root.glob("lib/*-linux-gnu*")]
    return os.pathsep.join(map(str, folders))


def _unpack_postgres(root: Path) -> None:
    apt = _Apt(root)
    versions = _SERVER_WITH_JSON.findall(apt.names("postgresql-"))
    if not versions:
        raise SetUpError("this Debian has no postgresql-…-wal2json")
    newest = max(versions, key=int)
    apt.unpack(f"postgresql-{newest}", f"postgresql-{newest}-wal2json")


def _unpack_mariadb(root: Path) -> None:
    _Apt(root).unpack(*MARIADB_PACKAGES)


def _unpack_redis(root: Path) -> None:
    _Apt(root).unpack(*REDIS_PACKAGES)


class _Apt:
    """
    apt with lists and archives of its own: it needs no root, and changes nothing outside *root*.

    What a package needs and this machine lacks is unpacked beside it.
    """

    def __init__(self, root: Path) -> None:
        if shutil.which("apt-get") is None:
            raise SetUpError("there is no apt-get: these servers come from Debian's archive")
        self._root = root
        self._private = root / ".apt"
        for folder in ("lists/partial", "archives/partial"):
            (self._private / folder).mkdir(parents=True)
        self._options = [
            f"-oDir::State::Lists={self._private}/lists",
            f"-oDir::Cache={self._private}",
            f"-oDir::Cache::Archives={self._private}/archives",
            "-oDebug::NoLocking=1",
            "-oAPT::Sandbox::User=root",
            "-oAcquire::Retries=3",
        ]
        run(["apt-get", *self._options, "update"])

    def names(self, start: str) -> str:
        return run(["apt-cache", *self._options, "pkgnames", start])

    def unpack(self, *packages: str) -> None:
        fetch = ["--yes", "--download-only", "--reinstall", "--no-install-recommends", "install"]
        run(["apt-get", *self._options, *fetch, *packages])
        for archive in (self._private / "archives").glob("*.deb"):
            run(["dpkg-deb", "--extract", archive, self._root])
        shutil.rmtree(self._private)
