"""How does a record become an update of a user's or a group's profile?"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final, TypeAlias

import msgspec

from target_mixpanel.errors import StreamSchemaError, printable
from target_mixpanel.limits import (
    PROFILE_MAX_PROPERTIES,
    RESERVED_PROFILE_PROPERTIES,
)
from target_mixpanel.mapping.conditions import Conditions, compile_conditions
from target_mixpanel.mapping.identity import NO_LOCATION, ip_reader
from target_mixpanel.mapping.operands import constant_converter, operand_converter
from target_mixpanel.mapping.paths import Slot, Slots, Values
from target_mixpanel.mapping.places import PlaceReader, place_reader
from target_mixpanel.mapping.profile_ids import Identifier, profile_identifier
from target_mixpanel.mapping.properties import (
    ColumnConversion,
    PropertyRules,
    compile_property,
    constant_value,
    property_sources,
)
from target_mixpanel.mapping.sources import Fetch
from target_mixpanel.mapping.stream_schema import StreamSchema
from target_mixpanel.mapping.values import Converter
from target_mixpanel.model import JsonObject
from target_mixpanel.specs.operations import DELETE, SET, UNSET, Operation
from target_mixpanel.specs.spec import (
    AllColumns,
    Column,
    Constant,
    GroupSpec,
    NamedProperties,
    PropertyNames,
    Source,
    UserSpec,
    WholeProfile,
)

Operand: TypeAlias = JsonObject | list[str] | None
"""What stands beside an operation in an update."""

OperandReader: TypeAlias = Callable[[Values], Operand | msgspec.UnsetType]
"""A record's values → its operand; UNSET where it has nothing to say."""

_RULES: Final = PropertyRules(PROFILE_MAX_PROPERTIES, RESERVED_PROFILE_PROPERTIES)


class ProfileUpdate(msgspec.Struct, frozen=True):
    """What one record does to one profile."""

    profile_id: str
    """Updates of one id keep their order: a user's distinct_id, or a group's id."""
    operation: Operation
    update: JsonObject
    """`{"$distinct_id": …, "$set": {…}}` or `{"$group_key": …, "$group_id": …, "$set": {…}}`;
    without the project's token, which is put in when a request is packed."""
    then: "ProfileUpdate | None" = None
    """What it does to the profile after that."""


class ProfilePlan(msgspec.Struct, frozen=True):
    """A stream's mapping compiled against its schema."""

    slots: Sequence[Slot]
    """What `map` wants of a record, in this order."""
    operation: Operation
    operation_key: str
    """What the operation is called in an update."""
    identify: Identifier
    is_silent: bool
    """Whether updates are no sign of life of a user."""
    read_ip: Fetch | None
    read_place: PlaceReader | None
    unsets_nulls: bool
    """Whether what is null in an operand is unset instead."""
    read_operand: OperandReader
    left_out: tuple[str, ...]
    """Columns that "*" does not take though nobody excluded them."""
    conditions: Conditions
    ignores_alias: bool
    """As the spec's."""

    def map(self, values: Values, now_ms: int) -> ProfileUpdate | None:
        """
        Return a record as an update; None if it has nothing to say, or is about nobody.

        Args:
            values: The record's, by slot.
            now_ms: Mixpanel's time.

        Raises:
            UnmappableError: It has no update; its flaw says why.
            UnicodeEncodeError: A list or object holds half a character.
            RecursionError: It nests too deeply.
        """
        identified = self.identify(values)
        if identified is None:
            return None
        profile_id, update = identified
        is_deleted = self.conditions.delete
        if is_deleted is not None and is_deleted(values, now_ms):
            return self._deletion(profile_id, update)
        operand = self.read_operand(values)
        if operand is msgspec.UNSET:
            return None
        if self.operation is DELETE:
            return self._deletion(profile_id, update)
        if self.is_silent:
            update["$ignore_time"] = True
        if self.unsets_nulls and isinstance(operand, dict) and None in operand.values():
            return self._set_and_unset(profile_id, update, operand, values)
        self._locate(update, values)
        update[self.operation_key] = operand
        return ProfileUpdate(profile_id, self.operation, update)

    def _locate(self, update: JsonObject, values: Values) -> None:
        if self.read_place is not None:
            update.update(self.read_place(values))
        if self.read_ip is not None:
            ip = self.read_ip(values)
            if ip != NO_LOCATION:  # else the request says so for all its updates
                update["$ip"] = ip

    def _set_and_unset(
        self, profile_id: str, update: JsonObject, operand: JsonObject, values: Values
    ) -> ProfileUpdate:
        names = [name for name, value in operand.items() if value is None]
        unset = ProfileUpdate(profile_id, UNSET, {**update, UNSET.key: names})
        kept = {name: value for name, value in operand.items() if value is not None}
        if not kept:
            return unset
        self._locate(update, values)
        update[self.operation_key] = kept
        return ProfileUpdate(profile_id, self.operation, update, unset)

    def _deletion(self, profile_id: str, update: JsonObject) -> ProfileUpdate:
        if self.ignores_alias:  # else the profile goes that the id is an alias of
            update["$ignore_alias"] = True
        update[DELETE.key] = None
        return ProfileUpdate(profile_id, DELETE, update)


def compile_profiles(spec: UserSpec | GroupSpec, stream_schema: StreamSchema) -> ProfilePlan:
    """
    Compile *spec* against a stream's schema.

    Raises:
        StreamSchemaError: The mapping and the schema do not fit; the message says how to mend it.
    """
    slots = Slots()
    read_operand, left_out = _operand_reader(spec, stream_schema, slots)
    user = spec if isinstance(spec, UserSpec) else None
    ip, place = (None, None) if user is None else (user.ip, user.located_at)
    return ProfilePlan(
        slots=slots.all,
        operation=spec.operation,
        operation_key=spec.operation.key,
        identify=profile_identifier(spec, stream_schema, slots),
        # Only of users Mixpanel says that it has the time at which they were seen last.
        is_silent=user is not None and not user.updates_last_seen,
        read_place=None if place is None else place_reader(place, stream_schema, spec.place, slots),
        unsets_nulls=_says_null(spec) and spec.nulls == "unset",
        read_ip=None if ip is None else ip_reader(ip, stream_schema, f"{spec.place}.ip", slots),
        read_operand=read_operand,
        left_out=left_out,
        conditions=compile_conditions(spec, stream_schema, slots, spec.delete_when),
        # Groups have no aliases.
        ignores_alias=user is not None and user.ignores_alias,
    )


def _operand_reader(
    spec: UserSpec | GroupSpec, stream_schema: StreamSchema, slots: Slots
) -> tuple[OperandReader, tuple[str, ...]]:
    """Return how a record's operand is read, and the columns left out."""
    match spec.properties:
        case PropertyNames(names=names):
            return lambda _: list(names), ()
        case WholeProfile():
            # With delete_when, the records that it does not delete say nothing.
            is_for_all = spec.delete_when is None
            return lambda _: None if is_for_all else msgspec.UNSET, ()
        case AllColumns() | NamedProperties() as properties:
            sources, left_out = property_sources(spec, properties, _RULES, stream_schema)
    if not sources:
        raise StreamSchemaError(
            f'{spec.place}.properties: "*" takes no column of this stream; name the properties, or '
            "write operation: delete",
        )
    return _properties_reader(sources, spec, stream_schema, slots), left_out


def _properties_reader(
    sources: tuple[tuple[str, Source], ...],
    spec: UserSpec | GroupSpec,
    stream_schema: StreamSchema,
    slots: Slots,
) -> OperandReader:
    place = f"{spec.place}.properties"
    constants: JsonObject = {}
    columns = []
    for name, source in sources:
        convert_constant = constant_converter(spec.operation, name, stream_schema)
        match source:
            case Constant(value=None):
                pass
            case Constant(value=value):
                where = f'{place}: "{printable(name)}"'
                constants[name] = constant_value(value, where, convert_constant)
            case Column() as column:
                convert = partial(
                    operand_converter, spec, name, column, stream_schema=stream_schema
                )
                conversion = ColumnConversion(convert, convert_constant)
                made = compile_property(name, column, conversion, stream_schema, place)
                slot = slots.add(made.column, tells_absence=_says_null(spec))
                columns.append((name, slot, made.default, made.convert))
    given = {name: value for name, value in constants.items() if value is not None}
    return _null_reader(given, columns) if _says_null(spec) else _reader(given, columns)


def _says_null(spec: UserSpec | GroupSpec) -> bool:
    """Say whether a column that is null says something, and one that is not there does not."""
    return spec.operation is SET and spec.nulls != "keep"


def _reader(
    constants: JsonObject,
    columns: Sequence[tuple[str, int, Any, Converter | None]],
) -> OperandReader:
    def read(values: Values) -> JsonObject | msgspec.UnsetType:
        operand = dict(constants)
        for name, slot, default, convert in columns:
            value = values[slot]
            if value is None:
                value = default
            elif convert is not None:
                value = convert(value)
            if value is not None:
                operand[name] = value
        return operand or msgspec.UNSET

    return read


def _null_reader(
    constants: JsonObject,
    columns: Sequence[tuple[str, int, Any, Converter | None]],
) -> OperandReader:
    """Return what reads nulls as well, but for those of columns that the record does not have."""

    def read(values: Values) -> JsonObject | msgspec.UnsetType:
        operand = dict(constants)
        for name, slot, default, convert in columns:
            value = values[slot]
            if value is None or value is msgspec.UNSET:
                if default is not None:
                    value = default
            elif convert is not None:
                value = convert(value)
            if value is not msgspec.UNSET:
                operand[name] = value
        return operand or msgspec.UNSET

    return read
