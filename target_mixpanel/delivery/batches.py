"""Which rows travel together in one request?"""

import re
import threading
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, TypeAlias

import msgspec

from target_mixpanel.delivery.route import Route
from target_mixpanel.model import Row

_LIMIT_IN_MESSAGE: Final = re.compile(r"limit of (\d{4,12}) bytes")

_OBJECTS_BYTES: Final = 400
"""What Python keeps of a row and its record beside their bytes."""


class Batch(msgspec.Struct, frozen=True):
    """The rows of one request, in the order they were read."""

    rows: Sequence[Row]
    tag: Any
    """What the caller needs to know again when the batch is settled; delivery never looks at it."""
    closed_at: float
    """When it was ready to go, in the builder's clock."""
    route: Route
    lane: int | None = None
    """Batches of one lane are delivered in the order submitted, one at a time; None: in any."""
    is_full: bool = False
    """Whether it went for want of room, and not of time: there was more to send."""
    body_bytes: int = 0
    """Of all rows as they are sent, before they are compressed."""

    @property
    def retained_bytes(self) -> int:
        """About what it takes of memory: its rows, their records, and what is around both."""
        return 2 * self.body_bytes + _OBJECTS_BYTES * len(self.rows)

    def of(self, rows: Sequence[Row]) -> "Batch":
        """Return a batch like this one of other *rows*."""
        return msgspec.structs.replace(self, rows=rows)

    def halves(self) -> tuple["Batch", "Batch"]:
        """Return the batch as two of about the same number of rows; it has at least two."""
        middle = len(self.rows) // 2
        return self.of(self.rows[:middle]), self.of(self.rows[middle:])


class SizeLimit:
    """Uncompressed bytes of one request; Mixpanel may lower it. One lock guards the number."""

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self._lock = threading.Lock()

    def learn(self, server_message: str) -> None:
        """Use the limit that a 413's message names from now on, if it is lower."""
        named = _LIMIT_IN_MESSAGE.search(server_message)
        if named:
            with self._lock:
                self.max_bytes = min(self.max_bytes, int(named.group(1)))


class BatchBuilder:
    """Collect rows until a batch is full by rows or bytes, or old enough. For one thread."""

    def __init__(  # noqa: PLR0913 (what fills it, and what it is filled for)
        self,
        tag: Any,
        *,
        route: Route,
        max_rows: int,
        size_limit: SizeLimit,
        max_age_s: float,
        clock: Callable[[], float],
        lane: int | None = None,
    ) -> None:
        self._tag = tag
        self._route = route
        self._lane = lane
        self._row_bytes = route.row_bytes
        self._max_rows = min(max_rows, route.max_rows)
        self._size_limit = size_limit
        self._max_age_s = max_age_s
        self._clock = clock
        self._rows: list[Row] = []
        self._bytes = route.frame_bytes
        self.due_at: float | None = None
        """When the rows so far must go out; None while there are none."""

    def add(self, row: Row) -> Batch | None:
        """
        Take *row*; return the batch that is now full, if any.

        A row larger than a batch travels alone, so that Mixpanel, not we, decides its fate.
        """
        size = len(row.body) + self._row_bytes
        full = None
        if self._bytes + size > self._size_limit.max_bytes:
            full = self._take(is_full=True)
        rows = self._rows
        rows.append(row)
        self._bytes += size
        if self.due_at is None:
            self.due_at = self._clock() + self._max_age_s
        if full is None and len(rows) >= self._max_rows:
            full = self._take(is_full=True)
        return full

    def take(self) -> Batch | None:
        """Return the rows so far as a batch, None if there are none."""
        return self._take(is_full=False)

    def _take(self, *, is_full: bool) -> Batch | None:
        if not self._rows:
            return None
        batch = Batch(
            self._rows, self._tag, self._clock(), self._route, self._lane, is_full, self._bytes
        )
        self._rows = []
        self._bytes = self._route.frame_bytes
        self.due_at = None
        return batch


Submit: TypeAlias = Callable[[Batch], None]
"""Hands a batch over; returns when there is room for it."""


def send(builder: BatchBuilder, submit: Submit) -> None:
    """Send the rows that wait for company, if there are any."""
    batch = builder.take()
    if batch is not None:
        submit(batch)


def send_due(builders: Iterable[BatchBuilder], now: float, submit: Submit) -> list[float]:
    """Send the batches that are old enough; return how long each of the others has."""
    waits: list[float] = []
    for builder in builders:
        if builder.due_at is not None and builder.due_at <= now:
            send(builder, submit)
        if builder.due_at is not None:
            waits.append(builder.due_at - now)
    return waits
