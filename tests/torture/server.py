"""When is Mixpanel there, and when is it gone?"""

import contextlib
import socket
import time
import urllib.error
import urllib.request
from types import TracebackType
from typing import Any, Self

from target_mixpanel.sandbox import Sandbox, SandboxSettings
from tests.torture.figures import Figures, longest
from tests.torture.schedule import MAX_EVENT_BYTES, OUTAGES, Outage, Schedule
from tests.waiting import wait_until
from tests.whole_model import TABLE_ID


class Server:
    """
    A sandbox that goes away and comes back on the same port, with all that it knew.

    What its client sees is what it sees of a process that is killed and started again: connections
    are cut amid requests, others refused.
    """

    def __init__(self, schedule: Schedule, figures: Figures) -> None:
        self._figures = figures
        self._restarts = sorted(schedule.restarts, key=lambda restart: restart.after_requests)
        self._up_at: float | None = None
        """When it comes back; None: it is there."""
        self._came_back: tuple[float, int] | None = None
        self._faults_left: list[dict[str, Any]] | None = None
        self._faults = schedule.faults
        # Never listens: it keeps the port from being given to anybody else meanwhile.
        self._holder = socket.socket()
        self._holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._holder.bind(("127.0.0.1", 0))
        settings = SandboxSettings(
            events_per_second=None,
            bytes_per_minute=None,
            max_event_bytes=MAX_EVENT_BYTES,
            lookup_tables={TABLE_ID: "Products"},
        )
        self.sandbox = Sandbox(self._holder.getsockname()[1], settings)

    @property
    def arrived(self) -> int:
        return self.sandbox.project.requests.arrived

    @property
    def faults_used(self) -> int:
        return len(self._faults) - len(self.sandbox.project.faults.pending())

    def look(self) -> None:
        """Go, or come back, if it is time to; whoever waits for something calls it meanwhile."""
        now = time.monotonic()
        if self._up_at is not None:
            if now >= self._up_at:
                self._come_back()
        elif self._restarts and self.arrived >= self._restarts[0].after_requests:
            self._go(self._restarts.pop(0).seconds)
            self._figures.restarts += 1
        elif self._came_back is not None and self.arrived > self._came_back[1]:
            seconds = now - self._came_back[0]
            longest(self._figures.first_request_s, "after a restart", seconds)
            self._came_back = None

    def begin(self, outage: Outage) -> None:
        """Let no request succeed."""
        self._come_back()
        self._figures.outages[outage] += 1
        self._faults_left = self._faults[self.faults_used :]
        self.sandbox.project.faults.clear()
        if outage == "down":
            self._go(float("inf"))
        else:
            self.sandbox.script({**OUTAGES[outage], "times": -1})

    def settle(self) -> None:
        """Be there, and have done all that a dead process had sent; outages are over."""
        self._come_back()
        self._came_back = None
        if self._faults_left is not None:
            self._go(0)
            self._come_back()  # without the requests that hung
            self.sandbox.project.faults.clear()
            self.sandbox.script(*self._faults_left)
            self._faults_left = None
        for _ in range(3):
            with contextlib.suppress(urllib.error.HTTPError):
                urllib.request.urlopen(self.sandbox.url + "/", timeout=60).close()  # noqa: S310
        wait_until(lambda: self.sandbox.project.requests.in_flight == 0)

    def be_well(self) -> None:
        """From now on nothing goes wrong here."""
        self._restarts = []
        self.sandbox.project.faults.clear()

    def _go(self, seconds: float) -> None:
        self.sandbox.__exit__(None, None, None)
        self._up_at = time.monotonic() + seconds

    def _come_back(self) -> None:
        if self._up_at is not None:
            self.sandbox.__enter__()
            self._up_at = None
            self._came_back = (time.monotonic(), self.arrived)

    def __enter__(self) -> Self:
        self.sandbox.__enter__()
        self.sandbox.script(*self._faults)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._up_at is None:
            self.sandbox.__exit__(kind, error, trace)
        self._holder.close()
