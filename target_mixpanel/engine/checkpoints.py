"""Which STATE may be printed, given what is settled?"""

import threading
from typing import Optional

import msgspec

from target_mixpanel.model import Span


class _Stretch(msgspec.Struct, eq=False):
    """A span's records that are not settled yet, and the STATE that ended it."""

    span: Span
    before: Optional["_Stretch"]
    after: Optional["_Stretch"] = None
    admitted: int = 0
    settled: int = 0
    state: bytes | None = None

    @property
    def pending(self) -> int:
        return self.admitted - self.settled


class CheckpointLedger:
    """
    Hold back each STATE until every record read before it is settled.

    A record is *admitted* when it is read and *settled* once: accepted by Mixpanel, written to the
    dead letters, or filtered. Records settle in any order, on any thread; one lock guards it all.

    A span that is settled gives its STATE to the span before it, which has to be settled first, and
    is forgotten: one batch that is stuck must not make the ledger grow with all that goes past it.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._current = _Stretch(Span(0), before=None)
        self._open: dict[Span, _Stretch] = {self._current.span: self._current}
        self._safe: bytes | None = None

    def admit(self) -> Span:
        """
        Count one record as read; keep the returned span to settle it.

        Only the reader's thread admits and checkpoints, so this needs no lock: of a span that can
        be released, no record is admitted any more.
        """
        current = self._current
        current.admitted += 1
        return current.span

    def settle(self, span: Span, records: int = 1) -> None:
        """
        Count *records* of *span* as settled.

        Raises:
            ValueError: More records were settled than admitted.
        """
        with self._lock:
            stretch = self._open.get(span)
            if stretch is None or stretch.pending < records:
                raise ValueError("more records settled than admitted")
            stretch.settled += records
            self._forget_if_settled(stretch)

    def checkpoint(self, state: bytes) -> None:
        """Close the current span: *state* covers everything admitted so far."""
        with self._lock:
            ended = self._current
            ended.state = state
            ended.after = self._current = _Stretch(Span(ended.span + 1), before=ended)
            self._open[self._current.span] = self._current
            self._forget_if_settled(ended)

    def release(self) -> bytes | None:
        """Return the newest STATE whose records, and all before, are settled; each at most once."""
        with self._lock:
            newest, self._safe = self._safe, None
        return newest

    @property
    def pending(self) -> int:
        """Records admitted and not settled."""
        with self._lock:
            return sum(stretch.pending for stretch in self._open.values())

    def _forget_if_settled(self, stretch: _Stretch) -> None:
        if stretch.pending or stretch.after is None:
            return
        del self._open[stretch.span]
        stretch.after.before = stretch.before
        if stretch.before is None:
            self._safe = stretch.state
        else:
            stretch.before.after = stretch.after
            stretch.before.state = stretch.state
