"""Who looks at what is due while no record comes?"""

import threading
from collections.abc import Callable
from typing import Final, Self

from target_mixpanel.threads import start

_LONGEST_WAIT_S: Final = 0.5
"""A batch may be begun right after a look."""


class Ticker:
    """Look every so often, on a thread of its own: a batch must not wait for the next record."""

    def __init__(
        self,
        tick: Callable[[], float | None],
        turn: threading.RLock,
        on_error: Callable[[BaseException], None],
    ) -> None:
        """
        Args:
            tick: Does what is due; returns the seconds until there is more.
            turn: Held while it does.
            on_error: Told what ended it.
        """
        self._tick = tick
        self._turn = turn
        self._on_error = on_error
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="ticker", daemon=True)

    def _run(self) -> None:
        wait_s: float | None = None
        try:
            while not self._is_over.wait(min(wait_s or _LONGEST_WAIT_S, _LONGEST_WAIT_S)):
                with self._turn:
                    if not self._is_over.is_set():
                        wait_s = self._tick()
        except BaseException as error:  # noqa: BLE001 (a thread's top: the caller's next call raises it)
            self._on_error(error)

    def __enter__(self) -> Self:
        start(self._thread)
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        self._thread.join()
