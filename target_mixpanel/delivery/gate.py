"""How many requests may be in flight, and when may the next one start?"""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final, Protocol

import msgspec

from target_mixpanel.delivery.pace import PROBE_S, Pace
from target_mixpanel.stop import Stop

logger = logging.getLogger("target-mixpanel.delivery")

_DECREASE: Final = 0.5
_LEAST: Final = 1.0
_LOOK_UP_S: Final = 0.5
"""How often a wait looks whether the run is over."""
_LAPSES_S: Final = 5.0
"""After so long a turn among all loaders is over. A 429 holds all of them back: they must not all
go when it no longer does."""


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
    is_telling: bool
    """Whether there was more to send than it: it is full, or was held back."""


class Reservation(msgspec.Struct, frozen=True):
    """What became of the wish for a place among all loaders that share one limit."""

    wait_s: float
    """How long until its turn; without a place, how far ahead the others' places reach."""
    has_place: bool = True


class SharedLimit(Protocol):
    """A limit that several loaders share. It is asked by one thread at a time."""

    is_away: bool
    """Whether whoever keeps it does not answer: then there is none."""

    def reserve(self, events: int, raw_bytes: int) -> Reservation:
        """Take the next place for *events*, of *raw_bytes* before compression."""


class _Place:
    """Of one request, when its turn is among all loaders."""

    def __init__(self, events: int, raw_bytes: int) -> None:
        self.events = events
        self.raw_bytes = raw_bytes
        self.begins_at: float | None = None


class Gate:
    """Bound the requests of the whole run: one stream's 429 slows all. A lock guards its state."""

    def __init__(
        self,
        max_parallel_requests: int,
        stop: Stop,
        *,
        max_events_per_second: float | None = None,
        shared: SharedLimit | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.width = Width(max_parallel_requests)
        self._stop = stop
        self.pace = Pace(max_events_per_second)
        self._clock = clock
        self._in_flight = 0
        self._telling_in_flight = 0
        self._held_back = 0
        self._held_until = 0.0
        self._shared = shared
        self._next: _Place | None = None
        """The one request of ours that has a place, or asks for it."""
        self._changed = threading.Condition()

    @contextmanager
    def admission(
        self, events: int, *, is_full: bool = False, shared_bytes: int | None = None
    ) -> Iterator[Admission]:
        """
        Wait until a request of *events* may start, and hold its place.

        Args:
            events: How many it has.
            is_full: Whether it has no room for more.
            shared_bytes: What they are before compression, if other loaders' share their limit.

        Raises:
            TargetMixpanelError: The run is over.
        """
        with self._changed:
            place = None if shared_bytes is None else _Place(events, shared_bytes)
            was_held_back = self._hold_back(place)
            now = self._look()
            self._in_flight += 1
            admission = Admission(self.width.round, now, is_full or was_held_back)
            self._telling_in_flight += admission.is_telling
            self.pace.start(events, now)
        try:
            yield admission
        finally:
            with self._changed:
                self._look()
                self._in_flight -= 1
                self._telling_in_flight -= admission.is_telling
                self._changed.notify_all()

    def _hold_back(self, place: _Place | None) -> bool:
        """Wait until the next request may start; say whether there was anything to wait for."""
        was_held_back = False
        self._held_back += 1
        try:
            while (wait_s := self._wait_s() or self._turn_s(place)) > 0:
                was_held_back = True
                self._stop.raise_if_over()
                self._changed.wait(min(wait_s, _LOOK_UP_S))
                self._look()
        finally:
            self._held_back -= 1
            if place is not None and self._next is place:
                self._next = None
                self._changed.notify_all()
        self._stop.raise_if_over()
        return was_held_back

    def good(self, admission: Admission, events: int) -> None:
        """A request of *events* was answered: let a little more through."""
        with self._changed:
            self.width.good()
            before = self.pace.is_closed
            now = self._look()
            self.pace.accepted(
                events, now, started_at=admission.started_at, is_telling=admission.is_telling
            )
            self._changed.notify_all()
            rate = self.pace.events_per_s(now)
        if before and not self.pace.is_closed and rate is not None:
            logger.info("pace: Mixpanel takes about %s events a second", f"{rate:,.0f}")

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
            wait_s = max(hold_s, min(retry_s, PROBE_S))
            self.pace.refused(self._look(), wait_s, is_telling=admission.is_telling)
            self._hold(wait_s)

    def overloaded(self, admission: Admission, hold_s: float = 0.0) -> None:
        """The server has too much to do: halve, and let nothing start for *hold_s*."""
        with self._changed:
            self.width.overloaded(admission.round)
            self._hold(hold_s)

    def failed(self) -> None:
        """No answer says how fast Mixpanel takes events."""
        with self._changed:
            self._look()
            self.pace.failed()

    def _look(self) -> float:
        """Let the pace know what was under way until now; return the time."""
        now = self._clock()
        share = self._telling_in_flight / int(self.width.requests)
        self.pace.pass_time(now, 1.0 if self._held_back else min(share, 1.0))
        return now

    def _hold(self, seconds: float) -> None:
        self._held_until = max(self._held_until, self._clock() + seconds)

    def _wait_s(self) -> float:
        """Return how long to wait before looking again; 0 when the next may start."""
        if self._in_flight >= (1 if self.pace.is_closed else int(self.width.requests)):
            return _LOOK_UP_S
        now = self._clock()
        return max(self._held_until - now, self.pace.wait_s(now))

    def _turn_s(self, place: _Place | None) -> float:
        """
        Return how long until the turn of *place* among all loaders; 0 when it has come.

        One request at a time has a place there, so that a loader with many senders gets no more
        than others, one that starts is heard soon, and one that is killed leaves one place empty.
        """
        if place is None or self._shared is None:
            return 0.0
        if place.begins_at is None or self._clock() > place.begins_at + _LAPSES_S:
            if self._next not in {None, place}:
                return 0.0 if self._shared.is_away else _LOOK_UP_S
            self._next = place
            asked_at = self._clock()
            reservation = self._unlocked_reserve(self._shared, place)
            if not reservation.has_place:
                return reservation.wait_s
            place.begins_at = asked_at + reservation.wait_s
            return self._wait_s() or self._until_s(place.begins_at)  # others went by meanwhile
        return self._until_s(place.begins_at)

    def _until_s(self, moment: float) -> float:
        return max(moment - self._clock(), 0.0)

    def _unlocked_reserve(self, shared: SharedLimit, place: _Place) -> Reservation:
        """Ask, while others come and go: the answer may take its time."""
        self._changed.release()
        try:
            return shared.reserve(place.events, place.raw_bytes)
        finally:
            self._changed.acquire()
