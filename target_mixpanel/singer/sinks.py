"""How does a stream of the engine look to the SDK? A thin adapter, no logic of its own."""

import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any, Final, Protocol, cast

from singer_sdk import Target, metrics
from singer_sdk.sinks import Sink

from target_mixpanel.engine.engine import Engine
from target_mixpanel.engine.segment import SchemaMessage

_TIMER_INTERVAL_S: Final = 1.0
"""At full speed fifty batches a second go out; one of their times a second says enough."""


class LoadingTarget(Protocol):
    """What a sink needs of the target, which stands above it."""

    engine: Engine
    schema_line: bytes
    """The SCHEMA message that is being taken, as it came."""
    bookmark_properties: tuple[str, ...]
    """Its own."""


class MixpanelSink(Sink):
    """The SDK's handle on one stream; records pass it by on their way to the engine."""

    def __init__(
        self,
        target: Target,
        stream_name: str,
        schema: dict[str, Any],
        key_properties: Sequence[str] | None,
    ) -> None:
        super().__init__(target, stream_name, schema, key_properties)
        loading = cast("LoadingTarget", target)
        self._measuring = threading.Lock()
        self._timed_at = 0.0
        schema = self.schema if self.include_sdc_metadata_properties else self.original_schema
        self.stream = loading.engine.open_stream(
            SchemaMessage(
                stream_name,
                schema,
                tuple(self.key_properties),
                loading.schema_line,
                bookmark_properties=loading.bookmark_properties,
            ),
        )
        self.stream.counts.on_batch = self._measure

    def get_validator(self) -> None:
        """Leave validation to the pipeline: the SDK's prints records and loads invalid ones."""

    def process_record(self, record: dict[str, Any], context: Mapping[str, Any]) -> None:  # noqa: ARG002
        self.stream.load(record, record)

    def process_batch(self, context: Mapping[str, Any]) -> None:
        """Do nothing: the engine sends batches by itself."""

    def clean_up(self) -> None:
        """Say how many rows went out, if any did: of a stream that is skipped there are none."""
        if self.record_counter_metric.value:
            self.record_counter_metric.exit()  # the SDK's own clean_up does no more, if that

    def _measure(self, rows: int, seconds: float) -> None:
        with self._measuring:
            self.record_counter_metric.increment(rows)
            now = time.monotonic()
            if now - self._timed_at < _TIMER_INTERVAL_S:
                return
            self._timed_at = now
        metrics.log(
            self.logger,
            metrics.Point(
                "timer",
                metrics.Metric.BATCH_PROCESSING_TIME,
                round(seconds, 6),
                {metrics.Tag.STREAM: self.stream_name, metrics.Tag.STATUS: "succeeded"},
            ),
        )
