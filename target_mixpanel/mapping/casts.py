"""What is a value read as, where a mapping says `as:`?"""

import math
import re
from collections.abc import Callable
from datetime import date, datetime, time
from decimal import Decimal, InvalidOperation
from typing import Any, Final, NoReturn, TypeAlias

import msgspec

from target_mixpanel.limits import MAX_SAFE_INTEGER
from target_mixpanel.mapping.canonical import canonical, canonical_json, scalar_text
from target_mixpanel.mapping.epochs import moment_of_number
from target_mixpanel.mapping.refusal import refuse
from target_mixpanel.mapping.stream_schema import NO_DATES, LeftOut
from target_mixpanel.mapping.written_times import parse_moment
from target_mixpanel.model import JsonObject
from target_mixpanel.specs.spec import PlainCast, Times

Reader: TypeAlias = Callable[[Any], Any]
"""A column's value, never None → what it is read as; None where it says nothing."""

TRUE: Final = frozenset({"true", "t", "yes", "y", "1"})
FALSE: Final = frozenset({"false", "f", "no", "n", "0"})
"""Texts that mean a boolean, in small letters."""

_NUMBER: Final = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)

_LONGEST_NUMBER_CHARS: Final = 400
"""Of a text: a double, written out, has a few more than 300 digits."""

_decode: Final = msgspec.json.Decoder(float_hook=Decimal).decode

_DAY_CHARS: Final = len("2026-10-01")

_CLOCK: Final = re.compile("%[HIcXMs]")
"""What in a format names more than a day."""

_CAST_TYPES: Final[dict[PlainCast, JsonObject]] = {
    "number": {"type": "number"},
    "integer": {"type": "integer"},
    "boolean": {"type": "boolean"},
    "text": {"type": "string"},
    "texts": {"type": "array", "items": {"type": "string"}},
}


def schema_of(cast: PlainCast) -> JsonObject:
    """Return what is known of a value that was read so, as a JSON Schema."""
    return _CAST_TYPES.get(cast, {})


def reader(cast: PlainCast, times: Times, field: str, on_left_out: LeftOut) -> Reader:
    """
    Return the function that reads the values of the column *field* as *cast* says.

    A blank text is nothing, unless it is read as a text. A date that is none is nothing, too, and
    *on_left_out* is told; whatever else does not fit is refused.
    """
    match cast:
        case "number":
            return lambda value: _number(value, field)
        case "integer":
            return lambda value: _integer(value, field)
        case "boolean":
            return lambda value: _boolean(value, field)
        case "text":
            return lambda value: _text(value, field)
        case "texts":
            return lambda value: _texts(value, field)
        case "date":
            return _date_reader(times, field, on_left_out)
        case "json":
            return lambda value: from_json(value, field)


def _number(value: Any, field: str) -> float | int | None:
    """Return what a double holds: who says number wants to add them up."""
    number = _exact(value, "number", field)
    if number is None or (type(number) is int and abs(number) <= MAX_SAFE_INTEGER):
        return None if number is None else int(number)
    try:
        double = float(number)
    except OverflowError:
        double = math.inf
    if math.isinf(double):
        _refuse(field, "number", "is a number that no double holds; write as: text")
    return double


def _integer(value: Any, field: str) -> int | None:
    number = _exact(value, "integer", field)
    if number is None:
        return None
    if not -MAX_SAFE_INTEGER <= number <= MAX_SAFE_INTEGER:
        _refuse(field, "integer", "is beyond 2^53, where doubles end; write as: text or as: number")
    if number != int(number):
        _refuse(field, "integer", "is not whole; write as: number")
    return int(number)


def _exact(value: Any, cast: str, field: str) -> int | float | Decimal | None:
    """Return the number that a value is or spells, to the last digit; booleans are 1 and 0."""
    kind = type(value)
    if kind is int or kind is bool:
        return int(value)
    if kind is Decimal or kind is float:
        if not (value.is_finite() if kind is Decimal else math.isfinite(value)):
            refuse("not_a_number", field, "is NaN or infinite")
        return value  # type: ignore[no-any-return]
    if kind is not str:
        _refuse(field, cast, f"is no number, and as: {cast} takes nothing else")
    text = value.strip()
    if not text:
        return None
    if len(text) > _LONGEST_NUMBER_CHARS or not _NUMBER.fullmatch(text):
        remedy = "leave as out, or mend it in stream_maps"
        _refuse(field, cast, f"is a text that spells no number (as 1234.50); {remedy}")
    try:
        number = Decimal(text)
    except InvalidOperation:
        _refuse(field, cast, "is a number that no double holds; write as: text")
    return int(number) if "." not in text and "e" not in text.lower() else number


def _boolean(value: Any, field: str) -> bool | None:
    if type(value) is bool:
        return value
    if type(value) is str:
        word = value.strip().casefold()
        if not word:
            return None
    else:
        word = scalar_text(value, field) or ""
    if word in TRUE:
        return True
    if word in FALSE:
        return False
    return _refuse(
        field, "boolean", "means neither true (true, t, yes, y, 1) nor false (false, f, no, n, 0)"
    )


def _text(value: Any, field: str) -> str:
    """Return a list or an object as its JSON, all else as what `scalar_text` says."""
    text = scalar_text(value, field)
    if text is not None:
        return text
    if not isinstance(value, (dict, list)):
        refuse("invalid_value", field, f"is of type {type(value).__name__}")
    return canonical_json(canonical(value, field)).decode()


def _texts(value: Any, field: str) -> list[str] | None:
    """Return a list's members, also of one that is spelled as JSON, or one value as a list."""
    items = value if type(value) is list else [value]
    if type(value) is str:
        if not value.strip():
            return None
        found = _list_in(value)
        items = [value] if found is None else found
    texts = [scalar_text(item, field) for item in items if item is not None]
    if None in texts:
        _refuse(field, "texts", "holds lists or objects; write as: json, or as: text")
    return texts  # type: ignore[return-value]


def _list_in(text: str) -> list[Any] | None:
    if text.lstrip()[:1] != "[":
        return None
    try:
        items = _decode(text)
    except (msgspec.MsgspecError, InvalidOperation):
        return None
    return items if type(items) is list else None


def _date_reader(times: Times, field: str, on_left_out: LeftOut) -> Reader:
    def read(value: Any) -> date | None:
        found = _date(value, times)
        if found is None:
            on_left_out(field, NO_DATES)
        return found

    return read


def _date(value: Any, times: Times) -> date | None:
    kind = type(value)
    if kind is int or kind is Decimal:
        return moment_of_number(value, times)
    if kind is float:
        return moment_of_number(Decimal(repr(value)), times)
    if kind is not str:
        return value if isinstance(value, date) else None
    text = value.strip()
    moment = parse_moment(text, times.form)
    if moment is not None:
        return moment.date() if _is_day(text, moment, times.form) else moment
    is_number = len(text) <= _LONGEST_NUMBER_CHARS and _NUMBER.fullmatch(text)
    return moment_of_number(Decimal(text), times) if is_number else None


def _is_day(text: str, moment: datetime, form: str | None) -> bool:
    """Say whether *text* names a day alone, which no time zone moves."""
    if ":" in text or moment.tzinfo is not None or moment.time() != time.min:
        return False
    return len(text) <= _DAY_CHARS or (form is not None and not _CLOCK.search(form))


def from_json(value: Any, field: str) -> Any:
    """Return what a JSON text says; a value that is no text is there already."""
    if type(value) is not str:
        return value
    if not value.strip():
        return None
    try:
        return _decode(value)
    except (msgspec.MsgspecError, InvalidOperation):
        return _refuse(field, "json", "is a text that is no JSON; leave as: json out")


def within_json(path: tuple[str, ...], field: str) -> Reader:
    """Return the function that follows *path*, on which the first text is read as JSON."""

    def read(value: Any) -> Any:
        here, is_text_read = value, False
        for name in path:
            if type(here) is str and not is_text_read:
                here, is_text_read = from_json(here, field), True
            if type(here) is not dict:
                return None
            here = here.get(name)
        return here

    return read


def _refuse(field: str, cast: str, detail: str) -> NoReturn:
    refuse(f"not_{cast}", field, detail)
