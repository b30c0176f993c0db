"""
Which rows does an object hold? JSON lines, CSV or Parquet, as one kind of row: JSON.

    with open_rows(stored) as rows:
        orders = engine.stream("orders", schema=rows.schema, key=["id"])
        for batch in rows.batches(Place()):      # or the place noted by an earlier run
            for row in batch.rows:
                orders.load_json(row)
            engine.checkpoint(...)               # batch.after: where a rerun goes on

Rows are bytes, one JSON object each, in the object's order; `b'{"type":"RECORD","stream":"orders",
"record":' + row + b"}"` is the Singer message that says the same.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from target_mixpanel.errors import InputError, SettingsError, printable
from target_mixpanel.files.csv_rows import CsvRows
from target_mixpanel.files.format_names import Format, format_of
from target_mixpanel.files.json_lines import JsonLines
from target_mixpanel.files.objects import OpenObject, StoredObject, open_object
from target_mixpanel.files.places import Place, RowBatch
from target_mixpanel.model import JsonObject


class Rows(Protocol):
    """The rows of one open object."""

    schema: JsonObject
    """A JSON Schema of one row; an open one where the object does not know."""

    def batches(self, start: Place) -> Iterator[RowBatch]:
        """
        Yield the rows from *start* on, in order, at most a few MB of them at a time.

        Raises:
            InputError: It cannot be read on; what was yielded is good.
        """


@contextmanager
def open_rows(stored: StoredObject, format: Format | None = None) -> Iterator[Rows]:  # noqa: A002
    """
    Return the rows of *stored*.

    Args:
        stored: From `find_objects` or `find_object`.
        format: Which it has; None: as its name ends, less `.gz` and `.zst`.

    Raises:
        InputError: It cannot be read, or nobody knows its format.
        SettingsError: What reads it is not installed.
    """
    with open_object(stored) as content:
        yield rows_of(content, format)


def rows_of(content: OpenObject, format: Format | None = None) -> Rows:  # noqa: A002
    """Return the rows of an open object, as `open_rows` does."""
    match format or _format_of(content.stored):
        case "jsonl":
            return JsonLines(content)
        case "csv":
            return CsvRows(content)
        case "tsv":
            return CsvRows(content, "\t")
        case "parquet":
            return _parquet_rows(content)


def _parquet_rows(content: OpenObject) -> Rows:
    try:
        from target_mixpanel.files.parquet_rows import ParquetRows  # noqa: PLC0415 (an extra)
    except ImportError:
        raise SettingsError(
            f"{printable(content.stored.url)}: Parquet needs the extra parquet: "
            "pip install 'target-mixpanel[parquet]'"
        ) from None
    return ParquetRows(content)


def _format_of(stored: StoredObject) -> Format:
    known = format_of(stored.name)
    if known is not None:
        return known
    raise InputError(
        f"{printable(stored.url)}: its name does not say its format; give --format jsonl, csv, "
        "tsv or parquet, or format in an entry of files"
    )
