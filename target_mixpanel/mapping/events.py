"""How does a record become an event?"""

from collections.abc import Callable, Sequence
from datetime import date
from typing import Any, Final, TypeAlias

import msgspec

from target_mixpanel.errors import StreamSchemaError, printable
from target_mixpanel.limits import MAX_PROPERTIES, RESERVED_EVENT_PROPERTIES
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
from target_mixpanel.mapping.paths import ResolvedColumn, Slot, Slots, Values
from target_mixpanel.mapping.properties import (
    ColumnConversion,
    PropertyRules,
    column_converter,
    compile_property,
    constant_value,
    property_sources,
)
from target_mixpanel.mapping.refusal import UnmappableError, refuse
from target_mixpanel.mapping.sources import Fetch, column_hasher, fetch, source_name
from target_mixpanel.mapping.stream_schema import StreamSchema
from target_mixpanel.mapping.times import TimeReader, refuse_outside_window, time_reader
from target_mixpanel.mapping.values import Converter, encode
from target_mixpanel.specs.columns import id_sources
from target_mixpanel.specs.spec import (
    Column,
    Constant,
    DistinctId,
    EventSpec,
    Source,
    StreamName,
)

Conversion: TypeAlias = tuple[int, Converter | None, Any]
"""A property's slot, what to do with its value, and what stands for none."""

_OWN_PROPERTIES: Final = 6
"""time, $insert_id, distinct_id, $user_id, $device_id and ip count as properties, too."""

_RULES: Final = PropertyRules(MAX_PROPERTIES - _OWN_PROPERTIES, RESERVED_EVENT_PROPERTIES)

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


class EventPlan(msgspec.Struct, frozen=True):
    """A stream's mapping compiled against its schema."""

    slots: Sequence[Slot]
    """What `map` wants of a record, in this order; the properties' columns come last."""
    event_name: str | None
    """None: `name_event` finds it in the record."""
    name_event: Fetch
    event_field: str
    """What a refusal calls where the name stands."""
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
    left_out: tuple[str, ...]
    """Columns that "*" does not take though nobody excluded them."""
    conditions: Conditions = Conditions()

    def time_ms(self, values: Values, now_ms: int) -> int | None:
        """Return when it happened, None where that cannot be told."""
        try:
            value = self.fetch_time(values)
            return None if value is None else self.read_time(value, now_ms)
        except UnmappableError:
            return None

    def map(self, values: Values, now_ms: int) -> Event:
        """
        Return a record as an event.

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
            refuse_outside_window(time_ms, now_ms)
            ids = self.identify(values)
            ip = () if self.read_ip is None else (self.read_ip(values),)
            for slot, convert, default in self.conversions:
                value = values[slot]
                if value is None:
                    values[slot] = default
                elif convert is not None:
                    values[slot] = convert(value)
        except UnmappableError as error:
            error.insert_id = insert_id
            raise
        columns = values[self.first_property :]
        properties = self.assembler.properties(
            time_ms, insert_id, *ids, *ip, *self.constants, *columns
        )
        return Event(name, time_ms, insert_id, self.assembler.event(name, properties))


def event_text(name: Any, field: str) -> str:
    """
    Return the event's name that a number stands for.

    Raises:
        UnmappableError: *name* is none.
    """
    if name is None or type(name) is str:
        refuse("missing_event", field, "is null or blank, and names the event")
    text = None if isinstance(name, (bool, date)) else scalar_text(name)
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
    sources, left_out = property_sources(spec, spec.properties, _RULES, stream_schema)
    slots = Slots()
    name_event = _event_namer(spec, stream_schema, slots)
    fetch_time = fetch(spec.time, stream_schema, f"{place}.time", slots)
    id_names, identify = identifier(spec, stream_schema, slots)
    read_insert_id = insert_id_reader(spec, stream_schema, slots)
    read_ip = None if spec.ip is None else ip_reader(spec.ip, stream_schema, f"{place}.ip", slots)
    conditions = compile_conditions(spec, stream_schema, slots)
    first_property = len(slots.all)
    constants = _constants(sources, spec, stream_schema)
    columns = {name: source for name, source in sources if isinstance(source, Column)}
    conversions = [_conversion(name, columns[name], spec, stream_schema, slots) for name in columns]
    ip_name = () if read_ip is None else ("ip",)
    names = ("time", "$insert_id", *id_names, *ip_name, *constants, *columns)
    plan = EventPlan(
        slots=slots.all,
        event_name=_constant_name(spec, stream_schema),
        name_event=name_event,
        event_field=event_field(spec),
        fetch_time=fetch_time,
        time_name=source_name(spec.time, "time"),
        read_time=time_reader(spec.time_unit, spec.timezone),
        id_names=id_names,
        identify=identify,
        read_insert_id=read_insert_id,
        read_ip=read_ip,
        constants=tuple(msgspec.Raw(encode(value)) for value in constants.values()),
        first_property=first_property,
        conversions=tuple(made for made in conversions if made[1:] != (None, None)),
        assembler=_assembler(names),
        left_out=left_out,
        conditions=conditions,
    )
    _try_constants(plan, spec)
    return plan


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
        )
    event = msgspec.defstruct("Event", [("event", str), ("properties", properties)], gc=False)
    return Assembler(event, properties)


def _try_constants(plan: EventPlan, spec: EventSpec) -> None:
    """Refuse a time or an id that is the same for every record, and wrong for every one."""
    try:
        if isinstance(spec.time, Constant):
            plan.read_time(spec.time.value, _ANY_NOW_MS)
    except UnmappableError as error:
        raise StreamSchemaError(f"{spec.place}.time: {error.flaw.detail}") from None
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


def _conversion(
    name: str,
    column: Column,
    spec: EventSpec,
    stream_schema: StreamSchema,
    slots: Slots,
) -> Conversion:
    place = f"{spec.place}.properties"
    # An identity event's ids are ids, whatever their columns hold.
    convert_id = identity_converter(spec, stream_schema, name, column)

    convert_group = group_converter(name, "value", stream_schema)

    def converter_of(found: ResolvedColumn) -> Converter | None:
        hashed = column_hasher(stream_schema, place) if column.is_hashed else None
        return (
            group_converter(name, found.name, stream_schema, hashed)
            or hashed
            or convert_id
            or column_converter(found, stream_schema, spec.timezone)
        )

    conversion = ColumnConversion(converter_of, convert_id or convert_group)
    made = compile_property(name, column, conversion, stream_schema, place)
    return slots.add(made.column), made.convert, made.default
