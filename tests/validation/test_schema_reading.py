"""A tap's schema is read for what it means, whichever draft it was written by."""

import time
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from target_mixpanel.errors import StreamSchemaError
from target_mixpanel.pipeline.schema_reading import read_schema
from target_mixpanel.pipeline.validation import ColumnUse, RecordValidator

DRAFTS = [
    None,
    *(f"http://json-schema.org/draft-0{number}/schema#" for number in (3, 4, 6, 7)),
    "https://json-schema.org/draft/2019-09/schema",
    "https://json-schema.org/draft/2020-12/schema",
]


def reading_of(column, **more):
    return read_schema({"properties": {"a": column}, **more}, "orders")


def fits(column, value, **more):
    return RecordValidator(reading_of(column, **more), "orders").flaw({"a": value}) is None


@pytest.mark.parametrize("draft", DRAFTS)
@pytest.mark.parametrize(
    ("column", "inside", "outside"),
    [
        pytest.param({"maximum": 9, "exclusiveMaximum": True}, 8, 9, id="draft-4"),
        pytest.param({"minimum": 1, "exclusiveMinimum": True}, 2, 1, id="draft-4-minimum"),
        pytest.param({"maximum": 9, "exclusiveMaximum": False}, 9, 10, id="draft-4-not"),
        pytest.param({"exclusiveMaximum": 9}, 8, 9, id="draft-6"),
        pytest.param({"exclusiveMinimum": 1}, 2, 1, id="draft-6-minimum"),
        pytest.param({"maximum": 5, "exclusiveMaximum": 9}, 5, 7, id="both-bounds"),
        pytest.param({"divisibleBy": 2}, 4, 3, id="draft-3"),
        pytest.param({"items": [{"type": "string"}]}, ["x", 1], [1], id="items-as-a-list"),
        pytest.param(
            {"items": [{}], "additionalItems": False}, [1], [1, 2], id="no-additional-items"
        ),
    ],
)
def test_each_column_is_taken_as_it_is_written(column, inside, outside, draft):
    """Whatever the schema as a whole says it is, or says nothing."""
    more = {} if draft is None else {"$schema": draft}

    assert fits(column, inside, **more)
    assert not fits(column, outside, **more)


def test_both_kinds_of_bounds_may_stand_in_one_schema():
    reading = read_schema(
        {
            "properties": {
                "old": {"type": "number", "maximum": 9, "exclusiveMaximum": True},
                "new": {"type": "number", "exclusiveMaximum": 9},
            }
        },
        "orders",
    )
    flaw = RecordValidator(reading, "orders").flaw

    assert not reading.defects
    assert flaw({"old": 8.5, "new": 8.5}) is None
    assert (flaw({"old": 9}).field, flaw({"new": 9}).field) == ("old", "new")


@pytest.mark.parametrize(
    ("column", "meaning"),
    [
        pytest.param(None, {}, id="null-for-a-schema"),
        pytest.param([], {}, id="empty-list-for-a-schema"),
        pytest.param("string", {"type": "string"}, id="a-type-for-a-schema"),
        pytest.param(["null", "string"], {"type": ["null", "string"]}, id="types-for-a-schema"),
        pytest.param({"type": []}, {}, id="no-types"),
        pytest.param({"type": None}, {}, id="null-for-a-type"),
        pytest.param({"type": "any"}, {}, id="any"),
        pytest.param({"type": ["null", "any"]}, {}, id="null-or-any"),
        pytest.param({"type": "String"}, {"type": "string"}, id="capital"),
        pytest.param({"type": ["string", None]}, {"type": ["string", "null"]}, id="null-in-types"),
        pytest.param(
            {"type": ["null", "string", "null"]}, {"type": ["null", "string"]}, id="type-twice"
        ),
        pytest.param({"items": []}, {}, id="no-items"),
        pytest.param({"anyOf": []}, {}, id="no-branches"),
        pytest.param(
            {"anyOf": [None, "string"]},
            {"anyOf": [{"type": "null"}, {"type": "string"}]},
            id="words-for-branches",
        ),
        pytest.param({"properties": []}, {"properties": {}}, id="php-has-no-empty-object"),
        pytest.param({"properties": None}, {"properties": {}}, id="null-for-properties"),
        pytest.param({"enum": []}, {}, id="no-values"),
        pytest.param({"enum": None}, {}, id="null-for-an-enum"),
        pytest.param({"enum": "x"}, {"enum": ["x"]}, id="one-value"),
        pytest.param({"maxLength": None}, {}, id="null-for-a-length"),
        pytest.param({"maxLength": -1}, {}, id="no-limit"),
        pytest.param({"maxLength": "255"}, {"maxLength": 255}, id="length-as-text"),
        pytest.param({"maxLength": Decimal("255.0")}, {"maxLength": 255}, id="length-as-decimal"),
        pytest.param({"maximum": "1.5"}, {"maximum": Decimal("1.5")}, id="bound-as-text"),
        pytest.param({"multipleOf": 0}, {}, id="no-divisor"),
        pytest.param({"exclusiveMaximum": True}, {}, id="bound-of-nothing"),
        pytest.param({"description": None, "title": 5, "format": []}, {}, id="no-texts"),
        pytest.param({"uniqueItems": "true"}, {"uniqueItems": True}, id="boolean-as-text"),
        pytest.param({"additionalProperties": None}, {}, id="null-for-additional"),
        pytest.param(
            {"additionalProperties": "false"}, {"additionalProperties": False}, id="false-as-text"
        ),
        pytest.param({"required": None}, {}, id="null-for-required"),
        pytest.param({"required": "b"}, {"required": ["b"]}, id="one-name"),
        pytest.param({"required": ["b", "b"]}, {"required": ["b"]}, id="name-twice"),
        pytest.param({"required": False}, {}, id="draft-3-not-required"),
        pytest.param({"default": None, "const": None}, {"default": None, "const": None}, id="null"),
        pytest.param({"$schema": 5}, {}, id="no-draft-of-a-column"),
        pytest.param({"$ref": None}, {}, id="null-for-a-reference"),
        pytest.param({"sqlDatatype": [1]}, {"sqlDatatype": [1]}, id="a-taps-own-word"),
    ],
)
def test_a_harmless_defect_is_read_for_what_it_means(column, meaning):
    reading = reading_of(column)

    assert meaning == reading.schema["properties"]["a"]
    assert not reading.defects


@pytest.mark.parametrize("draft", [None, 5, "", "urn:other", "http://json-schema.org/schema#"])
def test_no_known_draft_is_the_newest(draft):
    assert "$schema" not in reading_of({}, **{"$schema": draft}).schema


def test_a_column_that_is_required_by_itself_must_be_there():
    """Draft 3."""
    reading = read_schema({"properties": {"a": {"required": True}, "b": {}}}, "orders")

    assert reading.schema["required"] == ["a"]
    assert RecordValidator(reading, "orders").flaw({"b": 1}).field == "a"


@pytest.mark.parametrize(
    ("column", "words"),
    [
        ({"type": "sting"}, '"sting" of column "a" is no JSON type; did you mean "string"?'),
        ({"type": ["null", "int"]}, '"int" of column "a" is no JSON type; did you mean "integer"?'),
        ({"type": "Float"}, '"Float" of column "a" is no JSON type; did you mean "number"?'),
        ({"type": "qwxyz"}, '"qwxyz" of column "a" is no JSON type'),
        ({"type": {"type": "string"}}, 'the type of column "a" is no word, nor a list of words'),
        ({"type": 5}, 'the type of column "a" is no word, nor a list of words'),
        (5, 'column "a" has a number for a schema'),
        ({"properties": {"b": "sting"}}, '"sting" of column "a.b" is no JSON type; did you mean'),
        ({"items": {"type": "sting"}}, '"sting" of column "a" is no JSON type; did you mean'),
        ({"anyOf": ["sting"]}, '"sting" of column "a" is no JSON type; did you mean "string"?'),
        ({"maxLength": "long"}, '"maxLength" of column "a" has a value that means nothing there'),
        ({"maximum": "NaN"}, '"maximum" of column "a" has a value that means nothing there'),
        ({"required": [5]}, '"required" of column "a" has a value that means nothing there'),
        ({"dependencies": {"b": [None]}}, '"dependencies" of column "a" has a value that means'),
        ({"properties": 5}, '"properties" of column "a" has a value that means nothing there'),
        ({"$ref": "#/nowhere"}, '"$ref" of column "a" leads nowhere'),
        ({"$ref": "#nowhere"}, '"$ref" of column "a" leads nowhere'),
        ({"$ref": "#/no%20where"}, '"$ref" of column "a" leads nowhere'),
        ({"dependentRequired": 5}, "is no JSON Schema, at properties.a.dependentRequired (type)"),
    ],
)
def test_what_has_no_meaning_is_named_by_its_column(column, words):
    reading = reading_of(column)

    assert list(reading.defects) == ["a"]
    assert reading.defects["a"].startswith(words)


def test_only_a_defect_that_matters_ends_the_run():
    reading = read_schema({"properties": {"a": {"type": "sting"}, "b": {}}}, "orders")

    assert RecordValidator(reading, "orders", ColumnUse(frozenset({"b"}), False)).flaw({}) is None
    with pytest.raises(StreamSchemaError, match=r'^SCHEMA of orders: "sting" of column "a" is no'):
        RecordValidator(reading, "orders", ColumnUse(frozenset({"a"}), False))


@pytest.mark.parametrize("ref", ["#/$defs/a%20name", "#/$defs/a name", "#here", "#/properties/b"])
def test_a_reference_is_followed_however_it_is_spelled(ref):
    more = {"$defs": {"a name": {"$anchor": "here", "type": "null"}}}
    reading = read_schema(
        {"properties": {"a": {"$ref": ref}, "b": {"type": "null"}}, **more}, "orders"
    )

    assert not reading.defects
    assert RecordValidator(reading, "orders").flaw({"a": None}) is None
    assert RecordValidator(reading, "orders").flaw({"a": 1}) is not None


def test_what_a_definition_lacks_is_everybodys():
    reading = reading_of({}, definitions={"x": {"properties": {"y": {"type": "sting"}}}})

    assert list(reading.defects) == [""]
    assert reading.defects[""].startswith('"sting" of definition "x.y" is no JSON type')


WORDS = st.sampled_from(
    ["string", "null", "sting", "any", "Integer", "", "true", "#/definitions/d", "5", "-1"]
)
KEYWORDS = [
    *("$id", "$ref", "$schema", "additionalItems", "additionalProperties", "anyOf", "const"),
    *("default", "dependencies", "dependentRequired", "enum", "examples", "exclusiveMaximum"),
    *("format", "items", "maxLength", "maximum", "multipleOf", "not", "patternProperties"),
    *("prefixItems", "properties", "required", "type"),
]
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 9) | st.just(Decimal("0.5")) | WORDS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(KEYWORDS),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@settings(max_examples=1_500, deadline=None, suppress_health_check=list(HealthCheck))
@given(ANYTHING, st.sampled_from(DRAFTS), ANYTHING)
def test_whatever_a_column_says_it_can_be_validated_with(column, draft, value):
    """No schema but one that would do harm ends the run where nobody needs it."""
    schema = {"$schema": draft, "properties": {"a": column, "b": {"type": "string"}}}
    schema |= {"definitions": {"d": {"type": "string"}}}
    try:
        reading = read_schema(schema, "orders")
    except StreamSchemaError as error:
        assume("nothing is fetched" not in str(error))
        raise
    again = read_schema(reading.schema, "orders")
    validator = RecordValidator(reading, "orders", ColumnUse(frozenset({"b"}), False))

    assert again.schema == reading.schema
    assert not again.defects
    assert validator.flaw({"a": value, "b": "x"}) is None
    assert validator.flaw({"a": value, "b": 1}) is not None


def test_reading_is_linear():
    """A thousand columns more cost a thousand columns more."""
    columns = {
        f"c{n}": {"type": ["null", "string"], "maxLength": 9, "required": True}
        for n in range(30_000)
    }
    started = time.process_time()
    reading = read_schema({"properties": columns}, "orders")

    assert time.process_time() - started < 5
    assert len(reading.schema["required"]) == 30_000
