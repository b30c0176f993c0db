"""What is known of a stream before its first record?"""

from collections.abc import Callable, Mapping
from typing import Final

import msgspec

from target_mixpanel.model import JsonObject

METADATA_PREFIX: Final = "_sdc_"
"""Begins the names of columns in which taps and loaders keep their own books, by the SDK's custom.
https://sdk.meltano.com/en/latest/implementation/record_metadata.html"""


def _ignore(column: str) -> None:
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
    on_large_integer: Callable[[str], None] = _ignore
    """Told of a column each time an integer of it, beyond 2^53, is sent as its text."""
    on_dropped_id: Callable[[str], None] = _ignore
    """Told of a column each time an id of it means nobody, or is bad and goes without: the row has
    another one that is good."""
