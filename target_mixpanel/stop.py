"""Has the run been asked to stop, or failed, and until when may it go on?"""

import os
import signal
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from target_mixpanel.errors import ShutdownTimeoutError

_LONGEST_WAIT_S: Final = 0.5
"""Waits look up this often, so that one rule (`raise_if_over`) serves them all."""


class Stop:
    """
    What every wait of the run listens to: a signal, a failure, the end of the time for shutdown.

    `request` is all that a signal handler does. Threads that fail leave their error here for the
    main thread. The first error stays. An error of the input's is no failure: nothing more is read,
    but what was read before is sent and settled.
    """

    def __init__(
        self,
        shutdown_timeout_s: float,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.signal_number: int | None = None
        """The signal that asked the run to stop."""
        self.is_input_over = False
        """Whether nothing more is to be read: a signal came, or the input is at fault."""
        self._timeout_s = shutdown_timeout_s
        self._clock = clock
        self._deadline: float | None = None
        self._error: BaseException | None = None
        self._input_error: BaseException | None = None
        self._lock = threading.RLock()
        self._changed = threading.Condition(self._lock)
        self._reader, self._writer = os.pipe()
        os.set_blocking(self._writer, False)

    def request(self, signal_number: int) -> None:
        """Ask the run to settle what it has read, and end."""
        # A signal handler may run while this very thread holds the lock: it takes none.
        if self.signal_number is None:
            self._deadline = self._clock() + self._timeout_s
            self.signal_number = signal_number
            self.is_input_over = True
            self._wake()

    def end_input(self, error: BaseException) -> None:
        """Leave for the main thread what is wrong with the input; the senders go on."""
        with self._lock:
            if self._input_error is None:
                self._input_error = error
        self.is_input_over = True
        self._wake()

    def fail(self, error: BaseException) -> None:
        """Leave *error* for the main thread; everything that waits ends."""
        with self._lock:
            if self._error is None:
                self._error = error
            self._changed.notify_all()
        self._wake()

    @property
    def is_requested(self) -> bool:
        """Whether a signal asked the run to stop."""
        return self.signal_number is not None

    @property
    def has_failed(self) -> bool:
        return self._error is not None

    @property
    def is_over(self) -> bool:
        """Whether the run failed, or the time to settle what was read is up."""
        return self.has_failed or self._is_late()

    def _is_late(self) -> bool:
        return self._deadline is not None and self._clock() >= self._deadline

    def raise_if_over(self) -> None:
        """
        End a wait that has no longer anything to wait for.

        Raises:
            ShutdownTimeoutError: The time to settle what was read is up.
            TargetMixpanelError: Another thread failed; its error.
        """
        if self._error is not None:
            raise self._error
        if self._is_late():
            name = signal.Signals(self.signal_number or signal.SIGTERM).name
            raise ShutdownTimeoutError(
                f"{name}: what was read could not be settled within shutdown_timeout_seconds "
                f"{self._timeout_s:g}; STATE stays where it was, so a rerun starts there",
            )

    def raise_if_input_is_over(self) -> None:
        """
        End the reading; for the reader's thread alone.

        Raises:
            TargetMixpanelError: The input is at fault, or as `raise_if_over`.
        """
        self.raise_if_over()
        if self._input_error is not None:
            raise self._input_error

    def wait(self, seconds: float) -> None:
        """
        Sleep for *seconds*; a request to stop, first made during the sleep, ends it.

        Raises:
            TargetMixpanelError: As `raise_if_over`.
        """
        was_requested = self.is_requested
        end = self._clock() + seconds
        self.raise_if_over()
        while (left := end - self._clock()) > 0 and self.is_requested == was_requested:
            with self._lock:
                self._changed.wait(min(left, _LONGEST_WAIT_S))
            self.raise_if_over()

    def fileno(self) -> int:
        """Return a descriptor that becomes readable when something happened."""
        return self._reader

    def _wake(self) -> None:
        # The pipe may be full of wake-ups, or closed: nobody sleeps.
        with suppress(OSError):
            os.write(self._writer, b"\0")

    def close(self) -> None:
        """Let go of the descriptors; what fails later wakes nobody."""
        # First forgotten, then closed: a thread that is late must not write into the file that
        # gets the number next.
        reader, writer = self._reader, self._writer
        self._reader = self._writer = -1
        os.close(reader)
        os.close(writer)
