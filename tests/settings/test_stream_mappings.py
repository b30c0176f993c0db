"""A mapping may be spelled in several ways, each means one thing, and a mistake is named."""

from datetime import UTC
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from target_mixpanel.errors import SettingsError
from target_mixpanel.specs import parse_streams
from target_mixpanel.specs.keys import EVENT_KEYS
from target_mixpanel.specs.spec import (
    ALL_COLUMNS,
    Column,
    ColumnPattern,
    Constant,
    DistinctId,
    EventSpec,
    KeyColumns,
    KeyProperties,
    MatchedColumns,
    NamedProperties,
    Pairs,
    SimplifiedId,
    StreamName,
    Times,
    VerbatimInsertId,
    times_of,
)

LEAST = {"time": "at", "distinct_id": "user", "properties": "*"}
CANARY = "c4n4ry"

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(
            st.sampled_from([*EVENT_KEYS, "column", "value", "hash", "name"]), inner, max_size=4
        )
    ),
    max_leaves=8,
)


def spec_of(mapping=None, **more):
    given = {**LEAST, **(mapping or {}), **more}
    ((_, (spec,)),) = parse_streams({"orders": given})
    return spec


def message(raw):
    with pytest.raises(SettingsError) as error:
        parse_streams(raw)
    return str(error.value)


def complaint(mapping=None, **more):
    return message({"orders": {**LEAST, **(mapping or {}), **more}})


def test_the_least_mapping():
    assert spec_of() == EventSpec(
        place="streams.orders",
        event=StreamName(),
        time=Column("at"),
        identity=DistinctId(Column("user")),
        properties=MatchedColumns((ALL_COLUMNS,)),
        time_unit="auto",
        timezone=UTC,
        insert_id=KeyProperties(),
        ip=None,
    )


def test_the_designs_example():
    spec = spec_of(
        {
            "type": "events",
            "event": "Order Placed",
            "time": "created_at",
            "time_unit": "ms",
            "timezone": "Europe/Berlin",
            "distinct_id": {"column": "user_id", "default": ""},
            "insert_id": ["id"],
            "ip": "ip_address",
            "properties": {
                "Amount": "amount",
                "Plan": {"column": "plan", "default": "free"},
                "Email": {"column": "email", "hash": True},
                "Source": {"value": "postgres"},
            },
        }
    )

    assert spec == EventSpec(
        place="streams.orders",
        event=Constant("Order Placed"),
        time=Column("created_at"),
        identity=DistinctId(Column("user_id", default="")),
        properties=NamedProperties(
            (
                ("Amount", Column("amount")),
                ("Plan", Column("plan", default="free")),
                ("Email", Column("email", is_hashed=True)),
                ("Source", Constant("postgres")),
            )
        ),
        time_unit="ms",
        timezone=ZoneInfo("Europe/Berlin"),
        insert_id=KeyColumns((Column("id"),)),
        ip=Column("ip_address"),
    )


def test_null_is_the_same_as_absent():
    optional = set(EVENT_KEYS) - LEAST.keys()

    assert spec_of(dict.fromkeys(optional)) == spec_of()


# Streams


def test_a_map_of_patterns_keeps_its_order():
    streams = parse_streams({"public-*": LEAST, "orders": LEAST, "*": LEAST})

    assert [pattern for pattern, _ in streams] == ["public-*", "orders", "*"]


def test_a_stream_may_have_several_mappings():
    ((_, specs),) = parse_streams({"orders": [LEAST, {**LEAST, "event": "Paid"}]})

    assert [spec.place for spec in specs] == ["streams.orders[0]", "streams.orders[1]"]
    assert specs[1].event == Constant("Paid")


def test_a_list_names_each_stream():
    """For loaders of configuration whose keys cannot hold a dot."""
    streams = parse_streams([{"stream": "public.orders", **LEAST}, {"stream": "*", **LEAST}])

    assert [pattern for pattern, _ in streams] == ["public.orders", "*"]
    assert streams[0][1][0].place == "streams[0]"


def test_a_list_may_name_a_stream_twice():
    ((pattern, specs),) = parse_streams([{"stream": "a", **LEAST}, {"stream": "a", **LEAST}])

    assert (pattern, 2) == ("a", len(specs))


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        pytest.param(
            None, "streams: expected a map from stream to mapping, got nothing", id="null"
        ),
        pytest.param("x", "streams: expected a map from stream to mapping, got a text", id="text"),
        pytest.param({}, 'streams: is empty; name at least one stream, or "*" for all', id="empty"),
        pytest.param(
            [], 'streams: is empty; name at least one stream, or "*" for all', id="no-list"
        ),
        pytest.param({"": LEAST}, "streams: a stream's name: is blank", id="no-name"),
        pytest.param({"a": None}, "streams.a: expected a mapping, got nothing", id="no-mapping"),
        pytest.param(
            {"a": "*"}, "streams.a: expected a mapping, got a text", id="text-for-mapping"
        ),
        pytest.param(
            {"a": []}, "streams.a: is an empty list; write one mapping at least", id="no-mappings"
        ),
        pytest.param({"a": [5]}, "streams.a[0]: expected a mapping, got a number", id="number"),
        pytest.param([5], "streams[0]: expected a mapping, got a number", id="number-in-a-list"),
        pytest.param([LEAST], "streams[0].stream: expected a text, got nothing", id="no-stream"),
        pytest.param(
            [{"stream": " ", **LEAST}], "streams[0].stream: is blank", id="blank-stream-in-a-list"
        ),
        pytest.param(
            {"a": {**LEAST, "stream": "b"}},
            'streams.a.stream: is not known; there are "type", "event", "event_from", "time", '
            '"time_unit", "time_format", "timezone", "distinct_id", "user_id", "device_id", '
            '"identity", "insert_id", "ip", "properties", "exclude", "new_columns", "skip_when", '
            '"only_when"',
            id="stream-in-a-map",
        ),
    ],
)
def test_streams_that_are_none(raw, expected):
    assert expected == message(raw)


# Keys


@pytest.mark.parametrize(
    ("key", "hint"),
    [
        pytest.param("distinctid", "distinct_id", id="distinct_id"),
        pytest.param("Time", "time", id="case"),
        pytest.param("evnt", "event", id="event"),
        pytest.param("property", "properties", id="properties"),
        pytest.param("time_zone", "timezone", id="timezone"),
    ],
)
def test_an_unknown_key_is_guessed_at(key, hint):
    assert complaint({key: CANARY}) == (
        f'streams.orders.{key}: is not known; did you mean "{hint}"?'
    )


@pytest.mark.parametrize("key", ["type", "time_unit", "identity"])
@pytest.mark.parametrize("value", [CANARY, 5, [], {}, True])
def test_a_word_that_is_not_offered_is_refused(key, value):
    assert complaint({key: value}).startswith(f'streams.orders.{key}: expected one of "')


@pytest.mark.parametrize(
    "zone", ["Europe/Bern", "../../etc/passwd", "/etc/passwd", ".", "Europe", "\0"]
)
def test_a_time_zone_that_is_none_is_refused(zone):
    text = complaint(timezone=zone)

    assert text.startswith('streams.orders.timezone: "')
    assert text.endswith('is not a time zone; write one like "Europe/Berlin"')


@pytest.mark.parametrize(
    ("mapping", "expected"),
    [
        pytest.param(
            {"time": None},
            "time: is missing; name the column that holds the event's time",
            id="time",
        ),
        pytest.param({"time": ""}, "time: expected a column name, or the list ", id="blank-time"),
        pytest.param(
            {"time": 5}, "time: expected a column name, or the list ", id="number-as-time"
        ),
        pytest.param({"time": []}, "time: expected a column name, or the list ", id="empty-path"),
        pytest.param(
            {"time": ["a", ""]}, "time: expected a column name, or ", id="blank-in-a-path"
        ),
        pytest.param({"time": {}}, "time: expected a column name, {column: …} or ", id="no-column"),
        pytest.param({"time": {"value": None}}, "time.value: is null, so every ", id="null-time"),
        pytest.param(
            {"time": {"value": 1, "column": "a"}}, "time.column: is not known; there ", id="both"
        ),
        pytest.param(
            {"time": {"colunm": "a"}},
            'time.colunm: is not known; did you mean "column"?',
            id="typo",
        ),
        pytest.param(
            {"time": {"column": "a", "hash": True}}, "time.hash: means nothing here", id="hash"
        ),
        pytest.param(
            {"event": "a", "event_from": "b"},
            " has both event and event_from; keep one",
            id="two-events",
        ),
        pytest.param({"event": " "}, "event: is blank", id="blank-event"),
        pytest.param(
            {"event": 5},
            "event: expected a text, got a number; put it in quotes",
            id="number-as-event",
        ),
        pytest.param({"event": "x" * 256}, "event: has more than 255 bytes", id="long-event"),
        pytest.param(
            {"distinct_id": None}, "distinct_id: is missing; name the column that ", id="no-id"
        ),
        pytest.param(
            {"user_id": "u"}, " has distinct_id beside user_id or device_id; keep ", id="two-ids"
        ),
        pytest.param(
            {"distinct_id": {"column": "a", "nobody": "0"}},
            "distinct_id.nobody: expected a list of values, got a text",
            id="nobody-text",
        ),
        pytest.param(
            {"distinct_id": {"column": "a", "nobody": []}},
            "distinct_id.nobody: is empty; list ",
            id="nobody-empty",
        ),
        pytest.param(
            {"distinct_id": {"column": "a", "nobody": ["0", False]}},
            "distinct_id.nobody: expected texts or numbers, got true or false",
            id="nobody-boolean",
        ),
        pytest.param(
            {"distinct_id": {"value": "a", "nobody": ["0"]}},
            "distinct_id.nobody: goes with column only; leave it out",
            id="nobody-of-a-value",
        ),
        pytest.param(
            {"time": {"column": "a", "nobody": ["0"]}},
            "time.nobody: is not known; ",
            id="nobody-of-a-time",
        ),
        pytest.param(
            {"distinct_id": {"value": None}}, "distinct_id.value: is null, so every ", id="null-id"
        ),
        pytest.param(
            {"insert_id": 5}, "insert_id: expected a column name (used as ", id="number-id"
        ),
        pytest.param(
            {"insert_id": [{"column": "a", "default": [1]}]},
            "insert_id.default: expected a text, a number, true or false, got a list",
            id="list-as-id",
        ),
        pytest.param(
            {"insert_id": [{"value": {"a": 1}}]},
            "insert_id.value: expected a text, a number, true or false, got a map",
            id="map-as-id",
        ),
        pytest.param(
            {"insert_id": [{"column": "a", "hash": True}]},
            "insert_id.hash: means nothing here",
            id="hashed-id",
        ),
        pytest.param(
            {"insert_id": {"column": "a"}},
            "insert_id: expected a column name (used as ",
            id="map-for-verbatim",
        ),
        pytest.param({"insert_id": []}, "insert_id: expected a column name (used as ", id="no-ids"),
        pytest.param({"properties": None}, 'properties: is missing; write "*", a list ', id="none"),
        pytest.param(
            {"properties": "a"}, 'properties: expected "*", a list of columns', id="a-name"
        ),
        pytest.param({"properties": {"": "a"}}, "properties: a property has an empty name", id="-"),
        pytest.param({"properties": ["a", "a"]}, 'properties: "a" stands there twice', id="twice"),
        pytest.param(
            {"properties": {"a": {"column": "b", "hash": "yes"}}},
            "properties.a.hash: expected true (HMAC-SHA256 under hash_key) or sha256, got a text",
            id="hash-yes",
        ),
        pytest.param(
            {"properties": {"a": {"column": "b", "lower": True}}},
            "properties.a.lower: goes with hash; leave it out",
            id="lower-alone",
        ),
        pytest.param(
            {"properties": {"a": {"column": "b", "hash": True, "lower": 1}}},
            "properties.a.lower: expected true or false, got a number",
            id="lower-1",
        ),
        pytest.param(
            {"properties": {"a": {"column": "b", "as": "numbr"}}},
            'properties.a.as: expected one of "number", "integer", "boolean", "text", "texts", '
            '"date", "json"; did you mean "number"?',
            id="as-typo",
        ),
        pytest.param(
            {"properties": {"a": {"column": "b", "as": {"pair": ["k", "v"]}}}},
            'properties.a.as.pair: is not known; did you mean "pairs"?',
            id="pair",
        ),
        pytest.param(
            {"properties": {"a": {"column": "b", "as": {"pairs": ["k"]}}}},
            "properties.a.as.pairs: expected two names, as in {pairs: [key, value]}",
            id="one-name-of-pairs",
        ),
        pytest.param(
            {"properties": {"a": {"column": "b", "as": {"pairs": ["k", "v"]}, "hash": True}}},
            "properties.a.hash: means nothing with pairs",
            id="hashed-pairs",
        ),
        pytest.param(
            {"properties": {"a": {"column": "b", "as": {"pairs": ["k", "v"]}, "default": 1}}},
            "properties.a.default: expected a map of properties, got a number",
            id="default-of-pairs",
        ),
        pytest.param(
            {"distinct_id": {"column": "a", "as": "text"}},
            "distinct_id.as: means nothing here but json; only properties are cast",
            id="cast-id",
        ),
        pytest.param(
            {"insert_id": [{"column": "a.b", "as": "json"}]},
            "insert_id.as: means nothing here; name a column",
            id="cast-key",
        ),
        pytest.param(
            {"time": {"column": "a", "default": {"column": "b"}}},
            "time.default: is a column, and a default is the same value for every record; ",
            id="column-as-default",
        ),
        pytest.param({"time_format": 5}, "time_format: expected a text, got a number", id="5"),
        pytest.param(
            {"time_format": "%Q"}, "time_format: is no format that strptime reads; ", id="%Q"
        ),
        pytest.param({"time_format": "%"}, "time_format: is no format that strptime ", id="%"),
        pytest.param(
            {"time_format": "%d/%d/%Y"}, "time_format: is no format that strptime ", id="twice-%d"
        ),
        pytest.param({"time_format": "%H:%M"}, "time_format: names no whole day; ", id="no-day"),
        pytest.param({"time_format": "soon"}, "time_format: names no whole day; ", id="no-code"),
        pytest.param({"time_format": "%d.%m.%Y %Z"}, "time_format: %Z means another ", id="%Z"),
        pytest.param(
            {"properties": [{"column": "b"}]},
            "properties[0].name: expected a text, got nothing",
            id="no-name",
        ),
        pytest.param(
            {"properties": ["a"], "exclude": ["b"]},
            'exclude: goes with "*" or a pattern under properties only',
            id="exclude-of-named",
        ),
        pytest.param(
            {"properties": ["a"], "new_columns": "take"},
            'new_columns: goes with "*" or a pattern under properties only',
            id="new-columns-of-named",
        ),
        pytest.param(
            {"new_columns": "drop"},
            'new_columns: expected one of "take", "ignore", "fail"',
            id="new-columns",
        ),
        pytest.param(
            {"properties": {"*": "payload"}},
            'properties.*: a pattern has one * in its name and one in its column, as "$*": "mp_*"; '
            "a single column whose name has a * is written as a list of that name",
            id="pattern-of-one-column",
        ),
        pytest.param(
            {"properties": {"a_*_*": "b_*_*"}},
            "properties.a_*_*: a pattern has one * in its name",
            id="two-asterisks",
        ),
        pytest.param(
            {"properties": {"*": "a.*.b"}},
            "properties.*: the * stands in the last name of a path only",
            id="an-asterisk-on-the-way",
        ),
        pytest.param(
            {"properties": {"*": {"column": "*", "default": 0}}},
            "properties.*.default: means nothing at a pattern; name the column",
            id="default-of-a-pattern",
        ),
        pytest.param(
            {"properties": {"*": {"column": "*", "as": {"pairs": ["key", "value"]}}}},
            "properties.*.as: pairs mean nothing at a pattern; name the column",
            id="pairs-of-a-pattern",
        ),
        pytest.param(
            {"properties": {"a_*": "x_*", "b_*": "x_*"}},
            'properties: "x_*" is the column of two patterns; keep one',
            id="one-pattern-twice",
        ),
        pytest.param(
            {"properties": {"$ignore": {"value": True}}},
            'properties: "$ignore" has a value, and Mixpanel would ignore every event; '
            "name a column, or leave it out",
            id="ignore-them-all",
        ),
        pytest.param(
            {"exclude": "a"}, "exclude: expected a list of column names, got a text", id="x"
        ),
        pytest.param({"exclude": [5]}, "exclude: expected a list of column names", id="exclude-5"),
    ],
)
def test_a_mistake_is_named_by_its_place(mapping, expected):
    text = complaint(mapping)

    assert text.startswith(f"streams.orders.{expected}".replace("orders. ", "orders: "))


@pytest.mark.parametrize(
    "name", ["time", "distinct_id", "$insert_id", "$user_id", "$device_id", "ip"]
)
def test_a_property_does_not_set_what_the_mapping_sets(name):
    """Fault 81."""
    for properties in ({name: "a"}, [name], [{"name": name, "value": 1}]):
        assert complaint(properties=properties).startswith(
            f'streams.orders.properties: "{name}" is set by the mapping\'s '
        )


@pytest.mark.parametrize("name", ["token", "$token"])
def test_a_property_is_never_the_credential(name):
    assert complaint(properties={name: "a"}) == (
        f'streams.orders.properties: "{name}" is a credential and never comes from a record; '
        "leave it out"
    )


@pytest.mark.parametrize(
    "more",
    [
        {"time": "at", "distinct_id": "id"},
        {"type": "users", "distinct_id": "id"},
        {"type": "groups", "group_key": "g", "group_id": "id"},
        {"type": "lookup_table", "lookup_table_id": "t", "key": "id"},
    ],
)
def test_mappings_of_every_type_say_how_times_are_spelled(more):
    times = {"time_unit": "ms", "time_format": "%d/%m/%Y %H:%M", "timezone": "Europe/Berlin"}
    ((_, (spec,)),) = parse_streams({"s": {"properties": ["a"], **more, **times}})
    expected = Times("ms", ZoneInfo("Europe/Berlin"), "%d/%m/%Y %H:%M")

    assert times_of(spec) == expected


# Spellings


@pytest.mark.parametrize(
    ("properties", "expected"),
    [
        pytest.param("*", MatchedColumns((ALL_COLUMNS,)), id="all"),
        pytest.param(["*"], MatchedColumns((ALL_COLUMNS,)), id="all-in-a-list"),
        pytest.param({"*": "*"}, MatchedColumns((ALL_COLUMNS,)), id="all-in-a-map"),
        pytest.param([], NamedProperties(()), id="none"),
        pytest.param(
            ["a", "b.c"],
            NamedProperties((("a", Column("a")), ("b.c", Column("b.c")))),
            id="columns",
        ),
        pytest.param(
            [["b", "c.d"]], NamedProperties((("b.c.d", Column(("b", "c.d"))),)), id="a-path"
        ),
        pytest.param({"A": "a"}, NamedProperties((("A", Column("a")),)), id="map"),
        pytest.param(
            {"A": {"column": ["b", "c"], "default": 0, "hash": False}},
            NamedProperties((("A", Column(("b", "c"), default=0)),)),
            id="written-out",
        ),
        pytest.param(
            [{"name": "A.B", "column": "a"}, {"name": "C", "value": None}],
            NamedProperties((("A.B", Column("a")), ("C", Constant(None)))),
            id="list-of-names",
        ),
        pytest.param(
            {
                "A": {"column": "a", "as": "number"},
                "B": {"column": "b", "as": {"pairs": ["key", "value"]}},
                "C": {"column": "c", "hash": "sha256", "lower": True},
            },
            NamedProperties(
                (
                    ("A", Column("a", cast="number")),
                    ("B", Column("b", cast=Pairs("key", "value"))),
                    ("C", Column("c", is_hashed=True, is_plain_hash=True, is_lowered=True)),
                )
            ),
            id="casts-and-hashes",
        ),
        pytest.param(
            {"A": {"column": "a.b", "as": "json"}, "B": "a.b.c", "C": "a.c", "D": ["a", "b", "d"]},
            NamedProperties(
                (
                    ("A", Column("a.b", cast="json", is_in_json=True)),
                    ("B", Column("a.b.c", is_in_json=True)),
                    ("C", Column("a.c")),
                    ("D", Column(("a", "b", "d"), is_in_json=True)),
                )
            ),
            id="paths-into-json",
        ),
        pytest.param(
            {"$*": "mp_reserved_*", "*": {"column": "payload.*", "hash": True}, "A": "a"},
            MatchedColumns(
                (
                    ColumnPattern("$*", Column("mp_reserved_*")),
                    ColumnPattern("*", Column("payload.*", is_hashed=True)),
                ),
                (("A", Column("a")),),
            ),
            id="patterns",
        ),
        pytest.param(
            ["utm_*", {"name": "$*", "column": "mp_*"}, "id"],
            MatchedColumns(
                (ColumnPattern("utm_*", Column("utm_*")), ColumnPattern("$*", Column("mp_*"))),
                (("id", Column("id")),),
            ),
            id="patterns-in-a-list",
        ),
        pytest.param(
            {"5*": ["5*"]},
            NamedProperties((("5*", Column(("5*",))),)),
            id="a-name-with-an-asterisk",
        ),
    ],
)
def test_properties_are_spelled(properties, expected):
    assert expected == spec_of(properties=properties).properties


@pytest.mark.parametrize(
    ("mapping", "expected"),
    [
        pytest.param({"user_id": "u"}, SimplifiedId(Column("u"), None), id="user"),
        pytest.param({"device_id": "d"}, SimplifiedId(None, Column("d")), id="device"),
        pytest.param(
            {"user_id": "u", "device_id": {"value": "d"}},
            SimplifiedId(Column("u"), Constant("d")),
            id="both",
        ),
        pytest.param({"distinct_id": {"value": ""}}, DistinctId(Constant("")), id="nobody"),
        pytest.param(
            {"distinct_id": {"column": "a", "nobody": ["0", 0], "default": ""}},
            DistinctId(Column("a", default="", nobody=("0", 0))),
            id="guests",
        ),
        pytest.param(
            {"user_id": {"column": "a", "nobody": ["0"]}, "device_id": "b"},
            SimplifiedId(Column("a", nobody=("0",)), Column("b")),
            id="guests-with-devices",
        ),
        pytest.param({"distinct_id": ["a", "b"]}, DistinctId(Column(("a", "b"))), id="path"),
    ],
)
def test_ids_are_spelled(mapping, expected):
    assert expected == spec_of({"distinct_id": None, **mapping}).identity


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        pytest.param(None, KeyProperties(), id="the-streams-key"),
        pytest.param("id", VerbatimInsertId("id"), id="verbatim"),
        pytest.param(["id"], KeyColumns((Column("id"),)), id="hashed"),
        pytest.param(["a", ["b", "c"]], KeyColumns((Column("a"), Column(("b", "c")))), id="paths"),
        pytest.param(
            [{"column": "a", "default": 0}, {"value": "x"}],
            KeyColumns((Column("a", default=0), Constant("x"))),
            id="default-and-value",
        ),
    ],
)
def test_insert_ids_are_spelled(raw, expected):
    assert expected == spec_of(insert_id=raw).insert_id


def test_an_exclusion():
    properties = spec_of(exclude=["a", "*_token"], new_columns="fail").properties

    assert properties == MatchedColumns(
        (ALL_COLUMNS,), exclude=("a", "*_token"), new_columns="fail"
    )


@settings(max_examples=400, deadline=None)
@given(JSON)
def test_whatever_is_written_is_a_mapping_or_named(raw):
    for streams in (raw, {"orders": raw}, [raw]):
        try:
            parse_streams(streams)
        except SettingsError as error:
            assert str(error).startswith("streams")  # noqa: PT017 (some are mappings)
            assert str(error).isprintable()  # noqa: PT017


@settings(max_examples=200, deadline=None)
@given(st.sampled_from([key for key in EVENT_KEYS if key != "timezone"]), st.booleans())
def test_no_message_shows_a_value(key, is_nested):
    """It may be a secret in the wrong place."""
    value = {"default": CANARY} if is_nested else CANARY
    try:
        spec_of({key: value if not is_nested else [value, 1]})
    except SettingsError as error:
        assert CANARY not in str(error)  # noqa: PT017
