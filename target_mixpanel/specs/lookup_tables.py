"""How does a mapping say that records replace a lookup table?"""

import re
from typing import Final

from target_mixpanel.errors import SettingsError, printable
from target_mixpanel.specs.conditions import parse_filters
from target_mixpanel.specs.keys import refuse_unknown_keys
from target_mixpanel.specs.properties import parse_properties
from target_mixpanel.specs.sources import parse_path
from target_mixpanel.specs.spec import (
    LookupTableSpec,
    NamedProperties,
    Properties,
    path_name,
)
from target_mixpanel.specs.times import parse_time_format, parse_time_unit, parse_timezone
from target_mixpanel.specs.written import Raw, as_text

_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}")
"""Lexicon shows a UUID; nothing else belongs into a URL's path."""


def parse_lookup_table(raw: Raw, place: str) -> LookupTableSpec:
    """
    Return a mapping of type `lookup_table`.

    Raises:
        SettingsError: Something in it is not understood.
    """
    refuse_unknown_keys(raw, "lookup_table", place)
    if "key" not in raw:
        raise SettingsError(f"{place}.key: is missing; name the column that rows are looked up by")
    key = parse_path(raw["key"], f"{place}.key")
    properties = _parse_properties(raw, place)
    _check_names(properties, path_name(key), f"{place}.properties")
    return LookupTableSpec(
        place=place,
        lookup_table_id=_parse_id(raw, f"{place}.lookup_table_id"),
        key=key,
        properties=properties,
        time_unit=parse_time_unit(raw, place),
        time_format=parse_time_format(raw, place),
        timezone=parse_timezone(raw, place),
        filters=parse_filters(raw, place),
    )


def _parse_id(raw: Raw, place: str) -> str:
    if "lookup_table_id" not in raw:
        raise SettingsError(
            f"{place}: is missing; make the table in Mixpanel, whose Lexicon then shows its id",
        )
    table_id = as_text(raw["lookup_table_id"], place)
    if not _ID.fullmatch(table_id):
        raise SettingsError(
            f"{place}: is not an id of letters, digits, - and _; copy it from Mixpanel's Lexicon",
        )
    return table_id


def _parse_properties(raw: Raw, place: str) -> Properties:
    """Read the columns beside the key, which are fixed before the first row."""
    if raw.get("new_columns") == "take":
        raise SettingsError(
            f"{place}.new_columns: is take, and a table's columns are fixed before its first row; "
            "write ignore or fail, and name such columns under properties",
        )
    return parse_properties(raw, place, {})


def _check_names(properties: Properties, key: str, place: str) -> None:
    names = [name for name, _ in properties.sources]
    if not names and isinstance(properties, NamedProperties):
        raise SettingsError(f"{place}: is empty; a table needs a column beside its key")
    if any(name.isspace() for name in names):
        raise SettingsError(f"{place}: a property has a blank name")
    if key in names:
        raise SettingsError(
            f'{place}: "{printable(key)}" is the key\'s column; leave it out, or give the property '
            "another name",
        )
