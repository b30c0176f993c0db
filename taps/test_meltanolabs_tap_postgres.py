"""meltanolabs-tap-postgres: what it reads from PostgreSQL is what Mixpanel gets."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest

from taps import odd_rows
from taps.arrived import cells, events, groups, rejected_columns, users
from taps.pipe import Pipe, selected
from taps.postgres import Postgres
from taps.taps import MELTANOLABS_POSTGRES
from target_mixpanel.sandbox import Sandbox
from target_mixpanel.sandbox.settings import TABLE_ID

NAME: Final = f"{MELTANOLABS_POSTGRES.package} {MELTANOLABS_POSTGRES.version}"
STREAM: Final = "public-odd"
DOCUMENTS: Final = ["doc", "doc_json"]

ODD_EVENT: Final = {
    "event": "Odd",
    "time": "at",
    "distinct_id": {"column": "user_id", "default": ""},
    "properties": list(odd_rows.MELTANOLABS),
}
ODD_USER: Final = {"type": "users", "distinct_id": "id", "properties": "*", "exclude": DOCUMENTS}
ODD_GROUP: Final = {
    "type": "groups",
    "group_key": "odd",
    "group_id": "id",
    "properties": "*",
    "exclude": DOCUMENTS,
}
OF_TABLE: Final = ["small", "price", "ratio", "flag", "note", "uid", "tags", "moment", "feeling"]
ODD_TABLE: Final = {
    "type": "lookup_table",
    "lookup_table_id": TABLE_ID,
    "key": "id",
    "properties": OF_TABLE,
}
SERVICE_ACCOUNT: Final = {
    "project_id": "1",
    "service_account_username": "sandbox.mp-service-account",
    "service_account_secret": "sandbox-secret",
}


@pytest.fixture
def odd(database: Postgres, pipe: Callable[..., Pipe]) -> Pipe:
    """The tap at this test's database, its rows to become events and profiles."""
    config = {
        "sqlalchemy_url": database.url,
        "filter_schemas": ["public"],
        "json_as_object": True,
    }
    return pipe(MELTANOLABS_POSTGRES.command, config, {STREAM: [ODD_EVENT, ODD_USER]})


def test_full_table(odd: Pipe, database: Postgres, sandbox: Sandbox, agree: Callable[..., None]):
    """Every type and every value, as events and, but for documents, as profiles under "*"."""
    odd.load(selected(odd.discover(), STREAM, "FULL_TABLE"))

    agree(
        f"{NAME}, FULL_TABLE, events",
        odd_rows.expected_events(database, odd_rows.MELTANOLABS),
        events(sandbox, "Odd"),
    )
    agree(f"{NAME}, FULL_TABLE, profiles", _profiles(database), users(sandbox))


def test_groups_and_lookup_table(
    odd: Pipe, database: Postgres, sandbox: Sandbox, agree: Callable[..., None]
):
    """The same as profiles of groups, and as a table, whose cells are typed by Mixpanel."""
    odd.target_config |= SERVICE_ACCOUNT
    odd.target_config["streams"] = {STREAM: [ODD_GROUP, ODD_TABLE]}
    odd.load(selected(odd.discover(), STREAM, "FULL_TABLE"))
    columns = {name: odd_rows.MELTANOLABS[name] for name in OF_TABLE}

    agree(f"{NAME}, FULL_TABLE, groups", _profiles(database), groups(sandbox, "odd"))
    agree(
        f"{NAME}, FULL_TABLE, lookup table",
        odd_rows.expected_cells(database, columns),
        cells(sandbox),
    )


def test_incremental(odd: Pipe, database: Postgres, sandbox: Sandbox, agree: Callable[..., None]):
    """The next run begins at the STATE that the loader printed, and adds what is new."""
    catalog = selected(odd.discover(), STREAM, "INCREMENTAL", key="at")
    odd.load(catalog)
    before = len(sandbox.raw("Odd"))
    database.run("SELECT grow(601, 700)")
    again = odd.load(catalog)

    # The bookmark's own row is read again: Singer's bookmarks are inclusive.
    assert again["streams"][STREAM]["read"] == 101
    assert len(sandbox.raw("Odd")) == before + 101
    agree(
        f"{NAME}, INCREMENTAL, events",
        odd_rows.expected_events(database, odd_rows.MELTANOLABS),
        events(sandbox, "Odd"),
    )
    agree(f"{NAME}, INCREMENTAL, profiles", _profiles(database), users(sandbox))


def test_rows_that_break_the_taps_own_schema(odd: Pipe, sandbox: Sandbox, tmp_path: Path):
    """
    They are set aside, with the column named; without validation they arrive.

    For this tap a jsonb column holds objects, an array no null, and no array's item is an array.
    """
    columns = ["id", "doc", "tags", "grid"]
    mapping = {"event": "Broken", "time": "at", "distinct_id": {"value": ""}, "properties": columns}
    odd.target_config["streams"] = {"public-broken": mapping}
    catalog = selected(odd.discover(), "public-broken", "FULL_TABLE")
    odd.load(catalog, dead_letter_path=str(tmp_path / "rejected"))

    assert rejected_columns(tmp_path / "rejected") == {2: "doc", 3: "tags", 4: "grid", 5: "doc"}
    assert events(sandbox, "Broken").keys() == {1}

    odd.load(catalog, validate_records=False)

    assert {key: _only(row, columns) for key, row in events(sandbox, "Broken").items()} == {
        1: {"id": 1, "doc": {"fine": True}, "tags": ["fine"], "grid": [1]},
        2: {"id": 2, "doc": 3, "tags": ["fine"], "grid": [1]},
        3: {"id": 3, "doc": {"fine": True}, "tags": ["a", None], "grid": [1]},
        4: {"id": 4, "doc": {"fine": True}, "tags": ["fine"], "grid": [[1, 2], [3, 4]]},
        5: {"id": 5, "doc": [1], "tags": ["fine"], "grid": [1]},
    }


def _profiles(database: Postgres) -> dict[int, dict[str, Any]]:
    columns = {
        name: sql for name, sql in odd_rows.MELTANOLABS.items() if name not in {*DOCUMENTS, "id"}
    }
    return odd_rows.expected_profiles(database, columns)


def _only(row: dict[str, Any], columns: list[str]) -> dict[str, Any]:
    return {name: row[name] for name in columns}
