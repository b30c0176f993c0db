"""Which instant does a number mean: so many seconds or the like, or the digits of a date?"""

from datetime import datetime, timedelta
from decimal import ROUND_FLOOR, Context, Decimal
from typing import Final

from target_mixpanel.limits import EARLIEST_TIME_MS, FUTURE_TOLERANCE_MS
from target_mixpanel.mapping.instants import EPOCH, instant_ms
from target_mixpanel.mapping.refusal import refuse
from target_mixpanel.mapping.written_times import parse_as
from target_mixpanel.specs.spec import Times, TimeUnit

_UNITS_PER_SECOND: Final[dict[TimeUnit, int]] = {
    "s": 1,
    "ms": 1_000,
    "us": 1_000_000,
    "ns": 1_000_000_000,
}

LONGEST_NUMBER_CHARS: Final = 40
"""Of a time: nanoseconds since the epoch have 19 digits."""

_LONGEST_EXPONENT: Final = 30
"""As above, of a number that is no text: 1e999999 would take a million digits."""

_FLOOR: Final = Context(prec=2 * LONGEST_NUMBER_CHARS, rounding=ROUND_FLOOR)
"""Decimal arithmetic that never rounds an instant up into the next millisecond."""

_CALENDAR_FORMATS: Final = {8: "%Y%m%d", 10: "%Y%m%d%H", 12: "%Y%m%d%H%M", 14: "%Y%m%d%H%M%S"}
"""Spellings of a date, by their digits, that may be taken for a number of seconds or the like."""

_CALENDAR_YEARS: Final = range(1970, 2100)
_CALENDAR_LEAST: Final = 1970_01_01
_CALENDAR_FROM: Final = 1970_01_01_00
_CALENDAR_TO: Final = 2099_12_31_23_59
_CALENDAR_MOST: Final = 2099_12_31_23_59_59
"""The first and the last number that reads as a date, and those that may be a time in some unit."""


def read_number(value: int | Decimal, times: Times, field: str, now_ms: int) -> int:
    """Return the ms since the epoch that a time's number means, or refuse it."""
    is_int = type(value) is int
    thousandfold = value * 1_000 if is_int else _thousandfold(Decimal(value), field)
    if times.form is not None and thousandfold % 1_000 == 0 and _is_instants(Decimal(value)):
        moment = parse_as(str(thousandfold // 1_000), times.form)
        if moment is not None:
            return instant_ms(moment, times.timezone)
    if times.unit != "auto":
        return int(thousandfold // _UNITS_PER_SECOND[times.unit])
    latest_ms = now_ms + FUTURE_TOLERANCE_MS
    for per_second in _UNITS_PER_SECOND.values():
        if EARLIEST_TIME_MS * per_second <= thousandfold <= latest_ms * per_second:
            if _CALENDAR_FROM <= value <= _CALENDAR_TO:
                _refuse_calendar(value, field)
            return int(thousandfold // per_second)
    _refuse_calendar(value, field)
    return refuse(
        "invalid_time",
        field,
        "is between 1971 and now in no unit; if it spells a date, say how with time_format",
    )


def moment_of_number(number: int | Decimal, times: Times) -> datetime | None:
    """
    Return the instant that a number of a date property means.

    Without a unit its size tells: as seconds, milliseconds and so on it is a day from 1971 to 2969
    in one of them only. None: it means none.
    """
    if not _is_instants(Decimal(number)):
        return None
    if times.form is not None and number == int(number):
        moment = parse_as(str(int(number)), times.form)
        if moment is not None:
            return moment
    if times.unit == "auto" and _calendar_format(number) is not None:
        return None
    unit = _unit_by_size(number) if times.unit == "auto" else times.unit
    if unit is None:
        return None
    microseconds = int(number * 1_000_000) // _UNITS_PER_SECOND[unit]
    try:
        return EPOCH + timedelta(microseconds=microseconds)
    except OverflowError:
        return None


def _unit_by_size(number: int | Decimal) -> TimeUnit | None:
    """Return in which unit *number* is a time from 1971 on: each begins where the last one ends."""
    found: TimeUnit | None = None
    for unit, per_second in _UNITS_PER_SECOND.items():
        if number >= EARLIEST_TIME_MS // 1_000 * per_second:
            found = unit
    return found


def _thousandfold(number: Decimal, field: str) -> int:
    """Return *number* times 1,000, rounded down: an instant never moves into the next ms."""
    if not _is_instants(number):
        refuse("invalid_time", field, "is too large a number")
    return int(_FLOOR.multiply(number, 1_000).to_integral_value(ROUND_FLOOR))


def _is_instants(number: Decimal) -> bool:
    """Say whether *number* is small enough to be computed with."""
    return number.is_finite() and number.adjusted() <= _LONGEST_EXPONENT


def _refuse_calendar(number: int | Decimal, field: str) -> None:
    """Refuse a number that may be a date just as well: 202610011230 is not in the year 1976."""
    form = _calendar_format(number)
    if form is not None:
        refuse(
            "invalid_time",
            field,
            f'is a number that reads as a date; write time_format: "{form}", or time_unit if it '
            "counts from 1970",
        )


def _calendar_format(number: int | Decimal) -> str | None:
    """Return by which format *number* spells a date, None if by none."""
    if not _CALENDAR_LEAST <= number <= _CALENDAR_MOST or number != int(number):
        return None
    text = str(int(number))
    form = _CALENDAR_FORMATS.get(len(text))
    if form is None or int(text[:4]) not in _CALENDAR_YEARS:
        return None
    return None if parse_as(text, form) is None else form
