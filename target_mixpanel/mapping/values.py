"""Which value does Mixpanel get for a column's value?"""

import hmac
import math
import re
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import partial
from hashlib import sha256
from typing import Any, Final, NoReturn, TypeAlias

import msgspec

from target_mixpanel.limits import (
    MAX_ARRAY_ITEMS,
    MAX_DEPTH,
    MAX_NESTED_KEYS,
    MAX_SAFE_INTEGER,
)
from target_mixpanel.mapping.canonical import plain_text
from target_mixpanel.mapping.formats import DECIMAL_FORMATS, Formats, formats_of
from target_mixpanel.mapping.json_schema import certain_types, string_format
from target_mixpanel.mapping.refusal import refuse
from target_mixpanel.mapping.stream_schema import NO_DATES, LeftOut
from target_mixpanel.mapping.times import iso_day, mixpanel_time, utc_seconds
from target_mixpanel.mapping.written_times import stands_for_none
from target_mixpanel.model import JsonObject
from target_mixpanel.specs.spec import Times

Converter: TypeAlias = Callable[[Any], Any]
"""A column's value, never None → the property's value."""

encode: Final = msgspec.json.Encoder(decimal_format="number").encode
"""Spell what Mixpanel gets as UTF-8 JSON: decimals are numbers, to their last digit."""

LargeInteger: TypeAlias = Callable[[str], None]
"""Told of a column in which an integer became its text."""

_is_number_spelled: Final = re.compile(r"-?\d+(?:(\.\d*)?([eE][+-]?\d+)?)", re.ASCII).fullmatch
_SAFE_DIGITS: Final = len(str(MAX_SAFE_INTEGER))

_MAX_PLAIN_DOUBLE: Final = 1e300
"""Of floats: NaN and infinity are beyond it, too, and a closer look tells."""

_DATE_CHARS: Final = len("2026-10-01")
_DAYS_FROM: Final = "0002"
"""Before it are the days that stand for none."""

_SECONDS_CHARS: Final = len("2026-10-01T12:00:00")


def converter(  # noqa: PLR0913 (each a fact of its own)
    column: JsonObject,
    root: JsonObject,
    times: Times,
    field: str,
    *,
    is_schema_enforced: bool,
    max_items: int = MAX_ARRAY_ITEMS,
    on_large_integer: LargeInteger = lambda _: None,
    on_left_out: LeftOut = lambda _column, _what: None,
) -> Converter | None:
    """
    Return the function that a column's values need, None where they pass as they are.

    Dates and date-times, in lists and objects too, become Mixpanel's date form (UTC, whole seconds,
    no offset); one that is none becomes None, so that a property has one type. A fraction becomes
    the nearest double, also one that is spelled as text where the schema says so; an integer beyond
    2^53 becomes its text.

    Args:
        column: The column's schema.
        root: The stream's schema, for local references.
        times: How date-times are spelled that are not ISO 8601, and the time zone of those that
            carry none.
        field: What a refusal calls the column.
        is_schema_enforced: Records are validated, so a string column holds nothing but strings.
        max_items: Of an array.
        on_large_integer: Told of *field* each time an integer becomes its text.
        on_left_out: Told of *field* each time a date is none.
    """
    dates = _Dates(times, partial(on_left_out, field, NO_DATES))
    numbers = _Numbers(field, on_large_integer)
    formats = formats_of(column, root)
    kinds = certain_types(column, root) if is_schema_enforced else frozenset()
    if kinds == {"string"}:
        return None if formats is None else _text_converter(formats, dates, numbers)
    if kinds == {"boolean"}:
        return None
    if kinds == {"integer"}:
        return _Integers(field, on_large_integer)
    if kinds == {"number"}:
        return numbers
    if kinds == {"array"} and _holds_texts(column, root):
        return _ShortTexts(field, max_items)
    reading = _Reading(field, max_items, numbers, dates)
    return lambda value: _any_value(value, reading, formats, depth=0)


def any_converter(max_items: int = MAX_ARRAY_ITEMS) -> Converter:
    """Return the function that values need that have no column: a mapping's own."""
    reading = _Reading(
        "value", max_items, _Numbers("value", lambda _: None), _Dates(Times(), lambda: None)
    )
    return lambda value: _any_value(value, reading, None, depth=0)


def hasher(key: bytes | None, field: str, *, is_lowered: bool = False) -> Converter:
    """
    Return the function that replaces a value by its hash, in 64 hex digits.

    It is the value's HMAC-SHA256 under *key*, without one its SHA-256, as other systems make it. A
    number counts as the text of its one plain spelling, so that 7, 7.0 and "7" are one person; so
    are texts that differ in the blanks around, and of a blank one there is no hash.
    """

    def hashed(value: Any) -> str | None:
        text = (value if type(value) is str else plain_text(value, field)).strip()
        if not text:
            return None
        content = (text.lower() if is_lowered else text).encode("utf-8", "surrogatepass")
        return (
            sha256(content).hexdigest() if key is None else hmac.digest(key, content, sha256).hex()
        )

    return hashed


def is_guaranteed_by_type(convert: Converter) -> bool:
    """
    Say whether *convert* changes nothing that a typed decoder of the column lets through.

    Such a decoder takes integers no larger than a double holds, and lists no longer than Mixpanel
    takes.
    """
    return isinstance(convert, (_Integers, _ShortTexts))


def takes_any_number(convert: Converter | None) -> bool:
    """Say whether *convert* is how numbers are read of which nothing is known but that."""
    return type(convert) is _Numbers


class _Numbers:
    """Make of a number what a double holds, or its text."""

    def __init__(self, field: str, on_large_integer: LargeInteger) -> None:
        self._field = field
        self._on_large_integer = on_large_integer

    def __call__(self, value: Any) -> Any:
        """Return a fraction as the nearest double, an integer as it is or, beyond 2^53, as text."""
        if type(value) is float and -_MAX_PLAIN_DOUBLE < value < _MAX_PLAIN_DOUBLE:
            return value
        if type(value) is int:
            if -MAX_SAFE_INTEGER <= value <= MAX_SAFE_INTEGER:
                return value
            self._on_large_integer(self._field)
            return str(value)
        number = value if type(value) is Decimal else Decimal(repr(value))
        if not number.is_finite():
            refuse("not_a_number", self._field, "is NaN or infinite")
        double = float(number)
        if math.isinf(double):
            self._on_large_integer(self._field)
            return str(number)
        return double

    def spelled(self, text: str) -> Any:
        """Return the number that *text* spells, None if blank; another text stays as it is."""
        trimmed = text.strip()
        if not trimmed:
            return None
        spelled = _is_number_spelled(trimmed)
        if spelled is None:
            return text
        if spelled[1] is not None or spelled[2] is not None:
            double = float(trimmed)
            return text if math.isinf(double) else double
        digits = trimmed.lstrip("-").lstrip("0")
        if len(digits) > _SAFE_DIGITS or abs(int(trimmed)) > MAX_SAFE_INTEGER:
            self._on_large_integer(self._field)
            return text
        return int(trimmed)


class _Integers(_Numbers):
    """The same of an integer column."""


class _Dates:
    """Make of a text the date that it spells, in Mixpanel's form, or None and tell of it."""

    def __init__(self, times: Times, tell: Callable[[], None]) -> None:
        self.times: Final = times
        self._tell = tell

    def moment(self, text: str) -> str | None:
        """Return a date-time in UTC and whole seconds."""
        return self._known(utc_seconds(text, self.times))

    def date_or_text(self, text: str, form: str) -> str | None:
        """Return what *form* makes of a text that need not be a date: another stays as it is."""
        is_day = form == "date"
        found = iso_day(text, self.times.form) if is_day else utc_seconds(text, self.times)
        return self._known(found) if found is not None or stands_for_none(text) else text

    def day(self, text: str) -> str | None:
        """Return a day, which some taps write with a midnight behind it."""
        if len(text) == _DATE_CHARS and text[7] == "-" and text > _DAYS_FROM:
            try:
                date.fromisoformat(text)
            except ValueError:
                pass  # as people spell it
            else:
                return text
        return self._known(iso_day(text, self.times.form))

    def of(self, moment: date) -> str | None:
        """Return what a database's driver has for a date or a date-time."""
        if not isinstance(moment, datetime):
            return self._known(iso_day(moment.isoformat()))
        return self._known(mixpanel_time(moment, self.times.timezone))

    def _known(self, found: str | None) -> str | None:
        if found is None:
            self._tell()
        return found


def _text_converter(formats: Formats, dates: _Dates, numbers: _Numbers) -> Converter | None:
    """Return what a column of nothing but texts needs."""
    form = formats.form
    if form is None:
        return None
    if form in DECIMAL_FORMATS:
        return numbers.spelled
    if formats.is_or_text:
        return lambda text: dates.date_or_text(text, form)
    return dates.day if form == "date" else _time_converter(dates)


def _time_converter(dates: _Dates) -> Converter:
    def convert(text: str) -> str | None:
        if text[16:17] == ":" and text[10] == "T" and text[7] == "-" and text[0] != "0":
            # The common spelling of UTC, 2026-10-01T12:00:00Z, holds its own answer.
            try:
                if (fromisoformat(text).tzinfo or of_none) is UTC:
                    return text[:_SECONDS_CHARS]
            except ValueError:
                pass  # 24:00, or a leap second
        return dates.moment(text)

    fromisoformat, of_none = datetime.fromisoformat, dates.times.timezone
    return convert


def _holds_texts(column: JsonObject, root: JsonObject) -> bool:
    """Say whether every item of an array column is surely a text that passes as it is."""
    items = column.get("items")
    return (
        isinstance(items, dict)
        and "prefixItems" not in column  # then *items* speaks of the others only
        and certain_types(items, root) == {"string"}
        and string_format(items, root) is None
    )


class _ShortTexts:
    """Take a list of texts as it is, unless it is too long."""

    def __init__(self, field: str, max_items: int) -> None:
        self._field = field
        self._max_items = max_items

    def __call__(self, texts: list[str]) -> list[str]:
        if len(texts) > self._max_items:
            _refuse_array(self._field, self._max_items)
        return texts


def _refuse_array(field: str, max_items: int) -> NoReturn:
    refuse("array_too_long", field, f"has more than {max_items} items", stage="limit")


class _Reading(msgspec.Struct, frozen=True):
    """How the values of a column of uncertain type are read."""

    field: str
    max_items: int
    numbers: _Numbers
    dates: _Dates

    def text(self, text: str, formats: Formats) -> Any:
        """Return what a text means by its format; None if it should be a date, and is none."""
        form = formats.form
        if form is None:
            return text
        if form in DECIMAL_FORMATS:
            return self.numbers.spelled(text)
        if formats.is_or_text:
            return self.dates.date_or_text(text, form)
        return self.dates.day(text) if form == "date" else self.dates.moment(text)


def _any_value(value: Any, reading: _Reading, formats: Formats | None, depth: int) -> Any:
    kind = type(value)
    if kind is str:
        return value if formats is None else reading.text(value, formats)
    if kind is bool or value is None:
        return value
    if kind is int or kind is Decimal or kind is float:
        return reading.numbers(value)
    if kind is list:
        if len(value) > reading.max_items:
            _refuse_array(reading.field, reading.max_items)
        return _list(value, reading, formats, depth)
    if kind is dict:
        field = reading.field
        if depth == MAX_DEPTH:
            refuse("too_deep", field, f"nests more than {MAX_DEPTH} levels", stage="limit")
        if len(value) > MAX_NESTED_KEYS:
            refuse("too_many_keys", field, f"has more than {MAX_NESTED_KEYS} keys", stage="limit")
        return _object(value, reading, formats, depth + 1)
    if isinstance(value, date):
        return reading.dates.of(value)
    return refuse("invalid_value", reading.field, f"is of type {kind.__name__}")


def _list(items: list[Any], reading: _Reading, formats: Formats | None, depth: int) -> list[Any]:
    if formats is None:
        found = [_any_value(item, reading, None, depth) for item in items]
    else:
        found = [
            _any_value(item, reading, formats.item(place), depth)
            for place, item in enumerate(items)
        ]
    if None not in found:
        return found
    return [new for new, item in zip(found, items, strict=True) if new is not None or item is None]


def _object(
    value: JsonObject, reading: _Reading, formats: Formats | None, depth: int
) -> JsonObject:
    if formats is None:
        found = {name: _any_value(item, reading, None, depth) for name, item in value.items()}
    else:
        found = {
            name: _any_value(item, reading, formats.column(name), depth)
            for name, item in value.items()
        }
    if None not in found.values():
        return found
    return {name: item for name, item in found.items() if item is not None or value[name] is None}
