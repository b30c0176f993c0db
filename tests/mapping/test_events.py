"""A mapping says which event a record becomes; what does not fit the schema fails before it."""

import re
from decimal import Decimal

import pytest

from target_mixpanel.errors import SettingsError, StreamSchemaError
from target_mixpanel.mapping.refusal import UnmappableError
from tests.mapping.making import (
    ORDER,
    ORDERS,
    event_of,
    open_columns,
    plan_of,
    properties_of,
    stream_schema_of,
)

OWN = {"time", "$insert_id", "distinct_id", "ip"}


def columns_of(mapping=None, stream_schema=None, record=None):
    """Return the properties that came from columns."""
    properties = properties_of(record, mapping, stream_schema)
    return {name: value for name, value in properties.items() if name not in OWN}


def refusal(*args, **more):
    with pytest.raises(UnmappableError) as refused:
        properties_of(*args, **more)
    return refused.value


def message(kind=StreamSchemaError, *args, **more):
    with pytest.raises(kind) as error:
        plan_of(*args, **more)
    return str(error.value)


def test_an_event_has_exactly_these_parts():
    event = event_of(plan_of(), ORDER)

    assert event == {
        "event": "orders",
        "properties": {
            "time": 1_788_256_800_000,
            "$insert_id": event["properties"]["$insert_id"],
            "distinct_id": "u-1",
            "ip": 0,
            "id": 7,
            "amount": Decimal("9.50"),
        },
    }


# Its name


@pytest.mark.parametrize(
    ("mapping", "expected"),
    [
        pytest.param({}, "orders", id="the-streams"),
        pytest.param({"event": "Order Placed"}, "Order Placed", id="constant"),
        pytest.param({"event_from": "kind"}, "Refund", id="column"),
        pytest.param({"event_from": {"value": "Sale"}}, "Sale", id="value"),
        pytest.param({"event_from": {"column": "none", "default": "Odd"}}, "Odd", id="default"),
    ],
)
def test_an_event_is_named(mapping, expected):
    stream_schema = stream_schema_of({**ORDERS, "kind": {}, "none": {}})
    record = {**ORDER, "kind": "Refund", "none": None}

    assert expected == event_of(plan_of(mapping, stream_schema), record)["event"]


@pytest.mark.parametrize("name", [None, "", " \t", True, ["Sale"], {"a": 1}])
def test_an_event_without_a_name_is_refused(name):
    stream_schema = stream_schema_of({**ORDERS, "kind": {}})
    refused = refusal({**ORDER, "kind": name}, {"event_from": "kind"}, stream_schema)

    assert (refused.flaw.reason, refused.flaw.field) == ("missing_event", "kind")


@pytest.mark.parametrize(
    ("number", "expected"),
    [(100, "100"), (0, "0"), (Decimal("100.0"), "100"), (Decimal("-1.50"), "-1.5"), (1e3, "1000")],
)
def test_a_number_names_an_event_by_its_text(number, expected):
    stream_schema = stream_schema_of({**ORDERS, "kind": {}})
    record = {**ORDER, "user": "u", "kind": number}
    named, spelled = (
        event_of(plan_of({"event_from": "kind"}, stream_schema), {**record, "kind": kind})
        for kind in (number, expected)
    )

    assert named["event"] == expected
    assert named == spelled, "they have one $insert_id"


# Its time


def test_a_refusal_after_the_id_is_known_carries_it():
    assert refusal({**ORDER, "user": None}).insert_id == properties_of()["$insert_id"]


def test_a_time_that_mixpanel_does_not_take_yet_is_refused_with_its_id():
    """The time is known, so the id is: the record's once it is loaded on a later day."""
    assert refusal({**ORDER, "created_at": "2099-01-01"}).insert_id is not None


@pytest.mark.parametrize("time", ["soon", None])
def test_without_a_time_there_is_no_id(time):
    assert refusal({**ORDER, "created_at": time}).insert_id is None


@pytest.mark.parametrize("record", [{**ORDER, "created_at": None}, {"id": 7, "user": "u"}])
def test_a_record_without_a_time_is_refused(record):
    flaw = refusal(record).flaw

    assert (flaw.reason, flaw.field) == ("missing_time", "created_at")


def test_a_time_may_be_the_same_for_all():
    assert properties_of(time={"value": "2026-09-01T00:00:00Z"})["time"] == 1_788_220_800_000


@pytest.mark.parametrize(
    ("mapping", "expected"),
    [
        pytest.param(
            {"time": {"value": "soon"}},
            "time: is not ISO 8601; if it is right, say how it is spelled, as in time_format: "
            '"%d/%m/%Y %H:%M"',
            id="no-time",
        ),
        pytest.param(
            {"time": {"column": "created_at", "default": "soon"}},
            "time.default: is not ISO 8601; if it is right, say how it is spelled, as in "
            'time_format: "%d/%m/%Y %H:%M"',
            id="no-default-time",
        ),
        pytest.param(
            {"time": {"value": True}}, "time: is neither a text nor a number", id="boolean-time"
        ),
        pytest.param(
            {"distinct_id": {"value": "null"}},
            "distinct_id: is an id that Mixpanel refuses",
            id="reserved-id",
        ),
        pytest.param(
            {"distinct_id": None, "device_id": {"value": "nil"}},
            "device_id: is an id that Mixpanel refuses",
            id="reserved-device",
        ),
        pytest.param(
            {"properties": {"a": {"value": [[{}] * 255]}}},
            'properties: "a": has more than 254 items',
            id="long-list",
        ),
        pytest.param(
            {"properties": {"a": {"column": "id", "default": {"a": {"b": {"c": {"d": 1}}}}}}},
            'properties: the default of "a": nests more than 3 levels',
            id="deep-default",
        ),
    ],
)
def test_a_constant_that_no_record_could_have_fails_at_once(mapping, expected):
    assert message(StreamSchemaError, mapping) == f"streams.orders.{expected}"


# Its place


@pytest.mark.parametrize(
    ("ip", "expected"),
    [
        pytest.param("203.0.113.7", "203.0.113.7", id="address"),
        pytest.param("2001:db8::1", "2001:db8::1", id="version-6"),
        pytest.param(None, 0, id="null"),
        pytest.param("", 0, id="blank"),
        pytest.param(" ", 0, id="white-space"),
        pytest.param(0, 0, id="nought"),
    ],
)
def test_without_an_ip_the_loaders_own_is_never_taken(ip, expected):
    """Mixpanel looks up the sender's address unless `ip` says otherwise."""
    assert expected == properties_of({**ORDER, "user": "u", "amount": ip}, ip="amount")["ip"]
    assert expected == properties_of(ip={"value": ip} if ip is not None else None)["ip"]


@pytest.mark.parametrize(
    ("ip", "expected"),
    [
        ("203.0.113.7", "203.0.113.7"),
        (" 203.0.113.7", "203.0.113.7"),
        ("203.0.113.7/32", "203.0.113.7"),
        ("203.0.113.7, 10.0.0.1", "203.0.113.7"),
        ("203.0.113.7,10.0.0.1", "203.0.113.7"),
        (["203.0.113.7", "10.0.0.1"], "203.0.113.7"),
        ("203.0.113.7:8443", "203.0.113.7"),
        ("2001:db8::1", "2001:db8::1"),
        ("2001:db8::1/64", "2001:db8::1"),
        ("[2001:db8::1]:8443", "2001:db8::1"),
        ("::ffff:203.0.113.7", "::ffff:203.0.113.7"),
        ("unknown", 0),
        ("203.0.113", 0),
        ("203.0.113.700", 0),
        ("203.0.113.7\0", "203.0.113.7"),
        ("é", 0),
        ("\ud800", 0),
        ("\u200b", 0),
        (", 203.0.113.7", 0),
        ([], 0),
        ([None], 0),
        (1, 0),
        (True, 0),
        ({"v4": "203.0.113.7"}, 0),
    ],
)
def test_an_address_is_the_first_there_is_or_none(ip, expected):
    """Proxies list addresses, databases write masks, logs ports; what is none is no place."""
    columns = {**ORDERS, **open_columns("address")}
    got = properties_of(
        {**ORDER, "user": "u", "address": ip}, None, stream_schema_of(columns), ip="address"
    )

    assert expected == got["ip"]


# "*"


def test_all_takes_what_mixpanel_has_a_type_for_and_names_the_rest():
    columns = {
        **ORDERS,
        "text": {"type": "string"},
        "flag": {"type": ["boolean", "null"]},
        "any": {},
        "anything": True,
        "day": {"type": "string", "format": "date"},
        "tags": {"type": "array", "items": {"type": "string"}},
        "loose": {"type": "array"},
        "object": {"type": "object"},
        "untyped_object": {"properties": {"a": {}}},
        "maybe_object": {"anyOf": [{"type": "null"}, {"type": "object"}]},
        "maybe_anything": {"anyOf": [{"type": "object"}, {}]},
        "length": {"type": "number"},
        "lines": {"type": ["null", "array"], "items": {"type": "object"}},
        "maybe_lines": {"anyOf": [{"type": "array", "items": {"type": "object"}}]},
        "pairs": {"type": "array", "items": [{"type": "object"}]},
        "matrix": {"type": "array", "items": {"type": "array"}},
        "token": {"type": "string"},
        "time": {"type": "string"},
        "$os": {"type": "string"},
        "mp_lib": {"type": "string"},
        "_sdc_batched_at": {"type": "string"},
    }
    taken = {"id", "amount", "text", "flag", "any", "anything", "day", "tags", "loose", "matrix"}
    taken |= {"maybe_anything", "lines", "maybe_lines", "pairs", "length"}
    left_out = "object untyped_object maybe_object token time $os mp_lib _sdc_batched_at"
    record = {**ORDER, **{name: "x" for name in columns if name not in ORDERS}, "length": 5}
    record["day"] = "2026-10-01"
    plan = plan_of(stream_schema=stream_schema_of(columns))

    assert taken == columns_of(stream_schema=stream_schema_of(columns), record=record).keys()
    assert left_out.split() == list(plan.left_out)


def test_all_takes_bookkeeping_if_asked_to():
    stream_schema = stream_schema_of({**ORDERS, "_sdc_batched_at": {}}, takes_metadata=True)

    assert (
        columns_of(stream_schema=stream_schema, record={**ORDER, "_sdc_batched_at": 1})[
            "_sdc_batched_at"
        ]
        == 1
    )


def test_all_leaves_out_what_the_mapping_has_used():
    columns = open_columns("id", "at", "who", "device", "where", "kind", "rest")
    mapping = {
        "time": "at",
        "distinct_id": None,
        "user_id": "who",
        "device_id": "device",
        "ip": "where",
        "event_from": "kind",
    }
    record = {**dict.fromkeys(columns, "x"), "at": 1_700_000_000}
    properties = properties_of(record, mapping, stream_schema_of(columns))

    assert {*OWN, "$user_id", "$device_id", "id", "rest"} == properties.keys()


def test_all_takes_a_column_with_dots_as_it_is():
    stream_schema = stream_schema_of(
        {**ORDERS, "a.b": {}, "a": {"type": "object", "properties": {"b": {}}}}
    )
    record = {**ORDER, "a.b": "flat", "a": {"b": "deep"}}

    assert columns_of(stream_schema=stream_schema, record=record)["a.b"] == "flat"


def recursive(kind):
    """Return how a PostgreSQL tap declares a list of *kind* of any number of dimensions."""
    return {"type": ["null", kind, "array"], "items": {"$ref": f"#/definitions/{kind}s"}}


def test_lists_that_refer_to_themselves_are_lists():
    definitions = {f"{kind}s": recursive(kind) for kind in ("string", "integer", "object")}
    columns = ORDERS | {
        name: {"type": ["null", "array"], "items": {"$ref": f"#/definitions/{name}"}}
        for name in definitions
    }
    columns["matrix"] = {"type": "array", "items": {"type": "array", "items": {"type": "number"}}}
    columns["rows"] = {"type": "array", "items": {"type": "array", "items": {"type": "object"}}}
    schema = stream_schema_of(columns, schema={"definitions": definitions})
    record = ORDER | {"strings": ["a", ["b"]], "integers": [1, [2]], "matrix": [[1], [2.5]]}
    found = properties_of(record, stream_schema=schema)

    assert plan_of(stream_schema=schema).left_out == {}
    assert [found[name] for name in ("strings", "integers", "matrix")] == [
        ["a", ["b"]],
        [1, [2]],
        [[1], [2.5]],
    ]


def test_an_excluded_column_is_left_out_in_silence():
    plan = plan_of({"exclude": ["amount"]})

    assert columns_of({"exclude": ["amount"]}) == {"id": 7}
    assert plan.left_out == {}


# Named properties


@pytest.mark.parametrize(
    ("properties", "expected"),
    [
        pytest.param(["id", "amount"], {"id": 7, "amount": Decimal("9.50")}, id="list"),
        pytest.param({"Number": "id"}, {"Number": 7}, id="map"),
        pytest.param({"N": "id", "M": "id"}, {"N": 7, "M": 7}, id="one-column-twice"),
        pytest.param({"When": "created_at"}, {"When": "2026-09-01T10:00:00"}, id="time-as-well"),
        pytest.param({"Source": {"value": "pg"}}, {"Source": "pg"}, id="constant"),
        pytest.param({"Big": {"value": 2**60}}, {"Big": str(2**60)}, id="big-constant"),
        pytest.param({"Nothing": {"value": None}}, {}, id="null-constant"),
        pytest.param({"Plan": {"column": "null", "default": "free"}}, {"Plan": "free"}, id="null"),
        pytest.param({"Plan": {"column": "gone", "default": 0}}, {"Plan": 0}, id="missing"),
        pytest.param({"Plan": {"column": "id", "default": 0}}, {"Plan": 7}, id="default-unused"),
        pytest.param({"Plan": "null"}, {}, id="null-is-left-out"),
        pytest.param({"City": "a.b.c"}, {"City": "deep"}, id="dotted"),
        pytest.param(["a.b.c"], {"a.b.c": "deep"}, id="dotted-in-a-list"),
        pytest.param({"City": ["a", "b", "c"]}, {"City": "deep"}, id="path"),
        pytest.param([["a", "b", "c"]], {"a.b.c": "deep"}, id="path-in-a-list"),
        pytest.param({"X": "x.y"}, {"X": "flat"}, id="a-name-wins-over-a-path"),
        pytest.param({"X": ["x", "y"]}, {"X": "nested"}, id="path-past-a-name"),
        pytest.param({"X": [["x.y"]][0]}, {"X": "flat"}, id="name-with-dots"),
        pytest.param([{"name": "X.Y", "column": "x.y"}], {"X.Y": "flat"}, id="entry-with-dots"),
        pytest.param([{"name": "S", "value": 1}], {"S": 1}, id="entry-with-a-constant"),
        pytest.param({"A": "a"}, {"A": {"b": {"c": "deep"}}}, id="object"),
        pytest.param({"$os": "id", "mp_lib": "id"}, {"$os": 7, "mp_lib": 7}, id="on-purpose"),
        pytest.param({"Far": "broken.b.c"}, {}, id="path-through-a-text"),
        pytest.param({"Far": {"column": "broken.b.c", "default": 1}}, {"Far": 1}, id="its-default"),
        pytest.param([], {}, id="none"),
    ],
)
def test_named_properties(properties, expected):
    nested = {"type": "object", "properties": {"b": {"properties": {"c": {}}}}}
    columns = {
        **ORDERS,
        "null": {},
        "gone": {},
        "a": nested,
        "broken": nested,
        "x.y": {},
        "x": {"properties": {"y": {}}},
    }
    record = {
        **ORDER,
        "null": None,
        "a": {"b": {"c": "deep"}},
        "broken": {"b": "text"},
        "x.y": "flat",
        "x": {"y": "nested"},
    }

    assert expected == columns_of({"properties": properties}, stream_schema_of(columns), record)


def test_a_hashed_property_shows_nothing_of_the_value():
    stream_schema = stream_schema_of(hash_key=b"key")
    user = {"column": "user", "hash": True, "default": "nobody"}
    mapping = {"distinct_id": {"value": ""}, "properties": {"User": user}}

    assert re.fullmatch("[0-9a-f]{64}", columns_of(mapping, stream_schema)["User"])
    assert columns_of(mapping, stream_schema, {**ORDER, "user": None}) == {"User": "nobody"}


def test_a_hash_needs_a_key():
    mapping = {"properties": {"User": {"column": "user", "hash": True}}}

    assert message(SettingsError, mapping) == (
        "hash_key: is needed by streams.orders.properties, which is hashed"
    )


@pytest.mark.parametrize("key", ["time", "distinct_id", "$insert_id", "token", "ip", "mp_lib"])
def test_a_record_never_sets_what_is_mixpanels(key):
    """Fault 81: the mapping wins."""
    stream_schema = stream_schema_of({**ORDERS, key: {}}, schema={"additionalProperties": True})
    sent = properties_of({**ORDER, key: "evil"}, None, stream_schema)

    assert "evil" not in sent.values()


# The schema


@pytest.mark.parametrize(
    ("mapping", "expected"),
    [
        pytest.param(
            {"time": "created"},
            'time: "created" is not in the stream\'s schema; '
            'it has "amount", "created_at", "id", "lines", "place", "user"',
            id="time",
        ),
        pytest.param(
            {"distinct_id": "email"},
            'distinct_id: "email" is not in the stream\'s schema; '
            'it has "amount", "created_at", "id", "lines", "place", "user"',
            id="distinct_id",
        ),
        pytest.param(
            {"properties": {"City": "place.town"}},
            'properties: "town" is not in the stream\'s schema below "place"; it has "city"',
            id="nested",
        ),
        pytest.param(
            {"properties": ["amount.cents"]},
            'properties: "cents" is not in the stream\'s schema below "amount"; '
            "it has no columns there",
            id="below-a-number",
        ),
        pytest.param(
            {"insert_id": ["uuid"]},
            'insert_id: "uuid" is not in the stream\'s schema; '
            'it has "amount", "created_at", "id", "lines", "place", "user"',
            id="insert_id",
        ),
        pytest.param(
            {"properties": {"First": "lines.0.sku"}},
            'properties: "lines" is a list, and paths do not lead into lists; name the whole list, '
            "or have a stream map take it apart",
            id="into-a-list",
        ),
        pytest.param(
            {"time": "lines.at"},
            'time: "lines" is a list, and paths do not lead into lists; name the whole list, '
            "or have a stream map take it apart",
            id="time-in-a-list",
        ),
        pytest.param(
            {"properties": {"*": "plaec.*"}},
            'properties: "plaec" is not in the stream\'s schema; '
            'it has "amount", "created_at", "id", "lines", "place", "user"',
            id="pattern-of-no-object",
        ),
        pytest.param(
            {"properties": {"x" * 256: "id"}},
            "properties: a name has more than 255 bytes, and Mixpanel cuts names there; "
            "give it a shorter one in a map",
            id="long-name",
        ),
    ],
)
def test_a_mapping_that_does_not_fit_says_where_and_what_there_is(mapping, expected):
    columns = {**ORDERS, "place": {"type": "object", "properties": {"city": {}}}}
    columns["lines"] = {"type": ["null", "array"], "items": {"properties": {"sku": {}}}}

    assert (
        message(StreamSchemaError, mapping, stream_schema_of(columns))
        == f"streams.orders.{expected}"
    )


@pytest.mark.parametrize(
    "schema",
    [
        pytest.param({"additionalProperties": True}, id="true"),
        pytest.param({"additionalProperties": {}}, id="empty-schema"),
        pytest.param({"additionalProperties": {"type": "string"}}, id="schema"),
        pytest.param({"patternProperties": {"^x_": {}}}, id="by-pattern"),
    ],
)
def test_where_the_schema_allows_more_columns_a_mapping_may_name_them(schema):
    record = {**ORDER, "x_1": "there"}

    assert columns_of({"properties": ["x_1"]}, stream_schema_of(schema=schema), record) == {
        "x_1": "there"
    }


@pytest.mark.parametrize("column", [{}, {"type": ["array", "object"]}, {"type": "object"}])
def test_within_an_object_that_the_schema_leaves_open_any_path_will_do(column):
    """A database's JSON column."""
    stream_schema = stream_schema_of({**ORDERS, "json": column})
    record = {**ORDER, "json": {"a": {"b": 1}}}

    assert columns_of({"properties": ["json.a.b"]}, stream_schema, record) == {"json.a.b": 1}


@pytest.mark.parametrize("schema", [{}, {"additionalProperties": False}])
def test_where_it_does_not_a_typo_is_found(schema):
    assert '"x_1" is not in' in message(
        StreamSchemaError, {"properties": ["x_1"]}, stream_schema_of(schema=schema)
    )


def test_a_stream_without_columns_has_none():
    assert message(StreamSchemaError, {}, stream_schema_of({}, key=())) == (
        'streams.orders.time: "created_at" is not in the stream\'s schema; it has no columns there'
    )


def test_columns_of_a_schema_in_parts_are_found():
    schema = {
        "allOf": [{"$ref": "#/definitions/part"}],
        "definitions": {"part": {"properties": {"more": {}}}},
    }

    assert columns_of(
        {"properties": ["more"]}, stream_schema_of(schema=schema), {**ORDER, "more": 1}
    )


def test_a_wide_record_fits_up_to_mixpanels_limit():
    """Six properties are Mixpanel's own: 248 remain of fewer than 255."""
    wide = {f"c{number}": {} for number in range(247)}
    record = {**ORDER, **dict.fromkeys(wide, 1)}
    mapping = {"exclude": ["amount"]}

    assert len(columns_of(mapping, stream_schema_of({**ORDERS, **wide}), record)) == 248
    assert message(StreamSchemaError, {}, stream_schema_of({**ORDERS, **wide})) == (
        "streams.orders.properties: are 249, and Mixpanel takes at most 248 beside its own; "
        "name the columns you need"
    )


def test_a_name_from_elsewhere_cannot_forge_a_log_line():
    text = message(StreamSchemaError, {"time": "a\n\x1b[31m\u2028b"})

    assert text.isprintable()
