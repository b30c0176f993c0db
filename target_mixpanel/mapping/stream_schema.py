"""What is known of a stream before its first record?"""

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias

import msgspec

from target_mixpanel.model import JsonObject

METADATA_PREFIX: Final = "_sdc_"
"""Begins the names of columns in which taps and loaders keep their own books, by the SDK's custom.
https://sdk.meltano.com/en/latest/implementation/record_metadata.html"""


class NewColumn(msgspec.Struct, frozen=True):
    """A column that a record has and the SCHEMA does not name."""

    name: str
    """Below objects, whose names are a record's content, the object's with `.*`."""
    left_out: str | None
    """Why it becomes no property; None: it does."""
    is_lost: bool = False
    """Whether it is left out though neither the mapping nor Mixpanel has a reason."""


class DroppedId(msgspec.Struct, frozen=True):
    """An id that its row goes without."""

    column: str
    is_meant: bool
    """Whether the mapping says that it means nobody; or else it is bad, and another one is good."""


def _ignore(column: Any) -> None:
    """Nobody wants to know."""


LeftOut: TypeAlias = Callable[[str, str], None]
"""(a column, what of it was left out, in words) → told to whoever wants to know."""

NO_DATES: Final = (
    "dates that are none, or spelled so that time_format is needed; they are left out (as: text "
    "keeps them, and makes texts of all)"
)
RESERVED_NAMES: Final = "names that Mixpanel keeps for itself; they are left out"
LARGE_VALUES: Final = "lists or objects of more than 8 KB, for which Mixpanel's events have no room"


def _ignore_left_out(column: str, what: str) -> None:
    """Nobody wants to know."""


class StreamSchema(msgspec.Struct, frozen=True):
    """A stream's SCHEMA, with what the settings say about all streams."""

    stream: str
    schema: JsonObject
    key_properties: tuple[str, ...]
    is_schema_enforced: bool = True
    """Records are validated against the schema before they are mapped."""
    takes_metadata: bool = False
    """Whether "*" takes the `_sdc_*` columns, too."""
    hash_key: bytes | None = None
    insert_id_salt: str | None = None
    """Part of every hashed $insert_id, if there is one."""
    group_keys: Mapping[str, tuple[str | int | float, ...]] = {}
    """Each property by which the settings, of whatever stream, join a group's rows to its profile;
    with the values that mean no group there."""
    bookmark_properties: tuple[str, ...] = ()
    """By which columns the tap knows what to read again; none where it does not say."""
    is_blank_null: bool = False
    """Whether blank texts count as null."""
    on_left_out: LeftOut = _ignore_left_out
    """Told of a column each time that of a value nothing, or not all, gets to Mixpanel."""
    on_large_integer: Callable[[str], None] = _ignore
    """Told of a column each time an integer of it, beyond 2^53, is sent as its text."""
    learned: frozenset[tuple[str, ...]] = frozenset()
    """Columns of any type that records have had though the schema does not name them."""
    on_new_column: Callable[[NewColumn], None] = _ignore
    """Told of a column that only a record has, once at least."""
    on_dropped_id: Callable[[DroppedId], None] = _ignore
    """Told each time a row goes without an id."""
