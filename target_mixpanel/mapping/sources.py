"""How is one value of a mapping (a column, with a default, hashed; or a constant) fetched?"""

import operator
from collections.abc import Callable, Iterable
from typing import Any, Final, TypeAlias

import msgspec

from target_mixpanel.errors import SettingsError, StreamSchemaError, listed
from target_mixpanel.mapping.insert_id import id_text
from target_mixpanel.mapping.paths import Slots, Values, alternatives, resolve, types
from target_mixpanel.mapping.stream_schema import StreamShape
from target_mixpanel.mapping.values import Converter, hasher
from target_mixpanel.model import JsonObject
from target_mixpanel.specs.spec import Column, Constant, Source

Fetch: TypeAlias = Callable[[Values], Any]
"""A record's values → the source's value, its default where there is none, else None."""

_CONTAINERS: Final = frozenset({"array", "object"})


def fetch(source: Source, shape: StreamShape, place: str, slots: Slots) -> Fetch:
    """
    Compile *source* against a stream's schema.

    Raises:
        StreamSchemaError: The schema has no such column.
    """
    match source:
        case Constant(value=value):
            return lambda _: value
        case Column(path=path, default=default, is_hashed=is_hashed):
            get = operator.itemgetter(slots.add(resolve(path, shape.schema, place)))
            hashed = column_hasher(shape, place) if is_hashed else None
            if hashed is None and default is msgspec.UNSET:
                return get
            return _with_default(get, None if default is msgspec.UNSET else default, hashed)


def fetch_id(
    source: Source,
    shape: StreamShape,
    place: str,
    slots: Slots,
    as_text: Callable[[Any, str], str] = id_text,
) -> Fetch:
    """
    Compile *source*, an id; a hashed one is refused, or stays empty, as it would be unhashed.

    Else the hash of "anonymous" would be one user with everybody's events. *as_text* takes an id
    and what a refusal calls it.

    Raises:
        StreamSchemaError: The schema has no such column.
    """
    if not isinstance(source, Column) or not source.is_hashed:
        return fetch(source, shape, place, slots)
    hashed = column_hasher(shape, place)
    field = source_name(source, place)

    def hash_id(value: Any) -> str:
        text = as_text(value, field)
        return hashed(text) if text else text

    default = None if source.default is msgspec.UNSET else source.default
    slot = slots.add(resolve(source.path, shape.schema, place))
    return _with_default(operator.itemgetter(slot), default, hash_id)


def column_hasher(shape: StreamShape, place: str) -> Converter:
    """Return the hash that stands for a column's values."""
    if shape.hash_key is None:
        raise SettingsError(f"hash_key: is needed by {place}, which is hashed")
    return hasher(shape.hash_key)


def source_name(source: Source, otherwise: str) -> str:
    """Return what a refusal calls *source*."""
    match source:
        case Constant():
            return otherwise
        case Column(path=path):
            return path if isinstance(path, str) else ".".join(path)


def choose_columns(
    shape: StreamShape,
    exclude: frozenset[str],
    consumed: frozenset[str],
    place: str,
    reserved: frozenset[str],
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """
    Return the columns that "*" takes, and those it leaves out though nobody said so.

    It takes scalars, lists of scalars, dates, and columns without a type; it leaves out objects,
    lists of objects, and names with a meaning of their own to Mixpanel: *reserved* ones, and those
    that begin with `$` or `mp_`.

    Raises:
        StreamSchemaError: *exclude* names a column that the schema does not have.
    """
    columns = shape.schema.get("properties") or {}
    unknown = sorted(exclude - columns.keys())
    if unknown:
        raise StreamSchemaError(
            f"{place}: {listed(unknown)} is not in the stream's schema; it has "
            f"{listed(sorted(columns))}",
        )
    candidates = [name for name in columns if name not in exclude | consumed]
    if not shape.takes_metadata:
        candidates = [name for name in candidates if not name.startswith("_sdc_")]
    taken = tuple(
        name
        for name in candidates
        if not _is_reserved(name, reserved) and _is_scalar_or_list(columns[name], shape.schema)
    )
    return taken, tuple(name for name in candidates if name not in taken)


def top_level_columns(sources: Iterable[Source | None]) -> frozenset[str]:
    """Return the columns that *sources* read whole."""
    return frozenset(
        source.path if isinstance(source.path, str) else source.path[0]
        for source in sources
        if isinstance(source, Column) and (isinstance(source.path, str) or len(source.path) == 1)
    )


def _with_default(get: Fetch, default: Any, hashed: Converter | None) -> Fetch:
    def read(values: Values) -> Any:
        value = get(values)
        if value is None:
            return default
        return value if hashed is None else hashed(value)

    return read


def _is_reserved(name: str, reserved: frozenset[str]) -> bool:
    return not name or name.startswith(("$", "mp_")) or name in reserved


def _is_scalar_or_list(column: JsonObject, root: JsonObject) -> bool:
    for here in alternatives(column, root):
        kind = here.get("type") or ()
        if "properties" in here or "object" in ([kind] if isinstance(kind, str) else kind):
            return False
        for keyword in ("items", "prefixItems"):
            items = here.get(keyword)
            for item in items if isinstance(items, list) else [items]:
                if isinstance(item, dict) and types(item, root) & _CONTAINERS:
                    return False
    return True
