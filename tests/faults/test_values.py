"""What taps send for values, through the whole command: what Mixpanel gets, and what is said."""

from hashlib import sha256
from typing import Any

import pytest

from target_mixpanel.sandbox import Sandbox
from tests.conftest import Command

TEXT = {"type": ["null", "string"]}
TIME = {**TEXT, "format": "date-time"}
DAY = {**TEXT, "format": "date"}
AT = "2026-09-01T10:00:00Z"
EVENTS = {"event": "Order", "time": "at", "distinct_id": "user", "properties": "*"}


def messages(columns: dict[str, Any], *records: dict[str, Any], stream: str = "rows") -> list[Any]:
    """Return a stream of *columns* beside an id, a time and a user."""
    own = {"id": {"type": ["null", "integer"]}, "at": TIME, "user": TEXT}
    schema = {"type": "object", "properties": own | columns}
    return [
        {"type": "SCHEMA", "stream": stream, "key_properties": ["id"], "schema": schema},
        *(
            {
                "type": "RECORD",
                "stream": stream,
                "record": {"id": number, "at": AT, "user": "ada", **record},
            }
            for number, record in enumerate(records)
        ),
        {"type": "STATE", "value": {}},
    ]


def properties(sandbox: Sandbox) -> list[dict[str, Any]]:
    """Return what each event has beside its own, in the order of their ids."""
    own = {"time", "distinct_id", "$insert_id", "ip"}
    events = sorted(sandbox.report(), key=lambda event: event["properties"]["id"])
    return [
        {name: value for name, value in event["properties"].items() if name not in {*own, "id"}}
        for event in events
    ]


def test_a_date_property_has_one_type(command: Command, sandbox: Sandbox):
    """What is no date is left out, counted, and said once of each column."""
    done = command.run(
        *messages(
            {"d": TIME, "day": DAY, "t": {**TEXT, "format": "time"}},
            {"d": "0000-00-00 00:00:00", "day": "0000-00-00", "t": "00:00:00"},
            {"d": "0001-01-01T00:00:00+05:00", "day": "0001-01-01", "t": "838:59:59"},
            {"d": "2026-10-01 12:00:00.1+00", "day": "2026-10-01T00:00:00+02:00", "t": "12:00"},
            {"d": "", "day": "10/01/2026"},
            {"d": "2026-10-01 12:00:00 UTC", "day": "1969-12-31"},
        ),
        streams={"rows": EVENTS},
    )

    assert done.code == 0
    assert properties(sandbox) == [
        {"t": "00:00:00"},
        {"t": "838:59:59"},
        {"d": "2026-10-01T12:00:00", "day": "2026-10-01", "t": "12:00"},
        {},
        {"d": "2026-10-01T12:00:00", "day": "1969-12-31"},
    ]
    assert command.report("rows")["values_left_out"] == {"d": 3, "day": 3}
    warnings = [line for line in done.stderr.splitlines() if "WARNING" in line]
    assert len([line for line in warnings if 'rows: "d" has dates that are none' in line]) == 1
    assert len(warnings) == 2
    assert "left out, for Mixpanel has no such value: d x 3, day x 3" in done.stderr
    assert "838:59" not in done.stderr


def test_dates_are_mixpanels_wherever_the_schema_says_so(command: Command, sandbox: Sandbox):
    moment = "2026-10-01T14:00:00.123456+02:00"
    meta = {"type": "object", "properties": {"at": TIME, "n": {"type": ["null", "number"]}}}
    done = command.run(
        *messages(
            {
                "top": TIME,
                "times": {"type": ["null", "array"], "items": TIME},
                "meta": meta,
                "lines": {"type": "array", "items": meta},
            },
            {"top": moment, "times": [moment], "meta": {"at": moment}, "lines": [{"at": moment}]},
        ),
        streams={"rows": {**EVENTS, "properties": ["id", "top", "times", "meta", "lines"]}},
    )
    noon = "2026-10-01T12:00:00"

    assert done.code == 0
    assert properties(sandbox) == [
        {"top": noon, "times": [noon], "meta": {"at": noon}, "lines": [{"at": noon}]}
    ]


def test_one_hash_whoever_made_it(command: Command, sandbox: Sandbox):
    """No key is needed, and the spelling does not count."""
    email = {"column": "email", "hash": "sha256", "lower": True}
    done = command.run(
        *messages({"email": TEXT}, {"email": "ada@x.example"}, stream="ev")[:-1],
        *messages({"email": TEXT, "plan": TEXT}, {"email": " Ada@X.example "}, stream="crm"),
        streams={
            "ev": {**EVENTS, "distinct_id": email, "properties": {"id": "id", "Email": email}},
            "crm": {"type": "users", "distinct_id": email, "properties": {"Id": "id"}},
        },
    )
    theirs = sha256(b"ada@x.example").hexdigest()
    (event,) = sandbox.report()
    (update,) = sandbox.user_updates()

    assert done.code == 0
    assert [event["properties"][name] for name in ("distinct_id", "Email")] == [theirs] * 2
    assert update["$distinct_id"] == theirs


def test_a_table_of_texts(command: Command, sandbox: Sandbox):
    """As a tap writes it that reads CSV."""
    done = command.run(
        *messages(
            {"when": TEXT, "amount": TEXT, "paid": TEXT, "payload": TEXT, "qty": TEXT},
            {
                "when": "1788256800",
                "amount": "19.90",
                "paid": "true",
                "payload": '{"a": {"b": 1}}',
                "qty": "",
            },
        ),
        streams={
            "rows": {
                **EVENTS,
                "time": "when",
                "properties": {
                    "id": "id",
                    "amount": {"column": "amount", "as": "number"},
                    "paid": {"column": "paid", "as": "boolean"},
                    "payload": {"column": "payload", "as": "json"},
                    "b": "payload.a.b",
                    "qty": {"column": "qty", "as": "integer"},
                },
            }
        },
    )

    assert done.code == 0
    assert properties(sandbox) == [
        {"amount": 19.9, "paid": True, "payload": {"a": {"b": 1}}, "b": 1}
    ]


def test_pairs_are_properties(command: Command, sandbox: Sandbox):
    pair = {
        "type": "object",
        "properties": {
            "key": TEXT,
            "value": {
                "type": "object",
                "properties": {"string_value": TEXT, "int_value": {"type": ["null", "integer"]}},
            },
        },
    }
    params = [
        {"key": "page_location", "value": {"string_value": "/x", "int_value": None}},
        {"key": "ga_session_id", "value": {"string_value": None, "int_value": 7}},
        {"key": "$insert_id", "value": {"string_value": "x"}},
    ]
    done = command.run(
        *messages({"params": {"type": "array", "items": pair}}, {"params": params}),
        streams={
            "rows": {
                **EVENTS,
                "properties": {
                    "id": "id",
                    "Params": {"column": "params", "as": {"pairs": ["key", "value"]}},
                },
            }
        },
    )

    assert done.code == 0
    assert properties(sandbox) == [{"page_location": "/x", "ga_session_id": 7}]
    assert 'rows: "params" has names that Mixpanel keeps for itself' in done.stderr
    assert command.report("rows")["values_left_out"] == {"params": 1}


@pytest.mark.parametrize("name", ["tags", 'odd "name"'])
def test_a_list_for_which_an_event_has_no_room_is_said(
    command: Command, sandbox: Sandbox, name: str
):
    """What Mixpanel makes of it is not documented; the event itself is good."""
    texts = {"type": ["null", "array"], "items": TEXT}
    done = command.run(
        *messages({name: texts, "o": {"type": "object"}}, {name: ["x" * 250] * 40, "o": {"a": 1}}),
        streams={"rows": {**EVENTS, "properties": ["id", name, "o"]}},
    )

    assert done.code == 0
    assert len(properties(sandbox)[0][name]) == 40
    assert command.report("rows")["values_left_out"] == {name: 1}
    assert "has lists or objects of more than 8 KB" in done.stderr


def test_blanks_may_count_as_null(command: Command, sandbox: Sandbox):
    columns = {"plan": TEXT, "closed_at": TIME}
    done = command.run(
        *messages(columns, {"plan": "pro", "closed_at": AT}, {"plan": "", "closed_at": " "}),
        streams={
            "rows": {"type": "users", "distinct_id": "user", "properties": ["plan", "closed_at"]}
        },
        empty_as_null="true",
    )

    assert done.code == 0
    assert sandbox.user_updates()[0]["$set"] == {"plan": "pro", "closed_at": AT[:-1]}
    assert "" not in [
        value for update in sandbox.user_updates() for value in update["$set"].values()
    ]
    assert command.report("rows")["values_left_out"] == {}


@pytest.mark.parametrize(
    ("column", "what"),
    [
        ({**TEXT, "format": "time"}, "times of day"),
        ({"type": "boolean"}, '"boolean"'),
        ({"type": ["null", "object"]}, '"object"'),
    ],
)
def test_a_column_that_holds_no_instants_fails_before_the_first_record(
    command: Command, sandbox: Sandbox, column: dict[str, Any], what: str
):
    done = command.run(
        *messages({"t": column}, {"t": None}), streams={"rows": {**EVENTS, "time": "t"}}
    )

    assert done.code != 0
    assert f'streams.rows.time: "t" holds {what} by the stream\'s schema' in done.errors[0]
    assert not sandbox.report()


def test_a_rejected_time_names_its_column_and_the_remedy(command: Command):
    done = command.run(
        *messages({"t": {"type": ["string", "integer"]}}, {"t": 202610011230}),
        streams={"rows": {**EVENTS, "time": "t"}},
    )

    assert done.code != 0
    assert '"t" is a number that reads as a date; write time_format: "%Y%m%d%H%M"' in done.stderr
    assert "202610011230" not in done.stderr
