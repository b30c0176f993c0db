"""Which path does a record take to the engine: straight, or through the SDK's stream maps?"""

import copy
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Protocol

import msgspec
from singer_sdk.helpers._flattening import FlatteningOptions
from singer_sdk.mapper import RemoveRecordTransform, SameRecordTransform, StreamMap

from target_mixpanel.engine.engine import Engine
from target_mixpanel.engine.stream import read_columns
from target_mixpanel.engine.summary import StreamCounts
from target_mixpanel.model import Flaw, JsonObject
from target_mixpanel.singer.expressions import ExpressionError, Expressions
from target_mixpanel.singer.flattening import Flattening
from target_mixpanel.singer.messages import Message
from target_mixpanel.singer.sinks import MixpanelSink


class RecordPath(Protocol):
    """How one stream's records reach the engine."""

    def load_line(self, line: bytes) -> bool:
        """Take a RECORD message undecoded, the fast way; False: it has to be looked at."""

    def load(self, record: JsonObject, message: Message) -> None:
        """Take the columns of one RECORD message."""

    def load_row(self, columns: bytes, message: Message) -> None:
        """
        Take one record of a BATCH.

        Args:
            columns: Its own, a JSON object.
            message: What the RECORD message that says the same is beside them; its line ends where
                they begin.
        """

    def refuse(self, message: Message, flaw: Flaw) -> None:
        """Take a RECORD message that could not be read."""


class Way(msgspec.Struct, frozen=True):
    """What one stream map, and flattening after it, make of a stream."""

    stream_map: StreamMap
    expressions: Expressions
    flattening: Flattening | None

    def record(self, record: JsonObject) -> JsonObject | None:
        """
        Return what becomes of *record*, None if it is filtered.

        Raises:
            ExpressionError: An expression fails.
        """
        made = self.expressions.record(record)
        return made if made is None or self.flattening is None else self.flattening.record(made)


def way_of(
    stream_map: StreamMap,
    definition: Mapping[str, Any],
    schema: JsonObject,
    options: FlatteningOptions,
    stream: str,
) -> Way:
    """
    Return what becomes of *stream*, and give the stream map the schema of what it makes.

    Args:
        stream_map: The SDK's.
        definition: As the operator wrote it.
        schema: The stream's, before both.
        options: How to flatten.
        stream: Its name.

    Raises:
        StreamSchemaError: Flattening would give two columns one name.
    """
    expressions = Expressions(stream_map, definition, schema)
    flattening = None
    schema = expressions.typed(stream_map.transformed_schema)
    if options.enabled and options.max_level > 0:
        flattening = Flattening(options, schema, stream)
        schema = flattening.schema
    stream_map.transformed_schema = expressions.untyped(schema, options.separator)
    return Way(stream_map, expressions, flattening)


def find_path(
    ways: Sequence[Way],
    sink_for: Callable[[StreamMap], MixpanelSink],
    engine: Engine,
) -> RecordPath:
    """Return the straight path where no stream map, flattening or metadata asks for another."""
    is_unchanged = (
        len(ways) == 1
        and type(ways[0].stream_map) is SameRecordTransform
        and ways[0].flattening is None
        and not engine.settings.add_record_metadata
    )
    if is_unchanged:
        return DirectPath(sink_for(ways[0].stream_map))
    return MappedPath(
        [
            engine.summary.stream(way.stream_map.stream_alias)
            if isinstance(way.stream_map, RemoveRecordTransform)
            else (way, sink_for(way.stream_map))
            for way in ways
        ],
    )


class DirectPath:
    """The record as it came, to the one stream of its name; the SDK is not asked."""

    def __init__(self, sink: MixpanelSink) -> None:
        self._stream: Final = sink.stream
        self._load: Final = sink.stream.load
        self._load_json: Final = sink.stream.load_json
        self.load_line: Final = sink.stream.load_line

    def load(self, record: JsonObject, message: Message) -> None:
        self._load(record, message.line)

    def load_row(self, columns: bytes, message: Message) -> None:
        self._load_json(columns, b"%b%b}" % (message.line, columns))

    def refuse(self, message: Message, flaw: Flaw) -> None:
        self._stream.refuse(message.line, flaw)


class MappedPath:
    """The record through the SDK's stream maps: slower, and to a sink for each alias."""

    def __init__(self, routes: Sequence[tuple[Way, MixpanelSink] | StreamCounts]) -> None:
        self._routes = [route for route in routes if not isinstance(route, StreamCounts)]
        self._removed = [route for route in routes if isinstance(route, StreamCounts)]

    def load_line(self, line: bytes) -> bool:  # noqa: ARG002 (a stream map wants a decoded record)
        return False

    def load(self, record: JsonObject, message: Message) -> None:
        for counts in self._removed:
            counts.read += 1
            counts.filtered += 1
        for way, sink in self._routes:
            try:
                values = way.record(copy.copy(record))
            except ExpressionError as error:
                sink.stream.refuse(message.line, error.flaw)
                continue
            if values is None:
                sink.stream.filter()
                continue
            if sink.include_sdc_metadata_properties:
                extracted = {"time_extracted": message.time_extracted, "version": message.version}
                sink._add_sdc_metadata_to_record(values, extracted, {})  # noqa: SLF001
            sink.stream.load(values, message.line)

    def load_row(self, columns: bytes, message: Message) -> None:
        read = read_columns(columns, message.stream or "")
        whole = msgspec.structs.replace(message, line=b"%b%b}" % (message.line, columns))
        if isinstance(read, Flaw):
            self.refuse(whole, read)
        else:
            self.load(read, whole)

    def refuse(self, message: Message, flaw: Flaw) -> None:
        for _, sink in self._routes:
            sink.stream.refuse(message.line, flaw)
