"""What became of every record, stream by stream?"""

import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Final

import msgspec

from target_mixpanel.errors import RejectionRateError, printable
from target_mixpanel.mapping.stream_schema import DroppedId
from target_mixpanel.model import NO_SINGLE_COLUMN, Flaw

RATE_CHECKED_FROM_RECORDS: Final = 1_000
"""A share of fewer records says little."""

RATE_CHECKED_AT_END_FROM_REJECTIONS: Final = 10
"""At the end a small stream is judged, too, unless so few were rejected that chance explains it."""


_REASONS_SHOWN: Final = 5

_KINDS_TOLD_APART: Final = 100
"""Of rejections, in a stream: a server's words may differ each time, and memory must not grow."""


class RejectionKind(msgspec.Struct, frozen=True):
    """Why records were rejected, as far as they are told apart in a report."""

    stage: str
    reason: str
    field: str


def is_about_schema(reason: str) -> bool:
    """Say whether a record was rejected because it is not what its schema says."""
    return reason.startswith("schema_")


class StreamCounts:
    """One stream's counts; the reader's thread owns `read` and `filtered`, a lock the rest."""

    def __init__(self, stream: str, clock: Callable[[], float]) -> None:
        self.stream = stream
        self.read = 0
        self.filtered = 0
        self.accepted = 0
        self._waiting = 0
        """Records that are accepted when their lookup table is."""
        self.deleted = 0
        """Deletions of profiles that Mixpanel accepted, in records of which it refused nothing."""
        self.rejected: Counter[RejectionKind] = Counter()
        self.cut_texts: dict[str, None] = {}
        """Properties of which texts were seen that Mixpanel cuts, in the order they were."""
        self.dead_letters: dict[str, None] = {}
        """The files where rejected records were set aside, in the order that they were begun."""
        self.unused_columns_breached: Counter[str] = Counter()
        """Records that loaded though they break the schema in this column, which nothing uses."""
        self.values_left_out: Counter[str] = Counter()
        """Records that loaded without all that they have in this column."""
        self.columns_left_out: dict[tuple[str, str], None] = {}
        """Columns that become no property though nobody said so, each with the reason."""
        self.new_columns: dict[str, None] = {}
        """Columns that became properties though the SCHEMA does not name them."""
        self.ids_dropped: Counter[str] = Counter()
        """Ids of this column that mean nobody, or are bad, and that their rows go without."""
        self._dropped: set[DroppedId] = set()
        """The kinds of them that were told of."""
        self._large_integers: set[str] = set()
        """Columns that have some, as far as they are told apart."""
        self.requests = 0
        self.retries = 0
        self.bytes_sent = 0
        self.started_at = clock()
        self.ended_at = self.started_at
        self.on_batch: Callable[[int, float], None] = _ignore
        """Told each settled batch's rows and the seconds it took, on the sender's thread."""
        self._clock = clock
        self._lock = threading.Lock()

    def count_accepted(self, records: int) -> None:
        with self._lock:
            self.accepted += records
            self.ended_at = self._clock()

    def count_waiting(self, records: int) -> None:
        """Count *records* of which only the lookup table is not accepted yet."""
        with self._lock:
            self._waiting += records

    def accept_waiting(self) -> None:
        """Count what waited as accepted: Mixpanel has the lookup tables."""
        with self._lock:
            waiting, self._waiting = self._waiting, 0
        if waiting:
            self.count_accepted(waiting)

    def count_deleted(self, deletions: int) -> None:
        with self._lock:
            self.deleted += deletions

    def count_rejected(self, flaw: Flaw) -> bool:
        """Count one rejected record; say whether its kind is new."""
        kind = RejectionKind(flaw.stage, flaw.reason, flaw.field)
        with self._lock:
            if kind not in self.rejected and len(self.rejected) >= _KINDS_TOLD_APART:
                kind = RejectionKind(flaw.stage, "other", NO_SINGLE_COLUMN)
            self.rejected[kind] += 1
            self.ended_at = self._clock()
            return self.rejected[kind] == 1

    def count_unused_breach(self, column: str) -> bool:
        """Count a record that breaks the schema in an unused column; say whether that is new."""
        return self._count(self.unused_columns_breached, column)

    def count_left_out(self, column: str) -> bool:
        """Count a record that loads without a value of *column*; say whether that is new."""
        return self._count(self.values_left_out, column)

    def count_dropped_id(self, dropped: DroppedId) -> bool:
        """Count an id that its row goes without; say whether such a one is new."""
        self._count(self.ids_dropped, dropped.column)
        is_new = dropped not in self._dropped
        self._dropped.add(dropped)  # the mapping names the columns, so they are few
        return is_new

    def _count(self, records: Counter[str], column: str) -> bool:
        with self._lock:
            if column not in records and len(records) >= _KINDS_TOLD_APART:
                column = NO_SINGLE_COLUMN
            records[column] += 1
            return records[column] == 1

    def note_left_out(self, column: str, why: str) -> bool:
        """Note that *column* becomes no property; say whether that is new."""
        with self._lock:
            noted = self.columns_left_out
            if (column, why) in noted or len(noted) >= _KINDS_TOLD_APART:
                return False
            noted[column, why] = None
            return True

    def note_new_column(self, column: str) -> bool:
        """Note a column that the SCHEMA does not name and that is taken; say whether it is new."""
        with self._lock:
            noted = self.new_columns
            if column in noted or len(noted) >= _KINDS_TOLD_APART:
                return False
            noted[column] = None
            return True

    def note_large_integer(self, column: str) -> bool:
        """Note that *column* has integers beyond 2^53; say whether that is new."""
        noted = self._large_integers
        if column in noted or len(noted) >= _KINDS_TOLD_APART:
            return False
        noted.add(column)
        return True

    def note_cut_text(self, name: str) -> bool:
        """Note that Mixpanel cuts texts of the property *name*; say whether that is new."""
        with self._lock:
            if name in self.cut_texts or len(self.cut_texts) >= _KINDS_TOLD_APART:
                return False
            self.cut_texts[name] = None
            return True

    def count_request(self, *, body_bytes: int, is_retry: bool) -> None:
        with self._lock:
            self.requests += 1
            self.retries += is_retry
            self.bytes_sent += body_bytes

    @property
    def rejections(self) -> int:
        with self._lock:
            return self.rejected.total()

    @property
    def pending(self) -> int:
        """Records read of which it is not known what became."""
        with self._lock:
            return self.read - self.filtered - self.accepted - self.rejected.total()

    def check_rate(self, max_rate: float, *, is_end: bool = False) -> None:
        """
        Fail when too large a share of the records is rejected.

        Raises:
            RejectionRateError: More than *max_rate* of them were.
        """
        rejections = self.rejections
        is_judged = self.read >= RATE_CHECKED_FROM_RECORDS or (
            is_end and rejections >= RATE_CHECKED_AT_END_FROM_REJECTIONS
        )
        if is_judged and rejections > max_rate * self.read:
            raise RejectionRateError(
                f"{printable(self.stream)}: {rejections:,} of {self.read:,} records were rejected, "
                f"more than max_rejection_rate {max_rate:g} allows; "
                f"most often: {self.top_reasons()}{self._schema_hint()}",
            )

    def _schema_hint(self) -> str:
        with self._lock:
            ((kind, _),) = self.rejected.most_common(1)
        is_hint = is_about_schema(kind.reason)
        return "; if the schema is what is wrong, set validate_records: false" if is_hint else ""

    def snapshot(self) -> "Snapshot":
        """Return the counts of one moment: a failed run's senders may go on."""
        with self._lock:
            return Snapshot(
                read=self.read,
                accepted=self.accepted,
                filtered=self.filtered,
                deleted=self.deleted,
                rejected=self.rejected.copy(),
                unused_columns_breached=self.unused_columns_breached.copy(),
                values_left_out=self.values_left_out.copy(),
                columns_left_out=tuple(self.columns_left_out),
                new_columns=tuple(self.new_columns),
                ids_dropped=self.ids_dropped.copy(),
                requests=self.requests,
                retries=self.retries,
                bytes_sent=self.bytes_sent,
                seconds=max(self.ended_at - self.started_at, 0.0),
            )

    def top_reasons(self) -> str:
        """Return why records were rejected, most often first."""
        with self._lock:
            most_common = self.rejected.most_common(_REASONS_SHOWN)
        return ", ".join(f"{_in_words(kind)} x {records:,}" for kind, records in most_common)


class Snapshot(msgspec.Struct, frozen=True):
    """A stream's counts at one moment."""

    read: int
    accepted: int
    filtered: int
    deleted: int
    rejected: Counter[RejectionKind]
    unused_columns_breached: Counter[str]
    values_left_out: Counter[str]
    columns_left_out: tuple[tuple[str, str], ...]
    new_columns: tuple[str, ...]
    ids_dropped: Counter[str]
    requests: int
    retries: int
    bytes_sent: int
    seconds: float

    @property
    def pending(self) -> int:
        return self.read - self.filtered - self.accepted - self.rejected.total()


class Summary:
    """The counts of all streams of one run."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._started_at = clock()
        self._streams: dict[str, StreamCounts] = {}
        self.requests = 0
        self.retries = 0
        self.bytes_sent = 0
        self._lock = threading.Lock()
        self.unmapped_streams: list[str] = []
        """Streams that were skipped, since no mapping took them."""
        self.names_passed_over = 0
        """Of files and objects, hidden ones, behind which there may be rows."""
        self.unused_mappings: list[str] = []
        """Mappings that no stream used, by their patterns."""
        self.replay_command = "target-mixpanel --config config.json --input"
        """Loads a file of dead letters again, which comes after it."""
        self.ignored_messages: Counter[str] = Counter()
        """Messages that mean nothing to this loader, by type."""

    def stream(self, name: str) -> StreamCounts:
        """Return *name*'s counts, the same for all its schemas."""
        if name not in self._streams:
            self._streams[name] = StreamCounts(name, self._clock)
        return self._streams[name]

    def streams(self) -> list[StreamCounts]:
        return list(self._streams.values())

    @property
    def pending(self) -> int:
        return sum(counts.pending for counts in self._streams.values())

    def check_rates(self, max_rate: float) -> None:
        """
        Look at every stream's share of rejected records, at the end.

        Raises:
            RejectionRateError: A stream has too many.
        """
        for counts in self._streams.values():
            counts.check_rate(max_rate, is_end=True)

    @property
    def seconds(self) -> float:
        """How long the run has taken."""
        return self._clock() - self._started_at

    def count_request(self, *, body_bytes: int, is_retry: bool) -> None:
        """Count a request of whatever streams. On any thread."""
        with self._lock:
            self.requests += 1
            self.retries += is_retry
            self.bytes_sent += body_bytes


def _in_words(kind: RejectionKind) -> str:
    reason = printable(kind.reason)
    return reason if kind.field == NO_SINGLE_COLUMN else f"{reason} ({printable(kind.field)})"


def _ignore(rows: int, seconds: float) -> None:
    """Nobody wants to know."""
