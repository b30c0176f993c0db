"""Whom does a record name, and from where did they act?"""

from collections.abc import Callable
from typing import Final, TypeAlias

from target_mixpanel.mapping.canonical import id_text
from target_mixpanel.mapping.paths import Slots, Values
from target_mixpanel.mapping.refusal import refuse
from target_mixpanel.mapping.sources import Fetch, fetch, fetch_id, source_name
from target_mixpanel.mapping.stream_schema import StreamSchema
from target_mixpanel.specs.spec import (
    Constant,
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
            get = fetch_id(source, stream_schema, f"{spec.place}.distinct_id", slots)
            field = source_name(source, "distinct_id")
            return ("distinct_id",), lambda values: (id_text(get(values), field),)
        case SimplifiedId(user=user, device=device):
            names = ("distinct_id", "$user_id", "$device_id")
            return names, _simplified(user, device, stream_schema, spec.place, slots)


def _simplified(
    user: Source | None,
    device: Source | None,
    stream_schema: StreamSchema,
    place: str,
    slots: Slots,
) -> Identify:
    """Return both ids, with the distinct_id that Mixpanel derives, which its deduplication uses."""
    nobody: Source = Constant(None)
    get_user = fetch_id(user or nobody, stream_schema, f"{place}.user_id", slots)
    get_device = fetch_id(device or nobody, stream_schema, f"{place}.device_id", slots)
    user_field = source_name(user or nobody, "user_id")
    device_field = source_name(device or nobody, "device_id")

    missing_field = device_field if user is None else user_field
    missing = "is null or missing"
    if user is not None and device is not None:
        missing = "and the device's id are null or missing"

    def identify(values: Values) -> tuple[str | None, ...]:
        user_id, device_id = get_user(values), get_device(values)
        if user_id is None and device_id is None:
            refuse("missing_distinct_id", missing_field, missing)
        user_text = "" if user_id is None else id_text(user_id, user_field)
        device_text = "" if device_id is None else id_text(device_id, device_field)
        if device_text.startswith(_DEVICE_PREFIX):
            device_text = id_text(device_text.removeprefix(_DEVICE_PREFIX), device_field)
        distinct_id = user_text
        if not user_text and device_text:
            distinct_id = id_text(f"{_DEVICE_PREFIX}{device_text}", device_field)
        return distinct_id, user_text or None, device_text or None

    return identify


def ip_reader(source: Source, stream_schema: StreamSchema, place: str, slots: Slots) -> Fetch:
    """Compile the address that Mixpanel makes a place of; NO_LOCATION where there is none."""
    get = fetch(source, stream_schema, place, slots)
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
