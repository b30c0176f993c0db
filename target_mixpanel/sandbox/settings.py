"""Which Mixpanel does the sandbox play: credentials, limits, choices where no page decides?"""

from __future__ import annotations

from typing import Annotated, Final, Literal, TypeAlias

import msgspec

IMPORT: Final = "https://developer.mixpanel.com/reference/import-events"
"""The page behind every constant below that names no other."""

MAX_EVENTS: Final = 2_000
"""Events in one /import request, and updates in one /engage or /groups request."""

MAX_REQUEST_BYTES: Final = 10 * 1024 * 1024
"""
Uncompressed bytes of one request: "10MB", read as binary because the older
pages' "2MB" stands as 2097152 in their sample reply.
"""

MAX_EVENT_BYTES: Final = 1024 * 1024
"""An event must stay below this: "1MB uncompressed JSON", read as binary like the request's."""

MAX_PROPERTIES: Final = 254
""""Fewer than 255" properties of an event, keys of a nested object, elements of a list."""

MAX_DEPTH: Final = 3
"""Objects within objects, the property's own value being the first."""

EARLIEST_TIME_S: Final = 31_536_000
"""1971-01-01T00:00:00Z: no earlier time is valid, so a number from 1000 times this is in ms."""

MAX_AHEAD_S: Final = 3_600
"""A time further ahead of the server's clock is refused."""

MAX_TEXT_BYTES: Final = 255
"""UTF-8 bytes of an event's text; longer ones are cut without a word. The import page says
characters. https://docs.mixpanel.com/docs/data-structure/property-reference/data-type"""

MAX_ID_CHARACTERS: Final = 255
"""Characters of a distinct_id. developer.mixpanel.com/docs/cloud-import-data-preparation-guide"""

MAX_INSERT_ID_BYTES: Final = 36
"""Bytes of an $insert_id, each alphanumeric or a dash."""

INVALID_IDS: Final = frozenset(
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
    }
)
"""Refused as distinct_id and as $insert_id, in any case of letters."""

IDENTITY_EVENTS: Final = frozenset({"$identify", "$create_alias", "$merge"})
"""Verbs of the original identity management. https://developer.mixpanel.com/reference/create-identity"""

MAX_PROFILE_PROPERTIES: Final = 2_000
"""Properties of one profile; a further one fails. https://docs.mixpanel.com/docs/data-structure/user-profiles"""

MAX_TABLE_BYTES: Final = 100 * 1024 * 1024
"""Uncompressed CSV of one lookup table. https://developer.mixpanel.com/reference/replace-lookup-table"""

MAX_TABLE_ROWS: Final = 5_000_000
"""Rows of all lookup tables of a project together. The same page."""

MAX_TABLE_CALLS: Final = 100
"""Replacements of lookup tables within TABLE_WINDOW_S. The same page."""

TABLE_WINDOW_S: Final = 24 * 3600.0
"""The rolling day of MAX_TABLE_CALLS."""

MAX_EXPORT_ROWS: Final = 100_000
"""The largest `limit` of the raw export. https://developer.mixpanel.com/reference/raw-event-export"""

EVENTS_PER_SECOND: Final = 30_000.0
"""Events a project may send, averaged over the window. https://developer.mixpanel.com/reference/rate-limits"""

BYTES_PER_MINUTE: Final = 2 * 1024**3
"""Uncompressed JSON a project may send: "2GB per minute". The same page."""

RATE_WINDOW_S: Final = 60.0
"""Both rates are looked at over the last minute. The same page."""


TABLE_ID: Final = "5a9db0c5-0000-4000-8000-000000000001"
"""The table that is there unless others are asked for."""


Positive: TypeAlias = Annotated[int, msgspec.Meta(gt=0)]
PositiveRate: TypeAlias = Annotated[float, msgspec.Meta(gt=0)]


class SandboxSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """
    One project and its rules; every field is a flag of the command.

    Attributes:
        project_mode: Identity management. Only "original" knows the identity verbs, and it does
            not take $user_id or $device_id for a distinct_id.
        too_many_events_status: The reply to more rows than allowed; undocumented.
        lenient_rows: What strict=0 does with rows that break a rule; undocumented.
        failed_id_key: The key of the $insert_id in `failed_records`; pages disagree.
        profile_success: Whether /engage answers 1 if "any" update was valid, or only if "all"
            were; pages disagree.
        failed_profiles: What becomes of the valid updates beside an invalid one; undocumented.
        profiles_accept_gzip: Documented as not supported.
        events_per_second: Over the rolling window; None lifts it.
        bytes_per_minute: Uncompressed, over the rolling window in proportion; None lifts it.
        keep_rows: The newest events, and updates of users and of groups, kept; None keeps all. A
            duplicate is known as one while its twin is kept.
        lookup_tables: Name by id of the tables that exist: no request can make one.
        max_table_rows: Of all lookup tables together.
        keep_alive_s: An idle connection is closed after this.
    """

    token: str = "sandbox-token"  # noqa: S105 - printed on its own page
    service_account: str = "sandbox.mp-service-account"
    secret: str = "sandbox-secret"  # noqa: S105 - printed on its own page
    project_id: str = "1"
    project_mode: Literal["simplified", "original"] = "simplified"
    max_events: Positive = MAX_EVENTS
    max_request_bytes: Positive = MAX_REQUEST_BYTES
    max_event_bytes: Positive = MAX_EVENT_BYTES
    too_many_events_status: Literal[400, 413] = 413
    lenient_rows: Literal["keep", "drop"] = "keep"
    failed_id_key: Literal["insert_id", "$insert_id"] = "insert_id"
    profile_success: Literal["all", "any"] = "all"
    failed_profiles: Literal["apply", "drop"] = "apply"
    profiles_accept_gzip: bool = False
    events_per_second: PositiveRate | None = EVENTS_PER_SECOND
    bytes_per_minute: PositiveRate | None = BYTES_PER_MINUTE
    rate_window_s: PositiveRate = RATE_WINDOW_S
    max_table_bytes: Positive = MAX_TABLE_BYTES
    max_table_rows: Positive = MAX_TABLE_ROWS
    max_table_calls: Positive = MAX_TABLE_CALLS
    keep_rows: Annotated[int, msgspec.Meta(ge=0)] | None = None
    lookup_tables: dict[str, str] = msgspec.field(default_factory=lambda: {TABLE_ID: "Products"})
    keep_alive_s: Positive = 75
