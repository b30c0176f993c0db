"""With `empty_as_null` a blank text counts as null, wherever its column is used."""

import pytest

from target_mixpanel.pipeline.pipeline import StreamPipeline, Unloadable
from tests.mapping.making import NOW_MS, decode, encode, open_columns, stream_schema_of, written

COLUMNS = open_columns("id", "at", "user", "plan", "line", "gone", "kind")
RECORD = {
    "id": 7,
    "at": "2026-09-01T10:00:00Z",
    "user": "ada",
    "plan": "pro",
    "line": "1",
    "gone": None,
    "kind": "Order",
}
EVENTS = {"time": "at", "distinct_id": "user", "properties": ["plan"]}
USERS = {"type": "users", "distinct_id": "user", "properties": ["plan"]}
GROUPS = {"type": "groups", "group_key": "g", "group_id": "user", "properties": ["plan", "kind"]}
TABLE = {"type": "lookup_table", "lookup_table_id": "t", "key": "id", "properties": ["plan"]}
BLANKS = ["", " ", "\t\n", "\u061c", "\u200b", "\ufeff", "\x00", "\u00a0"]


def outcome_of(record, mapping, *, is_blank_null=True, schema=None):
    pipeline = StreamPipeline(
        [written(mapping, "orders")],
        stream_schema_of(schema or COLUMNS, is_blank_null=is_blank_null),
        now_ms=lambda: NOW_MS,
    )
    careful = pipeline.run(record)
    line = encode({"type": "RECORD", "stream": "orders", "record": record})
    fast = pipeline.run_line(line)
    assert fast in (None, careful)
    return careful


def body_of(record, mapping, **more):
    (row,) = outcome_of(record, mapping, **more)
    return decode(row.body) if row.body.startswith(b"{") else row.body


def reason(record, mapping):
    outcome = outcome_of(record, mapping)
    assert isinstance(outcome, Unloadable)
    return outcome.flaw.reason


@pytest.mark.parametrize("blank", BLANKS)
@pytest.mark.parametrize(
    ("column", "mapping"),
    [
        pytest.param("plan", EVENTS, id="property"),
        pytest.param("plan", EVENTS | {"properties": "*"}, id="of-all"),
        pytest.param(
            "plan",
            EVENTS | {"properties": {"A": {"column": "plan", "default": "free"}}},
            id="default",
        ),
        pytest.param(
            "plan", EVENTS | {"properties": {"A": {"column": "plan", "as": "text"}}}, id="cast"
        ),
        pytest.param("user", EVENTS | {"distinct_id": {"column": "user", "default": ""}}, id="id"),
        pytest.param(
            "user", EVENTS | {"distinct_id": None, "user_id": "user", "device_id": "id"}, id="user"
        ),
        pytest.param(
            "line", EVENTS | {"insert_id": ["id", {"column": "line", "default": 1}]}, id="key"
        ),
        pytest.param("line", EVENTS | {"insert_id": "line"}, id="verbatim-id"),
        pytest.param("at", EVENTS | {"time": {"column": "at", "default": "2026-09-01"}}, id="time"),
        pytest.param(
            "kind",
            EVENTS | {"event_from": {"column": "kind", "default": "Other"}},
            id="event",
        ),
        pytest.param("gone", EVENTS | {"only_when": {"column": "gone", "is": [None]}}, id="asked"),
        pytest.param("plan", USERS | {"properties": ["plan", "kind"]}, id="profile"),
        pytest.param("gone", USERS | {"delete_when": "gone"}, id="deletion"),
        pytest.param("plan", GROUPS, id="group"),
        pytest.param("plan", TABLE, id="table"),
        pytest.param(
            "plan",
            TABLE | {"properties": {"A": {"column": "plan", "default": "free"}}},
            id="default-of-a-table",
        ),
    ],
)
def test_a_blank_text_is_as_good_as_null(column, mapping, blank):
    expected = body_of({**RECORD, column: None}, mapping)

    assert expected == body_of({**RECORD, column: blank}, mapping)


@pytest.mark.parametrize(
    ("column", "mapping", "expected"),
    [
        pytest.param("user", EVENTS, "missing_distinct_id", id="id"),
        pytest.param("at", EVENTS, "missing_time", id="time"),
        pytest.param("id", EVENTS, "null_key", id="key"),
        pytest.param("kind", EVENTS | {"event_from": "kind"}, "missing_event", id="event"),
        pytest.param("user", USERS, "missing_distinct_id", id="user"),
        pytest.param("user", GROUPS, "missing_group_id", id="group"),
        pytest.param("id", TABLE, "missing_key", id="table"),
    ],
)
def test_a_blank_text_is_missing_where_null_is(column, mapping, expected):
    assert reason({**RECORD, column: " "}, mapping) == expected


def test_without_it_a_blank_text_is_a_text():
    found = body_of({**RECORD, "plan": ""}, EVENTS, is_blank_null=False)

    assert found["properties"]["plan"] == ""


def test_other_values_stay():
    columns = {name: {} for name in COLUMNS} | {"n": {"type": "number"}, "tags": {}}
    record = {**RECORD, "n": 0, "tags": ["", " a"], "plan": " pro "}
    found = body_of(record, EVENTS | {"properties": ["n", "tags", "plan"]}, schema=columns)

    assert [found["properties"][name] for name in ("n", "tags", "plan")] == [0, ["", " a"], " pro "]


def test_what_json_and_pairs_hold_counts_too():
    properties = {
        "A": {"column": "plan", "as": "json"},
        "B": {"column": "line.b", "as": "json", "default": 5},
        "C": {"column": "kind", "as": {"pairs": ["k", "v"]}},
    }
    record = {**RECORD, "plan": '" "', "line": '{"b": ""}', "kind": [{"k": "x", "v": ""}]}
    found = body_of(record, EVENTS | {"properties": properties})["properties"]

    assert found.keys() & {"A", "B", "C", "x"} == {"B"}
