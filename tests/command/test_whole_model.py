"""Events, users, groups and a lookup table of one run arrive as mapped, and are accounted for."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from target_mixpanel.sandbox import Sandbox
from tests.conftest import ORDERS_SCHEMA, Command, orders
from tests.whole_model import (
    ACCOUNTS_MAPPING,
    ACCOUNTS_SCHEMA,
    PRODUCTS_SCHEMA,
    SANDBOX,
    TABLE_ID,
    USERS_SCHEMA,
    account,
    product,
    products,
    reached,
    record,
    schema,
    user,
)


class TestARunOfAllTypes:
    INPUT = (
        *(USERS_SCHEMA, user("ada"), user("bob", "Bob"), reached(1)),
        *(ACCOUNTS_SCHEMA, account("acme", 5), account("gone", gone_at="2026-01-01T00:00:00Z")),
        *(reached(2), PRODUCTS_SCHEMA, *products(3), reached(3), product(0, name="Nut")),
        *(ORDERS_SCHEMA, *orders(20), user("ada", "Ada L"), reached(4)),
    )

    def test_all_of_it_arrives(self, loads_all: Command, project: Sandbox):
        done = loads_all.run(*self.INPUT)

        assert done.code == 0
        assert project.users == {"ada": {"$name": "Ada L"}, "bob": {"$name": "Bob"}}
        assert project.groups == {("company", "acme"): {"Size": 5}}
        assert [row["name"] for row in project.table_rows(TABLE_ID)] == ["Nut", "Bolt 1", "Bolt 2"]
        assert sorted(event["properties"]["id"] for event in project.raw()) == list(range(20))

    def test_states_keep_their_order(self, loads_all: Command):
        """Some may be skipped, as newer ones became safe with them; the last is the tap's last."""
        places = [each["bookmarks"]["all"] for each in loads_all.run(*self.INPUT).states]

        assert places == sorted(set(places))
        assert places[-1] == 4

    def test_each_stream_is_counted(self, loads_all: Command):
        done = loads_all.run(*self.INPUT)
        report = json.loads(loads_all.report_path.read_bytes())
        counted = {
            name: (stream["read"], stream["accepted"], stream["rejected"], stream["pending"])
            for name, stream in report["streams"].items()
        }

        assert (report["verdict"], report["error"]) == ("complete", None)
        assert counted == {
            "users": (3, 3, 0, 0),
            "accounts": (2, 2, 0, 0),
            "products": (4, 4, 0, 0),
            "orders": (20, 20, 0, 0),
        }
        assert all(stream["requests"] >= 1 for stream in report["streams"].values())
        for name, (read, *_) in counted.items():
            assert f"  {name}: read {read}, accepted {read}, rejected 0, filtered 0," in done.stderr
        assert "PENDING" not in done.stderr

    def test_deletions_are_counted(self, loads_all: Command, project: Sandbox):
        """Those that Mixpanel accepted."""
        gone = user("bob", gone_at="2026-10-01T12:00:00Z")
        done = loads_all.run(*self.INPUT, USERS_SCHEMA, gone, reached(5))
        deleted = {name: loads_all.report(name)["deleted"] for name in ("users", "accounts")}

        assert "bob" not in project.users
        assert deleted == {"users": 1, "accounts": 1}
        assert loads_all.report("orders")["deleted"] == 0
        assert "filtered 0, deleted 1, requests" in done.stderr

    def test_a_deletion_that_mixpanel_refuses_is_none(
        self, loads_all: Command, project: Sandbox, tmp_path: Path
    ):
        project.script({"path": "/engage", "body": {"status": 0, "error": "no"}, "times": 10})
        loads_all.run(
            *(USERS_SCHEMA, user("bob", gone_at="2026-10-01T12:00:00Z"), reached(5)),
            dead_letter_path=str(tmp_path / "rejected"),
        )
        report = loads_all.report("users")

        assert (report["rejected"], report["deleted"]) == (1, 0)

    def test_a_record_that_is_bad_for_its_type_is_set_aside(
        self, loads_all: Command, project: Sandbox, tmp_path: Path
    ):
        bad = [user("anonymous"), account(""), product(9, sku=" ")]
        done = loads_all.run(
            *self.INPUT, *bad, reached(5), dead_letter_path=str(tmp_path / "rejected")
        )
        rejected = {name: loads_all.report(name)["rejected"] for name in ("users", "accounts")}
        letters = [json.loads(line) for path in (tmp_path / "rejected").iterdir()
                   for line in path.read_text().splitlines()]  # fmt: skip

        assert (done.code, done.states[-1]) == (0, reached(5)["value"])
        assert rejected == {"users": 1, "accounts": 1}
        assert loads_all.report("products")["rejected"] == 1
        assert len(project.table_rows(TABLE_ID)) == 3
        assert sorted(each["stream"] for each in letters if each["type"] == "RECORD") == [
            "accounts",
            "products",
            "users",
        ]

    def test_a_dry_run_sends_nothing(self, loads_all: Command, project: Sandbox):
        done = loads_all.run(*self.INPUT, dry_run=True)

        assert (done.code, done.stdout, project.requests) == (0, "", [])
        assert loads_all.report("products")["accepted"] == 4
        assert loads_all.report("users")["accepted"] == 3


STEPS: list[tuple[str, Any, dict[str, Any] | None]] = [
    ("set", {"n": 1, "tags": ["a"]}, {"n": 1, "tags": ["a"]}),
    ("set_once", {"n": 9, "x": "first"}, {"n": 1, "tags": ["a"], "x": "first"}),
    ("add", {"n": 2.5}, {"n": 3.5, "tags": ["a"], "x": "first"}),
    ("append", {"x": "second"}, {"n": 3.5, "tags": ["a"], "x": ["first", "second"]}),
    ("union", {"tags": ["a", "b"]}, {"n": 3.5, "tags": ["a", "b"], "x": ["first", "second"]}),
    ("remove", {"x": "first"}, {"n": 3.5, "tags": ["a", "b"], "x": ["second"]}),
    ("unset", {}, {"n": 3.5, "tags": ["a", "b"]}),
    ("delete", {}, None),
    ("set_once", {"x": "again"}, {"x": "again"}),
]
"""Operation, what the record has, what the profile is then."""

COLUMNS = {
    "n": {"type": ["null", "number"]},
    "x": {"type": ["null", "string"]},
    "tags": {"type": ["null", "array"], "items": {"type": "string"}},
}
TAKEN = {"add": ["n"], "append": ["x"], "remove": ["x"], "union": ["tags"], "unset": ["x"]}


class TestOperations:
    """Each by a stream of its own, all of them on the same profile."""

    def mapping(self, operation: str, **whose: Any) -> dict[str, Any]:
        properties = {} if operation == "delete" else {
            "properties": TAKEN.get(operation, ["n", "x", "tags"])
        }  # fmt: skip
        return {"operation": operation, **whose, **properties}

    def messages(self, steps: list[tuple[str, Any, Any]]) -> list[dict[str, Any]]:
        operations = dict.fromkeys(operation for operation, *_ in steps)
        schemas = [schema(name, "id", id="string", **COLUMNS) for name in operations]
        return schemas + [record(name, id="ada", **values) for name, values, _ in steps]

    @pytest.mark.parametrize("count", range(1, len(STEPS) + 1))
    def test_of_users(self, loads_all: Command, project: Sandbox, count: int):
        """After each step the profile is what the operations so far make of it, in order."""
        steps = STEPS[:count]
        streams = {name: self.mapping(name, type="users", distinct_id="id") for name, *_ in steps}
        done = loads_all.run(*self.messages(steps), streams=streams)
        expected = steps[-1][-1]

        assert done.code == 0
        assert project.users == ({} if expected is None else {"ada": expected})

    def test_of_groups(self, loads_all: Command, project: Sandbox):
        """All but add and append, which are for users only."""
        steps = [step for step in STEPS if step[0] not in {"add", "append"}]
        streams = {
            name: self.mapping(name, type="groups", group_key="company", group_id="id")
            for name, *_ in steps
        }
        done = loads_all.run(*self.messages(steps[:-2]), streams=streams)

        assert done.code == 0
        assert project.groups == {("company", "ada"): {"n": 1, "tags": ["a", "b"]}}
        assert loads_all.run(*self.messages(steps), streams=streams).code == 0
        assert project.groups == {("company", "ada"): {"x": "again"}}

    def test_groups_of_two_kinds_with_one_id(self, loads_all: Command, project: Sandbox):
        streams = {
            "accounts": ACCOUNTS_MAPPING,
            "teams": {**ACCOUNTS_MAPPING, "group_key": "team"},
        }
        team = {**ACCOUNTS_SCHEMA, "stream": "teams"}
        done = loads_all.run(
            ACCOUNTS_SCHEMA, team, account("1", 5), {**account("1", 7), "stream": "teams"},
            streams=streams,
        )  # fmt: skip

        assert done.code == 0
        assert project.groups == {("company", "1"): {"Size": 5}, ("team", "1"): {"Size": 7}}


def test_a_tables_values_have_their_types(loads_all: Command, project: Sandbox):
    """Mixpanel reads the type of a value from its text."""
    text = 'a "quoted", text\nof two lines'
    done = loads_all.run(
        PRODUCTS_SCHEMA,
        product(1, name=text, price=12.5, made_at="2026-10-01T02:00:00+02:00"),
        product(2, name=None, price=None),
        reached(1),
    )

    assert (done.code, done.states) == (0, [reached(1)["value"]])
    assert project.table_rows(TABLE_ID) == [
        {"sku": "sku-1", "name": text, "price": 12.5, "made_at": datetime(2026, 10, 1, tzinfo=UTC)},
        {"sku": "sku-2", "name": None, "price": None, "made_at": None},
    ]


MERGES_SCHEMA = schema(
    "merges", "id", id="integer", kind="string", at={"type": "string", "format": "date-time"},
    user="string", anon="string",
)  # fmt: skip
MERGES_MAPPING = {
    "time": "at",
    "distinct_id": "user",
    "properties": {"$identified_id": "user", "$anon_id": "anon"},
}


COOKIE = "5a9db0c5-1f2e-4d3c-9b8a-00000000000"


def merge(number: int, kind: str) -> dict[str, Any]:
    return record(
        "merges",
        id=number,
        kind=kind,
        at="2026-10-01T00:00:00Z",
        user="ada",
        anon=f"{COOKIE}{number}",
    )


class TestIdentityEvents:
    def test_where_the_merge_is_original(self, loads_all: Command):
        with Sandbox(settings=replace(SANDBOX, project_mode="original")) as original:
            mapping = {**MERGES_MAPPING, "event_from": "kind", "identity": "original"}
            done = loads_all.run(
                MERGES_SCHEMA,
                merge(1, "$identify"),
                merge(2, "Paid"),
                api_url=original.url,
                streams={"merges": mapping},
            )
            arrived = {
                event["event"]: event["properties"].get("$anon_id") for event in original.raw()
            }

        assert done.code == 0
        assert arrived == {"$identify": f"{COOKIE}1", "Paid": f"{COOKIE}2"}

    def test_where_it_is_simplified_the_record_is_set_aside(
        self, loads_all: Command, project: Sandbox, tmp_path: Path
    ):
        """Mixpanel would refuse the request, and with it every other event in it."""
        done = loads_all.run(
            MERGES_SCHEMA,
            merge(1, "$identify"),
            merge(2, "Paid"),
            dead_letter_path=str(tmp_path / "rejected"),
            streams={"merges": {**MERGES_MAPPING, "event_from": "kind"}},
        )
        [reason] = loads_all.report("merges")["rejected_by_reason"]

        assert done.code == 0
        assert [event["event"] for event in project.raw()] == ["Paid"]
        assert reason == {
            "stage": "map", "reason": "identity_event", "field": "kind", "records": 1
        }  # fmt: skip

    @pytest.mark.parametrize("event", ["$identify", "$create_alias", "$merge"])
    def test_where_it_is_simplified_the_mapping_is_refused(self, loads_all: Command, event: str):
        with loads_all.start(streams={"merges": {**MERGES_MAPPING, "event": event}}) as running:
            done = running.finish()
        [error] = done.errors

        assert (done.code, done.stdout) == (1, "")
        assert error.startswith(f'streams.merges.event: "{event}" is an identity event')
