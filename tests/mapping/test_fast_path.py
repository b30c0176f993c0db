"""The fast way gives what the careful way gives, or leaves the record to it."""

import json
from datetime import UTC, datetime
from decimal import Decimal

import msgspec
import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from target_mixpanel.errors import TargetMixpanelError
from target_mixpanel.pipeline.pipeline import StreamPipeline, TimeWindow, Unloadable
from target_mixpanel.singer.messages import decode_message as decode_line
from tests.mapping.drawn import IDENTITIES, IDS, JSON, KEYS, MAPPINGS, NAMES, TIMES
from tests.mapping.making import NOW_MS, spec_of, stream_schema_of, written

TEXT = {"type": ["null", "string"]}
NUMBER = {"type": ["number", "null"]}
TIME = {"type": ["string", "null"], "format": "date-time"}
GEO = {"type": ["object", "null"], "properties": {"lat": NUMBER, "name": TEXT}}
ADDRESS = {"type": ["null", "object"], "properties": {"city": TEXT, "geo": GEO, "extra": {}}}
ANYTHING = st.sampled_from(
    [
        {},
        True,
        False,
        TEXT,
        TIME,
        NUMBER,
        ADDRESS,
        {"type": "string", "format": "date"},
        {"type": "string", "maxLength": 3},
        {"type": "string", "minLength": 2, "title": "no matter"},
        {"type": "string", "pattern": "^a"},
        {"type": "integer"},
        {"type": ["integer", "null"], "minimum": -5, "maximum": 5},
        {"type": "integer", "minimum": 0.5},
        {"type": "number"},
        {"type": ["integer", "number"]},
        {"type": "number", "maximum": 10},
        {"type": ["number", "string", "null"]},
        {"type": ["integer", "string", "boolean", "null"]},
        {"type": "boolean"},
        {"type": "null"},
        {"type": "object"},
        {"type": ["object", "array", "string", "null"]},
        {"type": "object", "properties": {"city": TEXT}, "additionalProperties": False},
        {"type": "object", "properties": {"geo": TEXT}, "required": ["city"]},
        {"type": "object", "additionalProperties": {"type": "string"}},
        {"type": "array"},
        {"type": ["array", "null"], "items": {"type": "string"}},
        {"type": "array", "items": {"type": "number"}},
        {"type": "array", "items": {"type": "integer"}},
        {"type": "array", "items": ADDRESS},
        {"type": "array", "items": {"type": "string"}, "maxItems": 1},
        {"anyOf": [{"type": "string", "format": "date-time"}, {"type": "null"}]},
        {"anyOf": [{"type": "string"}, {"type": "integer", "minimum": 3}]},
        {"anyOf": [{"type": "number"}, {"type": "string", "maxLength": 2}]},
        {"enum": [5, "x"]},
        {"const": 1},
        {"$ref": "#/definitions/text"},
        # Dates, and where they are nested.
        {"type": "array", "items": TIME},
        {"type": ["array", "null"], "items": {"type": "string", "format": "date"}},
        {"type": "object", "properties": {"city": TIME, "geo": {"type": "object"}}},
        {"type": "object", "additionalProperties": TIME},
        {"type": "array", "items": {"type": "object", "properties": {"city": TIME}}},
        {"type": ["null", "string"], "format": "singer.decimal"},
        {"type": ["array", "null"], "items": {"type": "string", "format": "singer.decimal"}},
        {"type": "string", "description": "says nothing", "x-custom": 7},
        {"not": {"type": "string"}},
        # Of one draft and another, and of none.
        {"type": ["null", "number"], "maximum": 10, "exclusiveMaximum": True},
        {"type": ["null", "integer"], "exclusiveMinimum": 1},
        {"type": "array", "items": [{"type": "string"}]},
        {"type": ["null", "sting"]},
        {"type": ["null", "String", "null"]},
        {"type": []},
        {"type": "string", "maxLength": "3", "required": True},
        {"type": "object", "properties": None},
        {"$ref": "#/nowhere"},
        ["null", "string"],
        None,
        5,
    ]
)
SPELLED_NUMBERS = st.sampled_from(
    [
        *("0", "-0", "0.0", "-0.0", "-0.5", "1.50", "1e2", "1E400", "5.0", "1e-400"),
        *("12345678.1234567", "123456789.1234567", "0.1234567890123456789"),
        *("9007199254740993", "-9007199254740992", "100000000000", "1" * 20),
        "0." + "0" * 20 + "1",
    ]
).map(lambda text: msgspec.Raw(text.encode()))
VALUES = st.recursive(
    JSON
    | SPELLED_NUMBERS
    | TIMES
    | st.sampled_from(["", " ", "\u2028", "😀", "2026-09-01T10:00:00+00:00"])
    | st.sampled_from(["0000-00-00", "2026-09-01 10:00 UTC", "01/09/2026", "19.90", "true"])
    | st.sampled_from(['{"city": "Berlin", "at": 1788256800}', "[1, null]", '[{"key": "a"}]'])
    | st.just([{"key": "a", "value": {"int": 1}}, {"key": "$b", "value": ""}]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.fixed_dictionaries({}, optional={"city": inner, "geo": inner, "lat": inner})
        | st.just(["x"] * 255)
    ),
    max_leaves=6,
)
PATHS = st.fixed_dictionaries(
    {},
    optional={
        "City": st.sampled_from(["a.city", {"column": "a.city", "default": "none"}]),
        "Lat": st.just("a.geo.lat"),
        "Whole": st.sampled_from(["a", {"column": "a", "hash": True}]),
        "B": st.sampled_from([["b.c"], {"column": ["b.c"], "default": 0}]),
        'odd "name"': st.just("id"),
    },
)
KINDS = st.sampled_from(
    [
        *("number", "integer", "boolean", "text", "texts", "date", "json"),
        {"pairs": ["key", "value"]},
    ]
)


@st.composite
def casts(draw):
    """Return properties some of which are read as something."""
    paths = ["id", "any", "a", "a.city", "a.geo.lat", ["b.c"], ["a", "geo", "name"]]
    made = {}
    for name in draw(st.lists(st.sampled_from(["A", "B", "C"]), min_size=1, unique=True)):
        source = {"column": draw(st.sampled_from(paths)), "as": draw(KINDS)}
        if isinstance(source["as"], str):
            source |= draw(
                st.sampled_from([{}, {}, {"default": "d"}, {"hash": True}, {"hash": "sha256"}])
            )
        made[name] = source
    return made


ASKED = st.sampled_from(
    [
        *("any", "at", "id", "a.city", "_sdc_gone_at"),
        {"column": "any", "is": ["x", 5, True]},
        {"column": "user", "is": ["u", None]},
        {"column": "a.city", "is": ["Berlin", False]},
        {"column": "_sdc_gone_at", "is": [None]},
    ]
)
CONDITIONS = st.just({}) | st.fixed_dictionaries(
    {}, optional={"skip_when": ASKED, "only_when": ASKED}
)
OFTEN_UNKNOWN = st.fixed_dictionaries(
    {},
    optional={
        "unknown": VALUES,
        "_sdc_gone_at": VALUES
        | st.sampled_from([None, True, "no", "2026-09-01T10:00:00Z", "9999-12-31", "0000-00-00"]),
    },
)
encode = msgspec.json.Encoder(decimal_format="number").encode


class Told(list):
    """What a pipeline was told of values that it left out, until it is looked at."""

    def __call__(self, column, what):
        self.append((column, what))

    def taken(self):
        taken = list(self)
        self.clear()
        return taken


def pipelines(mappings, stream_schema, window=None):
    return pipeline_of([spec_of(each) for each in mappings], stream_schema, window)


def pipeline_of(specs, stream_schema, window=None, now_ms=lambda: NOW_MS):
    pipeline = StreamPipeline(
        specs,
        stream_schema,
        window,
        now_ms=now_ms,
        on_left_out=(told := Told()),
    )
    pipeline.told = told
    return pipeline


def line_of(record, *, stream="orders", **more):
    return encode({"type": "RECORD", "stream": stream, "record": record, **more})


def same(value):
    """Return decoded JSON such that equal numbers are equal, however they are spelled."""
    if isinstance(value, dict):
        return {name: same(item) for name, item in value.items()}
    if isinstance(value, list):
        return [same(item) for item in value]
    if isinstance(value, (int, float, Decimal)) and not isinstance(value, bool):
        return ("number", Decimal(value))
    return value


def events_of(rows):
    read = msgspec.json.Decoder(float_hook=Decimal).decode

    def body_of(row):
        return same(read(row.body)) if row.body.startswith(b"{") else row.body

    return [
        (row.destination, row.key, row.is_repeatable, row.is_deletion, body_of(row)) for row in rows
    ]


DROPPED = []
"""Columns of ids that rows go without."""


def check(pipeline, line):
    """Compare both ways; return what the fast one said."""
    DROPPED.clear()
    fast = pipeline.run_line(line)
    told = pipeline.told.taken()
    if fast is None:
        assert told == []
        assert not DROPPED
        return None
    dropped = DROPPED.copy()
    DROPPED.clear()
    careful = pipeline.run(decode_line(line).record)

    assert not isinstance(careful, Unloadable), careful
    assert pipeline.told.taken() == told
    assert events_of(careful) == events_of(fast)
    assert dropped == DROPPED
    return fast


MOMENTS = TIMES | st.datetimes().map(lambda moment: moment.isoformat() + "+00:00")
MOMENTS_OF_NOW = st.integers(63_072_000, NOW_MS // 1_000).map(
    lambda seconds: datetime.fromtimestamp(seconds, UTC).isoformat()
)
FITTING = st.sampled_from(
    [
        (TEXT, st.none() | st.text(max_size=8) | MOMENTS),
        (TIME, st.none() | MOMENTS),
        ({"type": "string", "maxLength": 3}, st.text(max_size=4)),
        ({"type": "integer"}, st.integers()),
        ({"type": ["integer", "null"], "minimum": -5, "maximum": 5}, st.integers(-7, 7)),
        (NUMBER, st.none() | SPELLED_NUMBERS | st.decimals(allow_nan=False, allow_infinity=False)),
        ({"type": "boolean"}, st.booleans()),
        (ADDRESS, VALUES | st.fixed_dictionaries({}, optional={"city": st.text(), "extra": JSON})),
        ({"type": ["array", "null"], "items": {"type": "string"}}, st.lists(st.text(max_size=3))),
        ({"type": ["object", "array", "string", "null"]}, VALUES),
        ({"type": "object", "properties": {"geo": TEXT}, "required": ["city"]}, VALUES),
        ({}, VALUES),
    ],
)


@st.composite
def columns_and_record(draw):
    """Return a stream's columns, and a record most of whose values are what its columns say."""
    often = st.sampled_from([True] * 30 + [False])
    columns, record = {"user": {}, "device": {}}, {"user": "u" if draw(often) else draw(IDS)}
    for name in ("id", "at", "any", "a", "b.c", *draw(st.lists(NAMES, max_size=2, unique=True))):
        column, values = draw(FITTING)
        columns[name] = column if draw(often) else draw(ANYTHING)
        if draw(st.integers(0, 8)):
            record[name] = draw(values if draw(often) else VALUES)
    if draw(often):
        columns |= {"id": {"type": "integer"}, "at": TIME}
        record |= {"id": draw(st.integers(1, 9)), "at": draw(MOMENTS_OF_NOW)}
    return columns, record


@settings(max_examples=1_500, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    made=columns_and_record(),
    unknown=OFTEN_UNKNOWN,
    conditions=CONDITIONS,
    mapping=MAPPINGS,
    properties=st.none() | PATHS | casts(),
    identity=IDENTITIES,
    key=st.just(("id",)) | KEYS,
    is_schema_enforced=st.booleans(),
    is_blank_null=st.booleans(),
    form=st.sampled_from([None, None, "%d/%m/%Y"]),
    root=st.sampled_from(
        [
            *([{}] * 20),
            {"additionalProperties": True},
            {"additionalProperties": False},
            {"required": ["any"]},
            {"minProperties": 2},
            {"type": ["object", "null"]},
            {"$schema": "http://json-schema.org/draft-04/schema#"},
            {"$schema": "http://json-schema.org/draft-07/schema#"},
        ]
    ),
)
def test_both_ways_give_the_same_rows(
    made,
    unknown,
    conditions,
    mapping,
    properties,
    identity,
    key,
    is_schema_enforced,
    is_blank_null,
    form,
    root,
):
    """The careful way decides; the fast way may only leave a record to it."""
    columns, record = made
    root = {"definitions": {"text": TEXT}} | root
    stream_schema = stream_schema_of(
        columns,
        key,
        is_schema_enforced=is_schema_enforced,
        is_blank_null=is_blank_null,
        hash_key=b"k",
        schema=root,
        group_keys={"any": (), "A": ("x",)},
        on_dropped_id=DROPPED.append,
    )
    mapping = {**mapping, **identity, **conditions, "time": "at", "time_format": form}
    if properties:
        mapping["properties"] = properties
    try:
        pipeline = pipelines([mapping], stream_schema)
    except TargetMixpanelError:  # the mapping and the schema do not fit: said before any record
        event("no pipeline")
        return
    rows = check(pipeline, line_of(record | unknown))
    event("no fast way" if not pipeline.has_fast_path else "left" if rows is None else "fast")


OTHERS = st.lists(
    st.sampled_from(
        [
            {"type": "users", "distinct_id": "id", "properties": "*"},
            {
                "type": "users",
                "distinct_id": "id",
                "properties": {
                    "A": {"column": "any", "as": "date"},
                    "B": {"column": "a", "as": {"pairs": ["key", "value"]}},
                },
            },
            {
                "type": "lookup_table",
                "lookup_table_id": "t",
                "key": "id",
                "properties": {"A": {"column": "any", "as": "date"}, "B": "b.c"},
            },
            {
                "type": "users",
                "distinct_id": "user",
                "operation": "add",
                "properties": {"A": {"column": "any", "as": "number"}},
            },
            {"type": "users", "distinct_id": "user", "operation": "add", "properties": ["any"]},
            {"type": "users", "user_id": "user", "properties": {"A": "a.city", "B": "b.c"}},
            {"type": "users", "user_id": "user", "nulls": "unset", "properties": "*"},
            {"type": "users", "distinct_id": "id", "nulls": "keep", "properties": "*"},
            {
                "type": "users",
                "distinct_id": {"column": "id", "nobody": [1, "2"]},
                "latitude": "any",
                "longitude": "a",
                "properties": {"L": "a.geo.lat", "N": "a.geo.name", "E": "a.extra.x", "any": "any"},
            },
            {"type": "users", "distinct_id": "id", "delete_when": "any", "properties": ["a"]},
            {
                "type": "users",
                "distinct_id": "id",
                "delete_when": "_sdc_gone_at",
                "properties": "*",
            },
            {"type": "groups", "group_key": "g", "group_id": "id", "properties": "*"},
            {"type": "groups", "group_key": "g", "group_id": "any", "operation": "delete"},
            {"type": "lookup_table", "lookup_table_id": "t", "key": "id", "properties": "*"},
            {"type": "lookup_table", "lookup_table_id": "t", "key": "any", "properties": ["a"]},
            {"time": "at", "distinct_id": "user", "properties": "*"},
        ]
    ),
    min_size=1,
    max_size=2,
)


@settings(max_examples=700, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    made=columns_and_record(),
    unknown=OFTEN_UNKNOWN,
    mappings=OTHERS,
    conditions=st.lists(CONDITIONS, min_size=2, max_size=2),
    is_schema_enforced=st.booleans(),
    is_blank_null=st.booleans(),
)
def test_both_ways_give_the_same_rows_of_every_type(
    made, unknown, mappings, conditions, is_schema_enforced, is_blank_null
):
    columns, record = made
    mappings = [mapping | more for mapping, more in zip(mappings, conditions, strict=False)]
    stream_schema = stream_schema_of(
        columns,
        is_schema_enforced=is_schema_enforced,
        is_blank_null=is_blank_null,
        group_keys={"any": ("x",)},
    )
    try:
        pipeline = pipeline_of([written(mapping, "orders") for mapping in mappings], stream_schema)
    except TargetMixpanelError:
        event("no pipeline")
        return
    rows = check(pipeline, line_of(record | unknown))
    event("no fast way" if not pipeline.has_fast_path else "left" if rows is None else "fast")


PLAIN = {
    "id": {"type": "integer"},
    "created_at": TIME,
    "user": TEXT,
    "amount": NUMBER,
    "count": {"type": ["integer", "null"], "minimum": 0},
    "is_gift": {"type": ["boolean", "null"]},
    "tags": {"type": ["array", "null"], "items": {"type": "string"}},
    "paid_at": TIME,
    "day": {"type": ["string", "null"], "format": "date"},
    "address": ADDRESS,
    "note": {"type": ["string", "null"], "maxLength": 50},
}
ORDER = {
    "id": 7,
    "created_at": "2026-09-01T10:00:00.123456+00:00",
    "user": "u-é",
    "amount": msgspec.Raw(b"9.50"),
    "count": 3,
    "is_gift": True,
    "tags": ["a", "b"],
    "paid_at": "2026-09-01T12:00:00+02:00",
    "day": "2026-09-01T00:00:00",
    "address": {"city": "Berlin", "geo": {"lat": 52.5, "name": None}, "more": [1]},
    "note": None,
}


@pytest.mark.parametrize(
    "mapping",
    [
        pytest.param({}, id="all"),
        pytest.param({"event": None, "event_from": "count"}, id="named-by-an-integer"),
        pytest.param({"event": None, "event_from": "amount"}, id="named-by-a-number"),
        pytest.param({"properties": ["amount", "tags"]}, id="listed"),
        pytest.param({"properties": {"Amount": "amount", "Paid": "paid_at"}}, id="renamed"),
        pytest.param({"properties": {"City": "address.city", "L": "address.geo.lat"}}, id="paths"),
        pytest.param({"properties": {"Note": {"column": "note", "default": "-"}}}, id="default"),
        pytest.param({"properties": {"Source": {"value": {"a": [1]}}}}, id="constant"),
        pytest.param({"properties": {"User": {"column": "user", "hash": True}}}, id="hashed-text"),
        pytest.param({"properties": {"A": {"column": "amount", "hash": True}}}, id="hashed-number"),
        pytest.param({"event": None, "event_from": "day"}, id="event-from-a-column"),
        pytest.param({"ip": "note"}, id="ip"),
        pytest.param({"insert_id": ["id", "created_at"]}, id="key-with-a-time"),
        pytest.param({"insert_id": "count"}, id="verbatim-id"),
        pytest.param({"insert_id": ["amount"]}, id="key-of-a-number"),
        pytest.param(
            {"insert_id": [{"column": "note", "default": "n"}, {"value": 5}, "id"]},
            id="key-with-a-default",
        ),
        pytest.param({"distinct_id": "amount"}, id="number-as-id"),
        pytest.param({"distinct_id": None, "user_id": "user", "device_id": "day"}, id="simplified"),
        pytest.param({"properties": {'a "quoted" name': "amount"}}, id="name-no-struct-has"),
        pytest.param({"time": {"value": "2026-09-01"}}, id="constant-time"),
        pytest.param({"skip_when": "note", "only_when": "created_at"}, id="conditions"),
        pytest.param({"skip_when": {"column": "count", "is": [3, None]}}, id="skipped"),
        pytest.param({"skip_when": "_sdc_deleted_at"}, id="undeclared"),
        pytest.param(
            {"properties": {"A": {"column": "amount", "as": "text"}}}, id="read-as-a-text"
        ),
        pytest.param({"properties": {"D": {"column": "day", "as": "date"}}}, id="read-as-a-date"),
        pytest.param(
            {"properties": {"N": {"column": "note", "as": {"pairs": ["key", "value"]}}, "A": "id"}},
            id="pairs",
        ),
        pytest.param({"time_format": "%d/%m/%Y"}, id="format"),
    ],
)
@pytest.mark.parametrize("is_schema_enforced", [True, False])
def test_every_feature_of_a_mapping_has_a_fast_way(mapping, is_schema_enforced):
    stream_schema = stream_schema_of(PLAIN, hash_key=b"key", is_schema_enforced=is_schema_enforced)
    pipeline = pipelines([{"event": "Order Placed", **mapping}], stream_schema)

    assert check(pipeline, line_of(ORDER)) is not None
    # Where an object on the way, or all else, is null.
    nothing = dict.fromkeys(ORDER) | {name: ORDER[name] for name in ("id", "created_at", "user")}
    if not mapping.keys() & {"event_from", "insert_id", "distinct_id"}:
        assert check(pipeline, line_of(nothing)) is not None


@pytest.mark.parametrize(
    "spelled",
    [
        *("0", "-0", "-0.0", "1.50", "1e2", "12345678.1234567", "123456789012345"),
        *("123456789.1234567", "0.1234567890123456789", "1" * 20, "1e-400", "1E400"),
    ],
)
def test_a_number_keeps_its_value_to_the_last_digit(spelled):
    pipeline = pipelines([{}], stream_schema_of(PLAIN))

    assert check(pipeline, line_of(ORDER | {"amount": msgspec.Raw(spelled.encode())})) is not None


@pytest.mark.parametrize(
    "unused",
    [
        {"type": "sting"},
        {"type": ["null", "string"], "maxLength": None},
        {"$ref": "#/nowhere"},
        None,
        5,
    ],
)
def test_a_column_that_nobody_uses_does_not_cost_the_fast_way(unused):
    """Whatever its schema is, or is not."""
    stream_schema = stream_schema_of({**PLAIN, "extra": unused})
    pipeline = pipelines([{"properties": ["amount"]}], stream_schema)

    assert check(pipeline, line_of(ORDER | {"extra": "x"})) is not None


def test_a_breach_in_a_column_that_nobody_uses_is_counted_by_the_careful_way():
    breached = []
    pipeline = StreamPipeline(
        [spec_of(properties=["amount"])],
        stream_schema_of(PLAIN),
        now_ms=lambda: NOW_MS,
        on_unused=lambda column, flaw: breached.append((column, flaw.reason)),
    )
    record = ORDER | {"amount": 1, "tags": "none", "count": -1}

    assert pipeline.run_line(line_of(record)) is None
    assert len(pipeline.run(record)) == 1
    assert breached == [("count", "schema_minimum"), ("tags", "schema_type")]


def test_several_destinations_have_a_fast_way_together():
    stream_schema = stream_schema_of(PLAIN)
    window = TimeWindow(since_ms=NOW_MS - 10**10)
    mappings = [{"event": "A", "time": {"value": "2020-01-01"}}, {"event": "B"}, {"event": "C"}]
    rows = check(pipelines(mappings, stream_schema, window), line_of(ORDER))

    assert [row.destination for row in rows] == [1, 2]


def test_what_only_the_clock_can_tell_takes_a_fresh_look_at_it():
    """The fast way's is as old as the last batch; a deletion of this moment must not be missed."""
    now_ms = NOW_MS
    spec = written(
        {"type": "users", "distinct_id": "id", "delete_when": "paid_at", "properties": ["day"]}
    )
    stream_schema = stream_schema_of(PLAIN, stream="rows")
    pipeline = pipeline_of([spec], stream_schema, now_ms=lambda: now_ms)
    soon = datetime.fromtimestamp((NOW_MS + 5_000) / 1_000, UTC).isoformat()
    never = "9999-12-31T00:00:00Z"
    line = line_of(ORDER | {"paid_at": soon}, stream="rows")

    assert pipeline.run_line(line) is None
    now_ms += 5_000
    assert [row.is_deletion for row in check(pipeline, line)] == [True]
    rows = check(pipeline, line_of(ORDER | {"paid_at": never}, stream="rows"))
    assert [row.is_deletion for row in rows] == [False]


@pytest.mark.parametrize(
    ("change", "schema"),
    [
        pytest.param({"id": "seven"}, {}, id="wrong-type"),
        pytest.param({"id": None}, {}, id="null-where-none-may-be"),
        pytest.param({"count": -1}, {}, id="too-small"),
        pytest.param({"count": 2**60}, {}, id="larger-than-a-double-holds"),
        pytest.param({"note": "x" * 51}, {}, id="too-long"),
        pytest.param({"tags": ["x"] * 255}, {}, id="more-items-than-mixpanel-takes"),
        pytest.param({"amount": "9.50"}, {}, id="text-for-number"),
        pytest.param({"amount": True}, {}, id="boolean-for-number"),
        pytest.param({"user": None}, {}, id="no-user"),
        pytest.param({"user": "anonymous"}, {}, id="reserved-id"),
        pytest.param({"created_at": "soon"}, {}, id="no-time"),
        pytest.param({"created_at": "2099-01-01"}, {}, id="in-the-future"),
        pytest.param({"more": 1}, {"additionalProperties": False}, id="one-column-too-many"),
        pytest.param({"address": {"geo": 5}}, {}, id="wrong-type-below"),
        pytest.param({"count": msgspec.Raw(b"3.0")}, {}, id="integer-in-another-spelling"),
    ],
)
def test_what_is_not_as_expected_is_left_to_the_careful_way(change, schema):
    pipeline = pipelines([{}], stream_schema_of(PLAIN, schema=schema))

    assert pipeline.run_line(line_of(ORDER)) is not None
    assert pipeline.run_line(line_of(ORDER | change)) is None


@pytest.mark.parametrize(
    "line",
    [
        pytest.param(line_of(ORDER, stream="users"), id="another-stream"),
        pytest.param(line_of(ORDER).replace(b'"RECORD"', b'"STATE"'), id="another-type"),
        pytest.param(line_of(ORDER)[:-1], id="cut-off"),
        pytest.param(line_of(ORDER) + b"x", id="more-behind-it"),
        pytest.param(
            line_of({**ORDER, "x": "\u00e9"}).replace("é".encode(), b"\xff"), id="not-utf-8"
        ),
        pytest.param(line_of({**ORDER, "x": 1}).replace(b'"x":1', b'"x":NaN'), id="not-json"),
        pytest.param(
            line_of(ORDER).replace(b'"record":{', b'"record":{"id":"seven"},"record":{'), id="twice"
        ),
    ],
)
def test_a_line_that_is_no_such_record_is_left_to_the_careful_way(line):
    assert pipelines([{}], stream_schema_of(PLAIN)).run_line(line) is None


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "string", "pattern": "a"},
        {"enum": [1]},
        {"$ref": "#/definitions/text"},
        {"oneOf": [{"type": "string"}]},
        {"type": "number", "multipleOf": 0.01},
        {"type": "object", "minProperties": 1},
        {"type": "array", "uniqueItems": True},
        False,
    ],
    ids=json.dumps,
)
def test_a_schema_that_says_more_than_types_has_no_fast_way(schema):
    pipeline = pipelines(
        [{}], stream_schema_of({**PLAIN, "x": schema}, schema={"definitions": {"text": TEXT}})
    )

    assert not pipeline.has_fast_path
    assert pipeline.run_line(line_of(ORDER)) is None


@pytest.mark.parametrize("more", [{"minProperties": 1}, {"type": "object", "if": {}}, {"not": {}}])
def test_a_record_of_which_more_is_said_has_no_fast_way(more):
    assert pipelines([{}], stream_schema_of(PLAIN)).has_fast_path
    assert not pipelines([{}], stream_schema_of(PLAIN, schema={**more, "then": {}})).has_fast_path


def test_a_verbatim_id_has_a_fast_way_without_a_key():
    """Only where it is null, the whole record counts."""
    pipeline = pipelines([{"insert_id": "note"}], stream_schema_of(PLAIN, key=()))

    assert check(pipeline, line_of(ORDER | {"note": "n-1"})) is not None
    assert pipeline.run_line(line_of(ORDER)) is None
    assert len(pipeline.run(decode_line(line_of(ORDER)).record)) == 1


def test_a_verbatim_id_that_is_null_has_a_fast_way_with_a_key():
    pipeline = pipelines([{"insert_id": "note"}], stream_schema_of(PLAIN))

    assert check(pipeline, line_of(ORDER)) is not None


def test_a_whole_record_as_key_has_no_fast_way():
    """Every column counts in its $insert_id, and none may be skipped."""
    assert not pipelines([{}], stream_schema_of(PLAIN, key=())).has_fast_path
