"""Where in a record does a column's value stand, and what does the schema say of it?"""

import operator
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeAlias

import msgspec
from msgspec import UNSET, UnsetType

from target_mixpanel.errors import StreamSchemaError, listed, printable
from target_mixpanel.mapping.json_schema import (
    announces_more,
    may_be_object,
    named_columns,
    types,
)
from target_mixpanel.mapping.stream_schema import StreamSchema
from target_mixpanel.model import JsonObject
from target_mixpanel.specs.spec import Column, ColumnPath, path_name

Getter: TypeAlias = Callable[[JsonObject], Any]
"""Record → the column's value, None where there is none."""

Values: TypeAlias = list[Any]
"""A record taken apart: one value for each slot, None where there is none; see `Slot`."""


class ResolvedColumn(msgspec.Struct, frozen=True):
    """A column found in a stream's schema."""

    path: tuple[str, ...]
    schema: JsonObject
    """The column's own schema; empty where the stream's schema merely allows the column."""

    @property
    def name(self) -> str:
        return path_name(self.path)


class Slot(msgspec.Struct):
    """One use of a column by a plan, and so one place in the values that a record is taken into."""

    column: ResolvedColumn
    is_rare: bool = False
    """Whether few records need it, if any: the fast way goes without."""
    tells_absence: bool = False
    """Whether a record without the column is another than one where it is null: then the value is
    UNSET."""
    beyond: frozenset[str] | None = None
    """Given: not the column itself, an object, but those of its columns that are not these."""


class Slots:
    """The uses of columns that one plan makes, collected while it is compiled."""

    def __init__(self) -> None:
        self.all: list[Slot] = []

    def add(
        self, column: ResolvedColumn, *, is_rare: bool = False, tells_absence: bool = False
    ) -> int:
        """Return the index that *column*'s value will have for this use."""
        self.all.append(Slot(column, is_rare, tells_absence))
        return len(self.all) - 1

    def add_beyond(self, names: frozenset[str], parent: tuple[str, ...]) -> int:
        """Return the index of the object of those columns of *parent* that are not *names*."""
        self.all.append(Slot(ResolvedColumn(parent, {}), beyond=names))
        return len(self.all) - 1


WHOLE_RECORD: Final = ResolvedColumn((), {})
"""Not one column but all of them."""


def record_splitter(slots: Sequence[Slot]) -> Callable[[JsonObject], Values]:
    """Return the function that takes a record apart."""
    own = [slot for slot in slots if slot.beyond is None]
    take = _columns_taker(
        [(slot.column.path, UNSET if slot.tells_absence else None) for slot in own]
    )
    found = [
        (index, _getter(slot.column.path, None), slot.beyond)
        for index, slot in enumerate(slots)
        if slot.beyond is not None
    ]
    if not found:
        return take

    def take_all(record: JsonObject) -> Values:
        values = take(record)
        for index, get, names in found:
            values.insert(index, beyond(get(record), names))
        return values

    return take_all


def beyond(value: Any, names: frozenset[str]) -> JsonObject | None:
    """Return the columns of the object *value* that are not *names*, None if there are none."""
    if type(value) is not dict or value.keys() <= names:
        return None
    return {name: column for name, column in value.items() if name not in names}


def _columns_taker(
    paths: Sequence[tuple[tuple[str, ...], UnsetType | None]],
) -> Callable[[JsonObject], Values]:
    if all(len(path) == 1 for path, _ in paths):
        names = [(name, absent) for (name,), absent in paths]

        def take_columns(record: JsonObject) -> Values:
            get = record.get
            return [get(name, absent) for name, absent in names]

        return take_columns
    getters = [_getter(path, absent) for path, absent in paths]
    return lambda record: [get(record) for get in getters]


def resolve(path: ColumnPath, schema: JsonObject, place: str) -> ResolvedColumn:
    """
    Find *path* in a stream's *schema*.

    A text is first looked up as it is, then split at its dots. Within an object of which the schema
    says nothing (a database's JSON column) any path will do.

    Raises:
        StreamSchemaError: The schema has no such column; the message lists those there are.
    """
    found = _find(_segments(path, schema), schema, place)
    match found:
        case ResolvedColumn():
            return found
        case _Missing(detail=detail):
            raise StreamSchemaError(detail)


def resolve_column(column: Column, stream_schema: StreamSchema, place: str) -> ResolvedColumn:
    """
    Find *column* in a stream's schema; one that has a default need not be there.

    Raises:
        StreamSchemaError: The schema has no such column; the message lists those there are.
    """
    schema = stream_schema.schema
    segments = _segments(column.path, schema)
    if segments in stream_schema.learned:
        return ResolvedColumn(segments, {})
    found = _find(segments, schema, place)
    match found:
        case ResolvedColumn():
            return found
        case _Missing() if column.default is not msgspec.UNSET:
            return ResolvedColumn(segments, {})
        case _Missing(detail=detail):
            raise StreamSchemaError(detail)


class _Missing(msgspec.Struct, frozen=True):
    """A schema has no such column, and no room for it."""

    detail: str
    """In words, with its place."""


def _segments(path: ColumnPath, schema: JsonObject) -> tuple[str, ...]:
    if not isinstance(path, str):
        return path
    return (path,) if path in named_columns(schema, schema) else tuple(path.split("."))


def _find(segments: tuple[str, ...], schema: JsonObject, place: str) -> ResolvedColumn | _Missing:
    """
    Follow *segments* through a schema.

    Raises:
        StreamSchemaError: They lead into a list.
    """
    here = schema
    for depth, segment in enumerate(segments):
        properties = named_columns(here, schema)
        if segment in properties:
            here = properties[segment]
            continue
        above = printable(".".join(segments[:depth]))
        if depth and types(here, schema) == {"array"}:
            raise StreamSchemaError(
                f'{place}: "{above}" is a list, and paths do not lead into lists; name the whole '
                "list, or have a stream map take it apart",
            )
        if announces_more(here, schema) or (
            depth and not properties and may_be_object(here, schema)
        ):
            return ResolvedColumn(segments, {})
        within = f' below "{above}"' if depth else ""
        return _Missing(
            f'{place}: "{printable(segment)}" is not in the stream\'s schema{within}; '
            f"it has {listed(sorted(properties)) or 'no columns there'}",
        )
    return ResolvedColumn(segments, here)


def _getter(path: tuple[str, ...], absent: UnsetType | None) -> Getter:
    """Return the function that fetches *path* from a record, *absent* where a step is missing."""
    if not path:
        return lambda record: record
    if len(path) == 1:
        return operator.methodcaller("get", path[0], absent)
    *parents, last = path

    def nested(record: JsonObject) -> Any:
        here: Any = record
        for name in parents:
            here = here.get(name, absent)
            if type(here) is not dict:
                return None if here is None else absent
        return here.get(last, absent)

    return nested
