"""
Which type has just the records that a stream's schema allows?

A line that decodes to it needs no validator, and no dict is made of it. What a type cannot say (a
`pattern`, a `$ref`) has none; what it does not let through may be valid all the same (an integer
spelled `5.0`). Both take the careful way, which alone decides: this file never refuses anything.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from typing import Annotated, Any, Final, Literal, Union

import msgspec
from msgspec import UNSET

from target_mixpanel.limits import MAX_ARRAY_ITEMS, MAX_SAFE_INTEGER
from target_mixpanel.mapping.paths import Slot
from target_mixpanel.mapping.stream_schema import StreamSchema
from target_mixpanel.model import JsonObject
from target_mixpanel.pipeline.json_numbers import decimal_number, number

_ABSENT: Final = msgspec.Raw(b"")
"""Stands for a number that the record does not have."""

is_plain_number: Final = re.compile(rb"(?:-(?!0))?(?:\d{1,8}(?:\.\d{1,7})?|\d{1,15})").fullmatch
"""Of at most fifteen digits and no exponent: a double holds it, and every reader reads it alike."""

_SAYS_NOTHING: Final = frozenset(
    {"$comment", "$defs", "$id", "$schema", "contentEncoding", "contentMediaType", "default"}
    | {"definitions", "deprecated", "description", "examples", "format", "id", "inclusion"}
    | {"readOnly", "selected", "sqlDatatype", "title", "writeOnly"},
)
"""Keywords that confine no value; definitions do only where a `$ref` leads to them."""


class UntypeableSchemaError(Exception):
    """A schema says more than a type can; its stream has no fast way."""


class _Use(msgspec.Struct):
    """What the plans want of a column: itself, what is below it, or nothing."""

    is_whole: bool = False
    tells_absence: bool = False
    """Whether a record that does not have it is another than one where it is null."""
    below: dict[str, "_Use"] = msgspec.field(default_factory=dict)
    is_searched: bool = False
    """Whether columns of it matter that nothing is known of."""

    def at(self, path: Sequence[str], *, tells_absence: bool = False) -> "_Use":
        """Return what the plans want of the column at *path* below this one."""
        here = self
        here.tells_absence |= tells_absence
        for name in path:
            here = here.below.setdefault(name, _Use())
            here.tells_absence |= tells_absence
        return here

    @property
    def is_any(self) -> bool:
        return self.is_whole or self.is_searched or bool(self.below)


class _Column(msgspec.Struct):
    """A column's type, and how its value is got at."""

    type: Any
    is_number: bool = False
    """Its value is the JSON of a number (or null), still to be read."""
    is_nullable: bool = False
    object: "_Object | None" = None
    """Of a column whose own columns are typed."""


class _Object(msgspec.Struct):
    """An object's type, and its columns by name, each with its attribute."""

    type: type
    columns: dict[str, tuple[str, _Column]]
    unset: frozenset[str] = frozenset()
    """Those whose attribute is UNSET in a record that does not have them."""


class ValueAccess(msgspec.Struct):
    """Where a decoded record has one slot's value."""

    attributes: list[str]
    keys: tuple[str, ...]
    """From where on there are dicts."""
    is_number: bool = False
    """It is the JSON of a number (or null), still to be read."""
    is_nullable: bool = True
    is_typed_object: bool = False
    """It is an object, or null, whose columns are all known."""
    may_be_unset: bool = False
    """An attribute may be UNSET."""

    def get(self, record: Any) -> Any:
        here = record
        for attribute in self.attributes:
            here = getattr(here, attribute, None)
        for key in self.keys:
            if type(here) is not dict:
                return None
            here = here.get(key)
        return None if here is UNSET else here

    def get_telling(self, record: Any) -> Any:
        """Return the value, UNSET if the record has none, not even null."""
        here = record
        for attribute in self.attributes:
            if here is None or here is UNSET:
                return here
            here = getattr(here, attribute)
        for key in self.keys:
            if type(here) is not dict:
                return None if here is None else UNSET
            here = here.get(key, UNSET)
        return here


class TypedRecords:
    """The type of one stream's records under one schema."""

    def __init__(
        self,
        stream_schema: StreamSchema,
        slots: Iterable[Slot],
        needed_keys: frozenset[str],
    ) -> None:
        """
        Compile the type for records of *stream_schema*, of which the values of *slots* are wanted.

        A record that lacks one of *needed_keys* is none of that type; nor is one that has a column
        of which nothing is known, in the record itself or an object that a slot searches for such.

        Raises:
            UntypeableSchemaError: There is none.
        """
        use = _Use()
        for slot in slots:
            here = use.at(slot.column.path, tells_absence=slot.tells_absence)
            if slot.beyond is None:
                here.is_whole = True
            else:
                here.is_searched = True
        for path in stream_schema.learned:
            use.at(path)
        try:
            self._record = _object(stream_schema.schema, use, needed_keys)
            message = msgspec.defstruct(
                "RecordMessage",
                [
                    ("type", Literal["RECORD"]),
                    ("stream", Literal[stream_schema.stream]),
                    ("record", self._record.type),
                ],
                gc=False,
            )
            self._decode = _decoder(message)
            self._decode_bare = _decoder(self._record.type)
        except (TypeError, ValueError):  # names and unions that msgspec has no type for
            raise UntypeableSchemaError from None

    def decode(self, line: bytes) -> Any:
        """
        Return the record on *line*, a RECORD message.

        Raises:
            msgspec.MsgspecError: It is no such record, or one that needs a closer look.
            UnicodeDecodeError: As above.
            RecursionError: As above.
        """
        record = self._decode(line).record
        if not line.isascii():
            line.decode()  # what the type skips must be UTF-8, too
        return record

    def decode_bare(self, json: bytes) -> Any:
        """
        Return the record whose columns alone are *json*.

        Raises:
            msgspec.MsgspecError: As `decode`; so the others.
        """
        record = self._decode_bare(json)
        if not json.isascii():
            json.decode()
        return record

    def access(self, path: Sequence[str]) -> ValueAccess:
        """Return where records have the value at *path*, one of those that were wanted."""
        here: _Object | None = self._record
        column = _Column(Any)
        attributes: list[str] = []
        may_be_unset = False
        for depth, name in enumerate(path):
            if here is None:
                return ValueAccess(attributes, tuple(path[depth:]), may_be_unset=may_be_unset)
            attribute, column = here.columns[name]
            attributes.append(attribute)
            may_be_unset |= name in here.unset
            here = column.object
        is_typed = column.object is not None or not path
        return ValueAccess(
            attributes, (), column.is_number, column.is_nullable, is_typed, may_be_unset
        )


def _decoder(of: Any) -> Callable[[bytes], Any]:
    return msgspec.json.Decoder(of, float_hook=decimal_number).decode


def read_number(json: msgspec.Raw | None, *, is_nullable: bool) -> int | float | Decimal | None:
    """
    Return what the careful way would have decoded from *json*; None for null and nothing.

    Raises:
        msgspec.ValidationError: It is no number.
    """
    text = b"" if json is None else bytes(json)
    if not text or (is_nullable and text == b"null"):
        return None
    if text[:1] not in b"-0123456789":
        raise msgspec.ValidationError("no number")
    try:
        return number(text.decode())
    except ValueError:  # thousands of digits
        raise msgspec.ValidationError("no number that Python reads") from None


def _object(schema: JsonObject, use: _Use, required: frozenset[str] = frozenset()) -> _Object:
    said = _said(schema)
    columns = said.pop("properties", {})
    needed = said.pop("required", [])
    has_more = said.pop("additionalProperties", True)
    said.pop("type", None)
    if said or use.is_whole or has_more not in (True, False, {}) or not isinstance(needed, list):
        raise UntypeableSchemaError
    required |= frozenset(needed)
    # A column that is used, or required, and of which nothing is said may be anything.
    names = dict.fromkeys([*columns, *use.below, *sorted(required)])
    made = {
        name: (f"c{number}", _column(columns.get(name, {}), use.below.get(name) or _Use()))
        for number, name in enumerate(names)
    }
    unset = frozenset(
        name
        for name in made.keys() - required
        if name in use.below and use.below[name].tells_absence
    )
    type_ = msgspec.defstruct(
        "Record",
        [
            (attribute, column.type)
            if name in required
            else (attribute, column.type, _absent(column, is_told=name in unset))
            for name, (attribute, column) in made.items()
        ],
        rename={attribute: name for name, (attribute, _) in made.items()},
        forbid_unknown_fields=has_more is False or use.is_searched,
        kw_only=True,
        gc=False,
    )
    return _Object(type_, made, unset)


def _absent(column: _Column, *, is_told: bool) -> Any:
    """Return what stands for *column* in a record that does not have it."""
    if is_told:
        return UNSET
    return _ABSENT if column.is_number else None  # see read_number


def _column(schema: Any, use: _Use) -> _Column:
    said = _said({} if schema is True else schema)
    kinds = _kinds(said)
    is_used = use.is_any
    made = _Column(Any, is_nullable="null" in kinds)
    if "number" in kinds:
        made.is_number = is_used
        made.type = _number(kinds - {"integer"}, is_used=is_used)
    elif kinds:
        types = [_TYPES[kind] for kind in kinds & {"boolean", "null"}]
        if "string" in kinds:
            types.append(_text(said))
        if "integer" in kinds:
            types.append(_integer(said))
        if "array" in kinds:
            types.append(_list(said, is_used=is_used))
        if "object" in kinds:
            made.object, type_ = _nested(said, use)
            types.append(type_)
        made.type = _union(types)
    if said:
        raise UntypeableSchemaError
    return made


def _number(kinds: set[str], *, is_used: bool) -> Any:
    """Return the type of numbers: as their JSON where their value counts, to the last digit."""
    if not is_used:
        return _union([_TYPES[kind] for kind in kinds])
    if kinds - {"number", "null"}:
        raise UntypeableSchemaError
    return msgspec.Raw


def _nested(said: JsonObject, use: _Use) -> tuple[_Object | None, Any]:
    own: JsonObject = {name: said.pop(name) for name in _OF_OBJECTS if name in said}
    if "properties" in own:
        made = _object(own, use)
        return made, made.type
    if own.get("required") or own.get("additionalProperties", True) not in (True, {}):
        raise UntypeableSchemaError
    return None, dict[str, Any]


_OF_OBJECTS: Final = ("additionalProperties", "properties", "required")

_TYPES: Final[dict[str, Any]] = {
    "array": list[Any],
    "boolean": bool,
    "null": None,
    "number": float,
    "object": dict[str, Any],
    "string": str,
}


def _said(schema: Any) -> JsonObject:
    """Return what *schema* confines values by."""
    if not isinstance(schema, dict):
        raise UntypeableSchemaError
    return {
        keyword: value
        for keyword, value in schema.items()
        if keyword not in _SAYS_NOTHING and not keyword.startswith("x-")
    }


def _kinds(said: JsonObject) -> set[str]:
    """Take the JSON types out of *said*, an `anyOf` of nothing but types among them."""
    branches = said.pop("anyOf", None)
    kinds = said.pop("type", None)
    if branches is None:
        return {kinds} if isinstance(kinds, str) else set(kinds or ())
    if kinds is not None or not isinstance(branches, list):
        raise UntypeableSchemaError
    found: set[str] = set()
    for branch in map(_said, branches):
        inner = _kinds(branch)
        if branch or not inner:
            raise UntypeableSchemaError
        found |= inner
    return found


def _text(said: JsonObject) -> Any:
    return _bounded(
        str, {"min_length": said.pop("minLength", None), "max_length": said.pop("maxLength", None)}
    )


def _integer(said: JsonObject) -> Any:
    """Return the type of integers that a double holds; of larger ones the text is sent."""
    least, most = said.pop("minimum", None), said.pop("maximum", None)
    if any(type(bound) not in {int, type(None)} for bound in (least, most)):
        raise UntypeableSchemaError
    least = -MAX_SAFE_INTEGER if least is None else max(least, -MAX_SAFE_INTEGER)
    most = MAX_SAFE_INTEGER if most is None else min(most, MAX_SAFE_INTEGER)
    return _bounded(int, {"ge": least, "le": most})


def _list(said: JsonObject, *, is_used: bool) -> Any:
    items = said.pop("items", {})
    item = _column(items, _Use(is_whole=is_used))
    if item.is_number:  # each would still have to be read
        raise UntypeableSchemaError
    return _bounded(list[item.type], {"max_length": MAX_ARRAY_ITEMS})  # type: ignore[name-defined]


def _bounded(kind: Any, bounds: dict[str, Any]) -> Any:
    given = {name: bound for name, bound in bounds.items() if bound is not None}
    if any(type(bound) is not int for bound in given.values()):
        raise UntypeableSchemaError
    return Annotated[kind, msgspec.Meta(**given)] if given else kind


def _union(types: Sequence[Any]) -> Any:
    return Union[tuple(types)]  # noqa: UP007 (of a length known only now)
