"""A Redis of a test's own; the test is skipped where none can be had."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import pytest

from taps import redis_server as redis_servers
from taps.places import SetUpError
from taps.redis_server import RedisServer

PASSWORD = "p@ss/wörd+%41"
"""One that no URL holds as it is."""
PASSWORD_IN_URL = "p%40ss%2Fw%C3%B6rd%2B%2541"


@contextmanager
def redis_server(folder: Path, *options: str, **more) -> Iterator[RedisServer]:
    """Run a Redis in *folder*."""
    if why := _why_there_is_none():
        pytest.skip(f"no redis-server: {why}")
    with redis_servers.running(folder, *options, **more) as server:
        yield server


@cache
def _why_there_is_none() -> str:
    """Fetch it, once; what cannot be had is not tried again for each test."""
    try:
        redis_servers.program()
    except SetUpError as error:
        return str(error).splitlines()[0]
    return ""
