"""Has this project sent more than it may, within the rolling window?"""

from __future__ import annotations

import threading
import time
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class RollingLimit:
    """
    Admit amounts as long as those of the last *window_s* seconds add up to no more than *limit*.

    An empty window admits any amount: otherwise a limit below one request would
    never let anything pass. One lock guards it: tests reset it from their own thread.
    """

    def __init__(
        self, limit: float | None, window_s: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._limit = limit
        self._window_s = window_s
        self._clock = clock
        self._lock = threading.Lock()
        self.clear()

    def clear(self) -> None:
        with self._lock:
            self._admitted: deque[tuple[float, float]] = deque()
            self._used = 0.0

    def has_room(self, amount: float) -> bool:
        if self._limit is None:
            return True
        with self._lock:
            oldest = self._clock() - self._window_s
            while self._admitted and self._admitted[0][0] <= oldest:
                self._used -= self._admitted.popleft()[1]
            return not self._admitted or self._used + amount <= self._limit

    def take(self, amount: float) -> None:
        if self._limit is None:
            return
        with self._lock:
            self._admitted.append((self._clock(), amount))
            self._used += amount
