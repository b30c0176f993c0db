"""Which instant does a value of the tap mean?"""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, tzinfo
from decimal import ROUND_FLOOR, Context, Decimal
from typing import Any, Final, TypeAlias

from target_mixpanel.limits import EARLIEST_TIME_MS, FUTURE_TOLERANCE_MS
from target_mixpanel.mapping.refusal import refuse
from target_mixpanel.specs.spec import TimeUnit

TimeReader: TypeAlias = Callable[[Any, int], int]
"""(value, now in ms since the epoch) → ms since the epoch; refuses what is no time."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)

_UNITS_PER_SECOND: Final[dict[TimeUnit, int]] = {
    "s": 1,
    "ms": 1_000,
    "us": 1_000_000,
    "ns": 1_000_000_000,
}

_NUMBER: Final = re.compile(r"[+-]?\d+(\.\d+)?", re.ASCII)

_COMPACT_DATE_DIGITS: Final = len("20261001")
"""A text of so many digits is a date; one of more is an epoch number, which Python would take for a
compact date, any character, and a time."""

_LONGEST_NUMBER_CHARS: Final = 40
"""Of a time: nanoseconds since the epoch have 19 digits."""

_LONGEST_EXPONENT: Final = 30
"""As above, of a number that is no text: 1e999999 would take a million digits."""

_FLOOR: Final = Context(prec=2 * _LONGEST_NUMBER_CHARS, rounding=ROUND_FLOOR)
"""Decimal arithmetic that never rounds an instant up into the next millisecond."""

_MIDNIGHT_24: Final = re.compile(r"(.+[T ])24(?::?00(?::?00(?:[.,]0+)?)?)?(Z|[+-]\d\d:?\d\d)?")
_LEAP_SECOND: Final = re.compile(r"(.+[T ]\d\d:?\d\d:?)60([.,]\d+)?(Z|[+-]\d\d:?\d\d)?")


def time_reader(unit: TimeUnit, timezone: tzinfo, field: str) -> TimeReader:
    """
    Return the reader of one time column, which refusals call *field*.

    It takes ISO 8601 text (`Z`, an offset, or none: then *timezone*; a date alone is its midnight;
    `24:00` and the leap second `:60` are the instant after), and numbers in *unit*, as JSON numbers
    or as text. With unit "auto" a number must lie between 1971 and an hour from now in exactly
    one unit; those ranges do not overlap; and eight digits of text are a date. Digits finer than a
    millisecond are cut off.
    """
    fromisoformat = datetime.fromisoformat

    def read(value: Any, now_ms: int) -> int:
        if type(value) is str:
            # The common spelling first; a compact one could be an epoch number just as well.
            if value[4:5] == "-":
                try:
                    moment = fromisoformat(value)
                except ValueError:
                    return _read_iso(value, timezone, field)
                if moment.tzinfo is None:
                    moment = moment.replace(tzinfo=timezone)
                return (moment - _EPOCH) // _MILLISECOND
            if value.isdecimal() and (len(value) != _COMPACT_DATE_DIGITS or unit != "auto"):
                return _read_number(_decimal(value, field), unit, now_ms, field)
            if _NUMBER.fullmatch(value) and len(value) != _COMPACT_DATE_DIGITS:
                return _read_number(_decimal(value, field), unit, now_ms, field)
            return _read_iso(value, timezone, field)
        if type(value) is int or type(value) is Decimal:
            return _read_number(value, unit, now_ms, field)
        if type(value) is float:
            return _read_number(Decimal(repr(value)), unit, now_ms, field)
        if isinstance(value, datetime):
            return _instant_ms(value, timezone)
        return refuse("invalid_time", field, "is neither a text nor a number")

    return read


def refuse_outside_window(time_ms: int, now_ms: int, field: str) -> None:
    """Refuse a time that /import would refuse: before 1971 or more than an hour ahead."""
    if time_ms < EARLIEST_TIME_MS:
        refuse("time_before_1971", field, "is before 1971", stage="limit")
    if time_ms > now_ms + FUTURE_TOLERANCE_MS:
        refuse("time_in_future", field, "is more than an hour ahead", stage="limit")


def instant(moment: datetime, timezone: tzinfo) -> timedelta:
    """Return the time from the epoch to *moment*; *timezone* where it carries none."""
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=timezone)
    return moment - _EPOCH


def parse_iso(text: str) -> datetime | None:
    """Read an ISO 8601 date or date-time, `24:00` and `:60` included; None if it is none."""
    if text[: _COMPACT_DATE_DIGITS + 1].isdecimal() and len(text) != _COMPACT_DATE_DIGITS:
        return None
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return _parse_beyond_midnight(text)


def utc_seconds(text: str, timezone: tzinfo) -> str | None:
    """
    Return an ISO 8601 date-time in UTC and whole seconds, without its offset.

    None: It is no date-time, or leaves the calendar on its way to UTC.
    """
    moment = parse_iso(text)
    if moment is None:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=timezone)
    try:
        return moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="seconds")
    except OverflowError:
        return None


def iso_day(text: str) -> str | None:
    """Return the day of an ISO 8601 date or date-time, None if *text* is none."""
    moment = parse_iso(text)
    return None if moment is None else moment.date().isoformat()


def _instant_ms(moment: datetime, timezone: tzinfo) -> int:
    """Return *moment* in whole ms since the epoch; *timezone* where it carries none."""
    return instant(moment, timezone) // _MILLISECOND


def _parse_beyond_midnight(text: str) -> datetime | None:
    """Read the two spellings that name the start of the next day or minute."""
    if match := _MIDNIGHT_24.fullmatch(text):
        moment, step = f"{match[1]}00:00:00{match[2] or ''}", timedelta(days=1)
    elif match := _LEAP_SECOND.fullmatch(text):
        moment, step = f"{match[1]}59{match[2] or ''}{match[3] or ''}", timedelta(seconds=1)
    else:
        return None
    try:
        return datetime.fromisoformat(moment) + step
    except (ValueError, OverflowError):
        return None


def _read_iso(text: str, timezone: tzinfo, field: str) -> int:
    moment = parse_iso(text)
    if moment is None:
        refuse("invalid_time", field, "is not ISO 8601")
    return _instant_ms(moment, timezone)


def _decimal(text: str, field: str) -> Decimal:
    if len(text) > _LONGEST_NUMBER_CHARS:
        refuse("invalid_time", field, "is too long a number")
    return Decimal(text)


def _thousandfold(number: Decimal, field: str) -> int:
    """Return *number* times 1,000, rounded down: an instant never moves into the next ms."""
    if not number.is_finite() or number.adjusted() > _LONGEST_EXPONENT:
        refuse("invalid_time", field, "is too large a number")
    return int(_FLOOR.multiply(number, 1_000).to_integral_value(ROUND_FLOOR))


def _read_number(value: int | Decimal, unit: TimeUnit, now_ms: int, field: str) -> int:
    thousandfold = value * 1_000 if type(value) is int else _thousandfold(Decimal(value), field)
    if unit != "auto":
        return thousandfold // _UNITS_PER_SECOND[unit]
    latest_ms = now_ms + FUTURE_TOLERANCE_MS
    for per_second in _UNITS_PER_SECOND.values():
        if EARLIEST_TIME_MS * per_second <= thousandfold <= latest_ms * per_second:
            return thousandfold // per_second
    return refuse(
        "invalid_time",
        field,
        "is between 1971 and now in no unit; set time_unit if it is right",
    )
