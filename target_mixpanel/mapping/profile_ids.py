"""Whose profile does a record change?"""

from collections.abc import Callable
from typing import TypeAlias

from target_mixpanel.errors import StreamSchemaError
from target_mixpanel.limits import GROUP_ID_MAX_CHARS
from target_mixpanel.mapping.canonical import scalar_text
from target_mixpanel.mapping.identity import identifier
from target_mixpanel.mapping.paths import Slots, Values
from target_mixpanel.mapping.refusal import UnmappableError, refuse
from target_mixpanel.mapping.sources import fetch_id, source_name
from target_mixpanel.mapping.stream_schema import StreamSchema
from target_mixpanel.model import JsonObject
from target_mixpanel.specs.columns import id_sources
from target_mixpanel.specs.spec import Column, GroupSpec, Source, UserSpec

Identifier: TypeAlias = Callable[[Values], tuple[str, JsonObject] | None]
"""A record's values → the profile's id, and the part of an update that names the profile; None:
the record is about nobody, and the mapping says by a blank default that there are such."""


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
    if not any(isinstance(source, Column) for source in id_sources(spec)):
        try:
            identify([])
        except UnmappableError as error:
            key = "group_id" if isinstance(spec, GroupSpec) else "distinct_id"
            raise StreamSchemaError(f"{spec.place}.{key}: {error.flaw.detail}") from None
    return identify


def _user_identifier(spec: UserSpec, stream_schema: StreamSchema, slots: Slots) -> Identifier:
    _, identify = identifier(spec, stream_schema, slots)
    ids = id_sources(spec)
    field = source_name(ids[0], "distinct_id")
    may_be_nobody = any(map(_is_blank_by_default, ids))

    def read(values: Values) -> tuple[str, JsonObject] | None:
        user = identify(values)[0]
        if not user and may_be_nobody:
            return None
        if not user or user.isspace():
            refuse("missing_distinct_id", field, "is blank, and a profile needs an id")
        return user, {"$distinct_id": user}

    return read


def _group_identifier(spec: GroupSpec, stream_schema: StreamSchema, slots: Slots) -> Identifier:
    get = fetch_id(spec.group_id, stream_schema, f"{spec.place}.group_id", slots, _group_text)
    field = source_name(spec.group_id, "group_id")
    group_key = spec.group_key
    may_be_none = _is_blank_by_default(spec.group_id)

    def read(values: Values) -> tuple[str, JsonObject] | None:
        value = get(values)
        if value == "" and may_be_none:
            return None
        group_id = _group_text(value, field)
        return group_id, {"$group_key": group_key, "$group_id": group_id}

    return read


def _is_blank_by_default(source: Source) -> bool:
    return isinstance(source, Column) and source.default == ""


def _group_text(value: object, field: str) -> str:
    if value is None:
        refuse("missing_group_id", field, "is null or missing, and the mapping has no default")
    text = None if isinstance(value, bool) else scalar_text(value, field)
    if text is None:
        refuse("invalid_group_id", field, "is neither a text nor a number")
    if not text or text.isspace():
        refuse("missing_group_id", field, "is blank, and a profile needs an id")
    if len(text) > GROUP_ID_MAX_CHARS:
        refuse(
            "invalid_group_id",
            field,
            f"has more than {GROUP_ID_MAX_CHARS} characters",
            stage="limit",
        )
    return text
