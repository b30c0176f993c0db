"""What may stand beside an operation in a profile update, and how does a value become it?"""

import sys
from collections.abc import Callable
from decimal import Decimal
from typing import Any, Final, TypeAlias

import msgspec

from target_mixpanel.errors import StreamSchemaError, listed, printable
from target_mixpanel.limits import PROFILE_VALUE_MAX_BYTES
from target_mixpanel.mapping.formats import DECIMAL_FORMATS
from target_mixpanel.mapping.group_ids import group_converter
from target_mixpanel.mapping.json_schema import certain_types, string_format
from target_mixpanel.mapping.paths import ResolvedColumn
from target_mixpanel.mapping.properties import CONTAINERS, column_converter
from target_mixpanel.mapping.refusal import refuse
from target_mixpanel.mapping.sources import column_hasher
from target_mixpanel.mapping.stream_schema import StreamSchema
from target_mixpanel.mapping.values import Converter, any_converter, encode
from target_mixpanel.specs.operations import Operation
from target_mixpanel.specs.spec import Column, GroupSpec, MatchedColumns, UserSpec, times_of

_Rule: TypeAlias = Callable[[Any, Any, str], Any]
"""(the column's value, the same as a property's, what a refusal calls it) → the operand."""


class _Takes(msgspec.Struct, frozen=True):
    """What an operation takes of one property."""

    rule: _Rule
    types: frozenset[str] | None = None
    """The JSON types that its column may have by the schema; None: any."""
    in_words: str = "any value"


_ANY_NUMBER_OF_ITEMS: Final = sys.maxsize

_ANY_VALUE: Final = any_converter(_ANY_NUMBER_OF_ITEMS)

_NUMBERS: Final = (int, float, Decimal)


def operand_converter(
    spec: UserSpec | GroupSpec,
    name: str,
    column: Column,
    found: ResolvedColumn,
    stream_schema: StreamSchema,
) -> Converter | None:
    """
    Return how a column's values become what the mapping's operation takes of the property *name*.

    A value that converts to None says nothing.

    Raises:
        StreamSchemaError: By the schema the column never holds such a value.
    """
    place = f"{spec.place}.properties"
    hashed = column_hasher(column, stream_schema, place, found.name) if column.is_hashed else None
    convert = group_converter(name, found.name, stream_schema, hashed, _ANY_NUMBER_OF_ITEMS)
    is_group = convert is not None
    if is_group:
        kinds = frozenset({"array", "string"})
    elif hashed is not None:
        convert = hashed
        kinds = frozenset({"string"})
    else:
        convert = column_converter(found, stream_schema, times_of(spec), _ANY_NUMBER_OF_ITEMS)
        kinds = _certain_types(found, stream_schema)
    takes = _takes(spec.operation)
    if kinds and takes.types is not None and not kinds & takes.types:
        holds = f"holds {listed(sorted(kinds))} by the stream's schema"
        what = "names a group, whose ids are texts" if is_group else holds
        remedy = "exclude it" if isinstance(spec.properties, MatchedColumns) else "leave it out"
        raise StreamSchemaError(
            f'{place}: "{printable(found.name)}" {what}, and operation {spec.operation.name} takes '
            f"{takes.in_words}; {remedy}",
        )
    if takes.types is None and kinds and not kinds & CONTAINERS:
        return convert
    return _with_rule(takes.rule, convert, found.name)


def constant_converter(operation: Operation, name: str, stream_schema: StreamSchema) -> Converter:
    """Return how the configuration's values of the property *name* become *operation*'s."""
    convert = group_converter(name, "value", stream_schema, max_items=_ANY_NUMBER_OF_ITEMS)
    return _with_rule(_takes(operation).rule, convert or _ANY_VALUE, "value")


def _certain_types(found: ResolvedColumn, stream_schema: StreamSchema) -> frozenset[str]:
    if not stream_schema.is_schema_enforced:
        return frozenset()
    kinds = certain_types(found.schema, stream_schema.schema)
    is_decimal = string_format(found.schema, stream_schema.schema) in DECIMAL_FORMATS
    return kinds | {"number"} if kinds and is_decimal else kinds


def _takes(operation: Operation) -> _Takes:
    match operation.value:
        case "any":
            return _Takes(_whole)
        case "number":
            return _Takes(_number(operation.name), frozenset({"integer", "number"}), "numbers")
        case "single":
            kinds = frozenset({"boolean", "integer", "number", "object", "string"})
            return _Takes(_single, kinds, "one value at a time")
        case "several":
            kinds = frozenset({"array", "integer", "number", "string"})
            return _Takes(_several, kinds, "texts, numbers and lists of them")


def _with_rule(rule: _Rule, convert: Converter | None, field: str) -> Converter:
    if convert is None:
        return lambda value: rule(value, value, field)
    return lambda value: rule(value, convert(value), field)


def _whole(_: Any, converted: Any, field: str) -> Any:
    is_sized = type(converted) is list or type(converted) is dict
    if is_sized and len(encode(converted)) > PROFILE_VALUE_MAX_BYTES:
        refuse("too_large", field, "is a list or object of more than 256 KB", stage="limit")
    return converted


def _number(operation: str) -> _Rule:
    def rule(value: Any, converted: Any, field: str) -> Any:
        if type(converted) in _NUMBERS:
            return converted
        if type(value) in _NUMBERS:
            refuse(
                "inexact_number",
                field,
                "is a number that no double holds, and cannot be added",
                stage="limit",
            )
        detail = f"is no number, and operation {operation} takes nothing else"
        return refuse("not_a_number", field, detail)

    return rule


def _single(value: Any, converted: Any, field: str) -> Any:
    if type(converted) is list:
        refuse("not_one_value", field, "is a list, and the operation takes one value at a time")
    return _whole(value, converted, field)


def _several(value: Any, converted: Any, field: str) -> list[Any] | None:
    items = converted if type(converted) is list else [converted]
    kept = [item for item in items if item is not None]
    for item in kept:
        if type(item) is not str and type(item) not in _NUMBERS:
            refuse("invalid_union", field, "holds what is neither a text nor a number")
    _whole(value, kept, field)
    return kept or None
