"""Which rows does a CSV file hold? Its cells are texts, an empty one is null."""

import csv
from collections.abc import Iterator
from typing import Final

import msgspec

from target_mixpanel.errors import InputError, listed, printable
from target_mixpanel.files.compression import decompressed
from target_mixpanel.files.lines import LINE_MAX_BYTES, lines_of
from target_mixpanel.files.objects import OpenObject
from target_mixpanel.files.places import Place, RowBatch
from target_mixpanel.model import JsonObject

_BATCH_BYTES: Final = 256 * 1024
_BATCH_ROWS: Final = 1_000

_DELIMITERS: Final = ",;\t|"
"""In the order in which a header is searched for them."""

_CELL: Final[JsonObject] = {"type": ["null", "string"]}

_encode: Final = msgspec.json.Encoder().encode


class CsvRows:
    """The rows of one object, below its header; a resumed one counts rows."""

    def __init__(self, content: OpenObject, delimiter: str | None = None) -> None:
        """
        Args:
            content: The object.
            delimiter: None: the first of `,` `;` tab `|` that the header has.

        Raises:
            InputError: It has no header that names each column once.
        """
        self._url = content.stored.url
        self._rows = 0
        blocks, _ = decompressed(content.blocks(), self._url)
        texts = self._texts(blocks)
        first = next(texts, "")
        if delimiter is None:
            delimiter = next((each for each in _DELIMITERS if each in first), ",")
        # The csv module's own limit would be 128 KB; one quote too many takes all that follows.
        csv.field_size_limit(LINE_MAX_BYTES)
        self._reader = csv.reader(_chained(first, texts), delimiter=delimiter, strict=True)
        self._header = next(self._cells(), [])
        self._check_header()
        self.schema: JsonObject = {
            "type": "object",
            "properties": dict.fromkeys(self._header, _CELL),
            "additionalProperties": True,
        }

    def batches(self, start: Place) -> Iterator[RowBatch]:
        rows: list[bytes] = []
        size = 0
        for cells in self._cells():
            if not cells:  # a blank line
                continue
            self._rows += 1
            if self._rows <= start.rows:
                continue
            if len(cells) != len(self._header):
                raise self._error(
                    f"has {len(cells)} cells where the header has {len(self._header)}; look at its "
                    "quotes and delimiters"
                )
            named = zip(self._header, cells, strict=True)
            rows.append(_encode({name: cell or None for name, cell in named}))
            size += len(rows[-1])
            if len(rows) == _BATCH_ROWS or size > _BATCH_BYTES:
                yield self._batch(rows)
                rows, size = [], 0
        if rows:
            yield self._batch(rows)

    def _batch(self, rows: list[bytes]) -> RowBatch:
        first = self._rows - len(rows) + 1
        return RowBatch(rows, range(first, self._rows + 1), Place(self._rows))

    def _cells(self) -> Iterator[list[str]]:
        try:
            yield from self._reader
        except csv.Error as error:
            self._rows += 1
            raise self._error(f"cannot be read ({error}); look at its quotes") from None

    def _texts(self, blocks: Iterator[bytes]) -> Iterator[str]:
        for lines in lines_of(blocks, self._url):
            try:
                text = b"\n".join(lines).decode()
            except UnicodeDecodeError:
                raise InputError(
                    f"{printable(self._url)}: is not UTF-8, after row {self._rows:,}; store it so"
                ) from None
            for line in text.split("\n"):
                yield f"{line}\n"

    def _check_header(self) -> None:
        header = self._header
        unnamed = [str(number) for number, name in enumerate(header, 1) if not name.strip()]
        twice = sorted({name for name in header if header.count(name) > 1})
        if header and not unnamed and not twice:
            return
        if not header:
            problem = "has no header; its first line must name the columns"
        elif unnamed:
            problem = f"has a header without a name for column {', '.join(unnamed)}; name it"
        else:
            problem = f"has a header that names {listed(twice)} twice; name each column once"
        raise InputError(f"{printable(self._url)}: {problem}")

    def _error(self, problem: str) -> InputError:
        return InputError(f"{printable(self._url)}: row {self._rows:,} {problem}")


def _chained(first: str, rest: Iterator[str]) -> Iterator[str]:
    if first:
        yield first
    yield from rest
