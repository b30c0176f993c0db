"""What do the replies about lookup tables say? Pure, but for the table's own rows."""

import csv
import gzip
import io
import zlib
from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO, Final

from target_mixpanel.delivery.payload import Payload
from target_mixpanel.delivery.verdict import (
    Delivered,
    NoSuchTable,
    OwnVerdicts,
    TableRefused,
    TryAgain,
    Verdict,
    judge_by_status,
)
from target_mixpanel.errors import printable
from target_mixpanel.http.endpoint import Endpoint
from target_mixpanel.http.replies import (
    BAD_REQUEST,
    OK,
    TOO_LARGE,
    TOO_MANY,
    Answer,
    Reply,
    json_object,
    said,
)
from target_mixpanel.limits import LOOKUP_TABLE_MAX_BYTES, LOOKUP_TABLE_MAX_CALLS
from target_mixpanel.redaction import without_values

_NOT_FOUND: Final = 404
_ROWS_SHOWN: Final = 3
_TABLES_SHOWN: Final = 20
_NAME_MAX_CHARS: Final = 60
_TEXT_MAX_CHARS: Final = 1_000
"""Of a server's text, what is searched for the rows' values; less of it is shown."""


class Table:
    """Which lookup table is replaced, and where it says so in the configuration."""

    def __init__(self, place: str, table_id: str, listing: Endpoint) -> None:
        self.place = place
        self.table_id = table_id
        self.listing = listing


def judge_table(reply: Reply, table: Table, payload: Payload) -> Verdict:
    """
    Return what *reply* says became of *table*: replaced as a whole, or left as it was.

    A 429 is tried again like any other, so for `retry_max_elapsed_seconds` at most: it may be the
    project's rate; if it is the table's share of the day, waiting for it is not the run's to do.
    https://developer.mixpanel.com/reference/replace-lookup-table
    """
    own: OwnVerdicts = {
        OK: _judge_ok,
        BAD_REQUEST: lambda answer: _refused(answer, table, payload),
        _NOT_FOUND: lambda _: NoSuchTable(table.place, table.table_id, table.listing),
        TOO_LARGE: lambda answer: TableRefused(
            f"{table.place}: Mixpanel takes no table of {payload.raw_bytes:,} bytes "
            f"({said(answer)}); {LOOKUP_TABLE_MAX_BYTES:,} are documented: select fewer rows in "
            "the tap, or map fewer columns",
        ),
        TOO_MANY: lambda answer: TryAgain(
            f"{said(answer)} (a table takes {LOOKUP_TABLE_MAX_CALLS} replacements in 24 hours)",
            is_ambiguous=False,
        ),
    }
    return judge_by_status(reply, own)


def tables_there_are(reply: Reply) -> str:
    """Return which lookup tables a reply lists, and what to do."""
    remedy = "correct lookup_table_id, or create the table in Mixpanel's Lexicon"
    results = _listed(reply)
    if results is None:
        why = said(reply) if isinstance(reply, Answer) else reply.reason
        return f"which it has could not be read ({why}); {remedy}, and check region or api_url"
    tables = [_table(entry) for entry in results]
    if not tables:
        return f"it has none; {remedy}"
    more = len(tables) - _TABLES_SHOWN
    rest = f" and {more:,} more" if more > 0 else ""
    return f"it has {', '.join(tables[:_TABLES_SHOWN])}{rest}; {remedy}"


def listed_ids(reply: Reply) -> frozenset[str] | None:
    """Return the ids of the lookup tables that a reply lists, None if it lists none."""
    results = _listed(reply)
    if results is None:
        return None
    return frozenset(str(entry.get("id")).lower() for entry in results)


def _listed(reply: Reply) -> list[dict[str, Any]] | None:
    body = json_object(reply.body) if isinstance(reply, Answer) and reply.status == OK else None
    results = (body or {}).get("results")
    if not isinstance(results, list):
        return None
    return [entry for entry in results if isinstance(entry, dict)]


def _table(entry: dict[str, Any]) -> str:
    table_id, name = (
        printable(str(entry.get(key, "?")), max_chars=_NAME_MAX_CHARS) for key in ("id", "name")
    )
    return f'{table_id} ("{name}")'


def _judge_ok(answer: Answer) -> Verdict:
    body = json_object(answer.body) or {}
    is_ok = body.get("status") == "OK" and body.get("code", OK) == OK
    if is_ok and not body.get("failed_records") and not body.get("error"):
        return Delivered()
    return TryAgain("HTTP 200 that does not say OK, as a proxy's page or a cut reply")


def _refused(answer: Answer, table: Table, payload: Payload) -> TableRefused:
    body = json_object(answer.body) or {}
    entries = body.get("failed_records")
    blamed = [
        (_index(entry), _text(entry, "message"))
        for entry in (entries if isinstance(entries, list) else [])
        if isinstance(entry, dict)
    ]
    shown = blamed[:_ROWS_SHOWN]
    error, *messages = without_rows(
        [_text(body, "error"), *(message for _, message in shown)], payload
    )
    words = [printable(error) or f"HTTP {answer.status}"]
    words += [
        f"row {'?' if index is None else index}: {printable(message) or 'refused'}"
        for (index, _), message in zip(shown, messages, strict=True)
    ]
    if len(blamed) > len(shown):
        words.append(f"and {len(blamed) - len(shown)} more")
    return TableRefused(
        f"{table.place}: Mixpanel refused the table and keeps the old one: {'; '.join(words)} "
        "(row 0 is the header); mend the source or the mapping",
    )


def _text(body: dict[str, Any], key: str) -> str:
    value = body.get(key)
    return value[:_TEXT_MAX_CHARS] if isinstance(value, str) else ""


def _index(entry: dict[str, Any]) -> int | None:
    index = entry.get("index")
    return index if type(index) is int and index >= 0 else None


def without_rows(texts: Sequence[str], payload: Payload) -> list[str]:
    """
    Return a server's *texts* less what they repeat of the table's rows: they go into the log.

    What it says of one row may repeat another, so all are looked at; it is the run's last act.
    """
    try:
        return without_values(texts, table_texts(payload))
    except (csv.Error, UnicodeDecodeError, OSError, EOFError, zlib.error):
        # Not a table: nothing is known of its rows.
        return ["in words that may repeat a row" if text else "" for text in texts]


def table_texts(payload: Payload) -> Iterator[str]:
    """Yield every cell of a table but its header's."""
    body = payload.body
    file: BinaryIO = io.BytesIO(body) if isinstance(body, bytes) else body
    file.seek(0)
    with (
        gzip.GzipFile(fileobj=file, mode="rb") as plain,
        io.TextIOWrapper(plain, encoding="utf-8", newline="") as text,
    ):
        rows = csv.reader(text)
        next(rows, None)  # the header: names of the configuration
        for row in rows:
            yield from row
