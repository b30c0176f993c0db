"""Which properties does a mapping name: all columns, a list of them, or a map?"""

from collections.abc import Mapping, Sequence

from target_mixpanel.errors import SettingsError, printable
from target_mixpanel.specs.sources import leading_into_json, parse_path, parse_source
from target_mixpanel.specs.spec import (
    AllColumns,
    Column,
    NamedProperties,
    Properties,
    Source,
    path_name,
)
from target_mixpanel.specs.written import Raw, as_text, is_list, kind_of


def parse_properties(raw: Raw, place: str, refused: Mapping[str, str]) -> Properties:
    """
    Return what a mapping's `properties` and `exclude` say.

    Args:
        raw: The mapping.
        place: What messages call it.
        refused: Names that no property may have, each with why.

    Raises:
        SettingsError: They are not understood.
    """
    excluded = _parse_exclude(raw.get("exclude"), f"{place}.exclude")
    here = f"{place}.properties"
    properties = raw.get("properties")
    if properties == "*":
        return AllColumns(exclude=excluded)
    if properties is None:
        raise SettingsError(f'{here}: is missing; write "*", a list of columns, or a map')
    if excluded:
        raise SettingsError(f'{place}.exclude: goes with properties: "*" only')
    sources: list[tuple[str, Source]] = []
    if isinstance(properties, Mapping):
        sources = [
            (str(name), parse_source(value, f"{here}.{printable(str(name))}"))
            for name, value in properties.items()
        ]
    elif is_list(properties):
        sources = [
            _parse_entry(entry, f"{here}[{index}]") for index, entry in enumerate(properties)
        ]
    else:
        raise SettingsError(
            f'{here}: expected "*", a list of columns, or a map, got {kind_of(properties)}',
        )
    refuse_names([name for name, _ in sources], refused, here)
    return NamedProperties(leading_into_json(sources))


def forbidden_names(own: Mapping[str, str]) -> dict[str, str]:
    """
    Return the names that no property may have, each with why.

    Args:
        own: Names that a key of the mapping sets, each with that key.
    """
    credential = "is a credential and never comes from a record; leave it out"
    return {
        name: f"is set by the mapping's {key}; give the property another name"
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


def _parse_entry(raw: object, place: str) -> tuple[str, Source]:
    """Read a list's entry: a column by name, or `{name: …, column: …}` for a name with dots."""
    if isinstance(raw, Mapping):
        rest = {key: value for key, value in raw.items() if key != "name"}
        return as_text(raw.get("name"), f"{place}.name"), parse_source(rest, place)
    path = parse_path(raw, place)
    return path_name(path), Column(path)


def _parse_exclude(raw: object, place: str) -> frozenset[str]:
    if raw is None:
        return frozenset()
    if is_list(raw) and all(isinstance(name, str) for name in raw):
        return frozenset(raw)
    raise SettingsError(f"{place}: expected a list of column names, got {kind_of(raw)}")
