"""Which ingestion requests came, and what became of them?"""

from __future__ import annotations

import threading
from collections import Counter, deque
from typing import Final

import msgspec

MAX_REQUESTS_KEPT: Final = 100_000
"""The newest requests to look at; all are counted."""


class LoggedRequest(msgspec.Struct, frozen=True, kw_only=True):
    """
    One exchange, without its credentials.

    Attributes:
        number: By arrival, from 1; the log itself is in the order of the replies.
        at: Arrival, in seconds since the epoch.
        status: None if the connection was reset instead.
        fault: What the script did to it; "" if nothing.
        rows: Rows it carried, if the request was read that far.
        wire_bytes: Its body as sent.
        plain_bytes: Its body uncompressed, if it was read that far.
        digest: BLAKE2b of the body as sent: equal for identical bytes.
        in_flight: Ingestion requests open at its arrival, itself included.
        ms: From arrival to the reply's first byte.
    """

    number: int
    at: float
    method: str
    path: str
    query: dict[str, str]
    status: int | None
    fault: str
    rows: int
    wire_bytes: int
    plain_bytes: int
    content_type: str
    content_encoding: str
    user_agent: str
    digest: str
    in_flight: int
    ms: float


class RequestLog:
    """
    The newest requests, and how many there were.

    One lock guards it: tests read it from their own thread.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.in_flight = 0
        self.epoch = 0
        self.clear()

    def clear(self) -> None:
        with self._lock:
            self.epoch += 1
            self.arrived = 0
            self.received = 0
            self._kept: deque[LoggedRequest] = deque(maxlen=MAX_REQUESTS_KEPT)
            self._statuses: Counter[str] = Counter()

    def add(self, request: LoggedRequest) -> None:
        with self._lock:
            self._kept.append(request)
            self._statuses["reset" if request.status is None else str(request.status)] += 1

    def newest(self, limit: int = MAX_REQUESTS_KEPT) -> list[LoggedRequest]:
        """The last *limit* requests, oldest first."""
        with self._lock:
            return list(self._kept)[-limit:] if limit > 0 else []

    def statuses(self) -> dict[str, int]:
        with self._lock:
            return dict(sorted(self._statuses.items()))
