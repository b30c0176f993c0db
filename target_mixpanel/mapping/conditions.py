"""Does a record meet a condition: to be skipped, to be taken, to delete a profile?"""

import re
from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final, TypeAlias

import msgspec

from target_mixpanel.limits import EARLIEST_TIME_MS
from target_mixpanel.mapping.blanks import trimmed
from target_mixpanel.mapping.canonical import scalar_text
from target_mixpanel.mapping.instants import instant
from target_mixpanel.mapping.paths import Slots, Values
from target_mixpanel.mapping.refusal import UnmappableError, refuse
from target_mixpanel.mapping.sources import fetch, source_name
from target_mixpanel.mapping.stream_schema import StreamSchema
from target_mixpanel.mapping.written_times import parse_moment
from target_mixpanel.specs.spec import Condition, IsOneOf, IsSet, StreamSpec, Times, times_of

Meets: TypeAlias = Callable[[Values, int], bool]
"""(a record's values, now in ms) → whether it meets a condition; refuses what cannot be told."""

_YES: Final = frozenset({"true", "t", "yes", "y", "1"})
_NO: Final = frozenset({"false", "f", "no", "n", "0"})
_NOTHING: Final = _NO | {"", "null", "none", "nil", "\\n", "-", "infinity", "-infinity"}
"""Texts by which taps, exports and databases say that there is nothing, in small letters."""

_ZEROS: Final = re.compile(r"[-+]?0[-+0:./, tzx]*")
"""Any number, day or place in a log that is all zeros."""

_NO_DAY: Final = re.compile(r"(\d{4}-(00-\d\d|\d\d-00)|9999-12-31)([ t].*)?", re.ASCII)
"""A day without a month or a number, as MySQL has it, and what stands for never: in whatever zone
it is, and 24:00 is beyond the calendar."""

_MILLISECOND: Final = timedelta(milliseconds=1)
_DAY_MS: Final = 86_400_000


class Conditions(msgspec.Struct, frozen=True):
    """What one mapping asks of each record before it becomes a row."""

    skip: Meets | None = None
    only: Meets | None = None
    delete: Meets | None = None

    @property
    def may_filter(self) -> bool:
        return self.skip is not None or self.only is not None

    @property
    def may_ask(self) -> bool:
        return self.may_filter or self.delete is not None

    def takes(self, values: Values, now_ms: int) -> bool:
        """
        Say whether a record is not filtered.

        Raises:
            UnmappableError: It cannot be told.
        """
        if self.skip is not None and self.skip(values, now_ms):
            return False
        return self.only is None or self.only(values, now_ms)

    def may_change(self, values: Values, now_ms: int) -> bool:
        """
        Say whether an answer may be another one by a clock that is read anew.

        Raises:
            UnmappableError: There is no answer.
        """
        return any(
            meets is not None and meets(values, now_ms) != meets(values, now_ms + _DAY_MS)
            for meets in (self.skip, self.only, self.delete)
        )


def compile_conditions(
    spec: StreamSpec,
    stream_schema: StreamSchema,
    slots: Slots,
    delete_when: Condition | None = None,
) -> Conditions:
    """
    Compile what *spec* asks of records.

    Raises:
        StreamSchemaError: The schema has no such column.
    """

    def compiled(condition: Condition | None, key: str) -> Meets | None:
        if condition is None:
            return None
        place = f"{spec.place}.{key}"
        get = fetch(condition.column, stream_schema, place, slots)
        is_met = _question(condition, key, times_of(spec))
        return lambda values, now_ms: is_met(get(values), now_ms)

    return Conditions(
        skip=compiled(spec.filters.skip_when, "skip_when"),
        only=compiled(spec.filters.only_when, "only_when"),
        delete=compiled(delete_when, "delete_when"),
    )


def _question(condition: Condition, key: str, times: Times) -> Callable[[Any, int], bool]:
    field = source_name(condition.column, key)
    match condition:
        case IsSet():
            return lambda value, now_ms: _is_set(value, now_ms, times, field, key)
        case IsOneOf(values=values):
            spellings = frozenset[str]().union(*map(_spellings, values))
            has_null = None in values
            return lambda value, _: (
                has_null if value is None else _spelling(value, field, key) in spellings
            )


def _is_set(value: Any, now_ms: int, times: Times, field: str, key: str) -> bool:
    """Say by its meaning whether a value says yes, or is an instant that has come."""
    if value is None or value is True or value is False:
        return value is True
    if isinstance(value, datetime):
        return EARLIEST_TIME_MS <= instant(value, times.timezone) // _MILLISECOND <= now_ms
    if type(value) in {int, float, Decimal}:
        return _spelling(value, field, key) != "0"
    text = _spelling(value, field, key)
    if text in _YES:
        return True
    if text in _NOTHING or _ZEROS.fullmatch(text) or _NO_DAY.fullmatch(text):
        return False
    moment = parse_moment(text.upper(), times.form)
    if moment is None:
        refuse(
            f"invalid_{key}",
            field,
            "is a text that means neither yes nor no nor an instant; list what counts: "
            f"{key}: {{column: …, is: [values]}}",
        )
    return EARLIEST_TIME_MS <= instant(moment, times.timezone) // _MILLISECOND <= now_ms


def _spelling(value: Any, field: str, key: str) -> str:
    try:
        text = scalar_text(value, field)
    except UnmappableError:
        refuse(f"invalid_{key}", field, "is NaN or infinite")
    if text is None:
        refuse(f"invalid_{key}", field, f"is a list or an object; {key} takes neither")
    # Of a word only white space is cut: what else hangs on it may mean another one.
    return text.strip().casefold() if trimmed(text) else ""


def _spellings(value: str | float | bool | None) -> frozenset[str]:  # noqa: FBT001 (a value)
    """Return what a value on a list stands for; a boolean for the words that mean it."""
    match value:
        case None:
            return frozenset()
        case True:
            return _YES
        case False:
            return _NO
        case _:
            return frozenset({_spelling(value, "", "")})
