"""How does a record become an event?"""

from collections.abc import Callable, Sequence
from datetime import UTC
from typing import Any, Final, TypeAlias

import msgspec

from target_mixpanel.errors import StreamSchemaError, printable
from target_mixpanel.limits import MAX_PROPERTIES, NAME_MAX_CHARS
from target_mixpanel.mapping.flaws import UnmappableError, refuse
from target_mixpanel.mapping.identity import InsertIdReader, id_text, insert_id_reader
from target_mixpanel.mapping.paths import Slot, Slots, Values, resolve
from target_mixpanel.mapping.shape import StreamShape
from target_mixpanel.mapping.sources import (
    Fetch,
    choose_columns,
    column_hasher,
    fetch,
    fetch_id,
    source_name,
    top_level_columns,
)
from target_mixpanel.mapping.times import TimeReader, refuse_outside_window, time_reader
from target_mixpanel.mapping.values import Converter, converter
from target_mixpanel.model import JsonObject
from target_mixpanel.specs import (
    AllColumns,
    Column,
    Constant,
    DistinctId,
    EventSpec,
    NamedProperties,
    SimplifiedId,
    Source,
    StreamName,
)

Conversion: TypeAlias = tuple[int, Converter | None, Any]
"""A property's slot, what to do with its value, and what stands for none."""

Identify: TypeAlias = Callable[[Values], tuple[str | None, ...]]
"""A record's values → who did it."""

Assemble: TypeAlias = Callable[..., Any]
"""Makes what is encoded as an event of its name, its properties' values in the order compiled."""

NO_LOCATION: Final = 0
"""Sent as `ip` where none is mapped, so that the loader's own address never becomes a city."""

_OWN_PROPERTIES: Final = 6
"""time, $insert_id, distinct_id, $user_id, $device_id and ip count as properties, too."""

_DEVICE_PREFIX: Final = "$device:"

_encode: Final = msgspec.json.Encoder(decimal_format="number").encode

_ANY_NOW_MS: Final = 253_402_300_800_000
"""The end of the calendar: with it as "now", a constant time is refused only if it is no time."""


class Event(msgspec.Struct, gc=False):
    """An event, with what the loader must know of it."""

    name: str
    time_ms: int
    insert_id: str
    content: Any
    """To be encoded: `{"event": name, "properties": {"time": ms, "$insert_id": …, …}}`"""


class EventPlan(msgspec.Struct, frozen=True):
    """A stream's mapping compiled against its schema."""

    slots: Sequence[Slot]
    """What `map` wants of a record, in this order; the properties' columns come last."""
    event_name: str | None
    """None: `name_event` finds it in the record."""
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
    assemble: Assemble
    left_out: tuple[str, ...]
    """Columns that "*" does not take though nobody excluded them."""

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
            refuse("missing_event", detail="is null, blank or no text")
        insert_id = self.read_insert_id(values, name)
        try:
            value = self.fetch_time(values)
            if value is None:
                refuse("missing_time", self.time_name, "is null or missing")
            time_ms = self.read_time(value, now_ms)
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
        content = self.assemble(name, time_ms, insert_id, *ids, *ip, *self.constants, *columns)
        return Event(name, time_ms, insert_id, content)


def compile_events(spec: EventSpec, shape: StreamShape) -> EventPlan:
    """
    Compile *spec* against a stream's schema.

    Raises:
        StreamSchemaError: The mapping and the schema do not fit; the message says how to mend it.
    """
    place = spec.place
    sources, left_out = _property_sources(spec, shape)
    slots = Slots()
    name_event = _event_namer(spec, shape, slots)
    fetch_time = fetch(spec.time, shape, f"{place}.time", slots)
    id_names, identify = _identifier(spec, shape, slots)
    read_insert_id = insert_id_reader(spec, shape, slots)
    read_ip = None if spec.ip is None else _ip_reader(spec.ip, shape, f"{place}.ip", slots)
    first_property = len(slots.all)
    constants: JsonObject = {"ip": NO_LOCATION} if read_ip is None else {}
    constants |= {
        name: _constant(source.value, f'{place}.properties: "{printable(name)}"')
        for name, source in sources
        if isinstance(source, Constant) and source.value is not None
    }
    columns = {name: source for name, source in sources if isinstance(source, Column)}
    conversions = [_conversion(name, columns[name], spec, shape, slots) for name in columns]
    ip_name = () if read_ip is None else ("ip",)
    names = ("time", "$insert_id", *id_names, *ip_name, *constants, *columns)
    plan = EventPlan(
        slots=slots.all,
        event_name=_constant_name(spec, shape),
        name_event=name_event,
        fetch_time=fetch_time,
        time_name=source_name(spec.time, "time"),
        read_time=time_reader(spec.time_unit, spec.timezone),
        id_names=id_names,
        identify=identify,
        read_insert_id=read_insert_id,
        read_ip=read_ip,
        constants=tuple(msgspec.Raw(_encode(value)) for value in constants.values()),
        first_property=first_property,
        conversions=tuple(made for made in conversions if made[1:] != (None, None)),
        assemble=_assembler(names),
        left_out=left_out,
    )
    _try_constants(plan, spec)
    return plan


def _assembler(names: Sequence[str]) -> Assemble:
    """
    Return what puts an event together: a struct's type, whose encoder leaves out what is None.

    That costs a third of a dict without its nulls. Names that a struct cannot have take the dict.
    """
    fields = [(f"p{number}", Any, None) for number, _ in enumerate(names)]
    rename = {field: name for (field, _, _), name in zip(fields, names, strict=True)}
    try:
        properties = msgspec.defstruct(
            "Properties", fields, rename=rename, omit_defaults=True, gc=False
        )
    except ValueError:  # a quote, a backslash or a control character

        def assemble(event: str, *values: Any) -> JsonObject:
            pairs = zip(names, values, strict=True)
            return {
                "event": event,
                "properties": {name: value for name, value in pairs if value is not None},
            }

        return assemble
    event = msgspec.defstruct("Event", [("event", str), ("properties", properties)], gc=False)
    return lambda name, *values: event(name, properties(*values))


def _constant(value: Any, place: str) -> Any:
    """Return a value from the configuration as Mixpanel gets it."""
    convert = converter({}, {}, UTC, "value", is_schema_enforced=False)
    try:
        return value if convert is None else convert(value)
    except UnmappableError as error:
        raise StreamSchemaError(f"{place}: {error.flaw.detail}") from None


def _try_constants(plan: EventPlan, spec: EventSpec) -> None:
    """Refuse a time or an id that is the same for every record, and wrong for every one."""
    try:
        if isinstance(spec.time, Constant):
            plan.read_time(spec.time.value, _ANY_NOW_MS)
    except UnmappableError as error:
        raise StreamSchemaError(f"{spec.place}.time: {error.flaw.detail}") from None
    ids = msgspec.structs.astuple(spec.identity)
    try:
        if all(source is None or isinstance(source, Constant) for source in ids):
            plan.identify([])
    except UnmappableError as error:
        key = msgspec.structs.fields(spec.identity)[0].name
        key = "distinct_id" if key == "source" else "user_id"
        raise StreamSchemaError(f"{spec.place}.{key}: {error.flaw.detail}") from None


def _ip_reader(source: Source, shape: StreamShape, place: str, slots: Slots) -> Fetch:
    get = fetch(source, shape, place, slots)
    field = source_name(source, "ip")

    def read(values: Values) -> str | int:
        ip = get(values)
        if type(ip) is str:
            # For a blank one Mixpanel would look up the address that the request came from.
            return NO_LOCATION if not ip or ip.isspace() else ip
        if ip is None or (ip == NO_LOCATION and type(ip) is int):
            return NO_LOCATION
        return refuse("invalid_ip", field, "is not a text")

    return read


def _constant_name(spec: EventSpec, shape: StreamShape) -> str | None:
    """Return the name of all events, None if it differs, or is none that an event can have."""
    match spec.event:
        case StreamName():
            name: Any = shape.stream
        case Constant(value=value):
            name = value
        case Column():
            return None
    return name if isinstance(name, str) and name.strip() else None


def _event_namer(spec: EventSpec, shape: StreamShape, slots: Slots) -> Fetch:
    match spec.event:
        case StreamName():
            return lambda _: shape.stream
        case Constant() | Column() as source:
            return fetch(source, shape, f"{spec.place}.event_from", slots)


def _identifier(
    spec: EventSpec,
    shape: StreamShape,
    slots: Slots,
) -> tuple[tuple[str, ...], Identify]:
    """Return the names of the properties that say who did it, and what finds their values."""
    match spec.identity:
        case DistinctId(source=source):
            get = fetch_id(source, shape, f"{spec.place}.distinct_id", slots)
            field = source_name(source, "distinct_id")
            return ("distinct_id",), lambda values: (id_text(get(values), field),)
        case SimplifiedId(user=user, device=device):
            names = ("distinct_id", "$user_id", "$device_id")
            return names, _simplified(user, device, shape, spec.place, slots)


def _simplified(
    user: Source | None,
    device: Source | None,
    shape: StreamShape,
    place: str,
    slots: Slots,
) -> Identify:
    """Return both ids, with the distinct_id that Mixpanel derives, which its deduplication uses."""
    nobody: Source = Constant(None)
    get_user = fetch_id(user or nobody, shape, f"{place}.user_id", slots)
    get_device = fetch_id(device or nobody, shape, f"{place}.device_id", slots)
    user_field = source_name(user or nobody, "user_id")
    device_field = source_name(device or nobody, "device_id")

    def identify(values: Values) -> tuple[str | None, ...]:
        user_id, device_id = get_user(values), get_device(values)
        if user_id is None and device_id is None:
            refuse("missing_distinct_id", user_field, "and the device's id are null or missing")
        user_text = "" if user_id is None else id_text(user_id, user_field)
        device_text = "" if device_id is None else id_text(device_id, device_field)
        if device_text.startswith(_DEVICE_PREFIX):
            device_text = id_text(device_text.removeprefix(_DEVICE_PREFIX), device_field)
        distinct_id = user_text
        if not user_text and device_text:
            distinct_id = id_text(f"{_DEVICE_PREFIX}{device_text}", device_field)
        return distinct_id, user_text or None, device_text or None

    return identify


def _property_sources(
    spec: EventSpec,
    shape: StreamShape,
) -> tuple[tuple[tuple[str, Source], ...], tuple[str, ...]]:
    """Return each property with its source, and the columns left out."""
    match spec.properties:
        case NamedProperties(sources=sources):
            left_out: tuple[str, ...] = ()
        case AllColumns(exclude=exclude):
            taken, left_out = choose_columns(
                shape,
                exclude,
                top_level_columns(_own_sources(spec)),
                f"{spec.place}.exclude",
            )
            sources = tuple((name, Column((name,))) for name in taken)
    most = MAX_PROPERTIES - _OWN_PROPERTIES
    if len(sources) > most:
        raise StreamSchemaError(
            f"{spec.place}.properties: are {len(sources)}, and Mixpanel takes at most {most} "
            "beside its own; name the columns you need",
        )
    for name, _ in sources:
        if len(name) > NAME_MAX_CHARS:
            raise StreamSchemaError(
                f"{spec.place}.properties: a name has {len(name)} characters, and Mixpanel cuts "
                f"names at {NAME_MAX_CHARS}; give it a shorter one in a map",
            )
    return sources, left_out


def _own_sources(spec: EventSpec) -> list[Source | None]:
    """Return the sources whose columns "*" does not take a second time."""
    own: list[Source | None] = [spec.time, spec.ip]
    if not isinstance(spec.event, StreamName):
        own.append(spec.event)
    match spec.identity:
        case DistinctId(source=source):
            own.append(source)
        case SimplifiedId(user=user, device=device):
            own += [user, device]
    return own


def _conversion(
    name: str,
    column: Column,
    spec: EventSpec,
    shape: StreamShape,
    slots: Slots,
) -> Conversion:
    place = f"{spec.place}.properties"
    found = resolve(column.path, shape.schema, place)
    convert = (
        column_hasher(shape, place)
        if column.is_hashed
        else converter(
            found.schema,
            shape.schema,
            spec.timezone,
            found.name,
            is_schema_enforced=shape.is_schema_enforced,
        )
    )
    default = None
    if column.default is not msgspec.UNSET and column.default is not None:
        default = _constant(column.default, f'{place}: the default of "{printable(name)}"')
    return slots.add(found), convert, default
