"""What time is it at Mixpanel? Its clock, not ours, says what lies in the future."""

import time
from collections.abc import Callable
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Final

_TOLERANCE_S: Final = 5.0
"""A `Date` header has whole seconds and was on its way; less than this is no difference."""


class ServerClock:
    """Our clock, set right by what accepted requests were dated. Its one number needs no lock."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._ahead_s = 0.0

    def observe(self, date: str) -> None:
        """Take note of a `Date` header; one that cannot be read says nothing."""
        try:
            moment = parsedate_to_datetime(date)
            # Of HTTP all dates are GMT, even one that says it knows no zone.
            ahead_s = moment.replace(tzinfo=moment.tzinfo or UTC).timestamp() - self._clock()
        except (ValueError, TypeError, OverflowError):
            return
        self._ahead_s = ahead_s if abs(ahead_s) > _TOLERANCE_S else 0.0

    def now(self) -> float:
        """Return Mixpanel's time, in seconds since the epoch."""
        return self._clock() + self._ahead_s
