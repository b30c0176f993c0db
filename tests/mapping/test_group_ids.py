"""A group's id has one type wherever it is named, so that its profile is found."""

import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from target_mixpanel.errors import StreamSchemaError
from target_mixpanel.mapping.refusal import UnmappableError
from target_mixpanel.pipeline.pipeline import StreamPipeline
from target_mixpanel.specs import parse_streams
from target_mixpanel.specs.columns import group_keys
from tests.mapping.making import (
    ORDER,
    event_of,
    open_columns,
    plan_of,
    profiles_of,
    stream_schema_of,
    written,
)

ACCOUNTS = {"type": "groups", "group_key": "company", "properties": "*"}
KEYS = {"company": ("none",)}
IDS = st.text(max_size=5) | st.integers() | st.floats(allow_nan=False, allow_infinity=False)


def keys_of(streams):
    return group_keys([spec for _, specs in parse_streams(streams) for spec in specs])


def company_of(value, properties="*", **more):
    """Return what an event says of its company; "nothing" if it says nothing."""
    schema = stream_schema_of(open_columns(*ORDER, "company"), group_keys=KEYS, **more)
    event = event_of(
        plan_of({"properties": properties}, schema), {**ORDER, "user": "u", "company": value}
    )
    return event["properties"].get("company", "nothing")


def operand_of(value, operation, properties="*"):
    mapping = {"type": "users", "distinct_id": "id", "operation": operation}
    plan = profiles_of(
        {**mapping, "properties": properties}, open_columns("id", "company"), group_keys=KEYS
    )
    update = plan.map({"id": 7, "company": value})
    return "nothing" if update is None else update.update[f"${operation}"]["company"]


def test_every_mapping_of_groups_is_known_with_what_means_none():
    mappings = {
        "accounts": {**ACCOUNTS, "group_id": {"column": "id", "nobody": ["none"]}},
        "orders": [
            {"time": "at", "distinct_id": "user", "properties": "*"},
            {**ACCOUNTS, "group_id": {"column": "account", "nobody": [0]}},
            {**ACCOUNTS, "group_key": "team", "group_id": "team"},
        ],
    }

    assert keys_of(mappings) == {"company": ("none", 0), "team": ()}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (12, "12"),
        (Decimal("12.0"), "12"),
        ("12", "12"),
        (" acme ", "acme"),
        ([12, "13", None, " ", "none"], ["12", "13"]),
        ([], []),
        ([None], []),
        (None, "nothing"),
        ("", "nothing"),
        ("\u200b", "nothing"),
        ("none", "nothing"),
    ],
)
@pytest.mark.parametrize("properties", ["*", ["company"], {"company": {"column": "company"}}])
def test_an_event_names_its_group_by_a_text(value, expected, properties):
    assert expected == company_of(value, properties)


@pytest.mark.parametrize("value", [True, {"id": 1}, 0, "Unknown", "é" * 128, [[12]], ["a"] * 255])
def test_an_event_that_names_no_group_is_refused(value):
    with pytest.raises(UnmappableError) as refused:
        company_of(value)

    assert refused.value.flaw.field == "company"


def test_the_mappings_own_values_are_ids_too():
    default = {"company": {"column": "company", "default": 13}}

    assert company_of(None, {"company": {"value": 12}}) == "12"
    assert company_of(None, {"company": {"value": [12, 13]}}) == ["12", "13"]
    assert company_of(None, default) == "13"
    assert operand_of(None, "union", {"company": {"value": 12}}) == ["12"]
    assert operand_of(None, "set", default) == "13"
    for properties in ({"company": {"value": 0}}, {"company": {"column": "id", "default": True}}):
        with pytest.raises(StreamSchemaError):
            company_of(None, properties)


@pytest.mark.parametrize(
    ("operation", "value", "expected"),
    [
        ("set", 12, "12"),
        ("set", [12, 13], ["12", "13"]),
        ("set_once", 12, "12"),
        ("append", 12, "12"),
        ("union", 12, ["12"]),
        ("union", [12, "13"], ["12", "13"]),
        ("union", "none", "nothing"),
        ("remove", 12, "12"),
        ("remove", "", "nothing"),
    ],
)
def test_a_user_names_their_group_by_a_text(operation, value, expected):
    assert expected == operand_of(value, operation)


def test_a_group_is_nothing_to_add_to():
    with pytest.raises(StreamSchemaError) as error:
        operand_of(1, "add")

    assert str(error.value) == (
        'streams.rows.properties: "company" names a group, whose ids are texts, and operation add '
        "takes numbers; exclude it"
    )


def test_a_hashed_group_has_one_hash():
    hashed = {"company": {"column": "company", "hash": True}}
    group = {**ACCOUNTS, "group_id": {"column": "id", "hash": True}}
    plan = profiles_of(group, open_columns("id", "a"), hash_key=b"k", group_keys=KEYS)
    found = plan.map({"id": 12, "a": 1}).profile_id

    assert company_of(Decimal("12.0"), hashed, hash_key=b"k") == found
    assert company_of([" 12"], hashed, hash_key=b"k") == [found]


@given(IDS)
def test_an_event_and_its_group_agree_or_both_are_refused(value):
    plan = profiles_of({**ACCOUNTS, "group_id": "id"}, open_columns("id", "a"))
    try:
        expected = plan.map({"id": value, "a": 1}).profile_id
    except UnmappableError as error:
        is_missing = error.flaw.reason == "missing_group_id"
        expected = "nothing" if is_missing else error.flaw.reason
    try:
        found = company_of(value)
    except UnmappableError as error:
        found = error.flaw.reason

    assert found == (expected if value != "none" else "nothing")


def test_the_fast_way_names_groups_as_the_careful_one_does():
    columns = {
        "id": {"type": "integer"},
        "at": {"type": "string", "format": "date-time"},
        "company": {"type": ["null", "integer"]},
        "site": {"type": ["null", "number"]},
        "teams": {"type": ["null", "array"], "items": {"type": ["integer", "string"]}},
    }
    event = {"event": "Order", "time": "at", "distinct_id": {"value": ""}, "properties": "*"}
    user = {"type": "users", "distinct_id": "id", "properties": "*", "operation": "union"}
    record = {"id": 7, "at": "2026-09-01T10:00:00Z", "company": 12, "site": 1.50, "teams": [3, "b"]}
    schema = stream_schema_of(
        columns, stream="rows", group_keys={"company": (), "site": (), "teams": (3,)}
    )
    pipeline = StreamPipeline([written(event), written(user)], schema, now_ms=lambda: 2**41)
    line = json.dumps({"type": "RECORD", "stream": "rows", "record": record}).encode()
    fast, careful = pipeline.run_line(line), pipeline.run(record)

    assert fast == careful
    named = [json.loads(row.body) for row in fast]
    assert (
        named[0]["properties"].items() >= {"company": "12", "site": "1.5", "teams": ["b"]}.items()
    )
    assert (
        named[1]["$union"].items() >= {"company": ["12"], "site": ["1.5"], "teams": ["b"]}.items()
    )
