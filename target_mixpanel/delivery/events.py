"""How do events travel: to /import, as gzipped NDJSON, and what does its reply say of them?"""

from collections.abc import Iterable, Sequence
from typing import Any, Final

from isal import igzip

from target_mixpanel.credentials import Credentials, ProjectToken, ServiceAccount
from target_mixpanel.delivery.payload import COMPRESSION_LEVEL, Payload
from target_mixpanel.delivery.quotes import row_texts
from target_mixpanel.delivery.verdict import (
    Delivered,
    OwnVerdicts,
    Refused,
    RefusedRow,
    RefusedUnattributed,
    TryAgain,
    Unaccounted,
    Verdict,
    judge_by_status,
)
from target_mixpanel.errors import printable
from target_mixpanel.http.endpoint import Endpoint, headers_of
from target_mixpanel.http.replies import (
    BAD_REQUEST,
    OK,
    Answer,
    Reply,
    count_text,
    json_object,
    said,
)
from target_mixpanel.limits import IMPORT_MAX_EVENTS
from target_mixpanel.model import Row

IMPORT_PATH: Final = "/import"

_NEWLINE_BYTES: Final = 1


def judge(reply: Reply, insert_ids: Sequence[str], *, now: float | None = None) -> Verdict:
    """
    Return what /import's *reply* says of the rows with *insert_ids*, in the order they were sent.

    Args:
        reply: What came back.
        insert_ids: Of the rows sent.
        now: Seconds since the epoch, for a `Retry-After` that is a date.
    """
    own: OwnVerdicts = {
        OK: lambda answer: _judge_ok(answer, len(insert_ids)),
        BAD_REQUEST: lambda answer: _judge_bad_request(answer, insert_ids),
    }
    return judge_by_status(reply, own, now=now)


def _judge_ok(answer: Answer, sent: int) -> Verdict:
    body = json_object(answer.body)
    if body is None:
        return TryAgain("HTTP 200 without JSON, as a proxy's page or a cut reply")
    imported = body.get("num_records_imported")
    if body.get("failed_records"):
        return Unaccounted("HTTP 200 blames rows")
    if imported == sent and type(imported) is int:
        return Delivered()
    return Unaccounted(f"HTTP 200 counts {count_text(imported)} of {sent:,} rows")


def _judge_bad_request(answer: Answer, insert_ids: Sequence[str]) -> Verdict:
    body = json_object(answer.body) or {}
    entries = body.get("failed_records")
    if not isinstance(entries, list) or not entries:
        return RefusedUnattributed(said(answer))
    if not all(isinstance(entry, dict) for entry in entries):
        # Identity verbs in a simplified project: a list of texts, and nothing was imported.
        words = next((entry for entry in entries if isinstance(entry, str)), "")
        return RefusedUnattributed(printable(words) or said(answer))
    refused: dict[int, RefusedRow] = {}
    for entry in entries:
        index = _row_index(entry, insert_ids)
        if index is None:
            return Unaccounted("HTTP 400 blames a row that was not sent")
        refused.setdefault(index, _refused_row(index, entry))
    imported = body.get("num_records_imported")
    if imported is None and len(refused) < len(entries):
        return Unaccounted("HTTP 400 blames one row twice and does not count the others")
    counted = len(insert_ids) - len(refused)
    if imported is not None and (type(imported) is not int or imported != counted):
        return Unaccounted(
            f"HTTP 400 counts {count_text(imported)} rows imported and {len(refused):,} failed of "
            f"{len(insert_ids):,}",
        )
    return Refused(tuple(refused[index] for index in sorted(refused)))


def _row_index(entry: dict[str, Any], insert_ids: Sequence[str]) -> int | None:
    """Return which row *entry* blames: by index if its id agrees, else by an id of one row."""
    index = entry.get("index")
    named = entry.get("insert_id") or entry.get("$insert_id")  # the pages disagree on the key
    if type(index) is int and 0 <= index < len(insert_ids):
        is_agreed = not isinstance(named, str) or named in {"", insert_ids[index]}
        if is_agreed:
            return index
    if isinstance(named, str) and insert_ids.count(named) == 1:
        return insert_ids.index(named)
    return None


def _refused_row(index: int, entry: dict[str, Any]) -> RefusedRow:
    message, field = entry.get("message"), entry.get("field")
    return RefusedRow(
        index=index,
        reason=printable(message) if isinstance(message, str) and message else "refused",
        field=printable(field) if isinstance(field, str) and field else None,
    )


def import_endpoint(base_url: str, credentials: Credentials) -> Endpoint:
    """
    Return /import, strict, for gzipped NDJSON.

    A project token is the username with an empty password; a service account needs the project's
    id in the query. https://developer.mixpanel.com/reference/import-events
    """
    match credentials:
        case ProjectToken(token=token):
            query, auth = "strict=1", (token, "")
        case ServiceAccount(username=username, secret=secret, project_id=project_id):
            query, auth = f"strict=1&project_id={project_id}", (username, secret)
    return Endpoint(
        url=f"{base_url}{IMPORT_PATH}?{query}",
        auth=auth,
        headers=headers_of("application/x-ndjson", is_gzip=True),
    )


def import_payload(rows: Sequence[Row]) -> Payload:
    """Return *rows* as gzipped NDJSON."""
    lines = b"\n".join([row.body for row in rows])
    body = igzip.compress(lines, COMPRESSION_LEVEL, mtime=0)
    return Payload(body, len(lines), len(body))


class ImportRoute:
    """Events, to /import."""

    name = "import"
    max_rows = IMPORT_MAX_EVENTS
    row_bytes = _NEWLINE_BYTES
    frame_bytes = 0
    shares_the_rate = True

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint

    def pack(self, rows: Sequence[Row]) -> Payload:
        return import_payload(rows)

    def judge(self, reply: Reply, rows: Sequence[Row]) -> Verdict:
        return judge(reply, [row.key for row in rows])

    def texts(self, rows: Sequence[Row]) -> Iterable[str]:
        return row_texts(rows)


def import_route(base_url: str, credentials: Credentials) -> ImportRoute:
    """Return the route of events."""
    return ImportRoute(import_endpoint(base_url, credentials))
