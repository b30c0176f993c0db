"""A record is what its schema says, in `jsonschema`'s reading, and no schema can hang the run."""

import json
import re
import time
from datetime import UTC, datetime
from decimal import Decimal

import jsonschema
import msgspec
import pytest
from hypothesis import HealthCheck, assume, event, example, given, settings
from hypothesis import strategies as st

from target_mixpanel.errors import StreamSchemaError
from target_mixpanel.pipeline.schema_reading import read_schema
from target_mixpanel.pipeline.validation import ColumnUse, RecordValidator

decode = msgspec.json.Decoder(float_hook=Decimal).decode

NAMES = st.sampled_from(["a", "b", "type", "pattern", "enum", "$ref"])
SMALL = st.integers(-4, 4) | st.sampled_from([0.5, 1.0, -1.5, 2.0, 1e3])
SCALARS = st.none() | st.booleans() | SMALL | st.text("ab1", max_size=4)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=6,
)
KINDS = st.sampled_from(["string", "integer", "number", "boolean", "null", "array", "object"])
DRAFTS = st.sampled_from(
    [
        None,
        "http://json-schema.org/draft-06/schema#",
        "http://json-schema.org/draft-07/schema#",
        "https://json-schema.org/draft/2019-09/schema",
        "https://json-schema.org/draft/2020-12/schema",
    ]
)


def keywords(inner):
    return st.fixed_dictionaries(
        {},
        optional={
            "type": KINDS | st.lists(KINDS, min_size=1, max_size=3, unique=True),
            "enum": st.lists(VALUES, min_size=1, max_size=3),
            "const": VALUES,
            "minimum": SMALL,
            "exclusiveMaximum": SMALL,
            "multipleOf": st.sampled_from([1, 2, 0.5, 0.25]),
            "minLength": st.integers(0, 3),
            "maxLength": st.integers(0, 3),
            "minItems": st.integers(0, 2),
            "maxItems": st.integers(0, 2),
            "uniqueItems": st.booleans(),
            "maxProperties": st.integers(0, 2),
            "required": st.lists(NAMES, max_size=2, unique=True),
            "format": st.sampled_from(["date-time", "email", "uri"]),
            "properties": st.dictionaries(NAMES, inner, max_size=2),
            "additionalProperties": st.booleans() | inner,
            "propertyNames": st.fixed_dictionaries({"maxLength": st.integers(1, 4)}),
            "items": inner,
            "contains": inner,
            "anyOf": st.lists(inner, min_size=1, max_size=2),
            "oneOf": st.lists(inner, min_size=1, max_size=2),
            "allOf": st.lists(inner, min_size=1, max_size=2),
            "not": inner,
            "if": inner,
            "then": inner,
        },
    )


SCHEMAS = st.recursive(st.booleans() | keywords(st.booleans()), keywords, max_leaves=4)


def as_read(value):
    """Return *value* as the reader would have decoded it from the tap."""
    return decode(json.dumps(value).encode())


WAY_OUT = "the tap, or set validate_records: false"


def validator_of(schema):
    return RecordValidator(read_schema(schema, "orders"), "orders")


def schema_of(column, **more):
    return {"type": "object", "properties": {"a": column}, **more}


def flaw(column, value, **more):
    return validator_of(schema_of(column, **more)).flaw({"a": value})


def message(schema):
    with pytest.raises(StreamSchemaError) as error:
        validator_of(schema)
    return str(error.value)


@settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck))
@given(SCHEMAS, st.lists(VALUES, min_size=1, max_size=4), DRAFTS)
@example({"type": "integer"}, [1.0, 1.5, 1e3], None)
@example({"multipleOf": 0.25}, [0.5, 0.3], None)
@example({"enum": [1, True]}, [1.0, True, False, "1"], None)
@example({"uniqueItems": True}, [[1, 1.0], [1, True], [0, False]], None)
def test_jsonschema_and_jsonschema_rs_agree(column, values, draft):
    """What jsonschema finds valid of plain floats is valid here of what the reader decodes."""
    schema = schema_of(column) | ({"$schema": draft} if draft else {})
    validator = validator_of(as_read(schema))
    judge = jsonschema.validators.validator_for(schema, jsonschema.Draft202012Validator)(schema)
    for value in values:
        expected = judge.is_valid({"a": value})
        event(f"valid: {expected}")

        assert expected == (validator.flaw(as_read({"a": value})) is None)


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(SCHEMAS, VALUES)
def test_a_flaw_tells_nothing_of_the_record(column, value):
    """Promise 5."""
    marked = _marked(value)
    found = validator_of(as_read(schema_of(column))).flaw(as_read({"a": marked}))
    assume(found is not None)

    assert "CANARY" not in repr(found)
    assert found.stage == "validate"
    assert found.reason.startswith("schema_")


@pytest.mark.parametrize(
    ("column", "value", "expected"),
    [
        pytest.param(
            {"type": ["integer", "null"]},
            "x",
            ("schema_type", "a", 'breaks the schema\'s type ["integer", "null"]'),
            id="type",
        ),
        pytest.param(
            {"maximum": Decimal("9.5")},
            10,
            ("schema_maximum", "a", 'breaks the schema\'s maximum "9.5"'),
            id="maximum",
        ),
        pytest.param(
            {"enum": ["free", "paid"]},
            "x",
            ("schema_enum", "a", "breaks the schema's enum"),
            id="enum-is-not-shown",
        ),
        pytest.param(
            {"properties": {"b": {"required": ["c"]}}},
            {"b": {}},
            ("schema_required", "a.b.c", "is required"),
            id="required",
        ),
        pytest.param(
            {"items": {"properties": {"b": {"type": "string"}}}},
            [{"b": "x"}, {"b": 1}],
            ("schema_type", "a.b", 'breaks the schema\'s type "string"'),
            id="in-a-list",
        ),
        pytest.param(
            {"additionalProperties": {"type": "string"}},
            {"me@example.com": 1},
            ("schema_type", "a.*", 'breaks the schema\'s type "string"'),
            id="a-name-from-the-record-is-not-shown",
        ),
        pytest.param(
            {"type": "string", "pattern": "^x"},
            "y",
            ("schema_pattern", "a", "breaks the schema's pattern"),
            id="pattern",
        ),
        pytest.param(False, 1, ("schema_false", "a", "breaks the schema's false"), id="never"),
    ],
)
def test_a_flaw_says_what_and_where(column, value, expected):
    found = flaw(column, value)

    assert expected == (found.reason, found.field, found.detail)


@pytest.mark.parametrize(
    ("column", "value", "is_valid"),
    [
        pytest.param({"type": "integer"}, "1.0", True, id="whole-decimal-is-an-integer"),
        pytest.param({"type": "integer"}, "1.5", False, id="decimal-is-none"),
        pytest.param({"type": "integer"}, "1e400", True, id="large-whole-decimal"),
        pytest.param({"type": "integer"}, f"{10**30}", True, id="big-integer"),
        pytest.param({"type": "number"}, "1e400", True, id="beyond-doubles"),
        pytest.param({"type": "number"}, "1e-400", True, id="below-doubles"),
        pytest.param({"type": "number"}, "9" * 40 + ".5", True, id="40-digits"),
        pytest.param({"multipleOf": 0.01}, "19.99", True, id="cents"),
        pytest.param({"multipleOf": 0.01}, "19.999", False, id="less-than-a-cent"),
        pytest.param(
            {"multipleOf": 0.01},
            "350.6499999999999772626324556767940521240234375",
            True,
            id="the-double-next-to-cents-to-its-last-digit",
        ),
        pytest.param({"multipleOf": 0.01}, "1e-400", True, id="nothing-in-a-double"),
        pytest.param({"multipleOf": 0.01}, "1e400", True, id="cents-beyond-doubles"),
        pytest.param(
            {"type": "number", "multipleOf": 1e-9, "maximum": 10**29, "exclusiveMaximum": True},
            "9" * 29 + "." + "9" * 9,
            True,
            id="largest-numeric-38-9",
        ),
        pytest.param({"maximum": 9}, "1e400", False, id="too-large"),
        pytest.param({"multipleOf": 3}, "1e400", False, id="no-multiple-of-something-large"),
        pytest.param({"enum": [1.5]}, "1.50", True, id="equal-in-value"),
        pytest.param({"type": "boolean"}, "1", False, id="1-is-not-true"),
        pytest.param({"type": "integer"}, "true", False, id="true-is-not-1"),
        pytest.param({"format": "date-time"}, '"soon"', True, id="formats-are-annotations"),
        pytest.param(
            {"format": "date-time", "pattern": "o"}, '"soon"', True, id="beside-a-pattern-too"
        ),
    ],
)
def test_numbers_as_the_reader_decodes_them(column, value, is_valid):
    """Fault 55: nothing is too large to be looked at."""
    assert is_valid == (flaw(as_read(column), decode(value.encode())) is None)


@pytest.mark.parametrize(
    "pattern",
    [
        pytest.param("^(a+)+$", id="nested-repeats"),
        pytest.param("^(a|aa)+$", id="overlapping-choices"),
        pytest.param("^(a|a?)+$", id="empty-choice"),
        pytest.param("(.*a){20}", id="counted"),
    ],
)
@pytest.mark.parametrize(
    "schema",
    [
        pytest.param(lambda pattern: schema_of({"pattern": pattern}), id="pattern"),
        pytest.param(
            lambda pattern: {
                "properties": {"default": {"pattern": pattern}, "a": {"type": "null"}}
            },
            id="below-a-column-named-like-a-keyword",
        ),
        pytest.param(
            lambda pattern: {
                "properties": {"a": {"$ref": "#/definitions/enum"}},
                "definitions": {"enum": {"pattern": pattern}},
            },
            id="behind-a-ref",
        ),
    ],
)
def test_a_pattern_cannot_hang_the_run(pattern, schema):
    """Fault 47."""
    validator = validator_of(schema(pattern))
    hostile = "a" * 40 + "!"
    started = time.thread_time()

    validator.flaw({"a": hostile, "default": hostile})

    assert time.thread_time() - started < 1


def test_a_name_pattern_cannot_hang_the_run():
    validator = validator_of(
        {"properties": {}, "patternProperties": {"^(a+)+$": {}}, "additionalProperties": False},
    )
    started = time.thread_time()

    assert validator.flaw({"a" * 40 + "!": 1}) is not None
    assert time.thread_time() - started < 1


@pytest.mark.parametrize("pattern", ["^(?!x)", "(?<=a)b", "(a)\\1", "^(?=.*\\d)"])
def test_a_pattern_beyond_the_linear_engine_is_not_looked_at(pattern):
    by_name = {"patternProperties": {pattern: {"type": "null"}}, "additionalProperties": False}

    assert flaw({"type": "string", "pattern": pattern}, "x1") is None
    assert flaw({"type": "string", "pattern": pattern}, 1).reason == "schema_type"
    assert validator_of(schema_of({}, **by_name)).flaw({"other": 1}) is None


@pytest.mark.parametrize(
    "reference",
    ["http://example.com/s.json", "https://example.com/#/a", "file:///etc/passwd", "other.json#/a"],
)
@pytest.mark.parametrize("place", ["a", "default", "enum", "const", "$ref"])
@pytest.mark.parametrize("keyword", ["$ref", "$dynamicRef"])
def test_nothing_is_fetched(reference, place, keyword):
    """Fault 46."""
    assert message({"properties": {place: {keyword: reference}}}) == (
        f"SCHEMA of orders: refers to {reference}, and nothing is fetched; the tap must send its "
        "schema whole"
    )


def test_what_only_looks_like_a_reference_is_none():
    reference = {"$ref": "http://example.com/s.json"}

    assert flaw({"const": reference, "default": reference, "enum": [reference]}, reference) is None


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        pytest.param(
            {"properties": ["a"]},
            "has properties that are no map of columns; mend the tap",
            id="45-list",
        ),
        pytest.param(
            {"properties": {"a": {"type": "text"}}},
            f'"text" of column "a" is no JSON type; did you mean "string"\\? Mend {WAY_OUT}',
            id="45-unknown-type",
        ),
        pytest.param(
            {"properties": {"a": 5}},
            f'column "a" has a number for a schema; mend {WAY_OUT}',
            id="45-number",
        ),
        pytest.param(
            {"properties": {}, "required": [5]},
            f'"required" of the record has a value that means nothing there; mend {WAY_OUT}',
            id="45-of-the-record",
        ),
        pytest.param(
            {"properties": {"a": {"$ref": "#/nowhere"}}},
            f'"\\$ref" of column "a" leads nowhere; mend {WAY_OUT}',
            id="45-ref-to-nowhere",
        ),
        pytest.param(
            {"properties": {"a": {"$ref": "#nowhere"}}},
            f'"\\$ref" of column "a" leads nowhere; mend {WAY_OUT}',
            id="45-anchor-nowhere",
        ),
    ],
)
def test_what_is_no_schema_is_named_by_stream_and_place(schema, expected):
    assert re.fullmatch(f"SCHEMA of orders: {expected}", message(schema))


@pytest.mark.parametrize("step", ["properties", "items", "anyOf"])
def test_endless_nesting_is_refused(step):
    """Fault 58."""
    column = {}
    for _ in range(100_000):
        column = {step: {"a": column} if step == "properties" else [column]}

    assert message(schema_of(column)) == "SCHEMA of orders: nests more than 200 levels"


@pytest.mark.parametrize("schema", ["http://json-schema.org/draft-04/schema#", "urn:unknown"])
def test_other_drafts_are_taken(schema):
    assert flaw({"type": "integer"}, 1, **{"$schema": schema}) is None
    assert flaw({"type": "integer"}, "1", **{"$schema": schema}).reason == "schema_type"


def test_the_flaw_is_of_the_column_that_has_it():
    """A whole Decimal is an integer to both validators."""
    schema = {"properties": {"a": {"type": "integer"}, "b": {"type": "null"}}}
    found = validator_of(schema).flaw({"a": Decimal("1.0"), "b": 1})

    assert found.field == "b"


def test_a_value_that_json_does_not_have_is_judged():
    """A door that does not read JSON may bring one."""
    assert flaw({"enum": [1]}, datetime(2026, 9, 1, tzinfo=UTC)).reason == "schema_enum"


@pytest.mark.parametrize("depth", [100, 500, 900])
def test_a_deep_record_is_judged(depth):
    deep = 1
    for _ in range(depth):
        deep = [deep]

    assert flaw({}, deep) is None
    assert flaw({"type": "string"}, deep).reason == "schema_type"
    assert flaw({"const": 1}, deep).reason == "schema_const"
    assert flaw({"type": "string", "pattern": "x"}, deep).reason in {"schema_type", "too_deep"}
    assert flaw({"const": 1, "pattern": "x"}, deep).reason in {"schema_const", "too_deep"}


def test_a_reference_in_a_circle_is_followed_as_far_as_the_record_goes():
    tree = {"type": "object", "properties": {"a": {"$ref": "#/definitions/tree"}}}
    validator = validator_of(
        {"properties": {"a": {"$ref": "#/definitions/tree"}}, "definitions": {"tree": tree}},
    )

    assert validator.flaw({"a": {"a": {"a": {}}}}) is None
    assert validator.flaw({"a": {"a": {"a": 1}}}).field == "a.a.a"


def _marked(value):
    if isinstance(value, str):
        return f"CANARY{value}"
    if isinstance(value, list):
        return [_marked(item) for item in value]
    if isinstance(value, dict):
        return {f"CANARY{name}": _marked(item) for name, item in value.items()}
    return value


ONLY_B = ColumnUse(frozenset({"b", "key"}), takes_undeclared=False)
B_AND_OTHERS = ColumnUse(frozenset({"b", "key"}), takes_undeclared=True)
TWO = {"a": {"type": "string"}, "b": {"type": "integer"}, "c": {"type": "null"}}


def judged(schema, record, use=ONLY_B):
    """Return where a record is refused for a breach, and where it is not for all its breaches."""
    unused = []
    reading = read_schema(schema, "orders")
    validator = RecordValidator(reading, "orders", use, lambda *said: unused.append(said))
    found = validator.flaw(record)
    return found and found.field, [column for column, _ in unused]


@pytest.mark.parametrize(
    ("more", "record", "expected"),
    [
        pytest.param({}, {"a": "x", "b": 1}, (None, []), id="none"),
        pytest.param({}, {"a": 1, "b": 1}, (None, ["a"]), id="unused"),
        pytest.param({}, {"a": 1, "b": 1, "c": 1}, (None, ["a", "c"]), id="all-unused-are-told"),
        pytest.param({}, {"a": 1, "b": "x"}, ("b", []), id="used"),
        pytest.param({"required": ["a"]}, {"b": 1}, (None, ["a"]), id="unused-and-required"),
        pytest.param({"required": ["b"]}, {"a": "x"}, ("b", []), id="used-and-required"),
        pytest.param(
            {"additionalProperties": False}, {"b": 1, "d": 1}, (None, ["d"]), id="one-too-many"
        ),
        pytest.param({"minProperties": 2}, {"b": 1}, (None, None), id="of-the-record"),
        pytest.param({"minProperties": 2}, {"a": 1, "b": 1}, (None, ["a"]), id="enough-of-them"),
        pytest.param(
            {"allOf": [{"properties": {"a": {"maxLength": 1}}}]},
            {"a": "xx", "b": 1},
            (None, ["a"]),
            id="said-elsewhere-of-unused",
        ),
        pytest.param(
            {"anyOf": [{"required": ["b"]}, {"required": ["a"]}]},
            {"a": 1},
            (None, ["a"]),
            id="one-of-two",
        ),
    ],
)
def test_only_a_breach_where_somebody_looks_is_a_rejection(more, record, expected):
    schema = {"type": "object", "properties": TWO, **more}
    if expected[1] is None:
        reading = read_schema(schema, "orders")

        assert RecordValidator(reading, "orders", ONLY_B).flaw(record) is not None
    else:
        assert expected == judged(schema, record)


def test_who_takes_every_column_takes_undeclared_ones():
    schema = {"properties": TWO, "additionalProperties": False}

    assert judged(schema, {"b": 1, "d": 1}, B_AND_OTHERS) == ("d", [])
    assert judged(schema, {"b": 1, "a": 1}, B_AND_OTHERS) == (None, ["a"])
    assert judged(schema, {"b": 1, "_sdc_extra": 1}, B_AND_OTHERS) == (None, ["_sdc_extra"])


def test_an_unused_column_may_nest_as_deeply_as_it_likes():
    deep = 1
    for _ in range(900):
        deep = [deep]
    schema = {"properties": {"a": {"const": 1}, "b": {}}}

    assert judged(schema, {"a": deep, "b": 1}) == (None, ["a"])


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(SCHEMAS, SCHEMAS, VALUES, VALUES, DRAFTS)
def test_an_unused_column_decides_nothing(used, unused, value, other, draft):
    schema = {"properties": {"b": used, "a": unused}} | ({"$schema": draft} if draft else {})
    alone = {"properties": {"b": used}} | ({"$schema": draft} if draft else {})
    record = as_read({"a": other, "b": value})
    expected = validator_of(as_read(alone)).flaw(as_read({"b": value}))
    validator = RecordValidator(read_schema(as_read(schema), "orders"), "orders", ONLY_B)

    assert (expected is None) == (validator.flaw(record) is None)


def test_many_unused_breaches_cost_little():
    columns = {f"c{n}": {"type": "string"} for n in range(12_000)}
    reading = read_schema({"properties": columns}, "orders")
    validator = RecordValidator(reading, "orders", ONLY_B)
    started = time.process_time()

    assert validator.flaw(dict.fromkeys(columns, 1)) is None
    assert time.process_time() - started < 5
