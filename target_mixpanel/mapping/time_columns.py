"""Can a column hold the time of events, by what the schema says of it?"""

from typing import Final

from target_mixpanel.errors import StreamSchemaError, listed, printable
from target_mixpanel.mapping.json_schema import certain_types, string_format
from target_mixpanel.mapping.sources import find
from target_mixpanel.mapping.stream_schema import StreamSchema
from target_mixpanel.specs.spec import Column, Source, Times

_OF_TIMES: Final = frozenset({"integer", "number", "string"})

_OTHER_FORMATS: Final = {
    "time": "times of day",
    "duration": "durations",
    "uuid": "UUIDs",
    "email": "e-mail addresses",
    "ipv4": "addresses",
    "ipv6": "addresses",
    "uri": "addresses",
}
"""Formats of texts that are never instants, in words."""


def refuse_without_instants(source: Source, stream_schema: StreamSchema, place: str) -> None:
    """
    Refuse a column as the time of events that never holds an instant.

    Raises:
        StreamSchemaError: By the schema it holds something else; or there is no such column.
    """
    if not isinstance(source, Column):
        return
    found, _ = find(source, stream_schema, place, Times())
    kinds = certain_types(found.schema, stream_schema.schema)
    if not kinds:
        return
    form = string_format(found.schema, stream_schema.schema)
    if kinds == {"string"} and form in _OTHER_FORMATS:
        what = _OTHER_FORMATS[form]
    elif stream_schema.is_schema_enforced and not kinds & _OF_TIMES:
        what = listed(sorted(kinds))
    else:
        return
    raise StreamSchemaError(
        f'{place}: "{printable(found.name)}" holds {what} by the stream\'s schema, and an event '
        "needs an instant; name a column of dates, date-times, or seconds since 1970"
    )
