"""How many events a second does Mixpanel take? Learnt from its answers; arithmetic on a clock."""

from typing import Final

import msgspec

_CAUTION: Final = 0.95
"""Of the rate that was seen to be taken, what is asked for next."""

_DOUBLING_S: Final = 150.0
"""Without a 429 the rate doubles in this time: slowly at first, since the learnt rate is about
right, then faster, since it seems not to be."""

_TELLING_S: Final = 5.0
_TELLING_REQUESTS: Final = 10
"""A shorter time, or fewer good answers, says nothing about the rate: somebody else may have used
the project's share up before us."""

PROBE_S: Final = 6.0
"""While the pace is closed, how long at most until somebody looks whether there is room again; each
refused batch itself waits as long as Mixpanel advises."""

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
    """

    ceiling: float | None = None
    """Events a second that the operator allows."""
    is_closed: bool = False
    _learnt: float | None = None
    _since: float | None = None
    """From when on *_accepted* events in *_requests* requests were taken."""
    _accepted: int = 0
    _requests: int = 0
    _open_s: float = 0.0
    """Of the time since then, how long the pace was open before."""
    _opened_at: float = 0.0
    _closed_at: float = 0.0
    _paid_until: float = 0.0

    def events_per_s(self, now: float) -> float | None:
        """Return the rate that is right *now*; None: no limit is known."""
        if self._learnt is None:
            return self.ceiling
        grown = self._learnt * (1 + ((now - self._opened_at) / _DOUBLING_S) ** 2)
        return grown if self.ceiling is None else min(grown, self.ceiling)

    def wait_s(self, now: float) -> float:
        """Return how long the next request has to wait for its turn."""
        return self._paid_until - now

    def start(self, events: int, now: float) -> None:
        """Let a request of *events* go."""
        if self._since is None:
            self._since = self._opened_at = now
        rate = self.events_per_s(now)
        if rate is not None:
            self._paid_until = max(self._paid_until, now - _BURST_S) + events / rate

    def accepted(self, events: int, now: float, *, started_at: float) -> None:
        """Learn from a good answer to a request of *started_at*."""
        self._accepted += events
        self._requests += 1
        # One that was under way when the pace closed says nothing about the time after.
        if self.is_closed and started_at > self._closed_at:
            self.is_closed = False
            self._opened_at = now
            self._learn(now)

    def refused(self, now: float) -> None:
        """Learn from a 429."""
        if not self.is_closed:
            self.is_closed = True
            self._closed_at = now
            self._open_s += now - self._opened_at

    def _learn(self, now: float) -> None:
        if self._since is None:
            return
        seconds = now - self._since if self._learnt is None else self._open_s
        if seconds >= _TELLING_S and self._requests >= _TELLING_REQUESTS:
            self._learnt = _CAUTION * self._accepted / seconds
            self._accepted = self._requests = 0
            self._open_s = 0.0
            self._since = now
