"""Which lookup tables are there?"""

from __future__ import annotations

import csv
import io
import threading
from itertools import islice
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


class LookupTable(msgspec.Struct, frozen=True):
    """
    A table as it was last replaced.

    Attributes:
        columns: The header, the key first.
        row_count: Rows below the header.
        csv: The table as it came, uncompressed. Two million rows are a hundred megabytes of text,
            and more than a gigabyte of lists.
    """

    id: str
    name: str
    columns: list[str] = []
    row_count: int = 0
    csv: bytes = b""

    @property
    def rows(self) -> list[list[str]]:
        """All rows as text: for tables of a test's size."""
        return self.head(self.row_count)

    def head(self, limit: int, *, start: int = 0) -> list[list[str]]:
        """Return up to *limit* rows as text, from the *start*-th after the first."""
        below_header = islice(read_csv(self.csv), 1, None)
        return list(islice(below_header, start, start + limit))


def read_csv(plain: bytes) -> Iterator[list[str]]:
    """
    Yield the lines that are not blank, the header first.

    Raises:
        UnicodeDecodeError: It is not UTF-8.
        csv.Error: It is not CSV.
    """
    text = io.TextIOWrapper(io.BytesIO(plain), encoding="utf-8", newline="")
    return (line for line in csv.reader(text, strict=True) if line)


class LookupTables:
    """
    The tables that Mixpanel's own pages made.

    One lock guards them: tests read them from their own thread.
    """

    def __init__(self, names: Mapping[str, str]) -> None:
        self._names = names
        self._lock = threading.Lock()
        self.clear()

    def clear(self) -> None:
        with self._lock:
            self._tables = {key: LookupTable(key, name) for key, name in self._names.items()}

    def all(self) -> list[LookupTable]:
        with self._lock:
            return list(self._tables.values())

    def find(self, table_id: str) -> LookupTable | None:
        with self._lock:
            return self._tables.get(table_id)

    def replace(self, table: LookupTable) -> None:
        with self._lock:
            self._tables[table.id] = table
