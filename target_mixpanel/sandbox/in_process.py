"""How does a test hold a sandbox in its own process?"""

from __future__ import annotations

import sys
import threading
import time
from typing import TYPE_CHECKING, Any, Final, Self

import msgspec

from target_mixpanel.sandbox.app import make_app
from target_mixpanel.sandbox.fault_spec import FaultSpec
from target_mixpanel.sandbox.group_joins import group_joins
from target_mixpanel.sandbox.project import Project
from target_mixpanel.sandbox.server import LOOPBACK, Server, listen
from target_mixpanel.sandbox.settings import SandboxSettings
from target_mixpanel.sandbox.summary import Summary, summarise
from target_mixpanel.sandbox.table_values import typed_rows

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from target_mixpanel.sandbox.group_joins import GroupJoins
    from target_mixpanel.sandbox.profiles import ProfileId, Properties
    from target_mixpanel.sandbox.request_log import LoggedRequest
    from target_mixpanel.sandbox.table_store import LookupTable
    from target_mixpanel.sandbox.table_values import Value

START_TIMEOUT_S: Final = 10.0
"""A start takes milliseconds; after this the thread has died."""


class Sandbox:
    """
    A Mixpanel in this process, on a real socket, while the context lasts.

    ```python
    with Sandbox() as sandbox:
        sandbox.script({"status": 503}, {"reset": "after_ingest"})
        send_somehow(to=sandbox.url)
        assert len(sandbox.report()) == 2_000
    ```

    Args:
        port: 0 takes a free one.
        settings: The project and its rules.
        clock: Seconds since the epoch, by which a time lies in the future.
    """

    def __init__(
        self,
        port: int = 0,
        settings: SandboxSettings | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.settings = settings or SandboxSettings()
        self.project = Project(self.settings, clock)
        self.store = self.project.events
        self._port = port
        self._server: Server | None = None

    def __enter__(self) -> Self:
        listener = listen(self._port)
        self.port: int = listener.getsockname()[1]
        self.url = f"http://{LOOPBACK}:{self.port}"
        started = threading.Event()
        self._server = Server(make_app(self.project), self.settings, on_started=started.set)
        self._thread = threading.Thread(
            target=self._server.run, args=([listener],), name="sandbox", daemon=True
        )
        self._thread.start()
        if not started.wait(START_TIMEOUT_S):
            raise TimeoutError("the sandbox did not start")
        return self

    def __exit__(self, *exception: object) -> None:
        if self._server is not None:
            self._server.stop()
            self._thread.join()

    def script(self, *faults: FaultSpec | Mapping[str, Any]) -> None:
        """
        Queue faults; each ingestion request that one's path fits uses one up.

        Raises:
            ValueError: One makes no sense; none was queued.
        """
        self.project.faults.add(
            [msgspec.convert(msgspec.to_builtins(fault), FaultSpec) for fault in faults]
        )

    def report(self, event: str | None = None) -> list[dict[str, Any]]:
        """The events that Mixpanel's reports would show, deduplicated."""
        return [msgspec.json.decode(line) for line in self.project.events.report(event)]

    def compacted(self, event: str | None = None) -> list[dict[str, Any]]:
        """The events that are left after Mixpanel's compaction: one of each $insert_id on a day."""
        return [msgspec.json.decode(line) for line in self.project.events.compacted(event)]

    def raw(self, event: str | None = None) -> list[dict[str, Any]]:
        """Every accepted event, in order of arrival."""
        return [msgspec.json.decode(line) for line in self.project.events.raw(event)]

    def user_updates(self) -> list[dict[str, Any]]:
        """Every update that was applied to a user, in order of arrival."""
        return [msgspec.json.decode(line) for line in self.project.users.updates()]

    def group_updates(self) -> list[dict[str, Any]]:
        """Every update that was applied to a group, in order of arrival."""
        return [msgspec.json.decode(line) for line in self.project.groups.updates()]

    def table_rows(
        self, table_id: str | None = None, *, limit: int = sys.maxsize, start: int = 0
    ) -> list[dict[str, Value | None]]:
        """
        The rows of a lookup table with typed values; None is undefined.

        Raises:
            KeyError: There is no such table.
        """
        table = self.tables[next(iter(self.tables)) if table_id is None else table_id]
        return typed_rows(table, limit, start=start)

    @property
    def tables(self) -> dict[str, LookupTable]:
        """The lookup tables by id."""
        return {table.id: table for table in self.project.tables.all()}

    @property
    def requests(self) -> list[LoggedRequest]:
        """The ingestion requests, in the order of their replies."""
        return self.project.requests.newest()

    @property
    def users(self) -> dict[str, Properties]:
        """The properties of each user profile by distinct_id."""
        return {profile[0]: known for profile, known in self.project.users.all().items()}

    @property
    def groups(self) -> dict[ProfileId, Properties]:
        """The properties of each group profile by (group key, group id)."""
        return self.project.groups.all()

    def group_joins(self) -> dict[str, GroupJoins]:
        """By group key, whether events and users find the groups that they name."""
        return group_joins(self.project)

    def summary(self) -> Summary:
        """What arrived, in numbers."""
        return summarise(self.project)

    def reset(self) -> None:
        """Forget everything that was received or scripted."""
        self.project.reset()
