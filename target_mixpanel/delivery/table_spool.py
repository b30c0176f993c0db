"""Where do a lookup table's rows wait until the last one is there?"""

import os
import re
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Final, Self

from isal import isal_zlib

from target_mixpanel.delivery.payload import COMPRESSION_LEVEL, Payload
from target_mixpanel.errors import LookupTableError, printable
from target_mixpanel.limits import LOOKUP_TABLE_MAX_BYTES, LOOKUP_TABLES_MAX_ROWS

_HELD_ROWS: Final = 10_000
_HELD_BYTES: Final = 4_000_000
"""Rows that are written together; a statement for each would cost more than twice as much."""

_CACHE_KIB: Final = 8_192
"""Pages of the database in memory; with more of it, two million keys in no order went no faster."""

_GZIP_WBITS: Final = 31
"""zlib's name for the gzip format. https://docs.python.org/3/library/zlib.html#zlib.compressobj"""

_PRAGMAS: Final = (
    "journal_mode=OFF",  # nothing is ever rolled back: what fails ends the run
    "synchronous=OFF",  # and nothing outlives it
    "locking_mode=EXCLUSIVE",
    f"cache_size=-{_CACHE_KIB}",
)
_PUT: Final = """
INSERT INTO row (key, line, spelled) VALUES (?, ?, ?) ON CONFLICT (key) DO UPDATE SET
line = excluded.line, spelled = excluded.spelled,
is_merged = is_merged OR spelled IS NOT excluded.spelled
"""

_FIRST_CELL: Final = re.compile(rb'"(?:[^"]|"")*+"|[^,]*+')


class TableSpool:
    """
    Keep the last line of each key, in the order in which the keys first came. For one thread.

    Memory is bounded, whatever comes; the disk by about twice Mixpanel's limits on a table.
    The rows wait in a file that only this user may read and that has no name: nothing is left of
    it, however the process ends.
    """

    def __init__(
        self,
        place: str,
        *,
        max_rows: int = LOOKUP_TABLES_MAX_ROWS,
        max_bytes: int = LOOKUP_TABLE_MAX_BYTES,
    ) -> None:
        """
        Args:
            place: The table's place in the configuration, for messages.
            max_rows: Rows without the header.
            max_bytes: Of the CSV, uncompressed, with its header.

        Raises:
            LookupTableError: There is no room for a temporary file.
        """
        self._place = place
        self._max_rows = max_rows
        self._max_bytes = max_bytes
        self._held: dict[str, tuple[str, bytes, bytes | None]] = {}
        self._is_merged = False
        self._held_bytes = 0
        self._bytes_at_most = 0
        self._csv: BinaryIO | None = None
        with self._failures_named():
            self._rows = _nameless_database()

    def put(self, key: str, line: bytes) -> None:
        """
        Take *line*, a CSV line with its end, instead of an earlier one of the same *key*.

        The key is the first of its values, as it is spelled there or in another way.

        Raises:
            LookupTableError: The table is larger than Mixpanel takes, or the disk is full.
        """
        row = (key, line, _other_spelling(key, line))
        held = self._held.setdefault(key, row)
        if held is not row:
            self._is_merged |= held[-1] != row[-1]
            self._held[key] = row
        self._held_bytes += len(line)
        if len(self._held) >= _HELD_ROWS or self._held_bytes >= _HELD_BYTES:
            self._write()

    def csv(self, header: bytes) -> Payload:
        """
        Return the whole table, gzipped, as a file that lives as long as this spool.

        Args:
            header: The CSV's first line, with its end.

        Raises:
            LookupTableError: As `put`.
        """
        self._write()
        self._check_size(len(header) + self._bytes())
        with self._failures_named():
            self._close_csv()
            self._csv = tempfile.TemporaryFile()  # noqa: SIM115 (closed with the spool)
            return self._compress(header, self._csv)

    @property
    def has_merged(self) -> bool:
        """Whether a line took the place of one whose key is spelled in another way."""
        merged = self._rows.execute("SELECT EXISTS (SELECT 1 FROM row WHERE is_merged)").fetchone()
        return self._is_merged or merged == (1,)

    @property
    def rows(self) -> int:
        """How many different keys there are, without those held back."""
        [count] = self._rows.execute("SELECT coalesce(max(seq), 0) FROM row").fetchone()
        return int(count)

    def _write(self) -> None:
        with self._failures_named():
            self._rows.executemany(_PUT, self._held.values())
        self._bytes_at_most += self._held_bytes
        self._held.clear()
        self._held_bytes = 0
        if self.rows > self._max_rows:
            raise LookupTableError(
                f"{self._place}: has more than {self._max_rows:,} rows, which is all that Mixpanel "
                "keeps in a project's lookup tables; select fewer in the tap",
            )
        # What replaced other lines was counted, too: only the sum itself says whether it fits.
        if self._bytes_at_most > self._max_bytes * 2:
            self._check_size(self._bytes())

    def _bytes(self) -> int:
        [size] = self._rows.execute("SELECT coalesce(sum(length(line)), 0) FROM row").fetchone()
        self._bytes_at_most = int(size)
        return self._bytes_at_most

    def _check_size(self, size: int) -> None:
        if size > self._max_bytes:
            raise LookupTableError(
                f"{self._place}: has {size:,} bytes or more as CSV, and Mixpanel takes "
                f"{self._max_bytes:,}; select fewer rows in the tap, or map fewer columns",
            )

    def _compress(self, header: bytes, file: BinaryIO) -> Payload:
        gzip = isal_zlib.compressobj(COMPRESSION_LEVEL, isal_zlib.DEFLATED, _GZIP_WBITS)
        raw_bytes = 0
        for chunk in self._chunks(header):
            file.write(gzip.compress(chunk))
            raw_bytes += len(chunk)
        file.write(gzip.flush())
        file.flush()
        return Payload(file, raw_bytes, file.tell())

    def _chunks(self, header: bytes) -> Iterator[bytes]:
        yield header
        lines = self._rows.execute("SELECT line FROM row ORDER BY seq")
        while some := lines.fetchmany(_HELD_ROWS):
            yield b"".join([line for (line,) in some])

    @contextmanager
    def _failures_named(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise LookupTableError(
                f"{self._place}: the table's rows cannot be kept in {tempfile.gettempdir()} "
                f"({printable(reason)}); make room there, or set TMPDIR to where there is some",
            ) from None

    def close(self) -> None:
        """Let go of both files, and so of the room they take."""
        self._rows.close()
        self._close_csv()

    def _close_csv(self) -> None:
        if self._csv is not None:
            self._csv.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _other_spelling(key: str, line: bytes) -> bytes | None:
    """Return how *line* spells its key, None if as *key*."""
    plain = key.encode()
    if line.startswith(plain) and line[len(plain) : len(plain) + 1] == b",":
        return None
    cell = _FIRST_CELL.match(line)
    return cell[0] if cell else None


def _nameless_database() -> sqlite3.Connection:
    """Return a database in a file that is gone from its folder before anything is in it."""
    descriptor, path = tempfile.mkstemp(prefix="target-mixpanel-")  # 0600
    try:
        os.close(descriptor)
        database = sqlite3.connect(path, isolation_level=None)
    finally:
        Path(path).unlink()
    for pragma in _PRAGMAS:
        database.execute(f"PRAGMA {pragma}")
    database.execute(
        "CREATE TABLE row (seq INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, line BLOB NOT NULL,"
        " spelled BLOB, is_merged INTEGER NOT NULL DEFAULT 0)",
    )
    database.execute("BEGIN")
    return database
