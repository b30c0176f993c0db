"""Which properties does a row have, and where does each one's value come from?"""

from collections.abc import Callable, Iterable
from datetime import UTC, tzinfo
from typing import Any, Final, TypeAlias

import msgspec

from target_mixpanel.errors import StreamSchemaError, printable
from target_mixpanel.limits import MAX_ARRAY_ITEMS, NAME_MAX_CHARS
from target_mixpanel.mapping.paths import ResolvedColumn, resolve
from target_mixpanel.mapping.refusal import UnmappableError
from target_mixpanel.mapping.sources import choose_columns, top_level_columns
from target_mixpanel.mapping.stream_schema import StreamShape
from target_mixpanel.mapping.values import Converter, converter
from target_mixpanel.specs.spec import AllColumns, Column, NamedProperties, Properties, Source

NamedSource: TypeAlias = tuple[str, Source]


class PropertyRules(msgspec.Struct, frozen=True):
    """Which properties Mixpanel takes."""

    at_most: int | None
    """How many; None: no number is known."""
    reserved: frozenset[str]
    """Names that "*" does not take."""


_ANY_VALUE: Final = converter({}, {}, UTC, "value", is_schema_enforced=False)


def property_sources(
    properties: Properties,
    consumed: Iterable[Source | None],
    rules: PropertyRules,
    shape: StreamShape,
    place: str,
) -> tuple[tuple[NamedSource, ...], tuple[str, ...]]:
    """
    Return each property with its source, and the columns left out.

    Args:
        properties: What the mapping says.
        consumed: Sources whose columns "*" does not take a second time.
        rules: Mixpanel's.
        shape: The stream's.
        place: The mapping's.

    Raises:
        StreamSchemaError: Mixpanel would not take so many, or such a name.
    """
    match properties:
        case NamedProperties(sources=sources):
            left_out: tuple[str, ...] = ()
        case AllColumns(exclude=exclude):
            taken, left_out = choose_columns(
                shape, exclude, top_level_columns(consumed), f"{place}.exclude", rules.reserved
            )
            sources = tuple((name, Column((name,))) for name in taken)
    if rules.at_most is not None and len(sources) > rules.at_most:
        raise StreamSchemaError(
            f"{place}.properties: are {len(sources)}, and Mixpanel takes at most {rules.at_most} "
            "beside its own; name the columns you need",
        )
    for name, _ in sources:
        if len(name) > NAME_MAX_CHARS:
            raise StreamSchemaError(
                f"{place}.properties: a name has {len(name)} characters, and Mixpanel cuts "
                f"names at {NAME_MAX_CHARS}; give it a shorter one in a map",
            )
    return sources, left_out


class Conversion(msgspec.Struct, frozen=True):
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
    """Taken where the record has null or nothing; None: no default."""
    convert: Converter | None


def compile_property(
    name: str,
    column: Column,
    conversion: Conversion,
    shape: StreamShape,
    place: str,
) -> CompiledProperty:
    """
    Compile one property that comes from a column.

    Args:
        name: The property's.
        column: Where its value stands.
        conversion: Of its values.
        shape: The stream's.
        place: The mapping's properties'.

    Raises:
        StreamSchemaError: The schema has no such column, or the default is no value.
    """
    found = resolve(column.path, shape.schema, place)
    default = None
    if column.default is not msgspec.UNSET and column.default is not None:
        where = f'{place}: the default of "{printable(name)}"'
        default = constant_value(column.default, where, conversion.of_constant)
    return CompiledProperty(name, found, default, conversion.of_column(found))


def column_converter(
    found: ResolvedColumn,
    shape: StreamShape,
    timezone: tzinfo,
    max_items: int = MAX_ARRAY_ITEMS,
) -> Converter | None:
    """Return how a column's values are converted that are not hashed, as its schema asks for."""
    return converter(
        found.schema,
        shape.schema,
        timezone,
        found.name,
        is_schema_enforced=shape.is_schema_enforced,
        max_items=max_items,
    )


def constant_value(value: Any, place: str, convert: Converter | None = None) -> Any:
    """
    Return a value from the configuration as Mixpanel gets it.

    Raises:
        StreamSchemaError: It is no value there.
    """
    convert = convert or _ANY_VALUE
    try:
        return value if convert is None else convert(value)
    except UnmappableError as error:
        raise StreamSchemaError(f"{place}: {error.flaw.detail}") from None
