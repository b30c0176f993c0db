"""Which settings are there? Add one here, and run `make docs`: the rest follows."""

from typing import Annotated, Any, Final, Literal

from msgspec import Meta, Struct

from target_mixpanel.limits import IMPORT_MAX_BYTES, IMPORT_MAX_EVENTS
from target_mixpanel.settings.setting import About, settings_of

REGION_URLS: Final = {
    "us": "https://api.mixpanel.com",
    "eu": "https://api-eu.mixpanel.com",
    "in": "https://api-in.mixpanel.com",
}
"""https://docs.mixpanel.com/docs/privacy/eu-residency and in-residency."""


_Rate = Annotated[float, Meta(gt=0, le=1_000_000)]
_Seconds = Annotated[float, Meta(gt=0, le=86_400)]
_Wait = Annotated[float, Meta(ge=0, le=3_600)]


class FlatSettings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The settings as they are written; what needs more than a type check is parsed elsewhere."""

    region: Annotated[
        Literal["us", "eu", "in"] | None,
        About(
            "Region",
            "The project's data residency: us, eu or in. Required unless api_url is set; it is "
            "never guessed, because Mixpanel drops data sent to the wrong one.",
            options={"us": "United States", "eu": "European Union", "in": "India"},
        ),
    ] = None
    api_url: Annotated[
        str | None,
        About(
            "API URL",
            "Another ingestion host: https, or http on loopback (the sandbox). Wins over region.",
        ),
    ] = None
    project_token: Annotated[
        str | None,
        About(
            "Project token",
            "The project's token: for user and group profiles, and enough for events.",
            is_secret=True,
            is_credential=True,
        ),
    ] = None
    project_id: Annotated[
        str | None,
        About("Project id", "The project's id; goes with a service account.", is_credential=True),
    ] = None
    service_account_username: Annotated[
        str | None,
        About(
            "Service account",
            "A service account that is Owner or Admin of the project: for lookup tables, and for "
            "events, where it wins over project_token.",
            is_credential=True,
        ),
    ] = None
    service_account_secret: Annotated[
        str | None,
        About(
            "Service account secret",
            "The service account's secret.",
            is_secret=True,
            is_credential=True,
        ),
    ] = None
    streams: Annotated[
        Any,
        About(
            "Streams",
            "Stream name or pattern (`orders`, `public-*`, `*`) → a mapping, or a list of "
            "mappings. An exact name wins over a pattern, then the longest literal prefix.",
            is_required=True,
        ),
    ] = None
    unmapped_streams: Annotated[
        Literal["fail", "skip"],
        About(
            "Unmapped streams",
            "What to do with a stream that no entry of streams matches: fail or skip.",
        ),
    ] = "fail"
    since: Annotated[
        str | None,
        About(
            "Since",
            "Load only events from this time on: `2026-10-01`, an instant, or `30d` back from "
            "now. The others count as filtered; profiles and lookup tables have no time.",
        ),
    ] = None
    until: Annotated[
        str | None,
        About("Until", "Load only events before this time; written like since."),
    ] = None
    batch_size_rows: Annotated[
        int,
        Meta(ge=1, le=IMPORT_MAX_EVENTS),
        About("Batch size, rows", "Rows of one request, 1 to 2000."),
    ] = IMPORT_MAX_EVENTS
    batch_size_bytes: Annotated[
        int,
        Meta(ge=1_000, le=10_485_760),
        About(
            "Batch size, bytes",
            "Uncompressed bytes of one request. After a 413 the limit that Mixpanel names is used "
            "for the rest of the run.",
        ),
    ] = IMPORT_MAX_BYTES
    batch_wait_limit_seconds: Annotated[
        _Seconds,
        About("Batch wait limit", "Age at which a batch is sent though it is not full."),
    ] = 60
    max_parallel_requests: Annotated[
        int,
        Meta(ge=1, le=64),
        About(
            "Parallel requests",
            "Requests in flight at most; fewer while Mixpanel asks to slow down.",
        ),
    ] = 8
    max_events_per_second: Annotated[
        _Rate | None,
        About("Events per second", "Pace of all streams together; none by default."),
    ] = None
    rate_limit_url: Annotated[
        str | None,
        About(
            "Rate limit, URL",
            "A Redis (`redis://` or `rediss://`) in which all loaders of a project share "
            "max_events_per_second, each with the same one, and Mixpanel's limit of bytes. Needs "
            "the extra redis.",
            is_secret=True,
        ),
    ] = None
    request_timeout_seconds: Annotated[
        _Seconds,
        About("Request timeout", "For a whole exchange, from connecting to the reply's last byte."),
    ] = 60
    retry_initial_seconds: Annotated[
        _Wait,
        About(
            "Retry, first wait", "Wait before the first repeat of a request; doubles from there."
        ),
    ] = 2
    retry_max_seconds: Annotated[
        _Wait,
        About("Retry, longest wait", "Longest wait before a repeat, jitter aside."),
    ] = 60
    retry_jitter_seconds: Annotated[
        _Wait,
        About(
            "Retry, jitter",
            "Added to each wait: a random time between a fifth of this and all of it.",
        ),
    ] = 5
    retry_max_elapsed_seconds: Annotated[
        float,
        Meta(ge=0, le=604_800),
        About("Retry, time in all", "When a batch has been tried for so long, the run fails."),
    ] = 900
    shutdown_timeout_seconds: Annotated[
        _Wait,
        About("Shutdown timeout", "After SIGTERM or SIGINT, time to settle what was read."),
    ] = 25
    dead_letter_path: Annotated[
        str | None,
        About(
            "Dead letters",
            "A folder. Set: rejected records go there, as Singer messages, and the run goes on. "
            "Unset: the first rejected record ends the run.",
        ),
    ] = None
    max_rejection_rate: Annotated[
        float,
        Meta(ge=0, le=1),
        About(
            "Rejection rate",
            "Share of a stream's records that may be rejected, looked at from its 1,000th record "
            "on and, if at least 10 were rejected, at the end. 1.0 switches it off.",
        ),
    ] = 0.1
    hash_key: Annotated[
        str | None,
        About("Hash key", "HMAC-SHA256 key for values marked `hash`.", is_secret=True),
    ] = None
    insert_id_salt: Annotated[
        str | None,
        About(
            "Salt of $insert_id",
            "Part of every hashed `$insert_id` when set. Set one, or another one, to load again "
            "what was deleted in Mixpanel: with its old ids it may stay deleted.",
        ),
    ] = None
    empty_as_null: Annotated[
        bool,
        About(
            "Blank texts as null",
            "Whether blank texts count as null, wherever a column is used: as taps write them that "
            "read CSV, or what was cleared.",
        ),
    ] = False
    dry_run: Annotated[
        bool,
        About("Dry run", "Map, validate, count and report; send nothing and print no STATE."),
    ] = False
    report_path: Annotated[
        str | None,
        About("Report", "A file for the end-of-run report, as JSON."),
    ] = None
    batch_roots: Annotated[
        list[Any] | None,
        About(
            "BATCH roots",
            "Folders below which the files of BATCH messages may be read: a list of `file:///…`, "
            "`s3://…`, `gs://…` or `az://…`, as the tap's `batch_config` has them. None: BATCH "
            "messages are refused.",
        ),
    ] = None
    files: Annotated[
        list[Any] | None,
        About(
            "Files",
            "Which stream a file or object is, for `load` and the functions: a list of `{match, "
            "stream, key, schema, format}`, of which the first wins whose match (a path or a "
            "bucket's URL; `*` without slashes, `**` with them) fits; key, schema and format may "
            "be left out.",
        ),
    ] = None
    files_state: Annotated[
        str | None,
        About(
            "Files, state",
            "A folder, or a bucket's URL, where it is noted how far each file or object is loaded: "
            "a rerun goes on from there.",
        ),
    ] = None
    add_record_metadata: Annotated[
        bool,
        About(
            "Record metadata",
            "Whether the SDK adds its _sdc_ columns to each record.",
            is_the_sdks=True,
        ),
    ] = False
    load_method: Annotated[
        Literal["append-only", "upsert", "overwrite"],
        About(
            "Load method",
            "Append-only, or refused: what becomes of profiles and lookup tables is said in "
            "streams.",
            is_the_sdks=True,
            options={"append-only": "Append-only"},
        ),
    ] = "append-only"
    validate_records: Annotated[
        bool,
        About(
            "Validate records",
            "Whether each record is held against its stream's schema.",
            is_the_sdks=True,
        ),
    ] = True
    stream_maps: Annotated[
        dict[str, Any] | None,
        About(
            "Stream maps",
            "The SDK's inline mapping, applied before `streams`. Its expressions are code.",
            is_the_sdks=True,
        ),
    ] = None
    stream_map_config: Annotated[
        dict[str, Any] | None,
        About(
            "Stream map configuration",
            "Values that expressions in stream_maps may use.",
            is_the_sdks=True,
        ),
    ] = None
    faker_config: Annotated[
        dict[str, Any] | None,
        About(
            "Faker configuration",
            "For `fake` in stream_maps' expressions; needs the SDK's extra faker.",
            is_the_sdks=True,
        ),
    ] = None
    flattening_enabled: Annotated[
        bool,
        About(
            "Flatten",
            "Whether nested objects become columns, before `streams` is applied.",
            is_the_sdks=True,
        ),
    ] = False
    flattening_max_depth: Annotated[
        int | None,
        About("Flatten, depth", "How many levels are flattened.", is_the_sdks=True),
    ] = None
    flattening_max_key_length: Annotated[
        int | None,
        About("Flatten, key length", "A flattened column's longest name.", is_the_sdks=True),
    ] = None
    flattening_separator: Annotated[
        str | None,
        About(
            "Flatten, separator",
            "What stands between the names of a flattened column's levels.",
            is_the_sdks=True,
        ),
    ] = None


SETTINGS: Final = settings_of(FlatSettings)

SECRETS: Final = tuple(setting.name for setting in SETTINGS if setting.about.is_secret)
"""Settings whose values never appear anywhere."""

CREDENTIALS: Final = tuple(setting.name for setting in SETTINGS if setting.about.is_credential)

JSON_SETTINGS: Final = tuple(setting for setting in SETTINGS if setting.is_json)
"""Settings that the environment, which knows only texts, has as JSON."""
