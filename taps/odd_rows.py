"""What becomes of the table `odd` of PostgreSQL, in PostgreSQL's words?"""

from collections.abc import Mapping
from typing import Any, Final

from taps.expectations import known
from taps.postgres import Postgres

_DATE: Final = """'YYYY-MM-DD"T"HH24:MI:SS'"""
_LAST: Final = "'9999-12-31T23:59:59'"
_FIRST: Final = "NULL"

_HOURS: Final = "to_char(extract(timezone_hour FROM clock_tz), 'SG00:\"00\"')"

_MOMENTS: Final = f"""(
    SELECT array_agg(to_char(m AT TIME ZONE 'UTC', {_DATE}) ORDER BY nr)
    FROM unnest(moments) WITH ORDINALITY AS _ (m, nr)
)"""
_DAYS: Final = """(
    SELECT array_agg(to_char(d, 'YYYY-MM-DD"T00:00:00"') ORDER BY nr)
    FROM unnest(days) WITH ORDINALITY AS _ (d, nr)
)"""


def _finite(column: str) -> str:
    return f"CASE WHEN {column} NOT IN ('NaN', 'Infinity', '-Infinity') THEN {column} END"


def _instant(column: str, utc: str, least: str) -> str:
    """Return *column* as Mixpanel's date; JSON has no infinity, so a tap says another."""
    return f"""CASE {column} WHEN 'infinity' THEN {_LAST} WHEN '-infinity' THEN {least}
        ELSE to_char({utc}, {_DATE}) END"""


def _day(spelling: str) -> str:
    """Return the column day as to_char spells it, but for the two that mean no day."""
    spelled, last = (f"to_char({day}, {spelling})" for day in ("day", "date '9999-12-31'"))
    return f"""CASE day WHEN 'infinity' THEN {last} WHEN '0001-01-01' THEN NULL
        ELSE {spelled} END"""


def _moments_of(least: str) -> dict[str, str]:
    return {
        "naive": _instant("naive", "naive", least),
        "moment": _instant("moment", "moment AT TIME ZONE 'UTC'", least),
    }


_AS_THEY_ARE: Final = (
    *("id", "big", "small", "price", "flag", "note", "code", "uid", "doc", "doc_json", "feeling"),
    *("cash", "net", "mac"),
)

_BOTH: Final = {
    **{name: name for name in _AS_THEY_ARE},
    **{name: _finite(name) for name in ("plain", "ratio", "single")},
    # Python's clocks know no 24:00, and these taps are of Python.
    "clock": "CASE clock WHEN '24:00' THEN '00:00:00' ELSE clock::text END",
}

MELTANOLABS: Final = {
    **_BOTH,
    **_moments_of(_FIRST),
    "tags": "tags",
    "numbers": "numbers",
    "prices": "prices",
    "days": "days",
    "moments": f"CASE WHEN moments = '{{}}' THEN '{{}}' ELSE {_MOMENTS} END",
    "day": _day("'YYYY-MM-DD'"),
    "raw": "encode(raw, 'hex')",
    # PostgreSQL leaves out an offset's minutes where they are 0.
    "clock_tz": f"clock_tz::time::text || {_HOURS}",
    # An interval is told as the instant so long after 1970.
    "span": f"to_char(timestamp 'epoch' + span, {_DATE}) || '+00:00'",
    "bits": "bits",
    "bits8": "bits8",
    "range": "range",
}
"""What meltanolabs-tap-postgres makes of each column."""

PIPELINEWISE: Final = {
    **_BOTH,
    **_moments_of(_LAST),
    # It tells an empty list of none at all by nothing.
    **{name: f"coalesce({name}, '{{}}')" for name in ("tags", "numbers", "prices")},
    "days": f"coalesce({_DAYS}, '{{}}')",
    "moments": f"coalesce({_MOMENTS}, '{{}}')",
    "day": _day(_DATE),
    "clock_tz": "(clock_tz AT TIME ZONE 'UTC')::time::text",
    "bits": "bits = B'1'",
}
"""What pipelinewise-tap-postgres makes of each column that it has; five types it has not."""


def expected_events(server: Postgres, columns: Mapping[str, str]) -> dict[int, Any]:
    """Return the events by id: properties, their time in milliseconds, and whose they are."""
    identity = {
        "time": "floor(extract(epoch FROM at) * 1000)::bigint",
        "distinct_id": "coalesce(user_id, '')",
    }
    return _by_id(server, {**columns, **identity})


def expected_profiles(server: Postgres, columns: Mapping[str, str]) -> dict[int, Any]:
    """Return the profiles by id, which is theirs and no property; the event's columns are some."""
    others = {"at": f"to_char(at AT TIME ZONE 'UTC', {_DATE})", "user_id": "user_id"}
    return _by_id(server, {**columns, **others})


def expected_cells(server: Postgres, columns: Mapping[str, str]) -> dict[int, Any]:
    """Return the rows of a lookup table by id; an empty text is an empty cell."""
    return {
        row_id: {name: value for name, value in row.items() if value != ""}
        for row_id, row in _by_id(server, columns).items()
    }


def _by_id(server: Postgres, columns: Mapping[str, str]) -> dict[int, Any]:
    pairs = ", ".join(f"'{name}', {expression}" for name, expression in columns.items())
    rows = server.rows(f"SELECT json_build_array(id, json_build_object({pairs})) FROM odd")
    return {row_id: known(row) for row_id, row in rows}
