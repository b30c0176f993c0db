"""How do pairs of a name and a value, in a column's list, become properties of their own?"""

from collections.abc import Callable
from functools import partial
from typing import Any

import msgspec

from target_mixpanel.limits import NAME_MAX_BYTES, is_too_long
from target_mixpanel.mapping.casts import Reader, from_json
from target_mixpanel.mapping.refusal import refuse
from target_mixpanel.mapping.stream_schema import RESERVED_NAMES, StreamSchema
from target_mixpanel.mapping.values import Converter
from target_mixpanel.model import JsonObject
from target_mixpanel.specs.spec import Pairs


def pairs_reader(pairs: Pairs, field: str) -> Reader:
    """Return the function that makes of a list of objects, or its JSON, properties by name."""
    example = f'{{"{pairs.key}": …, "{pairs.value}": …}}'

    def read(value: Any) -> JsonObject | None:
        items = from_json(value, field)
        if items is None:
            return None
        if type(items) is not list:
            refuse("not_pairs", field, f"is no list of {example}")
        found: JsonObject = {}
        for item in items:
            if item is not None:
                name = _name(item, pairs, field, example)
                found[name] = _only_member(item.get(pairs.value))
        return {name: value for name, value in found.items() if value is not None}

    return read


def each_value(convert: Converter) -> Converter:
    """Return how the values of properties, by name, are converted one by one."""

    def converted(properties: JsonObject) -> JsonObject:
        each = ((name, convert(value)) for name, value in properties.items())
        return {name: value for name, value in each if value is not None}

    return converted


class Spread(msgspec.Struct, frozen=True):
    """How one column's properties are added to a row's."""

    column: str
    reserved: frozenset[str]
    """Names that never come from a record."""
    tell: Callable[[], None]
    """Told that one of them was left out."""

    def add(self, made: JsonObject, properties: JsonObject) -> None:
        """Add what *made* holds to *properties*, whose own names win."""
        for name, value in made.items():
            if name.startswith(("$", "mp_")) or name in self.reserved:
                self.tell()
            else:
                properties.setdefault(name, value)


def spread(column: str, reserved: frozenset[str], stream_schema: StreamSchema) -> Spread:
    """Return how the properties that *column* holds are added to a row's."""
    return Spread(column, reserved, partial(stream_schema.on_left_out, column, RESERVED_NAMES))


def _name(item: Any, pairs: Pairs, field: str, example: str) -> str:
    name = item.get(pairs.key) if type(item) is dict else None
    if type(name) is not str or not name.strip():
        refuse("not_pairs", field, f"holds what is no {example} with a text for a name")
    if is_too_long(name):
        detail = f"holds a name of more than {NAME_MAX_BYTES} bytes, where Mixpanel cuts names"
        refuse("name_too_long", field, detail, stage="limit")
    return name


def _only_member(value: Any) -> Any:
    """Return the value in an object that has one for each type: {"int_value": 7, …: null} is 7."""
    if type(value) is not dict:
        return value
    given = [member for member in value.values() if member is not None]
    if not given:
        return None
    return given[0] if len(given) == 1 else value
