"""Where a mapping or a tap makes two events of one, or one of two, it is said once, in the log."""

from typing import Any

import pytest

from target_mixpanel.sandbox import Sandbox
from tests.conftest import ORDERS_MAPPING, ORDERS_SCHEMA, Command, order, state

VERBATIM = (
    "streams.orders.insert_id: is used as it is, so it must be another for each event: of a row "
    "that changes, Mixpanel keeps one event a day; write the column as a list, and the time counts"
)
LATER_USER = (
    "streams.orders: the tap reads rows again when they change, and one whose user is known only "
    "then becomes a second event; leave out the id's default, or load only rows that stay"
)
LATER_NAME = (
    "streams.orders: the tap reads rows again when they change, and one whose event_from has "
    "another value then becomes a second event; set event, or load only rows that stay"
)
KEY = (
    "orders: its key_properties change within the run, and every $insert_id with them, so repeats "
    "become new events; set insert_id to the columns of one key"
)
OR_NOBODY = {"column": "user_id", "default": ""}


def warnings(stderr: str) -> list[str]:
    return [line.split(" | ", 3)[3] for line in stderr.splitlines() if "| WARNING " in line]


def schema(**more: Any) -> dict[str, Any]:
    return {**ORDERS_SCHEMA, **more}


@pytest.mark.parametrize(
    ("mapping", "bookmarks", "expected"),
    [
        pytest.param({}, None, [], id="nothing-to-say"),
        pytest.param({"insert_id": "note"}, None, [VERBATIM], id="verbatim"),
        pytest.param({"insert_id": ["note"]}, None, [], id="hashed"),
        pytest.param(
            {"insert_id": "note", "time": {"value": "2026-10-01"}}, None, [], id="constant-time"
        ),
        pytest.param(
            {"distinct_id": OR_NOBODY}, ["updated_at"], [LATER_USER], id="user-known-later"
        ),
        pytest.param({"distinct_id": OR_NOBODY}, "updated_at", [LATER_USER], id="as-a-text"),
        pytest.param({"distinct_id": OR_NOBODY}, ["created_at"], [], id="bookmark-is-the-time"),
        pytest.param({"distinct_id": OR_NOBODY}, None, [], id="no-bookmark"),
        pytest.param({"distinct_id": OR_NOBODY}, 5, [], id="no-bookmark-at-all"),
        pytest.param({}, ["updated_at"], [], id="no-default"),
        pytest.param(
            {"distinct_id": None, "user_id": OR_NOBODY}, ["id"], [LATER_USER], id="user_id"
        ),
        pytest.param({"event": None, "event_from": "note"}, ["id"], [LATER_NAME], id="event_from"),
        pytest.param(
            {"event": None, "event_from": {"value": "A"}}, ["id"], [], id="event-is-a-value"
        ),
    ],
)
def test_what_a_mapping_makes_of_rows_that_change_is_said_once(
    command: Command, mapping: dict[str, Any], bookmarks: Any, expected: list[str]
):
    """Not again when the SCHEMA changes."""
    columns = {**ORDERS_SCHEMA["schema"], "title": "another"}
    given = {k: v for k, v in {**ORDERS_MAPPING, **mapping}.items() if v is not None}
    first, second = schema(), schema(schema=columns)
    if bookmarks is not None:
        first["bookmark_properties"] = second["bookmark_properties"] = bookmarks
    rows = [order(number, note=f"n-{number}") for number in range(2)]
    done = command.run(first, rows[0], second, rows[1], state(1), streams={"orders": given})

    assert (done.code, done.states) == (0, [state(1)["value"]])
    assert warnings(done.stderr) == expected


def test_a_key_that_changes_within_a_stream_is_said_once(command: Command, sandbox: Sandbox):
    """A tap that learns a table's key late; the same row has two ids then."""
    keyless = schema(key_properties=[])
    done = command.run([keyless, order(1), ORDERS_SCHEMA, order(1)] * 2, state(1))

    assert (done.code, done.states) == (0, [state(1)["value"]])
    assert warnings(done.stderr) == [KEY]
    assert len(sandbox.report()) == 2


@pytest.mark.parametrize(
    "mapping",
    [
        {**ORDERS_MAPPING, "insert_id": ["id"]},
        {"type": "users", "distinct_id": "user_id", "properties": "*"},
    ],
    ids=["insert_id", "users"],
)
def test_a_key_that_nothing_uses_may_change(command: Command, mapping: dict[str, Any]):
    keyless = schema(key_properties=[])
    done = command.run(
        keyless, order(1), ORDERS_SCHEMA, order(1), state(1), streams={"orders": mapping}
    )

    assert (done.code, warnings(done.stderr)) == (0, [])
