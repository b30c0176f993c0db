"""One stream with several destinations: a record is counted once, and settled when all have it."""

import json
import time
from pathlib import Path
from typing import Any

import pytest

from target_mixpanel.sandbox import Sandbox
from tests.conftest import ORDERS_MAPPING, ORDERS_SCHEMA, Command, order, orders, state
from tests.whole_model import TABLE_ID

SPENT = {
    "type": "users",
    "distinct_id": "user_id",
    "operation": "add",
    "properties": {"Orders": {"value": 1}, "Spent": "amount"},
}
LAST = {
    "type": "users",
    "distinct_id": "user_id",
    "properties": {"Last Order": "id", "$name": "note"},
    "nulls": "keep",
}
ORDER_TABLE = {
    "type": "lookup_table",
    "lookup_table_id": TABLE_ID,
    "key": "id",
    "properties": ["amount"],
}
SEVERAL = [ORDERS_MAPPING, SPENT, LAST]

REFUSED_EVENT = {
    "path": "/import",
    "status": 400,
    "body": {
        "code": 400,
        "num_records_imported": 0,
        "failed_records": [{"index": 0, "field": "amount", "message": "too much"}],
    },
}
REFUSED_UPDATE = {
    "path": "/engage",
    "body": {"status": 0, "error": "too much", "num_good_events": 0},
}


@pytest.fixture
def several(loads_all: Command, tmp_path: Path) -> Command:
    """A command that makes an event and two updates of each order."""
    loads_all.config |= {
        "streams": {"orders": SEVERAL},
        "dead_letter_path": str(tmp_path / "rejected"),
        "max_rejection_rate": 1.0,
    }
    return loads_all


def counted(command: Command) -> tuple[int, int, int, int]:
    report = command.report()
    return report["read"], report["accepted"], report["rejected"], report["pending"]


def dead_letters(folder: Path) -> list[dict[str, Any]]:
    lines = [line for path in folder.iterdir() for line in path.read_text().splitlines()]
    messages = [json.loads(line) for line in lines]
    return [message for message in messages if message["type"] == "RECORD"]


def sequentially(records: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the profiles that a hand would make of the orders, one after the other."""
    users: dict[str, Any] = {}
    for each in records:
        values = each["record"]
        profile = users.setdefault(values["user_id"], {"Orders": 0, "Spent": 0.0})
        profile["Orders"] += 1
        profile["Spent"] += values["amount"]
        profile["Last Order"] = values["id"]
    return users


class TestARecordIsCountedOnce:
    def test_all_destinations_have_it(self, several: Command, project: Sandbox):
        records = orders(500)
        done = several.run(ORDERS_SCHEMA, records, state(499), batch_size_rows=20)

        assert (done.code, done.states) == (0, [state(499)["value"]])
        assert counted(several) == (500, 500, 0, 0)
        assert len(project.raw()) == 500
        assert project.users == sequentially(records)

    @pytest.mark.parametrize(
        "faults",
        [
            pytest.param([REFUSED_EVENT], id="event"),
            pytest.param([REFUSED_UPDATE, REFUSED_UPDATE, REFUSED_UPDATE], id="updates"),
            pytest.param(
                [REFUSED_EVENT, REFUSED_UPDATE, REFUSED_UPDATE, REFUSED_UPDATE], id="all-of-them"
            ),
        ],
    )
    def test_of_which_a_row_is_refused(
        self, several: Command, project: Sandbox, tmp_path: Path, faults: list[dict[str, Any]]
    ):
        """It is a rejection, once, whatever the others say."""
        project.script(*faults)
        done = several.run(ORDERS_SCHEMA, order(1), state(1))
        letters = dead_letters(tmp_path / "rejected")

        assert (done.code, done.states) == (0, [state(1)["value"]])
        assert counted(several) == (1, 0, 1, 0)
        assert [letter["record"] for letter in letters] == [order(1)["record"]]
        assert letters[0]["rejection"]["stage"] == "refused"

    def test_that_one_of_its_mappings_cannot_take(
        self, several: Command, project: Sandbox, tmp_path: Path
    ):
        """Nothing of it is sent: an order without its buyer would be half a record."""
        userless = {**ORDERS_MAPPING, "distinct_id": {"column": "user_id", "default": ""}}
        done = several.run(
            ORDERS_SCHEMA,
            order(1),
            order(2, user_id=None),
            streams={"orders": [userless, LAST]},
        )

        assert done.code == 0
        assert counted(several) == (2, 1, 1, 0)
        assert [event["properties"]["id"] for event in project.raw()] == [1]
        assert [letter["record"]["id"] for letter in dead_letters(tmp_path / "rejected")] == [2]

    def test_of_which_the_event_is_filtered(self, several: Command, project: Sandbox):
        """The window is one of events; what the others make of the record is loaded."""
        done = several.run(ORDERS_SCHEMA, orders(10), since="2026-11-01")

        assert done.code == 0
        assert counted(several) == (10, 10, 0, 0)
        assert (project.raw(), len(project.users)) == ([], 10)

    def test_in_a_dry_run(self, several: Command, project: Sandbox):
        done = several.run(
            ORDERS_SCHEMA,
            orders(10),
            order(10, user_id=None),
            state(10),
            dry_run=True,
            streams={"orders": [*SEVERAL, ORDER_TABLE]},
        )

        assert (done.code, done.stdout, project.requests) == (0, "", [])
        assert counted(several) == (11, 10, 1, 0)


class TestStateWaitsForAllDestinations:
    @pytest.mark.parametrize("path", ["/import", "/engage"])
    def test_whichever_is_slow(self, several: Command, project: Sandbox, path: str):
        project.script({"path": path, "delay_s": 1.0})
        with several.start(batch_size_rows=10, max_parallel_requests=2) as running:
            started_at = time.monotonic()
            running.write(ORDERS_SCHEMA, [order(n, user_id="ada") for n in range(10)], state(9))
            printed = running.read_state()
            waited_s = time.monotonic() - started_at

        assert printed == state(9)["value"]
        assert waited_s >= 1.0
        assert len(project.raw()) == 10
        assert project.users["ada"]["Orders"] == 10

    @pytest.mark.parametrize("path", ["/import", "/engage"])
    def test_whichever_is_down(self, several: Command, project: Sandbox, path: str):
        project.script({"path": path, "status": 429, "times": -1})
        done = several.run(ORDERS_SCHEMA, orders(10), state(9), retry_max_elapsed_seconds=0.3)

        assert (done.code, done.states) == (1, [])
        assert counted(several) == (10, 0, 0, 10)


class TestALookupTableAmongThem:
    @pytest.fixture(autouse=True)
    def with_table(self, several: Command) -> None:
        several.config["streams"] = {"orders": [*SEVERAL, ORDER_TABLE]}

    def test_all_have_it(self, several: Command, project: Sandbox):
        records = orders(300)
        done = several.run(ORDERS_SCHEMA, records, state(299), batch_size_rows=20)

        assert (done.code, done.states) == (0, [state(299)["value"]])
        assert counted(several) == (300, 300, 0, 0)
        assert len(project.raw()) == 300
        assert project.users == sequentially(records)
        assert [(row["id"], row["amount"]) for row in project.table_rows(TABLE_ID)] == [
            (each["record"]["id"], each["record"]["amount"]) for each in records
        ]

    def test_the_table_is_refused(self, several: Command, project: Sandbox):
        """Nothing is accepted that the table has not; a rerun shows no event twice."""
        project.script({"path": "/lookup-tables", "status": 400})
        refused = several.run(ORDERS_SCHEMA, orders(10), state(9), streams=without_add())
        pending = counted(several)
        again = several.run(ORDERS_SCHEMA, orders(10), state(9), streams=without_add())

        assert (refused.code, refused.states, pending) == (1, [], (10, 0, 0, 10))
        assert (again.code, again.states) == (0, [state(9)["value"]])
        assert (len(project.raw()), len(project.report())) == (20, 10)

    def test_the_event_is_refused(self, several: Command, project: Sandbox, tmp_path: Path):
        """The record is a rejection; the table is whole all the same."""
        project.script(REFUSED_EVENT)
        done = several.run(ORDERS_SCHEMA, order(1), state(1))

        assert (done.code, done.states) == (0, [state(1)["value"]])
        assert counted(several) == (1, 0, 1, 0)
        assert [letter["record"]["id"] for letter in dead_letters(tmp_path / "rejected")] == [1]
        assert [row["id"] for row in project.table_rows(TABLE_ID)] == [1]

    def test_dead_letters_are_no_whole_table(
        self, several: Command, project: Sandbox, tmp_path: Path
    ):
        """Replayed into the table, they would replace all other rows; nothing is sent of them."""
        several.run(ORDERS_SCHEMA, orders(5), order(5, user_id=None), state(5))
        (letters,) = (tmp_path / "rejected").iterdir()
        userless = {**ORDERS_MAPPING, "distinct_id": {"column": "user_id", "default": ""}}
        replay = several.run(
            arguments=["--input", str(letters)], streams={"orders": [userless, ORDER_TABLE]}
        )
        events_after_replay = len(project.raw())
        without_table = several.run(
            arguments=["--input", str(letters)], streams={"orders": [userless]}
        )

        assert (replay.code, events_after_replay, without_table.code) == (1, 5, 0)
        assert len(project.table_rows(TABLE_ID)) == 5
        assert len(project.report()) == 6
        [error] = replay.errors
        assert error.startswith("streams.orders[1]: dead letters are a part of the lookup table")


def without_add() -> dict[str, Any]:
    return {"orders": [ORDERS_MAPPING, LAST, ORDER_TABLE]}


def test_a_replay_sends_the_accepted_event_again(
    several: Command, project: Sandbox, tmp_path: Path
):
    """That is harmless: reports show one, and the update that was refused is applied once."""
    project.script(REFUSED_UPDATE)
    streams = {"orders": [ORDERS_MAPPING, SPENT]}
    first = several.run(ORDERS_SCHEMA, order(1, user_id="ada"), state(1), streams=streams)
    users_before = project.users
    (letters,) = (tmp_path / "rejected").iterdir()
    replay = several.run(arguments=["--input", str(letters)], streams=streams)

    assert (first.code, first.states, users_before) == (0, [state(1)["value"]], {})
    assert (replay.code, replay.stdout) == (0, "")
    assert (len(project.raw()), len(project.report())) == (2, 1)
    assert project.users == {"ada": {"Orders": 1, "Spent": 0.25}}
    assert len(dead_letters(tmp_path / "rejected")) == 1
