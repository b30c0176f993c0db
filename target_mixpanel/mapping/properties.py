"""Which properties does a row have, and where does each one's value come from?"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, TypeAlias

import msgspec

from target_mixpanel.errors import StreamSchemaError, printable
from target_mixpanel.limits import MAX_ARRAY_ITEMS, NAME_MAX_BYTES, is_too_long
from target_mixpanel.mapping.blanks import null_if_blank
from target_mixpanel.mapping.json_schema import (
    alternatives,
    certain_types,
    named_columns,
    own_types,
)
from target_mixpanel.mapping.new_columns import NewColumnsPolicy
from target_mixpanel.mapping.pairs import each_value
from target_mixpanel.mapping.paths import ResolvedColumn
from target_mixpanel.mapping.patterns import (
    NAMED_TWICE,
    LeftOut,
    Path,
    Patterns,
    PropertyRules,
    Taken,
)
from target_mixpanel.mapping.refusal import UnmappableError
from target_mixpanel.mapping.sources import after, find, read_as
from target_mixpanel.mapping.stream_schema import StreamSchema
from target_mixpanel.mapping.values import Converter, any_converter, converter
from target_mixpanel.model import JsonObject
from target_mixpanel.specs.columns import all_sources, own_sources
from target_mixpanel.specs.spec import (
    Column,
    LookupTableSpec,
    MatchedColumns,
    NamedProperties,
    Pairs,
    Properties,
    Source,
    StreamSpec,
    Times,
    path_name,
)

NamedSource: TypeAlias = tuple[str, Source]

_ANY_VALUE: Final = any_converter()

CONTAINERS: Final = frozenset({"array", "object"})

_ONLY_OBJECTS: Final = (
    "hold objects; name them, have the tap flatten them, or take their columns with a pattern, as "
    '"*": "payload.*"'
)


class PropertySources(msgspec.Struct, frozen=True):
    """Which properties a mapping makes, as far as the schema tells."""

    sources: tuple[NamedSource, ...]
    left_out: Mapping[str, str] = {}
    """Columns that no pattern takes though nobody said so, each with the reason."""
    new_columns: NewColumnsPolicy | None = None
    """None: columns that only records have do not matter."""


def property_sources(
    spec: StreamSpec,
    properties: Properties,
    rules: PropertyRules,
    stream_schema: StreamSchema,
) -> PropertySources:
    """
    Return each property with its source, and the columns left out.

    Args:
        spec: The mapping; patterns do not take its own columns a second time.
        properties: What it says of them.
        rules: Mixpanel's.
        stream_schema: The stream's.

    Raises:
        StreamSchemaError: Mixpanel would not take so many, or such a name.
    """
    match properties:
        case NamedProperties(sources=sources):
            found = PropertySources(sources)
        case MatchedColumns():
            found = _matched(spec, properties, rules, stream_schema)
    _check_names([name for name, _ in found.sources], rules, f"{spec.place}.properties")
    return found


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


def found_converter(
    column: Column,
    found: ResolvedColumn,
    conversion: ColumnConversion,
    stream_schema: StreamSchema,
    times: Times,
) -> Converter | None:
    """Return how the values of a column that only records have become a property's."""
    known, read = read_as(column, found, stream_schema, times)
    convert = after(read, conversion.of_column(known))
    if not stream_schema.is_blank_null:
        return convert
    return null_if_blank if convert is None else after(null_if_blank, convert)


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


def _matched(
    spec: StreamSpec,
    properties: MatchedColumns,
    rules: PropertyRules,
    stream_schema: StreamSchema,
) -> PropertySources:
    """
    Return the properties of a mapping that has patterns.

    They take columns of any type but objects; no names with a meaning of their own to Mixpanel,
    and none that says whose a row is, or when.
    """
    place = f"{spec.place}.properties"
    named = [source for _, source in properties.sources]
    used = [source for source in (*own_sources(spec), *named) if isinstance(source, Column)]
    patterns = Patterns(properties, used, rules, stream_schema, place)
    root = stream_schema.schema
    columns = _declared(patterns.parents, stream_schema)
    if properties.new_columns == "take" and not isinstance(spec, LookupTableSpec):
        learned = sorted(stream_schema.learned - columns.keys())
        columns |= {path: {} for path in learned if path[:-1] in patterns.parents}
    found = {
        path: LeftOut(_ONLY_OBJECTS)
        if isinstance(each, Taken) and _has_only_objects(column, root, rules)
        else each
        for path, column in columns.items()
        for each in (patterns.of(path),)
    }
    sources = dict(properties.sources)
    left_out = {path: each.why for path, each in found.items() if isinstance(each, LeftOut)}
    taken = [(path, each) for path, each in found.items() if isinstance(each, Taken)]
    for path, each in sorted(taken, key=lambda entry: entry[1].rank, reverse=True):
        if each.name in sources:
            left_out[path] = NAMED_TWICE
        else:
            sources[each.name] = each.column
    return PropertySources(
        tuple(sources.items()),
        _unsaid(left_out, spec, stream_schema),
        _policy(spec, properties, patterns, stream_schema, sources),
    )


def _unsaid(
    left_out: Mapping[Path, str], spec: StreamSpec, stream_schema: StreamSchema
) -> dict[str, str]:
    """Return what is left out and has no other use in the mapping, by its name."""
    sources = [source for source in all_sources(spec) if isinstance(source, Column)]
    said = {path_name(source.path) for source in sources}
    names = {".".join(path): path for path in left_out if path not in stream_schema.learned}
    return {name: left_out[path] for name, path in names.items() if name not in said}


def _policy(
    spec: StreamSpec,
    properties: MatchedColumns,
    patterns: Patterns,
    stream_schema: StreamSchema,
    names: Iterable[str],
) -> NewColumnsPolicy:
    declared = {
        parent: frozenset(
            {*named_columns(_object(parent, stream_schema), stream_schema.schema)}
            | {path[-1] for path in stream_schema.learned if path[:-1] == parent}
        )
        for parent in patterns.parents
    }
    columns = [(*parent, name) for parent, names_there in declared.items() for name in names_there]
    return NewColumnsPolicy(
        patterns=patterns,
        new_columns=properties.new_columns,
        is_table=isinstance(spec, LookupTableSpec),
        names=frozenset(names),
        declared=declared,
        not_excluded=patterns.not_excluded(columns),
    )


def _declared(parents: Sequence[Path], stream_schema: StreamSchema) -> dict[Path, Any]:
    """Return the columns of the record, and of the objects at *parents*, each with its schema."""
    root = stream_schema.schema
    return {
        (*parent, name): column
        for parent in parents
        for name, column in named_columns(_object(parent, stream_schema), root).items()
    }


def _object(path: Path, stream_schema: StreamSchema) -> JsonObject:
    """Return the schema of the object at *path*, as far as there is one."""
    here: Any = stream_schema.schema
    for name in path:
        here = named_columns(here, stream_schema.schema).get(name, {})
    return here if isinstance(here, dict) else {}


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


def _has_only_objects(column: Any, root: JsonObject, rules: PropertyRules) -> bool:
    """Say whether all of a column's values are objects, or lists of some where that matters."""
    kinds = certain_types(column, root)
    if not kinds:
        return isinstance(column, dict) and bool(column.get("properties")) and _says_no_type(column)
    return kinds == {"object"} or (
        not rules.takes_objects and kinds <= CONTAINERS and _holds_objects(column, root)
    )


def _says_no_type(column: JsonObject) -> bool:
    return column.keys().isdisjoint({"$ref", "allOf", "anyOf", "oneOf", "type"})


def _holds_objects(column: JsonObject, root: JsonObject) -> bool:
    """Say whether an object may be in a column, whose lists may refer to themselves."""
    pending: list[Any] = [column]
    seen: set[int] = set()
    while pending:
        for here in alternatives(pending.pop(), root):
            if id(here) in seen:
                continue
            seen.add(id(here))
            if "properties" in here or "object" in own_types(here):
                return True
            for keyword in ("items", "prefixItems"):
                items = here.get(keyword)
                pending += items if isinstance(items, list) else [items]
    return False
