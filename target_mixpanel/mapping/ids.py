"""Whose id is a value: somebody's, nobody's, or is there none?"""

from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Any, Final, NoReturn, TypeAlias

import msgspec

from target_mixpanel.errors import StreamSchemaError
from target_mixpanel.limits import ID_MAX_BYTES, RESERVED_IDS
from target_mixpanel.mapping.blanks import trimmed
from target_mixpanel.mapping.canonical import scalar_text
from target_mixpanel.mapping.paths import Slots, Values, resolve_column
from target_mixpanel.mapping.refusal import UnmappableError, refuse
from target_mixpanel.mapping.sources import Fetch, column_getter, column_hasher, source_name
from target_mixpanel.mapping.stream_schema import DroppedId, StreamSchema
from target_mixpanel.mapping.values import Converter
from target_mixpanel.specs.spec import Column, Constant, Source


class IdKind(msgspec.Struct, frozen=True):
    """What a refusal says of an id."""

    name: str
    """It begins with `invalid_` there."""
    remedy: str = ""
    """What to do about an id that means nobody."""


USER_ID: Final = IdKind("distinct_id", "; list what means no user: {column: …, nobody: [values]}")
GROUP_ID: Final = IdKind("group_id", "; list what means no group: {column: …, nobody: [values]}")

IdReader: TypeAlias = Callable[[Values], str | None]
"""A record's values → an id; NOBODY where the mapping says so; None where there is none."""

NOBODY: Final = ""
"""Stands for no user, as an event's distinct_id does."""

_SURELY_SHORT: Final = ID_MAX_BYTES // 4
"""Characters, of which none has more bytes in UTF-8 than four."""


def id_reader(
    source: Source,
    stream_schema: StreamSchema,
    place: str,
    slots: Slots,
    kind: IdKind = USER_ID,
) -> IdReader:
    """
    Compile the id that *source* names.

    A hashed one is checked as it would be unhashed: else the hash of "anonymous" would be one user
    with everybody's events.

    Raises:
        StreamSchemaError: The schema has no such column; or the constant, or the default, is none.
    """
    match source:
        case Constant(value=value):
            constant = _constant_id(value, place, kind)
            return lambda _: constant
        case Column() as column:
            field = source_name(column, kind.name)
    default = None
    if column.default is not None and column.default is not msgspec.UNSET:
        default = _constant_id(column.default, f"{place}.default", kind)
    hashed = column_hasher(column, stream_schema, place, field) if column.is_hashed else None
    if hashed is not None or column.nobody or column.cast is not None or column.is_in_json:
        get = column_getter(column, stream_schema, place, slots)
        nobody = _Nobody(id_texts(column.nobody), DroppedId(field, is_meant=True), stream_schema)
        return _careful_reader(get, field, kind, default, nobody, hashed)
    slot = slots.add(resolve_column(column, stream_schema, place))

    def read(values: Values) -> str | None:
        value = values[slot]
        if type(value) is str and len(value) <= _SURELY_SHORT and value.isprintable():
            text = value.strip()
            if text and text.lower() not in RESERVED_IDS:  # nearly always
                return text
        checked = id_text(value, field, kind)
        return default if checked is None else checked

    return read


class _Nobody(msgspec.Struct, frozen=True):
    """Which ids mean nobody, and who counts them."""

    texts: frozenset[str]
    told: DroppedId
    stream_schema: StreamSchema


def _careful_reader(  # noqa: PLR0913, PLR0917 (each a fact of its own)
    get: Fetch,
    field: str,
    kind: IdKind,
    default: str | None,
    nobody: _Nobody,
    hashed: Converter | None,
) -> IdReader:
    instead = NOBODY if default is None else default

    def read(values: Values) -> str | None:
        text = spelled_id(get(values), field, kind)
        if text is None:
            return default
        if text in nobody.texts:
            nobody.stream_schema.on_dropped_id(nobody.told)
            return instead
        check_id(text, field, kind)
        return text if hashed is None else hashed(text)

    return read


def id_text(value: Any, field: str, kind: IdKind = USER_ID) -> str | None:
    """
    Return *value* as the text of an id, trimmed; None where it is null or blank.

    Numbers are texts to Mixpanel.

    Raises:
        UnmappableError: It is an id that Mixpanel refuses, or none at all.
    """
    text = spelled_id(value, field, kind)
    if text is not None:
        check_id(text, field, kind)
    return text


def id_texts(values: Iterable[Any]) -> frozenset[str]:
    """Return how *values*, of a mapping, are spelled as ids."""
    return frozenset(trimmed(scalar_text(value, "nobody") or "") for value in values)


def spelled_id(value: Any, field: str, kind: IdKind) -> str | None:
    """
    Return the text that *value* is as an id, trimmed; None where it is null or blank.

    Raises:
        UnmappableError: It is neither a text nor a number.
    """
    if type(value) is str:
        return trimmed(value) or None
    if type(value) is int:
        return str(value)
    if value is None:
        return None
    if type(value) is not Decimal and type(value) is not float:
        refuse(f"invalid_{kind.name}", field, "is neither a text nor a number, and must be an id")
    try:
        text = scalar_text(value, field)
    except UnmappableError as error:
        refuse(f"invalid_{kind.name}", field, error.flaw.detail or "is no number")
    if text is not None and "E" in text:  # it stands for hundreds of digits
        _refuse_long(field, kind)
    return text


def check_id(text: str, field: str, kind: IdKind) -> None:
    """
    Refuse an id that Mixpanel refuses.

    Raises:
        UnmappableError: It is one.
    """
    if text.lower() in RESERVED_IDS:
        refuse(
            f"invalid_{kind.name}",
            field,
            f"is an id that Mixpanel refuses{kind.remedy}",
            stage="limit",
        )
    if len(text) > _SURELY_SHORT and len(text.encode("utf-8", "surrogatepass")) > ID_MAX_BYTES:
        _refuse_long(field, kind)


def _refuse_long(field: str, kind: IdKind) -> NoReturn:
    refuse(f"invalid_{kind.name}", field, f"has more than {ID_MAX_BYTES} bytes", stage="limit")


def _constant_id(value: Any, place: str, kind: IdKind) -> str:
    """
    Return an id of the mapping's own; NOBODY where it is blank.

    Raises:
        StreamSchemaError: It is no id.
    """
    try:
        return id_text(value, place, IdKind(kind.name)) or NOBODY
    except UnmappableError as error:
        raise StreamSchemaError(f"{place}: {error.flaw.detail}") from None
