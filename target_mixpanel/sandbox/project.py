"""What does one Mixpanel project consist of?"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from target_mixpanel.sandbox.answers import RequestRefusedError
from target_mixpanel.sandbox.faults import FaultScript
from target_mixpanel.sandbox.profile_store import Profiles
from target_mixpanel.sandbox.rate_limit import RollingLimit
from target_mixpanel.sandbox.request_log import RequestLog
from target_mixpanel.sandbox.settings import TABLE_WINDOW_S
from target_mixpanel.sandbox.store import EventStore
from target_mixpanel.sandbox.table_store import LookupTables

if TYPE_CHECKING:
    from collections.abc import Callable

    from target_mixpanel.sandbox.answers import Incoming
    from target_mixpanel.sandbox.settings import SandboxSettings

RATE_EXCEEDED = "Project exceeded rate limits. Please retry the request with exponential backoff."


class Project:
    """
    Everything that requests change.

    Args:
        settings: The rules.
        clock: Seconds since the epoch, by which a time is "in the future".
    """

    def __init__(self, settings: SandboxSettings, clock: Callable[[], float] = time.time) -> None:
        window_s = settings.rate_window_s
        per_window = window_s / 60
        self.settings = settings
        self.clock = clock
        self.events = EventStore(settings.keep_rows)
        self.users = Profiles(settings.keep_rows)
        self.groups = Profiles(settings.keep_rows)
        self.tables = LookupTables(settings.lookup_tables)
        self.faults = FaultScript()
        self.requests = RequestLog()
        self._rows = RollingLimit(_times(settings.events_per_second, window_s), window_s)
        self._bytes = RollingLimit(_times(settings.bytes_per_minute, per_window), window_s)
        self._table_calls = RollingLimit(settings.max_table_calls, TABLE_WINDOW_S)

    def reset(self) -> None:
        """Forget everything that was received or scripted."""
        for part in (self.events, self.users, self.groups, self.tables, self.faults, self.requests):
            part.clear()
        for limit in (self._rows, self._bytes, self._table_calls):
            limit.clear()

    def admit(self, request: Incoming) -> None:
        """
        Count a request's rows and bytes against the limits.

        Raises:
            RequestRefusedError: 429; or 413 (by default), it has too many rows.
        """
        if request.rows > self.settings.max_events:
            raise RequestRefusedError(
                self.settings.too_many_events_status,
                f"request exceeds max limit of {self.settings.max_events} events",
            )
        has_room = self._rows.has_room(request.rows) and self._bytes.has_room(request.plain_bytes)
        if not has_room:
            raise RequestRefusedError(429, RATE_EXCEEDED)
        self._rows.take(request.rows)
        self._bytes.take(request.plain_bytes)

    def admit_table_call(self) -> None:
        """
        Count a replacement of a lookup table.

        Raises:
            RequestRefusedError: 429, the day's are used up.
        """
        if not self._table_calls.has_room(1):
            raise RequestRefusedError(429, RATE_EXCEEDED)
        self._table_calls.take(1)

    def admit_table_rows(self, table_id: str, rows: int) -> None:
        """
        Look whether a table's new rows fit beside those of the other tables.

        Raises:
            RequestRefusedError: 400, they do not; the reply is undocumented.
        """
        others = sum(table.row_count for table in self.tables.all() if table.id != table_id)
        if others + rows > self.settings.max_table_rows:
            raise RequestRefusedError(
                400, f"lookup tables exceed max limit of {self.settings.max_table_rows} rows"
            )


def _times(rate: float | None, amount: float) -> float | None:
    return None if rate is None else rate * amount
