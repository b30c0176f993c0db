"""What becomes of a record: rows, a rejection, or nothing because it is filtered?"""

import time
from collections.abc import Callable, Sequence
from typing import Final, TypeAlias

import msgspec

from target_mixpanel.errors import StreamSchemaError
from target_mixpanel.limits import EVENT_VALUE_MAX_BYTES, NAME_SHORT_CHARS
from target_mixpanel.mapping.blanks import without_blanks
from target_mixpanel.mapping.conditions import Meets
from target_mixpanel.mapping.events import Event, EventPlan
from target_mixpanel.mapping.lookup_tables import LookupTablePlan, TableRow
from target_mixpanel.mapping.metadata_columns import with_metadata_columns
from target_mixpanel.mapping.needed_keys import needed_keys
from target_mixpanel.mapping.open_schemas import opened, undeclared_columns
from target_mixpanel.mapping.paths import Values, record_splitter
from target_mixpanel.mapping.plans import MappedRecord, Plan, compile_plan
from target_mixpanel.mapping.profiles import ProfileUpdate
from target_mixpanel.mapping.refusal import UnmappableError
from target_mixpanel.mapping.stream_schema import (
    LARGE_VALUES,
    METADATA_PREFIX,
    DroppedId,
    LeftOut,
    NewColumn,
    StreamSchema,
)
from target_mixpanel.mapping.values import encode
from target_mixpanel.model import NO_SINGLE_COLUMN, Flaw, JsonObject, Mapped
from target_mixpanel.pipeline.culprits import (
    column_with_half_a_character,
    deepest_column,
    largest_column,
)
from target_mixpanel.pipeline.fast_path import FALL_BACK, FastPath
from target_mixpanel.pipeline.learning import Learner
from target_mixpanel.pipeline.schema_reading import read_schema
from target_mixpanel.pipeline.typed_records import UntypeableSchemaError
from target_mixpanel.pipeline.validation import (
    EVENT_TOO_LONG,
    ColumnUse,
    RecordValidator,
    row_flaw,
    update_flaw,
)
from target_mixpanel.specs.operations import DELETE
from target_mixpanel.specs.spec import LookupTableSpec, MatchedColumns, StreamSpec

_DELETED_AT: Final = f"{METADATA_PREFIX}deleted_at"
"""The column by which log-based taps say that a row was deleted."""


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

    def oversized(self, record: JsonObject, flaw: Flaw) -> str:
        """Return the column at fault for a row that is too large."""
        if flaw.reason == EVENT_TOO_LONG and isinstance(self.plan, EventPlan):
            return self.plan.event_field
        return largest_column(self.columns(record))

    def columns(self, record: JsonObject) -> JsonObject:
        """Return what of *record* is used here, by column."""
        values = zip(self.plan.slots, self.split(record), strict=True)
        return {slot.column.name: value for slot, value in values if slot.column.path}


class StreamPipeline:
    """A stream's mappings, compiled; shared by every door."""

    def __init__(  # noqa: PLR0913 (each a fact of its own)
        self,
        specs: Sequence[StreamSpec],
        stream_schema: StreamSchema,
        window: TimeWindow | None = None,
        *,
        now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
        on_unused: Callable[[str, Flaw], None] = lambda _column, _flaw: None,
        on_left_out: LeftOut = lambda _column, _what: None,
        on_new_columns: Callable[[Sequence[NewColumn]], None] = lambda _columns: None,
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
            on_left_out: Told of each column of a record that loads without all that it has there;
                and of what there is not.
            on_new_columns: Told of columns of a record that its schema does not name, each once at
                least.

        Raises:
            StreamSchemaError: The mappings and the schema do not fit.
        """
        stream = stream_schema.stream
        reading = read_schema(stream_schema.schema, stream)
        self._left_out: list[tuple[str, str]] = []
        self._on_left_out = on_left_out
        self._dropped_ids: list[DroppedId] = []
        self._on_dropped_id = stream_schema.on_dropped_id
        stream_schema = msgspec.structs.replace(
            stream_schema,
            schema=reading.schema,
            on_left_out=self._note_left_out,
            on_dropped_id=self._dropped_ids.append,
        )
        stream_schema = with_metadata_columns(stream_schema, specs)
        stream_schema = opened(stream_schema, specs)
        self.undeclared: Final = undeclared_columns(stream_schema, specs)
        """Columns that the mappings name and the schema does not, each with what is done."""
        self._new_columns: dict[NewColumn, None] = {}
        self._on_new_columns = on_new_columns
        stream_schema = msgspec.structs.replace(stream_schema, on_new_column=self._note_new_column)
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
            _Mapping(
                number, plan, _splitter(plan, stream_schema), _filter(plan, self._window), keys
            )
            for number, (plan, keys) in enumerate(zip(plans, needed, strict=True))
        ]
        self._key_properties = stream_schema.key_properties
        self._may_filter = any(mapping.takes is not None for mapping in self._mappings)
        self._specs, self._stream_schema = specs, stream_schema
        self._needed_keys = frozenset[str]().union(*needed)
        self._fast_path = _fast_path(stream_schema, plans, self._needed_keys)
        self._new_column_readers = [
            plan.new_columns for plan in plans if plan.new_columns is not None
        ]
        self._learner = Learner(self._new_column_readers)
        self._now_ms = now_ms
        self.is_ahead = False
        """Whether a row's time lay ahead of the clock, by less than Mixpanel refuses."""

    @property
    def left_out(self) -> dict[str, str]:
        """Columns that no pattern takes though nobody excluded them, each with the reason."""
        return {name: why for each in self._mappings for name, why in each.plan.left_out.items()}

    @property
    def has_properties(self) -> bool:
        """Whether every mapping makes some property, as far as the schema tells."""
        return all(reader.has_properties for reader in self._new_column_readers)

    @property
    def not_excluded(self) -> tuple[str, ...]:
        """What is to be excluded, and is no column by the schema."""
        names = (name for reader in self._new_column_readers for name in reader.not_excluded)
        return tuple(dict.fromkeys(names))

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
            self._forget()
            return None
        if self._left_out or self._dropped_ids:
            self._tell()
        return rows

    def run(self, record: JsonObject) -> Outcome:
        """Return what becomes of *record*."""
        outcome = self._outcome(record, self._now_ms())
        if isinstance(outcome, Unloadable) and record.get(_DELETED_AT) is not None:
            outcome = _deletion(outcome)
        if self._fast_path is not None and not isinstance(outcome, Unloadable):
            self._learn(record)
        if self._new_columns:
            found, self._new_columns = [*self._new_columns], {}
            self._on_new_columns(found)
        return outcome

    def _outcome(self, record: JsonObject, now_ms: int) -> Outcome:
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
            self._forget()
        else:
            self._tell()
        return outcome

    def _note_left_out(self, column: str, what: str) -> None:
        self._left_out.append((column, what))

    def _forget(self) -> None:
        """Tell nothing of a record that does not load, or not yet."""
        self._left_out.clear()
        self._dropped_ids.clear()

    def _tell(self) -> None:
        """Tell of what the record that just loaded lacks: values once of each column, and ids."""
        if self._left_out:
            for column, what in dict(self._left_out).items():
                self._on_left_out(column, what)
            self._left_out.clear()
        if self._dropped_ids:
            for dropped in self._dropped_ids:
                self._on_dropped_id(dropped)
            self._dropped_ids.clear()

    def _note_new_column(self, column: NewColumn) -> None:
        self._new_columns[column] = None

    def _learn(self, record: JsonObject) -> None:
        """Make the fast way anew where records have had columns that the schema does not name."""
        if not self._learner.learn(record):
            return
        stream_schema = msgspec.structs.replace(self._stream_schema, learned=self._learner.learned)
        try:
            plans = [compile_plan(spec, stream_schema) for spec in self._specs]
        except StreamSchemaError:  # together they are more than one event has
            return
        self._fast_path = _fast_path(stream_schema, plans, self._needed_keys) or self._fast_path

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
                flaw = error.flaw
                if flaw.field == NO_SINGLE_COLUMN:
                    flaw = msgspec.structs.replace(flaw, field=mapping.oversized(record, flaw))
                return Unloadable(flaw, error.insert_id or _insert_id(mapped))
            except UnicodeEncodeError:
                column = column_with_half_a_character({**mapping.columns(record), **record})
                flaw = Flaw("map", "lone_surrogate", column, "holds half a character")
                return Unloadable(flaw, _insert_id(mapped))
            except RecursionError:
                column = deepest_column(record)
                flaw = Flaw("limit", "too_deep", column, "nests too deeply")
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
        if len(body) > EVENT_VALUE_MAX_BYTES or len(event.name) > NAME_SHORT_CHARS:
            self._look_at_size(destination, event, body)
        return Mapped(destination, body, event.insert_id)

    def _look_at_size(self, destination: int, event: Event, body: bytes) -> None:
        """
        Note what of a large event Mixpanel has no room for.

        Raises:
            UnmappableError: It has none for the whole.
        """
        plan = self._mappings[destination].plan
        if len(body) > EVENT_VALUE_MAX_BYTES and isinstance(plan, EventPlan):
            for name in plan.large_values(event.content):
                self._note_left_out(name, LARGE_VALUES)
        flaw = row_flaw(event.name, body)
        if flaw is not None:
            raise UnmappableError(flaw, event.insert_id)


def _deletion(outcome: Unloadable) -> Unloadable:
    """Say of a deletion, which is of its key alone, how it is filtered."""
    flaw = outcome.flaw
    if not flaw.reason.startswith(("missing_", "null_", "schema_")):
        return outcome
    detail = f"{flaw.detail}; it is a deletion, and skip_when: {_DELETED_AT} filters those"
    return msgspec.structs.replace(outcome, flaw=msgspec.structs.replace(flaw, detail=detail))


def _splitter(plan: Plan, stream_schema: StreamSchema) -> Callable[[JsonObject], Values]:
    split = record_splitter(plan.slots)
    return without_blanks(split) if stream_schema.is_blank_null else split


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
    slots = [slot for plan in plans for slot in plan.slots]
    if not all(slot.column.path or slot.beyond is not None for slot in slots):
        return None  # whole records are used
    return ColumnUse(
        frozenset({name for slot in slots for name in slot.column.path[:1]} | {*key_properties}),
        takes_undeclared=any(map(_takes_undeclared, specs)),
    )


def _takes_undeclared(spec: StreamSpec) -> bool:
    properties = spec.properties
    if not isinstance(properties, MatchedColumns) or isinstance(spec, LookupTableSpec):
        return False
    return properties.new_columns != "ignore"


def _fast_path(
    stream_schema: StreamSchema, plans: Sequence[Plan], needed_keys: frozenset[str]
) -> FastPath | None:
    try:
        return FastPath(stream_schema, plans, needed_keys)
    except UntypeableSchemaError:
        return None
