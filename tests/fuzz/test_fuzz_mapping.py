"""Any mapping, schema and record end in rows Mixpanel takes, in a refusal, or in our error."""

import json

import pytest
from hypothesis import event, given
from hypothesis import strategies as st

from target_mixpanel.pipeline.pipeline import Unloadable
from tests.fuzz.budget import fuzzed
from tests.fuzz.json_values import JSON, ODD_VALUES, SPELLINGS, TEXTS
from tests.fuzz.targets import check_mapping

COLUMNS = ["id", "at", "user", "a", "b.c", "deep", "$ref", "properties"]
NAMES = st.sampled_from(COLUMNS)
REFS = st.sampled_from(
    [
        "#",
        "#/$defs/x",
        "#/definitions/x",
        "#/properties/a",
        "#/properties/deep/properties/a",
        "#/default",
        "#/examples/0",
        "#x",
        "#/~0/%25",
    ]
)
FETCHED = st.sampled_from(["http://127.0.0.1:9/x", "file:///etc/hostname", "#/nowhere"])
TYPE_NAMES = ["string", "integer", "number", "boolean", "null", "object", "array"]
TYPES = st.sampled_from(TYPE_NAMES) | st.lists(
    st.sampled_from(TYPE_NAMES), min_size=1, max_size=3, unique=True
)
SMALL = st.integers(0, 5)
PATTERNS = st.sampled_from(["^a", "(a+)+$", "(?=x)y", "[", "\\d{2}", "(?P<n>x)(?P=n)", ""])
DRAFTS = st.sampled_from(
    [
        "http://json-schema.org/draft-04/schema#",
        "http://json-schema.org/draft-07/schema#",
        "https://json-schema.org/draft/2019-09/schema",
        "https://json-schema.org/draft/2020-12/schema",
        "http://127.0.0.1:9/schema",
    ]
)


def keywords(inner):
    """Return each keyword with the values it may have, most of them well-formed."""
    return {
        "type": TYPES,
        "format": st.sampled_from(["date-time", "date", "uuid", "x"]),
        "properties": st.dictionaries(NAMES, inner, max_size=3),
        "required": st.lists(NAMES, max_size=2, unique=True),
        "additionalProperties": inner,
        "patternProperties": st.dictionaries(PATTERNS, inner, max_size=2),
        "propertyNames": inner,
        "items": inner | st.lists(inner, max_size=2),
        "prefixItems": st.lists(inner, min_size=1, max_size=2),
        "contains": inner,
        "uniqueItems": st.booleans(),
        "minItems": SMALL,
        "maxItems": SMALL,
        "minLength": SMALL,
        "maxLength": SMALL,
        "pattern": PATTERNS,
        "minimum": st.sampled_from([0, -1.5, 1e300, 10**400]),
        "exclusiveMaximum": st.sampled_from([5, 1e-300, True]),
        "multipleOf": st.sampled_from([1, 0.1, 0.01, 1e-300, 10**30]),
        "enum": st.lists(JSON, min_size=1, max_size=3),
        "const": JSON,
        "default": inner | JSON,
        "examples": st.lists(inner | JSON, max_size=2),
        "anyOf": st.lists(inner, min_size=1, max_size=2),
        "oneOf": st.lists(inner, min_size=1, max_size=2),
        "allOf": st.lists(inner, min_size=1, max_size=2),
        "not": inner,
        "if": inner,
        "then": inner,
        "dependencies": st.dictionaries(NAMES, inner | st.lists(NAMES, max_size=1), max_size=1),
        "unevaluatedProperties": inner,
        "$ref": st.integers(0, 9).flatmap(lambda n: REFS if n else FETCHED),
        "$id": st.sampled_from(["x", "http://127.0.0.1:9/x", "#x"]),
        "$anchor": st.just("x"),
        "$defs": st.fixed_dictionaries({"x": inner}),
        "definitions": st.fixed_dictionaries({"x": inner}),
    }


@st.composite
def schemas_with(draw, inner):
    """Return a schema of a few keywords: of many at once, hardly one is a schema."""
    values = keywords(inner)
    chosen = draw(st.lists(st.sampled_from(list(values)), min_size=1, max_size=3, unique=True))
    return {name: draw(values[name]) for name in chosen}


LEAVES = (
    st.builds(dict)
    | st.booleans()
    | st.builds(lambda kind: {"type": kind}, TYPES)
    | st.just({"type": ["null", "string"], "format": "date-time"})
)
SCHEMAS = st.recursive(LEAVES, schemas_with, max_leaves=6)


@st.composite
def stream_schemas(draw):
    plain = draw(st.sampled_from([{}, {"type": "string"}, {"type": ["integer", "string"]}]))
    deep = draw(st.sampled_from([{}, {"type": "object", "properties": {"a": {}, "deep": {}}}]))
    properties = {**{name: {} for name in COLUMNS}, "id": plain, "deep": deep}
    properties |= draw(st.dictionaries(NAMES, SCHEMAS, max_size=4))
    schema = {"type": "object", "properties": properties}
    for name in ("$defs", "definitions"):
        schema[name] = {"x": draw(SCHEMAS)}
    if draw(st.integers(0, 3)) == 0:
        schema |= draw(schemas_with(SCHEMAS))
        schema.setdefault("properties", properties)
    if draw(st.booleans()):
        schema["additionalProperties"] = True
    if draw(st.integers(0, 4)) == 0:
        schema["$schema"] = draw(DRAFTS)
    return schema


PATHS = NAMES | st.lists(NAMES, min_size=1, max_size=3) | st.just("deep.a")
SOURCES = (
    PATHS
    | st.fixed_dictionaries({"value": JSON})
    | st.fixed_dictionaries(
        {"column": PATHS},
        optional={
            "default": JSON,
            "hash": st.booleans() | st.just("sha256"),
            "as": st.sampled_from(
                [
                    *("number", "integer", "boolean", "text", "texts", "date", "json"),
                    {"pairs": ["a", "b"]},
                ]
            ),
        },
    )
)
PROPERTIES = (
    st.just("*")
    | st.lists(PATHS, max_size=3)
    | st.dictionaries(TEXTS | st.sampled_from(["A", "$email", "mp_x"]), SOURCES, max_size=4)
)
MAPPING = st.fixed_dictionaries(
    {"time": st.just("at") | st.just("at") | PATHS | SOURCES, "properties": PROPERTIES},
    optional={
        "event": st.sampled_from(["Order Placed", "é", "$identify", " "]),
        "time_unit": st.sampled_from(["auto", "s", "ms", "us", "ns"]),
        "time_format": st.sampled_from(["%d/%m/%Y", "%Y%m%d%H%M", "%a, %d %b %Y %H:%M:%S %z"]),
        "timezone": st.sampled_from(["UTC", "Asia/Kolkata", "America/New_York", "Africa/Monrovia"]),
        "insert_id": st.sampled_from(["id", "a"])
        | st.lists(PATHS | SOURCES, min_size=1, max_size=2),
        "ip": SOURCES,
    },
).flatmap(
    lambda mapping: st.sampled_from(
        [
            {**mapping, "distinct_id": "user"},
            {**mapping, "distinct_id": {"column": "user", "default": "", "hash": True}},
            {**mapping, "distinct_id": {"value": ""}},
            {**mapping, "user_id": "user", "device_id": "a"},
            {**mapping, "device_id": {"column": "a", "hash": True}},
            {**mapping, "event_from": "a", "event": None, "distinct_id": "user"},
        ]
    )
)
TIMES = st.sampled_from(
    [
        *["2026-09-01T10:00:00Z", "2026-09-01", "2026-08-31T24:00+02:00", "1788256800"],
        *[1_788_256_800, "1970-06-01", "2099-01-01"],
    ]
)
USERS = st.sampled_from(["u-1", "u-1", "", "Anonymous", "x" * 256, 7, None])


@st.composite
def records(draw):
    """Return a RECORD's values as a tap writes them, now and then oddly."""
    record = {"id": draw(st.sampled_from([1, "k-1"])), "at": draw(TIMES), "user": draw(USERS)}
    record |= draw(st.dictionaries(NAMES, JSON | TIMES, max_size=4))
    line = json.dumps(record, ensure_ascii=draw(st.booleans())).encode()
    if draw(st.integers(0, 3)):
        return line
    return line[:-1] + f',"{draw(NAMES)}":'.encode() + draw(SPELLINGS) + b"}"


@fuzzed
@given(
    mapping=MAPPING,
    schema=stream_schemas(),
    key=st.sampled_from([(), ("id",), ("id", "at"), ("deep",)]),
    lines=st.lists(records(), min_size=1, max_size=3),
    is_schema_enforced=st.booleans(),
)
def test_a_record_becomes_rows_or_is_refused(mapping, schema, key, lines, is_schema_enforced):
    outcome = check_mapping(mapping, schema, key, lines, is_schema_enforced=is_schema_enforced)

    event(
        "not compiled"
        if outcome is None
        else outcome.flaw.reason
        if isinstance(outcome, Unloadable)
        else "mapped"
    )


OPEN_SCHEMA = {"type": "object", "properties": {name: {} for name in COLUMNS}}
GOOD_RECORD = b'{"id":1,"at":"2026-09-01","user":"u-1","a":"x"'


@pytest.mark.parametrize(
    "mapping",
    [
        {"time": "at", "distinct_id": "user", "properties": "*"},
        {"time": "at", "device_id": "user", "insert_id": ["a"], "properties": ["deep", "a"]},
        {"time": "a", "distinct_id": "user", "properties": {"A": {"column": "a", "default": 1}}},
        {"time": "at", "distinct_id": "a", "insert_id": "id", "properties": ["deep.a"]},
        {"time": "at", "distinct_id": "user", "event_from": "a", "ip": "deep", "properties": "*"},
        {
            "time": "at",
            "distinct_id": "user",
            "time_format": "%d/%m/%Y",
            "properties": {
                **{
                    kind: {"column": "a", "as": kind}
                    for kind in ("number", "integer", "boolean", "text", "texts", "date", "json")
                },
                "within": {"column": "a.deep", "as": "json"},
                "pairs": {"column": "a", "as": {"pairs": ["key", "value"]}},
            },
        },
    ],
    ids=["all", "hashed-key", "time", "id", "event-and-ip", "casts"],
)
@pytest.mark.parametrize("name", ["id", "at", "user", "a", "deep"])
def test_each_odd_value_in_each_place(mapping, name):
    lines = [GOOD_RECORD + f',"{name}":'.encode() + odd + b"}" for odd in ODD_VALUES]
    for is_schema_enforced in (True, False):
        check_mapping(mapping, OPEN_SCHEMA, (), lines, is_schema_enforced=is_schema_enforced)
