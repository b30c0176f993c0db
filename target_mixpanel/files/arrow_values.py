"""What do Parquet's columns say as JSON: their schemas, and their values?"""

import math
from typing import Any, Final

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import types

from target_mixpanel.model import JsonObject

_TEXT: Final[JsonObject] = {"type": ["null", "string"]}
_DATE_TIME: Final[JsonObject] = {"type": ["null", "string"], "format": "date-time"}

_INFINITY: Final = msgspec.Raw(b"Infinity")
"""No JSON, so the record is rejected like any that holds such."""

_TEXT_TYPES: Final = (types.is_string, types.is_large_string, types.is_string_view)

_BINARY_TYPES: Final = (
    types.is_binary,
    types.is_large_binary,
    types.is_binary_view,
    types.is_fixed_size_binary,
)

_LIST_TYPES: Final = (
    types.is_list,
    types.is_large_list,
    types.is_fixed_size_list,
    types.is_list_view,
    types.is_large_list_view,
)


def schema_of(kind: pa.DataType) -> JsonObject | None:
    """Return the JSON Schema of a column; None: JSON has no word for its type."""
    if isinstance(kind, pa.BaseExtensionType):
        return _TEXT if kind == pa.uuid() else schema_of(kind.storage_type)
    if types.is_dictionary(kind):
        return schema_of(kind.value_type)
    if types.is_boolean(kind):
        return {"type": ["null", "boolean"]}
    if types.is_integer(kind):
        return {"type": ["null", "integer"]}
    if types.is_floating(kind) or types.is_decimal(kind):
        return {"type": ["null", "number"]}
    if types.is_timestamp(kind):
        return _DATE_TIME
    if types.is_date(kind):
        return {"type": ["null", "string"], "format": "date"}
    if types.is_null(kind) or types.is_time(kind) or _is_text(kind) or _is_binary(kind):
        return _TEXT
    if types.is_struct(kind):
        fields = {field.name: schema_of(field.type) for field in kind}
        return None if None in fields.values() else _object({"properties": fields})
    if types.is_map(kind):
        item = schema_of(kind.item_type)
        return None if item is None else _object({"additionalProperties": item})
    if _is_list(kind):
        item = schema_of(kind.value_type)
        return None if item is None else {"type": ["null", "array"], "items": item}
    return None


def values_of(column: pa.Array) -> list[Any]:
    """
    Return a column's values as JSON has them.

    Instants are in UTC where the column has a zone, and bare where it has none, to the microsecond;
    decimals keep their digits; binary is base64, NaN is null, as pandas writes what is missing.
    """
    kind = column.type
    if isinstance(kind, pa.BaseExtensionType):
        if kind == pa.uuid():
            return [None if value is None else str(value) for value in column.to_pylist()]
        return values_of(column.storage)
    if types.is_dictionary(kind):
        values = values_of(column.dictionary)
        return [None if index is None else values[index] for index in column.indices.to_pylist()]
    if types.is_timestamp(kind):
        return _instants(column)
    if types.is_floating(kind):
        return _floats(column)
    if types.is_decimal(kind):
        return _decimals(column)
    if types.is_date(kind) or types.is_time(kind):
        return list(column.cast(pa.string()).to_pylist())
    if types.is_struct(kind):
        return _objects(column)
    if types.is_map(kind):
        return _maps(column)
    if _is_list(kind):
        return _lists(column)
    return list(column.to_pylist())


def _instants(column: pa.Array) -> list[Any]:
    # Without its zone a column of instants is what they are in UTC; no table of zones is needed.
    bare = column.cast(pa.timestamp("us"), safe=False)
    zone = "" if column.type.tz is None else "Z"
    texts = pc.replace_substring(bare.cast(pa.string()), " ", "T").to_pylist()
    return [None if text is None else text + zone for text in texts]


def _floats(column: pa.Array) -> list[Any]:
    if not types.is_float64(column.type):  # the shortest decimal: 0.1 is not 0.10000000149011612
        texts = column.cast(pa.float32()).cast(pa.string()).to_pylist()
        values = [None if text is None else float(text) for text in texts]
    else:
        values = column.to_pylist()
    return [value if value is None or math.isfinite(value) else _odd(value) for value in values]


def _odd(value: float) -> Any:
    if math.isnan(value):
        return None
    return _INFINITY if value > 0 else msgspec.Raw(b"-Infinity")


def _decimals(column: pa.Array) -> list[Any]:
    texts = column.cast(pa.string()).to_pylist()
    return [None if text is None else msgspec.Raw(text.encode()) for text in texts]


def _objects(column: pa.Array) -> list[Any]:
    names = [field.name for field in column.type]
    rows = zip(*map(values_of, column.flatten()), strict=True) if names else [()] * len(column)
    return [
        dict(zip(names, values, strict=True)) if is_there else None
        for is_there, values in zip(column.is_valid().to_pylist(), rows, strict=True)
    ]


def _maps(column: pa.Array) -> list[Any]:
    keys = [None if key is None else str(key) for key in values_of(column.keys)]
    items = values_of(column.items)
    return [
        None if part is None else dict(zip(keys[part], items[part], strict=True))
        for part in _parts(column)
    ]


def _lists(column: pa.Array) -> list[Any]:
    plain = column.cast(pa.large_list(column.type.value_type))
    values = values_of(plain.values)
    return [None if part is None else values[part] for part in _parts(plain)]


def _parts(column: pa.Array) -> list[slice | None]:
    """Return where the values of each row stand."""
    ends = column.offsets.to_pylist()
    is_there = column.is_valid().to_pylist()
    return [
        slice(first, end) if there else None
        for there, first, end in zip(is_there, ends, ends[1:], strict=False)
    ]


def _object(more: JsonObject) -> JsonObject:
    return {"type": ["null", "object"], **more}


def _is_text(kind: pa.DataType) -> bool:
    return any(is_one(kind) for is_one in _TEXT_TYPES)


def _is_binary(kind: pa.DataType) -> bool:
    return any(is_one(kind) for is_one in _BINARY_TYPES)


def _is_list(kind: pa.DataType) -> bool:
    return any(is_one(kind) for is_one in _LIST_TYPES)
