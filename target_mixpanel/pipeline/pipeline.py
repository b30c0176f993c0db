"""What becomes of a record: rows, a rejection, or nothing because it is filtered?"""

import time
from collections.abc import Callable, Sequence
from typing import Final, TypeAlias

import msgspec

from target_mixpanel.mapping.conditions import Meets
from target_mixpanel.mapping.events import Event, EventPlan
from target_mixpanel.mapping.lookup_tables import LookupTablePlan, TableRow
from target_mixpanel.mapping.metadata_columns import with_metadata_columns
from target_mixpanel.mapping.needed_keys import needed_keys
from target_mixpanel.mapping.paths import Values, record_splitter
from target_mixpanel.mapping.plans import MappedRecord, Plan, compile_plan
from target_mixpanel.mapping.profiles import ProfileUpdate
from target_mixpanel.mapping.refusal import UnmappableError
from target_mixpanel.mapping.stream_schema import StreamSchema
from target_mixpanel.mapping.values import encode
from target_mixpanel.model import Flaw, JsonObject, Mapped
from target_mixpanel.pipeline.fast_path import FALL_BACK, FastPath
from target_mixpanel.pipeline.schema_reading import read_schema
from target_mixpanel.pipeline.typed_records import UntypeableSchemaError
from target_mixpanel.pipeline.validation import ColumnUse, RecordValidator, row_flaw, update_flaw
from target_mixpanel.specs.operations import DELETE
from target_mixpanel.specs.spec import AllColumns, StreamSpec


class Unloadable(msgspec.Struct, frozen=True):
    """The record will never be accepted."""

    flaw: Flaw
    insert_id: str | None = None


Outcome: TypeAlias = list[Mapped] | Unloadable
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


class _Mapping(msgspec.Struct, frozen=True):
    """One of a stream's mappings, the careful way."""

    destination: int
    plan: Plan
    split: Callable[[JsonObject], Values]
    takes: Meets | None
    """None: it takes every record."""
    needed_keys: frozenset[str]
    """Key properties without which a record has no row here."""

    def is_for(self, record: JsonObject, now_ms: int) -> bool:
        """
        Say whether *record* is not filtered here.

        Raises:
            UnmappableError: It cannot be told.
        """
        return self.takes is None or self.takes(self.split(record), now_ms)


class StreamPipeline:
    """A stream's mappings, compiled; shared by every door."""

    def __init__(
        self,
        specs: Sequence[StreamSpec],
        stream_schema: StreamSchema,
        window: TimeWindow | None = None,
        *,
        now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
        on_unused: Callable[[str, Flaw], None] = lambda _column, _flaw: None,
    ) -> None:
        """
        Compile *specs* against *stream_schema*.

        Args:
            specs: The stream's mappings, one for each destination.
            stream_schema: The stream's schema and key.
            window: Which events to load.
            now_ms: Mixpanel's time, in ms since the epoch; tells what lies in the future. Asked
                for each record.
            on_unused: Told of each column of a record that does not fit the schema, and that
                neither a mapping nor the key uses; and why it does not.

        Raises:
            StreamSchemaError: The mappings and the schema do not fit.
        """
        stream = stream_schema.stream
        reading = read_schema(stream_schema.schema, stream)
        self._dropped_ids: list[str] = []
        self._on_dropped_id = stream_schema.on_dropped_id
        stream_schema = msgspec.structs.replace(
            stream_schema, schema=reading.schema, on_dropped_id=self._dropped_ids.append
        )
        stream_schema = with_metadata_columns(stream_schema, specs)
        reading = msgspec.structs.replace(reading, schema=stream_schema.schema)
        self._window = None if window in {None, TimeWindow()} else window
        plans = [compile_plan(spec, stream_schema) for spec in specs]
        use = _column_use(specs, plans, stream_schema.key_properties)
        self._validator = (
            RecordValidator(reading, stream, use, on_unused)
            if stream_schema.is_schema_enforced
            else None
        )
        self.headers: Final = [
            plan.header if isinstance(plan, LookupTablePlan) else None for plan in plans
        ]
        """For each destination that is a lookup table, its CSV's first line."""
        needed = [needed_keys(spec, stream_schema) for spec in specs]
        self._mappings = [
            _Mapping(number, plan, record_splitter(plan.slots), _filter(plan, self._window), keys)
            for number, (plan, keys) in enumerate(zip(plans, needed, strict=True))
        ]
        self._key_properties = stream_schema.key_properties
        self._may_filter = any(mapping.takes is not None for mapping in self._mappings)
        self._fast_path = _fast_path(stream_schema, plans, frozenset[str]().union(*needed))
        self._now_ms = now_ms
        self.is_ahead = False
        """Whether a row's time lay ahead of the clock, by less than Mixpanel refuses."""

    @property
    def left_out(self) -> tuple[str, ...]:
        """Columns that a "*" does not take though nobody excluded them."""
        return tuple(dict.fromkeys(name for each in self._mappings for name in each.plan.left_out))

    @property
    def has_fast_path(self) -> bool:
        """Whether there is a fast way for lines."""
        return self._fast_path is not None

    def run_line(self, line: bytes, *, is_bare: bool = False) -> list[Mapped] | None:
        """
        Return the rows of the record on *line*, the fast way.

        Args:
            line: A RECORD message, or the columns alone.
            is_bare: Whether it is the columns alone.

        Returns:
            None: `run` has to look at the record; nothing is known of it yet.
        """
        fast_path = self._fast_path
        if fast_path is None:
            return None
        rows: list[Mapped] = []
        now_ms = self._now_ms()
        try:
            record = fast_path.decode_bare(line) if is_bare else fast_path.decode(line)
            for destination, map_record in fast_path.maps:
                self._add(rows, destination, map_record(record, now_ms), now_ms)
        except FALL_BACK:
            self._dropped_ids.clear()
            return None
        if self._dropped_ids:
            self._tell_dropped_ids()
        return rows

    def run(self, record: JsonObject) -> Outcome:
        """Return what becomes of *record*."""
        now_ms = self._now_ms()
        mappings: Sequence[_Mapping] = self._mappings
        if self._may_filter:
            # First of all: what is filtered is filtered, whatever else is wrong with it.
            try:
                mappings = [each for each in mappings if each.is_for(record, now_ms)]
            except UnmappableError as error:
                return Unloadable(error.flaw)
        if not mappings:
            return []
        outcome = self._rows(record, mappings, now_ms)
        if isinstance(outcome, Unloadable):
            self._dropped_ids.clear()
        else:
            self._tell_dropped_ids()
        return outcome

    def _tell_dropped_ids(self) -> None:
        """Tell of ids that a record's rows go without, now that it is sure that there are rows."""
        for column in self._dropped_ids:
            self._on_dropped_id(column)
        self._dropped_ids.clear()

    def _rows(self, record: JsonObject, mappings: Sequence[_Mapping], now_ms: int) -> Outcome:
        for name in self._key_properties:
            if name not in record and any(name in each.needed_keys for each in mappings):
                return Unloadable(Flaw("validate", "missing_key", name, "is a key property"))
        if self._validator is not None:
            flaw = self._validator.flaw(record)
            if flaw is not None:
                return Unloadable(flaw)
        rows: list[Mapped] = []
        for mapping in mappings:
            mapped: MappedRecord = None
            try:
                mapped = mapping.plan.map(mapping.split(record), now_ms)
                self._add(rows, mapping.destination, mapped, now_ms)
            except UnmappableError as error:
                return Unloadable(error.flaw, error.insert_id or _insert_id(mapped))
            except UnicodeEncodeError:
                flaw = Flaw("map", "lone_surrogate", detail="holds half a character")
                return Unloadable(flaw, _insert_id(mapped))
            except RecursionError:
                flaw = Flaw("limit", "too_deep", detail="nests too deeply")
                return Unloadable(flaw, _insert_id(mapped))
        return rows

    def _add(self, rows: list[Mapped], destination: int, mapped: MappedRecord, now_ms: int) -> None:
        """
        Add the rows of a mapped record to *rows*, none if it is filtered.

        Raises:
            UnmappableError: Mixpanel would refuse one.
            UnicodeEncodeError: One holds half a character.
            RecursionError: One nests too deeply.
        """
        if type(mapped) is Event:  # the common one first, and a class pattern costs more
            row = self._event_row(destination, mapped, now_ms)
            if row is not None:
                rows.append(row)
            return
        match mapped:
            case ProfileUpdate(then=then) as update:
                rows.append(_update_row(destination, update))
                if then is not None:
                    rows.append(_update_row(destination, then))
            case TableRow(key=key, line=line):
                rows.append(Mapped(destination, line, key))
            case None | Event():
                pass

    def _event_row(self, destination: int, event: Event, now_ms: int) -> Mapped | None:
        time_ms = event.time_ms
        if self._window is not None and not self._window.holds(time_ms):
            return None
        if time_ms > now_ms:
            self.is_ahead = True
        body = encode(event.content)
        flaw = row_flaw(event.name, body)
        if flaw is not None:
            raise UnmappableError(flaw, event.insert_id)
        return Mapped(destination, body, event.insert_id)


def _update_row(destination: int, update: ProfileUpdate) -> Mapped:
    body = encode(update.update)
    flaw = update_flaw(body)
    if flaw is not None:
        raise UnmappableError(flaw)
    return Mapped(
        destination,
        body,
        update.profile_id,
        update.operation.is_repeatable,
        is_deletion=update.operation is DELETE,
    )


def _filter(plan: Plan, window: TimeWindow | None) -> Meets | None:
    """Return what says whether a record is not filtered: its window first, then its conditions."""
    conditions = plan.conditions
    if not isinstance(plan, EventPlan) or window is None:
        return conditions.takes if conditions.may_filter else None

    def takes(values: Values, now_ms: int) -> bool:
        time_ms = plan.time_ms(values, now_ms)
        return (time_ms is None or window.holds(time_ms)) and conditions.takes(values, now_ms)

    return takes


def _insert_id(mapped: MappedRecord) -> str | None:
    return mapped.insert_id if isinstance(mapped, Event) else None


def _column_use(
    specs: Sequence[StreamSpec], plans: Sequence[Plan], key_properties: Sequence[str]
) -> ColumnUse | None:
    paths = [slot.column.path for plan in plans for slot in plan.slots]
    if not all(paths):
        return None  # whole records are used
    return ColumnUse(
        frozenset({path[0] for path in paths} | {*key_properties}),
        takes_undeclared=any(isinstance(spec.properties, AllColumns) for spec in specs),
    )


def _fast_path(
    stream_schema: StreamSchema, plans: Sequence[Plan], needed_keys: frozenset[str]
) -> FastPath | None:
    try:
        return FastPath(stream_schema, plans, needed_keys)
    except UntypeableSchemaError:
        return None
