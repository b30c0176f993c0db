"""Which settings are there?"""

from typing import Annotated, Any, Final, Literal

import msgspec

from target_mixpanel.limits import IMPORT_MAX_BYTES, IMPORT_MAX_EVENTS

REGION_URLS: Final = {
    "us": "https://api.mixpanel.com",
    "eu": "https://api-eu.mixpanel.com",
    "in": "https://api-in.mixpanel.com",
}
"""https://docs.mixpanel.com/docs/privacy/eu-residency and in-residency."""


SECRETS: Final = ("project_token", "service_account_secret", "hash_key")
"""Settings whose values never appear anywhere."""


_Seconds = Annotated[float, msgspec.Meta(gt=0, le=86_400)]


class FlatSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The settings as they are written; what needs more than a type check is parsed below."""

    region: Literal["us", "eu", "in"] | None = None
    api_url: str | None = None
    project_token: str | None = None
    project_id: str | None = None
    service_account_username: str | None = None
    service_account_secret: str | None = None
    streams: Any = None
    unmapped_streams: Literal["fail", "skip"] = "fail"
    since: str | None = None
    until: str | None = None
    batch_size_rows: Annotated[int, msgspec.Meta(ge=1, le=IMPORT_MAX_EVENTS)] = IMPORT_MAX_EVENTS
    batch_size_bytes: Annotated[int, msgspec.Meta(ge=1_000, le=10_485_760)] = IMPORT_MAX_BYTES
    batch_wait_limit_seconds: _Seconds = 60
    max_parallel_requests: Annotated[int, msgspec.Meta(ge=1, le=64)] = 8
    max_events_per_second: Annotated[float, msgspec.Meta(gt=0, le=1_000_000)] | None = None
    request_timeout_seconds: _Seconds = 60
    retry_initial_seconds: Annotated[float, msgspec.Meta(ge=0, le=3_600)] = 2
    retry_max_seconds: Annotated[float, msgspec.Meta(ge=0, le=3_600)] = 60
    retry_jitter_seconds: Annotated[float, msgspec.Meta(ge=0, le=3_600)] = 5
    retry_max_elapsed_seconds: Annotated[float, msgspec.Meta(ge=0, le=604_800)] = 900
    shutdown_timeout_seconds: Annotated[float, msgspec.Meta(ge=0, le=3_600)] = 25
    dead_letter_path: str | None = None
    max_rejection_rate: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.1
    hash_key: str | None = None
    dry_run: bool = False
    report_path: str | None = None
    validate_records: bool = True
    add_record_metadata: bool = False
    load_method: Literal["append-only", "upsert", "overwrite"] = "append-only"
    stream_maps: Any = None
    stream_map_config: Any = None
    faker_config: Any = None
    flattening_enabled: bool = False
    flattening_max_depth: int | None = None
    flattening_separator: str | None = None
    flattening_max_key_length: int | None = None
