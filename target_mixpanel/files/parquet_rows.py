"""Which rows does a Parquet file hold? Row group by row group, a bounded part of each at a time."""

import io
import logging
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from target_mixpanel.errors import InputError, listed, printable
from target_mixpanel.files.arrow_values import schema_of, values_of
from target_mixpanel.files.objects import OpenObject
from target_mixpanel.files.places import Place, RowBatch

if TYPE_CHECKING:
    from target_mixpanel.model import JsonObject

logger = logging.getLogger("target-mixpanel")

_DECODED_BYTES: Final = 4 * 1024 * 1024
"""Of rows that are decoded at a time, by what the file says of their size."""

_BATCH_BYTES: Final = 256 * 1024
"""Of rows as JSON that are given away together."""

_BATCH_ROWS: Final = 2_000

_BUFFERS_BYTES: Final = 16 * 1024 * 1024
"""Of all columns, read at a time; each read of a bucket is a request."""

_BUFFER_MIN_BYTES: Final = 64 * 1024
_BUFFER_MAX_BYTES: Final = 1024 * 1024
"""Of one column."""

_MAX_RATIO: Final = 1_000
"""Bytes of decoded columns of one byte of the file; beyond it the file lies about its size."""

_FOOTER_MAX_BYTES: Final = 64 * 1024 * 1024
"""Of a text or list in the footer."""

_encode: Final = msgspec.json.Encoder().encode


class ParquetRows:
    """The rows of one object; a resumed one passes over whole row groups."""

    def __init__(self, content: OpenObject) -> None:
        """
        Raises:
            InputError: It is no Parquet file.
        """
        self._stored = content.stored
        self._url = printable(content.stored.url)
        self._source = _File(content)
        try:
            self._file = _opened(self._source)
            arrow_schema = self._file.schema_arrow
        except (pa.ArrowException, OSError, ValueError) as error:
            raise self._unreadable(error) from None
        columns = {field.name: schema_of(field.type) for field in arrow_schema}
        self._names = [name for name, schema in columns.items() if schema is not None]
        left_out = [name for name in columns if name not in self._names]
        if left_out:
            logger.warning(
                "%s: the columns %s are of types that JSON has no word for, and are left out",
                self._url,
                listed(left_out),
            )
        self.schema: JsonObject = {
            "type": "object",
            "properties": {name: columns[name] for name in self._names},
        }

    def batches(self, start: Place) -> Iterator[RowBatch]:
        metadata = self._file.metadata
        before = 0
        for number in range(metadata.num_row_groups):
            group = metadata.row_group(number)
            if group.total_byte_size > _MAX_RATIO * max(self._stored.size, 1):
                raise InputError(f"{self._url}: row group {number} lies about its size")
            after = before + group.num_rows
            if after > start.rows:
                yield from self._group(number, before, after, start.rows)
            before = after

    def _group(self, number: int, before: int, after: int, start: int) -> Iterator[RowBatch]:
        group = self._file.metadata.row_group(number)
        row_bytes = max(group.total_byte_size // max(group.num_rows, 1), 1)
        at_a_time = max(min(_DECODED_BYTES // row_bytes, _BATCH_ROWS), 1)
        row = before
        for table in self._tables(number, at_a_time):
            behind = min(max(start - row, 0), table.num_rows)
            yield from self._batches_of(table.slice(behind), row + behind)
            row += table.num_rows
        if row != after:
            raise InputError(
                f"{self._url}: row group {number} has {row - before:,} rows and says "
                f"{after - before:,}; store it anew"
            )

    def _tables(self, number: int, at_a_time: int) -> Iterator[Any]:
        try:
            yield from self._file.iter_batches(
                at_a_time, row_groups=[number], columns=self._names, use_threads=False
            )
        except (pa.ArrowException, OSError, ValueError, MemoryError) as error:
            raise self._unreadable(error) from None

    def _batches_of(self, table: Any, row: int) -> Iterator[RowBatch]:
        if not table.num_rows:
            return
        columns = self._columns(table)
        names = table.schema.names
        rows: list[bytes] = []
        size = 0
        for values in zip(*columns, strict=True):
            rows.append(_encode(dict(zip(names, values, strict=True))))
            size += len(rows[-1])
            if size > _BATCH_BYTES:
                yield _batch(rows, row)
                row += len(rows)
                rows, size = [], 0
        if rows:
            yield _batch(rows, row)

    def _columns(self, table: Any) -> list[list[Any]]:
        try:
            return [values_of(column) for column in table.columns]
        except (pa.ArrowException, LookupError, OverflowError, ValueError) as error:
            raise self._unreadable(error) from None

    def _unreadable(self, error: BaseException) -> InputError:
        if self._source.error is not None:  # pyarrow wraps what the source raised
            return self._source.error
        return InputError(
            f"{self._url}: is no whole Parquet file ({type(error).__name__}); what came before is "
            "loaded: store it anew"
        )


def _opened(source: "_File") -> Any:
    file = pa.PythonFile(source, mode="r")
    limits = {
        "thrift_string_size_limit": _FOOTER_MAX_BYTES,
        "thrift_container_size_limit": _FOOTER_MAX_BYTES,
    }
    # Only the footer says how many columns share the buffers.
    metadata = pq.ParquetFile(file, pre_buffer=False, **limits).metadata
    buffer = _BUFFERS_BYTES // max(metadata.num_columns, 1)
    return pq.ParquetFile(
        file,
        metadata=metadata,
        pre_buffer=False,
        buffer_size=min(max(buffer, _BUFFER_MIN_BYTES), _BUFFER_MAX_BYTES),
        **limits,
    )


def _batch(rows: list[bytes], before: int) -> RowBatch:
    after = before + len(rows)
    return RowBatch(rows, range(before + 1, after + 1), Place(after))


class _File(io.RawIOBase):
    """An object as Python's files are."""

    def __init__(self, content: OpenObject) -> None:
        super().__init__()
        self._content = content
        self._at = 0
        self.error: InputError | None = None

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        bases = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._content.stored.size}
        self._at = bases[whence] + offset
        return self._at

    def read(self, size: int = -1) -> bytes:
        wanted = self._content.stored.size - self._at if size < 0 else size
        try:
            block = self._content.read_at(self._at, wanted)
        except InputError as error:
            self.error = error
            raise OSError from None
        self._at += len(block)
        return block
