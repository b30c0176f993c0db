"""Which columns may a mapping name though the SCHEMA does not declare them?"""

from collections.abc import Iterable, Iterator, Sequence

import msgspec

from target_mixpanel.mapping.json_schema import named_columns
from target_mixpanel.mapping.stream_schema import METADATA_PREFIX, StreamSchema
from target_mixpanel.specs.columns import all_sources
from target_mixpanel.specs.spec import Column, Source, StreamSpec


def with_metadata_columns(stream_schema: StreamSchema, specs: Sequence[StreamSpec]) -> StreamSchema:
    """
    Return *stream_schema* with the taps' own columns that *specs* name, as columns of any type.

    Log-based taps declare `_sdc_deleted_at` with the first deletion, or never.
    """
    schema = stream_schema.schema
    columns = schema.get("properties")
    if not isinstance(columns, dict):
        return stream_schema
    sources = [source for spec in specs for source in all_sources(spec)]
    named = dict.fromkeys(_metadata_columns(sources))
    if not named:
        return stream_schema
    undeclared = [name for name in named if name not in named_columns(schema, schema)]
    more = {**columns, **{name: {} for name in undeclared}}
    return msgspec.structs.replace(stream_schema, schema={**schema, "properties": more})


def _metadata_columns(sources: Iterable[Source]) -> Iterator[str]:
    for source in sources:
        if not isinstance(source, Column):
            continue
        path = source.path
        name = path.partition(".")[0] if isinstance(path, str) else path[0]
        if name.startswith(METADATA_PREFIX):
            yield name
