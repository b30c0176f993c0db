"""Whom does a record name, and from where did they act?"""

from collections.abc import Callable
from ipaddress import ip_address
from socket import AF_INET, inet_pton
from typing import Any, Final, TypeAlias

from target_mixpanel.mapping.blanks import trimmed
from target_mixpanel.mapping.ids import NOBODY, IdReader, id_reader, id_text
from target_mixpanel.mapping.paths import Slots, Values
from target_mixpanel.mapping.refusal import UnmappableError, refuse
from target_mixpanel.mapping.sources import Fetch, fetch, source_name
from target_mixpanel.mapping.stream_schema import DroppedId, StreamSchema
from target_mixpanel.specs.spec import (
    DistinctId,
    EventSpec,
    SimplifiedId,
    Source,
    UserSpec,
)

Identify: TypeAlias = Callable[[Values], tuple[str | None, ...]]
"""A record's values → who did it: the distinct_id, first, and what else names them."""

NO_LOCATION: Final = 0
"""Sent as `ip` where none is mapped, so that the loader's own address never becomes a city."""

_DEVICE_PREFIX: Final = "$device:"
"""Begins the distinct_id that Mixpanel derives for a device of which no user is known."""


def identifier(
    spec: EventSpec | UserSpec,
    stream_schema: StreamSchema,
    slots: Slots,
) -> tuple[tuple[str, ...], Identify]:
    """Return the names of the properties that say who did it, and what finds their values."""
    match spec.identity:
        case DistinctId(source=source):
            read = id_reader(source, stream_schema, f"{spec.place}.distinct_id", slots)
            field = source_name(source, "distinct_id")
            return ("distinct_id",), _needed(read, field)
        case SimplifiedId(user=user, device=device):
            names = ("distinct_id", "$user_id", "$device_id")
            return names, _simplified(user, device, stream_schema, spec.place, slots)


def _needed(read: IdReader, field: str) -> Identify:
    def identify(values: Values) -> tuple[str | None, ...]:
        user = read(values)
        if user is None:
            refuse(
                "missing_distinct_id",
                field,
                "is null, blank or missing, and the mapping has no default",
            )
        return (user,)

    return identify


def _simplified(
    user: Source | None,
    device: Source | None,
    stream_schema: StreamSchema,
    place: str,
    slots: Slots,
) -> Identify:
    """Return both ids, with the distinct_id that Mixpanel derives, which its deduplication uses."""
    user_field, read_user = _id_of(user, stream_schema, place, "user_id", slots)
    device_field, read_id = _id_of(device, stream_schema, place, "device_id", slots)
    read_device = _device_reader(read_id, device_field)
    drop = stream_schema.on_dropped_id

    missing_field = device_field if user is None else user_field
    missing = "is null, blank or missing"
    if user is not None and device is not None:
        missing = "and the device's id are null, blank or missing"

    def identify(values: Values) -> tuple[str | None, ...]:
        try:
            user_id = read_user(values)
        except UnmappableError:
            distinct_id, device_id = read_device(values)
            if not device_id:
                raise
            drop(DroppedId(user_field, is_meant=False))
            return distinct_id, None, device_id
        try:
            distinct_id, device_id = read_device(values)
        except UnmappableError:
            if not user_id:
                raise
            drop(DroppedId(device_field, is_meant=False))
            return user_id, user_id, None
        if user_id is None and distinct_id is None:
            refuse("missing_distinct_id", missing_field, missing)
        return user_id or distinct_id or NOBODY, user_id or None, device_id or None

    return identify


def _id_of(
    source: Source | None, stream_schema: StreamSchema, place: str, key: str, slots: Slots
) -> tuple[str, IdReader]:
    if source is None:
        return key, lambda _: None
    return source_name(source, key), id_reader(source, stream_schema, f"{place}.{key}", slots)


def _device_reader(
    read_id: IdReader, field: str
) -> Callable[[Values], tuple[str | None, str | None]]:
    """Return what finds a device's id, after the distinct_id that it has without a user."""

    def read(values: Values) -> tuple[str | None, str | None]:
        device = read_id(values)
        if device and device.startswith(_DEVICE_PREFIX):
            device = id_text(device.removeprefix(_DEVICE_PREFIX), field)
        if not device:
            return device, device
        return id_text(f"{_DEVICE_PREFIX}{device}", field), device

    return read


def ip_reader(source: Source, stream_schema: StreamSchema, place: str, slots: Slots) -> Fetch:
    """Compile the address that Mixpanel makes a place of; NO_LOCATION where there is none."""
    get = fetch(source, stream_schema, place, slots)
    return lambda values: _address(get(values))


def _address(value: Any) -> str | int:
    """Return the first address of a value, NO_LOCATION where there is none."""
    if type(value) is list:
        value = value[0] if value else None
    if type(value) is not str:
        # For none Mixpanel would look up the address that the request came from.
        return NO_LOCATION
    try:
        inet_pton(AF_INET, value)
    except (OSError, ValueError):
        return _first_address(value)
    return value


def _first_address(text: str) -> str | int:
    """Cut what proxies, databases and logs write around an address: others, a mask, a port."""
    first = trimmed(text.partition(",")[0]).partition("/")[0]
    if first.startswith("["):
        first = first[1:].partition("]")[0]
    elif first.count(":") == 1:
        first = first.partition(":")[0]
    try:
        ip_address(first)
    except ValueError:
        return NO_LOCATION
    return first
