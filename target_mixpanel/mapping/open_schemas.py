"""Which columns may a mapping name though the SCHEMA does not name them?"""

from collections.abc import Iterator, Sequence

import msgspec

from target_mixpanel.errors import StreamSchemaError
from target_mixpanel.mapping.json_schema import named_columns
from target_mixpanel.mapping.paths import resolve
from target_mixpanel.mapping.stream_schema import METADATA_PREFIX, StreamSchema
from target_mixpanel.specs.columns import all_sources
from target_mixpanel.specs.spec import Column, StreamSpec, path_name


class Undeclared(msgspec.Struct, frozen=True):
    """Columns that a mapping names and the schema does not."""

    from_records: tuple[str, ...]
    """They may be in the records, for the schema is open."""
    defaults: tuple[str, ...]
    """They have a default."""
    is_expected: bool
    """Whether the schema names none at all."""


def opened(stream_schema: StreamSchema, specs: Sequence[StreamSpec]) -> StreamSchema:
    """
    Return *stream_schema* such that it says itself whether it is open.

    By JSON Schema most are, and yet a column that a mapping names and the schema does not is a slip
    of the pen. Not so where the schema names no column (tap-mongodb's), nor where it names neither
    what the mapping does nor its own key (tap-mongodb's, which names some).
    """
    schema = stream_schema.schema
    columns = named_columns(schema, schema)
    if "additionalProperties" in schema or (columns and not _is_partial(stream_schema, specs)):
        return stream_schema
    return msgspec.structs.replace(stream_schema, schema={**schema, "additionalProperties": True})


def _is_partial(stream_schema: StreamSchema, specs: Sequence[StreamSpec]) -> bool:
    """Say whether a schema lacks its own key, and also what a mapping cannot do without."""
    names = named_columns(stream_schema.schema, stream_schema.schema)
    if all(name in names for name in stream_schema.key_properties):
        return False
    needed = (column for column in _columns(specs) if column.default is msgspec.UNSET)
    return any(_is_missing(column, stream_schema) for column in needed)


def undeclared_columns(stream_schema: StreamSchema, specs: Sequence[StreamSpec]) -> Undeclared:
    """Return the columns that *specs* name and an opened schema does not."""
    names = named_columns(stream_schema.schema, stream_schema.schema)
    from_records: dict[str, None] = {}
    defaults: dict[str, None] = {}
    for column in _columns(specs):
        if _is_missing(column, stream_schema):
            if column.default is not msgspec.UNSET:
                defaults[path_name(column.path)] = None
        elif not _begins_with(column, names):
            from_records[path_name(column.path)] = None
    return Undeclared(tuple(from_records), tuple(defaults), is_expected=not names)


def _columns(specs: Sequence[StreamSpec]) -> Iterator[Column]:
    sources = (source for spec in specs for source in all_sources(spec))
    yield from (source for source in sources if isinstance(source, Column))


def _is_missing(column: Column, stream_schema: StreamSchema) -> bool:
    try:
        resolve(column.path, stream_schema.schema, "")
    except StreamSchemaError:
        return True
    return False


def _begins_with(column: Column, names: dict[str, object]) -> bool:
    """Say whether the schema names where *column* begins, or leaves it to the tap's own books."""
    if isinstance(column.path, tuple):
        first = column.path[0]
    else:
        first = column.path if column.path in names else column.path.partition(".")[0]
    return first in names or first.startswith(METADATA_PREFIX)
