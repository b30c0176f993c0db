"""An event that changes who is who is sent whole, and only to a project that takes it."""

import pytest

from target_mixpanel.errors import StreamSchemaError
from target_mixpanel.limits import IDENTITY_EVENTS
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

COLUMNS = {**ORDERS, **open_columns("kind", "identified", "anon", "other", "pair")}
SHAPE = stream_schema_of(COLUMNS)
PROPERTIES = {
    "$identified_id": "identified",
    "$anon_id": "anon",
    "alias": "other",
    "$distinct_ids": "pair",
}
COOKIE = "5A9DB0C5-1f2e-4d3c-9b8a-000102030405"
RECORD = {**ORDER, "identified": "ada", "anon": COOKIE, "other": "a@b", "pair": ["ada", "bob"]}


def refusal(record, mapping, stream_schema=SHAPE):
    with pytest.raises(UnmappableError) as refused:
        properties_of(record, mapping, stream_schema)
    return refused.value.flaw


@pytest.mark.parametrize("event", IDENTITY_EVENTS)
def test_a_name_from_a_column_is_no_identity_event(event):
    """One of them would cost its whole request."""
    flaw = refusal({**ORDER, "kind": event}, {"event_from": "kind"})

    assert (flaw.stage, flaw.reason, flaw.field) == ("map", "identity_event", "kind")
    assert "set identity: original" in flaw.detail


@pytest.mark.parametrize("event", ["identify", "$Identify", "$merge ", "Paid"])
def test_other_names_pass(event):
    plan = plan_of({"event_from": "kind"}, SHAPE)

    assert event_of(plan, {**ORDER, "kind": event})["event"] == event


@pytest.mark.parametrize("name", [["$merge"], {"$merge": 1}, True])
@pytest.mark.parametrize("identity", ["simplified", "original"])
def test_a_name_that_is_no_text_is_still_missing(name, identity):
    mapping = {"event_from": "kind", "identity": identity}

    assert refusal({**ORDER, "kind": name}, mapping).reason == "missing_event"


@pytest.mark.parametrize("event", IDENTITY_EVENTS)
def test_a_streams_own_name_is_no_identity_event(event):
    with pytest.raises(StreamSchemaError) as error:
        plan_of(stream_schema=stream_schema_of(COLUMNS, stream=event))

    assert str(error.value).startswith(
        f'streams.orders.event: is the stream\'s name, and "{event}" is an identity event'
    )


def test_a_streams_own_name_may_be_one_where_it_is_taken():
    mapping = {"identity": "original", "properties": {"$distinct_ids": "pair"}}
    plan = plan_of(mapping, stream_schema_of(COLUMNS, stream="$merge"))

    assert event_of(plan, RECORD)["event"] == "$merge"
    with pytest.raises(UnmappableError):
        event_of(plan, ORDER)


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        ("$identify", {"$identified_id": "ada", "$anon_id": COOKIE}),
        ("$create_alias", {"alias": "a@b"}),
        ("$merge", {"$distinct_ids": ["ada", "bob"]}),
    ],
)
@pytest.mark.parametrize("is_constant", [True, False])
def test_an_identity_event_carries_its_ids(event, expected, is_constant):
    named = {"event": event} if is_constant else {"event_from": "kind"}
    properties = {name: PROPERTIES[name] for name in expected}
    mapping = {**named, "identity": "original", "properties": properties}
    made = properties_of({**RECORD, "kind": event}, mapping, SHAPE)

    assert {name: made[name] for name in expected} == expected


@pytest.mark.parametrize(
    ("event", "column"),
    [
        ("$identify", "identified"),
        ("$identify", "anon"),
        ("$create_alias", "other"),
        ("$merge", "pair"),
    ],
)
@pytest.mark.parametrize("is_constant", [True, False])
def test_an_identity_event_without_an_id_is_refused(event, column, is_constant):
    """Mixpanel would take it, and ignore it."""
    named = {"event": event} if is_constant else {"event_from": "kind"}
    mapping = {**named, "identity": "original", "properties": PROPERTIES}
    flaw = refusal({**RECORD, "kind": event, column: None}, mapping)

    assert (flaw.stage, flaw.reason, flaw.field) == ("map", "missing_identity_id", column)


def test_an_id_that_is_not_mapped_is_missing():
    mapping = {"event_from": "kind", "identity": "original", "properties": "*"}
    flaw = refusal({**RECORD, "kind": "$merge"}, mapping)

    assert (flaw.reason, flaw.field) == ("missing_identity_id", "$distinct_ids")


def test_other_events_of_the_stream_need_no_ids():
    mapping = {"event_from": "kind", "identity": "original", "properties": PROPERTIES}
    made = properties_of({**ORDER, "kind": "Paid"}, mapping, SHAPE)

    assert not PROPERTIES.keys() & made.keys()


@pytest.mark.parametrize(
    ("event", "column", "value", "reason"),
    [
        ("$merge", "pair", ["ada"], "invalid_identity_id"),
        ("$merge", "pair", ["a", "b", "c"], "invalid_identity_id"),
        ("$merge", "pair", "ada", "invalid_identity_id"),
        ("$merge", "pair", {"a": 1, "b": 2}, "invalid_identity_id"),
        ("$merge", "pair", ["ada", ""], "invalid_identity_id"),
        ("$merge", "pair", ["ada", "anonymous"], "invalid_distinct_id"),
        ("$merge", "pair", ["ada", None], "invalid_identity_id"),
        ("$identify", "identified", " ", "invalid_identity_id"),
        ("$identify", "anon", ["c"], "invalid_distinct_id"),
        ("$create_alias", "other", "null", "invalid_distinct_id"),
    ],
)
@pytest.mark.parametrize("is_constant", [True, False])
def test_ids_that_are_none_are_refused(event, column, value, reason, is_constant):
    named = {"event": event} if is_constant else {"event_from": "kind"}
    mapping = {**named, "identity": "original", "properties": PROPERTIES}
    flaw = refusal({**RECORD, "kind": event, column: value}, mapping)

    assert (flaw.reason, flaw.field) == (reason, column)


def test_numbers_are_ids_as_elsewhere():
    mapping = {"event": "$merge", "identity": "original", "properties": PROPERTIES}
    made = properties_of({**RECORD, "pair": [7, "ada"], "other": 5}, mapping, SHAPE)

    assert made["$distinct_ids"] == ["7", "ada"]
    assert made["alias"] == 5  # $create_alias's, and no id here


def test_a_constant_id_is_checked_at_once():
    properties = {"$distinct_ids": {"value": ["ada"]}}
    with pytest.raises(StreamSchemaError) as error:
        plan_of({"event": "$merge", "identity": "original", "properties": properties}, SHAPE)

    assert str(error.value) == (
        'streams.orders.properties: "$distinct_ids": is not a list of exactly two ids'
    )


@pytest.mark.parametrize(
    "anon",
    [
        "c-1",
        7,
        COOKIE.replace("-", ""),
        COOKIE.replace("-4d3c-", "-1d3c-"),
        COOKIE.replace("-9b8a-", "-cb8a-"),
        f"$device:{COOKIE}",
        f"{COOKIE}\n0",
    ],
)
@pytest.mark.parametrize("named", [{"event": "$identify"}, {"event_from": "kind"}])
def test_an_anonymous_id_that_mixpanel_would_ignore_is_refused(anon, named):
    """It answers 200 all the same, and links nobody."""
    mapping = {**named, "identity": "original", "properties": PROPERTIES}
    flaw = refusal({**RECORD, "kind": "$identify", "anon": anon}, mapping)

    assert (flaw.reason, flaw.field) == ("invalid_anon_id", "anon")


def test_nobody_is_identified_as_themselves():
    mapping = {"event": "$identify", "identity": "original", "properties": PROPERTIES}
    flaw = refusal({**RECORD, "identified": f" {COOKIE.lower()}"}, mapping)

    assert (flaw.reason, flaw.field) == ("invalid_anon_id", "anon")
    assert flaw.detail == "is the same as $identified_id, and links nobody"


def test_an_anonymous_id_of_other_events_is_any_id():
    mapping = {"event_from": "kind", "identity": "original", "properties": PROPERTIES}

    assert properties_of({**RECORD, "kind": "Paid", "anon": 7}, mapping, SHAPE)["$anon_id"] == "7"


def test_an_anonymous_id_is_not_hashed():
    properties = {**PROPERTIES, "$anon_id": {"column": "anon", "hash": True}}
    mapping = {"event": "$identify", "identity": "original", "properties": properties}
    with pytest.raises(StreamSchemaError, match="must be a UUID v4, and a hash is none"):
        plan_of(mapping, stream_schema_of(COLUMNS, hash_key=b"k"))


def test_two_ids_are_not_hashed_as_one():
    properties = {"$distinct_ids": {"column": "pair", "hash": True}}
    mapping = {"event": "$merge", "identity": "original", "properties": properties}
    with pytest.raises(StreamSchemaError, match="would be hashed as one text"):
        plan_of(mapping, stream_schema_of(COLUMNS, hash_key=b"k"))


def test_a_hashed_id_is_the_hash():
    properties = {"alias": {"column": "other", "hash": True}}
    mapping = {"event": "$create_alias", "identity": "original", "properties": properties}
    made = properties_of(RECORD, mapping, stream_schema_of(COLUMNS, hash_key=b"k"))

    assert len(made["alias"]) == 64
