"""How does a lookup table come together, and when is it whole?"""

import logging
from typing import Final

from target_mixpanel.delivery.batches import Batch
from target_mixpanel.delivery.lookup_tables import LookupTable
from target_mixpanel.delivery.table_spool import TableSpool
from target_mixpanel.engine.checkpoints import CheckpointLedger
from target_mixpanel.errors import LookupTableError, StreamSchemaError, printable
from target_mixpanel.model import Mapped, Record, Span

logger = logging.getLogger("target-mixpanel")


class TableDestination:
    """
    The rows of one lookup table, until the tap has said that they are all there.

    From its first row on, the table counts as one record that is not settled: no STATE is printed
    past it before Mixpanel has the whole table.
    """

    builders: Final = ()

    def __init__(self, table: LookupTable, ledger: CheckpointLedger, place: str) -> None:
        self.place: Final = place
        """Of the mapping, for messages."""
        self.rows = 0
        """How many it was given."""
        self.stream: str | None = None
        """Which one fills it; None: none so far."""
        self._table = table
        self._ledger = ledger
        self._span: Span | None = None
        self._header = b""
        self._spool: TableSpool | None = None
        self._is_whole = False

    def open(self, stream: str, header: bytes) -> None:
        """
        Take rows of *stream* under *header* from now on.

        Raises:
            StreamSchemaError: The rows so far are another stream's, or have other columns.
        """
        if self.stream not in {None, stream}:
            raise StreamSchemaError(
                f"{self.place}: {printable(stream)} and {printable(self.stream or '')} would both "
                "fill this lookup table, and each replace the other's rows; map one stream to it",
            )
        if self._span is not None and header != self._header:
            raise StreamSchemaError(
                f"{self.place}: the columns of {printable(stream)} changed while its lookup table "
                'was being read; list the properties instead of "*", or run again',
            )
        self.stream, self._header = stream, header

    def add(self, mapped: Mapped, record: Record) -> None:  # noqa: ARG002 (only counted)
        if self._spool is None:
            self._spool = TableSpool(self.place)
            self._span = self._ledger.admit()
        self._is_whole = False
        self.rows += 1
        self._spool.put(mapped.key, mapped.body)

    def mark_whole(self) -> None:
        """Note that the tap wrote a STATE: what it had to say until here is said."""
        self._is_whole = True

    def upload(self, now: float) -> Batch | None:
        """
        Return the request that replaces the table; None if there were no rows.

        Raises:
            LookupTableError: The tap may have ended within the table, or it is too large.
        """
        if self._spool is None:
            return None
        if not self._is_whole:
            raise LookupTableError(
                f"{self.place}: the tap wrote no STATE after the table's last row, so it may have "
                "ended early; the lookup table keeps its old rows, and STATE stays where it was. "
                "Run again; a tap that writes no STATE cannot fill a lookup table",
            )
        csv = self._spool.csv(self._header)
        if self._spool.has_merged:
            logger.warning(
                "%s.key: some keys are spelled in several ways and are one to Mixpanel, to which "
                "digits are a number (007 and 7); the last row of each counts, so spell them alike",
                self.place,
            )
        return self._table.batch(csv, self, closed_at=now)

    def refuse_half(self, why: str) -> None:
        """
        End a run that was stopped while the table was being read.

        Raises:
            LookupTableError: There were rows.
        """
        if self._spool is not None:
            raise LookupTableError(
                f"{self.place}: {why} before the whole lookup table was there; it keeps its old "
                "rows, and STATE stays where it was, so a rerun reads it again",
            )

    def settle(self) -> None:
        """Let STATE go on: Mixpanel has the table. On any thread."""
        if self._span is not None:
            self._ledger.settle(self._span)

    def close(self) -> None:
        """Give the room of its rows back."""
        if self._spool is not None:
            self._spool.close()
