"""Where in a record does a column's value stand, and what does the schema say of it?"""

import operator
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, TypeAlias

import msgspec

from target_mixpanel.errors import StreamSchemaError, listed, printable
from target_mixpanel.model import JsonObject
from target_mixpanel.specs.spec import ColumnPath

Getter: TypeAlias = Callable[[JsonObject], Any]
"""Record → the column's value, None where there is none."""

Values: TypeAlias = list[Any]
"""A record taken apart: one value for each slot, None where there is none."""

_MAX_REF_HOPS: Final = 20
_MAX_LOOKS: Final = 200
"""Parts of a column's schema that are looked at: references may lead in circles."""


class ResolvedColumn(msgspec.Struct, frozen=True):
    """A column found in a stream's schema."""

    path: tuple[str, ...]
    schema: JsonObject
    """The column's own schema; empty where the stream's schema merely allows the column."""

    @property
    def name(self) -> str:
        return ".".join(self.path)


class Slot(msgspec.Struct):
    """One use of a column by a plan, and so one place in the values that a record is taken into."""

    column: ResolvedColumn


class Slots:
    """The uses of columns that one plan makes, collected while it is compiled."""

    def __init__(self) -> None:
        self.all: list[Slot] = []

    def add(self, column: ResolvedColumn) -> int:
        """Return the index that *column*'s value will have for this use."""
        self.all.append(Slot(column))
        return len(self.all) - 1


WHOLE_RECORD: Final = ResolvedColumn((), {})
"""Not one column but all of them."""


def taker(slots: Sequence[Slot]) -> Callable[[JsonObject], Values]:
    """Return the function that takes a record apart."""
    paths = [slot.column.path for slot in slots]
    if all(len(path) == 1 for path in paths):
        names = [name for (name,) in paths]

        def take_columns(record: JsonObject) -> Values:
            get = record.get
            return [get(name) for name in names]

        return take_columns
    getters = [getter(path) for path in paths]
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
        whole = path in _properties(schema, schema)
        segments: tuple[str, ...] = (path,) if whole else tuple(path.split("."))
    else:
        segments = path
    here = schema
    for depth, segment in enumerate(segments):
        properties = _properties(here, schema)
        if segment in properties:
            here = properties[segment]
            continue
        if _allows_more(here, schema) or (depth and not properties and _is_open(here, schema)):
            return ResolvedColumn(segments, {})
        within = f' below "{printable(".".join(segments[:depth]))}"' if depth else ""
        raise StreamSchemaError(
            f'{place}: "{printable(segment)}" is not in the stream\'s schema{within}; '
            f"it has {listed(sorted(properties)) or 'no columns there'}",
        )
    return ResolvedColumn(segments, here)


def getter(path: tuple[str, ...]) -> Getter:
    """Return the function that fetches *path* from a record, None where a step is missing."""
    if not path:
        return lambda record: record
    if len(path) == 1:
        return operator.methodcaller("get", path[0])
    *parents, last = path

    def nested(record: JsonObject) -> Any:
        here: Any = record
        for name in parents:
            here = here.get(name)
            if type(here) is not dict:
                return None
        return here.get(last)

    return nested


def alternatives(schema: object, root: JsonObject) -> Iterator[JsonObject]:
    """Yield *schema* and each schema it may also be by anyOf, oneOf, allOf or a local $ref."""
    pending = [schema]
    hops = 0
    while pending:
        here = pending.pop()
        if not isinstance(here, dict):
            continue
        yield here
        for keyword in ("anyOf", "oneOf", "allOf"):
            pending.extend(here.get(keyword) or ())
        if isinstance(here.get("$ref"), str) and hops < _MAX_REF_HOPS:
            hops += 1
            pending.append(_local(here["$ref"], root))


def types(schema: JsonObject, root: JsonObject) -> frozenset[str]:
    """Return the JSON types *schema* names, without null; empty where it names none."""
    found: set[str] = set()
    for here in alternatives(schema, root):
        kind = here.get("type")
        found.update([kind] if isinstance(kind, str) else kind or ())
    return frozenset(found - {"null"})


def certain_types(schema: object, root: JsonObject) -> frozenset[str]:
    """Return the JSON types that a valid value has, less null; empty where it may have any."""
    return _possible_types(schema, root, iter(range(_MAX_LOOKS))) - {"null"}


def string_format(schema: JsonObject, root: JsonObject) -> str | None:
    """Return the first `format` that *schema* names."""
    return next((here["format"] for here in alternatives(schema, root) if "format" in here), None)


def _properties(schema: JsonObject, root: JsonObject) -> JsonObject:
    merged: JsonObject = {}
    for here in alternatives(schema, root):
        merged.update(here.get("properties") or {})
    return merged


def _possible_types(schema: object, root: JsonObject, looks: Iterator[int]) -> frozenset[str]:
    """Return the JSON types *schema* confines a value to; empty where it does not, or too deep."""
    if not isinstance(schema, dict) or next(looks, None) is None:
        return frozenset()
    if "$ref" in schema:  # before draft 2019-09 nothing beside it counts
        return _possible_types(_local(str(schema["$ref"]), root), root, looks)
    kind = schema.get("type")
    if kind:
        return frozenset([kind] if isinstance(kind, str) else kind)
    for keyword in ("anyOf", "oneOf"):
        branches = [_possible_types(here, root, looks) for here in schema.get(keyword) or ()]
        if branches and all(branches):
            return frozenset[str]().union(*branches)
    confined = (_possible_types(here, root, looks) for here in schema.get("allOf") or ())
    return next((kinds for kinds in confined if kinds), frozenset())


def _is_open(schema: JsonObject, root: JsonObject) -> bool:
    """Say whether a value may be an object, of a schema that names no columns of it."""
    kinds = types(schema, root)
    return not kinds or "object" in kinds


def _allows_more(schema: JsonObject, root: JsonObject) -> bool:
    """Say whether columns beyond the named ones are announced, not merely not forbidden."""
    return any(
        here.get("additionalProperties", False) is not False or here.get("patternProperties")
        for here in alternatives(schema, root)
    )


def _local(ref: str, root: JsonObject) -> JsonObject:
    here: Any = root
    for segment in ref.removeprefix("#").strip("/").split("/"):
        if not isinstance(here, dict):
            return {}
        name = segment.replace("~1", "/").replace("~0", "~")
        here = here.get(name, {}) if name else here
    return here if isinstance(here, dict) else {}
