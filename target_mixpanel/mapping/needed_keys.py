"""Which columns of a stream's key must a record have?"""

from collections.abc import Iterator

import msgspec

from target_mixpanel.mapping.stream_schema import StreamSchema
from target_mixpanel.specs.spec import (
    Column,
    DistinctId,
    EventSpec,
    GroupSpec,
    KeyColumns,
    KeyProperties,
    LookupTableSpec,
    Source,
    StreamSpec,
    UserSpec,
    path_name,
)


def needed_keys(spec: StreamSpec, stream_schema: StreamSchema) -> frozenset[str]:
    """
    Return the key properties without which *spec* makes nothing of a record.

    A tap may name a key that neither its schema nor its records have. Only where an event's
    $insert_id, a profile's id or a lookup table's key is made of it, it has to be there.
    """
    key = stream_schema.key_properties
    if isinstance(spec, EventSpec) and isinstance(spec.insert_id, KeyProperties):
        return frozenset(key)
    needed = frozenset(
        path_name(source.path)
        for source in _identifying(spec)
        if isinstance(source, Column) and source.default is msgspec.UNSET
    )
    return needed.intersection(key)


def _identifying(spec: StreamSpec) -> Iterator[Source]:
    match spec:
        case EventSpec(insert_id=KeyColumns(members=members)):
            yield from members
        case UserSpec(identity=DistinctId(source=source)) | GroupSpec(group_id=source):
            yield source
        case LookupTableSpec(key=path):
            yield Column(path)
        case EventSpec() | UserSpec():
            pass
