"""What must hold of an event that changes who is who: $identify, $create_alias, $merge?"""

import re
from collections.abc import Sequence
from typing import Any, Final, TypeAlias

from target_mixpanel.errors import StreamSchemaError
from target_mixpanel.limits import IDENTITY_EVENTS
from target_mixpanel.mapping.ids import IdKind, id_text
from target_mixpanel.mapping.paths import Slots, Values
from target_mixpanel.mapping.refusal import refuse
from target_mixpanel.mapping.sources import Fetch, fetch, source_name
from target_mixpanel.mapping.stream_schema import StreamSchema
from target_mixpanel.mapping.values import Converter
from target_mixpanel.specs.identity_events import NOT_IN_SIMPLIFIED_MERGE, identity_flaw
from target_mixpanel.specs.spec import (
    Column,
    Constant,
    EventSpec,
    Source,
    StreamName,
)

_Needed: TypeAlias = tuple[str, str, Fetch]
"""A property that an identity event needs, what a refusal calls it, and what finds its value."""

_IDENTITY_ID: Final = IdKind("distinct_id")

_IDENTIFY: Final = "$identify"
_MERGED: Final = "$distinct_ids"

_IDENTIFIED: Final = "$identified_id"
_ANONYMOUS: Final = "$anon_id"

_UNHASHABLE: Final = {
    _MERGED: "is a list of two ids, and would be hashed as one text; hash them before",
    _ANONYMOUS: "must be a UUID v4, and a hash is none; leave hash out",
}

_UUID_4: Final = re.compile(
    r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", re.IGNORECASE
)
"""Of random bits; https://developer.mixpanel.com/reference/create-identity takes no other."""

_IDS_OF_A_MERGE: Final = 2
"""https://developer.mixpanel.com/reference/identity-merge"""


def guard_identity(
    name_event: Fetch, spec: EventSpec, stream_schema: StreamSchema, slots: Slots
) -> Fetch:
    """
    Return *name_event*, seeing to it that an identity event may be sent and has the ids it needs.

    A project with simplified identity merge refuses a whole request for one of them; one with
    original identity merge takes an incomplete one, and ignores it without a word. A name that is
    the same for all records, and none of theirs, costs nothing per record.

    Raises:
        StreamSchemaError: The stream's own name is an identity event's, and must not be.
    """
    if isinstance(spec.event, StreamName):
        flaw = identity_flaw(
            stream_schema.stream, spec.properties, is_original=spec.is_original_identity
        )
        if flaw is not None:
            raise StreamSchemaError(f"{spec.place}.event: is the stream's name, and {flaw}")
    if not possible_events(spec, stream_schema):
        return name_event
    if spec.is_original_identity:
        return _complete(name_event, spec, stream_schema, slots)
    return _none(name_event, spec)


def identity_converter(
    spec: EventSpec, stream_schema: StreamSchema, name: str, source: Source
) -> Converter | None:
    """
    Return how the ids of identity events are read, None for other properties.

    Raises:
        StreamSchemaError: The property is hashed, and its hash is no such id.
    """
    possible = possible_events(spec, stream_schema) if spec.is_original_identity else {}
    if not any(name in needed for needed in possible.values()):
        return None
    field = source_name(source, name)
    flaw = _UNHASHABLE.get(name)
    if isinstance(source, Column) and source.is_hashed and flaw is not None:
        raise StreamSchemaError(f'{spec.place}.properties: "{name}" {flaw}')
    if name == _MERGED:
        return lambda value: _two_ids(value, field)
    return lambda value: _one_id(value, field)


def possible_events(spec: EventSpec, stream_schema: StreamSchema) -> dict[str, tuple[str, ...]]:
    """Return the identity events that a record may become, each with what it needs."""
    match spec.event:
        case Column():
            return IDENTITY_EVENTS
        case StreamName():
            event: Any = stream_schema.stream
        case Constant(value=event):
            pass
    is_one = isinstance(event, str) and event in IDENTITY_EVENTS
    return {event: IDENTITY_EVENTS[event]} if is_one else {}


def _none(name_event: Fetch, spec: EventSpec) -> Fetch:
    field = event_field(spec)

    def name(values: Values) -> Any:
        event = name_event(values)
        if type(event) is str and event in IDENTITY_EVENTS:
            refuse("identity_event", field, f"names {NOT_IN_SIMPLIFIED_MERGE}")
        return event

    return name


def _complete(
    name_event: Fetch, spec: EventSpec, stream_schema: StreamSchema, slots: Slots
) -> Fetch:
    sources: dict[str, Source] = dict(spec.properties.sources)
    place = f"{spec.place}.properties"
    needed: dict[str, list[_Needed]] = {
        event: [
            (
                name,
                source_name(sources[name], name) if name in sources else name,
                fetch(sources.get(name, Constant(None)), stream_schema, place, slots),
            )
            for name in names
        ]
        for event, names in possible_events(spec, stream_schema).items()
    }

    def name_checked(values: Values) -> Any:
        event = name_event(values)
        for name, field, read in needed.get(event, ()) if type(event) is str else ():
            if read(values) is None:
                refuse("missing_identity_id", field, f"is nowhere, and {event} needs {name}")
        if event == _IDENTIFY:
            _check_anonymous(needed[_IDENTIFY], values)
        return event

    return name_checked


def _check_anonymous(needed: Sequence[_Needed], values: Values) -> None:
    """Refuse what Mixpanel would ignore without a word: an $anon_id that no SDK makes."""
    ids = {name: id_text(read(values), field, _IDENTITY_ID) for name, field, read in needed}
    field = next(field for name, field, _ in needed if name == _ANONYMOUS)
    anonymous, identified = ids[_ANONYMOUS], ids[_IDENTIFIED]
    if anonymous is None or identified is None:
        return  # a blank one is refused where it is read
    if anonymous.lower() == identified.lower():
        refuse("invalid_anon_id", field, f"is the same as {_IDENTIFIED}, and links nobody")
    if not _UUID_4.fullmatch(anonymous):
        refuse("invalid_anon_id", field, f"is no UUID v4, and {_IDENTIFY} takes no other $anon_id")


def event_field(spec: EventSpec) -> str:
    """Return what a refusal calls where the event's name stands."""
    return "event" if isinstance(spec.event, StreamName) else source_name(spec.event, "event")


def _one_id(value: Any, field: str) -> str:
    text = id_text(value, field, _IDENTITY_ID)
    if text is None:
        refuse("invalid_identity_id", field, "is blank, and must be an id")
    return text


def _two_ids(value: Any, field: str) -> list[str]:
    if type(value) is not list or len(value) != _IDS_OF_A_MERGE:
        refuse("invalid_identity_id", field, "is not a list of exactly two ids")
    return [_one_id(item, field) for item in value]
