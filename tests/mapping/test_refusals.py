"""Every refusal names the column at fault, and says what is wrong with it."""

import ast
import re
from decimal import Decimal
from pathlib import Path

import pytest

import target_mixpanel
from target_mixpanel.model import Flaw
from target_mixpanel.pipeline.lenient_json import decode_leniently, flaw_of
from target_mixpanel.pipeline.pipeline import StreamPipeline, Unloadable
from target_mixpanel.specs import parse_streams
from tests.mapping.making import NOW_MS, ORDER, ORDERS, open_columns, stream_schema_of

USERS = {"type": "users", "distinct_id": "user", "operation": "set", "properties": "*"}
ADD = USERS | {"operation": "add", "properties": ["x"]}
UNION = USERS | {"operation": "union", "properties": ["x"]}
GROUPS = {"type": "groups", "group_key": "team", "group_id": "x", "properties": "*"}
GROUPS |= {"operation": "set"}
TABLE = {
    "type": "lookup_table",
    "lookup_table_id": "0f0e0d0c-0b0a-0908-0706-050403020100",
    "key": "id",
    "properties": ["x"],
}
EVENTS = {"time": "created_at", "distinct_id": "user", "properties": "*"}
ORIGINAL = EVENTS | {"identity": "original"}
AT_X = EVENTS | {"time": "x"}

PAIRS = EVENTS | {"properties": {"x": {"column": "x", "as": {"pairs": ["k", "v"]}}}}


def cast(kind):
    return EVENTS | {"properties": {"x": {"column": "x", "as": kind}}}


NESTED = {"a": {"a": {"a": {"a": {"a": {}}}}}}


def deeply(levels):
    value = []
    for _ in range(levels):
        value = [value]
    return value


CASES = [
    pytest.param(AT_X, "yesterday", "invalid_time", id="no-iso-8601"),
    pytest.param(AT_X, [], "invalid_time", id="time-is-a-list"),
    pytest.param(AT_X, "9" * 50, "invalid_time", id="time-is-long"),
    pytest.param(AT_X, Decimal("1E+99"), "invalid_time", id="time-is-large"),
    pytest.param(AT_X, 5, "invalid_time", id="time-of-no-unit"),
    pytest.param(AT_X, None, "missing_time", id="no-time"),
    pytest.param(AT_X, "1969-07-20", "time_before_1971", id="early"),
    pytest.param(AT_X, "2036-07-20", "time_in_future", id="late"),
    pytest.param(EVENTS | {"event_from": "x"}, " ", "missing_event", id="no-event"),
    pytest.param(EVENTS | {"event_from": "x"}, "e" * 256, "event_too_long", id="long-event"),
    pytest.param(EVENTS | {"distinct_id": "x"}, None, "missing_distinct_id", id="no-id"),
    pytest.param(EVENTS | {"distinct_id": "x"}, "i" * 256, "invalid_distinct_id", id="long-id"),
    pytest.param(EVENTS | {"distinct_id": "x"}, True, "invalid_distinct_id", id="id-is-true"),
    pytest.param(EVENTS | {"distinct_id": "x"}, "anonymous", "invalid_distinct_id", id="anonymous"),
    pytest.param(
        EVENTS | {"distinct_id": "x"}, float("nan"), "invalid_distinct_id", id="id-is-nan"
    ),
    pytest.param(USERS | {"distinct_id": "x"}, " ", "missing_distinct_id", id="blank-profile"),
    pytest.param(
        USERS | {"latitude": "x", "longitude": "x"}, 91, "invalid_latitude", id="latitude"
    ),
    pytest.param(EVENTS | {"insert_id": ["x"]}, None, "null_key", id="no-key"),
    pytest.param(EVENTS | {"insert_id": ["x"]}, [], "invalid_key", id="key-is-a-list"),
    pytest.param(EVENTS | {"insert_id": ["x"]}, float("inf"), "not_a_number", id="key-is-infinite"),
    pytest.param(
        EVENTS | {"insert_id": "x"}, "a b", "invalid_insert_id", id="insert-id-with-blank"
    ),
    pytest.param(EVENTS, Decimal("NaN"), "not_a_number", id="nan"),
    pytest.param(EVENTS, {"deep": [float("nan")]}, "not_a_number", id="nan-below"),
    pytest.param(EVENTS, {1, 2}, "invalid_value", id="set"),
    pytest.param(EVENTS, list(range(9000)), "array_too_long", id="long-list"),
    pytest.param(EVENTS, NESTED, "too_deep", id="nested"),
    pytest.param(EVENTS, deeply(5_000), "too_deep", id="recursion"),
    pytest.param(EVENTS, dict.fromkeys(map(str, range(256)), 1), "too_many_keys", id="keys"),
    pytest.param(EVENTS, "\ud83d", "lone_surrogate", id="half-a-character"),
    pytest.param(EVENTS, ["fine", {"\ud83d": 1}], "lone_surrogate", id="half-a-character-below"),
    pytest.param(EVENTS, "x" * 1_200_000, "too_large", id="large"),
    pytest.param(USERS, "x" * 1_200_000, "too_large", id="large-update"),
    pytest.param(USERS, ["x" * 300_000], "too_large", id="large-operand"),
    pytest.param(cast("number"), "many", "not_number", id="as-number"),
    pytest.param(cast("integer"), "1.5", "not_integer", id="as-integer"),
    pytest.param(cast("boolean"), "perhaps", "not_boolean", id="as-boolean"),
    pytest.param(cast("texts"), [[]], "not_texts", id="as-texts"),
    pytest.param(cast("json"), "{", "not_json", id="as-json"),
    pytest.param(PAIRS, 7, "not_pairs", id="pairs"),
    pytest.param(PAIRS, [{"k": 7, "v": 7}], "not_pairs", id="pair-without-a-name"),
    pytest.param(PAIRS, [{"k": "n" * 256, "v": 7}], "name_too_long", id="long-name-of-a-pair"),
    pytest.param(
        PAIRS,
        [{"k": f"n{number}", "v": 7} for number in range(256)],
        "too_many_properties",
        id="many-pairs",
    ),
    pytest.param(EVENTS | {"skip_when": "x"}, "perhaps", "invalid_skip_when", id="condition"),
    pytest.param(EVENTS | {"only_when": "x"}, [], "invalid_only_when", id="condition-on-a-list"),
    pytest.param(
        USERS | {"delete_when": "x"}, float("nan"), "invalid_delete_when", id="condition-nan"
    ),
    pytest.param(
        ORIGINAL | {"event": "$merge", "properties": {"$distinct_ids": "x"}},
        None,
        "missing_identity_id",
        id="merge-of-nobody",
    ),
    pytest.param(
        ORIGINAL | {"event": "$merge", "properties": {"$distinct_ids": "x"}},
        ["a"],
        "invalid_identity_id",
        id="merge-of-one",
    ),
    pytest.param(
        ORIGINAL
        | {"event": "$identify", "properties": {"$identified_id": "x", "$anon_id": "user"}},
        " ",
        "invalid_identity_id",
        id="blank-identified-id",
    ),
    pytest.param(
        ORIGINAL
        | {"event": "$identify", "properties": {"$identified_id": "user", "$anon_id": "x"}},
        "no-uuid",
        "invalid_anon_id",
        id="anonymous-id-is-no-uuid",
    ),
    pytest.param(
        {"time": "created_at", "user_id": "user", "event_from": "x", "properties": []},
        "$merge",
        "identity_event",
        id="merge-in-simplified",
    ),
    pytest.param(TABLE, {}, "invalid_value", id="cell-is-an-object"),
    pytest.param(TABLE, [{}], "invalid_value", id="cell-lists-an-object"),
    pytest.param(
        TABLE | {"key": "x", "properties": ["amount"]}, " ", "missing_key", id="blank-key"
    ),
    pytest.param(TABLE | {"key": "x", "properties": ["amount"]}, [], "invalid_key", id="list-key"),
    pytest.param(ADD, "many", "not_a_number", id="add-a-text"),
    pytest.param(ADD, 2**53 + 1, "inexact_number", id="add-what-no-double-holds"),
    pytest.param(
        USERS | {"operation": "append", "properties": ["x"]}, [], "not_one_value", id="append"
    ),
    pytest.param(UNION, True, "invalid_union", id="union-of-true"),
    pytest.param(GROUPS, None, "missing_group_id", id="no-group"),
    pytest.param(GROUPS, " ", "missing_group_id", id="blank-group"),
    pytest.param(GROUPS, True, "invalid_group_id", id="group-is-true"),
    pytest.param(GROUPS, "g" * 256, "invalid_group_id", id="long-group"),
]


@pytest.mark.parametrize(("mapping", "value", "reason"), CASES)
def test_a_refusal_names_the_column(mapping, value, reason):
    flaw = flaw_with(mapping, {**ORDER, "amount": None, "x": value})

    assert (flaw.reason, flaw.field) == (reason, "x")
    assert flaw.detail


@pytest.mark.parametrize(
    ("schema", "value", "reason"),
    [
        pytest.param({"type": "string"}, 7, "schema_type", id="type"),
        pytest.param({"enum": ["a"]}, "b", "schema_enum", id="enum"),
        pytest.param({"maximum": 3}, 7, "schema_maximum", id="maximum"),
        pytest.param({"anyOf": [{"type": "string"}]}, 7, "schema_anyOf", id="any-of"),
    ],
)
def test_a_breach_of_the_schema_names_the_column(schema, value, reason):
    flaw = flaw_with(EVENTS, {**ORDER, "x": value}, {"properties": {**ORDERS, "x": schema}})

    assert (flaw.reason, flaw.field) == (reason, "x")
    assert flaw.detail


def test_a_missing_column_is_named():
    required = {"properties": {**ORDERS, "x": {}}, "required": ["x"]}

    assert flaw_with(EVENTS, ORDER, required).field == "x"
    assert flaw_with(EVENTS, {key: ORDER[key] for key in ORDER if key != "id"}).field == "id"


def test_a_new_column_is_named():
    flaw = flaw_with(EVENTS | {"new_columns": "fail"}, {**ORDER, "x": 7}, {"properties": ORDERS})

    assert (flaw.reason, flaw.field) == ("new_column", "x")
    assert flaw.detail


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        pytest.param("NaN", "not_a_number", id="nan"),
        pytest.param('[{"deep": -Infinity}]', "not_a_number", id="infinity-below"),
        pytest.param("9" * 4_001, "too_large_number", id="digits"),
        pytest.param("1e999999999999999999999", "too_large_number", id="exponent"),
        pytest.param('"\\ud83d"', "lone_surrogate", id="half-a-character"),
    ],
)
def test_what_is_no_json_names_the_column(value, reason):
    flaw = flaw_of(decode_leniently(f'{{"id": 1, "x": {value}, "z": 1}}'.encode()))

    assert (flaw.stage, flaw.reason, flaw.field) == ("parse", reason, "x")
    assert flaw.detail


def test_a_column_whose_name_is_no_text_is_named_as_far_as_it_is():
    assert flaw_of(decode_leniently(b'{"id": 1, "na\\ud83dme": 7}')).field == "na?me"


def test_every_reason_is_looked_at_here():
    """A new one needs a case above, unless it is none of a record's columns."""
    seen = {reason for case in CASES for reason in (case.values[2],)}
    elsewhere = {
        "lone_surrogate",
        "schema_required",
        "ambiguous",
        "stream_map_failed",
        "new_column",
    }

    missing = {
        reason
        for reason in _reasons_there_are()
        if not any(re.fullmatch(reason, each) for each in seen | elsewhere | {"schema_type"})
    }

    assert missing == set()


def flaw_with(mapping, record, schema=None) -> Flaw:
    ((_, (spec,)),) = parse_streams({"orders": mapping})
    columns = {**ORDERS, **open_columns("x"), "amount": {}}
    stream_schema = stream_schema_of(columns, schema=schema)
    pipeline = StreamPipeline([spec], stream_schema, now_ms=lambda: NOW_MS)
    outcome = pipeline.run(record)
    assert isinstance(outcome, Unloadable), outcome
    return outcome.flaw


def _reasons_there_are():
    """Return every reason in the code as a pattern; one with a changing part as "part.*"."""
    package = Path(target_mixpanel.__file__).parent
    for file in package.rglob("*.py"):
        if "sandbox" in file.parts:
            continue
        for node in ast.walk(ast.parse(file.read_text())):
            match node:
                case ast.Call(func=ast.Name(id="refuse"), args=[reason, *_]):
                    yield from _pattern(reason)
                case ast.Call(func=ast.Name(id="Flaw"), args=[_, reason, *_]):
                    yield from _pattern(reason)


def _pattern(reason):
    match reason:
        case ast.Constant(value=str(text)):
            yield re.escape(text)
        case ast.JoinedStr(values=[ast.Constant(value=str(text)), *_]):
            yield re.escape(text) + ".*"
