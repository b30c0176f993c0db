"""Where would one event become two, or two become one, though nothing is wrong with a record?"""

from collections.abc import Iterator

import msgspec

from target_mixpanel.mapping.stream_schema import StreamSchema
from target_mixpanel.specs.columns import id_sources
from target_mixpanel.specs.spec import (
    Column,
    EventSpec,
    KeyColumns,
    StreamSpec,
    VerbatimInsertId,
    path_name,
)


def identity_risks(spec: StreamSpec, stream_schema: StreamSchema) -> Iterator[str]:
    """Yield what to warn of, each with its place and the remedy; the same for every SCHEMA."""
    if not isinstance(spec, EventSpec):
        return
    time = path_name(spec.time.path) if isinstance(spec.time, Column) else None
    if isinstance(spec.insert_id, VerbatimInsertId) and time is not None:
        yield (
            f"{spec.place}.insert_id: is used as it is, so it must be another for each event: of a "
            "row that changes, Mixpanel keeps one event a day; write the column as a list, and the "
            "time counts"
        )
    bookmarks = stream_schema.bookmark_properties
    if not bookmarks or time in bookmarks:
        return
    again = f"{spec.place}: the tap reads rows again when they change, and one whose"
    if any(_has_default(source) for source in id_sources(spec)):
        yield (
            f"{again} user is known only then becomes a second event; leave out the id's default, "
            "or load only rows that stay"
        )
    if isinstance(spec.event, Column):
        yield (
            f"{again} event_from has another value then becomes a second event; set event, or load "
            "only rows that stay"
        )


def is_told_by_key(spec: StreamSpec) -> bool:
    """Say whether a change of the stream's key changes what *spec* makes of a record."""
    return isinstance(spec, EventSpec) and not isinstance(spec.insert_id, KeyColumns)


def _has_default(source: object) -> bool:
    if not isinstance(source, Column):
        return False
    return source.default is not msgspec.UNSET or bool(source.nobody)
