"""How does a record become a row of a lookup table?"""

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from functools import partial
from typing import Any, Final, TypeAlias

import msgspec

from target_mixpanel.errors import StreamSchemaError, listed, printable
from target_mixpanel.mapping.blanks import trimmed
from target_mixpanel.mapping.canonical import scalar_text
from target_mixpanel.mapping.conditions import Conditions, compile_conditions
from target_mixpanel.mapping.formats import Formats, formats_of
from target_mixpanel.mapping.lookup_keys import typed_key
from target_mixpanel.mapping.new_columns import NewColumnReader
from target_mixpanel.mapping.paths import ResolvedColumn, Slot, Slots, Values, resolve
from target_mixpanel.mapping.patterns import PropertyRules
from target_mixpanel.mapping.properties import (
    ColumnConversion,
    compile_property,
    constant_value,
    property_sources,
)
from target_mixpanel.mapping.refusal import refuse
from target_mixpanel.mapping.sources import column_hasher
from target_mixpanel.mapping.stream_schema import NO_DATES, StreamSchema
from target_mixpanel.mapping.times import iso_day, utc_seconds
from target_mixpanel.mapping.written_times import stands_for_none
from target_mixpanel.specs.spec import Column, Constant, LookupTableSpec, Source, Times, times_of

Cell: TypeAlias = Callable[[Any], str | None]
"""A column's value, never None → the text that Mixpanel reads it from; None: there is none."""

_RULES: Final = PropertyRules(at_most=None, reserved=frozenset(), takes_objects=False)

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
    left_out: Mapping[str, str]
    """Columns that no pattern takes though nobody said so, each with the reason."""
    conditions: Conditions = Conditions()
    new_columns: NewColumnReader | None = None
    """Names what the table leaves out, or refuses it."""

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
        if self.new_columns is not None:
            self.new_columns.columns(values)
        cells = [key]
        for slot, empty, cell in self.columns:
            value = None if slot is None else values[slot]
            text = None if value is None else cell(value)
            cells.append(empty if text is None else text)
        return TableRow(typed_key(key), _line(cells))

    def _key(self, value: Any) -> str:
        if value is None:
            refuse("missing_key", self.key_name, "is null or missing, and is the table's key")
        text = scalar_text(value, self.key_name)
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
    found = property_sources(spec, spec.properties, _RULES, stream_schema)
    sources = found.sources
    place = f"{spec.place}.properties"
    names = [key.name, *(name for name, _ in sources)]
    if not sources:
        raise StreamSchemaError(
            f'{place}: "*" takes no column of this stream beside the key; name the columns'
        )
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
        left_out=found.left_out,
        conditions=compile_conditions(spec, stream_schema, slots),
        new_columns=None
        if found.new_columns is None
        else NewColumnReader(found.new_columns, lambda *_: None, stream_schema, slots),
    )


def _column(
    name: str, source: Source, spec: LookupTableSpec, stream_schema: StreamSchema, slots: Slots
) -> tuple[int | None, str, Cell]:
    place = f"{spec.place}.properties"
    any_cell = partial(_cell, field="value", times=Times(), formats=None, tell=lambda: None)
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
            return column_hasher(column, stream_schema, place, found.name)
        formats = formats_of(found.schema, stream_schema.schema)
        tell = partial(stream_schema.on_left_out, found.name, NO_DATES)
        return partial(_cell, field=found.name, times=times_of(spec), formats=formats, tell=tell)

    conversion = ColumnConversion(cell_of, any_cell)
    made = compile_property(name, column, conversion, stream_schema, place, times_of(spec))
    if made.is_pairs:
        raise StreamSchemaError(
            f'{place}: "{printable(name)}" is read as pairs, which differ from row to row, and a '
            "lookup table's columns are the same for all; take it out"
        )
    empty = "" if made.default is None else made.default
    return slots.add(made.column), empty, made.convert or any_cell


def _cell(
    value: Any, field: str, times: Times, formats: Formats | None, tell: Callable[[], None]
) -> str | None:
    """Return the text of a value, None if it is a date that is none, of which it *tells*."""
    form = None if formats is None else formats.form
    if type(value) is str and form not in {"date", "date-time"}:
        return value
    if type(value) is str or isinstance(value, date):
        found = _date_cell(value, times, form)
        if found is None and formats is not None and formats.is_or_text:
            found = None if stands_for_none(str(value)) else str(value)
        if found is None:
            tell()
        return found
    if type(value) is list:
        item_formats = None if formats is None else formats.items  # a table's lists are of one kind
        return _list_cell(value, field, lambda item: _cell(item, field, times, item_formats, tell))
    scalar = scalar_text(value, field)
    if scalar is None:
        refuse("invalid_value", field, "is an object, and a lookup table takes none")
    return scalar


def _list_cell(items: list[Any], field: str, text_of: Cell) -> str:
    """Return a list as JSON; a lookup table's lists are of texts, so numbers become such."""
    if any(item is None or isinstance(item, (dict, list)) for item in items):
        refuse("invalid_value", field, "is a list of more than texts, numbers and booleans")
    return _encode_list([text for text in map(text_of, items) if text is not None]).decode()


def _date_cell(value: str | date, times: Times, form: str | None) -> str | None:
    """
    Return a date-time by RFC 3339, in UTC and whole seconds, None if it is none.

    A day is its midnight in UTC: alone it would be a text to Mixpanel.
    """
    if isinstance(value, datetime) or (form == "date-time" and isinstance(value, str)):
        text = value if isinstance(value, str) else value.isoformat()
        found = utc_seconds(text, times)
        return None if found is None else f"{found}Z"
    found = iso_day(value, times.form) if isinstance(value, str) else iso_day(value.isoformat())
    return None if found is None else f"{found}T00:00:00Z"


def _line(cells: list[str]) -> bytes:
    return (",".join(map(_quoted, cells)) + _LINE_END).encode()


def _quoted(text: str) -> str:
    if not _NEEDS_QUOTES.search(text):
        return text
    return '"' + text.replace('"', '""') + '"'
