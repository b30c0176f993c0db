"""What Mixpanel's documentation allows, each number with its source and how we read it."""

from typing import Final

IMPORT_MAX_EVENTS: Final = 2_000
"""Events in one /import request. https://developer.mixpanel.com/reference/import-events"""

IMPORT_MAX_BYTES: Final = 9_500_000
"""Uncompressed bytes of one /import request. The page says "10MB"; this holds under either reading
of it (10^7 or 10 x 2^20), with room. https://developer.mixpanel.com/reference/import-events"""

PROJECT_EVENTS_PER_SECOND: Final = 30_000
"""Events that /import takes of a project, in a rolling minute. https://developer.mixpanel.com/reference/rate-limits"""

PROJECT_BYTES_PER_MINUTE: Final = 2_000_000_000
"""Uncompressed JSON of them: "2GB", read as 2 x 10^9. The same page."""

PROFILE_MAX_UPDATES: Final = 2_000
"""Updates in one /engage or /groups request. https://developer.mixpanel.com/reference/user-profile-limits
and limits-1; it was 200 for groups until January 2024."""

LOOKUP_TABLE_MAX_BYTES: Final = 100_000_000
"""Uncompressed CSV of one lookup table. The page says "100MB", read as 10^8, which holds under
either reading. https://developer.mixpanel.com/reference/replace-lookup-table"""

LOOKUP_TABLES_MAX_ROWS: Final = 5_000_000
"""Rows of all of a project's lookup tables together, so of one at most. The same page."""

LOOKUP_TABLE_MAX_CALLS: Final = 100
"""Replacements of lookup tables in a rolling day. The same page."""

EVENT_MAX_BYTES: Final = 999_999
"""Uncompressed JSON of one event. The page says less than "1MB", read as 10^6."""

EVENT_VALUE_MAX_BYTES: Final = 8_000
"""JSON of a list or object on an event: "8KB", read as 8 x 10^3. What becomes of a larger one is
not said. https://docs.mixpanel.com/docs/data-structure/property-reference/data-type"""

MAX_PROPERTIES: Final = 254
"""Properties of an event: "fewer than 255" on the import page, "up to 255" elsewhere."""

MAX_NESTED_KEYS: Final = 254
"""Keys of a nested object: "fewer than 255" on the import page."""

MAX_ARRAY_ITEMS: Final = 254
"""Elements of an array: "fewer than 255" on the import page."""

MAX_DEPTH: Final = 3
"""Levels of nested objects below a property's name, by the import page."""

NAME_MAX_BYTES: Final = 255
"""UTF-8 bytes of an event's or property's name; Mixpanel truncates longer ones, which may merge two
names into one. The page says 255 characters, and of texts another one says 255 bytes; this holds
under either reading. https://docs.mixpanel.com/docs/data-structure/events-and-properties"""

NAME_SHORT_CHARS: Final = NAME_MAX_BYTES // 4
"""So long a name is short enough whatever its characters are, of four bytes at most."""

TEXT_MAX_BYTES: Final = 255
"""Of a text property; a longer one is cut, not refused. The import page says 255 characters, this
one bytes: https://docs.mixpanel.com/docs/data-structure/property-reference/data-type"""

ID_MAX_BYTES: Final = 255
"""UTF-8 bytes of an id. The cloud-import guide says 255 characters of a distinct_id; events carry a
group's id as a text property, and texts are cut at 255 bytes. A cut id would merge two users, or
never be found. https://docs.mixpanel.com/docs/data-structure/property-reference/data-type"""

INSERT_ID_MAX_CHARS: Final = 36
"""Characters of an $insert_id, of `[A-Za-z0-9-]`."""

EARLIEST_TIME_MS: Final = 31_536_000_000
"""1971-01-01T00:00:00Z, the earliest time /import takes, in ms since the epoch."""

FUTURE_TOLERANCE_MS: Final = 3_600_000
"""How far ahead of the server's clock a time may be: one hour."""

MAX_SAFE_INTEGER: Final = 2**53
"""Beyond it JSON readers that use doubles, Mixpanel's among them, lose digits."""

RESERVED_IDS: Final = frozenset(
    {
        "00000000-0000-0000-0000-000000000000",
        "anon",
        "anonymous",
        "nil",
        "none",
        "null",
        "n/a",
        "na",
        "undefined",
        "unknown",
        "<nil>",
        "0",
        "-1",
        "true",
        "false",
        "[]",
        "{}",
    },
)
"""Values that /import refuses as distinct_id and $insert_id, so no ids at all; compared in lower
case, as Mixpanel's own loaders do. https://developer.mixpanel.com/reference/import-events"""

RESERVED_EVENT_PROPERTIES: Final = frozenset(
    {"alias", "bucket", "distinct_id", "ip", "time", "token"},
)
"""Property names with a meaning of their own, besides all that begin with `$` or `mp_`."""

BOOKKEEPING_PROPERTIES: Final = frozenset(
    {
        *("$insert_id", "$time", "$event_name", "$import", "$ignore", "$bucket", "$token"),
        *("$distinct_id", "$user_id", "$device_id", "$identified_id", "$anon_id", "$distinct_ids"),
        *("$distinct_id_before_identity", "$identity_failure_reason", "$is_reshuffled"),
        *("$had_persisted_distinct_id", "$last_seen", "mp_processing_time_ms"),
    },
)
"""By which Mixpanel identifies and books an event, besides all that begin with `$mp_`; an export
has them. https://docs.mixpanel.com/docs/data-structure/property-reference/reserved-properties"""

IGNORE: Final = "$ignore"
"""Property by which Mixpanel drops an event without a word. The same page."""

IDENTITY_EVENTS: Final = {
    "$identify": ("$identified_id", "$anon_id"),
    "$create_alias": ("alias",),
    "$merge": ("$distinct_ids",),
}
"""Events that change who is who, each with the properties it needs beside distinct_id; only
projects with original identity merge take them, the others refuse the whole request.
https://developer.mixpanel.com/reference/create-identity, identity-create-alias, identity-merge"""

PROFILE_MAX_PROPERTIES: Final = 2_000
"""Properties of a profile. https://docs.mixpanel.com/docs/data-structure/user-profiles"""

PROFILE_VALUE_MAX_BYTES: Final = 256_000
"""JSON of a list or object on a profile: "256KB", read as 256 x 10^3. An event's list of fewer than
255 elements is no limit here.
https://docs.mixpanel.com/docs/data-structure/property-reference/data-type"""

PROFILE_UPDATE_MAX_BYTES: Final = 999_000
"""JSON of one update before the project's token is put in. The page says "1MB" with it, read as
10^6; tokens have 32 characters. https://developer.mixpanel.com/reference/user-profile-limits"""

RESERVED_PROFILE_PROPERTIES: Final = frozenset({"bucket", "distinct_id", "token"})
"""As RESERVED_EVENT_PROPERTIES, of profiles."""

PARTS_OF_AN_UPDATE: Final = frozenset(
    {
        *("$token", "$distinct_id", "$group_key", "$group_id", "$ip", "$latitude", "$longitude"),
        *("$time", "$ignore_time", "$ignore_alias", "$last_seen"),
    },
)
"""What stands beside an operation in an update of a profile, and what Mixpanel alone sets; no
properties. https://developer.mixpanel.com/reference/user-profiles"""


def is_too_long(name: str) -> bool:
    """Say whether Mixpanel would cut an event's or a property's *name*."""
    return len(name.encode("utf-8", "surrogatepass")) > NAME_MAX_BYTES
