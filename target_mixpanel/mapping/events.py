"""How does a record become an event?"""

from collections.abc import Callable
from typing import Any, Final, TypeAlias

import msgspec

from target_mixpanel.errors import StreamSchemaError, printable
from target_mixpanel.limits import MAX_PROPERTIES, RESERVED_EVENT_PROPERTIES
from target_mixpanel.mapping.flaws import UnmappableError, refuse
from target_mixpanel.mapping.identity import InsertIdReader, id_text, insert_id_reader
from target_mixpanel.mapping.identity_events import guard_identity, identity_converter
from target_mixpanel.mapping.paths import ResolvedColumn, getter
from target_mixpanel.mapping.properties import (
    Conversion,
    PropertyRules,
    column_converter,
    compile_property,
    constant_value,
    property_sources,
)
from target_mixpanel.mapping.shape import StreamShape
from target_mixpanel.mapping.sources import (
    Fetch,
    column_hasher,
    fetch,
    fetch_id,
    source_name,
)
from target_mixpanel.mapping.times import TimeReader, refuse_outside_window, time_reader
from target_mixpanel.mapping.values import Converter
from target_mixpanel.model import JsonObject
from target_mixpanel.specs import (
    Column,
    Constant,
    DistinctId,
    EventSpec,
    SimplifiedId,
    Source,
    StreamName,
    UserSpec,
)

Event: TypeAlias = JsonObject
"""`{"event": name, "properties": {"time": ms, "$insert_id": …, "distinct_id": …, …}}`"""

Property: TypeAlias = tuple[str, Any, Any, Converter | None]
"""Property's name, column's name or getter, default, converter."""

NO_LOCATION: Final = 0
"""Sent as `ip` where none is mapped, so that the loader's own address never becomes a city."""

_OWN_PROPERTIES: Final = 6
"""time, $insert_id, distinct_id, $user_id, $device_id and ip count as properties, too."""

_RULES: Final = PropertyRules(MAX_PROPERTIES - _OWN_PROPERTIES, RESERVED_EVENT_PROPERTIES)

_DEVICE_PREFIX: Final = "$device:"

_ANY_NOW_MS: Final = 253_402_300_800_000
"""The end of the calendar: with it as "now", a constant time is refused only if it is no time."""


class EventPlan(msgspec.Struct, frozen=True):
    """A stream's mapping compiled against its schema."""

    name_event: Fetch
    fetch_time: Fetch
    time_name: str
    read_time: TimeReader
    identify: Callable[[JsonObject], JsonObject]
    read_insert_id: InsertIdReader
    read_ip: Fetch | None
    """None: the ip is among the constants."""
    constants: JsonObject
    flat: tuple[Property, ...]
    """Properties from a column of the record, by the column's name."""
    nested: tuple[Property, ...]
    """Properties from further down, by a getter."""
    left_out: tuple[str, ...]
    """Columns that "*" does not take though nobody excluded them."""

    def map(self, record: JsonObject, now_ms: int) -> Event:
        """
        Return *record* as an event.

        Raises:
            UnmappableError: It has no event; its flaw says why.
        """
        event = self.name_event(record)
        if type(event) is not str or not event or event.isspace():
            refuse("missing_event", detail="is null, blank or no text")
        insert_id = self.read_insert_id(record, event)
        try:
            value = self.fetch_time(record)
            if value is None:
                refuse("missing_time", self.time_name, "is null or missing")
            time_ms = self.read_time(value, now_ms)
            refuse_outside_window(time_ms, now_ms)
            properties = {"time": time_ms, "$insert_id": insert_id}
            properties.update(self.identify(record))
            properties.update(self.constants)
            if self.read_ip is not None:
                properties["ip"] = self.read_ip(record)
            self._add_columns(properties, record)
        except UnmappableError as error:
            error.insert_id = insert_id
            raise
        return {"event": event, "properties": properties}

    def _add_columns(self, properties: JsonObject, record: JsonObject) -> None:
        get = record.get
        for name, column, default, convert in self.flat:
            value = get(column)
            if value is not None:
                properties[name] = value if convert is None else convert(value)
            elif default is not None:
                properties[name] = default
        for name, get_nested, default, convert in self.nested:
            value = get_nested(record)
            if value is not None:
                properties[name] = value if convert is None else convert(value)
            elif default is not None:
                properties[name] = default


def compile_events(spec: EventSpec, shape: StreamShape) -> EventPlan:
    """
    Compile *spec* against a stream's schema.

    Raises:
        StreamSchemaError: The mapping and the schema do not fit; the message says how to mend it.
    """
    place = spec.place
    sources, left_out = property_sources(
        spec.properties,
        _own_sources(spec),
        _RULES,
        shape,
        place,
    )
    compiled = [
        _property(name, source, spec, shape)
        for name, source in sources
        if isinstance(source, Column)
    ]
    constants: JsonObject = {"ip": NO_LOCATION}
    for name, source in sources:
        if isinstance(source, Constant) and source.value is not None:
            constants[name] = constant_value(
                source.value,
                f'{place}.properties: "{printable(name)}"',
                identity_converter(spec, shape, name, source),
            )
    plan = EventPlan(
        name_event=_event_namer(spec, shape),
        fetch_time=fetch(spec.time, shape, f"{place}.time"),
        time_name=source_name(spec.time, "time"),
        read_time=time_reader(spec.time_unit, spec.timezone),
        identify=identifier(spec, shape),
        read_insert_id=insert_id_reader(spec, shape),
        read_ip=None if spec.ip is None else ip_reader(spec.ip, shape, f"{place}.ip"),
        constants=constants,
        flat=tuple(made for made in compiled if isinstance(made[1], str)),
        nested=tuple(made for made in compiled if not isinstance(made[1], str)),
        left_out=left_out,
    )
    _try_constants(plan, spec)
    return plan


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
            plan.identify({})
    except UnmappableError as error:
        key = msgspec.structs.fields(spec.identity)[0].name
        key = "distinct_id" if key == "source" else "user_id"
        raise StreamSchemaError(f"{spec.place}.{key}: {error.flaw.detail}") from None


def ip_reader(source: Source, shape: StreamShape, place: str) -> Fetch:
    """Compile the address that Mixpanel makes a place of; NO_LOCATION where there is none."""
    get = fetch(source, shape, place)
    field = source_name(source, "ip")

    def read(record: JsonObject) -> str | int:
        ip = get(record)
        if type(ip) is str:
            # For a blank one Mixpanel would look up the address that the request came from.
            return NO_LOCATION if not ip or ip.isspace() else ip
        if ip is None or (ip == NO_LOCATION and type(ip) is int):
            return NO_LOCATION
        return refuse("invalid_ip", field, "is not a text")

    return read


def _event_namer(spec: EventSpec, shape: StreamShape) -> Fetch:
    match spec.event:
        case StreamName():
            return guard_identity(lambda _: shape.stream, spec, shape)
        case Constant() | Column() as source:
            return guard_identity(fetch(source, shape, f"{spec.place}.event_from"), spec, shape)


def identifier(
    spec: EventSpec | UserSpec, shape: StreamShape
) -> Callable[[JsonObject], JsonObject]:
    """Compile whom a record names, as the properties of an event that say so."""
    match spec.identity:
        case DistinctId(source=source):
            get = fetch_id(source, shape, f"{spec.place}.distinct_id")
            field = source_name(source, "distinct_id")
            return lambda record: {"distinct_id": id_text(get(record), field)}
        case SimplifiedId(user=user, device=device):
            return _simplified(user, device, shape, spec.place)


def _simplified(
    user: Source | None,
    device: Source | None,
    shape: StreamShape,
    place: str,
) -> Callable[[JsonObject], JsonObject]:
    """Return both ids, with the distinct_id that Mixpanel derives, which its deduplication uses."""
    nobody: Source = Constant(None)
    get_user = fetch_id(user or nobody, shape, f"{place}.user_id")
    get_device = fetch_id(device or nobody, shape, f"{place}.device_id")
    user_field = source_name(user or nobody, "user_id")
    device_field = source_name(device or nobody, "device_id")

    def identify(record: JsonObject) -> JsonObject:
        user_id, device_id = get_user(record), get_device(record)
        if user_id is None and device_id is None:
            refuse("missing_distinct_id", user_field, "and the device's id are null or missing")
        user_text = "" if user_id is None else id_text(user_id, user_field)
        device_text = "" if device_id is None else id_text(device_id, device_field)
        if device_text.startswith(_DEVICE_PREFIX):
            device_text = id_text(device_text.removeprefix(_DEVICE_PREFIX), device_field)
        ids = {"distinct_id": user_text}
        if not user_text and device_text:
            ids["distinct_id"] = id_text(f"{_DEVICE_PREFIX}{device_text}", device_field)
        if user_text:
            ids["$user_id"] = user_text
        if device_text:
            ids["$device_id"] = device_text
        return ids

    return identify


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


def _property(name: str, column: Column, spec: EventSpec, shape: StreamShape) -> Property:
    place = f"{spec.place}.properties"
    # An identity event's ids are ids, whatever their columns hold.
    convert_id = identity_converter(spec, shape, name, column)

    def converter_of(found: ResolvedColumn) -> Converter | None:
        if column.is_hashed:
            return column_hasher(shape, place)
        return convert_id or column_converter(found, shape, spec.timezone)

    made = compile_property(name, column, Conversion(converter_of, convert_id), shape, place)
    where = made.path[0] if len(made.path) == 1 else getter(made.path)
    return name, where, made.default, made.convert
