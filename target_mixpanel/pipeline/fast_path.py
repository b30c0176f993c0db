"""
How do RECORD lines become events fast? Compiled from the same plans as the careful way.

For each stream a type is made that lets only valid records through (`typed_records`), and for each
of its mappings one Python function, generated as the standard library's dataclasses generate their
`__init__`: it has no loop over columns and no look-up, which is what the careful way spends most of
its time on. The source holds names of our own (`column3`, `convert3`) and nothing else; what a tap
or an operator chose is bound to them as values. Whatever is not as expected is left to the careful
way, which gives the same rows: a test with random schemas, mappings and records holds the two
together.
"""

from collections.abc import Callable, Sequence
from typing import Any, Final, TypeAlias

import msgspec

from target_mixpanel.limits import EARLIEST_TIME_MS, FUTURE_TOLERANCE_MS
from target_mixpanel.mapping.blanks import null_if_blank
from target_mixpanel.mapping.conditions import Conditions
from target_mixpanel.mapping.events import Event, EventPlan, event_text
from target_mixpanel.mapping.paths import Slot, beyond
from target_mixpanel.mapping.plans import MappedRecord, Plan
from target_mixpanel.mapping.refusal import UnmappableError
from target_mixpanel.mapping.stream_schema import StreamSchema
from target_mixpanel.mapping.values import Converter, is_guaranteed_by_type, takes_any_number
from target_mixpanel.pipeline.typed_records import (
    TypedRecords,
    UntypeableSchemaError,
    ValueAccess,
    is_plain_number,
    read_number,
)

MapRecord: TypeAlias = Callable[[Any, int], MappedRecord]
"""(decoded record, Mixpanel's time in ms) → as a plan's `map`; or raises one of `FALL_BACK`."""


class _CloserLookError(Exception):
    """The record may be refused; the careful way finds out."""


FALL_BACK: Final = (
    _CloserLookError,
    AttributeError,  # on the way to a value there is something other than an object
    RecursionError,
    UnicodeError,
    UnmappableError,
    msgspec.MsgspecError,
)
"""What says that a line has to take the careful way."""


class FastPath:
    """The fast way of one stream under one schema."""

    def __init__(
        self, stream_schema: StreamSchema, plans: Sequence[Plan], needed_keys: frozenset[str]
    ) -> None:
        """
        Compile *plans* against *stream_schema*, for records that have all *needed_keys*.

        Raises:
            UntypeableSchemaError: There is no fast way.
        """
        slots = [slot for plan in plans for slot in plan.slots if not slot.is_rare]
        if not all(slot.column.path or slot.beyond is not None for slot in slots):
            raise UntypeableSchemaError  # of a record that is taken whole nothing may be skipped
        records = TypedRecords(stream_schema, slots, needed_keys)
        self.decode: Final = records.decode
        self.decode_bare: Final = records.decode_bare
        """Line → record; or raises one of `FALL_BACK`."""
        self.maps: Final[Sequence[tuple[int, MapRecord]]] = [
            (destination, _compile(plan, records, is_blank_null=stream_schema.is_blank_null))
            for destination, plan in enumerate(plans)
        ]
        """One for each plan, with its number."""


class _Function:
    """A function that is being written, and what its names are bound to."""

    def __init__(self, signature: str, *, is_blank_null: bool = False) -> None:
        self.is_blank_null = is_blank_null
        """Whether blank texts among the record's values count as null."""
        self._lines = [f"def {signature}:"]
        self._name = signature.partition("(")[0]
        self._bound: dict[str, Any] = {}

    def add(self, *lines: str) -> None:
        self._lines += [f"    {line}" for line in lines]

    def bind(self, name: str, value: Any) -> str:
        self._bound[name] = value
        return name

    def compiled(self) -> Any:
        code = compile("\n".join(self._lines), "<fast path>", "exec")
        exec(code, self._bound)  # noqa: S102 (no name in it is anybody else's)
        return self._bound[self._name]


def _compile(plan: Plan, records: TypedRecords, *, is_blank_null: bool) -> MapRecord:
    function = _Function("map_record(record, now_ms)", is_blank_null=is_blank_null)
    if isinstance(plan, EventPlan):
        return _compile_events(plan, records, function)
    accesses = [records.access(slot.column.path) for slot in plan.slots]
    values = [
        _add_slot(function, number, slot, accesses[number])
        for number, slot in enumerate(plan.slots)
    ]
    function.add(f"values = [{', '.join(values)}]")
    _add_conditions(function, plan.conditions)
    function.add(f"return {function.bind('map_values', plan.map)}(values, now_ms)")
    map_record: MapRecord = function.compiled()
    return map_record


def _compile_events(plan: EventPlan, records: TypedRecords, function: _Function) -> MapRecord:
    accesses = [records.access(slot.column.path) for slot in plan.slots]
    own = [
        _add_slot(function, number, slot, accesses[number])
        for number, slot in enumerate(plan.slots[: plan.first_property])
    ]
    function.add(f"values = [{', '.join(own)}]")
    _add_conditions(function, plan.conditions)
    _add_name(function, plan)
    _add_time(function, plan)
    function.bind("read_insert_id", plan.read_insert_id)
    function.add("insert_id = read_insert_id(values, name, time_ms)")
    ids = [f"id{number}" for number in range(len(plan.id_names))]
    function.bind("identify", plan.identify)
    function.add(f"{', '.join(ids)}, = identify(values)")
    ip = [] if plan.read_ip is None else [f"{function.bind('read_ip', plan.read_ip)}(values)"]
    constants = [function.bind(f"constant{n}", value) for n, value in enumerate(plan.constants)]
    conversions = {slot: (convert, default) for slot, convert, default in plan.conversions}
    columns = [
        _add_column(function, slot, accesses[slot], *conversions.get(slot, (None, None)))
        for slot in range(plan.first_property, len(accesses))
    ]
    properties = ["time_ms", "insert_id", *ids, *ip, *constants, *columns]
    function.bind("make_event", plan.assembler.event)
    function.bind("make_properties", plan.assembler.properties)
    function.add(f"properties = make_properties({', '.join(properties)})")
    _add_new_columns(function, plan, accesses)
    if plan.ignore_slot is not None:
        function.add(f"if {columns[plan.ignore_slot - plan.first_property]}: return None")
    function.add("content = make_event(name, properties)")
    function.bind("Event", Event)
    function.add("return Event(name, time_ms, insert_id, content)")
    map_record: MapRecord = function.compiled()
    return map_record


def _add_conditions(function: _Function, conditions: Conditions) -> None:
    """Write what filters a record; what only the clock can tell takes a fresh look at it."""
    if not conditions.may_ask:
        return
    function.bind("CloserLookError", _CloserLookError)
    function.bind("may_change", conditions.may_change)
    function.add("if may_change(values, now_ms): raise CloserLookError")
    if conditions.may_filter:
        function.bind("takes", conditions.takes)
        function.add("if not takes(values, now_ms): return None")


def _add_name(function: _Function, plan: EventPlan) -> None:
    """Write what gets the event's name from `values`, unless all events have the same."""
    function.bind("name", plan.event_name)
    if plan.event_name is None:
        function.bind("name_event", plan.name_event)
        function.bind("event_text", event_text)
        function.bind("event_field", plan.event_field)
        function.add(
            "name = name_event(values)",
            "if type(name) is not str or not name or name.isspace():"
            " name = event_text(name, event_field)",
        )


def _add_time(function: _Function, plan: EventPlan) -> None:
    """Write what gets the event's time from `values`, as `refuse_outside_window` lets it be."""
    function.bind("fetch_time", plan.fetch_time)
    function.bind("read_time", plan.read_time)
    function.bind("CloserLookError", _CloserLookError)
    function.add(
        "time = fetch_time(values)",
        "if time is None: raise CloserLookError",
        "time_ms = read_time(time, now_ms)",
        f"if not {EARLIEST_TIME_MS} <= time_ms <= now_ms + {FUTURE_TOLERANCE_MS}:"
        " raise CloserLookError",
    )


def _add_new_columns(function: _Function, plan: EventPlan, accesses: Sequence[ValueAccess]) -> None:
    """Write what adds the columns of objects of which the schema says nothing."""
    found = [
        not access.is_typed_object
        for slot, access in zip(plan.slots, accesses, strict=True)
        if slot.beyond is not None
    ]
    if plan.new_columns is not None and any(found):
        function.bind("new_columns", plan.new_columns.converted)
        function.bind("widened", plan.assembler.widened)
        function.add(
            "more = new_columns(values)",
            "if more: properties = widened(properties, more)",
        )


def _add_slot(function: _Function, number: int, slot: Slot, access: ValueAccess) -> str:
    """Write what gets a slot's value, None where only the careful way has one; return its name."""
    if slot.is_rare or (slot.beyond is not None and access.is_typed_object):
        return "None"
    name = _add_value(function, number, access, tells_absence=slot.tells_absence)
    if slot.beyond is not None:
        known = function.bind(f"known{number}", slot.beyond)
        function.add(f"{name} = {function.bind('beyond', beyond)}({name}, {known})")
    return name


def _add_value(
    function: _Function, slot: int, access: ValueAccess, *, tells_absence: bool = False
) -> str:
    """Write what gets a slot's value from `record`; return the name it has then."""
    name = f"column{slot}"
    _add_access(function, slot, access, name, tells_absence=tells_absence)
    if access.is_number:
        is_nullable = access.is_nullable
        read = function.bind(f"read{slot}", lambda json: read_number(json, is_nullable=is_nullable))
        function.bind("UNSET", msgspec.UNSET)
        is_there = f"if {name} is not UNSET: " if tells_absence else ""
        function.add(f"{is_there}{name} = {read}({name})")
    elif function.is_blank_null:
        function.bind("null_if_blank", null_if_blank)
        function.add(f"{name} = null_if_blank({name})")
    return name


def _add_access(
    function: _Function, slot: int, access: ValueAccess, name: str, *, tells_absence: bool
) -> None:
    """Write what gets a value as it was decoded."""
    if access.keys or (access.may_be_unset and len(access.attributes) > 1):
        get = access.get_telling if tells_absence else access.get
        function.add(f"{name} = {function.bind(f'get{slot}', get)}(record)")
        return
    here = "record"
    for attribute in access.attributes:
        is_sure = "" if here == "record" else f" if {here} is not None else None"
        function.add(f"{name} = {here}.{attribute}{is_sure}")
        here = name
    if access.may_be_unset and not tells_absence:
        function.bind("UNSET", msgspec.UNSET)
        function.add(f"if {name} is UNSET: {name} = None")


def _add_column(
    function: _Function,
    slot: int,
    access: ValueAccess,
    convert: Converter | None,
    default: Any,
) -> str:
    """Write what gets a property's value from `record`; return the name it has then."""
    if access.is_number and convert is not None and takes_any_number(convert):
        name = _add_value(function, slot, msgspec.structs.replace(access, is_number=False))
        function.bind("is_plain_number", is_plain_number)
        read = function.bind(f"read{slot}", _number_reader(convert, is_nullable=access.is_nullable))
        function.add(f"if {name} is None or not is_plain_number({name}): {name} = {read}({name})")
    else:
        name = _add_value(function, slot, access)
        if convert is not None and not is_guaranteed_by_type(convert):
            converter = function.bind(f"convert{slot}", convert)
            function.add(f"if {name} is not None: {name} = {converter}({name})")
    if default is not None:
        function.add(f"if {name} is None: {name} = {function.bind(f'default{slot}', default)}")
    return name


def _number_reader(convert: Converter, *, is_nullable: bool) -> Callable[[Any], Any]:
    def read(json: Any) -> Any:
        value = read_number(json, is_nullable=is_nullable)
        return None if value is None else convert(value)

    return read
