"""What does POST /import answer, and what does it ingest?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from target_mixpanel.sandbox.answers import TEXT, Answer, RequestRefusedError, as_json
from target_mixpanel.sandbox.bodies import event_rows, unpack
from target_mixpanel.sandbox.credentials import require_importer
from target_mixpanel.sandbox.rules import (
    BrokenRuleError,
    EventKey,
    MalformedRowError,
    judge,
    loose_key,
    read_row,
)
from target_mixpanel.sandbox.settings import IDENTITY_EVENTS
from target_mixpanel.sandbox.silent_changes import ingest
from target_mixpanel.sandbox.store import Rejection

if TYPE_CHECKING:
    from target_mixpanel.sandbox.answers import Incoming
    from target_mixpanel.sandbox.project import Project
    from target_mixpanel.sandbox.silent_changes import Ingested

IDENTITY_REFUSED: Final = (
    "identity events are not allowed when project is using simplified identity management"
)
"""Seen live in August 2026: it fails the whole request, and is a string in `failed_records`."""

PARTLY_FAILED: Final = "some data points in the request failed validation"
"""Of every 400 that blames rows. https://developer.mixpanel.com/reference/import-events"""


def import_events(project: Project, request: Incoming) -> Answer:
    """
    Ingest the valid events of one request, whatever happens to the others.

    Raises:
        RequestRefusedError: Nothing was ingested.
    """
    require_importer(request, project.settings)
    plain = unpack(request, max_bytes=project.settings.max_request_bytes)
    lines = event_rows(request, plain)
    project.admit(request)
    rows = [_read(line, number) for number, line in enumerate(lines, 1)]
    if project.settings.project_mode == "simplified" and any(map(_is_identity_event, rows)):
        project.events.reject([Rejection(0, "", "", IDENTITY_REFUSED)] * len(rows))
        return _partly_failed(request, 0, [IDENTITY_REFUSED])
    verdicts = [
        _judge(row, line, index, project)
        for index, (row, line) in enumerate(zip(rows, lines, strict=True))
    ]
    if request.is_strict:
        return _import_strictly(project, request, lines, rows, verdicts)
    return _import_leniently(project, request, lines, rows, verdicts)


def _import_strictly(
    project: Project,
    request: Incoming,
    lines: list[bytes],
    rows: list[object],
    verdicts: list[EventKey | Rejection],
) -> Answer:
    rejections = [verdict for verdict in verdicts if isinstance(verdict, Rejection)]
    project.events.accept(
        (verdict, ingest(row, line))
        for row, line, verdict in zip(rows, lines, verdicts, strict=True)
        if isinstance(row, dict) and not isinstance(verdict, Rejection)
    )
    imported = len(lines) - len(rejections)
    if rejections:
        project.events.reject(rejections)
        id_key = project.settings.failed_id_key
        failed = [_failed_record(rejection, id_key) for rejection in rejections]
        return _partly_failed(request, imported, failed)
    return _imported(request, imported)


def _import_leniently(
    project: Project,
    request: Incoming,
    lines: list[bytes],
    rows: list[object],
    verdicts: list[EventKey | Rejection],
) -> Answer:
    keeps_invalid = project.settings.lenient_rows == "keep"
    accepted: list[tuple[EventKey, Ingested]] = []
    for row, line, verdict in zip(rows, lines, verdicts, strict=True):
        is_valid = not isinstance(verdict, Rejection)
        if isinstance(row, dict) and (is_valid or keeps_invalid):
            key = loose_key(row) if isinstance(verdict, Rejection) else verdict
            accepted.append((key, ingest(row, line)))
        elif isinstance(verdict, Rejection):
            project.events.reject([verdict])
    project.events.accept(accepted)
    if request.is_verbose:
        return _imported(request, len(accepted))
    return Answer(200, b"1" if accepted else b"0", TEXT)


def _read(line: bytes, number: int) -> object:
    """Return the row, or what makes it unreadable without spoiling the request."""
    try:
        return read_row(line)
    except BrokenRuleError as broken:
        return broken
    except MalformedRowError as error:
        raise RequestRefusedError(400, f"invalid JSON in event {number}: {error}") from error


def _is_identity_event(row: object) -> bool:
    if not isinstance(row, dict):
        return False
    name = row.get("event")
    return isinstance(name, str) and name in IDENTITY_EVENTS


def _judge(row: object, line: bytes, index: int, project: Project) -> EventKey | Rejection:
    try:
        if isinstance(row, BrokenRuleError):
            raise row
        return judge(row, size=len(line), settings=project.settings, now_s=project.clock())
    except BrokenRuleError as broken:
        return Rejection(index, loose_key(row)[3], broken.field, broken.message)


def _imported(request: Incoming, rows: int) -> Answer:
    status = 1 if request.is_verbose else "OK"
    return as_json(200, {"code": 200, "num_records_imported": rows, "status": status})


def _partly_failed(request: Incoming, imported: int, failed: list[object]) -> Answer:
    return as_json(
        400,
        {
            "code": 400,
            "error": PARTLY_FAILED,
            "status": 0 if request.is_verbose else "Bad Request",
            "num_records_imported": imported,
            "failed_records": failed,
        },
    )


def _failed_record(rejection: Rejection, id_key: str) -> object:
    return {
        "index": rejection.index,
        id_key: rejection.insert_id,
        "field": rejection.field,
        "message": rejection.message,
    }
