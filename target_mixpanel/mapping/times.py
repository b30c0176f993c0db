"""Which instant is the time of an event, and which date has Mixpanel for one of the tap's?"""

import re
from collections.abc import Callable
from datetime import UTC, datetime, tzinfo
from decimal import Decimal
from typing import Any, Final, TypeAlias

from target_mixpanel.limits import EARLIEST_TIME_MS, FUTURE_TOLERANCE_MS
from target_mixpanel.mapping.epochs import LONGEST_NUMBER_CHARS, read_number
from target_mixpanel.mapping.instants import EPOCH, MILLISECOND, instant_ms
from target_mixpanel.mapping.refusal import refuse
from target_mixpanel.mapping.written_times import COMPACT_DATE_DIGITS, parse_as, parse_moment
from target_mixpanel.specs.spec import Times

TimeReader: TypeAlias = Callable[[Any, int], int]
"""(value, now in ms since the epoch) → ms since the epoch; refuses what is no time."""


_NUMBER: Final = re.compile(r"[+-]?\d+(\.\d+)?", re.ASCII)
_ZERO_YEAR: Final = 1
"""Of the date that stands for none in Go and .NET."""


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
                return (moment - EPOCH) // MILLISECOND
            text = value.strip()
            spelled = None if times.form is None else parse_as(text, times.form)
            if spelled is not None:
                return instant_ms(spelled, timezone)
            is_compact = may_be_compact and len(text) == COMPACT_DATE_DIGITS and text.isdecimal()
            if is_compact or not _NUMBER.fullmatch(text):
                return _read_text(text, times, field)
            if len(text) > LONGEST_NUMBER_CHARS:
                refuse("invalid_time", field, "is too long a number")
            return read_number(Decimal(text), times, field, now_ms)
        if type(value) is int or type(value) is Decimal:
            return read_number(value, times, field, now_ms)
        if type(value) is float:
            return read_number(Decimal(repr(value)), times, field, now_ms)
        if isinstance(value, datetime):
            return instant_ms(value, timezone)
        return refuse("invalid_time", field, "is neither a text nor a number")

    return read


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
    return instant_ms(moment, times.timezone)


def refuse_outside_window(time_ms: int, now_ms: int, field: str) -> None:
    """Refuse a time that /import would refuse: before 1971 or more than an hour ahead."""
    if time_ms < EARLIEST_TIME_MS:
        refuse("time_before_1971", field, "is before 1971", stage="limit")
    if time_ms > now_ms + FUTURE_TOLERANCE_MS:
        refuse("time_in_future", field, "is more than an hour ahead", stage="limit")


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


def iso_day(text: str, form: str | None = None) -> str | None:
    """Return the day of a date or date-time, None if *text* is none, or stands for none."""
    moment = parse_moment(text, form)
    return None if moment is None or moment.year == _ZERO_YEAR else moment.date().isoformat()
