"""In which time zone, and in which unit, are the times that a mapping reads?"""

from datetime import UTC, tzinfo
from typing import get_args
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from target_mixpanel.errors import SettingsError, printable
from target_mixpanel.specs.spec import TimeUnit
from target_mixpanel.specs.written import Raw, as_text, one_of


def parse_time_unit(raw: Raw, place: str) -> TimeUnit:
    """Read the unit of times that are numbers."""
    units: tuple[TimeUnit, ...] = get_args(TimeUnit)
    return one_of(raw.get("time_unit", "auto"), units, f"{place}.time_unit")


def parse_timezone(raw: Raw, place: str) -> tzinfo:
    """Read the time zone of times that carry none."""
    here = f"{place}.timezone"
    name = as_text(raw.get("timezone", "UTC"), here)
    if name == "UTC":
        return UTC
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise SettingsError(
            f'{here}: "{printable(name)}" is not a time zone; write one like "Europe/Berlin"',
        ) from None
