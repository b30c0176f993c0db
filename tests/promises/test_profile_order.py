"""However many requests go at once and fail, a profile is what its updates make of it in order."""

import random
from pathlib import Path
from typing import Any

import pytest

from target_mixpanel.sandbox import Sandbox
from target_mixpanel.sandbox.faults import ChaosSpec
from target_mixpanel.sandbox.profile_store import Profiles
from tests.conftest import ORDERS_MAPPING, ORDERS_SCHEMA, Command, order, state
from tests.whole_model import WHEN, record, schema

PEOPLE = 100
FAULTS = ("503", "reset_before_ingest", "lost_reply", "reset_after_ingest")

TEXTS = {"type": ["null", "array"], "items": {"type": "string"}}
USERS_SCHEMA = schema(
    "users", "id", id="string", now="integer", first="integer", more=TEXTS, less="string", gone=WHEN
)
FORGETS_SCHEMA = schema("forgets", "id", id="string")
BY_ID = {"type": "users", "distinct_id": "id"}
STREAMS: dict[str, Any] = {
    "users": [
        {**BY_ID, "properties": {"Now": "now"}, "nulls": "keep", "delete_when": "gone"},
        {**BY_ID, "operation": "set_once", "properties": {"First": "first"}},
        {**BY_ID, "operation": "union", "properties": {"Tags": "more"}},
        {**BY_ID, "operation": "remove", "properties": {"Tags": "less"}},
    ],
    "orders": [
        ORDERS_MAPPING,
        {
            "type": "users",
            "distinct_id": "user_id",
            "properties": {"Now": "id", "Last Order": "created_at"},
        },
    ],
    "forgets": {**BY_ID, "operation": "unset", "properties": ["First", "Tags"]},
}
Update = tuple[str, dict[str, Any]]


def story(chance: random.Random, number: int) -> tuple[dict[str, Any], list[Update]]:
    """Return a record, and the updates that it stands for."""
    person = f"user-{chance.randrange(PEOPLE)}"
    kind = chance.choices(["order", "now", "first", "more", "less", "gone", "forget"],
                          [4, 3, 3, 4, 2, 1, 1])[0]  # fmt: skip
    nothing = dict.fromkeys(["now", "first", "more", "less", "gone"])
    tag = chance.choice("abcdef")
    match kind:
        case "order":
            made = order(number, user_id=person)
            # Mixpanel's form of a time has no offset.
            when = made["record"]["created_at"].removesuffix("Z")
            return made, [(person, {"$set": {"Now": number, "Last Order": when}})]
        case "now":
            values: dict[str, Any] = {"now": number}
            updates = [{"$set": {"Now": number}}]
        case "first":
            values = {"first": number, "more": [tag]}
            updates = [{"$set_once": {"First": number}}, {"$union": {"Tags": [tag]}}]
        case "more":
            values = {"more": [tag, "z"]}
            updates = [{"$union": {"Tags": [tag, "z"]}}]
        case "less":
            values = {"less": tag}
            updates = [{"$remove": {"Tags": tag}}]
        case "gone":
            values = {"gone": "2026-10-01T00:00:00Z"}
            updates = [{"$delete": None}]
        case _:
            return record("forgets", id=person), [(person, {"$unset": ["First", "Tags"]})]
    made = record("users", id=person, **{**nothing, **values})
    return made, [(person, update) for update in updates]


def as_sets(users: dict[str, Any]) -> dict[str, Any]:
    """Lists have no order in analysis, and a repeat may change it."""
    return {
        person: {
            name: sorted(value) if isinstance(value, list) else value
            for name, value in known.items()
        }
        for person, known in users.items()
    }


def told(seed: int, updates: int) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Return records that stand for at least so many updates, and what they make one by one."""
    chance = random.Random(seed)  # noqa: S311 (the same story again when one fails)
    expected = Profiles(None)
    records: list[dict[str, Any]] = []
    while expected.applied < updates:
        made, meant = story(chance, len(records))
        records.append(made)
        for person, operations in meant:
            expected.apply((person,), operations, b"")
    return records, {person: known for (person,), known in expected.all().items()}


@pytest.fixture
def flaky(sandbox: Sandbox) -> Sandbox:
    chaos = ChaosSpec(rate=0.2, seed=80, kinds=FAULTS, path="/engage")
    sandbox.project.faults.unleash(chaos)
    return sandbox


def check(tmp_path: Path, sandbox: Sandbox, *, seed: int, updates: int) -> None:
    records, expected = told(seed, updates)
    command = Command(tmp_path, sandbox.url)
    last = state(len(records))
    done = command.run(
        ORDERS_SCHEMA,
        USERS_SCHEMA,
        FORGETS_SCHEMA,
        records,
        last,
        streams=STREAMS,
        batch_size_rows=20,
        max_parallel_requests=8,
    )
    engaged = [request for request in sandbox.requests if request.path.startswith("/engage")]

    assert (done.code, done.states[-1:]) == (0, [last["value"]])
    assert as_sets(sandbox.users) == as_sets(expected)
    assert len(expected) > PEOPLE / 2
    assert any(request.status == 503 for request in engaged)


def test_fault_80_ten_thousand_updates(tmp_path: Path, flaky: Sandbox):
    check(tmp_path, flaky, seed=1, updates=10_000)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(5))
def test_fault_80_fifty_thousand_updates(tmp_path: Path, flaky: Sandbox, seed: int):
    check(tmp_path, flaky, seed=seed, updates=50_000)
