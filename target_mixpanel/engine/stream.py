"""How does a record of one stream go through the engine?"""

import logging
from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from target_mixpanel.delivery.batches import Submit, send, send_due
from target_mixpanel.engine.checkpoints import CheckpointLedger
from target_mixpanel.engine.rejections import Rejections
from target_mixpanel.engine.segment import SchemaMessage, Segment, SegmentCompiler
from target_mixpanel.engine.summary import StreamCounts
from target_mixpanel.errors import InputError, printable
from target_mixpanel.model import Flaw, JsonObject, Mapped, Record, Rejection, Span
from target_mixpanel.pipeline.json_numbers import decimal_number
from target_mixpanel.pipeline.lenient_json import decode_leniently, flaw_of, identified
from target_mixpanel.pipeline.pipeline import Unloadable

logger = logging.getLogger("target-mixpanel")

_SEGMENTS_KEPT: Final = 16
"""Compiled mappings of a stream that are kept: some taps alternate between two schemas."""

_decode_columns: Final = msgspec.json.Decoder(JsonObject, float_hook=decimal_number).decode


class Parts(msgspec.Struct, frozen=True):
    """The parts of a run that all its streams use."""

    ledger: CheckpointLedger
    rejections: Rejections
    segments: SegmentCompiler
    submit: Submit
    look_at_the_clock: Callable[[], None]


class Stream:
    """One stream of a run. For one thread at a time, with all the other streams."""

    def __init__(self, parts: Parts, counts: StreamCounts, first: SchemaMessage) -> None:
        """
        Raises:
            StreamSchemaError: The stream has no mapping, or mapping and schema do not fit.
        """
        self.name: Final = counts.stream
        self.counts: Final = counts
        self._parts = parts
        self._admit = parts.ledger.admit
        self._look_at_the_clock = parts.look_at_the_clock
        self._segments: dict[bytes, Segment] = {}
        self._is_warned = False
        self._segment = self._segment_of(first)

    def use_schema(self, message: SchemaMessage) -> None:
        """Take records of this schema from now on; what an earlier one's became is sent first."""
        if message.line == self._segment.schema_line:
            return
        self.send_rest()
        self._parts.rejections.write_held()
        self._segment = self._segment_of(message)

    def _segment_of(self, message: SchemaMessage) -> Segment:
        segment = self._segments.get(message.line)
        if segment is None:
            if len(self._segments) == _SEGMENTS_KEPT:
                self._segments.pop(next(iter(self._segments)))
            segment = self._parts.segments.compile(message, self.counts)
            self._segments[message.line] = segment
        return segment

    def load(self, values: JsonObject, raw: bytes | JsonObject) -> None:
        """
        Take one record.

        Args:
            values: Its columns, as JSON has them.
            raw: As its door brought it.

        Raises:
            TargetMixpanelError: The run cannot go on.
        """
        self.counts.read += 1
        pipeline = self._segment.pipeline
        if pipeline is None:
            self.counts.filtered += 1
            return
        self._look_at_the_clock()
        outcome = pipeline.run(values)
        if isinstance(outcome, Unloadable):
            self._reject(raw, outcome)
        else:
            self._collect(raw, outcome)

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

    def load_json(self, columns: bytes, raw: bytes | None = None) -> None:
        """
        Take the record whose columns are the JSON object *columns*, the fast way if there is one.

        Args:
            columns: In UTF-8.
            raw: As its door wants it kept for a dead letter; None: so.

        Raises:
            InputError: It is no JSON object.
            TargetMixpanelError: The run cannot go on.
        """
        raw = columns if raw is None else raw
        self._look_at_the_clock()
        pipeline = self._segment.pipeline
        mapped = None if pipeline is None else pipeline.run_line(columns, is_bare=True)
        if mapped is not None:
            self.counts.read += 1
            self._collect(raw, mapped)
            return
        read = read_columns(columns, self.name)
        if isinstance(read, Flaw):
            self.refuse(raw, read)
        else:
            self.load(read, raw)

    def refuse(self, raw: bytes, flaw: Flaw) -> None:
        """Take a record that could not even be read."""
        self.counts.read += 1
        self._reject(raw, Unloadable(flaw))

    def filter(self) -> None:
        """Take a record that was filtered before it came here."""
        self.counts.read += 1
        self.counts.filtered += 1

    def send_due(self, now: float) -> float | None:
        """Send the batches that are old enough; return the seconds until the next one is."""
        self._warn_of_the_future()
        return min(send_due(self._segment.builders, now, self._parts.submit), default=None)

    def send_rest(self) -> None:
        """Send every row that waits for company."""
        for builder in self._segment.builders:
            send(builder, self._parts.submit)

    def _collect(self, raw: bytes | JsonObject, mapped: Sequence[Mapped]) -> None:
        segment = self._segment
        if not mapped:
            self.counts.filtered += 1
        elif segment.tables:
            self._collect_with_tables(raw, mapped)
        else:
            record = Record(raw, self._admit(), segment, len(mapped))
            for row in mapped:
                segment.destinations[row.destination].add(row, record)

    def _collect_with_tables(self, raw: bytes | JsonObject, mapped: Sequence[Mapped]) -> None:
        """Take a record of which some rows wait for the last one of their lookup table."""
        segment = self._segment
        others = sum(row.destination not in segment.tables for row in mapped)
        record = Record(raw, Span(0), segment, others, waits_for_table=others < len(mapped))
        if others:
            record.span = self._admit()
        else:
            self.counts.count_waiting(1)
        for row in mapped:
            segment.destinations[row.destination].add(row, record)

    def _reject(self, raw: bytes | JsonObject, refused: Unloadable) -> None:
        record = Record(raw, self._admit(), self._segment, 0, is_rejected=True)
        self._parts.rejections.add(Rejection(record, refused.flaw, refused.insert_id))

    def _warn_of_the_future(self) -> None:
        pipeline = self._segment.pipeline
        if pipeline is not None and pipeline.is_ahead and not self._is_warned:
            self._is_warned = True
            logger.warning(
                "%s: some times lie up to an hour ahead; Mixpanel may set them to its own, and "
                "then it does not know a repeat as such",
                printable(self.name),
            )


def read_columns(columns: bytes, stream: str) -> JsonObject | Flaw:
    """
    Return the columns of a record that are the JSON object *columns*, or what keeps them from it.

    Raises:
        InputError: It is no JSON object, not even to a lenient reader.
    """
    try:
        return _decode_columns(columns)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        pass
    try:
        values = decode_leniently(columns)
    except (ValueError, RecursionError):
        values = None
    if not isinstance(values, dict):
        raise InputError(f"{printable(stream)}: a record is no JSON object; {identified(columns)}")
    return flaw_of(values)
