"""Where on earth is a user, by a record's latitude and longitude?"""

from collections.abc import Callable
from decimal import Decimal
from typing import Any, Final, TypeAlias

from target_mixpanel.mapping.paths import Slots, Values
from target_mixpanel.mapping.refusal import refuse
from target_mixpanel.mapping.sources import Fetch, fetch, source_name
from target_mixpanel.mapping.stream_schema import StreamSchema
from target_mixpanel.model import JsonObject
from target_mixpanel.specs.spec import Place, Source

PlaceReader: TypeAlias = Callable[[Values], JsonObject]
"""A record's values → the part of an update that says where; empty where the record does not."""

_LARGEST: Final = {"latitude": 90.0, "longitude": 180.0}
"""Degrees, to either side."""


def place_reader(
    place: Place, stream_schema: StreamSchema, mapping_place: str, slots: Slots
) -> PlaceReader:
    """
    Compile what becomes `$latitude` and `$longitude`; of one without the other nothing does.

    Raises:
        StreamSchemaError: The schema has no such column.
    """
    latitude, longitude = (
        _degrees(source, key, stream_schema, f"{mapping_place}.{key}", slots)
        for key, source in (("latitude", place.latitude), ("longitude", place.longitude))
    )

    def read(values: Values) -> JsonObject:
        here = {"$latitude": latitude(values), "$longitude": longitude(values)}
        return {} if None in here.values() else here

    return read


def _degrees(
    source: Source, key: str, stream_schema: StreamSchema, place: str, slots: Slots
) -> Fetch:
    get = fetch(source, stream_schema, place, slots)
    field = source_name(source, key)
    largest = _LARGEST[key]

    def read(values: Values) -> float | None:
        value = get(values)
        if value is None or (type(value) is str and not value.strip()):
            return None
        degrees = _number(value)
        if degrees is None or not -largest <= degrees <= largest:
            refuse(f"invalid_{key}", field, f"is no number of degrees up to {largest:.0f}")
        return degrees

    return read


def _number(value: Any) -> float | None:
    if type(value) not in {int, float, Decimal, str}:
        return None
    try:
        return float(value)
    except (ValueError, OverflowError):
        return None
