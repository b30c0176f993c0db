"""Which path does a record take to the engine: straight, or through the SDK's stream maps?"""

import copy
from collections.abc import Callable, Sequence
from typing import Final, Protocol

from singer_sdk.mapper import RemoveRecordTransform, SameRecordTransform, StreamMap

from target_mixpanel.engine.engine import Engine
from target_mixpanel.engine.summary import StreamCounts
from target_mixpanel.model import NO_SINGLE_COLUMN, Flaw, JsonObject
from target_mixpanel.singer.messages import Message
from target_mixpanel.singer.sinks import MixpanelSink


class RecordPath(Protocol):
    """How one stream's records reach the engine."""

    def load_line(self, line: bytes) -> bool:
        """Take a RECORD message undecoded, the fast way; False: it has to be looked at."""

    def load(self, record: JsonObject, message: Message) -> None:
        """Take the columns of one RECORD message."""

    def refuse(self, message: Message, flaw: Flaw) -> None:
        """Take a RECORD message that could not be read."""


def find_path(
    stream_maps: Sequence[StreamMap],
    sink_for: Callable[[StreamMap], MixpanelSink],
    engine: Engine,
) -> RecordPath:
    """Return the straight path where no stream map, flattening or metadata asks for another."""
    is_unchanged = (
        len(stream_maps) == 1
        and type(stream_maps[0]) is SameRecordTransform
        and not stream_maps[0].flattening_enabled
        and not engine.settings.add_record_metadata
    )
    if is_unchanged:
        return DirectPath(sink_for(stream_maps[0]))
    return MappedPath(
        [
            engine.summary.stream(stream_map.stream_alias)
            if isinstance(stream_map, RemoveRecordTransform)
            else (stream_map, sink_for(stream_map))
            for stream_map in stream_maps
        ],
    )


class DirectPath:
    """The record as it came, to the one stream of its name; the SDK is not asked."""

    def __init__(self, sink: MixpanelSink) -> None:
        self._stream: Final = sink.stream
        self._load: Final = sink.stream.load
        self.load_line: Final = sink.stream.load_line

    def load(self, record: JsonObject, message: Message) -> None:
        self._load(record, message.line)

    def refuse(self, message: Message, flaw: Flaw) -> None:
        self._stream.refuse(message.line, flaw)


class MappedPath:
    """The record through the SDK's stream maps: slower, and to a sink for each alias."""

    def __init__(self, routes: Sequence[tuple[StreamMap, MixpanelSink] | StreamCounts]) -> None:
        self._routes = [route for route in routes if not isinstance(route, StreamCounts)]
        self._removed = [route for route in routes if isinstance(route, StreamCounts)]

    def load_line(self, line: bytes) -> bool:  # noqa: ARG002 (a stream map wants a decoded record)
        return False

    def load(self, record: JsonObject, message: Message) -> None:
        for counts in self._removed:
            counts.read += 1
            counts.filtered += 1
        for stream_map, sink in self._routes:
            try:
                values = stream_map.transform(copy.copy(record))
            except Exception:  # noqa: BLE001 (an operator's expression met a value it cannot take)
                sink.stream.refuse(message.line, Flaw("map", "stream_map_failed", NO_SINGLE_COLUMN))
                continue
            if values is None:
                sink.stream.filter()
                continue
            if sink.include_sdc_metadata_properties:
                extracted = {"time_extracted": message.time_extracted, "version": message.version}
                sink._add_sdc_metadata_to_record(values, extracted, {})  # noqa: SLF001
            sink.stream.load(values, message.line)

    def refuse(self, message: Message, flaw: Flaw) -> None:
        for _, sink in self._routes:
            sink.stream.refuse(message.line, flaw)
