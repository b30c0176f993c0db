"""Which CSV may replace a lookup table, and how are the tables listed?"""

from __future__ import annotations

import csv
import re
from typing import TYPE_CHECKING, Final

import msgspec

from target_mixpanel.sandbox.answers import Answer, RequestRefusedError, as_json
from target_mixpanel.sandbox.bodies import unpack
from target_mixpanel.sandbox.credentials import require_service_account
from target_mixpanel.sandbox.table_store import LookupTable, read_csv
from target_mixpanel.sandbox.table_values import same_key

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable

    from target_mixpanel.sandbox.answers import Incoming
    from target_mixpanel.sandbox.project import Project

MAX_FAILED_ROWS: Final = 10
"""Bad rows named in one reply. https://developer.mixpanel.com/reference/replace-lookup-table"""

MIN_COLUMNS: Final = 2
"""The key and something to look up. The same page."""

BLANK_KEY: Final = "primary key is required and cannot be blank"
WRONG_WIDTH: Final = "invalid row: wrong number of fields"

_QUOTED_RIGHT: Final = re.compile(rb"""(?:(?:"(?:[^"]++|"")*+"|[^",\r\n]*+)(?:,|\r\n?|\n|\Z))*+""")
"""A quote encloses a value or is doubled in one: RFC 4180 insists, Python's reader does not."""


class FailedRow(msgspec.Struct, frozen=True):
    """A row that spoils the table; the header has index 0."""

    index: int
    message: str


class _Judged(msgspec.Struct, frozen=True):
    header: list[str]
    row_count: int
    failed: list[FailedRow]


def list_tables(project: Project, request: Incoming) -> Answer:
    """
    Answer with each table's id and name.

    Raises:
        RequestRefusedError: 401.
    """
    require_service_account(request, project.settings)
    tables = [{"id": table.id, "name": table.name} for table in project.tables.all()]
    return as_json(200, {"code": 200, "status": "OK", "results": tables})


def replace_table(project: Project, request: Incoming) -> Answer:
    """
    Replace a whole table, or nothing of it.

    Raises:
        RequestRefusedError: Nothing was replaced.
    """
    require_service_account(request, project.settings)
    table_id = request.path.removeprefix("/lookup-tables/").rstrip("/")
    table = project.tables.find(table_id)
    if table is None:
        return _not_found(table_id)
    if request.content_type != "text/csv":
        raise RequestRefusedError(400, "unsupported content type")
    plain = unpack(request, max_bytes=project.settings.max_table_bytes)
    project.admit_table_call()
    judged = _judge(plain)
    request.rows = judged.row_count
    if judged.failed:
        return _invalid(judged.failed)
    project.admit_table_rows(table_id, judged.row_count)
    project.tables.replace(
        LookupTable(table.id, table.name, judged.header, judged.row_count, plain)
    )
    return as_json(200, {"code": 200, "status": "OK"})


def _judge(plain: bytes) -> _Judged:
    if b'"' in plain and not _QUOTED_RIGHT.fullmatch(plain):
        raise RequestRefusedError(400, "invalid CSV: a quote within a value")
    try:
        rows = read_csv(plain)
        header = next(rows, None)
        if header is None:
            raise RequestRefusedError(400, "invalid CSV: no header")
        row_count, failed = _judge_rows(rows, len(header))
    except (UnicodeDecodeError, csv.Error) as error:
        raise RequestRefusedError(400, f"invalid CSV: {error}") from error
    return _Judged(header, row_count, [*_bad_header(header), *failed])


def _bad_header(header: list[str]) -> list[FailedRow]:
    if len(header) < MIN_COLUMNS:
        return [FailedRow(0, f"invalid header: fewer than {MIN_COLUMNS} columns")]
    if len(set(header)) < len(header):
        return [FailedRow(0, "invalid header: column names must be unique")]
    return []


def _judge_rows(rows: Iterable[list[str]], width: int) -> tuple[int, list[FailedRow]]:
    """Count the rows and name the first bad ones, in one pass: there may be millions."""
    first_seen: dict[Hashable, int] = {}
    failed: list[FailedRow] = []
    index = 0
    for index, row in enumerate(rows, 1):
        if len(row) != width:
            message = WRONG_WIDTH
        elif not row[0] or row[0].isspace():
            message = BLANK_KEY
        elif (first := first_seen.setdefault(same_key(row[0]), index)) != index:
            message = f"invalid row: row indexes {first} and {index} have the same primary key"
        else:
            continue
        if len(failed) < MAX_FAILED_ROWS:
            failed.append(FailedRow(index, message))
    return index, failed


def _invalid(failed: list[FailedRow]) -> Answer:
    return as_json(
        400,
        {
            "code": 400,
            "error": "Some data points in the request failed validation.",
            "status": "Bad Request",
            "failed_records": failed[:MAX_FAILED_ROWS],
        },
    )


def _not_found(table_id: str) -> Answer:
    # The documented example carries this code.
    error = f"Lookup table with id '{table_id}' was not found."
    return as_json(404, {"code": 200, "error": error, "status": "Not Found"})
