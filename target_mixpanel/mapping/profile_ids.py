"""Whose profile does a record change?"""

from collections.abc import Callable
from typing import TypeAlias

from target_mixpanel.errors import StreamSchemaError
from target_mixpanel.mapping.identity import identifier
from target_mixpanel.mapping.ids import GROUP_ID, id_reader
from target_mixpanel.mapping.paths import Slots, Values
from target_mixpanel.mapping.refusal import refuse
from target_mixpanel.mapping.sources import source_name
from target_mixpanel.mapping.stream_schema import StreamSchema
from target_mixpanel.model import JsonObject
from target_mixpanel.specs.columns import id_sources
from target_mixpanel.specs.spec import Column, GroupSpec, UserSpec

Identifier: TypeAlias = Callable[[Values], tuple[str, JsonObject] | None]
"""A record's values → the profile's id, and the part of an update that names the profile; None:
the record is about nobody, as the mapping says that some are: by `nobody`, or a blank default."""


def profile_identifier(
    spec: UserSpec | GroupSpec, stream_schema: StreamSchema, slots: Slots
) -> Identifier:
    """
    Compile whose profile a record changes.

    Raises:
        StreamSchemaError: The schema has no such column, or the id is the same for every record,
            and wrong for every one.
    """
    match spec:
        case UserSpec():
            identify = _user_identifier(spec, stream_schema, slots)
        case GroupSpec():
            identify = _group_identifier(spec, stream_schema, slots)
    is_constant = not any(isinstance(source, Column) for source in id_sources(spec))
    if is_constant and identify([]) is None:
        key = "group_id" if isinstance(spec, GroupSpec) else "distinct_id"
        raise StreamSchemaError(f"{spec.place}.{key}: is blank, and a profile needs an id")
    return identify


def _user_identifier(spec: UserSpec, stream_schema: StreamSchema, slots: Slots) -> Identifier:
    _, identify = identifier(spec, stream_schema, slots)

    def read(values: Values) -> tuple[str, JsonObject] | None:
        user = identify(values)[0]
        return (user, {"$distinct_id": user}) if user else None

    return read


def _group_identifier(spec: GroupSpec, stream_schema: StreamSchema, slots: Slots) -> Identifier:
    read_id = id_reader(spec.group_id, stream_schema, f"{spec.place}.group_id", slots, GROUP_ID)
    field = source_name(spec.group_id, "group_id")
    group_key = spec.group_key

    def read(values: Values) -> tuple[str, JsonObject] | None:
        group_id = read_id(values)
        if group_id is None:
            refuse(
                "missing_group_id",
                field,
                "is null, blank or missing, and the mapping has no default",
            )
        return (group_id, {"$group_key": group_key, "$group_id": group_id}) if group_id else None

    return read
