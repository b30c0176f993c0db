"""How far from the epoch is an instant?"""

from datetime import UTC, datetime, timedelta, tzinfo
from typing import Final

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
MILLISECOND: Final = timedelta(milliseconds=1)


def instant(moment: datetime, timezone: tzinfo) -> timedelta:
    """Return the time from the epoch to *moment*; *timezone* where it carries none."""
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=timezone)
    return moment - EPOCH


def instant_ms(moment: datetime, timezone: tzinfo) -> int:
    """Return *moment* in whole ms since the epoch; *timezone* where it carries none."""
    return instant(moment, timezone) // MILLISECOND
