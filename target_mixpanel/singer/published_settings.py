"""Which settings does `--about` publish, and in which words?"""

from typing import Any, Final

from singer_sdk import typing as th

from target_mixpanel.settings.fields import SECRETS, FlatSettings

_DEFAULTS: Final[dict[str, Any]] = {
    name: getattr(FlatSettings, "__struct_defaults__", ())[index]
    for index, name in enumerate(FlatSettings.__struct_fields__)
}


def _setting(name: str, kind: Any, description: str, **more: Any) -> th.Property[Any]:
    """Publish one setting; secrets carry no constraint, since the SDK prints what breaks one."""
    default = _DEFAULTS[name]
    return th.Property(
        name,
        kind,
        secret=name in SECRETS,
        default=default,
        description=description,
        **more,
    )


PUBLISHED_SETTINGS: Final = th.PropertiesList(
    _setting(
        "region",
        th.StringType(allowed_values=["us", "eu", "in"]),
        "The project's data residency: us, eu or in. Required unless api_url is set; it is never "
        "guessed, because Mixpanel drops data sent to the wrong one.",
        title="Region",
    ),
    _setting(
        "api_url",
        th.StringType,
        "Another ingestion host: https, or http on loopback (the sandbox). Wins over region.",
        title="API URL",
    ),
    _setting(
        "project_token",
        th.StringType,
        "The project's token: for user and group profiles, and enough for events.",
        title="Project token",
    ),
    _setting(
        "project_id",
        th.StringType,
        "The project's id; goes with a service account.",
        title="Project id",
    ),
    _setting(
        "service_account_username",
        th.StringType,
        "A service account that is Owner or Admin of the project: for lookup tables, and for "
        "events, where it wins over project_token.",
        title="Service account",
    ),
    _setting(
        "service_account_secret",
        th.StringType,
        "The service account's secret.",
        title="Service account secret",
    ),
    _setting(
        "streams",
        th.CustomType({"type": ["object", "array"]}),
        "Stream name or pattern (`orders`, `public-*`, `*`) → a mapping, or a list of mappings. "
        "An exact name wins over a pattern, then the longest literal prefix.",
        title="Streams",
        required=True,
    ),
    _setting(
        "unmapped_streams",
        th.StringType(allowed_values=["fail", "skip"]),
        "What to do with a stream that no entry of streams matches: fail or skip.",
        title="Unmapped streams",
    ),
    _setting(
        "since",
        th.StringType,
        "Load only events from this time on: `2026-10-01`, an instant, or `30d` back from now. "
        "The others count as filtered; profiles and lookup tables have no time.",
        title="Since",
    ),
    _setting(
        "until",
        th.StringType,
        "Load only events before this time; written like since.",
        title="Until",
    ),
    _setting(
        "batch_size_rows",
        th.IntegerType(minimum=1, maximum=2000),
        "Rows of one request, 1 to 2000.",
        title="Batch size, rows",
    ),
    _setting(
        "batch_size_bytes",
        th.IntegerType,
        "Uncompressed bytes of one request. After a 413 the limit that Mixpanel names is used for "
        "the rest of the run.",
        title="Batch size, bytes",
    ),
    _setting(
        "batch_wait_limit_seconds",
        th.NumberType,
        "Age at which a batch is sent though it is not full.",
        title="Batch wait limit",
    ),
    _setting(
        "max_parallel_requests",
        th.IntegerType(minimum=1, maximum=64),
        "Requests in flight at most; fewer while Mixpanel asks to slow down.",
        title="Parallel requests",
    ),
    _setting(
        "max_events_per_second",
        th.NumberType,
        "Pace of all streams together; none by default.",
        title="Events per second",
    ),
    _setting(
        "request_timeout_seconds",
        th.NumberType,
        "For a whole exchange, from connecting to the reply's last byte.",
        title="Request timeout",
    ),
    _setting(
        "retry_initial_seconds",
        th.NumberType,
        "Wait before the first repeat of a request; doubles from there.",
        title="Retry, first wait",
    ),
    _setting(
        "retry_max_seconds",
        th.NumberType,
        "Longest wait before a repeat, jitter aside.",
        title="Retry, longest wait",
    ),
    _setting(
        "retry_jitter_seconds",
        th.NumberType,
        "Added to each wait: a random time between a fifth of this and all of it.",
        title="Retry, jitter",
    ),
    _setting(
        "retry_max_elapsed_seconds",
        th.NumberType,
        "When a batch has been tried for so long, the run fails.",
        title="Retry, time in all",
    ),
    _setting(
        "shutdown_timeout_seconds",
        th.NumberType,
        "After SIGTERM or SIGINT, time to settle what was read.",
        title="Shutdown timeout",
    ),
    _setting(
        "dead_letter_path",
        th.StringType,
        "A folder. Set: rejected records go there, as Singer messages, and the run goes on. "
        "Unset: the first rejected record ends the run.",
        title="Dead letters",
    ),
    _setting(
        "max_rejection_rate",
        th.NumberType,
        "Share of a stream's records that may be rejected, looked at from its 1,000th record on "
        "and, if at least 10 were rejected, at the end. 1.0 switches it off.",
        title="Rejection rate",
    ),
    _setting(
        "hash_key",
        th.StringType,
        "HMAC-SHA256 key for values marked `hash`.",
        title="Hash key",
    ),
    _setting(
        "dry_run",
        th.BooleanType,
        "Map, validate, count and report; send nothing and print no STATE.",
        title="Dry run",
    ),
    _setting(
        "report_path",
        th.StringType,
        "A file for the end-of-run report, as JSON.",
        title="Report",
    ),
)
"""The SDK adds its own: validate_records, stream_maps, flattening and so on."""
