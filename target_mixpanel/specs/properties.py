"""Which properties does a mapping name: all columns, a list of them, a map, or patterns?"""

from collections.abc import Mapping, Sequence
from typing import Final, get_args

import msgspec

from target_mixpanel.errors import SettingsError, printable
from target_mixpanel.specs.sources import leading_into_json, parse_path, parse_source
from target_mixpanel.specs.spec import (
    ALL_COLUMNS,
    ColumnPattern,
    Constant,
    MatchedColumns,
    NamedProperties,
    NewColumns,
    Pairs,
    Properties,
    Source,
    path_name,
)
from target_mixpanel.specs.written import Raw, as_text, is_list, kind_of, one_of

NEW_COLUMNS: Final[tuple[NewColumns, ...]] = get_args(NewColumns)

_WILDCARD: Final = "*"


def parse_properties(raw: Raw, place: str, refused: Mapping[str, str]) -> Properties:
    """
    Return what a mapping's `properties`, `exclude` and `new_columns` say.

    Args:
        raw: The mapping.
        place: What messages call it.
        refused: Names that no property may have, each with why.

    Raises:
        SettingsError: They are not understood.
    """
    entries = _parse_entries(raw.get("properties"), f"{place}.properties")
    refuse_names([entry.name for entry in entries], refused, f"{place}.properties")
    patterns = tuple(entry for entry in entries if isinstance(entry, ColumnPattern))
    sources = leading_into_json(
        [(entry.name, entry.source) for entry in entries if not isinstance(entry, ColumnPattern)]
    )
    if patterns:
        _refuse_equal(patterns, f"{place}.properties")
        return MatchedColumns(
            patterns,
            sources,
            _parse_exclude(raw.get("exclude"), f"{place}.exclude"),
            one_of(raw.get("new_columns", "take"), NEW_COLUMNS, f"{place}.new_columns"),
        )
    for key in ("exclude", "new_columns"):
        if key in raw:
            raise SettingsError(f'{place}.{key}: goes with "*" or a pattern under properties only')
    return NamedProperties(sources)


class _Named(msgspec.Struct, frozen=True):
    """A property that is written by its name."""

    name: str
    source: Source


def _parse_entries(raw: object, place: str) -> list[_Named | ColumnPattern]:
    """Read `"*"`, a list of columns, or a map from names to columns."""
    if raw == ALL_COLUMNS.name:
        return [ALL_COLUMNS]
    if raw is None:
        raise SettingsError(f'{place}: is missing; write "*", a list of columns, or a map')
    if isinstance(raw, Mapping):
        return [
            _parse_entry(str(name), value, f"{place}.{printable(str(name))}")
            for name, value in raw.items()
        ]
    if is_list(raw):
        return [_parse_item(item, f"{place}[{index}]") for index, item in enumerate(raw)]
    raise SettingsError(
        f'{place}: expected "*", a list of columns, or a map, got {kind_of(raw)}',
    )


def _parse_item(raw: object, place: str) -> _Named | ColumnPattern:
    """Read a list's entry: a column by name, or `{name: …, column: …}` for a name with dots."""
    if isinstance(raw, Mapping):
        rest = {key: value for key, value in raw.items() if key != "name"}
        return _parse_entry(as_text(raw.get("name"), f"{place}.name"), rest, place)
    return _parse_entry(path_name(parse_path(raw, place)), raw, place)


def _parse_entry(name: str, raw: object, place: str) -> _Named | ColumnPattern:
    """Read one property, or a pattern: a * in its name stands for what the column's stands for."""
    source = parse_source(raw, place)
    if isinstance(source, Constant) or not isinstance(source.path, str):
        return _Named(name, source)  # a path in segments is what it says
    if _WILDCARD not in name + source.path:
        return _Named(name, source)
    if name.count(_WILDCARD) != 1 or source.path.count(_WILDCARD) != 1:
        raise SettingsError(
            f'{place}: a pattern has one * in its name and one in its column, as "$*": "mp_*"; '
            "a single column whose name has a * is written as a list of that name",
        )
    if "." in source.path.partition(_WILDCARD)[2]:
        raise SettingsError(
            f'{place}: the * stands in the last name of a path only, as "*": "payload.*"'
        )
    if source.default is not msgspec.UNSET:
        raise SettingsError(f"{place}.default: means nothing at a pattern; name the column")
    if isinstance(source.cast, Pairs):
        raise SettingsError(f"{place}.as: pairs mean nothing at a pattern; name the column")
    return ColumnPattern(name, source)


def _refuse_equal(patterns: Sequence[ColumnPattern], place: str) -> None:
    columns = [path_name(pattern.column.path) for pattern in patterns]
    for column in columns:
        if columns.count(column) > 1:
            raise SettingsError(
                f'{place}: "{printable(column)}" is the column of two patterns; keep one'
            )


def forbidden_names(own: Mapping[str, str]) -> dict[str, str]:
    """
    Return the names that no property may have, each with why.

    Args:
        own: Names that a key of the mapping sets, each with that key.
    """
    credential = "is a credential and never comes from a record; leave it out"
    return {
        name: f"is set by the mapping's {key}; leave it out here, or give the property another name"
        for name, key in own.items()
    } | dict.fromkeys(("token", "$token"), credential)


def refuse_names(names: Sequence[str], refused: Mapping[str, str], place: str) -> None:
    """Refuse names that are empty, among *refused*, or there twice."""
    for name in names:
        if not name:
            raise SettingsError(f"{place}: a property has an empty name")
        if name in refused:
            raise SettingsError(f'{place}: "{printable(name)}" {refused[name]}')
        if names.count(name) > 1:
            raise SettingsError(f'{place}: "{printable(name)}" stands there twice')


def _parse_exclude(raw: object, place: str) -> tuple[str, ...]:
    if raw is None:
        return ()
    if is_list(raw) and all(isinstance(name, str) for name in raw):
        return tuple(raw)
    raise SettingsError(f"{place}: expected a list of column names, got {kind_of(raw)}")
