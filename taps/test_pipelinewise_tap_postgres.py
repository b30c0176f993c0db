"""pipelinewise-tap-postgres: what it reads, from tables and from the log, is what Mixpanel gets."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest

from taps import odd_rows
from taps.arrived import events, rejected_columns, users
from taps.pipe import Pipe, selected
from taps.postgres import USER, Postgres
from taps.taps import PIPELINEWISE_POSTGRES
from target_mixpanel.sandbox import Sandbox

NAME: Final = f"{PIPELINEWISE_POSTGRES.package} {PIPELINEWISE_POSTGRES.version}"
STREAM: Final = "public-odd"
DOCUMENTS: Final = ["doc", "doc_json"]

ODD_EVENT: Final = {
    "event": "Odd",
    "time": "at",
    "distinct_id": {"column": "user_id", "default": ""},
    "properties": list(odd_rows.PIPELINEWISE),
    # A deletion that is read from the log has the key alone.
    "skip_when": "_sdc_deleted_at",
}
ODD_USER: Final = {
    "type": "users",
    "distinct_id": "id",
    "properties": "*",
    "exclude": DOCUMENTS,
    "delete_when": "_sdc_deleted_at",
}
CHANGED: Final = range(101, 111)
CHANGES: Final = """
    SELECT grow(601, 700);
    -- The odd ones again, but for an infinite date: that is the end of the tap when in the log.
    CREATE TEMPORARY TABLE again AS SELECT * FROM odd WHERE id < 100 AND id <> 4;
    UPDATE again SET id = id + 1000;
    INSERT INTO odd SELECT * FROM again;
    UPDATE odd SET note = 'changed', price = -price WHERE id BETWEEN 101 AND 110;
    DELETE FROM odd WHERE id BETWEEN 111 AND 120;
"""
OF_THE_LOG: Final = {
    1001: "12345678901234568227576610816",
    1005: "9999999999999999583119736832",
}
"""
The price of two rows: the tap reads the log's numbers into doubles and spells these out whole, and
an integer beyond 2^53 is a text.
"""


@pytest.fixture
def odd(database: Postgres, pipe: Callable[..., Pipe]) -> Pipe:
    """The tap at this test's database, its rows to become events and profiles."""
    config = {
        "host": str(database.socket_folder),
        "port": 5432,
        "user": USER,
        "password": "none",
        "dbname": database.database,
        "filter_schemas": "public",
        "break_at_end_lsn": True,
        "logical_poll_total_seconds": 4,  # without a change; then it takes the log for read
    }
    return pipe(PIPELINEWISE_POSTGRES.command, config, {STREAM: [ODD_EVENT, ODD_USER]})


def test_full_table(odd: Pipe, database: Postgres, sandbox: Sandbox, agree: Callable[..., None]):
    """Every type that the tap knows, as events and, but for documents, as profiles under "*"."""
    odd.load(selected(odd.discover(), STREAM, "FULL_TABLE"))

    agree(f"{NAME}, FULL_TABLE, events", _events(database), events(sandbox, "Odd"))
    agree(f"{NAME}, FULL_TABLE, profiles", _profiles(database), users(sandbox))


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
    agree(f"{NAME}, INCREMENTAL, events", _events(database), events(sandbox, "Odd"))
    agree(f"{NAME}, INCREMENTAL, profiles", _profiles(database), users(sandbox))


def test_log_based(odd: Pipe, database: Postgres, sandbox: Sandbox, agree: Callable[..., None]):
    """
    The table once, then what the log says was added, changed and deleted.

    A change that leaves the time of the row as it is, is the same event, and a deletion is none;
    the profile changes and goes.
    """
    database.run(
        f"SELECT pg_create_logical_replication_slot('pipelinewise_{database.database}', 'wal2json')"
    )
    catalog = selected(odd.discover(), STREAM, "LOG_BASED")
    odd.load(catalog)
    before = _events(database)
    database.run(CHANGES)
    again = odd.load(catalog)

    assert again["streams"][STREAM]["read"] == 100 + 5 + 10 + 10
    after = {key: row for key, row in _events(database).items() if key not in CHANGED}
    profiles = _profiles(database)
    for row_id, price in OF_THE_LOG.items():
        after[row_id]["price"] = profiles[row_id]["price"] = price
    agree(
        f"{NAME}, LOG_BASED, events",
        {**{key: row for key, row in before.items() if key not in CHANGED}, **after},
        {key: row for key, row in events(sandbox, "Odd").items() if key not in CHANGED},
    )
    agree(f"{NAME}, LOG_BASED, profiles", profiles, users(sandbox))


def test_rows_that_break_the_taps_own_schema(odd: Pipe, sandbox: Sandbox, tmp_path: Path):
    """
    They are set aside, with the column named; without validation they arrive.

    For this tap a jsonb column holds objects and lists.
    """
    columns = ["id", "doc", "tags", "grid"]
    mapping = {"event": "Broken", "time": "at", "distinct_id": {"value": ""}, "properties": columns}
    odd.target_config["streams"] = {"public-broken": mapping}
    catalog = selected(odd.discover(), "public-broken", "FULL_TABLE")
    odd.load(catalog, dead_letter_path=str(tmp_path / "rejected"))

    assert rejected_columns(tmp_path / "rejected") == {2: "doc"}
    assert events(sandbox, "Broken").keys() == {1, 3, 4, 5}

    odd.load(catalog, validate_records=False)

    assert {key: _only(row, columns) for key, row in events(sandbox, "Broken").items()} == {
        1: {"id": 1, "doc": {"fine": True}, "tags": ["fine"], "grid": [1]},
        2: {"id": 2, "doc": 3, "tags": ["fine"], "grid": [1]},
        3: {"id": 3, "doc": {"fine": True}, "tags": ["a", None], "grid": [1]},
        4: {"id": 4, "doc": {"fine": True}, "tags": ["fine"], "grid": [[1, 2], [3, 4]]},
        5: {"id": 5, "doc": [1], "tags": ["fine"], "grid": [1]},
    }


def _events(database: Postgres) -> dict[int, dict[str, Any]]:
    return odd_rows.expected_events(database, odd_rows.PIPELINEWISE)


def _profiles(database: Postgres) -> dict[int, dict[str, Any]]:
    columns = {
        name: sql for name, sql in odd_rows.PIPELINEWISE.items() if name not in {*DOCUMENTS, "id"}
    }
    return odd_rows.expected_profiles(database, columns)


def _only(row: dict[str, Any], columns: list[str]) -> dict[str, Any]:
    return {name: row[name] for name in columns}
