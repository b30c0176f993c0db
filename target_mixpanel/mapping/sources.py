"""How is one value of a mapping (a column, with a default, hashed; or a constant) fetched?"""

import operator
from collections.abc import Callable
from typing import Any, TypeAlias

import msgspec

from target_mixpanel.errors import SettingsError
from target_mixpanel.mapping.paths import Slots, Values, resolve
from target_mixpanel.mapping.stream_schema import StreamSchema
from target_mixpanel.mapping.values import Converter, hasher
from target_mixpanel.specs.spec import Column, Constant, Source, path_name

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
            get = _column_getter(column, stream_schema, place, slots)
            hashed = column_hasher(stream_schema, place) if column.is_hashed else None
            if hashed is None and column.default is msgspec.UNSET:
                return get
            return _with_default(get, column, hashed)


def column_hasher(stream_schema: StreamSchema, place: str) -> Converter:
    """Return the hash that stands for a column's values."""
    if stream_schema.hash_key is None:
        raise SettingsError(f"hash_key: is needed by {place}, which is hashed")
    return hasher(stream_schema.hash_key)


def source_name(source: Source, otherwise: str) -> str:
    """Return what a refusal calls *source*."""
    match source:
        case Constant():
            return otherwise
        case Column(path=path):
            return path_name(path)


def _column_getter(column: Column, stream_schema: StreamSchema, place: str, slots: Slots) -> Fetch:
    return operator.itemgetter(slots.add(resolve(column.path, stream_schema.schema, place)))


def _with_default(get: Fetch, column: Column, hashed: Converter | None) -> Fetch:
    default = None if column.default is msgspec.UNSET else column.default

    def read(values: Values) -> Any:
        value = get(values)
        if value is None:
            return default
        return value if hashed is None else hashed(value)

    return read
