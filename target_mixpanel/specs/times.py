"""How are the times spelled that a mapping reads: in which unit, time zone and order?"""

import re
from datetime import UTC, datetime, tzinfo
from typing import Final, get_args
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from target_mixpanel.errors import SettingsError, printable
from target_mixpanel.specs.spec import TimeUnit
from target_mixpanel.specs.written import Raw, as_text, one_of

_SAMPLE: Final = datetime(2026, 10, 1, 12, 30, 45, tzinfo=UTC)
"""A day that no two formats can spell alike by chance."""


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


def parse_time_format(raw: Raw, place: str) -> str | None:
    """Read the format of times that are texts, and not ISO 8601."""
    if "time_format" not in raw:
        return None
    here = f"{place}.time_format"
    form = as_text(raw["time_format"], here)
    if "%Z" in form:
        raise SettingsError(
            f"{here}: %Z means another zone on each machine; write the letters that stand there, "
            "as GMT, and in timezone what they mean",
        )
    try:
        day = datetime.strptime(_SAMPLE.strftime(form), form).date()  # noqa: DTZ007 (of the day alone)
    except (ValueError, re.error):  # the latter of a code that stands there twice
        raise SettingsError(
            f"{here}: is no format that strptime reads; write one like "
            '"%d/%m/%Y %H:%M", of the codes in Python\'s documentation',
        ) from None
    if day != _SAMPLE.date():
        raise SettingsError(f'{here}: names no whole day; write one like "%d/%m/%Y %H:%M"')
    return form
