"""Which lookup tables are there?"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Mapping


class LookupTable(msgspec.Struct, frozen=True):
    """A table as it was last replaced; values stay the CSV's text."""

    id: str
    name: str
    columns: list[str] = []
    rows: list[list[str]] = []


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
