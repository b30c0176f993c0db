"""How is a thread started where there may be no room, and how does one wait that hears signals?"""

import threading
from collections.abc import Iterable
from contextlib import suppress
from typing import Final

from target_mixpanel.errors import ThreadsError
from target_mixpanel.stop import Stop

_LOOK_UP_S: Final = 0.2
"""How often a wait looks whether the run is over."""


def start(thread: threading.Thread) -> None:
    """
    Start *thread*.

    Raises:
        ThreadsError: The machine has no room for it.
    """
    try:
        thread.start()
    except RuntimeError as error:
        if error.__context__ is not None:  # a signal's handler raised in the midst of it
            raise error.__context__ from None
        raise ThreadsError(
            f"threads: the machine has no room for another one ({error}); allow this process more "
            "(ulimit -u, or the container's limit of pids), or lower max_parallel_requests",
        ) from None


def join(threads: Iterable[threading.Thread], stop: Stop) -> None:
    """Wait until *threads* have ended, or the run is over: what hangs must not keep it."""
    for thread in threads:
        while thread.is_alive() and not stop.is_over:
            thread.join(_LOOK_UP_S)


class News:
    """
    What any thread tells, and the thread that reads waits for.

    That thread runs signal handlers, which may raise at any point. In the midst of a Condition that
    leaves its lock taken for ever, or given back twice; one call into C has no midst.
    """

    def __init__(self) -> None:
        self._is_none = threading.Lock()

    def tell(self) -> None:
        """Wake one that waits, now or next."""
        with suppress(RuntimeError):  # told already
            self._is_none.release()

    def wait(self, seconds: float) -> None:
        """Wait for news, so long at most."""
        self._is_none.acquire(timeout=seconds)
