"""What becomes of a stream's columns is said once, and nothing of them vanishes without a word."""

from typing import Any

from target_mixpanel.sandbox import Sandbox
from tests.conftest import Command

TEXT = {"type": ["null", "string"]}
AT = {"type": ["null", "string"], "format": "date-time"}
VISIT = {"time": "at", "distinct_id": "user", "properties": "*"}


def schema(stream: str, columns: dict[str, Any], key: list[str]) -> dict[str, Any]:
    said = {"type": "object", "properties": columns}
    return {"type": "SCHEMA", "stream": stream, "schema": said, "key_properties": key}


def record(stream: str, **columns: Any) -> dict[str, Any]:
    return {"type": "RECORD", "stream": stream, "record": columns}


def test_each_column_is_named_once_with_what_becomes_of_it(command: Command, sandbox: Sandbox):
    columns = {"id": {"type": "integer"}, "at": AT, "user": TEXT, "token": TEXT, "os": TEXT}
    columns["address"] = {"type": "object"}
    rows = [
        record("visits", id=n, at="2026-10-01T08:00:00Z", user="ada", coupon=f"secret{n}", mp_x=1)
        for n in range(50)
    ]
    mapping = {**VISIT, "exclude": ["o?", "password"]}
    done = command.run(schema("visits", columns, ["id"]), *rows, streams={"visits": mapping})

    assert done.code == 0
    assert done.stderr.count('takes "coupon" from the records') == 1
    assert done.stderr.count('leaves out columns: "token" (mean something to Mixpanel') == 1
    assert done.stderr.count('"address" (hold objects; name them') == 1
    assert done.stderr.count('leaves out columns: "mp_x"') == 1
    assert done.stderr.count('exclude names "password", which the SCHEMA does not have') == 1
    assert "secret" not in done.stderr
    assert command.report("visits")["new_columns"] == ["coupon"]
    left_out = [each["column"] for each in command.report("visits")["columns_left_out"]]
    assert left_out == ["token", "address", "mp_x"]
    assert {event["properties"]["coupon"] for event in sandbox.report()} == {
        f"secret{n}" for n in range(50)
    }


def test_events_that_arrive_empty_are_warned_of(command: Command):
    columns = {"at": AT, "user": TEXT, "address": {"type": "object"}}
    done = command.run(schema("visits", columns, []), streams={"visits": VISIT})

    assert "WARNING" in next(line for line in done.stderr.splitlines() if "leaves out" in line)


def test_a_project_that_moves_keeps_its_properties(command: Command, sandbox: Sandbox):
    """As tap-mixpanel spells them; the raw export has duplicates."""
    names = ("insert_id", "browser", "device_id", "import")
    columns = {"event": TEXT, "time": AT, "distinct_id": TEXT, "mp_lib": TEXT, "plan": TEXT}
    columns |= {f"mp_reserved_{name}": TEXT for name in names} | {"mp_country_code": TEXT}
    columns["mp_processing_time_ms"] = {"type": ["null", "integer"]}
    row = dict.fromkeys(columns, "x") | {
        "event": "Page View",
        "time": "2026-11-01T08:00:00.000000Z",
        "distinct_id": "$device:a",
        "mp_reserved_insert_id": "aaaa1111",
        "mp_processing_time_ms": 1,
        "plan": "pro",
    }
    mapping = {
        **VISIT,
        "event_from": "event",
        "time": "time",
        "distinct_id": "distinct_id",
        "insert_id": "mp_reserved_insert_id",
        "properties": {"*": "*", "$*": "mp_reserved_*", "mp_country_code": "mp_country_code"},
    }
    again = record("export", **row | {"mp_processing_time_ms": 2})
    done = command.run(
        schema("export", columns, []), record("export", **row), again, streams={"export": mapping}
    )
    (event,) = sandbox.report()

    assert done.code == 0
    assert (
        event["properties"].items()
        >= {
            "$insert_id": "aaaa1111",
            "$browser": "x",
            "mp_country_code": "x",
            "plan": "pro",
        }.items()
    )
    assert event["properties"].keys().isdisjoint({"$import", "mp_processing_time_ms", "mp_lib"})


def test_a_stream_of_which_the_tap_names_no_column_loads(command: Command, sandbox: Sandbox):
    said = {
        "type": "SCHEMA",
        "stream": "s",
        "schema": {"type": "object"},
        "key_properties": ["_id"],
    }
    row = record("s", _id="a1", name="Ada", at="2026-10-01T12:00:00Z", user=3)
    done = command.run(said, row, streams={"s": {**VISIT, "properties": ["name"]}})

    assert done.code == 0
    assert [event["properties"]["name"] for event in sandbox.report()] == ["Ada"]
    assert '"at", "user", "name" are not in the SCHEMA, which is open' in done.stderr
