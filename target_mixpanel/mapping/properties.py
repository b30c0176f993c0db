"""Which properties does a row have, and where does each one's value come from?"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, TypeAlias

import msgspec

from target_mixpanel.errors import StreamSchemaError, listed, printable
from target_mixpanel.limits import MAX_ARRAY_ITEMS, NAME_MAX_BYTES, is_too_long
from target_mixpanel.mapping.json_schema import alternatives, own_types
from target_mixpanel.mapping.pairs import each_value
from target_mixpanel.mapping.paths import ResolvedColumn
from target_mixpanel.mapping.refusal import UnmappableError
from target_mixpanel.mapping.sources import after, find
from target_mixpanel.mapping.stream_schema import METADATA_PREFIX, StreamSchema
from target_mixpanel.mapping.values import Converter, any_converter, converter
from target_mixpanel.model import JsonObject
from target_mixpanel.specs.columns import own_sources
from target_mixpanel.specs.spec import (
    AllColumns,
    Column,
    NamedProperties,
    Pairs,
    Properties,
    Source,
    StreamSpec,
    Times,
)

NamedSource: TypeAlias = tuple[str, Source]


_ANY_VALUE: Final = any_converter()

CONTAINERS: Final = frozenset({"array", "object"})


class PropertyRules(msgspec.Struct, frozen=True):
    """Which properties Mixpanel takes."""

    at_most: int | None
    """How many; None: no number is known."""
    reserved: frozenset[str]
    """Names that "*" does not take."""


def property_sources(
    spec: StreamSpec,
    properties: Properties,
    rules: PropertyRules,
    stream_schema: StreamSchema,
) -> tuple[tuple[NamedSource, ...], tuple[str, ...]]:
    """
    Return each property with its source, and the columns left out.

    Args:
        spec: The mapping; "*" does not take its own columns a second time.
        properties: What it says of them.
        rules: Mixpanel's.
        stream_schema: The stream's.

    Raises:
        StreamSchemaError: Mixpanel would not take so many, or such a name.
    """
    match properties:
        case NamedProperties(sources=sources):
            left_out: tuple[str, ...] = ()
        case AllColumns(exclude=exclude):
            taken, left_out = _columns_taken(spec, exclude, rules.reserved, stream_schema)
            sources = tuple((name, Column((name,))) for name in taken)
    _check_names([name for name, _ in sources], rules, f"{spec.place}.properties")
    return sources, left_out


class ColumnConversion(msgspec.Struct, frozen=True):
    """How the values of one property become Mixpanel's; None: they pass as they are."""

    of_column: Callable[[ResolvedColumn], Converter | None]
    """By what the schema says of the column found."""
    of_constant: Converter | None = None
    """Of defaults and constants: None means any value."""


class CompiledProperty(msgspec.Struct, frozen=True):
    """A property that comes from a column."""

    name: str
    column: ResolvedColumn
    default: Any
    """Taken where the record has null or nothing, or what says nothing; None: no default."""
    convert: Converter | None
    is_pairs: bool = False
    """Whether its values are properties of their own, by name."""


def compile_property(  # noqa: PLR0913, PLR0917 (each a fact of its own)
    name: str,
    column: Column,
    conversion: ColumnConversion,
    stream_schema: StreamSchema,
    place: str,
    times: Times,
) -> CompiledProperty:
    """
    Compile one property that comes from a column.

    Args:
        name: The property's.
        column: Where its value stands.
        conversion: Of its values.
        stream_schema: The stream's.
        place: The mapping's properties'.
        times: How the mapping's columns spell instants.

    Raises:
        StreamSchemaError: The schema has no such column, or the default is no value.
    """
    found, read = find(column, stream_schema, place, times)
    is_pairs = isinstance(column.cast, Pairs)
    convert = conversion.of_column(found)
    default = None
    if column.default is not msgspec.UNSET and column.default is not None:
        where = f'{place}: the default of "{printable(name)}"'
        of_constant = conversion.of_constant
        if is_pairs and of_constant is not None:
            of_constant = each_value(of_constant)
        default = constant_value(column.default, where, of_constant)
    if is_pairs and convert is not None:
        convert = each_value(convert)
    return CompiledProperty(name, found, default, after(read, convert), is_pairs)


def column_converter(
    found: ResolvedColumn,
    stream_schema: StreamSchema,
    times: Times,
    max_items: int = MAX_ARRAY_ITEMS,
) -> Converter | None:
    """Return how a column's values are converted that are not hashed, as its schema asks for."""
    return converter(
        found.schema,
        stream_schema.schema,
        times,
        found.name,
        is_schema_enforced=stream_schema.is_schema_enforced,
        max_items=max_items,
        on_large_integer=stream_schema.on_large_integer,
        on_left_out=stream_schema.on_left_out,
    )


def constant_value(value: Any, place: str, convert: Converter | None = None) -> Any:
    """
    Return a value from the configuration as Mixpanel gets it.

    Raises:
        StreamSchemaError: It is no value there.
    """
    try:
        return (convert or _ANY_VALUE)(value)
    except UnmappableError as error:
        raise StreamSchemaError(f"{place}: {error.flaw.detail}") from None


def _columns_taken(
    spec: StreamSpec, exclude: frozenset[str], reserved: frozenset[str], stream_schema: StreamSchema
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """
    Return the columns that "*" takes, and those it leaves out though nobody said so.

    It takes scalars, lists of scalars, dates, and columns without a type; it leaves out objects,
    lists of objects, and names with a meaning of their own to Mixpanel: *reserved* ones, and those
    that begin with `$` or `mp_`.

    Raises:
        StreamSchemaError: *exclude* names a column that the schema does not have.
    """
    columns = stream_schema.schema.get("properties") or {}
    unknown = sorted(exclude - columns.keys())
    if unknown:
        raise StreamSchemaError(
            f"{spec.place}.exclude: {listed(unknown)} is not in the stream's schema; it has "
            f"{listed(sorted(columns))}",
        )
    not_wanted = exclude | _top_level_columns(own_sources(spec))
    candidates = [name for name in columns if name not in not_wanted]
    if not stream_schema.takes_metadata:
        candidates = [name for name in candidates if not name.startswith(METADATA_PREFIX)]
    taken = tuple(
        name
        for name in candidates
        if not _is_reserved(name, reserved)
        and _is_scalar_or_list(columns[name], stream_schema.schema)
    )
    return taken, tuple(name for name in candidates if name not in taken)


def _top_level_columns(sources: Iterable[Source]) -> frozenset[str]:
    """Return the columns that *sources* read whole."""
    return frozenset(
        source.path if isinstance(source.path, str) else source.path[0]
        for source in sources
        if isinstance(source, Column) and (isinstance(source.path, str) or len(source.path) == 1)
    )


def _check_names(names: Sequence[str], rules: PropertyRules, place: str) -> None:
    if rules.at_most is not None and len(names) > rules.at_most:
        raise StreamSchemaError(
            f"{place}: are {len(names)}, and Mixpanel takes at most {rules.at_most} beside its "
            "own; name the columns you need",
        )
    for name in names:
        if is_too_long(name):
            raise StreamSchemaError(
                f"{place}: a name has more than {NAME_MAX_BYTES} bytes, and Mixpanel cuts names "
                "there; give it a shorter one in a map",
            )


def _is_reserved(name: str, reserved: frozenset[str]) -> bool:
    return not name or name.startswith(("$", "mp_")) or name in reserved


def _is_scalar_or_list(column: JsonObject, root: JsonObject) -> bool:
    """Say whether no object is in a column, whose lists may refer to themselves."""
    pending: list[Any] = [column]
    seen: set[int] = set()
    while pending:
        for here in alternatives(pending.pop(), root):
            if id(here) in seen:
                continue
            seen.add(id(here))
            if "properties" in here or "object" in own_types(here):
                return False
            for keyword in ("items", "prefixItems"):
                items = here.get(keyword)
                pending += items if isinstance(items, list) else [items]
    return True
