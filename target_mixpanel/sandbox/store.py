"""Which events are in Mixpanel, which of them do its reports show, and which will be left?"""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from typing import TYPE_CHECKING, Final, TypeAlias

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable

    from target_mixpanel.sandbox.rules import EventKey
    from target_mixpanel.sandbox.silent_changes import Ingested

MAX_REJECTIONS_KEPT: Final = 1_000
"""The newest rejected rows to look at; all are counted."""

MAX_MESSAGES: Final = 1_000
"""Messages name properties, so a client could invent them without end."""


_MS_PER_DAY: Final = 86_400_000

CompactedKey: TypeAlias = tuple[str, str, int, str]
"""event, distinct_id, calendar day (UTC), $insert_id: of rows equal in all four, compaction leaves
one. https://developer.mixpanel.com/reference/event-deduplication"""


class Rejection(msgspec.Struct, frozen=True):
    """A row that was refused, as `failed_records` words it."""

    index: int
    insert_id: str
    field: str
    message: str


class RejectedRow(msgspec.Struct, frozen=True):
    """A rejection and when it was, in seconds since the epoch."""

    at: float
    rejection: Rejection


class EventCount(msgspec.Struct):
    """Rows of one event name: all accepted, those that reports show, those compaction leaves."""

    raw: int = 0
    report: int = 0
    compacted: int = 0


class EventStore:
    """
    Accepted rows in order of arrival, the newest of each identity, and the newest of each on a day.

    A row is evicted from all once *keep_rows* newer ones came: then its twin is
    no longer known as a duplicate. One lock guards all of it, for tests read it
    from their own thread.
    """

    def __init__(self, keep_rows: int | None) -> None:
        self._keep_rows = keep_rows
        self._lock = threading.Lock()
        self.clear()

    def clear(self) -> None:
        with self._lock:
            self._rows: deque[tuple[EventKey, bytes]] = deque()
            self._shown: dict[EventKey, bytes] = {}
            self._left: dict[CompactedKey, bytes] = {}
            self._counts: dict[str, EventCount] = {}
            self._messages: Counter[str] = Counter()
            self._rejected: deque[RejectedRow] = deque(maxlen=MAX_REJECTIONS_KEPT)
            self._duplicates = 0
            self.ignored = 0
            self.texts_cut = 0
            self._unlinked: Counter[str] = Counter()

    def accept(self, rows: Iterable[tuple[EventKey, Ingested]]) -> None:
        """Ingest rows, in order; the last of one identity is the one shown."""
        with self._lock:
            for key, ingested in rows:
                line = ingested.line
                if line is None:
                    self.ignored += 1
                    continue
                self.texts_cut += ingested.texts_cut
                if ingested.unlinked:
                    self._unlinked[ingested.unlinked] += 1
                count = self._counts.setdefault(key[0], EventCount())
                count.raw += 1
                # Without an $insert_id, Mixpanel makes one up: never a duplicate.
                known = key if key[3] else (*key[:3], f"~{count.raw}")
                if known in self._shown:
                    self._duplicates += 1
                else:
                    count.report += 1
                self._shown[known] = line
                of_day = _compacted(known)
                if of_day not in self._left:
                    count.compacted += 1
                self._left[of_day] = line
                self._rows.append((known, line))
            self._evict()

    def reject(self, rejections: Iterable[Rejection]) -> None:
        with self._lock:
            for rejection in rejections:
                is_known = rejection.message in self._messages
                is_countable = is_known or len(self._messages) < MAX_MESSAGES
                self._messages[rejection.message if is_countable else "(other messages)"] += 1
                self._rejected.append(RejectedRow(time.time(), rejection))

    def raw(self, event: str | None = None) -> list[bytes]:
        """Every accepted row that is kept, as received, in order of arrival."""
        with self._lock:
            return [line for key, line in self._rows if event in {None, key[0]}]

    def report(self, event: str | None = None) -> list[bytes]:
        """The rows that Mixpanel's reports would show, deduplicated."""
        with self._lock:
            return [line for key, line in self._shown.items() if event in {None, key[0]}]

    def compacted(self, event: str | None = None) -> list[bytes]:
        """The rows that Mixpanel's compaction, some hours later, leaves of all."""
        with self._lock:
            return [line for key, line in self._left.items() if event in {None, key[0]}]

    def unlinked(self) -> dict[str, int]:
        """Identity events that changed nothing, by the reason that nobody was told."""
        with self._lock:
            return dict(self._unlinked)

    def insert_ids(self) -> list[str]:
        with self._lock:
            return [key[3] for key, _ in self._rows]

    def counts(self) -> dict[str, EventCount]:
        with self._lock:
            return {
                name: EventCount(count.raw, count.report, count.compacted)
                for name, count in self._counts.items()
            }

    def messages(self) -> dict[str, int]:
        with self._lock:
            return dict(self._messages.most_common())

    def rejected(self) -> list[RejectedRow]:
        with self._lock:
            return list(self._rejected)

    @property
    def duplicates(self) -> int:
        return self._duplicates

    def newest(self, limit: int) -> list[bytes]:
        with self._lock:
            reach = range(-1, -1 - min(limit, len(self._rows)), -1)
            return [self._rows[position][1] for position in reach]

    def _evict(self) -> None:
        if self._keep_rows is None:
            return
        while len(self._rows) > self._keep_rows:
            key, line = self._rows.popleft()
            if self._shown.get(key) is line:
                del self._shown[key]
            of_day = _compacted(key)
            if self._left.get(of_day) is line:
                del self._left[of_day]


def _compacted(key: EventKey) -> CompactedKey:
    event, distinct_id, time_ms, insert_id = key
    return event, distinct_id, time_ms // _MS_PER_DAY, insert_id
