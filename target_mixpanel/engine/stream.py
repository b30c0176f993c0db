"""How does one stream go through the loader?"""

import logging
from collections.abc import Callable, Sequence
from typing import Final, Protocol

import msgspec

from target_mixpanel.delivery.batches import Batch, BatchBuilder, send, send_due
from target_mixpanel.engine.checkpoints import CheckpointLedger
from target_mixpanel.engine.segment import Destination
from target_mixpanel.engine.summary import StreamCounts
from target_mixpanel.errors import (
    MissingKeyError,
    RejectedRecordError,
    StreamSchemaError,
    listed,
    printable,
)
from target_mixpanel.mapping.stream_schema import StreamSchema
from target_mixpanel.model import Flaw, JsonObject, Mapped, Record, Rejection, Span
from target_mixpanel.pipeline.pipeline import StreamPipeline, TimeWindow, Unloadable
from target_mixpanel.settings.parse import Settings
from target_mixpanel.specs.matching import specs_for
from target_mixpanel.specs.spec import StreamSpec

logger = logging.getLogger("target-mixpanel")

_REJECTIONS_HELD: Final = 1_000
"""Rejections that wait to be written together: a disk confirms some hundred writes a second."""

_SEGMENTS_KEPT: Final = 16
"""Compiled mappings of a stream that are kept: some taps alternate between two schemas."""


class Run(Protocol):
    """What a stream needs of the run it is part of."""

    settings: Settings
    ledger: CheckpointLedger

    def destination(
        self, spec: StreamSpec, segment: "Segment", header: bytes | None
    ) -> Destination:
        """Return where the rows go that one of *segment*'s mappings, *spec*, makes."""

    def submit(self, batch: Batch) -> None:
        """Send *batch*; returns when there is room for it."""

    def set_aside(self, segment: "Segment", rejections: Sequence[Rejection]) -> None:
        """Count *rejections* and write them down."""

    def release(self) -> None:
        """Write the newest STATE that has become safe, if there is one."""

    def now_ms(self) -> int:
        """Return the time at Mixpanel, in ms since the epoch, as of the last look."""


class Segment(msgspec.Struct, eq=False):
    """A part of a stream under one SCHEMA."""

    stream: "Stream"
    schema_line: bytes
    """The SCHEMA message as it came."""
    pipeline: StreamPipeline | None = None
    """None: the stream is skipped."""
    destinations: Sequence[Destination] = ()
    """One for each of the stream's mappings."""
    tables: frozenset[int] = frozenset()
    """Which of them are lookup tables."""
    builders: Sequence[BatchBuilder] = ()
    """What collects rows of this segment alone."""


class Stream:
    """One stream of a run. For the reader's thread, but for what says otherwise."""

    def __init__(self, run: Run, name: str, counts: StreamCounts) -> None:
        self.name = name
        self.counts = counts
        self.on_batch: Callable[[int, float], None] = _ignore
        """Told each settled batch's rows and the seconds it took, on the sender's thread."""
        self._run = run
        self._admit = run.ledger.admit
        self._segment = Segment(self, b"")
        self._segments: dict[bytes, Segment] = {}
        self._rejections: list[Rejection] = []
        self._is_warned = False

    def use_schema(
        self,
        schema: JsonObject,
        key_properties: tuple[str, ...],
        schema_line: bytes,
    ) -> None:
        """Take records of this schema from now on; `Loader.open_stream` says more."""
        if schema_line == self._segment.schema_line:
            return
        self.send_rest()
        self.write_rejections()
        if schema_line not in self._segments:
            if len(self._segments) == _SEGMENTS_KEPT:
                self._segments.pop(next(iter(self._segments)))
            self._segments[schema_line] = self._compile(schema, key_properties, schema_line)
        self._segment = self._segments[schema_line]

    def load(self, values: JsonObject, line: bytes) -> None:
        """
        Take one record.

        Args:
            values: Its columns.
            line: The RECORD message as it came.

        Raises:
            TargetMixpanelError: The run cannot go on.
        """
        self.counts.read += 1
        pipeline = self._segment.pipeline
        if pipeline is None:
            self.counts.filtered += 1
            return
        outcome = pipeline.run(values)
        if isinstance(outcome, Unloadable):
            self._reject(line, outcome)
        else:
            self._collect(line, outcome)

    def load_line(self, line: bytes) -> bool:
        """
        Take the record on *line*, a RECORD message, the fast way.

        False: it needs a closer look, by `load` or `refuse`; nothing has happened yet.
        """
        pipeline = self._segment.pipeline
        mapped = None if pipeline is None else pipeline.run_line(line)
        if mapped is None:
            return False
        self.counts.read += 1
        self._collect(line, mapped)
        return True

    def _collect(self, line: bytes, mapped: Sequence[Mapped]) -> None:
        segment = self._segment
        if not mapped:
            self.counts.filtered += 1
        elif segment.tables:
            self._collect_with_tables(line, mapped)
        else:
            record = Record(line, self._admit(), segment, len(mapped))
            for row in mapped:
                segment.destinations[row.destination].add(row, record)

    def _collect_with_tables(self, line: bytes, mapped: Sequence[Mapped]) -> None:
        """Take a record of which some rows wait for the last one of their lookup table."""
        segment = self._segment
        others = sum(row.destination not in segment.tables for row in mapped)
        record = Record(line, Span(0), segment, others, waits_for_table=others < len(mapped))
        if others:
            record.span = self._admit()
        else:
            self.counts.count_waiting(1)
        for row in mapped:
            segment.destinations[row.destination].add(row, record)

    def refuse(self, line: bytes, flaw: Flaw) -> None:
        """Take a record that could not even be read."""
        self.counts.read += 1
        self._reject(line, Unloadable(flaw))

    def filter(self) -> None:
        """Take a record that was filtered before it came here."""
        self.counts.read += 1
        self.counts.filtered += 1

    def send_due(self, now: float) -> float | None:
        """Send the batches that are old enough; return the seconds until the next one is."""
        self._warn_of_the_future()
        return min(send_due(self._segment.builders, now, self._run.submit), default=None)

    def send_rest(self) -> None:
        """Send every row that waits for company."""
        for builder in self._segment.builders:
            send(builder, self._run.submit)

    def write_rejections(self) -> None:
        """Write down what was rejected here, and count it as settled."""
        if not self._rejections:
            return
        rejections, self._rejections = self._rejections, []
        self._run.set_aside(self._segment, rejections)
        for rejection in rejections:
            self._run.ledger.settle(rejection.record.span)
        self._run.release()

    def note(self, flaw: Flaw) -> None:
        """Count a rejected record, and log it if it is the first of its kind. On any thread."""
        if self.counts.count_rejected(flaw):
            logger.warning("%s: first record rejected: %s", printable(self.name), _words(flaw))

    def fail_if_rejected(self) -> None:
        """End a dry run as the real one would end that has nowhere to set a record aside."""
        if self.counts.rejections:
            raise RejectedRecordError(
                f"{printable(self.name)}: {self.counts.rejections:,} records were rejected, and "
                "without dead_letter_path the first of them would end the run",
            )

    def rejection_error(self, flaw: Flaw) -> RejectedRecordError:
        """Return what ends a run that has nowhere to set a record aside."""
        kind = MissingKeyError if flaw.reason == "missing_key" else RejectedRecordError
        return kind(
            f"{printable(self.name)}: a record was rejected: {_words(flaw)}; mend the source or "
            "the mapping, or set dead_letter_path to set such records aside and go on",
        )

    def _warn_of_the_future(self) -> None:
        pipeline = self._segment.pipeline
        if pipeline is not None and pipeline.is_ahead and not self._is_warned:
            self._is_warned = True
            logger.warning(
                "%s: some times lie up to an hour ahead; Mixpanel may set them to its own, and "
                "then it does not know a repeat as such",
                printable(self.name),
            )

    def _reject(self, line: bytes, refused: Unloadable) -> None:
        record = Record(line, self._admit(), self._segment, 0, is_rejected=True)
        self._rejections.append(Rejection(record, refused.flaw, refused.insert_id))
        settings = self._run.settings
        is_fatal = settings.dead_letter_folder is None and not settings.dry_run
        if is_fatal or len(self._rejections) >= _REJECTIONS_HELD:
            self.write_rejections()

    def _compile(
        self,
        schema: JsonObject,
        key_properties: tuple[str, ...],
        schema_line: bytes,
    ) -> Segment:
        settings = self._run.settings
        specs = specs_for(self.name, settings.mappings)
        if not specs:
            if settings.unmapped_streams == "skip":
                logger.info("%s: has no mapping and is skipped", printable(self.name))
                return Segment(self, schema_line)
            raise StreamSchemaError(
                f'streams: none matches the stream "{printable(self.name)}"; map it, deselect it '
                "in the tap, or set unmapped_streams: skip",
            )
        stream_schema = StreamSchema(
            stream=self.name,
            schema=schema,
            key_properties=key_properties,
            is_schema_enforced=settings.validate_records,
            takes_metadata=settings.add_record_metadata,
            hash_key=None if settings.hash_key is None else settings.hash_key.encode(),
        )
        window = TimeWindow(settings.since_ms, settings.until_ms)
        pipeline = StreamPipeline(specs, stream_schema, window, now_ms=self._run.now_ms)
        if pipeline.left_out:
            logger.info(
                '%s: "*" leaves out %s; name what you need under properties',
                printable(self.name),
                listed(list(pipeline.left_out)),
            )
        segment = Segment(self, schema_line, pipeline)
        self._find_destinations(segment, specs)
        return segment

    def _find_destinations(self, segment: Segment, specs: Sequence[StreamSpec]) -> None:
        headers = segment.pipeline.headers if segment.pipeline is not None else []
        segment.destinations = [
            self._run.destination(spec, segment, header)
            for spec, header in zip(specs, headers, strict=True)
        ]
        segment.tables = frozenset(n for n, header in enumerate(headers) if header is not None)
        segment.builders = [
            builder for destination in segment.destinations for builder in destination.builders
        ]


def _words(flaw: Flaw) -> str:
    field = f'"{printable(flaw.field)}" ' if flaw.field else ""
    return f"{field}{flaw.detail or ''} ({flaw.stage}: {flaw.reason})".strip()


def _ignore(rows: int, seconds: float) -> None:
    """Nobody wants to know."""
