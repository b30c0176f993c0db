"""How many requests may be in flight, and when may the next one start?"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

import msgspec

from target_mixpanel.delivery.pace import PROBE_S, Pace
from target_mixpanel.stop import Stop

_DECREASE: Final = 0.5
_LEAST: Final = 1.0
_LOOK_UP_S: Final = 0.5
"""How often a wait looks whether the run is over."""


class Width(msgspec.Struct):
    """
    How wide the gate stands: pure arithmetic on the answers seen.

    Additive increase, multiplicative decrease: wider by one request for each full round of good
    answers, half as wide after an overload, at most once for all requests that were under way.
    """

    most: int
    requests: float = 0.0
    round: int = 0
    """Counts the decreases: an answer to a request of an earlier round decreases nothing."""

    def __post_init__(self) -> None:
        self.requests = self.requests or float(self.most)

    def good(self) -> None:
        self.requests = min(self.requests + 1 / self.requests, float(self.most))

    def overloaded(self, started_in_round: int) -> None:
        if started_in_round == self.round:
            self.requests = max(self.requests * _DECREASE, _LEAST)
            self.round += 1


class Admission(msgspec.Struct):
    """A request's leave to be in flight."""

    round: int
    started_at: float


class Gate:
    """Bound the requests of the whole run: one stream's 429 slows all. A lock guards its state."""

    def __init__(
        self,
        max_parallel_requests: int,
        stop: Stop,
        *,
        max_events_per_second: float | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.width = Width(max_parallel_requests)
        self._stop = stop
        self.pace = Pace(max_events_per_second)
        self._clock = clock
        self._in_flight = 0
        self._held_until = 0.0
        self._changed = threading.Condition()

    @contextmanager
    def admission(self, events: int) -> Iterator[Admission]:
        """
        Wait until a request of *events* may start, and hold its place.

        Raises:
            TargetMixpanelError: The run is over.
        """
        with self._changed:
            while (wait_s := self._wait_s()) > 0:
                self._stop.raise_if_over()
                self._changed.wait(min(wait_s, _LOOK_UP_S))
            self._stop.raise_if_over()
            self._in_flight += 1
            now = self._clock()
            self.pace.start(events, now)
            admission = Admission(self.width.round, now)
        try:
            yield admission
        finally:
            with self._changed:
                self._in_flight -= 1
                self._changed.notify_all()

    def good(self, admission: Admission, events: int) -> None:
        """A request of *events* was answered: let a little more through."""
        with self._changed:
            self.width.good()
            self.pace.accepted(events, self._clock(), started_at=admission.started_at)
            self._changed.notify_all()

    def rate_limited(self, admission: Admission, *, hold_s: float, retry_s: float) -> None:
        """
        Mixpanel wants fewer events a second: slow down.

        Args:
            admission: Of the request that it refused.
            hold_s: Nothing starts for so long, because Mixpanel says so.
            retry_s: After so long, or sooner, one request looks whether there is room again.
        """
        with self._changed:
            self.width.overloaded(admission.round)
            self.pace.refused(self._clock())
            self._hold(max(hold_s, min(retry_s, PROBE_S)))

    def overloaded(self, admission: Admission, hold_s: float = 0.0) -> None:
        """The server has too much to do: halve, and let nothing start for *hold_s*."""
        with self._changed:
            self.width.overloaded(admission.round)
            self._hold(hold_s)

    def _hold(self, seconds: float) -> None:
        self._held_until = max(self._held_until, self._clock() + seconds)

    def _wait_s(self) -> float:
        """Return how long to wait before looking again; 0 when the next may start."""
        if self._in_flight >= (1 if self.pace.is_closed else int(self.width.requests)):
            return _LOOK_UP_S
        now = self._clock()
        return max(self._held_until - now, self.pace.wait_s(now))
