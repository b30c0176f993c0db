"""How is one value of a mapping (a column, read as something, hashed; or a constant) fetched?"""

import operator
from collections.abc import Callable
from functools import partial
from typing import Any, TypeAlias

import msgspec

from target_mixpanel.errors import SettingsError, StreamSchemaError
from target_mixpanel.mapping.blanks import null_if_blank
from target_mixpanel.mapping.casts import from_json, reader, schema_of, within_json
from target_mixpanel.mapping.json_schema import types
from target_mixpanel.mapping.pairs import each_value, pairs_reader
from target_mixpanel.mapping.paths import ResolvedColumn, Slots, Values, resolve, resolve_column
from target_mixpanel.mapping.stream_schema import StreamSchema
from target_mixpanel.mapping.values import Converter, hasher
from target_mixpanel.specs.spec import (
    Column,
    Constant,
    Pairs,
    Source,
    Times,
    path_name,
    path_segments,
)

Fetch: TypeAlias = Callable[[Values], Any]
"""A record's values → the source's value, its default where there is none, else None."""


def fetch(source: Source, stream_schema: StreamSchema, place: str, slots: Slots) -> Fetch:
    """
    Compile *source* against a stream's schema.

    Raises:
        StreamSchemaError: The schema has no such column.
    """
    match source:
        case Constant(value=value):
            return lambda _: value
        case Column() as column:
            get = column_getter(column, stream_schema, place, slots)
            field = source_name(column, place)
            hashed = None
            if column.is_hashed:
                hashed = column_hasher(column, stream_schema, place, field)
            if hashed is None and column.default is msgspec.UNSET:
                return get
            return _with_default(get, column, hashed)


def find(
    column: Column, stream_schema: StreamSchema, place: str, times: Times
) -> tuple[ResolvedColumn, Converter | None]:
    """
    Return where a column's values stand, and what reads them as the mapping says, None: as is.

    What is known of them then is that they were read so, and no longer what the schema says.

    Raises:
        StreamSchemaError: The schema has no such column.
    """
    found, rest = _locate(column, stream_schema, place)
    return read_as(column, found, stream_schema, times, rest)


def read_as(
    column: Column,
    found: ResolvedColumn,
    stream_schema: StreamSchema,
    times: Times,
    rest: tuple[str, ...] = (),
) -> tuple[ResolvedColumn, Converter | None]:
    """Return the same of a column that is found, *rest* being the path that leads into its JSON."""
    cast, field = column.cast, found.name
    read = within_json(rest, field) if rest else None
    if cast == "json" and read is None:
        read = partial(from_json, field=field)
    if read is not None and stream_schema.is_blank_null:
        read = after(read, null_if_blank)
    match cast:
        case None | "json":
            known = {} if read else found.schema
        case Pairs():
            known, read = {}, after(read, pairs_reader(cast, field))
            if stream_schema.is_blank_null:
                read = after(read, each_value(null_if_blank))
        case _:
            cast_value = reader(cast, times, field, stream_schema.on_left_out)
            known, read = schema_of(cast), after(read, cast_value)
    return ResolvedColumn(found.path, known), read


def after(read: Converter | None, convert: Converter | None) -> Converter | None:
    """Return one function for both, the second of what the first makes of a value, if anything."""
    if read is None or convert is None:
        return read or convert

    def both(value: Any) -> Any:
        found = read(value)
        return None if found is None else convert(found)

    return both


def _locate(
    column: Column, stream_schema: StreamSchema, place: str
) -> tuple[ResolvedColumn, tuple[str, ...]]:
    """Return the column that the schema has, and the path that leads on into its JSON."""
    schema = stream_schema.schema
    if column.is_in_json:
        names = path_segments(column.path)
        for depth in range(1, len(names)):
            shorter = names[:depth] if isinstance(column.path, tuple) else ".".join(names[:depth])
            try:
                found = resolve(shorter, schema, place)
            except StreamSchemaError:
                continue
            kinds = types(found.schema, schema)
            if not kinds or "string" in kinds:
                return found, names[depth:]
    return resolve_column(column, stream_schema, place), ()


def column_hasher(column: Column, stream_schema: StreamSchema, place: str, field: str) -> Converter:
    """Return the hash that stands for a column's values, which refusals call *field*."""
    if column.is_plain_hash:
        return hasher(None, field, is_lowered=column.is_lowered)
    if stream_schema.hash_key is None:
        raise SettingsError(f"hash_key: is needed by {place}, which is hashed")
    return hasher(stream_schema.hash_key, field, is_lowered=column.is_lowered)


def source_name(source: Source, otherwise: str) -> str:
    """Return what a refusal calls *source*."""
    match source:
        case Constant():
            return otherwise
        case Column(path=path):
            return path_name(path)


def column_getter(column: Column, stream_schema: StreamSchema, place: str, slots: Slots) -> Fetch:
    """Return what fetches a column's value, also out of the JSON that it is in."""
    found, read = find(column, stream_schema, place, Times())
    get: Fetch = operator.itemgetter(slots.add(found))
    if read is None:
        return get

    def fetched(values: Values) -> Any:
        value = get(values)
        return None if value is None else read(value)

    return fetched


def _with_default(get: Fetch, column: Column, hashed: Converter | None) -> Fetch:
    default = None if column.default is msgspec.UNSET else column.default

    def read(values: Values) -> Any:
        value = get(values)
        if value is not None and hashed is not None:
            value = hashed(value)
        return default if value is None else value

    return read
