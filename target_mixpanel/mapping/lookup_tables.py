"""How does a record become a row of a lookup table?"""

import re
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, tzinfo
from functools import partial
from typing import Any, Final, TypeAlias

import msgspec

from target_mixpanel.errors import StreamSchemaError, listed, printable
from target_mixpanel.mapping.canonical import scalar_text
from target_mixpanel.mapping.conditions import Conditions, compile_conditions
from target_mixpanel.mapping.ids import trimmed
from target_mixpanel.mapping.json_schema import string_format
from target_mixpanel.mapping.lookup_keys import typed_key
from target_mixpanel.mapping.paths import ResolvedColumn, Slot, Slots, Values, resolve
from target_mixpanel.mapping.properties import (
    ColumnConversion,
    PropertyRules,
    compile_property,
    constant_value,
    property_sources,
)
from target_mixpanel.mapping.refusal import refuse
from target_mixpanel.mapping.sources import column_hasher
from target_mixpanel.mapping.stream_schema import StreamSchema
from target_mixpanel.mapping.times import iso_day, utc_seconds
from target_mixpanel.specs.spec import Column, Constant, LookupTableSpec, Source

Cell: TypeAlias = Callable[[Any], str]
"""A column's value, never None → the text that Mixpanel reads it from."""

_RULES: Final = PropertyRules(at_most=None, reserved=frozenset())

_LINE_END: Final = "\r\n"
_NEEDS_QUOTES: Final = re.compile(r'[",\r\n]|\A\s|\s\Z')
"""By RFC 4180, and spaces at either end, which some readers cut off."""

_encode_list: Final = msgspec.json.encode


class TableRow(msgspec.Struct, frozen=True):
    """One line of a lookup table."""

    key: str
    """In the one spelling of all that are the same to Mixpanel."""
    line: bytes
    """CSV by RFC 4180, UTF-8, with its line end; the key stands first."""


class LookupTablePlan(msgspec.Struct, frozen=True):
    """A stream's mapping compiled against its schema."""

    slots: Sequence[Slot]
    """What `map` wants of a record: the key, and then the columns, in this order."""
    header: bytes
    """As a row's line."""
    key_name: str
    columns: tuple[tuple[int | None, str, Cell], ...]
    """Slot, the text where there is nothing, how the rest becomes text."""
    left_out: tuple[str, ...]
    """Columns that "*" does not take though nobody excluded them."""
    conditions: Conditions = Conditions()

    def map(self, values: Values, now_ms: int = 0) -> TableRow:  # noqa: ARG002 (as every plan)
        """
        Return a record as a row.

        Args:
            values: The record's, by slot.
            now_ms: Does not matter here.

        Mixpanel tells a column's types from the texts, so that "007" is a number to it, and an
        empty text is nothing.

        Raises:
            UnmappableError: It has no row; its flaw says why.
            UnicodeEncodeError: It holds half a character.
            RecursionError: It nests too deeply.
        """
        key = self._key(values[0])
        cells = [key]
        for slot, empty, cell in self.columns:
            value = None if slot is None else values[slot]
            cells.append(empty if value is None else cell(value))
        return TableRow(typed_key(key), _line(cells))

    def _key(self, value: Any) -> str:
        if value is None:
            refuse("missing_key", self.key_name, "is null or missing, and is the table's key")
        text = scalar_text(value)
        if text is None:
            refuse("invalid_key", self.key_name, "is a list or an object, and is the table's key")
        if not trimmed(text):
            refuse("missing_key", self.key_name, "is blank, and is the table's key")
        return text


def compile_lookup_table(spec: LookupTableSpec, stream_schema: StreamSchema) -> LookupTablePlan:
    """
    Compile *spec* against a stream's schema.

    Raises:
        StreamSchemaError: The mapping and the schema do not fit; the message says how to mend it.
    """
    key = resolve(spec.key, stream_schema.schema, f"{spec.place}.key")
    sources, left_out = property_sources(spec, spec.properties, _RULES, stream_schema)
    place = f"{spec.place}.properties"
    names = [key.name, *(name for name, _ in sources)]
    if not sources:
        raise StreamSchemaError(f'{place}: "*" takes no column of this stream beside the key')
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise StreamSchemaError(
            f"{place}: {listed(twice)} stands there twice; give it another name"
        )
    try:
        header = _line(names)
    except UnicodeEncodeError:
        raise StreamSchemaError(f"{place}: a name holds half a character") from None
    slots = Slots()
    slots.add(key)
    return LookupTablePlan(
        slots=slots.all,
        header=header,
        key_name=key.name,
        columns=tuple(
            _column(name, source, spec, stream_schema, slots) for name, source in sources
        ),
        left_out=left_out,
        conditions=compile_conditions(spec, stream_schema, slots),
    )


def _column(
    name: str, source: Source, spec: LookupTableSpec, stream_schema: StreamSchema, slots: Slots
) -> tuple[int | None, str, Cell]:
    place = f"{spec.place}.properties"
    any_cell = partial(_cell, field="value", timezone=UTC, form=None)
    match source:
        case Constant(value=value):
            text = (
                ""
                if value is None
                else constant_value(value, f'{place}: "{printable(name)}"', any_cell)
            )
            return None, text, any_cell
        case Column() as column:
            pass

    def cell_of(found: ResolvedColumn) -> Cell:
        if column.is_hashed:
            return column_hasher(stream_schema, place)
        form = string_format(found.schema, stream_schema.schema)
        return partial(_cell, field=found.name, timezone=spec.timezone, form=form)

    made = compile_property(name, column, ColumnConversion(cell_of, any_cell), stream_schema, place)
    empty = "" if made.default is None else made.default
    return slots.add(made.column), empty, made.convert or any_cell


def _cell(value: Any, field: str, timezone: tzinfo, form: str | None) -> str:
    """Return the text of a value of a column with the `format` *form*."""
    if type(value) is str:
        match form:
            case "date-time":
                return _time_cell(value, timezone)
            case "date":
                return _day_cell(value)
            case _:
                return value
    if isinstance(value, date):
        text = value.isoformat()
        return _time_cell(text, timezone) if isinstance(value, datetime) else _day_cell(text)
    if type(value) is list:
        return _list_cell(value, field)
    scalar = scalar_text(value)
    if scalar is None:
        refuse("invalid_value", field, "is an object, and a lookup table takes none")
    return scalar


def _list_cell(items: list[Any], field: str) -> str:
    """Return a list as JSON; a lookup table's lists are of texts, so numbers become such."""
    texts = [scalar_text(item) for item in items]
    if None in texts:
        refuse("invalid_value", field, "is a list of more than texts, numbers and booleans")
    return _encode_list(texts).decode()


def _time_cell(text: str, timezone: tzinfo) -> str:
    """Return a date-time by RFC 3339, in UTC and whole seconds; a text that is none as it is."""
    found = utc_seconds(text, timezone)
    return text if found is None else f"{found}Z"


def _day_cell(text: str) -> str:
    """Return a date as its midnight in UTC: a date alone would be a text to Mixpanel."""
    found = iso_day(text)
    return text if found is None else f"{found}T00:00:00Z"


def _line(cells: list[str]) -> bytes:
    return (",".join(map(_quoted, cells)) + _LINE_END).encode()


def _quoted(text: str) -> str:
    if not _NEEDS_QUOTES.search(text):
        return text
    return '"' + text.replace('"', '""') + '"'
