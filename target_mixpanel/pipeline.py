"""What becomes of a record: rows, a rejection, or nothing because it is filtered?"""

import time
from collections.abc import Callable, Sequence
from typing import TypeAlias

import msgspec

from target_mixpanel.errors import SettingsError
from target_mixpanel.mapping.events import EventPlan, compile_events
from target_mixpanel.mapping.flaws import UnmappableError
from target_mixpanel.mapping.shape import StreamShape
from target_mixpanel.model import Flaw, JsonObject
from target_mixpanel.specs import EventSpec, GroupSpec, LookupTableSpec, StreamSpec, UserSpec
from target_mixpanel.validation import RecordValidator, row_flaw

_encode = msgspec.json.Encoder(decimal_format="number").encode


class Mapped(msgspec.Struct, frozen=True, gc=False):
    """One row that a record becomes."""

    destination: int
    """Which of the stream's mappings made it."""
    body: bytes
    """UTF-8 JSON without line end."""
    insert_id: str


class Refused(msgspec.Struct, frozen=True):
    """The record will never be accepted."""

    flaw: Flaw
    insert_id: str | None = None


Outcome: TypeAlias = list[Mapped] | Refused
"""Rows for every destination, none where the record is filtered; or one refusal for them all: a
record goes out whole or not at all."""


class TimeWindow(msgspec.Struct, frozen=True):
    """Events in [since, until) are loaded, the others are filtered. In ms since the epoch."""

    since_ms: int | None = None
    until_ms: int | None = None

    def holds(self, time_ms: int) -> bool:
        if self.since_ms is not None and time_ms < self.since_ms:
            return False
        return self.until_ms is None or time_ms < self.until_ms


class StreamPipeline:
    """A stream's mappings, compiled; shared by every door."""

    def __init__(
        self,
        specs: Sequence[StreamSpec],
        shape: StreamShape,
        window: TimeWindow | None = None,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """
        Compile *specs* against *shape*.

        Args:
            specs: The stream's mappings, one for each destination.
            shape: The stream's schema and key.
            window: Which events to load.
            clock: Seconds since the epoch; tells what lies in the future.

        Raises:
            StreamSchemaError: The mappings and the schema do not fit.
        """
        validator = RecordValidator(shape.schema, shape.stream)
        self._validator = validator if shape.is_schema_enforced else None
        self._plans = tuple(_compile(spec, shape) for spec in specs)
        self._key_properties = shape.key_properties
        self._window = None if window in {None, TimeWindow()} else window
        self._clock = clock
        self.is_ahead = False
        """Whether a row's time lay ahead of the clock, by less than Mixpanel refuses."""

    @property
    def left_out(self) -> tuple[str, ...]:
        """Columns that a "*" does not take though nobody excluded them."""
        return tuple(dict.fromkeys(name for plan in self._plans for name in plan.left_out))

    def run(self, record: JsonObject) -> Outcome:
        """Return what becomes of *record*."""
        for name in self._key_properties:
            if name not in record:
                return Refused(Flaw("validate", "missing_key", name, "is a key property"))
        if self._validator is not None:
            flaw = self._validator.flaw(record)
            if flaw is not None:
                return Refused(flaw)
        now_ms = int(self._clock() * 1_000)
        rows: list[Mapped] = []
        for destination, plan in enumerate(self._plans):
            match self._map(destination, plan, record, now_ms):
                case Mapped() as mapped:
                    rows.append(mapped)
                case Refused() as refused:
                    return refused
                case None:
                    pass
        return rows

    def _map(
        self,
        destination: int,
        plan: EventPlan,
        record: JsonObject,
        now_ms: int,
    ) -> Mapped | Refused | None:
        """Return *record*'s row for one destination; None if it is filtered there."""
        insert_id: str | None = None
        try:
            event = plan.map(record, now_ms)
            properties = event["properties"]
            if self._window is not None and not self._window.holds(properties["time"]):
                return None
            insert_id = properties["$insert_id"]
            if properties["time"] > now_ms:
                self.is_ahead = True
            body = _encode(event)
        except UnmappableError as error:
            return Refused(error.flaw, error.insert_id)
        except UnicodeEncodeError:
            flaw = Flaw("map", "lone_surrogate", detail="holds half a character")
            return Refused(flaw, insert_id)
        except RecursionError:
            return Refused(Flaw("limit", "too_deep", detail="nests too deeply"), insert_id)
        flaw_of_row = row_flaw(event["event"], body)
        return (
            Mapped(destination, body, insert_id)
            if flaw_of_row is None
            else Refused(flaw_of_row, insert_id)
        )


def _compile(spec: StreamSpec, shape: StreamShape) -> EventPlan:
    match spec:
        case EventSpec():
            return compile_events(spec, shape)
        case UserSpec() | GroupSpec() | LookupTableSpec():
            raise SettingsError(f"{spec.place}.type: only events can be loaded so far")
