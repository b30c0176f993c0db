"""How do the parts make one run? Records in, settled records out; shared by every door."""

import logging
import secrets
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from types import TracebackType
from typing import Final, Self

from target_mixpanel.credentials import spellings
from target_mixpanel.delivery.batches import Batch, SizeLimit
from target_mixpanel.delivery.courier import Reports
from target_mixpanel.delivery.outbox import Outbox
from target_mixpanel.delivery.senders import OpenTransport
from target_mixpanel.delivery.server_clock import ServerClock
from target_mixpanel.engine.access import check_access
from target_mixpanel.engine.buckets import bucket_writer
from target_mixpanel.engine.checkpoints import CheckpointLedger
from target_mixpanel.engine.dead_letters.bucket import BucketLetters
from target_mixpanel.engine.dead_letters.folder import DeadLetters
from target_mixpanel.engine.destinations import Destinations
from target_mixpanel.engine.ending import Ending, also
from target_mixpanel.engine.record_loader import RecordLoader
from target_mixpanel.engine.rejections import Rejections
from target_mixpanel.engine.report import run_report
from target_mixpanel.engine.report_place import report_place
from target_mixpanel.engine.routing import Routing
from target_mixpanel.engine.segment import SchemaMessage, SegmentCompiler, with_line
from target_mixpanel.engine.sending import senders_of, shared_rate_of
from target_mixpanel.engine.settlement import Settlement
from target_mixpanel.engine.stream import Parts, Stream
from target_mixpanel.engine.summary import Summary
from target_mixpanel.engine.ticker import Ticker
from target_mixpanel.errors import (
    LookupTableError,
    ShutdownTimeoutError,
    StateOutputError,
    StreamSchemaError,
    TargetMixpanelError,
    UnfinishedRunError,
    printable,
)
from target_mixpanel.http.client import Client
from target_mixpanel.model import JsonObject, Rejection
from target_mixpanel.redaction import Secrets
from target_mixpanel.settings.parse import Settings
from target_mixpanel.stop import Stop

logger = logging.getLogger("target-mixpanel")

MAX_STREAMS: Final = 10_000
"""Each keeps a compiled mapping and a batch; a tap that names more has lost its way."""


_NOTHING_TO_SALVAGE: Final = (LookupTableError, ShutdownTimeoutError, StateOutputError)
"""What ends a run when all has been tried, or STATE would reach nobody."""


class Engine:
    """
    One run: open it, load records, mark checkpoints, `finish`.

        with Engine(parse_settings({...}), on_safe=commit) as engine:
            orders = engine.stream("orders", schema=schema, key=["id"])
            for row in rows:
                orders.load(row)
            engine.checkpoint(b"7")
            report = engine.finish()

    Whoever leaves it without `finish` and without an exception gets one. Its methods, and those of
    its streams, may be called from any thread, one at a time. Engines may follow one another.
    """

    def __init__(
        self,
        settings: Settings,
        on_safe: Callable[[bytes], None] = lambda _: None,
        *,
        open_transport: OpenTransport = Client,
        clock: Callable[[], float] = time.monotonic,
        ticks_by_itself: bool = True,
    ) -> None:
        """
        Args:
            settings: From `parse_settings`.
            on_safe: Called with each checkpoint that has become safe: everything loaded before it
                is accepted, set aside or filtered. In order, never twice at once, on any thread;
                one is passed over where a later one is safe, too. It must not call the engine.
                Not called in a dry run.
            open_transport: Makes what carries one sender's requests, on that sender's thread.
            clock: Monotonic seconds.
            ticks_by_itself: False: the door calls `tick` between records and while none comes, and
                calls everything from one thread.
        """
        self.settings = settings
        self.summary = Summary(clock)
        self.ledger = CheckpointLedger()
        self.stop = Stop(settings.shutdown_timeout_seconds)
        """What ends every wait of the run; a door that hears signals asks it to."""
        self.secrets = Secrets(spellings(settings.secrets(), settings.credentials))
        self._open_transport = open_transport
        self._clock = clock
        self._ticks_by_itself = ticks_by_itself
        self._turn = threading.RLock()
        self._server_clock = ServerClock()
        self.look_at_the_clock()
        self._size_limit = SizeLimit(settings.batch_size_bytes)
        self._rejections = Rejections(settings, self.stop, self._settle_rejected)
        self._settlement = Settlement(
            self.ledger,
            self.summary,
            self._rejections.set_aside,
            on_safe=_ignore if settings.dry_run else on_safe,
            clock=clock,
        )
        self._destinations = Destinations(
            settings, self.ledger, self._submit, size_limit=self._size_limit, clock=clock
        )
        self._routing = Routing(settings.mappings)
        self.summary.unmapped_streams = self._routing.unmapped
        self._parts = Parts(
            self.ledger,
            self._rejections,
            SegmentCompiler(
                settings, self._routing, self._destinations.of, self._now_at_mixpanel_ms
            ),
            self._submit,
            self.look_at_the_clock,
        )
        self._streams: dict[str, Stream] = {}
        self._outbox: Outbox | None = None
        self._resources = ExitStack()
        self.ending = Ending(self.summary, self.stop, self.secrets, report_place(settings))
        self._is_open = self._is_finished = False

    # Records

    def stream(self, name: str, *, schema: JsonObject, key: Sequence[str] = ()) -> RecordLoader:
        """
        Return what loads the records of the stream *name*, from now on under *schema*.

        Args:
            name: Which the settings' `streams` map.
            schema: A JSON Schema of one record: `{"properties": {column: its schema}}`.
            key: The columns that make a record the same one; they are the event's `$insert_id`.

        Raises:
            StreamSchemaError: The stream has no mapping, or mapping and schema do not fit.
        """
        with self._turn:
            self._check_open()
            message = SchemaMessage(name, schema, tuple(key), is_from_singer=False)
            stream = self.open_stream(message)
        return RecordLoader(stream, self._turn, self._check_open)

    def open_stream(self, message: SchemaMessage) -> Stream:
        """
        Return the stream that takes records of this schema from now on; for doors that tick.

        What an earlier schema's records became is sent first.

        Raises:
            StreamSchemaError: The stream has no mapping, or mapping and schema do not fit.
        """
        if not message.line:
            message = with_line(message)
        opened = self._streams.get(message.stream)
        if opened is not None:
            opened.use_schema(message)
            return opened
        if not self._streams:
            self._routing.say_where_streams_go(is_dry_run=self.settings.dry_run)
        if len(self._streams) == MAX_STREAMS:
            raise StreamSchemaError(
                f"SCHEMA of {printable(message.stream)}: is that of the {MAX_STREAMS + 1:,}th "
                "stream; select fewer in the tap, or load them in several runs",
            )
        opened = Stream(self._parts, self.summary.stream(message.stream), message)
        self._streams[message.stream] = opened
        return opened

    def checkpoint(self, state: bytes) -> None:
        """Mark that *state*, a text of the caller's, covers everything loaded so far."""
        with self._turn:
            self._check_open()
            self._rejections.write_held()
            self.stop.raise_if_input_is_over()
            self.ledger.checkpoint(state)
            self._settlement.release()

    def finish(self) -> JsonObject:
        """
        Send the rest, wait until everything is settled, and return the report.

        Raises:
            TargetMixpanelError: Not everything is settled.
        """
        with self._turn:
            self._check_open()
            self._send_rest()
            for counts in self.summary.streams():
                counts.accept_waiting()
            self.summary.check_rates(self.settings.max_rejection_rate)
            self._rejections.check_dry_run(self.summary.streams())
            self._is_finished = True
            return run_report(self.summary, self.ending.outcome(None))

    def salvage(self, error: BaseException) -> TargetMixpanelError | None:
        """
        Send what was read before *error* ended the run, and settle it: its STATE comes out.

        Not where delivery itself is what failed. Lookup tables are left as they are: none is whole.

        Returns:
            Why not all of it could be settled.
        """
        if not self._is_open or self.stop.has_failed or isinstance(error, _NOTHING_TO_SALVAGE):
            return None
        try:
            with self._turn:
                self._send_rows()
                self._drain()
        except TargetMixpanelError as second:
            return second
        return None

    def _send_rest(self) -> None:
        self._send_rows()
        self._drain()
        self._destinations.replace_tables(is_stopped=self.stop.is_requested)
        self._drain()
        self.stop.raise_if_input_is_over()

    def _send_rows(self) -> None:
        for stream in self._streams.values():
            stream.send_rest()
        self._destinations.send_rest()
        self._rejections.write_held()

    def _check_open(self) -> None:
        self.stop.raise_if_input_is_over()
        if not self._is_open or self._is_finished:
            raise RuntimeError("the engine is not open: use `with Engine(...)`, a new one each run")

    def check_access(self) -> None:
        """
        See that Mixpanel knows the credentials and the lookup tables; nothing is loaded by it.

        Raises:
            TargetMixpanelError: It does not; the message says what to do.
        """
        check_access(self.settings, self._open_transport, self.stop)

    def warn_of_unused_mappings(self) -> None:
        """Name the mappings that met no stream; for doors that bring all streams there are."""
        if self._streams and not self.stop.is_requested:
            self._routing.warn_of_unused()
            self.summary.unused_mappings = self._routing.unused

    # What a lookup table needs of a door

    def refuse_tables(self) -> None:
        """Note that streams opened from now on are dead letters: none is a whole lookup table."""
        self._destinations.refuse_tables()

    def mark_tables_whole(self) -> None:
        """Note that lookup tables have all their rows so far; `checkpoint` does not say so."""
        self._destinations.mark_tables_whole()

    # Time

    def tick(self) -> float | None:
        """Send what has waited long enough; return the seconds until there is more to send."""
        wait_s = self._send_due()
        self.stop.raise_if_input_is_over()
        return wait_s

    def _send_due(self) -> float | None:
        self.stop.raise_if_over()
        self._rejections.write_held()
        now = self._clock()
        waits = [stream.send_due(now) for stream in self._streams.values()]
        waits += self._destinations.send_due(now)
        return min((wait for wait in waits if wait is not None), default=None)

    def look_at_the_clock(self) -> None:
        """
        Take note of Mixpanel's time.

        The fast way of RECORD messages goes by the last look, since a look costs a hundredth of
        an event; whatever lies in the future then is looked at anew, by a fresh one.
        """
        self._now_ms = int(self._server_clock.now() * 1_000)

    def _now_at_mixpanel_ms(self) -> int:
        return self._now_ms

    # Rows

    def _submit(self, batch: Batch) -> None:
        """Send *batch*, or in a dry run count it as sent."""
        if self._outbox is None:
            self._settlement.settle(batch)
        else:
            self._outbox.submit(batch)
            self.look_at_the_clock()  # there may have been no room for long

    def _settle_rejected(self, rejections: Sequence[Rejection]) -> None:
        self._settlement.settle_rejected(rejections)

    def _drain(self) -> None:
        if self._outbox is not None:
            self._outbox.drain()
        self._rejections.drain()
        self.stop.raise_if_over()

    # The run

    def __enter__(self) -> Self:
        try:
            self._open()
        except BaseException as error:
            self._close(error)
            raise
        return self

    def _open(self) -> None:
        settings = self.settings
        self.ending.check()
        self._resources.callback(self.stop.close)
        self._resources.callback(self._destinations.close)
        if not settings.dry_run:
            shared = shared_rate_of(settings)
            if shared is not None:
                self._resources.enter_context(shared)
            letters = self._dead_letters()
            if letters is not None:
                self._resources.enter_context(letters)
            self._rejections.letters = letters
            reports = Reports(
                self._settlement.settle,
                self._settlement.reject,
                self._settlement.count_request,
                self._server_clock.observe,
            )
            senders = senders_of(
                settings, self._open_transport, self.stop, reports, self._size_limit, shared=shared
            )
            outbox = Outbox(senders.courier, self.stop, senders=settings.max_parallel_requests)
            self._outbox = self._resources.enter_context(outbox)
        if self._ticks_by_itself:
            self._resources.enter_context(Ticker(self._send_due, self._turn, self.stop))
        self._is_open = self.ending.is_due = True

    def _dead_letters(self) -> DeadLetters | BucketLetters | None:
        if self.settings.dead_letter_folder is not None:
            return DeadLetters(self.settings.dead_letter_folder, _run_id())
        if self.settings.dead_letter_bucket is None:
            return None
        writer = bucket_writer(self.settings.dead_letter_bucket, "dead_letter_path", self.settings)
        writer.check(self.stop)
        return BucketLetters(writer, _run_id(), self.stop)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            self._end(error)
        except BaseException as second:
            self._close(second)
            raise

    def _end(self, error: BaseException | None) -> None:
        unfinished = None
        if error is None and not self._is_finished:
            unfinished = UnfinishedRunError(
                f"the engine was left without finish(): {self.summary.pending:,} records are "
                "pending, and no checkpoint covers them; call finish() before leaving it",
            )
        failure = error or unfinished
        problem = None if failure is None else self.ending.problem(failure)
        if isinstance(error, Exception):
            problem = also(problem, self.salvage(error))
        self._close(failure)
        self.ending.report(problem)
        if unfinished is not None:
            raise unfinished

    def _close(self, failure: BaseException | None) -> None:
        """Let go of all that the run holds; a second time of what is left."""
        if failure is not None:
            self.stop.fail(failure)  # first, so that nothing waits any longer
        self._is_open = False
        self._resources.__exit__(type(failure) if failure else None, failure, None)


def _ignore(state: bytes) -> None:
    """Nothing was sent, so nothing is safe."""


def _run_id() -> str:
    # In a bucket an equal name would overwrite: thousands of runs may begin in one second.
    return f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(6)}"
