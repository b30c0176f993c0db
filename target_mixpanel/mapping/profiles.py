"""How does a record become an update of a user's or a group's profile?"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final, TypeAlias

import msgspec

from target_mixpanel.errors import StreamSchemaError, printable
from target_mixpanel.limits import (
    BOOKKEEPING_PROPERTIES,
    PARTS_OF_AN_UPDATE,
    PROFILE_MAX_PROPERTIES,
    RESERVED_PROFILE_PROPERTIES,
)
from target_mixpanel.mapping.conditions import Conditions, compile_conditions
from target_mixpanel.mapping.identity import NO_LOCATION, ip_reader
from target_mixpanel.mapping.json_schema import announces_more
from target_mixpanel.mapping.new_columns import NewColumnReader
from target_mixpanel.mapping.operands import constant_converter, operand_converter
from target_mixpanel.mapping.pairs import Spread, spread
from target_mixpanel.mapping.paths import ResolvedColumn, Slot, Slots, Values
from target_mixpanel.mapping.patterns import PropertyRules
from target_mixpanel.mapping.places import PlaceReader, place_reader
from target_mixpanel.mapping.profile_ids import Identifier, profile_identifier
from target_mixpanel.mapping.properties import (
    ColumnConversion,
    PropertySources,
    compile_property,
    constant_value,
    found_converter,
    property_sources,
)
from target_mixpanel.mapping.sources import Fetch
from target_mixpanel.mapping.stream_schema import StreamSchema
from target_mixpanel.mapping.values import Converter
from target_mixpanel.model import JsonObject
from target_mixpanel.specs.operations import DELETE, OPERATIONS, SET, UNSET, Operation
from target_mixpanel.specs.spec import (
    Column,
    Constant,
    GroupSpec,
    MatchedColumns,
    NamedProperties,
    PropertyNames,
    Source,
    UserSpec,
    WholeProfile,
    times_of,
)

Operand: TypeAlias = JsonObject | list[str] | None
"""What stands beside an operation in an update."""

OperandReader: TypeAlias = Callable[[Values], Operand | msgspec.UnsetType]
"""A record's values → its operand; UNSET where it has nothing to say."""

_NEVER: Final = (
    BOOKKEEPING_PROPERTIES
    | PARTS_OF_AN_UPDATE
    | {operation.key for operation in OPERATIONS.values()}
)


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
    left_out: Mapping[str, str]
    """Columns that no pattern takes though nobody said so, each with the reason."""
    new_columns: NewColumnReader | None
    """None: no property comes from a column that the schema does not name."""
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
    found = _property_sources(spec, stream_schema)
    new_columns = _new_columns(found, spec, stream_schema, slots)
    read_operand = _operand_reader(spec, found, new_columns, stream_schema, slots)
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
        left_out=found.left_out,
        new_columns=new_columns,
        conditions=compile_conditions(spec, stream_schema, slots, spec.delete_when),
        # Groups have no aliases.
        ignores_alias=user is not None and user.ignores_alias,
    )


def _property_sources(spec: UserSpec | GroupSpec, stream_schema: StreamSchema) -> PropertySources:
    match spec.properties:
        case PropertyNames() | WholeProfile():
            return PropertySources(())
        case MatchedColumns() | NamedProperties() as properties:
            pass
    rules = PropertyRules(
        PROFILE_MAX_PROPERTIES,
        RESERVED_PROFILE_PROPERTIES,
        _NEVER,
        takes_objects=spec.operation.value == "any",
    )
    found = property_sources(spec, properties, rules, stream_schema)
    if not found.sources and not announces_more(stream_schema.schema, stream_schema.schema):
        raise StreamSchemaError(
            f'{spec.place}.properties: "*" takes no column of this stream; name the properties, or '
            "write operation: delete",
        )
    return found


def _new_columns(
    found: PropertySources, spec: UserSpec | GroupSpec, stream_schema: StreamSchema, slots: Slots
) -> NewColumnReader | None:
    if found.new_columns is None:
        return None

    def converter_of(name: str, column: Column, resolved: ResolvedColumn) -> Converter | None:
        convert = partial(operand_converter, spec, name, column, stream_schema=stream_schema)
        conversion = ColumnConversion(convert)
        return found_converter(column, resolved, conversion, stream_schema, times_of(spec))

    return NewColumnReader(found.new_columns, converter_of, stream_schema, slots)


def _operand_reader(
    spec: UserSpec | GroupSpec,
    found: PropertySources,
    new_columns: NewColumnReader | None,
    stream_schema: StreamSchema,
    slots: Slots,
) -> OperandReader:
    """Return how a record's operand is read."""
    match spec.properties:
        case PropertyNames(names=names):
            return lambda _: list(names)
        case WholeProfile():
            # With delete_when, the records that it does not delete say nothing.
            is_for_all = spec.delete_when is None
            return lambda _: None if is_for_all else msgspec.UNSET
        case MatchedColumns() | NamedProperties():
            return _properties_reader(found.sources, new_columns, spec, stream_schema, slots)


def _properties_reader(
    sources: tuple[tuple[str, Source], ...],
    new_columns: NewColumnReader | None,
    spec: UserSpec | GroupSpec,
    stream_schema: StreamSchema,
    slots: Slots,
) -> OperandReader:
    place = f"{spec.place}.properties"
    constants: JsonObject = {}
    columns = []
    spreads: dict[str, Spread] = {}
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
                made = compile_property(
                    name, column, conversion, stream_schema, place, times_of(spec)
                )
                if made.is_pairs:
                    spreads[name] = spread(
                        made.column.name, RESERVED_PROFILE_PROPERTIES | _NEVER, stream_schema
                    )
                slot = slots.add(made.column, tells_absence=_says_null(spec))
                columns.append((name, slot, made.default, made.convert))
    given = {name: value for name, value in constants.items() if value is not None}
    make_reader = _null_reader if _says_null(spec) else _reader
    read = make_reader(given, columns, new_columns)
    return _spreading_reader(read, spreads) if spreads else read


def _says_null(spec: UserSpec | GroupSpec) -> bool:
    """Say whether a column that is null says something, and one that is not there does not."""
    return spec.operation is SET and spec.nulls != "keep"


def _reader(
    constants: JsonObject,
    columns: Sequence[tuple[str, int, Any, Converter | None]],
    new_columns: NewColumnReader | None,
) -> OperandReader:
    def read(values: Values) -> JsonObject | msgspec.UnsetType:
        operand = dict(constants)
        for name, slot, default, convert in columns:
            value = values[slot]
            if value is not None and convert is not None:
                value = convert(value)
            if value is None:
                value = default
            if value is not None:
                operand[name] = value
        if new_columns is not None:
            operand |= new_columns.converted(values)
        return operand or msgspec.UNSET

    return read


def _null_reader(
    constants: JsonObject,
    columns: Sequence[tuple[str, int, Any, Converter | None]],
    new_columns: NewColumnReader | None,
) -> OperandReader:
    """Return what reads nulls as well, but for those of columns that the record does not have."""

    def read(values: Values) -> JsonObject | msgspec.UnsetType:
        operand = dict(constants)
        for name, slot, default, convert in columns:
            value = values[slot]
            if value is msgspec.UNSET:
                if default is not None:
                    operand[name] = default
                continue
            if value is not None and convert is not None:
                value = convert(value)
            operand[name] = default if value is None else value
        for name, value, convert in () if new_columns is None else new_columns.columns(values):
            operand[name] = value if value is None or convert is None else convert(value)
        return operand or msgspec.UNSET

    return read


def _spreading_reader(read: OperandReader, spreads: Mapping[str, Spread]) -> OperandReader:
    """Return the same where some columns become properties of their own, by names of the record."""

    def read_all(values: Values) -> Operand | msgspec.UnsetType:
        operand = read(values)
        if not isinstance(operand, dict):
            return operand
        made = [(each, operand.pop(name)) for name, each in spreads.items() if name in operand]
        for each, pairs in made:
            if pairs is not None:
                each.add(pairs, operand)
        return operand or msgspec.UNSET

    return read_all
