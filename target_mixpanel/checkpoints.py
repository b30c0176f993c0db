"""Which STATE may be printed, given what is settled?"""

import threading
from collections import deque

import msgspec

from target_mixpanel.model import Span


class _Stretch(msgspec.Struct):
    """A span's records that are not settled yet, and the STATE that ended it."""

    pending: int = 0
    state: bytes | None = None


class CheckpointLedger:
    """
    Hold back each STATE until every record read before it is settled.

    A record is *admitted* when it is read and *settled* once: accepted by Mixpanel, written to the
    dead letters, or filtered. Records settle in any order, on any thread; one lock guards it all.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._stretches: deque[_Stretch] = deque([_Stretch()])
        self._first = 0

    def admit(self) -> Span:
        """Count one record as read; keep the returned span to settle it."""
        with self._lock:
            self._stretches[-1].pending += 1
            return Span(self._first + len(self._stretches) - 1)

    def settle(self, span: Span, records: int = 1) -> None:
        """
        Count *records* of *span* as settled.

        Raises:
            ValueError: More records were settled than admitted.
        """
        with self._lock:
            index = span - self._first
            if not 0 <= index < len(self._stretches) or self._stretches[index].pending < records:
                raise ValueError("more records settled than admitted")
            self._stretches[index].pending -= records

    def checkpoint(self, state: bytes) -> None:
        """Close the current span: *state* covers everything admitted so far."""
        with self._lock:
            if self._stretches[-1].pending == 0 and len(self._stretches) > 1:
                # Nothing was read since the last STATE, so this one replaces it: a tap that
                # says nothing but STATE must not make the queue grow.
                self._stretches[-2].state = state
            else:
                self._stretches[-1].state = state
                self._stretches.append(_Stretch())

    def release(self) -> bytes | None:
        """Return the newest STATE whose records, and all before, are settled; each at most once."""
        newest: bytes | None = None
        with self._lock:
            while (head := self._stretches[0]).state is not None and not head.pending:
                newest = head.state
                self._stretches.popleft()
                self._first += 1
        return newest

    @property
    def pending(self) -> int:
        """Records admitted and not settled."""
        with self._lock:
            return sum(stretch.pending for stretch in self._stretches)
