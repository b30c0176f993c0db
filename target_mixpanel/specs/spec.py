"""What may a mapping say? The parsed form of one entry of `streams`."""

from datetime import UTC, tzinfo
from typing import Any, Final, Literal, TypeAlias

import msgspec

from target_mixpanel.specs.operations import Operation

ColumnPath: TypeAlias = str | tuple[str, ...]
"""Where a value stands in a record: a name, a dotted path into objects, or the segments of a path
one by one where a name holds dots."""

Nulls: TypeAlias = Literal["clear", "unset", "keep"]
"""What a column that is present and null does to its property: it becomes null, goes, or stays."""

TimeUnit: TypeAlias = Literal["auto", "s", "ms", "us", "ns"]


class Times(msgspec.Struct, frozen=True):
    """How a mapping's columns spell instants."""

    unit: TimeUnit = "auto"
    """Of numbers."""
    timezone: tzinfo = UTC
    """Of those that carry none."""
    form: str | None = None
    """Of texts that are not ISO 8601, as strptime has it."""


class Pairs(msgspec.Struct, frozen=True):
    """A list of objects, each with a name and a value, becomes so many properties."""

    key: str
    value: str
    """What the objects call their name and their value."""


PlainCast: TypeAlias = Literal["number", "integer", "boolean", "text", "texts", "date", "json"]

Cast: TypeAlias = PlainCast | Pairs


class Column(msgspec.Struct, frozen=True):
    """A value taken from each record."""

    path: ColumnPath
    default: Any = msgspec.UNSET
    """Taken where the record has null or nothing; UNSET: no default."""
    is_hashed: bool = False
    is_plain_hash: bool = False
    """Whether the hash is SHA-256, as other systems make it, not under the loader's own key."""
    is_lowered: bool = False
    """Whether it is of the value in small letters."""
    cast: Cast | None = None
    """What the value is read as; None: as what it is."""
    is_in_json: bool = False
    """Whether the path may lead on into a text that is JSON."""
    nobody: tuple[str | int | float, ...] = ()
    """Of an id: values that mean that there is no user or no group."""


class Constant(msgspec.Struct, frozen=True):
    """The same value for every record."""

    value: Any


Source: TypeAlias = Column | Constant


class IsSet(msgspec.Struct, frozen=True):
    """By its meaning a column's value says yes, or names an instant that has come."""

    column: Column


class IsOneOf(msgspec.Struct, frozen=True):
    """A column's value is one of those listed."""

    column: Column
    values: tuple[str | int | float | bool | None, ...]


Condition: TypeAlias = IsSet | IsOneOf


class Filters(msgspec.Struct, frozen=True):
    """Which of a stream's records a mapping takes."""

    skip_when: Condition | None = None
    """Not those that meet this."""
    only_when: Condition | None = None
    """None but those that meet this."""


class StreamName(msgspec.Struct, frozen=True):
    """The stream's own name, as the event's."""


class DistinctId(msgspec.Struct, frozen=True):
    """Who did it, or whose profile it is, as one id."""

    source: Source


class SimplifiedId(msgspec.Struct, frozen=True):
    """The same by Mixpanel's simplified identity merge: $user_id, $device_id, or both."""

    user: Source | None
    device: Source | None


Identity: TypeAlias = DistinctId | SimplifiedId


class KeyProperties(msgspec.Struct, frozen=True):
    """$insert_id from the stream's key; without one, from the whole record."""


class KeyColumns(msgspec.Struct, frozen=True):
    """$insert_id from these columns and values."""

    members: tuple[Source, ...]


class VerbatimInsertId(msgspec.Struct, frozen=True):
    """$insert_id is this column's value as it is; where it is null, as of KeyProperties."""

    path: ColumnPath


InsertId: TypeAlias = KeyProperties | KeyColumns | VerbatimInsertId


NewColumns: TypeAlias = Literal["take", "ignore", "fail"]
"""What becomes of columns that the schema does not name."""


class ColumnPattern(msgspec.Struct, frozen=True):
    """A property for each column whose name fits."""

    name: str
    """The properties': its one * stands for what the column's stands for."""
    column: Column
    """The columns': of its path, the last name has the *."""


class MatchedColumns(msgspec.Struct, frozen=True):
    """Every column that a pattern fits, less *exclude*; and properties that are named."""

    patterns: tuple[ColumnPattern, ...]
    sources: tuple[tuple[str, Source], ...] = ()
    exclude: tuple[str, ...] = ()
    """Names of columns, or globs."""
    new_columns: NewColumns = "take"


class NamedProperties(msgspec.Struct, frozen=True):
    """These properties, each with where its value comes from."""

    sources: tuple[tuple[str, Source], ...]


Properties: TypeAlias = MatchedColumns | NamedProperties

ALL_COLUMNS: Final = ColumnPattern("*", Column("*"))
"""What `properties: "*"` says."""


class EventSpec(msgspec.Struct, frozen=True):
    """A stream's records become events."""

    place: str
    """Where in the configuration it stands, for messages: `streams.orders`."""
    event: Source | StreamName
    time: Source
    identity: Identity
    properties: Properties
    time_unit: TimeUnit
    timezone: tzinfo
    insert_id: InsertId
    ip: Source | None = None
    is_original_identity: bool = False
    """Whether the project has original identity merge, and so takes `$identify` and its like."""
    filters: Filters = Filters()
    time_format: str | None = None


class PropertyNames(msgspec.Struct, frozen=True):
    """Properties of which only the names are sent."""

    names: tuple[str, ...]


class WholeProfile(msgspec.Struct, frozen=True):
    """No properties: an operation on all of a profile."""


ProfileProperties: TypeAlias = Properties | PropertyNames | WholeProfile


class Place(msgspec.Struct, frozen=True):
    """Where on earth a user is."""

    latitude: Source
    longitude: Source


class UserSpec(msgspec.Struct, frozen=True):
    """A stream's records update user profiles."""

    place: str
    """As EventSpec's."""
    identity: Identity
    operation: Operation
    properties: ProfileProperties
    timezone: tzinfo
    delete_when: Condition | None = None
    """A record that meets this deletes its profile, whatever the operation."""
    ignores_alias: bool = True
    """Whether a deletion is of the profile that the id itself names, not of whose alias it is."""
    ip: Source | None = None
    located_at: Place | None = None
    updates_last_seen: bool = False
    """Whether an update is a sign of life, and moves what Mixpanel shows as "Updated at"."""
    nulls: Nulls = "clear"
    """Of operation set; with the others a null says nothing."""
    filters: Filters = Filters()
    time_unit: TimeUnit = "auto"
    time_format: str | None = None


class GroupSpec(msgspec.Struct, frozen=True):
    """A stream's records update group profiles."""

    place: str
    """As EventSpec's."""
    group_key: str
    """The event property by which events belong to the group."""
    group_id: Source
    operation: Operation
    properties: ProfileProperties
    timezone: tzinfo
    delete_when: Condition | None = None
    """As UserSpec's."""
    nulls: Nulls = "clear"
    """As UserSpec's."""
    filters: Filters = Filters()
    time_unit: TimeUnit = "auto"
    time_format: str | None = None


class LookupTableSpec(msgspec.Struct, frozen=True):
    """A stream's records replace a lookup table."""

    place: str
    """As EventSpec's."""
    lookup_table_id: str
    """Safe in a URL's path."""
    key: ColumnPath
    properties: Properties
    timezone: tzinfo
    filters: Filters = Filters()
    time_unit: TimeUnit = "auto"
    time_format: str | None = None


StreamSpec: TypeAlias = EventSpec | UserSpec | GroupSpec | LookupTableSpec
"""One entry of `streams`; a stream may have several."""


def times_of(spec: StreamSpec) -> Times:
    """Return how the columns that *spec* reads spell instants."""
    return Times(spec.time_unit, spec.timezone, spec.time_format)


def path_segments(path: ColumnPath) -> tuple[str, ...]:
    """Return the names that *path* leads through, if none of them holds a dot."""
    return tuple(path.split(".")) if isinstance(path, str) else path


def path_name(path: ColumnPath) -> str:
    """Return what messages call the column at *path*."""
    return path if isinstance(path, str) else ".".join(path)
