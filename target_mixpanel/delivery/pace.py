"""How many events a second does Mixpanel take? Learnt from its answers; arithmetic on a clock."""

from typing import Final

import msgspec

_CAUTION: Final = 0.95
"""Of the rate that was seen to be taken, what is asked for next."""

_DOUBLING_S: Final = 150.0
"""Without a 429 the rate doubles in this time: slowly at first, since the learnt rate is about
right, then faster, since it seems not to be."""

_TELLING_S: Final = 5.0
_TELLING_OPEN_S: Final = 1.0
_TELLING_REQUESTS: Final = 10
_TELLING_REFUSALS: Final = 2
"""A shorter time, or fewer answers, says nothing about the rate: somebody else may have used the
project's share up before us."""

_LONGEST_STEP_S: Final = 2.0
"""Who looks up later was stopped, or waited for one answer; neither tells Mixpanel's rate."""

PROBE_S: Final = 6.0
"""While the pace is closed, how long at most until somebody looks whether there is room again; each
refused batch itself waits as long as Mixpanel advises."""

_NO_DEBT: Final = 1e-3
"""Of an event: less than that is rounding."""

_BURST_S: Final = 1.0
"""A paced run may catch up this much after a pause."""


class Pace(msgspec.Struct):
    """
    The rate of the whole run: as fast as it goes until a 429, then what Mixpanel was seen to take.

    From a 429 to the next good answer the pace is *closed*: one request at a time finds out when
    there is room again. Mixpanel limits a rolling minute, so a run may well go several times as
    fast for some seconds; what it takes in the long run is what it took from the start of that
    burst to its reopening. Once paced, what it took until it closed again. The length of the window
    is not assumed.

    Only time in which Mixpanel could have been the limit counts, and only as much of it as was
    used: not while the tap had nothing, not while Mixpanel was out of reach, not while this process
    was stopped. Else fourteen events of a quiet tap, and one 429, would be all that it takes.
    """

    ceiling: float | None = None
    """Events a second that the operator allows."""
    is_closed: bool = False
    _learnt: float | None = None
    _accepted: int = 0
    _requests: int = 0
    """Good answers that tell, and their events, since what is learnt was."""
    _refusals: int = 0
    _open_s: float = 0.0
    _closed_s: float = 0.0
    """How long the way to Mixpanel was used meanwhile, and how long it was refused to be."""
    _looked_at: float = 0.0
    _opened_at: float = 0.0
    _closed_at: float = 0.0
    _refused_for_s: float = 0.0
    _is_closing_telling: bool = False
    _is_out_of_reach: bool = False
    _debt: float = 0.0
    """Events that were sent ahead of the rate; below zero, those that may be."""
    _owed_at: float = 0.0

    def events_per_s(self, now: float) -> float | None:
        """Return the rate that is right *now*; None: no limit is known."""
        if self._learnt is None:
            return self.ceiling
        grown = self._learnt * (1 + ((now - self._opened_at) / _DOUBLING_S) ** 2)
        return grown if self.ceiling is None else min(grown, self.ceiling)

    def wait_s(self, now: float) -> float:
        """Return how long the next request has to wait for its turn, as the rate is now."""
        rate = self.events_per_s(now)
        debt = 0.0 if rate is None else self._debt_left(now, rate)
        return 0.0 if rate is None or debt < _NO_DEBT else debt / rate

    def pass_time(self, now: float, used: float) -> None:
        """
        Take note that it is *now*.

        Args:
            now: Monotonic seconds.
            used: Since the last look, which share of the requests that may be under way was; 1 if
                any was held back.
        """
        longest_s = _LONGEST_STEP_S + (self._refused_for_s if self.is_closed else 0.0)
        step_s, self._looked_at = min(now - self._looked_at, longest_s), now
        if self._is_out_of_reach:
            return
        if self.is_closed:
            self._closed_s += step_s if self._is_closing_telling else 0.0
        else:
            self._open_s += step_s * used

    def start(self, events: int, now: float) -> None:
        """Let a request of *events* go."""
        rate = self.events_per_s(now)
        if rate is not None:
            self._debt = self._debt_left(now, rate) + events
            self._owed_at = now

    def accepted(self, events: int, now: float, *, started_at: float, is_telling: bool) -> None:
        """
        Learn from a good answer to a request of *started_at*.

        Args:
            events: Of the request.
            now: Monotonic seconds.
            started_at: When it began.
            is_telling: Whether the request was full, or held back: there was more to send.
        """
        self._is_out_of_reach = False
        if is_telling:
            self._accepted += events
            self._requests += 1
        # One that was under way when the pace closed says nothing about the time after.
        if self.is_closed and started_at > self._closed_at:
            self.is_closed = False
            self._opened_at = now
            self._learn(now)

    def refused(self, now: float, wait_s: float, *, is_telling: bool) -> None:
        """Learn from a 429, after which nobody may look for *wait_s*."""
        self._refused_for_s = wait_s
        self._is_out_of_reach = False
        self._is_closing_telling |= is_telling
        self._refusals += 1
        if not self.is_closed:
            self.is_closed = True
            self._closed_at = now

    def failed(self) -> None:
        """Learn that Mixpanel is out of reach, or has trouble of its own."""
        self._is_out_of_reach = True

    def _debt_left(self, now: float, rate: float) -> float:
        return max(self._debt - rate * (now - self._owed_at), -rate * _BURST_S)

    def _learn(self, now: float) -> None:
        self._is_closing_telling = False
        seconds = self._open_s + (self._closed_s if self._learnt is None else 0.0)
        if (
            seconds < _TELLING_S
            or self._open_s < _TELLING_OPEN_S
            or self._requests < _TELLING_REQUESTS
            or self._refusals < _TELLING_REFUSALS
        ):
            return
        self._learnt = _CAUTION * self._accepted / seconds
        self._accepted = self._requests = self._refusals = 0
        self._open_s = self._closed_s = 0.0
        self._debt, self._owed_at = 0.0, now
