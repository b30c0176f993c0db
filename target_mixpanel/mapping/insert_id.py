"""How is a repeat known as such: which $insert_id does a record's event get?"""

import re
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta, tzinfo
from hashlib import blake2b
from typing import Any, Final, TypeAlias

import msgspec

from target_mixpanel.errors import StreamSchemaError
from target_mixpanel.limits import INSERT_ID_MAX_CHARS, RESERVED_IDS
from target_mixpanel.mapping.canonical import canonical, canonical_json
from target_mixpanel.mapping.instants import instant
from target_mixpanel.mapping.json_schema import string_format
from target_mixpanel.mapping.paths import (
    WHOLE_RECORD,
    ResolvedColumn,
    Slots,
    Values,
    resolve,
    resolve_column,
)
from target_mixpanel.mapping.refusal import refuse
from target_mixpanel.mapping.stream_schema import METADATA_PREFIX, StreamSchema
from target_mixpanel.mapping.written_times import parse_moment
from target_mixpanel.model import NO_SINGLE_COLUMN
from target_mixpanel.specs.spec import (
    Column,
    Constant,
    EventSpec,
    KeyColumns,
    KeyProperties,
    Source,
    Times,
    VerbatimInsertId,
    times_of,
)

InsertIdReader: TypeAlias = Callable[[Values, str, int], str]
"""(a record's values, its event's name and time in ms) → $insert_id."""

RECIPE_VERSION: Final = 2
"""Part of every hashed $insert_id. A change here makes every repeat a new event: never change the
recipe below without a new number, nor the number without a release that says so."""

_DIGEST_BYTES: Final = 16
"""32 hex digits: within INSERT_ID_MAX_CHARS, and no two events share them by chance."""

_VERBATIM: Final = re.compile(rf"[A-Za-z0-9-]{{1,{INSERT_ID_MAX_CHARS}}}")

_FINER_THAN_MICROSECONDS: Final = re.compile(r"[.,]\d{6}(\d*[1-9])")
"""What Python's datetime, which ends at microseconds, would lose of a text."""

_MICROSECOND: Final = timedelta(microseconds=1)


def insert_id_reader(spec: EventSpec, stream_schema: StreamSchema, slots: Slots) -> InsertIdReader:
    """
    Compile how a stream's records get their $insert_id.

    The recipe: BLAKE2b-128, in hex, of the JSON array [version, salt, stream, event, [time, …]],
    the salt only if there is one, then the event's time in ms and the keys. A key that is a
    date-time counts as its instant, and a number as its value, however they are spelled. The time
    is in it because Mixpanel's compaction merges what has one id on one day, whatever its time.
    https://developer.mixpanel.com/reference/event-deduplication

    Raises:
        StreamSchemaError: The schema has no such column.
    """
    place = f"{spec.place}.insert_id"
    match spec.insert_id:
        case VerbatimInsertId(path=path):
            column = resolve(path, stream_schema.schema, place)
            return _verbatim(column, slots, _stand_in(column, spec, stream_schema, slots))
        case KeyColumns(members=members):
            found = [_member(member, spec, stream_schema, place) for member in members]
            return _hashed(found, spec, stream_schema, slots)
        case KeyProperties() if stream_schema.key_properties:
            return _hashed(_resolve_key(spec, stream_schema), spec, stream_schema, slots)
        case KeyProperties():
            return _hashed_whole(stream_schema, slots)


class _Member(msgspec.Struct, frozen=True):
    """One of the values that are hashed."""

    column: ResolvedColumn | None
    """None: the same value for every record."""
    is_time: bool = False
    stand_in: Any = None
    """That value, or the column's default, in its one spelling; None: there is none."""


def _member(source: Source, spec: EventSpec, stream_schema: StreamSchema, place: str) -> _Member:
    match source:
        case Constant(value=value):
            return _Member(None, stand_in=canonical(value, place))
        case Column(default=default):
            column = resolve_column(source, stream_schema, place)
            is_time = string_format(column.schema, stream_schema.schema) == "date-time"
            if default is None or default is msgspec.UNSET:
                return _Member(column, is_time)
            if is_time and isinstance(default, str):
                return _Member(column, is_time, _canonical_time(default, times_of(spec)))
            return _Member(column, is_time, canonical(default, place))


def _resolve_key(spec: EventSpec, stream_schema: StreamSchema) -> list[_Member]:
    place = f"{spec.place}.insert_id: key_properties"
    try:
        return [
            _member(Column((name,)), spec, stream_schema, place)
            for name in stream_schema.key_properties
        ]
    except StreamSchemaError as error:
        raise StreamSchemaError(
            f"{error}; the tap names a key that its own schema lacks, so set insert_id",
        ) from None


def _stand_in(
    column: ResolvedColumn, spec: EventSpec, stream_schema: StreamSchema, slots: Slots
) -> InsertIdReader:
    """Return the recipe for records that have null where others have an id of their own."""
    if not stream_schema.key_properties:
        return _hashed_whole(stream_schema, slots, is_rare=True)
    try:
        key = _resolve_key(spec, stream_schema)
    except StreamSchemaError:
        return lambda *_: refuse(
            "null_key", column.name, "is null, and the stream's schema lacks its key"
        )
    return _hashed(key, spec, stream_schema, slots)


def _verbatim(column: ResolvedColumn, slots: Slots, stand_in: InsertIdReader) -> InsertIdReader:
    slot = slots.add(column)

    def read(values: Values, event: str, time_ms: int) -> str:
        value = values[slot]
        if value is None:
            return stand_in(values, event, time_ms)
        text = str(value) if type(value) is int else value
        if type(text) is not str or not _VERBATIM.fullmatch(text) or text.lower() in RESERVED_IDS:
            refuse(
                "invalid_insert_id",
                column.name,
                f"is not 1 to {INSERT_ID_MAX_CHARS} of A-Z, a-z, 0-9 and -; write the column as a "
                "list to hash it",
                stage="limit",
            )
        return text

    return read


def _hashed(
    members: Sequence[_Member],
    spec: EventSpec,
    stream_schema: StreamSchema,
    slots: Slots,
) -> InsertIdReader:
    recipe, times = _Recipe(stream_schema), times_of(spec)
    readers = [
        (slots.add(member.column), member.column.name, member.is_time, member.stand_in)
        for member in members
        if member.column is not None
    ]
    constants = [
        (place, member.stand_in)
        for place, member in enumerate(members, start=1)  # the time is before them
        if member.column is None
    ]

    def read(values: Values, event: str, time_ms: int) -> str:
        keys: list[Any] = [time_ms]
        for slot, name, is_time, stand_in in readers:
            value = values[slot]
            kind = type(value)
            if kind is int:
                keys.append(value)
            elif kind is str:
                keys.append(_canonical_time(value, times) if is_time else value)
            elif value is None and stand_in is not None:
                keys.append(stand_in)
            else:
                keys.append(_canonical_key(value, name, times.timezone))
        for place, constant in constants:
            keys.insert(place, constant)
        hashed = recipe.begun(event).copy()
        hashed.update(canonical_json(keys) + b"]")
        return hashed.hexdigest()

    return read


def _hashed_whole(
    stream_schema: StreamSchema, slots: Slots, *, is_rare: bool = False
) -> InsertIdReader:
    recipe, slot = _Recipe(stream_schema), slots.add(WHOLE_RECORD, is_rare=is_rare)

    def read(values: Values, event: str, time_ms: int) -> str:
        if values[slot] is None:
            # The fast way has no record as a whole: the careful way has.
            refuse("null_key", NO_SINGLE_COLUMN, "is not at hand")
        # The loader's and the tap's bookkeeping differs between runs; the record does not.
        own = {
            name: canonical(value, name)
            for name, value in values[slot].items()
            if not name.startswith(METADATA_PREFIX)
        }
        hashed = recipe.begun(event).copy()
        hashed.update(canonical_json([time_ms, {"record": own}]) + b"]")
        return hashed.hexdigest()

    return read


class _Recipe:
    """BLAKE2b of what all records share, which is hashed once: all before the time."""

    def __init__(self, stream_schema: StreamSchema) -> None:
        salt = stream_schema.insert_id_salt
        salts = () if salt is None else (salt,)
        self._shared = (RECIPE_VERSION, *salts, stream_schema.stream)
        self._event: str | None = None
        self._begun = blake2b(digest_size=_DIGEST_BYTES)

    def begun(self, event: str) -> blake2b:
        """Return the hash of all that comes before the time; to be copied."""
        if event != self._event:
            self._event = event
            # Up to where the time begins: `[2,"orders","Order Placed",`
            start = canonical_json([*self._shared, event]).removesuffix(b"]") + b","
            self._begun = blake2b(start, digest_size=_DIGEST_BYTES)
        return self._begun


def _canonical_key(value: Any, name: str, timezone: tzinfo) -> Any:
    """Return a key value that is neither int nor text in its one spelling, or refuse it."""
    if value is None:
        refuse("null_key", name, "is null or missing, so no $insert_id can be made of it")
    if isinstance(value, datetime):
        return {"us": instant(value, timezone) // _MICROSECOND}
    if isinstance(value, (dict, list)):
        refuse("invalid_key", name, "is an object or a list, so no $insert_id can be made of it")
    return canonical(value, name)


def _canonical_time(text: str, times: Times) -> Any:
    """Return a date-time's instant: its spellings are one key, a nanosecond later is another."""
    moment = parse_moment(text, times.form)
    if moment is None:
        return text
    finer = _FINER_THAN_MICROSECONDS.search(text)
    microseconds = instant(moment, times.timezone) // _MICROSECOND
    return {"us": microseconds, "finer": finer.group(1)} if finer else {"us": microseconds}
