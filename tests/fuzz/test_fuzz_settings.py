"""Whatever a configuration holds, it is parsed, or refused in one line without its values."""

import json

from hypothesis import given
from hypothesis import strategies as st

from target_mixpanel.settings.fields import FlatSettings
from target_mixpanel.specs.keys import EVENT_KEYS
from tests.fuzz.budget import fuzzed
from tests.fuzz.json_values import NUMBERS
from tests.fuzz.targets import CANARY, check_config_file, check_settings

TEXTS = st.builds(
    lambda before, after: f"{before}{CANARY}{after}",
    st.sampled_from(["", "https://", "http://127.0.0.1:", "https://u:", "9", "{", "[1,", '"', " "]),
    st.sampled_from(["", ":1", "@host", ".example.com/", "d", "\n", "\x1b[31m", "é"])
    | st.text(max_size=5),
)
SECRETS = TEXTS | NUMBERS | st.booleans()
VALUES = st.recursive(
    SECRETS | st.none(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["column", "value", "default", "hash", "name", "as", "lower", "pairs"]),
            inner,
        )
    ),
    max_leaves=5,
)
FITTING = {
    "type": st.just("events"),
    "event": st.just("Order"),
    "event_from": st.just("kind"),
    "time": st.just("at"),
    "time_unit": st.sampled_from(["auto", "s"]),
    "time_format": st.sampled_from(["%d/%m/%Y", "%H", "%", "%d%d", "%Z"]) | st.text(max_size=4),
    # A time zone is no secret, and the message that it is none names it.
    "timezone": st.sampled_from(["UTC", "Europe/Berlin", "../UTC", "Europe", "Nowhere/\x00", "é"]),
    "distinct_id": st.just("user") | st.fixed_dictionaries({"value": VALUES}),
    "insert_id": st.sampled_from(["id", ["id"], [{"column": "id", "default": "x"}, {"value": 1}]]),
    "properties": st.just("*")
    | st.dictionaries(
        st.sampled_from(["A", "$email", "time", "token", ""]), st.just("a") | VALUES, max_size=3
    ),
    "exclude": st.just(["a"]),
}
NEEDED = ("time", "distinct_id", "properties")
MAPPINGS = (
    st.fixed_dictionaries(
        {name: FITTING[name] for name in NEEDED},
        optional={
            name: FITTING[name] if name == "timezone" else FITTING.get(name, VALUES) | VALUES
            for name in EVENT_KEYS
            if name not in NEEDED
        },
    )
    | VALUES
)
STREAMS = (
    st.dictionaries(
        st.sampled_from(["orders", "public-*", "", "*"]),
        MAPPINGS | st.lists(MAPPINGS, max_size=2),
        max_size=2,
    )
    | st.lists(MAPPINGS, max_size=2)
    | VALUES
)
NAMES = [name for name in FlatSettings.__struct_fields__ if name != "streams"]
TEXT_NAMES = ["api_url", "project_token", "service_account_username", "hash_key", "since", "until"]
FITTING_SETTINGS = {
    "region": st.sampled_from(["us", "eu", None]),
    "api_url": st.sampled_from(["https://x.example.com", "http://localhost:80", "http://[::1"]),
    "since": st.sampled_from(["30d", "2026-10-01", "99999d", "0001-01-01T00:00:00+23:59"]),
    "until": st.sampled_from(["1d", "9999-12-31T23:59:59-23:59", "2026-W01"]),
}
GOOD_STREAMS = {"orders": {"time": "at", "distinct_id": "user", "properties": "*"}}


@st.composite
def configs(draw):
    """Return good settings, but for a few: of several bad ones only the first would be met."""
    config = {"region": "us", "project_token": f"{CANARY}0123", "streams": GOOD_STREAMS}
    if draw(st.booleans()):
        config["streams"] = draw(STREAMS | STREAMS.map(json.dumps))
    for name in draw(st.lists(st.sampled_from(TEXT_NAMES) | st.sampled_from(NAMES), max_size=2)):
        config[name] = draw(FITTING_SETTINGS.get(name, NUMBERS) | TEXTS | VALUES)
    return config


@fuzzed
@given(configs())
def test_settings_are_parsed_or_named(config):
    check_settings(config)


@fuzzed
@given(configs().map(json.dumps).map(str.encode), st.integers(0, 300), st.binary(max_size=5))
def test_a_config_file_holds_a_map_or_is_named(tmp_path, content, cut, odd):
    path = tmp_path / "config.json"
    for given_bytes in (content, content[:cut] + odd, odd + content, content[:cut] + odd + b"}"):
        path.write_bytes(given_bytes)
        check_config_file(str(path))
