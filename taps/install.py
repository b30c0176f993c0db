"""Fetch the taps and the servers that they read from, once."""

import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from taps import debian, taps
from taps.places import SetUpError

AT_ONCE = 3
"""Installations: most of each is waiting."""


def main() -> None:
    """Install all there is to install; exit with 1 where something cannot be had."""
    wanted: dict[str, Callable[[], None]] = {
        "PostgreSQL with wal2json": debian.install_postgres,
        "MariaDB": debian.install_mariadb,
        "Redis, for make test": debian.install_redis,
        **{f"{tap.package} {tap.version}": tap.install for tap in taps.ALL},
    }
    with ThreadPoolExecutor(AT_ONCE) as pool:
        failed = [
            failure for failure in pool.map(_install, wanted.keys(), wanted.values()) if failure
        ]
    if failed:
        sys.exit("\n".join(failed))


def _install(name: str, install: Callable[[], None]) -> str:
    """Install one of them and say how long it took; return what went wrong."""
    started = time.monotonic()
    try:
        install()
    except SetUpError as error:
        return f"{name}: {error}"
    print(f"    {name:<36}{time.monotonic() - started:6.1f} s", flush=True)
    return ""


if __name__ == "__main__":
    main()
