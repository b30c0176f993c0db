"""Who looks at what is due while no record comes?"""

import threading
from collections.abc import Callable
from typing import Final, Self

from target_mixpanel.stop import Stop
from target_mixpanel.threads import News, join, start

_LONGEST_WAIT_S: Final = 0.5
"""A batch may be begun right after a look."""


class Ticker:
    """Look every so often, on a thread of its own: a batch must not wait for the next record."""

    def __init__(
        self,
        tick: Callable[[], float | None],
        turn: threading.RLock,
        stop: Stop,
    ) -> None:
        """
        Args:
            tick: Does what is due; returns the seconds until there is more.
            turn: Held while it does.
            stop: Told what ended it; ends it.
        """
        self._tick = tick
        self._turn = turn
        self._stop = stop
        self._is_over = False
        self._ended = News()
        self._thread = threading.Thread(target=self._run, name="ticker", daemon=True)

    def _run(self) -> None:
        wait_s: float | None = None
        try:
            while not self._is_over:
                self._ended.wait(min(wait_s or _LONGEST_WAIT_S, _LONGEST_WAIT_S))
                with self._turn:
                    if not self._is_over:
                        wait_s = self._tick()
        except BaseException as error:  # noqa: BLE001 (a thread's top: the caller's next call raises it)
            self._stop.fail(error)

    def __enter__(self) -> Self:
        start(self._thread)
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over = True
        self._ended.tell()
        join([self._thread], self._stop)
