"""What is a stream under one SCHEMA: its compiled mappings, and where their rows go?"""

import logging
from collections.abc import Callable, Sequence
from functools import partial
from typing import Protocol

import msgspec

from target_mixpanel.delivery.batches import BatchBuilder
from target_mixpanel.engine.column_notes import note_columns, note_new_columns
from target_mixpanel.engine.identity_warnings import IdentityWarnings
from target_mixpanel.engine.routing import Routing
from target_mixpanel.engine.summary import StreamCounts
from target_mixpanel.errors import StreamSchemaError, listed, printable
from target_mixpanel.mapping.stream_schema import DroppedId, StreamSchema
from target_mixpanel.model import Flaw, JsonObject, Mapped, Record
from target_mixpanel.pipeline.pipeline import StreamPipeline, TimeWindow
from target_mixpanel.settings.parse import Settings
from target_mixpanel.specs.columns import group_keys
from target_mixpanel.specs.spec import StreamSpec

logger = logging.getLogger("target-mixpanel")


class Destination(Protocol):
    """Takes the rows that one of a stream's mappings makes."""

    def add(self, mapped: Mapped, record: Record) -> None:
        """Take *record*'s row."""

    @property
    def builders(self) -> Sequence[BatchBuilder]:
        """What collects rows for this stream alone, and is sent when its SCHEMA changes."""


class SchemaMessage(msgspec.Struct, frozen=True):
    """What a door says of the records to come."""

    stream: str
    schema: JsonObject
    key_properties: tuple[str, ...]
    line: bytes = b""
    """As a Singer SCHEMA message; of two alike the second changes nothing. Empty: to be made."""
    is_from_singer: bool = True
    """Whether records that come as bytes are RECORD messages, not the columns alone."""
    bookmark_properties: tuple[str, ...] = ()


def with_line(message: SchemaMessage) -> SchemaMessage:
    """
    Return *message* with the Singer message that says the same.

    Raises:
        StreamSchemaError: Its schema is no JSON.
    """
    said = {
        "type": "SCHEMA",
        "stream": message.stream,
        "schema": message.schema,
        "key_properties": message.key_properties,
    }
    try:
        line = msgspec.json.encode(said)
    except (TypeError, ValueError, RecursionError):
        raise StreamSchemaError(
            f"SCHEMA of {printable(message.stream)}: is no JSON; give a JSON Schema",
        ) from None
    return msgspec.structs.replace(message, line=line)


class Segment(msgspec.Struct, eq=False):
    """A part of a stream under one SCHEMA."""

    stream: str
    counts: StreamCounts
    schema_line: bytes
    """The SCHEMA message."""
    is_from_singer: bool = True
    """As of the SCHEMA message."""
    pipeline: StreamPipeline | None = None
    """None: the stream is skipped."""
    destinations: Sequence[Destination] = ()
    """One for each of the stream's mappings."""
    tables: frozenset[int] = frozenset()
    """Which of them are lookup tables."""
    builders: Sequence[BatchBuilder] = ()
    """What collects rows of this segment alone."""


class FindDestination(Protocol):
    """What knows where rows go."""

    def __call__(
        self, spec: StreamSpec, stream: str, tag: object, header: bytes | None
    ) -> Destination:
        """Return where the rows of *stream* go that the mapping *spec* makes."""


class SegmentCompiler:
    """Make the segments of a run."""

    def __init__(
        self,
        settings: Settings,
        routing: Routing,
        find_destination: FindDestination,
        now_ms: Callable[[], int],
    ) -> None:
        self._settings = settings
        self._routing = routing
        self._find_destination = find_destination
        self._now_ms = now_ms
        self._window = TimeWindow(settings.since_ms, settings.until_ms)
        self._warnings = IdentityWarnings()
        specs = [spec for _, specs in settings.mappings for spec in specs]
        self._group_keys = group_keys(specs)

    def compile(self, message: SchemaMessage, counts: StreamCounts) -> Segment:
        """
        Return *message*'s segment.

        Raises:
            StreamSchemaError: The stream has no mapping, or mapping and schema do not fit.
        """
        segment = Segment(message.stream, counts, message.line, message.is_from_singer)
        specs = self._routing.specs_for(message.stream)
        if not specs:
            self._skip(message.stream)
            return segment
        stream_schema = self._stream_schema(message, counts)
        pipeline = segment.pipeline = StreamPipeline(
            specs,
            stream_schema,
            self._window,
            now_ms=self._now_ms,
            on_unused=partial(_count_unused_breach, counts),
            on_left_out=partial(_count_left_out, counts),
            on_new_columns=partial(note_new_columns, counts),
        )
        self._warnings.look_at(specs, stream_schema)
        note_columns(counts, pipeline)
        segment.destinations = [
            self._find_destination(spec, message.stream, segment, header)
            for spec, header in zip(specs, pipeline.headers, strict=True)
        ]
        segment.tables = frozenset(
            number for number, header in enumerate(pipeline.headers) if header is not None
        )
        segment.builders = [
            builder for destination in segment.destinations for builder in destination.builders
        ]
        return segment

    def _skip(self, stream: str) -> None:
        meant = self._routing.meant(stream)
        close = f"; close to it is {listed(meant)}" if meant else ""
        if self._settings.unmapped_streams == "skip":
            level = logging.WARNING if meant else logging.INFO
            logger.log(level, "%s: has no mapping and is skipped%s", printable(stream), close)
            return
        raise StreamSchemaError(
            f'streams: none matches the stream "{printable(stream)}"{close}; map it, deselect it '
            "in the tap, or set unmapped_streams: skip",
        )

    def _stream_schema(self, message: SchemaMessage, counts: StreamCounts) -> StreamSchema:
        settings = self._settings
        return StreamSchema(
            stream=message.stream,
            schema=message.schema,
            key_properties=message.key_properties,
            is_schema_enforced=settings.validate_records,
            takes_metadata=settings.add_record_metadata,
            hash_key=None if settings.hash_key is None else settings.hash_key.encode(),
            insert_id_salt=settings.insert_id_salt,
            is_blank_null=settings.empty_as_null,
            bookmark_properties=message.bookmark_properties,
            on_large_integer=partial(_note_large_integer, counts),
            on_dropped_id=partial(_count_dropped_id, counts),
            group_keys=self._group_keys,
        )


def _count_unused_breach(counts: StreamCounts, column: str, flaw: Flaw) -> None:
    """Count a record that loads though a column breaks its schema; warn of the column's first."""
    if counts.count_unused_breach(column):
        logger.warning(
            '%s: "%s" %s; no mapping and no key uses it, so such records load; the report counts '
            "them as unused_columns_breached",
            printable(counts.stream),
            printable(column),
            flaw.detail,
        )


def _count_left_out(counts: StreamCounts, column: str, what: str) -> None:
    """Count a record of which something was not sent; warn of the column's first."""
    if counts.count_left_out(column):
        logger.warning(
            '%s: "%s" has %s; the report counts such records as values_left_out',
            printable(counts.stream),
            printable(column),
            what,
        )


def _note_large_integer(counts: StreamCounts, column: str) -> None:
    """Warn of the first integer that becomes its text, in each of a stream's columns."""
    if counts.note_large_integer(column):
        logger.warning(
            '%s: "%s" has integers beyond 2^53, which Mixpanel would round; they are sent as text '
            "(as: text makes texts of all, as: number doubles)",
            printable(counts.stream),
            printable(column),
        )


def _count_dropped_id(counts: StreamCounts, dropped: DroppedId) -> None:
    """Count an id that its row goes without; tell of the column's first, loudly of a bad one's."""
    if counts.count_dropped_id(dropped):
        level, what = (
            (logging.INFO, "mean nobody, as the mapping says")
            if dropped.is_meant
            else (logging.WARNING, "Mixpanel refuses, where the row has another one")
        )
        logger.log(
            level,
            '%s: "%s" has ids that %s; rows go without them, and the report counts them as '
            "ids_dropped",
            printable(counts.stream),
            printable(dropped.column),
            what,
        )
