"""Whoever is named is found, and nobody else: seen in what Mixpanel makes of it."""

from typing import Any

import pytest

from target_mixpanel.sandbox import Sandbox
from tests.conftest import Command
from tests.whole_model import reached, record, schema

AT = "2026-10-01T12:00:00Z"
NULLABLE = {"type": ["null", "string"]}
USERS: dict[str, Any] = {
    "type": "users",
    "distinct_id": "id",
    "properties": {"$name": "name", "Plan": "plan"},
}
USERS_SCHEMA = schema("users", "id", id="string", name=NULLABLE, plan=NULLABLE)
VISITS_SCHEMA = schema("visits", "id", id="integer", at="string", user=NULLABLE, device=NULLABLE)
ORDERS_SCHEMA = schema("orders", "id", id="integer", at="string", customer="integer")
ACCOUNTS_SCHEMA = schema("accounts", "id", id="integer", plan="string")
VIEWS_SCHEMA = schema("views", "id", id="integer", at="string", company="integer")
MEMBERS_SCHEMA = schema("members", "id", id="integer", company="integer")


@pytest.mark.parametrize(
    ("nulls", "expected"),
    [
        (None, {"$name": "Ada", "Plan": None}),
        ("unset", {"$name": "Ada"}),
        ("keep", {"$name": "Ada", "Plan": "pro"}),
    ],
)
def test_what_became_null_stays_only_where_it_is_kept(
    command: Command, sandbox: Sandbox, nulls: str | None, expected: dict[str, Any]
):
    done = command.run(
        USERS_SCHEMA,
        record("users", id="ada", name="Ada", plan="pro"),
        record("users", id="ada", plan=None),
        reached(1),
        streams={"users": {**USERS, "nulls": nulls}},
    )

    assert (done.code, done.states) == (0, [reached(1)["value"]])
    assert sandbox.users == {"ada": expected}, "and $last_seen is not among them"


def test_who_is_loaded_was_seen_only_if_the_mapping_says_so(command: Command, sandbox: Sandbox):
    done = command.run(
        USERS_SCHEMA,
        record("users", id="ada", name="Ada"),
        reached(1),
        streams={"users": {**USERS, "updates_last_seen": True}},
    )

    assert done.code == 0
    assert "$last_seen" in sandbox.users["ada"]


def test_a_bad_device_does_not_cost_a_known_users_event(command: Command, sandbox: Sandbox):
    mapping = {"time": "at", "user_id": "user", "device_id": "device", "properties": []}
    nobody = "00000000-0000-0000-0000-000000000000"
    done = command.run(
        VISITS_SCHEMA,
        record("visits", id=1, at=AT, user="7", device=nobody),
        record("visits", id=2, at=AT, user="unknown", device="d1"),
        record("visits", id=3, at=AT, user="8", device="d2"),
        reached(1),
        streams={"visits": mapping},
    )
    ids = [
        (event["properties"].get("$user_id"), event["properties"].get("$device_id"))
        for event in sandbox.report()
    ]

    assert done.code == 0
    assert ids == [("7", None), (None, "d1"), ("8", "d2")]
    assert command.report("visits")["ids_dropped"] == {"device": 1, "user": 1}
    warned = [line for line in done.stderr.splitlines() if "WARNING" in line]
    assert len(warned) == 2
    assert all("has ids that Mixpanel refuses, where the row has another one" in w for w in warned)


def test_a_guest_is_no_user(command: Command, sandbox: Sandbox):
    guest = {"column": "customer", "nobody": ["0"]}
    done = command.run(
        ORDERS_SCHEMA,
        record("orders", id=1, at=AT, customer=0),
        record("orders", id=2, at=AT, customer=7),
        reached(1),
        streams={"orders": {"time": "at", "distinct_id": guest, "properties": []}},
    )

    assert done.code == 0
    assert [event["properties"]["distinct_id"] for event in sandbox.report()] == ["", "7"]


def test_events_and_users_find_the_group_they_name(command: Command, sandbox: Sandbox):
    """Also where their streams come before the group's, and all name it by a number."""
    done = command.run(
        VIEWS_SCHEMA,
        record("views", id=1, at=AT, company=12),
        MEMBERS_SCHEMA,
        record("members", id=7, company=12),
        ACCOUNTS_SCHEMA,
        record("accounts", id=12, plan="pro"),
        reached(1),
        streams={
            "views": {"time": "at", "distinct_id": {"value": ""}, "properties": "*"},
            "members": {**USERS, "properties": ["company"]},
            "accounts": {
                "type": "groups",
                "group_key": "company",
                "group_id": "id",
                "properties": ["plan"],
            },
        },
    )
    joins = sandbox.group_joins()["company"]

    assert done.code == 0
    assert sandbox.groups == {("company", "12"): {"plan": "pro"}}
    assert [(join.found, join.not_text) for join in (joins.events, joins.users)] == [(1, 0)] * 2


def test_a_deletion_that_is_no_event_says_how_to_filter_it(command: Command, sandbox: Sandbox):
    """A log-based tap sends of a row that was deleted its key alone."""
    records = [
        record("visits", id=1, at=AT, user="7"),
        record("visits", id=1, _sdc_deleted_at=AT),
        record("visits", id=2, at=AT, user="8"),
        reached(2),
    ]
    mapping = {"time": "at", "distinct_id": "user", "properties": []}
    refused = command.run(VISITS_SCHEMA, *records, streams={"visits": mapping})
    filtered = {**mapping, "skip_when": "_sdc_deleted_at"}
    done = command.run(VISITS_SCHEMA, *records, streams={"visits": filtered})

    assert "it is a deletion, and skip_when: _sdc_deleted_at filters those" in refused.errors[0]
    assert (done.code, done.states) == (0, [reached(2)["value"]])
    assert len(sandbox.report()) == 2
