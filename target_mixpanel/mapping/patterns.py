"""Which property does a column become by a mapping's patterns, and why do some become none?"""

from collections.abc import Collection, Iterable, Iterator
from fnmatch import fnmatchcase
from typing import Final, TypeAlias

import msgspec

from target_mixpanel.errors import StreamSchemaError
from target_mixpanel.limits import NAME_MAX_BYTES
from target_mixpanel.mapping.json_schema import named_columns
from target_mixpanel.mapping.paths import resolve
from target_mixpanel.mapping.stream_schema import METADATA_PREFIX, StreamSchema
from target_mixpanel.model import JsonObject
from target_mixpanel.specs.spec import (
    Column,
    ColumnPattern,
    MatchedColumns,
    path_name,
)

Path: TypeAlias = tuple[str, ...]
"""Where a column stands in a record, name by name."""

_WILDCARD: Final = "*"

MEANS_SOMETHING: Final = "mean something to Mixpanel; name what you need under properties"
_IDENTIFIES: Final = "identify or book an event or a profile; the mapping's own keys say that"
_IS_METADATA: Final = "are the taps' own; add_record_metadata takes them"
_HAS_NO_NAME: Final = "have no name"
NAME_TOO_LONG: Final = f"have names of more than {NAME_MAX_BYTES} bytes"
NAMED_TWICE: Final = "would be another property's name; name them under properties"

_GLOB: Final = frozenset("*?[")

_OWN_PREFIXES: Final = ("$", "mp_")
"""Begin the names that Mixpanel gives."""

_BOOKS: Final = "$mp_"


class PropertyRules(msgspec.Struct, frozen=True):
    """Which properties Mixpanel takes."""

    at_most: int | None
    """How many; None: no number is known."""
    reserved: frozenset[str]
    """Names that "*" does not take."""
    never: frozenset[str] = frozenset()
    """Names that no pattern makes."""
    takes_objects: bool = True
    """Whether a value may be an object, or a list of some."""


class Taken(msgspec.Struct, frozen=True):
    """A column becomes a property."""

    name: str
    column: Column
    rank: tuple[int, int]
    """Of two columns that would be one property, the one of the higher rank is."""


class LeftOut(msgspec.Struct, frozen=True):
    """A column becomes no property, though nobody said so."""

    why: str


class _Pattern(msgspec.Struct, frozen=True):
    """One pattern, against one stream's schema."""

    name: tuple[str, str]
    """Of the properties, what stands before the * and behind it."""
    text: tuple[str, str]
    """The same of the columns, as it is written."""
    parent: Path
    """Whose columns they are; empty: the record's."""
    last: tuple[str, str]
    """As *text*, of the last name of a path."""
    column: Column

    @property
    def rank(self) -> tuple[int, int]:
        return len(self.text[0]), len(self.text[1])

    @property
    def asks_for_own_names(self) -> bool:
        """Whether names that Mixpanel gives are what is meant."""
        return bool(self.parent) or self.name[0].startswith(_OWN_PREFIXES)

    def part(self, path: Path) -> str | None:
        """Return what the * stands for in *path*, None where it does not fit."""
        if path[:-1] == self.parent:
            found = _part(path[-1], self.last)
            if found is not None:
                return found
        return _part(path[0], self.text) if len(path) == 1 else None

    def columns_of(self, name: str) -> Iterator[Path]:
        """Yield the columns that would become the property *name*."""
        part = _part(name, self.name)
        if part is not None:
            yield (*self.parent, part.join(self.last))
            if self.parent:
                yield (part.join(self.text),)


class Patterns:
    """A mapping's patterns, against one stream's schema."""

    def __init__(
        self,
        properties: MatchedColumns,
        used: Iterable[Column],
        rules: PropertyRules,
        stream_schema: StreamSchema,
        place: str,
    ) -> None:
        """
        Compile the patterns of *properties*.

        Args:
            properties: What the mapping says of them.
            used: Columns that the mapping makes something else of.
            rules: Mixpanel's.
            stream_schema: The stream's.
            place: The properties', for messages.

        Raises:
            StreamSchemaError: The schema has no such object whose columns could be taken.
        """
        self._rules = rules
        self._takes_metadata = stream_schema.takes_metadata
        self._exclude = properties.exclude
        patterns = [_compile(each, stream_schema.schema, place) for each in properties.patterns]
        self._patterns = sorted(patterns, key=lambda each: each.rank, reverse=True)
        self.parents: Final = tuple(
            dict.fromkeys([(), *(each.parent for each in self._patterns if each.parent)])
        )
        """Whose columns are looked at: the record's, and those of objects."""
        self._not_wanted = frozenset(
            [*self.parents, *(path for column in used for path in _readings(column))]
        )

    def of(self, path: Path) -> Taken | LeftOut | None:
        """Say what becomes of the column at *path*; None: the mapping says so, or says nothing."""
        if path in self._not_wanted or self._is_excluded(path):
            return None
        for pattern in self._patterns:
            part = pattern.part(path)
            if part is not None:
                break
        else:
            return None
        name = part.join(pattern.name)
        why = self._why_not(path, name, pattern)
        if why is not None:
            return LeftOut(why)
        column = msgspec.structs.replace(pattern.column, path=path)
        return Taken(name, column, pattern.rank)

    def has_rivals(self, path: Path) -> bool:
        """Say whether some other column would become the same property."""
        found = self.of(path)
        if not isinstance(found, Taken):
            return False
        return any(
            other != path and isinstance(self.of(other), Taken)
            for pattern in self._patterns
            for other in pattern.columns_of(found.name)
        )

    def not_excluded(self, columns: Collection[Path]) -> tuple[str, ...]:
        """Return the names, of what is to be excluded, that are none of *columns*; globs may be."""
        return tuple(
            name
            for name in self._exclude
            if _GLOB.isdisjoint(name) and not any(_is_named(path, name) for path in columns)
        )

    def _is_excluded(self, path: Path) -> bool:
        return any(_is_named(path, name) for name in self._exclude)

    def _why_not(self, path: Path, name: str, pattern: _Pattern) -> str | None:
        if not name:
            return _HAS_NO_NAME
        is_metadata = len(path) == 1 and path[0].startswith(METADATA_PREFIX)
        if is_metadata and not self._takes_metadata and not pattern.text[0].startswith("_"):
            return _IS_METADATA
        if name in self._rules.never or name.startswith(_BOOKS):
            return _IDENTIFIES
        is_own = name.startswith(_OWN_PREFIXES) and not pattern.asks_for_own_names
        if is_own or name in self._rules.reserved:
            return MEANS_SOMETHING
        return None


def _compile(pattern: ColumnPattern, schema: JsonObject, place: str) -> _Pattern:
    text = path_name(pattern.column.path)
    before, _, behind = text.partition(_WILDCARD)
    name_before, _, name_behind = pattern.name.partition(_WILDCARD)
    parent, _, last_before = before.rpartition(".")
    return _Pattern(
        (name_before, name_behind),
        (before, behind),
        _parent(parent, (before, behind), schema, place),
        (last_before, behind),
        pattern.column,
    )


def _parent(text: str, pattern: tuple[str, str], schema: JsonObject, place: str) -> Path:
    """Return the path of the object whose columns a pattern takes."""
    if not text:
        return ()
    try:
        return resolve(text, schema, place).path
    except StreamSchemaError:
        # The names that a tap has flattened have dots, too.
        if any(_part(name, pattern) is not None for name in named_columns(schema, schema)):
            return tuple(text.split("."))
        raise


def _part(name: str, around: tuple[str, str]) -> str | None:
    """Return what of *name* stands between two texts, None where they are not around it."""
    before, behind = around
    if len(name) < len(before) + len(behind):
        return None
    if not name.startswith(before) or not name.endswith(behind):
        return None
    return name[len(before) : len(name) - len(behind)]


def _readings(column: Column) -> Iterator[Path]:
    """Yield the paths that a column may mean."""
    if isinstance(column.path, tuple):
        yield column.path
    else:
        yield (column.path,)
        yield tuple(column.path.split("."))


def _is_named(path: Path, glob: str) -> bool:
    return any(
        name == glob or fnmatchcase(name, glob)
        for name in dict.fromkeys((path[-1], ".".join(path)))
    )
