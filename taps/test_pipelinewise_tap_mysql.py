"""pipelinewise-tap-mysql: what it reads, from tables and from the log, is what Mixpanel gets."""

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any, Final

import pytest

from taps.arrived import events, users
from taps.expectations import known
from taps.mariadb import DATABASE, PASSWORD, USER, MariaDB
from taps.pipe import Pipe, selected
from taps.places import HERE
from taps.taps import PIPELINEWISE_MYSQL
from target_mixpanel.sandbox import Sandbox

NAME: Final = f"{PIPELINEWISE_MYSQL.package} {PIPELINEWISE_MYSQL.version}"
STREAM: Final = f"{DATABASE}-odd"

_DATE: Final = "'%Y-%m-%dT%T'"


def _day(column: str, zero: str) -> str:
    """Return a date as Mixpanel's, and *zero* for a zero date."""
    is_day = f"{column} IS NULL OR month({column}) AND day({column})"
    return f"if({is_day}, date_format({column}, {_DATE}), {zero})"


def _truth(column: str) -> str:
    return f"if({column} IS NULL, NULL, json_extract(if({column}, 'true', 'false'), '$'))"


_AS_THEY_ARE: Final = (
    *("id", "big", "ubig", "small", "tiny", "price", "price0", "ratio", "single", "note", "code"),
    "mood",
)
# For this tap a bit field is a boolean, however many bits it has.
_TRUTHS: Final = ("flag", "bits", "bits8")
_DURATIONS: Final = ("clock", "clock6")
_DAYS: Final = ("ts", "day")

OF_TABLES: Final = {
    **{name: name for name in _AS_THEY_ARE},
    **{name: _truth(name) for name in _TRUTHS},
    **{name: f"round(time_to_sec({name}) * 1000000)" for name in _DURATIONS},
    **{name: _day(name, "NULL") for name in _DAYS},
    "raw": "hex(raw)",
    "doc": "cast(doc AS char)",
}
"""What pipelinewise-tap-mysql makes of each column that it has; five types it has not."""

OF_THE_LOG: Final = {
    **OF_TABLES,
    "single": "cast(single AS double)",
    "raw": "lower(hex(raw))",
    "ts": _day("ts", "'1970-01-01T00:00:00'"),
    "day": _day("day", "NULL"),
}
"""The log's reader has ways of its own."""

ODD_EVENT: Final = {
    "event": "Odd",
    "time": "at",
    "distinct_id": {"column": "user_id", "default": ""},
    "properties": [*OF_TABLES],
    "skip_when": "_sdc_deleted_at",
}
ODD_USER: Final = {
    "type": "users",
    "distinct_id": "id",
    "properties": "*",
    "exclude": ["point"],
    "delete_when": "_sdc_deleted_at",
}
CHANGED: Final = range(101, 111)
CHANGES: Final = """
    SET sql_mode = '';
    CALL grow(601, 700);
    CREATE TEMPORARY TABLE again AS SELECT * FROM odd WHERE id < 100;
    UPDATE again SET id = id + 1000;
    INSERT INTO odd SELECT * FROM again;
    UPDATE odd SET note = 'changed', price = -price WHERE id BETWEEN 101 AND 110;
    DELETE FROM odd WHERE id BETWEEN 111 AND 120;
"""


@pytest.fixture
def database(mariadb_server: MariaDB) -> MariaDB:
    """The odd rows, as they are at first."""
    mariadb_server.run(
        f"DROP DATABASE {DATABASE}; CREATE DATABASE {DATABASE} DEFAULT CHARACTER SET utf8mb4;"
    )
    mariadb_server.run((HERE / "odd_mariadb.sql").read_text())
    return mariadb_server


@pytest.fixture
def odd(database: MariaDB, pipe: Callable[..., Pipe]) -> Pipe:
    """The tap at this test's database, its rows to become events and profiles."""
    config = {
        "host": "127.0.0.1",
        "port": database.port,
        "user": USER,
        "password": PASSWORD,
        "filter_dbs": DATABASE,
        "engine": "mariadb",
        "server_id": "2",
    }
    return pipe(PIPELINEWISE_MYSQL.command, config, {STREAM: [ODD_EVENT, ODD_USER]})


def test_full_table(odd: Pipe, database: MariaDB, sandbox: Sandbox, agree: Callable[..., None]):
    """Every type that the tap knows, as events, and as profiles under "*"."""
    odd.load(selected(odd.discover(), STREAM, "FULL_TABLE"))

    agree(f"{NAME}, FULL_TABLE, events", _events(database), events(sandbox, "Odd"))
    agree(f"{NAME}, FULL_TABLE, profiles", _profiles(database), users(sandbox))


def test_incremental(odd: Pipe, database: MariaDB, sandbox: Sandbox, agree: Callable[..., None]):
    """The next run begins at the STATE that the loader printed, and adds what is new."""
    catalog = selected(odd.discover(), STREAM, "INCREMENTAL", key="at")
    odd.load(catalog)
    before = len(sandbox.raw("Odd"))
    database.run("CALL grow(601, 700)")
    again = odd.load(catalog)

    # The bookmark's own row is read again: Singer's bookmarks are inclusive.
    assert again["streams"][STREAM]["read"] == 101
    assert len(sandbox.raw("Odd")) == before + 101
    agree(f"{NAME}, INCREMENTAL, events", _events(database), events(sandbox, "Odd"))
    agree(f"{NAME}, INCREMENTAL, profiles", _profiles(database), users(sandbox))


def test_log_based(odd: Pipe, database: MariaDB, sandbox: Sandbox, agree: Callable[..., None]):
    """The table once, then what the log says was added, changed and deleted."""
    catalog = selected(odd.discover(), STREAM, "LOG_BASED")
    odd.load(catalog)
    before = _events(database)
    database.run(CHANGES)
    again = odd.load(catalog)
    logged = "id > 600 OR id BETWEEN 101 AND 110"
    profiles = {**_profiles(database), **_profiles(database, OF_THE_LOG, logged)}

    assert again["streams"][STREAM]["read"] == 100 + 6 + 10 + 10
    agree(
        f"{NAME}, LOG_BASED, events",
        _unchanged({**before, **_events(database, OF_THE_LOG, "id > 600")}),
        _unchanged(events(sandbox, "Odd")),
    )
    agree(f"{NAME}, LOG_BASED, profiles", profiles, users(sandbox))


def _unchanged(rows: dict[int, Any]) -> dict[int, Any]:
    """Leave out the events that came twice: which of the two Mixpanel shows is not promised."""
    return {key: row for key, row in rows.items() if key not in CHANGED}


def _events(
    database: MariaDB, columns: Mapping[str, str] = OF_TABLES, where: str = "true"
) -> dict[int, dict[str, Any]]:
    identity = {
        "time": "floor(unix_timestamp(at) * 1000)",
        "distinct_id": "coalesce(user_id, '')",
    }
    return _by_id(database, {**columns, **identity}, where)


def _profiles(
    database: MariaDB, columns: Mapping[str, str] = OF_TABLES, where: str = "true"
) -> dict[int, dict[str, Any]]:
    others = {"at": _day("at", "NULL"), "user_id": "user_id"}
    kept = {name: sql for name, sql in columns.items() if name != "id"}
    return _by_id(database, {**kept, **others}, where)


def _by_id(database: MariaDB, columns: Mapping[str, str], where: str) -> dict[int, dict[str, Any]]:
    pairs = ", ".join(f"'{name}', {expression}" for name, expression in columns.items())
    rows = database.rows(f"SELECT json_array(id, json_object({pairs})) FROM odd WHERE {where}")
    return {row_id: known(_with_durations(row)) for row_id, row in rows}


def _with_durations(row: dict[str, Any]) -> dict[str, Any]:
    """Tell a time as the tap does: as Python tells a duration, 9:05:00 or -1 day, 10:15:00."""
    told = {
        name: str(timedelta(microseconds=row[name])) for name in _DURATIONS if row[name] is not None
    }
    return {**row, **told}
