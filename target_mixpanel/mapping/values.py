"""Which value does Mixpanel get for a column's value?"""

import hmac
import math
import re
from collections.abc import Callable
from datetime import UTC, date, datetime, tzinfo
from decimal import Decimal
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
from target_mixpanel.mapping.json_schema import certain_types, string_format
from target_mixpanel.mapping.refusal import refuse
from target_mixpanel.mapping.times import iso_day, utc_seconds
from target_mixpanel.model import JsonObject

Converter: TypeAlias = Callable[[Any], Any]
"""A column's value, never None → the property's value."""

encode: Final = msgspec.json.Encoder(decimal_format="number").encode
"""Spell what Mixpanel gets as UTF-8 JSON: decimals are numbers, to their last digit."""

LargeInteger: TypeAlias = Callable[[str], None]
"""Told of a column in which an integer became its text."""

DECIMAL_FORMATS: Final = frozenset({"decimal", "numeric", "singer.decimal", "x-singer.decimal"})
"""Of texts that spell numbers. https://github.com/MeltanoLabs/Singer-Working-Group/issues/32"""

_is_number_spelled: Final = re.compile(r"-?\d+(?:(\.\d*)?([eE][+-]?\d+)?)", re.ASCII).fullmatch
_SAFE_DIGITS: Final = len(str(MAX_SAFE_INTEGER))

_MAX_PLAIN_DOUBLE: Final = 1e300
"""Of floats: NaN and infinity are beyond it, too, and a closer look tells."""

_DATE_CHARS: Final = len("2026-10-01")
_SECONDS_CHARS: Final = len("2026-10-01T12:00:00")


def converter(  # noqa: PLR0913 (each a fact of its own)
    column: JsonObject,
    root: JsonObject,
    timezone: tzinfo,
    field: str,
    *,
    is_schema_enforced: bool,
    max_items: int = MAX_ARRAY_ITEMS,
    on_large_integer: LargeInteger = lambda _: None,
) -> Converter | None:
    """
    Return the function that a column's values need, None where they pass as they are.

    Date-times become Mixpanel's date form (UTC, whole seconds, no offset). A fraction becomes the
    nearest double, also one that is spelled as text where the schema says so; an integer beyond
    2^53 becomes its text.

    Args:
        column: The column's schema.
        root: The stream's schema, for local references.
        timezone: Of date-times that carry none.
        field: What a refusal calls the column.
        is_schema_enforced: Records are validated, so a string column holds nothing but strings.
        max_items: Of an array.
        on_large_integer: Told of *field* each time an integer becomes its text.
    """
    numbers = _Numbers(field, on_large_integer)
    kinds = certain_types(column, root) if is_schema_enforced else frozenset()
    if kinds == {"string"}:
        match string_format(column, root):
            case "date-time":
                return _time_converter(timezone)
            case "date":
                return lambda text: text if len(text) == _DATE_CHARS else _mixpanel_date(text)
            case form if form in DECIMAL_FORMATS:
                return numbers.spelled
            case _:
                return None
    if kinds == {"boolean"}:
        return None
    if kinds == {"integer"}:
        return _Integers(field, on_large_integer)
    if kinds == {"number"}:
        return numbers
    if kinds == {"array"} and _holds_texts(column, root):
        return _ShortTexts(field, max_items)
    reading = _Reading(field, timezone, max_items, numbers)
    form = string_format(column, root)
    if form in DECIMAL_FORMATS:
        return lambda value: (
            numbers.spelled(value)
            if type(value) is str
            else _any_value(value, reading, is_time=False, depth=0)
        )
    is_time = form == "date-time"
    return lambda value: _any_value(value, reading, is_time=is_time, depth=0)


def any_converter(max_items: int = MAX_ARRAY_ITEMS) -> Converter:
    """Return the function that values need that have no column: a mapping's own."""
    reading = _Reading("value", UTC, max_items, _Numbers("value", lambda _: None))
    return lambda value: _any_value(value, reading, is_time=False, depth=0)


def hasher(key: bytes, field: str) -> Converter:
    """
    Return the function that replaces a value by its HMAC-SHA256, in 64 hex digits.

    A number counts as the text of its one plain spelling, so that 7, 7.0 and "7" are one person.
    """

    def hashed(value: Any) -> str:
        text = value if type(value) is str else plain_text(value, field)
        return hmac.digest(key, text.encode("utf-8", "surrogatepass"), sha256).hex()

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
        """Return the number that *text* spells; a text that spells none stays as it is."""
        trimmed = text.strip()
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


def _time_converter(timezone: tzinfo) -> Converter:
    def convert(text: str) -> str:
        if text[16:17] == ":" and text[10] == "T" and text[7] == "-":
            # The common spelling of UTC, 2026-10-01T12:00:00Z, holds its own answer.
            try:
                if fromisoformat(text).tzinfo is UTC:
                    return text[:_SECONDS_CHARS]
            except ValueError:
                pass  # 24:00, or a leap second
        return _mixpanel_time(text, timezone)

    fromisoformat = datetime.fromisoformat
    return convert


def _mixpanel_time(text: str, timezone: tzinfo) -> str:
    """Return a date-time in Mixpanel's form; a text that is none stays as it is."""
    return utc_seconds(text, timezone) or text


def _mixpanel_date(text: str) -> str:
    """Return the day of a date that some taps write with a midnight behind it."""
    return iso_day(text) or text


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
    timezone: tzinfo
    max_items: int
    numbers: _Numbers


def _any_value(value: Any, reading: _Reading, *, is_time: bool, depth: int) -> Any:
    kind = type(value)
    if kind is str:
        return _mixpanel_time(value, reading.timezone) if is_time else value
    if kind is bool or value is None:
        return value
    if kind is int or kind is Decimal or kind is float:
        return reading.numbers(value)
    if kind is list:
        if len(value) > reading.max_items:
            _refuse_array(reading.field, reading.max_items)
        return [_any_value(item, reading, is_time=is_time, depth=depth) for item in value]
    if kind is dict:
        field = reading.field
        if depth == MAX_DEPTH:
            refuse("too_deep", field, f"nests more than {MAX_DEPTH} levels", stage="limit")
        if len(value) > MAX_NESTED_KEYS:
            refuse("too_many_keys", field, f"has more than {MAX_NESTED_KEYS} keys", stage="limit")
        return {
            name: _any_value(item, reading, is_time=False, depth=depth + 1)
            for name, item in value.items()
        }
    if isinstance(value, datetime):
        return _mixpanel_time(value.isoformat(), reading.timezone)
    if isinstance(value, date):
        return value.isoformat()
    return refuse("invalid_value", reading.field, f"is of type {kind.__name__}")
