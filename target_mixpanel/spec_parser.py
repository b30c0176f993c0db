"""How does an entry of `streams`, as an operator writes it, become a StreamSpec?"""

import difflib
from collections.abc import Mapping, Sequence
from datetime import UTC, tzinfo
from typing import Any, Final, TypeGuard, get_args
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from target_mixpanel.errors import SettingsError, listed, printable
from target_mixpanel.limits import NAME_MAX_CHARS
from target_mixpanel.specs import (
    AllColumns,
    Column,
    ColumnPath,
    Constant,
    DistinctId,
    EventSpec,
    Identity,
    InsertId,
    KeyColumns,
    KeyProperties,
    NamedProperties,
    Properties,
    SimplifiedId,
    Source,
    StreamName,
    StreamSpec,
    TimeUnit,
    VerbatimInsertId,
)

Raw = Mapping[str, Any]

TYPES: Final = ("events",)
"""Values of a mapping's `type`."""

EVENT_KEYS: Final = (
    "type",
    "event",
    "event_from",
    "time",
    "time_unit",
    "timezone",
    "distinct_id",
    "user_id",
    "device_id",
    "insert_id",
    "ip",
    "properties",
    "exclude",
)

SET_BY_THE_MAPPING: Final = {
    "time": "time",
    "distinct_id": "distinct_id",
    "$insert_id": "insert_id",
    "$user_id": "user_id",
    "$device_id": "device_id",
    "ip": "ip",
}
"""Properties that have a key of their own in a mapping, and that key."""


def parse_streams(
    raw: object, place: str = "streams"
) -> tuple[tuple[str, tuple[StreamSpec, ...]], ...]:
    """
    Return each stream pattern with its mappings, in the order written.

    Args:
        raw: A map from pattern to a mapping or a list of mappings; or a list of mappings that each
            name their pattern as `stream`, for loaders of configuration that cannot carry a key
            with a dot.
        place: What messages call *raw*.

    Raises:
        SettingsError: Something in it is not understood; the message says where and what to write.
    """
    entries: list[tuple[str, str, object]] = []
    if isinstance(raw, Mapping):
        entries = [
            (_text(key, f"{place}: a stream's name"), f"{place}.{printable(key)}", value)
            for key, value in raw.items()
        ]
    elif _is_list(raw):
        for index, entry in enumerate(raw):
            mapping = _object(entry, f"{place}[{index}]")
            pattern = _text(mapping.get("stream"), f"{place}[{index}].stream")
            rest = {key: value for key, value in mapping.items() if key != "stream"}
            entries.append((pattern, f"{place}[{index}]", rest))
    else:
        raise SettingsError(f"{place}: expected a map from stream to mapping, got {_kind(raw)}")
    if not entries:
        raise SettingsError(f'{place}: is empty; name at least one stream, or "*" for all')
    merged: dict[str, tuple[StreamSpec, ...]] = {}
    for pattern, entry_place, value in entries:
        merged[pattern] = merged.get(pattern, ()) + _parse_mappings(value, entry_place)
    return tuple(merged.items())


def _parse_mappings(raw: object, place: str) -> tuple[StreamSpec, ...]:
    if not _is_list(raw):
        return (_parse_mapping(raw, place),)
    if not raw:
        raise SettingsError(f"{place}: is an empty list; write one mapping at least")
    return tuple(_parse_mapping(entry, f"{place}[{index}]") for index, entry in enumerate(raw))


def _parse_mapping(raw: object, place: str) -> StreamSpec:
    mapping = _object(raw, place)
    given = {key: value for key, value in mapping.items() if value is not None}
    kind = given.get("type", "events")
    if kind not in TYPES:
        raise SettingsError(f"{place}.type: expected one of {listed(list(TYPES))}")
    return _parse_event(given, place)


def _parse_event(raw: Raw, place: str) -> EventSpec:
    _refuse_unknown(raw, EVENT_KEYS, place)
    if "time" not in raw:
        raise SettingsError(
            f"{place}.time: is missing; name the column that holds the event's time",
        )
    return EventSpec(
        place=place,
        event=_parse_event_name(raw, place),
        time=_parse_shown(raw["time"], f"{place}.time"),
        identity=_parse_identity(raw, place),
        properties=_parse_properties(raw, place),
        time_unit=_parse_time_unit(raw.get("time_unit", "auto"), f"{place}.time_unit"),
        timezone=_parse_timezone(raw.get("timezone", "UTC"), f"{place}.timezone"),
        insert_id=_parse_insert_id(raw.get("insert_id"), f"{place}.insert_id"),
        ip=_parse_shown(raw["ip"], f"{place}.ip") if "ip" in raw else None,
    )


def _parse_event_name(raw: Raw, place: str) -> Source | StreamName:
    if "event" in raw and "event_from" in raw:
        raise SettingsError(f"{place}: has both event and event_from; keep one")
    if "event_from" in raw:
        return _parse_shown(raw["event_from"], f"{place}.event_from")
    if "event" in raw:
        event = _text(raw["event"], f"{place}.event")
        if len(event) > NAME_MAX_CHARS:
            raise SettingsError(f"{place}.event: has more than {NAME_MAX_CHARS} characters")
        return Constant(event)
    return StreamName()


def _parse_identity(raw: Raw, place: str) -> Identity:
    has_simplified = "user_id" in raw or "device_id" in raw
    if "distinct_id" in raw:
        if has_simplified:
            raise SettingsError(
                f"{place}: has distinct_id beside user_id or device_id; keep distinct_id alone, or "
                "user_id and device_id (projects with simplified identity merge)",
            )
        return DistinctId(_parse_needed(raw["distinct_id"], f"{place}.distinct_id"))
    if not has_simplified:
        raise SettingsError(
            f"{place}.distinct_id: is missing; name the column that holds the user's id, or write "
            '{value: ""} for events without a user',
        )
    user = raw.get("user_id")
    device = raw.get("device_id")
    return SimplifiedId(
        user=None if user is None else _parse_needed(user, f"{place}.user_id"),
        device=None if device is None else _parse_needed(device, f"{place}.device_id"),
    )


def _parse_insert_id(raw: object, place: str) -> InsertId:
    if raw is None:
        return KeyProperties()
    if isinstance(raw, str):
        return VerbatimInsertId(_parse_path(raw, place))
    if _is_list(raw) and raw:
        return KeyColumns(tuple(_parse_path(path, place) for path in raw))
    raise SettingsError(
        f"{place}: expected a column name (used as it is) or a list of columns (hashed), "
        f"got {_kind(raw)}",
    )


def _parse_properties(raw: Raw, place: str) -> Properties:
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
            (str(name), _parse_source(value, f"{here}.{printable(str(name))}"))
            for name, value in properties.items()
        ]
    elif _is_list(properties):
        sources = [
            _parse_property_entry(entry, f"{here}[{index}]")
            for index, entry in enumerate(properties)
        ]
    else:
        raise SettingsError(
            f'{here}: expected "*", a list of columns, or a map, got {_kind(properties)}',
        )
    _refuse_property_names([name for name, _ in sources], here)
    return NamedProperties(tuple(sources))


def _parse_property_entry(raw: object, place: str) -> tuple[str, Source]:
    """Read a list's entry: a column by name, or `{name: …, column: …}` for a name with dots."""
    if isinstance(raw, Mapping):
        rest = {key: value for key, value in raw.items() if key != "name"}
        return _text(raw.get("name"), f"{place}.name"), _parse_source(rest, place)
    path = _parse_path(raw, place)
    return path if isinstance(path, str) else ".".join(path), Column(path)


def _refuse_property_names(names: Sequence[str], place: str) -> None:
    for name in names:
        if not name:
            raise SettingsError(f"{place}: a property has an empty name")
        if name in {"token", "$token"}:
            raise SettingsError(f'{place}: "{name}" is a credential and never comes from a record')
        if name in SET_BY_THE_MAPPING:
            raise SettingsError(
                f'{place}: "{name}" is set by the mapping\'s {SET_BY_THE_MAPPING[name]}; '
                "give the property another name",
            )
        if names.count(name) > 1:
            raise SettingsError(f'{place}: "{printable(name)}" stands there twice')


def _parse_exclude(raw: object, place: str) -> frozenset[str]:
    if raw is None:
        return frozenset()
    if _is_list(raw) and all(isinstance(name, str) for name in raw):
        return frozenset(raw)
    raise SettingsError(f"{place}: expected a list of column names, got {_kind(raw)}")


def _parse_source(raw: object, place: str) -> Source:
    """Read `column`, `[path, segments]`, `{column: …, default: …, hash: …}` or `{value: …}`."""
    if not isinstance(raw, Mapping):
        return Column(_parse_path(raw, place))
    if "value" in raw:
        _refuse_unknown(raw, ("value",), place)
        return Constant(raw["value"])
    _refuse_unknown(raw, ("column", "default", "hash"), place)
    if "column" not in raw:
        raise SettingsError(f"{place}: expected a column name, {{column: …}} or {{value: …}}")
    is_hashed = raw.get("hash", False)
    if not isinstance(is_hashed, bool):
        raise SettingsError(f"{place}.hash: expected true or false, got {_kind(is_hashed)}")
    return Column(
        path=_parse_path(raw["column"], f"{place}.column"),
        default=raw.get("default", msgspec.UNSET),
        is_hashed=is_hashed,
    )


def _parse_needed(raw: object, place: str) -> Source:
    source = _parse_source(raw, place)
    if isinstance(source, Constant) and source.value is None:
        raise SettingsError(f"{place}.value: is null, so every record would be rejected")
    return source


def _parse_shown(raw: object, place: str) -> Source:
    """Read a source whose value Mixpanel must understand."""
    source = _parse_needed(raw, place)
    if isinstance(source, Column) and source.is_hashed:
        raise SettingsError(f"{place}.hash: means nothing here; only properties and ids are hashed")
    return source


def _parse_path(raw: object, place: str) -> ColumnPath:
    if isinstance(raw, str) and raw:
        return raw
    if _is_list(raw) and raw and all(isinstance(name, str) and name for name in raw):
        return tuple(raw)
    raise SettingsError(
        f"{place}: expected a column name, or the list of names that lead to it, got {_kind(raw)}",
    )


def _parse_time_unit(raw: object, place: str) -> TimeUnit:
    units: tuple[TimeUnit, ...] = get_args(TimeUnit)
    for unit in units:
        if raw == unit:
            return unit
    raise SettingsError(f"{place}: expected one of {listed(list(units))}")


def _parse_timezone(raw: object, place: str) -> tzinfo:
    name = _text(raw, place)
    if name == "UTC":
        return UTC
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise SettingsError(
            f'{place}: "{printable(name)}" is not a time zone; write one like "Europe/Berlin"',
        ) from None


def _refuse_unknown(raw: Raw, known: Sequence[str], place: str) -> None:
    for key in raw:
        if key not in known:
            raise SettingsError(
                f"{place}.{printable(str(key))}: {unknown_key_hint(str(key), known)}"
            )


def unknown_key_hint(key: str, known: Sequence[str]) -> str:
    """Say that *key* is not known, and which known one it looks like."""
    close = difflib.get_close_matches(key, known, n=1)
    return (
        f'is not known; did you mean "{close[0]}"?'
        if close
        else f"is not known; there are {listed(list(known), at_most=60)}"
    )


def _object(raw: object, place: str) -> Raw:
    if isinstance(raw, Mapping):
        return raw
    raise SettingsError(f"{place}: expected a mapping, got {_kind(raw)}")


def _text(raw: object, place: str) -> str:
    if isinstance(raw, str) and raw.strip():
        return raw
    if isinstance(raw, str):
        raise SettingsError(f"{place}: is blank")
    raise SettingsError(f"{place}: expected a text, got {_kind(raw)}")


def _is_list(raw: object) -> TypeGuard[Sequence[Any]]:
    return isinstance(raw, (list, tuple))


def _kind(raw: object) -> str:
    """Name *raw*'s JSON type, never its value: it may be a secret in the wrong place."""
    match raw:
        case None:
            return "nothing"
        case bool():
            return "true or false"
        case int() | float():
            return "a number"
        case str():
            return "a text"
        case Mapping():
            return "a map"
        case _:
            return "a list"
