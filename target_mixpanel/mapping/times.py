"""Which instant does a value of the tap mean?"""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, tzinfo
from decimal import ROUND_FLOOR, Context, Decimal
from typing import Any, Final, TypeAlias

from target_mixpanel.limits import EARLIEST_TIME_MS, FUTURE_TOLERANCE_MS
from target_mixpanel.mapping.refusal import refuse
from target_mixpanel.specs.spec import Times, TimeUnit

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

_CALENDAR_FORMATS: Final = {8: "%Y%m%d", 10: "%Y%m%d%H", 12: "%Y%m%d%H%M", 14: "%Y%m%d%H%M%S"}
"""Spellings of a date, by their digits, that may be taken for a number of seconds or the like."""

_CALENDAR_YEARS: Final = range(1970, 2100)

_CALENDAR_LEAST: Final = 1970_01_01
_CALENDAR_FROM: Final = 1970_01_01_00
_CALENDAR_TO: Final = 2099_12_31_23_59
_CALENDAR_MOST: Final = 2099_12_31_23_59_59
"""The first and the last number that reads as a date, and those that may be a time in some unit."""

_NO_DATE: Final = re.compile(r"[-+0:./, TZ]*|000[01]-.*|-?infinity", re.IGNORECASE)

_ZERO_YEAR: Final = 1
"""Of the date that stands for none in Go and .NET."""

_FLOOR: Final = Context(prec=2 * _LONGEST_NUMBER_CHARS, rounding=ROUND_FLOOR)
"""Decimal arithmetic that never rounds an instant up into the next millisecond."""

_BY_PEOPLE: Final = re.compile(
    r"(?P<day>[\dW-]{7,10})(?:\s*T\s*|\s+)(?P<clock>\d[\d:.,]*)\s*"
    r"((?P<zone>Z|UTC|GMT|[+-]\d\d(:?\d\d)?)(\[[\w/+-]*\])?)?",
    re.ASCII | re.IGNORECASE,
)
"""ISO 8601 but for blanks, small letters, and a zone by its name; Java adds that in brackets."""

_MIDNIGHT_24: Final = re.compile(r"(.+[T ])24(?::?00(?::?00(?:[.,]0+)?)?)?(Z|[+-]\d\d:?\d\d)?")
_LEAP_SECOND: Final = re.compile(r"(.+[T ]\d\d:?\d\d:?)60([.,]\d+)?(Z|[+-]\d\d:?\d\d)?")


def time_reader(times: Times, field: str) -> TimeReader:
    """
    Return the reader of the time column that a refusal calls *field*.

    It takes ISO 8601 text (`Z`, an offset, or none: then the mapping's time zone; a date alone is
    its midnight; `24:00` and the leap second `:60` are the instant after), texts and whole numbers
    as the mapping's format has them, and numbers in its unit, as JSON numbers or as text. With unit
    "auto" a number must lie between 1971 and an hour from now in exactly one unit; those ranges do
    not overlap; it must not read as a date, too; and eight digits of text are a date. Digits finer
    than a millisecond are cut off.
    """
    fromisoformat = datetime.fromisoformat
    timezone = times.timezone
    may_be_compact = times.unit == "auto"

    def read(value: Any, now_ms: int) -> int:
        if type(value) is str:
            # The common spelling first; a compact one could be an epoch number just as well.
            if value[4:5] == "-":
                try:
                    moment = fromisoformat(value)
                except ValueError:
                    return _read_text(value, times, field)
                if moment.tzinfo is None:
                    moment = moment.replace(tzinfo=timezone)
                return (moment - _EPOCH) // _MILLISECOND
            text = value.strip()
            spelled = None if times.form is None else _parse_as(text, times.form)
            if spelled is not None:
                return _instant_ms(spelled, timezone)
            is_compact = may_be_compact and len(text) == _COMPACT_DATE_DIGITS and text.isdecimal()
            if is_compact or not _NUMBER.fullmatch(text):
                return _read_text(text, times, field)
            if len(text) > _LONGEST_NUMBER_CHARS:
                refuse("invalid_time", field, "is too long a number")
            return _read_number(Decimal(text), times, field, now_ms)
        if type(value) is int or type(value) is Decimal:
            return _read_number(value, times, field, now_ms)
        if type(value) is float:
            return _read_number(Decimal(repr(value)), times, field, now_ms)
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
    """
    Read an ISO 8601 date or date-time; None if it is none.

    `24:00`, `:60`, blanks around it and before the zone, ` UTC` and small letters are read, too.
    """
    moment = _parse_strict(text)
    if moment is not None:
        return moment
    trimmed = text.strip()
    by_people = _BY_PEOPLE.fullmatch(trimmed)
    if by_people is None:
        return None if trimmed == text else _parse_strict(trimmed)
    zone = (by_people["zone"] or "").upper()
    offset = "Z" if zone in {"UTC", "GMT"} else zone
    return _parse_strict(f"{by_people['day'].upper()}T{by_people['clock']}{offset}")


def parse_moment(text: str, form: str | None) -> datetime | None:
    """Read an ISO 8601 date or date-time, or one as strptime has it by *form*; None if neither."""
    if form is None:
        return parse_iso(text)
    trimmed = text.strip()
    if not trimmed.isdecimal():
        return parse_iso(text) or _parse_as(trimmed, form)
    # Digits alone are what the mapping says: 01102026 is a day of the year 2026.
    return _parse_as(trimmed, form) or parse_iso(text)


def _parse_as(text: str, form: str) -> datetime | None:
    try:
        moment = datetime.strptime(text, form)  # noqa: DTZ007 (the mapping's zone is for that)
        # Of digits alone strptime takes fewer than there should be.
        return moment if not text.isdecimal() or moment.strftime(form) == text else None
    except ValueError:
        return None


def _parse_strict(text: str) -> datetime | None:
    if text[: _COMPACT_DATE_DIGITS + 1].isdecimal() and len(text) != _COMPACT_DATE_DIGITS:
        return None
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return _parse_beyond_midnight(text)


def utc_seconds(text: str, times: Times) -> str | None:
    """
    Return a date-time in UTC and whole seconds, without its offset.

    None: It is no date-time, stands for none, or leaves the calendar on its way to UTC.
    """
    moment = parse_moment(text, times.form)
    return None if moment is None else mixpanel_time(moment, times.timezone)


def mixpanel_time(moment: datetime, timezone: tzinfo) -> str | None:
    """Return *moment* as `utc_seconds` does; *timezone* where it carries none."""
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=timezone)
    try:
        utc = moment.astimezone(UTC)
    except OverflowError:
        return None
    is_none = utc.year == _ZERO_YEAR
    return None if is_none else utc.replace(tzinfo=None).isoformat(timespec="seconds")


def stands_for_none(text: str) -> bool:
    """Say whether *text* is what taps and databases write where there is no date."""
    return _NO_DATE.fullmatch(text.strip()) is not None


def iso_day(text: str, form: str | None = None) -> str | None:
    """Return the day of a date or date-time, None if *text* is none, or stands for none."""
    moment = parse_moment(text, form)
    return None if moment is None or moment.year == _ZERO_YEAR else moment.date().isoformat()


def moment_of_number(number: int | Decimal, times: Times) -> datetime | None:
    """
    Return the instant that a number of a date property means.

    Without a unit its size tells: as seconds, milliseconds and so on it is a day from 1971 to 2969
    in one of them only. None: it means none.
    """
    if not _is_instants(Decimal(number)):
        return None
    if times.form is not None and number == int(number):
        moment = _parse_as(str(int(number)), times.form)
        if moment is not None:
            return moment
    if times.unit == "auto" and _calendar_format(number) is not None:
        return None
    unit = _unit_by_size(number) if times.unit == "auto" else times.unit
    if unit is None:
        return None
    microseconds = int(number * 1_000_000) // _UNITS_PER_SECOND[unit]
    try:
        return _EPOCH + timedelta(microseconds=microseconds)
    except OverflowError:
        return None


def _unit_by_size(number: int | Decimal) -> TimeUnit | None:
    """Return in which unit *number* is a time from 1971 on: each begins where the last one ends."""
    found: TimeUnit | None = None
    for unit, per_second in _UNITS_PER_SECOND.items():
        if number >= EARLIEST_TIME_MS // 1_000 * per_second:
            found = unit
    return found


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


def _read_text(text: str, times: Times, field: str) -> int:
    moment = parse_moment(text, times.form)
    if moment is None:
        if not text or text.isspace():
            refuse("invalid_time", field, "is blank")
        if times.form is None:
            refuse(
                "invalid_time",
                field,
                "is not ISO 8601; if it is right, say how it is spelled, as in "
                'time_format: "%d/%m/%Y %H:%M"',
            )
        refuse("invalid_time", field, "is neither ISO 8601 nor as time_format says")
    return _instant_ms(moment, times.timezone)


def _thousandfold(number: Decimal, field: str) -> int:
    """Return *number* times 1,000, rounded down: an instant never moves into the next ms."""
    if not _is_instants(number):
        refuse("invalid_time", field, "is too large a number")
    return int(_FLOOR.multiply(number, 1_000).to_integral_value(ROUND_FLOOR))


def _is_instants(number: Decimal) -> bool:
    """Say whether *number* is small enough to be computed with."""
    return number.is_finite() and number.adjusted() <= _LONGEST_EXPONENT


def _read_number(value: int | Decimal, times: Times, field: str, now_ms: int) -> int:
    is_int = type(value) is int
    thousandfold = value * 1_000 if is_int else _thousandfold(Decimal(value), field)
    if times.form is not None and thousandfold % 1_000 == 0:
        moment = _parse_as(str(thousandfold // 1_000), times.form)
        if moment is not None:
            return _instant_ms(moment, times.timezone)
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
        "is between 1971 and now in no unit; set time_unit if it is right",
    )


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
    return None if _parse_as(text, form) is None else form
