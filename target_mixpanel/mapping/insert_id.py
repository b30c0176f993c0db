"""How is a repeat known as such: which $insert_id does a record's event get?"""

import re
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta, tzinfo
from hashlib import blake2b
from typing import Any, Final, TypeAlias

from target_mixpanel.errors import StreamSchemaError
from target_mixpanel.limits import INSERT_ID_MAX_CHARS, RESERVED_IDS
from target_mixpanel.mapping.canonical import canonical, canonical_json
from target_mixpanel.mapping.json_schema import string_format
from target_mixpanel.mapping.paths import WHOLE_RECORD, ResolvedColumn, Slots, Values, resolve
from target_mixpanel.mapping.refusal import refuse
from target_mixpanel.mapping.stream_schema import METADATA_PREFIX, StreamSchema
from target_mixpanel.mapping.times import instant, parse_iso
from target_mixpanel.specs.spec import EventSpec, KeyColumns, KeyProperties, VerbatimInsertId

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
            return _verbatim(resolve(path, stream_schema.schema, place), slots)
        case KeyColumns(paths=paths):
            columns = [resolve(path, stream_schema.schema, place) for path in paths]
            return _hashed(columns, spec, stream_schema, slots)
        case KeyProperties() if stream_schema.key_properties:
            return _hashed(_resolve_key(stream_schema, place), spec, stream_schema, slots)
        case KeyProperties():
            return _hashed_whole(stream_schema, slots)


def _resolve_key(stream_schema: StreamSchema, place: str) -> list[ResolvedColumn]:
    try:
        return [
            resolve((name,), stream_schema.schema, f"{place}: key_properties")
            for name in stream_schema.key_properties
        ]
    except StreamSchemaError as error:
        raise StreamSchemaError(
            f"{error}; the tap names a key that its own schema lacks, so set insert_id",
        ) from None


def _verbatim(column: ResolvedColumn, slots: Slots) -> InsertIdReader:
    slot = slots.add(column)

    def read(values: Values, event: str, time_ms: int) -> str:  # noqa: ARG001 (as all recipes)
        value = values[slot]
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
    columns: Sequence[ResolvedColumn],
    spec: EventSpec,
    stream_schema: StreamSchema,
    slots: Slots,
) -> InsertIdReader:
    recipe, timezone = _Recipe(stream_schema), spec.timezone
    readers = [
        (
            slots.add(column),
            column.name,
            string_format(column.schema, stream_schema.schema) == "date-time",
        )
        for column in columns
    ]

    def read(values: Values, event: str, time_ms: int) -> str:
        keys: list[Any] = [time_ms]
        for slot, name, is_time in readers:
            value = values[slot]
            kind = type(value)
            if kind is int:
                keys.append(value)
            elif kind is str:
                keys.append(_canonical_time(value, timezone) if is_time else value)
            else:
                keys.append(_canonical_key(value, name, timezone))
        hashed = recipe.begun(event).copy()
        hashed.update(canonical_json(keys) + b"]")
        return hashed.hexdigest()

    return read


def _hashed_whole(stream_schema: StreamSchema, slots: Slots) -> InsertIdReader:
    recipe, slot = _Recipe(stream_schema), slots.add(WHOLE_RECORD)

    def read(values: Values, event: str, time_ms: int) -> str:
        # The loader's and the tap's bookkeeping differs between runs; the record does not.
        own = {
            name: canonical(value)
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
    return canonical(value)


def _canonical_time(text: str, timezone: tzinfo) -> Any:
    """Return a date-time's instant: its spellings are one key, a nanosecond later is another."""
    moment = parse_iso(text)
    if moment is None:
        return text
    finer = _FINER_THAN_MICROSECONDS.search(text)
    microseconds = instant(moment, timezone) // _MICROSECOND
    return {"us": microseconds, "finer": finer.group(1)} if finer else {"us": microseconds}
