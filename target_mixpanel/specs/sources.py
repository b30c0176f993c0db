"""Where does one value come from: a column, with a default or hashed, or the mapping itself?"""

from collections.abc import Mapping

import msgspec

from target_mixpanel.errors import SettingsError
from target_mixpanel.specs.spec import Column, ColumnPath, Constant, Source
from target_mixpanel.specs.written import is_list, kind_of, refuse_unknown


def parse_source(raw: object, place: str) -> Source:
    """Read `column`, `[path, segments]`, `{column: …, default: …, hash: …}` or `{value: …}`."""
    if not isinstance(raw, Mapping):
        return Column(parse_path(raw, place))
    if "value" in raw:
        refuse_unknown(raw, ("value",), place)
        return Constant(raw["value"])
    refuse_unknown(raw, ("column", "default", "hash"), place)
    if "column" not in raw:
        raise SettingsError(f"{place}: expected a column name, {{column: …}} or {{value: …}}")
    is_hashed = raw.get("hash", False)
    if not isinstance(is_hashed, bool):
        raise SettingsError(f"{place}.hash: expected true or false, got {kind_of(is_hashed)}")
    return Column(
        path=parse_path(raw["column"], f"{place}.column"),
        default=raw.get("default", msgspec.UNSET),
        is_hashed=is_hashed,
    )


def parse_needed(raw: object, place: str) -> Source:
    """Read a source without which there is no row."""
    source = parse_source(raw, place)
    if isinstance(source, Constant) and source.value is None:
        raise SettingsError(f"{place}.value: is null, so every record would be rejected")
    return source


def parse_shown(raw: object, place: str) -> Source:
    """Read a source whose value Mixpanel must understand."""
    source = parse_needed(raw, place)
    if isinstance(source, Column) and source.is_hashed:
        raise SettingsError(f"{place}.hash: means nothing here; only properties and ids are hashed")
    return source


def parse_path(raw: object, place: str) -> ColumnPath:
    """Read a column's name, or the names that lead to it."""
    if isinstance(raw, str) and raw:
        return raw
    if is_list(raw) and raw and all(isinstance(name, str) and name for name in raw):
        return tuple(raw)
    raise SettingsError(
        f"{place}: expected a column name, or the list of names that lead to it, got "
        f"{kind_of(raw)}",
    )
