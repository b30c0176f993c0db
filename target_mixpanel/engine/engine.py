"""How do the parts make one run? Records in, settled records out; shared by every door."""

import secrets
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from operator import attrgetter
from types import TracebackType
from typing import Final, Self

from target_mixpanel.delivery.batches import Batch, SizeLimit
from target_mixpanel.delivery.courier import Courier, Reports
from target_mixpanel.delivery.gate import Gate
from target_mixpanel.delivery.outbox import Outbox
from target_mixpanel.delivery.repeats import RetryPolicy
from target_mixpanel.delivery.senders import OpenTransport
from target_mixpanel.delivery.server_clock import ServerClock
from target_mixpanel.engine.checkpoints import CheckpointLedger
from target_mixpanel.engine.dead_letters.folder import DeadLetters
from target_mixpanel.engine.destinations import Destinations
from target_mixpanel.engine.lookup_tables import TableDestination
from target_mixpanel.engine.report import check_report
from target_mixpanel.engine.segment import Destination
from target_mixpanel.engine.stream import Segment, Stream
from target_mixpanel.engine.summary import StreamCounts, Summary
from target_mixpanel.errors import StreamSchemaError, printable
from target_mixpanel.http.client import Client
from target_mixpanel.model import JsonObject, Record, Rejection
from target_mixpanel.settings.parse import Settings
from target_mixpanel.specs.spec import StreamSpec
from target_mixpanel.stop import Stop

_span_of: Final = attrgetter("span")
_kind_of: Final = attrgetter("source", "is_rejected", "waits_for_table")

MAX_STREAMS: Final = 10_000
"""Each keeps a compiled mapping and a batch; a tap that names more has lost its way."""


class Loader:
    """
    One run: open it, load records, mark STATEs, `finish`.

    All methods but the reports are for one thread, the reader's.
    """

    def __init__(
        self,
        settings: Settings,
        stop: Stop,
        *,
        write_state: Callable[[bytes], None],
        open_transport: OpenTransport = Client,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """
        Args:
            settings: The operator's.
            stop: What ends every wait of the run.
            write_state: Called with each STATE value that has become safe, in order, never twice
                at once, from any thread.
            open_transport: Makes what carries one sender's requests, on that sender's thread.
            clock: Monotonic seconds.
        """
        self.settings = settings
        self.summary = Summary(clock)
        self.ledger = CheckpointLedger()
        self._stop = stop
        self._write_state = write_state
        self._open_transport = open_transport
        self._clock = clock
        self._streams: dict[str, Stream] = {}
        self._resources = ExitStack()
        self._server_clock = ServerClock()
        self.look_at_the_clock()
        self._size_limit = SizeLimit(settings.batch_size_bytes)
        self._destinations = Destinations(
            settings,
            self.ledger,
            self.submit,
            size_limit=self._size_limit,
            clock=clock,
        )
        self._resources.callback(self._destinations.close)
        self._gate = Gate(
            settings.max_parallel_requests,
            stop,
            max_events_per_second=settings.max_events_per_second,
        )
        self._outbox: Outbox | None = None
        self._dead_letters: DeadLetters | None = None
        self._settling = threading.Lock()
        self._releasing = threading.Lock()
        self._last_state: bytes | None = None

    def open_stream(
        self,
        stream: str,
        schema: JsonObject,
        key_properties: Sequence[str],
        schema_line: bytes,
    ) -> Stream:
        """
        Return the stream that takes records of this schema from now on.

        What an earlier schema's records became is sent first.

        Raises:
            StreamSchemaError: The stream has no mapping, or mapping and schema do not fit.
        """
        opened = self._streams.get(stream)
        if opened is None:
            if len(self._streams) == MAX_STREAMS:
                raise StreamSchemaError(
                    f"SCHEMA of {printable(stream)}: is that of the {MAX_STREAMS + 1:,}th stream; "
                    "select fewer in the tap, or load them in several runs",
                )
            opened = self._streams[stream] = Stream(self, stream, self.summary.stream(stream))
        opened.use_schema(schema, tuple(key_properties), schema_line)
        return opened

    def refuse_tables(self) -> None:
        """Note that streams opened from now on are dead letters: none is a whole lookup table."""
        self._destinations.refuse_tables()

    def mark_tables_whole(self) -> None:
        """Note that the tap wrote a STATE, of whatever value: it was not within a table."""
        self._destinations.mark_tables_whole()

    def checkpoint(self, state: bytes) -> None:
        """Mark that *state*, a JSON text, covers everything loaded so far."""
        self._write_dead_letters()
        self.ledger.checkpoint(state)
        self.release()

    def tick(self) -> float | None:
        """Send what has waited long enough; return the seconds until there is more to send."""
        self._stop.raise_if_over()
        self._write_dead_letters()
        now = self._clock()
        waits = [stream.send_due(now) for stream in self._streams.values()]
        waits += self._destinations.send_due(now)
        return min((wait for wait in waits if wait is not None), default=None)

    def finish(self) -> None:
        """
        Send the rest, and wait until everything is settled and its STATE written.

        Raises:
            TargetMixpanelError: Not everything is.
        """
        for stream in self._streams.values():
            stream.send_rest()
        self._destinations.send_rest()
        self._write_dead_letters()
        self._drain()
        self._destinations.replace_tables(is_stopped=self._stop.signal_number is not None)
        self._drain()
        for counts in self.summary.streams():
            counts.accept_waiting()
        self.summary.check_rates(self.settings.max_rejection_rate)
        if self.settings.dry_run and self.settings.dead_letter_folder is None:
            for stream in self._streams.values():
                stream.fail_if_rejected()

    def now_ms(self) -> int:
        """Return the time at Mixpanel, in ms since the epoch, as of the last look."""
        return self._now_ms

    def look_at_the_clock(self) -> None:
        """Take note of Mixpanel's time; to be called when input has come, not for each record."""
        self._now_ms = int(self._server_clock.now() * 1_000)

    def release(self) -> None:
        """Write the newest STATE that has become safe, if there is one."""
        with self._releasing:
            state = self.ledger.release()
            if state is None or state == self._last_state or self.settings.dry_run:
                return
            self._write_state(state)
            self._last_state = state

    def submit(self, batch: Batch) -> None:
        """Send *batch*, or in a dry run count it as sent."""
        if self._outbox is None:
            self._settle(batch)
        else:
            self._outbox.submit(batch)
            self.look_at_the_clock()  # there may have been no room for long

    def destination(self, spec: StreamSpec, segment: Segment, header: bytes | None) -> Destination:
        """Return where the rows go that one of *segment*'s mappings, *spec*, makes."""
        return self._destinations.of(spec, segment.stream.name, segment, header)

    def _drain(self) -> None:
        if self._outbox is not None:
            self._outbox.drain()
        self._stop.raise_if_over()

    def set_aside(self, segment: Segment, rejections: Sequence[Rejection]) -> None:
        """
        Write *rejections* down and count them; a dry run only counts. On any thread.

        Raises:
            RejectedRecordError: There is nowhere to write them.
            RejectionRateError: There are too many.
        """
        stream = segment.stream
        if self._dead_letters is not None:
            self._dead_letters.write(stream.name, segment.schema_line, rejections)
        for rejection in rejections:
            stream.note(rejection.flaw)
        if self._dead_letters is None and not self.settings.dry_run:
            raise stream.rejection_error(rejections[0].flaw)
        stream.counts.check_rate(self.settings.max_rejection_rate)

    def _write_dead_letters(self) -> None:
        for stream in self._streams.values():
            stream.write_rejections()

    def _settle(self, batch: Batch) -> None:
        """Account for *batch*, of which every row is accepted or set aside. On any thread."""
        if isinstance(batch.tag, TableDestination):
            batch.tag.settle()
            self.release()
            return
        finished: list[Record] = []
        with self._settling:
            for row in batch.rows:
                record = row.record
                left = record.rows_pending - 1
                record.rows_pending = left
                if not left:
                    finished.append(record)
        spans = Counter(map(_span_of, finished))
        # Nearly always there is one kind: of one stream, accepted, and in no lookup table.
        for kind, records in Counter(map(_kind_of, finished)).items():
            source, is_rejected, waits_for_table = kind
            if not is_rejected:
                counts: StreamCounts = source.stream.counts
                count = counts.count_waiting if waits_for_table else counts.count_accepted
                count(records)
        first: Stream = batch.rows[0].record.source.stream
        first.on_batch(len(batch.rows), self._clock() - batch.closed_at)
        for span, records in spans.items():
            self.ledger.settle(span, records)
        self.release()

    def _reject(self, batch: Batch, rejections: Sequence[Rejection]) -> None:  # noqa: ARG002
        """Set aside what Mixpanel refused; a record of several rows once. On a sender's thread."""
        with self._settling:
            first = [rejection for rejection in rejections if not rejection.record.is_rejected]
            for rejection in first:
                rejection.record.is_rejected = True
        by_segment: dict[int, list[Rejection]] = {}
        for rejection in first:
            by_segment.setdefault(id(rejection.record.source), []).append(rejection)
        for group in by_segment.values():
            self.set_aside(group[0].record.source, group)

    def _count_request(self, batch: Batch, body_bytes: int, is_retry: bool) -> None:  # noqa: FBT001
        """Count a request, of the rows of several streams for the first row's. On any thread."""
        if isinstance(batch.tag, TableDestination):
            counts = self.summary.stream(batch.tag.stream or "")
        else:
            counts = batch.rows[0].record.source.stream.counts
        counts.count_request(body_bytes=body_bytes, is_retry=is_retry)

    @contextmanager
    def _courier(self) -> Iterator[Courier]:
        settings = self.settings
        timeout_s = settings.request_timeout_seconds
        with self._open_transport(self._destinations.endpoints, timeout_s=timeout_s) as transport:
            yield Courier(
                transport,
                self._gate,
                self._stop,
                Reports(
                    self._settle,
                    self._reject,
                    self._count_request,
                    self._server_clock.observe,
                ),
                host=settings.url,
                retry=RetryPolicy(
                    initial_s=settings.retry_initial_seconds,
                    max_s=settings.retry_max_seconds,
                    jitter_s=settings.retry_jitter_seconds,
                    max_elapsed_s=settings.retry_max_elapsed_seconds,
                ),
                size_limit=self._size_limit,
            )

    def __enter__(self) -> Self:
        settings = self.settings
        if settings.report_file is not None:
            check_report(settings.report_file)
        if settings.dead_letter_folder is not None and not settings.dry_run:
            letters = DeadLetters(settings.dead_letter_folder, _run_id())
            self._dead_letters = self._resources.enter_context(letters)
        if not settings.dry_run:
            outbox = Outbox(self._courier, self._stop, senders=settings.max_parallel_requests)
            self._outbox = self._resources.enter_context(outbox)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._resources.__exit__(kind, error, trace)


def _run_id() -> str:
    return f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}"
