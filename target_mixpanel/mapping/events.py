"""How does a record become an event?"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date
from typing import Any, Final, TypeAlias

import msgspec

from target_mixpanel.errors import StreamSchemaError, printable
from target_mixpanel.limits import (
    BOOKKEEPING_PROPERTIES,
    EVENT_VALUE_MAX_BYTES,
    IGNORE,
    MAX_PROPERTIES,
    RESERVED_EVENT_PROPERTIES,
)
from target_mixpanel.mapping.canonical import scalar_text
from target_mixpanel.mapping.conditions import Conditions, compile_conditions
from target_mixpanel.mapping.group_ids import group_converter
from target_mixpanel.mapping.identity import NO_LOCATION, Identify, identifier, ip_reader
from target_mixpanel.mapping.identity_events import (
    event_field,
    guard_identity,
    identity_converter,
    possible_events,
)
from target_mixpanel.mapping.insert_id import InsertIdReader, insert_id_reader
from target_mixpanel.mapping.new_columns import NewColumnReader
from target_mixpanel.mapping.pairs import Spread, spread
from target_mixpanel.mapping.paths import ResolvedColumn, Slot, Slots, Values
from target_mixpanel.mapping.patterns import PropertyRules
from target_mixpanel.mapping.properties import (
    ColumnConversion,
    CompiledProperty,
    PropertySources,
    column_converter,
    compile_property,
    constant_value,
    found_converter,
    property_sources,
)
from target_mixpanel.mapping.refusal import UnmappableError, refuse
from target_mixpanel.mapping.sources import Fetch, column_hasher, fetch, source_name
from target_mixpanel.mapping.stream_schema import StreamSchema
from target_mixpanel.mapping.time_columns import refuse_without_instants
from target_mixpanel.mapping.times import TimeReader, refuse_outside_window, time_reader
from target_mixpanel.mapping.values import Converter, encode
from target_mixpanel.model import NO_SINGLE_COLUMN, JsonObject
from target_mixpanel.specs.columns import id_sources
from target_mixpanel.specs.spec import (
    Column,
    Constant,
    DistinctId,
    EventSpec,
    Source,
    StreamName,
    times_of,
)

Conversion: TypeAlias = tuple[int, Converter | None, Any]
"""A property's slot, what to do with its value, and what stands for none."""

_OWN_PROPERTIES: Final = 6
"""time, $insert_id, distinct_id, $user_id, $device_id and ip count as properties, too."""

_RULES: Final = PropertyRules(
    MAX_PROPERTIES - _OWN_PROPERTIES, RESERVED_EVENT_PROPERTIES, BOOKKEEPING_PROPERTIES
)

_ANY_NOW_MS: Final = 253_402_300_800_000
"""The end of the calendar: with it as "now", a constant time is refused only if it is no time."""


class Event(msgspec.Struct, gc=False):
    """An event, with what the loader must know of it."""

    name: str
    time_ms: int
    insert_id: str
    content: Any
    """To be encoded: `{"event": name, "properties": {"time": ms, "$insert_id": …, …}}`"""


class Assembler(msgspec.Struct, frozen=True):
    """Puts together what is encoded as an event."""

    event: Callable[[str, Any], Any]
    """(event's name, its properties) → event."""
    properties: Callable[..., Any]
    """Values in the order compiled, None where there is none → properties."""
    names: Sequence[str]
    """The properties', in that order, as far as no record tells them."""

    def widened(self, properties: Any, more: JsonObject) -> JsonObject:
        """
        Return *properties* with those of *more*.

        Raises:
            UnmappableError: They are too many.
        """
        if type(properties) is dict:
            wide = properties | more
        else:
            values = zip(self.names, msgspec.structs.astuple(properties), strict=True)
            wide = {name: value for name, value in values if value is not None} | more
        if len(wide) > MAX_PROPERTIES:
            detail = f"makes more than {MAX_PROPERTIES} properties of one event; exclude some"
            refuse("too_many_properties", NO_SINGLE_COLUMN, detail, stage="limit")
        return wide


class EventPlan(msgspec.Struct, frozen=True):
    """A stream's mapping compiled against its schema."""

    slots: Sequence[Slot]
    """What `map` wants of a record, in this order; the properties' columns come last."""
    event_name: str | None
    """None: `name_event` finds it in the record."""
    event_field: str
    """What a refusal calls where the name stands."""
    name_event: Fetch
    fetch_time: Fetch
    time_name: str
    read_time: TimeReader
    id_names: tuple[str, ...]
    """The properties that say who did it."""
    identify: Identify
    """Finds their values."""
    read_insert_id: InsertIdReader
    read_ip: Fetch | None
    """None: the ip is the first of the constants."""
    constants: tuple[Any, ...]
    """The values of properties that are the same for every record, encoded."""
    first_property: int
    """The slot of the first property that is a column."""
    conversions: tuple[Conversion, ...]
    """Of those columns that need one."""
    assembler: Assembler
    left_out: Mapping[str, str]
    """Columns that no pattern takes though nobody said so, each with the reason."""
    conditions: Conditions = Conditions()
    new_columns: NewColumnReader | None = None
    """None: no property comes from a column that the schema does not name."""
    ignore_slot: int | None = None
    """Of the property by which Mixpanel would drop the event."""

    def large_values(self, content: Any) -> Iterator[str]:
        """Yield the properties of an event that are lists or objects of too many bytes."""
        is_dict = isinstance(content, dict)
        properties = content["properties"] if is_dict else content.properties
        if type(properties) is dict:
            values: Iterable[tuple[str, Any]] = properties.items()
        else:  # the struct's own names: the fast way may know more than this plan
            names = [field.encode_name for field in msgspec.structs.fields(properties)]
            values = zip(names, msgspec.structs.astuple(properties), strict=True)
        for name, value in values:
            if type(value) in {list, dict} and len(encode(value)) > EVENT_VALUE_MAX_BYTES:
                yield name

    def time_ms(self, values: Values, now_ms: int) -> int | None:
        """Return when it happened, None where that cannot be told."""
        try:
            value = self.fetch_time(values)
            return None if value is None else self.read_time(value, now_ms)
        except UnmappableError:
            return None

    def map(self, values: Values, now_ms: int) -> Event | None:
        """
        Return a record as an event; None if Mixpanel is to ignore it.

        Args:
            values: The record's, by slot; used up.
            now_ms: Mixpanel's time.

        Raises:
            UnmappableError: It has no event; its flaw says why.
            UnicodeEncodeError: A key holds half a character.
            RecursionError: It nests too deeply.
        """
        name = self.event_name or self.name_event(values)
        if type(name) is not str or not name or name.isspace():
            name = event_text(name, self.event_field)
        value = self.fetch_time(values)
        if value is None:
            refuse("missing_time", self.time_name, "is null or missing")
        time_ms = self.read_time(value, now_ms)
        insert_id = self.read_insert_id(values, name, time_ms)
        try:
            refuse_outside_window(time_ms, now_ms, self.time_name)
            ids = self.identify(values)
            ip = () if self.read_ip is None else (self.read_ip(values),)
            for slot, convert, default in self.conversions:
                value = values[slot]
                if value is not None and convert is not None:
                    value = convert(value)
                values[slot] = default if value is None else value
            columns = values[self.first_property :]
            properties = self.assembler.properties(
                time_ms, insert_id, *ids, *ip, *self.constants, *columns
            )
            if self.new_columns is not None:
                more = self.new_columns.converted(values)
                if more:
                    properties = self.assembler.widened(properties, more)
        except UnmappableError as error:
            error.insert_id = insert_id
            raise
        if self.ignore_slot is not None and values[self.ignore_slot]:
            return None
        return Event(name, time_ms, insert_id, self.assembler.event(name, properties))


def event_text(name: Any, field: str) -> str:
    """
    Return the event's name that a number stands for.

    Raises:
        UnmappableError: *name* is none.
    """
    if name is None or type(name) is str:
        refuse("missing_event", field, "is null or blank, and names the event")
    text = None if isinstance(name, (bool, date)) else scalar_text(name, field)
    if text is None:
        refuse("missing_event", field, "is neither a text nor a number, and names the event")
    return text


def compile_events(spec: EventSpec, stream_schema: StreamSchema) -> EventPlan:
    """
    Compile *spec* against a stream's schema.

    Raises:
        StreamSchemaError: The mapping and the schema do not fit; the message says how to mend it.
    """
    place = spec.place
    found = property_sources(spec, spec.properties, _RULES, stream_schema)
    sources = found.sources
    slots = Slots()
    refuse_without_instants(spec.time, stream_schema, f"{place}.time")
    name_event = _event_namer(spec, stream_schema, slots)
    fetch_time = fetch(spec.time, stream_schema, f"{place}.time", slots)
    id_names, identify = identifier(spec, stream_schema, slots)
    read_insert_id = insert_id_reader(spec, stream_schema, slots)
    read_ip = None if spec.ip is None else ip_reader(spec.ip, stream_schema, f"{place}.ip", slots)
    conditions = compile_conditions(spec, stream_schema, slots)
    new_columns = _new_columns(found, spec, stream_schema, slots)
    first_property = len(slots.all)
    constants = _constants(sources, spec, stream_schema)
    columns = {name: source for name, source in sources if isinstance(source, Column)}
    conversions, spreads = _compile_columns(columns, spec, stream_schema, slots)
    ip_name = () if read_ip is None else ("ip",)
    names = ("time", "$insert_id", *id_names, *ip_name, *constants, *columns)
    plan = EventPlan(
        slots=slots.all,
        event_name=_constant_name(spec, stream_schema),
        event_field=event_field(spec),
        name_event=name_event,
        fetch_time=fetch_time,
        time_name=source_name(spec.time, "time"),
        read_time=time_reader(times_of(spec), source_name(spec.time, "time")),
        id_names=id_names,
        identify=identify,
        read_insert_id=read_insert_id,
        read_ip=read_ip,
        constants=tuple(msgspec.Raw(encode(value)) for value in constants.values()),
        first_property=first_property,
        conversions=tuple(made for made in conversions if made[1:] != (None, None)),
        assembler=_spreading_assembler(names, spreads) if spreads else _assembler(names),
        left_out=found.left_out,
        conditions=conditions,
        new_columns=new_columns,
        ignore_slot=dict(zip(columns, conversions, strict=True)).get(IGNORE, (None,))[0],
    )
    _try_constants(plan, spec)
    return plan


def _compile_columns(
    columns: Mapping[str, Column], spec: EventSpec, stream_schema: StreamSchema, slots: Slots
) -> tuple[list[Conversion], dict[str, Spread]]:
    """Return how each column is converted, and those that become properties of their own."""
    conversions: list[Conversion] = []
    spreads: dict[str, Spread] = {}
    for name, column in columns.items():
        made = _property(name, column, spec, stream_schema)
        conversions.append((slots.add(made.column), made.convert, made.default))
        if made.is_pairs:
            spreads[name] = spread(made.column.name, _RULES.reserved | _RULES.never, stream_schema)
    return conversions, spreads


def _assembler(names: Sequence[str]) -> Assembler:
    """
    Return what puts events with properties of these *names* together.

    Structs, whose encoder leaves out what is None, cost a third of a dict without its nulls; names
    that they cannot have take the dict.
    """
    fields = [(f"p{number}", Any, None) for number, _ in enumerate(names)]
    rename = {field: name for (field, _, _), name in zip(fields, names, strict=True)}
    try:
        properties = msgspec.defstruct(
            "Properties", fields, rename=rename, omit_defaults=True, gc=False
        )
    except ValueError:  # a quote, a backslash or a control character
        return Assembler(
            lambda name, content: {"event": name, "properties": content},
            lambda *values: {
                name: value for name, value in zip(names, values, strict=True) if value is not None
            },
            names,
        )
    event = msgspec.defstruct("Event", [("event", str), ("properties", properties)], gc=False)
    return Assembler(event, properties, names)


def _spreading_assembler(names: Sequence[str], spreads: Mapping[str, Spread]) -> Assembler:
    """Return the same where some columns become properties of their own, by names of the record."""

    def properties(*values: Any) -> JsonObject:
        given = {
            name: value for name, value in zip(names, values, strict=True) if value is not None
        }
        made = [(each, given.pop(name)) for name, each in spreads.items() if name in given]
        for each, pairs in made:
            each.add(pairs, given)
        if len(given) > MAX_PROPERTIES:
            detail = f"makes more than {MAX_PROPERTIES} properties of one event"
            column = made[0][0].column if made else NO_SINGLE_COLUMN
            refuse("too_many_properties", column, detail, stage="limit")
        return given

    return Assembler(
        lambda name, content: {"event": name, "properties": content}, properties, names
    )


def _try_constants(plan: EventPlan, spec: EventSpec) -> None:
    """Refuse a time or an id that is the same for every record, and wrong for every one."""
    try:
        own = spec.time.value if isinstance(spec.time, Constant) else spec.time.default
        if own is not None and own is not msgspec.UNSET:
            plan.read_time(own, _ANY_NOW_MS)
    except UnmappableError as error:
        key = "time" if isinstance(spec.time, Constant) else "time.default"
        raise StreamSchemaError(f"{spec.place}.{key}: {error.flaw.detail}") from None
    try:
        if not any(isinstance(source, Column) for source in id_sources(spec)):
            plan.identify([])
    except UnmappableError as error:
        key = "distinct_id" if isinstance(spec.identity, DistinctId) else "user_id"
        raise StreamSchemaError(f"{spec.place}.{key}: {error.flaw.detail}") from None


def _constant_name(spec: EventSpec, stream_schema: StreamSchema) -> str | None:
    """Return the name of all events; None if it differs, is none, or needs a look at the record."""
    if possible_events(spec, stream_schema):
        return None
    match spec.event:
        case StreamName():
            name: Any = stream_schema.stream
        case Constant(value=value):
            name = value
        case Column():
            return None
    return name if isinstance(name, str) and name.strip() else None


def _event_namer(spec: EventSpec, stream_schema: StreamSchema, slots: Slots) -> Fetch:
    match spec.event:
        case StreamName():
            name_event: Fetch = lambda _: stream_schema.stream  # noqa: E731 (as the other case's)
        case Constant() | Column() as source:
            name_event = fetch(source, stream_schema, f"{spec.place}.event_from", slots)
    return guard_identity(name_event, spec, stream_schema, slots)


def _constants(
    sources: Sequence[tuple[str, Source]], spec: EventSpec, stream_schema: StreamSchema
) -> dict[str, Any]:
    """Return the properties that are the same for every record."""
    constants: dict[str, Any] = {"ip": NO_LOCATION} if spec.ip is None else {}
    for name, source in sources:
        if isinstance(source, Constant) and source.value is not None:
            place = f'{spec.place}.properties: "{printable(name)}"'
            convert = identity_converter(spec, stream_schema, name, source) or group_converter(
                name, "value", stream_schema
            )
            constants[name] = constant_value(source.value, place, convert)
    return constants


def _property(
    name: str, column: Column, spec: EventSpec, stream_schema: StreamSchema
) -> CompiledProperty:
    conversion = _conversion(name, column, spec, stream_schema)
    place = f"{spec.place}.properties"
    return compile_property(name, column, conversion, stream_schema, place, times_of(spec))


def _new_columns(
    found: PropertySources, spec: EventSpec, stream_schema: StreamSchema, slots: Slots
) -> NewColumnReader | None:
    if found.new_columns is None:
        return None

    def converter_of(name: str, column: Column, resolved: ResolvedColumn) -> Converter | None:
        conversion = _conversion(name, column, spec, stream_schema)
        return found_converter(column, resolved, conversion, stream_schema, times_of(spec))

    return NewColumnReader(found.new_columns, converter_of, stream_schema, slots)


def _conversion(
    name: str, column: Column, spec: EventSpec, stream_schema: StreamSchema
) -> ColumnConversion:
    place = f"{spec.place}.properties"
    # An identity event's ids are ids, whatever their columns hold.
    convert_id = identity_converter(spec, stream_schema, name, column)

    convert_group = group_converter(name, "value", stream_schema)

    def converter_of(found: ResolvedColumn) -> Converter | None:
        hashed = None
        if column.is_hashed:
            hashed = column_hasher(column, stream_schema, place, found.name)
        return (
            group_converter(name, found.name, stream_schema, hashed)
            or hashed
            or convert_id
            or column_converter(found, stream_schema, times_of(spec))
        )

    return ColumnConversion(converter_of, convert_id or convert_group)
