"""Mixpanel has answered: which records are settled, and which STATE may be written?"""

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import accumulate
from operator import attrgetter
from typing import Final

from target_mixpanel.delivery.batches import Batch
from target_mixpanel.engine.checkpoints import CheckpointLedger
from target_mixpanel.engine.cut_texts import warn_of_cut_texts
from target_mixpanel.engine.segment import Segment
from target_mixpanel.engine.summary import StreamCounts, Summary
from target_mixpanel.errors import printable
from target_mixpanel.model import Record, Rejection

logger = logging.getLogger("target-mixpanel")

_record_of: Final = attrgetter("record")
_span_of: Final = attrgetter("span")
_kind_of: Final = attrgetter("source", "is_rejected", "waits_for_table")
_counts_of: Final = attrgetter("record.source.counts")


class Settlement:
    """Account for what is sent. On any thread; one lock guards the records, one the STATEs."""

    def __init__(
        self,
        ledger: CheckpointLedger,
        summary: Summary,
        set_aside: Callable[[Segment, Sequence[Rejection]], None],
        *,
        on_safe: Callable[[bytes], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """
        Args:
            ledger: Knows which STATE covers what.
            summary: The run's counts.
            set_aside: Takes what Mixpanel refused.
            on_safe: Called with each STATE that has become safe, in order, never twice at once.
            clock: Monotonic seconds.
        """
        self._ledger = ledger
        self._summary = summary
        self._set_aside = set_aside
        self._on_safe = on_safe
        self._clock = clock
        self._settling = threading.Lock()
        self._releasing = threading.Lock()
        self._last_state: bytes | None = None

    def settle(self, batch: Batch) -> None:
        """Account for *batch*, of which every row is accepted or set aside."""
        if batch.rows:
            self._settle_rows(batch)
        else:
            self._settle_table(batch)
        self.release()

    def _settle_table(self, batch: Batch) -> None:
        batch.tag.settle()
        counts = self._summary.stream(batch.tag.stream or "")
        counts.on_batch(batch.tag.rows, self._clock() - batch.closed_at)

    def _settle_rows(self, batch: Batch) -> None:
        finished = self._finished(map(_record_of, batch.rows))
        # Nearly always there is one kind: of one stream, accepted, and in no lookup table.
        for kind, records in Counter(map(_kind_of, finished)).items():
            segment, is_rejected, waits_for_table = kind
            if not is_rejected:
                counts = segment.counts
                count = counts.count_waiting if waits_for_table else counts.count_accepted
                count(records)
        seconds = self._clock() - batch.closed_at
        for counts, rows in _rows_by_stream(batch).items():
            _tell(counts, rows, seconds)
        warn_of_cut_texts(batch)
        for counts, deletions in _deletions(batch).items():
            counts.count_deleted(deletions)
        self._settle_records(finished)

    def settle_rejected(self, rejections: Sequence[Rejection]) -> None:
        """Account for dead letters that are written: their records wait for them no longer."""
        self._settle_records(self._finished(rejection.record for rejection in rejections))
        self.release()

    def _finished(self, records: Iterable[Record]) -> list[Record]:
        """Take one row off each of *records*; return those of which it was the last."""
        finished: list[Record] = []
        with self._settling:
            for record in records:
                left = record.rows_pending - 1
                record.rows_pending = left
                if not left:
                    finished.append(record)
        return finished

    def _settle_records(self, records: Sequence[Record]) -> None:
        for span, count in Counter(map(_span_of, records)).items():
            self._ledger.settle(span, count)

    def reject(self, batch: Batch, rejections: Sequence[Rejection]) -> None:  # noqa: ARG002
        """Set aside what Mixpanel refused; a record of several rows once."""
        with self._settling:
            first = [rejection for rejection in rejections if not rejection.record.is_rejected]
            for rejection in first:
                rejection.record.is_rejected = True
                rejection.record.rows_pending += 1  # its dead letter
        by_segment: dict[int, list[Rejection]] = {}
        for rejection in first:
            by_segment.setdefault(id(rejection.record.source), []).append(rejection)
        for group in by_segment.values():
            self._set_aside(group[0].record.source, group)

    def count_request(self, batch: Batch, body_bytes: int, is_retry: bool) -> None:  # noqa: FBT001
        """Count a request for each stream that has rows in it, and its bytes in their shares."""
        self._summary.count_request(body_bytes=body_bytes, is_retry=is_retry)
        if not batch.rows:
            counts = self._summary.stream(batch.tag.stream or "")
            counts.count_request(body_bytes=body_bytes, is_retry=is_retry)
            return
        if isinstance(batch.tag, Segment):
            batch.tag.counts.count_request(body_bytes=body_bytes, is_retry=is_retry)
            return
        sizes: Counter[StreamCounts] = Counter()
        for row in batch.rows:
            sizes[row.record.source.counts] += len(row.body)
        shares = shares_of(body_bytes, list(sizes.values()))
        for counts, share in zip(sizes, shares, strict=True):
            counts.count_request(body_bytes=share, is_retry=is_retry)

    def release(self) -> None:
        """Hand out the newest STATE that has become safe, if there is one."""
        with self._releasing:
            state = self._ledger.release()
            if state is None or state == self._last_state:
                return
            self._on_safe(state)
            self._last_state = state


def _tell(counts: StreamCounts, rows: int, seconds: float) -> None:
    """Tell whoever measures; what goes wrong there is not the run's trouble."""
    try:
        counts.on_batch(rows, seconds)
    except Exception as error:  # noqa: BLE001 (whatever a door does there)
        logger.debug("%s: a metric failed with %s", printable(counts.stream), type(error).__name__)


def _rows_by_stream(batch: Batch) -> Mapping[StreamCounts, int]:
    if isinstance(batch.tag, Segment):  # no row of another stream
        return {batch.tag.counts: len(batch.rows)}
    return Counter(map(_counts_of, batch.rows))


def _deletions(batch: Batch) -> Mapping[StreamCounts, int]:
    if isinstance(batch.tag, Segment):  # events
        return {}
    deletions = [row for row in batch.rows if row.is_deletion and not row.record.is_rejected]
    return Counter(map(_counts_of, deletions))


def shares_of(whole: int, sizes: Sequence[int]) -> Iterator[int]:
    """Yield *whole* divided in proportion to *sizes*, such that the shares add up to it."""
    total = sum(sizes)
    given = 0
    for size in accumulate(sizes):
        until_here = whole * size // total
        yield until_here - given
        given = until_here
