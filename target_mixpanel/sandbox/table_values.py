"""What are the values of a lookup table to Mixpanel, of which the CSV has only text?"""

from __future__ import annotations

import math
import re
from collections import Counter
from datetime import datetime
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

import msgspec

if TYPE_CHECKING:
    from collections.abc import Hashable

    from target_mixpanel.sandbox.table_store import LookupTable

Value: TypeAlias = int | float | bool | datetime | list[str] | str
TypeName: TypeAlias = Literal["number", "datetime", "boolean", "list", "string", "undefined"]

ROWS_TYPED: Final = 1_000
"""Rows from the top by which a column is described: all of them would take seconds to look at."""

MAX_EXACT_DIGITS: Final = 15
"""An integer of so many digits is the same as a float. IEEE 754, binary64"""

MAX_INTEGER_CHARACTERS: Final = 300
"""Python reads no number of thousands of digits."""

_INTEGER: Final = re.compile(r"[+-]?[0-9]+")
_FLOAT: Final = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
_RFC_3339_UTC: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", re.ASCII)
_STRINGS: Final = msgspec.json.Decoder(list[str])


class Column(msgspec.Struct, frozen=True):
    """A column, and how many values of each type its first ROWS_TYPED rows have."""

    name: str
    types: dict[TypeName, int]


class Cell(msgspec.Struct, frozen=True):
    """A value as JSON can tell it: a date and text would look the same without the type."""

    type: TypeName
    value: Value | None


def typed(text: str) -> Value | None:
    """
    Read one value; None is undefined.

    https://developer.mixpanel.com/reference/replace-lookup-table has the types. Read strictly
    where it is vague: a date has a "Z", a list has text only, what fits nothing is text.
    """
    if not text:
        return None
    if (number := _number(text)) is not None:
        return number
    if text.lower() in {"true", "false"}:
        return text.lower() == "true"
    if (instant := _instant(text)) is not None:
        return instant
    strings = _strings(text)
    return text if strings is None else strings


def same_key(text: str) -> Hashable:
    """
    Return what is equal for all keys that are one: they are compared once they are typed.

    Read leniently where the page is vague: an integer beyond a float's digits is told from others.
    """
    if _INTEGER.fullmatch(text) and len(text) <= MAX_INTEGER_CHARACTERS:
        return int(text)
    value = typed(text)
    match value:
        case bool() | datetime():
            return type_name(value), value
        case list():
            return tuple(value)
        case _:
            return value


def type_name(value: Value | None) -> TypeName:
    """Name the type as Mixpanel's pages do."""
    match value:
        case None:
            return "undefined"
        case bool():
            return "boolean"
        case int() | float():
            return "number"
        case datetime():
            return "datetime"
        case list():
            return "list"
        case str():
            return "string"


def columns(table: LookupTable) -> list[Column]:
    """Describe the columns by their first rows."""
    rows = table.head(ROWS_TYPED)
    return [
        Column(name, dict(Counter(type_name(typed(row[place])) for row in rows)))
        for place, name in enumerate(table.columns)
    ]


def typed_rows(table: LookupTable, limit: int, *, start: int = 0) -> list[dict[str, Value | None]]:
    """Return up to *limit* rows by column name, from the *start*-th after the first."""
    return [
        dict(zip(table.columns, map(typed, row), strict=True))
        for row in table.head(limit, start=start)
    ]


def cells(row: dict[str, Value | None]) -> dict[str, Cell]:
    """Return the row with its types beside its values."""
    return {name: Cell(type_name(value), value) for name, value in row.items()}


def _number(text: str) -> float | None:
    if _INTEGER.fullmatch(text) and len(text) <= MAX_EXACT_DIGITS:
        return int(text)
    if not _FLOAT.fullmatch(text):
        return None
    number = float(text)
    return number if math.isfinite(number) else None


def _instant(text: str) -> datetime | None:
    if not _RFC_3339_UTC.fullmatch(text):
        return None
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None


def _strings(text: str) -> list[str] | None:
    if not text.startswith("["):
        return None
    try:
        return _STRINGS.decode(text)
    except (msgspec.DecodeError, RecursionError):
        return None
