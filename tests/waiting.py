"""Waiting for the thing itself, for as long as a busy machine may take."""

import time
from collections.abc import Callable

PATIENCE_S = 60.0
"""It costs nothing when all goes well: whoever waits goes on as soon as the thing is there."""


def wait_until(condition: Callable[[], object]) -> None:
    end = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)
