"""Where in a record does a column's value stand, and what does the schema say of it?"""

import operator
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeAlias

import msgspec
from msgspec import UNSET, UnsetType

from target_mixpanel.errors import StreamSchemaError, listed, printable
from target_mixpanel.mapping.json_schema import announces_more, may_be_object, named_columns
from target_mixpanel.model import JsonObject
from target_mixpanel.specs.spec import ColumnPath, path_name

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


WHOLE_RECORD: Final = ResolvedColumn((), {})
"""Not one column but all of them."""


def record_splitter(slots: Sequence[Slot]) -> Callable[[JsonObject], Values]:
    """Return the function that takes a record apart."""
    paths = [(slot.column.path, UNSET if slot.tells_absence else None) for slot in slots]
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
    if isinstance(path, str):
        whole = path in named_columns(schema, schema)
        segments: tuple[str, ...] = (path,) if whole else tuple(path.split("."))
    else:
        segments = path
    here = schema
    for depth, segment in enumerate(segments):
        properties = named_columns(here, schema)
        if segment in properties:
            here = properties[segment]
            continue
        if announces_more(here, schema) or (
            depth and not properties and may_be_object(here, schema)
        ):
            return ResolvedColumn(segments, {})
        within = f' below "{printable(".".join(segments[:depth]))}"' if depth else ""
        raise StreamSchemaError(
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
