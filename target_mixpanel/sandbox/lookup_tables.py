"""Which CSV may replace a lookup table, and how are the tables listed?"""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING, Final

import msgspec

from target_mixpanel.sandbox.answers import Answer, RequestRefusedError, as_json
from target_mixpanel.sandbox.bodies import unpack
from target_mixpanel.sandbox.credentials import require_service_account
from target_mixpanel.sandbox.settings import MAX_TABLE_BYTES
from target_mixpanel.sandbox.table_store import LookupTable

if TYPE_CHECKING:
    from target_mixpanel.sandbox.answers import Incoming
    from target_mixpanel.sandbox.project import Project

MAX_FAILED_ROWS: Final = 10
"""Bad rows named in one reply. https://developer.mixpanel.com/reference/replace-lookup-table"""

MIN_COLUMNS: Final = 2
"""The key and something to look up. The same page."""

BLANK_KEY: Final = "primary key is required and cannot be blank"
WRONG_WIDTH: Final = "invalid row: wrong number of fields"


class FailedRow(msgspec.Struct, frozen=True):
    """A row that spoils the table; the header has index 0."""

    index: int
    message: str


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
    plain = unpack(request, max_bytes=MAX_TABLE_BYTES)
    project.admit_table_call()
    header, *rows = _parse(plain)
    request.rows = len(rows)
    if failed := [*_bad_header(header), *_bad_rows(rows, len(header))]:
        return _invalid(failed)
    project.tables.replace(LookupTable(table.id, table.name, header, rows))
    return as_json(200, {"code": 200, "status": "OK"})


def _parse(plain: bytes) -> list[list[str]]:
    try:
        text = io.StringIO(plain.decode("utf-8"), newline="")
        lines = [line for line in csv.reader(text, strict=True) if line]
    except (UnicodeDecodeError, csv.Error) as error:
        raise RequestRefusedError(400, f"invalid CSV: {error}") from error
    if not lines:
        raise RequestRefusedError(400, "invalid CSV: no header")
    return lines


def _bad_header(header: list[str]) -> list[FailedRow]:
    if len(header) < MIN_COLUMNS:
        return [FailedRow(0, f"invalid header: fewer than {MIN_COLUMNS} columns")]
    if len(set(header)) < len(header):
        return [FailedRow(0, "invalid header: column names must be unique")]
    return []


def _bad_rows(rows: list[list[str]], width: int) -> list[FailedRow]:
    first_seen: dict[str, int] = {}
    failed: list[FailedRow] = []
    for index, row in enumerate(rows, 1):
        if len(row) != width:
            failed.append(FailedRow(index, WRONG_WIDTH))
        elif not row[0].strip():
            failed.append(FailedRow(index, BLANK_KEY))
        elif (first := first_seen.setdefault(row[0], index)) != index:
            clash = f"row indexes {first} and {index} have the same primary key"
            failed.append(FailedRow(index, f"invalid row: {clash}"))
    return failed


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
