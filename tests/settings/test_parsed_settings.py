"""Bad settings fail before stdin is read, in one line that names the setting and shows no value."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from target_mixpanel.credentials import ProjectToken, ServiceAccount
from target_mixpanel.errors import SettingsError
from target_mixpanel.settings.fields import FlatSettings
from target_mixpanel.settings.parse import parse_settings
from target_mixpanel.settings.url import check_url

NOW_S = 1_790_000_000.5
STREAMS = {"orders": {"time": "at", "distinct_id": "user", "properties": "*"}}
VALID = {"region": "eu", "project_token": "token-1", "streams": STREAMS}
ACCOUNT = {
    "service_account_username": "loader.1.mp-service-account",
    "service_account_secret": "secret-1",
    "project_id": "42",
}
NAMES = FlatSettings.__struct_fields__
CANARY = "c4n4ry"


def parsed(config=None, **more):
    given = {**VALID, **(config or {}), **more}
    return parse_settings(given, clock=lambda: NOW_S)


def message(config=None, **more):
    with pytest.raises(SettingsError) as error:
        parsed(config, **more)
    text = str(error.value)
    assert text.isprintable()
    return text


# Defaults


def test_the_defaults_stay():
    """Written out once more, since another default would surprise whoever relies on it."""
    got = parsed()
    expected = {
        "api_url": None,
        "project_id": None,
        "service_account_username": None,
        "service_account_secret": None,
        "unmapped_streams": "fail",
        "since": None,
        "until": None,
        "batch_size_rows": 2_000,
        "batch_size_bytes": 9_500_000,
        "batch_wait_limit_seconds": 60,
        "max_parallel_requests": 8,
        "max_events_per_second": None,
        "rate_limit_url": None,
        "request_timeout_seconds": 60,
        "retry_initial_seconds": 2,
        "retry_max_seconds": 60,
        "retry_jitter_seconds": 5,
        "retry_max_elapsed_seconds": 900,
        "shutdown_timeout_seconds": 25,
        "dead_letter_path": None,
        "max_rejection_rate": 0.1,
        "hash_key": None,
        "empty_as_null": False,
        "dry_run": False,
        "report_path": None,
        "validate_records": True,
        "add_record_metadata": False,
        "load_method": "append-only",
        "stream_maps": None,
        "stream_map_config": None,
        "faker_config": None,
        "flattening_enabled": False,
        "flattening_max_depth": None,
        "flattening_separator": None,
        "flattening_max_key_length": None,
    }

    assert expected == {name: getattr(got, name) for name in expected}


def test_null_is_the_same_as_absent():
    assert parsed(dict.fromkeys(set(NAMES) - VALID.keys())) == parsed()


# Values


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        pytest.param("batch_size_rows", "500", 500, id="whole-number"),
        pytest.param("retry_max_seconds", "0.5", 0.5, id="number"),
        pytest.param("max_rejection_rate", "1", 1.0, id="number-without-point"),
        pytest.param("dry_run", "true", True, id="true"),
        pytest.param("dry_run", "True", True, id="true-as-python-writes-it"),
        pytest.param("dry_run", "1", True, id="true-as-1"),
        pytest.param("validate_records", "false", False, id="false"),
        pytest.param("streams", json.dumps(STREAMS), STREAMS, id="json"),
        pytest.param("stream_maps", '{"orders": null}', {"orders": None}, id="stream-maps"),
        pytest.param("project_id", 42, "42", id="project-id-as-a-number"),
        pytest.param("flattening_max_depth", "3", 3, id="flattening"),
    ],
)
def test_settings_of_the_environment_are_texts(name, value, expected):
    assert expected == getattr(parsed({name: value}), name)


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        pytest.param("batch_size_rows", 0, "expected a whole number >= 1", id="no-rows"),
        pytest.param("batch_size_rows", -1, "expected a whole number >= 1", id="negative-rows"),
        pytest.param("batch_size_rows", 2_001, "expected a whole number <= 2000", id="2001-rows"),
        pytest.param("batch_size_rows", "2001", "expected a whole number <= 2000", id="as-a-text"),
        pytest.param(
            "batch_size_rows", 1.5, "expected a whole number, got a number", id="1.5-rows"
        ),
        pytest.param(
            "batch_size_rows", True, "expected a whole number, got true or false", id="true-rows"
        ),
        pytest.param("batch_size_rows", "many", "expected a whole number, got a text", id="many"),
        pytest.param("batch_size_bytes", 999, "expected a whole number >= 1000", id="few-bytes"),
        pytest.param("batch_wait_limit_seconds", 0, "expected a number > 0.0", id="no-wait"),
        pytest.param("batch_wait_limit_seconds", "nan", "expected a number > 0.0", id="nan"),
        pytest.param(
            "batch_wait_limit_seconds", "inf", "expected a number <= 86400.0", id="infinity"
        ),
        pytest.param("max_events_per_second", 0, "expected a number > 0.0", id="no-pace"),
        pytest.param(
            "max_events_per_second", float("inf"), "expected a number <= 1000000.0", id="any-pace"
        ),
        pytest.param("max_rejection_rate", 1.1, "expected a number <= 1.0", id="over-all"),
        pytest.param(
            "max_parallel_requests", 65, "expected a whole number <= 64", id="65-requests"
        ),
        pytest.param("shutdown_timeout_seconds", -1, "expected a number >= 0.0", id="past"),
        pytest.param("dry_run", "maybe", "expected true or false, got a text", id="maybe"),
        pytest.param("dry_run", [], "expected true or false, got a list", id="list-for-a-boolean"),
        pytest.param(
            "region", "US", "is not one of its values; see target-mixpanel --about", id="case"
        ),
        pytest.param("region", {}, "expected a text, got a map", id="map-for-a-text"),
        pytest.param("api_url", 5, "expected a text, got a whole number", id="number-for-a-text"),
        pytest.param("project_token", 5, "expected a text, got a whole number", id="token"),
        pytest.param("report_path", "\0", "holds a character that no setting has", id="NUL"),
        pytest.param("since", "\ud800", "holds a character that no setting has", id="half"),
        pytest.param("hash_key", "\udcff", "is not UTF-8", id="undecodable"),
        pytest.param(
            "load_method",
            "upsert",
            "must be append-only; events cannot be changed once sent, and what becomes of "
            "profiles and lookup tables is said in streams",
            id="upsert",
        ),
        pytest.param("streams", "{", "is a text that is not JSON; give it a map", id="no-json"),
        pytest.param(
            "streams", "[" * 99_999, "is a text that is not JSON; give it a map", id="deep"
        ),
        pytest.param("streams", 5, "expected a map from stream to mapping, got a number", id="5"),
        pytest.param(
            "streams", {}, 'is empty; name at least one stream, or "*" for all', id="none"
        ),
        pytest.param(
            "streams", None, 'is missing; map at least one stream, or "*" for all', id="-"
        ),
        pytest.param(
            "stream_maps", "5", "expected a map, got a whole number", id="number-for-a-map"
        ),
        pytest.param("faker_config", [], "expected a map, got a list", id="list-for-a-map"),
    ],
)
def test_a_bad_value_is_named_by_its_setting(name, value, expected):
    """Fault 76."""
    assert message({name: value}) == f"{name}: {expected}"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        pytest.param("regoin", 'is not known; did you mean "region"?', id="typo"),
        pytest.param("projectToken", 'is not known; did you mean "project_token"?', id="camel"),
        pytest.param("batch_size", 'is not known; did you mean "batch_size_rows"?', id="short"),
    ],
)
def test_an_unknown_setting_is_refused(name, expected):
    assert message({name: CANARY}) == f"{name}: {expected}"


@pytest.mark.parametrize(
    ("roots", "expected"),
    [
        pytest.param([CANARY, 1], "entry 2: must be a text", id="number"),
        pytest.param([" "], "entry 1: must be a text", id="blank"),
        pytest.param([f"http://{CANARY}/"], "entry 1: is no folder that is read", id="http"),
        pytest.param([f"file://{CANARY}/x"], "entry 1: is no folder that is read", id="host"),
        pytest.param([f"a::file:///{CANARY}"], "entry 1: is no folder that is read", id="chain"),
        pytest.param(["s3://"], "entry 1: names no bucket", id="no-bucket"),
        pytest.param([f"s3://{CANARY}/*"], "entry 1: is a folder, all of it", id="wildcard"),
        pytest.param(f"file:///{CANARY}", "is a text that is not JSON; give it a list", id="text"),
        pytest.param({"root": CANARY}, "expected a list, got a map", id="map"),
    ],
)
def test_a_root_of_batch_files_that_is_none(roots, expected):
    assert f"batch_roots: {expected}" in message({"batch_roots": roots})
    assert CANARY not in message({"batch_roots": roots})


def test_roots_of_batch_files():
    roots = ["file:///data/a%20b/", "/data/x/../y", "s3://bucket/x/", "gs://bucket"]
    found = parsed({"batch_roots": roots}).batch_folders

    assert found == ("/data/a b", "/data/y", "s3://bucket/x/", "gs://bucket")
    assert parsed({"batch_roots": json.dumps(roots)}).batch_folders == found
    assert parsed({"batch_roots": []}).batch_folders == parsed({}).batch_folders == ()


def test_the_taps_half_of_batch_is_refused():
    """What a target reads is another matter than where a tap writes."""
    assert "give the folder of its storage to batch_roots here" in message(
        {"batch_config": {"storage": {"root": CANARY}}}
    )


def test_a_setting_that_looks_like_none_is_shown_all_there_are():
    text = message({"zzz": 1})

    assert text.startswith("zzz: is not known; there are ")
    assert all(f'"{name}"' in text for name in NAMES)


@settings(max_examples=400, deadline=None)
@given(
    st.sampled_from(sorted(set(NAMES) - {"streams"})),
    st.text(alphabet=st.characters(codec="utf-8"), max_size=5),
    st.sampled_from(
        ["{}", "[{}]", "{{{}}}", " {} ", "http://{}", "https://{}:{}@x/", "{}\n", "9{}"]
    ),
    st.sampled_from([str, lambda text: [text], lambda text: {text: text}]),
)
def test_no_message_shows_a_value(name, around, template, wrap):
    """Fault 76: whatever stands in whichever setting, right or wrong."""
    value = wrap(template.replace("{}", f"{around}{CANARY}", 1).replace("{}", CANARY))
    try:
        parsed({name: value})
    except SettingsError as error:
        assert CANARY not in str(error)  # noqa: PT017 (most values are fine)
        assert str(error).split(":")[0] in NAMES  # noqa: PT017
        assert error.__cause__ is None  # noqa: PT017
        assert "\n" not in str(error)  # noqa: PT017


# Credentials


def test_a_token_is_enough():
    assert parsed().credentials == ProjectToken("token-1")


def test_a_service_account_is_enough():
    assert parsed(ACCOUNT, project_token=None).credentials == ServiceAccount(
        "loader.1.mp-service-account", "secret-1", "42"
    )


def test_a_service_account_wins_over_a_token():
    assert isinstance(parsed(ACCOUNT).credentials, ServiceAccount)


def test_a_project_id_alone_does_not_ask_for_a_service_account():
    assert isinstance(parsed(project_id="42").credentials, ProjectToken)


def test_without_a_credential_both_ways_are_named():
    assert message(project_token=None) == (
        "project_token: is missing; set it, or service_account_username, service_account_secret "
        "and project_id"
    )


@pytest.mark.parametrize("missing", sorted(ACCOUNT))
def test_half_a_service_account_is_refused(missing):
    """Fault 76: also beside a token, since somebody meant it to be used."""
    assert message(ACCOUNT, **{missing: None}) == (
        f"{missing}: is missing; a service account needs all three"
    )


@pytest.mark.parametrize("name", ["project_token", *ACCOUNT])
@pytest.mark.parametrize("flaw", ["\n", " ", "\t", "\0", "\x7f", "\u2028", "\u20ac"])
def test_what_no_credential_holds_is_refused(name, flaw):
    """Fault 76: mostly a line feed that came along from a file."""
    for value in (f"ab{flaw}", f"a{flaw}b"):
        assert message(ACCOUNT, **{name: value}) == (
            f"{name}: holds white space or a character no credential has"
        )


def test_a_username_with_a_colon_would_be_cut_by_basic_authentication():
    assert message(ACCOUNT, service_account_username="a:b") == (
        "service_account_username: holds a colon"
    )


def test_the_secrets_are_known():
    got = parsed(ACCOUNT, hash_key="key-1")

    assert {"token-1", "secret-1", "key-1"} == set(got.secrets())


@pytest.mark.parametrize(
    "mapping",
    [
        pytest.param({"properties": {"E": {"column": "e", "hash": True}}}, id="property"),
        pytest.param({"distinct_id": {"column": "e", "hash": True}}, id="id"),
    ],
)
def test_a_hash_asks_for_its_key(mapping):
    streams = {"orders": {**STREAMS["orders"], **mapping}}

    assert message(streams=streams) == (
        "hash_key: is missing, and streams.orders has hashed values; set it to a long random text, "
        "and keep it: another one makes other people of the same ids"
    )
    assert parsed(streams=streams, hash_key="key").hash_key == "key"


def test_a_hash_without_a_key_asks_for_none():
    properties = {"E": {"column": "e", "hash": "sha256"}}
    streams = {"orders": {**STREAMS["orders"], "properties": properties}}

    assert parsed(streams=streams).hash_key is None


HASHED = {"column": "id", "hash": True}


@pytest.mark.parametrize(
    "mapping",
    [
        {"type": "users", "distinct_id": HASHED, "properties": "*"},
        {"type": "users", "device_id": HASHED, "properties": "*"},
        {"type": "users", "distinct_id": "id", "properties": {"$email": HASHED}},
        {"type": "groups", "group_key": "company", "group_id": HASHED, "properties": "*"},
        {"type": "groups", "group_key": "c", "group_id": "id", "properties": {"A": HASHED}},
        {"type": "lookup_table", "lookup_table_id": "t", "key": "k", "properties": {"A": HASHED}},
    ],
)
def test_a_hash_in_any_type_of_mapping_needs_the_key(mapping):
    account = {"service_account_username": "u", "service_account_secret": "secret"}

    assert message(streams={"rows": mapping}, project_id="1", **account) == (
        "hash_key: is missing, and streams.rows has hashed values; set it to a long random text, "
        "and keep it: another one makes other people of the same ids"
    )


# The host


@pytest.mark.parametrize(
    ("region", "expected"),
    [
        ("us", "https://api.mixpanel.com"),
        ("eu", "https://api-eu.mixpanel.com"),
        ("in", "https://api-in.mixpanel.com"),
    ],
)
def test_a_region_is_a_host(region, expected):
    assert expected == parsed(region=region).url


def test_a_region_is_never_guessed():
    assert message(region=None).startswith("region: is missing; set it to us, eu or in")


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        pytest.param("https://proxy.example.com", "https://proxy.example.com", id="name"),
        pytest.param("https://proxy.example.com/", "https://proxy.example.com", id="slash"),
        pytest.param("https://proxy.example.com:443", "https://proxy.example.com:443", id="443"),
        pytest.param("https://mixpanel.example.de", "https://mixpanel.example.de", id="de"),
        pytest.param("https://relay.cafe", "https://relay.cafe", id="letters-of-hexadecimal"),
        pytest.param("https://localhost:8443", "https://localhost:8443", id="https-on-loopback"),
        pytest.param("http://localhost:8080/", "http://localhost:8080", id="localhost"),
        pytest.param("http://127.0.0.1:8080", "http://127.0.0.1:8080", id="loopback"),
        pytest.param("http://127.9.9.9", "http://127.9.9.9", id="loopback-network"),
        pytest.param("http://[::1]:8080", "http://[::1]:8080", id="loopback-of-version-6"),
    ],
)
def test_another_host_wins_over_the_region(url, expected):
    assert expected == parsed(api_url=url).url


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        pytest.param("http://api.mixpanel.com", "must be https", id="http"),
        pytest.param("http://localhost.example.com", "must be https", id="localhost-in-name-only"),
        pytest.param("http://10.0.0.1", "must be https", id="http-to-a-private-address"),
        pytest.param("https://user:pass@api.mixpanel.com", "holds a user", id="userinfo"),
        pytest.param("https://user@api.mixpanel.com", "holds a user", id="user"),
        pytest.param("https://@api.mixpanel.com", "holds a user", id="blank-user"),
        pytest.param("https://127.0.0.1@example.com", "holds a user", id="loopback-as-user"),
        pytest.param("http://127.0.0.1\\@example.com", "holds a user", id="backslash"),
        pytest.param("https://93.184.216.34", "must name the host", id="address"),
        pytest.param("https://169.254.169.254", "must name the host", id="metadata-service"),
        pytest.param("https://[fd00:ec2::254]", "must name the host", id="version-6"),
        pytest.param("https://2130706433", "must name the host", id="address-as-a-number"),
        pytest.param("https://0x7f.1", "must name the host", id="address-in-hexadecimal"),
        pytest.param("https://0xA9FEA9FE", "must name the host", id="in-upper-case"),
        pytest.param("https://127.1", "must name the host", id="short-address"),
        pytest.param("https://10.0.0.1.", "must name the host", id="address-and-dot"),
        pytest.param("https://api.mixpanel.com:8443", "must use https's own port", id="port"),
        pytest.param("https://api.mixpanel.com:99999", "is not a URL", id="port-beyond-ports"),
        pytest.param("https://api.mixpanel.com/import", "write only https:// and", id="path"),
        pytest.param("https://api.mixpanel.com?a=1", "write only https:// and", id="query"),
        pytest.param("https://api.mixpanel.com#a", "write only https:// and", id="fragment"),
        pytest.param("https://", "is not a URL", id="no-host"),
        pytest.param("https://.", "is not a URL", id="dot"),
        pytest.param("https://a..b", "is not a URL", id="two-dots"),
        pytest.param("https://a b.com", "is not a URL", id="blank-inside"),
        pytest.param("https://ex%61mple.com", "is not a URL", id="percent"),
        pytest.param("https://münchen.example", "is not a URL", id="not-ascii"),
        pytest.param("api.mixpanel.com", "is not a URL", id="no-scheme"),
        pytest.param("ftp://api.mixpanel.com", "is not a URL", id="ftp"),
        pytest.param("file:///etc/passwd", "is not a URL", id="file"),
        pytest.param("https://[::1", "is not a URL", id="half-a-bracket"),
    ],
)
def test_credentials_are_sent_nowhere_else(url, expected):
    """Fault 77."""
    text = message(api_url=url)

    assert text.startswith(f"api_url: {expected}")


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=20), st.sampled_from(["", "http://", "https://", "https://127.0.0.1"]))
def test_any_text_is_a_url_or_not(text, start):
    try:
        base = check_url(start + text, "api_url")
    except SettingsError:
        return
    assert base.startswith(("https://", "http://127.", "http://localhost", "http://[::1]"))


# The window


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("2026-09-01", 1_788_220_800_000, id="day"),
        pytest.param("20260901", 1_788_220_800_000, id="compact-day"),
        pytest.param(" 2026-09-01 ", 1_788_220_800_000, id="blanks"),
        pytest.param("2026-09-01T12:00:00Z", 1_788_264_000_000, id="instant"),
        pytest.param("2026-09-01T12:00:00+02:00", 1_788_256_800_000, id="offset"),
        pytest.param("2026-09-01T00:00:00.001Z", 1_788_220_800_001, id="millisecond"),
        pytest.param("2026-09-01 12:00 UTC", 1_788_264_000_000, id="zone-by-name"),
        pytest.param("2026-09-01t12:00:00z", 1_788_264_000_000, id="small-letters"),
        pytest.param("30d", 1_787_408_000_500, id="days-back"),
        pytest.param("0d", 1_790_000_000_500, id="now"),
    ],
)
def test_a_window_starts_and_ends(text, expected):
    assert expected == parsed(since=text).since_ms
    assert expected == parsed(until=text).until_ms


@pytest.mark.parametrize(
    "text", ["1712013000000", "yesterday", "30", "30h", "-1d", "2026-02-30", "2026-09", "1e9d"]
)
def test_what_is_no_time_is_refused(text):
    for name in ("since", "until"):
        assert message({name: text}) == (
            f'{name}: is not a time; write one like "2026-10-01", "2026-10-01T12:00:00Z" or "30d"'
        )


@pytest.mark.parametrize("until", ["2026-09-01", "2026-08-31"])
def test_a_window_holds_something(until):
    assert message(since="2026-09-01", until=until) == (
        "since: is not before until, so no event can be loaded"
    )


@settings(max_examples=200, deadline=None)
@given(st.datetimes(timezones=st.timezones() | st.none()))
def test_a_window_is_exact_to_the_millisecond(moment):
    got = parsed(since=moment.replace(microsecond=moment.microsecond // 1_000 * 1_000).isoformat())

    assert got.since_ms % 1_000 == moment.microsecond // 1_000


# What a mapping needs is known before a record is

USERS = {"type": "users", "distinct_id": "id", "properties": "*"}
GROUPS = {"type": "groups", "group_key": "company", "group_id": "id", "properties": "*"}
TABLE = {"type": "lookup_table", "lookup_table_id": "t-1", "key": "sku", "properties": ["name"]}
SERVICE_ACCOUNT = {
    "project_token": None,
    "project_id": "42",
    "service_account_username": "loader.1.mp-service-account",
    "service_account_secret": "secret-1",
}


@pytest.mark.parametrize("mapping", [USERS, GROUPS, [STREAMS["orders"], USERS]])
def test_profiles_need_the_projects_token(mapping):
    assert message(streams={"rows": mapping}, **SERVICE_ACCOUNT) == (
        "project_token: is missing; set it: user and group profiles need it, even beside a "
        "service account"
    )
    assert parsed(streams={"rows": mapping}, **{**SERVICE_ACCOUNT, "project_token": "token"})


@pytest.mark.parametrize("mapping", [TABLE, [STREAMS["orders"], TABLE]])
def test_a_lookup_table_needs_a_service_account(mapping):
    place = "streams.rows[1]" if isinstance(mapping, list) else "streams.rows"

    assert message(streams={"rows": mapping}) == (
        f"service_account_username: is missing, and {place} is a lookup table; set it, "
        "service_account_secret and project_id: a project_token cannot replace one"
    )
    assert parsed(streams={"rows": mapping}, **SERVICE_ACCOUNT)


@pytest.mark.parametrize(
    ("streams", "places"),
    [
        ({"a": TABLE, "b": TABLE}, ("streams.b", "streams.a")),
        ({"a": [TABLE, TABLE]}, ("streams.a[1]", "streams.a[0]")),
        ({"a-*": TABLE, "b": {**TABLE, "key": "other"}}, ("streams.b", "streams.a-*")),
    ],
)
def test_two_mappings_cannot_fill_one_lookup_table(streams, places):
    second, first = places

    assert message(streams=streams, **SERVICE_ACCOUNT) == (
        f"{second}.lookup_table_id: is that of {first}, too, and each would replace the other's "
        "rows; map one stream to it"
    )
