"""What becomes of a column that a record has and its stream's SCHEMA does not name?"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeAlias

import msgspec

from target_mixpanel.limits import is_too_long
from target_mixpanel.mapping.paths import ResolvedColumn, Slots, Values
from target_mixpanel.mapping.patterns import (
    NAME_TOO_LONG,
    NAMED_TWICE,
    LeftOut,
    Path,
    Patterns,
    Taken,
)
from target_mixpanel.mapping.refusal import refuse
from target_mixpanel.mapping.stream_schema import NewColumn, StreamSchema
from target_mixpanel.mapping.values import Converter
from target_mixpanel.model import JsonObject
from target_mixpanel.specs.spec import Column, NewColumns

ConverterOf: TypeAlias = Callable[[str, Column, ResolvedColumn], Converter | None]
"""(a property's name, its column, that column as found) → how its values become Mixpanel's."""

_NAMES_KNOWN: Final = 1_000
"""New columns of which it is remembered what becomes of them: memory must not grow with them."""

_IS_IGNORED: Final = "are not in the SCHEMA, and new_columns is ignore"
_IS_FIXED: Final = (
    "are not in the SCHEMA, and a lookup table's columns are fixed before its first row; name them "
    "under properties"
)


class _Property(msgspec.Struct, frozen=True):
    """What a new column becomes."""

    name: str
    convert: Converter | None
    rank: tuple[int, int]


class NewColumnsPolicy(msgspec.Struct, frozen=True):
    """What a mapping says of columns that only records have."""

    patterns: Patterns
    new_columns: NewColumns
    is_table: bool
    """Whether the properties are fixed before the first record."""
    names: frozenset[str]
    """Of the properties that are known without a record."""
    declared: Mapping[Path, frozenset[str]]
    """The columns that are known without a record, of the record itself and of objects."""
    not_excluded: tuple[str, ...]
    """What is to be excluded, and is none of those."""


class NewColumnReader:
    """Finds the properties that a mapping's records have beyond their schema."""

    def __init__(
        self,
        policy: NewColumnsPolicy,
        converter_of: ConverterOf,
        stream_schema: StreamSchema,
        slots: Slots,
    ) -> None:
        self._policy = policy
        self._converter_of = converter_of
        self._on_new_column = stream_schema.on_new_column
        self._slots: Sequence[tuple[int, Path]] = [
            (slots.add_beyond(names, parent), parent) for parent, names in policy.declared.items()
        ]
        self.declared: Final = policy.declared
        self.has_properties: Final = bool(policy.names)
        self.not_excluded: Final = policy.not_excluded
        self._known: dict[Path, _Property | None] = {}

    def is_learnable(self, path: Path) -> bool:
        """Say whether a schema that names the column would change nothing but how fast it goes."""
        return not self._policy.patterns.has_rivals(path)

    def columns(self, values: Values) -> Sequence[tuple[str, Any, Converter | None]]:
        """
        Return the new properties of a record: name, the column's value, how it becomes Mixpanel's.

        Raises:
            UnmappableError: The mapping wants no record that has some.
        """
        found: dict[str, tuple[_Property, Any]] = {}
        for slot, parent in self._slots:
            for name, value in (values[slot] or {}).items():
                made = self._property((*parent, name))
                if made is None:
                    continue
                rival = found.get(made.name)
                if rival is None or rival[0].rank < made.rank:
                    found[made.name] = made, value
        return [(name, value, made.convert) for name, (made, value) in found.items()]

    def converted(self, values: Values) -> JsonObject:
        """
        Return the new properties of a record that are not null, as Mixpanel gets them.

        Raises:
            UnmappableError: The mapping wants no record that has some, or one has no such value.
        """
        if not any(values[slot] for slot, _ in self._slots):
            return {}
        more = {
            name: value if convert is None else convert(value)
            for name, value, convert in self.columns(values)
            if value is not None
        }
        return {name: value for name, value in more.items() if value is not None}

    def _property(self, path: Path) -> _Property | None:
        if path in self._known:
            return self._known[path]
        made = self._decide(path)
        if len(self._known) < _NAMES_KNOWN:
            self._known[path] = made
        return made

    def _decide(self, path: Path) -> _Property | None:
        policy = self._policy
        found = policy.patterns.of(path)
        shown = path[0] if len(path) == 1 else ".".join((*path[:-1], "*"))
        if isinstance(found, Taken) and policy.new_columns == "fail":
            refuse("new_column", shown, "is not in the stream's schema, and new_columns is fail")
        if isinstance(found, Taken):
            found = self._as_allowed(found)
        match found:
            case None:
                return None
            case LeftOut(why=why):
                self._on_new_column(NewColumn(shown, why, is_lost=why in _LOSSES))
                return None
            case Taken(name=name, column=column, rank=rank):
                self._on_new_column(NewColumn(shown, None))
                convert = self._converter_of(name, column, ResolvedColumn(path, {}))
                return _Property(name, convert, rank)

    def _as_allowed(self, found: Taken) -> Taken | LeftOut:
        if self._policy.new_columns == "ignore":
            return LeftOut(_IS_IGNORED)
        if self._policy.is_table:
            return LeftOut(_IS_FIXED)
        if found.name in self._policy.names:
            return LeftOut(NAMED_TWICE)
        return LeftOut(NAME_TOO_LONG) if is_too_long(found.name) else found


_LOSSES: Final = frozenset({_IS_FIXED, NAMED_TWICE, NAME_TOO_LONG})
"""Reasons that neither the operator nor Mixpanel gave."""
